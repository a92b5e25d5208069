//! The one inner loop of every matrix product: a tile of a few rows by one panel.

use crate::Simd;

/// Values of the widest panel: two registers of 16.
pub(crate) const PANEL_MAX: usize = 32;

/// Rows of length `depth` that lie `stride` apart in `data`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub depth: usize,
}

/// Where result rows go. A trait and not a closure, because only a method can be made to inline
/// everywhere, and what is not inlined is compiled without the instruction set.
pub(crate) trait Sink {
    /// Takes the W values of result row `row`; implementations are `#[inline(always)]`.
    fn put(&mut self, row: usize, values: &mut [f32]);
}

/// Multiplies `count` rows from row `first` on by one panel, and hands each result row to `sink`.
///
/// `panel` is (depth, W) and `start` is (W), with W = 2 x `LANES`: result row r is
/// `start + sum over k of rows[r][k] * panel[k]`, summed in the order of k whatever `count` is.
#[inline(always)]
pub(crate) fn panel_product<S: Simd>(
    rows: Rows<'_>,
    first: usize,
    count: usize,
    panel: &[f32],
    start: &[f32],
    sink: &mut impl Sink,
) {
    let mut row = first;
    let end = first + count;
    while row < end {
        let take = S::ROWS.min(end - row);
        match take {
            1 => tile::<S, 1>(rows, row, panel, start, sink),
            2 => tile::<S, 2>(rows, row, panel, start, sink),
            3 => tile::<S, 3>(rows, row, panel, start, sink),
            4 => tile::<S, 4>(rows, row, panel, start, sink),
            5 => tile::<S, 5>(rows, row, panel, start, sink),
            6 => tile::<S, 6>(rows, row, panel, start, sink),
            7 => tile::<S, 7>(rows, row, panel, start, sink),
            8 => tile::<S, 8>(rows, row, panel, start, sink),
            9 => tile::<S, 9>(rows, row, panel, start, sink),
            10 => tile::<S, 10>(rows, row, panel, start, sink),
            11 => tile::<S, 11>(rows, row, panel, start, sink),
            _ => tile::<S, 12>(rows, row, panel, start, sink),
        }
        row += take.min(12);
    }
}

#[inline(always)]
fn tile<S: Simd, const R: usize>(
    rows: Rows<'_>,
    first: usize,
    panel: &[f32],
    start: &[f32],
    sink: &mut impl Sink,
) {
    let width = 2 * S::LANES;
    let x = &rows.data[first * rows.stride..];
    assert!(start.len() >= width && panel.len() >= rows.depth * width);
    assert!(x.len() >= (R - 1) * rows.stride + rows.depth);
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
    let mut row = [0.0; PANEL_MAX];
    for (r, sum) in sums.iter().enumerate() {
        S::store(sum[0], &mut row);
        S::store(sum[1], &mut row[S::LANES..]);
        sink.put(first + r, &mut row[..width]);
    }
}
