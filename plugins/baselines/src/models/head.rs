//! A small network over few numbers a text, scored for one candidate's weights after another.
//!
//! A search asks for thousands of candidates, and in blocks of coordinates each differs from the
//! one before in a few weights. So the sums of a layer are kept in parts, sixteen inputs to a
//! part, and a part whose weights have not changed is not summed again. Parts are added in a
//! fixed order, so what is kept changes no bit: a candidate's score depends on that candidate
//! alone.

use segue_kernels::Isa;

use super::head_kernel::{Gradient, Pass};

/// Texts that are worked on at a time: what they need stays in the fastest cache.
pub const TEXTS: usize = 256;

/// Inputs whose products are summed before they are added to others.
pub const PART: usize = 16;

/// Its shape: a linear layer, or two with ReLU between them.
///
/// Weights lie unit by unit, each unit's bias behind its own; then, where there is a hidden
/// layer, one weight a unit and the last bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Numbers of a text.
    pub inputs: usize,
    /// Units of the hidden layer; 0 for none.
    pub hidden: usize,
}

impl Head {
    /// How many weights it has.
    pub fn weights(self) -> usize {
        match self.hidden {
            0 => self.inputs + 1,
            hidden => hidden * (self.inputs + 2) + 1,
        }
    }

    /// Units over the inputs.
    pub fn units(self) -> usize {
        self.hidden.max(1)
    }

    /// Weights of one unit, its bias the last.
    pub fn unit(self, weights: &[f32], unit: usize) -> &[f32] {
        &weights[unit * (self.inputs + 1)..][..self.inputs + 1]
    }

    /// A weight a unit, and the last bias; nothing without a hidden layer.
    pub fn last(self, weights: &[f32]) -> &[f32] {
        match self.hidden {
            0 => &[],
            hidden => &weights[hidden * (self.inputs + 1)..],
        }
    }

    /// Parts of one unit.
    pub fn parts(self) -> usize {
        self.inputs.div_ceil(PART)
    }

    /// Weights of part `slot`, which counts on from unit to unit.
    pub fn part(self, weights: &[f32], slot: usize) -> &[f32] {
        let (unit, part) = (slot / self.parts(), slot % self.parts());
        let all = &self.unit(weights, unit)[..self.inputs];
        &all[part * PART..((part + 1) * PART).min(self.inputs)]
    }
}

/// Texts as numbers, with their classes: (chunks, inputs, [`TEXTS`]).
#[derive(Clone, Debug, Default)]
pub struct Dense {
    /// How many there are.
    pub texts: usize,
    /// The last chunk is filled up with 0.
    pub values: Vec<f32>,
    /// 1 for the second class and -1 for the first; 0 where there is no text.
    pub signs: Vec<f32>,
}

impl Dense {
    /// From one row a text, of `inputs` numbers, and its class, 0 or 1.
    pub fn new(inputs: usize, rows: impl Iterator<Item = (Vec<f32>, u32)>) -> Self {
        let mut all = Dense::default();
        for (row, class) in rows {
            let (chunk, at) = (all.texts / TEXTS, all.texts % TEXTS);
            if at == 0 {
                all.values.resize((chunk + 1) * inputs * TEXTS, 0.0);
                all.signs.resize((chunk + 1) * TEXTS, 0.0);
            }
            let values = all.values[chunk * inputs * TEXTS..].iter_mut();
            (values.skip(at).step_by(TEXTS).zip(row)).for_each(|(to, x)| *to = x);
            all.signs[all.texts] = if class == 1 { 1.0 } else { -1.0 };
            all.texts += 1;
        }
        all
    }
}

/// How a candidate did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Mean log-loss of a text.
    pub loss: f64,
    /// The part of the texts that it judges right.
    pub accuracy: f64,
}

/// Scores candidates on texts.
pub struct Judge {
    head: Head,
    data: Dense,
    isa: Isa,
    /// The weights that the parts are of.
    known: Option<Vec<f32>>,
    /// (chunks, slots, [`TEXTS`])
    parts: Vec<f32>,
}

impl Judge {
    /// Over `data`, whose rows have as many numbers as the head has inputs.
    pub fn new(head: Head, data: Dense) -> Self {
        let slots = head.units() * head.parts();
        let parts = vec![0.0; data.signs.len() * slots];
        Judge {
            head,
            data,
            isa: Isa::detect(),
            known: None,
            parts,
        }
    }

    /// Scores each of `candidates`, all of [`Head::weights`] numbers.
    pub fn judge(&mut self, candidates: &[Vec<f32>]) -> Vec<Score> {
        let changed = self.changed(candidates);
        let mut results = vec![Score::default(); candidates.len()];
        let slots = self.head.units() * self.head.parts();
        let wide = self.head.inputs * TEXTS;
        for (chunk, signs) in self.data.signs.chunks_exact(TEXTS).enumerate() {
            self.isa.run(Pass {
                head: self.head,
                values: &self.data.values[chunk * wide..][..wide],
                signs,
                parts: &mut self.parts[chunk * slots * TEXTS..][..slots * TEXTS],
                candidates,
                changed: &changed,
                results: &mut results,
            });
        }
        if let Some(last) = candidates.last() {
            self.known = Some(last.clone());
        }
        let share = 1.0 / self.data.texts.max(1) as f64;
        for result in &mut results {
            result.loss *= share;
            result.accuracy *= share;
        }
        results
    }

    /// For each candidate the parts whose weights differ from those of the one before.
    fn changed(&self, candidates: &[Vec<f32>]) -> Vec<Vec<usize>> {
        let slots = self.head.units() * self.head.parts();
        let mut before = self.known.as_deref();
        let mut all = Vec::with_capacity(candidates.len());
        for weights in candidates {
            let differs = |slot: &usize| {
                before.is_none_or(|before| {
                    self.head.part(before, *slot) != self.head.part(weights, *slot)
                })
            };
            all.push((0..slots).filter(differs).collect());
            before = Some(weights);
        }
        all
    }

    /// The gradient of the mean log-loss.
    pub fn gradient(&self, weights: &[f32], slope: &mut [f64]) {
        slope.fill(0.0);
        let wide = self.head.inputs * TEXTS;
        for (chunk, signs) in self.data.signs.chunks_exact(TEXTS).enumerate() {
            self.isa.run(Gradient {
                head: self.head,
                values: &self.data.values[chunk * wide..][..wide],
                signs,
                weights,
                slope,
            });
        }
        let share = 1.0 / self.data.texts.max(1) as f64;
        slope.iter_mut().for_each(|slope| *slope *= share);
    }
}

#[cfg(test)]
mod tests {
    use segue_candidates::random::{Purpose, Random};

    use super::*;

    /// A text's numbers and its class.
    type Text = (Vec<f32>, u32);

    fn drawn(head: Head, count: usize) -> (Vec<Text>, Vec<Vec<f32>>) {
        let mut random = Random::new(5, 0, 0, Purpose::Move);
        let mut numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|_| random.gaussian() as f32).collect() };
        let texts: Vec<_> = (0..count)
            .map(|text| (numbers(head.inputs), text as u32 % 2))
            .collect();
        let mut candidates = vec![numbers(head.weights())];
        for at in [3, 17, 30] {
            let mut next = candidates[0].clone();
            next[at] += 0.5;
            candidates.push(next);
        }
        candidates.push(numbers(head.weights()));
        (texts, candidates)
    }

    /// The logit, plainly.
    fn logit(head: Head, row: &[f32], weights: &[f32]) -> f64 {
        let unit = |unit: usize| {
            let weights = head.unit(weights, unit);
            let dot = row
                .iter()
                .zip(weights)
                .map(|(a, b)| f64::from(a * b))
                .sum::<f64>();
            dot + f64::from(weights[head.inputs])
        };
        match head.last(weights) {
            [] => unit(0),
            [last @ .., bias] => {
                let each = |(at, weight): (usize, &f32)| f64::from(*weight) * unit(at).max(0.0);
                last.iter().enumerate().map(each).sum::<f64>() + f64::from(*bias)
            }
        }
    }

    fn plain(head: Head, texts: &[(Vec<f32>, u32)], weights: &[f32]) -> Score {
        let (mut loss, mut right) = (0.0, 0);
        for (row, class) in texts {
            let logit = logit(head, row, weights);
            let sign = if *class == 1 { 1.0 } else { -1.0 };
            loss += (-sign * logit).exp().ln_1p();
            right += usize::from((logit > 0.0) == (*class == 1));
        }
        Score {
            loss: loss / texts.len() as f64,
            accuracy: right as f64 / texts.len() as f64,
        }
    }

    const HEADS: [Head; 2] = [
        Head {
            inputs: 37,
            hidden: 0,
        },
        Head {
            inputs: 37,
            hidden: 3,
        },
    ];

    #[test]
    fn scores_are_those_of_the_plain_network_whatever_came_before() {
        for head in HEADS {
            let (texts, candidates) = drawn(head, 300);
            let judge = || Judge::new(head, Dense::new(head.inputs, texts.iter().cloned()));
            let together = judge().judge(&candidates);
            let mut one_by_one = judge();
            for (weights, found) in candidates.iter().zip(&together) {
                let alone = judge().judge(std::slice::from_ref(weights))[0];
                assert_eq!(alone, *found);
                assert_eq!(one_by_one.judge(std::slice::from_ref(weights))[0], *found);
                let wanted = plain(head, &texts, weights);
                assert!(
                    (found.loss - wanted.loss).abs() < 1e-5,
                    "{found:?} {wanted:?}"
                );
                assert!((found.accuracy - wanted.accuracy).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn gradients_are_those_of_differences() {
        for head in HEADS {
            let (texts, candidates) = drawn(head, 300);
            let judge = Judge::new(head, Dense::new(head.inputs, texts.iter().cloned()));
            let mut slope = vec![0.0; head.weights()];
            judge.gradient(&candidates[0], &mut slope);
            for at in 0..head.weights() {
                let beside = |step: f32| {
                    let mut weights = candidates[0].clone();
                    weights[at] += step;
                    plain(head, &texts, &weights).loss
                };
                let wanted = (beside(1e-3) - beside(-1e-3)) / 2e-3;
                assert!(
                    (slope[at] - wanted).abs() < 2e-3,
                    "{at}: {} {wanted}",
                    slope[at]
                );
            }
        }
    }
}
