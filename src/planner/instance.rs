//! What is to be planned: units, devices and links, as numbers.

/// What a plan is to be best at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objective {
    /// As many batches a second as can be.
    #[default]
    Rate,
    /// One batch through the whole chain as soon as can be.
    Latency,
    /// As few joules a batch as can be.
    Energy,
}

/// A chain of units that is to run on some of the devices. All times are in seconds a batch,
/// all sizes in bytes.
#[derive(Clone, Debug)]
pub struct Instance {
    /// In the order in which data flows through them; at least one.
    pub units: Vec<Unit>,
    /// At least one.
    pub devices: Vec<Device>,
    /// From each device (first index) to each other one.
    pub links: Vec<Vec<Link>>,
    /// The device that batches come from.
    pub source: usize,
    /// The device that results go to.
    pub sink: usize,
    /// What a batch takes over a link from the source to the first unit.
    pub bytes_in: f64,
    /// The most that all batches in flight take before the first unit.
    pub queue_in: u64,
    /// Batches in flight at once; at least one.
    pub window: usize,
    /// What is wanted.
    pub objective: Objective,
}

/// What is never cut.
#[derive(Clone, Debug)]
pub struct Unit {
    /// On one worker of each kind of device.
    pub seconds: Vec<f64>,
    /// What a batch takes over a link behind it.
    pub bytes_out: f64,
    /// The most that all batches in flight take behind it.
    pub queue: u64,
    /// In the memory of each worker that runs it.
    pub weights: u64,
    /// What a worker needs besides while it runs it.
    pub working: u64,
    /// Whether batches queue behind it even where nothing is cut.
    pub ends_stage: bool,
    /// Whether one worker must get all batches.
    pub single: bool,
    /// Where it is bound to: it runs on each of these devices, and on no other.
    pub only: Option<Vec<usize>>,
}

/// What units run on.
#[derive(Clone, Debug)]
pub struct Device {
    /// Which of a unit's `seconds` are its own.
    pub kind: usize,
    /// Its limit, where it has one.
    pub memory: Option<u64>,
    /// Threads, each as fast as all others; at least one.
    pub workers: usize,
    /// What it draws for each busy worker.
    pub watts: f64,
    /// What one of its workers is busy with for each batch whatever is planned: reading,
    /// writing.
    pub base: f64,
}

/// From one device to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// More than none; infinite where nothing is known to be slow.
    pub bytes_per_second: f64,
    /// Until the first byte is there, in seconds.
    pub delay: f64,
}

impl Link {
    /// Takes no time at all.
    pub const FREE: Link = Link {
        bytes_per_second: f64::INFINITY,
        delay: 0.0,
    };

    /// How long `bytes` keep it busy.
    pub fn seconds(&self, bytes: f64) -> f64 {
        bytes / self.bytes_per_second
    }
}
