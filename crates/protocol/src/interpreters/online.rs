//! The online phase of a server: consumes prepared material, talks to its peer.

use super::Interpreter;
use crate::bits::BitTensor;
use crate::channel::Channel;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::Machine;
use crate::program::{Inputs, OutputShare, Program, WeightId};
use crate::protocols::comparison::{self, Comparison};
use crate::protocols::exponential::{self, Layout};
use crate::protocols::extension::Lift;
use crate::protocols::linear;
use crate::protocols::opening::{Covered, Mask, MaskBits};
use crate::protocols::product::{self, Kind};
use crate::protocols::reveal::{ZeroSeed, Zeros};
use crate::protocols::{
    Server, extension, opening, piecewise, point, rectifier, rectifier_digits, selection, spline_keys, table,
    truncate_reduce,
};
use crate::record::{AnyMask, Keys, QueueReader, Record, RingWord};
use crate::secret::Secret;
use crate::spline::Function;
use crate::weights::{Factor, ServerWeights};
use crate::{Party, interpreters::meter::Cost};
use blindroute_ring::{Shape, Tensor, Word, fixed, pack};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Exchanges whose messages are kept for shares not taken yet: as many as a LayerNorm has.
const KEPT_EXCHANGES: usize = 6;

/// A server's online run of a program.
pub struct Online<'a> {
    server: Material<'a>,
    model: &'a ServerWeights,
    inputs: Inputs,
    channel: &'a mut dyn Channel,
    outgoing: Vec<u8>,
    exchanges: usize,
    /// The last exchanges' messages, newest last.
    incoming: VecDeque<Vec<u8>>,
    sent: usize,
    /// What the answer is re-randomised with.
    zeros: Zeros,
    output: OutputShare,
}

struct Material<'a> {
    party: Party,
    queue: &'a QueueReader,
}

impl Server for Material<'_> {
    fn leads(&self) -> bool {
        self.party == Party::Zero
    }

    fn pop_mask<W: RingWord>(&mut self, shape: Shape) -> Result<Mask<W>, Error> {
        match W::unrecord_mask(self.queue.pop()?) {
            Some(mask) if mask.shape().len() == shape.len() => Ok(mask),
            _ => Err(Error::MaterialMismatch { expected: "the mask of an opening" }),
        }
    }

    fn pop_mask_bits(&mut self, planes: usize, len: usize) -> Result<MaskBits, Error> {
        match self.queue.pop()? {
            Record::Mask(AnyMask::Bits(mask)) if mask.planes() == planes && mask.len() == len => Ok(mask),
            _ => Err(Error::MaterialMismatch { expected: "the mask of an opening of bits" }),
        }
    }

    fn pop<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error> {
        match W::unrecord(self.queue.pop()?) {
            Some(words) if words.shape().len() == shape.len() => Ok(words),
            _ => Err(Error::MaterialMismatch { expected: "words" }),
        }
    }

    fn pop_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error> {
        match self.queue.pop()? {
            Record::Bits(bits) if bits.planes() == planes && bits.len() == len => Ok(bits),
            _ => Err(Error::MaterialMismatch { expected: "bits" }),
        }
    }

    fn pop_keys(&mut self, len: usize) -> Result<Keys, Error> {
        match self.queue.pop()? {
            Record::Keys(keys) if keys.roots.len() == len => Ok(keys),
            _ => Err(Error::MaterialMismatch { expected: "keys" }),
        }
    }
}

impl std::fmt::Debug for Online<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Online({:?}, {} exchanges)", self.server.party, self.exchanges)
    }
}

/// A share on its way: this server's summand, and where in the coming exchange the other's will be.
#[derive(Debug)]
pub struct Outgoing<T> {
    own: T,
    exchange: usize,
    range: Range<usize>,
}

impl<'a> Online<'a> {
    /// Runs a program and returns what goes to the client, with the openings and bytes it took. `zeros` is what the two
    /// servers agreed on for this run alone.
    ///
    /// # Errors
    /// If the peer, the material or the inputs fail.
    pub fn run<P: Program>(
        program: &P,
        model: &'a ServerWeights,
        inputs: Inputs,
        queue: &'a QueueReader,
        zeros: ZeroSeed,
        channel: &'a mut dyn Channel,
    ) -> Result<(OutputShare, Cost), Error> {
        let interpreter = Self {
            server: Material { party: model.party(), queue },
            model,
            inputs,
            channel,
            outgoing: Vec::new(),
            exchanges: 0,
            incoming: VecDeque::new(),
            sent: 0,
            zeros: Zeros::new(model.party(), zeros),
            output: OutputShare::default(),
        };
        let (weights, forms) = (program.weights(), program.inputs());
        let mut machine = Machine::new(interpreter, &weights, &forms);
        program.run(&mut machine)?;
        let online = machine.into_interpreter();
        Ok((online.output, Cost { openings: online.exchanges, opening_bytes: online.sent, material_bytes: 0 }))
    }

    fn queue_message<T>(&mut self, own: T, start: usize) -> Outgoing<T> {
        Outgoing { own, exchange: self.exchanges, range: start..self.outgoing.len() }
    }

    fn message(&self, exchange: usize, range: &Range<usize>) -> Result<&[u8], Error> {
        // Exchange numbers count up to, not including, `exchanges`.
        let age = self.exchanges.checked_sub(exchange + 1);
        let message = age.and_then(|age| self.incoming.len().checked_sub(age + 1)).and_then(|at| self.incoming.get(at));
        let bytes = message.and_then(|message| message.get(range.clone()));
        bytes.ok_or_else(|| Error::Program("a deferred share was taken before its exchange or long after".into()))
    }

    fn defer_planes(&mut self, bits: Covered) -> Outgoing<BitTensor> {
        let bits = bits.into_inner();
        let start = self.outgoing.len();
        bits.to_bytes(&mut self.outgoing);
        self.queue_message(bits, start)
    }

    fn take_planes(&self, pending: Outgoing<BitTensor>) -> Result<BitTensor, Error> {
        let mut bits = pending.own;
        let message = self.message(pending.exchange, &pending.range)?;
        bits.xor_assign(&BitTensor::from_bytes(bits.planes(), bits.len(), message)?)?;
        Ok(bits)
    }
}

impl Interpreter for Online<'_> {
    type Share<W: RingWord> = Secret<W>;
    type Masked<W: RingWord> = Arc<Tensor<W>>;
    type Bits = BitTensor;
    type MaskedBits = Arc<BitTensor>;
    type Pending<W: RingWord> = Outgoing<Tensor<W>>;
    type PendingBits = Outgoing<BitTensor>;

    fn input<W: RingWord>(&mut self, index: usize, out: &Form) -> Result<Secret<W>, Error> {
        let share = self.inputs.tensors.get_mut(index).and_then(Option::take);
        let share = share.ok_or_else(|| Error::Program(format!("input {index} is used twice")))?;
        Ok(Secret::new(Tensor::new(out.shape, share.expose().data().iter().map(|&x| x.cast()).collect())))
    }
    fn reveal<W: RingWord>(&mut self, mut share: Secret<W>, form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.zeros.add(&mut share);
        pack::pack(share.expose().data(), form.bits, &mut self.output.bytes);
        Ok(())
    }
    fn reveal_bits(&mut self, mut bits: BitTensor, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.zeros.add_bits(&mut bits);
        bits.to_bytes(&mut self.output.bytes);
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Secret<W>, form: &Form, value: &[f64]) -> Result<(), Error> {
        if self.server.leads() {
            for (word, &value) in share.expose_mut().data_mut().iter_mut().zip(value.iter().cycle()) {
                *word = word.plus(fixed::encode(value, form.fraction));
            }
        }
        Ok(())
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], out: &Form) -> Result<Arc<Tensor<W>>, Error> {
        let words = values.iter().map(|&value| fixed::encode(value, out.fraction));
        Ok(Arc::new(Tensor::new(out.shape, words.collect())))
    }
    fn cut<W: RingWord>(&mut self, share: Secret<W>, form: &Form, shift: u32) -> Result<Secret<W>, Error> {
        Ok(truncate_reduce::online(self.server.leads(), share, form, shift))
    }
    fn share_of<W: RingWord>(&mut self, x: &Arc<Tensor<W>>, form: &Form) -> Result<Secret<W>, Error> {
        let mask = self.server.pop::<W>(form.shape)?;
        let leads = self.server.leads();
        Ok(Secret::new(x.zip(mask.expose(), |m, mask| (if leads { m } else { W::ZERO }).minus(mask))))
    }
    fn defer<W: RingWord>(&mut self, share: Secret<W>, form: &Form) -> Result<Outgoing<Tensor<W>>, Error> {
        let start = self.outgoing.len();
        let own = opening::outgoing(&mut self.server, share, form, &mut self.outgoing)?;
        Ok(self.queue_message(own, start))
    }
    fn defer_bits(&mut self, bits: BitTensor, planes: usize, len: usize) -> Result<Outgoing<BitTensor>, Error> {
        let (covered, _) = self.server.pop_mask_bits(planes, len)?.cover(bits)?;
        Ok(self.defer_planes(covered))
    }
    fn exchange(&mut self) -> Result<(), Error> {
        let outgoing = std::mem::take(&mut self.outgoing);
        let len = outgoing.len();
        let message = self.channel.exchange(outgoing, len)?;
        if message.len() != len {
            return Err(Error::Program("the channel returned a message of another length".into()));
        }
        self.incoming.push_back(message);
        if self.incoming.len() > KEPT_EXCHANGES {
            self.incoming.pop_front();
        }
        self.sent += len;
        self.exchanges += 1;
        Ok(())
    }
    fn take<W: RingWord>(&mut self, pending: Outgoing<Tensor<W>>, form: &Form) -> Result<Arc<Tensor<W>>, Error> {
        let message = self.message(pending.exchange, &pending.range)?;
        Ok(Arc::new(opening::incoming(pending.own, form, message)))
    }
    fn take_bits(&mut self, pending: Outgoing<BitTensor>) -> Result<Arc<BitTensor>, Error> {
        self.take_planes(pending).map(Arc::new)
    }
    fn bias<W: RingWord>(&mut self, weight: WeightId, out: &Form) -> Result<Secret<W>, Error> {
        match self.model.share::<W>(weight)? {
            Factor::Row(row) => Ok(Secret::new(row.expose().clone())),
            Factor::Matrix(_) => Err(Error::Program(format!("a matrix is no bias of {}", out.shape))),
        }
    }
    fn linear<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        _form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        linear::online(&mut self.server, x, self.model.share(weight)?, out)
    }
    fn scale_columns<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        weight: WeightId,
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        self.linear(x, form, weight, out)
    }
    fn matmul<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<W>>, &Form),
        b: (&Arc<Tensor<W>>, &Form),
        transposed: bool,
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        let kind = if transposed { Kind::MatmulTransposed } else { Kind::Matmul };
        product::online(&mut self.server, kind, a.0, b.0, out)
    }
    fn product<W: RingWord>(
        &mut self,
        a: (&Arc<Tensor<W>>, &Form),
        b: (&Arc<Tensor<W>>, &Form),
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        product::online(&mut self.server, Kind::Elements, a.0, b.0, out)
    }
    fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, form_a, cut_a): (&Arc<Tensor<A>>, &Form, u32),
        (b, form_b, cut_b): (&Arc<Tensor<B>>, &Form, u32),
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        let lifts = (Lift::new(form_a, cut_a), Lift::new(form_b, cut_b));
        extension::online_product(&mut self.server, a, b, lifts, out)
    }
    fn square_sum<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        extension::online_square_sum(&mut self.server, x, Lift::new(form, shift), out)
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Arc<Tensor<W>>) -> Arc<Tensor<V>> {
        Arc::new(x.map(Word::cast))
    }
    fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        shift: u32,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        extension::online_extend(&mut self.server, x, form, shift, out)
    }
    fn compare<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        comparison: &Comparison,
    ) -> Result<Arc<BitTensor>, Error> {
        let (covered, first) = comparison::online_first(&mut self.server, x, comparison)?;
        let pending = self.defer_planes(covered);
        self.exchange()?;
        let opened = self.take_planes(pending)?;
        let bits = comparison::online_second(self.server.leads(), comparison, &opened, &first);
        let pending = self.defer_bits(bits, comparison.thresholds.len(), form.shape.len())?;
        self.exchange()?;
        self.take_bits(pending)
    }
    fn compare_by_keys<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        comparison: &Comparison,
    ) -> Result<Arc<BitTensor>, Error> {
        let bits = point::online(&mut self.server, x, comparison)?;
        let pending = self.defer_bits(bits, comparison.thresholds.len(), form.shape.len())?;
        self.exchange()?;
        self.take_bits(pending)
    }
    fn rectify_by_digits<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Tensor<W>>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        let (covered, first) = rectifier_digits::online_first(&mut self.server, x, comparison)?;
        let pending = self.defer_planes(covered);
        self.exchange()?;
        let opened = self.take_planes(pending)?;
        rectifier_digits::online_second(&mut self.server, &opened, &first, x, Lift::new(form, shift), out)
    }
    fn rectify_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Tensor<W>>, &Form, u32),
        comparison: &Comparison,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        rectifier::online(&mut self.server, x, comparison, Lift::new(form, shift), out)
    }
    fn spline_by_keys<W: RingWord, V: RingWord>(
        &mut self,
        (x, form, shift): (&Arc<Tensor<W>>, &Form, u32),
        comparison: &Comparison,
        function: &Function,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        let lift = (Lift::new(form, shift), form.fraction - shift);
        spline_keys::online(&mut self.server, x, comparison, lift, function.spline(), out)
    }
    fn plane(&mut self, bits: &Arc<BitTensor>, plane: usize) -> Arc<BitTensor> {
        Arc::new(bits.only(plane))
    }
    fn restructure_bits(&mut self, bits: &Arc<BitTensor>, structure: &Structure) -> Result<Arc<BitTensor>, Error> {
        bits.restructure(structure).map(Arc::new)
    }
    fn select<W: RingWord>(
        &mut self,
        bits: &Arc<BitTensor>,
        x: &Arc<Tensor<W>>,
        form: &Form,
    ) -> Result<Secret<W>, Error> {
        selection::online_select(&mut self.server, bits, x, form)
    }
    fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &Arc<BitTensor>,
        (x, form, shift): (&Arc<Tensor<W>>, &Form, u32),
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        selection::online_select_extended(&mut self.server, bits, x, Lift::new(form, shift), out)
    }
    fn piecewise<W: RingWord>(
        &mut self,
        bits: &Arc<BitTensor>,
        x: &Arc<Tensor<W>>,
        form: &Form,
        function: &Function,
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        piecewise::online(&mut self.server, bits, x, form, function.spline(), out.fraction)
    }
    fn exponential<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        let layout = Layout::new(form)?;
        let (covered, first) = exponential::online_first(&mut self.server, x, layout)?;
        let pending = self.defer_planes(covered);
        self.exchange()?;
        let opened = self.take_planes(pending)?;
        let bits = exponential::online_second(self.server.leads(), &opened, &first);
        let pending = self.defer_bits(bits, 2, form.shape.len())?;
        let factors = exponential::online_factors::<V>(&mut self.server, out)?;
        self.exchange()?;
        let bits = self.take_bits(pending)?;
        Ok(exponential::online_third(&bits, x, layout, &factors))
    }
    fn bits_to_share<W: RingWord>(&mut self, bits: &Arc<BitTensor>, out: &Form) -> Result<Secret<W>, Error> {
        selection::online_bits(&mut self.server, bits, out)
    }
    fn bits_product<W: RingWord>(
        &mut self,
        a: &Arc<BitTensor>,
        b: &Arc<BitTensor>,
        out: &Form,
    ) -> Result<Secret<W>, Error> {
        selection::online_product(&mut self.server, a, b, out)
    }
    fn lookup<W: RingWord, V: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        table: &[i64],
        out: &Form,
    ) -> Result<Secret<V>, Error> {
        table::online(&mut self.server, x, form, table, out)
    }
    fn lookup_bits<W: RingWord>(
        &mut self,
        x: &Arc<Tensor<W>>,
        form: &Form,
        table: &[bool],
    ) -> Result<BitTensor, Error> {
        table::online_bits(&mut self.server, x, form, table)
    }
}
