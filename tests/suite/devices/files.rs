//! Cluster files: what is wrong with them, and the plan they give.

use std::path::Path;

use super::{Device, SENTIMENT, SLOW, SLOW_ON_HALL, alone, cluster};
use crate::harness::{Project, ROOT, golden, reviews};
use crate::tiny::Tiny;

fn project() -> Project {
    let large = Tiny {
        hidden: 128,
        inner: 512,
        ..Tiny::default()
    };
    Project::with_graph(SENTIMENT)
        .file("reviews.csv", reviews(8))
        .model("model", large)
}

#[test]
fn each_file_gives_its_text() {
    let project = project();
    let entries = std::fs::read_dir(Path::new(ROOT).join("tests/suite/cluster_errors")).unwrap();
    let mut checked = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        project.write(name, std::fs::read(&path).unwrap());
        let check = ["check", "graph.toml", "--cluster", name];
        let text = project.run(&check).failed(2);
        let stderr = name.replace(".toml", ".stderr");
        golden(&format!("cluster_errors/{stderr}"), &text);
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn run_explain_and_agent_say_the_same_as_check() {
    let project = project();
    let file = Path::new(ROOT).join("tests/suite/cluster_errors/too-little-memory.toml");
    project.write("cluster.toml", std::fs::read(file).unwrap());
    let of = |command| {
        let cluster = ["--cluster", "cluster.toml", "--device", "kitchen"];
        project
            .run(&[&[command, "graph.toml"], &cluster[..]].concat())
            .failed(2)
    };
    let text = of("check");
    assert!(text.contains(" MiB over its memory"), "{text}");
    for command in ["run", "explain", "agent"] {
        assert_eq!(of(command), text, "{command}");
    }
    assert!(!project.has("out.jsonl.journal"));
}

#[test]
fn the_device_must_be_one_of_the_file() {
    let project = project();
    cluster(&project, &["kitchen", "hall"], "");
    let run = |command, more: &[&str]| {
        let cluster = [command, "graph.toml", "--cluster", "cluster.toml"];
        project.run(&[&cluster[..], more].concat()).failed(2)
    };
    assert_eq!(
        run("run", &["--device", "kitchn"]),
        "error[unknown-device]: `cluster.toml` has no device `kitchn`\n\
         help: did you mean `kitchen`?\n"
    );
    assert_eq!(
        run("run", &[]),
        "error[missing-device]: which device of the cluster is this?\n\
         help: add `--device NAME`\n"
    );
    assert_eq!(
        run("agent", &[]),
        "error[missing-device]: an agent needs a cluster and a device\n\
         help: add `--cluster FILE --device NAME`\n"
    );
    for wrong in [&["--devices", "2"][..], &["--workers", "2"]] {
        let text = run("run", wrong);
        assert!(text.contains("cannot be used with"), "{text}");
    }
    let text = project
        .run(&["run", "graph.toml", "--device", "hall"])
        .failed(2);
    assert!(text.contains("--cluster <FILE>"), "{text}");
    let text = project
        .run(&["run", "graph.toml", "--cluster", "none.toml"])
        .failed(2);
    assert_eq!(text, "error[missing-file]: there is no file `none.toml`\n");
}

#[test]
fn a_device_without_its_identity() {
    let project = project();
    cluster(&project, &["kitchen", "hall"], "");
    let run = [
        "run",
        "graph.toml",
        "--cluster",
        "cluster.toml",
        "--device",
        "hall",
    ];
    project
        .run(&["identity", "new", "hall", "--folder", "other"])
        .failed(2);
    std::fs::create_dir(project.path("other")).unwrap();
    project
        .run(&["identity", "new", "hall", "--folder", "other"])
        .ok();
    let copy = |name: &str| {
        let from = project.path(&format!("other/{name}"));
        std::fs::copy(from, project.path(name)).unwrap();
    };
    copy("hall.key");
    copy("hall.crt");
    let text = project
        .run(&run)
        .failed_with(1, "wrong-identity", &["`hall`"]);
    assert!(text.contains("sha256:"), "{text}");
    std::fs::remove_file(project.path("hall.key")).unwrap();
    let text = project.run(&run).failed(1);
    assert!(text.contains("hall.key"), "{text}");
}

#[test]
fn explain_shows_who_holds_what_and_what_crosses() {
    let project = project();
    let place = "[place]\n\"encoder/1\" = \"hall\"\nverdict = \"attic\"\n";
    cluster(&project, &["kitchen", "hall", "attic"], place);
    let explain = ["explain", "graph.toml", "--cluster", "cluster.toml"];
    golden(
        "cluster_errors/explain.txt",
        &project.run(&explain).ok().stdout,
    );
    let json = project
        .run(&[&explain[..], &["--format", "json"]].concat())
        .ok();
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let stages = plan["stages"].as_array().unwrap().iter();
    let places: Vec<_> = stages
        .map(|stage| stage["devices"][0].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        ["kitchen", "kitchen", "kitchen", "hall", "attic", "attic"]
    );
}

const ELSEWHERE: [&str; 2] = ["--set", "reviews.path=elsewhere.csv"];

#[test]
fn only_the_device_that_reads_needs_the_input_file() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let expected = alone(&project, "out.jsonl", &[]);
    cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
    for command in ["run", "agent"] {
        for order in [[0, 1], [1, 0]] {
            let devices = order.map(|device| match device {
                0 => Device::start(&project, command, "kitchen", &[]),
                _ => Device::start(&project, command, "hall", &ELSEWHERE),
            });
            for device in devices {
                device.end().ok();
            }
            // With all columns of the file that only one device has.
            assert!(project.bytes("out.jsonl") == expected, "{command}");
            std::fs::remove_file(project.path("out.jsonl.journal")).unwrap();
        }
    }
    let check = ["check", "graph.toml", "--cluster", "cluster.toml"];
    let hall = ["--device", "hall"];
    let text = project.run(&[&check[..], &hall, &ELSEWHERE].concat());
    text.failed_with(2, "missing-file", &["elsewhere.csv"]);
}

#[test]
fn the_device_that_reads_needs_the_input_file() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
    let mut hall = Device::start(&project, "run", "hall", &[]);
    let kitchen = Device::start(&project, "run", "kitchen", &ELSEWHERE).end();
    kitchen.failed_with(2, "missing-file", &["elsewhere.csv"]);
    assert!(hall.runs());
}

#[test]
fn an_input_file_that_no_device_has() {
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let mesh = format!("[mesh]\nconnect-seconds = 1\n{SLOW_ON_HALL}");
    cluster(&project, &["kitchen", "hall"], &mesh);
    let start = |name| Device::start(&project, "run", name, &ELSEWHERE);
    for device in ["kitchen", "hall"].map(start) {
        let part = "no device that has it could be asked";
        device.end().failed_with(1, "missing-devices", &[part]);
    }
}
