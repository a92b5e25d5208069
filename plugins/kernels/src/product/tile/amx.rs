//! int8 and bf16 with AMX, whose instructions stable Rust knows in inline assembly only.
//!
//! All eight tile registers are configured as 16 rows of 64 bytes: four hold the sums of 32 rows
//! by 32 columns, two the rows, two the panel, which is laid out as the instructions want it. A
//! row or panel takes as many bytes a step in both formats, so only the product itself differs.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

use crate::product::Bf16;
use crate::product::tile::{Rows, Sums, Tile};

/// Sums of products of bytes, both with sign.
pub(crate) struct AmxInt8;

/// Sums of products of bf16.
pub(crate) struct AmxBf16;

/// Columns of a panel, and rows of the largest tile.
const WIDTH: usize = 32;

/// Rows of one tile register.
const HALF: usize = 16;

/// Bytes of one row of a tile register.
const ROW_BYTES: usize = 64;

impl Tile<i8> for AmxInt8 {
    const ROWS: usize = WIDTH;
    const WIDTH: usize = WIDTH;
    const GROUP: usize = 4;
    const STEP: usize = ROW_BYTES;
    const ROW_STEP: usize = HALF;

    #[inline(always)]
    fn begin() {
        configure();
    }

    #[inline(always)]
    fn end() {
        release();
    }

    #[inline(always)]
    fn multiply(
        rows: Rows<'_, i8>,
        first: usize,
        count: usize,
        panel: &[i8],
        start: &[i32],
        sums: &mut Sums<i8>,
    ) {
        debug_assert!(start.iter().all(|sum| *sum == 0));
        let ends = check(rows, first, count, panel);
        // SAFETY: the processor has AMX (see the trait), `begin` was called, and by `check` all
        // rows of the tile and all of the panel can be read; `sums` holds 32 x 32.
        unsafe {
            if count > HALF {
                int8_by_32(ends, sums.0.as_mut_ptr().cast());
            } else {
                int8_by_16(ends, sums.0.as_mut_ptr().cast());
            }
        }
    }
}

impl Tile<Bf16> for AmxBf16 {
    const ROWS: usize = WIDTH;
    const WIDTH: usize = WIDTH;
    const GROUP: usize = 2;
    const STEP: usize = ROW_BYTES / size_of::<Bf16>();
    const ROW_STEP: usize = HALF;

    #[inline(always)]
    fn begin() {
        configure();
    }

    #[inline(always)]
    fn end() {
        release();
    }

    #[inline(always)]
    fn multiply(
        rows: Rows<'_, Bf16>,
        first: usize,
        count: usize,
        panel: &[Bf16],
        start: &[f32],
        sums: &mut Sums<Bf16>,
    ) {
        debug_assert!(start.iter().all(|sum| *sum == 0.0));
        let ends = check(rows, first, count, panel);
        // SAFETY: as for int8.
        unsafe {
            if count > HALF {
                bf16_by_32(ends, sums.0.as_mut_ptr().cast());
            } else {
                bf16_by_16(ends, sums.0.as_mut_ptr().cast());
            }
        }
    }
}

/// Where the operands of a tile begin.
#[derive(Clone, Copy)]
struct Ends {
    rows: *const u8,
    /// Bytes between two rows.
    stride: usize,
    panel: *const u8,
    /// Times 64 bytes of each row.
    steps: usize,
}

/// The tile's operands, checked to lie in memory with the rows that are too many.
#[inline(always)]
fn check<F>(rows: Rows<'_, F>, first: usize, count: usize, panel: &[F]) -> Ends {
    let bytes = rows.depth * size_of::<F>();
    assert!(count <= WIDTH && bytes > 0 && bytes.is_multiple_of(ROW_BYTES));
    assert!(rows.has(first, count.next_multiple_of(HALF)));
    assert!(panel.len() >= rows.depth * WIDTH);
    Ends {
        rows: rows.data[first * rows.stride..].as_ptr().cast(),
        stride: rows.stride * size_of::<F>(),
        panel: panel.as_ptr().cast(),
        steps: bytes / ROW_BYTES,
    }
}

/// 32 rows by 32 columns, and 16 rows by 32, by one product instruction.
macro_rules! tiles {
    ($by_32:ident, $by_16:ident, $product:literal) => {
        /// # Safety
        /// AMX is there and configured; 32 rows and the panel can be read, and 32 x 32 sums
        /// written.
        #[inline(always)]
        unsafe fn $by_32(ends: Ends, sums: *mut u8) {
            // SAFETY: the caller's promise. No other code uses tile registers.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{upper} + {stride}*1]",
                    "tileloadd tmm6, [{panel} + {line}*1]",
                    "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                    "tileloadd tmm5, [{lower} + {stride}*1]",
                    concat!($product, " tmm0, tmm4, tmm6"),
                    concat!($product, " tmm1, tmm4, tmm7"),
                    concat!($product, " tmm2, tmm5, tmm6"),
                    concat!($product, " tmm3, tmm5, tmm7"),
                    "add {upper}, 64",
                    "add {lower}, 64",
                    "add {panel}, 2048",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}*1], tmm0",
                    "tilestored [{sums} + {line}*1 + 64], tmm1",
                    "tilestored [{sums} + {line}*1 + 2048], tmm2",
                    "tilestored [{sums} + {line}*1 + 2112], tmm3",
                    upper = inout(reg) ends.rows => _,
                    lower = inout(reg) ends.rows.wrapping_add(HALF * ends.stride) => _,
                    stride = in(reg) ends.stride,
                    panel = inout(reg) ends.panel => _,
                    line = in(reg) 128usize,
                    steps = inout(reg) ends.steps => _,
                    sums = in(reg) sums,
                    options(nostack),
                );
            }
        }

        /// # Safety
        /// As for 32 rows, of which 16 are enough.
        #[inline(always)]
        unsafe fn $by_16(ends: Ends, sums: *mut u8) {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "2:",
                    "tileloadd tmm4, [{upper} + {stride}*1]",
                    "tileloadd tmm6, [{panel} + {line}*1]",
                    "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                    concat!($product, " tmm0, tmm4, tmm6"),
                    concat!($product, " tmm1, tmm4, tmm7"),
                    "add {upper}, 64",
                    "add {panel}, 2048",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}*1], tmm0",
                    "tilestored [{sums} + {line}*1 + 64], tmm1",
                    upper = inout(reg) ends.rows => _,
                    stride = in(reg) ends.stride,
                    panel = inout(reg) ends.panel => _,
                    line = in(reg) 128usize,
                    steps = inout(reg) ends.steps => _,
                    sums = in(reg) sums,
                    options(nostack),
                );
            }
        }
    };
}

tiles!(int8_by_32, int8_by_16, "tdpbssd");
tiles!(bf16_by_32, bf16_by_16, "tdpbf16ps");

/// The operand of `ldtilecfg`: palette 1, and of each register 64 bytes by 16 rows.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

#[inline(always)]
fn configure() {
    let at: *const Configuration = &CONFIGURATION;
    // SAFETY: the processor has AMX and the kernel permits it (see the trait); `at` is 64 bytes.
    unsafe { asm!("ldtilecfg [{at}]", at = in(reg) at, options(nostack, readonly)) }
}

/// Puts the registers back to their first state, so that the kernel need not save them when it
/// switches threads.
#[inline(always)]
fn release() {
    // SAFETY: as above.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// Whether the processor has AMX with both formats and the kernel lets this process use it, for
/// which it must be asked.
pub(crate) fn permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| has_amx() && ask_the_kernel())
}

fn has_amx() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    const ALL: u32 = BF16 | TILE | INT8;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & ALL == ALL
}

#[cfg(target_os = "linux")]
fn ask_the_kernel() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: a system call that changes nothing but what this process is permitted; the kernel
    // overwrites rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn ask_the_kernel() -> bool {
    false
}
