//! Texts of others, such as names of files and columns, made safe to show.

use std::borrow::Cow;

/// The text with every character escaped that a terminal would act on instead of showing
/// it: control characters, and those that turn the direction of a line or break it.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
    }
    Cow::Owned(shown)
}

fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn only_what_acts_is_escaped() {
        assert_eq!(visible("naïve 文字 \"x\" 👩‍🔬"), "naïve 文字 \"x\" 👩‍🔬");
        assert_eq!(visible("a\tb\u{9b}\u{2066}\n"), "a\\tb\\u{9b}\\u{2066}\\n");
    }
}
