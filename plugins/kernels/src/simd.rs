//! One vector register, as each instruction set has it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// Operations on a register of `LANES` f32.
///
/// A type that implements it is named only inside [`crate::Isa::run`], after the processor was
/// asked for the instructions; that is the reason of every `unsafe` block below.
pub trait Simd {
    /// One register.
    type V: Copy;
    /// f32 in a register.
    const LANES: usize;
    /// Rows of a matrix tile two registers wide: as many as leave no register unused.
    const ROWS: usize;

    /// All lanes `x`.
    fn splat(x: f32) -> Self::V;
    /// The `LANES` values from `at` on.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load(at: *const f32) -> Self::V;
    /// Writes the lanes to the start of `to`, which must hold them.
    fn store(v: Self::V, to: &mut [f32]);
    /// `a * b + c`
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b + c` of single numbers, in one rounding where the processor has it.
    fn fma1(a: f32, b: f32, c: f32) -> f32;
}
