//! A model as one sees it who knows no gradients: some numbers, and how well they do.
//!
//! Features are prepared once and shared: a search holds one [`Examples`] in an `Arc`, gives each
//! candidate's weights to a model of its own, and asks for [`measure`].

use std::ops::Range;

use segue_plugin::{Error, Result};

/// A classifier of texts whose features are already made.
pub trait Scorer {
    /// What texts are to it, as many as there are.
    type Features;

    /// How many classes it tells apart.
    fn classes(&self) -> usize;

    /// How many weights it has; it does not change.
    fn weight_count(&self) -> usize;

    /// Its weights, as one vector.
    ///
    /// # Errors
    /// `failed-tensor` when the numbers cannot be read
    fn weights(&self) -> Result<Vec<f32>>;

    /// Takes these as its weights.
    ///
    /// # Errors
    /// `bad-parameters` when their number is not [`Scorer::weight_count`]
    fn set_weights(&mut self, weights: &[f32]) -> Result<()>;

    /// Scores of the texts `range`, row-major, texts x classes; the largest of a row is the
    /// verdict. A network gives probabilities, a support vector machine margins. A text's scores
    /// depend on that text alone.
    ///
    /// # Errors
    /// `failed-tensor`
    fn scores(&self, features: &Self::Features, range: Range<usize>) -> Result<Vec<f32>>;

    /// What it costs that a text of class `class` has `scores`: by itself their cross entropy,
    /// which they must be probabilities for.
    fn loss(&self, scores: &[f32], class: usize) -> f64 {
        // A probability that was rounded to 0 costs much, but not infinitely much.
        -f64::from(scores[class].max(f32::MIN_POSITIVE)).ln()
    }
}

/// Texts with their true classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples<F> {
    /// The texts.
    pub rows: F,
    /// The class of each.
    pub classes: Vec<u32>,
}

/// The class with the largest score, the first of equals, and that score.
pub fn verdict(scores: &[f32]) -> (usize, f32) {
    let best = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
    (best, scores.get(best).copied().unwrap_or_default())
}

/// How many texts are scored at once: enough to keep matrices busy, few enough that
/// what is held for them stays small.
const AT_ONCE: usize = 256;

/// The ranges that `count` texts are scored in.
fn parts(count: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..count).step_by(AT_ONCE);
    starts.map(move |start| start..count.min(start + AT_ONCE))
}

/// The class of each of `count` texts, and its score.
///
/// # Errors
/// Those of [`Scorer::scores`]; `not-finite` when a score is not a finite number, which names the
/// text
pub fn predict<F>(
    model: &(impl Scorer<Features = F> + ?Sized),
    features: &F,
    count: usize,
) -> Result<Vec<(usize, f32)>> {
    let mut verdicts = Vec::with_capacity(count);
    for range in parts(count) {
        let start = range.start;
        let scores = model.scores(features, range)?;
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
    /// Mean loss of a text: what a search makes smaller.
    pub loss: f64,
}

/// How well `model` does on `examples`.
///
/// # Errors
/// Those of [`Scorer::scores`]
pub fn measure<F>(
    model: &(impl Scorer<Features = F> + ?Sized),
    examples: &Examples<F>,
) -> Result<Quality> {
    let (mut right, mut score, mut loss) = (0, 0.0, 0.0);
    let count = examples.classes.len();
    for range in parts(count) {
        let scores = model.scores(&examples.rows, range.clone())?;
        let classes = &examples.classes[range];
        for (scores, class) in scores.chunks_exact(model.classes()).zip(classes) {
            let class = *class as usize;
            right += usize::from(verdict(scores).0 == class);
            score += f64::from(scores[class]);
            loss += model.loss(scores, class);
        }
    }
    let count = count.max(1) as f64;
    Ok(Quality {
        accuracy: right as f64 / count,
        score: score / count,
        loss: loss / count,
    })
}

/// That a model takes `wanted` weights, and not `given`.
///
/// # Errors
/// `bad-parameters`
pub fn check_count(given: usize, wanted: usize) -> Result<()> {
    if given == wanted {
        Ok(())
    } else {
        let message = format!("{given} parameters, not {wanted}");
        Err(Error::new("bad-parameters", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its one weight is the probability of class 1, for texts that are numbers.
    struct Constant(f32);

    impl Scorer for Constant {
        type Features = Vec<f32>;

        fn classes(&self) -> usize {
            2
        }

        fn weight_count(&self) -> usize {
            1
        }

        fn weights(&self) -> Result<Vec<f32>> {
            Ok(vec![self.0])
        }

        fn set_weights(&mut self, weights: &[f32]) -> Result<()> {
            check_count(weights.len(), 1)?;
            self.0 = weights[0];
            Ok(())
        }

        fn scores(&self, features: &Vec<f32>, range: Range<usize>) -> Result<Vec<f32>> {
            let share = |x: &f32| [1.0 - self.0 * x, self.0 * x];
            Ok(features[range].iter().flat_map(share).collect())
        }
    }

    #[test]
    fn a_candidate_is_measured() {
        let examples = Examples {
            rows: [[1.0; 150], [0.0; 150]].concat(),
            classes: [[1; 150], [1; 150]].concat(),
        };
        let mut model = Constant(0.0);
        model.set_weights(&[0.75]).unwrap();
        let quality = measure(&model, &examples).unwrap();
        assert_eq!((quality.accuracy, quality.score), (0.5, 0.375));
        let rounded = -f64::from(f32::MIN_POSITIVE).ln();
        let expected = (-(0.75f64.ln()) + rounded) / 2.0;
        assert!((quality.loss - expected).abs() < 1e-9, "{quality:?}");
        let verdicts = predict(&model, &examples.rows, 300).unwrap();
        assert_eq!((verdicts[149], verdicts[150]), ((1, 0.75), (0, 1.0)));
        model.set_weights(&[f32::NAN]).unwrap();
        let error = predict(&model, &examples.rows, 300).unwrap_err();
        assert_eq!(error.code, "not-finite");
        assert_eq!(model.set_weights(&[]).unwrap_err().code, "bad-parameters");
    }
}
