//! An axis with ticks at round numbers.

/// Values, and where they lie.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Where `low` and `high` lie.
    ends: (f64, f64),
}

/// From 0 to the last evaluation.
pub(super) fn evaluations(values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Axis {
    Axis {
        low: 0.0,
        high: values.fold(1.0, f64::max),
        log: false,
        ends,
    }
}

/// From the least to the greatest value, with some room; logarithmic where that shows more.
pub(super) fn spanning(values: impl Iterator<Item = f64> + Clone, ends: (f64, f64)) -> Axis {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return Axis {
            low: 0.0,
            high: 1.0,
            log: false,
            ends,
        };
    }
    if low > 0.0 && high / low >= 100.0 {
        let (low, high) = (libm::floor(libm::log10(low)), libm::ceil(libm::log10(high)));
        return Axis {
            low,
            high,
            log: true,
            ends,
        };
    }
    let room = match high - low {
        0.0 => 0.1 * high.abs().max(1e-6),
        range => 0.04 * range,
    };
    Axis {
        low: low - room,
        high: high + room,
        log: false,
        ends,
    }
}

impl Axis {
    /// Where a value lies.
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.log { libm::log10(value) } else { value };
        let share = (value - self.low) / (self.high - self.low);
        self.ends.0 + share * (self.ends.1 - self.ends.0)
    }

    /// Where ticks are, and what they say.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let range = self.high - self.low;
        let step = if self.log {
            (range / 8.0).ceil().max(1.0)
        } else {
            round_step(range / 6.0)
        };
        let (from, to) = (
            (self.low / step - 1e-9).ceil(),
            (self.high / step + 1e-9).floor(),
        );
        let count = (to - from) as usize + 1;
        let tick = |number: usize| {
            let value = (from + number as f64) * step;
            let share = (value - self.low) / range;
            let name = if self.log {
                format!("1e{value}")
            } else {
                short(value, step, self.low.abs().max(self.high.abs()))
            };
            (self.ends.0 + share * (self.ends.1 - self.ends.0), name)
        };
        (0..count).map(tick).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is no less.
fn round_step(least: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(least)));
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|round| round * power >= least * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

/// As many digits as the step needs; all of an axis in one form, by its largest value.
fn short(value: f64, step: f64, largest: f64) -> String {
    let exponent = libm::floor(libm::log10(step) + 1e-9);
    if value != 0.0 && !(1e-4..1e6).contains(&largest) {
        let digits = libm::floor(libm::log10(value.abs()) + 1e-9) - exponent;
        return format!("{value:.*e}", digits.clamp(0.0, 15.0) as usize);
    }
    format!("{value:.*}", (-exponent).clamp(0.0, 15.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = evaluations([20_000.0].into_iter(), (0.0, 1.0));
        assert_eq!(names(&axis), ["0", "5000", "10000", "15000", "20000"]);
        let axis = spanning([0.31, 0.69].into_iter(), (0.0, 1.0));
        assert_eq!(names(&axis), ["0.3", "0.4", "0.5", "0.6", "0.7"]);
        let axis = evaluations([3_000_000.0].into_iter(), (0.0, 1.0));
        assert_eq!(names(&axis)[..3], ["0", "5e5", "1.0e6"]);
    }

    #[test]
    fn wide_ranges_are_logarithmic_and_places_follow() {
        let axis = spanning([3e-7, 42.0].into_iter(), (100.0, 0.0));
        assert_eq!(names(&axis).first().map(String::as_str), Some("1e-6"));
        assert!((axis.place(1e-7) - 100.0).abs() < 1e-9 && axis.place(100.0).abs() < 1e-9);
    }

    #[test]
    fn one_value_and_none_have_an_axis() {
        assert!(!spanning([5.0].into_iter(), (0.0, 1.0)).ticks().is_empty());
        assert!(!spanning(std::iter::empty(), (0.0, 1.0)).ticks().is_empty());
    }
}
