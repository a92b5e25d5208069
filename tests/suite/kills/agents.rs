//! The same on several devices, each under an agent, which brings the run to its end.

use std::time::{Duration, Instant};

use super::moment::{Moment, Waited};
use super::scenario::Scenario;
use super::trial::{Expected, Failed};
use super::{LIMIT, Tally};
use crate::fleet::{Device, children_of, kill, runs};
use crate::harness::{Project, Random};
use crate::pace::eventually;

fn start(project: &Project, name: &str) -> Device {
    Device::start(project, "agent", name, &[])
}

/// A run that nobody disturbs; how long it takes.
pub fn whole_run(scenario: &Scenario, project: &Project) -> Duration {
    let started = Instant::now();
    let agents = scenario.devices.iter().map(|name| start(project, name));
    for agent in agents.collect::<Vec<_>>() {
        agent.end().ok();
    }
    started.elapsed()
}

/// Kills one device's run at `first`, or its agent, which is then started again; maybe more
/// of them afterwards; and waits for the end.
pub fn run(
    scenario: &Scenario,
    expected: &Expected,
    project: &Project,
    first: Moment,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let names = scenario.devices;
    let mut agents: Vec<Device> = names.iter().map(|name| start(project, name)).collect();
    let before = tally.kills;
    let mut next = Some(first);
    while let Some(moment) = next {
        let at = (project, scenario.output);
        let ended = || agents.iter_mut().all(|agent| !agent.runs());
        match moment.wait(Instant::now(), at, ended) {
            Waited::Reached => {}
            Waited::Ended => break,
            Waited::Hung => return Err(Failed::Hung(said(&agents))),
        }
        let which = random.below(names.len());
        let child = children_of(agents[which].child.id()).first().copied();
        if random.below(4) == 0 {
            tally.kills += usize::from(kill(agents[which].child.id()));
            if let Some(child) = child {
                eventually("a run ends with its agent", || !runs(child));
            }
            agents[which] = start(project, names[which]);
        } else {
            tally.kills += usize::from(child.is_some_and(kill));
        }
        next = (random.below(3) == 0).then(|| expected.any_moment(random));
    }
    end(&mut agents)?;
    let goes_on = |agent: &Device| agent.stderr().contains("committed before");
    tally.resumed += usize::from(agents.iter().any(goes_on) && tally.kills > before);
    Ok(())
}

/// Waits until all have ended.
fn end(agents: &mut [Device]) -> Result<(), Failed> {
    let started = Instant::now();
    while agents.iter_mut().any(Device::runs) {
        if started.elapsed() > LIMIT {
            return Err(Failed::Hung(said(agents)));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let failed = |agent: &mut Device| !agent.child.wait().unwrap().success();
    let panicked = agents
        .iter()
        .any(|agent| agent.stderr().contains("panicked"));
    if agents.iter_mut().any(failed) || panicked {
        Err(Failed::run(said(agents)))
    } else {
        Ok(())
    }
}

/// What all agents have said.
fn said(agents: &[Device]) -> String {
    let said: Vec<String> = agents.iter().map(Device::stderr).collect();
    said.join("\n--\n")
}
