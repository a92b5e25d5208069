//! `512 MiB` as a number of bytes.

/// What a size may end with, and how many bytes it stands for.
const UNITS: [(&str, f64); 9] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Bytes in `text`, a number and a unit; `None` where it is none, or less than a byte.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let size = number.parse::<f64>().ok()? * bytes;
    // Between 1 and 2^60 the conversion is exact enough, and cannot fail.
    (1.0..=(1u64 << 60) as f64)
        .contains(&size)
        .then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse_size("512 MiB"), Some(512 << 20));
        assert_eq!(parse_size("1.5GiB"), Some(3 << 29));
        assert_eq!(parse_size("2 GB"), Some(2_000_000_000));
        for none in [
            "",
            "512",
            "MiB",
            "-1 MiB",
            "1 mib",
            "1 MiB x",
            "0 B",
            "9e9 TiB",
            "9999999 TiB",
            "1..2 B",
        ] {
            assert_eq!(parse_size(none), None, "{none}");
        }
    }
}
