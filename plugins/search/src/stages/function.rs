//! An evaluator whose answers are known.

use std::time::Duration;

use schemars::JsonSchema;
use segue_candidates::adam::descend;
use segue_candidates::rows::{evaluates, scored};
use segue_plugin::{Batch, Columns, Host, Result, Stage};
use serde::Deserialize;

use crate::functions;

/// Scores candidates by a function whose minimum, 0, is known: to try searches on.
///
/// A position is a point of the function's box. Adam's steps are walked along central
/// differences.
///
/// # Columns
/// as [`segue_candidates::rows`] has them for evaluators
/// # Source
/// that of [`crate::functions`]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evaluator {
    /// Which function.
    #[serde(default)]
    pub function: Function,
    /// How long a candidate takes besides, in milliseconds: what a dear evaluator would be like.
    #[serde(default)]
    pub sleep_ms: u64,
}

/// Which function.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "they are known by these names")]
pub enum Function {
    #[default]
    Sphere,
    Rosenbrock,
    Rastrigin,
    Ackley,
    Griewank,
    Schwefel,
}

impl From<Function> for functions::Function {
    fn from(function: Function) -> Self {
        match function {
            Function::Sphere => Self::Sphere,
            Function::Rosenbrock => Self::Rosenbrock,
            Function::Rastrigin => Self::Rastrigin,
            Function::Ackley => Self::Ackley,
            Function::Griewank => Self::Griewank,
            Function::Schwefel => Self::Schwefel,
        }
    }
}

impl Stage for Evaluator {
    fn columns(&self) -> Columns {
        evaluates("")
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let function = functions::Function::from(self.function);
        let pause = Duration::from_millis(self.sleep_ms);
        let scores = scored(&batch, |asked| {
            std::thread::sleep(pause);
            walk(function, &mut asked.place, asked.steps, asked.rate);
            Ok(function.at_unit(&asked.place))
        })?;
        if let Some(scores) = scores {
            host.emit(scores);
        }
        Ok(())
    }
}

/// Takes Adam's steps in the function's own coordinates.
fn walk(function: functions::Function, unit: &mut [f64], steps: u32, rate: f64) {
    if steps == 0 {
        return;
    }
    let reach = function.reach();
    let mut x: Vec<f64> = unit.iter().map(|u| (2.0 * u - 1.0) * reach).collect();
    let width = 1e-6 * reach;
    descend(&mut x, steps, rate, |x, slope| {
        let mut near = x.to_vec();
        for (at, slope) in slope.iter_mut().enumerate() {
            let mut beside = |step: f64| {
                near[at] = x[at] + step;
                function.at(&near)
            };
            *slope = (beside(width) - beside(-width)) / (2.0 * width);
            near[at] = x[at];
        }
    });
    for (unit, x) in unit.iter_mut().zip(&x) {
        *unit = (0.5 + 0.5 * x / reach).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segue_candidates::Task;
    use segue_candidates::rows::{Row, What, batch, scores};

    #[test]
    fn candidates_alone_are_scored_and_walks_lead_down() {
        let row = |task| Row {
            candidate: Some(7),
            position: &[0.25, 0.75],
            task: Some(task),
            ..Row::default()
        };
        let steps = Task::Adam {
            steps: 50,
            rate: 1.0,
        };
        let rows = [
            row(Task::FULL),
            Row {
                what: What::Generation,
                ..Row::default()
            },
            row(steps),
        ];
        let mut stage = Evaluator {
            function: Function::Sphere,
            sleep_ms: 0,
        };
        let mut host = Host::silent();
        stage
            .process_each(batch(&rows).unwrap(), &mut host)
            .unwrap();
        let given = host.into_batches();
        let given = scores(&given[0]).unwrap();
        assert_eq!(given.len(), 2);
        assert_eq!(given[0], (7, 5000.0, Some(vec![0.25, 0.75])));
        assert!(given[1].1 < 500.0, "{given:?}");
        stage
            .process_each(batch(&rows[1..2]).unwrap(), &mut Host::silent())
            .unwrap();
    }
}
