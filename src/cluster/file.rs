//! Cluster files: the devices, and where stages go. Checked like graphs, all errors at
//! once; no I/O.
//!
//! ```toml
//! format = 1
//! survivors-seconds = 30      # optional: go on without a device that is gone so long
//! objective = "rate"          # or "latency", or "energy": what the planner makes best
//! [mesh]                      # all optional
//! connect-seconds = 60        # how long devices wait for each other
//! failure-seconds = 5         # a silent peer is lost after this
//! [device.kitchen]
//! address  = "192.168.1.10:7400"
//! workers  = 2                # default 1
//! memory   = "512 MiB"        # optional limit
//! watts    = 3.5              # for each busy worker; needed where energy is to be best
//! identity = "sha256:..."     # fingerprint of its certificate
//! [place]                     # optional: stage or segment -> device, or a list
//! "encoder/0" = "kitchen"    # nowhere else, whatever `replicas` says
//! "encoder/1" = ["hall", "kitchen"] # a replica on each
//! out = "hall"               # one sink or several: all results are written there
//! ```

use std::time::Duration;

use super::fingerprint::Fingerprint;
use super::members::{MEMBERS_MAX, Members};
use super::raw::{self, RawDevice, RawPlace};
use crate::diagnostic::{Diagnostic, Sources, Span, did_you_mean};
use crate::planner::Objective;
use crate::toml_file::At;

/// A cluster in which everything fits.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How long devices have patience with each other.
    pub mesh: Patience,
    /// After how long the others go on without a device that was lost; never where it
    /// is not said.
    pub survivors: Option<Duration>,
    /// What plans are to be best at.
    pub objective: Objective,
    /// In the order of the file; a device's place in it is its process number.
    pub devices: Vec<Device>,
    /// Stages that are bound to devices.
    pub place: Vec<Place>,
}

/// How long devices have patience with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until all are there.
    pub connect: Duration,
    /// Until a silent one is lost.
    pub failure: Duration,
}

/// One `[device.NAME]`.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Where it listens: host and port.
    pub address: String,
    /// Its worker threads.
    pub workers: usize,
    /// Its memory limit, in bytes.
    pub memory: Option<u64>,
    /// What it draws for each busy worker, where that is said.
    pub watts: Option<f64>,
    /// Of its certificate.
    pub identity: Fingerprint,
    /// Where it stands in the file.
    pub spans: DeviceSpans,
}

/// Where a device's parts stand in the file.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSpans {
    /// The name.
    pub name: Span,
    /// The address.
    pub address: Span,
    /// The number of workers, where it is said.
    pub workers: Option<Span>,
    /// The memory limit, where there is one.
    pub memory: Option<Span>,
    /// The fingerprint.
    pub identity: Span,
}

/// One line of `[place]`. Whether there is such a stage, only the graph can tell.
#[derive(Clone, Debug)]
pub struct Place {
    /// `encoder`, or `encoder/0` for a segment.
    pub stage: String,
    /// Where the stage's name stands in the file.
    pub stage_span: Span,
    /// One device, or one for each replica; with where each stands in the file.
    pub devices: Vec<(usize, Span)>,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(60),
            failure: Duration::from_secs(5),
        }
    }
}

impl Cluster {
    /// The index of the device called `name`.
    pub fn device(&self, name: &str) -> Option<usize> {
        self.devices.iter().position(|device| device.name == name)
    }

    /// The cluster of those alone that take part, in the same order.
    #[must_use]
    pub fn only(&self, members: Members) -> Self {
        let all = self.devices.iter().enumerate();
        let kept = all.filter(|(device, _)| members.has(*device));
        Cluster {
            devices: kept.map(|(_, device)| device.clone()).collect(),
            place: Vec::new(),
            ..self.clone()
        }
    }
}

/// Checks the cluster in `sources` number `source`.
///
/// # Errors
/// Every error there is, in the order of the file
pub fn check(sources: &Sources, source: usize) -> Result<Cluster, Vec<Diagnostic>> {
    let (raw, mut errors) = raw::read(sources.text(source), source);
    same(
        &raw.devices,
        "address",
        |device| device.address.as_ref(),
        &mut errors,
    );
    same(
        &raw.devices,
        "identity",
        |device| device.identity.as_ref(),
        &mut errors,
    );
    let names: Vec<&str> = raw
        .devices
        .iter()
        .map(|device| device.name.value.as_str())
        .collect();
    let place = raw
        .place
        .iter()
        .map(|place| placed(place, &names, &mut errors))
        .collect();
    if errors.is_empty() && names.is_empty() {
        let start = Span {
            source,
            start: 0,
            end: 0,
        };
        let error = Diagnostic::new("no-devices", "the file has no devices").at(start);
        errors.push(error.help("name each in a table of its own: `[device.kitchen]`"));
    }
    if let Some(survivors) = raw.survivors.as_ref().filter(|_| names.len() > MEMBERS_MAX) {
        let message = format!("no more than {MEMBERS_MAX} devices can go on without one");
        errors.push(Diagnostic::new("bad-value", message).at(survivors.span));
    }
    if let Some(objective) = &raw.objective
        && objective.value == Objective::Energy
        && let Some(device) = raw.devices.iter().find(|device| device.watts.is_none())
    {
        let message = format!("what `{}` draws is not known", device.name.value);
        let error = Diagnostic::new("missing-key", message).at(objective.span);
        errors.push(error.help("give each device its `watts` for a busy worker"));
    }
    let devices = raw.devices.into_iter().filter_map(device).collect();
    if errors.is_empty() {
        return Ok(Cluster {
            mesh: raw.mesh,
            survivors: raw.survivors.map(|survivors| survivors.value),
            objective: raw
                .objective
                .map_or(Objective::Rate, |objective| objective.value),
            devices,
            place,
        });
    }
    errors.sort_by_key(Diagnostic::span);
    Err(errors)
}

/// The device, where it has all it must; the reader has said what is missing.
fn device(raw: RawDevice) -> Option<Device> {
    let (address, identity) = (raw.address?, raw.identity?);
    Some(Device {
        name: raw.name.value,
        address: address.value,
        workers: raw.workers.as_ref().map_or(1, |workers| workers.value),
        memory: raw.memory.as_ref().map(|memory| memory.value),
        watts: raw.watts,
        identity: identity.value,
        spans: DeviceSpans {
            name: raw.name.span,
            address: address.span,
            workers: raw.workers.map(|workers| workers.span),
            memory: raw.memory.map(|memory| memory.span),
            identity: identity.span,
        },
    })
}

/// An error for each device that has what an earlier one has already.
fn same<T: PartialEq>(
    devices: &[RawDevice],
    what: &str,
    of: impl Fn(&RawDevice) -> Option<&At<T>>,
    errors: &mut Vec<Diagnostic>,
) {
    for (i, device) in devices.iter().enumerate() {
        let Some(this) = of(device) else { continue };
        let earlier = devices[..i].iter().find_map(|earlier| {
            of(earlier)
                .filter(|other| other.value == this.value)
                .map(|other| (earlier, other))
        });
        if let Some((earlier, other)) = earlier {
            let names = (&device.name.value, &earlier.name.value);
            let message = format!("`{}` has the same {what} as `{}`", names.0, names.1);
            let error = Diagnostic::new(format!("duplicate-{what}"), message).at(this.span);
            errors.push(error.label(other.span, format!("that of `{}`", names.1)));
        }
    }
}

fn placed(raw: &RawPlace, names: &[&str], errors: &mut Vec<Diagnostic>) -> Place {
    let mut devices: Vec<(usize, Span)> = Vec::new();
    for name in &raw.devices {
        match names.iter().position(|known| *known == name.value) {
            Some(device) if devices.iter().any(|(earlier, _)| *earlier == device) => {
                let message = format!("`{}` is placed on `{}` twice", raw.stage.value, name.value);
                errors.push(Diagnostic::new("duplicate", message).at(name.span));
            }
            Some(device) => devices.push((device, name.span)),
            None => {
                let message = format!("there is no device `{}`", name.value);
                let help = did_you_mean(&name.value, "devices", names.iter().copied());
                let error = Diagnostic::new("unknown-device", message).at(name.span);
                errors.push(error.help_some(help));
            }
        }
    }
    Place {
        stage: raw.stage.value.clone(),
        stage_span: raw.stage.span,
        devices,
    }
}
