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
    plan_hash: [u8; 32],
}

impl DoneNote {
    /// That of device `name`, whose cluster file lies in `folder`, for a run of `plan`.
    pub fn new(folder: &Path, name: &str, plan: &Plan) -> Self {
        DoneNote {
            path: folder.join(format!("{name}.done")),
            plan_hash: Account::of_plan(plan).plan_hash(),
        }
    }

    /// Of the plan.
    pub fn plan_hash(&self) -> [u8; 32] {
        self.plan_hash
    }

    /// The run is complete. A note that cannot be kept is not missed before this device
    /// is started again and finds nobody.
    pub fn write(&self) {
        let _ = std::fs::write(&self.path, self.text());
    }

    /// A run of a plan with this hash is complete; whether it is this one, which then is noted.
    pub fn hear(&self, plan_hash: [u8; 32]) -> bool {
        let is_it = plan_hash == self.plan_hash;
        if is_it {
            self.write();
        }
        is_it
    }

    /// Another run has begun.
    pub fn remove(&self) {
        // As a rule there is none.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Whether a run of this plan was complete when this device last took part.
    pub fn is_there(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text())
    }

    fn text(&self) -> String {
        format!("{}\n", Fingerprint::of(&self.plan_hash))
    }
}
