//! All parties in one process, seeded.

use crate::channel::{Fault, MemoryChannel, Record, memory_channels};
use crate::freed_memory::call_this_thread;
use crate::pipe::{PipeSource, pipe};
use crate::roles::Roles;
use blindroute_protocol::{
    Cost, DealerSeeds, Error, Form, HashKey, Inputs, Kept, MaterialQueue, Output, OutputSize, OutputSpec, Party,
    PrepareSeeds, Program, Ran, Seed, ServerWeights, Tensor, WeightMasks, WeightShares, WeightSpec, ZeroSeed, marks,
};
use std::io::Read;
use std::sync::PoisonError;
use std::time::Duration;
use zeroize::Zeroizing;

/// A seeded world. Every run prints its seed if it fails.
#[derive(Clone, Copy, Debug)]
pub struct TestWorld {
    seed: u64,
    /// Of the servers' seed of zeros alone.
    zeros: u64,
    patience: Duration,
    fault: Option<(Party, usize, Fault)>,
    cut_material: Option<usize>,
    recorded: bool,
    marked: bool,
}

/// What a run of two servers gave.
#[derive(Debug)]
pub struct Run {
    /// What the client opened.
    pub output: Output,
    /// What each server measured: openings and bytes sent.
    pub servers: [Cost; 2],
    /// Bytes of corrections that the dealer sent.
    pub material_bytes: usize,
    /// The cost meter's forecast.
    pub forecast: Cost,
    /// The output shares that each server sent the client, and all else that was sent if the world records it.
    pub transcript: Transcript,
    /// What each server kept, for [`TestWorld::run_continuing`].
    pub kept: [Kept; 2],
}

/// What was sent in a run, byte for byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Each server's messages to the other, the model's set-up first. Empty unless [`TestWorld::recorded`].
    pub messages: [Vec<Vec<u8>>; 2],
    /// The dealer's stream to server one, one entry a record. Empty unless [`TestWorld::recorded`].
    pub material: Vec<Vec<u8>>,
    /// The dealer's stream to server zero: the corrections of keys. Empty unless [`TestWorld::recorded`].
    pub material_zero: Vec<Vec<u8>>,
    /// Each server's message to the client.
    pub output_shares: [Vec<u8>; 2],
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} messages, {} records)", self.messages[0].len(), self.material.len())
    }
}

impl Transcript {
    /// The revealed words as integers, exactly; [`Output`] holds them as f64. Bits are left out.
    pub fn integers(&self, specs: &[OutputSpec]) -> Vec<Vec<i128>> {
        let mut at = 0;
        let mut values = Vec::new();
        for spec in specs {
            let start = at;
            at += Output::byte_len(std::slice::from_ref(spec));
            let OutputSize::Words(form) = &spec.size else { continue };
            let read = |bytes: &[u8], index: usize| {
                let (bits, first) = (form.bits as usize, index * form.bits as usize);
                (0..bits).fold(0u128, |word, bit| {
                    word | u128::from(bytes[start + (first + bit) / 8] >> ((first + bit) % 8) & 1) << bit
                })
            };
            let signed = |index: usize| {
                let [zero, one] = self.output_shares.each_ref().map(|bytes| read(bytes, index));
                (zero.wrapping_add(one) << (128 - form.bits)) as i128 >> (128 - form.bits)
            };
            values.push((0..form.shape.len()).map(signed).collect());
        }
        values
    }
}

/// What each party of a run ended with.
#[derive(Debug)]
pub struct Parties {
    /// The servers: what their runs left, or the error.
    pub servers: [Result<Ran, Error>; 2],
    /// The dealer: the bytes it sent, or the error.
    pub dealer: Result<usize, Error>,
    /// What was sent.
    pub transcript: Transcript,
}

/// A small generator of test data: xorshift, in [−1, 1).
pub fn generator(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

impl TestWorld {
    /// A world whose every secret follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        let patience = Duration::from_secs(60);
        Self { seed, zeros: seed, patience, fault: None, cut_material: None, recorded: false, marked: false }
    }

    /// How long a party waits for a message.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Draws what the servers re-randomise the answer with from another seed; all else stays the same.
    pub fn with_zeros(self, zeros: u64) -> Self {
        Self { zeros, ..self }
    }

    /// Puts a fault on the `message`-th message (0 is the model's set-up) that `party` sends.
    pub fn with_fault(self, party: Party, message: usize, fault: Fault) -> Self {
        Self { fault: Some((party, message, fault)), ..self }
    }

    /// Keeps every message and the dealer's stream in the run's transcript.
    pub fn recorded(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// Ends the dealer's stream after this many bytes.
    pub fn with_material_cut(self, bytes: usize) -> Self {
        Self { cut_material: Some(bytes), ..self }
    }

    /// Marks the client's inputs and every seed as secret, for a run under Memcheck ([`marks`]).
    pub fn marked(self) -> Self {
        Self { marked: true, ..self }
    }

    fn secret(&self, purpose: u8) -> Seed {
        let seed = seed_of(self.seed, purpose);
        if self.marked {
            marks::secret(seed.expose());
        }
        seed
    }

    /// Of party zero's shares of products with weights.
    fn product_seed(&self) -> Seed {
        self.secret(10)
    }

    fn hash_key(&self) -> HashKey {
        HashKey::new(seed_of(self.seed, 9).expose())
    }

    /// The seed of zeros as `party` makes it.
    fn zero_seed(&self, party: Party) -> ZeroSeed {
        // The exclusive or of two halves that hold the same number would not hold it.
        let half = |party: usize| if party == 0 { seed_of(self.zeros, 7) } else { Seed::new([8; 16]) };
        let halves = [half(party.index()), half(1 - party.index())];
        if self.marked {
            halves.iter().for_each(|half| marks::secret(half.expose()));
        }
        ZeroSeed::from_halves(&halves[0], &halves[1])
    }

    /// Runs a program with two servers and a dealer in threads.
    ///
    /// # Errors
    /// The first error of any party, server zero's first.
    ///
    /// # Panics
    /// If a party's thread panics.
    pub fn run<P: Program>(&self, program: &P, weights: &[Tensor<f32>], inputs: &[Tensor<f32>]) -> Result<Run, Error> {
        self.told(program, self.run_parties(program, weights, inputs))
    }

    /// Runs a program on what a run before left with the servers: these elements of its batch. The seed must be another one.
    ///
    /// # Errors
    /// The first error of any party, server zero's first; if the kept values do not fit.
    ///
    /// # Panics
    /// If a party's thread panics.
    pub fn run_continuing<P: Program>(
        &self,
        program: &P,
        weights: &[Tensor<f32>],
        kept: [Kept; 2],
        places: &[usize],
    ) -> Result<Run, Error> {
        let [zero, one] = kept.map(|kept| kept.into_inputs(&program.inputs(), places));
        self.told(program, self.run_on(program, &program.weights(), weights, [zero?, one?]))
    }

    fn told(&self, program: &dyn Roles, parties: Result<Parties, Error>) -> Result<Run, Error> {
        let result = parties.and_then(|parties| together(program, parties));
        if result.is_err() && self.fault.is_none() && self.cut_material.is_none() {
            eprintln!("TestWorld::seeded({}) failed", self.seed);
        }
        result
    }

    /// Runs a program with two servers and a dealer in threads, and tells how each of them ended.
    ///
    /// # Errors
    /// If weights or inputs do not fit the program, before any party runs.
    ///
    /// # Panics
    /// If a party's thread panics.
    pub fn run_parties<P: Program>(
        &self,
        program: &P,
        weights: &[Tensor<f32>],
        inputs: &[Tensor<f32>],
    ) -> Result<Parties, Error> {
        let input_shares = self.input_shares(&program.inputs(), inputs)?;
        self.run_on(program, &program.weights(), weights, input_shares)
    }

    fn input_shares(&self, forms: &[Form], inputs: &[Tensor<f32>]) -> Result<[Inputs; 2], Error> {
        let input_seed = self.secret(4);
        if self.marked {
            inputs.iter().for_each(|input| marks::secret(input.data()));
            // Only what a client does: tests of operations have inputs beyond what clients may send.
            Inputs::check(forms, inputs)?;
        }
        let input_bytes = Zeroizing::new(Inputs::share(forms, inputs, &input_seed)?);
        Ok([Inputs::from_seed(forms, &input_seed), Inputs::from_bytes(forms, &input_bytes)?])
    }

    fn run_on(
        &self,
        program: &dyn Roles,
        specs: &[WeightSpec],
        weights: &[Tensor<f32>],
        input_shares: [Inputs; 2],
    ) -> Result<Parties, Error> {
        let weight_seed = self.secret(1);
        let shares =
            [WeightShares::from_seed(specs, &weight_seed), WeightShares::complement(specs, weights, &weight_seed)?];
        let mask_seeds = [self.secret(2), self.secret(3)];
        let weight_masks = WeightMasks::new(specs, &mask_seeds);
        let material_seeds = [self.secret(5), self.secret(6)];
        let (zero, one) = memory_channels(self.patience);
        let faulty = |channel: MemoryChannel, party| match self.fault {
            Some((at, message, fault)) if at == party => channel.with_fault(message, fault),
            _ => channel,
        };
        let records: [Record; 2] = Default::default();
        let recording = |channel: MemoryChannel, party: Party| {
            if self.recorded { channel.with_record(records[party.index()].clone()) } else { channel }
        };
        let channels =
            [recording(faulty(zero, Party::Zero), Party::Zero), recording(faulty(one, Party::One), Party::One)];
        let (sink, source) = pipe(self.cut_material.unwrap_or(usize::MAX), self.recorded);
        let (sink_zero, source_zero) = pipe(usize::MAX, self.recorded);
        std::thread::scope(|scope| {
            let dealer = scope.spawn({
                let (material, products) = (material_seeds.clone(), self.product_seed());
                let seeds = DealerSeeds { material, products, hash_key: self.hash_key() };
                let weight_masks = &weight_masks;
                move || {
                    call_this_thread("dealer");
                    let (mut zero, mut one) = (sink_zero, sink);
                    let result = program.deal(weight_masks, seeds, [&mut zero, &mut one]);
                    (result.map(|()| zero.sent + one.sent), [zero.kept, one.kept])
                }
            });
            let mut sources = [Some(source_zero), Some(source)];
            let servers: Vec<_> = shares
                .into_iter()
                .zip(input_shares)
                .zip(channels)
                .zip(mask_seeds.iter().zip(&material_seeds))
                .map(|(((shares, inputs), channel), (mask_seed, material_seed))| {
                    let party = shares.party();
                    let source = sources[party.index()].take();
                    let (zeros, hash_key) = (self.zero_seed(party), self.hash_key());
                    let parts = ServerParts {
                        specs,
                        shares,
                        inputs,
                        channel,
                        mask_seed,
                        material_seed,
                        product_seed: (party == Party::Zero).then(|| self.product_seed()),
                        source,
                        zeros,
                        hash_key,
                    };
                    scope.spawn(move || {
                        call_this_thread(["server 0 online", "server 1 online"][parts.shares.party().index()]);
                        server(program, parts)
                    })
                })
                .collect();
            // All of them are joined before any error is looked at.
            let [zero, one] = <[_; 2]>::try_from(servers.into_iter().map(join).collect::<Vec<_>>())
                .unwrap_or_else(|_| unreachable!("there are two servers"));
            let (dealer, [material_zero, material]) = join(dealer);
            let share = |result: &Result<Ran, Error>| {
                result.as_ref().map_or_else(|_| Vec::new(), |ran| ran.output.bytes().to_vec())
            };
            let output_shares = [share(&zero), share(&one)];
            let messages =
                records.each_ref().map(|record| record.lock().unwrap_or_else(PoisonError::into_inner).clone());
            let transcript = Transcript { messages, material, material_zero, output_shares };
            Ok(Parties { servers: [zero, one], dealer, transcript })
        })
    }
}

/// A run of parties that all succeeded.
fn together(program: &dyn Roles, parties: Parties) -> Result<Run, Error> {
    let [zero, one] = parties.servers;
    let (zero, one) = (zero?, one?);
    Ok(Run {
        output: Output::combine(&program.outputs()?, zero.output.bytes(), one.output.bytes())?,
        servers: [zero.cost, one.cost],
        material_bytes: parties.dealer?,
        forecast: program.cost()?,
        transcript: parties.transcript,
        kept: [zero.kept, one.kept],
    })
}

fn seed_of(seed: u64, purpose: u8) -> Seed {
    let mut bytes = [purpose; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Seed::new(bytes)
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What one server brings to a run.
struct ServerParts<'a> {
    specs: &'a [WeightSpec],
    shares: WeightShares,
    inputs: Inputs,
    channel: MemoryChannel,
    mask_seed: &'a Seed,
    material_seed: &'a Seed,
    product_seed: Option<Seed>,
    source: Option<PipeSource>,
    zeros: ZeroSeed,
    hash_key: HashKey,
}

fn server(program: &dyn Roles, parts: ServerParts<'_>) -> Result<Ran, Error> {
    let ServerParts { specs, shares, inputs, mut channel, mask_seed, source, zeros, hash_key, .. } = parts;
    let (material, product_seed) = (parts.material_seed, parts.product_seed);
    let weights = ServerWeights::set_up(specs, shares, mask_seed, &mut channel)?;
    let (writer, reader) = MaterialQueue::bounded(1 << 30);
    std::thread::scope(|scope| {
        let weights = &weights;
        scope.spawn(move || {
            call_this_thread(["server 0 preparing", "server 1 preparing"][weights.party().index()]);
            let mut source: Box<dyn Read> = match source {
                Some(source) => Box::new(source),
                None => Box::new(std::io::empty()),
            };
            let seeds = PrepareSeeds { material, products: product_seed.as_ref() };
            let result = program.prepare(weights, (seeds, hash_key), &mut source, &writer);
            writer.finish(result);
        });
        reader.wait_ready()?;
        let result = program.online(weights, inputs, &reader, zeros, &mut channel);
        drop(reader);
        result
    })
}
