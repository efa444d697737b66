//! Programs, the client's inputs and the client's output.

use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::Machine;
use crate::machine::interpreter::Interpreter;
use crate::secret::Secret;
use crate::weight_spec::WeightSpec;
use blindroute_ring::{Prg, Seed, Tensor, fixed, marks, pack};
use std::hint::black_box;
use zeroize::{Zeroize, Zeroizing};

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

    /// Whether every value is a number that has a place in its ring: what a client asks before it shares. Integers are
    /// meant modulo their ring, so they need only be numbers.
    ///
    /// # Errors
    /// Which input holds one that is not; never the value.
    pub fn check(forms: &[Form], values: &[Tensor<f32>]) -> Result<(), Error> {
        for (input, (form, value)) in forms.iter().zip(values).enumerate() {
            let limit = match form.fraction {
                0 => f32::INFINITY,
                fraction => 2f32.powi(form.bits as i32 - 1 - fraction as i32),
            };
            // Sizes are ordered as the bits of their numbers, and those of what is no number are above infinity's. All values are
            // looked at, whichever is too large; that one is, the error tells.
            let largest = limit.to_bits() - 1;
            let beyond = |&x: &f32| largest.wrapping_sub(x.abs().to_bits()) >> 31;
            let fits = value.data().iter().fold(0, |any, x| any | beyond(x)) == 0;
            marks::public(std::slice::from_ref(&fits));
            // Read from where it was marked.
            if !*black_box(&fits) {
                return Err(Error::InputRange { input, bits: form.bits, fraction: form.fraction });
            }
        }
        Ok(())
    }

    /// The client's side: what party one gets, when party zero gets `seed`.
    ///
    /// # Errors
    /// If the values do not fit the forms. Their range is not looked at: see [`check`](Self::check).
    pub fn share(forms: &[Form], values: &[Tensor<f32>], seed: &Seed) -> Result<Vec<u8>, Error> {
        let mut prg = Prg::new(seed);
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::byte_len(forms)));
        if forms.len() != values.len() {
            return Err(Error::Program(format!("{} inputs were given, the program has {}", values.len(), forms.len())));
        }
        for (form, value) in forms.iter().zip(values) {
            if form.shape != value.shape() {
                return Err(Error::Shape { what: "input", expected: form.shape, found: value.shape() });
            }
            let mut share = Secret::new(Tensor::new(form.shape, prg.words::<u64>(form.shape.len())));
            for (word, &x) in share.expose_mut().data_mut().iter_mut().zip(value.data()) {
                *word = fixed::encode::<u64>(f64::from(x), form.fraction).wrapping_sub(*word);
            }
            pack::pack(share.expose().data(), form.bits, &mut bytes);
        }
        Ok(std::mem::take(&mut *bytes))
    }

    /// Party zero's shares.
    pub fn from_seed(forms: &[Form], seed: &Seed) -> Self {
        let mut prg = Prg::new(seed);
        Self {
            tensors: forms
                .iter()
                .map(|form| Some(Secret::new(Tensor::new(form.shape, prg.words(form.shape.len())))))
                .collect(),
        }
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
                    let words = pack::unpack::<u128>(&zero[range.clone()], form.shape.len(), form.bits);
                    let mut words = Secret::new(Tensor::new(form.shape, words));
                    pack::unpack_add(&one[range], form.bits, words.expose_mut().data_mut());
                    let decode = |&word: &u128| fixed::decode(word, form.bits, form.fraction);
                    output.values.push(words.expose().data().iter().map(decode).collect());
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

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_ring::Shape;

    #[test]
    fn case_16_what_is_no_number_or_too_large_is_not_shared() {
        let share = |form: Form, values: Vec<f32>| Inputs::check(&[form], &[Tensor::new(form.shape, values)]);
        let form = Form::new(Shape::row(2), 40, 16);
        assert!(share(form, vec![-8_388_607.0, 0.5]).is_ok());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 8_388_608.0, -1e30] {
            let refused = share(form, vec![0.5, bad]);
            assert!(matches!(refused, Err(Error::InputRange { input: 0, bits: 40, fraction: 16 })), "{bad}");
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("nothing was sent") && !said.contains(&bad.to_string()), "{said}");
        }
        // Integers are meant modulo their ring.
        let digits = Form::new(Shape::row(2), 5, 0);
        assert!(share(digits, vec![31.0, 33.0]).is_ok() && share(digits, vec![f32::NAN, 0.0]).is_err());
    }
}
