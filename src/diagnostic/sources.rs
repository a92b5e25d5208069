//! The texts that messages point into.

use super::Span;

/// The texts that spans point into: the graph file, and what `--set` said.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: Vec<(String, String)>,
}

/// Where a span is, and what stands there.
pub(super) struct Excerpt<'a> {
    pub name: &'a str,
    pub line: usize,
    pub column: usize,
    /// The whole line.
    pub text: &'a str,
    /// What of it stands before the span.
    pub before: &'a str,
    /// What of it the span marks.
    pub marked: &'a str,
}

impl Sources {
    /// No texts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text, and gives the number that spans in it carry.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        self.texts.push((name.into(), text.into()));
        self.texts.len() - 1
    }

    /// The text numbered `source`.
    pub fn text(&self, source: usize) -> &str {
        self.texts.get(source).map_or("", |(_, text)| text)
    }

    pub(super) fn excerpt(&self, span: Span) -> Excerpt<'_> {
        let (name, text) = self
            .texts
            .get(span.source)
            .map_or(("", ""), |(n, t)| (n, t));
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end.max(start));
        Excerpt {
            name,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end_matches('\r'),
            before: &text[line_start..start],
            marked: &text[start..end],
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}
