//! The dealer's run of a program: knows every mask, and neither weights nor inputs.

use super::offline::{Offline, random_bits};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::material::factor::AnyFactor;
use crate::material::stream::{Purpose, Stream};
use crate::material::word::RingWord;
use crate::operation::OfflineRole;
use crate::program::Program;
use crate::secret::Secret;
use crate::weight_spec::WeightId;
use crate::weights::WeightMasks;
use blindroute_ring::fss::HashKey;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Prg, Seed, Shape, Tensor, pack};
use std::io::Write;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// The seeds of one session's material, one per server, and the key of the session's hashes, which is public. The dealer
/// shares seed i with server i, and the key with both.
#[derive(Debug)]
pub struct DealerSeeds(pub [Seed; 2], pub HashKey);

/// The dealer's run of a program.
#[derive(Debug)]
pub struct Dealer;

impl Dealer {
    /// Writes the corrections of one session: to the first sink for party zero (nothing, unless the program is tuned to
    /// keys), to the second for party one.
    ///
    /// # Errors
    /// If a sink fails.
    pub fn run<P: Program>(
        program: &P,
        masks: &WeightMasks,
        seeds: DealerSeeds,
        sinks: [&mut dyn Write; 2],
    ) -> Result<(), Error> {
        Self::run_on::<Prg, P>(program, masks, seeds, sinks)
    }

    /// [`run`](Self::run), on streams of any kind.
    pub(crate) fn run_on<S: Stream, P: Program>(
        program: &P,
        masks: &WeightMasks,
        seeds: DealerSeeds,
        sinks: [&mut dyn Write; 2],
    ) -> Result<(), Error> {
        let DealerSeeds(seeds, hash_key) = seeds;
        let streams = seeds.each_ref().map(S::new);
        let role = DealerRole { masks, streams, hash_key, sinks, buffer: Zeroizing::default() };
        let role = Offline::run(program, role)?;
        role.sinks.into_iter().try_for_each(|sink| sink.flush()).map_err(Error::Sink)
    }
}

struct DealerRole<'m, 's, S> {
    masks: &'m WeightMasks,
    streams: [S; 2],
    hash_key: HashKey,
    /// To party zero, who needs the corrections of keys only, and to party one.
    sinks: [&'s mut dyn Write; 2],
    buffer: Zeroizing<Vec<u8>>,
}

impl<S> DealerRole<'_, '_, S> {
    fn send(&mut self) -> Result<(), Error> {
        self.sinks[1].write_all(&self.buffer).map_err(Error::Sink)?;
        self.buffer.clear();
        Ok(())
    }

    /// Sends the buffer to both. Each stream is flushed before the dealer may have to wait for the other's reader: else a
    /// server that is full would hold back what the other needs to become full too, and neither would be ready.
    fn send_to_both(&mut self) -> Result<(), Error> {
        let [zero, one] = &mut self.sinks;
        for sink in [one, zero] {
            sink.write_all(&self.buffer).and_then(|()| sink.flush()).map_err(Error::Sink)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

impl<S: Stream> OfflineRole for DealerRole<'_, '_, S> {
    fn serves(&self) -> bool {
        false
    }

    fn factor(&self, weight: WeightId) -> Result<Arc<AnyFactor>, Error> {
        self.masks.mask(weight)
    }

    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        let [zero, one] = self.streams.each_mut().map(|stream| stream.draw(Purpose::Mask));
        let mut words = vec![W::ZERO; shape.len()];
        zero.fill_sum(one, &mut words);
        Ok(Arc::new(Secret::new(Tensor::new(shape, words))))
    }

    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        let [zero, one] = self.streams.each_mut().map(|stream| stream.draw(Purpose::Mask));
        let mut bits = random_bits(zero, planes, len);
        let other = random_bits(one, planes, len);
        for (word, other) in bits.words_mut().iter_mut().zip(other.words()) {
            *word ^= other;
        }
        Ok(bits)
    }

    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error> {
        let value = Secret::new(value());
        let mut correction =
            Secret::new(Tensor::new(shape, self.streams[0].draw(Purpose::Share).words::<W>(shape.len())));
        let words = correction.expose_mut().data_mut();
        combine(words, [value.expose().data()], [], |word, [value], []: [W; 0]| value.minus(word));
        pack::pack(correction.expose().data(), bits, &mut self.buffer);
        self.send()?;
        Ok(Arc::new(value))
    }

    fn correlated_bits(
        &mut self,
        planes: usize,
        len: usize,
        value: impl FnOnce() -> BitTensor,
    ) -> Result<BitTensor, Error> {
        let value = value();
        let mut correction = random_bits(self.streams[0].draw(Purpose::Share), planes, len);
        correction.xor_assign(&value)?;
        correction.to_bytes(&mut self.buffer);
        self.send()?;
        Ok(value)
    }

    fn keys(
        &mut self,
        len: usize,
        bytes: usize,
        deal: impl FnOnce(&HashKey, [&[u128]; 2], &mut Vec<u8>),
    ) -> Result<(), Error> {
        let mut roots = self.streams.each_mut().map(|stream| stream.draw(Purpose::Root).words::<u128>(len));
        deal(&self.hash_key, roots.each_ref().map(Vec::as_slice), &mut self.buffer);
        roots.zeroize();
        debug_assert_eq!(self.buffer.len(), bytes);
        self.send_to_both()
    }

    fn hand<W: RingWord>(&mut self, _words: &Arc<Secret<W>>) -> Result<(), Error> {
        Ok(())
    }

    fn hand_bits(&mut self, _bits: BitTensor) -> Result<(), Error> {
        Ok(())
    }
}
