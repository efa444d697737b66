//! The offline phase: the dealer, who knows the masks, and a server preparing its material, who knows shares of them.
//! One body of code for both, so they cannot disagree on what comes next.

use super::Interpreter;
use super::stream::{Purpose, Stream};
use crate::Party;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::Machine;
use crate::program::{Program, WeightId};
use crate::protocols::comparison::{self, Comparison};
use crate::protocols::exponential::{self, Layout};
use crate::protocols::extension::Lift;
use crate::protocols::linear;
use crate::protocols::opening::{Mask, MaskBits};
use crate::protocols::product::{self, Kind};
use crate::protocols::{
    Role, extension, opening, piecewise, point, rectifier, rectifier_digits, selection, spline_keys, table,
};
use crate::record::{AnyMask, Keys, QueueWriter, Record, RingWord};
use crate::secret::Secret;
use crate::spline::Function;
use crate::weights::{Factor, ServerWeights, WeightMasks};
use blindroute_ring::fss::HashKey;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Prg, Seed, Shape, Tensor, Word, pack, reserve_wiped};
use std::io::{Read, Write};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// The seeds of one session's material, one a server, and the key of the session's hashes, which is public. The dealer
/// shares seed i with server i, and the key with both.
#[derive(Debug)]
pub struct DealerSeeds(pub [Seed; 2], pub HashKey);

struct DealerRole<'a, S> {
    streams: [S; 2],
    hash_key: HashKey,
    /// To party zero, who needs the corrections of keys only, and to party one.
    sinks: [&'a mut dyn Write; 2],
    buffer: Zeroizing<Vec<u8>>,
}

impl<S> DealerRole<'_, S> {
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

impl<S: Stream> Role for DealerRole<'_, S> {
    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        let [zero, one] = self.streams.each_mut().map(|stream| stream.draw(Purpose::Mask));
        let mut words = vec![W::ZERO; shape.len()];
        zero.fill_sum(one, &mut words);
        Ok(Arc::new(Secret::new(Tensor::new(shape, words))))
    }

    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        let mut bits = BitTensor::zeros(planes, len);
        let [zero, one] = self.streams.each_mut().map(|stream| stream.draw(Purpose::Mask));
        zero.fill_words(bits.words_mut());
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

fn random_bits(stream: &mut Prg, planes: usize, len: usize) -> BitTensor {
    let mut bits = BitTensor::zeros(planes, len);
    stream.fill_words(bits.words_mut());
    bits
}

struct PrepareRole<'a, S> {
    party: Party,
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

impl<S: Stream> Role for PrepareRole<'_, S> {
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
        let words = match self.party {
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
        match self.party {
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

/// Which masks of the model a role multiplies with.
enum Model<'a> {
    Dealer(&'a WeightMasks),
    Server(&'a ServerWeights),
}

impl Model<'_> {
    fn factor<W: RingWord>(&self, id: WeightId) -> Result<&Factor<W>, Error> {
        match self {
            Self::Dealer(model) => model.mask(id),
            Self::Server(model) => model.masked(id),
        }
    }

    fn serves(&self) -> bool {
        matches!(self, Self::Server(_))
    }
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
        model: &WeightMasks,
        seeds: DealerSeeds,
        sinks: [&mut dyn Write; 2],
    ) -> Result<(), Error> {
        Self::run_on::<Prg, P>(program, model, seeds, sinks)
    }

    /// [`run`](Self::run), on streams of any kind.
    pub(crate) fn run_on<S: Stream, P: Program>(
        program: &P,
        model: &WeightMasks,
        seeds: DealerSeeds,
        sinks: [&mut dyn Write; 2],
    ) -> Result<(), Error> {
        let DealerSeeds(seeds, hash_key) = seeds;
        let role = DealerRole { streams: seeds.each_ref().map(S::new), hash_key, sinks, buffer: Zeroizing::default() };
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Offline { role, model: Model::Dealer(model) }, &weights, &inputs);
        program.run(&mut machine)?;
        machine.into_interpreter().role.sinks.into_iter().try_for_each(|sink| sink.flush()).map_err(Error::Sink)
    }
}

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
        model: &ServerWeights,
        (seed, hash_key): (&Seed, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        Self::run_on::<Prg, P>(program, model, (seed, hash_key), source, queue)
    }

    /// [`run`](Self::run), on a stream of any kind.
    pub(crate) fn run_on<S: Stream, P: Program>(
        program: &P,
        model: &ServerWeights,
        (seed, hash_key): (&Seed, HashKey),
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        let (stream, hash_key) = (S::new(seed), Arc::new(hash_key));
        let role = PrepareRole { party: model.party(), stream, hash_key, source, queue, buffer: Zeroizing::default() };
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Offline { role, model: Model::Server(model) }, &weights, &inputs);
        program.run(&mut machine)
    }
}

pub(crate) struct Offline<'a, R> {
    role: R,
    model: Model<'a>,
}

impl<R: Role> Interpreter for Offline<'_, R> {
    type Share<W: RingWord> = ();
    type Masked<W: RingWord> = Arc<Secret<W>>;
    type Bits = ();
    type MaskedBits = Arc<BitTensor>;
    type Pending<W: RingWord> = Arc<Secret<W>>;
    type PendingBits = Arc<BitTensor>;

    fn input<W: RingWord>(&mut self, _index: usize, _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn reveal<W: RingWord>(&mut self, _share: (), _form: &Form, _reason: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn reveal_bits(&mut self, _bits: (), _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, _share: &mut (), _form: &Form, _value: &[f64]) -> Result<(), Error> {
        Ok(())
    }
    fn constants<W: RingWord>(&mut self, _values: &[f64], out: &Form) -> Result<Arc<Secret<W>>, Error> {
        Ok(Arc::new(Secret::new(Tensor::zeros(out.shape))))
    }
    fn cut<W: RingWord>(&mut self, _share: (), _form: &Form, _shift: u32) -> Result<(), Error> {
        Ok(())
    }
    fn share_of<W: RingWord>(&mut self, x: &Arc<Secret<W>>, _form: &Form) -> Result<(), Error> {
        self.role.hand(x)
    }
    fn defer<W: RingWord>(&mut self, _share: (), form: &Form) -> Result<Arc<Secret<W>>, Error> {
        opening::offline(&mut self.role, form)
    }
    fn defer_bits(&mut self, _bits: (), planes: usize, len: usize) -> Result<Arc<BitTensor>, Error> {
        opening::offline_bits(&mut self.role, planes, len).map(Arc::new)
    }
    fn exchange(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn take<W: RingWord>(&mut self, pending: Arc<Secret<W>>, _form: &Form) -> Result<Arc<Secret<W>>, Error> {
        Ok(pending)
    }
    fn take_bits(&mut self, pending: Arc<BitTensor>) -> Result<Arc<BitTensor>, Error> {
        Ok(pending)
    }
    fn bias<W: RingWord>(&mut self, _weight: WeightId, _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn linear<W: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        _form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<(), Error> {
        linear::offline(&mut self.role, x, self.model.factor(weight)?, self.model.serves(), out)
    }
    fn scale_columns<W: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<(), Error> {
        self.linear(x, form, weight, out)
    }
    fn matmul<W: RingWord>(
        &mut self,
        a: (&Arc<Secret<W>>, &Form),
        b: (&Arc<Secret<W>>, &Form),
        transposed: bool,
        out: &Form,
    ) -> Result<(), Error> {
        let kind = if transposed { Kind::MatmulTransposed } else { Kind::Matmul };
        product::offline(&mut self.role, kind, a.0, b.0, out)
    }
    fn product<W: RingWord>(
        &mut self,
        a: (&Arc<Secret<W>>, &Form),
        b: (&Arc<Secret<W>>, &Form),
        out: &Form,
    ) -> Result<(), Error> {
        product::offline(&mut self.role, Kind::Elements, a.0, b.0, out)
    }
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, form_a, cut_a): (&Arc<Secret<A>>, &Form, u32),
        (b, form_b, cut_b): (&Arc<Secret<B>>, &Form, u32),
        out: &Form,
    ) -> Result<(), Error> {
        let lifts = (Lift::new(form_a, cut_a), Lift::new(form_b, cut_b));
        extension::offline_product::<A, B, V>(&mut self.role, a, b, lifts, out)
    }
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<(), Error> {
        extension::offline_square_sum::<W, V>(&mut self.role, x, Lift::new(form, shift), out)
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Arc<Secret<W>>) -> Arc<Secret<V>> {
        Arc::new(Secret::new(x.expose().map(Word::cast)))
    }
    fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<(), Error> {
        extension::offline_extend::<W, V>(&mut self.role, x, form, shift, out)
    }
    fn compare<W: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        _form: &Form,
        comparison: &Comparison,
    ) -> Result<Arc<BitTensor>, Error> {
        comparison::offline(&mut self.role, x, comparison)?;
        opening::offline_bits(&mut self.role, comparison.thresholds.len(), x.shape().len()).map(Arc::new)
    }
    fn compare_by_keys<W: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        _form: &Form,
        comparison: &Comparison,
    ) -> Result<Arc<BitTensor>, Error> {
        point::offline(&mut self.role, x, comparison)?;
        opening::offline_bits(&mut self.role, comparison.thresholds.len(), x.shape().len()).map(Arc::new)
    }
    fn rectify_by_digits<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Secret<W>>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<(), Error> {
        rectifier_digits::offline::<W, V>(&mut self.role, x, comparison, Lift::new(form, shift), out)
    }
    fn rectify_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Secret<W>>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<(), Error> {
        rectifier::offline::<W, V>(&mut self.role, x, comparison, Lift::new(form, shift), out)
    }
    fn spline_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Secret<W>>, &Form, u32),
        comparison: &Comparison,
        _function: &Function,
        out: &Form,
    ) -> Result<(), Error> {
        let lift = Lift::new(form, shift);
        spline_keys::offline::<W, V>(&mut self.role, x, comparison, lift, out)
    }
    fn plane(&mut self, bits: &Arc<BitTensor>, plane: usize) -> Arc<BitTensor> {
        Arc::new(bits.only(plane))
    }
    fn restructure_bits(&mut self, bits: &Arc<BitTensor>, structure: &Structure) -> Result<Arc<BitTensor>, Error> {
        bits.restructure(structure).map(Arc::new)
    }
    fn select<W: RingWord>(&mut self, bits: &Arc<BitTensor>, x: &Arc<Secret<W>>, form: &Form) -> Result<(), Error> {
        selection::offline_select(&mut self.role, bits, x, form)
    }
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &Arc<BitTensor>,
        (x, form, shift): (&Arc<Secret<W>>, &Form, u32),
        out: &Form,
    ) -> Result<(), Error> {
        selection::offline_select_extended::<W, V>(&mut self.role, bits, x, Lift::new(form, shift), out)
    }
    fn piecewise<W: RingWord>(
        &mut self,
        bits: &Arc<BitTensor>,
        x: &Arc<Secret<W>>,
        form: &Form,
        function: &Function,
        _out: &Form,
    ) -> Result<(), Error> {
        piecewise::offline(&mut self.role, bits, x, form, function.spline())
    }
    fn exponential<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        form: &Form,
        out: &Form,
    ) -> Result<(), Error> {
        exponential::offline::<W, V>(&mut self.role, x, Layout::new(form)?, out)
    }
    fn bits_to_share<W: RingWord>(&mut self, bits: &Arc<BitTensor>, out: &Form) -> Result<(), Error> {
        selection::offline_bits::<W>(&mut self.role, bits, out)
    }
    fn bits_product<W: RingWord>(&mut self, a: &Arc<BitTensor>, b: &Arc<BitTensor>, out: &Form) -> Result<(), Error> {
        selection::offline_product::<W>(&mut self.role, a, b, out)
    }
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Secret<W>>,
        form: &Form,
        _table: &[i64],
        out: &Form,
    ) -> Result<(), Error> {
        table::offline::<W, V>(&mut self.role, x, form, out)
    }
    fn lookup_bits<W: RingWord>(&mut self, x: &Arc<Secret<W>>, form: &Form, _table: &[bool]) -> Result<(), Error> {
        table::offline_bits(&mut self.role, x, form)
    }
}
