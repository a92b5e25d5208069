//! int8 with AVX-512 VNNI.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512,
};

use crate::product::tile::{Rows, Sums, Tile};

/// Two registers of 16 sums a row. `vpdpbusd` takes one side without sign, so rows have 128 added.
pub(crate) struct Avx512VnniInt8;

const LANES: usize = 16;
const WIDTH: usize = 2 * LANES;
const GROUP: usize = 4;
const ROWS: usize = 12;

impl Tile<i8> for Avx512VnniInt8 {
    const ROWS: usize = ROWS;
    const WIDTH: usize = WIDTH;
    const GROUP: usize = GROUP;
    const OFFSET: i32 = 128;

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
            4 => tile::<4>(rows, first, panel, start, sums),
            5 => tile::<5>(rows, first, panel, start, sums),
            6 => tile::<6>(rows, first, panel, start, sums),
            7 => tile::<7>(rows, first, panel, start, sums),
            8 => tile::<8>(rows, first, panel, start, sums),
            9 => tile::<9>(rows, first, panel, start, sums),
            10 => tile::<10>(rows, first, panel, start, sums),
            11 => tile::<11>(rows, first, panel, start, sums),
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
    // SAFETY: the processor has AVX-512 VNNI (see the trait). By the asserts above `panel` holds
    // two registers for each group, `x` four bytes for each of R rows, `start` and each row of
    // `to` two registers of sums.
    unsafe {
        let load = |at: *const i8| _mm512_loadu_si512(at.cast::<__m512i>());
        let starts = [
            load(start.as_ptr().cast()),
            load(start.as_ptr().add(LANES).cast()),
        ];
        let mut sums = [starts; R];
        let mut at = panel.as_ptr();
        for group in 0..groups {
            let (left, right) = (load(at), load(at.add(LANES * GROUP)));
            at = at.add(WIDTH * GROUP);
            for (r, sum) in sums.iter_mut().enumerate() {
                let four = x.as_ptr().add(r * rows.stride + group * GROUP);
                let factor = _mm512_set1_epi32(four.cast::<i32>().read_unaligned());
                sum[0] = _mm512_dpbusd_epi32(sum[0], factor, left);
                sum[1] = _mm512_dpbusd_epi32(sum[1], factor, right);
            }
        }
        for (r, sum) in sums.iter().enumerate() {
            let to = to.0.as_mut_ptr().add(r * WIDTH);
            _mm512_storeu_si512(to.cast::<__m512i>(), sum[0]);
            _mm512_storeu_si512(to.add(LANES).cast::<__m512i>(), sum[1]);
        }
    }
}
