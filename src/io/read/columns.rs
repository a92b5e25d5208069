//! Which column of a file is what.

use std::collections::HashSet;

use crate::io::{IoError, ReadOptions};

const OWN_NAMES: [&str; 3] = ["review", "text", "truth"];

/// Places of a file's columns.
#[derive(Debug, PartialEq)]
pub struct Layout {
    pub text: usize,
    pub label: Option<usize>,
    /// Those that pass through.
    pub others: Vec<usize>,
}

impl Layout {
    /// Finds what the options name among the file's `names`.
    ///
    /// # Errors
    /// `missing-column`, `duplicate-column`
    pub fn new(names: &[String], options: &ReadOptions) -> Result<Self, IoError> {
        check_distinct(names, options)?;
        let text = find(names, &options.text, "text", options)?;
        let label = match options.label.as_deref() {
            Some("") => None,
            Some(label) => Some(find(names, label, "label", options)?),
            None => position(names, "label").filter(|label| *label != text),
        };
        let passes = |at: &usize| {
            *at != text && Some(*at) != label && !OWN_NAMES.contains(&names[*at].as_str())
        };
        Ok(Self {
            text,
            label,
            others: (0..names.len()).filter(passes).collect(),
        })
    }
}

fn position(names: &[String], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name == wanted)
}

fn find(
    names: &[String],
    wanted: &str,
    option: &'static str,
    options: &ReadOptions,
) -> Result<usize, IoError> {
    position(names, wanted).ok_or_else(|| {
        let path = options.path.display();
        let columns = names.iter().map(|name| format!("`{name}`"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let message = format!("`{path}` has no column `{wanted}`; its columns are {columns}");
        let help = nearest(names, wanted).map(|name| format!("did you mean `{name}`?"));
        IoError::new("missing-column", option, message).with_help(help)
    })
}

/// The name that `wanted` is a slip of, if there is one.
fn nearest<'a>(names: &'a [String], wanted: &str) -> Option<&'a String> {
    let wanted = wanted.to_lowercase();
    let slips = (wanted.chars().count() / 3).max(1);
    names
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &wanted),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= slips && !name.is_empty())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn check_distinct(names: &[String], options: &ReadOptions) -> Result<(), IoError> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(IoError::file(
            "duplicate-column",
            &options.path,
            format_args!("has more than one column `{name}`"),
        )),
    }
}
