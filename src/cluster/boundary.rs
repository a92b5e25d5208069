//! Where one of timely's messages ends and the next begins.

/// timely's header: six numbers of eight bytes in big-endian, the fifth of which is the
/// length of what follows.
const HEADER_BYTES: usize = 48;
const LENGTH_AT: usize = 32;

/// Follows timely's stream of bytes, so that it can be ended properly at any point:
/// timely's receiving thread ends without a panic after a message of no length, and
/// only then. A test runs it against timely's own parser.
#[derive(Debug)]
pub struct Boundary {
    header: [u8; HEADER_BYTES],
    have: usize,
    body_left: usize,
    ended: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Boundary {
            header: [0; HEADER_BYTES],
            have: 0,
            body_left: 0,
            ended: false,
        }
    }
}

impl Boundary {
    /// Whether the message of no length is through.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Sees the next bytes of the stream.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.ended {
            let taken = self.needed().min(bytes.len());
            let (now, later) = bytes.split_at(taken);
            bytes = later;
            if self.body_left > 0 {
                self.body_left -= taken;
                continue;
            }
            self.header[self.have..self.have + taken].copy_from_slice(now);
            self.have += taken;
            if self.have == HEADER_BYTES {
                self.have = 0;
                self.body_left = self.length();
                self.ended = self.body_left == 0;
            }
        }
    }

    /// Writes the next bytes of a proper end: what was begun is filled up with zeros,
    /// and the message of no length, all zeros, follows. Gives 0 when that is through.
    pub fn fill(&mut self, buffer: &mut [u8]) -> usize {
        if self.ended {
            return 0;
        }
        let count = self.needed().min(buffer.len());
        buffer[..count].fill(0);
        self.pass(&buffer[..count]);
        count
    }

    /// Bytes until the end of the header or body that is on its way.
    fn needed(&self) -> usize {
        match self.body_left {
            0 => HEADER_BYTES - self.have,
            left => left,
        }
    }

    fn length(&self) -> usize {
        let mut length = [0; 8];
        length.copy_from_slice(&self.header[LENGTH_AT..LENGTH_AT + 8]);
        usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use timely::communication::networking::MessageHeader;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let header = MessageHeader {
            channel: 7,
            source: 1,
            target_lower: 0,
            target_upper: 1,
            length,
            seqno: usize::MAX,
        };
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).unwrap();
        bytes.resize(header.required_bytes(), 0xff);
        bytes
    }

    /// Reads as timely's receiving thread does: whether the end comes, and nothing after it.
    fn ends_properly(mut bytes: &[u8]) -> bool {
        while let Some(header) = MessageHeader::try_read(bytes) {
            bytes = &bytes[header.required_bytes()..];
            if header.length == 0 {
                return bytes.is_empty();
            }
        }
        false
    }

    #[test]
    fn a_stream_cut_anywhere_is_ended_properly() {
        let whole = [message(5), message(300), message(1), message(70_000)].concat();
        for cut in (0..700).chain([whole.len() - 1, whole.len()]) {
            for step in [1, 13, 100_000] {
                let mut bytes = whole[..cut].to_vec();
                let mut boundary = Boundary::default();
                bytes.chunks(step).for_each(|chunk| boundary.pass(chunk));
                let mut buffer = vec![1; step.max(2)];
                loop {
                    match boundary.fill(&mut buffer) {
                        0 => break,
                        count => bytes.extend(&buffer[..count]),
                    }
                }
                assert!(
                    boundary.ended() && ends_properly(&bytes),
                    "cut at {cut}, by {step}"
                );
            }
        }
    }

    #[test]
    fn timelys_own_end_is_seen() {
        let mut boundary = Boundary::default();
        boundary.pass(&message(9));
        assert!(!boundary.ended());
        boundary.pass(&message(0));
        assert!(boundary.ended());
        assert_eq!(boundary.fill(&mut [0; 9]), 0);
    }
}
