//! The kernel of tiles (Intel AMX): 32 rows by 32 columns of byte products, 4 tiles of sums in the 8 tile registers.
//!
//! The compiler's intrinsics for tiles are not stable yet, so the instructions stand in inline assembly: one piece sets the
//! shapes, one multiplies a whole run of a chain ([`limbs`](super::limbs)), one gives the registers back. The compiler
//! itself never uses tiles, so nothing between the pieces touches them.
//!
//! Two rows of tiles by two columns need a load for each multiplication, and leave four of the latter independent of each
//! other: a load takes 8 cycles and a multiplication 16, so four of them cover its latency of 52.
#![allow(unsafe_code)]

use super::layout::MatrixLayout;
use super::limbs::{BLOCK, LimbWord, Limbs, Line, Run, SIDE, Tiles, Vectors, product, wide};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Whether the processor has tiles of bytes and the system lets this process use them. Asks the system once: the
/// permission is the process's, threads that run already included.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        // The vectors are those that every processor with tiles has.
        std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("xsave")
            && has_tiles()
            && permission()
    })
}

/// Whether the processor has AMX-TILE and AMX-INT8, and the system saves tiles.
fn has_tiles() -> bool {
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    const STATE: u64 = 1 << 17 | 1 << 18;
    #[allow(unused_unsafe, reason = "compilers before 1.94 hold the call for unsafe")]
    // SAFETY: every x86-64 processor has CPUID; the second call's leaf is there, as the first one says.
    let features = unsafe { if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 } };
    // SAFETY: the caller has seen XSAVE, enabled by the system, which is what reading this register needs.
    features & TILE != 0 && features & INT8 != 0 && unsafe { _xgetbv(0) } & STATE == STATE
}

/// Asks Linux for the use of tiles (`arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`).
#[cfg(target_os = "linux")]
fn permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    let status: i64;
    // SAFETY: the call takes two numbers and changes nothing but what the process may use; `syscall` itself overwrites
    // the three registers named.
    unsafe {
        asm!(
            "syscall", inout("rax") ARCH_PRCTL => status, in("rdi") 0x1023, in("rsi") 18,
            lateout("rcx") _, lateout("r11") _, options(nostack)
        );
    }
    status == 0
}

#[cfg(not(target_os = "linux"))]
fn permission() -> bool {
    false
}

/// Fills in a right factor.
pub(super) fn fill<W: LimbWord>(limbs: &mut Limbs, data: &[W], layout: MatrixLayout) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn vectorised<W: LimbWord>(vectors: &Registers, limbs: &mut Limbs, data: &[W], layout: MatrixLayout) {
        limbs.fill(vectors, data, layout);
    }
    let registers = Registers::new();
    // SAFETY: there are registers only where `is_available` has seen the processor's AVX-512 F, BW, DQ and VL.
    unsafe { vectorised(&registers, limbs, data, layout) }
}

/// `out = left · right`; the inner dimension is not empty.
pub(super) fn multiply<W: LimbWord>(left: &[W], right: &Limbs, out: &mut [W]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn vectorised<W: LimbWord>(tiles: &mut Registers, left: &[W], right: &Limbs, out: &mut [W]) {
        product(tiles, left, right, out);
    }
    let mut registers = Registers::new();
    // SAFETY: there are registers only where `is_available` has seen the processor's AVX-512 F, BW, DQ and VL.
    unsafe { vectorised(&mut registers, left, right, out) }
}

/// The tile registers of this thread, for the length of one product: dropping them gives them back, so that the system
/// need not save 8 KiB more whenever the thread pauses.
struct Registers {
    /// Rows that their shapes are set for; none at first.
    rows: usize,
    /// They are this thread's.
    _thread: PhantomData<*const ()>,
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Registers {
    fn new() -> Self {
        assert!(is_available(), "tiles");
        Self { rows: 0, _thread: PhantomData }
    }

    /// Sets the shapes for blocks of `rows` rows: tiles 0 to 3 are sums, 4 and 5 the left factor's upper and lower rows, 6
    /// and 7 two panels. Fewer rows take fewer cycles.
    fn shape(&mut self, rows: usize) {
        // The lower tiles of a block without lower rows are not used, but must have a shape.
        let [upper, lower] = [rows.min(SIDE) as u8, rows.saturating_sub(SIDE).max(1) as u8];
        let mut shapes = Shapes { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(64);
        shapes.rows[..8].copy_from_slice(&[upper, upper, lower, lower, upper, lower, SIDE as u8, SIDE as u8]);
        // SAFETY: there are registers only where the processor has tiles and the system lets us use them. The
        // instruction reads the 64 bytes of `shapes`, whose shapes are of palette 1: 8 tiles of at most 16 rows of 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, preserves_flags, readonly)) };
        self.rows = rows;
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: there are registers only where the processor has tiles and the system lets us use them.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

macro_rules! vectors {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Vectors for Registers {
            $(
                #[inline(always)]
                fn $name(&self, $($argument: $type),*) -> $result {
                    // SAFETY: there are registers only where `is_available` has seen the processor's AVX-512 F.
                    unsafe { wide::$name($($argument),*) }
                }
            )*
        }
    };
}

vectors! {
    halves(lines: [Line; 2]) -> [Line; 2];
    exchange(lines: [Line; 4]) -> [Line; 4];
    transpose(tile: &[Line; SIDE]) -> [Line; SIDE];
    sum32(lines: &[&Line], lowest: usize) -> Line;
    sum64(lines: &[&Line], lowest: usize) -> [Line; 2];
}

/// A run: `$zero`, then `$step` for each step, then `$store`.
macro_rules! run {
    ($run:ident, [$($zero:literal)*] [$($step:literal)*] [$($store:literal)*]) => {
        // The pointers advance past what is read, but for the last step's end: plain arithmetic in registers.
        asm!(
            $($zero,)*
            "2:",
            $($step,)*
            "add {left}, 2048",
            "add {first}, 1024",
            "add {second}, 1024",
            "dec {steps}",
            "jnz 2b",
            $($store,)*
            left = inout(reg) $run.left.as_ptr() => _,
            first = inout(reg) $run.right[0].as_ptr() => _,
            second = inout(reg) $run.right[1].as_ptr() => _,
            steps = inout(reg) $run.steps => _,
            sums = in(reg) $run.sums.as_mut_ptr(),
            line = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack)
        )
    };
}

impl Tiles for Registers {
    #[inline(always)]
    fn multiply(&mut self, run: Run<'_>) {
        assert!(run.steps > 0 && (1..=BLOCK).contains(&run.rows), "a block of {} rows", run.rows);
        assert_eq!(run.left.len(), run.steps * BLOCK, "the left factor's lines");
        assert!(run.right.iter().all(|lines| lines.len() == run.steps * SIDE), "the right factor's lines");
        const { assert!(BLOCK * size_of::<Line>() == 2048 && SIDE * size_of::<Line>() == 1024) };
        if self.rows != run.rows {
            self.shape(run.rows);
        }
        // SAFETY, for the four of them: there are registers only where the processor has tiles and the system lets us use
        // them, and `shape` has given each tile that is used at most 16 rows of 64 bytes. Each of `steps` > 0 steps reads
        // up to 32 lines of the left factor and 16 of each panel, which are there as asserted above; the stores write up to
        // 16 lines each, at 0, 16, 32 and 48 of the 64 lines of `sums`, which nothing else borrows.
        match (run.rows > SIDE, run.two_panels) {
            // SAFETY: see above.
            (true, true) => unsafe {
                run!(run,
                    ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"]
                    ["tileloadd tmm4, [{left} + {line}*1]"
                     "tileloadd tmm6, [{first} + {line}*1]"
                     "tdpbuud tmm0, tmm4, tmm6"
                     "tileloadd tmm7, [{second} + {line}*1]"
                     "tdpbuud tmm1, tmm4, tmm7"
                     "tileloadd tmm5, [{left} + {line}*1 + 1024]"
                     "tdpbuud tmm2, tmm5, tmm6"
                     "tdpbuud tmm3, tmm5, tmm7"]
                    ["tilestored [{sums} + {line}*1], tmm0"
                     "tilestored [{sums} + {line}*1 + 1024], tmm1"
                     "tilestored [{sums} + {line}*1 + 2048], tmm2"
                     "tilestored [{sums} + {line}*1 + 3072], tmm3"]
                );
            },
            // SAFETY: see above.
            (false, true) => unsafe {
                run!(run,
                    ["tilezero tmm0" "tilezero tmm1"]
                    ["tileloadd tmm4, [{left} + {line}*1]"
                     "tileloadd tmm6, [{first} + {line}*1]"
                     "tdpbuud tmm0, tmm4, tmm6"
                     "tileloadd tmm7, [{second} + {line}*1]"
                     "tdpbuud tmm1, tmm4, tmm7"]
                    ["tilestored [{sums} + {line}*1], tmm0"
                     "tilestored [{sums} + {line}*1 + 1024], tmm1"]
                );
            },
            // SAFETY: see above.
            (true, false) => unsafe {
                run!(run,
                    ["tilezero tmm0" "tilezero tmm2"]
                    ["tileloadd tmm4, [{left} + {line}*1]"
                     "tileloadd tmm6, [{first} + {line}*1]"
                     "tdpbuud tmm0, tmm4, tmm6"
                     "tileloadd tmm5, [{left} + {line}*1 + 1024]"
                     "tdpbuud tmm2, tmm5, tmm6"]
                    ["tilestored [{sums} + {line}*1], tmm0"
                     "tilestored [{sums} + {line}*1 + 2048], tmm2"]
                );
            },
            // SAFETY: see above.
            (false, false) => unsafe {
                run!(run,
                    ["tilezero tmm0"]
                    ["tileloadd tmm4, [{left} + {line}*1]"
                     "tileloadd tmm6, [{first} + {line}*1]"
                     "tdpbuud tmm0, tmm4, tmm6"]
                    ["tilestored [{sums} + {line}*1], tmm0"]
                );
            },
        }
    }
}
