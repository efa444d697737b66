//! Which instruction set the products use: detected once, recorded, and open to be overruled.

use super::{MatrixLayout, PackedMatrix};
use crate::{Prg, Seed, Word};
use std::sync::OnceLock;

/// The variable that chooses a kernel.
const VARIABLE: &str = "BLINDROUTE_KERNEL";

/// An instruction set that a product can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// No instruction beyond what the program was compiled for; the oracle of the others.
    Portable,
    /// 256-bit vectors (x86-64-v3).
    Avx2,
    /// 512-bit vectors (AVX-512 F and DQ).
    Avx512,
    /// Tiles of bytes (AMX-INT8), if Linux lets the process use them.
    Amx,
}

impl Kernel {
    /// All of them, slowest first.
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// The kernels that this machine has, slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available()).collect()
    }

    /// Whether this machine has the kernel.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512dq"),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => super::amx::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Its name, as in `BLINDROUTE_KERNEL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    /// The fastest that this machine has and that gives the portable kernel's words.
    fn best() -> Self {
        let serves = |kernel: &Self| kernel.is_available() && kernel.agrees();
        Self::ALL.into_iter().rfind(serves).unwrap_or(Self::Portable)
    }

    /// Whether a small product of every word is the portable kernel's. A wrong product would be a wrong route, and a
    /// processor, an emulator or a hypervisor with a faulty extension is not to be told by its feature bits.
    fn agrees(self) -> bool {
        self.agrees_in::<u32>(32) && self.agrees_in::<u32>(27) && self.agrees_in::<u64>(64) && self.agrees_in::<u64>(44)
    }

    fn agrees_in<W: Word>(self, bits: u32) -> bool {
        // Ragged in every dimension, and long enough for more than one tile.
        let (rows, inner, columns) = (37, 70, 41);
        let seed = |last: u8| Seed::new([last; 16]);
        let (left, right) =
            (Prg::new(&seed(1)).words::<W>(rows * inner), Prg::new(&seed(2)).words::<W>(inner * columns));
        let product = |kernel: Self| {
            let packed = PackedMatrix::pack_with(kernel, &right, inner, columns, MatrixLayout::RowMajor, bits);
            let mut out = vec![W::ZERO; rows * columns];
            super::matmul(&left, &packed, &mut out);
            out.into_iter().map(move |word| word.low_bits(bits))
        };
        product(self).eq(product(Self::Portable))
    }
}

struct Choice {
    kernel: Kernel,
    name: String,
}

impl Choice {
    /// What `setting` of the variable comes to. A setting that cannot be followed is no fault: the best kernel is used,
    /// and the name says why.
    fn new(setting: Option<&str>) -> Self {
        let wanted = match setting.unwrap_or_default() {
            "" | "auto" => None,
            setting => Some((setting, Kernel::ALL.into_iter().find(|kernel| kernel.name() == setting))),
        };
        let best = Kernel::best();
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
        let best = Kernel::best();
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
        assert_eq!(choice.kernel, Kernel::best());
        assert!(choice.name.ends_with("(BLINDROUTE_KERNEL: no kernel is called \"mmx\")"), "{}", choice.name);
        for kernel in Kernel::ALL.into_iter().filter(|kernel| !kernel.is_available()) {
            let choice = Choice::new(Some(kernel.name()));
            assert_eq!(choice.kernel, Kernel::best());
            assert!(choice.name.contains("this machine has no"), "{}", choice.name);
        }
    }

    #[test]
    fn every_kernel_of_this_machine_agrees_with_the_portable_one() {
        assert!(Kernel::available().into_iter().all(Kernel::agrees));
    }

    #[test]
    fn portable_is_everywhere() {
        assert_eq!(Kernel::available()[0], Kernel::Portable);
        assert!(kernel().is_available());
        assert!(kernel_name().starts_with(kernel().name()));
    }
}
