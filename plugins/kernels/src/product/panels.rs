//! Weights laid out in panels, and the product by them.

use std::marker::PhantomData;

use super::{After, Aligned, PANEL_MAX, Rows, Sink, panel_product};
use crate::activation::activate;
use crate::{Isa, Kernel, Simd};

/// A weight matrix of `outputs` x `depth` and its bias, packed for one instruction set.
///
/// Panel p holds the weights of outputs p W .. p W + W, as (depth, W); missing ones are zero.
#[derive(Debug)]
pub(crate) struct Panels {
    isa: Isa,
    depth: usize,
    outputs: usize,
    weights: Aligned,
    bias: Vec<f32>,
}

impl Panels {
    /// Packs `weights` (outputs, depth) and `bias` (outputs).
    pub fn pack(isa: Isa, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let width = isa.panel_width();
        let outputs = bias.len();
        let panels = outputs.div_ceil(width);
        let mut packed = Aligned::zeros(panels * width * depth);
        for (output, row) in weights.chunks_exact(depth).enumerate() {
            let from = output / width * width * depth + output % width;
            for (slot, weight) in packed[from..].iter_mut().step_by(width).zip(row) {
                *slot = *weight;
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(panels * width, 0.0);
        Self {
            isa,
            depth,
            outputs,
            weights: packed,
            bias: padded,
        }
    }

    /// `out[i] = after(x[i] · weightsᵀ + bias)`; x is (n, depth), out is (n, outputs).
    pub fn product(&self, x: &[f32], out: &mut [f32], after: After) {
        self.isa.run(Product {
            panels: self,
            x,
            out,
            after,
        });
    }
}

struct Product<'a> {
    panels: &'a Panels,
    x: &'a [f32],
    out: &'a mut [f32],
    after: After,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { panels, x, out, .. } = self;
        let (depth, outputs, width) = (panels.depth, panels.outputs, 2 * S::LANES);
        debug_assert!(width <= PANEL_MAX);
        let rows = Rows {
            data: x,
            stride: depth,
            depth,
        };
        let weights = panels.weights.chunks_exact(depth * width);
        for (p, (panel, bias)) in weights.zip(panels.bias.chunks_exact(width)).enumerate() {
            let from = p * width;
            let wide = width.min(outputs - from);
            let mut sink = Columns::<S> {
                out: &mut out[from..],
                outputs,
                wide,
                after: self.after,
                simd: PhantomData,
            };
            panel_product::<S>(rows, 0, x.len() / depth, panel, bias, &mut sink);
        }
    }
}

/// Columns of the output from the start of `out` on, `wide` of them.
struct Columns<'a, S> {
    out: &'a mut [f32],
    outputs: usize,
    wide: usize,
    after: After,
    simd: PhantomData<S>,
}

impl<S: Simd> Sink for Columns<'_, S> {
    #[inline(always)]
    fn put(&mut self, row: usize, values: &mut [f32]) {
        if let After::Apply(activation) = self.after {
            activate::<S>(activation, values);
        }
        let at = row * self.outputs;
        self.out[at..at + self.wide].copy_from_slice(&values[..self.wide]);
    }
}
