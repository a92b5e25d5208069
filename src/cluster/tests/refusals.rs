//! Devices that do not belong together.

use super::super::link::lock;
use super::super::*;
use super::{Devices, Twist, devices};

/// Device 0 waits as it should; device 1 calls it with a twist. What became of each.
fn meet(devices: &Devices, twist: Twist) -> [Result<Mesh, MeshError>; 2] {
    let patient = Twist {
        generation: 5,
        cluster: Some(devices.hasty()),
        ..Twist::default()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| devices.form(0, patient));
        let second = scope.spawn(|| devices.form(1, twist));
        [first.join().unwrap(), second.join().unwrap()]
    })
}

fn error(result: Result<Mesh, MeshError>) -> MeshError {
    result.err().unwrap()
}

/// What device 0 noted must be this once, and both end with these errors.
fn refused(twist: impl Fn(&Devices) -> Twist, note: &str, codes: [&str; 2]) -> MeshError {
    let devices = devices(2);
    let [first, second] = meet(&devices, twist(&devices));
    let (first, second) = (error(first), error(second));
    let notes = lock(&devices.notes[0]).clone();
    assert_eq!(
        notes,
        [format!("a connection from 127.0.0.1 was refused: {note}")]
    );
    assert_eq!([first.code(), second.code()], codes, "{first}; {second}");
    second
}

fn usual(devices: &Devices) -> Twist {
    Twist {
        generation: 5,
        cluster: Some(devices.hasty()),
        ..Twist::default()
    }
}

#[test]
fn a_different_graph() {
    let twist = |d: &Devices| Twist {
        plan_hash: [1; 32],
        ..usual(d)
    };
    let note = "it runs a different graph or plan";
    let error = refused(twist, note, ["missing-devices", "different-plan"]);
    assert!(
        error
            .to_string()
            .ends_with("refuses: it runs a different graph or plan"),
        "{error}"
    );
}

#[test]
fn an_older_generation_learns_the_newer() {
    let twist = |d: &Devices| Twist {
        generation: 4,
        ..usual(d)
    };
    let note = "it is at an earlier generation of the run";
    let error = refused(twist, note, ["missing-devices", "older-generation"]);
    assert!(
        matches!(error, MeshError::Outdated { generation: 5, .. }),
        "{error}"
    );
}

#[test]
fn a_newer_generation_makes_the_older_begin_again() {
    let devices = devices(2);
    let [first, second] = meet(
        &devices,
        Twist {
            generation: 9,
            ..usual(&devices)
        },
    );
    assert!(matches!(
        error(first),
        MeshError::Outdated { generation: 9, .. }
    ));
    assert_eq!(error(second).code(), "missing-devices");
}

#[test]
fn other_cluster_files() {
    let workers = |d: &Devices| {
        let mut cluster = d.hasty();
        cluster.devices[1].workers = 3;
        Twist {
            cluster: Some(cluster),
            ..usual(d)
        }
    };
    let note = "its cluster file has another number of workers";
    refused(workers, note, ["missing-devices", "different-cluster"]);
    let more = |d: &Devices| {
        let mut cluster = d.hasty();
        let mut third = cluster.devices[1].clone();
        third.identity = Fingerprint::of(b"third");
        third.address = "127.0.0.1:9".to_owned();
        cluster.devices.push(third);
        Twist {
            cluster: Some(cluster),
            ..usual(d)
        }
    };
    let note = "its cluster file has another number of devices";
    refused(more, note, ["missing-devices", "different-cluster"]);
}

/// A device with a certificate that the other's cluster file does not have.
#[test]
fn a_wrong_certificate() {
    let twist = |d: &Devices| {
        let identity = Identity::generate("d1").unwrap();
        let mut cluster = d.hasty();
        cluster.devices[1].identity = identity.fingerprint;
        Twist {
            identity: Some(identity),
            cluster: Some(cluster),
            ..usual(d)
        }
    };
    let devices = devices(2);
    let twist = twist(&devices);
    let found = twist.identity.as_ref().unwrap().fingerprint;
    let [first, second] = meet(&devices, twist);
    let note = format!(
        "a connection from 127.0.0.1 was refused: its identity {found} is not the one in the cluster file"
    );
    assert_eq!(*lock(&devices.notes[0]), [note]);
    assert_eq!(error(first).code(), "missing-devices");
    let second = error(second);
    let why = format!("it does not accept the identity of this device, {found}");
    assert!(second.to_string().contains(&why), "{second}");
    assert_eq!(lock(&devices.notes[1]).len(), 1);
}

/// Whoever answers at a device's address is not that device.
#[test]
fn a_wrong_certificate_of_the_one_called() {
    let devices = devices(2);
    let mut cluster = devices.hasty();
    cluster.devices[0].identity = Fingerprint::of(b"another");
    let [_, second] = meet(
        &devices,
        Twist {
            cluster: Some(cluster),
            ..usual(&devices)
        },
    );
    let second = error(second).to_string();
    let why = format!(
        "its identity {} is not the one",
        devices.identities[0].fingerprint
    );
    assert!(second.contains(&why), "{second}");
}

#[test]
fn an_identity_that_is_not_this_devices() {
    let devices = devices(2);
    let identity = Some(devices.identities[0].clone());
    let error = error(devices.form(
        1,
        Twist {
            identity,
            ..usual(&devices)
        },
    ));
    assert_eq!(error.code(), "wrong-identity");
}

#[test]
fn who_is_missing_is_named() {
    let devices = devices(3);
    let (first, third) = std::thread::scope(|scope| {
        let first = scope.spawn(|| devices.form(0, usual(&devices)));
        let mut patient = usual(&devices);
        patient.cluster.as_mut().unwrap().mesh.connect = std::time::Duration::from_secs(8);
        let third = scope.spawn(|| devices.form(2, patient));
        (error(first.join().unwrap()), error(third.join().unwrap()))
    });
    let MeshError::Missing { missing, .. } = &first else {
        panic!("{first}")
    };
    let why = |name: &str| &missing.iter().find(|m| m.name == name).unwrap().why;
    assert_eq!(why("d1"), "it never answered");
    assert_eq!(why("d2"), "it is here, but waits for others");
    assert!(
        first
            .to_string()
            .starts_with("after 4 s these devices are missing: `d1` at 127.0.0.1:")
    );
    assert!(third.to_string().contains("`d1`"), "{third}");
}

#[test]
fn an_address_in_use() {
    let devices = devices(1);
    let _taken = std::net::TcpListener::bind(devices.address(0));
    let error = listen(&devices.cluster, 0).unwrap_err();
    assert_eq!(error.code(), "cannot-listen");
}

/// One that is wrong and came first does not end one that is right and came later: it is
/// the wrong one that most others refuse.
#[test]
fn one_that_is_wrong_does_not_end_those_that_are_right() {
    let devices = devices(3);
    std::thread::scope(|scope| {
        let wrong = Twist {
            plan_hash: [1; 32],
            ..Twist::default()
        };
        let wrong = scope.spawn(|| devices.form(1, wrong));
        let third = scope.spawn(|| devices.form(2, Twist::default()));
        let noted = || lock(&devices.notes[1]).len();
        assert!(super::wait_for(|| noted() == 1), "never refused");
        assert!(!third.is_finished() && !wrong.is_finished());
        let first = scope.spawn(|| devices.form(0, Twist::default()));
        assert_eq!(error(wrong.join().unwrap()).code(), "different-plan");
        assert!(!third.is_finished() && !first.is_finished());
        devices.form(1, Twist::default()).unwrap();
        first.join().unwrap().unwrap();
        third.join().unwrap().unwrap();
    });
}
