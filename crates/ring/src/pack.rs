//! Words of a narrow ring as bytes: `bits` bits each, little-endian, without gaps.
//!
//! This is the wire format of every opening, so its cost is paid per element and per message. Widths of whole bytes are
//! straight copies; for the others, word `i` starts `i · bits mod 8` bits into a byte and is read by one unaligned load.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod tests;

use crate::lanes::combine_with;
use crate::{Kernel, Word, matmul, reserve_wiped};

/// Bytes that `count` words of `bits` bits take.
pub const fn packed_len(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Calls `$copy::<W, N>` for a width of `N` whole bytes, and `$shift` for any other.
macro_rules! by_width {
    ($bits:ident, $copy:ident($($argument:expr),*), $shift:expr) => {
        match $bits {
            8 => $copy::<W, 1>($($argument),*),
            16 => $copy::<W, 2>($($argument),*),
            24 => $copy::<W, 3>($($argument),*),
            32 => $copy::<W, 4>($($argument),*),
            40 => $copy::<W, 5>($($argument),*),
            48 => $copy::<W, 6>($($argument),*),
            56 => $copy::<W, 7>($($argument),*),
            64 => $copy::<W, 8>($($argument),*),
            72 => $copy::<W, 9>($($argument),*),
            80 => $copy::<W, 10>($($argument),*),
            88 => $copy::<W, 11>($($argument),*),
            96 => $copy::<W, 12>($($argument),*),
            104 => $copy::<W, 13>($($argument),*),
            112 => $copy::<W, 14>($($argument),*),
            120 => $copy::<W, 15>($($argument),*),
            128 => $copy::<W, 16>($($argument),*),
            _ => $shift,
        }
    };
}

/// Words that are packed at a time: bytes that were just zeroed, and words that were just added, are still in the
/// first-level cache. A multiple of 8, so that a part ends with a byte.
const PART: usize = 2048;

/// Appends the low `bits` bits of each word to `bytes`; `bits <= 128`. If they have to grow, the old memory is wiped.
pub fn pack<W: Word>(words: &[W], bits: u32, bytes: &mut Vec<u8>) {
    pack_with(matmul::kernel(), words, bits, bytes);
}

/// [`pack`] by a kernel, or by the portable one where the machine has not that kernel.
pub fn pack_with<W: Word>(kernel: Kernel, words: &[W], bits: u32, bytes: &mut Vec<u8>) {
    assert!(bits <= 128, "a word has no {bits} bits");
    reserve_wiped(bytes, packed_len(words.len(), bits));
    for part in words.chunks(PART) {
        append(kernel, part, bits, bytes);
    }
}

/// Adds the masks to `words`, keeps the low `bits` bits and appends these to `bytes`: how an opening is sent.
///
/// ```
/// let (mut shares, mut bytes) = ([0xFFu32, 2, 3], Vec::new());
/// blindroute_ring::pack::pack_sum(&mut shares, &[2, 0, 1], 4, &mut bytes);
/// assert_eq!((shares, bytes), ([1, 2, 4], vec![0x21, 0x04]));
/// ```
///
/// # Panics
/// If there are not as many masks as words.
pub fn pack_sum<W: Word>(words: &mut [W], masks: &[W], bits: u32, bytes: &mut Vec<u8>) {
    pack_sum_with(matmul::kernel(), words, masks, bits, bytes);
}

/// [`pack_sum`] by a kernel, or by the portable one where the machine has not that kernel.
pub fn pack_sum_with<W: Word>(kernel: Kernel, words: &mut [W], masks: &[W], bits: u32, bytes: &mut Vec<u8>) {
    assert!(bits <= 128, "a word has no {bits} bits");
    assert_eq!(masks.len(), words.len(), "masks of the words");
    reserve_wiped(bytes, packed_len(words.len(), bits));
    let low = W::MAX.low_bits(bits);
    for (part, masks) in words.chunks_mut(PART).zip(masks.chunks(PART)) {
        combine_with(kernel, part, [masks], [] as [&[W]; 0], |word, [mask], []| word.plus(mask).bit_and(low));
        append(kernel, part, bits, bytes);
    }
}

fn append<W: Word>(kernel: Kernel, words: &[W], bits: u32, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + packed_len(words.len(), bits), 0);
    let out = &mut bytes[start..];
    let done = write_groups(kernel, words, bits, out);
    let (words, out) = (&words[done..], &mut out[packed_len(done, bits)..]);
    by_width!(bits, copy_out(words, out), shift_out(words, bits, out));
}

/// Packs words from the first on by vectors, and returns how many: a multiple of 8.
fn write_groups<W: Word>(kernel: Kernel, words: &[W], bits: u32, out: &mut [u8]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_vectors::<W>(kernel, bits) {
        // SAFETY: `has_vectors` has seen the processor's AVX2.
        return unsafe { avx2::pack(words, bits, out) };
    }
    let _ = (kernel, words, bits, out);
    0
}

/// Reads `count` words of `bits` bits; bits above are zero.
///
/// # Panics
/// If `bytes` is not exactly [`packed_len`] long: check a message's length before.
pub fn unpack<W: Word>(bytes: &[u8], count: usize, bits: u32) -> Vec<W> {
    unpack_with(matmul::kernel(), bytes, count, bits)
}

/// [`unpack`] by a kernel, or by the portable one where the machine has not that kernel.
///
/// # Panics
/// As [`unpack`].
pub fn unpack_with<W: Word>(kernel: Kernel, bytes: &[u8], count: usize, bits: u32) -> Vec<W> {
    // Checked before the allocation, which must not follow an unchecked length.
    check_length(bytes, count, bits);
    let mut words = vec![W::ZERO; count];
    let done = read_groups::<W, false>(kernel, bytes, bits, &mut words);
    join(&bytes[packed_len(done, bits)..], bits, &mut words[done..], |_, read| read);
    words
}

/// Adds the packed words to `own` and keeps the low `bits` bits: an opening's `m = own + peer`, in one pass.
///
/// # Panics
/// If `bytes` is not exactly [`packed_len`] of `own` long: check a message's length before.
pub fn unpack_add<W: Word>(bytes: &[u8], bits: u32, own: &mut [W]) {
    unpack_add_with(matmul::kernel(), bytes, bits, own);
}

/// [`unpack_add`] by a kernel, or by the portable one where the machine has not that kernel.
///
/// # Panics
/// As [`unpack_add`].
pub fn unpack_add_with<W: Word>(kernel: Kernel, bytes: &[u8], bits: u32, own: &mut [W]) {
    check_length(bytes, own.len(), bits);
    let mask = W::MAX.low_bits(bits);
    let done = read_groups::<W, true>(kernel, bytes, bits, own);
    let add = |own: W, read| own.plus(read).bit_and(mask);
    join(&bytes[packed_len(done, bits)..], bits, &mut own[done..], add);
}

/// Reads words from the first on by vectors, and returns how many: a multiple of 8.
fn read_groups<W: Word, const ADD: bool>(kernel: Kernel, bytes: &[u8], bits: u32, words: &mut [W]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_vectors::<W>(kernel, bits) {
        // SAFETY: `has_vectors` has seen the processor's AVX2.
        return unsafe { avx2::unpack::<W, ADD>(bytes, bits, words) };
    }
    let _ = (kernel, bytes, bits, words);
    0
}

/// Whether vectors serve the width. They are those of AVX2 also where there are wider ones: messages go to the network
/// and come from it slower than this.
fn has_vectors<W: Word>(kernel: Kernel, bits: u32) -> bool {
    #[cfg(target_arch = "x86_64")]
    return kernel != Kernel::Portable && Kernel::Avx2.is_available() && avx2::serves::<W>(bits);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (kernel, bits);
        false
    }
}

fn check_length(bytes: &[u8], count: usize, bits: u32) {
    assert!(bits <= 128, "a word has no {bits} bits");
    assert_eq!(bytes.len(), packed_len(count, bits), "{count} words of {bits} bits");
}

/// Replaces each word by `f` of itself and the packed word.
#[inline(always)]
fn join<W: Word>(bytes: &[u8], bits: u32, words: &mut [W], f: impl Fn(W, W) -> W) {
    by_width!(bits, copy_in(bytes, words, f), shift_in(bytes, bits, words, f));
}

/// The low `N` bytes of each word.
fn copy_out<W: Word, const N: usize>(words: &[W], out: &mut [u8]) {
    for (word, out) in words.iter().zip(out.as_chunks_mut::<N>().0) {
        out.copy_from_slice(&word.widen().to_le_bytes()[..N]);
    }
}

/// Words of `N` bytes each.
#[inline(always)]
fn copy_in<W: Word, const N: usize>(bytes: &[u8], words: &mut [W], f: impl Fn(W, W) -> W) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<N>().0) {
        let mut whole = [0; 16];
        whole[..N].copy_from_slice(bytes);
        *word = f(*word, W::from_u128(u128::from_le_bytes(whole)));
    }
}

/// Any width, through an accumulator of 64 bits that is written out whenever it is full.
fn shift_out<W: Word>(words: &[W], bits: u32, out: &mut [u8]) {
    let mut filled = 0; // Bytes written.
    let mut pending: u64 = 0;
    let mut held: u32 = 0; // Bits in `pending`, always below 64.
    // `value` has no bits above `width`, and 1 <= width <= 64.
    let mut push = |value: u64, width: u32| {
        pending |= value << held;
        held += width;
        if held >= 64 {
            out[filled..filled + 8].copy_from_slice(&pending.to_le_bytes());
            filled += 8;
            held -= 64;
            pending = value.checked_shr(width - held).unwrap_or(0);
        }
    };
    if bits == 0 {
        return;
    } else if bits < 64 {
        let mask = u64::MAX >> (64 - bits);
        words.iter().for_each(|word| push(word.low_u64() & mask, bits));
    } else {
        let mask = u64::MAX >> (128 - bits);
        for word in words {
            push(word.low_u64(), 64);
            push((word.widen() >> 64) as u64 & mask, bits - 64);
        }
    }
    let rest = &mut out[filled..];
    let length = rest.len();
    rest.copy_from_slice(&pending.to_le_bytes()[..length]);
}

/// Any width: one unaligned load of at least `bits` bits and the up to 7 bits in front of them.
#[inline(always)]
fn shift_in<W: Word>(bytes: &[u8], bits: u32, words: &mut [W], f: impl Fn(W, W) -> W) {
    let width = bits as usize;
    let positions = (0..words.len()).map(|index| index * width);
    if bits == 0 {
        words.iter_mut().for_each(|word| *word = f(*word, W::ZERO));
    } else if bits <= 57 {
        let mask = u64::MAX >> (64 - bits);
        for (word, position) in words.iter_mut().zip(positions) {
            let value = (u64::from_le_bytes(load(bytes, position / 8)) >> (position % 8)) & mask;
            *word = f(*word, W::from_u128(u128::from(value)));
        }
    } else {
        // At most 121 bits come from the first load, so the last 7 are fetched apart.
        let mask = u128::MAX >> (128 - bits);
        for (word, position) in words.iter_mut().zip(positions) {
            let mut value = u128::from_le_bytes(load(bytes, position / 8)) >> (position % 8);
            if bits > 121 && position % 8 != 0 {
                let [last] = load(bytes, position / 8 + 16);
                value |= u128::from(last) << (128 - position % 8);
            }
            *word = f(*word, W::from_u128(value & mask));
        }
    }
}

/// `N` bytes from `start`; those behind the end are zero.
#[inline(always)]
fn load<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut whole = [0; N];
            whole[..rest.len()].copy_from_slice(rest);
            whole
        }
    }
}
