//! Faults: every message altered, cut, lengthened and lost; the dealer's stream cut anywhere; bytes of wrong lengths.
//! Each ends in an error of the right kind, soon, in every party that can know of it.

use crate::common::{Gate, body, everything, gate, row};
use blindroute_protocol::{
    Channel, ChannelError, Comparison, Dealer, DealerSeeds, Error, Form, HashKey, Inputs, MaterialQueue, Meter, Online,
    Output, Party, Prepare, PrepareSeeds, Seed, ServerWeights, Shape, Tensor, WeightId, WeightKind, WeightMasks,
    WeightShares, WeightSpec, ZeroSeed,
};
use blindroute_testkit::{Fault, Noise, Parties, ServerAlone, State, TestWorld};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(3);

// Comparison, linear layer, extension and tables.
body!(Small {}, |this, machine| {
    let index = machine.input::<u32>(1)?;
    let index = machine.defer(index)?;
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let index = machine.take(index)?;
    let positive = machine.compare(&x, &Comparison::of_many(vec![0], 4, 2))?;
    let kept = machine.select(&positive, &x)?;
    let kept = machine.open(kept)?;
    let layer = machine.linear(&kept, WeightId(0))?.add(&machine.bias(WeightId(1), 8)?)?;
    let layer = machine.open(layer)?;
    let extended = machine.extend::<u64, u64>(&layer, 4, 60)?;
    machine.reveal(extended, "a test")?;
    let odd = machine.lookup_bits(&index, &[false, true, false, true])?;
    let odd = machine.open_bits(odd)?;
    let odd = machine.bits_to_share::<u32>(&odd, 4)?;
    machine.reveal(odd, "a test")?;
    let entry = machine.lookup::<u32, u32>(&index, &[1, 2, 3, 4], 16)?;
    machine.reveal(entry, "a test")
});

fn small() -> (Gate<Small>, Vec<Tensor<f32>>, Vec<Tensor<f32>>) {
    let program = Gate {
        weights: vec![
            WeightSpec::new("w", WeightKind::Matrix { inner: 5, columns: 2 }, 4),
            WeightSpec::new("b", WeightKind::Bias(2), 8),
        ],
        inputs: vec![Form::new(Shape::row(5), 40, 4), Form::new(Shape::row(3), 2, 0)],
        body: Small {},
    };
    let weights = vec![
        Tensor::new(Shape::matrix(5, 2), (0..10).map(|i| i as f32 / 4.0 - 1.0).collect()),
        Tensor::new(Shape::row(2), vec![0.5, -0.5]),
    ];
    (program, weights, vec![row(&[1, -2, 100, -100, 3]), row(&[0, 1, 3])])
}

fn parties(world: TestWorld) -> Parties {
    let (program, weights, inputs) = small();
    let started = Instant::now();
    let parties = world.with_patience(PATIENCE).run_parties(&program, &weights, &inputs).unwrap();
    assert!(started.elapsed() < 2 * PATIENCE, "a fault took {:?}", started.elapsed());
    parties
}

#[test]
fn a_message_of_another_length_or_none_is_an_error() {
    let plain = parties(TestWorld::seeded(1).recorded());
    let count = plain.transcript.messages[0].len();
    assert_eq!(count, 1 + Meter::cost(&small().0).unwrap().openings, "the set-up, then the openings");
    for message in 0..count {
        for party in [Party::Zero, Party::One] {
            for fault in [Fault::Shorten, Fault::Lengthen, Fault::Drop] {
                let found = parties(TestWorld::seeded(1).with_fault(party, message, fault));
                let (sender, receiver) = (&found.servers[party.index()], &found.servers[1 - party.index()]);
                match (fault, receiver) {
                    (Fault::Drop, Err(Error::Channel(_))) | (_, Err(Error::Channel(ChannelError::Peer(_)))) => {}
                    _ => panic!("{fault:?} of message {message} by {party:?}: {receiver:?}"),
                }
                // Who sends the last message has all it needs; before that, the peer's end is noticed.
                if message + 1 < count {
                    assert!(matches!(sender, Err(Error::Channel(_))), "{fault:?} {message} {party:?}: {sender:?}");
                }
            }
        }
    }
}

#[test]
fn case_14_a_flipped_bit_anywhere_never_panics_and_changes_the_result() {
    let plain = parties(TestWorld::seeded(2).recorded());
    for party in [Party::Zero, Party::One] {
        for (message, bytes) in plain.transcript.messages[party.index()].iter().enumerate() {
            let mut changed = 0;
            for fault in (0..bytes.len()).flat_map(|at| [Fault::Flip(at), Fault::Invert(at)]) {
                let found = parties(TestWorld::seeded(2).with_fault(party, message, fault));
                let failed = found.servers.iter().any(Result::is_err);
                changed += usize::from(failed || found.transcript.output_shares != plain.transcript.output_shares);
            }
            // Some bits say nothing: padding, and "less" of a digit whose higher digits differ.
            assert!(changed > 0, "no flipped bit of message {message} of {party:?} changed anything");
        }
    }
}

#[test]
fn case_14_random_messages_of_the_right_length_give_an_answer_and_no_crash() {
    let program = everything(9);
    let expected = Output::byte_len(&Meter::outputs(&program).unwrap());
    let mut noise = Noise::new(14);
    for _ in 0..20 {
        let (state, peer) = (State::of_kind(false, &mut noise), Noise::new(noise.word()));
        let ran = ServerAlone::prepare(&program, state, peer).unwrap().run().unwrap();
        assert_eq!(ran.output.bytes().len(), expected);
    }
}

#[test]
fn material_that_ends_early_is_an_error_wherever_it_ends() {
    let plain = parties(TestWorld::seeded(3).recorded());
    let mut at = 0;
    for record in &plain.transcript.material {
        for cut in [at, at + 1, at + record.len() / 2, at + record.len() - 1] {
            let found = parties(TestWorld::seeded(3).with_material_cut(cut));
            assert!(matches!(found.servers[1], Err(Error::Material(_))), "cut at {cut}: {:?}", found.servers[1]);
            assert!(matches!(found.servers[0], Err(Error::Channel(_))), "cut at {cut}: {:?}", found.servers[0]);
            assert!(matches!(found.dealer, Err(Error::Sink(_))), "cut at {cut}: {:?}", found.dealer);
        }
        at += record.len();
    }
    assert_eq!(plain.dealer.unwrap(), at);
    assert!(parties(TestWorld::seeded(3).with_material_cut(at)).servers.iter().all(Result::is_ok));
}

body!(Twice {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    machine.reveal(x, "a test")?;
    let x = machine.input::<u64>(0)?;
    machine.reveal(x, "a test")
});
body!(Missing {}, |this, machine| {
    let x = machine.input::<u64>(1)?;
    machine.reveal(x, "a test")
});

#[test]
fn an_input_is_used_once() {
    let forms = vec![Form::new(Shape::row(2), 20, 0)];
    let found = TestWorld::seeded(4).run_parties(&gate(Twice {}, forms.clone()), &[], &[row(&[1, 2])]).unwrap();
    for server in found.servers {
        assert!(matches!(&server, Err(Error::Program(text)) if text.contains("used twice")), "{server:?}");
    }
    assert!(matches!(Meter::cost(&gate(Missing {}, forms)), Err(Error::Program(_))));
}

#[test]
fn case_12_bytes_of_wrong_lengths_are_told_apart() {
    let (program, weights, inputs) = small();
    let seed = Seed::new([7; 16]);
    let (forms, specs) = (&program.inputs, &program.weights);
    let bytes = Inputs::share(forms, &inputs, &seed).unwrap();
    let expected = bytes.len();
    let mut longer = bytes.clone();
    longer.push(0);
    for wrong in [&bytes[..expected - 1], &[], &longer] {
        match Inputs::from_bytes(forms, wrong) {
            Err(Error::Input { expected: wanted, found }) => assert_eq!((wanted, found), (expected, wrong.len())),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(Inputs::share(forms, &inputs[..1], &seed), Err(Error::Program(_))));
    let turned = [inputs[1].clone(), inputs[0].clone()];
    assert!(matches!(Inputs::share(forms, &turned, &seed), Err(Error::Shape { what: "input", .. })));

    let shares = WeightShares::complement(specs, &weights, &seed).unwrap().to_bytes(specs);
    assert!(WeightShares::from_bytes(specs, &shares).is_ok());
    for wrong in [&shares[1..], &[], &[&shares[..], &[0]].concat()] {
        assert!(matches!(WeightShares::from_bytes(specs, wrong), Err(Error::Weight { .. })));
    }
    assert!(matches!(WeightShares::complement(specs, &weights[..1], &seed), Err(Error::Weight { .. })));
    let turned = [weights[1].clone(), weights[0].clone()];
    assert!(matches!(WeightShares::complement(specs, &turned, &seed), Err(Error::Weight { .. })));

    let outputs = Meter::outputs(&program).unwrap();
    let right = vec![0; Output::byte_len(&outputs)];
    assert!(Output::combine(&outputs, &right, &right).is_ok());
    assert!(matches!(Output::combine(&outputs, &right[1..], &right), Err(Error::Input { .. })));
    assert!(matches!(Output::combine(&outputs, &right, &[&right[..], &[0]].concat()), Err(Error::Input { .. })));
}

/// A link that answers with zeros, `extra` bytes more or less than agreed.
struct Zeros {
    extra: isize,
}

impl Channel for Zeros {
    fn exchange(&mut self, _outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        Ok(vec![0; incoming.saturating_add_signed(self.extra)])
    }
}

fn model(specs: &[WeightSpec]) -> ServerWeights {
    let shares = WeightShares::from_seed(specs, &Seed::new([1; 16]));
    ServerWeights::set_up(specs, shares, &Seed::new([2; 16]), &mut Zeros { extra: 0 }).unwrap()
}

fn zero_seed() -> ZeroSeed {
    ZeroSeed::from_halves(&Seed::new([7; 16]), &Seed::new([8; 16]))
}

fn seeds_of_party_zero([material, products]: &[Seed; 2]) -> (PrepareSeeds<'_>, HashKey) {
    (PrepareSeeds { material, products: Some(products) }, HashKey::new(&[9; 16]))
}

#[test]
fn a_channel_that_breaks_its_word_is_an_error() {
    let (program, ..) = small();
    let seeds = [3, 4].map(|byte| Seed::new([byte; 16]));
    for extra in [-1, 1] {
        let shares = WeightShares::from_seed(&program.weights, &Seed::new([1; 16]));
        let found = ServerWeights::set_up(&program.weights, shares, &Seed::new([2; 16]), &mut Zeros { extra });
        assert!(matches!(found, Err(Error::Program(_))), "{found:?}");
        let model = model(&program.weights);
        let (writer, reader) = MaterialQueue::bounded(1 << 20);
        Prepare::run(&program, &model, seeds_of_party_zero(&seeds), &mut std::io::empty(), &writer).unwrap();
        writer.finish(Ok(()));
        let inputs = Inputs::from_seed(&program.inputs, &Seed::new([4; 16]));
        let found = Online::run(&program, &model, inputs, &reader, zero_seed(), &mut Zeros { extra });
        assert!(matches!(found, Err(Error::Program(_))), "{found:?}");
    }
}

#[test]
fn a_queue_that_closes_ends_both_phases() {
    let (program, ..) = small();
    let seeds = [3, 4].map(|byte| Seed::new([byte; 16]));
    let model = model(&program.weights);
    let run = |queue| {
        let inputs = Inputs::from_seed(&program.inputs, &Seed::new([4; 16]));
        Online::run(&program, &model, inputs, queue, zero_seed(), &mut Zeros { extra: 0 }).map(|_| ())
    };
    // Nothing prepared.
    let (writer, reader) = MaterialQueue::bounded(1 << 20);
    writer.finish(Ok(()));
    assert!(matches!(run(&reader), Err(Error::MaterialEnded)));
    // The preparation vanished.
    let (writer, reader) = MaterialQueue::bounded(1 << 20);
    drop(writer);
    assert!(matches!(run(&reader), Err(Error::MaterialEnded)));
    // The preparation failed.
    let (writer, reader) = MaterialQueue::bounded(1 << 20);
    writer.finish(Err(Error::Material(std::io::ErrorKind::UnexpectedEof.into())));
    assert!(matches!(run(&reader), Err(Error::Material(_))));
    // The online phase vanished while the preparation waits for room.
    let (writer, reader) = MaterialQueue::bounded(1);
    std::thread::scope(|scope| {
        let prepare =
            scope.spawn(|| Prepare::run(&program, &model, seeds_of_party_zero(&seeds), &mut std::io::empty(), &writer));
        reader.wait_ready().unwrap();
        drop(reader);
        assert!(matches!(prepare.join().unwrap(), Err(Error::MaterialEnded)));
    });
}

body!(Other {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let x = machine.share_of(&x)?;
    machine.reveal(x, "a test")
});

#[test]
fn material_of_another_program_is_an_error() {
    let (program, ..) = small();
    let known = [3, 4].map(|byte| Seed::new([byte; 16]));
    let model = model(&program.weights);
    let other = Gate { weights: program.weights.clone(), inputs: program.inputs.clone(), body: Other {} };
    let (writer, reader) = MaterialQueue::bounded(1 << 20);
    Prepare::run(&other, &model, seeds_of_party_zero(&known), &mut std::io::empty(), &writer).unwrap();
    writer.finish(Ok(()));
    let inputs = Inputs::from_seed(&program.inputs, &Seed::new([4; 16]));
    let found = Online::run(&program, &model, inputs, &reader, zero_seed(), &mut Zeros { extra: 0 });
    assert!(matches!(found, Err(Error::MaterialMismatch { .. } | Error::MaterialEnded)), "{found:?}");
    // A sink that takes nothing.
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let seeds = || [Seed::new([5; 16]), Seed::new([6; 16])];
    let masks = WeightMasks::new(&program.weights, &seeds());
    assert!(matches!(
        Dealer::run(
            &program,
            &masks,
            DealerSeeds { material: seeds(), products: Seed::new([7; 16]), hash_key: HashKey::new(&[9; 16]) },
            [&mut std::io::sink(), &mut Closed]
        ),
        Err(Error::Sink(_))
    ));
}
