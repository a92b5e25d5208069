//! Which part of a model to run.

use segue_model::ModelError;

/// Encoder layers `start..end` of a model with `count` layers.
///
/// A range from 0 starts with the embeddings; a range to `count` ends with the head, when the
/// model has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// First layer.
    pub start: usize,
    /// One past the last layer.
    pub end: usize,
}

impl Layers {
    /// Reads `"a..b"`, `"..b"`, `"a.."` or `".."` for a model of `count` layers.
    ///
    /// # Errors
    /// `bad-layers` when the text is no range, or runs past the model.
    pub fn parse(text: &str, count: usize) -> Result<Self, ModelError> {
        let bad = |why: String| {
            ModelError::new("bad-layers", format!("`{text}`: {why}"))
                .help(format!("write `a..b` with 0 <= a <= b <= {count}"))
        };
        let (start, end) = text
            .split_once("..")
            .ok_or_else(|| bad("not a range of layers".into()))?;
        let number = |part: &str, default: usize| match part.trim() {
            "" => Ok(default),
            digits => digits
                .parse()
                .map_err(|_| bad(format!("`{digits}` is no layer number"))),
        };
        let layers = Self {
            start: number(start, 0)?,
            end: number(end, count)?,
        };
        layers.check(count)?;
        Ok(layers)
    }

    /// All of a model with `count` layers.
    pub fn all(count: usize) -> Self {
        Self {
            start: 0,
            end: count,
        }
    }

    /// Whether the embeddings belong to the range.
    pub fn has_embeddings(&self) -> bool {
        self.start == 0
    }

    /// Whether the range reaches the end of a model with `count` layers.
    pub fn reaches_head(&self, count: usize) -> bool {
        self.end == count
    }

    /// # Errors
    /// `bad-layers` when the range runs backwards, past `count`, or holds nothing.
    pub(crate) fn check(&self, count: usize) -> Result<(), ModelError> {
        let Self { start, end } = *self;
        let why = if end > count {
            format!("the model has {count} layers")
        } else if start > end {
            "it runs backwards".into()
        } else if start == end && start != 0 && end != count {
            "it holds no layer".into()
        } else {
            return Ok(());
        };
        Err(
            ModelError::new("bad-layers", format!("`{start}..{end}`: {why}"))
                .help(format!("write `a..b` with 0 <= a <= b <= {count}")),
        )
    }
}

impl std::fmt::Display for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let parse = |text| Layers::parse(text, 4).map(|l| (l.start, l.end));
        assert_eq!(parse("0..2"), Ok((0, 2)));
        assert_eq!(parse("..2"), Ok((0, 2)));
        assert_eq!(parse("2.."), Ok((2, 4)));
        assert_eq!(parse(".."), Ok((0, 4)));
        assert_eq!(parse("0..0"), Ok((0, 0)));
        assert_eq!(parse("4..4"), Ok((4, 4)));
        for bad in ["", "2", "a..b", "3..2", "0..5", "2..2", "-1..2", "0..=2"] {
            assert_eq!(parse(bad).unwrap_err().code, "bad-layers", "{bad}");
        }
    }
}
