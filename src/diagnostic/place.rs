//! Where something is wrong.

/// A stretch of one of the texts in [`Sources`](super::Sources), in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index into [`Sources`](super::Sources).
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Where the text `source` begins.
    pub fn start_of(source: usize) -> Self {
        Span {
            source,
            start: 0,
            end: 0,
        }
    }
}

/// Where something is wrong. Who opens a file or calls a plugin does not know where the graph
/// file speaks of it, so it says what that is called there; whoever has read the graph file
/// makes a span of it ([`Diagnostic::resolve`](super::Diagnostic::resolve)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A stretch of text.
    Span(Span),
    /// The stage with this name in the graph file.
    Stage(String),
    /// The option with this name, of the stage that is named too, or else of the one at hand.
    Option(String),
    /// The input port with this name, in the same way.
    Port(String),
}

/// A place to underline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// Written beside the underline; may be empty.
    pub text: String,
}

impl Label {
    /// Where it is, where that is known.
    pub fn span(&self) -> Option<Span> {
        match self.place {
            Place::Span(span) => Some(span),
            _ => None,
        }
    }
}
