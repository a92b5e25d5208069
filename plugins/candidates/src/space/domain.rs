//! The values of one option.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::is_word;

/// The values that one option can have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Domain {
    /// Numbers, both ends included.
    Float {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
        /// How they lie in the box.
        #[serde(default)]
        scale: Scale,
    },
    /// Whole numbers, both ends included, each with the same share of the box.
    Integer {
        /// The least.
        low: i64,
        /// The greatest.
        high: i64,
    },
    /// Names, each with the same share of the box. Neighbours in the list are no nearer to each
    /// other than others are, which the algorithms do not know.
    Choice(Vec<String>),
}

/// How numbers lie in the box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// Their logarithms evenly: numbers above 0 alone.
    Log,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// A name.
    Choice(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The shortest text that is read as the same number.
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Choice(name) => f.write_str(name),
        }
    }
}

/// How far a coordinate may be from where arithmetic puts it, in steps of its last bit.
const NEAR: u64 = 256;

impl Domain {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Domain::Float { low, high, .. } if !(low < high && (high - low).is_finite()) => {
                Err(format!("{low:?} is not less than {high:?}"))
            }
            Domain::Float {
                low,
                scale: Scale::Log,
                ..
            } if *low <= 0.0 => Err(format!("{low:?} has no logarithm")),
            Domain::Integer { low, high } if low > high || self.count().is_none() => {
                Err(format!("{low} to {high} is not a range of whole numbers"))
            }
            Domain::Choice(names) if names.is_empty() => Err("no choices".into()),
            Domain::Choice(names) => {
                let twice = |at: usize| names[..at].contains(&names[at]);
                let bad = (0..names.len()).find(|&at| !is_word(&names[at]) || twice(at));
                bad.map_or(Ok(()), |at| {
                    Err(format!("`{}` cannot be one of several choices", names[at]))
                })
            }
            _ => Ok(()),
        }
    }

    /// How many values there are, where they can be counted (to 2⁵², so that each has a
    /// coordinate).
    pub fn count(&self) -> Option<u64> {
        match self {
            Domain::Float { .. } => None,
            Domain::Integer { low, high } => {
                let count = high.checked_sub(*low)?.checked_add(1)?;
                u64::try_from(count).ok().filter(|count| *count <= 1 << 52)
            }
            Domain::Choice(names) => Some(names.len() as u64),
        }
    }

    /// The value at a coordinate.
    pub fn decode(&self, x: f64) -> Value {
        match self {
            Domain::Float { low, high, scale } => Value::Float(float(*low, *high, *scale, x)),
            Domain::Integer { low, .. } => Value::Integer(low + self.bin(x) as i64),
            Domain::Choice(names) => Value::Choice(names[self.bin(x) as usize].clone()),
        }
    }

    /// A coordinate of the value: of a whole number or a name the middle of its share.
    pub fn encode(&self, value: &Value) -> Option<f64> {
        match (self, value) {
            (Domain::Float { low, high, scale }, Value::Float(number)) => (low..=high)
                .contains(&number)
                .then(|| unit(*low, *high, *scale, *number)),
            (Domain::Integer { low, high }, Value::Integer(number)) => (low..=high)
                .contains(&number)
                .then(|| self.middle((number - low) as u64)),
            (Domain::Choice(names), Value::Choice(name)) => {
                let at = names.iter().position(|other| other == name)?;
                Some(self.middle(at as u64))
            }
            _ => None,
        }
    }

    /// A value from its text.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let value = match self {
            Domain::Float { .. } => Value::Float(text.parse().ok()?),
            Domain::Integer { .. } => Value::Integer(text.parse().ok()?),
            Domain::Choice(_) => Value::Choice(text.to_owned()),
        };
        self.encode(&value).map(|_| value)
    }

    /// The same for coordinates of the same value.
    pub(super) fn bits(&self, x: f64) -> u64 {
        match self {
            Domain::Float { low, high, scale } => float(*low, *high, *scale, x).to_bits(),
            _ => self.bin(x),
        }
    }

    fn bin(&self, x: f64) -> u64 {
        let count = self.count().unwrap_or(1);
        ((x * count as f64) as u64).min(count - 1)
    }

    /// The coordinate in the middle of the share of value number `bin`, of those that can be counted.
    pub fn middle(&self, bin: u64) -> f64 {
        (bin as f64 + 0.5) / self.count().unwrap_or(1) as f64
    }
}

fn float(low: f64, high: f64, scale: Scale, x: f64) -> f64 {
    let number = match scale {
        Scale::Linear => low + x * (high - low),
        Scale::Log => {
            let (from, to) = (libm::log(low), libm::log(high));
            libm::exp(from + x * (to - from))
        }
    };
    // Rounding must not lead outside, nor miss an end.
    match x {
        0.0 => low,
        1.0 => high,
        _ => number.clamp(low, high),
    }
}

/// The coordinate that is decoded to `number`, bit by bit, where there is one; else the nearest.
fn unit(low: f64, high: f64, scale: Scale, number: f64) -> f64 {
    let about = match scale {
        Scale::Linear => (number - low) / (high - low),
        Scale::Log => libm::log(number / low) / libm::log(high / low),
    };
    let about = about.clamp(0.0, 1.0).to_bits();
    let end = 1.0_f64.to_bits();
    let steps = (0..=NEAR).flat_map(|step| [about.saturating_sub(step), (about + step).min(end)]);
    let away = |bits: &u64| (float(low, high, scale, f64::from_bits(*bits)) - number).abs();
    let mut best = about;
    for bits in [0, end].into_iter().chain(steps) {
        if away(&bits) < away(&best) {
            best = bits;
        }
        if away(&best) == 0.0 {
            break;
        }
    }
    f64::from_bits(best)
}
