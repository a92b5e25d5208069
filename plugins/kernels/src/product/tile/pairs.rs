//! bf16 as AMX multiplies it, in f32 registers.

use std::marker::PhantomData;

use crate::Simd;
use crate::product::Bf16;
use crate::product::tile::{Rows, Sums, Tile};

/// Two registers of sums a row, to the bits of `tdpbf16ps`: along 32 numbers the products of even
/// and odd positions are summed apart, each from 0 and by fused multiply-add; then both sums are
/// added to each other, and that to what was there. (AMX takes numbers too small for the normal
/// range as 0; they are not, here.)
///
/// # Source
/// Intel, Architecture Instruction Set Extensions Programming Reference, `TDPBF16PS`
pub(crate) struct Pairs<S>(PhantomData<S>);

/// Pairs that AMX sums before it adds.
const STEP_PAIRS: usize = 16;

impl<S: Simd> Tile<Bf16> for Pairs<S> {
    // Two sums apart for each register of the result.
    const ROWS: usize = if S::ROWS > 6 { 6 } else { 2 };
    const WIDTH: usize = 2 * S::LANES;
    const GROUP: usize = 2;
    const STEP: usize = 2 * STEP_PAIRS;

    #[inline(always)]
    fn multiply(
        rows: Rows<'_, Bf16>,
        first: usize,
        count: usize,
        panel: &[Bf16],
        start: &[f32],
        sums: &mut Sums<Bf16>,
    ) {
        match count {
            1 => tile::<S, 1>(rows, first, panel, start, sums),
            2 => tile::<S, 2>(rows, first, panel, start, sums),
            3 => tile::<S, 3>(rows, first, panel, start, sums),
            4 => tile::<S, 4>(rows, first, panel, start, sums),
            5 => tile::<S, 5>(rows, first, panel, start, sums),
            _ => tile::<S, 6>(rows, first, panel, start, sums),
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const R: usize>(
    rows: Rows<'_, Bf16>,
    first: usize,
    panel: &[Bf16],
    start: &[f32],
    to: &mut Sums<Bf16>,
) {
    let (width, pairs) = (2 * S::LANES, rows.depth / 2);
    assert!(start.len() >= width && panel.len() >= pairs * 2 * width);
    assert!(rows.has(first, R) && pairs.is_multiple_of(STEP_PAIRS));
    let x = &rows.data[first * rows.stride..];
    let mut sums: [[S::V; 2]; R];
    // SAFETY: the asserts above: `start` holds two registers, `panel` `2 * width` numbers for each
    // pair, and `x` both numbers of every pair of R rows.
    unsafe {
        sums = [[
            S::load(start.as_ptr()),
            S::load(start.as_ptr().add(S::LANES)),
        ]; R];
        let mut at = panel.as_ptr().cast::<u16>();
        let rows_at = x.as_ptr().cast::<u16>();
        for step in (0..pairs).step_by(STEP_PAIRS) {
            let mut even = [[S::splat(0.0); 2]; R];
            let mut odd = [[S::splat(0.0); 2]; R];
            for pair in step..step + STEP_PAIRS {
                let left = S::load_pairs(at);
                let right = S::load_pairs(at.add(2 * S::LANES));
                at = at.add(2 * width);
                for r in 0..R {
                    let [low, high] = S::splat_pair(rows_at.add(r * rows.stride + 2 * pair));
                    even[r][0] = S::fma(left[0], low, even[r][0]);
                    even[r][1] = S::fma(right[0], low, even[r][1]);
                    odd[r][0] = S::fma(left[1], high, odd[r][0]);
                    odd[r][1] = S::fma(right[1], high, odd[r][1]);
                }
            }
            for r in 0..R {
                for side in 0..2 {
                    let both = S::add(even[r][side], odd[r][side]);
                    sums[r][side] = S::add(sums[r][side], both);
                }
            }
        }
    }
    for (sum, to) in sums.iter().zip(to.0.chunks_exact_mut(width)) {
        S::store(sum[0], to);
        S::store(sum[1], &mut to[S::LANES..]);
    }
}
