//! However many devices there are, the same bytes come out.

use std::net::TcpStream;

use super::{Device, SENTIMENT, alone, cluster, eventually};
use crate::harness::{Project, reviews};
use crate::tiny::Tiny;

const REVIEWS: usize = 60;

fn project() -> Project {
    Project::with_graph(SENTIMENT)
        .file("reviews.csv", reviews(REVIEWS))
        .model("model", Tiny::default())
}

/// `--devices`, `--workers` and `split`, for each of which the output must be the same.
fn check(output: &str, arrangements: impl Iterator<Item = [usize; 3]>) {
    let project = project();
    let set = format!("out.path={output}");
    let expected = alone(&project, output, &["--set", &set]);
    for arrangement in arrangements {
        let [devices, workers, split] = arrangement.map(|n| n.to_string());
        let split = format!("encoder.split={split}");
        let spread = [
            "--devices",
            &devices,
            "--workers",
            &workers,
            "--set",
            &split,
        ];
        let ran = project.run_graph(&[&spread[..], &["--set", &set]].concat());
        let summary = format!("{REVIEWS} reviews in ");
        assert_eq!(ran.stderr.matches(&summary).count(), 1, "{ran}");
        assert!(project.bytes(output) == expected, "{spread:?}");
        std::fs::remove_file(project.path(output)).unwrap();
    }
}

#[test]
fn one_to_four_devices_with_every_split() {
    let all = (1..=4).flat_map(|devices| (1..=3).map(move |split| [devices, 1, split]));
    check("out.jsonl", all);
}

#[test]
fn two_workers_a_device() {
    check(
        "out.jsonl",
        [[2, 2, 2], [2, 2, 3], [3, 2, 3], [4, 2, 1]].into_iter(),
    );
}

#[test]
fn parquet() {
    check("out.parquet", [[2, 1, 2], [3, 1, 3], [4, 2, 2]].into_iter());
}

#[test]
fn products_in_fewer_bits() {
    let project = project();
    let plain = alone(&project, "out.jsonl", &[]);
    for precision in ["bf16", "int8"] {
        let set = format!("encoder.precision=\"{precision}\"");
        let expected = alone(&project, "out.jsonl", &["--set", &set]);
        assert!(expected != plain, "`{precision}` rounds nothing");
        for [devices, split] in [["1", "3"], ["2", "2"], ["3", "3"]] {
            let split = format!("encoder.split={split}");
            project.run_graph(&["--devices", devices, "--set", &split, "--set", &set]);
            let output = project.bytes("out.jsonl");
            assert!(
                output == expected,
                "{precision}, {devices} devices, {split}"
            );
            std::fs::remove_file(project.path("out.jsonl")).unwrap();
        }
    }
}

#[test]
fn shorter_numbers_on_the_wire() {
    let project = project();
    let plain = alone(&project, "out.jsonl", &[]);
    for wire in ["f16", "int8"] {
        let set = format!("encoder.wire=\"{wire}\"");
        let more = ["--set", &set];
        let expected = alone(&project, "out.jsonl", &more);
        assert!(expected != plain, "`{wire}` rounds nothing");
        for devices in ["2", "3"] {
            project.run_graph(&[&["--devices", devices], &more[..]].concat());
            assert!(project.bytes("out.jsonl") == expected, "{wire}, {devices}");
        }
    }
}

#[test]
fn quiet_devices_say_nothing() {
    let ran = project().run_graph(&["--quiet", "--devices", "3"]);
    assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()));
}

#[test]
fn the_report_has_every_device() {
    let project = project();
    let spread = ["--devices", "3", "--set", "encoder.split=3"];
    project.run_graph(&[&spread[..], &["--report", "report.json"]].concat());
    let report = project.json("report.json");
    assert_eq!(report["reviews"], REVIEWS);
    let devices = report["devices"].as_array().unwrap();
    let names: Vec<_> = devices.iter().map(|device| &device["name"]).collect();
    assert_eq!(names, ["device-1", "device-2", "device-3"]);
    let number = |device: usize, field: &str| devices[device][field].as_u64().unwrap();
    for device in 0..3 {
        assert!(number(device, "peak_rss_bytes") > 1 << 20, "{devices:?}");
        assert!(number(device, "bytes_sent") > 0, "{devices:?}");
        assert!(number(device, "bytes_received") > 0, "{devices:?}");
    }
    // Hidden states go from the first to the second to the third, and nothing back.
    assert!(number(0, "bytes_sent") > 2 * number(0, "bytes_received"));
    assert!(number(2, "bytes_received") > 2 * number(2, "bytes_sent"));
    let stages = report["stages"].as_array().unwrap().iter();
    let places: Vec<_> = stages
        .map(|stage| {
            assert_eq!(stage["rows"], REVIEWS, "{stage}");
            [&stage["name"], &stage["device"]].map(|text| text.as_str().unwrap())
        })
        .collect();
    let expected = [
        ["tokenize", "device-1"],
        ["encoder/0", "device-1"],
        ["encoder/1", "device-2"],
        ["encoder/2", "device-3"],
        ["verdict", "device-3"],
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_cluster_file_in_either_order() {
    let project = project();
    let expected = alone(&project, "out.jsonl", &[]);
    let names = ["kitchen", "hall"];
    let addresses = cluster(&project, &names, "");
    for firsts in [0, 1] {
        let order = [names[firsts], names[1 - firsts]];
        let start = |name| Device::start(&project, "run", name, &[]);
        let first = start(order[0]);
        eventually("it listens", || {
            TcpStream::connect(&addresses[firsts]).is_ok()
        });
        let second = start(order[1]);
        for (device, name) in [first, second].into_iter().zip(order) {
            let ran = device.end().ok();
            // The one that commits tells of it.
            assert_eq!(
                ran.stderr.contains("60 reviews in "),
                name == "hall",
                "{ran}"
            );
        }
        assert!(project.bytes("out.jsonl") == expected, "{order:?}");
        std::fs::remove_file(project.path("out.jsonl")).unwrap();
    }
}

#[test]
fn a_cluster_of_one_device() {
    let project = project();
    let expected = alone(&project, "out.jsonl", &[]);
    cluster(&project, &["kitchen"], "");
    Device::start(&project, "agent", "kitchen", &[]).end().ok();
    assert!(project.bytes("out.jsonl") == expected);
}

#[test]
fn a_segment_that_is_placed_moves() {
    let project = project();
    let expected = alone(&project, "out.jsonl", &[]);
    let place = "[place]\n\"encoder/0\" = \"hall\"\n\"encoder/1\" = \"kitchen\"\n";
    cluster(&project, &["kitchen", "hall"], place);
    let start = |name, more| Device::start(&project, "run", name, more);
    let (kitchen, hall) = (
        start("kitchen", &["--report", "report.json"][..]),
        start("hall", &[]),
    );
    kitchen.end().ok();
    hall.end().ok();
    assert!(project.bytes("out.jsonl") == expected);
    let report = project.json("report.json");
    let device = |i: usize| report["stages"][i]["device"].as_str().unwrap();
    assert_eq!([device(1), device(2)], ["hall", "kitchen"]);
}
