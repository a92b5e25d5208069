//! The strategy's parameters, which follow from dimensions and candidates.

/// Table 1 of the tutorial, under its names where those are words.
pub(super) struct Parameters {
    /// One a candidate, best first; the positive ones sum to 1.
    pub weights: Vec<f64>,
    /// μ_eff.
    pub mass: f64,
    /// c_σ.
    pub sigma_rate: f64,
    /// d_σ.
    pub damping: f64,
    /// c_c.
    pub path_rate: f64,
    /// c_1.
    pub one: f64,
    /// c_μ.
    pub mu: f64,
    /// E‖N(0, I)‖.
    pub expected_length: f64,
    /// Updates between two decompositions.
    pub patience: f64,
}

/// λ, where not given.
pub(super) fn population(n: usize) -> usize {
    4 + (3.0 * libm::log(n.max(1) as f64)) as usize
}

impl Parameters {
    pub fn new(n: usize, candidates: usize, separable: bool, active: bool) -> Self {
        let (n, lambda) = (n as f64, candidates as f64);
        let half = libm::log(0.5 * (lambda + 1.0));
        let raw: Vec<f64> = (1..=candidates)
            .map(|rank| half - libm::log(rank as f64))
            .collect();
        let good = raw.iter().filter(|weight| **weight > 0.0).count();
        let (positive, mass) = sum_and_mass(&raw[..good]);
        let (negative, bad_mass) = sum_and_mass(&raw[good..]);

        let sigma_rate = (mass + 2.0) / (n + mass + 5.0);
        let excess = ((mass - 1.0) / (n + 1.0)).sqrt() - 1.0;
        let path_rate = (4.0 + mass / n) / (n + 4.0 + 2.0 * mass / n);
        // A diagonal has fewer numbers to learn, so it may learn faster.
        let faster = if separable { (n + 2.0) / 3.0 } else { 1.0 };
        let one = (faster * 2.0 / ((n + 1.3) * (n + 1.3) + mass)).min(0.5);
        let mu = faster * 2.0 * (0.25 + mass + 1.0 / mass - 2.0) / ((n + 2.0) * (n + 2.0) + mass);
        let mu = mu.min(1.0 - one);

        let limits = [
            1.0 + one / mu,
            1.0 + 2.0 * bad_mass / (mass + 2.0),
            (1.0 - one - mu).max(0.0) / (n * mu),
        ];
        let most = if active {
            limits.into_iter().fold(f64::INFINITY, f64::min)
        } else {
            0.0
        };
        let scaled = |weight: &f64| match *weight > 0.0 {
            true => weight / positive,
            false if negative < 0.0 => most * weight / -negative,
            false => 0.0,
        };
        Self {
            weights: raw.iter().map(scaled).collect(),
            mass,
            sigma_rate,
            damping: 1.0 + 2.0 * excess.max(0.0) + sigma_rate,
            path_rate,
            one,
            mu,
            expected_length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            patience: 1.0 / ((one + mu) * n * 10.0),
        }
    }
}

/// The weights' sum, and their variance-effective number.
fn sum_and_mass(weights: &[f64]) -> (f64, f64) {
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    (
        sum,
        if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_dimensions_as_in_the_tutorial() {
        assert_eq!(population(10), 10);
        let parameters = Parameters::new(10, 10, false, true);
        // pycma 4 gives the same but for c_σ, where it departs from the tutorial.
        for (got, want) in [
            (parameters.mass, 3.167_299_281),
            (parameters.sigma_rate, 0.284_428_588),
            (parameters.path_rate, 0.294_990_383),
            (parameters.one, 0.015_283_825),
            (parameters.mu, 0.023_551_777),
        ] {
            assert!((got - want).abs() < 1e-8, "{got} instead of {want}");
        }
        let positive: f64 = parameters
            .weights
            .iter()
            .filter(|weight| **weight > 0.0)
            .sum();
        assert!((positive - 1.0).abs() < 1e-12);
    }
}
