//! Functions whose minimum is known, to try searches on.
//!
//! # Source
//! Molga and Smutnicki, "Test functions for optimization needs", 2005. All have the minimum 0;
//! Schwefel's is 12569 and more below, shifted here.

/// A whole turn.
const TURN: f64 = std::f64::consts::TAU;

/// A function over a box, to be minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are known by these names")]
pub enum Function {
    Sphere,
    Rosenbrock,
    Rastrigin,
    Ackley,
    Griewank,
    Schwefel,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sphere,
        Self::Rosenbrock,
        Self::Rastrigin,
        Self::Ackley,
        Self::Griewank,
        Self::Schwefel,
    ];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sphere => "sphere",
            Self::Rosenbrock => "rosenbrock",
            Self::Rastrigin => "rastrigin",
            Self::Ackley => "ackley",
            Self::Griewank => "griewank",
            Self::Schwefel => "schwefel",
        }
    }

    /// Half the side of its box, whose centre is 0.
    pub fn reach(self) -> f64 {
        match self {
            Self::Sphere => 100.0,
            Self::Rosenbrock => 30.0,
            Self::Rastrigin => 5.12,
            Self::Ackley => 32.0,
            Self::Griewank => 600.0,
            Self::Schwefel => 500.0,
        }
    }

    /// Whether it has one minimum alone (Rosenbrock's has two in more than three dimensions, one
    /// of them far from where searches go).
    pub fn is_unimodal(self) -> bool {
        matches!(self, Self::Sphere | Self::Rosenbrock)
    }

    /// Where the minimum lies, in every coordinate.
    pub fn minimum(self) -> f64 {
        match self {
            Self::Rosenbrock => 1.0,
            Self::Schwefel => 420.968_746_227_503_6,
            _ => 0.0,
        }
    }

    /// The value at a point of the unit box.
    pub fn at_unit(self, unit: &[f64]) -> f64 {
        let reach = self.reach();
        self.value(unit, |u| (2.0 * u - 1.0) * reach)
    }

    /// The value at a point.
    pub fn at(self, x: &[f64]) -> f64 {
        self.value(x, |x| x)
    }

    /// The value where `place` puts the coordinates.
    #[inline]
    fn value(self, coordinates: &[f64], place: impl Fn(f64) -> f64) -> f64 {
        let n = coordinates.len() as f64;
        match self {
            Self::Sphere => sum(coordinates, |x| place(x) * place(x)),
            Self::Rosenbrock => {
                let term = |(x, y): (f64, f64)| 100.0 * (y - x * x).powi(2) + (1.0 - x).powi(2);
                let pair = |pair: &[f64]| term((place(pair[0]), place(pair[1])));
                coordinates.windows(2).map(pair).sum()
            }
            Self::Rastrigin => sum(coordinates, |x| {
                let x = place(x);
                let sine = half_turns(x);
                x * x + 20.0 * sine * sine
            }),
            Self::Ackley => {
                let squares = sum(coordinates, |x| place(x) * place(x));
                let waves = sum(coordinates, |x| wave(place(x)));
                let hill = 20.0 - 20.0 * libm::exp(-0.2 * (squares / n).sqrt());
                hill + std::f64::consts::E - libm::exp(waves / n)
            }
            Self::Griewank => {
                let squares = sum(coordinates, |x| place(x) * place(x));
                let factor =
                    |(at, x): (usize, &f64)| wave(place(*x) / (TURN * ((at + 1) as f64).sqrt()));
                let waves: f64 = coordinates.iter().enumerate().map(factor).product();
                1.0 + squares / 4000.0 - waves
            }
            Self::Schwefel => {
                let term = |x: f64| x * wave(x.abs().sqrt() / TURN - 0.25);
                418.982_887_272_433_8 * n - sum(coordinates, |x| term(place(x)))
            }
        }
    }
}
/// In four sums at once, whose order is fixed.
#[inline]
fn sum(coordinates: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 4];
    let fours = coordinates.chunks_exact(4);
    let rest: f64 = fours.remainder().iter().map(|x| term(*x)).sum();
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four) {
            *sum += term(*x);
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// cos(2πx), for |x| below 2⁵¹.
#[inline]
fn wave(x: f64) -> f64 {
    let sine = half_turns(x);
    1.0 - 2.0 * sine * sine
}

/// sin(πx) but for its sign, to the last bits: without a branch, so that a compiler can work on
/// several at once.
#[inline]
fn half_turns(x: f64) -> f64 {
    // Adding and subtracting this rounds to a whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let y = std::f64::consts::PI * (x - ((x + ROUND) - ROUND));
    let z = y * y;
    // Taylor's series to y²¹: the next term is below 10⁻¹⁷ for |y| up to π/2.
    let mut series = 1.0 / 51_090_942_171_709_440_000.0;
    for factorial in [
        -121_645_100_408_832_000.0,
        355_687_428_096_000.0,
        -1_307_674_368_000.0,
        6_227_020_800.0,
        -39_916_800.0,
        362_880.0,
        -5_040.0,
        120.0,
        -6.0,
        1.0,
    ] {
        series = series * z + 1.0 / factorial;
    }
    y * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_cosines() {
        for step in -4000..4000 {
            let x = f64::from(step) * 0.013_7;
            assert!((wave(x) - (TURN * x).cos()).abs() < 1e-13, "{x}");
        }
        assert_eq!(wave(3.0), 1.0);
    }

    #[test]
    fn the_minimum_is_where_it_should_be() {
        for function in Function::ALL {
            let best = function.at(&[function.minimum(); 7]);
            assert!(best.abs() < 1e-9, "{}: {best}", function.name());
            let unit = 0.5 + 0.5 * function.minimum() / function.reach();
            assert!(function.at_unit(&[unit; 7]).abs() < 1e-9);
            for step in [-0.1, 0.1] {
                let mut near = [function.minimum(); 7];
                near[3] += step;
                assert!(function.at(&near) > best + 1e-4, "{}", function.name());
            }
        }
    }
}
