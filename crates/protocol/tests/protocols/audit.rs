//! The audit: an honest dealing of any program passes, and whatever a dealer sends that is not one is found by a server.

use crate::common::{Everything, Gate, body, everything, everything_weights};
use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{
    Audit, AuditSeeds, Dealer, DealerSeeds, Error, HashKey, MaterialQueue, Party, Prepare, PrepareSeeds, Program, Seed,
    ServerWeights, Tensor, Tuning, WeightMasks, WeightShares,
};
use blindroute_testkit::memory_channels;
use std::time::Duration;

const HASH_KEY: [u8; 16] = [9; 16];

fn seeds(first: u8) -> [Seed; 2] {
    [first, first + 1].map(|byte| Seed::new([byte; 16]))
}

/// The seeds that a dealer deals from, and those that it grants.
#[derive(Clone)]
struct Drawn {
    material: [Seed; 2],
    products: Seed,
    masks: [Seed; 2],
    hash_key: [u8; 16],
}

fn drawn() -> Drawn {
    Drawn { material: seeds(40), products: Seed::new([50; 16]), masks: seeds(60), hash_key: HASH_KEY }
}

/// What the dealer writes to each server, one entry a record.
#[derive(Default)]
struct Written(Vec<Vec<u8>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn dealt<P: Program>(program: &P, drawn: &Drawn) -> [Vec<Vec<u8>>; 2] {
    let Drawn { material, products, masks, hash_key } = drawn.clone();
    let masks = WeightMasks::new(&program.weights(), &masks);
    let seeds = DealerSeeds { material, products, hash_key: HashKey::new(&hash_key) };
    let (mut zero, mut one) = (Written::default(), Written::default());
    Dealer::run(program, &masks, seeds, [&mut zero, &mut one]).unwrap();
    [zero.0, one.0]
}

/// The servers' weights, set up with the masks of these seeds.
fn models<P: Program>(program: &P, weights: &[Tensor<f32>], masks: &[Seed; 2]) -> [ServerWeights; 2] {
    let (specs, seed) = (program.weights(), Seed::new([1; 16]));
    let shares = [WeightShares::from_seed(&specs, &seed), WeightShares::complement(&specs, weights, &seed).unwrap()];
    let (zero, one) = memory_channels(Duration::from_secs(60));
    let [zero, one] = std::thread::scope(|scope| {
        let parts = shares.into_iter().zip([zero, one]).zip(masks);
        let set_up = parts.map(|((shares, mut channel), mask)| {
            let specs = &specs;
            scope.spawn(move || ServerWeights::set_up(specs, shares, mask, &mut channel).unwrap())
        });
        let [zero, one] = <[_; 2]>::try_from(set_up.collect::<Vec<_>>()).unwrap();
        [zero.join().unwrap(), one.join().unwrap()]
    });
    [zero, one]
}

/// What each server found by itself, and what it compares with the other.
struct Found {
    agrees: [bool; 2],
    differences: [Vec<u8>; 2],
}

impl Found {
    fn is_right(&self) -> bool {
        self.agrees == [true; 2] && self.differences[0] == self.differences[1]
    }
}

/// Prepares from what was granted and written, and audits with what is revealed.
fn audited<P: Program>(
    program: &P,
    models: &[ServerWeights; 2],
    granted: &Drawn,
    written: &[Vec<Vec<u8>>; 2],
    revealed: &[Seed; 2],
) -> Result<Found, Error> {
    let mut found = Found { agrees: [false; 2], differences: Default::default() };
    for party in 0..2 {
        let (writer, reader) = MaterialQueue::bounded(usize::MAX);
        let products = (models[party].party() == Party::Zero).then_some(&granted.products);
        let own = PrepareSeeds { material: &granted.material[party], products };
        let (keys, source) = (HashKey::new(&granted.hash_key), written[party].concat());
        Prepare::run(program, &models[party], (own, keys), &mut source.as_slice(), &writer)?;
        writer.finish(Ok(()));
        let seeds = AuditSeeds { material: revealed, mask: &granted.masks[party], hash_key: &granted.hash_key };
        found.agrees[party] = Audit::run(program, &models[party], seeds, &reader, &mut found.differences[party])?;
        assert!(reader.pop().is_err(), "records are left");
    }
    Ok(found)
}

/// An honest dealing of a program passes.
pub(crate) fn passes<P: Program>(program: &P) {
    let zeros: Vec<_> = program.weights().iter().map(|spec| Tensor::zeros(spec.shape())).collect();
    let (honest, models) = (drawn(), models(program, &zeros, &drawn().masks));
    let found = audited(program, &models, &honest, &dealt(program, &honest), &honest.material).unwrap();
    assert!(found.is_right(), "an honest dealing is not found to be one: {:?}", found.agrees);
}

const SIZE: usize = 7;

body!(Tuned { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u32>(5)?;
    let x = machine.open(x)?;
    let window = SignWindow { range: 8, digits: 3 };
    let positive = gates::relu::<I, u32, u32>(machine, &x, window, Target { bits: 28, fraction: 4 })?;
    machine.reveal(positive, "a test")?;
    Everything.run(machine)
});

fn program(tuning: Tuning) -> Gate<Tuned> {
    let mut all = everything(SIZE);
    all.inputs.push(all.inputs[4]);
    Gate { weights: all.weights, inputs: all.inputs, body: Tuned { tuning } }
}

const TUNINGS: [Tuning; 3] = [Tuning::Near, Tuning::Middle, Tuning::Far];

#[test]
fn an_honest_dealing_passes_whatever_the_tuning_and_weights() {
    for tuning in TUNINGS {
        let (program, honest) = (program(tuning), drawn());
        passes(&program);
        let models = models(&program, &everything_weights(SIZE), &honest.masks);
        let found = audited(&program, &models, &honest, &dealt(&program, &honest), &honest.material).unwrap();
        assert!(found.is_right());
        assert!(!found.differences[0].is_empty(), "products with weights are compared");
    }
}

#[test]
fn one_bit_of_any_record_to_either_server_is_found() {
    for tuning in TUNINGS {
        let (program, honest) = (program(tuning), drawn());
        let models = models(&program, &everything_weights(SIZE), &honest.masks);
        let written = dealt(&program, &honest);
        // Server 0 is sent the corrections of keys, and nothing else.
        assert_eq!(written[0].is_empty(), tuning == Tuning::Near);
        assert!(written[1].len() > 50);
        for party in 0..2 {
            for record in 0..written[party].len() {
                let mut wrong = written.clone();
                wrong[party][record][0] ^= 1;
                let found = audited(&program, &models, &honest, &wrong, &honest.material).unwrap();
                assert!(!found.is_right(), "record {record} to server {party}, {tuning:?}");
            }
        }
    }
}

/// The dealer deals from other seeds than it grants, in one of them.
#[test]
fn material_of_other_seeds_is_found_in_whatever_is_revealed() {
    let (program, honest) = (program(Tuning::Middle), drawn());
    let models = models(&program, &everything_weights(SIZE), &honest.masks);
    let other = |byte: u8| Seed::new([byte; 16]);
    let with = |change: &dyn Fn(&mut Drawn)| {
        let mut drawn = drawn();
        change(&mut drawn);
        drawn
    };
    let cheats = [
        ("server 0's seed", with(&|drawn| drawn.material[0] = other(1))),
        ("server 1's seed", with(&|drawn| drawn.material[1] = other(1))),
        ("server 0's shares of products", with(&|drawn| drawn.products = other(1))),
        ("server 0's mask of the weights", with(&|drawn| drawn.masks[0] = other(1))),
        ("server 1's mask of the weights", with(&|drawn| drawn.masks[1] = other(1))),
        ("the key of the hashes", with(&|drawn| drawn.hash_key = [1; 16])),
        ("another session", Drawn { masks: honest.masks.clone(), ..with(&|drawn| drawn.material = seeds(80)) }),
    ];
    for (what, dealt_from) in cheats {
        let written = dealt(&program, &dealt_from);
        for revealed in [&honest.material, &dealt_from.material] {
            let found = audited(&program, &models, &honest, &written, revealed).unwrap();
            assert!(!found.is_right(), "{what}");
        }
    }
}

/// A wrong product with a weight is seen by neither server alone, and by both together.
#[test]
fn only_both_servers_together_see_a_wrong_product_with_a_weight() {
    let (program, honest) = (program(Tuning::Near), drawn());
    let models = models(&program, &everything_weights(SIZE), &honest.masks);
    let wrong = Drawn { products: Seed::new([1; 16]), ..drawn() };
    let found = audited(&program, &models, &honest, &dealt(&program, &wrong), &honest.material).unwrap();
    assert_eq!(found.agrees, [true; 2]);
    assert_ne!(found.differences[0], found.differences[1]);
}

#[test]
fn material_that_is_not_complete_is_an_error() {
    let (program, honest) = (program(Tuning::Near), drawn());
    let models = models(&program, &everything_weights(SIZE), &honest.masks);
    let (writer, reader) = MaterialQueue::bounded(usize::MAX);
    writer.finish(Ok(()));
    let seeds = AuditSeeds { material: &honest.material, mask: &honest.masks[1], hash_key: &HASH_KEY };
    let found = Audit::run(&program, &models[1], seeds, &reader, &mut std::io::sink());
    assert!(matches!(found, Err(Error::MaterialEnded)), "{found:?}");
}
