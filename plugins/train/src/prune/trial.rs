//! How good is a model of which so much was taken out?

use schemars::JsonSchema;
use segue_candidates::Measure;
use segue_candidates::given::Given;
use segue_candidates::rows::{Asked, scored, tries};
use segue_learn::columns::Role;
use segue_learn::evenly::{at_effort, evenly};
use segue_model::LayerTimes;
use segue_plugin::arrow_array::{Float64Array, StringArray};
use segue_plugin::{Batch, Column, Columns, Context, Error, Host, ModelPath, Port, Result, Stage};
use serde::Deserialize;

use super::importance::Importance;
use super::options::{Kind, Score};
use super::rescale::rescale;
use super::target::{Parts, cost_of, costs};
use super::units::{absolute_weights, remove};
use super::weights::{Scope, places_of_smallest};
use super::work::blame;
use crate::config::{Config, ModelShape};
use crate::gathered::{Gathered, reads};
use crate::model::{Model, Tokens};
use crate::params::{self, LAYERS};
use crate::schedule::Schedule;
use crate::trainer::{Trainer, internal, not_started};

/// Scores how much to take out of a model, as a search or a `grid` proposes it: takes it out, fits
/// what is left by least squares, and says how that does on the reviews whose role is
/// `validation`. Nothing is learnt, so a candidate takes seconds.
///
/// A candidate names `amount`, and of `structured` also `heads` and `inner`, or of single layers
/// `heads-0`, `inner-0`, `heads-1` and so on: parts that go, from 0 to below 1. What is named for a
/// layer counts before what is named for all. An effort below 1 is a part of the reviews.
///
/// # Columns
/// by `candidates`: those of [`tries`]
/// by `rows`, a side input: `tokens` list u32, `truth` utf8, `role` utf8, `review` u64
///
/// besides a candidate's scores it writes `kind` utf8, `accuracy` f64, `loss` f64,
/// `parameters` f64, those that are not gone, and `sparsity` f64, the part of all that is; `bytes`
/// f64 of the file in 16 bits; `multiply_adds` f64 of a text of 200 tokens in all layers, and
/// `speedup` f64, by these or by `times`; with `times` also `seconds` f64 of a text
/// # Errors
/// `bad-candidate`, `no-options`, `no-held-out`, `no-reviews`, `bad-times`; a model whose numbers are
/// not finite has no fitness
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PruneTrial {
    /// The model to prune: a Hugging Face folder with `model.safetensors` or `pytorch_model.bin`.
    pub model: ModelPath,
    /// The classes, in the order of the classifier's outputs; left out, those that the model names, or else negative and positive.
    #[serde(default)]
    pub labels: Vec<String>,
    /// A file of `layer-times`, by which `speedup` is judged; left out, multiply-adds count.
    #[serde(default)]
    pub times: Option<ModelPath>,
    /// How many of the reviews to train with are looked at, for `score` and `rescale`, evenly spaced.
    #[serde(default = "calibration")]
    #[schemars(range(min = 1))]
    pub calibration: usize,
    /// How many of the held-out reviews a candidate is scored on at most; 0 is all.
    #[serde(default)]
    pub most_held_out: usize,
    /// What it tells the search.
    #[serde(default)]
    pub measure: Measure,
    /// Threads for the sums; 0 takes all cores.
    #[serde(default)]
    pub threads: usize,
    /// How to prune; a candidate's options take the place of some.
    #[serde(flatten)]
    pub given: Given<Cut>,
    #[serde(skip)]
    base: Option<Base>,
    #[serde(skip)]
    gathered: Gathered,
    /// What the loss says of heads and inner units, once it was asked.
    #[serde(skip)]
    importance: Option<Importance>,
}

fn calibration() -> usize {
    256
}

/// What goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cut {
    /// What is taken out.
    pub kind: Kind,
    /// The part that goes: of the weights, or of each layer's heads and inner units; from 0 to below 1.
    pub amount: f64,
    /// For `structured`: the part of each layer's heads that goes, instead of `amount`.
    pub heads: Option<f64>,
    /// For `structured`: the part of each layer's inner units that goes, instead of `amount`.
    pub inner: Option<f64>,
    /// For `unstructured`: whether each matrix loses the same part, or all together.
    pub scope: Scope,
    /// For `unstructured`: take weights out of the tables of words and positions too.
    pub tables: bool,
    /// For `structured`: what tells which heads and inner units go.
    pub score: Score,
    /// For `structured`: fit what is left by least squares.
    pub rescale: bool,
}

impl Default for Cut {
    fn default() -> Self {
        Cut {
            kind: Kind::Structured,
            amount: 0.0,
            heads: None,
            inner: None,
            scope: Scope::Layer,
            tables: false,
            score: Score::Fisher,
            rescale: true,
        }
    }
}

/// The model to begin with.
struct Base {
    config: Config,
    vectors: Vec<Vec<f32>>,
    /// Multiply-adds, and what `times` says or else the same.
    sums: LayerTimes,
    times: LayerTimes,
}

/// What a candidate came to.
struct Tried {
    kind: Kind,
    accuracy: f64,
    loss: f64,
    parameters: f64,
    sparsity: f64,
    bytes: f64,
    multiply_adds: f64,
    speedup: f64,
    seconds: f64,
}

impl Tried {
    const HOPELESS: Tried = Tried {
        kind: Kind::Structured,
        accuracy: f64::NAN,
        loss: f64::NAN,
        parameters: f64::NAN,
        sparsity: f64::NAN,
        bytes: f64::NAN,
        multiply_adds: f64::NAN,
        speedup: f64::NAN,
        seconds: f64::NAN,
    };
}

/// Errors that say that a model cannot be what is left.
const HOPELESS: [&str; 3] = ["diverged", "not-finite", "too-large"];

/// A column of numbers, and where they come from.
type Number = (&'static str, fn(&Tried) -> f64);

/// Those besides `seconds`.
const NUMBERS: [Number; 7] = [
    ("accuracy", |tried| tried.accuracy),
    ("loss", |tried| tried.loss),
    ("parameters", |tried| tried.parameters),
    ("sparsity", |tried| tried.sparsity),
    ("bytes", |tried| tried.bytes),
    ("multiply_adds", |tried| tried.multiply_adds),
    ("speedup", |tried| tried.speedup),
];

/// The port of the reviews.
const ROWS: usize = 1;

fn wrong(message: String) -> Error {
    Error::new("bad-candidate", message)
}

impl Stage for PruneTrial {
    const PORTS: &'static [Port] = &[Port::new("candidates"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        let columns = reads(tries("candidates"), "rows").writes("kind", "utf8");
        let numbers = NUMBERS.iter().map(|(name, _)| *name);
        let seconds = self.times.as_ref().map(|_| "seconds");
        numbers
            .chain(seconds)
            .fold(columns, |columns, name| columns.writes(name, "f64"))
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.given.own().check()?;
        let (config, _) = Config::read(&self.model, &self.labels)?;
        params::open(&self.model, &config).map_err(blame)?;
        let times = self.times.as_deref();
        costs(&config.shape, times).map_err(|e| e.option("times"))?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let (config, labels) = Config::read(&self.model, &self.labels)?;
        self.labels = labels;
        let vectors = params::read(&self.model, &config, 0).map_err(blame)?;
        let (shape, times) = (&config.shape, self.times.as_deref());
        self.base = Some(Base {
            sums: costs(shape, None)?,
            times: costs(shape, times).map_err(|e| e.option("times"))?,
            config,
            vectors,
        });
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == ROWS {
            let base = self.base.as_ref().ok_or_else(not_started)?;
            return self.gathered.add(&batch, &base.config.shape, &self.labels);
        }
        let mut all = Vec::new();
        let scores = scored(&batch, |asked| {
            host.progress(&format!("tries {}", asked.options));
            let tried = match self.score(asked) {
                Err(error) if HOPELESS.contains(&error.code.as_str()) => Tried::HOPELESS,
                tried => tried?,
            };
            let fitness = self.measure.of(tried.loss, tried.accuracy);
            all.push(tried);
            Ok(fitness)
        })?;
        let Some(mut scores) = scores else {
            return Ok(());
        };
        let kinds = all.iter().map(|tried| tried.kind.name());
        scores = scores.with_column("kind", StringArray::from_iter_values(kinds))?;
        let seconds: Number = ("seconds", |tried| tried.seconds);
        let seconds = self.times.as_ref().map(|_| seconds);
        for (name, of) in NUMBERS.into_iter().chain(seconds) {
            let values: Float64Array = all.iter().map(|tried| Some(of(tried))).collect();
            scores = scores.with_column(name, values)?;
        }
        host.emit(scores);
        Ok(())
    }
}

impl PruneTrial {
    fn threads(&self) -> usize {
        let schedule = Schedule {
            threads: self.threads,
            ..Schedule::default()
        };
        schedule.threads()
    }

    fn score(&mut self, asked: &Asked) -> Result<Tried> {
        let mut of_layers = Parts::default();
        let text = of_layers.take_layers(asked.named()?).map_err(wrong)?;
        let cut = self.given.with(&text)?;
        cut.check().map_err(|e| wrong(e.message))?;
        let parts = Parts {
            amount: cut.amount,
            heads: cut.heads,
            inner: cut.inner,
            layers: of_layers.layers,
        };
        let all = self.gathered.rows(Role::Validation);
        let most = match self.most_held_out {
            0 => all.len(),
            most => most.min(all.len()),
        };
        let held_out = evenly(&all, at_effort(most, asked.effort).max(1));
        if all.is_empty() {
            let message = "no review has the role `validation`, to score candidates by: \
                           `read` gives it with `hold-out`";
            return Err(Error::new("no-held-out", message));
        }
        let (small, vectors, gone) = match cut.kind {
            Kind::Unstructured => self.without_weights(&cut, &parts)?,
            Kind::Structured => self.without_units(&cut, &parts)?,
        };
        let base = self.base.as_ref().ok_or_else(not_started)?;
        let whole = &base.config.shape;
        let count = |vectors: &[Vec<f32>]| vectors.iter().map(Vec::len).sum::<usize>();
        let parameters = (count(&vectors) - gone) as f64;
        let file = if cut.kind == Kind::Unstructured {
            params::sparse_file(&small, &vectors, true)
        } else {
            params::file(&small, &vectors, true)
        }?;
        let schedule = Schedule {
            threads: self.threads,
            ..Schedule::default()
        };
        let mut trainer = Trainer::new(schedule, small.clone(), vectors)?;
        let (accuracy, loss) = trainer.measure(self.gathered.batches(&held_out))?;
        Ok(Tried {
            kind: cut.kind,
            accuracy,
            loss,
            parameters,
            sparsity: 1.0 - parameters / count(&base.vectors) as f64,
            bytes: file.len() as f64,
            multiply_adds: cost_of(&small, &base.sums),
            speedup: cost_of(whole, &base.times) / cost_of(&small, &base.times),
            seconds: cost_of(&small, &base.times),
        })
    }

    /// The model with zeros, and how many of its numbers are gone.
    fn without_weights(
        &self,
        cut: &Cut,
        parts: &Parts,
    ) -> Result<(ModelShape, Vec<Vec<f32>>, usize)> {
        if *parts != Parts::all(cut.amount) {
            let message = "`heads` and `inner` go with `kind = \"structured\"` alone";
            return Err(wrong(message.to_owned()));
        }
        let Base {
            config, vectors, ..
        } = self.base.as_ref().ok_or_else(not_started)?;
        let how = (cut.amount, cut.scope, cut.tables);
        let gone = places_of_smallest(&params::parts(&config.shape), vectors, how);
        let mut made = vectors.clone();
        for (vector, gone) in made.iter_mut().zip(&gone) {
            for (x, _) in vector.iter_mut().zip(gone).filter(|(_, gone)| **gone) {
                *x = 0.0;
            }
        }
        let count = gone.iter().flatten().filter(|gone| **gone).count();
        Ok((config.shape.clone(), made, count))
    }

    /// The model without heads and inner units.
    fn without_units(
        &mut self,
        cut: &Cut,
        parts: &Parts,
    ) -> Result<(ModelShape, Vec<Vec<f32>>, usize)> {
        let threads = self.threads();
        let rows = self.gathered.rows(Role::Train);
        let rows = evenly(&rows, self.calibration);
        if rows.is_empty() && (cut.rescale || cut.score == Score::Fisher) {
            let message = "no review has the role `train`, to tell by what can go";
            return Err(Error::new("no-reviews", message));
        }
        if cut.score == Score::Fisher && self.importance.is_none() {
            self.importance = Some(self.looked_at(&rows, threads)?);
        }
        let Base {
            config, vectors, ..
        } = self.base.as_ref().ok_or_else(not_started)?;
        let shape = &config.shape;
        let importance = self.importance.as_ref();
        let looked = importance.filter(|_| cut.score == Score::Fisher);
        let scores = match looked {
            Some(importance) => importance.0.clone(),
            None => (shape.layers.iter().enumerate())
                .map(|(at, layer)| absolute_weights(*layer, &vectors[LAYERS + at]))
                .collect(),
        };
        let kept = parts.kept(&scores).map_err(wrong)?;
        let (small, mut made) = remove(shape, vectors, &kept);
        if cut.rescale && small != *shape {
            let reviews: Vec<Tokens> = (self.gathered.batches(&rows)).map(|look| look.0).collect();
            rescale((shape, vectors), (&small, &mut made), &reviews, threads)?;
        }
        Ok((small, made, 0))
    }

    fn looked_at(&self, rows: &[usize], threads: usize) -> Result<Importance> {
        let Base {
            config, vectors, ..
        } = self.base.as_ref().ok_or_else(not_started)?;
        let model = Model::new(config.shape.clone(), vectors, threads).map_err(internal)?;
        let mut importance = Importance::new(&config.shape);
        for (tokens, classes) in self.gathered.batches(rows) {
            importance.add((&model, vectors), &tokens, &classes)?;
        }
        Ok(importance)
    }
}

impl Cut {
    fn check(&self) -> Result<()> {
        let parts = [
            ("amount", Some(self.amount)),
            ("heads", self.heads),
            ("inner", self.inner),
        ];
        let bad = |(_, part): &&(&str, Option<f64>)| part.is_some_and(|x| !(0.0..1.0).contains(&x));
        match parts.iter().find(bad) {
            Some((option, _)) => {
                let message = format!("`{option}` must be from 0 to below 1");
                Err(Error::new("bad-option", message).option(*option))
            }
            None => Ok(()),
        }
    }
}
