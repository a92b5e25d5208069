//! Single numbers, so that what is written for registers is written once.

use std::marker::PhantomData;

use super::Simd;

/// One lane, with the rounding of `S`. A loop over it becomes vector code where the compiler finds
/// it.
pub(crate) struct One<S>(PhantomData<S>);

impl<S: Simd> Simd for One<S> {
    type V = f32;
    const LANES: usize = 1;
    const ROWS: usize = S::ROWS;

    #[inline(always)]
    fn splat(x: f32) -> f32 {
        x
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { at.read() }
    }

    #[inline(always)]
    fn read_ints(from: &[i32]) -> f32 {
        from[0] as f32
    }

    #[inline(always)]
    unsafe fn load_pairs(at: *const u16) -> [f32; 2] {
        // SAFETY: the caller's promise.
        let pair = unsafe { at.cast::<[u16; 2]>().read_unaligned() };
        pair.map(|half| f32::from_bits(u32::from(half) << 16))
    }

    #[inline(always)]
    unsafe fn splat_pair(at: *const u16) -> [f32; 2] {
        // SAFETY: the caller's promise.
        unsafe { Self::load_pairs(at) }
    }

    #[inline(always)]
    fn store(v: f32, to: &mut [f32]) {
        to[0] = v;
    }

    #[inline(always)]
    fn store_bf16(v: f32, to: &mut [u16]) {
        to[0] = crate::product::Bf16::round(v).0;
    }

    #[inline(always)]
    fn store_bytes(v: f32, offset: i32, to: &mut [i8]) {
        to[0] = v.to_bits().wrapping_add(offset.cast_unsigned()) as i8;
    }

    #[inline(always)]
    fn add(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    fn sub(a: f32, b: f32) -> f32 {
        a - b
    }

    #[inline(always)]
    fn mul(a: f32, b: f32) -> f32 {
        a * b
    }

    #[inline(always)]
    fn div(a: f32, b: f32) -> f32 {
        a / b
    }

    #[inline(always)]
    fn max(a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }

    #[inline(always)]
    fn abs(a: f32) -> f32 {
        a.abs()
    }

    #[inline(always)]
    fn max_bits(a: f32, b: f32) -> f32 {
        f32::from_bits(a.abs().to_bits().max(b.abs().to_bits()))
    }

    #[inline(always)]
    fn sum(v: f32) -> f32 {
        v
    }

    #[inline(always)]
    fn largest(v: f32) -> f32 {
        v
    }

    #[inline(always)]
    fn zero_below(x: f32, limit: f32, value: f32) -> f32 {
        if x < limit { 0.0 } else { value }
    }

    #[inline(always)]
    fn power_of_two(v: f32) -> f32 {
        f32::from_bits(v.to_bits().wrapping_add(127) << 23)
    }

    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        S::fma1(a, b, c)
    }

    #[inline(always)]
    fn fma1(a: f32, b: f32, c: f32) -> f32 {
        S::fma1(a, b, c)
    }
}
