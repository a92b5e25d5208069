//! `svm-trial`, `ann-trial` and `cnn-trial`: how good are options that a search proposes?

use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use segue_candidates::given::Given;
use segue_candidates::rows::{Asked, scored, tries, with_column};
use segue_candidates::{Cost, Measure};
use segue_learn::columns::Role;
use segue_learn::evenly::{at_effort, evenly};
use segue_learn::scorer::measure;
use segue_plugin::{Batch, Column, Columns, Error, Host, Port, Result, Stage};
use serde::Deserialize;

use crate::features::FeatureOptions;
use crate::features::prepared::Prepared;
use crate::features::rows::Examples;
use crate::models::training::{Schedule, fit};
use crate::operators::gathered::Gathered;
use crate::operators::learning::{check_classes, prepare};
use crate::operators::operator::{Options, with};
use crate::operators::options::check;

/// Scores options that a search proposes: learns with them from the rows whose role is `train`,
/// and says how it does on those whose role is `validation`.
///
/// It learns for all `epochs` and keeps the last, so that an operator that learns from all rows,
/// with none to choose an epoch by, does the same. An effort below 1 is a part of the rows to learn
/// from, evenly spaced; words are those of all. Options with which nothing can be learned, such as those that leave no feature,
/// have no fitness. Which features there are is learned once for all candidates that have the same; on
/// a lower rung those of its rows are made for each.
///
/// # Columns
/// by `candidates`: those of [`tries`]
/// by `rows`, a side input: `text` utf8, `truth` utf8 and `role` utf8, `review` u64
/// besides a candidate's scores it writes each of `costs`, f64
/// # Errors
/// `bad-candidate` for options that the model does not have; `no-options`, `no-held-out`,
/// `too-few-rows`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", bound = "O: Options")]
pub struct Trial<O: Options> {
    /// The model's own; a candidate's take the place of some.
    #[serde(flatten)]
    given: Given<O>,
    /// What it tells the search.
    #[serde(default)]
    measure: Measure,
    /// What it tells besides, for a search with several `objectives` or with `constraints`.
    #[serde(default)]
    costs: Vec<Cost>,
    #[serde(skip)]
    gathered: Gathered,
    #[serde(skip)]
    made: Vec<Made>,
}

/// Features, and what they were made for.
#[derive(Debug)]
struct Made {
    features: FeatureOptions,
    prepared: Prepared,
}

/// How a model did.
#[derive(Clone, Copy, Debug)]
struct Tried {
    fitness: f64,
    parameters: f64,
    seconds: f64,
}

impl Tried {
    const HOPELESS: Tried = Tried {
        fitness: f64::NAN,
        parameters: f64::NAN,
        seconds: f64::NAN,
    };

    fn cost(self, cost: Cost) -> f64 {
        match cost {
            Cost::Parameters => self.parameters,
            // Of f32.
            Cost::Bytes => 4.0 * self.parameters,
            Cost::Seconds => self.seconds,
        }
    }
}

/// How many are kept: those of 22,500 reviews with runs of three words take about 200 MB.
const KEPT: usize = 3;

/// Errors that say that nothing can be learned with such options.
const HOPELESS: [&str; 3] = ["no-features", "one-class", "not-finite"];

/// The port of the rows.
const ROWS: usize = 1;

impl<O: Options> Stage for Trial<O> {
    const PORTS: &'static [Port] = &[Port::new("candidates"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        let columns = tries("candidates")
            .reads_at("rows", "review", "u64")
            .reads_at("rows", "text", "utf8")
            .reads_at("rows", "truth", "utf8")
            .reads_at("rows", "role", "utf8");
        let write = |columns: Columns, cost: &Cost| columns.writes(cost.name(), "f64");
        self.costs.iter().fold(columns, write)
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        with(&self.given, "")?.recipe()?;
        let common = self.given.own().common();
        let absent = "left out: a trial learns from the rows, and keeps nothing";
        check(common.model.is_none(), "model", absent)?;
        check(common.output.is_none(), "output", absent)?;
        Ok(self.columns())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == ROWS {
            let labels = &self.given.own().common().labels;
            return self.gathered.add(&batch, labels);
        }
        let show = |asked: &Asked| host.progress(&format!("tries {}", asked.options));
        let mut all = Vec::new();
        let scores = scored(&batch, |asked| {
            show(asked);
            let tried = self.score(asked)?;
            all.push(tried);
            Ok(tried.fitness)
        })?;
        let Some(mut scores) = scores else {
            return Ok(());
        };
        for cost in &self.costs {
            let values = all.iter().map(|tried| tried.cost(*cost)).collect();
            scores = with_column(scores, cost.name(), values)?;
        }
        host.emit(scores);
        Ok(())
    }
}

impl<O: Options> Trial<O> {
    fn score(&mut self, asked: &Asked) -> Result<Tried> {
        match self.learn(asked) {
            Err(error) if HOPELESS.contains(&error.code.as_str()) => Ok(Tried::HOPELESS),
            tried => tried,
        }
    }

    fn learn(&mut self, asked: &Asked) -> Result<Tried> {
        let recipe = with(&self.given, asked.named()?)?.recipe()?;
        let prepared = self.prepared(&recipe.features, asked.effort)?;
        let mut model = recipe.model(prepared.features.width())?;
        let schedule = Schedule {
            patience: None,
            ..recipe.schedule
        };
        let none = Examples::default();
        fit(model.as_mut(), &prepared.train, &none, schedule, |_| ())?;
        let started = Instant::now();
        let quality = measure(model.as_ref(), &prepared.held_out)?;
        Ok(Tried {
            fitness: self.measure.of(quality.loss, quality.accuracy),
            parameters: model.weight_count() as f64,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Features learned from all rows to train with, whatever the effort: so a model is as large as
    /// it will be. Of these rows it learns from a part.
    fn prepared(&mut self, features: &FeatureOptions, effort: f64) -> Result<Prepared> {
        if self.gathered.texts(Role::Validation).is_empty() {
            let message = "no row has the role `validation`, to score candidates by: \
                           `read` gives it with `hold-out`";
            return Err(Error::new("no-held-out", message));
        }
        let labels = &self.given.own().common().labels;
        let texts = self.gathered.texts(Role::Train);
        let made = self.made.iter().find(|made| made.features == *features);
        let whole = match made {
            Some(made) => made.prepared.clone(),
            None => {
                let prepared = prepare(labels, features, &self.gathered, &texts)?;
                if self.made.len() == KEPT {
                    self.made.remove(0);
                }
                self.made.push(Made {
                    features: *features,
                    prepared: prepared.clone(),
                });
                prepared
            }
        };
        if effort >= 1.0 {
            return Ok(whole);
        }
        let part = evenly(&texts, at_effort(texts.len(), effort));
        if part.is_empty() {
            return Err(too_few(texts.len(), effort));
        }
        check_classes(labels, &self.gathered, &part)?;
        let train = self.gathered.examples(&whole.features, &part);
        Ok(Prepared {
            train: Arc::new(train),
            ..whole
        })
    }
}

/// That a part of so many rows is none.
fn too_few(count: usize, effort: f64) -> Error {
    let message = format!(
        "of {count} rows to learn from none is left at an effort of {effort:.4}: the search needs \
         fewer `rungs`"
    );
    Error::new("too-few-rows", message)
}
