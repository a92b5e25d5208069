//! Any other processor.

use super::{One, Simd};

/// Four lanes that the compiler maps to what registers there are.
pub struct Portable;

/// What each lane does.
type Lane = One<Portable>;

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
    unsafe fn load_pairs(at: *const u16) -> [[f32; 4]; 2] {
        // SAFETY: the caller's promise; any alignment will do.
        let pairs = unsafe { at.cast::<[[u16; 2]; 4]>().read_unaligned() };
        let widen = |which: usize| pairs.map(|pair| f32::from_bits(u32::from(pair[which]) << 16));
        [widen(0), widen(1)]
    }

    #[inline(always)]
    unsafe fn splat_pair(at: *const u16) -> [[f32; 4]; 2] {
        // SAFETY: the caller's promise.
        unsafe { Lane::load_pairs(at) }.map(|x| [x; 4])
    }

    #[inline(always)]
    fn read_ints(from: &[i32]) -> [f32; 4] {
        std::array::from_fn(|i| from[i] as f32)
    }

    #[inline(always)]
    fn store_bf16(v: [f32; 4], to: &mut [u16]) {
        for (to, x) in to[..4].iter_mut().zip(v) {
            Lane::store_bf16(x, std::slice::from_mut(to));
        }
    }

    #[inline(always)]
    fn store_bytes(v: [f32; 4], offset: i32, to: &mut [i8]) {
        for (to, x) in to[..4].iter_mut().zip(v) {
            Lane::store_bytes(x, offset, std::slice::from_mut(to));
        }
    }

    #[inline(always)]
    fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| Lane::max(a[i], b[i]))
    }

    #[inline(always)]
    fn abs(a: [f32; 4]) -> [f32; 4] {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn max_bits(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| Lane::max_bits(a[i], b[i]))
    }

    #[inline(always)]
    fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }

    #[inline(always)]
    fn largest(v: [f32; 4]) -> f32 {
        v.into_iter().fold(f32::NEG_INFINITY, Lane::max)
    }

    #[inline(always)]
    fn zero_below(x: [f32; 4], limit: [f32; 4], value: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| Lane::zero_below(x[i], limit[i], value[i]))
    }

    #[inline(always)]
    fn power_of_two(v: [f32; 4]) -> [f32; 4] {
        v.map(Lane::power_of_two)
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
