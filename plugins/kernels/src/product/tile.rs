//! The one shape of every matrix product: a tile of a few rows by one panel of packed numbers.
//!
//! | tile | format | products |
//! | --- | --- | --- |
//! | `lanes` | f32 | fused multiply-add, on any [`crate::Simd`] |
//! | `pairs` | bf16 | what AMX computes, on any [`crate::Simd`] |
//! | `plain` | int8 | the definition |
//! | `avx2` | int8 | `vpmaddwd` on widened numbers |
//! | `avx_vnni`, `avx512_vnni` | int8 | `vpdpbusd` |
//! | `amx` | int8, bf16 | `tdpbssd`, `tdpbf16ps` |

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod lanes;
mod pairs;
mod plain;

#[cfg(target_arch = "x86_64")]
pub(crate) use amx::{AmxBf16, AmxInt8, permitted as amx_is_permitted};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx_vnni::AvxVnniInt8;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2Int8;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512_vnni::Avx512VnniInt8;
pub(crate) use lanes::Lanes;
pub(crate) use pairs::Pairs;
pub(crate) use plain::PlainInt8;

use super::Format;

/// Sums of the largest tile: 32 rows by 32.
const SUMS_MAX: usize = 32 * 32;

/// Sums of the widest panel.
pub(crate) const WIDTH_MAX: usize = 32;

/// Rows of `depth` numbers that begin `stride` apart in `data`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, F> {
    pub data: &'a [F],
    pub stride: usize,
    pub depth: usize,
}

impl<F> Rows<'_, F> {
    /// Whether rows `first..first + count` lie in the data.
    #[inline(always)]
    pub fn has(&self, first: usize, count: usize) -> bool {
        count == 0 || self.data.len() >= (first + count - 1) * self.stride + self.depth
    }
}

/// Room for the sums of one tile.
#[repr(align(64))]
pub(crate) struct Sums<F: Format>(pub [F::Sum; SUMS_MAX]);

impl<F: Format> Default for Sums<F> {
    fn default() -> Self {
        Sums([F::Sum::default(); SUMS_MAX])
    }
}

/// Products of rows by one panel, for one instruction set.
///
/// A panel is (depth / `GROUP`, `WIDTH`, `GROUP`): for each group of numbers along the depth,
/// those of all `WIDTH` columns. A type that implements it is named only inside [`Format::run`],
/// after the processor was asked for the instructions; that is the reason of the `unsafe` blocks
/// that call them.
pub(crate) trait Tile<F: Format> {
    /// The most rows of one tile.
    const ROWS: usize;
    /// Columns of a panel.
    const WIDTH: usize;
    /// Numbers along the depth that lie side by side in a panel.
    const GROUP: usize;
    /// The depth must be a multiple of it.
    const STEP: usize = Self::GROUP;
    /// Rows in memory must be a multiple of it: what lies in those too many does not matter.
    const ROW_STEP: usize = 1;
    /// What was added to every number of the rows; `start` takes it off again.
    const OFFSET: i32 = 0;

    /// Before the first tile of a product.
    #[inline(always)]
    fn begin() {}

    /// Behind the last one.
    #[inline(always)]
    fn end() {}

    /// `sums[r][c] = start[c] + rows[first + r] · panel[c]` for `count` rows, `WIDTH` sums each.
    ///
    /// What a row's sums are does not depend on `count`.
    ///
    /// # Panics
    /// When rows, panel or sums are shorter than that takes
    fn multiply(
        rows: Rows<'_, F>,
        first: usize,
        count: usize,
        panel: &[F],
        start: &[F::Sum],
        sums: &mut Sums<F>,
    );
}

/// Where result rows go. A trait and not a closure, because only a method can be made to inline
/// everywhere, and what is not inlined is compiled without the instruction set.
pub(crate) trait Sink<X> {
    /// Takes the sums of row `row` from column `column` on, as many as a panel has columns;
    /// implementations are `#[inline(always)]`.
    fn put(&mut self, row: usize, column: usize, sums: &[X]);
}

/// Multiplies rows `first..end` by one panel, whose first column is `column`, and hands each
/// result to `sink`.
#[inline(always)]
pub(crate) fn by_panel<F: Format, T: Tile<F>>(
    rows: Rows<'_, F>,
    (first, end): (usize, usize),
    panel: &[F],
    start: &[F::Sum],
    sums: &mut Sums<F>,
    column: usize,
    sink: &mut impl Sink<F::Sum>,
) {
    for from in (first..end).step_by(T::ROWS) {
        let count = T::ROWS.min(end - from);
        T::multiply(rows, from, count, panel, start, sums);
        for (r, sums) in sums.0.chunks_exact(T::WIDTH).take(count).enumerate() {
            sink.put(from + r, column, sums);
        }
    }
}
