//! Server one alone, for measurements of its time and for what a dishonest peer sends.
//!
//! What the other server sends is uniform whatever the input, so here it is random bytes. What the dealer sends is a correction of
//! this server's secrets, so it is a part of the state that is chosen.

use blindroute_protocol::{
    Channel, ChannelError, Error, HashKey, Inputs, MaterialQueue, Online, Prepare, PrepareSeeds, Program, Ran, Seed,
    ServerWeights, WeightShares, WeightSpec, ZeroSeed,
};
use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Read;

/// A generator of bytes: xorshift. No secret comes of it outside tests.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// A stream that follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// The next bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.word().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    /// The bits of noise that a secret of this kind keeps: none if it is the fixed one, else all.
    pub fn kept(fixed: bool) -> u64 {
        black_box(u64::from(!fixed).wrapping_neg())
    }

    fn seed(&mut self) -> Seed {
        let mut seed = [0; 16];
        seed.copy_from_slice(&self.bytes(16));
        Seed::new(seed)
    }
}

/// A server's secret state: the seeds, the shares of weights and inputs, and what the dealer sends it.
#[derive(Clone, Debug)]
pub struct State {
    noise: Noise,
    source: Source,
}

/// Where the bytes of a state come from.
#[derive(Clone, Debug)]
enum Source {
    /// Noise, of which these bits are kept.
    Noise(u8),
    /// These, then zeros for what the server was given, and an end of the dealer's stream.
    Bytes(VecDeque<u8>),
}

impl State {
    /// Random; or the same each time, and zeros wherever the bytes can be chosen. Both are made by the same steps, since what a
    /// processor remembers of different ones would show in the time of what follows.
    pub fn of_kind(fixed: bool, noise: &mut Noise) -> Self {
        let keep = Noise::kept(fixed);
        Self { noise: Noise::new(noise.word() & keep), source: Source::Noise(keep as u8) }
    }

    /// These bytes, first as shares of weights and inputs, then as what the dealer sends.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { noise: Noise::new(1), source: Source::Bytes(bytes.iter().copied().collect()) }
    }

    fn chosen(&mut self, len: usize) -> Vec<u8> {
        match &mut self.source {
            Source::Noise(keep) => {
                let mut bytes = self.noise.bytes(len);
                bytes.iter_mut().for_each(|byte| *byte &= *keep);
                bytes
            }
            Source::Bytes(bytes) => {
                let mut chosen: Vec<u8> = bytes.drain(..len.min(bytes.len())).collect();
                chosen.resize(len, 0);
                chosen
            }
        }
    }
}

impl Read for State {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = match &self.source {
            Source::Bytes(bytes) => out.len().min(bytes.len()),
            _ => out.len(),
        };
        out[..len].copy_from_slice(&self.chosen(len));
        Ok(len)
    }
}

/// The other end of the link: random bytes of the right length.
struct RandomPeer(Noise);

impl Channel for RandomPeer {
    fn exchange(&mut self, _outgoing: Vec<u8>, incoming: usize) -> Result<Vec<u8>, ChannelError> {
        Ok(self.0.bytes(incoming))
    }
}

/// Server one, ready to run a program once.
pub struct ServerAlone<'a, P> {
    program: &'a P,
    weights: ServerWeights,
    inputs: Inputs,
    queue: blindroute_protocol::QueueReader,
    zeros: ZeroSeed,
    peer: RandomPeer,
}

impl<P> std::fmt::Debug for ServerAlone<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerAlone")
    }
}

impl<'a, P: Program> ServerAlone<'a, P> {
    /// Sets the weights up and prepares a session, as the state says; `peer` is what the other server sends.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn prepare(program: &'a P, mut state: State, peer: Noise) -> Result<Self, Error> {
        let (specs, forms): (Vec<WeightSpec>, _) = (program.weights(), program.inputs());
        let packed = |spec: &WeightSpec| (spec.shape().len() * spec.bits as usize).div_ceil(8);
        let shares = state.chosen(specs.iter().map(packed).sum());
        let shares = WeightShares::from_bytes(&specs, &shares)?;
        let mut peer = RandomPeer(peer);
        let weights = ServerWeights::set_up(&specs, shares, &state.noise.seed(), &mut peer)?;
        let inputs = state.chosen(Inputs::byte_len(&forms));
        let inputs = Inputs::from_bytes(&forms, &inputs)?;
        let (material, zeros) = (state.noise.seed(), state.noise.seed());
        let (writer, queue) = MaterialQueue::bounded(usize::MAX / 2);
        let seeds = PrepareSeeds { material: &material, products: None };
        let result = Prepare::run(program, &weights, (seeds, HashKey::new(&[7; 16])), &mut state, &writer);
        writer.finish(result);
        queue.wait_ready()?;
        let zeros = ZeroSeed::from_halves(&zeros, &zeros.clone());
        Ok(Self { program, weights, inputs, queue, zeros, peer })
    }

    /// Runs the online phase.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn run(mut self) -> Result<Ran, Error> {
        Online::run(self.program, &self.weights, self.inputs, &self.queue, self.zeros, &mut self.peer)
    }
}
