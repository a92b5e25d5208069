//! What the classes are called: the graph says it, else the model does.

use segue_learn::labels::sentiments;
use segue_plugin::{Error, Result};

/// The classes in the order of the classifier's outputs: those `given` by the graph, else those
/// that the model `has`, else negative and positive.
///
/// # Errors
/// `labels-differ` when both name the same classes in different orders: the classifier's weights
/// would belong to others
pub fn labels(given: &[String], has: &[String]) -> Result<Vec<String>> {
    let lower = |all: &[String]| -> Vec<String> { all.iter().map(|l| l.to_lowercase()).collect() };
    let (ours, theirs) = (lower(given), lower(has));
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    if ours != theirs && sorted(ours) == sorted(theirs) {
        let message = format!(
            "`labels` are `{}`, but the model's classes are `{}`",
            given.join("`, `"),
            has.join("`, `")
        );
        return Err(Error::new("labels-differ", message).option("labels"));
    }
    Ok(match (given, has) {
        ([], []) => sentiments(),
        ([], has) => has.to_vec(),
        (given, _) => given.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn check(given: &str, has: &str, expect: &str) {
        let all = labels(&names(given), &names(has)).unwrap();
        assert_eq!(all, names(expect), "{given} | {has}");
    }

    #[test]
    fn the_graph_speaks_first_then_the_model() {
        check("", "", "negative positive");
        check("", "joy fear rage", "joy fear rage");
        check("no yes", "", "no yes");
        // Another task on the same base.
        check("no yes", "negative positive", "no yes");
        check(
            "negative positive",
            "NEGATIVE POSITIVE",
            "negative positive",
        );
    }

    #[test]
    fn another_order_is_refused() {
        let error = labels(&names("negative positive"), &names("Positive Negative")).unwrap_err();
        assert_eq!(error.code, "labels-differ");
        assert_eq!(error.option.as_deref(), Some("labels"));
    }
}
