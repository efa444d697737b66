//! Programs, their weights, the client's inputs and the client's output.

use crate::Party;
use crate::bits::BitTensor;
use crate::channel::Channel;
use crate::error::Error;
use crate::form::Form;
use crate::interpreters::Interpreter;
use crate::machine::Machine;
use crate::secret::Secret;
use blindroute_ring::{Matrix, PackedMatrix, Prg, Seed, Shape, Tensor, Word, fixed, pack};
use zeroize::Zeroize;

/// A secure program, written once.
///
/// What it does may depend on public facts only (its own fields); the sequence of operations is the same for every
/// input.
pub trait Program: Send + Sync {
    /// The weights it uses, in the order of their ids.
    fn weights(&self) -> Vec<WeightSpec>;
    /// The forms of the client's inputs, each in Z_2^64 or narrower.
    fn inputs(&self) -> Vec<Form>;
    /// Runs it.
    ///
    /// # Errors
    /// Whatever the interpreter meets.
    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error>;
}

/// A weight by its place in [`Program::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightId(pub usize);

/// How a weight is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// `[inner, columns]`: the right factor of [`Machine::linear`].
    Matrix {
        /// Rows.
        inner: usize,
        /// Columns.
        columns: usize,
    },
    /// One factor a column, for [`Machine::scale_columns`].
    Scale(usize),
    /// One summand a column, for [`Machine::bias`].
    Bias(usize),
}

/// A secret weight of a program: its size and precision are public.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WeightSpec {
    /// Its name, unique in the program.
    pub name: String,
    /// How it is used.
    pub kind: WeightKind,
    /// Fraction bits.
    pub fraction: u32,
}

impl WeightSpec {
    /// A weight.
    pub fn new(name: impl Into<String>, kind: WeightKind, fraction: u32) -> Self {
        Self { name: name.into(), kind, fraction }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        match self.kind {
            WeightKind::Matrix { inner, columns } => Shape::matrix(inner, columns),
            WeightKind::Scale(columns) | WeightKind::Bias(columns) => Shape::row(columns),
        }
    }

    /// Whether it multiplies, and so needs a mask.
    fn multiplies(&self) -> bool {
        !matches!(self.kind, WeightKind::Bias(_))
    }
}

/// Checks that real weights fit their specifications.
pub(crate) fn check_weights<T>(specs: &[WeightSpec], weights: &[Tensor<T>]) -> Result<(), Error> {
    if specs.len() != weights.len() {
        let problem = format!("the program has {} weights, {} were given", specs.len(), weights.len());
        return Err(Error::Weight { name: "(all)".into(), problem });
    }
    for (spec, weight) in specs.iter().zip(weights) {
        if spec.shape() != weight.shape() {
            let problem = format!("expected shape {}, found {}", spec.shape(), weight.shape());
            return Err(Error::Weight { name: spec.name.clone(), problem });
        }
    }
    Ok(())
}

/// One server's additive shares of a program's weights.
#[derive(Debug)]
pub struct WeightShares {
    party: Party,
    tensors: Vec<Secret<u64>>,
}

impl WeightShares {
    /// Party zero's shares: nothing but a seed.
    pub fn from_seed(specs: &[WeightSpec], seed: &Seed) -> Self {
        let mut prg = Prg::new(seed);
        let tensors = specs.iter().map(|spec| Secret::new(random(&mut prg, spec.shape()))).collect();
        Self { party: Party::Zero, tensors }
    }

    /// Party one's shares of `weights`: the fixed-point weights less party zero's.
    ///
    /// # Errors
    /// If the weights do not fit the specifications.
    pub fn complement(specs: &[WeightSpec], weights: &[Tensor<f32>], seed: &Seed) -> Result<Self, Error> {
        check_weights(specs, weights)?;
        let mut prg = Prg::new(seed);
        let tensors = specs
            .iter()
            .zip(weights)
            .map(|(spec, weight)| {
                let encoded = weight.map(|value| fixed::encode::<u64>(f64::from(value), spec.fraction));
                let other = Secret::new(random::<u64>(&mut prg, spec.shape()));
                Secret::new(encoded.zip(other.expose(), u64::wrapping_sub))
            })
            .collect();
        Ok(Self { party: Party::One, tensors })
    }

    /// Party one's shares as bytes for its share file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for tensor in &self.tensors {
            pack::pack(tensor.expose().data(), 64, &mut bytes);
        }
        bytes
    }

    /// Party one's shares from its share file.
    ///
    /// # Errors
    /// If the length is not that of the program's weights.
    pub fn from_bytes(specs: &[WeightSpec], bytes: &[u8]) -> Result<Self, Error> {
        let expected: usize = specs.iter().map(|spec| spec.shape().len() * 8).sum();
        if bytes.len() != expected {
            let problem = format!("expected {expected} bytes of shares, found {}", bytes.len());
            return Err(Error::Weight { name: "(all)".into(), problem });
        }
        let mut rest = bytes;
        let tensors = specs
            .iter()
            .map(|spec| {
                let (now, later) = rest.split_at(spec.shape().len() * 8);
                rest = later;
                Secret::new(Tensor::new(spec.shape(), pack::unpack(now, spec.shape().len(), 64)))
            })
            .collect();
        Ok(Self { party: Party::One, tensors })
    }

    /// Whose shares these are.
    pub fn party(&self) -> Party {
        self.party
    }
}

fn random<W: Word>(prg: &mut Prg, shape: Shape) -> Tensor<W> {
    Tensor::new(shape, prg.words(shape.len()))
}

pub(crate) struct LinearShares {
    pub(crate) packed: PackedMatrix<u64>,
}

/// A server's side of the model: its weight shares, and the masked weights F = W − B that both servers know.
///
/// B is the dealer's mask of the model, fresh each time servers and dealer set a model up.
pub struct ServerModel {
    pub(crate) party: Party,
    /// Packed shares of matrices; `None` for other kinds.
    pub(crate) matrices: Vec<Option<LinearShares>>,
    pub(crate) shares: Vec<Secret<u64>>,
    pub(crate) masked_matrices: Vec<Option<PackedMatrix<u64>>>,
    pub(crate) masked: Vec<Tensor<u64>>,
}

impl std::fmt::Debug for ServerModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerModel({:?}, {} weights)", self.party, self.shares.len())
    }
}

impl ServerModel {
    /// Opens F = W − B with the other server: one exchange, once a model and dealer.
    ///
    /// # Errors
    /// If the exchange fails.
    pub fn set_up(
        specs: &[WeightSpec],
        shares: WeightShares,
        mask_seed: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, Error> {
        let mut prg = Prg::new(mask_seed);
        let mut own = Vec::new();
        for (spec, share) in specs.iter().zip(&shares.tensors) {
            if spec.multiplies() {
                let mask = Secret::new(random::<u64>(&mut prg, spec.shape()));
                own.push(share.expose().zip(mask.expose(), u64::wrapping_sub));
            }
        }
        let mut outgoing = Vec::new();
        for tensor in &own {
            pack::pack(tensor.data(), 64, &mut outgoing);
        }
        let incoming = outgoing.len();
        let theirs = channel.exchange(outgoing, incoming)?;
        if theirs.len() != incoming {
            return Err(Error::Program("the channel returned a message of another length".into()));
        }
        let mut rest = theirs.as_slice();
        let mut opened = own.into_iter().map(|mut tensor| {
            let (now, later) = rest.split_at(tensor.data().len() * 8);
            rest = later;
            pack::unpack_add(now, 64, tensor.data_mut());
            tensor
        });
        let mut model = Self {
            party: shares.party,
            matrices: Vec::new(),
            shares: Vec::new(),
            masked_matrices: Vec::new(),
            masked: Vec::new(),
        };
        for (spec, share) in specs.iter().zip(shares.tensors) {
            let masked = if spec.multiplies() {
                opened.next().unwrap_or_else(|| Tensor::zeros(Shape::row(0)))
            } else {
                Tensor::zeros(Shape::row(0))
            };
            if let WeightKind::Matrix { inner, columns } = spec.kind {
                let packed = PackedMatrix::pack(share.expose().data(), inner, columns, Matrix::RowMajor, u64::BITS);
                model.matrices.push(Some(LinearShares { packed }));
                model.masked_matrices.push(Some(PackedMatrix::pack(
                    masked.data(),
                    inner,
                    columns,
                    Matrix::RowMajor,
                    u64::BITS,
                )));
                // The packed copies serve from here on.
                model.shares.push(Secret::new(Tensor::zeros(Shape::row(0))));
                model.masked.push(Tensor::zeros(Shape::row(0)));
            } else {
                model.matrices.push(None);
                model.masked_matrices.push(None);
                model.shares.push(share);
                model.masked.push(masked);
            }
        }
        Ok(model)
    }

    /// Which position this server has.
    pub fn party(&self) -> Party {
        self.party
    }
}

/// The client's inputs, shared between the servers.
#[derive(Debug)]
pub struct Inputs {
    pub(crate) tensors: Vec<Option<Secret<u64>>>,
}

impl Inputs {
    /// Bytes of party one's input shares.
    pub fn byte_len(forms: &[Form]) -> usize {
        forms.iter().map(Form::packed_len).sum()
    }

    /// The client's side: what party one gets, when party zero gets `seed`.
    ///
    /// # Errors
    /// If the values do not fit the forms.
    pub fn share(forms: &[Form], values: &[Tensor<f32>], seed: &Seed) -> Result<Vec<u8>, Error> {
        let mut prg = Prg::new(seed);
        let mut bytes = Vec::with_capacity(Self::byte_len(forms));
        if forms.len() != values.len() {
            return Err(Error::Program(format!("{} inputs were given, the program has {}", values.len(), forms.len())));
        }
        for (form, value) in forms.iter().zip(values) {
            if form.shape != value.shape() {
                return Err(Error::Shape { what: "input", expected: form.shape, found: value.shape() });
            }
            let random = prg.words::<u64>(form.shape.len());
            let share: Vec<u64> = value
                .data()
                .iter()
                .zip(random)
                .map(|(&x, r)| fixed::encode::<u64>(f64::from(x), form.fraction).wrapping_sub(r))
                .collect();
            pack::pack(&share, form.bits, &mut bytes);
        }
        Ok(bytes)
    }

    /// Party zero's shares.
    pub fn from_seed(forms: &[Form], seed: &Seed) -> Self {
        let mut prg = Prg::new(seed);
        Self { tensors: forms.iter().map(|form| Some(Secret::new(random(&mut prg, form.shape)))).collect() }
    }

    /// Party one's shares.
    ///
    /// # Errors
    /// If the length is wrong.
    pub fn from_bytes(forms: &[Form], bytes: &[u8]) -> Result<Self, Error> {
        let expected = Self::byte_len(forms);
        if bytes.len() != expected {
            return Err(Error::Input { expected, found: bytes.len() });
        }
        let mut rest = bytes;
        let tensors = forms
            .iter()
            .map(|form| {
                let (now, later) = rest.split_at(form.packed_len());
                rest = later;
                Some(Secret::new(Tensor::new(form.shape, pack::unpack(now, form.shape.len(), form.bits))))
            })
            .collect();
        Ok(Self { tensors })
    }
}

/// What one server sends the client at the end: its shares of the revealed values.
#[derive(Default)]
pub struct OutputShare {
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for OutputShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutputShare({} bytes, redacted)", self.bytes.len())
    }
}

impl Drop for OutputShare {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl OutputShare {
    /// The message's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One revealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Its size.
    pub size: OutputSize,
    /// Why the client may learn it.
    pub reason: &'static str,
}

/// The size of one revealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputSize {
    /// Words of a form.
    Words(Form),
    /// This many bits.
    Bits(usize),
}

/// The revealed values, opened by the client.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Output {
    /// Revealed words, in program order.
    pub values: Vec<Vec<f64>>,
    /// Revealed bits, in program order.
    pub bits: Vec<Vec<bool>>,
}

impl Output {
    /// Bytes of each server's message.
    pub fn byte_len(specs: &[OutputSpec]) -> usize {
        specs
            .iter()
            .map(|spec| match &spec.size {
                OutputSize::Words(form) => form.packed_len(),
                OutputSize::Bits(len) => BitTensor::byte_len(1, *len),
            })
            .sum()
    }

    /// Puts the two servers' messages together.
    ///
    /// # Errors
    /// If a message has not the length that the program's outputs take.
    pub fn combine(specs: &[OutputSpec], zero: &[u8], one: &[u8]) -> Result<Self, Error> {
        let expected = Self::byte_len(specs);
        for bytes in [zero, one] {
            if bytes.len() != expected {
                return Err(Error::Input { expected, found: bytes.len() });
            }
        }
        let mut output = Self::default();
        let mut at = 0;
        for spec in specs {
            match &spec.size {
                OutputSize::Words(form) => {
                    let range = at..at + form.packed_len();
                    at = range.end;
                    let a = pack::unpack::<u128>(&zero[range.clone()], form.shape.len(), form.bits);
                    let b = pack::unpack::<u128>(&one[range], form.shape.len(), form.bits);
                    let decode = |(a, b): (u128, u128)| fixed::decode(a.wrapping_add(b), form.bits, form.fraction);
                    output.values.push(a.into_iter().zip(b).map(decode).collect());
                }
                OutputSize::Bits(len) => {
                    let range = at..at + BitTensor::byte_len(1, *len);
                    at = range.end;
                    let mut bits = BitTensor::from_bytes(1, *len, &zero[range.clone()])?;
                    bits.xor_assign(&BitTensor::from_bytes(1, *len, &one[range])?)?;
                    output.bits.push((0..*len).map(|i| bits.get(0, i) == 1).collect());
                }
            }
        }
        Ok(output)
    }
}
