//! Why a device is not let into the mesh.

use super::hello::HelloError;

/// Why a device is not let into the mesh: the answer that it gets. The texts are
/// those for the one who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Protocols differ.
    #[error("it speaks another version of the protocol")]
    Version,
    /// The caller is of an earlier generation of the run.
    #[error("it is at an earlier generation of the run")]
    Older,
    /// The caller is of a later generation of the run.
    #[error("it is at a later generation of the run")]
    Newer,
    /// The caller's certificate is another device's than its hello says, or the
    /// cluster files list devices in another order.
    #[error("its cluster file has the devices in another order")]
    Device,
    /// Cluster files differ.
    #[error("its cluster file has another number of devices")]
    Devices,
    /// Cluster files differ.
    #[error("its cluster file has another number of workers")]
    Workers,
    /// Graph, options or placement differ.
    #[error("it runs a different graph or plan")]
    Plan,
    /// A file or plugin that both use is not the same.
    #[error("a file that it uses is another")]
    Files,
    /// The hello could not be read.
    #[error("its hello cannot be read")]
    Malformed,
    /// The others go on without it.
    #[error("the run goes on without this device")]
    Without,
    /// There is nothing left to do.
    #[error("the run is complete")]
    Done,
    /// Of a reason that this version does not know.
    #[error("the reason has a number that this version does not know: {0}")]
    Other(u16),
}

impl Refusal {
    /// Those with a number of their own.
    pub(super) const ALL: [Refusal; 11] = [
        Refusal::Version,
        Refusal::Older,
        Refusal::Newer,
        Refusal::Device,
        Refusal::Devices,
        Refusal::Workers,
        Refusal::Plan,
        Refusal::Malformed,
        Refusal::Without,
        Refusal::Done,
        Refusal::Files,
    ];

    /// Whether the two run different things, and waiting does not help.
    pub fn differs(self) -> bool {
        !matches!(
            self,
            Refusal::Older | Refusal::Newer | Refusal::Without | Refusal::Done
        )
    }

    /// Whether it is for what the two run.
    pub fn is_of_run(self) -> bool {
        matches!(self, Refusal::Plan | Refusal::Files)
    }

    /// The same seen from the one who is refused, where that differs.
    pub fn mirrored(self) -> Self {
        match self {
            Refusal::Older => Refusal::Newer,
            Refusal::Newer => Refusal::Older,
            same => same,
        }
    }

    /// As an answer has it.
    pub(super) fn code(self) -> u16 {
        match self {
            Refusal::Version => 1,
            Refusal::Older => 2,
            Refusal::Newer => 3,
            Refusal::Device => 4,
            Refusal::Devices => 5,
            Refusal::Workers => 6,
            Refusal::Plan => 7,
            Refusal::Malformed => 8,
            Refusal::Without => 9,
            Refusal::Done => 10,
            Refusal::Files => 11,
            Refusal::Other(code) => code,
        }
    }

    /// The same back.
    pub(super) fn from_code(code: u16) -> Self {
        let known = Refusal::ALL.into_iter().find(|known| known.code() == code);
        known.unwrap_or(Refusal::Other(code))
    }
}

impl From<HelloError> for Refusal {
    fn from(error: HelloError) -> Self {
        match error {
            HelloError::Version(_) => Refusal::Version,
            _ => Refusal::Malformed,
        }
    }
}
