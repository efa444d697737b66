//! A server's offline run of a program: the dealer's code on shares of the masks, into the material queue.

use super::offline::{Offline, random_bits};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::material::factor::AnyFactor;
use crate::material::mask::{Mask, MaskBits};
use crate::material::queue::QueueWriter;
use crate::material::record::{AnyMask, Keys, Record};
use crate::material::stream::{Purpose, Stream};
use crate::material::word::RingWord;
use crate::operation::OfflineRole;
use crate::party::Party;
use crate::program::Program;
use crate::secret::Secret;
use crate::weight_spec::WeightId;
use crate::weights::ServerWeights;
use blindroute_ring::fss::HashKey;
use blindroute_ring::{Prg, Seed, Shape, Tensor, pack, reserve_wiped};
use std::io::Read;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A server's offline run of a program.
#[derive(Debug)]
pub struct Prepare;

impl Prepare {
    /// Turns a seed and the dealer's stream into prepared material. `hash_key` is the session's, from the dealer.
    ///
    /// # Errors
    /// If the stream ends or the queue's reader goes away; the queue is told either way.
    pub fn run<P: Program>(
        program: &P,
        weights: &ServerWeights,
        (seed, hash_key): (&Seed, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        Self::run_on::<Prg, P>(program, weights, (seed, hash_key), source, queue)
    }

    /// [`run`](Self::run), on a stream of any kind.
    pub(crate) fn run_on<S: Stream, P: Program>(
        program: &P,
        weights: &ServerWeights,
        (seed, hash_key): (&Seed, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        let (stream, hash_key) = (stream_of::<S>(seed), Arc::new(hash_key));
        clear_stack();
        let role = PrepareRole { weights, stream, hash_key, source, queue, buffer: Zeroizing::default() };
        Offline::run(program, role).map(|_| ())
    }
}

/// The stream of a seed, made in a frame of its own.
#[inline(never)]
fn stream_of<S: Stream>(seed: &Seed) -> S {
    S::new(seed)
}

/// Overwrites what calls before this one left on the stack. A cipher's key schedule begins with its key, the seed; records that are
/// moved into the queue later copy unused bytes of their frames with them.
#[inline(never)]
fn clear_stack() {
    let mut area = [0u8; CLEARED];
    area.zeroize();
    std::hint::black_box(&area);
}

/// More than making a stream takes.
const CLEARED: usize = 16 << 10;

struct PrepareRole<'a, S> {
    weights: &'a ServerWeights,
    stream: S,
    hash_key: Arc<HashKey>,
    source: &'a mut dyn Read,
    queue: &'a QueueWriter,
    buffer: Zeroizing<Vec<u8>>,
}

impl<S> PrepareRole<'_, S> {
    fn receive(&mut self, len: usize) -> Result<(), Error> {
        let more = len.saturating_sub(self.buffer.len());
        reserve_wiped(&mut self.buffer, more);
        self.buffer.resize(len, 0);
        self.source.read_exact(&mut self.buffer).map_err(Error::Material)
    }
}

impl<S: Stream> OfflineRole for PrepareRole<'_, S> {
    fn serves(&self) -> bool {
        true
    }

    fn factor(&self, weight: WeightId) -> Result<Arc<AnyFactor>, Error> {
        self.weights.masked(weight)
    }

    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        let (mask, words) = Mask::draw(&mut self.stream, shape);
        self.queue.push(W::record_mask(mask))?;
        Ok(words)
    }

    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        let (mask, bits) = MaskBits::draw(&mut self.stream, planes, len);
        self.queue.push(Record::Mask(AnyMask::Bits(mask)))?;
        Ok(bits)
    }

    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        _value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error> {
        let words = match self.weights.party() {
            Party::Zero => self.stream.draw(Purpose::Share).words(shape.len()),
            Party::One => {
                self.receive(pack::packed_len(shape.len(), bits))?;
                pack::unpack(&self.buffer, shape.len(), bits)
            }
        };
        Ok(Arc::new(Secret::new(Tensor::new(shape, words))))
    }

    fn correlated_bits(
        &mut self,
        planes: usize,
        len: usize,
        _value: impl FnOnce() -> BitTensor,
    ) -> Result<BitTensor, Error> {
        match self.weights.party() {
            Party::Zero => Ok(random_bits(self.stream.draw(Purpose::Share), planes, len)),
            Party::One => {
                self.receive(BitTensor::byte_len(planes, len))?;
                BitTensor::from_bytes(planes, len, &self.buffer)
            }
        }
    }

    fn keys(
        &mut self,
        len: usize,
        bytes: usize,
        _deal: impl FnOnce(&HashKey, [&[u128]; 2], &mut Vec<u8>),
    ) -> Result<(), Error> {
        let roots = Zeroizing::new(self.stream.draw(Purpose::Root).words(len));
        let mut corrections = Zeroizing::new(vec![0; bytes]);
        self.source.read_exact(&mut corrections).map_err(Error::Material)?;
        self.queue.push(Record::Keys(Keys { hash_key: Arc::clone(&self.hash_key), roots, corrections }))
    }

    fn hand<W: RingWord>(&mut self, words: &Arc<Secret<W>>) -> Result<(), Error> {
        self.queue.push(W::record(Arc::clone(words)))
    }

    fn hand_bits(&mut self, bits: BitTensor) -> Result<(), Error> {
        self.queue.push(Record::Bits(bits))
    }
}
