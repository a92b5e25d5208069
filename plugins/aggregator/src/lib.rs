//! From a model's logits to one verdict a review.

use std::sync::Arc;

use segue_plugin::arrow_array::{Float32Array, StringArray};
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Example, Result, Rows, Stage, Type, fixed_f32,
};

/// Turns logits into a label and a score; a review of several windows gets one verdict.
///
/// # Columns
/// reads `review: u64`, rows of one review stand together; and `logits: fixed f32[L]`, one number
/// a label
///
/// writes `label: utf8`, the label with the largest logit; and `score: f32`, its softmax
/// probability, 0 to 1
///
/// drops `logits`, and `text` unless it is kept
/// # Errors
/// `bad-option` when `labels` does not name L labels, `labels-differ` when the model calls them
/// otherwise, `not-finite` when a review has a logit that is not a number or is infinite
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Aggregator {
    /// What the labels 0, 1, ... are called; left out, as the model calls them, or negative and positive.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How the logits of a review's windows become one set.
    #[serde(default)]
    pub pool: Pool,
    /// Whether the review's text goes along with its verdict.
    #[serde(default)]
    pub keep_text: bool,
    #[serde(skip)]
    names: Vec<String>,
}

/// A way to join the logits of several windows.
#[derive(Clone, Copy, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// Their mean.
    #[default]
    Mean,
    /// The largest of each label.
    Max,
}

/// What two labels are called when nobody says it.
const SENTIMENTS: [&str; 2] = ["negative", "positive"];

impl Aggregator {
    /// What the labels are called: as the graph says, or else the model.
    fn names(&self, input: &[Column]) -> Result<Vec<String>> {
        let logits = input.iter().find(|column| column.name == "logits");
        let width = match logits.map(|column| column.column_type) {
            Some(Type::Fixed(_, width)) => Some(width),
            _ => None,
        };
        let known = logits.map_or(&[][..], |column| &column.labels);
        names(&self.labels, known, width).map_err(|error| error.option("labels"))
    }

    fn columns_of(&self, names: &[String]) -> Columns {
        let columns = Columns::new()
            .reads("review", "u64")
            .reads("logits", fixed_f32(names.len()))
            .writes("label", "utf8")
            .labelled("label", names)
            .writes("score", "f32")
            .drops("logits")
            .rows(Rows::Mapped);
        if self.keep_text {
            columns
        } else {
            columns.drops("text")
        }
    }
}

/// What `width` labels are called: as `given` says, or else as the model's are `known`.
fn names(given: &[String], known: &[String], width: Option<usize>) -> Result<Vec<String>> {
    let names = match (given, known) {
        ([], []) => SENTIMENTS.map(str::to_owned).to_vec(),
        ([], known) => known.to_vec(),
        (given, _) => given.to_vec(),
    };
    let bad = |message: String| Err(Error::new("bad-option", message));
    if let Some(width) = width.filter(|width| *width != names.len()) {
        return match (given, known) {
            ([], []) => bad(format!("there are {width} logits a row; name their labels")),
            _ => {
                let count = names.len();
                bad(format!("there are {width} logits, but {count} labels"))
            }
        };
    }
    let repeated = (1..given.len()).find(|i| given[..*i].contains(&given[*i]));
    if let Some(i) = repeated {
        return bad(format!("the label `{}` stands there twice", given[i]));
    }
    let same = |(a, b): (&String, &String)| a.to_lowercase() == b.to_lowercase();
    if !given.is_empty() && !known.is_empty() && !given.iter().zip(known).all(same) {
        let message = format!(
            "`labels` are `{}`, but the model's classes are `{}`; without `labels` they are called \
             as the model says",
            given.join("`, `"),
            known.join("`, `")
        );
        return Err(Error::new("labels-differ", message));
    }
    Ok(names)
}

impl Stage for Aggregator {
    fn columns(&self) -> Columns {
        self.columns_for(&[]).unwrap_or_default()
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        Ok(self.columns_of(&self.names(input)?))
    }

    fn start(&mut self, context: &Context) -> Result<()> {
        self.names = self.names(&context.input)?;
        Ok(())
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let reviews = batch.u64("review")?.values();
        let (width, logits) = batch.fixed_f32("logits")?;
        if width != self.names.len() {
            let count = self.names.len();
            let message = format!("there are {width} logits, but {count} labels");
            return Err(Error::new("bad-option", message).option("labels"));
        }
        let (mut rows, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for windows in reviews.chunk_by(|a, b| a == b) {
            let end = start + windows.len();
            let logits = &logits[start * width..end * width];
            let pooled = pool(logits, width, self.pool);
            check_finite(reviews[start], logits.iter().chain(&pooled))?;
            let (best, score) = verdict(&pooled);
            // A batch has far fewer than 2^32 rows.
            rows.push(start as u32);
            labels.push(self.names.get(best).map(String::as_str));
            scores.push(score);
            start = end;
        }
        let labels = Arc::new(StringArray::from(labels));
        Batch::mapped(batch.time(), rows)?
            .with_array("label", labels)?
            .with_column("score", Float32Array::from(scores))
    }

    fn examples() -> Vec<Example> {
        use serde_json::json;
        let row = |review: u64, logits: [f32; 2]| json!({"review": review, "logits": logits});
        let windows = vec![row(3, [2.0, 0.0]), row(4, [3.0, 1.0]), row(4, [0.0, 4.0])];
        vec![
            Example::new(
                json!({}),
                windows.clone(),
                vec![
                    json!({"review": 3, "label": "negative", "score": 0.880_797_1_f32}),
                    json!({"review": 4, "label": "positive", "score": 0.731_058_6_f32}),
                ],
            ),
            Example::new(
                json!({"pool": "max", "labels": ["bad", "good"]}),
                windows,
                vec![json!({"label": "bad"}), json!({"label": "good"})],
            ),
        ]
    }
}

/// A number that is not finite is not a verdict: the largest would be any of them.
fn check_finite<'a>(review: u64, mut logits: impl Iterator<Item = &'a f32>) -> Result<()> {
    match logits.find(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(logit) => {
            let message = format!(
                "review {review} has a logit that is `{logit}`, so that it has no verdict; the \
                 model's weights are damaged, or too large for their type"
            );
            Err(Error::new("not-finite", message))
        }
    }
}

/// Joins the logits of windows, given row-major, windows x width; out is width.
pub fn pool(logits: &[f32], width: usize, pool: Pool) -> Vec<f32> {
    let windows = logits.len() / width.max(1);
    (0..width)
        .map(|label| {
            let column = logits.iter().skip(label).step_by(width);
            match pool {
                Pool::Mean => column.sum::<f32>() / windows as f32,
                Pool::Max => column.copied().fold(f32::NEG_INFINITY, f32::max),
            }
        })
        .collect()
}

/// The label with the largest logit, the first of equals, and its softmax probability.
pub fn verdict(logits: &[f32]) -> (usize, f32) {
    let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    let largest = logits.get(best).copied().unwrap_or(0.0);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - largest).exp())
        .sum();
    (best, (1.0 / sum.max(1.0)) as f32)
}

segue_plugin::export!("aggregator" => Aggregator);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_the_largest_logit_and_its_share() {
        assert_eq!(verdict(&[0.0, 0.0]), (0, 0.5));
        let (best, score) = verdict(&[-2.5, 2.5]);
        assert_eq!(best, 1);
        assert!((score - 0.993_307_2).abs() < 1e-6, "{score}");
        assert_eq!(verdict(&[-1000.0, 1000.0]), (1, 1.0));
    }

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn labels_are_those_of_the_graph_or_of_the_model() {
        let good = |given, known, width| names(&list(given), &list(known), width).unwrap();
        assert_eq!(good("", "", Some(2)), SENTIMENTS);
        assert_eq!(good("", "", None), SENTIMENTS);
        assert_eq!(
            good("", "positive negative", Some(2)),
            ["positive", "negative"]
        );
        assert_eq!(good("", "joy fear rage", Some(3)), ["joy", "fear", "rage"]);
        assert_eq!(good("no yes", "", Some(2)), ["no", "yes"]);
        assert_eq!(good("No yes", "NO YES", Some(2)), ["No", "yes"]);
        let bad = |given, known, width| {
            let error = names(&list(given), &list(known), Some(width)).unwrap_err();
            (error.code, error.message)
        };
        let (code, message) = bad("negative positive", "positive negative", 2);
        assert_eq!(code, "labels-differ");
        assert!(message.contains("`positive`, `negative`"), "{message}");
        for (given, known, width, part) in [
            ("", "", 3, "3 logits a row; name their labels"),
            ("a b c", "", 2, "2 logits, but 3 labels"),
            ("a", "a b", 2, "2 logits, but 1 labels"),
            ("a a", "", 2, "`a` stands there twice"),
        ] {
            let (code, message) = bad(given, known, width);
            assert_eq!(code, "bad-option");
            assert!(message.contains(part), "{message}");
        }
    }

    /// The verdicts on reviews of one window each.
    fn verdicts(logits: Vec<f32>) -> Result<Batch> {
        let mut stage: Aggregator = serde_json::from_str("{}").unwrap();
        stage.start(&Context::default()).unwrap();
        let reviews = (10..).take(logits.len() / 2);
        let reviews: segue_plugin::arrow_array::UInt64Array = reviews.map(Some).collect();
        let logits = segue_plugin::fixed_f32_array(logits, 2).unwrap();
        let batch = Batch::from_arrays(0, vec![("review".to_owned(), Arc::new(reviews) as _)]);
        let batch = batch.unwrap().with_column("logits", logits).unwrap();
        stage.process(batch)
    }

    #[test]
    fn a_number_that_is_not_finite_is_not_a_verdict() {
        assert_eq!(verdicts(vec![1.0, 2.0, -3e38, 3e38]).unwrap().rows(), 2);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [2, 3] {
                let mut logits = vec![1.0; 6];
                logits[at] = bad;
                let error = verdicts(logits).unwrap_err();
                assert_eq!(error.code, "not-finite");
                assert!(error.message.contains("review 11 "), "{}", error.message);
            }
        }
    }

    #[test]
    fn windows_pool_by_mean_or_max() {
        let logits = [1.0, 2.0, 3.0, -4.0];
        assert_eq!(pool(&logits, 2, Pool::Mean), [2.0, -1.0]);
        assert_eq!(pool(&logits, 2, Pool::Max), [3.0, 2.0]);
    }
}
