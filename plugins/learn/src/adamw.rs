//! AdamW over slices, with its state in the open so that it can be saved: candle's cannot.

use rayon::prelude::*;

/// Numbers that one thread works on at a time.
const CHUNK: usize = 64 * 1024;

/// How the averages move, and how a step is rounded.
///
/// # Source
/// Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Of the gradients' average.
    pub beta1: f32,
    /// Of the squares' average.
    pub beta2: f32,
    /// Added to the root.
    pub eps: f32,
    /// The order of the roundings.
    pub form: Form,
}

/// Two ways to write the same step. They differ in the last bits alone, but what a graph trains
/// must stay the same to the last bit, so each operator stays with its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An average is a weighted sum: `m = β m + (1 - β) g`.
    Sum,
    /// An average is moved: `m += (1 - β) (g - m)`.
    Move,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How far it goes.
    pub rate: f32,
    /// The part of each parameter that weight decay leaves.
    pub kept: f32,
    /// Its number, from 1.
    pub number: u64,
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
    /// The usual averages.
    pub fn new(form: Form) -> Self {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            form,
        }
    }

    /// Moves `params` against `gradient` times `scale`. All slices are of one length; threads
    /// change nothing, since each number is on its own.
    pub fn step(
        self,
        params: &mut [f32],
        (gradient, scale): (&[f32], f32),
        (first, second): (&mut [f32], &mut [f32]),
        step: Step,
    ) {
        // Averages that start at zero are too small at first.
        let power = i32::try_from(step.number).unwrap_or(i32::MAX);
        let whole = [self.beta1, self.beta2].map(|beta| 1.0 - beta.powi(power));
        let chunks = (params.par_chunks_mut(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK));
        chunks.for_each(|(((p, g), m), v)| match self.form {
            Form::Sum => self.by_sum(p, (g, scale), (m, v), whole, step),
            Form::Move => self.by_move(p, (g, scale), (m, v), whole, step),
        });
    }

    fn by_sum(
        self,
        p: &mut [f32],
        (g, scale): (&[f32], f32),
        (m, v): (&mut [f32], &mut [f32]),
        whole: [f32; 2],
        Step { rate, kept, .. }: Step,
    ) {
        for i in 0..p.len() {
            let g = g[i] * scale;
            m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
            v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g * g;
            let root = (v[i] / whole[1]).sqrt() + self.eps;
            p[i] = p[i] * kept - rate * (m[i] / whole[0]) / root;
        }
    }

    fn by_move(
        self,
        p: &mut [f32],
        (g, scale): (&[f32], f32),
        (m, v): (&mut [f32], &mut [f32]),
        whole: [f32; 2],
        Step { rate, kept, .. }: Step,
    ) {
        let rate = rate / whole[0];
        for i in 0..p.len() {
            let g = g[i] * scale;
            m[i] += (1.0 - self.beta1) * (g - m[i]);
            v[i] += (1.0 - self.beta2) * (g * g - v[i]);
            let root = (v[i] / whole[1]).sqrt() + self.eps;
            p[i] = p[i] * kept - rate * m[i] / root;
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

    /// Two steps of rate 0.1 down the sum of squares, half of the rate decaying.
    fn two_steps(form: Form) -> [f32; 2] {
        let mut params = [1.0, -2.0];
        let mut moments = Moments::zeros(2);
        for number in 1..=2 {
            let step = Step {
                rate: 0.1,
                kept: 0.95,
                number,
            };
            // The gradient is twice the value: half of that, times 2.
            let gradient = params.map(|p| 4.0 * p);
            let moments = (&mut moments.first[..], &mut moments.second[..]);
            AdamW::new(form).step(&mut params, (&gradient, 0.5), moments, step);
        }
        params
    }

    #[test]
    fn two_steps_are_those_of_the_paper() {
        // By hand: the first step is 1 * 0.95 - 0.1 = 0.85 and -2 * 0.95 + 0.1 = -1.8. For the
        // second, of the first value: mean (0.09 * 2 + 0.1 * 1.7) / 0.19, square likewise.
        let second = |first: f64, value: f64| {
            let (a, b) = (2.0 * first, 2.0 * value);
            let mean = (0.09 * a + 0.1 * b) / 0.19;
            let square: f64 = (0.000_999 * a * a + 0.001 * b * b) / 0.001_999;
            value * 0.95 - 0.1 * mean / square.sqrt()
        };
        for form in [Form::Sum, Form::Move] {
            let found = two_steps(form);
            for (found, expected) in found.iter().zip([second(1.0, 0.85), second(-2.0, -1.8)]) {
                let off = (f64::from(*found) - expected).abs();
                assert!(off < 1e-5, "{form:?}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn the_norm_is_that_of_all_vectors_together() {
        assert_eq!(norm(&[vec![3.0, 0.0], vec![], vec![4.0]]), 5.0);
    }
}
