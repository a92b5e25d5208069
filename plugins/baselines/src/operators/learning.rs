//! From gathered rows to a trained model, one slice of work at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_learn::columns::Role;
use segue_learn::scorer::Quality;
use segue_plugin::{Error, Result};

use crate::features::prepared::Prepared;
use crate::features::{FeatureOptions, Features};
use crate::models::Model;
use crate::models::recipe::Recipe;
use crate::models::trained::Trained;
use crate::models::training::{Step, Training};
use crate::operators::gathered::Gathered;

/// A model that is being trained.
pub struct Learning {
    recipe: Recipe,
    prepared: Prepared,
    model: Box<dyn Model>,
    training: Training,
    started: Instant,
}

impl Learning {
    /// Makes features of the rows in `gathered`, and a model for them.
    ///
    /// # Errors
    /// `no-train-rows`, `no-truth`, `one-class`, `no-features`; those of the model
    pub fn begin(recipe: Recipe, gathered: &Gathered) -> Result<Self> {
        let texts = gathered.texts(Role::Train);
        let prepared = prepare(&recipe.labels, &recipe.features, gathered, &texts)?;
        let mut model = recipe.model(prepared.features.width())?;
        let started = Instant::now();
        let training = Training::begin(model.as_mut(), &prepared.train, recipe.schedule)?;
        Ok(Learning {
            recipe,
            prepared,
            model,
            training,
            started,
        })
    }

    /// One epoch: whether it was the last, and a line about it.
    ///
    /// # Errors
    /// Those of the model
    pub fn step(&mut self) -> Result<(bool, String)> {
        let Prepared {
            train, held_out, ..
        } = &self.prepared;
        let step = (self.training).step(self.model.as_mut(), train, held_out)?;
        let line = line(&step, self.recipe.schedule.epochs, self.started.elapsed());
        Ok((step.last, line))
    }

    /// The trained model; `gathered` gives its words.
    pub fn end(self, gathered: &mut Gathered) -> Trained {
        Trained {
            recipe: self.recipe,
            lexicon: std::mem::take(&mut gathered.corpus.lexicon),
            features: self.prepared.features,
            model: self.model,
        }
    }
}

/// Features learned from the texts number `texts` of `gathered`; these are what a model learns
/// from, and all that are held out are what it is chosen by.
///
/// # Errors
/// `no-train-rows`, `no-truth`, `one-class`, `no-features`
pub fn prepare(
    labels: &[String],
    features: &FeatureOptions,
    gathered: &Gathered,
    texts: &[usize],
) -> Result<Prepared> {
    check_classes(labels, gathered, texts)?;
    let features = Features::learn(features, &gathered.corpus, texts);
    if features.width() == 0 {
        let message = "no word occurs in enough texts to be learned from";
        return Err(Error::new("no-features", message));
    }
    let held_out = gathered.examples(&features, &gathered.texts(Role::Validation));
    Ok(Prepared {
        train: Arc::new(gathered.examples(&features, texts)),
        held_out: Arc::new(held_out),
        features,
    })
}

/// That these rows tell of two classes.
///
/// # Errors
/// `no-train-rows`, `no-truth`, `one-class`
pub fn check_classes(labels: &[String], gathered: &Gathered, texts: &[usize]) -> Result<()> {
    let Some(first) = texts.first() else {
        let (code, message) = if gathered.corpus.is_empty() {
            ("no-train-rows", "no row came to learn from")
        } else {
            ("no-truth", "no row to learn from has a `truth`")
        };
        return Err(Error::new(code, message));
    };
    let first = gathered.class(*first);
    if texts.iter().all(|text| gathered.class(*text) == first) {
        let name = first.and_then(|class| labels.get(class as usize));
        let name = name.map(String::as_str).unwrap_or_default();
        let message = format!("every row to learn from is `{name}`");
        return Err(Error::new("one-class", message));
    }
    Ok(())
}

/// `epoch 2 of 5, loss 0.2113, held out 88.3 %, 0:40 left`
fn line(step: &Step, epochs: usize, taken: Duration) -> String {
    let held_out = |quality: Quality| format!(", held out {:.1} %", quality.accuracy * 100.0);
    let held_out = step.held_out.map(held_out).unwrap_or_default();
    let rest = epochs.saturating_sub(step.epoch) as f64 / step.epoch.max(1) as f64;
    let seconds = (taken.as_secs_f64() * rest).ceil();
    let left = if step.last {
        "done".to_owned()
    } else {
        format!(
            "{:.0}:{:02.0} left",
            (seconds / 60.0).floor(),
            seconds % 60.0
        )
    };
    let (epoch, loss) = (step.epoch, step.given.loss);
    format!("epoch {epoch} of {epochs}, loss {loss:.4}{held_out}, {left}")
}
