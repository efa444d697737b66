//! Packing by 256-bit vectors, in groups of 8 words: these begin and end with a byte, whatever the width.
//!
//! The bytes of a group are seen as halves of vectors, 4 words of `u32` or 2 of `u64` each. A half begins at a byte of
//! the stream, so its first word begins 0, 2, 4 or 6 bits into it, and it holds all its words if they are not wider than
//! [`serves`] says. Reading, each word's bytes are shuffled into its lane and shifted down. Writing, words are merged
//! pairwise until they fill halves; the byte that two halves share gets the bits of both before the later is stored.
#![allow(unsafe_code)]

use crate::Word;
use std::any::TypeId;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sllv_epi32, _mm256_sllv_epi64, _mm256_srli_epi64, _mm256_srlv_epi32, _mm256_srlv_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

/// Words of a group.
const GROUP: usize = 8;

/// Whether the width is served. Narrower words would need bits of three halves in a byte, wider ones halves of more bits;
/// of words that are themselves the lanes of vectors, the compiler's own code for whole bytes is as fast.
pub(super) fn serves<W: Word>(bits: u32) -> bool {
    let widest = match W::BITS {
        32 => 31,
        64 => 61,
        _ => 0,
    };
    (4..=widest).contains(&bits) && ![8, 16, 32].contains(&bits)
}

/// Packs words from the first on, as many as it can, and returns how many: a multiple of 8. The width is one that
/// [`serves`] names, and `out` of the length that all words need.
#[target_feature(enable = "avx2")]
pub(super) fn pack<W: Word>(words: &[W], bits: u32, out: &mut [u8]) -> usize {
    assert!(serves::<W>(bits), "{bits} bits");
    if let Some(words) = same::<W, u32>(words) {
        pack_u32(words.as_chunks().0, bits as usize, out) * GROUP
    } else if let Some(words) = same::<W, u64>(words) {
        pack_u64(words.as_chunks().0, bits as usize, out) * GROUP
    } else {
        0
    }
}

/// Reads words as [`pack`] writes them; replaces those of `words`, or is added to them.
#[target_feature(enable = "avx2")]
pub(super) fn unpack<W: Word, const ADD: bool>(bytes: &[u8], bits: u32, words: &mut [W]) -> usize {
    assert!(serves::<W>(bits), "{bits} bits");
    if let Some(words) = same_mut::<W, u32>(words) {
        unpack_u32::<ADD>(bytes, bits as usize, words.as_chunks_mut().0) * GROUP
    } else if let Some(words) = same_mut::<W, u64>(words) {
        unpack_u64::<ADD>(bytes, bits as usize, words.as_chunks_mut().0) * GROUP
    } else {
        0
    }
}

/// The slice, if its type is that.
fn same<A: 'static, B: 'static>(slice: &[A]) -> Option<&[B]> {
    // SAFETY: A and B are then the same type.
    (TypeId::of::<A>() == TypeId::of::<B>())
        .then(|| unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), slice.len()) })
}

/// The slice, if its type is that.
fn same_mut<A: 'static, B: 'static>(slice: &mut [A]) -> Option<&mut [B]> {
    // SAFETY: A and B are then the same type, and the slice is not used while the result is.
    (TypeId::of::<A>() == TypeId::of::<B>())
        .then(|| unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast(), slice.len()) })
}

/// How many groups of `bits` bytes can be read or written by 16 bytes from `last` bytes behind their start.
fn whole_groups(groups: usize, bits: usize, last: usize, len: usize) -> usize {
    len.checked_sub(last + 16).map_or(0, |room| groups.min(room / bits + 1))
}

/// Where the halves of a group begin, of `step` bits each: the byte, and the bit in it.
fn halves<const N: usize>(step: usize) -> [(usize, usize); N] {
    std::array::from_fn(|half| (half * step / 8, half * step % 8))
}

/// What merges 4 lanes of 64 bits, of which `width` count, into 2 halves of `2 · width` bits.
#[derive(Clone, Copy)]
struct Merge {
    first_up: __m256i,
    first_down: __m256i,
    second_up: __m256i,
    second_down: __m256i,
    /// Takes the byte that a half shares with the one before from that one.
    shared: __m256i,
}

impl Merge {
    /// For halves `(byte, bit)`, each with the byte where the one before begins.
    #[target_feature(enable = "avx2")]
    fn new(width: usize, halves: [(usize, usize); 2], before: [Option<usize>; 2]) -> Self {
        // Per half: what each 64 bits of it get of its two words. A shift by 64 leaves nothing.
        let mut counts = [[64u64; 4]; 4];
        let mut shared = [0x80u8; 32];
        for (half, (byte, bit)) in halves.into_iter().enumerate() {
            let (low, high) = (2 * half, 2 * half + 1);
            counts[0][low] = bit as u64;
            counts[1][high] = 64 - bit as u64;
            let second = (width + bit) as u64;
            if second < 64 {
                counts[2][low] = second;
                counts[3][high] = 64 - second;
            } else {
                counts[2][high] = second - 64;
            }
            if let Some(before) = before[half].filter(|_| bit > 0) {
                shared[16 * half] = (byte - before) as u8;
            }
        }
        let [first_up, first_down, second_up, second_down] = counts.map(|counts| {
            // SAFETY: both are 32 bytes of plain integers, for which every bit pattern is valid.
            unsafe { std::mem::transmute::<[u64; 4], __m256i>(counts) }
        });
        Self { first_up, first_down, second_up, second_down, shared: vector(shared) }
    }

    /// The halves of `words`, without the bits that the first shares with the one before.
    #[target_feature(enable = "avx2")]
    fn halves(&self, words: __m256i) -> __m256i {
        let (first, second) = (_mm256_unpacklo_epi64(words, words), _mm256_unpackhi_epi64(words, words));
        let first = _mm256_or_si256(_mm256_sllv_epi64(first, self.first_up), _mm256_srlv_epi64(first, self.first_down));
        let second =
            _mm256_or_si256(_mm256_sllv_epi64(second, self.second_up), _mm256_srlv_epi64(second, self.second_down));
        _mm256_or_si256(first, second)
    }

    /// The halves with the bits that they share with the ones before: those of `before` and their own first.
    #[target_feature(enable = "avx2")]
    fn share(&self, before: __m256i, halves: __m256i) -> __m256i {
        let before = _mm256_permute2x128_si256::<0x21>(before, halves);
        _mm256_or_si256(halves, _mm256_shuffle_epi8(before, self.shared))
    }
}

#[target_feature(enable = "avx2")]
fn pack_u32(groups: &[[u32; GROUP]], bits: usize, out: &mut [u8]) -> usize {
    let [first, second] = halves(4 * bits);
    let count = whole_groups(groups.len(), bits, second.0, out.len());
    let merge = Merge::new(2 * bits, [first, second], [None, Some(first.0)]);
    let mask = _mm256_set1_epi64x((1 << bits) - 1);
    let up = _mm256_set1_epi64x(bits as i64);
    for (group, words) in groups[..count].iter().enumerate() {
        // SAFETY: 8 words are 32 bytes, read without alignment.
        let words = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
        let odd = _mm256_and_si256(_mm256_srli_epi64::<32>(words), mask);
        let pairs = _mm256_or_si256(_mm256_and_si256(words, mask), _mm256_sllv_epi64(odd, up));
        let halves = merge.halves(pairs);
        let halves = merge.share(_mm256_setzero_si256(), halves);
        // SAFETY: `whole_groups` leaves 16 bytes from the last half of every group.
        unsafe { store(out, group * bits, [first.0, second.0], halves) };
    }
    count
}

#[target_feature(enable = "avx2")]
fn pack_u64(groups: &[[u64; GROUP]], bits: usize, out: &mut [u8]) -> usize {
    let [a, b, c, d] = halves(2 * bits);
    let count = whole_groups(groups.len(), bits, d.0, out.len());
    let lower = Merge::new(bits, [a, b], [None, Some(a.0)]);
    let upper = Merge::new(bits, [c, d], [Some(b.0), Some(c.0)]);
    let mask = _mm256_set1_epi64x((1 << bits) - 1);
    for (group, words) in groups[..count].iter().enumerate() {
        // SAFETY: 8 words are twice 32 bytes, read without alignment.
        let words = unsafe {
            [_mm256_loadu_si256(words.as_ptr().cast()), _mm256_loadu_si256(words[GROUP / 2..].as_ptr().cast())]
        };
        let first = lower.halves(_mm256_and_si256(words[0], mask));
        let second = upper.halves(_mm256_and_si256(words[1], mask));
        // SAFETY: `whole_groups` leaves 16 bytes from the last half of every group.
        unsafe {
            store(out, group * bits, [a.0, b.0], lower.share(_mm256_setzero_si256(), first));
            store(out, group * bits, [c.0, d.0], upper.share(first, second));
        }
    }
    count
}

/// Stores two halves, the later over what the earlier has behind its words.
///
/// # Safety
/// `out` has 16 bytes from `start` plus each place.
#[target_feature(enable = "avx2")]
unsafe fn store(out: &mut [u8], start: usize, places: [usize; 2], halves: __m256i) {
    debug_assert!(start + places[1] + 16 <= out.len());
    let out = out.as_mut_ptr();
    // SAFETY: that the bytes are there is required of the caller; they are written without alignment.
    unsafe {
        _mm_storeu_si128(out.add(start + places[0]).cast(), _mm256_castsi256_si128(halves));
        _mm_storeu_si128(out.add(start + places[1]).cast(), _mm256_extracti128_si256::<1>(halves));
    }
}

/// Two halves.
///
/// # Safety
/// `bytes` has 16 bytes from `start` plus each place.
#[target_feature(enable = "avx2")]
unsafe fn load(bytes: &[u8], start: usize, places: [usize; 2]) -> __m256i {
    debug_assert!(start + places[1] + 16 <= bytes.len());
    let bytes = bytes.as_ptr();
    // SAFETY: that the bytes are there is required of the caller; they are read without alignment.
    let half = |place: usize| -> __m128i { unsafe { _mm_loadu_si128(bytes.add(start + place).cast()) } };
    _mm256_set_m128i(half(places[1]), half(places[0]))
}

/// What brings words of `bits` bits from two halves into lanes.
#[derive(Clone, Copy)]
struct Split {
    /// A lane's bytes from that on which the word begins.
    bytes: __m256i,
    /// The byte behind them, which holds the end of a word that begins late in its first byte.
    behind: __m256i,
    /// Bits in front of the word.
    down: __m256i,
    /// Bits of it that `bytes` has.
    up: __m256i,
}

impl Split {
    /// For halves `(byte, bit)` and lanes of `size` bytes.
    #[target_feature(enable = "avx2")]
    fn new(bits: usize, halves: [(usize, usize); 2], size: usize) -> Self {
        let [mut bytes, mut behind] = [[0x80u8; 32]; 2];
        let [mut down, mut up] = [[0u8; 32]; 2];
        for (half, (_, bit)) in halves.into_iter().enumerate() {
            for word in 0..16 / size {
                let start = bit + word * bits;
                let lane = 16 * half + word * size;
                for byte in 0..size {
                    // Bytes of other halves hold no bit of the word.
                    bytes[lane + byte] = if start / 8 + byte < 16 { (start / 8 + byte) as u8 } else { 0x80 };
                }
                behind[lane] = if start / 8 + size < 16 { (start / 8 + size) as u8 } else { 0x80 };
                down[lane] = (start % 8) as u8;
                up[lane] = (8 * size - start % 8) as u8;
            }
        }
        Self { bytes: vector(bytes), behind: vector(behind), down: vector(down), up: vector(up) }
    }
}

#[target_feature(enable = "avx2")]
fn vector(bytes: [u8; 32]) -> __m256i {
    // SAFETY: both are 32 bytes of plain integers, for which every bit pattern is valid.
    unsafe { std::mem::transmute(bytes) }
}

macro_rules! unpack {
    ($name:ident, $word:ty, $set:ident, $add:ident, $down:ident, $up:ident, $vectors:literal) => {
        #[target_feature(enable = "avx2")]
        fn $name<const ADD: bool>(bytes: &[u8], bits: usize, groups: &mut [[$word; GROUP]]) -> usize {
            const LANES: usize = 32 / size_of::<$word>();
            let halves: [(usize, usize); 2 * $vectors] = halves(LANES / 2 * bits);
            let count = whole_groups(groups.len(), bits, halves[2 * $vectors - 1].0, bytes.len());
            let mut splits = [Split::new(bits, [halves[0], halves[1]], size_of::<$word>()); $vectors];
            for (vector, split) in splits.iter_mut().enumerate() {
                *split = Split::new(bits, [halves[2 * vector], halves[2 * vector + 1]], size_of::<$word>());
            }
            let mask = $set((<$word>::MAX >> (8 * size_of::<$word>() - bits)) as _);
            for (group, words) in groups[..count].iter_mut().enumerate() {
                for (vector, split) in splits.iter().enumerate() {
                    let places = [halves[2 * vector].0, halves[2 * vector + 1].0];
                    // SAFETY: `whole_groups` leaves 16 bytes from the last half of every group.
                    let halves = unsafe { load(bytes, group * bits, places) };
                    let mut value = _mm256_or_si256(
                        $down(_mm256_shuffle_epi8(halves, split.bytes), split.down),
                        $up(_mm256_shuffle_epi8(halves, split.behind), split.up),
                    );
                    let words = words[vector * LANES..][..LANES].as_mut_ptr();
                    // SAFETY: LANES words are 32 bytes, read and written without alignment.
                    unsafe {
                        if ADD {
                            value = $add(value, _mm256_loadu_si256(words.cast()));
                        }
                        _mm256_storeu_si256(words.cast(), _mm256_and_si256(value, mask));
                    }
                }
            }
            count
        }
    };
}

unpack!(unpack_u32, u32, _mm256_set1_epi32, _mm256_add_epi32, _mm256_srlv_epi32, _mm256_sllv_epi32, 1);
unpack!(unpack_u64, u64, _mm256_set1_epi64x, _mm256_add_epi64, _mm256_srlv_epi64, _mm256_sllv_epi64, 2);
