//! What is wrong, where, and what to do: one shape for every message.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

/// A stretch of one of the texts in [`Sources`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index into [`Sources`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A stretch of source to underline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// Written beside the underline; may be empty.
    pub text: String,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, lower case, words joined by `-`.
    pub code: String,
    /// Lower case, no full stop, names in backticks.
    pub message: String,
    /// The first is where the error is, others help to see it.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error of kind `code`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Diagnostic {
            code,
            message,
            labels: Vec::new(),
            help: None,
        }
    }

    /// Points at `span`.
    pub fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    /// Points at `span`, where it is known.
    pub fn at_some(self, span: Option<Span>) -> Self {
        match span {
            Some(span) => self.at(span),
            None => self,
        }
    }

    /// Points at `span` and says what it is.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    pub fn help_some(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The message as people read it, with the lines it points at.
    pub fn render(&self, sources: &Sources) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, self.message);
        if let Some(first) = self.labels.first() {
            let place = sources.place(first.span);
            let _ = writeln!(out, "  --> {}:{}:{}", place.name, place.line, place.column);
            out.push_str(&snippet(&self.labels, sources));
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "help: {help}");
        }
        out
    }
}

/// The texts that spans point into: the graph file, and what `--set` said.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: Vec<(String, String)>,
}

struct Place<'a> {
    name: &'a str,
    line: usize,
    column: usize,
    text: &'a str,
    before: &'a str,
    marked: &'a str,
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

    fn place(&self, span: Span) -> Place<'_> {
        let (name, text) = self
            .texts
            .get(span.source)
            .map_or(("", ""), |(n, t)| (n, t));
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end.max(start));
        Place {
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

/// The lines of `labels`, in file order, each underlined: `^` for the first
/// label, `-` for the others.
fn snippet(labels: &[Label], sources: &Sources) -> String {
    let mut places: Vec<_> = (labels.iter().enumerate())
        .map(|(i, label)| {
            (
                label.span.source,
                sources.place(label.span),
                i == 0,
                &label.text,
            )
        })
        .collect();
    places.sort_by_key(|(source, place, ..)| (*source, place.line, place.column));
    let digits = places
        .iter()
        .map(|(_, p, ..)| p.line.to_string().len())
        .max()
        .unwrap_or(1);
    let mut out = String::new();
    let mut shown = None;
    for (source, place, first, text) in places {
        if shown != Some((source, place.line)) {
            let line = place.text.replace('\t', " ");
            let _ = writeln!(out, "{:>digits$} | {line}", place.line);
            shown = Some((source, place.line));
        }
        let mark = if first { "^" } else { "-" };
        let indent = " ".repeat(place.before.replace('\t', " ").width());
        let underline = mark.repeat(place.marked.replace('\t', " ").width().max(1));
        let _ = writeln!(
            out,
            "{:>digits$} | {}",
            "",
            format!("{indent}{underline} {text}").trim_end()
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_two_lines_of_a_file() {
        let mut sources = Sources::new();
        let text = "with.model = \"é\"\n\nfrom = \"lower\"\n";
        let source = sources.add("g.toml", text);
        let span = |part: &str| {
            let start = text.find(part).unwrap();
            Span {
                source,
                start,
                end: start + part.len(),
            }
        };
        let diagnostic = Diagnostic::new("column-mismatch", "`upper` reads something else")
            .at(span("\"lower\""))
            .label(span("\"é\""), "its hidden size is 384")
            .help("give both the same `with.model`");
        let expected = "\
error[column-mismatch]: `upper` reads something else
  --> g.toml:3:8
1 | with.model = \"é\"
  |              --- its hidden size is 384
3 | from = \"lower\"
  |        ^^^^^^^
help: give both the same `with.model`
";
        assert_eq!(diagnostic.render(&sources), expected);
    }

    #[test]
    fn a_span_outside_the_text_does_not_panic() {
        let mut sources = Sources::new();
        let source = sources.add("g.toml", "a");
        let span = Span {
            source,
            start: 7,
            end: 9,
        };
        assert!(
            Diagnostic::new("x", "y")
                .at(span)
                .render(&sources)
                .contains("g.toml:1:2")
        );
    }
}
