//! How a device comes together with the others: in which generation, with whom, and
//! whether there is anything left to do.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::unbounded;

use super::elsewhere::notice;
use super::load::Loaded;
use super::say::say;
use super::survivors;
use crate::cluster::{
    self, Cluster, Fingerprint, Formation, Identity, Log, Members, Mesh, MeshError, Porter,
    Survivors,
};
use crate::dataflow::{self, Here, Network, Standing};
use crate::diagnostic::{Diagnostic, visible};
use crate::graph::Plan;

/// What became of joining.
pub enum Joined {
    /// This device takes part.
    Run(Box<Part>),
    /// The run is complete, as the device that commits says.
    Done,
}

/// Why this device is not together with the others.
pub enum Apart {
    /// It never will be.
    Never(Diagnostic),
    /// Not all are there.
    Missing(Diagnostic),
    /// Not one of the others is there.
    Nobody(Diagnostic),
}

impl From<MeshError> for Apart {
    fn from(error: MeshError) -> Self {
        let told = Diagnostic::new(error.code(), error.to_string());
        match error {
            MeshError::Missing { nobody: true, .. } => Apart::Nobody(told),
            MeshError::Missing { .. } | MeshError::Listen { .. } => Apart::Missing(told),
            _ => Apart::Never(told),
        }
    }
}

/// A device's part of the run.
pub struct Part {
    /// Over those that take part.
    pub plan: Plan,
    /// To be run here.
    pub here: Here,
    /// Under an agent, on the device that commits: its duty towards the others.
    pub duty: Option<Duty>,
}

/// The device that commits is the one to know that a run is complete, and tells those
/// who were not there.
pub struct Duty {
    cluster: Cluster,
    me: usize,
    identity: Identity,
    at: (u64, Members),
    mesh: Option<Mesh>,
    porter: Option<Porter>,
}

/// A device on its way into the run.
struct Joining<'a> {
    loaded: &'a Loaded,
    cluster: &'a Cluster,
    me: usize,
    identity: Identity,
    /// Under an agent, the device that commits.
    commits: Option<usize>,
    /// On the device that commits, since when each other one is gone.
    absent: Vec<Option<Instant>>,
}

/// Joins the other devices of the cluster, as generation `generation` of the run or, if
/// they are further, as theirs; without one, this is no agent's.
///
/// # Errors
/// What keeps them from coming together
pub fn join(loaded: &Loaded, file: &Path, generation: Option<u64>) -> Result<Joined, Apart> {
    let me = loaded.target.device;
    let clusters = loaded.target.cluster.as_ref();
    let Some(cluster) = clusters.filter(|one| one.devices.len() > 1) else {
        return Ok(alone(loaded.plan.clone(), me, None));
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let identity = Identity::load(folder, &cluster.devices[me].name)
        .map_err(|e| Apart::Never(Diagnostic::new(e.code(), e.to_string())))?;
    let mut joining = Joining {
        loaded,
        cluster,
        me,
        identity,
        commits: generation.map(|_| loaded.plan.sink_device()),
        absent: vec![None; cluster.devices.len()],
    };
    let mut at = (generation.unwrap_or(0), Members::ALL);
    loop {
        match joining.attempt(at) {
            Err(MeshError::Outdated {
                generation,
                members,
            }) if generation > at.0 => at = (generation, members),
            Err(MeshError::Done) => return Ok(Joined::Done),
            other => return other.map_err(Apart::from),
        }
    }
}

/// This device needs no other.
fn alone(plan: Plan, device: usize, duty: Option<Duty>) -> Joined {
    let network = None;
    let here = Here { device, network };
    Joined::Run(Box::new(Part { plan, here, duty }))
}

impl Joining<'_> {
    fn attempt(&mut self, at: (u64, Members)) -> Result<Joined, MeshError> {
        let commits = self.commits == Some(self.me);
        let plan = &self.loaded.plan;
        let standing = match commits {
            // What is wrong with the journal is said when it is opened.
            true => dataflow::standing(plan).unwrap_or(Standing::Fresh),
            false => Standing::Fresh,
        };
        if let Standing::Done(_) = standing {
            return Ok(alone(plan.clone(), self.me, Some(self.duty(at, None)?)));
        }
        let (cluster, plan) = match at.1 {
            Members::ALL => (self.cluster.clone(), plan.clone()),
            members => {
                survivors::plan(self.loaded, self.cluster, members).map_err(MeshError::Survivors)?
            }
        };
        let device = (0..self.me).filter(|device| at.1.has(*device)).count();
        if cluster.devices.len() == 1 {
            return Ok(alone(plan, device, Some(self.duty(at, None)?)));
        }
        let begun = matches!(standing, Standing::ToResume(_) | Standing::ToFinish(_));
        let possible = |members| survivors::possible(self.loaded, self.cluster, members);
        let absent = &mut self.absent;
        let after = self.cluster.survivors.filter(|_| begun);
        let (tell, lost) = unbounded();
        let mesh = cluster::form(Formation {
            cluster: self.cluster,
            me: self.me,
            identity: &self.identity,
            plan_hash: fingerprint(&plan).bytes(),
            generation: at.0,
            members: at.1,
            commits: self.commits,
            survivors: after.map(|after| Survivors {
                after,
                absent,
                possible: &possible,
            }),
            notice: notice(&self.loaded.operators),
            listener: cluster::listen(self.cluster, self.me)?,
            log: log(),
            // With the run over nobody listens any more.
            on_loss: Arc::new(move |loss| drop(tell.send(loss))),
        })?;
        let duty = match commits {
            true => Some(self.duty(at, Some(mesh.clone()))?),
            false => None,
        };
        let complete = (self.commits.is_some() && !commits).then_some(say_done as fn());
        let network = Some(Network {
            mesh,
            lost,
            complete,
        });
        let here = Here { device, network };
        Ok(Joined::Run(Box::new(Part { plan, here, duty })))
    }

    fn duty(&self, at: (u64, Members), mesh: Option<Mesh>) -> Result<Duty, MeshError> {
        let mut duty = Duty {
            cluster: self.cluster.clone(),
            me: self.me,
            identity: self.identity.clone(),
            at,
            mesh,
            porter: None,
        };
        if at.1 != Members::ALL {
            // Those who are left out may come back, and are to know.
            duty.porter = Some(duty.porter()?);
        }
        Ok(duty)
    }
}

impl Duty {
    /// The run is complete: tells all who cannot know it, for as long as devices wait
    /// for each other. Gives the names of those who did not ask.
    ///
    /// # Errors
    /// `cannot-listen`
    pub fn complete(mut self, quiet: bool) -> Result<Vec<String>, MeshError> {
        let devices = 0..self.cluster.devices.len();
        let members = devices.clone().filter(|device| self.at.1.has(*device));
        let ended = self.mesh.as_ref().map(Mesh::ended).unwrap_or_default();
        let ended = members.zip(ended).filter(|(_, ended)| *ended);
        let ended: Vec<usize> = ended.map(|(device, _)| device).collect();
        let unaware = devices.filter(|device| *device != self.me && !ended.contains(device));
        let unaware: Vec<usize> = unaware.collect();
        if unaware.is_empty() {
            return Ok(Vec::new());
        }
        let porter = match self.porter.take() {
            Some(porter) => porter,
            None => self.porter()?,
        };
        let longest = self.cluster.mesh.connect;
        if !quiet {
            let seconds = longest.as_secs_f64();
            say(format_args!(
                "who was not there is told that the run is complete, for up to {seconds} s"
            ));
        }
        let left = porter.complete(&unaware, longest);
        let name = |device: usize| self.cluster.devices[device].name.clone();
        Ok(left.into_iter().map(name).collect())
    }

    fn porter(&self) -> Result<Porter, MeshError> {
        let listener = cluster::listen(&self.cluster, self.me)?;
        let identity = &self.identity;
        cluster::porter(&self.cluster, self.me, identity, self.at, listener, log())
    }
}

/// What an agent hears when this device has done its part, whatever happens next.
pub const DONE: &str = "done";

fn say_done() {
    // With the agent gone nobody waits for it.
    let _ = writeln!(std::io::stdout(), "{DONE}");
}

fn log() -> Log {
    Arc::new(|line| say(visible(line)))
}

/// What all devices must agree on: stages, their places and options, but for paths,
/// which may differ from device to device.
fn fingerprint(plan: &Plan) -> Fingerprint {
    let mut text = format!(
        "{} {} {:?}\n",
        plan.graph.batch, plan.graph.window, plan.layout
    );
    for (stage, replicas) in plan.graph.stages.iter().zip(&plan.replicas) {
        let manifest = &stage.operator.manifest;
        let mut options = stage.options.clone();
        if let Some(options) = options.as_object_mut() {
            options.retain(|name, _| {
                let option = manifest.options.iter().find(|option| option.name == *name);
                !option.is_some_and(|option| option.option_type.is_path())
            });
        }
        text += &format!(
            "{} {} {} {options} {:?} {:?} {replicas:?} {:?}\n",
            stage.name, manifest.name, manifest.version, stage.inputs, stage.loops, stage.sends
        );
    }
    Fingerprint::of(text.as_bytes())
}
