//! AVX-512.

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _CMP_NLT_UQ, _CMP_UNORD_Q, _mm_storeu_si128, _mm256_add_ps,
    _mm256_castpd_ps, _mm256_max_ps, _mm256_storeu_si256, _mm512_abs_ps, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_si512, _mm512_castps_pd, _mm512_castps_si512, _mm512_castps512_ps256,
    _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8, _mm512_cvtepi32_epi16,
    _mm512_cvtepi32_ps, _mm512_div_ps, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_mov_epi32, _mm512_maskz_mov_ps, _mm512_max_epu32,
    _mm512_max_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Avx2, Simd};

/// 512-bit registers.
pub struct Avx512;

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
    unsafe fn load_pairs(at: *const u16) -> [__m512; 2] {
        // SAFETY: the caller's promise; the processor has AVX-512 (see the trait).
        unsafe { halves(_mm512_loadu_si512(at.cast::<__m512i>())) }
    }

    #[inline(always)]
    unsafe fn splat_pair(at: *const u16) -> [__m512; 2] {
        // SAFETY: the caller's promise; the processor has AVX-512 (see the trait).
        unsafe { halves(_mm512_set1_epi32(at.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn read_ints(from: &[i32]) -> __m512 {
        let from = &from[..16];
        // SAFETY: `from` holds 16 values.
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.as_ptr().cast::<__m512i>())) }
    }

    #[inline(always)]
    fn store_bf16(v: __m512, to: &mut [u16]) {
        let to = &mut to[..16];
        // SAFETY: `to` holds 16 values.
        unsafe {
            let bits = _mm512_castps_si512(v);
            let upper = _mm512_srli_epi32::<16>(bits);
            let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half));
            let none = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            let rounded = _mm512_mask_mov_epi32(rounded, none, _mm512_set1_epi32(0x7fc0));
            let packed = _mm512_cvtepi32_epi16(rounded);
            _mm256_storeu_si256(to.as_mut_ptr().cast::<__m256i>(), packed);
        }
    }

    #[inline(always)]
    fn store_bytes(v: __m512, offset: i32, to: &mut [i8]) {
        let to = &mut to[..16];
        // SAFETY: `to` holds 16 values.
        unsafe {
            let bits = _mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(offset));
            let bytes = _mm512_cvtepi32_epi8(bits);
            _mm_storeu_si128(to.as_mut_ptr().cast::<__m128i>(), bytes);
        }
    }

    #[inline(always)]
    fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn abs(a: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn max_bits(a: __m512, b: __m512) -> __m512 {
        let (a, b) = (Self::abs(a), Self::abs(b));
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_max_epu32(a, b))
        }
    }

    #[inline(always)]
    fn sum(v: __m512) -> f32 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe {
            let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v));
            let upper = _mm256_castpd_ps(upper);
            Avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(v), upper))
        }
    }

    #[inline(always)]
    fn largest(v: __m512) -> f32 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe {
            let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v));
            let upper = _mm256_castpd_ps(upper);
            Avx2::largest(_mm256_max_ps(_mm512_castps512_ps256(v), upper))
        }
    }

    #[inline(always)]
    fn zero_below(x: __m512, limit: __m512, value: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, limit), value) }
    }

    #[inline(always)]
    fn power_of_two(v: __m512) -> __m512 {
        // SAFETY: the processor has AVX-512 (see the trait).
        unsafe {
            let biased = _mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
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

/// Pairs of bf16 as f32: their first numbers, and their second ones.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn halves(pairs: __m512i) -> [__m512; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        [
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, upper)),
        ]
    }
}
