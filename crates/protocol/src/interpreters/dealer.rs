//! The dealer's run of a program: knows every mask, and neither weights nor inputs.

use super::offline::{Offline, random_bits};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::material::factor::Factor;
use crate::material::stream::{Purpose, Stream};
use crate::material::word::RingWord;
use crate::operation::OfflineRole;
use crate::party::Party;
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

/// The seeds of one session's material.
#[derive(Debug)]
pub struct DealerSeeds {
    /// One per server, for everything but the products with weights. The dealer shares seed i with server i.
    pub material: [Seed; 2],
    /// Of party zero's shares of products with weights. The dealer shares it with server 0, and with nobody in an audit.
    pub products: Seed,
    /// The key of the session's hashes, which is public.
    pub hash_key: HashKey,
}

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
        let DealerSeeds { material, products, hash_key } = seeds;
        let products = Products::Shared(S::new(&products));
        let streams = material.each_ref().map(S::new);
        DealerRole { masks, streams, products, hash_key, sinks, buffer: Zeroizing::default() }.deal(program)
    }
}

/// What becomes of products of masks of values with masks of weights.
pub(super) enum Products<S> {
    /// They are shared: party zero draws its share from this stream, and party one is sent the rest.
    Shared(S),
    /// An audit: this server, which deals for itself, is sent the product with its own summand of the weight's mask.
    Whole(Party),
}

/// A run of the dealer's code: of the dealer, or of a server that audits it.
pub(super) struct DealerRole<'m, 's, S> {
    pub(super) masks: &'m WeightMasks,
    pub(super) streams: [S; 2],
    pub(super) products: Products<S>,
    pub(super) hash_key: HashKey,
    /// To party zero, who needs the corrections of keys only, and to party one.
    pub(super) sinks: [&'s mut dyn Write; 2],
    pub(super) buffer: Zeroizing<Vec<u8>>,
}

impl<S: Stream> DealerRole<'_, '_, S> {
    /// Deals the whole program.
    pub(super) fn deal<P: Program>(self, program: &P) -> Result<(), Error> {
        let role = Offline::run(program, self)?;
        role.sinks.into_iter().try_for_each(|sink| sink.flush()).map_err(Error::Sink)
    }
}

impl<S> DealerRole<'_, '_, S> {
    fn send(&mut self) -> Result<(), Error> {
        self.send_to(Party::One)
    }

    fn send_to(&mut self, party: Party) -> Result<(), Error> {
        self.sinks[party.index()].write_all(&self.buffer).map_err(Error::Sink)?;
        self.buffer.clear();
        Ok(())
    }

    /// Sends party one a value less party zero's share of it.
    fn send_less<W: RingWord>(&mut self, value: &Secret<W>, share: Vec<W>, bits: u32) -> Result<(), Error> {
        let mut correction = Secret::new(Tensor::new(value.shape(), share));
        let words = correction.expose_mut().data_mut();
        combine(words, [value.expose().data()], [], |word, [value], []: [W; 0]| value.minus(word));
        pack::pack(correction.expose().data(), bits, &mut self.buffer);
        self.send()
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
    fn weighted<W: RingWord>(
        &mut self,
        weight: WeightId,
        (shape, bits): (Shape, u32),
        times: impl FnOnce(&Factor<W>) -> Tensor<W>,
    ) -> Result<(), Error> {
        let product = Secret::new(times(self.masks.mask(weight)?.in_word()?));
        match &mut self.products {
            Products::Shared(stream) => {
                let share = stream.draw(Purpose::Product).words(shape.len());
                self.send_less(&product, share, bits)
            }
            Products::Whole(party) => {
                let party = *party;
                pack::pack(product.expose().data(), bits, &mut self.buffer);
                self.send_to(party)
            }
        }
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
        let share = self.streams[0].draw(Purpose::Share).words(shape.len());
        self.send_less(&value, share, bits)?;
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
