//! Scaled dot-product attention over all heads of one text.

mod head;

use crate::product::Aligned;
use crate::{Isa, Kernel, Simd};
use head::Head;

/// What attention needs beside its input and output; kept from text to text.
#[derive(Debug, Default)]
pub struct Attention {
    /// One head's keys in panels: (panel, D, W).
    keys: Aligned,
    /// One head's values in panels: (panel, n, W).
    values: Aligned,
    /// Scores of one block of queries: (rows, n rounded up to W).
    scores: Vec<f32>,
}

/// `out = softmax(Q Kᵀ / √D) V` for each head.
///
/// `qkv` is (n, 3 H): queries, keys and values of all heads side by side. `out` is (n, H), and
/// D = H / `heads`.
///
/// # Source
/// Vaswani et al., arXiv:1706.03762, section 3.2
pub fn attention(
    isa: Isa,
    heads: usize,
    hidden: usize,
    qkv: &[f32],
    out: &mut [f32],
    scratch: &mut Attention,
) {
    isa.run(Run {
        heads,
        hidden,
        qkv,
        out,
        scratch,
    });
}

struct Run<'a> {
    heads: usize,
    hidden: usize,
    qkv: &'a [f32],
    out: &'a mut [f32],
    scratch: &'a mut Attention,
}

impl Kernel for Run<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (width, size) = (2 * S::LANES, self.hidden / self.heads);
        let n = self.qkv.len() / (3 * self.hidden);
        let padded = n.next_multiple_of(width);
        let Attention {
            keys,
            values,
            scores,
        } = self.scratch;
        keys.grow(padded * size);
        values.grow(size.next_multiple_of(width) * n);
        grow(scores, S::ROWS * padded);
        for head in 0..self.heads {
            let head = Head {
                qkv: self.qkv,
                stride: 3 * self.hidden,
                hidden: self.hidden,
                column: head * size,
                size,
                n,
            };
            head.pack_keys(keys, width);
            head.pack_values(values, width);
            for first in (0..n).step_by(S::ROWS) {
                let count = S::ROWS.min(n - first);
                head.score::<S>(first, count, keys, scores);
                let mut scale = [0.0; 16];
                for row in 0..count {
                    scale[row] = head.softmax::<S>(&mut scores[row * padded..][..n]);
                }
                head.mix::<S>(first, count, scores, values, &scale, self.out);
            }
        }
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

    fn check(n: usize, heads: usize, hidden: usize) {
        let qkv: Vec<f32> = (0..n * 3 * hidden)
            .map(|i| ((i * 7919) % 997) as f32 / 400.0 - 1.2)
            .collect();
        let size = hidden / heads;
        let at = |token: usize, part: usize, head: usize, d: usize| {
            f64::from(qkv[token * 3 * hidden + part * hidden + head * size + d])
        };
        for isa in Isa::all() {
            let mut out = vec![f32::NAN; n * hidden];
            // Left-overs of a longer text must not show.
            let mut scratch = Attention {
                keys: Aligned::zeros(9000),
                values: Aligned::zeros(9000),
                scores: vec![7.0; 9000],
            };
            scratch.keys.fill(7.0);
            scratch.values.fill(7.0);
            attention(isa, heads, hidden, &qkv, &mut out, &mut scratch);
            for (i, got) in out.iter().enumerate() {
                let (token, head, d) = (i / hidden, i % hidden / size, i % size);
                let dot = |key| (0..size).map(move |d| at(token, 0, head, d) * at(key, 1, head, d));
                let weight = |key| (dot(key).sum::<f64>() / (size as f64).sqrt()).exp();
                let total: f64 = (0..n).map(weight).sum();
                let want: f64 = (0..n).map(|k| weight(k) * at(k, 2, head, d)).sum::<f64>() / total;
                let off = (f64::from(*got) - want).abs();
                assert!(off < 1e-5, "{isa:?} n={n} {i}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn equals_the_definition() {
        check(1, 2, 8);
        check(5, 3, 78);
        check(33, 2, 64);
        check(45, 1, 40);
    }
}
