//! Which texts are numbers.

/// Significant digits that a 64-bit float holds of any decimal number.
const FLOAT_DIGITS: usize = 15;

/// Whether `text` is a number that is written in the one plain way and that a program reads
/// exactly: a 64-bit integer, or a decimal fraction of up to 15 digits. `007`, `+1`, `1e5`, `.5`
/// and `-0` are not: they may be codes, and a number would not keep them.
pub fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || whole.len() > 1 && whole.starts_with('0') {
        return false;
    }
    match fraction {
        None if digits == "0" => digits.len() == text.len(),
        None => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
        Some(fraction) => {
            let zero = || digits.bytes().all(|b| matches!(b, b'0' | b'.'));
            all_digits(fraction)
                && whole.len() + fraction.len() <= FLOAT_DIGITS
                && (digits.len() == text.len() || !zero())
        }
    }
}

/// Length of the JSON number that `text` begins with; 0 for none.
pub fn json_number(text: &[u8]) -> usize {
    let digits = |at: usize| {
        text[at.min(text.len())..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && text[at] == b'0' {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return 0,
            fraction => at += 1 + fraction,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match digits(at + 1 + sign) {
            0 => return 0,
            exponent => at += 1 + sign + exponent,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_those_that_a_program_keeps() {
        for yes in [
            "0",
            "7",
            "-7",
            "1234567890123456789",
            "18446744073709551615",
            "0.5",
            "4.50",
            "-0.25",
        ] {
            assert!(is_plain_number(yes), "{yes}");
        }
        for no in [
            "",
            "-",
            "007",
            "+1",
            "1e5",
            ".5",
            "5.",
            "-0",
            "-0.0",
            "1,5",
            "1_000",
            " 1",
            "0x1f",
            "NaN",
            "inf",
            "18446744073709551616",
            "0.1234567890123456",
            "1.2.3",
            "--1",
            "٣",
        ] {
            assert!(!is_plain_number(no), "{no}");
        }
    }

    #[test]
    fn json_numbers_are_those_of_serde() {
        for text in [
            "0", "-0", "12", "1.5", "1e5", "1E-5", "1.5e+10", "01", "1.", ".5", "+1", "1e", "-",
            "", "1x", "- 1",
        ] {
            let known = serde_json::from_str::<serde_json::Number>(text).is_ok();
            let whole = !text.is_empty() && json_number(text.as_bytes()) == text.len();
            assert_eq!(whole, known, "{text}");
        }
    }
}
