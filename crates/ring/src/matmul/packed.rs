//! A right factor that is laid out for one kernel.

use super::kernel::Kernel;
use super::layout::MatrixLayout;
use super::multiply::{Elements, Multiply};
use super::panels::Panels;
use crate::Word;
use zeroize::{DefaultIsZeroes, Zeroize};

/// A right factor laid out for one kernel. It may hold shares: its `Debug` prints the shape only, and `zeroize` wipes it.
pub struct PackedMatrix<W> {
    inner: usize,
    columns: usize,
    bits: u32,
    kernel: Kernel,
    elements: Elements<W>,
}

impl<W> std::fmt::Debug for PackedMatrix<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedMatrix[{}, {}]", self.inner, self.columns)
    }
}

impl<W: DefaultIsZeroes> Zeroize for PackedMatrix<W> {
    /// Wipes the elements; what is left is the empty matrix.
    fn zeroize(&mut self) {
        match &mut self.elements {
            Elements::Panels(panels) => panels.zeroize(),
            #[cfg(target_arch = "x86_64")]
            Elements::Limbs(limbs) => limbs.zeroize(),
        }
        (self.inner, self.columns) = (0, 0);
    }
}

impl<W: Word + Multiply> PackedMatrix<W> {
    /// [`pack`](Self::pack) for one kernel, for tests and benches. `u128` has the portable kernel only, and gets it.
    ///
    /// # Panics
    /// As [`pack`](Self::pack), and if the machine has no such kernel ([`Kernel::available`]).
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
            return Self { inner, columns, bits, kernel, elements: Elements::Limbs(limbs) };
        }
        let kernel = match kernel {
            kernel if kernel == Kernel::Amx || W::BITS > 64 => Kernel::Portable,
            Kernel::Avx512Ifma if W::BITS != 64 || bits > 52 => Kernel::Avx512,
            kernel => kernel,
        };
        let elements = Elements::Panels(Panels::new(data, inner, columns, layout));
        Self { inner, columns, bits, kernel, elements }
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
        match &self.elements {
            Elements::Panels(panels) => panels.bytes(),
            #[cfg(target_arch = "x86_64")]
            Elements::Limbs(limbs) => limbs.bytes(),
        }
    }

    /// The elements, as the kernel reads them.
    pub(super) fn elements(&self) -> &Elements<W> {
        &self.elements
    }
}
