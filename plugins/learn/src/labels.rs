//! What classes are called.

/// What `read` calls the labels 0 and 1.
pub fn sentiments() -> Vec<String> {
    vec!["negative".into(), "positive".into()]
}

/// The class called `name`: as it is written, or else in small or large letters.
pub fn class(name: &str, labels: &[String]) -> Option<usize> {
    let exactly = labels.iter().position(|label| label == name);
    exactly.or_else(|| (labels.iter()).position(|label| label.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_as_it_is_written_comes_first() {
        let labels = ["Good", "good", "bad"].map(str::to_owned);
        let found = ["good", "GOOD", "Bad", "poor"].map(|name| class(name, &labels));
        assert_eq!(found, [Some(1), Some(0), Some(2), None]);
    }
}
