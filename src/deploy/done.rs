//! A note beside the cluster file that this device has heard the end of a run: when all
//! others are gone, nobody else can tell it so.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::cluster::Fingerprint;
use crate::graph::Plan;

/// Where the note of one device is, and of which plan it is to be.
#[derive(Clone)]
pub struct DoneNote {
    path: PathBuf,
    plan: String,
}

impl DoneNote {
    /// That of device `name`, whose cluster file lies in `folder`, for a run of `plan`.
    pub fn new(folder: &Path, name: &str, plan: &Plan) -> Self {
        let hash = Account::of_plan(plan).plan_hash();
        DoneNote {
            path: folder.join(format!("{name}.done")),
            plan: format!("{}\n", Fingerprint::of(&hash)),
        }
    }

    /// The run is complete. A note that cannot be kept is not missed before this device
    /// is started again and finds nobody.
    pub fn write(&self) {
        let _ = std::fs::write(&self.path, &self.plan);
    }

    /// Another run has begun.
    pub fn remove(&self) {
        // As a rule there is none.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Whether a run of this plan was complete when this device last took part.
    pub fn is_there(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.plan)
    }
}
