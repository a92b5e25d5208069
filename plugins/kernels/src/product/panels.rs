//! Weights laid out in panels, for the tile that multiplies by them.

use super::tile::{Rows, Sink, Sums, Tile, by_panel};
use super::{Aligned, Format, TileKernel};
use crate::{Isa, Simd};

/// How a tile wants its panels and rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    width: usize,
    group: usize,
    step: usize,
    /// What is added to the numbers of rows.
    pub offset: i32,
}

impl Layout {
    /// Of the tile that `isa` has for the format `F`.
    fn of<F: Format>(isa: Isa) -> Self {
        let mut layout = None;
        F::run(isa, Describe(&mut layout));
        layout.expect("every kernel runs once")
    }
}

struct Describe<'a>(&'a mut Option<Layout>);

impl<F: Format> TileKernel<F> for Describe<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Tile<F>>(self) {
        *self.0 = Some(Layout {
            width: T::WIDTH,
            group: T::GROUP,
            step: T::STEP,
            offset: T::OFFSET,
        });
    }
}

/// A weight matrix of `outputs` x `depth`, packed for one instruction set.
///
/// Panel p holds the weights of outputs p W .. p W + W, as [`Tile`] tells; missing ones are zero.
#[derive(Debug)]
pub(crate) struct Panels<F> {
    /// Numbers of one output, with zeros up to what the tile asks for.
    depth: usize,
    outputs: usize,
    layout: Layout,
    numbers: Aligned<F>,
}

impl<F: Format> Panels<F> {
    /// Packs `weights` (outputs, depth).
    pub fn pack(isa: Isa, depth: usize, outputs: usize, weights: &[F]) -> Self {
        assert_eq!(weights.len(), depth * outputs);
        let layout = Layout::of::<F>(isa);
        let Layout { width, group, .. } = layout;
        let padded = depth.next_multiple_of(layout.step);
        let mut numbers = Aligned::zeros(outputs.next_multiple_of(width) * padded);
        for (output, row) in weights.chunks_exact(depth).enumerate() {
            let panel = &mut numbers[output / width * width * padded..][..width * padded];
            let groups = panel.chunks_exact_mut(width * group);
            for (to, from) in groups.zip(row.chunks(group)) {
                to[output % width * group..][..from.len()].copy_from_slice(from);
            }
        }
        Self {
            depth: padded,
            outputs,
            layout,
            numbers,
        }
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the tile wants its operands.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// `one` with as many zeros behind it as make the last panel whole: a value an output.
    pub fn padded<X: Copy + Default>(&self, mut one: Vec<X>) -> Vec<X> {
        one.resize(
            self.outputs.next_multiple_of(self.layout.width),
            X::default(),
        );
        one
    }

    /// Numbers of a row as the tile reads it.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Multiplies the first `count` of `rows` by every panel, and hands the sums to `sink`; they
    /// begin with `start`, one an output.
    #[inline(always)]
    pub fn multiply<T: Tile<F>>(
        &self,
        rows: Rows<'_, F>,
        count: usize,
        start: &[F::Sum],
        sink: &mut impl Sink<F::Sum>,
    ) {
        let mut sums = Sums::default();
        T::begin();
        let panels = self.numbers.chunks_exact(self.depth * T::WIDTH);
        for (p, (panel, start)) in panels.zip(start.chunks_exact(T::WIDTH)).enumerate() {
            let column = p * T::WIDTH;
            by_panel::<F, T>(rows, (0, count), panel, start, &mut sums, column, sink);
        }
        T::end();
    }
}
