//! How a device is lost, and who is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A device that can no longer take part: the run cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its index in the cluster.
    pub device: usize,
    /// Its name in the cluster file.
    pub name: String,
    /// What happened.
    pub reason: LossReason,
    /// Whether it has failed by itself, and will not come back by itself.
    pub for_good: bool,
}

/// What happened to a device that is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossReason {
    /// Nothing was heard from it: it hangs, or the link is down.
    #[error("nothing was heard from it for {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It takes nothing: it hangs, or the link is down.
    #[error("it took no data for {} s", .0.as_secs_f64())]
    Stuck(Duration),
    /// Its process ended, and the system has closed the connection.
    #[error("its connection closed")]
    Closed,
    /// The connection failed.
    #[error("its connection failed: {0}")]
    Failed(String),
    /// It broke the protocol.
    #[error("{0}")]
    Protocol(String),
    /// It ended its run, and said why.
    #[error("it ended the run: {0}")]
    Left(String),
    /// Another device says so.
    #[error("`{by}` says: {text}")]
    Told {
        /// The other device.
        by: String,
        /// Its words.
        text: String,
    },
}

/// Told of each [`Loss`]. It is called on threads of the mesh and must not wait for
/// timely: best it stores the loss, wakes whoever waits, and returns.
pub type OnLoss = Arc<dyn Fn(Loss) + Send + Sync>;

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device `{}` is lost: {}", self.name, self.reason)
    }
}

impl LossReason {
    /// The reason behind a failed read (`reading`) or write; `patience` is how long
    /// either may last.
    pub(super) fn of(error: &std::io::Error, reading: bool, patience: Duration) -> Self {
        use std::io::ErrorKind as E;
        match error.kind() {
            E::WouldBlock | E::TimedOut if reading => LossReason::Silent(patience),
            E::WouldBlock | E::TimedOut => LossReason::Stuck(patience),
            E::UnexpectedEof | E::BrokenPipe | E::ConnectionReset | E::ConnectionAborted => {
                LossReason::Closed
            }
            _ => LossReason::Failed(error.to_string()),
        }
    }
}
