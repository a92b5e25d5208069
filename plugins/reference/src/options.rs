//! What the options of the operators share.

use segue_plugin::{Error, Result};

/// Labels that a graph leaves out.
pub fn two_labels() -> Vec<String> {
    vec!["negative".to_owned(), "positive".to_owned()]
}

/// Refuses fewer than two labels, and a label named twice.
///
/// # Errors
/// `bad-option`
pub fn check_labels(labels: &[String]) -> Result<()> {
    let twice = |at: usize| labels[..at].contains(&labels[at]);
    let wrong = match (0..labels.len()).find(|at| twice(*at)) {
        Some(at) => format!("`labels` has `{}` twice", labels[at]),
        None if labels.len() < 2 => "`labels` must name at least two".to_owned(),
        None => return Ok(()),
    };
    Err(Error::new("bad-option", wrong).option("labels"))
}

/// Refuses an option's value unless it is `right`; `wanted` says what it must be.
///
/// # Errors
/// `bad-option`
pub fn check(right: bool, option: &str, wanted: &str) -> Result<()> {
    match right {
        true => Ok(()),
        false => {
            Err(Error::new("bad-option", format!("`{option}` must be {wanted}")).option(option))
        }
    }
}
