//! Kernels of f32, for the clear interpreter: matrix products, and functions element by element.
//!
//! As in [`mod@crate::matmul`], the workspace is compiled for the baseline of its architecture, and the kernel is chosen when the program
//! runs: the choice is that of the products in rings, [`Kernel`]. Kernels differ in rounding: those of vectors multiply and
//! add in one step.

mod map;
mod product;

pub use map::map;
pub use product::{product, product_with};

use crate::Kernel;

/// The vectors that a kernel of f32 may use.
enum Vectors {
    /// The baseline's.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Vectors {
    /// The widest that the kernel allows and the machine has.
    fn of(kernel: Kernel) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let narrow = Kernel::Avx2.is_available() && std::is_x86_feature_detected!("fma");
            match kernel {
                Kernel::Portable => {}
                Kernel::Avx2 if narrow => return Self::Avx2,
                Kernel::Avx2 => {}
                _ if Kernel::Avx512.is_available() => return Self::Avx512,
                _ if narrow => return Self::Avx2,
                _ => {}
            }
        }
        let _ = kernel;
        Self::Portable
    }
}
