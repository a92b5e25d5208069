//! int8 by the definition, for any processor.

use crate::product::tile::{Rows, Sums, Tile};

/// Eight columns, one row at a time; the compiler finds what registers there are.
pub(crate) struct PlainInt8;

const WIDTH: usize = 8;
const GROUP: usize = 4;

impl Tile<i8> for PlainInt8 {
    const ROWS: usize = 4;
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
        let panel = &panel.as_chunks::<GROUP>().0.as_chunks::<WIDTH>().0[..rows.depth / GROUP];
        let to = sums.0.as_chunks_mut::<WIDTH>().0;
        for (r, to) in to[..count].iter_mut().enumerate() {
            let row = &rows.data[(first + r) * rows.stride..][..rows.depth];
            to.copy_from_slice(&start[..WIDTH]);
            for (x, weights) in row.as_chunks::<GROUP>().0.iter().zip(panel) {
                for (sum, weights) in to.iter_mut().zip(weights) {
                    for (x, weight) in x.iter().zip(weights) {
                        *sum += i32::from(*x) * i32::from(*weight);
                    }
                }
            }
        }
    }
}
