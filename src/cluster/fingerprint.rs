//! What a certificate is known by.

use std::fmt;
use std::str::FromStr;

/// SHA-256 of a certificate's DER; written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// What is wrong with the text of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Another hash, or none.
    #[error("a fingerprint begins with `sha256:`")]
    Prefix,
    /// Too short or too long.
    #[error("a fingerprint has 64 hexadecimal digits, not {0}")]
    Length(usize),
    /// Something that is no digit.
    #[error("`{0}` is not a hexadecimal digit")]
    Digit(char),
}

impl Fingerprint {
    /// The fingerprint of the certificate with this DER.
    pub fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
        Fingerprint(bytes)
    }

    /// The hash itself.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text
            .strip_prefix("sha256:")
            .ok_or(FingerprintError::Prefix)?;
        if digits.chars().count() != 64 {
            return Err(FingerprintError::Length(digits.chars().count()));
        }
        let mut bytes = [0; 32];
        for (i, digit) in digits.chars().enumerate() {
            let value = digit.to_digit(16).ok_or(FingerprintError::Digit(digit))?;
            // A digit is below 16, so it fits.
            bytes[i / 2] = bytes[i / 2] << 4 | value as u8;
        }
        Ok(Fingerprint(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let print = Fingerprint::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(print.to_string(), text);
        assert_eq!(text.parse(), Ok(print));
        assert_eq!(text.to_uppercase().replace("SHA", "sha").parse(), Ok(print));
    }

    #[test]
    fn what_is_none_is_refused() {
        let parse = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert_eq!(parse("md5:00"), FingerprintError::Prefix);
        assert_eq!(parse("sha256:00"), FingerprintError::Length(2));
        let text = format!("sha256:{}é", "0".repeat(63));
        assert_eq!(parse(&text), FingerprintError::Digit('é'));
    }
}
