//! How long the layers of a model take on a machine, by their heads and inner units.

use std::fmt::Write;

use toml::de::{DeTable, DeValue};

use crate::error::ModelError;

/// Seconds that one layer takes for one text, as a sum: so many for its heads, and so many for its
/// inner units. Or any other measure of what a layer costs.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTimes {
    /// The tokens of the text.
    pub tokens: usize,
    /// H of the model.
    pub hidden: usize,
    /// D of its heads.
    pub head_size: usize,
    /// Inner sizes, ascending, that seconds are known of.
    pub widths: Vec<usize>,
    /// Of a layer that gives every token's state.
    pub whole: HalfTimes,
    /// Of the last layer before a head, which gives the first token's state alone.
    pub last: HalfTimes,
    /// All but the layers: embeddings, head, the text's tokens.
    pub rest: f64,
}

/// Seconds of a layer's halves.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfTimes {
    /// Of 1, 2, ... heads.
    pub heads: Vec<f64>,
    /// Of each inner size that is known.
    pub inner: Vec<f64>,
}

const FORMAT: i64 = 1;

impl LayerTimes {
    /// The multiply-adds of `tokens` tokens, where no times were measured.
    pub fn multiply_adds(
        (hidden, heads, head_size): (usize, usize, usize),
        inner: usize,
        tokens: usize,
    ) -> Self {
        let widths = vec![1, inner.max(2)];
        let half = |head: usize, unit: usize| HalfTimes {
            heads: (1..=heads).map(|n| (n * head) as f64).collect(),
            inner: widths.iter().map(|n| (n * unit) as f64).collect(),
        };
        let (weights, pairs) = (hidden * head_size, 2 * head_size * tokens);
        LayerTimes {
            tokens,
            hidden,
            head_size,
            whole: half((4 * weights + pairs) * tokens, 2 * hidden * tokens),
            // Keys and values of every token, the rest of one.
            last: half(2 * weights * (tokens + 1) + pairs, 2 * hidden),
            widths,
            rest: 0.0,
        }
    }

    fn half(&self, is_last: bool) -> &HalfTimes {
        if is_last { &self.last } else { &self.whole }
    }

    /// Of `heads` heads; of more than are known, as if each cost the same.
    pub fn of_heads(&self, heads: usize, is_last: bool) -> f64 {
        let known = &self.half(is_last).heads;
        match (known.get(heads.wrapping_sub(1)), known.last()) {
            (Some(seconds), _) => *seconds,
            (None, Some(last)) => last * heads as f64 / known.len() as f64,
            (None, None) => 0.0,
        }
    }

    /// Of an inner size; between and beyond those that are known, in a straight line.
    pub fn of_inner(&self, inner: usize, is_last: bool) -> f64 {
        let known = &self.half(is_last).inner;
        let above = self.widths.partition_point(|width| *width < inner);
        let last = self.widths.len() - 1;
        let high = above.clamp(1.min(last), last);
        let low = high.saturating_sub(1);
        let (a, b) = (self.widths[low] as f64, self.widths[high] as f64);
        let part = if high == low {
            0.0
        } else {
            (inner as f64 - a) / (b - a)
        };
        (known[low] + part * (known[high] - known[low])).max(0.0)
    }

    /// As the text of a file.
    pub fn text(&self) -> String {
        let list = |all: &[f64]| {
            let all: Vec<String> = all.iter().map(|x| format!("{x:e}")).collect();
            all.join(", ")
        };
        let mut text = String::new();
        let _ = write!(
            text,
            "# Seconds a layer takes for one text: those of its heads (1, 2, ...) and those of its\n\
             # inner size (each of `widths`); and of the last layer, which gives one token's state.\n\
             format = {FORMAT}\ntokens = {}\nhidden = {}\nhead-size = {}\nrest = {:e}\n\
             widths = {:?}\nheads = [{}]\ninner = [{}]\nlast-heads = [{}]\nlast-inner = [{}]\n",
            self.tokens,
            self.hidden,
            self.head_size,
            self.rest,
            self.widths,
            list(&self.whole.heads),
            list(&self.whole.inner),
            list(&self.last.heads),
            list(&self.last.inner),
        );
        text
    }

    /// Reads what [`LayerTimes::text`] wrote.
    ///
    /// # Errors
    /// `bad-times`, with what is wrong
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let bad = |why: &str| ModelError::new("bad-times", format!("not a file of times: {why}"));
        let table = DeTable::parse(text).map_err(|e| bad(e.message()))?;
        let table = table.get_ref();
        let missing = |name: &str| bad(&format!("`{name}` is missing or makes no sense"));
        let value = |name: &str| {
            let found = table.iter().find(|(key, _)| key.get_ref() == name);
            found
                .map(|(_, value)| value.get_ref())
                .ok_or_else(|| missing(name))
        };
        let size = |name: &str| {
            let size = number(value(name)?).filter(|x| *x >= 1.0 && *x <= 1e9);
            size.map(|x| x as usize).ok_or_else(|| missing(name))
        };
        let list = |name: &str| {
            let all = value(name)?.as_array().map(|all| {
                let all = all.iter().map(|one| number(one.get_ref()));
                all.map(|x| x.filter(|x| *x >= 0.0 && x.is_finite()))
                    .collect()
            });
            let all: Option<Vec<f64>> = all.flatten();
            all.filter(|all| !all.is_empty())
                .ok_or_else(|| missing(name))
        };
        let half = |heads: &str, inner: &str| {
            let (heads, inner) = (list(heads)?, list(inner)?);
            Ok::<_, ModelError>(HalfTimes { heads, inner })
        };
        let times = LayerTimes {
            tokens: size("tokens")?,
            hidden: size("hidden")?,
            head_size: size("head-size")?,
            widths: list("widths")?.into_iter().map(|x| x as usize).collect(),
            whole: half("heads", "inner")?,
            last: half("last-heads", "last-inner")?,
            rest: number(value("rest")?).ok_or_else(|| missing("rest"))?,
        };
        let ascending = times.widths.windows(2).all(|pair| pair[0] < pair[1]);
        let count = times.widths.len();
        let fit = times.whole.inner.len() == count && times.last.inner.len() == count;
        if ascending && fit && size("format")? as i64 == FORMAT {
            Ok(times)
        } else {
            Err(missing("widths"))
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(x) => x.as_str().replace('_', "").parse().ok(),
        DeValue::Float(x) => x.as_str().replace('_', "").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let times = LayerTimes {
            tokens: 200,
            hidden: 312,
            head_size: 26,
            widths: vec![32, 64, 1200],
            whole: HalfTimes {
                heads: vec![1.5e-5, 2.25e-5, 3e-5],
                inner: vec![1e-5, 2e-5, 5e-4],
            },
            last: HalfTimes {
                heads: vec![1e-5],
                inner: vec![0.0, 1e-7, 2e-7],
            },
            rest: 1e-4,
        };
        assert_eq!(LayerTimes::parse(&times.text()).unwrap(), times);
        let heads = |heads| times.of_heads(heads, false);
        assert_eq!((heads(2), heads(6)), (2.25e-5, 6e-5));
        assert_eq!(
            (times.of_heads(1, true), times.of_heads(2, true)),
            (1e-5, 2e-5)
        );
        let inner = |inner| times.of_inner(inner, false);
        assert_eq!((inner(64), times.of_inner(64, true)), (2e-5, 1e-7));
        assert!((inner(48) - 1.5e-5).abs() < 1e-12 && (inner(16) - 0.5e-5).abs() < 1e-12);
        for broken in [
            "",
            "format = 1",
            &times.text().replace("32, 64", "64, 32"),
            &times.text().replace("format = 1", "format = 2"),
        ] {
            assert_eq!(LayerTimes::parse(broken).unwrap_err().code, "bad-times");
        }
    }

    #[test]
    fn multiply_adds_are_in_proportion() {
        let costs = LayerTimes::multiply_adds((8, 2, 4), 32, 10);
        let (heads, inner) = (|n| costs.of_heads(n, false), |n| costs.of_inner(n, false));
        assert_eq!(heads(2), 2.0 * heads(1));
        assert_eq!(heads(1), (4.0 * 8.0 * 4.0 + 2.0 * 4.0 * 10.0) * 10.0);
        assert_eq!(inner(16), 2.0 * 8.0 * 16.0 * 10.0);
        // The last layer's feed-forward block sees one token.
        assert_eq!(costs.of_inner(16, true), 2.0 * 8.0 * 16.0);
        assert!(costs.of_heads(1, true) < 0.6 * heads(1));
    }
}
