//! What is wrong, where, and what to do: one shape for every message.

mod note;
mod paint;
mod place;
mod snippet;
mod sources;
mod suggest;
mod visible;

use std::fmt::{self, Write as _};

pub use note::Note;
pub use paint::paint;
pub use place::{Label, Place, Span};
pub use sources::Sources;
pub use suggest::{did_you_mean, list, nearest};
pub use visible::visible;

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

    /// Points at `span` before all else.
    pub fn at_first(mut self, span: Span) -> Self {
        let (place, text) = (Place::Span(span), String::new());
        self.labels.insert(0, Label { place, text });
        self
    }

    /// Points at `span`, where it is known.
    pub fn at_some(self, span: Option<Span>) -> Self {
        match span {
            Some(span) => self.at(span),
            None => self,
        }
    }

    /// Points at `span` and says what it is.
    pub fn label(self, span: Span, text: impl Into<String>) -> Self {
        self.place(Place::Span(span), text)
    }

    /// Blames the option `name` of a stage.
    pub fn option(self, name: impl Into<String>) -> Self {
        self.place(Place::Option(name.into()), "")
    }

    /// Blames the input port `name` of a stage.
    pub fn port(self, name: impl Into<String>) -> Self {
        self.place(Place::Port(name.into()), "")
    }

    /// Blames the stage `name`. Whoever finds what is wrong does not know what the stage is
    /// called, and says `{stage}` where its help names it.
    pub fn stage(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.help = self.help.map(|help| help.replace("{stage}", &name));
        self.place(Place::Stage(name), "")
    }

    fn place(mut self, place: Place, text: impl Into<String>) -> Self {
        let text = text.into();
        self.labels.push(Label { place, text });
        self
    }

    /// The option that it blames, if any.
    pub fn blamed_option(&self) -> Option<&str> {
        self.labels.iter().find_map(|label| match &label.place {
            Place::Option(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The stage that it blames, if any.
    pub fn blamed_stage(&self) -> Option<&str> {
        self.labels.iter().find_map(|label| match &label.place {
            Place::Stage(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The first stretch of text that it points at.
    pub fn span(&self) -> Option<Span> {
        self.labels.iter().find_map(Label::span)
    }

    /// The same with `find`'s span for the most exact place that it has one for, and without
    /// all that are named only.
    pub fn resolve(mut self, find: impl Fn(&Place) -> Option<Span>) -> Self {
        let exact = |label: &&Label| !matches!(label.place, Place::Stage(_));
        let named = self.labels.iter().filter(|label| label.span().is_none());
        let (exact, stages): (Vec<&Label>, Vec<&Label>) = named.partition(exact);
        let span = exact.into_iter().chain(stages).find_map(|label| {
            let place = find(&label.place)?;
            Some(Label {
                place: Place::Span(place),
                text: label.text.clone(),
            })
        });
        self.labels.retain(|label| label.span().is_some());
        if let Some(span) = span {
            self.labels.insert(0, span);
        }
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
        if let Some(first) = self.span() {
            let excerpt = sources.excerpt(first);
            let name = visible(excerpt.name);
            let _ = writeln!(out, "  --> {name}:{}:{}", excerpt.line, excerpt.column);
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

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// What a plugin says is wrong.
impl From<segue_plugin::Error> for Diagnostic {
    fn from(error: segue_plugin::Error) -> Self {
        let blamed = error.option.map(Place::Option);
        blamed.into_iter().fold(
            Diagnostic::new(error.code, error.message),
            |error, option| error.place(option, ""),
        )
    }
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
    fn a_named_place_is_resolved_by_whoever_knows_the_file() {
        let mut sources = Sources::new();
        let source = sources.add("g.toml", "with.path = 1");
        let error = Diagnostic::new("missing-file", "there is no file `1`")
            .help("see `{stage}.with.path`")
            .option("path")
            .stage("reads");
        assert_eq!(error.blamed_option(), Some("path"));
        assert_eq!(error.blamed_stage(), Some("reads"));
        assert!(!error.text().contains("-->"), "{}", error.text());
        let find = |place: &Place| match place {
            Place::Option(name) if name == "path" => Some(Span {
                source,
                start: 12,
                end: 13,
            }),
            _ => Some(Span::start_of(source)),
        };
        let expected = "\
error[missing-file]: there is no file `1`
  --> g.toml:1:13
1 | with.path = 1
  |             ^
help: see `reads.with.path`
";
        assert_eq!(error.clone().resolve(find).render(&sources), expected);
        let unknown = error.resolve(|_| None);
        assert!(unknown.labels.is_empty());
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
