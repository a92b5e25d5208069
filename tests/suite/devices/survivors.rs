//! The others go on without a device that does not come back.

use super::{
    Device, SENTIMENT, SLOW, alone, cluster_of_survivors, commit_some, commits, eventually,
};
use crate::harness::{Project, reviews};
use crate::pace::{Leash, free};
use crate::tiny::Tiny;

const NAMES: [&str; 3] = ["kitchen", "hall", "attic"];
/// The graph of a slow stage in which the last device writes, and is not the slow one.
const PLACE: &str = "[place]\nout = \"attic\"\n";

fn start(project: &Project, name: &str) -> Device {
    Device::start(project, "agent", name, &[])
}

/// Three agents, held when something is committed; and what must come out.
fn under_way(reviews_count: usize, place: &str) -> (Project, Vec<u8>, Vec<Device>) {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(reviews_count))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &["--set", "slow.sleep-ms=0"]);
    cluster_of_survivors(&project, &NAMES, place);
    let agents = NAMES.map(|name| start(&project, name)).into();
    commit_some(&project);
    (project, expected, agents)
}

/// Waits until a device says `line`, and something is committed without the one that is gone.
fn go_on(leash: &mut Leash<'_>, project: &Project, device: &Device, line: &str) {
    leash.until("they go on", || device.stderr().contains(line));
    let before = commits(project);
    leash.until("it commits", || commits(project) > before + 5);
}

/// Kills an agent; its run ends with it.
fn kill(agent: Device) {
    agent.signal("KILL");
    drop(agent);
}

/// Waits for the end, which nobody may have come to without another.
fn all_end_together(agents: Vec<Device>) {
    for agent in agents {
        let ran = agent.end().ok();
        assert!(!ran.stderr.contains("goes on without"), "{ran}");
    }
}

#[test]
fn two_of_three_go_on() {
    for lost in [0, 1] {
        let (project, expected, mut agents) = under_way(4 * 400, PLACE);
        kill(agents.remove(lost));
        free(&project);
        let [other, attic] = <[Device; 2]>::try_from(agents).ok().unwrap();
        let line = format!("the run goes on without `{}` (", NAMES[lost]);
        let attic = attic.end().ok();
        assert_eq!(attic.stderr.matches(&line).count(), 1, "{attic}");
        other.end().ok();
        assert!(project.bytes("out.jsonl") == expected, "without {lost}");
    }
}

#[test]
fn the_last_one_goes_on_alone() {
    let (project, expected, mut agents) = under_way(4 * 400, PLACE);
    let attic = agents.pop().unwrap();
    agents.into_iter().for_each(kill);
    free(&project);
    let attic = attic.end().ok();
    assert!(
        attic.stderr.contains("the run goes on without `kitchen` ("),
        "{attic}"
    );
    assert!(attic.stderr.contains("), `hall` ("), "{attic}");
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn segments_move_to_those_that_are_left() {
    let graph = SENTIMENT.replace("split = 2", "split = 3");
    let graph = graph.replace("from = \"reviews\"", "from = \"slow\"")
        + "[stage.slow]\nplugin = \"pass\"\nfrom = \"reviews\"\nwith.leash = \"leash\"\n";
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(4 * 400))
        .model("model", Tiny::default())
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &["--set", "slow.sleep-ms=0"]);
    cluster_of_survivors(&project, &NAMES, "");
    let [kitchen, hall, attic] = NAMES.map(|name| start(&project, name));
    let leash = commit_some(&project);
    kill(kitchen);
    leash.free();
    attic.end().ok();
    hall.end().ok();
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn one_that_comes_back_disturbs_nothing() {
    let (project, expected, mut agents) = under_way(4 * 900, PLACE);
    kill(agents.remove(0));
    let attic = agents.pop().unwrap();
    let mut leash = Leash::new(&project);
    go_on(&mut leash, &project, &attic, "goes on without");
    let kitchen = start(&project, "kitchen");
    let told = "the run goes on without this device; it joins when they begin again";
    eventually("it is told", || kitchen.stderr().contains(told));
    leash.free();
    let again = "the run goes on from the last commit";
    let begun = attic.stderr().matches(again).count();
    let kitchen = kitchen.end().ok();
    assert_eq!(kitchen.stderr.matches(told).count(), 1, "{kitchen}");
    assert!(kitchen.stderr.contains("the run is complete"), "{kitchen}");
    let attic = attic.end().ok();
    assert_eq!(attic.stderr.matches(again).count(), begun);
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn one_that_comes_back_joins_the_next_generation() {
    let (project, expected, agents) = under_way(4 * 900, PLACE);
    let [kitchen, hall, attic] = <[Device; 3]>::try_from(agents).ok().unwrap();
    kill(kitchen);
    let mut leash = Leash::new(&project);
    go_on(&mut leash, &project, &attic, "goes on without `kitchen`");
    let kitchen = start(&project, "kitchen");
    kill(hall);
    go_on(&mut leash, &project, &attic, "goes on without `hall`");
    leash.free();
    for agent in [kitchen, attic] {
        agent.end().ok();
    }
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn what_is_placed_is_waited_for() {
    let place = "[place]\nout = \"attic\"\nslow = \"hall\"\n";
    let (project, expected, mut agents) = under_way(4 * 300, place);
    kill(agents.remove(1));
    free(&project);
    let line = "the run waits for `hall` (";
    eventually("it says so", || agents[1].stderr().contains(line));
    assert!(agents.iter_mut().all(Device::runs));
    agents.push(start(&project, "hall"));
    let text = agents[1].stderr();
    assert_eq!(text.matches(line).count(), 1, "{text}");
    assert!(text.contains("`slow` is placed on `hall`"), "{text}");
    all_end_together(agents);
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn where_results_are_is_waited_for() {
    let (project, expected, mut agents) = under_way(4 * 300, PLACE);
    kill(agents.pop().unwrap());
    let committed = commits(&project);
    free(&project);
    let line = "`attic` is waited for: results are committed there";
    eventually("it says so", || agents[0].stderr().contains(line));
    assert!(agents.iter_mut().all(Device::runs));
    assert_eq!(commits(&project), committed);
    assert_eq!(
        agents[0].stderr().matches(line).count(),
        1,
        "{}",
        agents[0].stderr()
    );
    agents.push(start(&project, "attic"));
    all_end_together(agents);
    assert!(project.bytes("out.jsonl") == expected);
}
