//! From a model's logits to one verdict a review.

use std::sync::Arc;

use segue_plugin::arrow_array::{Float32Array, StringArray};
use segue_plugin::{Batch, Column, Columns, Error, Example, Result, Rows, Stage, Type, fixed_f32};

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
/// `bad-option` when `labels` does not name L labels
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Aggregator {
    /// What the labels 0, 1, ... are called.
    #[serde(default = "two_labels")]
    pub labels: Vec<String>,
    /// How the logits of a review's windows become one set.
    #[serde(default)]
    pub pool: Pool,
    /// Whether the review's text goes along with its verdict.
    #[serde(default)]
    pub keep_text: bool,
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

fn two_labels() -> Vec<String> {
    vec!["negative".to_owned(), "positive".to_owned()]
}

impl Stage for Aggregator {
    fn columns(&self) -> Columns {
        let columns = Columns::new()
            .reads("review", "u64")
            .reads("logits", fixed_f32(self.labels.len().max(1)))
            .writes("label", "utf8")
            .writes("score", "f32")
            .drops("logits")
            .rows(Rows::Mapped);
        if self.keep_text {
            columns
        } else {
            columns.drops("text")
        }
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        let logits = input.iter().find(|column| column.name == "logits");
        match logits.map(|column| column.column_type) {
            Some(Type::Fixed(_, width)) if width != self.labels.len() => {
                let message = format!("there are {width} logits, but {} labels", self.labels.len());
                Err(Error::new("bad-option", message).option("labels"))
            }
            _ => Ok(self.columns()),
        }
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let reviews = batch.u64("review")?.values();
        let (width, logits) = batch.fixed_f32("logits")?;
        let (mut rows, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for windows in reviews.chunk_by(|a, b| a == b) {
            let end = start + windows.len();
            let pooled = pool(&logits[start * width..end * width], width, self.pool);
            let (best, score) = verdict(&pooled);
            // A batch has far fewer than 2^32 rows.
            rows.push(start as u32);
            labels.push(self.labels.get(best).map(String::as_str));
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

    #[test]
    fn windows_pool_by_mean_or_max() {
        let logits = [1.0, 2.0, 3.0, -4.0];
        assert_eq!(pool(&logits, 2, Pool::Mean), [2.0, -1.0]);
        assert_eq!(pool(&logits, 2, Pool::Max), [3.0, 2.0]);
    }
}
