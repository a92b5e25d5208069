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

/// Queries, keys and values of one text, those of all heads side by side.
#[derive(Clone, Copy, Debug)]
pub struct Projected<'a> {
    /// H numbers of each query, in rows that begin `query_stride` apart.
    pub queries: &'a [f32],
    /// Between two queries.
    pub query_stride: usize,
    /// How many queries there are.
    pub query_count: usize,
    /// H numbers of each key, then H of its value, in rows that begin `key_stride` apart.
    pub keys: &'a [f32],
    /// Between two keys.
    pub key_stride: usize,
    /// How many keys there are.
    pub key_count: usize,
}

impl<'a> Projected<'a> {
    /// `qkv` is (n, 3 H): query, key and value of each token in one row.
    pub fn rows(qkv: &'a [f32], hidden: usize) -> Self {
        let stride = 3 * hidden;
        let n = qkv.len() / stride;
        Self {
            queries: qkv,
            query_stride: stride,
            query_count: n,
            keys: qkv.get(hidden..).unwrap_or_default(),
            key_stride: stride,
            key_count: n,
        }
    }

    /// One query (H) of a text whose keys and values are (n, 2 H).
    pub fn one_query(query: &'a [f32], keys: &'a [f32]) -> Self {
        let hidden = query.len();
        Self {
            queries: query,
            query_stride: hidden,
            query_count: 1,
            keys,
            key_stride: 2 * hidden,
            key_count: keys.len() / (2 * hidden),
        }
    }
}

/// `out = softmax(Q Kᵀ / √D) V` for each head.
///
/// `out` is (queries, H), and D = H / `heads`. What comes out for one query does not depend on
/// which others there are.
///
/// # Source
/// Vaswani et al., arXiv:1706.03762, section 3.2
pub fn attention(
    isa: Isa,
    heads: usize,
    hidden: usize,
    projected: Projected<'_>,
    out: &mut [f32],
    scratch: &mut Attention,
) {
    isa.run(Run {
        heads,
        hidden,
        projected,
        out,
        scratch,
    });
}

struct Run<'a> {
    heads: usize,
    hidden: usize,
    projected: Projected<'a>,
    out: &'a mut [f32],
    scratch: &'a mut Attention,
}

impl Kernel for Run<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (width, size) = (2 * S::LANES, self.hidden / self.heads);
        let (m, n) = (self.projected.query_count, self.projected.key_count);
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
                projected: self.projected,
                hidden: self.hidden,
                column: head * size,
                size,
                n,
            };
            head.pack_keys(keys, width);
            head.pack_values(values, width);
            for first in (0..m).step_by(S::ROWS) {
                let count = S::ROWS.min(m - first);
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
            let projected = Projected::rows(&qkv, hidden);
            attention(isa, heads, hidden, projected, &mut out, &mut scratch);
            let mut alone = vec![f32::NAN; hidden];
            let keys: Vec<f32> = (qkv.chunks_exact(3 * hidden))
                .flat_map(|row| row[hidden..].to_vec())
                .collect();
            let projected = Projected::one_query(&qkv[..hidden], &keys);
            attention(isa, heads, hidden, projected, &mut alone, &mut scratch);
            assert_eq!(alone, out[..hidden], "{isa:?} n={n}");
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
