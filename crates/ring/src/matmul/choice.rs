//! Which instruction set the products of this process use: detected once, and a variable can choose another.

use super::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, matmul};
use crate::{Prg, Seed};
use std::sync::OnceLock;

/// The variable that chooses a kernel.
const VARIABLE: &str = "BLINDROUTE_KERNEL";

impl<W: MatrixWord> PackedMatrix<W> {
    /// Packs `[inner, columns]` (or its transpose) for the process's kernel. Products by it are right modulo 2^`bits`, the
    /// width of the ring that the elements live in; what stands above, in the elements and in the product, is arbitrary.
    ///
    /// # Panics
    /// If there are not `inner · columns` elements, or the word has fewer than `bits` bits.
    pub fn pack(data: &[W], inner: usize, columns: usize, layout: MatrixLayout, bits: u32) -> Self {
        Self::pack_with(kernel(), data, inner, columns, layout, bits)
    }
}

/// The fastest that this machine has and that gives the portable kernel's words.
fn best() -> Kernel {
    let serves = |kernel: &Kernel| kernel.is_available() && agrees(*kernel);
    Kernel::ALL.into_iter().rfind(serves).unwrap_or(Kernel::Portable)
}

/// Whether a small product of every word is the portable kernel's. A wrong product would be a wrong route, and feature
/// bits do not say whether a processor, an emulator or a hypervisor has a faulty extension.
fn agrees(kernel: Kernel) -> bool {
    agrees_in::<u32>(kernel, 32)
        && agrees_in::<u32>(kernel, 27)
        && agrees_in::<u64>(kernel, 64)
        && agrees_in::<u64>(kernel, 44)
}

fn agrees_in<W: MatrixWord>(kernel: Kernel, bits: u32) -> bool {
    // Ragged in every dimension, and long enough for more than one tile.
    let (rows, inner, columns) = (37, 70, 41);
    let seed = |last: u8| Seed::new([last; 16]);
    let (left, right) = (Prg::new(&seed(1)).words::<W>(rows * inner), Prg::new(&seed(2)).words::<W>(inner * columns));
    let product = |kernel: Kernel| {
        let packed = PackedMatrix::pack_with(kernel, &right, inner, columns, MatrixLayout::RowMajor, bits);
        let mut out = vec![W::ZERO; rows * columns];
        matmul(&left, &packed, &mut out);
        out.into_iter().map(move |word| word.low_bits(bits))
    };
    product(kernel).eq(product(Kernel::Portable))
}
struct Choice {
    kernel: Kernel,
    name: String,
}

impl Choice {
    /// The choice that `setting` of the variable leads to. With a setting that cannot be followed the best kernel is used,
    /// and the name says why.
    fn new(setting: Option<&str>) -> Self {
        let wanted = match setting.unwrap_or_default() {
            "" | "auto" => None,
            setting => Some((setting, Kernel::ALL.into_iter().find(|kernel| kernel.name() == setting))),
        };
        let best = best();
        let (kernel, name) = match wanted {
            None => (best, best.name().to_owned()),
            Some((_, Some(kernel))) if kernel.is_available() => (kernel, format!("{} (by {VARIABLE})", kernel.name())),
            Some((_, Some(kernel))) => {
                (best, format!("{} ({VARIABLE}: this machine has no {})", best.name(), kernel.name()))
            }
            Some((setting, None)) => (best, format!("{} ({VARIABLE}: no kernel is called {setting:?})", best.name())),
        };
        Self { kernel, name }
    }
}

fn choice() -> &'static Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let setting = std::env::var_os(VARIABLE);
        Choice::new(setting.as_ref().map(|setting| setting.to_str().unwrap_or("not unicode")))
    })
}

/// The kernel that [`PackedMatrix::pack`](super::PackedMatrix::pack) packs for in this process.
pub fn kernel() -> Kernel {
    choice().kernel
}

/// The name of that kernel and, if it was not chosen freely, why: for logs.
pub fn kernel_name() -> &'static str {
    &choice().name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_followed_where_possible() {
        let best = best();
        assert_eq!(Choice::new(None).kernel, best);
        assert_eq!(Choice::new(Some("auto")).name, best.name());
        for kernel in Kernel::available() {
            let choice = Choice::new(Some(kernel.name()));
            assert_eq!((choice.kernel, choice.name), (kernel, format!("{} (by BLINDROUTE_KERNEL)", kernel.name())));
        }
    }

    #[test]
    fn an_unknown_setting_falls_back_and_says_so() {
        let choice = Choice::new(Some("mmx"));
        assert_eq!(choice.kernel, best());
        assert!(choice.name.ends_with("(BLINDROUTE_KERNEL: no kernel is called \"mmx\")"), "{}", choice.name);
        for kernel in Kernel::ALL.into_iter().filter(|kernel| !kernel.is_available()) {
            let choice = Choice::new(Some(kernel.name()));
            assert_eq!(choice.kernel, best());
            assert!(choice.name.contains("this machine has no"), "{}", choice.name);
        }
    }

    #[test]
    fn every_kernel_of_this_machine_agrees_with_the_portable_one() {
        assert!(Kernel::available().into_iter().all(agrees));
    }

    #[test]
    fn portable_is_everywhere() {
        assert_eq!(Kernel::available()[0], Kernel::Portable);
        assert!(kernel().is_available());
        assert!(kernel_name().starts_with(kernel().name()));
    }
}
