//! Scaled dot-product attention over all heads of one text.

mod head;

use crate::product::{Aligned, Bf16, Float, Format, Precision, Sums, Tile, TileKernel};
use crate::{Isa, Simd};
use head::Head;

/// What attention needs beside its input and output; kept from text to text.
#[derive(Debug, Default)]
pub struct Attention {
    full: Space<f32>,
    half: Space<Bf16>,
}

/// Operands of one head in the format of its products.
#[derive(Debug)]
struct Space<F> {
    /// The head's keys in panels, D along the depth.
    keys: Aligned<F>,
    /// The head's values in panels, n along the depth.
    values: Aligned<F>,
    /// All that is projected.
    projected: Aligned<F>,
    /// Scores of one block of queries: (rows, n rounded up).
    scores: Vec<f32>,
    /// The weights they become: (rows, n rounded up).
    weights: Aligned<F>,
}

impl<F> Default for Space<F> {
    fn default() -> Self {
        Self {
            keys: Aligned::default(),
            values: Aligned::default(),
            projected: Aligned::default(),
            scores: Vec::new(),
            weights: Aligned::default(),
        }
    }
}

/// Queries, keys and values of one text, those of all heads side by side.
#[derive(Clone, Copy, Debug)]
pub struct Projected<'a> {
    data: &'a [f32],
    query_stride: usize,
    query_count: usize,
    /// Where the first key begins.
    keys_at: usize,
    key_stride: usize,
    key_count: usize,
}

impl<'a> Projected<'a> {
    /// `qkv` is (n, 3 H): query, key and value of each token in one row.
    pub fn rows(qkv: &'a [f32], hidden: usize) -> Self {
        let n = qkv.len() / (3 * hidden);
        Self {
            data: qkv,
            query_stride: 3 * hidden,
            query_count: n,
            keys_at: hidden,
            key_stride: 3 * hidden,
            key_count: n,
        }
    }

    /// `data` is one query (H), and behind it keys and values of all tokens (n, 2 H).
    pub fn one_query(data: &'a [f32], hidden: usize) -> Self {
        Self {
            data,
            query_stride: hidden,
            query_count: 1,
            keys_at: hidden,
            key_stride: 2 * hidden,
            key_count: (data.len() - hidden) / (2 * hidden),
        }
    }
}

/// `out = softmax(Q Kᵀ / √D) V` for each head.
///
/// `out` is (queries, H), and D = H / `heads`. What comes out for one query does not depend on
/// which others there are. Products are taken in f32 or, for any other `precision`, in bf16: of
/// bytes, scores and weights would lose too much.
///
/// # Source
/// Vaswani et al., arXiv:1706.03762, section 3.2
pub fn attention(
    isa: Isa,
    precision: Precision,
    (heads, hidden): (usize, usize),
    projected: Projected<'_>,
    out: &mut [f32],
    scratch: &mut Attention,
) {
    let size = hidden / heads;
    let Attention { full, half } = scratch;
    match precision {
        Precision::F32 => f32::run(
            isa,
            Run {
                heads,
                size,
                projected,
                out,
                space: full,
            },
        ),
        _ => Bf16::run(
            isa,
            Run {
                heads,
                size,
                projected,
                out,
                space: half,
            },
        ),
    }
}

struct Run<'a, F> {
    heads: usize,
    size: usize,
    projected: Projected<'a>,
    out: &'a mut [f32],
    space: &'a mut Space<F>,
}

impl<F: Float> TileKernel<F> for Run<'_, F> {
    #[inline(always)]
    fn run<S: Simd, T: Tile<F>>(self) {
        let Self { heads, size, .. } = self;
        let (m, n) = (self.projected.query_count, self.projected.key_count);
        let shape = Shape::of::<F, T>(size, n);
        shape.make_room::<F, T>(self.space);
        let Space {
            keys,
            values,
            projected,
            scores,
            weights,
        } = self.space;
        // A tile reads more rows and dimensions than there are; the latter meet zeros.
        let more = T::ROW_STEP * self.projected.query_stride + shape.size;
        let data = F::all::<S>(self.projected.data, more, projected);
        let mut sums = Sums::default();
        T::begin();
        for head in 0..heads {
            let head = Head {
                data,
                projected: self.projected,
                hidden: heads * size,
                column: head * size,
                size,
                n,
                shape,
            };
            head.pack_keys::<T>(keys);
            head.pack_values::<T>(values);
            for first in (0..m).step_by(T::ROWS) {
                let count = T::ROWS.min(m - first);
                head.score::<T>((first, first + count), keys, scores, &mut sums);
                let scale = head.weigh::<S>(count, scores, weights);
                let out = &mut self.out[first * heads * size..];
                head.mix::<S, T>(count, weights, values, &scale, &mut sums, out);
            }
        }
        T::end();
    }
}

/// Sizes of a head's operands, as a tile wants them.
#[derive(Clone, Copy)]
struct Shape {
    /// D with zeros behind it.
    size: usize,
    /// n with zeros behind it, as depth.
    depth: usize,
    /// n up to the end of the last panel and of the last 16, and at least `depth`.
    columns: usize,
}

impl Shape {
    #[inline(always)]
    fn of<F: Format, T: Tile<F>>(size: usize, n: usize) -> Self {
        let depth = n.next_multiple_of(T::STEP);
        Self {
            size: size.next_multiple_of(T::STEP),
            depth,
            columns: n.next_multiple_of(T::WIDTH.max(16)).max(depth),
        }
    }

    #[inline(always)]
    fn make_room<F: Format, T: Tile<F>>(self, space: &mut Space<F>) {
        let rows = T::ROWS.next_multiple_of(T::ROW_STEP);
        space.keys.grow(self.columns * self.size);
        let values = self.size.next_multiple_of(T::WIDTH) * self.depth;
        space.values.grow(values);
        space.weights.grow(rows * self.columns);
        grow(&mut space.scores, rows * self.columns);
    }
}

/// Makes `buffer` at least `length` long.
fn grow(buffer: &mut Vec<f32>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buffers with left-overs of a longer text, which must not show.
    fn used<F: Format>(value: F) -> Space<F> {
        let mut space = Space {
            keys: Aligned::zeros(9000),
            values: Aligned::zeros(9000),
            projected: Aligned::zeros(9000),
            scores: vec![7.0; 9000],
            weights: Aligned::zeros(9000),
        };
        space.keys.fill(value);
        space.values.fill(value);
        space.projected.fill(value);
        space.weights.fill(value);
        space
    }

    fn run(
        isa: Isa,
        precision: Precision,
        projected: Projected<'_>,
        shape: [usize; 2],
    ) -> Vec<f32> {
        let [heads, hidden] = shape;
        let mut scratch = Attention {
            full: used(7.0),
            half: used(Bf16::round(f32::NAN)),
        };
        let mut out = vec![f32::NAN; projected.query_count * hidden];
        attention(
            isa,
            precision,
            (heads, hidden),
            projected,
            &mut out,
            &mut scratch,
        );
        out
    }

    fn numbers(n: usize, hidden: usize) -> Vec<f32> {
        (0..n * 3 * hidden)
            .map(|i| ((i * 7919) % 997) as f32 / 400.0 - 1.2)
            .collect()
    }

    fn check(precision: Precision, tolerance: f64, [n, heads, hidden]: [usize; 3]) {
        let qkv = numbers(n, hidden);
        let size = hidden / heads;
        let at = |token: usize, part: usize, head: usize, d: usize| {
            f64::from(qkv[token * 3 * hidden + part * hidden + head * size + d])
        };
        for isa in Isa::all() {
            let shape = [heads, hidden];
            let out = run(isa, precision, Projected::rows(&qkv, hidden), shape);
            let keys = qkv.chunks_exact(3 * hidden).map(|row| &row[hidden..]);
            let data: Vec<&[f32]> = std::iter::once(&qkv[..hidden]).chain(keys).collect();
            let data = data.concat();
            let projected = Projected::one_query(&data, hidden);
            let alone = run(isa, precision, projected, shape);
            assert_eq!(alone, out[..hidden], "{isa} {precision:?} n={n}");
            for (i, got) in out.iter().enumerate() {
                let (token, head, d) = (i / hidden, i % hidden / size, i % size);
                let dot = |key| (0..size).map(move |d| at(token, 0, head, d) * at(key, 1, head, d));
                let weight = |key| (dot(key).sum::<f64>() / (size as f64).sqrt()).exp();
                let total: f64 = (0..n).map(weight).sum();
                let want: f64 = (0..n).map(|k| weight(k) * at(k, 2, head, d)).sum::<f64>() / total;
                let off = (f64::from(*got) - want).abs();
                assert!(
                    off < tolerance,
                    "{isa} {precision:?} n={n} {i}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn equals_the_definition() {
        for shape in [[1, 2, 8], [5, 3, 78], [33, 2, 64], [45, 1, 40]] {
            check(Precision::F32, 1e-5, shape);
            check(Precision::Bf16, 0.05, shape);
        }
    }

    #[test]
    fn every_processor_gives_the_same_bits() {
        for precision in [Precision::F32, Precision::Bf16] {
            for [n, heads, hidden] in [[1, 2, 8], [77, 3, 78], [512, 2, 52]] {
                let qkv = numbers(n, hidden);
                let outs: Vec<(Isa, Vec<f32>)> = Isa::all()
                    .into_iter()
                    .filter(|isa| !isa.is_portable())
                    .map(|isa| {
                        let projected = Projected::rows(&qkv, hidden);
                        (isa, run(isa, precision, projected, [heads, hidden]))
                    })
                    .collect();
                for pair in outs.windows(2) {
                    let same = pair[0].1 == pair[1].1;
                    assert!(same, "{} and {}, {precision:?} n={n}", pair[0].0, pair[1].0);
                }
            }
        }
    }

    /// `cargo test --release -p segue-kernels -- --ignored --nocapture speed`
    #[test]
    #[ignore = "measures, proves nothing"]
    fn speed_of_a_layers_attention() {
        let qkv = numbers(200, 312);
        for precision in [Precision::F32, Precision::Bf16] {
            for isa in Isa::all().into_iter().filter(|isa| !isa.is_portable()) {
                let mut scratch = Attention::default();
                let mut out = vec![0.0; 200 * 312];
                let mut seconds_min = f64::MAX;
                for _ in 0..100 {
                    let start = std::time::Instant::now();
                    let projected = Projected::rows(&qkv, 312);
                    attention(isa, precision, (12, 312), projected, &mut out, &mut scratch);
                    seconds_min = seconds_min.min(start.elapsed().as_secs_f64());
                }
                println!("attention {precision:?} {isa}: {:.0} µs", seconds_min * 1e6);
            }
        }
    }
}
