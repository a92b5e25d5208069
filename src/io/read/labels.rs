//! What a gold label means.
//!
//! | the file says | it is |
//! | --- | --- |
//! | a label's name, in any letter case; its first letters, three at least (`pos`) | that label |
//! | `1`, `1.0`, `LABEL_1` | label number 1 of `labels` |
//! | `true`, `false` | label 1, label 0, where there are two |
//! | a negative number, nothing | no label |
//! | anything else | itself, which is no label that a verdict can have |
//!
//! A table of labels says it all: what is not in it is no label.

use super::records::{Cell, Fault};
use crate::io::ReadOptions;

/// Letters of a label's name that stand for it.
const SHORT: usize = 3;

/// What the labels of a file mean.
pub struct Labels {
    names: Vec<String>,
    /// For each of `names` what the file says for it; empty where the table above holds.
    values: Vec<Vec<String>>,
    /// A record without a label cannot be used.
    needed: bool,
}

impl Labels {
    /// Those of `options`. Where records have a part in training each needs a label.
    pub fn new(options: &ReadOptions) -> Self {
        let values = options.label_values.iter();
        let values = values.map(|all| all.iter().map(|value| key(value)).collect());
        Labels {
            names: options.labels.clone(),
            values: values.collect(),
            needed: options.role.is_some() || options.epochs.is_some(),
        }
    }

    /// What the label of a record means; `None` for no label.
    ///
    /// # Errors
    /// `bad-label` where a label is needed and this is none
    pub fn of(&self, label: &Cell) -> Result<Option<String>, Fault> {
        match label {
            Cell::Null => self.none("the label is missing".into()),
            Cell::Bool(value) if self.values.is_empty() => self.numbered(i64::from(*value)),
            Cell::Bool(value) => self.named(&value.to_string()),
            Cell::Int(number) => self.named(&number.to_string()),
            Cell::UInt(number) => self.named(&number.to_string()),
            // Tables with gaps come out of many tools with 1 written as 1.0.
            Cell::Float(number) if number.is_nan() => self.none("the label is missing".into()),
            Cell::Float(number) => self.named(&number.to_string()),
            Cell::Text(text) => self.named(text),
        }
    }

    /// The same for a label that is written out.
    ///
    /// # Errors
    /// `bad-label` where a label is needed and this is none
    pub fn named(&self, text: &str) -> Result<Option<String>, Fault> {
        let name = key(text);
        if name.is_empty() {
            return self.none("the label is empty".into());
        }
        if let Some(exact) = self.names.iter().find(|known| known.to_lowercase() == name) {
            return Ok(Some(exact.clone()));
        }
        if !self.values.is_empty() {
            let at = self.values.iter().position(|values| values.contains(&name));
            return match at.and_then(|at| self.names.get(at)) {
                Some(label) => Ok(Some(label.clone())),
                None => self.none(format!("`labels` does not say what label `{name}` is")),
            };
        }
        let digits = name.strip_prefix("label_").unwrap_or(&name);
        if let Ok(number) = digits.parse::<i64>() {
            return self.numbered(number);
        }
        let numeric = digits.parse::<f64>().is_ok();
        match (name.as_str(), self.names.as_slice()) {
            ("true", [_, one]) => Ok(Some(one.clone())),
            ("false", [zero, _]) => Ok(Some(zero.clone())),
            _ if numeric && self.needed => {
                Err(bad_label(format!("label {name} is not an integer")))
            }
            _ => Ok(Some(
                self.short_for(&name).unwrap_or(text.trim()).to_owned(),
            )),
        }
    }

    /// The only label that begins with `name`.
    fn short_for(&self, name: &str) -> Option<&str> {
        let begins = |label: &&String| label.to_lowercase().starts_with(name);
        let mut all = self.names.iter().filter(begins);
        let first = all.next().filter(|_| name.len() >= SHORT)?;
        all.next().is_none().then_some(first.as_str())
    }

    fn numbered(&self, number: i64) -> Result<Option<String>, Fault> {
        let at = usize::try_from(number).ok();
        if let Some(name) = at.and_then(|at| self.names.get(at)) {
            return Ok(Some(name.clone()));
        }
        let reason = match self.names.len() {
            0 => format!("label {number} has no name: no labels are given"),
            names => format!("label {number} is outside 0 to {}", names - 1),
        };
        if number < 0 {
            self.none(reason)
        } else if self.needed {
            Err(bad_label(reason))
        } else {
            Ok(Some(number.to_string()))
        }
    }

    fn none(&self, reason: String) -> Result<Option<String>, Fault> {
        if self.needed {
            Err(bad_label(reason))
        } else {
            Ok(None)
        }
    }
}

fn bad_label(reason: String) -> Fault {
    Fault::new("bad-label", reason)
}

/// One text for all the ways to write the same label: `4`, `4.0` and ` 4 `; `POS` and `pos`.
fn key(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let whole = text
        .parse::<f64>()
        .ok()
        .filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
    match whole {
        // Below 2^53, and so exact.
        Some(number) => (number as i64).to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ReadOptions {
        ReadOptions::new("x.csv")
    }

    fn all(labels: &Labels, texts: &[&str]) -> Vec<Option<String>> {
        texts
            .iter()
            .map(|text| labels.named(text).unwrap())
            .collect()
    }

    #[test]
    fn labels_as_people_have_them() {
        let labels = Labels::new(&options());
        let positive = [
            "1", "1.0", " 1 ", "+1", "true", "TRUE", "pos", "Positive", "LABEL_1",
        ];
        for text in positive {
            assert_eq!(
                labels.named(text).unwrap().as_deref(),
                Some("positive"),
                "{text}"
            );
        }
        assert_eq!(
            all(&labels, &["0.0", "neg", "false"]),
            vec![Some("negative".to_owned()); 3]
        );
        assert_eq!(all(&labels, &["-1", "-1.0", ""]), [None, None, None]);
        let as_is = ["2", "5", "Mixed", "0.5", "p"];
        assert_eq!(
            all(&labels, &as_is),
            as_is.map(|text| Some(text.to_owned()))
        );
        assert_eq!(labels.of(&Cell::Float(f64::NAN)).unwrap(), None);
        assert_eq!(
            labels.of(&Cell::Bool(false)).unwrap().as_deref(),
            Some("negative")
        );
    }

    #[test]
    fn a_table_says_it_all() {
        let text = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let labels = Labels::new(&ReadOptions {
            labels: text(&["bad", "good"]),
            label_values: vec![text(&["1", "2"]), text(&["4", "5 stars"])],
            ..options()
        });
        let given = all(
            &labels,
            &["1", "2.0", "4", "5 Stars", "Good", "3", "true", "0"],
        );
        let given: Vec<_> = given
            .iter()
            .map(|label| label.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(given, ["bad", "bad", "good", "good", "good", "-", "-", "-"]);
    }

    #[test]
    fn what_learns_needs_a_label() {
        let labels = Labels::new(&ReadOptions {
            role: Some(crate::io::Role::Train),
            ..options()
        });
        for text in ["", "-1", "2", "0.5"] {
            assert_eq!(labels.named(text).unwrap_err().code, "bad-label", "{text}");
        }
        assert_eq!(labels.named("1.0").unwrap().as_deref(), Some("positive"));
    }
}
