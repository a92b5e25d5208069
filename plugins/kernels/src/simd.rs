//! One vector register, as each instruction set has it.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

/// Operations on a register of `LANES` f32.
///
/// A type that implements it is named only inside [`super::Isa::run`], after the processor was
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

/// 512-bit registers.
#[cfg(target_arch = "x86_64")]
pub struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const ROWS: usize = 12;

    #[inline(always)]
    fn splat(x: f32) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: the caller's promise; any alignment will do.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[inline(always)]
    fn store(v: __m512, to: &mut [f32]) {
        let to = &mut to[..16];
        // SAFETY: `to` holds 16 values.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn fma1(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// 256-bit registers with fused multiply-add.
#[cfg(target_arch = "x86_64")]
pub struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(x: f32) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m256 {
        // SAFETY: the caller's promise; any alignment will do.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline(always)]
    fn store(v: __m256, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: `to` holds 8 values.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the processor has FMA (see the trait).
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn fma1(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Four lanes that the compiler maps to what registers there are.
pub struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> [f32; 4] {
        // SAFETY: the caller's promise; any alignment will do.
        unsafe { at.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    fn store(v: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&v);
    }

    #[inline(always)]
    fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn fma1(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
