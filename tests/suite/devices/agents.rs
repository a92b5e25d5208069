//! Agents bring a run to its end, whatever is killed.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use super::{Device, SLOW, SLOW_ON_HALL, alone, cluster, commits, eventually, signal};
use crate::fleet::{child_of, runs};
use crate::harness::{Project, Ran, Random, reviews};
use crate::pace::{Leash, is_done};

const NAMES: [&str; 2] = ["kitchen", "hall"];
const KILLS: usize = 20;
/// Kills of this number, from 0, are of an agent and not of its child.
const AGENT_KILLS: [usize; 2] = [6, 13];
/// Batches of 4: far more than are let pass between the kills.
const REVIEWS: usize = 4 * 700;

#[test]
fn twenty_kills_change_nothing() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(REVIEWS))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &["--set", "slow.sleep-ms=0"]);
    cluster(&project, &NAMES, SLOW_ON_HALL);
    let start = |name| Device::start(&project, "agent", name, &[]);
    let mut agents = NAMES.map(start);
    let mut random = Random(5);
    let mut leash = Leash::new(&project);
    for kill in 0..KILLS {
        let which = random.below(2);
        let child = child_of(agents[which].child.id());
        // Half of the kills are at work, and half while the devices come together; when
        // exactly, nothing depends on.
        if random.below(2) == 0 {
            let before = commits(&project);
            leash.until("it commits", || commits(&project) > before);
            leash.pay_out(random.below(8) as u64);
        }
        std::thread::sleep(Duration::from_millis(random.below(100) as u64));
        for agent in &mut agents {
            assert!(agent.runs(), "it ended too soon: {}", agent.stderr());
        }
        if AGENT_KILLS.contains(&kill) {
            agents[which].signal("KILL");
            eventually("a run ends with its agent", || !runs(child));
            agents[which] = start(NAMES[which]);
        } else {
            signal(child, "KILL");
        }
    }
    leash.free();
    for agent in agents {
        let ran = agent.end().ok();
        assert!(!ran.stderr.contains("panicked"), "{ran}");
    }
    assert!(project.bytes("out.jsonl") == expected);
    assert_eq!(project.lines("out.jsonl").len(), REVIEWS);
}

#[test]
fn an_agent_does_not_repeat_what_cannot_succeed() {
    let graph = SLOW
        .replace("pass", "panics")
        .replace("with.leash = \"leash\"", "with.at = 3");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(80))
        .test_plugin();
    cluster(
        &project,
        &NAMES,
        &format!("[mesh]\nconnect-seconds = 20\n{SLOW_ON_HALL}"),
    );
    let agents = NAMES.map(|name| Device::start(&project, "agent", name, &[]));
    // Nor do those wait that need it.
    for agent in agents {
        let ran = agent.end();
        assert_eq!(ran.code, Some(1), "{ran}");
        assert_eq!(ran.stderr.matches("error[").count(), 1, "{ran}");
        assert!(ran.stderr.contains("no verdict on 4 rows"), "{ran}");
    }
}

/// Whatever is killed at the end, all agents hear of it.
#[test]
fn kills_at_the_end() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &["--set", "slow.sleep-ms=0"]);
    // Where results are committed, one that was killed is waited for so long.
    let mesh = format!("[mesh]\nconnect-seconds = 10\n{SLOW_ON_HALL}");
    cluster(&project, &NAMES, &mesh);
    for killed in [0, 1, 0, 1, 0, 1] {
        let agents = NAMES.map(|name| Device::start(&project, "agent", name, &[]));
        let children = agents.each_ref().map(|agent| child_of(agent.child.id()));
        eventually("it is done", || is_done(&project, "out.jsonl"));
        signal(children[killed], "KILL");
        for agent in agents {
            let ran = agent.end().ok();
            assert!(!ran.stderr.contains("panicked"), "{ran}");
        }
        assert!(project.bytes("out.jsonl") == expected, "{killed}");
        std::fs::remove_file(project.path("out.jsonl.journal")).unwrap();
    }
}

/// All others have ended, and this device has heard of the end before.
#[test]
fn an_agent_that_returns_after_the_end_ends_too() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    cluster(&project, &NAMES, SLOW_ON_HALL);
    let start = |name| Device::start(&project, "agent", name, &[]);
    for agent in NAMES.map(start) {
        agent.end().ok();
    }
    let patient = project.read("cluster.toml");
    project.write("cluster.toml", patient + "[mesh]\nconnect-seconds = 1\n");
    let ran = start("kitchen").end();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("the run is complete, "), "{ran}");
    // One that has never heard of an end, or of that of another plan, gives up.
    let other = &["--set", "stream.batch=5"];
    let ran = Device::start(&project, "agent", "kitchen", other).end();
    assert_eq!(ran.code, Some(1), "{ran}");
    let last = "nobody was there in 10 generations\nhelp: the run may be complete; ";
    assert!(ran.stderr.contains(last), "{ran}");
}

/// Whatever ends an agent ends its run, and the address is free at once.
#[test]
fn a_signal_ends_an_agent_with_its_run() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let addresses = cluster(&project, &NAMES, SLOW_ON_HALL);
    let kitchen = |signal: &str| {
        let mut agent = Device::start(&project, "agent", "kitchen", &[]);
        let child = child_of(agent.child.id());
        eventually("it listens", || TcpStream::connect(&addresses[0]).is_ok());
        agent.signal(signal);
        eventually("the agent ends", || !agent.runs());
        assert!(!runs(child), "{signal}");
        assert!(TcpListener::bind(&addresses[0]).is_ok(), "{signal}");
        agent.child.wait().unwrap().signal()
    };
    assert_eq!(
        [kitchen("TERM"), kitchen("INT"), kitchen("HUP")],
        [Some(15), Some(2), Some(1)]
    );
    // It waits for the device that has the file.
    std::fs::rename(project.path("reviews.csv"), project.path("gone.csv")).unwrap();
    assert_eq!(kitchen("TERM"), Some(15));
}

/// A plugin that ends the process each time is not started for ever, and what it prints is
/// not taken for the run's own words.
#[test]
fn an_agent_gives_up_on_what_crashes_each_time() {
    let graph = SLOW
        .replace("pass", "ends-the-process")
        .replace("with.leash = \"leash\"", "with.at = 3");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(80))
        .test_plugin();
    cluster(&project, &NAMES, SLOW_ON_HALL);
    let set = ["--set", "slow.how=abort"];
    let mut agents = NAMES.map(|name| Device::start(&project, "agent", name, &set));
    let [_, hall] = &mut agents;
    eventually("the agent gives up", || !hall.runs());
    let [kitchen, hall] = agents;
    let hall = hall.end();
    assert_eq!(hall.code, Some(1), "{hall}");
    assert!(
        hall.stderr
            .contains("error[crashed]: the run on this device "),
        "{hall}"
    );
    assert!(hall.stderr.contains(" 5 times in a row "), "{hall}");
    drop(kitchen);
}

/// Where results are committed it is known that there is nothing left to do.
#[test]
fn agents_that_are_started_again_have_nothing_to_do() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    cluster(&project, &NAMES, SLOW_ON_HALL);
    let start = |name| Device::start(&project, "agent", name, &[]);
    for agent in NAMES.map(start) {
        agent.end().ok();
    }
    let bytes = project.bytes("out.jsonl");
    let [kitchen, hall] = NAMES.map(start).map(Device::end).map(Ran::ok);
    assert!(
        kitchen.stderr.contains("the run is complete, "),
        "{kitchen}"
    );
    assert!(
        hall.stderr.contains("40 reviews were committed before"),
        "{hall}"
    );
    assert!(project.bytes("out.jsonl") == bytes);
}

/// It was given no `--resume` that could be left out.
#[test]
fn an_agent_on_the_journal_of_another_graph_says_what_to_do() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(8))
        .test_plugin();
    cluster(&project, &["kitchen"], "");
    let start = |more| Device::start(&project, "agent", "kitchen", more).end();
    start(&[]).ok();
    let other = start(&["--set", "slow.sleep-ms=1"]);
    let help = "help: an agent goes on where it was: move `out.jsonl.journal` away";
    other.failed_with(1, "other-journal", &["stage `slow`", help]);
    std::fs::remove_file(project.path("out.jsonl.journal")).unwrap();
    start(&["--set", "slow.sleep-ms=1"]).ok();
}
