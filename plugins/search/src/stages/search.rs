//! A search as an operator.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use segue_candidates::rows::{self, Row, What};
use segue_plugin::{Batch, Column, Columns, Context, Error, Host, Next, Port, Result, Rows, Stage};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::common::{Common, refused};
use super::objectives::Judged;
use crate::space::Space;
use crate::{Best, Candidate, Method, Score, Search, Setup, Statistics};

/// The options of one algorithm.
pub trait Options: DeserializeOwned + JsonSchema + 'static {
    /// Whether evaluators walk, so that it must hear where that led.
    const WALKS: bool = false;

    /// Those that every search has.
    fn common(&self) -> &Common;

    /// Which algorithm, with its options.
    fn method(&self) -> Method;
}

/// A search: it begins by itself, proposes a generation, and proposes the next when all scores
/// have come back over the loop.
///
/// # Columns
/// reads `candidate` u64 and `fitness` f64, and `position` list f64 where evaluators walk
/// writes the [rows](segue_candidates::rows) of candidates, generations and the best
/// # Errors
/// `bad-option`, `bad-search`; `lost-score` when an evaluator does not score each candidate once
#[derive(Deserialize)]
#[serde(from = "O", bound = "O: Options")]
pub struct SearchStage<O: Options> {
    options: O,
    run: Option<Run>,
}

/// A search that has started.
struct Run {
    search: Search,
    judged: Judged,
    /// What has come of this generation, by candidate.
    scores: BTreeMap<u64, Score>,
    /// How long it had run before it was started here.
    before: f64,
    since: Instant,
}

impl<O: Options> From<O> for SearchStage<O> {
    fn from(options: O) -> Self {
        SearchStage { options, run: None }
    }
}

impl<O: Options> JsonSchema for SearchStage<O> {
    fn schema_name() -> Cow<'static, str> {
        O::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        O::json_schema(generator)
    }
}

impl<O: Options> SearchStage<O> {
    fn setup(&self) -> Result<Setup> {
        let setup = self.options.common().setup(self.options.method());
        setup.map_err(refused)
    }

    fn judged(&self) -> Result<Judged> {
        self.options.common().judged().map_err(refused)
    }

    fn run(&mut self) -> Result<&mut Run> {
        let missing = || Error::new("not-started", "there is no search yet");
        self.run.as_mut().ok_or_else(missing)
    }
}

impl<O: Options> Stage for SearchStage<O> {
    const PORTS: &'static [Port] = &[Port::new("scores")];
    const STARTS: bool = true;

    fn columns(&self) -> Columns {
        let mut columns = Columns::new().reads_at("scores", "candidate", "u64");
        // What cannot be read is told by `columns_for`.
        for column in self.judged().iter().flat_map(Judged::columns) {
            columns = columns.reads_at("scores", column, "f64");
        }
        if O::WALKS {
            columns = columns.reads_at("scores", "position", "list f64");
        }
        rows::written(columns).rows(Rows::New).snapshots(0)
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        // Options that cannot be are told before anything runs.
        Search::new(self.setup()?).map_err(refused)?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let search = Search::new(self.setup()?).map_err(refused)?;
        self.run = Some(Run::new(search, self.judged()?, 0.0));
        Ok(())
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        let chunk = self.options.common().chunk;
        self.run()?.propose(chunk, host)
    }

    fn process_each(&mut self, batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        let run = self.run()?;
        for (number, values, place) in rows::values(&batch, &run.judged.columns())? {
            let (objectives, violation) = run.judged.split(&values);
            let score = Score {
                objectives,
                violation,
                improved: place.filter(|_| O::WALKS),
            };
            if run.scores.insert(number, score).is_some() {
                return Err(lost(format!("candidate {number} was scored twice")));
            }
        }
        Ok(())
    }

    fn flush(&mut self, _time: u64, host: &mut Host<'_>) -> Result<()> {
        let chunk = self.options.common().chunk;
        let run = self.run()?;
        if run.scores.is_empty() {
            return Ok(());
        }
        run.tell(host)?;
        run.propose(chunk, host)
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let run = self.run()?;
        if !run.search.is_done() {
            let number = run.search.generation().number;
            let message = format!("no candidate of generation {number} was scored");
            return Err(lost(message));
        }
        run.end(host)?;
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        let run = self.run()?;
        let mut bytes = run.seconds().to_le_bytes().to_vec();
        bytes.extend(run.search.save().map_err(no_state)?);
        Ok(bytes)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let (before, saved) = (state.split_first_chunk())
            .ok_or_else(|| Error::new("no-state", "a saved search is too short"))?;
        let search = Search::restore(self.setup()?, saved).map_err(no_state)?;
        self.run = Some(Run::new(
            search,
            self.judged()?,
            f64::from_le_bytes(*before),
        ));
        Ok(())
    }
}

impl Run {
    fn new(search: Search, judged: Judged, before: f64) -> Self {
        Run {
            search,
            judged,
            scores: BTreeMap::new(),
            before,
            since: Instant::now(),
        }
    }

    fn seconds(&self) -> f64 {
        self.before + self.since.elapsed().as_secs_f64()
    }

    /// Gives the next candidates, unless it has come to its end. A generation that is known
    /// already needs nobody.
    fn propose(&mut self, chunk: usize, host: &mut Host<'_>) -> Result<()> {
        while !self.search.is_done() {
            let generation = self.search.generation().number;
            let asked = self.search.ask();
            for candidates in asked.chunks(chunk.max(1)) {
                let rows: Vec<Row<'_>> = (candidates.iter())
                    .map(|candidate| Row {
                        options: named(&self.search, candidate.position),
                        ..candidate_row(generation, candidate)
                    })
                    .collect();
                host.emit(rows::batch(&rows)?);
            }
            if !asked.is_empty() {
                return Ok(());
            }
            let statistics = self.search.tell(&[]).map_err(refused)?;
            self.report(&statistics, host)?;
        }
        Ok(())
    }

    /// Hands over all scores of a generation, in the order of its candidates.
    fn tell(&mut self, host: &mut Host<'_>) -> Result<()> {
        let mut came = std::mem::take(&mut self.scores);
        let asked = self.search.ask();
        let score = |candidate: &Candidate<'_>| {
            let missing = || lost(format!("candidate {} was not scored", candidate.number));
            came.remove(&(candidate.number as u64)).ok_or_else(missing)
        };
        let scores = asked.iter().map(score).collect::<Result<Vec<Score>>>()?;
        if let Some(number) = came.keys().next() {
            return Err(lost(format!(
                "candidate {number} was scored, but never proposed"
            )));
        }
        let statistics = self.search.tell(&scores).map_err(refused)?;
        self.report(&statistics, host)
    }

    fn report(&self, statistics: &Statistics, host: &mut Host<'_>) -> Result<()> {
        let best = statistics
            .best
            .map_or("none".to_owned(), |best| format!("{best:.6}"));
        host.progress(&format!(
            "generation {}, {} evaluations, best {best}",
            statistics.generation, statistics.evaluations
        ));
        host.emit(rows::batch(&[Row {
            what: What::Generation,
            generation: statistics.generation,
            evaluations: Some(statistics.evaluations),
            best: statistics.best,
            mean: statistics.mean,
            diversity: Some(statistics.diversity),
            seconds: Some(self.seconds()),
            ..Row::default()
        }])?);
        Ok(())
    }

    /// That the best was scored in full, and breaks no constraint.
    fn check_best(&self, best: &Best) -> Result<()> {
        let Best {
            generation,
            candidate,
            ..
        } = best;
        let which = format!("candidate {candidate} of generation {generation}");
        let which = named(&self.search, &best.position).map_or(which, |options| options);
        if best.quality.missing > 0 {
            let message = "no candidate that was scored in full has a fitness that is a number";
            return Err(Error::new(
                "no-best",
                format!("{message}; on a lower rung {which} did best"),
            ));
        }
        if !best.quality.is_feasible() {
            let message = "no candidate keeps to all `constraints`; the closest is";
            let error = Error::new("no-best", format!("{message} {which}"));
            return Err(error.option("constraints"));
        }
        Ok(())
    }

    /// Gives the front and the best.
    fn end(&self, host: &mut Host<'_>) -> Result<()> {
        let none = "no candidate has a fitness that is a finite number";
        let best = (self.search.best()).ok_or_else(|| Error::new("no-best", none))?;
        self.check_best(best)?;
        let goal = &self.search.setup().goal;
        let evaluations = Some(self.search.evaluations());
        let front = self.search.front();
        let mut rows: Vec<Row<'_>> = (front.iter())
            .map(|point| Row {
                what: What::Front,
                generation: point.generation,
                candidate: Some(point.candidate as u64),
                position: &point.position,
                options: named(&self.search, &point.position),
                evaluations,
                // Signed twice is as it was given.
                objectives: Some(goal.named(&goal.signed(&point.objectives))),
                ..Row::default()
            })
            .collect();
        rows.push(Row {
            what: What::Best,
            generation: best.generation,
            candidate: Some(best.candidate as u64),
            position: &best.position,
            options: named(&self.search, &best.position),
            evaluations,
            best: Some(goal.shown(best.quality.fitness)),
            objectives: Some(goal.named(&best.objectives)),
            ..Row::default()
        });
        host.emit(rows::batch(&rows)?);
        Ok(())
    }
}

/// What a point stands for, in a space of options.
fn named(search: &Search, position: &[f64]) -> Option<String> {
    match &search.setup().space {
        Space::Options(options) => Some(options.text(&options.decode(position))),
        _ => None,
    }
}

fn candidate_row<'a>(generation: u64, candidate: &Candidate<'a>) -> Row<'a> {
    Row {
        generation,
        candidate: Some(candidate.number as u64),
        position: candidate.position,
        task: Some(candidate.task),
        ..Row::default()
    }
}

fn lost(message: String) -> Error {
    Error::new("lost-score", message)
}

fn no_state(error: crate::Error) -> Error {
    Error::new("no-state", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::swarm::PsoStage;
    use super::*;

    #[test]
    fn a_search_whose_candidates_are_lost_does_not_end_as_if_it_were_done() {
        let options = serde_json::json!({"dimensions": 2, "population": 4, "generations": 2});
        let mut stage: PsoStage = serde_json::from_value(options).unwrap();
        stage.start(&Context::default()).unwrap();
        let mut host = Host::silent();
        stage.begin(&mut host).unwrap();
        for batch in host.into_batches() {
            let scored = rows::scored(&batch, |asked| Ok(asked.place[0])).unwrap();
            stage
                .process_each(scored.unwrap(), &mut Host::silent())
                .unwrap();
        }
        stage.flush(0, &mut Host::silent()).unwrap();
        let error = stage.finish(&mut Host::silent()).unwrap_err();
        assert_eq!(error.code, "lost-score", "{error}");
    }
}
