//! Devices that share nothing but a slow cable: the short form of the bench of devices.
#![cfg(target_os = "linux")]

#[path = "../../../benches/common/net.rs"]
mod net;

use super::{Device, cluster};
use crate::harness::{Project, ROOT, reviews};
use net::Net;

const NAMES: [&str; 2] = ["kitchen", "hall"];
const REVIEWS: usize = 12;

/// Two namespaces with slow cables; none, and a line that says why, where the system gives none.
fn slow_net() -> Option<Net> {
    let net = Net::new(NAMES.len()).and_then(|net| net.shape().map(|()| net));
    net.inspect_err(|why| println!("skipped: no network namespaces can be made here: {why}"))
        .ok()
}

#[test]
fn two_devices_over_a_slow_cable() {
    let Some(net) = slow_net() else { return };
    let project = Project::new().file("reviews.csv", reviews(REVIEWS));
    let graph = format!("{ROOT}/graphs/sentiment.toml");
    let set = |device: usize| {
        let own = [
            "reviews.path=reviews.csv",
            "out.path=out.jsonl",
            "stream.batch=2",
        ];
        let mut command = net.exec(device);
        command.args([env!("CARGO_BIN_EXE_segue"), "run", &graph]);
        for set in own {
            command.args(["--set", set]);
        }
        command
    };
    let mut alone = set(0);
    alone.args(["--workers", "1"]);
    project.program(alone);
    let expected = project.bytes("out.jsonl");
    std::fs::remove_file(project.path("out.jsonl")).unwrap();

    let addresses = cluster(&project, &NAMES, "");
    let mut text = project.read("cluster.toml");
    for (device, address) in addresses.iter().enumerate() {
        text = text.replace(address, &format!("10.77.0.{}:7400", device + 1));
    }
    project.write("cluster.toml", text);
    let start = |device: usize| {
        let mut command = set(device);
        command.args(["--cluster", "cluster.toml", "--device", NAMES[device]]);
        command.args(["--report", "report.json"]);
        Device::run(&project, project.prepare(command))
    };
    for device in [0, 1].map(start) {
        device.end().ok();
    }
    assert!(project.bytes("out.jsonl") == expected);
    let report = project.json("report.json");
    assert_eq!(report["reviews"], REVIEWS);
    // Hidden states of 384 numbers crossed the cable.
    let sent = report["devices"][0]["bytes_sent"].as_u64().unwrap();
    assert!(sent > REVIEWS as u64 * 3 * 384 * 4, "{report}");
}
