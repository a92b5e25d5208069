//! AVX2.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _CMP_LT_OQ, _CMP_UNORD_Q, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32,
    _mm_max_ps, _mm_max_ss, _mm_movehdup_ps, _mm_movehl_ps, _mm_storel_epi64, _mm_storeu_si128,
    _mm_unpacklo_epi32, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256,
    _mm256_andnot_ps, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_div_ps,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_max_epu32, _mm256_max_ps, _mm256_mul_ps, _mm256_packus_epi32,
    _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::Simd;

/// 256-bit registers with fused multiply-add.
pub struct Avx2;

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
    unsafe fn load_pairs(at: *const u16) -> [__m256; 2] {
        // SAFETY: the caller's promise; the processor has AVX2 (see the trait).
        unsafe { halves(_mm256_loadu_si256(at.cast::<__m256i>())) }
    }

    #[inline(always)]
    unsafe fn splat_pair(at: *const u16) -> [__m256; 2] {
        // SAFETY: the caller's promise; the processor has AVX2 (see the trait).
        unsafe { halves(_mm256_set1_epi32(at.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn read_ints(from: &[i32]) -> __m256 {
        let from = &from[..8];
        // SAFETY: `from` holds 8 values.
        unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.as_ptr().cast::<__m256i>())) }
    }

    #[inline(always)]
    fn store_bf16(v: __m256, to: &mut [u16]) {
        let to = &mut to[..8];
        // SAFETY: `to` holds 8 values.
        unsafe {
            let bits = _mm256_castps_si256(v);
            let upper = _mm256_srli_epi32::<16>(bits);
            let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
            let half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, half));
            let none = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v));
            let rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), none);
            let packed = _mm256_packus_epi32(rounded, rounded);
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            let packed = _mm256_castsi256_si128(packed);
            _mm_storeu_si128(to.as_mut_ptr().cast::<__m128i>(), packed);
        }
    }

    #[inline(always)]
    fn store_bytes(v: __m256, offset: i32, to: &mut [i8]) {
        let to = &mut to[..8];
        // SAFETY: `to` holds 8 values.
        unsafe {
            let bits = _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(offset));
            // The lowest byte of each lane, to the start of each half.
            let lowest = _mm256_setr_epi8(
                0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
            );
            let bytes = _mm256_shuffle_epi8(bits, lowest);
            let upper = _mm256_extracti128_si256::<1>(bytes);
            let both = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), upper);
            _mm_storel_epi64(to.as_mut_ptr().cast::<__m128i>(), both);
        }
    }

    #[inline(always)]
    fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn abs(a: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe {
            let magnitude = _mm256_set1_epi32(0x7fff_ffff);
            _mm256_and_ps(a, _mm256_castsi256_ps(magnitude))
        }
    }

    #[inline(always)]
    fn max_bits(a: __m256, b: __m256) -> __m256 {
        let (a, b) = (Self::abs(a), Self::abs(b));
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe {
            let (a, b) = (_mm256_castps_si256(a), _mm256_castps_si256(b));
            _mm256_castsi256_ps(_mm256_max_epu32(a, b))
        }
    }

    #[inline(always)]
    fn sum(v: __m256) -> f32 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe {
            let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
        }
    }

    #[inline(always)]
    fn largest(v: __m256) -> f32 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe {
            let half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)))
        }
    }

    #[inline(always)]
    fn zero_below(x: __m256, limit: __m256, value: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(x, limit), value) }
    }

    #[inline(always)]
    fn power_of_two(v: __m256) -> __m256 {
        // SAFETY: the processor has AVX2 (see the trait).
        unsafe {
            let biased = _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        }
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

/// Pairs of bf16 as f32: their first numbers, and their second ones.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn halves(pairs: __m256i) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let upper = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
        [
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs)),
            _mm256_castsi256_ps(_mm256_and_si256(pairs, upper)),
        ]
    }
}
