//! The instruction sets that products can use.

/// An instruction set that a product can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// No instruction beyond what the program was compiled for; the others are tested against it.
    Portable,
    /// 256-bit vectors (x86-64-v3).
    Avx2,
    /// 512-bit vectors (AVX-512 F and DQ).
    Avx512,
    /// The same, and products of 52 bits in one operation (AVX-512 IFMA), for 64-bit words in rings of up to 52 bits.
    Avx512Ifma,
    /// Tiles of bytes (AMX-INT8), if Linux lets the process use them.
    Amx,
}

impl Kernel {
    /// All of them, slowest first.
    pub(super) const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Ifma, Self::Amx];

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
            Self::Avx512Ifma => Self::Avx512.is_available() && std::is_x86_feature_detected!("avx512ifma"),
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
            Self::Avx512Ifma => "avx512ifma",
            Self::Amx => "amx",
        }
    }
}
