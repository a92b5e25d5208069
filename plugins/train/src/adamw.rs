//! AdamW over flat vectors, with its state in the open so that it can be saved.

use rayon::prelude::*;

use crate::params::Part;

/// Numbers that one thread works on at a time.
const CHUNK: usize = 64 * 1024;

/// How the averages move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Of the gradients' average.
    pub beta1: f32,
    /// Of the squares' average.
    pub beta2: f32,
    /// Added to the root.
    pub eps: f32,
    /// Of matrices.
    pub weight_decay: f32,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// The averages of one vector of parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Of the gradients.
    pub first: Vec<f32>,
    /// Of their squares.
    pub second: Vec<f32>,
}

impl Moments {
    /// For `count` parameters.
    pub fn zeros(count: usize) -> Self {
        Moments {
            first: vec![0.0; count],
            second: vec![0.0; count],
        }
    }
}

impl AdamW {
    /// Moves `params` against `gradient` times `scale`, in step number `step`, from 1.
    ///
    /// # Source
    /// Loshchilov and Hutter, arXiv:1711.05101
    pub fn step(
        self,
        (params, parts): (&mut [f32], &[Part]),
        (gradient, scale): (&[f32], f32),
        moments: &mut Moments,
        rate: f32,
        step: u64,
    ) {
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let correct1 = 1.0 - self.beta1.powi(power);
        let correct2 = 1.0 - self.beta2.powi(power);
        for part in parts {
            let decay = if part.decays() {
                1.0 - rate * self.weight_decay
            } else {
                1.0
            };
            let range = part.range.clone();
            let chunks = (params[range.clone()].par_chunks_mut(CHUNK))
                .zip(gradient[range.clone()].par_chunks(CHUNK))
                .zip(moments.first[range.clone()].par_chunks_mut(CHUNK))
                .zip(moments.second[range].par_chunks_mut(CHUNK));
            chunks.for_each(|(((p, g), m), v)| {
                for i in 0..p.len() {
                    let g = g[i] * scale;
                    m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
                    v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g * g;
                    let root = (v[i] / correct2).sqrt() + self.eps;
                    p[i] = p[i] * decay - rate * (m[i] / correct1) / root;
                }
            });
        }
    }
}

/// The root of the sum of all squares.
pub fn norm(gradients: &[Vec<f32>]) -> f64 {
    let squares = |chunk: &[f32]| {
        chunk
            .iter()
            .map(|g| f64::from(*g) * f64::from(*g))
            .sum::<f64>()
    };
    let sums = gradients.iter().map(|gradient| {
        let parts: Vec<f64> = gradient.par_chunks(CHUNK).map(squares).collect();
        parts.iter().sum::<f64>()
    });
    sums.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate() {
        let part = |name: &str, shape: Vec<usize>, range| Part {
            name: name.into(),
            shape,
            range,
        };
        let parts = [part("w", vec![1, 2], 0..2), part("b", vec![2], 2..4)];
        let mut params = [1.0, -1.0, 1.0, -1.0];
        let gradient = [0.5, -3.0, 0.5, -3.0];
        let mut moments = Moments::zeros(4);
        let adam = AdamW::default();
        adam.step(
            (&mut params, &parts),
            (&gradient, 1.0),
            &mut moments,
            0.1,
            1,
        );
        // The averages over their corrections are the gradient and its square.
        for (got, want) in params.iter().zip([0.899, -0.899, 0.9, -0.9]) {
            assert!((got - want).abs() < 1e-5, "{params:?}");
        }
    }
}
