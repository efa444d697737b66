//! Case 45: no mask word serves two openings, and a mutant that reuses masks, shares or roots does not pass.
//!
//! Under one mask for two openings the difference of the opened values is the difference of the secrets. So openings of
//! constants are compared in pairs, in every width: their differences have to be uniform. The masks that a server draws
//! are looked at as well. Both checks run against streams that start again from their beginning for one purpose.

use crate::gates::{self, SignWindow, Target};
use crate::material::record::{AnyMask, Record};
use crate::material::stream::{Purpose, Stream};
use crate::{
    Channel, ChannelError, Comparison, Dealer, DealerSeeds, Error, Form, HashKey, Inputs, Interpreter, Machine,
    MaterialQueue, Online, Party, Prepare, PrepareSeeds, Program, QueueReader, Seed, ServerWeights, Shape, Tensor,
    Tuning, WeightKind, WeightMasks, WeightShares, WeightSpec, ZeroSeed,
};
use blindroute_ring::{Prg, pack};
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};

const COUNT: usize = 4096;
const ROW: Shape = Shape::row(COUNT);

/// A stream that gives what it gave before whenever it is drawn from for one purpose.
struct Reusing<const PURPOSE: u8> {
    seed: Seed,
    stream: Prg,
    again: Prg,
}

impl<const PURPOSE: u8> Stream for Reusing<PURPOSE> {
    fn new(seed: &Seed) -> Self {
        Self { seed: seed.clone(), stream: Prg::new(seed), again: Prg::new(seed) }
    }

    fn draw(&mut self, purpose: Purpose) -> &mut Prg {
        if purpose as u8 != PURPOSE {
            return &mut self.stream;
        }
        self.again = Prg::new(&self.seed);
        &mut self.again
    }
}

type ReusesMasks = Reusing<{ Purpose::Mask as u8 }>;
type ReusesShares = Reusing<{ Purpose::Share as u8 }>;
type ReusesRoots = Reusing<{ Purpose::Root as u8 }>;

/// Openings of constants, at least two of each width, one per message.
struct Openings;

/// Rings in which constants are opened, by word.
const RINGS_32: [u32; 6] = [32, 32, 20, 20, 13, 13];
const RINGS_64: [u32; 6] = [64, 64, 64, 44, 44, 44];
const RINGS_128: [u32; 4] = [128, 128, 104, 104];

impl Program for Openings {
    fn weights(&self) -> Vec<WeightSpec> {
        Vec::new()
    }

    fn inputs(&self) -> Vec<Form> {
        let exponents = [Form::new(ROW, 28, 18); 2];
        RINGS_32.into_iter().chain(RINGS_64).map(|bits| Form::new(ROW, bits, 0)).chain(exponents).collect()
    }

    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let mut narrow = Vec::new();
        for index in 0..RINGS_32.len() {
            let x = machine.input::<u32>(index)?;
            narrow.push(machine.open(x)?);
        }
        let mut words = Vec::new();
        for index in RINGS_32.len()..RINGS_32.len() + RINGS_64.len() {
            let x = machine.input::<u64>(index)?;
            words.push(machine.open(x)?);
        }
        // Material of equal size: extensions of two values to each ring, whose top bits are shared too.
        for (x, bits) in words.iter().zip(RINGS_128) {
            let wide = machine.extend::<u64, u128>(x, 0, bits)?;
            machine.open(wide)?;
        }
        // Planes of bits: comparisons of two values, by digits and by keys, what they select, and rectifiers.
        let (window, target) = (SignWindow { range: 12, digits: 3 }, Target { bits: 32, fraction: 0 });
        for tuning in [Tuning::Near, Tuning::Middle, Tuning::Far] {
            machine.tune(tuning);
            for x in &words[..2] {
                let bits = machine.compare(x, &Comparison::of_many(vec![0, 100], 0, 3))?;
                let first = machine.plane(&bits, 0)?;
                let kept = machine.select(&first, x)?;
                machine.open(kept)?;
            }
            for x in &narrow[..2] {
                let positive = gates::relu::<I, u32, u32>(machine, x, window, target)?;
                machine.open(positive)?;
            }
        }
        // Bits of a table, and powers.
        let index = machine.share_of(&narrow[4])?;
        let index = machine.open(index)?.narrowed(4);
        for table in [[true; 16], [false; 16]] {
            let bits = machine.lookup_bits(&index, &table)?;
            machine.open_bits(bits)?;
        }
        for index in [12, 13] {
            let exponent = machine.input::<u32>(index)?;
            let exponent = machine.open(exponent)?;
            let power = machine.exponential::<u32, u64>(&exponent, 64)?;
            machine.open(power)?;
        }
        Ok(())
    }
}

/// What was sent, and what each server's masks were.
struct Seen {
    messages: [Vec<Vec<u8>>; 2],
    material: [Vec<Vec<u8>>; 2],
    masks: [Vec<Vec<u8>>; 2],
}

struct End {
    to: Sender<Vec<u8>>,
    from: Receiver<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Channel for End {
    fn exchange(&mut self, outgoing: Vec<u8>, _incoming: usize) -> Result<Vec<u8>, ChannelError> {
        self.sent.push(outgoing.clone());
        let gone = || ChannelError::Transport("the other end is gone".into());
        self.to.send(outgoing).map_err(|_| gone())?;
        self.from.recv().map_err(|_| gone())
    }
}

fn ends() -> [End; 2] {
    let ((to_one, from_zero), (to_zero, from_one)) = (channel(), channel());
    [(to_one, from_one), (to_zero, from_zero)].map(|(to, from)| End { to, from, sent: Vec::new() })
}

/// A sink that keeps what is written at a time.
#[derive(Default)]
struct Kept(Vec<Vec<u8>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn seeds() -> [Seed; 2] {
    [Seed::new([45; 16]), Seed::new([54; 16])]
}

fn products() -> Seed {
    Seed::new([63; 16])
}

/// Material from streams of one kind, as the online phase would take it.
fn prepared<S: Stream, P: Program>(program: &P, models: &[ServerWeights; 2]) -> ([QueueReader; 2], [Vec<Vec<u8>>; 2]) {
    let hash_key = || HashKey::new(&[5; 16]);
    let (mut zero, mut one) = (Kept::default(), Kept::default());
    let dealer = WeightMasks::new(&program.weights(), &seeds());
    let seeds_of_the_dealer = DealerSeeds { material: seeds(), products: products(), hash_key: hash_key() };
    Dealer::run_on::<S, P>(program, &dealer, seeds_of_the_dealer, [&mut zero, &mut one]).unwrap();
    let material = [zero.0, one.0];
    let readers = [0, 1].map(|party| {
        let (writer, reader) = MaterialQueue::bounded(usize::MAX);
        let stream = material[party].concat();
        let (material, products) = (&seeds()[party], (party == 0).then(products));
        let seeds = (PrepareSeeds { material, products: products.as_ref() }, hash_key());
        let result = Prepare::run_on::<S, P>(program, &models[party], seeds, &mut stream.as_slice(), &writer);
        result.unwrap();
        writer.finish(Ok(()));
        reader
    });
    (readers, material)
}

fn models(specs: &[WeightSpec], weights: &[Tensor<f32>]) -> ([ServerWeights; 2], [Vec<Vec<u8>>; 2]) {
    let seed = Seed::new([9; 16]);
    let shares = [WeightShares::from_seed(specs, &seed), WeightShares::complement(specs, weights, &seed).unwrap()];
    let mut ends = ends();
    let [zero, one] = std::thread::scope(|scope| {
        let set_up = shares.into_iter().zip(&mut ends).zip(seeds()).map(|((shares, end), mask)| {
            scope.spawn(move || ServerWeights::set_up(specs, shares, &mask, end).unwrap())
        });
        let handles: Vec<_> = set_up.collect();
        <[ServerWeights; 2]>::try_from(handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>())
            .unwrap_or_else(|_| unreachable!("there are two servers"))
    });
    ([zero, one], ends.map(|end| end.sent))
}

/// Runs all parties, every element of input i being `values[i]`.
fn run<S: Stream>(values: &[f32]) -> Seen {
    let program = Openings;
    let (models, _) = models(&[], &[]);
    let masks = prepared::<S, _>(&program, &models).0.map(masks);
    let (readers, material) = prepared::<S, _>(&program, &models);
    let forms = program.inputs();
    let inputs: Vec<_> = forms.iter().zip(values).map(|(_, &value)| Tensor::new(ROW, vec![value; COUNT])).collect();
    let seed = Seed::new([3; 16]);
    let bytes = Inputs::share(&forms, &inputs, &seed).unwrap();
    let shares = [Inputs::from_seed(&forms, &seed), Inputs::from_bytes(&forms, &bytes).unwrap()];
    let mut ends = ends();
    std::thread::scope(|scope| {
        for (((inputs, reader), model), end) in shares.into_iter().zip(&readers).zip(&models).zip(&mut ends) {
            let zeros = ZeroSeed::from_halves(&Seed::new([1; 16]), &Seed::new([2; 16]));
            scope.spawn(move || Online::run(&Openings, model, inputs, reader, zeros, end).map(|_| ()).unwrap());
        }
    });
    Seen { messages: ends.map(|end| end.sent), material, masks }
}

/// The words of each mask, as bytes.
fn masks(reader: QueueReader) -> Vec<Vec<u8>> {
    let mut masks = Vec::new();
    while let Ok(record) = reader.pop() {
        let Record::Mask(mask) = record else { continue };
        let mut bytes = Vec::new();
        match mask {
            AnyMask::U32(mask) => pack::pack(mask.words().data(), 32, &mut bytes),
            AnyMask::U64(mask) => pack::pack(mask.words().data(), 64, &mut bytes),
            AnyMask::U128(mask) => pack::pack(mask.words().data(), 128, &mut bytes),
            AnyMask::Bits(mask) => mask.bits().to_bytes(&mut bytes),
        }
        masks.push(bytes);
    }
    masks
}

/// χ² of the bytes against uniform: 255 on average, deviation 22.6. Eight deviations are allowed.
fn uniform(what: &str, bytes: &[u8]) -> Result<(), String> {
    assert!(bytes.len() >= 512, "{what}: {} bytes are too few", bytes.len());
    let mut counts = [0.0f64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    if (74.0..436.0).contains(&statistic) { Ok(()) } else { Err(format!("{what}: χ² = {statistic}")) }
}

/// Whether two openings' values of one size differ by noise, taken as words of a ring of so many bits.
fn differ_uniformly(what: &str, bits: u32, first: [&[u8]; 2], second: [&[u8]; 2]) -> Result<(), String> {
    let opened = |[zero, one]: [&[u8]; 2]| {
        let [zero, one] = [zero, one].map(|bytes| pack::unpack::<u128>(bytes, COUNT, bits));
        zero.into_iter().zip(one).map(|(a, b)| a.wrapping_add(b)).collect::<Vec<_>>()
    };
    let differences: Vec<u128> =
        opened(first).into_iter().zip(opened(second)).map(|(a, b)| a.wrapping_sub(b)).collect();
    let mut bytes = Vec::new();
    pack::pack(&differences, bits, &mut bytes);
    uniform(what, &bytes)
}

/// Differences of opened values of equal size, as words and as bits. Returns the widths that pairs were compared in.
fn check_openings([zero, one]: &[Vec<Vec<u8>>; 2]) -> Result<HashSet<u32>, String> {
    let mut widths = HashSet::new();
    for (second, (zero_two, one_two)) in zero.iter().zip(one).enumerate() {
        for (first, (zero_one, one_one)) in zero.iter().zip(one).take(second).enumerate() {
            if zero_one.len() != zero_two.len() || zero_one.is_empty() {
                continue;
            }
            let what = format!("messages {first} and {second} of {} bytes", zero_one.len());
            let parts = [zero_one, one_one, zero_two, one_two];
            let bits: Vec<u8> =
                (0..zero_one.len()).map(|at| parts.iter().fold(0, |sum, part| sum ^ part[at])).collect();
            uniform(&format!("{what}, as bits"), &bits)?;
            let width = (zero_one.len() * 8 / COUNT) as u32;
            if width <= 128 {
                differ_uniformly(&what, width, [zero_one, one_one], [zero_two, one_two])?;
                widths.insert(width);
            }
        }
    }
    Ok(widths)
}

/// Differences of the dealer's corrections of equal size: shares that are used twice show there.
fn check_material(material: &[Vec<u8>]) -> Result<(), String> {
    for (second, two) in material.iter().enumerate() {
        for (first, one) in material[..second].iter().enumerate().filter(|(_, one)| one.len() == two.len()) {
            if one.len() >= 512 {
                let difference: Vec<u8> = one.iter().zip(two).map(|(a, b)| a ^ b).collect();
                uniform(&format!("corrections {first} and {second} of {} bytes", one.len()), &difference)?;
            }
        }
    }
    Ok(())
}

/// Whether all masks' words are different ones, whatever their widths and wherever in the stream they begin: no eight
/// bytes at any word's place come twice.
fn check_masks(masks: &[Vec<u8>]) -> Result<usize, String> {
    let mut seen = HashSet::new();
    for (index, mask) in masks.iter().enumerate() {
        for at in (0..mask.len().saturating_sub(7)).step_by(4) {
            if !seen.insert(&mask[at..at + 8]) {
                return Err(format!("mask {index} holds at byte {at} what was a mask before"));
            }
        }
    }
    Ok(seen.len())
}

/// Several secrets: each input's constant.
fn secrets() -> [[f32; 14]; 3] {
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0],
        [5.0, 9.0, -300.0, 77.0, 3.0, 5.0, 1000.0, -1000.0, 0.0, 12345.0, 2.0, -2.0, -1.0, -3.0],
        [-1.0, 1.0, 0.0, 1.0, 7.0, -8.0, 8191.0, 16.0, 16.0, -4000.0, 4000.0, 0.0, -7.5, -2.0],
    ]
}

#[test]
fn case_45_values_opened_in_one_session_differ_by_noise() {
    for values in secrets() {
        let seen = run::<Prg>(&values);
        let widths = check_openings(&seen.messages).unwrap();
        for width in RINGS_32.into_iter().chain(RINGS_64).chain(RINGS_128) {
            assert!(widths.contains(&width), "no two openings of {width} bits were compared: {widths:?}");
        }
        for material in &seen.material {
            check_material(material).unwrap();
        }
        for masks in &seen.masks {
            let words = check_masks(masks).unwrap();
            assert!(masks.len() > 30 && words > 30 * COUNT / 8, "{} masks of {words} words", masks.len());
        }
    }
}

#[test]
fn case_45_one_stream_for_all_masks_of_a_session_is_noticed() {
    for values in secrets() {
        let seen = run::<ReusesMasks>(&values);
        check_openings(&seen.messages).unwrap_err();
        for masks in &seen.masks {
            check_masks(masks).unwrap_err();
        }
        // Each width by itself, too: every pair of openings of one width shows it.
        let [zero, one] = &seen.messages;
        for pair in 0..3 {
            let bits = RINGS_32[2 * pair];
            let parts = |index: usize| [zero[index].as_slice(), one[index].as_slice()];
            differ_uniformly("words of 32 bits", bits, parts(2 * pair), parts(2 * pair + 1)).unwrap_err();
            let (index, bits) = (RINGS_32.len() + pair, RINGS_64[0]);
            if pair > 0 {
                differ_uniformly("words of 64 bits", bits, parts(index - 1), parts(index)).unwrap_err();
            }
        }
    }
}

#[test]
fn case_45_shares_and_roots_that_come_again_are_noticed() {
    let seen = run::<ReusesShares>(&secrets()[1]);
    check_material(&seen.material[1]).unwrap_err();
    let seen = run::<ReusesRoots>(&secrets()[1]);
    check_material(&seen.material[0]).unwrap_err();
    check_material(&seen.material[1]).unwrap_err();
}

/// F = W − B of weights of equal shape: one mask serves one weight.
#[test]
fn case_45_masked_weights_differ_by_noise() {
    let matrix = WeightKind::Matrix { inner: 64, columns: 64 };
    for bits in [64, 30] {
        let specs = ["a", "b", "c"].map(|name| WeightSpec::new(name, matrix, 0).in_ring(bits));
        let weights = [7.0, -3.0, 7.0].map(|value| Tensor::new(specs[0].shape(), vec![value; COUNT]));
        let (models, messages) = models(&specs, &weights);
        assert_eq!(models.each_ref().map(ServerWeights::party), [Party::Zero, Party::One]);
        let size = pack::packed_len(COUNT, bits);
        let part = |index: usize| messages.each_ref().map(|sent| &sent[0][index * size..(index + 1) * size]);
        for (first, second) in [(0, 1), (1, 2), (0, 2)] {
            differ_uniformly(&format!("weights {first} and {second}"), bits, part(first), part(second)).unwrap();
        }
        // Under the first one's mask the second would be the first and a constant.
        let mut moved = pack::unpack::<u64>(part(0)[0], COUNT, bits);
        moved.iter_mut().for_each(|word| *word = word.wrapping_sub(10));
        let mut bytes = Vec::new();
        pack::pack(&moved, bits, &mut bytes);
        differ_uniformly("a mask used twice", bits, part(0), [&bytes, part(0)[1]]).unwrap_err();
    }
}
