//! Which column of a file is what, and what it is called.

use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;
use crate::io::error::{file_error, option_error};

/// What a source calls its own columns.
const OWN_NAMES: [&str; 3] = ["review", "text", "truth"];
/// Set before the name of a column that the graph has itself.
const PREFIX: &str = "file_";
/// Stands for the stage's name in a help; who knows the graph puts it in.
const STAGE: &str = "{stage}";
/// Names that an error lists.
const NAMES_SHOWN: usize = 30;

/// A column of the file that passes through.
#[derive(Debug, PartialEq)]
pub struct Other {
    /// Its place in the file.
    pub at: usize,
    /// What the graph calls it.
    pub name: String,
}

/// Places of a file's columns.
#[derive(Debug, PartialEq)]
pub struct Layout {
    pub text: usize,
    pub label: Option<usize>,
    /// Those that pass through.
    pub others: Vec<Other>,
    /// Which of them are called something else.
    pub notes: Vec<String>,
}

impl Layout {
    /// Finds what the options name among the file's `names`.
    ///
    /// # Errors
    /// `missing-column`, `duplicate-column`
    pub fn new(names: &[String], options: &ReadOptions) -> Result<Self, Diagnostic> {
        let text = find(names, &options.text, "text", options)?;
        let label = match options.label.as_deref() {
            Some("") => None,
            Some(label) => Some(find(names, label, "label", options)?),
            None => match position(names, "label").filter(|label| *label != text) {
                Some(_) => Some(find(names, "label", "label", options)?),
                None => None,
            },
        };
        let own = own_names(options);
        let serves = |at: usize| at == text || Some(at) == label;
        let mut others = Vec::new();
        let mut notes = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let taken = own.contains(&name.as_str());
            let new = if taken {
                free(names, &own, name)
            } else {
                name.clone()
            };
            if serves(at) && !options.asked.contains(&new) {
                continue;
            }
            if taken {
                let path = options.path.display();
                notes.push(format!("`{path}`: its column `{name}` is called `{new}`, for the graph has a `{name}` of its own"));
            }
            others.push(Other { at, name: new });
        }
        Ok(Self {
            text,
            label,
            others,
            notes,
        })
    }
}

/// What the graph itself calls columns.
fn own_names(options: &ReadOptions) -> Vec<&str> {
    let epochs = options
        .epochs
        .as_ref()
        .map(|_| ["role", "epoch", "progress"]);
    let role = options.role.map(|_| "role");
    let taken = options.taken.iter().map(String::as_str);
    let own = OWN_NAMES.into_iter().chain(role);
    own.chain(epochs.into_iter().flatten())
        .chain(taken)
        .collect()
}

/// A name for `name` that nothing else has.
fn free(names: &[String], own: &[&str], name: &str) -> String {
    let mut new = format!("{PREFIX}{name}");
    while names.contains(&new) || own.contains(&new.as_str()) {
        new.insert_str(0, PREFIX);
    }
    new
}

fn position(names: &[String], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name == wanted)
}

///
/// # Errors
/// `missing-column`, `duplicate-column`
pub fn find(
    names: &[String],
    wanted: &str,
    option: &'static str,
    options: &ReadOptions,
) -> Result<usize, Diagnostic> {
    let path = options.path.display();
    let mut places = (0..names.len()).filter(|at| names[*at] == wanted);
    match (places.next(), places.next()) {
        (Some(only), None) => return Ok(only),
        (Some(_), Some(_)) => {
            let what = format_args!("has more than one column `{wanted}`");
            return Err(file_error("duplicate-column", &options.path, what));
        }
        (None, _) => {}
    }
    let columns = names
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| format!("`{name}`"));
    let mut columns = columns.collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        columns += &format!(" and {} more", names.len() - NAMES_SHOWN);
    }
    let message = format!("`{path}` has no column `{wanted}`; its columns are {columns}");
    let near = nearest(names, wanted).map(|name| format!("did you mean `{name}`?"));
    let likely = || {
        names
            .iter()
            .find(|name| !name.is_empty())
            .cloned()
            .unwrap_or_default()
    };
    let how = || {
        match option {
        "text" => format!("say which has the text: `with.text = \"COLUMN\"`, or `--set \"{STAGE}.text={}\"`", likely()),
        "hold-out-by" => "say which tells what belongs together, or leave it out".to_owned(),
        _ => "say which has the label: `with.label = \"COLUMN\"`; `with.label = \"\"` says that none has".to_owned(),
    }
    };
    let help = near.unwrap_or_else(how);
    Err(option_error("missing-column", option, message).help(help))
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
