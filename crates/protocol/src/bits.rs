//! Planes of bits: one bit per element and plane, 64 in a word.

use crate::error::Error;
use crate::linear::Structure;
use blindroute_ring::{reserve_wiped, wipe};

/// `planes` bit vectors of `len` bits each. Wiped on drop, for it mostly holds shares; `Debug` prints the size only.
#[derive(Clone, PartialEq, Eq)]
pub struct BitTensor {
    planes: usize,
    len: usize,
    words: Vec<u64>,
}

impl std::fmt::Debug for BitTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BitTensor[{} planes of {}](redacted)", self.planes, self.len)
    }
}

impl Drop for BitTensor {
    fn drop(&mut self) {
        wipe(&mut self.words);
    }
}

impl BitTensor {
    /// Words that one plane of `len` bits takes.
    pub const fn stride(len: usize) -> usize {
        len.div_ceil(64)
    }

    /// All zero.
    pub fn zeros(planes: usize, len: usize) -> Self {
        Self { planes, len, words: vec![0; planes * Self::stride(len)] }
    }

    /// From the planes' words, each plane padded to whole words.
    ///
    /// # Errors
    /// If there are not exactly as many words as the planes take.
    pub fn from_words(planes: usize, len: usize, words: Vec<u64>) -> Result<Self, Error> {
        if words.len() != planes * Self::stride(len) {
            return Err(Error::Program(format!("{} words for {planes} planes of {len} bits", words.len())));
        }
        Ok(Self { planes, len, words })
    }

    /// One plane whose bit `i` is `bit(i)`.
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Self {
        let mut tensor = Self::zeros(1, len);
        for (index, word) in tensor.words.iter_mut().enumerate() {
            let start = index * 64;
            for offset in 0..64.min(len - start) {
                *word |= u64::from(bit(start + offset)) << offset;
            }
        }
        tensor
    }

    /// Number of planes.
    pub fn planes(&self) -> usize {
        self.planes
    }

    /// Bits of a plane.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a plane has no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words of plane `plane`.
    pub fn plane(&self, plane: usize) -> &[u64] {
        let stride = Self::stride(self.len);
        &self.words[plane * stride..(plane + 1) * stride]
    }

    /// The words of plane `plane`, mutable.
    pub fn plane_mut(&mut self, plane: usize) -> &mut [u64] {
        let stride = Self::stride(self.len);
        &mut self.words[plane * stride..(plane + 1) * stride]
    }

    /// One plane alone.
    pub fn only(&self, plane: usize) -> Self {
        let mut one = Self::zeros(1, self.len);
        one.plane_mut(0).copy_from_slice(self.plane(plane));
        one
    }

    /// All words, plane after plane.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All words, mutable.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Sets what lies beyond the last bit of each plane to zero.
    pub(crate) fn clear_padding(&mut self) {
        let (stride, used) = (Self::stride(self.len), self.len % 64);
        if used > 0 {
            self.words.chunks_exact_mut(stride).for_each(|plane| plane[stride - 1] &= (1 << used) - 1);
        }
    }

    /// Bit `index` of plane `plane`, 0 or 1.
    #[inline(always)]
    pub fn get(&self, plane: usize, index: usize) -> u64 {
        self.words[plane * Self::stride(self.len) + index / 64] >> (index % 64) & 1
    }

    /// Adds `other` modulo 2.
    ///
    /// # Errors
    /// If the sizes differ.
    pub fn xor_assign(&mut self, other: &BitTensor) -> Result<(), Error> {
        if (self.planes, self.len) != (other.planes, other.len) {
            return Err(Error::Program("exclusive or of bit tensors of different sizes".into()));
        }
        for (word, &other) in self.words.iter_mut().zip(&other.words) {
            *word ^= other;
        }
        Ok(())
    }

    /// The bits of every plane at the structure's indices.
    ///
    /// # Errors
    /// For structures that are not a pure rearrangement.
    pub fn restructure(&self, structure: &Structure) -> Result<Self, Error> {
        match structure {
            Structure::Reshape(_) => Ok(self.clone()),
            Structure::Gather(shape, indices) => {
                let mut out = Self::zeros(self.planes, shape.len());
                for plane in 0..self.planes {
                    let gathered = Self::from_fn(shape.len(), |i| match indices[i] {
                        Structure::NOTHING => false,
                        index => self.get(plane, index) == 1,
                    });
                    out.plane_mut(plane).copy_from_slice(&gathered.words);
                }
                Ok(out)
            }
            _ => Err(Error::Program("bits can only be reshaped and gathered".into())),
        }
    }

    /// The bytes of an exchange: whole words, little-endian.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        reserve_wiped(bytes, self.words.len() * 8);
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// Bytes that `planes` planes of `len` bits take in an exchange or in material.
    pub const fn byte_len(planes: usize, len: usize) -> usize {
        planes * Self::stride(len) * 8
    }

    /// Reads what [`BitTensor::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the length is not that of the planes.
    pub fn from_bytes(planes: usize, len: usize, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::byte_len(planes, len) {
            return Err(Error::MaterialMismatch { expected: "whole planes of bits" });
        }
        let words = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        Self::from_words(planes, len, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_ring::Shape;

    #[test]
    fn bits_go_to_bytes_and_back() {
        let bits = BitTensor::from_fn(70, |i| i % 3 == 0);
        let mut bytes = Vec::new();
        bits.to_bytes(&mut bytes);
        assert_eq!(bytes.len(), BitTensor::byte_len(1, 70));
        assert_eq!(BitTensor::from_bytes(1, 70, &bytes).unwrap(), bits);
        assert!(BitTensor::from_bytes(1, 70, &bytes[1..]).is_err());
    }

    #[test]
    fn gather_takes_bits_and_zeros() {
        let bits = BitTensor::from_fn(3, |i| i != 1);
        let indices = [2, 1, Structure::NOTHING, 0].into();
        let gathered = bits.restructure(&Structure::Gather(Shape::row(4), indices)).unwrap();
        assert_eq!((0..4).map(|i| gathered.get(0, i)).collect::<Vec<_>>(), [1, 0, 0, 1]);
    }
}
