//! The lines that a message points at.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::{Label, Sources, visible};

/// Columns of a line that are shown; of a longer one what is around its first label.
const WIDTH: usize = 140;
/// Of these, the ones before the label.
const BEFORE: usize = 60;
/// What stands for the rest.
const CUT: &str = "...";

/// The lines of `labels`, in file order, each underlined: `^` for the first
/// label, `-` for the others.
pub fn snippet(labels: &[Label], sources: &Sources) -> String {
    let spans = labels
        .iter()
        .filter_map(|label| Some((label.span()?, &label.text)));
    let mut places: Vec<_> = (spans.enumerate())
        .map(|(i, (span, text))| (span.source, sources.excerpt(span), i == 0, text))
        .collect();
    places.sort_by_key(|(source, place, ..)| (*source, place.line, place.column));
    let digits = places
        .iter()
        .map(|(_, p, ..)| p.line.to_string().len())
        .max()
        .unwrap_or(1);
    let mut out = String::new();
    let mut shown: Option<(usize, usize, Window)> = None;
    for (source, place, first, text) in places {
        let before = as_shown(place.before).width();
        let window = match shown.take() {
            Some((s, line, window)) if (s, line) == (source, place.line) => window,
            _ => {
                let line = as_shown(place.text);
                let window = Window::around(before, line.width());
                let _ = writeln!(out, "{:>digits$} | {}", place.line, window.cut(&line));
                window
            }
        };
        let marked = as_shown(place.marked).width().max(1);
        let (indent, length) = window.place(before, marked);
        let underline = if first { "^" } else { "-" }.repeat(length);
        let _ = writeln!(
            out,
            "{:>digits$} | {}",
            "",
            format!("{}{underline} {}", " ".repeat(indent), visible(text)).trim_end()
        );
        shown = Some((source, place.line, window));
    }
    out
}

/// A tab takes one column, as places count it.
fn as_shown(text: &str) -> String {
    visible(&text.replace('\t', " ")).into_owned()
}

/// The columns of a line that are shown.
struct Window {
    from: usize,
    to: usize,
    /// All columns of the line.
    width: usize,
}

impl Window {
    fn around(mark: usize, width: usize) -> Self {
        let from = if width <= WIDTH {
            0
        } else {
            mark.saturating_sub(BEFORE).min(width - WIDTH)
        };
        Window {
            from,
            to: (from + WIDTH).min(width),
            width,
        }
    }

    fn left(&self) -> &'static str {
        if self.from > 0 { CUT } else { "" }
    }

    fn cut(&self, line: &str) -> String {
        if self.from == 0 && self.to == self.width {
            return line.to_owned();
        }
        let (mut column, mut kept) = (0, self.left().to_owned());
        for c in line.chars() {
            let wide = c.encode_utf8(&mut [0; 4]).width();
            // Half of a wide character is a blank.
            if column >= self.from && column + wide <= self.to {
                kept.push(c);
            } else if column + wide > self.from && column < self.to {
                kept.push(' ');
            }
            column += wide;
        }
        kept + if self.to < self.width { CUT } else { "" }
    }

    /// Where `length` columns from column `at` on are shown: behind how many, and how many.
    fn place(&self, at: usize, length: usize) -> (usize, usize) {
        let start = at.clamp(self.from, self.to);
        let end = (at + length).clamp(start + 1, self.to.max(start + 1));
        (start - self.from + self.left().len(), end - start)
    }
}
