//! f32 by fused multiply-add.

use std::marker::PhantomData;

use crate::Simd;
use crate::product::tile::{Rows, Sums, Tile};

/// Two registers of sums a row. `start + sum over k of rows[r][k] * panel[k]` is summed in the
/// order of k, so all instruction sets with fused multiply-add give the same bits.
pub(crate) struct Lanes<S>(PhantomData<S>);

impl<S: Simd> Tile<f32> for Lanes<S> {
    const ROWS: usize = S::ROWS;
    const WIDTH: usize = 2 * S::LANES;
    const GROUP: usize = 1;

    #[inline(always)]
    fn multiply(
        rows: Rows<'_, f32>,
        first: usize,
        count: usize,
        panel: &[f32],
        start: &[f32],
        sums: &mut Sums<f32>,
    ) {
        match count {
            1 => tile::<S, 1>(rows, first, panel, start, sums),
            2 => tile::<S, 2>(rows, first, panel, start, sums),
            3 => tile::<S, 3>(rows, first, panel, start, sums),
            4 => tile::<S, 4>(rows, first, panel, start, sums),
            5 => tile::<S, 5>(rows, first, panel, start, sums),
            6 => tile::<S, 6>(rows, first, panel, start, sums),
            7 => tile::<S, 7>(rows, first, panel, start, sums),
            8 => tile::<S, 8>(rows, first, panel, start, sums),
            9 => tile::<S, 9>(rows, first, panel, start, sums),
            10 => tile::<S, 10>(rows, first, panel, start, sums),
            11 => tile::<S, 11>(rows, first, panel, start, sums),
            _ => tile::<S, 12>(rows, first, panel, start, sums),
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const R: usize>(
    rows: Rows<'_, f32>,
    first: usize,
    panel: &[f32],
    start: &[f32],
    to: &mut Sums<f32>,
) {
    let width = 2 * S::LANES;
    assert!(start.len() >= width && panel.len() >= rows.depth * width);
    assert!(rows.has(first, R));
    let x = &rows.data[first * rows.stride..];
    let mut sums: [[S::V; 2]; R];
    // SAFETY: the asserts above: `start` holds two registers, `panel` two for each k below
    // `depth`, and `x` every index `r * stride + k` with r < R and k < depth. Checking each index
    // inside the loop costs a third of the speed.
    unsafe {
        sums = [[
            S::load(start.as_ptr()),
            S::load(start.as_ptr().add(S::LANES)),
        ]; R];
        let mut at = panel.as_ptr();
        for k in 0..rows.depth {
            let (left, right) = (S::load(at), S::load(at.add(S::LANES)));
            at = at.add(width);
            for (r, sum) in sums.iter_mut().enumerate() {
                let factor = S::splat(*x.get_unchecked(r * rows.stride + k));
                sum[0] = S::fma(left, factor, sum[0]);
                sum[1] = S::fma(right, factor, sum[1]);
            }
        }
    }
    for (sum, to) in sums.iter().zip(to.0.chunks_exact_mut(width)) {
        S::store(sum[0], to);
        S::store(sum[1], &mut to[S::LANES..]);
    }
}
