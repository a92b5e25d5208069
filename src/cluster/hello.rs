//! What two devices tell each other first, once TLS has shown who they are.
//!
//! The caller sends a [`Hello`]; the other answers two bytes, 0 or a [`Refusal`]'s
//! code, and its own `Hello`. Where the caller is to be connected, each adds its account:
//! four bytes of length, and so many bytes. Who is told that the run is complete, and runs what
//! the other's `Hello` names, sends a byte when it has noted that. All numbers are big-endian.
//!
//! | bytes | |
//! | --- | --- |
//! | 0..8 | `segue\0\r\n` |
//! | 8..10 | version of the protocol: 5 |
//! | 10..12 | 0 from who is to be connected, 1 from who only asks how things are, 2 from who asks for the notice |
//! | 12..16 | index of the sender in the cluster |
//! | 16..20 | how many devices there are |
//! | 20..24 | how many workers the sender has |
//! | 24..32 | generation of the run |
//! | 32..64 | hash of graph and plan |
//! | 64..72 | who takes part: a bit for each device, or 0 for all |

use super::members::Members;
use super::refusal::Refusal;

/// How long a hello is.
pub const HELLO_BYTES: usize = 72;
/// How long an answer is.
pub const ANSWER_BYTES: usize = 2 + HELLO_BYTES;
/// The version spoken here.
pub const VERSION: u16 = 5;

/// Where its number stands, in this version and in all others.
pub const VERSION_AT: std::ops::Range<usize> = 8..10;

const MAGIC: [u8; 8] = *b"segue\0\r\n";

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be connected.
    Link,
    /// To know how things are.
    Standing,
    /// The other's notice: four bytes of length, and so many bytes, follow the answer.
    Notice,
}

impl Wish {
    const ALL: [Wish; 3] = [Wish::Link, Wish::Standing, Wish::Notice];

    fn code(self) -> u16 {
        match self {
            Wish::Link => 0,
            Wish::Standing => 1,
            Wish::Notice => 2,
        }
    }
}

/// One device's side of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's place in the cluster file, from 0.
    pub device: u32,
    /// Devices in the cluster file.
    pub devices: u32,
    /// Worker threads of the sender.
    pub workers: u32,
    /// What the sender wants.
    pub wish: Wish,
    /// Counts up each time the mesh is formed anew: the lower half with each attempt,
    /// the upper one with each decision about who takes part.
    pub generation: u64,
    /// Of the graph and the plan.
    pub plan_hash: [u8; 32],
    /// Who takes part.
    pub members: Members,
}

/// Why bytes are no hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not as long as one.
    #[error("a hello has {HELLO_BYTES} bytes, not {0}")]
    Length(usize),
    /// Another protocol.
    #[error("what it says is not a hello")]
    Magic,
    /// Another version of this protocol.
    #[error("it speaks version {0} of the protocol, not {VERSION}")]
    Version(u16),
    /// Bytes are set that mean nothing in this version.
    #[error("its hello has bits set that mean nothing")]
    Reserved,
    /// No such device can be.
    #[error(
        "its hello counts {devices} devices and {workers} workers, and is from number {device}"
    )]
    Counts {
        /// The sender's index.
        device: u32,
        /// Of the cluster.
        devices: u32,
        /// Of the sender.
        workers: u32,
    },
    /// Devices take part that the cluster does not have.
    #[error("its hello has devices take part that there are not")]
    Members,
}

impl Hello {
    /// As it is sent.
    pub fn to_bytes(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.wish.code().to_be_bytes());
        bytes[12..16].copy_from_slice(&self.device.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.devices.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.workers.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.generation.to_be_bytes());
        bytes[32..64].copy_from_slice(&self.plan_hash);
        bytes[64..].copy_from_slice(&self.members.bits().to_be_bytes());
        bytes
    }

    /// Whether `theirs`, from the device with index `device` and `workers` workers,
    /// belongs to the same run.
    ///
    /// # Errors
    /// The refusal that the sender of `theirs` is to get
    pub fn accepts(&self, theirs: &Hello, device: usize, workers: usize) -> Result<(), Refusal> {
        let differs = |theirs: u32, ours: usize| usize::try_from(theirs) != Ok(ours);
        // Generations first: those of a device that has to catch up say why all else differs.
        match theirs.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => Err(Refusal::Older),
            std::cmp::Ordering::Greater => Err(Refusal::Newer),
            _ if theirs.devices != self.devices => Err(Refusal::Devices),
            _ if differs(theirs.device, device) => Err(Refusal::Device),
            _ if differs(theirs.workers, workers) => Err(Refusal::Workers),
            _ if theirs.plan_hash != self.plan_hash => Err(Refusal::Plan),
            _ => Ok(()),
        }
    }
}

/// Reads a hello. Never panics, whatever the bytes.
///
/// # Errors
/// What is wrong with them
pub fn parse_hello(bytes: &[u8]) -> Result<Hello, HelloError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(HelloError::Magic);
    }
    // A later version may be longer, but has its number here too.
    match bytes.get(VERSION_AT) {
        Some(&[high, low]) if u16::from_be_bytes([high, low]) != VERSION => {
            return Err(HelloError::Version(u16::from_be_bytes([high, low])));
        }
        _ => {}
    }
    let bytes: &[u8; HELLO_BYTES] = bytes
        .try_into()
        .map_err(|_| HelloError::Length(bytes.len()))?;
    let code = u16::from_be_bytes(part(bytes, 10));
    let known = Wish::ALL.into_iter().find(|wish| wish.code() == code);
    let wish = known.ok_or(HelloError::Reserved)?;
    let devices = u32::from_be_bytes(part(bytes, 16));
    let members = u64::from_be_bytes(part(bytes, 64));
    let hello = Hello {
        device: u32::from_be_bytes(part(bytes, 12)),
        devices,
        workers: u32::from_be_bytes(part(bytes, 20)),
        wish,
        generation: u64::from_be_bytes(part(bytes, 24)),
        plan_hash: part(bytes, 32),
        members: Members::from_bits(members, devices).ok_or(HelloError::Members)?,
    };
    let Hello {
        device, workers, ..
    } = hello;
    if device >= devices || workers == 0 {
        return Err(HelloError::Counts {
            device,
            devices,
            workers,
        });
    }
    Ok(hello)
}

/// An answer as it is sent.
pub fn answer(verdict: Result<(), Refusal>, ours: &Hello) -> [u8; ANSWER_BYTES] {
    let mut bytes = [0; ANSWER_BYTES];
    bytes[..2].copy_from_slice(&verdict.map_or_else(Refusal::code, |()| 0).to_be_bytes());
    bytes[2..].copy_from_slice(&ours.to_bytes());
    bytes
}

/// Reads an answer: whether it is yes, and the answerer's own hello. Never panics.
///
/// # Errors
/// What is wrong with the bytes
pub fn parse_answer(bytes: &[u8]) -> Result<(Result<(), Refusal>, Hello), HelloError> {
    let Some((&[high, low], hello)) = bytes.split_first_chunk() else {
        return Err(HelloError::Length(bytes.len()));
    };
    let verdict = match u16::from_be_bytes([high, low]) {
        0 => Ok(()),
        code => Err(Refusal::from_code(code)),
    };
    Ok((verdict, parse_hello(hello)?))
}

/// `N` bytes from `at` on, which lie within a hello.
fn part<const N: usize>(bytes: &[u8; HELLO_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello = Hello {
        device: 2,
        devices: 3,
        workers: 4,
        wish: Wish::Link,
        generation: 5,
        plan_hash: [6; 32],
        members: Members::ALL,
    };

    #[test]
    fn bytes_and_back() {
        assert_eq!(parse_hello(&HELLO.to_bytes()), Ok(HELLO));
        for verdict in Refusal::ALL
            .map(Err)
            .into_iter()
            .chain([Ok(()), Err(Refusal::Other(999))])
        {
            assert_eq!(parse_answer(&answer(verdict, &HELLO)), Ok((verdict, HELLO)));
        }
    }

    #[test]
    fn each_flaw_has_its_error() {
        let broken = |at: usize, byte: u8| {
            let mut bytes = HELLO.to_bytes();
            bytes[at] = byte;
            parse_hello(&bytes).unwrap_err()
        };
        assert_eq!(broken(0, b'S'), HelloError::Magic);
        assert_eq!(broken(9, 7), HelloError::Version(7));
        assert_eq!(broken(10, 1), HelloError::Reserved);
        assert_eq!(broken(11, 3), HelloError::Reserved);
        assert_eq!(broken(71, 8), HelloError::Members);
        let counts = HelloError::Counts {
            device: 3,
            devices: 3,
            workers: 4,
        };
        assert_eq!(broken(15, 3), counts);
        assert_eq!(
            parse_hello(&HELLO.to_bytes()[..71]),
            Err(HelloError::Length(71))
        );
        let mut longer = HELLO.to_bytes().to_vec();
        longer.push(0);
        assert_eq!(parse_hello(&longer), Err(HelloError::Length(73)));
        longer[9] = 9;
        assert_eq!(parse_hello(&longer), Err(HelloError::Version(9)));
    }

    #[test]
    fn each_difference_has_its_refusal() {
        let check = |theirs: Hello| HELLO.accepts(&theirs, 1, 4);
        let same = Hello { device: 1, ..HELLO };
        assert_eq!(check(same), Ok(()));
        assert_eq!(check(HELLO), Err(Refusal::Device));
        assert_eq!(check(Hello { devices: 4, ..same }), Err(Refusal::Devices));
        assert_eq!(check(Hello { workers: 1, ..same }), Err(Refusal::Workers));
        assert_eq!(
            check(Hello {
                plan_hash: [0; 32],
                ..same
            }),
            Err(Refusal::Plan)
        );
        assert_eq!(
            check(Hello {
                generation: 4,
                ..same
            }),
            Err(Refusal::Older)
        );
        assert_eq!(
            check(Hello {
                generation: 6,
                ..same
            }),
            Err(Refusal::Newer)
        );
        // An older generation may have had another plan: its age is what counts.
        let old = Hello {
            generation: 4,
            plan_hash: [0; 32],
            devices: 9,
            ..same
        };
        assert_eq!(check(old), Err(Refusal::Older));
    }

    /// Random bytes, and random damage to a good hello, of all lengths.
    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut good = 0;
        for _ in 0..200_000 {
            let mut bytes = match random() % 2 {
                0 => HELLO.to_bytes().to_vec(),
                _ => (0..random() % 90).map(|_| random() as u8).collect(),
            };
            for _ in 0..random() % 4 {
                if let Some(at) = (random() as usize).checked_rem(bytes.len()) {
                    bytes[at] = random() as u8;
                }
            }
            if random() % 8 == 0 {
                bytes.truncate(random() as usize % 90);
            }
            // Whatever is accepted is written as it was read.
            if let Ok(hello) = parse_hello(&bytes) {
                assert_eq!(hello.to_bytes().as_slice(), bytes);
                good += 1;
            }
            let _ = parse_answer(&bytes);
        }
        assert!(good > 1000, "{good}");
    }
}
