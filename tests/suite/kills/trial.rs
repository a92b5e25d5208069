//! One run that is killed, maybe more than once, and then brought to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::left::{difference, left, names};
use super::moment::{Moment, Waited};
use super::scenario::Scenario;
use super::{LIMIT, Tally, agents};
use crate::harness::{Project, Random, finish_within};
use crate::pace::is_done;

/// What a run leaves that nobody disturbs.
pub struct Expected {
    files: BTreeMap<String, Vec<u8>>,
    /// How long it takes.
    pub lasts: Duration,
}

/// Runs that are measured.
const ROUNDS: usize = 3;

impl Expected {
    /// Runs `scenario` a few times with nobody disturbing it. Which bytes come out cannot
    /// depend on which of these it was.
    pub fn measure(scenario: &Scenario) -> Self {
        let mut lasts = Vec::new();
        let mut all: Option<BTreeMap<String, Vec<u8>>> = None;
        for round in 0..ROUNDS {
            let project = (scenario.project)();
            let before = names(&project);
            let more = scenario.more[round % scenario.more.len()];
            lasts.push(match scenario.devices {
                [] => whole_run(&project, more),
                _ => agents::whole_run(scenario, &project),
            });
            let files = left(&project, &before);
            let first = all.get_or_insert_with(|| files.clone());
            let other = difference(first, &files).files;
            assert!(
                other.is_empty(),
                "{}: {other:?} with {more:?}",
                scenario.name
            );
        }
        lasts.sort();
        Expected {
            files: all.unwrap(),
            lasts: lasts[ROUNDS / 2],
        }
    }

    /// A moment of the run, whichever.
    pub fn any_moment(&self, random: &mut Random) -> Moment {
        Moment::After(self.lasts * random.below(10_000) as u32 / 10_000)
    }

    /// Compares it with what is left in the end.
    fn compare(&self, project: &Project, before: &BTreeSet<String>) -> Result<(), Failed> {
        let found = difference(&self.files, &left(project, before));
        if found.files.is_empty() {
            Ok(())
        } else {
            Err(Failed::Differs {
                repeated: found.repeated,
                lost: found.lost,
                what: found.files.join(", "),
            })
        }
    }
}

fn whole_run(project: &Project, more: &[&str]) -> Duration {
    let started = Instant::now();
    project.run_graph(more);
    started.elapsed()
}

/// Why a trial does not end as it should.
pub enum Failed {
    /// A run takes longer than [`LIMIT`].
    Hung(String),
    /// A run fails, or files are not as they should be.
    Differs {
        repeated: usize,
        lost: usize,
        what: String,
    },
}

impl Failed {
    /// A run that failed.
    pub fn run(what: String) -> Self {
        let (repeated, lost) = (0, 0);
        Failed::Differs {
            repeated,
            lost,
            what,
        }
    }
}

/// Kills a run of `scenario` at `first`, maybe those that go on with it too, and adds to
/// `tally` what came of it.
pub fn trial(
    scenario: &Scenario,
    expected: &Expected,
    first: Moment,
    random: &mut Random,
    tally: &mut Tally,
) {
    let project = (scenario.project)();
    let before = names(&project);
    let ended = match scenario.devices {
        [] => run(scenario, expected, &project, first, random, tally),
        _ => agents::run(scenario, expected, &project, first, random, tally),
    };
    let ended = ended.and_then(|()| {
        if !is_done(&project, scenario.output) {
            return Err(Failed::run(
                "the journal does not say that it is done".to_owned(),
            ));
        }
        expected.compare(&project, &before)
    });
    let Err(failed) = ended else { return };
    let what = match failed {
        Failed::Hung(what) => {
            tally.hung += 1;
            format!("hung: {what}")
        }
        Failed::Differs {
            repeated,
            lost,
            what,
        } => {
            tally.differences += 1;
            tally.repeated += repeated;
            tally.lost += lost;
            what
        }
    };
    let complaint = format!("{}, first killed at {first:?}: {what}", scenario.name);
    tally.complaints.push(complaint);
}

fn run(
    scenario: &Scenario,
    expected: &Expected,
    project: &Project,
    first: Moment,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let mut next = Some(first);
    let mut resume: &[&str] = &[];
    let before = tally.kills;
    while let Some(moment) = next {
        let more = [scenario.any_more(random), resume].concat();
        tally.kills += usize::from(killed(scenario, project, &more, moment)?);
        resume = &["--resume"];
        next = (random.below(3) == 0).then(|| expected.any_moment(random));
    }
    let more = [&["run", "graph.toml"], scenario.any_more(random), resume].concat();
    let ran = finish_within(project.command(&more), LIMIT);
    let ran = ran.ok_or_else(|| Failed::Hung(format!("{more:?}")))?;
    if ran.code != Some(0) {
        return Err(Failed::run(ran.to_string()));
    }
    let goes_on = ["committed before", "nothing was left to do"];
    let goes_on = goes_on.iter().any(|said| ran.stderr.contains(said));
    tally.resumed += usize::from(goes_on && tally.kills > before);
    Ok(())
}

/// Kills a run at `moment`; whether it had not ended before.
fn killed(
    scenario: &Scenario,
    project: &Project,
    more: &[&str],
    moment: Moment,
) -> Result<bool, Failed> {
    let mut command = project.command(&[&["run", "graph.toml", "--quiet"], more].concat());
    let stderr = File::create(project.path("killed.stderr")).unwrap();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let started = Instant::now();
    let at = (project, scenario.output);
    let waited = moment.wait(started, at, || child.try_wait().unwrap().is_some());
    if waited != Waited::Ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    match (waited, status.code()) {
        (Waited::Hung, _) => Err(Failed::Hung(format!("{moment:?} of {more:?}"))),
        (_, Some(0)) => Ok(false),
        (_, None) => Ok(true),
        (_, Some(code)) => {
            let said = project.read("killed.stderr");
            Err(Failed::run(format!("{more:?} ended with {code}: {said}")))
        }
    }
}
