//! No device takes more memory than its part of the work needs.

use serde_json::Value;

use super::{Device, SLOW, SLOW_ON_HALL, cluster};
use crate::harness::{Project, ROOT, WORDS};

/// The peak of each device, in bytes.
fn peaks(report: &Value) -> Vec<u64> {
    let devices = report["devices"].as_array().unwrap().iter();
    devices
        .map(|device| device["peak_rss_bytes"].as_u64().unwrap())
        .collect()
}

fn text() -> String {
    WORDS.join(" ").repeat(40)
}

/// The peaks of two devices, of which the second is slow, over `rows` long reviews.
fn peaks_of_run(rows: usize) -> Vec<u64> {
    let reviews = format!("{}\n", text()).repeat(rows);
    let project = Project::with_graph(SLOW)
        .file("reviews.csv", format!("text\n{reviews}"))
        .test_plugin();
    cluster(&project, &["kitchen", "hall"], SLOW_ON_HALL);
    let more = ["--set", "slow.sleep-ms=4", "--report", "report.json"];
    let start = |name| Device::start(&project, "run", name, &more);
    for device in ["kitchen", "hall"].map(start) {
        device.end().ok();
    }
    let report = project.json("report.json");
    assert_eq!(report["reviews"], rows);
    peaks(&report)
}

#[test]
fn a_slow_device_does_not_fill_the_one_before_it() {
    let (short, long) = (peaks_of_run(400), peaks_of_run(4_000));
    let bytes = 3_600 * text().len() as u64;
    println!("peaks {short:?} and, of {bytes} bytes more, {long:?}");
    for (short, long) in short.iter().zip(&long) {
        assert!(*long < short + bytes / 4, "{short} and {long}");
    }
}

#[test]
fn a_device_holds_its_own_segments() {
    let project = Project::new();
    let graph = format!("{ROOT}/graphs/sentiment.toml");
    let run = |more: &[&str]| {
        let own = ["--set", "out.path=out.jsonl", "--report", "report.json"];
        let arguments = [&["run", &graph], &own[..], more].concat();
        project.run(&arguments).ok();
        (
            peaks(&project.json("report.json")),
            project.bytes("out.jsonl"),
        )
    };
    let (whole, expected) = run(&["--workers", "1"]);
    let (parts, output) = run(&[
        "--devices",
        "2",
        "--set",
        "encoder.split=[\"..2\", \"2..\"]",
    ]);
    println!("peak of the whole model {whole:?}, of its parts {parts:?}");
    assert!(output == expected);
    // The second device has no word table and no tokenizer.
    assert!(parts[1] * 4 < whole[0] * 3, "{parts:?} and {whole:?}");
    assert!(parts[0] < whole[0] + (8 << 20), "{parts:?} and {whole:?}");
}
