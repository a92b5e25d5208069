//! Agents bring a run to its end, whatever is killed.

use std::time::Duration;

use super::{Device, SLOW, SLOW_ON_HALL, alone, cluster, commits, eventually, signal};
use crate::harness::{Project, Random, reviews};

const NAMES: [&str; 2] = ["kitchen", "hall"];
const KILLS: usize = 20;
/// Kills of this number, from 0, are of an agent and not of its child.
const AGENT_KILLS: [usize; 2] = [6, 13];
/// Batches of 4 take 15 ms each: far more than is done between the kills.
const REVIEWS: usize = 4 * 700;

/// The parent of a process that has not ended.
fn parent(process: &str) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = stat[stat.rfind(')')? + 2..].split(' ');
    let ended = matches!(fields.next()?, "Z" | "X");
    fields.next()?.parse().ok().filter(|_| !ended)
}

fn runs(process: u32) -> bool {
    parent(&process.to_string()).is_some()
}

/// The run that an agent has started, when it has.
fn child_of(agent: u32) -> u32 {
    let mut child = None;
    eventually("an agent starts a run", || {
        let processes = std::fs::read_dir("/proc").unwrap();
        let mut names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        child = names.find(|name| parent(name) == Some(agent));
        child.is_some()
    });
    child.unwrap().parse().unwrap()
}

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
    let mut committed = vec![0];
    for kill in 0..KILLS {
        let which = random.below(2);
        let child = child_of(agents[which].child.id());
        std::thread::sleep(Duration::from_millis(random.below(700) as u64));
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
        committed.push(commits(&project));
    }
    committed.dedup();
    println!("commits at each kill: {committed:?}");
    assert!(committed.len() > 5, "{committed:?}");
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
        .replace("with.sleep-ms = 15", "with.at = 3");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(80))
        .test_plugin();
    cluster(
        &project,
        &NAMES,
        &format!("[mesh]\nconnect-seconds = 1\n{SLOW_ON_HALL}"),
    );
    let mut agents = NAMES.map(|name| Device::start(&project, "agent", name, &[]));
    let [_, hall] = &mut agents;
    eventually("the agent gives up", || !hall.runs());
    let text = hall.stderr();
    assert_eq!(text.matches("error[").count(), 1, "{text}");
    assert!(text.contains("no verdict on 4 rows"), "{text}");
}
