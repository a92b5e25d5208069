//! Numbers as people read them.

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `2,000 records`
pub fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", grouped(number)),
    }
}

/// Minutes and seconds, and hours where there are any.
pub fn clock(seconds: f64) -> String {
    // Far below 2^53, and a display.
    let seconds = seconds.round() as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// A whole percent, and never all or nothing of what is not.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0 %".to_owned(),
        little if little < 1.0 => "under 1 %".to_owned(),
        most if most > 99.0 && most < 100.0 => "99 %".to_owned(),
        some => format!("{some:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let all = [0, 999, 1000, 123_456, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!([1, 2000].map(|n| count(n, "row")), ["1 row", "2,000 rows"]);
        let all = [0.0, 0.001, 0.5, 0.999, 1.0].map(percent);
        assert_eq!(all, ["0 %", "under 1 %", "50 %", "99 %", "100 %"]);
        assert_eq!([59.6, 3601.0].map(clock), ["1:00", "1:00:01"]);
    }
}
