//! A worker holds the weights of its own layers, and a run does not grow with its input.
#![cfg(target_os = "linux")]

use std::process::Command;

use segue_encoder::{Layers, ModelConfig, Precision, Segment, embedding_bytes, layer_cost};

use crate::harness::{Project, WORDS};
use crate::reference::model;

const LAYERS: &str = "SEGUE_TEST_LAYERS";

/// Not a test of its own: the child of the test below.
#[test]
#[ignore = "run by `only_the_tensors_of_a_segment_are_resident`"]
fn child() {
    let layers = std::env::var(LAYERS).expect("the range to load");
    let before = peak();
    let segment = Segment::load(&model(), Layers::parse(&layers, 4).unwrap()).unwrap();
    let grown = peak() - before;
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    assert!(!maps.contains("model.safetensors"), "the file is mapped");
    assert!(maps.contains("[heap]"), "{maps}");
    println!("{} grown {grown}", segment.layers());
}

/// The most memory this process had resident, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// By how much loading `layers` raises the peak of a fresh process.
fn grown(layers: &str) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "memory::child", "--nocapture"])
        .env(LAYERS, layers)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split_once(" grown "));
    line.expect("the child's line").1.trim().parse().unwrap()
}

#[test]
fn only_the_tensors_of_a_segment_are_resident() {
    let config = ModelConfig::read(&model()).unwrap();
    let layer = layer_cost(&config, 2, Precision::F32, 1).parameter_bytes;
    let [whole, lower, upper, last] = ["..", "..2", "2..", "3.."].map(grown);
    println!(
        "a layer {layer} bytes, embeddings {}",
        embedding_bytes(&config, 0)
    );
    println!("resident: .. {whole}, ..2 {lower}, 2.. {upper}, 3.. {last}");
    // Room for the file's header, the plan, and the largest tensor as it is read, converted
    // and packed, whose places the allocator may not use again.
    let room = 12 << 20;
    assert!(upper < 2 * layer + room, "{upper}");
    assert!(last < layer + room, "{last}");
    assert!(last + layer / 2 < upper, "{last} and {upper}");
    assert!(
        upper + layer < lower,
        "the embeddings are with the lower half"
    );
    assert!(lower + layer < whole, "{lower} and {whole}");
}

/// The peak of a run over `rows` long reviews.
fn peak_of_run(rows: usize) -> u64 {
    let text = WORDS.join(" ").repeat(40);
    let reviews: String = (0..rows).map(|_| format!("{text}\n")).collect();
    let project = Project::new()
        .file("reviews.csv", format!("text\n{reviews}"))
        .file(
            "graph.toml",
            "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
replicas = 2
[stage.out]
plugin = \"write\"
from = \"pass\"
with.path = \"out.jsonl\"
",
        )
        .test_plugin();
    project.run_graph(&["--workers", "2", "--report", "report.json"]);
    let report = project.json("report.json");
    assert_eq!(report["reviews"], rows);
    report["devices"][0]["peak_rss_bytes"].as_u64().unwrap()
}

#[test]
fn a_run_over_a_longer_file_takes_no_more_memory() {
    let (short, long) = (peak_of_run(1_000), peak_of_run(10_000));
    let bytes = 9_000 * WORDS.join(" ").len() as u64 * 40;
    println!("peak {short} and, of {bytes} bytes more, {long}");
    assert!(long < short + bytes / 4, "{short} and {long}");
}
