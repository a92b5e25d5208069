//! Floats as bytes with one scale for several of them.

use crate::Simd;
use crate::simd::{One, Portable};

/// The largest byte: as many steps on either side of 0.
const STEPS: f32 = 127.0;

/// A matrix of bytes with a scale a row: the number at (r, k) is `scales[r] * numbers[r, k]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantized {
    /// (rows, depth), each from -127 to 127.
    pub numbers: Vec<i8>,
    /// (rows)
    pub scales: Vec<f32>,
}

impl Quantized {
    /// Rounds each row of `weights` (rows, depth) to 255 steps, the largest of which is as large
    /// as the row's largest number.
    pub fn of(weights: &[f32], depth: usize) -> Self {
        let mut numbers = vec![0; weights.len()];
        let rows = weights.chunks_exact(depth);
        let scales = rows
            .zip(numbers.chunks_exact_mut(depth))
            .map(|(from, to)| row::<Portable>(from, 0, to))
            .collect();
        Self { numbers, scales }
    }

    /// Puts the rows of `other`, as long as these, behind these.
    pub fn extend(&mut self, other: &Self) {
        self.numbers.extend_from_slice(&other.numbers);
        self.scales.extend_from_slice(&other.scales);
    }

    /// As floats.
    pub fn widen(&self) -> Vec<f32> {
        let depth = self.numbers.len() / self.scales.len().max(1);
        let rows = self.numbers.chunks_exact(depth.max(1)).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |x| f32::from(*x) * scale))
            .collect()
    }
}

/// Rounds `x` to bytes, to each of which `offset` is added (without carry), and fills `to` up with
/// zeros; gives the scale. That of a row with a number that is not finite is none.
///
/// To the nearest, ties to even, in two roundings on every processor.
#[inline(always)]
pub(crate) fn row<S: Simd>(x: &[f32], offset: i32, to: &mut [i8]) -> f32 {
    let (to, rest) = to.split_at_mut(x.len());
    rest.fill(0);
    let whole = x.len() / S::LANES * S::LANES;
    let mut tops = S::splat(0.0);
    for i in (0..whole).step_by(S::LANES) {
        tops = S::max_bits(tops, S::read(&x[i..]));
    }
    let mut largest = [0.0; 16];
    S::store(tops, &mut largest);
    let both = largest[..S::LANES].iter().chain(&x[whole..]);
    let largest = both.fold(0.0, |top, x| One::<S>::max_bits(top, *x));
    let factor = STEPS / largest;
    if !factor.is_finite() || !largest.is_finite() {
        // Zeros, or so close to it that they are as good.
        to.fill(offset as i8);
        return if largest.is_finite() { 0.0 } else { f32::NAN };
    }
    for i in (0..whole).step_by(S::LANES) {
        steps::<S>(&x[i..], factor, offset, &mut to[i..]);
    }
    for i in whole..x.len() {
        steps::<One<S>>(&x[i..], factor, offset, &mut to[i..]);
    }
    largest / STEPS
}

/// The first numbers, as many as lanes.
#[inline(always)]
fn steps<S: Simd>(x: &[f32], factor: f32, offset: i32, to: &mut [i8]) {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let steps = S::mul(S::read(x), S::splat(factor));
    S::store_bytes(S::add(steps, S::splat(ROUND)), offset, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_rounded_to_their_largest_number() {
        let cases: [(&[f32], f32, &[i8]); 4] = [
            (&[1.27, -0.01, 0.004, -1.27], 0.01, &[127, -1, 0, -127]),
            (&[0.0, -0.0], 0.0, &[0, 0]),
            (&[1e-42, 0.0], 0.0, &[0, 0]),
            (&[3e38, -3e38], 3e38 / 127.0, &[127, -127]),
        ];
        for (x, scale, want) in cases {
            let mut to = vec![9; x.len() + 3];
            let got = row::<Portable>(x, 0, &mut to);
            assert!((got - scale).abs() <= scale * 1e-6, "{got}, not {scale}");
            assert_eq!(&to[..x.len()], want, "{x:?}");
            assert_eq!(to[x.len()..], [0; 3]);
            row::<Portable>(x, 128, &mut to);
            let back: Vec<i8> = to[..x.len()]
                .iter()
                .map(|x| (*x as u8 ^ 0x80) as i8)
                .collect();
            assert_eq!(back, want, "{x:?}");
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(row::<Portable>(&[1.0, bad], 0, &mut [0; 2]).is_nan());
        }
    }

    #[test]
    fn a_matrix_has_a_scale_a_row() {
        let quantized = Quantized::of(&[2.0, -1.0, 0.5, 0.25], 2);
        assert_eq!(quantized.numbers, [127, -64, 127, 64]);
        for (back, want) in quantized.widen().iter().zip([2.0, -1.0, 0.5, 0.25]) {
            assert!((back - want).abs() < 0.009, "{back}, not {want}");
        }
    }
}
