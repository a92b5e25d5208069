//! Matrix products of any strides, by the library that candle uses too.

use gemm::Parallelism;

/// A matrix that lies in a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// The first `rows` x `columns` numbers of `data`, row after row.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows that begin `stride` apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= data.len()));
        View {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// Its transpose.
    pub fn t(self) -> Self {
        View {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What is done with what stands in the output already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// It is replaced.
    Nothing,
    /// The product is added to it.
    Sum,
}

/// `out = factor a b`, or `out += factor a b`; `out` has rows that begin `stride` apart.
///
/// The sums are the same on any number of threads.
pub fn matmul(
    out: &mut [f32],
    stride: usize,
    onto: Onto,
    factor: f32,
    (a, b): (View<'_>, View<'_>),
    threads: usize,
) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(k, b.rows);
    assert!(n <= stride && (m == 0 || (m - 1) * stride + n <= out.len()));
    let parallelism = match threads {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    let step = |stride: usize| stride as isize;
    // SAFETY: the assertions here and in `View` keep every index within its slice, and `out`
    // cannot overlap the others, being borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            step(stride),
            onto == Onto::Sum,
            a.data.as_ptr(),
            step(a.column_stride),
            step(a.row_stride),
            b.data.as_ptr(),
            step(b.column_stride),
            step(b.row_stride),
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_strides() {
        let a = [1., 2., 3., 4., 5., 6.];
        let b = [1., 0., 2., 1., 0., 3.];
        let mut out = [10.0; 6];
        // (2 x 3)(3 x 2), rows of the output 3 apart
        let views = (View::new(&a, 2, 3), View::new(&b, 3, 2));
        matmul(&mut out, 3, Onto::Nothing, 1.0, views, 1);
        assert_eq!(out, [5., 11., 10., 14., 23., 10.]);
        let mut out = [1.0; 4];
        let views = (View::new(&a, 3, 2).t(), View::new(&b, 2, 3).t());
        matmul(&mut out, 2, Onto::Sum, 2.0, views, 2);
        assert_eq!(out, [23., 33., 29., 41.]);
    }
}
