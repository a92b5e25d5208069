//! One vector register, as each instruction set has it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod one;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use one::One;
pub(crate) use portable::Portable;

/// Operations on a register of `LANES` f32.
///
/// A type that implements it is named only inside [`crate::Isa::run`], after the processor was
/// asked for the instructions; that is the reason of every `unsafe` block below.
pub trait Simd {
    /// One register.
    type V: Copy;
    /// f32 in a register; a divisor of 16.
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
    /// The first `LANES` values.
    #[inline(always)]
    fn read(from: &[f32]) -> Self::V {
        assert!(from.len() >= Self::LANES);
        // SAFETY: the assert.
        unsafe { Self::load(from.as_ptr()) }
    }
    /// The first `LANES` whole numbers, each rounded to the nearest f32.
    fn read_ints(from: &[i32]) -> Self::V;
    /// Pairs of bf16, as many as lanes, from `at` on: their first numbers, and their second ones.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_pairs(at: *const u16) -> [Self::V; 2];
    /// One pair of bf16 at `at`: all lanes its first number, and all its second one.
    ///
    /// # Safety
    /// It must be readable.
    unsafe fn splat_pair(at: *const u16) -> [Self::V; 2];
    /// Writes the lanes to the start of `to`, which must hold them.
    fn store(v: Self::V, to: &mut [f32]);
    /// Writes the lanes rounded to bf16: the nearest, ties to even.
    fn store_bf16(v: Self::V, to: &mut [u16]);
    /// Writes the lowest byte of each lane's bits, with `offset` added.
    fn store_bytes(v: Self::V, offset: i32, to: &mut [i8]);
    /// `a + b`
    fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`
    fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `|a|`
    fn abs(a: Self::V) -> Self::V;
    /// The one of `|a|` and `|b|` whose bits are larger: one that is not finite, if any is.
    fn max_bits(a: Self::V, b: Self::V) -> Self::V;
    /// The sum of all lanes, of which each half is added to the other until one is left.
    fn sum(v: Self::V) -> f32;
    /// The largest of all lanes, none of which is NaN.
    fn largest(v: Self::V) -> f32;
    /// `if x < limit { 0 } else { value }`
    fn zero_below(x: Self::V, limit: Self::V, value: Self::V) -> Self::V;
    /// The power of 2 whose exponent is in the lowest 8 bits of each lane.
    fn power_of_two(v: Self::V) -> Self::V;
    /// `a * b + c`
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b + c` of single numbers, in one rounding where the processor has it.
    fn fma1(a: f32, b: f32, c: f32) -> f32;
}
