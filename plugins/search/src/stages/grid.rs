//! Candidates that are all known beforehand.

use schemars::JsonSchema;
use segue_candidates::Task;
use segue_candidates::rows::{self, Row};
use segue_plugin::{Batch, Column, Columns, Error, Host, Result, Rows, Stage};
use serde::Deserialize;

use crate::space::Options;

/// Proposes every combination of some options' values, for an evaluator to score: the first
/// option changes slowest. Nothing comes back; what the evaluator gives is the table. All of it is
/// committed at once: a run that is killed begins again.
///
/// # Columns
/// writes the [rows] of candidates
/// # Errors
/// `bad-option` for values that cannot be counted, and for too many combinations
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grid {
    /// Options with the values of each, such as `kind = structured | unstructured`, `amount = 0.1 | 0.3` and `ngrams = 1..3`.
    pub space: Vec<String>,
    /// How many candidates make one batch, which one replica scores.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub chunk: usize,
}

fn one() -> usize {
    1
}

/// The most combinations: more are a search's.
const MOST: u64 = 10_000;

fn bad(message: String) -> Error {
    Error::new("bad-option", message).option("space")
}

impl Grid {
    /// The options, and how many values each has.
    fn options(&self) -> Result<(Options, Vec<u64>)> {
        let options = Options::read(&self.space).map_err(|e| bad(e.to_string()))?;
        let count = |(name, domain): &(String, crate::space::Domain)| {
            let message = format!(
                "the numbers that `{name}` can be cannot be counted: name some, as in \
                 `{name} = 0.1 | 0.3`"
            );
            domain.count().ok_or_else(|| bad(message))
        };
        let counts = options.0.iter().map(count).collect::<Result<Vec<u64>>>()?;
        let all = counts.iter().try_fold(1, |all: u64, n| all.checked_mul(*n));
        if all.is_none_or(|all| all > MOST) {
            let message = format!("`space` has more than {MOST} combinations");
            return Err(bad(message));
        }
        Ok((options, counts))
    }

    /// A point of the unit box for each combination.
    fn points(options: &Options, counts: &[u64]) -> Vec<Vec<f64>> {
        let mut points = vec![Vec::new()];
        for ((_, domain), count) in options.0.iter().zip(counts) {
            let with = |point: Vec<f64>| {
                (0..*count).map(move |value| {
                    let mut point = point.clone();
                    point.push(domain.middle(value));
                    point
                })
            };
            points = points.into_iter().flat_map(with).collect();
        }
        points
    }
}

impl Stage for Grid {
    const STARTS: bool = true;

    fn columns(&self) -> Columns {
        rows::written(Columns::new()).rows(Rows::New).snapshots(0)
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        self.options()?;
        Ok(self.columns())
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        let (options, counts) = self.options()?;
        let points = Self::points(&options, &counts);
        let rows: Vec<Row<'_>> = (points.iter().enumerate())
            .map(|(number, point)| Row {
                candidate: Some(number as u64),
                position: point,
                options: Some(options.text(&options.decode(point))),
                task: Some(Task::FULL),
                ..Row::default()
            })
            .collect();
        for rows in rows.chunks(self.chunk.max(1)) {
            host.emit(rows::batch(rows)?);
        }
        Ok(())
    }

    fn process_each(&mut self, _batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        // All is done at the beginning.
        Ok(Vec::new())
    }

    fn restore(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(space: &[&str]) -> Grid {
        Grid {
            space: space.iter().map(|&line| line.to_owned()).collect(),
            chunk: 1,
        }
    }

    #[test]
    fn every_combination_comes_once_and_in_order() {
        let grid = grid(&["kind = a | b", "amount = 0.1 | 0.3 | 0.5", "n = 2..3"]);
        let (options, counts) = grid.options().unwrap();
        let texts: Vec<String> = (Grid::points(&options, &counts).iter())
            .map(|point| options.text(&options.decode(point)))
            .collect();
        assert_eq!(texts.len(), 12);
        assert_eq!(texts[0], "kind=a,amount=0.1,n=2");
        assert_eq!(texts[1], "kind=a,amount=0.1,n=3");
        assert_eq!(texts[7], "kind=b,amount=0.1,n=3");
        assert_eq!(texts[11], "kind=b,amount=0.5,n=3");
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (space, part) in [
            (&["rate = 0.1..0.5"][..], "cannot be counted"),
            (
                &["n = 1..1000", "m = 1..1000"],
                "more than 10000 combinations",
            ),
            (&[], "no options"),
            (&["n"], "n"),
        ] {
            let error = grid(space).options().unwrap_err();
            assert!(
                error.code == "bad-option" && error.message.contains(part),
                "{error}"
            );
        }
    }
}
