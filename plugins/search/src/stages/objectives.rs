//! What a search is told to make good, and what its candidates must not break.

use crate::error::{Error, Result};
use crate::{Direction, Goal, Objective};

/// What a search reads of an evaluator, and what it makes of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// An objective for a column.
    pub goal: Goal,
    /// All that are read, each once: first those of the objectives.
    columns: Vec<String>,
    limits: Vec<Limit>,
}

/// A constraint, such as `bytes <= 1e6`.
#[derive(Clone, Debug, PartialEq)]
struct Limit {
    column: usize,
    is_most: bool,
    value: f64,
}

impl Judged {
    /// As the options `objectives`, `constraints` and `maximize` have it.
    ///
    /// # Errors
    /// A line that cannot be read, a column that is two objectives, or `maximize` beside
    /// `objectives`
    pub fn read(objectives: &[String], constraints: &[String], maximize: bool) -> Result<Self> {
        let goal = match objectives {
            [] if maximize => Goal::maximize(),
            [] => Goal::minimize(),
            _ if maximize => {
                let must = "left out where `objectives` say which way each goes";
                return Err(wrong("maximize", "true", must));
            }
            lines => Goal(
                lines
                    .iter()
                    .map(|line| objective(line))
                    .collect::<Result<_>>()?,
            ),
        };
        let mut columns: Vec<String> = Vec::new();
        for Objective { name, .. } in &goal.0 {
            if columns.contains(name) {
                return Err(wrong("objectives", name, "there once"));
            }
            columns.push(name.clone());
        }
        let limits = constraints.iter().map(|line| limit(line, &mut columns));
        Ok(Judged {
            goal,
            limits: limits.collect::<Result<_>>()?,
            columns,
        })
    }

    /// The columns to read, each once.
    pub fn columns(&self) -> Vec<&str> {
        self.columns.iter().map(String::as_str).collect()
    }

    /// The objectives of a candidate, and by how much it breaks constraints, of what these
    /// columns say.
    pub fn split(&self, values: &[f64]) -> (Vec<f64>, f64) {
        let objectives = values[..self.goal.count()].to_vec();
        let broken = self
            .limits
            .iter()
            .map(|limit| limit.broken_by(values[limit.column]));
        (objectives, broken.sum())
    }
}

/// The most that one constraint counts as broken: beyond, sums would not be numbers.
const BROKEN_MAX: f64 = 1e100;

impl Limit {
    /// By what share of the limit, so that bytes and seconds weigh alike, or by how much where it
    /// is 0; 0 where it holds.
    fn broken_by(&self, value: f64) -> f64 {
        let beyond = if self.is_most {
            value - self.value
        } else {
            self.value - value
        };
        let whole = if self.value == 0.0 {
            1.0
        } else {
            self.value.abs()
        };
        // What is not a number keeps to nothing.
        if beyond <= 0.0 {
            0.0
        } else if beyond > 0.0 {
            // At least something, however small the share.
            (beyond / whole).clamp(f64::MIN_POSITIVE, BROKEN_MAX)
        } else {
            f64::NAN
        }
    }
}

/// Such as `parameters = minimize 1e-7`.
fn objective(line: &str) -> Result<Objective> {
    let must = "such as `fitness = minimize`, or with a weight `parameters = minimize 1e-7`";
    let wrong = || wrong("objectives", line, must);
    let (name, how) = line.split_once('=').ok_or_else(wrong)?;
    let (direction, weight) = match *how.split_whitespace().collect::<Vec<_>>().as_slice() {
        [direction] => (direction, "1"),
        [direction, weight] => (direction, weight),
        _ => return Err(wrong()),
    };
    let direction = match direction {
        "minimize" => Direction::Minimize,
        "maximize" => Direction::Maximize,
        _ => return Err(wrong()),
    };
    let weight = weight
        .parse()
        .ok()
        .filter(|weight: &f64| weight.is_finite());
    Ok(Objective {
        name: column(name).ok_or_else(wrong)?,
        direction,
        weight: weight.filter(|weight| *weight > 0.0).ok_or_else(wrong)?,
    })
}

/// Such as `bytes <= 1e6`.
fn limit(line: &str, columns: &mut Vec<String>) -> Result<Limit> {
    let wrong = || {
        wrong(
            "constraints",
            line,
            "such as `bytes <= 1e6` or `fitness >= 0.9`",
        )
    };
    let [most, least] = ["<=", ">="].map(|sign| line.split_once(sign));
    let (name, value) = most.or(least).ok_or_else(wrong)?;
    let value = value
        .trim()
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite());
    let (name, value) = (column(name).ok_or_else(wrong)?, value.ok_or_else(wrong)?);
    let known = columns.iter().position(|column| *column == name);
    let column = known.unwrap_or_else(|| {
        columns.push(name);
        columns.len() - 1
    });
    Ok(Limit {
        column,
        is_most: most.is_some(),
        value,
    })
}

/// A column's name, where it is one.
fn column(name: &str) -> Option<String> {
    let name = name.trim();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_score = !["candidate", "position"].contains(&name);
    (is_score && !name.is_empty() && name.chars().all(fits)).then(|| name.to_owned())
}

fn wrong(option: &'static str, value: &str, must: &'static str) -> Error {
    Error::Option {
        option,
        value: format!("`{value}`"),
        must,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(objectives: &[&str], constraints: &[&str]) -> Result<Judged> {
        let [objectives, constraints] =
            [objectives, constraints].map(|all| all.iter().map(|x| (*x).to_owned()).collect());
        let (objectives, constraints): (Vec<_>, Vec<_>) = (objectives, constraints);
        Judged::read(&objectives, &constraints, false)
    }

    #[test]
    fn without_objectives_the_fitness_is_one() {
        let judged = read(&[], &["bytes <= 2e3", "accuracy>=0.5"]).unwrap();
        assert_eq!(judged.columns(), ["fitness", "bytes", "accuracy"]);
        assert_eq!(judged.split(&[7.0, 2e3, 0.5]), (vec![7.0], 0.0));
        assert_eq!(judged.split(&[7.0, 3e3, 0.25]), (vec![7.0], 1.0));
        assert!(judged.split(&[7.0, f64::NAN, 1.0]).1.is_nan());
    }

    #[test]
    fn objectives_have_names_directions_and_weights() {
        let judged = read(&["fitness = maximize", "bytes = minimize 1e-6"], &[]).unwrap();
        assert_eq!(judged.columns(), ["fitness", "bytes"]);
        assert_eq!(judged.goal.0[0].direction, Direction::Maximize);
        assert_eq!(judged.goal.0[1].weight, 1e-6);
    }

    #[test]
    fn a_column_may_be_made_good_within_bounds() {
        let judged = read(&["bytes = minimize"], &["bytes <= 9", "bytes >= 1"]).unwrap();
        assert_eq!(judged.columns(), ["bytes"]);
        assert_eq!(judged.split(&[18.0]), (vec![18.0], 1.0));
        assert!(read(&["candidate = minimize"], &[]).is_err());
        assert!(read(&["bytes = minimize", "bytes = maximize"], &[]).is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_broken_by_as_much_as_is_there() {
        let judged = read(&[], &["excess <= 0", "other >= 0"]).unwrap();
        let broken = |excess, other| judged.split(&[1.0, excess, other]).1;
        assert_eq!(broken(0.0, 0.0), 0.0);
        assert_eq!(broken(500.0, -5.0), 505.0);
        assert!(broken(f64::INFINITY, -f64::MAX).is_finite());
        assert!(broken(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn what_cannot_be_read_says_how_it_is_written() {
        for line in [
            "",
            "bytes",
            "bytes = less",
            "= minimize",
            "a b = minimize",
            "x = minimize 0",
        ] {
            let said = read(&[line], &[]).unwrap_err().to_string();
            assert!(said.contains("`parameters = minimize 1e-7`"), "{said}");
        }
        for line in ["", "bytes < 3", "bytes <= many", "<= 3"] {
            let said = read(&[], &[line]).unwrap_err().to_string();
            assert!(said.contains("`bytes <= 1e6`"), "{said}");
        }
        assert!(Judged::read(&["x = minimize".to_owned()], &[], true).is_err());
    }
}
