//! The loops of a [`Head`] over one chunk of texts.
//!
//! All are loops over the texts of a chunk, so registers of any width give the same bits, and no
//! product is added in the same rounding.

use segue_kernels::{Kernel, Simd};

use super::head::{Head, PART, Score, TEXTS};
use crate::features::linear::axpy;

/// Lanes in which a chunk's losses are multiplied.
const LANES: usize = 16;

/// One chunk, for all candidates.
pub struct Pass<'a> {
    /// The shape.
    pub head: Head,
    /// (inputs, [`TEXTS`])
    pub values: &'a [f32],
    /// One a text.
    pub signs: &'a [f32],
    /// (slots, [`TEXTS`]): in, of the weights before the first candidate; out, of the last.
    pub parts: &'a mut [f32],
    /// Their weights.
    pub candidates: &'a [Vec<f32>],
    /// For each the parts that differ from the one before.
    pub changed: &'a [Vec<usize>],
    /// To which losses and right verdicts are added.
    pub results: &'a mut [Score],
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let head = self.head;
        let candidates = self.candidates.iter().zip(self.changed).zip(self.results);
        for ((weights, changed), result) in candidates {
            for &slot in changed {
                let part = &mut self.parts[slot * TEXTS..][..TEXTS];
                let first = slot % head.parts() * PART;
                sum_part(
                    part,
                    &self.values[first * TEXTS..],
                    head.part(weights, slot),
                );
            }
            let mut logits = [0.0; TEXTS];
            let sums = |unit: usize, out: &mut [f32; TEXTS]| {
                *out = [head.unit(weights, unit)[head.inputs]; TEXTS];
                let own = &self.parts[unit * head.parts() * TEXTS..][..head.parts() * TEXTS];
                own.chunks_exact(TEXTS)
                    .for_each(|part| axpy(out, 1.0, part));
            };
            forward(head, weights, &mut logits, sums);
            add_losses(&logits, self.signs, result);
        }
    }
}

#[inline(always)]
fn sum_part(part: &mut [f32], values: &[f32], weights: &[f32]) {
    part.fill(0.0);
    for (weight, values) in weights.iter().zip(values.chunks_exact(TEXTS)) {
        axpy(part, *weight, values);
    }
}

/// The logits, from the sums of the units.
#[inline(always)]
fn forward(
    head: Head,
    weights: &[f32],
    logits: &mut [f32; TEXTS],
    mut sums: impl FnMut(usize, &mut [f32; TEXTS]),
) {
    let [last @ .., bias] = head.last(weights) else {
        return sums(0, logits);
    };
    *logits = [*bias; TEXTS];
    let mut unit = [0.0; TEXTS];
    for (at, weight) in last.iter().enumerate() {
        sums(at, &mut unit);
        for (logit, sum) in logits.iter_mut().zip(&unit) {
            *logit += weight * if *sum > 0.0 { *sum } else { 0.0 };
        }
    }
}

/// Adds ln(1 + e^-sz) of each text, s its sign and z its logit. Sixteen products of 1 + e^-|z|
/// are kept, so that few logarithms are taken.
#[inline(always)]
fn add_losses(logits: &[f32; TEXTS], signs: &[f32], result: &mut Score) {
    let (mut products, mut sums, mut right) = ([1.0_f64; LANES], [0.0_f64; LANES], 0);
    for (logits, signs) in logits.chunks_exact(LANES).zip(signs.chunks_exact(LANES)) {
        for at in 0..LANES {
            let (z, sign) = (logits[at], signs[at]);
            let wrong = -sign * z;
            let there = f64::from(sign * sign);
            products[at] *= 1.0 + there * f64::from(exp_negative(wrong.abs()));
            sums[at] += f64::from(if wrong > 0.0 { wrong } else { 0.0 });
            // A logit of 0 is a verdict for the first class.
            right += i32::from((sign > 0.0) & (z > 0.0)) + i32::from((sign < 0.0) & (z <= 0.0));
        }
    }
    let mut loss = 0.0;
    for (four, sums) in products.chunks_exact(4).zip(sums.chunks_exact(4)) {
        loss += libm::log(four.iter().product()) + sums.iter().sum::<f64>();
    }
    result.loss += loss;
    result.accuracy += f64::from(right);
}

/// e^-x for x >= 0, to some units in the last place; 0 beyond 87.
///
/// As [`segue_kernels`] has it, but with every product rounded before it is added.
#[inline(always)]
fn exp_negative(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > 87.0 { -87.0 } else { -x };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut sum = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + term;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x > 87.0 { 0.0 } else { sum * power }
}

/// The slope of one chunk's losses.
pub struct Gradient<'a> {
    /// The shape.
    pub head: Head,
    /// (inputs, [`TEXTS`])
    pub values: &'a [f32],
    /// One a text.
    pub signs: &'a [f32],
    /// Where.
    pub weights: &'a [f32],
    /// To be added to.
    pub slope: &'a mut [f64],
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (head, weights) = (self.head, self.weights);
        let sums = |unit: usize, out: &mut [f32; TEXTS]| {
            let own = head.unit(weights, unit);
            sum_part(out, self.values, &own[..head.inputs]);
            out.iter_mut().for_each(|sum| *sum += own[head.inputs]);
        };
        let mut pull = [0.0; TEXTS];
        forward(head, weights, &mut pull, sums);
        // From the logit to how the loss changes with it: -s / (1 + e^sz).
        for (z, sign) in pull.iter_mut().zip(self.signs) {
            let small = exp_negative(z.abs());
            let share = if *z * sign > 0.0 { small } else { 1.0 };
            *z = -sign * share / (1.0 + small);
        }
        let units = head.units() * (head.inputs + 1);
        let [last @ .., _] = head.last(weights) else {
            return back(&pull, self.values, self.slope);
        };
        let mut unit = [0.0; TEXTS];
        for (at, weight) in last.iter().enumerate() {
            sums(at, &mut unit);
            let mut own = [0.0; TEXTS];
            let mut through = [0.0; TEXTS];
            for text in 0..TEXTS {
                let on = if unit[text] > 0.0 { pull[text] } else { 0.0 };
                through[text] = on * unit[text];
                own[text] = on * weight;
            }
            self.slope[units + at] += total(&through);
            let to = &mut self.slope[at * (head.inputs + 1)..][..head.inputs + 1];
            back(&own, self.values, to);
        }
        self.slope[units + last.len()] += total(&pull);
    }
}

/// Adds what a unit's inputs and bias have of `pull`.
#[inline(always)]
fn back(pull: &[f32; TEXTS], values: &[f32], slope: &mut [f64]) {
    let mut products = [0.0; TEXTS];
    for (slope, values) in slope.iter_mut().zip(values.chunks_exact(TEXTS)) {
        for (product, (a, b)) in products.iter_mut().zip(pull.iter().zip(values)) {
            *product = a * b;
        }
        *slope += total(&products);
    }
    let bias = values.len() / TEXTS;
    slope[bias] += total(pull);
}

/// The sum, in sixteen lanes.
#[inline(always)]
fn total(values: &[f32; TEXTS]) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    for values in values.chunks_exact(LANES) {
        lanes
            .iter_mut()
            .zip(values)
            .for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}
