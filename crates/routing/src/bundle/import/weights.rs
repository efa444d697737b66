//! Reading matrices by name from a published file of weights.

use std::collections::BTreeSet;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{
    error::ImportError,
    file_kind,
    names::{LAYERS, TOKEN_TABLE, is_leftover, older, published},
};
use crate::bundle::matrix::Matrix;

/// The tensors of one encoder, and the names of those that were not taken yet.
pub(super) struct Weights<'a> {
    file: SafeTensors<'a>,
    /// The prefix of every tensor's name, for instance `bert.`; often empty.
    prefix: String,
    waiting: BTreeSet<String>,
}

/// A tensor, and its name in the file.
pub(super) struct Taken {
    pub(super) name: String,
    pub(super) matrix: Matrix,
}

impl<'a> Weights<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        file_kind::check_weights(bytes)?;
        check_length(bytes)?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| ImportError::NotSafetensors(error.to_string()))?;
        let waiting: BTreeSet<String> = file.names().into_iter().map(str::to_owned).collect();
        let prefixes: Vec<String> = waiting
            .iter()
            .filter_map(|name| name.strip_suffix(TOKEN_TABLE))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .map(str::to_owned)
            .collect();
        match prefixes.as_slice() {
            [] => Err(ImportError::Missing { name: TOKEN_TABLE.to_owned() }),
            [prefix] => Ok(Self { file, prefix: prefix.clone(), waiting }),
            _ => Err(ImportError::SeveralEncoders { prefixes }),
        }
    }

    /// The number of layers.
    pub(super) fn layers(&self) -> usize {
        let names = self.waiting.iter().filter_map(|name| name.strip_prefix(&self.prefix)?.strip_prefix(LAYERS));
        let numbers = names.filter_map(|name| name.split('.').next()?.parse::<usize>().ok());
        numbers.max().map_or(0, |last| last.saturating_add(1))
    }

    /// Takes a tensor by its name in a bundle, with its published shape.
    pub(super) fn take(&mut self, name: &str, expected: &[usize]) -> Result<Taken, ImportError> {
        let published = published(name);
        let missing = || ImportError::Missing { name: format!("{}{published}", self.prefix) };
        let names = [Some(published.clone()), older(&published)];
        let found = names.into_iter().flatten().map(|name| format!("{}{name}", self.prefix));
        let name = found.into_iter().find(|name| self.waiting.contains(name)).ok_or_else(missing)?;
        let view = self.file.tensor(&name).map_err(|_| missing())?;
        self.waiting.remove(&name);
        if view.shape() != expected {
            return Err(ImportError::Shape { name, found: view.shape().to_vec(), expected: expected.to_vec() });
        }
        let (rows, columns) = match *expected {
            [rows, columns] => (rows, columns),
            _ => (1, expected.iter().product()),
        };
        let numbers = floats(&view)
            .ok_or_else(|| ImportError::NumberType { name: name.clone(), found: format!("{:?}", view.dtype()) })?;
        let matrix = Matrix::new(rows, columns, numbers).ok_or_else(|| ImportError::Missing { name: name.clone() })?;
        Ok(Taken { name, matrix })
    }

    /// The tensors that were not taken, if all of them are known not to belong to the encoder.
    ///
    /// # Errors
    /// If there is any other tensor.
    pub(super) fn leftovers(self) -> Result<Vec<String>, ImportError> {
        // Output layers of a task are stored beside the encoder, without its prefix.
        let known = |name: &String| is_leftover(name.strip_prefix(&self.prefix).unwrap_or(name)) || is_leftover(name);
        let (leftovers, unused): (Vec<String>, Vec<String>) = self.waiting.iter().cloned().partition(known);
        if unused.is_empty() { Ok(leftovers) } else { Err(ImportError::Unused { names: unused }) }
    }
}

/// Whether the file is as long as its own header says.
fn check_length(bytes: &[u8]) -> Result<(), ImportError> {
    let length = |expected: u64| match bytes.len() as u64 {
        found if found == expected => Ok(()),
        found => Err(ImportError::Length { found, expected }),
    };
    let broken = |problem: &str| ImportError::NotSafetensors(problem.to_owned());
    let (prefix, body) = bytes.split_first_chunk::<8>().ok_or_else(|| broken("it is shorter than 8 bytes"))?;
    let header = u64::from_le_bytes(*prefix);
    // The bound of the safetensors crate: a larger number is not the length of a header.
    if header > 100_000_000 || body.first().is_some_and(|first| *first != b'{') {
        return Err(broken("its first bytes are not those of one"));
    }
    let Some(header) = usize::try_from(header).ok().and_then(|header| body.get(..header)) else {
        return length(8 + header);
    };
    let json: serde_json::Value = serde_json::from_slice(header).map_err(|_| broken("its header is not JSON"))?;
    let ends = json.as_object().into_iter().flatten().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
    match ends.max().and_then(|end| end.checked_add(8 + header.len() as u64)) {
        Some(expected) => length(expected),
        None => Err(broken("its header names no tensor")),
    }
}

/// A tensor's numbers as f32, if their type is supported.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    let words = || data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
    match view.dtype() {
        Dtype::F32 => Some(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F64 => Some(data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        // The upper half of an f32.
        Dtype::BF16 => Some(words().map(|word| f32::from_bits(u32::from(word) << 16)).collect()),
        Dtype::F16 => Some(words().map(half).collect()),
        _ => None,
    }
}

/// The f32 of the same value as an IEEE half-precision number.
fn half(word: u16) -> f32 {
    let sign = u32::from(word & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(word >> 10 & 0x1f), u32::from(word & 0x3ff));
    let magnitude = match (exponent, fraction) {
        // Below 2^−14 halves are multiples of 2^−24.
        (0, _) => fraction as f32 * 2f32.powi(-24),
        (0x1f, 0) => f32::INFINITY,
        (0x1f, _) => f32::NAN,
        _ => f32::from_bits((exponent + 127 - 15) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_same_numbers() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0400, 2f32.powi(-14)),
            (0x03ff, 1023.0 * 2f32.powi(-24)),
            (0x8001, -(2f32.powi(-24))),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (word, value) in cases {
            assert_eq!(half(word).to_bits(), f32::to_bits(value), "{word:#06x}");
        }
        assert!(half(0x7c01).is_nan() && half(0xfe00).is_nan());
        // Between each two neighbours of one sign there is no gap and no step back.
        for word in 0..0x7bff {
            assert!(half(word) < half(word + 1) && half(word | 0x8000) > half((word + 1) | 0x8000), "{word:#06x}");
        }
    }
}
