//! Cluster files, good and bad.

use std::time::Duration;

use super::super::*;
use crate::diagnostic::Sources;

const PRINT: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn read(text: &str) -> Result<Cluster, String> {
    let text = text
        .replace("PRINT-1", PRINT)
        .replace("PRINT-2", &PRINT.replace('e', "f"));
    let mut sources = Sources::new();
    let source = sources.add("home.toml", text);
    check(&sources, source)
        .map_err(|errors| errors.iter().map(|error| error.render(&sources)).collect())
}

#[test]
fn a_whole_file() {
    let cluster = read(
        r#"
format = 1
[mesh]
failure-seconds = 2.5
[device.kitchen]
address = "192.168.1.10:7400"
workers = 2
memory = "512 MiB"
identity = "PRINT-1"
[device.hall]
address = "hall.local:7400"
identity = "PRINT-2"
[place]
"encoder/0" = "kitchen"
encoder = ["hall", "kitchen"]
"#,
    )
    .unwrap();
    assert_eq!(cluster.mesh.connect, Duration::from_secs(60));
    assert_eq!(cluster.mesh.failure, Duration::from_millis(2500));
    assert_eq!(cluster.device("hall"), Some(1));
    let [kitchen, hall] = &cluster.devices[..] else {
        panic!("{cluster:?}")
    };
    assert_eq!((kitchen.workers, kitchen.memory), (2, Some(512 << 20)));
    assert_eq!((hall.workers, hall.memory), (1, None));
    let place = |i: usize| {
        let devices: Vec<usize> = cluster.place[i].devices.iter().map(|(d, _)| *d).collect();
        (cluster.place[i].stage.as_str(), devices)
    };
    assert_eq!(place(0), ("encoder/0", vec![0]));
    assert_eq!(place(1), ("encoder", vec![1, 0]));
}

#[test]
fn all_errors_at_once() {
    let errors = read(
        r#"format = 2
[mesh]
conect-seconds = 9
failure-seconds = 0
[device.kitchen]
address = "192.168.1.10"
workers = 0
memory = "512"
identity = "sha256:00"
[device.hall]
address = "10.0.0.1:7400"
memory = 512
[device.attic]
address = "10.0.0.1:7400"
workers = "two"
identity = "PRINT-1"
[device."the loft"]
address = "10.0.0.2:7400"
identity = "PRINT-1"
[place]
a = "kitchn"
b = ["hall", "hall", 3]
c = []
[devices]
"#,
    )
    .unwrap_err();
    let expected = r#"error[bad-format]: this is not format 1, the only one known
  --> home.toml:1:10
1 | format = 2
  |          ^
error[unknown-key]: unknown key `conect-seconds`
  --> home.toml:3:1
3 | conect-seconds = 9
  | ^^^^^^^^^^^^^^
help: did you mean `connect-seconds`?
error[bad-value]: `failure-seconds` must be from 0.5 to 86400
  --> home.toml:4:19
4 | failure-seconds = 0
  |                   ^
error[bad-address]: `192.168.1.10` is not an address: it has no port
  --> home.toml:6:11
6 | address = "192.168.1.10"
  |           ^^^^^^^^^^^^^^
help: write host and port, such as `192.168.1.10:7400`
error[bad-value]: `workers` must be from 1 to 1024
  --> home.toml:7:11
7 | workers = 0
  |           ^
error[bad-size]: `512` is not a size
  --> home.toml:8:10
8 | memory = "512"
  |          ^^^^^
help: write a number and a unit, such as `512 MiB`
error[bad-identity]: this is not a fingerprint: a fingerprint has 64 hexadecimal digits, not 2
  --> home.toml:9:12
9 | identity = "sha256:00"
  |            ^^^^^^^^^^^
error[missing-key]: `hall` does not say its `identity`
  --> home.toml:10:9
10 | [device.hall]
   |         ^^^^
help: `segue identity new NAME` on the device makes one and tells it
error[wrong-type]: `memory` must be a string, not an integer
  --> home.toml:12:10
12 | memory = 512
   |          ^^^
error[duplicate-address]: `attic` has the same address as `hall`
  --> home.toml:14:11
11 | address = "10.0.0.1:7400"
   |           --------------- that of `hall`
14 | address = "10.0.0.1:7400"
   |           ^^^^^^^^^^^^^^^
error[wrong-type]: `workers` must be an integer, not a string
  --> home.toml:15:11
15 | workers = "two"
   |           ^^^^^
error[bad-name]: `the loft` cannot be the name of a device
  --> home.toml:17:9
17 | [device."the loft"]
   |         ^^^^^^^^^^
help: use letters, digits, `-` and `_`, at most 64
error[duplicate-identity]: `the loft` has the same identity as `attic`
  --> home.toml:19:12
16 | identity = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
   |            ------------------------------------------------------------------------- that of `attic`
19 | identity = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
error[unknown-device]: there is no device `kitchn`
  --> home.toml:21:5
21 | a = "kitchn"
   |     ^^^^^^^^
help: did you mean `kitchen`?
error[duplicate]: `b` is placed on `hall` twice
  --> home.toml:22:14
22 | b = ["hall", "hall", 3]
   |              ^^^^^^
error[wrong-type]: `b` must be the name of a device, or a list of them, not an integer
  --> home.toml:22:22
22 | b = ["hall", "hall", 3]
   |                      ^
error[bad-value]: `c` is placed on no device
  --> home.toml:23:5
23 | c = []
   |     ^^
error[unknown-key]: unknown key `devices`
  --> home.toml:24:2
24 | [devices]
   |  ^^^^^^^
help: did you mean `device`?
"#;
    assert_eq!(errors, expected);
}

#[test]
fn a_file_that_says_nothing() {
    assert!(read("").unwrap_err().contains("error[missing-format]"));
    assert!(
        read("format = 1")
            .unwrap_err()
            .contains("error[no-devices]")
    );
    assert!(
        read("format = 1\ndevice = 3")
            .unwrap_err()
            .contains("must be a table")
    );
    assert!(
        read("format = 1\n[device.a")
            .unwrap_err()
            .contains("error[syntax]")
    );
}
