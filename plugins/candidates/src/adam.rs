//! Adam's steps, for evaluators that have a gradient.

/// Takes `steps` of Adam's steps from `weights`, with fresh moments: β₁ = 0.9, β₂ = 0.999,
/// ε = 10⁻⁸. `gradient` gets the weights and writes the gradient there. A step whose gradient is
/// not finite ends the walk where it was; how many were taken is returned.
///
/// # Source
/// Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1
pub fn descend(
    weights: &mut [f64],
    steps: u32,
    rate: f64,
    mut gradient: impl FnMut(&[f64], &mut [f64]),
) -> u32 {
    const BETAS: (f64, f64) = (0.9, 0.999);
    let mut slope = vec![0.0; weights.len()];
    let (mut first, mut second) = (slope.clone(), slope.clone());
    let (mut fade, mut fade_of_squares) = (1.0, 1.0);
    for step in 0..steps {
        gradient(weights, &mut slope);
        if !slope.iter().all(|slope| slope.is_finite()) {
            return step;
        }
        fade *= BETAS.0;
        fade_of_squares *= BETAS.1;
        for (((weight, slope), m), v) in weights
            .iter_mut()
            .zip(&slope)
            .zip(&mut first)
            .zip(&mut second)
        {
            *m = BETAS.0 * *m + (1.0 - BETAS.0) * slope;
            *v = BETAS.1 * *v + (1.0 - BETAS.1) * slope * slope;
            let (m, v) = (*m / (1.0 - fade), *v / (1.0 - fade_of_squares));
            *weight -= rate * m / (v.sqrt() + 1e-8);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::descend;

    #[test]
    fn the_first_step_is_as_long_as_the_rate() {
        let mut weights = [1.0, -2.0];
        descend(&mut weights, 1, 0.1, |x, slope| {
            slope.copy_from_slice(&[2.0 * x[0], 200.0 * x[1]])
        });
        assert!(
            (weights[0] - 0.9).abs() < 1e-8 && (weights[1] + 1.9).abs() < 1e-8,
            "{weights:?}"
        );
    }

    #[test]
    fn a_gradient_that_is_not_finite_ends_the_walk() {
        let mut weights = [1.0];
        let mut calls = 0;
        let taken = descend(&mut weights, 9, 0.1, |_, slope| {
            calls += 1;
            slope[0] = if calls == 3 { f64::NAN } else { 1.0 };
        });
        assert_eq!(taken, 2);
        assert!((weights[0] - 0.8).abs() < 1e-6);
    }
}
