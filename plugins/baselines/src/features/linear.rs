//! Products of matrices, as the reduction of texts needs them.
//!
//! Every sum is one of vectors, number by number in the order of the rows, and a product is
//! rounded before it is added: so wider registers change nothing.

use segue_kernels::{Isa, Kernel, Simd};

use super::rows::Rows;

/// Adds `factor` times `values` to `sum`.
pub struct Axpy<'a> {
    /// To be added to.
    pub sum: &'a mut [f32],
    /// One number.
    pub factor: f32,
    /// As many as the sum has.
    pub values: &'a [f32],
}

impl Kernel for Axpy<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        axpy(self.sum, self.factor, self.values);
    }
}

/// As [`Axpy`], within a kernel.
#[inline(always)]
pub fn axpy(sum: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * *value;
    }
}

/// Sparse `rows` times a matrix of (features, dims): (texts, dims).
pub fn weigh(isa: Isa, rows: &Rows, matrix: &[f32], dims: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() * dims];
    isa.run(Weigh {
        rows,
        matrix,
        dims,
        out: &mut out,
    });
    out
}

struct Weigh<'a> {
    rows: &'a Rows,
    matrix: &'a [f32],
    dims: usize,
    out: &'a mut [f32],
}

impl Kernel for Weigh<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let dims = self.dims;
        for (row, out) in self.rows.iter().zip(self.out.chunks_exact_mut(dims)) {
            for (id, x) in row.iter() {
                axpy(out, x, &self.matrix[id * dims..][..dims]);
            }
        }
    }
}

/// The transpose of sparse `rows` times a matrix of (texts, dims): into (features, dims).
pub fn scatter(isa: Isa, rows: &Rows, matrix: &[f32], (out, dims): (&mut [f32], usize)) {
    out.fill(0.0);
    isa.run(Scatter {
        rows,
        matrix,
        dims,
        out,
    });
}

struct Scatter<'a> {
    rows: &'a Rows,
    matrix: &'a [f32],
    dims: usize,
    out: &'a mut [f32],
}

impl Kernel for Scatter<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let dims = self.dims;
        for (row, values) in self.rows.iter().zip(self.matrix.chunks_exact(dims)) {
            for (id, x) in row.iter() {
                axpy(&mut self.out[id * dims..][..dims], x, values);
            }
        }
    }
}

/// The transpose of a matrix of (texts, dims) times itself: (dims, dims), of which what lies
/// above the diagonal stays 0.
pub fn gram(isa: Isa, matrix: &[f32], dims: usize) -> Vec<f32> {
    let mut out = vec![0.0; dims * dims];
    isa.run(Gram {
        matrix,
        dims,
        out: &mut out,
    });
    out
}

struct Gram<'a> {
    matrix: &'a [f32],
    dims: usize,
    out: &'a mut [f32],
}

impl Kernel for Gram<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let dims = self.dims;
        // Four rows at once, or all time goes into reading and writing sums.
        let four = self.matrix.chunks_exact(4 * dims);
        for row in four.remainder().chunks_exact(dims) {
            for (at, sum) in self.out.chunks_exact_mut(dims).enumerate() {
                axpy(&mut sum[..=at], row[at], row);
            }
        }
        for rows in four {
            let (a, rest) = rows.split_at(dims);
            let (b, rest) = rest.split_at(dims);
            let (c, d) = rest.split_at(dims);
            for (at, sum) in self.out.chunks_exact_mut(dims).enumerate() {
                let (fa, fb, fc, fd) = (a[at], b[at], c[at], d[at]);
                let values = a.iter().zip(b).zip(c.iter().zip(d));
                for (sum, ((a, b), (c, d))) in sum[..=at].iter_mut().zip(values) {
                    *sum += (fa * a + fb * b) + (fc * c + fd * d);
                }
            }
        }
    }
}

/// A pivot so much smaller than its diagonal is nothing but rounding.
const NOTHING: f64 = 1e-4;

/// Cholesky's factor L of a matrix L Lᵀ.
pub struct Cholesky {
    dims: usize,
    /// L's transpose without its diagonal.
    transposed: Vec<f32>,
    /// One over the diagonal; 0 for a column that the others give, which is left out.
    inverse: Vec<f32>,
}

impl Cholesky {
    /// Of a matrix whose lower half is `lower`.
    pub fn of(lower: Vec<f32>, dims: usize) -> Self {
        let mut all: Vec<f64> = lower.iter().map(|x| f64::from(*x)).collect();
        let mut inverse = vec![0.0; dims];
        for at in 0..dims {
            let (above, rest) = all.split_at_mut(at * dims);
            let row = &mut rest[..dims];
            let whole = row[at];
            for column in 0..at {
                let other = &above[column * dims..][..column];
                let known: f64 = row[..column].iter().zip(other).map(|(a, b)| a * b).sum();
                row[column] = (row[column] - known) * inverse[column];
            }
            let pivot = whole - row[..at].iter().map(|x| x * x).sum::<f64>();
            if pivot > NOTHING * whole && pivot.is_finite() {
                inverse[at] = 1.0 / pivot.sqrt();
            }
        }
        let mut transposed = vec![0.0; dims * dims];
        for row in 0..dims {
            for column in 0..row {
                transposed[column * dims + row] = all[row * dims + column] as f32;
            }
        }
        Cholesky {
            dims,
            transposed,
            inverse: inverse.into_iter().map(|x| x as f32).collect(),
        }
    }

    /// Multiplies every row of a matrix of (rows, dims) by the inverse of Lᵀ.
    pub fn divide(&self, isa: Isa, matrix: &mut [f32]) {
        isa.run(Divide { by: self, matrix });
    }
}

struct Divide<'a> {
    by: &'a Cholesky,
    matrix: &'a mut [f32],
}

impl Kernel for Divide<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let dims = self.by.dims;
        for row in self.matrix.chunks_exact_mut(dims) {
            for at in 0..dims {
                let value = row[at] * self.by.inverse[at];
                row[at] = value;
                let factors = &self.by.transposed[at * dims..][..dims];
                axpy(&mut row[at + 1..], -value, &factors[at + 1..]);
            }
        }
    }
}
