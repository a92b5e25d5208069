//! A device that is gone, hangs or fails ends the run of all, each with one message.

use super::{Device, SLOW, SLOW_ON_HALL, alone, cluster, commit_some, eventually, signal};
use crate::fleet::{children_of, runs};
use crate::harness::{Project, Ran, reviews};
use crate::pace::free;
use crate::tiny::Tiny;

/// A run on two devices after some commits, held there.
fn under_way(mesh: &str) -> (Project, [Device; 2]) {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(8_000))
        .test_plugin();
    cluster(
        &project,
        &["kitchen", "hall"],
        &format!("{mesh}{SLOW_ON_HALL}"),
    );
    let devices = ["kitchen", "hall"].map(|name| Device::start(&project, "run", name, &[]));
    commit_some(&project);
    (project, devices)
}

/// It ended with one error, of which each of `parts` is a part.
fn check(ran: &Ran, kind: &str, parts: &[&str]) {
    assert_eq!(ran.code, Some(1), "{ran}");
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{ran}");
    assert!(ran.stderr.contains(&format!("error[{kind}]: ")), "{ran}");
    for noise in ["thread '", "backtrace", "RUST_BACKTRACE"] {
        assert!(!ran.stderr.contains(noise), "{ran}");
    }
    for part in parts {
        assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
    }
}

#[test]
fn a_device_that_is_killed() {
    for (killed, name) in ["kitchen", "hall"].into_iter().enumerate() {
        let (project, devices) = under_way("");
        devices[killed].signal("KILL");
        free(&project);
        let mut ends = devices.map(Device::end);
        assert_eq!(ends[killed].code, None);
        ends.swap(0, killed);
        let lost = format!("device `{name}` is lost: its connection ");
        check(&ends[1], "device-lost", &[&lost]);
    }
}

#[test]
fn a_device_that_hangs() {
    for (hung, name) in ["kitchen", "hall"].into_iter().enumerate() {
        let (project, devices) = under_way("[mesh]\nfailure-seconds = 3\n");
        devices[hung].signal("STOP");
        free(&project);
        let [mut hung_device, mut other] = devices;
        if hung == 1 {
            std::mem::swap(&mut hung_device, &mut other);
        }
        let lost = format!("device `{name}` is lost: ");
        check(&other.end(), "device-lost", &[&lost, " for 3 s"]);
        assert!(hung_device.runs());
        hung_device.signal("CONT");
        check(&hung_device.end(), "device-lost", &[]);
    }
}

#[test]
fn a_plugin_that_fails_on_one_device() {
    let graph = SLOW
        .replace("pass", "panics")
        .replace("with.leash = \"leash\"", "with.at = 3");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(80))
        .test_plugin();
    let place = "[place]\nslow = \"hall\"\nout = \"attic\"\n";
    cluster(&project, &["kitchen", "hall", "attic"], place);
    let start = |name| Device::start(&project, "run", name, &[]);
    let [kitchen, hall, attic] = ["kitchen", "hall", "attic"].map(start).map(Device::end);
    let why = "no verdict on 4 rows";
    assert_eq!(hall.code, Some(1), "{hall}");
    assert!(
        !hall.stderr.contains("device-lost") && hall.stderr.contains(why),
        "{hall}"
    );
    for other in [kitchen, attic] {
        // From the device itself, or from the other one that heard it first.
        let lost = ["device `hall` is lost: ", "it ended the run: ", why];
        check(&other, "device-lost", &lost);
    }
}

#[test]
fn a_plugin_that_does_not_start_on_one_device() {
    let graph = SLOW
        .replace("pass", "will-not-start")
        .replace("with.leash = \"leash\"\n", "");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(80))
        .test_plugin();
    cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
    let start = |name| Device::start(&project, "run", name, &[]);
    let [kitchen, hall] = ["kitchen", "hall"].map(start).map(Device::end);
    check(&hall, "bad-option", &["worker 0 is not to my liking"]);
    check(
        &kitchen,
        "device-lost",
        &["`hall` is lost: it ended the run: "],
    );
}

#[test]
fn local_devices_show_the_cause() {
    let graph = super::SENTIMENT.replace("from = \"reviews\"", "from = \"faulty\"")
        + "[stage.faulty]\nplugin = \"panics\"\nfrom = \"reviews\"\nwith.at = 3\n";
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(60))
        .model("model", Tiny::default())
        .test_plugin();
    let ran = project.run(&["run", "graph.toml", "--devices", "2"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("no verdict on 4 rows"), "{ran}");
}

/// A pipe that is full holds nobody up, and what is printed to stdout is nobody's word.
#[test]
fn a_plugin_that_prints_much() {
    let graph = SLOW
        .replace("pass", "ends-the-process")
        .replace("with.leash = \"leash\"", "with.prints = 50000");
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &[]);
    // The stage is on both devices, and one of them writes nothing.
    let replicas = ["--set", "slow.replicas=2"];
    let run = ["run", "graph.toml", "--devices", "2"];
    project.run(&[&run[..], &replicas].concat()).ok();
    assert!(project.bytes("out.jsonl") == expected);
    cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
    for agent in ["kitchen", "hall"].map(|name| Device::start(&project, "agent", name, &[])) {
        agent.end().ok();
    }
    assert!(project.bytes("out.jsonl") == expected);
}

/// Where results cannot be written is found before the run begins, when the others are
/// there already.
#[test]
fn a_failure_between_joining_and_starting_is_told() {
    for command in ["run", "agent"] {
        let project = Project::with_graph(SLOW)
            .file("reviews.csv", reviews(80))
            .test_plugin();
        cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
        // Nobody can write a file where a folder is, not even root.
        std::fs::create_dir(project.path("out.jsonl.journal")).unwrap();
        let start = |name| Device::start(&project, command, name, &[]);
        let [kitchen, hall] = ["kitchen", "hall"].map(start).map(Device::end);
        assert_eq!(hall.code, Some(1), "{hall}");
        assert!(!hall.stderr.contains("device-lost"), "{hall}");
        check(
            &kitchen,
            "device-lost",
            &["`hall` is lost: it ended the run: "],
        );
    }
}

/// Two local devices after some commits: the process that has started them, and theirs.
fn local_under_way() -> (Project, Device, [u32; 2]) {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(8_000))
        .test_plugin();
    let parent = Device::spawn(&project, &["run", "graph.toml", "--devices", "2"]);
    commit_some(&project);
    let is = |process: &u32, name: &str| {
        let words = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
        words.contains(&format!("--device\0{name}\0"))
    };
    let children = children_of(parent.child.id());
    let child = |name| *children.iter().find(|child| is(child, name)).unwrap();
    let children = ["device-1", "device-2"].map(child);
    (project, parent, children)
}

#[test]
fn local_devices_end_with_their_parent() {
    let (_project, parent, children) = local_under_way();
    parent.signal("KILL");
    eventually("they end", || !children.into_iter().any(runs));
}

#[test]
fn a_local_device_that_a_signal_ends_is_named() {
    for (killed, text, number) in [(0, "KILL", 9), (1, "KILL", 9), (0, "TERM", 15)] {
        let (project, parent, children) = local_under_way();
        signal(children[killed], text);
        free(&project);
        let ran = parent.end();
        assert_eq!(ran.code, Some(1), "{ran}");
        let line = format!(
            "error[device-died]: device `device-{}` was ended by signal {number} (SIG{text})\n",
            killed + 1
        );
        assert!(ran.stderr.contains(&line), "no `{line}` in {ran}");
    }
}
