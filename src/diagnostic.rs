//! What is wrong, where, and what to do: one shape for every message.

mod note;
mod paint;
mod snippet;
mod visible;

use std::fmt::Write as _;

pub use note::Note;
pub use paint::paint;
pub use visible::visible;

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

    /// Says what to do; of several things each on a line of its own.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    pub fn help_some(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The message as people read it, with the lines it points at. What a terminal would
    /// act on instead of showing it is made [`visible`].
    pub fn render(&self, sources: &Sources) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, visible(&self.message));
        if let Some(first) = self.labels.first() {
            let place = sources.place(first.span);
            let name = visible(place.name);
            let _ = writeln!(out, "  --> {name}:{}:{}", place.line, place.column);
            out.push_str(&snippet::snippet(&self.labels, sources));
        }
        if let Some(help) = &self.help {
            for help in help.split('\n') {
                let _ = writeln!(out, "help: {}", visible(help));
            }
        }
        out
    }

    /// The message as people read it, where it points at no text.
    pub fn text(&self) -> String {
        self.render(&Sources::new())
    }
}

/// The texts that spans point into: the graph file, and what `--set` said.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: Vec<(String, String)>,
}

/// Where a span is.
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
    fn control_characters_are_shown_and_wide_ones_are_pointed_at() {
        let mut sources = Sources::new();
        let text = "\tn = \"\u{1b}[2J文字\" # \u{202e}x";
        let source = sources.add("g\n.toml", text);
        let start = text.find('文').unwrap();
        let end = text.find("\" #").unwrap();
        let span = Span { source, start, end };
        let error = Diagnostic::new("bad-option", "no `a\u{7}\r\nb`").at(span);
        let expected = "\
error[bad-option]: no `a\\u{7}\\r\\nb`
  --> g\\n.toml:1:11
1 |  n = \"\\u{1b}[2J文字\" # \\u{202e}x
  |                ^^^^
";
        assert_eq!(error.render(&sources), expected);
    }

    #[test]
    fn of_a_long_line_only_what_is_near_is_shown() {
        let mut sources = Sources::new();
        let text = format!("{}\"here\"{}", "x ".repeat(500), " y".repeat(500));
        let source = sources.add("g.toml", text.as_str());
        let start = text.find("\"here").unwrap();
        let end = start + 6;
        let error = Diagnostic::new("x", "y").at(Span { source, start, end });
        let shown = error.render(&sources);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "  --> g.toml:1:1001");
        assert!(lines.iter().all(|line| line.len() < 180), "{shown}");
        let at = lines[2].find("\"here\"").expect("the place is shown");
        assert_eq!(lines[3].find('^'), Some(at), "{shown}");
        assert_eq!(lines[3].matches('^').count(), 6, "{shown}");
        assert!(
            lines[2].contains("| ...") && lines[2].ends_with("..."),
            "{shown}"
        );
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
