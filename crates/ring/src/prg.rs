//! The pseudorandom generator: AES-128 in counter mode, one stream per seed.
//!
//! A dealer and a server expand the same seed, so the stream is part of the protocol: words are taken from its bytes in
//! little-endian order, whatever their width and however many are asked for at a time. The cipher picks the processor's
//! widest AES instructions by itself.

use crate::{Word, wipe};
use aes::Aes128;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroize;

/// Bytes of the buffer between a stream and the words: whole batches of the cipher, which does 8, 30 or 64 blocks at a time,
/// depending on the processor, and the remaining blocks one by one.
const BUFFER: usize = 960 * 16;

/// The seed of one stream: 128 uniform bits. Use a seed for one stream only.
///
/// Its bytes have one place on the heap, wiped on drop: moving a seed, into a thread for instance, leaves no copy behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Box<[u8; 16]>);

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Seed {
    /// A seed from bytes that came from the operating system, a key derivation or a test.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Box::new(bytes))
    }

    /// The bytes, to be sent to the party that shares the stream.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// A stream of pseudorandom words. Its key schedule is wiped on drop by the cipher, and on the heap, as a seed is: moving
/// a stream leaves no copy behind.
pub struct Prg {
    cipher: Box<ctr::Ctr128LE<Aes128>>,
}

impl std::fmt::Debug for Prg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prg(redacted)")
    }
}

impl Prg {
    /// The stream of `seed`.
    pub fn new(seed: &Seed) -> Self {
        Self { cipher: Box::new(ctr::Ctr128LE::<Aes128>::new(seed.expose().into(), &[0u8; 16].into())) }
    }

    /// The next bytes of the stream.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.cipher.write_keystream(bytes);
    }

    /// The next `count` words, each uniform over the whole word.
    pub fn words<W: Word>(&mut self, count: usize) -> Vec<W> {
        let mut words = vec![W::ZERO; count];
        self.fill_words(&mut words);
        words
    }

    /// The next `out.len()` words, each uniform over the whole word: the same as [`Prg::words`], in place.
    pub fn fill_words<W: Word>(&mut self, out: &mut [W]) {
        self.pass(out, |_, word| word);
    }

    /// Adds the next `out.len()` words to `out`.
    pub fn add_words<W: Word>(&mut self, out: &mut [W]) {
        self.pass(out, W::plus);
    }

    /// The sums of the next words of both streams: a value from the seeds of its shares, without a place for either.
    ///
    /// ```
    /// use blindroute_ring::{Prg, Seed};
    /// let (first, second) = (Seed::new([1; 16]), Seed::new([2; 16]));
    /// let mut sums = [0u32; 5];
    /// Prg::new(&first).fill_sum(&mut Prg::new(&second), &mut sums);
    /// assert_eq!(sums[4], Prg::new(&first).words::<u32>(5)[4].wrapping_add(Prg::new(&second).words::<u32>(5)[4]));
    /// ```
    pub fn fill_sum<W: Word>(&mut self, other: &mut Self, out: &mut [W]) {
        // The second stream is added while the first is still in the first-level cache.
        for part in out.chunks_mut(BUFFER / size_of::<W>()) {
            self.fill_words(part);
            other.add_words(part);
        }
    }

    /// Replaces each word by `f` of itself and the next word of the stream.
    #[inline(always)]
    fn pass<W: Word>(&mut self, out: &mut [W], f: impl Fn(W, W) -> W) {
        if size_of_val(out) <= BUFFER / 8 {
            self.pass_through::<W, { BUFFER / 8 }>(out, f);
        } else {
            self.pass_through::<W, BUFFER>(out, f);
        }
    }

    #[inline(always)]
    fn pass_through<W: Word, const SIZE: usize>(&mut self, out: &mut [W], f: impl Fn(W, W) -> W) {
        // The stream passes through a buffer that stays in the first-level cache: to write it into the words themselves
        // would take `unsafe`, and gain nothing that can be measured.
        let width = W::BITS as usize / 8;
        let mut buffer = [0u8; SIZE];
        for words in out.chunks_mut(SIZE / width) {
            let bytes = &mut buffer[..words.len() * width];
            self.fill_bytes(bytes);
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(width)) {
                *word = f(*word, W::read_le(bytes));
            }
        }
        wipe(&mut buffer[..(out.len() * width).min(SIZE)]);
    }

    /// A fresh seed from the stream, for a stream of its own.
    pub fn seed(&mut self) -> Seed {
        let mut seed = Seed::new([0; 16]);
        self.fill_bytes(&mut seed.0[..]);
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_counter_mode_keystream_of_the_standard() {
        // AES-128 of the all-zero block under the all-zero key (NIST AESAVS, GFSbox set, count 0 key).
        let mut prg = Prg::new(&Seed::new([0; 16]));
        assert_eq!(
            prg.words::<u128>(1)[0].to_le_bytes(),
            *b"\x66\xe9\x4b\xd4\xef\x8a\x2c\x3b\x88\x4c\xfa\x59\xca\x34\x2b\x2e"
        );
    }

    #[test]
    fn sums_of_streams_are_the_sums_of_their_words() {
        let (first, second) = (Seed::new([3; 16]), Seed::new([4; 16]));
        for len in [0, 1, 511, 512, 513, 5000] {
            let mut sums = vec![1; len];
            Prg::new(&first).fill_sum(&mut Prg::new(&second), &mut sums);
            let (a, b) = (Prg::new(&first).words::<u64>(len), Prg::new(&second).words::<u64>(len));
            assert!(sums.iter().zip(a.iter().zip(b)).all(|(sum, (a, b))| *sum == a.wrapping_add(b)), "{len} words");
        }
    }

    #[test]
    fn the_counter_is_little_endian_from_zero() {
        use aes::cipher::{BlockCipherEncrypt, KeyInit};
        let key = [5; 16];
        let cipher = Aes128::new(&key.into());
        // Beyond the widest batch of blocks that the cipher does at a time, and past a carry between the counter's bytes.
        for (counter, word) in (0u128..).zip(Prg::new(&Seed::new(key)).words::<u128>(700)) {
            let mut block = counter.to_le_bytes().into();
            cipher.encrypt_block(&mut block);
            assert_eq!(u128::from_le_bytes(block.into()), word, "block {counter}");
        }
    }

    #[test]
    fn words_of_any_width_cut_the_same_stream() {
        let seed = Seed::new([7; 16]);
        let narrow = Prg::new(&seed).words::<u32>(2000);
        let wide = Prg::new(&seed).words::<u64>(1000);
        for (pair, word) in narrow.chunks_exact(2).zip(wide) {
            assert_eq!(u64::from(pair[0]) | u64::from(pair[1]) << 32, word);
        }
    }

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_cut() {
        let seed = Seed::new([8; 16]);
        let whole = Prg::new(&seed).words::<u64>(1500);
        let mut prg = Prg::new(&seed);
        let mut parts = vec![0u64; 1500];
        let mut rest = &mut parts[..];
        for length in [0, 1, 2, 5, 300, 257, 1, 934] {
            let (now, later) = rest.split_at_mut(length);
            prg.fill_words(now);
            rest = later;
        }
        assert_eq!(parts, whole);
        let mut bytes = [0; 12];
        let mut prg = Prg::new(&seed);
        prg.fill_bytes(&mut bytes[..3]);
        prg.fill_bytes(&mut bytes[3..]);
        assert_eq!(u64::read_le(&bytes), whole[0]);
    }

    #[test]
    fn a_seed_does_not_print() {
        assert_eq!(format!("{:?}", Seed::new([9; 16])), "Seed(redacted)");
    }
}
