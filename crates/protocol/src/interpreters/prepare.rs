//! A server's offline run of a program: the dealer's code on shares of the masks, into the material queue.

use super::offline::{Offline, random_bits};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::material::factor::Factor;
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
use blindroute_ring::lanes::combine;
use blindroute_ring::{Prg, Seed, Shape, Tensor, pack, reserve_wiped};
use std::io::Read;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// A server's seeds of one session's material.
#[derive(Clone, Copy, Debug)]
pub struct PrepareSeeds<'a> {
    /// Its seed of everything but the products with weights.
    pub material: &'a Seed,
    /// Of party zero: the seed of its shares of products with weights. Party one has none, since it is sent its own.
    pub products: Option<&'a Seed>,
}

/// A server's offline run of a program.
#[derive(Debug)]
pub struct Prepare;

impl Prepare {
    /// Turns seeds and the dealer's stream into prepared material. `hash_key` is the session's, from the dealer.
    ///
    /// # Errors
    /// If the stream ends, the queue's reader goes away, or the products' seed is not there for party zero alone.
    pub fn run<P: Program>(
        program: &P,
        weights: &ServerWeights,
        (seeds, hash_key): (PrepareSeeds<'_>, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        Self::run_on::<Prg, P>(program, weights, (seeds, hash_key), source, queue)
    }

    /// [`run`](Self::run), on a stream of any kind.
    pub(crate) fn run_on<S: Stream, P: Program>(
        program: &P,
        weights: &ServerWeights,
        (seeds, hash_key): (PrepareSeeds<'_>, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        if seeds.products.is_some() != (weights.party() == Party::Zero) {
            return Err(Error::Program("party zero, and no other, has a seed of products with weights".into()));
        }
        let mut records = queue;
        prepare::<S, P>(program, weights, (seeds, hash_key), source, &mut records)
    }
}

/// Prepares from streams of any kind, for any use. Without a seed of products, shares of products with weights are read from
/// the source.
pub(super) fn prepare<S: Stream, P: Program>(
    program: &P,
    weights: &ServerWeights,
    (seeds, hash_key): (PrepareSeeds<'_>, HashKey),
    source: &mut dyn Read,
    records: &mut impl Records,
) -> Result<(), Error> {
    let (stream, products) = (stream_of::<S>(seeds.material), seeds.products.map(stream_of::<S>));
    let hash_key = Arc::new(hash_key);
    clear_stack();
    let role = PrepareRole { weights, stream, products, hash_key, source, records, buffer: Zeroizing::default() };
    Offline::run(program, role).map(|_| ())
}

/// What becomes of the records that are prepared, in program order.
pub(super) trait Records {
    /// Takes a record.
    ///
    /// # Errors
    /// If there is no more use for records.
    fn put(&mut self, record: Record) -> Result<(), Error>;

    /// Takes this server's share of the product of a mask with a weight, modulo 2^bits.
    ///
    /// # Errors
    /// If there is no more use for records.
    fn put_product<W: RingWord>(&mut self, share: Secret<W>, bits: u32) -> Result<(), Error>;
}

impl Records for &QueueWriter {
    fn put(&mut self, record: Record) -> Result<(), Error> {
        self.push(record)
    }

    fn put_product<W: RingWord>(&mut self, share: Secret<W>, _bits: u32) -> Result<(), Error> {
        self.push(W::record(Arc::new(share)))
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

struct PrepareRole<'a, S, R> {
    weights: &'a ServerWeights,
    stream: S,
    /// Of shares of products with weights, if they are not read from the source.
    products: Option<S>,
    hash_key: Arc<HashKey>,
    source: &'a mut dyn Read,
    records: &'a mut R,
    buffer: Zeroizing<Vec<u8>>,
}

impl<S, R> PrepareRole<'_, S, R> {
    fn receive(&mut self, len: usize) -> Result<(), Error> {
        let more = len.saturating_sub(self.buffer.len());
        reserve_wiped(&mut self.buffer, more);
        self.buffer.resize(len, 0);
        self.source.read_exact(&mut self.buffer).map_err(Error::Material)
    }

    fn receive_words<W: RingWord>(&mut self, len: usize, bits: u32) -> Result<Vec<W>, Error> {
        self.receive(pack::packed_len(len, bits))?;
        Ok(pack::unpack(&self.buffer, len, bits))
    }
}

impl<S: Stream, R: Records> OfflineRole for PrepareRole<'_, S, R> {
    fn weighted<W: RingWord>(
        &mut self,
        weight: WeightId,
        (shape, bits): (Shape, u32),
        times: impl FnOnce(&Factor<W>) -> Tensor<W>,
    ) -> Result<(), Error> {
        let dealt = match &mut self.products {
            Some(stream) => stream.draw(Purpose::Product).words(shape.len()),
            None => self.receive_words::<W>(shape.len(), bits)?,
        };
        let dealt = Secret::new(Tensor::new(shape, dealt));
        let mut own = Secret::new(times(self.weights.masked(weight)?.in_word()?));
        combine(own.expose_mut().data_mut(), [dealt.expose().data()], [], |own, [word], []: [W; 0]| own.plus(word));
        self.records.put_product(own, bits)
    }

    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        let (mask, words) = Mask::draw(&mut self.stream, shape);
        self.records.put(W::record_mask(mask))?;
        Ok(words)
    }

    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        let (mask, bits) = MaskBits::draw(&mut self.stream, planes, len);
        self.records.put(Record::Mask(AnyMask::Bits(mask)))?;
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
            Party::One => self.receive_words(shape.len(), bits)?,
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
        self.records.put(Record::Keys(Keys { hash_key: Arc::clone(&self.hash_key), roots, corrections }))
    }

    fn hand<W: RingWord>(&mut self, words: &Arc<Secret<W>>) -> Result<(), Error> {
        self.records.put(W::record(Arc::clone(words)))
    }

    fn hand_bits(&mut self, bits: BitTensor) -> Result<(), Error> {
        self.records.put(Record::Bits(bits))
    }
}
