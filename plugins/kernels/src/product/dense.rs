//! Dense layers in each format: `after(x Wᵀ + b)` for W (outputs, depth) and b (outputs).

use std::marker::PhantomData;

use super::format::round;
use super::tile::{Rows, Sink, Tile, WIDTH_MAX};
use super::{After, Aligned, Bf16, Format, Panels, Quantized, Scratch, TileKernel, quantize};
use crate::activation::activated;
use crate::{Isa, Simd};

/// In floats: f32, or bf16 with activations rounded to it.
#[derive(Debug)]
pub(crate) struct FloatDense<F: Format> {
    isa: Isa,
    depth: usize,
    panels: Panels<F>,
    /// What sums begin with.
    start: Vec<f32>,
    /// What is added to them at the end, where they do not begin with it.
    bias: Vec<f32>,
}

impl FloatDense<f32> {
    /// Packs `weights` (outputs, depth) and `bias` (outputs).
    pub fn pack(isa: Isa, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let panels = Panels::pack(isa, depth, bias.len(), weights);
        Self {
            isa,
            depth,
            start: panels.padded(bias.to_vec()),
            bias: Vec::new(),
            panels,
        }
    }

    /// x is (n, depth), out is (n, outputs).
    pub fn run(&self, x: &[f32], out: &mut [f32], after: After) {
        let rows = Rows {
            data: x,
            stride: self.depth,
            depth: self.depth,
        };
        let count = x.len() / self.depth;
        f32::run(
            self.isa,
            FloatProduct {
                dense: self,
                rows,
                count,
                out,
                after,
            },
        );
    }
}

impl FloatDense<Bf16> {
    /// Rounds and packs `weights` (outputs, depth) and packs `bias` (outputs).
    pub fn pack(isa: Isa, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let weights: Vec<Bf16> = weights.iter().map(|x| Bf16::round(*x)).collect();
        let panels = Panels::pack(isa, depth, bias.len(), &weights);
        Self {
            isa,
            depth,
            start: panels.padded(vec![0.0; bias.len()]),
            bias: panels.padded(bias.to_vec()),
            panels,
        }
    }

    /// x is (n, depth), out is (n, outputs).
    pub fn run(&self, x: &[f32], out: &mut [f32], after: After, scratch: &mut Scratch) {
        let round = Round {
            x,
            depth: self.depth,
            padded: self.panels.depth(),
            rows: &mut scratch.half,
        };
        Bf16::run(self.isa, round);
        let rows = Rows {
            data: &scratch.half,
            stride: self.panels.depth(),
            depth: self.panels.depth(),
        };
        let count = x.len() / self.depth;
        Bf16::run(
            self.isa,
            FloatProduct {
                dense: self,
                rows,
                count,
                out,
                after,
            },
        );
    }
}

/// Rounds rows of `depth` to bf16, and fills each up to `padded` with zeros.
struct Round<'a> {
    x: &'a [f32],
    depth: usize,
    padded: usize,
    rows: &'a mut Aligned<Bf16>,
}

impl TileKernel<Bf16> for Round<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Tile<Bf16>>(self) {
        let n = self.x.len() / self.depth;
        self.rows
            .grow(n.next_multiple_of(T::ROW_STEP) * self.padded);
        let rows = self.rows.chunks_exact_mut(self.padded);
        for (to, from) in rows.zip(self.x.chunks_exact(self.depth)) {
            round::<S>(from, to);
            to[self.depth..].fill(Bf16::default());
        }
    }
}

struct FloatProduct<'a, F: Format> {
    dense: &'a FloatDense<F>,
    rows: Rows<'a, F>,
    count: usize,
    out: &'a mut [f32],
    after: After,
}

impl<F: Format<Sum = f32>> TileKernel<F> for FloatProduct<'_, F> {
    #[inline(always)]
    fn run<S: Simd, T: Tile<F>>(self) {
        let dense = self.dense;
        let mut sink = Floats::<S> {
            to: Columns {
                out: self.out,
                outputs: dense.panels.outputs(),
                after: self.after,
                simd: PhantomData,
            },
            bias: &dense.bias,
        };
        (dense.panels).multiply::<T>(self.rows, self.count, &dense.start, &mut sink);
    }
}

/// Sums of floats, to which a bias is added where there is one.
struct Floats<'a, S> {
    to: Columns<'a, S>,
    bias: &'a [f32],
}

impl<S: Simd> Sink<f32> for Floats<'_, S> {
    #[inline(always)]
    fn put(&mut self, row: usize, column: usize, sums: &[f32]) {
        for i in (0..sums.len()).step_by(S::LANES) {
            let mut values = S::read(&sums[i..]);
            if !self.bias.is_empty() {
                values = S::add(values, S::read(&self.bias[column + i..]));
            }
            self.to.put(row, column + i, values);
        }
    }
}

/// In int8: a scale a row of W, and one a row of x.
#[derive(Debug)]
pub(crate) struct Int8Dense {
    isa: Isa,
    depth: usize,
    panels: Panels<i8>,
    start: Vec<i32>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Int8Dense {
    /// Packs `weights` (outputs, depth) and `bias` (outputs).
    pub fn pack(isa: Isa, depth: usize, weights: &Quantized, bias: &[f32]) -> Self {
        let panels = Panels::pack(isa, depth, bias.len(), &weights.numbers);
        let offset = panels.layout().offset;
        let sum = |row: &[i8]| row.iter().map(|x| i32::from(*x)).sum::<i32>();
        let rows = weights.numbers.chunks_exact(depth);
        let start = rows.map(|row| sum(row).wrapping_mul(-offset)).collect();
        Self {
            isa,
            depth,
            start: panels.padded(start),
            scales: panels.padded(weights.scales.clone()),
            bias: panels.padded(bias.to_vec()),
            panels,
        }
    }

    /// x is (n, depth), out is (n, outputs).
    pub fn run(&self, x: &[f32], out: &mut [f32], after: After, scratch: &mut Scratch) {
        i8::run(
            self.isa,
            Int8Product {
                dense: self,
                x,
                out,
                after,
                scratch,
            },
        );
    }
}

struct Int8Product<'a> {
    dense: &'a Int8Dense,
    x: &'a [f32],
    out: &'a mut [f32],
    after: After,
    scratch: &'a mut Scratch,
}

impl TileKernel<i8> for Int8Product<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Tile<i8>>(self) {
        let dense = self.dense;
        let (n, padded) = (self.x.len() / dense.depth, dense.panels.depth());
        let Scratch { bytes, scales, .. } = self.scratch;
        bytes.grow(n.next_multiple_of(T::ROW_STEP) * padded);
        scales.clear();
        let rows = bytes.chunks_exact_mut(padded);
        for (to, from) in rows.zip(self.x.chunks_exact(dense.depth)) {
            scales.push(quantize::row::<S>(from, T::OFFSET, to));
        }
        let rows = Rows {
            data: bytes,
            stride: padded,
            depth: padded,
        };
        let mut sink = Scaled::<S> {
            to: Columns {
                out: self.out,
                outputs: dense.panels.outputs(),
                after: self.after,
                simd: PhantomData,
            },
            rows: scales,
            columns: &dense.scales,
            bias: &dense.bias,
        };
        dense.panels.multiply::<T>(rows, n, &dense.start, &mut sink);
    }
}

/// Sums of int8, each of which is scaled by its row and its column.
struct Scaled<'a, S> {
    to: Columns<'a, S>,
    rows: &'a [f32],
    columns: &'a [f32],
    bias: &'a [f32],
}

impl<S: Simd> Sink<i32> for Scaled<'_, S> {
    #[inline(always)]
    fn put(&mut self, row: usize, column: usize, sums: &[i32]) {
        let scale = S::splat(self.rows[row]);
        for i in (0..sums.len()).step_by(S::LANES) {
            let scales = S::mul(scale, S::read(&self.columns[column + i..]));
            let bias = S::read(&self.bias[column + i..]);
            let values = S::fma(S::read_ints(&sums[i..]), scales, bias);
            self.to.put(row, column + i, values);
        }
    }
}

/// The rows of the result.
struct Columns<'a, S> {
    out: &'a mut [f32],
    outputs: usize,
    after: After,
    simd: PhantomData<S>,
}

impl<S: Simd> Columns<'_, S> {
    /// Finishes and stores a register of row `row` from column `column` on, as far as there are
    /// columns.
    #[inline(always)]
    fn put(&mut self, row: usize, column: usize, values: S::V) {
        let values = match self.after {
            After::Apply(activation) => activated::<S>(activation, values),
            After::Nothing => values,
        };
        if column + S::LANES <= self.outputs {
            S::store(values, &mut self.out[row * self.outputs + column..]);
        } else if column < self.outputs {
            let mut all = [0.0; WIDTH_MAX];
            S::store(values, &mut all);
            let wide = self.outputs - column;
            let to = &mut self.out[row * self.outputs + column..];
            to[..wide].copy_from_slice(&all[..wide]);
        }
    }
}
