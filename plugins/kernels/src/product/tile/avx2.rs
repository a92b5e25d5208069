//! int8 with AVX2.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16,
    _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64,
    _mm256_setzero_si256, _mm256_storeu_si256,
};

use crate::product::tile::{Rows, Sums, Tile};

/// Eight columns. `vpmaddubsw`, which multiplies bytes, saturates its 16-bit sums; so both sides
/// are widened to 16 bits, and `vpmaddwd` sums pairs in 32, which is exact.
pub(crate) struct Avx2Int8;

const WIDTH: usize = 8;
const GROUP: usize = 4;
const ROWS: usize = 4;

impl Tile<i8> for Avx2Int8 {
    const ROWS: usize = ROWS;
    const WIDTH: usize = WIDTH;
    const GROUP: usize = GROUP;

    #[inline(always)]
    fn multiply(
        rows: Rows<'_, i8>,
        first: usize,
        count: usize,
        panel: &[i8],
        start: &[i32],
        sums: &mut Sums<i8>,
    ) {
        match count {
            1 => tile::<1>(rows, first, panel, start, sums),
            2 => tile::<2>(rows, first, panel, start, sums),
            3 => tile::<3>(rows, first, panel, start, sums),
            _ => tile::<ROWS>(rows, first, panel, start, sums),
        }
    }
}

#[inline(always)]
fn tile<const R: usize>(
    rows: Rows<'_, i8>,
    first: usize,
    panel: &[i8],
    start: &[i32],
    to: &mut Sums<i8>,
) {
    let groups = rows.depth / GROUP;
    assert!(start.len() >= WIDTH && panel.len() >= groups * WIDTH * GROUP);
    assert!(rows.has(first, R) && to.0.len() >= R * WIDTH);
    let x = &rows.data[first * rows.stride..];
    // SAFETY: the processor has AVX2 (see the trait). By the asserts above `panel` holds 32 bytes
    // for each group, `x` four for each of R rows, `start` and each row of `to` eight sums.
    unsafe {
        // Of each register, two sums a column, of four columns.
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        let mut at = panel.as_ptr();
        for group in 0..groups {
            let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast::<__m128i>()));
            let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.add(16).cast::<__m128i>()));
            at = at.add(WIDTH * GROUP);
            for (r, sum) in sums.iter_mut().enumerate() {
                let four = x.as_ptr().add(r * rows.stride + group * GROUP);
                let four = _mm_set1_epi32(four.cast::<i32>().read_unaligned());
                let factor = _mm256_cvtepi8_epi16(four);
                sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, factor));
                sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, factor));
            }
        }
        let start = _mm256_loadu_si256(start.as_ptr().cast::<__m256i>());
        for (r, sum) in sums.iter().enumerate() {
            // Columns 0 1 4 5 2 3 6 7, by quarters.
            let mixed = _mm256_hadd_epi32(sum[0], sum[1]);
            let inline = _mm256_permute4x64_epi64::<0b11_01_10_00>(mixed);
            let to = to.0.as_mut_ptr().add(r * WIDTH).cast::<__m256i>();
            _mm256_storeu_si256(to, _mm256_add_epi32(inline, start));
        }
    }
}
