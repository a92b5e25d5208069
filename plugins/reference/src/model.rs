//! The one interface of all models.

use segue_plugin::{Error, Result};

use crate::rows::{Examples, Rows};

/// A classifier of texts whose features are already made.
///
/// Making features is a step of its own ([`crate::features`]), so that a search over
/// parameters or options makes them once and calls this as often as it likes.
///
/// A model is trained by [`Model::begin`] and then [`Model::epoch`] again and again;
/// [`crate::training::fit`] does so to the end, and [`crate::training::Training`] step
/// by step. A search that needs no gradients uses [`Model::set_parameters`] and
/// [`Model::scores`] alone.
pub trait Model {
    /// How many classes it tells apart.
    fn classes(&self) -> usize;

    /// All that it has learned, as one vector whose length does not change.
    ///
    /// # Errors
    /// `failed-tensor` when the numbers cannot be read
    fn parameters(&self) -> Result<Vec<f32>>;

    /// Takes the place of all that it has learned.
    ///
    /// # Errors
    /// `bad-parameters` when their number is not that of [`Model::parameters`]
    fn set_parameters(&mut self, parameters: &[f32]) -> Result<()>;

    /// Forgets all that it has learned, and gets ready to learn from `train`. What comes
    /// after depends on the options, with their seed, and on `train` alone.
    ///
    /// # Errors
    /// `failed-tensor`
    fn begin(&mut self, train: &Examples) -> Result<()>;

    /// Learns from each of `train` once: the same that [`Model::begin`] was given.
    ///
    /// # Errors
    /// `failed-tensor`
    fn epoch(&mut self, train: &Examples) -> Result<Epoch>;

    /// Scores of the texts `from..to`, row-major, texts x classes; the largest of a row
    /// is the verdict. A network gives probabilities, a support vector machine margins.
    ///
    /// # Errors
    /// `failed-tensor`
    fn scores(&self, rows: &Rows, range: std::ops::Range<usize>) -> Result<Vec<f32>>;
}

/// What came of one pass over the examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Mean loss of an example.
    pub loss: f64,
    /// Whether another pass would change nothing.
    pub converged: bool,
}

/// The class with the largest score, the first of equals, and that score.
pub fn verdict(scores: &[f32]) -> (usize, f32) {
    let best = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
    (best, scores.get(best).copied().unwrap_or_default())
}

/// How many texts are scored at once: enough to keep matrices busy, few enough that
/// what is held for them stays small.
const AT_ONCE: usize = 256;

/// The class of each of `rows`, and its score.
///
/// # Errors
/// `failed-tensor`; `not-finite` when a score is not a finite number, which names the text
pub fn predict(model: &dyn Model, rows: &Rows) -> Result<Vec<(usize, f32)>> {
    let mut verdicts = Vec::with_capacity(rows.len());
    for start in (0..rows.len()).step_by(AT_ONCE) {
        let scores = model.scores(rows, start..rows.len().min(start + AT_ONCE))?;
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            let text = start + at / model.classes();
            let message = format!(
                "text {text} of those to judge has a score that is not finite; lower `learning-rate`"
            );
            return Err(Error::new("not-finite", message));
        }
        verdicts.extend(scores.chunks_exact(model.classes()).map(verdict));
    }
    Ok(verdicts)
}

/// How well a model does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The part of the verdicts that is right, 0 to 1.
    pub accuracy: f64,
    /// Mean score of the true class; it tells models of equal accuracy apart.
    pub score: f64,
}

/// How well `model` does on `examples`.
///
/// # Errors
/// `failed-tensor`
pub fn measure(model: &dyn Model, examples: &Examples) -> Result<Quality> {
    let (mut right, mut score) = (0, 0.0);
    let rows = &examples.rows;
    for start in (0..rows.len()).step_by(AT_ONCE) {
        let range = start..rows.len().min(start + AT_ONCE);
        let scores = model.scores(rows, range.clone())?;
        let classes = &examples.classes[range];
        for (scores, class) in scores.chunks_exact(model.classes()).zip(classes) {
            right += usize::from(verdict(scores).0 == *class as usize);
            score += f64::from(scores[*class as usize]);
        }
    }
    let count = rows.len().max(1) as f64;
    Ok(Quality {
        accuracy: right as f64 / count,
        score: score / count,
    })
}
