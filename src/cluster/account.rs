//! What a device tells the others of its run, so that a difference has a name.

use std::fmt;
use std::sync::Arc;

use super::refusal::Refusal;

/// The longest account that is believed.
pub const ACCOUNT_BYTES_MAX: usize = 1 << 20;

/// Finds what is not the same in another device's account; the second argument is that
/// device's name.
pub type Compare = Arc<dyn Fn(&[u8], &str) -> Option<Difference> + Send + Sync>;

/// What a device tells of its run, and how it compares that with what another tells. Both
/// devices compare, so what one finds the other must find too.
#[derive(Clone)]
pub struct Account {
    /// What is sent; at most 1 MiB.
    pub told: Vec<u8>,
    /// Whether another's is the same.
    pub compare: Compare,
}

/// Why two devices cannot run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether it is a file, and not graph or plan.
    pub of_files: bool,
    /// What differs, as seen from here.
    pub text: String,
}

impl Default for Account {
    /// Tells nothing, and finds no difference.
    fn default() -> Self {
        Account {
            told: Vec::new(),
            compare: Arc::new(|_, _| None),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account of {} bytes", self.told.len())
    }
}

impl Difference {
    /// As an answer has it.
    pub fn refusal(&self) -> Refusal {
        if self.of_files {
            Refusal::Files
        } else {
            Refusal::Plan
        }
    }
}
