//! What goes through TLS: frames of a kind and a length, then that many bytes.

/// A frame's kind and length, in big-endian: one byte and three.
pub const HEADER_BYTES: usize = 4;
/// More than timely writes at once as a rule, and little enough to be sealed while a
/// reader waits for TLS: tens of microseconds.
pub const DATA_BYTES_MAX: usize = 1 << 18;
/// The longest reason that a device may give for leaving.
pub const REASON_BYTES_MAX: usize = 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Says that its sender lives.
    Ping,
    /// A part of timely's stream of bytes.
    Data,
    /// The sender is connected to all devices.
    Ready,
    /// The sender's run is complete, and nothing will follow.
    End,
    /// The sender's run is not complete, and nothing will follow. The bytes: index of
    /// the device that is to blame, in big-endian; 1 where that device will not come back by
    /// itself, else 0; then the reason as UTF-8.
    Leave,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Of a kind that is not known.
    #[error("it sent a frame of unknown kind {0}")]
    Kind(u8),
    /// A length that frames of the kind do not have.
    #[error("it sent a frame of kind {kind:?} with {length} bytes")]
    Length {
        /// The frame's kind.
        kind: Kind,
        /// The length it claims.
        length: usize,
    },
}

/// The bytes before a frame's own.
pub fn frame_header(kind: Kind, length: usize) -> [u8; HEADER_BYTES] {
    let kind = match kind {
        Kind::Ping => 0,
        Kind::Data => 1,
        Kind::Ready => 2,
        Kind::End => 3,
        Kind::Leave => 4,
    };
    debug_assert!(length <= DATA_BYTES_MAX);
    // No frame is longer than three bytes can say.
    let [.., high, middle, low] = length.to_be_bytes();
    [kind, high, middle, low]
}

/// Reads a frame's kind and length. Never panics.
///
/// # Errors
/// What is wrong with the bytes
pub fn parse_frame_header(bytes: [u8; HEADER_BYTES]) -> Result<(Kind, usize), FrameError> {
    let [kind, high, middle, low] = bytes;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let (kind, lengths) = match kind {
        0 => (Kind::Ping, 0..=0),
        1 => (Kind::Data, 1..=DATA_BYTES_MAX),
        2 => (Kind::Ready, 0..=0),
        3 => (Kind::End, 0..=0),
        4 => (Kind::Leave, 5..=5 + REASON_BYTES_MAX),
        unknown => return Err(FrameError::Kind(unknown)),
    };
    if lengths.contains(&length) {
        Ok((kind, length))
    } else {
        Err(FrameError::Length { kind, length })
    }
}

/// The bytes of a [`Kind::Leave`].
pub fn leave_bytes(blamed: usize, for_good: bool, reason: &str) -> Vec<u8> {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    let blamed = u32::try_from(blamed).unwrap_or(u32::MAX);
    let for_good = [u8::from(for_good)];
    [
        &blamed.to_be_bytes()[..],
        &for_good,
        &reason.as_bytes()[..end],
    ]
    .concat()
}

/// Reads the bytes of a [`Kind::Leave`]; what cannot be shown in one line is left out.
pub fn parse_leave(bytes: &[u8]) -> (u32, bool, String) {
    let (blamed, for_good, reason) = match bytes.split_first_chunk() {
        Some((&[a, b, c, d, for_good], reason)) => {
            (u32::from_be_bytes([a, b, c, d]), for_good == 1, reason)
        }
        None => (u32::MAX, false, bytes),
    };
    let reason = String::from_utf8_lossy(reason);
    let reason = reason.chars().filter(|c| !c.is_control()).collect();
    (blamed, for_good, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_read_as_written_or_refused() {
        let mut good = 0;
        for first in 0..=u8::MAX {
            for length in [
                0,
                1,
                3,
                5,
                1029,
                1030,
                DATA_BYTES_MAX,
                DATA_BYTES_MAX + 1,
                0xff_ffff,
            ] {
                let [.., high, middle, low] = length.to_be_bytes();
                let bytes = [first, high, middle, low];
                if let Ok((kind, length)) = parse_frame_header(bytes) {
                    assert_eq!(frame_header(kind, length), bytes);
                    good += 1;
                }
            }
        }
        assert_eq!(good, 1 + 6 + 1 + 1 + 2);
        assert_eq!(parse_frame_header([9, 0, 0, 0]), Err(FrameError::Kind(9)));
    }

    #[test]
    fn a_reason_is_cut_and_cleaned() {
        let bytes = leave_bytes(3, true, &"é".repeat(1000));
        assert_eq!(bytes.len(), 5 + REASON_BYTES_MAX);
        assert_eq!(parse_leave(&bytes), (3, true, "é".repeat(512)));
        assert_eq!(
            parse_leave(b"\0\0\0\x01\0a\x1b[2J\nb\xff"),
            (1, false, "a[2Jb\u{fffd}".to_owned())
        );
        assert_eq!(parse_leave(b"ab"), (u32::MAX, false, "ab".to_owned()));
    }
}
