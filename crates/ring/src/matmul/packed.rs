//! The right factor as its kernel reads it: panels of 128 bytes of columns, each row after row, or for tiles
//! [`limbs`](super::limbs).
//!
//! A kernel works on one panel at a time and reads it from front to back, so every load is whole vectors of consecutive
//! words whatever the vector's width, and the last panel's missing columns are zeros instead of a special case.

#[cfg(target_arch = "x86_64")]
use super::limbs::Limbs;
use super::multiply::Multiply;
use super::{Kernel, kernel};
use crate::{Word, wipe_vec};
use zeroize::{DefaultIsZeroes, Zeroize};

/// How the elements of the right factor lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixLayout {
    /// `[inner, columns]`, row by row.
    RowMajor,
    /// The transpose: `[columns, inner]`, row by row.
    Transposed,
}

/// A right factor laid out for one kernel. It may hold shares: its `Debug` prints the shape only, and `zeroize` wipes it.
pub struct PackedMatrix<W> {
    inner: usize,
    columns: usize,
    bits: u32,
    kernel: Kernel,
    data: Data<W>,
}

enum Data<W> {
    /// `columns.div_ceil(PANEL)` panels of `inner · PANEL` words.
    Panels(Vec<W>),
    /// Panels of bytes.
    #[cfg(target_arch = "x86_64")]
    Limbs(Limbs),
}

impl<W> std::fmt::Debug for PackedMatrix<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedMatrix[{}, {}]", self.inner, self.columns)
    }
}

impl<W: DefaultIsZeroes> Zeroize for PackedMatrix<W> {
    /// Wipes the elements; what is left is the empty matrix.
    fn zeroize(&mut self) {
        match &mut self.data {
            Data::Panels(words) => wipe_vec(words),
            #[cfg(target_arch = "x86_64")]
            Data::Limbs(limbs) => limbs.zeroize(),
        }
        (self.inner, self.columns) = (0, 0);
    }
}

impl<W: Word> PackedMatrix<W> {
    /// Packs `[inner, columns]` (or its transpose) for the process's kernel. Products by it are right modulo 2^`bits`, the
    /// width of the ring that the elements live in; what stands above, in the elements and in the product, is arbitrary.
    ///
    /// # Panics
    /// If there are not `inner · columns` elements, or the word has fewer than `bits` bits.
    pub fn pack(data: &[W], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Self {
        Self::pack_with(kernel(), data, inner, columns, layout, bits)
    }

    /// [`pack`](Self::pack) for one kernel, for tests and benches. `u128` has the portable kernel only, and gets it.
    ///
    /// # Panics
    /// As [`pack`](Self::pack), or if the machine has no such kernel ([`Kernel::available`]).
    pub fn pack_with(
        kernel: Kernel,
        data: &[W],
        inner: usize,
        columns: usize,
        layout: MatrixLayout,
        bits: u32,
    ) -> Self {
        assert_eq!(data.len(), inner * columns, "a factor of {inner} by {columns}");
        assert!((1..=W::BITS).contains(&bits), "a ring of {bits} bits in words of {}", W::BITS);
        assert!(kernel.is_available(), "this machine has no kernel {}", kernel.name());
        #[cfg(target_arch = "x86_64")]
        if kernel == Kernel::Amx
            && let Some(limbs) = W::limbs(data, inner, columns, layout, bits)
        {
            return Self { inner, columns, bits, kernel, data: Data::Limbs(limbs) };
        }
        let kernel = if kernel == Kernel::Amx || W::BITS > 64 { Kernel::Portable } else { kernel };
        Self { inner, columns, bits, kernel, data: Data::Panels(panels(data, inner, columns, layout)) }
    }

    /// Rows of the factor.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Columns of the factor.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bits of the ring: products are right modulo 2^`bits`.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The kernel that it is packed for.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Bytes of memory that the elements take.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::Panels(words) => size_of_val(&words[..]),
            #[cfg(target_arch = "x86_64")]
            Data::Limbs(limbs) => limbs.bytes(),
        }
    }

    /// The panels, and the words of each.
    pub(super) fn panels(&self) -> impl Iterator<Item = &[W]> {
        let words = match &self.data {
            Data::Panels(words) => &words[..],
            #[cfg(target_arch = "x86_64")]
            Data::Limbs(_) => &[],
        };
        words.chunks_exact((self.inner * <W as Multiply>::PANEL).max(1))
    }

    /// The limbs, if it is packed for tiles.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn limbs(&self) -> Option<&Limbs> {
        match &self.data {
            Data::Panels(_) => None,
            Data::Limbs(limbs) => Some(limbs),
        }
    }
}

/// Packs panels of words.
fn panels<W: Word>(data: &[W], inner: usize, columns: usize, layout: MatrixLayout) -> Vec<W> {
    let panel = <W as Multiply>::PANEL;
    let mut packed = vec![W::ZERO; columns.div_ceil(panel) * panel * inner];
    // An empty factor has no panel, and `max` keeps the chunk's length above zero.
    for (index, words) in packed.chunks_exact_mut((inner * panel).max(1)).enumerate() {
        let first = index * panel;
        let width = panel.min(columns - first);
        match layout {
            MatrixLayout::RowMajor => {
                for (out, row) in words.chunks_exact_mut(panel).zip(data.chunks_exact(columns)) {
                    out[..width].copy_from_slice(&row[first..first + width]);
                }
            }
            MatrixLayout::Transposed => transpose(&data[first * inner..(first + width) * inner], inner, panel, words),
        }
    }
    packed
}

/// Writes `columns` of `inner` words each as a panel. Done in blocks, so that the lines written to stay in the cache.
fn transpose<W: Word>(columns: &[W], inner: usize, panel: usize, out: &mut [W]) {
    const BLOCK: usize = 16;
    for (block, out) in out.chunks_mut(BLOCK * panel).enumerate() {
        let start = block * BLOCK;
        for (index, column) in columns.chunks_exact(inner).enumerate() {
            for (row, &word) in out.chunks_exact_mut(panel).zip(&column[start..]) {
                row[index] = word;
            }
        }
    }
}
