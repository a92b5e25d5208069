//! CMA-ES, full and separable: the yardstick.
//!
//! # Source
//! Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, with its parameters, negative
//! weights (active update) included; separable: Ros and Hansen, PPSN 2008.
//!
//! # What differs
//! The box is folded: what is sampled outside is mirrored at the wall, again and again, and the
//! strategy goes on with the point that was sampled, so it is unaware of walls. Axes are never
//! longer than the box. A generation in which nothing could be scored changes nothing. There are
//! no restarts and no stops: these are the search's affair.

mod eigen;
mod parameters;

use serde::{Deserialize, Serialize};

use crate::Purpose;
use crate::error::{Result, demand};
use crate::generation::{row, row_mut};
use crate::quality::ranked;
use crate::{Algorithm, Answers, Generation, Quality, Scope, Start};
use eigen::decompose;
use parameters::Parameters;

/// Options of `cma-es`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CmaOptions {
    /// Candidates a generation: 4 + 3 ln n, where not given.
    pub candidates: Option<usize>,
    /// First step size, as a share of the box; 0.3 of the spread where the start is a point.
    pub sigma: f64,
    /// A variance a coordinate instead of all covariances: cheap, and it learns faster, but only
    /// the scale of each coordinate.
    pub separable: bool,
    /// Whether bad steps shrink the covariance.
    pub active: bool,
}

impl Default for CmaOptions {
    fn default() -> Self {
        Self {
            candidates: None,
            sigma: 0.3,
            separable: false,
            active: true,
        }
    }
}

/// `cma-es`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CmaEs {
    options: CmaOptions,
    scope: Scope,
    asked: Generation,
    mean: Vec<f64>,
    sigma: f64,
    /// (n, n), or (n) where separable.
    covariance: Vec<f64>,
    /// Eigenvectors, one a row; empty where separable.
    axes: Vec<f64>,
    /// Standard deviations along the axes.
    lengths: Vec<f64>,
    sigma_path: Vec<f64>,
    path: Vec<f64>,
    /// What was sampled, in units of sigma: (candidates, n).
    steps: Vec<f64>,
    /// Squared lengths of the normal vectors behind the steps.
    norms: Vec<f64>,
    /// Generations that changed anything.
    updates: u64,
    /// Updates when the axes were computed last.
    decomposed: u64,
}

/// Two matrices of so many rows and columns take 400 MB.
const FULL_MAX: usize = 5000;

impl CmaEs {
    /// A strategy at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(options: CmaOptions, scope: Scope) -> Result<Self> {
        let n = scope.dimensions;
        let candidates = options.candidates.unwrap_or(parameters::population(n));
        demand(candidates >= 4, "candidates", candidates, "at least 4")?;
        let sigma = options.sigma;
        demand(
            sigma > 0.0 && sigma <= 1.0,
            "sigma",
            sigma,
            "more than 0 and at most 1",
        )?;
        let must = "at most 5000, or `separable` set: else a matrix has so many rows and columns";
        demand(options.separable || n <= FULL_MAX, "dimensions", n, must)?;
        let mut mean = vec![0.0; n];
        scope.place(0, &mut mean);
        let spread = match scope.start {
            Start::Around {
                spread: Some(spread),
                ..
            } => spread,
            _ => 1.0,
        };
        let identity = |size: usize| {
            let mut matrix = vec![0.0; size * size];
            (0..size).for_each(|at| matrix[at * size + at] = 1.0);
            matrix
        };
        let full = !options.separable;
        let mut strategy = Self {
            asked: Generation {
                positions: vec![0.0; candidates * n],
                ..Generation::new(0, n)
            },
            mean,
            sigma: sigma * spread.max(f64::MIN_POSITIVE),
            covariance: if full { identity(n) } else { vec![1.0; n] },
            axes: if full { identity(n) } else { Vec::new() },
            lengths: vec![1.0; n],
            sigma_path: vec![0.0; n],
            path: vec![0.0; n],
            steps: vec![0.0; candidates * n],
            norms: vec![0.0; candidates],
            updates: 0,
            decomposed: 0,
            options,
            scope,
        };
        strategy.sample();
        Ok(strategy)
    }

    fn parameters(&self) -> Parameters {
        let CmaOptions {
            separable, active, ..
        } = self.options;
        Parameters::new(self.scope.dimensions, self.norms.len(), separable, active)
    }

    fn sample(&mut self) {
        let n = self.scope.dimensions;
        let mut normal = vec![0.0; n];
        for candidate in 0..self.norms.len() {
            let random = &mut self
                .scope
                .random(self.asked.number, candidate, Purpose::Move);
            random.gaussians(&mut normal);
            self.norms[candidate] = normal.iter().map(|value| value * value).sum();
            let step = row_mut(&mut self.steps, n, candidate);
            stretch(&self.axes, &self.lengths, &normal, step);
            let position = self.asked.position_mut(candidate);
            for ((x, mean), step) in position.iter_mut().zip(&self.mean).zip(&*step) {
                *x = fold(mean + self.sigma * step);
            }
        }
    }

    /// One update, from candidates best first.
    fn update(&mut self, order: &[usize]) {
        let (n, parameters) = (self.scope.dimensions, self.parameters());
        let mut shift = vec![0.0; n];
        for (&candidate, &weight) in order.iter().zip(&parameters.weights) {
            if weight > 0.0 {
                add(&mut shift, weight, row(&self.steps, n, candidate));
            }
        }
        add(&mut self.mean, self.sigma, &shift);
        self.updates += 1;
        let stalled = self.paths(&parameters, &shift);
        self.covariance(&parameters, order, stalled);
        let length = norm(&self.sigma_path) / parameters.expected_length;
        let change = parameters.sigma_rate / parameters.damping * (length - 1.0);
        self.sigma *= libm::exp(change.min(1.0));
        let lag = self.updates - self.decomposed;
        if self.options.separable || lag as f64 >= parameters.patience {
            self.decompose();
        }
        let longest = self
            .lengths
            .iter()
            .fold(f64::MIN_POSITIVE, |most, length| most.max(*length));
        self.sigma = self.sigma.min(1.0 / longest);
    }

    /// Both evolution paths; whether the covariance's stands still because sigma grows too fast.
    fn paths(&mut self, parameters: &Parameters, shift: &[f64]) -> bool {
        let Parameters {
            sigma_rate,
            path_rate,
            mass,
            ..
        } = *parameters;
        let whitened = whiten(&self.axes, &self.lengths, shift);
        scale(&mut self.sigma_path, 1.0 - sigma_rate);
        add(
            &mut self.sigma_path,
            (sigma_rate * (2.0 - sigma_rate) * mass).sqrt(),
            &whitened,
        );
        let age = 1.0 - libm::pow(1.0 - sigma_rate, 2.0 * self.updates as f64);
        let limit = (1.4 + 2.0 / (self.scope.dimensions as f64 + 1.0)) * parameters.expected_length;
        let stalled = norm(&self.sigma_path) / age.sqrt() >= limit;
        scale(&mut self.path, 1.0 - path_rate);
        if !stalled {
            add(
                &mut self.path,
                (path_rate * (2.0 - path_rate) * mass).sqrt(),
                shift,
            );
        }
        stalled
    }

    /// Rank one and rank mu.
    fn covariance(&mut self, parameters: &Parameters, order: &[usize], stalled: bool) {
        let n = self.scope.dimensions;
        let Parameters {
            one, mu, path_rate, ..
        } = *parameters;
        let lost = if stalled {
            one * path_rate * (2.0 - path_rate)
        } else {
            0.0
        };
        let total: f64 = parameters.weights.iter().sum();
        scale(&mut self.covariance, 1.0 + lost - one - mu * total);
        let full = !self.options.separable;
        outer(&mut self.covariance, full, one, &self.path);
        for (&candidate, &weight) in order.iter().zip(&parameters.weights) {
            let weight = match weight < 0.0 {
                // As long as the normal vector is short, a bad step may shrink nothing much.
                true => weight * n as f64 / self.norms[candidate].max(f64::MIN_POSITIVE),
                false => weight,
            };
            outer(
                &mut self.covariance,
                full,
                mu * weight,
                row(&self.steps, n, candidate),
            );
        }
        if full {
            mirror(&mut self.covariance, n);
        }
    }

    fn decompose(&mut self) {
        self.decomposed = self.updates;
        let variances = if self.options.separable {
            self.covariance.clone()
        } else {
            decompose(&self.covariance, self.scope.dimensions, &mut self.axes)
        };
        // Rounding may leave a variance that is not above 0.
        let least = 1e-30
            * variances
                .iter()
                .fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
        self.lengths = variances
            .iter()
            .map(|value| value.max(least).sqrt())
            .collect();
    }
}

impl Algorithm for CmaEs {
    fn ask(&self) -> &Generation {
        &self.asked
    }

    fn tell(&mut self, answers: &Answers) {
        if answers.qualities.iter().any(Quality::is_finite) {
            self.update(&ranked(&answers.qualities));
        }
        self.asked.number += 1;
        self.sample();
    }

    /// Nothing is remembered from one generation to the next but ranks.
    fn rebase(&mut self, _before: &Quality, _after: &Quality) {}
}

/// A point of the line, mirrored into [0, 1].
fn fold(x: f64) -> f64 {
    if (0.0..=1.0).contains(&x) {
        return x;
    }
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}

/// A normal vector along the axes, or coordinate by coordinate where there are none.
fn stretch(axes: &[f64], lengths: &[f64], normal: &[f64], step: &mut [f64]) {
    let scaled = normal
        .iter()
        .zip(lengths)
        .map(|(value, length)| value * length);
    if axes.is_empty() {
        step.iter_mut()
            .zip(scaled)
            .for_each(|(step, value)| *step = value);
        return;
    }
    step.fill(0.0);
    for (axis, value) in axes.chunks_exact(lengths.len()).zip(scaled) {
        add(step, value, axis);
    }
}

/// C^(-1/2) times `step`.
fn whiten(axes: &[f64], lengths: &[f64], step: &[f64]) -> Vec<f64> {
    if axes.is_empty() {
        return step
            .iter()
            .zip(lengths)
            .map(|(step, length)| step / length)
            .collect();
    }
    let mut whitened = vec![0.0; step.len()];
    for (axis, length) in axes.chunks_exact(lengths.len()).zip(lengths) {
        let along: f64 = axis.iter().zip(step).map(|(axis, step)| axis * step).sum();
        add(&mut whitened, along / length, axis);
    }
    whitened
}

/// Adds `weight` x xᵀ to the lower triangle, or to the diagonal where that is all there is.
fn outer(matrix: &mut [f64], full: bool, weight: f64, x: &[f64]) {
    if !full {
        matrix
            .iter_mut()
            .zip(x)
            .for_each(|(entry, x)| *entry += weight * x * x);
        return;
    }
    for (at, line) in matrix.chunks_exact_mut(x.len()).enumerate() {
        add(&mut line[..=at], weight * x[at], &x[..=at]);
    }
}

/// The lower triangle into the upper.
fn mirror(matrix: &mut [f64], n: usize) {
    for line in 0..n {
        for column in 0..line {
            matrix[column * n + line] = matrix[line * n + column];
        }
    }
}

fn add(sum: &mut [f64], weight: f64, x: &[f64]) {
    sum.iter_mut()
        .zip(x)
        .for_each(|(sum, x)| *sum += weight * x);
}

fn scale(x: &mut [f64], by: f64) {
    x.iter_mut().for_each(|x| *x *= by);
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_mirrored() {
        for (x, want) in [
            (0.3, 0.3),
            (-0.25, 0.25),
            (1.25, 0.75),
            (2.25, 0.25),
            (-1.25, 0.75),
        ] {
            assert_eq!(fold(x), want, "{x}");
        }
    }

    #[test]
    fn a_generation_that_could_not_be_scored_changes_nothing() {
        let mut strategy = CmaEs::new(CmaOptions::default(), Scope::new(1, 4)).unwrap();
        let (mean, sigma) = (strategy.mean.clone(), strategy.sigma);
        let count = strategy.asked.len();
        strategy.tell(&Answers::scores(vec![Quality::WORST; count]));
        assert_eq!((strategy.mean, strategy.sigma), (mean, sigma));
        assert_eq!(strategy.asked.number, 1);
    }
}
