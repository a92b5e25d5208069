//! How a device comes together with the others: in which generation, with whom, and
//! whether there is anything left to do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::done::DoneNote;
use super::elsewhere::notice;
use super::load::Loaded;
use super::survivors;
use crate::account::{Account, Digests, differences};
use crate::cluster::{
    self, Cluster, Formation, Identity, Log, Members, Mesh, MeshError, Porter, Survivors,
};
use crate::dataflow::{self, Here, Network, Standing};
use crate::diagnostic::Diagnostic;
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
        let shown = Diagnostic::new(error.code(), error.to_string());
        let shown = shown.help_some(help(&error).map(str::to_owned));
        match error {
            MeshError::Missing { nobody: true, .. } => Apart::Nobody(shown),
            MeshError::Missing { .. } | MeshError::Listen { .. } => Apart::Missing(shown),
            _ => Apart::Never(shown),
        }
    }
}

/// What to do about it.
fn help(error: &MeshError) -> Option<&'static str> {
    match error.code() {
        "different-files" => Some(
            "copy the files of one device to the other; a library that was built twice may \
             differ though its source is the same",
        ),
        "different-plan" => Some("run the same graph with the same `--set` on all devices"),
        _ => None,
    }
}

/// Who starts a run again when it is lost, as the run knows it.
#[derive(Clone, Copy)]
pub struct Agent {
    /// How many runs there were before.
    pub generation: u64,
    /// To be called with the time at which all devices go on, once they are together.
    pub begins: fn(u64),
    /// To be called when this device has done its part, whatever happens next.
    pub done: fn(),
}

/// A device's part of the run.
pub struct Part {
    /// Over those that take part.
    pub plan: Plan,
    /// To be run here.
    pub here: Here,
    /// Under an agent, on the device that commits: its duty towards the others.
    pub duty: Option<Duty>,
    /// Set before this device hears that another has failed and will not come back by
    /// itself, where the others cannot go on without it.
    pub failed_for_good: Arc<AtomicBool>,
}

/// The device that commits is the one to know that a run is complete, and tells those
/// who were not there.
pub struct Duty {
    cluster: Cluster,
    me: usize,
    identity: Identity,
    at: (u64, Members),
    /// Of the plan of all devices, whoever takes part.
    plan_hash: [u8; 32],
    mesh: Option<Mesh>,
    porter: Option<Porter>,
    log: Log,
}

/// A device on its way into the run.
struct Joining<'a> {
    loaded: &'a Loaded,
    cluster: &'a Cluster,
    me: usize,
    identity: Identity,
    agent: Option<Agent>,
    /// Under an agent, the device that commits.
    commits: Option<usize>,
    log: Log,
    /// On the device that commits, since when each other one is gone.
    absent: Vec<Option<Instant>>,
    digests: Digests,
    /// That the run is complete, for when nobody is there any more to tell it.
    done: DoneNote,
}

/// Joins the other devices of the cluster, whose file is `file`, as the generation of the run
/// that `agent` says or, if they are further, as theirs. What is noticed of others meanwhile
/// goes to `log`.
///
/// # Errors
/// What keeps them from coming together
pub fn join(loaded: &Loaded, file: &Path, agent: Option<Agent>, log: Log) -> Result<Joined, Apart> {
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
        agent,
        commits: agent.map(|_| loaded.plan.sink_device()),
        log,
        absent: vec![None; cluster.devices.len()],
        digests: Digests::default(),
        done: DoneNote::new(folder, &cluster.devices[me].name, &loaded.plan),
    };
    let mut at = (agent.map_or(0, |agent| agent.generation), Members::ALL);
    loop {
        match joining.attempt(at) {
            Err(MeshError::Outdated {
                generation,
                members,
            }) if generation > at.0 => at = (generation, members),
            Err(MeshError::Done) => return Ok(Joined::Done),
            Err(MeshError::Missing { nobody: true, .. })
                if agent.is_some() && joining.done.is_there() =>
            {
                return Ok(Joined::Done);
            }
            other => return other.map_err(Apart::from),
        }
    }
}

/// This device needs no other.
fn alone(plan: Plan, device: usize, duty: Option<Duty>) -> Joined {
    let network = None;
    let here = Here { device, network };
    Joined::Run(Box::new(Part {
        plan,
        here,
        duty,
        failed_for_good: Arc::default(),
    }))
}

impl Joining<'_> {
    fn attempt(&mut self, at: (u64, Members)) -> Result<Joined, MeshError> {
        let commits = self.commits == Some(self.me);
        let plan = &self.loaded.plan;
        let standing = if commits {
            // What is wrong with the journal is said when it is opened.
            dataflow::standing(plan).unwrap_or(Standing::Fresh)
        } else {
            Standing::Fresh
        };
        if let Standing::Done(_) = standing {
            return Ok(alone(plan.clone(), self.me, Some(self.duty(at, None)?)));
        }
        let (cluster, plan) = match at.1 {
            Members::ALL => (self.cluster.clone(), plan.clone()),
            members => {
                survivors::plan(plan, self.cluster, members).map_err(MeshError::Survivors)?
            }
        };
        let device = (0..self.me).filter(|device| at.1.has(*device)).count();
        if cluster.devices.len() == 1 {
            return Ok(alone(plan, device, Some(self.duty(at, None)?)));
        }
        let account = Account::of(&plan, device, &self.digests);
        let begun = matches!(standing, Standing::ToResume(_) | Standing::ToFinish(_));
        let possible = |members| survivors::possible(&self.loaded.plan, self.cluster, members);
        let absent = &mut self.absent;
        let after = self.cluster.survivors.filter(|_| begun);
        let (tell, lost) = unbounded();
        let failed_for_good = Arc::<AtomicBool>::default();
        let told_for_good = Arc::clone(&failed_for_good);
        // Where the others may go on without one, only the one that commits is needed.
        let needed = self.cluster.survivors.map(|_| plan.sink_device());
        let heard = self.done.clone();
        let mesh = cluster::form(Formation {
            cluster: self.cluster,
            me: self.me,
            identity: &self.identity,
            plan_hash: account.plan_hash(),
            account: told(account),
            generation: at.0,
            members: at.1,
            commits: self.commits,
            survivors: after.map(|after| Survivors {
                after,
                absent,
                possible: &possible,
            }),
            notice: notice(&self.loaded.operators),
            heard: Arc::new(move |plan| heard.hear(plan)),
            listener: cluster::listen(self.cluster, self.me)?,
            log: Arc::clone(&self.log),
            // With the run over nobody listens any more.
            on_loss: Arc::new(move |loss| {
                let matters = needed.is_none_or(|needed| needed == loss.device);
                told_for_good.fetch_or(loss.for_good && matters, Ordering::SeqCst);
                drop(tell.send(loss));
            }),
        })?;
        self.done.remove();
        let duty = if commits {
            Some(self.duty(at, Some(mesh.clone())).inspect_err(|error| {
                // The others wait for nothing else.
                mesh.leave_unstarted(&error.to_string());
            })?)
        } else {
            None
        };
        let complete = self.agent.filter(|_| !commits).map(|agent| {
            let note = self.done.clone();
            let tell = move || {
                note.write();
                (agent.done)();
            };
            Arc::new(tell) as dataflow::Tell
        });
        let begins = self.agent.map(|agent| agent.begins);
        let network = Some(Network {
            mesh,
            lost,
            complete,
            begins,
        });
        let here = Here { device, network };
        Ok(Joined::Run(Box::new(Part {
            plan,
            here,
            duty,
            failed_for_good,
        })))
    }

    fn duty(&self, at: (u64, Members), mesh: Option<Mesh>) -> Result<Duty, MeshError> {
        let mut duty = Duty {
            cluster: self.cluster.clone(),
            me: self.me,
            identity: self.identity.clone(),
            at,
            plan_hash: self.done.plan_hash(),
            mesh,
            porter: None,
            log: Arc::clone(&self.log),
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
    /// for each other. Before that, `waits` is called with how long that is. Gives the names
    /// of those who did not ask.
    ///
    /// # Errors
    /// `cannot-listen`
    pub fn complete(mut self, waits: impl FnOnce(Duration)) -> Result<Vec<String>, MeshError> {
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
        waits(longest);
        let left = porter.complete(&unaware, longest);
        let name = |device: usize| self.cluster.devices[device].name.clone();
        Ok(left.into_iter().map(name).collect())
    }

    fn porter(&self) -> Result<Porter, MeshError> {
        let listener = cluster::listen(&self.cluster, self.me)?;
        let (identity, log) = (&self.identity, Arc::clone(&self.log));
        let at = (self.at.0, self.at.1, self.plan_hash);
        cluster::porter(&self.cluster, self.me, identity, at, listener, log)
    }
}

/// As the mesh tells it, and compares it with what others tell.
fn told(account: Account) -> cluster::Account {
    cluster::Account {
        // Text and numbers can always be written.
        told: serde_json::to_vec(&account).unwrap_or_default(),
        compare: Arc::new(move |theirs, name| differences(&account, theirs, name)),
    }
}
