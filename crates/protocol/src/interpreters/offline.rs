//! The offline phase: the dealer, who knows the masks, and a server preparing its material, who knows shares of them.
//! One body of code for both, so they cannot disagree on what comes next.

use super::Interpreter;
use crate::Party;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::linear::Structure;
use crate::machine::Machine;
use crate::program::{Program, ServerModel, WeightId, WeightKind, WeightSpec};
use crate::protocols::comparison::{self, Comparison};
use crate::protocols::linear::{self, Factor};
use crate::protocols::product::{self, Kind};
use crate::protocols::{Role, extension, opening, piecewise, selection, spline, table};
use crate::record::{QueueWriter, Record, RingWord};
use crate::secret::Secret;
use crate::spline::Function;
use blindroute_ring::{Matrix, PackedMatrix, Prg, Seed, Shape, Tensor, pack};
use std::io::{Read, Write};
use std::sync::Arc;

/// The dealer's mask of a model: B, which the servers subtract from the weights once.
pub struct DealerModel {
    matrices: Vec<Option<PackedMatrix<u64>>>,
    scales: Vec<Tensor<u64>>,
}

impl std::fmt::Debug for DealerModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DealerModel({} weights, redacted)", self.matrices.len())
    }
}

impl DealerModel {
    /// The mask that the two servers' seeds make.
    pub fn new(specs: &[WeightSpec], seeds: &[Seed; 2]) -> Self {
        let mut streams = [Prg::new(&seeds[0]), Prg::new(&seeds[1])];
        let mut model = Self { matrices: Vec::new(), scales: Vec::new() };
        for spec in specs {
            let (mut matrix, mut scale) = (None, Tensor::zeros(Shape::row(0)));
            if !matches!(spec.kind, WeightKind::Bias(_)) {
                let [zero, one] = &mut streams;
                let len = spec.shape().len();
                let mask: Vec<u64> = zero
                    .words::<u64>(len)
                    .into_iter()
                    .zip(one.words::<u64>(len))
                    .map(|(a, b)| a.wrapping_add(b))
                    .collect();
                match spec.kind {
                    WeightKind::Matrix { inner, columns } => {
                        matrix = Some(PackedMatrix::pack(&mask, inner, columns, Matrix::RowMajor, u64::BITS));
                    }
                    _ => scale = Tensor::new(spec.shape(), mask),
                }
            }
            model.matrices.push(matrix);
            model.scales.push(scale);
        }
        model
    }

    fn factor(&self, id: WeightId) -> Factor<'_> {
        match &self.matrices[id.0] {
            Some(matrix) => Factor::Matrix(matrix),
            None => Factor::Scale(&self.scales[id.0]),
        }
    }
}

/// The seeds of one session's material, one a server. The dealer shares seed i with server i.
#[derive(Debug)]
pub struct DealerSeeds(pub [Seed; 2]);

struct DealerRole<'a> {
    streams: [Prg; 2],
    sink: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl DealerRole<'_> {
    fn send(&mut self) -> Result<(), Error> {
        self.sink.write_all(&self.buffer).map_err(Error::Sink)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Role for DealerRole<'_> {
    fn fresh<W: RingWord>(&mut self, shape: Shape) -> Arc<Secret<W>> {
        let [zero, one] = &mut self.streams;
        let mut words = zero.words::<W>(shape.len());
        let other = Secret::new(Tensor::new(shape, one.words::<W>(shape.len())));
        for (word, &other) in words.iter_mut().zip(other.expose().data()) {
            *word = word.plus(other);
        }
        Arc::new(Secret::new(Tensor::new(shape, words)))
    }

    fn fresh_bits(&mut self, planes: usize, len: usize) -> BitTensor {
        let mut bits = BitTensor::zeros(planes, len);
        let [zero, one] = &mut self.streams;
        let count = bits.words().len();
        let both = zero.words::<u64>(count).into_iter().zip(one.words::<u64>(count));
        for (word, (a, b)) in bits.words_mut().iter_mut().zip(both) {
            *word = a ^ b;
        }
        bits
    }

    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error> {
        let value = Secret::new(value());
        let mut correction = Secret::new(Tensor::new(shape, self.streams[0].words::<W>(shape.len())));
        for (word, &value) in correction.expose_mut().data_mut().iter_mut().zip(value.expose().data()) {
            *word = value.minus(*word);
        }
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
        let mut correction = random_bits(&mut self.streams[0], planes, len);
        correction.xor_assign(&value)?;
        correction.to_bytes(&mut self.buffer);
        self.send()?;
        Ok(value)
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

struct PrepareRole<'a> {
    party: Party,
    stream: Prg,
    source: &'a mut dyn Read,
    queue: &'a QueueWriter,
    buffer: Vec<u8>,
}

impl PrepareRole<'_> {
    fn receive(&mut self, len: usize) -> Result<(), Error> {
        self.buffer.resize(len, 0);
        self.source.read_exact(&mut self.buffer).map_err(Error::Material)
    }
}

impl Role for PrepareRole<'_> {
    fn fresh<W: RingWord>(&mut self, shape: Shape) -> Arc<Secret<W>> {
        Arc::new(Secret::new(Tensor::new(shape, self.stream.words(shape.len()))))
    }

    fn fresh_bits(&mut self, planes: usize, len: usize) -> BitTensor {
        random_bits(&mut self.stream, planes, len)
    }

    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        _value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error> {
        let words = match self.party {
            Party::Zero => self.stream.words(shape.len()),
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
            Party::Zero => Ok(random_bits(&mut self.stream, planes, len)),
            Party::One => {
                self.receive(BitTensor::byte_len(planes, len))?;
                BitTensor::from_bytes(planes, len, &self.buffer)
            }
        }
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
    Dealer(&'a DealerModel),
    Server(&'a ServerModel),
}

impl Model<'_> {
    fn factor(&self, id: WeightId) -> Factor<'_> {
        match self {
            Self::Dealer(model) => model.factor(id),
            Self::Server(model) => match &model.masked_matrices[id.0] {
                Some(matrix) => Factor::Matrix(matrix),
                None => Factor::Scale(&model.masked[id.0]),
            },
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
    /// Writes the corrections of one session to `sink`, for party one.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn run<P: Program>(
        program: &P,
        model: &DealerModel,
        seeds: DealerSeeds,
        sink: &mut dyn Write,
    ) -> Result<(), Error> {
        let role = DealerRole { streams: seeds.0.each_ref().map(Prg::new), sink, buffer: Vec::new() };
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Offline { role, model: Model::Dealer(model) }, &weights, &inputs);
        program.run(&mut machine)?;
        machine.into_interpreter().role.sink.flush().map_err(Error::Sink)
    }
}

/// A server's offline run of a program.
#[derive(Debug)]
pub struct Prepare;

impl Prepare {
    /// Turns a seed and, for party one, the dealer's stream into prepared material.
    ///
    /// # Errors
    /// If the stream ends or the queue's reader goes away; the queue is told either way.
    pub fn run<P: Program>(
        program: &P,
        model: &ServerModel,
        seed: &Seed,
        source: &mut dyn Read,
        queue: &QueueWriter,
    ) -> Result<(), Error> {
        let role = PrepareRole { party: model.party(), stream: Prg::new(seed), source, queue, buffer: Vec::new() };
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
    fn add_constant_masked<W: RingWord>(
        &mut self,
        _x: &mut Arc<Secret<W>>,
        _form: &Form,
        _value: f64,
    ) -> Result<(), Error> {
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
    fn bias(&mut self, _weight: WeightId, _out: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn linear(&mut self, x: &Arc<Secret<u64>>, _form: &Form, weight: WeightId, out: &Form) -> Result<(), Error> {
        linear::offline(&mut self.role, x, &self.model.factor(weight), self.model.serves(), out)
    }
    fn scale_columns(&mut self, x: &Arc<Secret<u64>>, form: &Form, weight: WeightId, out: &Form) -> Result<(), Error> {
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
    fn product_extended<W: RingWord>(
        &mut self,
        a: (&Arc<Secret<W>>, &Form),
        b: (&Arc<Secret<W>>, &Form),
        shift: u32,
        out: &Form,
    ) -> Result<(), Error> {
        extension::offline_product(&mut self.role, a.0, b, shift, out)
    }
    fn square_sum<W: RingWord>(&mut self, x: &Arc<Secret<W>>, _form: &Form, out: &Form) -> Result<(), Error> {
        product::offline_squares(&mut self.role, x, out)
    }
    fn truncate<W: RingWord>(&mut self, x: &Arc<Secret<W>>, form: &Form, shift: u32) -> Result<Arc<Secret<W>>, Error> {
        extension::offline_truncate(&mut self.role, x, form, shift)
    }
    fn to_word<W: RingWord, V: RingWord>(&mut self, x: &Arc<Secret<W>>) -> Arc<Secret<V>> {
        Arc::new(Secret::new(x.expose().map(|word| V::from_u128(word.widen()))))
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
    fn restructure_bits(&mut self, bits: &Arc<BitTensor>, structure: &Structure) -> Result<Arc<BitTensor>, Error> {
        bits.restructure(structure).map(Arc::new)
    }
    fn select<W: RingWord>(&mut self, bits: &Arc<BitTensor>, x: &Arc<Secret<W>>, form: &Form) -> Result<(), Error> {
        selection::offline_select(&mut self.role, bits, x, form)
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
    fn spline<W: RingWord, V: RingWord>(
        &mut self,
        x: (&Arc<Secret<W>>, &Form),
        comparison: &Comparison,
        wide: Arc<Secret<V>>,
        wide_form: &Form,
        function: &Function,
        _out: &Form,
    ) -> Result<(), Error> {
        spline::offline(&mut self.role, x.0, comparison, (&wide, wide_form), function.spline())
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
