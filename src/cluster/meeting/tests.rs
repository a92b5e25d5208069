//! Coming together, event by event: no socket and no clock.

use super::*;
use crate::cluster::Identity;
use crate::diagnostic::Sources;

/// Devices `d0`, `d1`, ... that wait for each other for 30 s, and decide after `survivors`.
fn cluster(count: usize, survivors: Option<u64>) -> Cluster {
    let mut text = "format = 1\n".to_owned();
    if let Some(seconds) = survivors {
        text += &format!("survivors-seconds = {seconds}\n");
    }
    text += "[mesh]\nconnect-seconds = 30\n";
    for i in 0..count {
        let print = Identity::generate(&format!("d{i}")).unwrap().fingerprint;
        text += &format!(
            "[device.d{i}]\naddress = \"h:{}\"\nidentity = \"{print}\"\n",
            i + 1
        );
    }
    let mut sources = Sources::new();
    let source = sources.add("cluster.toml", text);
    crate::cluster::check(&sources, source).unwrap()
}

fn meeting(cluster: &Cluster, me: usize, now: Instant) -> Meeting<'_> {
    Meeting::new((cluster, me, Members::ALL), None, None, now)
}

fn after(began: Instant, seconds: u64) -> Instant {
    began + Duration::from_secs(seconds)
}

/// As a test compares them: `call 0`, `end missing-devices`.
fn told(actions: Vec<Action>) -> Vec<String> {
    let one = |action| match action {
        Action::Call(device) => format!("call {device}"),
        Action::Ask(device) => format!("ask {device}"),
        Action::Announce(device) => format!("announce {device}"),
        Action::Say { line, .. } => line,
        Action::GoOn(members) => format!("go on with {:b}", members.bits()),
        Action::End(Ok(())) => "end".to_owned(),
        Action::End(Err(error)) => format!("end {}: {error}", error.code()),
    };
    actions.into_iter().map(one).collect()
}

#[test]
fn who_comes_after_is_waited_for_and_who_comes_before_is_called() {
    let (cluster, now) = (cluster(3, None), Instant::now());
    let mut middle = meeting(&cluster, 1, now);
    assert_eq!(told(middle.begin(now)), ["call 0"]);
    assert!(middle.on(Event::Linked(2, 1), now).is_empty());
    let all = told(middle.on(Event::Linked(0, 2), now));
    assert_eq!(all, ["announce 0", "announce 2"]);
    assert!(middle.on(Event::Ready(0, 2), now).is_empty());
    assert_eq!(told(middle.on(Event::Ready(2, 1), now)), ["end"]);
}

#[test]
fn a_device_alone_waits_for_nobody() {
    let (cluster, now) = (cluster(1, None), Instant::now());
    assert_eq!(told(meeting(&cluster, 0, now).begin(now)), ["end"]);
}

#[test]
fn a_link_that_is_down_is_made_again_by_whoever_made_it() {
    let (cluster, now) = (cluster(3, None), Instant::now());
    let mut middle = meeting(&cluster, 1, now);
    middle.begin(now);
    middle.on(Event::Linked(0, 1), now);
    middle.on(Event::Linked(2, 2), now);
    let down = |device, serial| Event::Down(device, serial, "it ended".to_owned());
    assert!(middle.on(down(2, 2), now).is_empty());
    assert_eq!(told(middle.on(down(0, 1), now)), ["call 0"]);
    // Nothing follows of what an older link says.
    assert_eq!(told(middle.on(Event::Linked(0, 3), now)), ["announce 0"]);
    assert!(middle.on(down(0, 1), now).is_empty());
    assert!(middle.on(Event::Ready(0, 1), now).is_empty());
    middle.on(Event::Linked(2, 4), now);
    middle.on(Event::Ready(2, 4), now);
    assert_eq!(told(middle.on(Event::Ready(0, 3), now)), ["end"]);
}

#[test]
fn who_is_late_is_named_with_what_was_seen_of_it() {
    let (cluster, now) = (cluster(3, None), Instant::now());
    let mut first = meeting(&cluster, 0, now);
    assert!(first.begin(now).is_empty());
    first.on(Event::Linked(1, 1), now);
    let waiting = told(first.on(Event::Tick, after(now, 10)));
    let missing = "`d1` at h:2 (it is here, but waits for others), `d2` at h:3 (it never answered)";
    assert_eq!(waiting, [format!("waiting for {missing}")]);
    let end = told(first.on(Event::Tick, after(now, 30)));
    let late = format!("end missing-devices: after 30 s these devices are missing: {missing}");
    assert_eq!(end, [late]);
}

#[test]
fn that_nobody_was_there_is_known_at_the_end() {
    let (cluster, now) = (cluster(2, None), Instant::now());
    let nobody = |events: Vec<Event>| {
        let mut second = meeting(&cluster, 1, now);
        second.begin(now);
        events
            .into_iter()
            .for_each(|event| drop(second.on(event, now)));
        let last = second.on(Event::Tick, after(now, 30)).pop();
        match last {
            Some(Action::End(Err(MeshError::Missing { nobody, .. }))) => nobody,
            other => panic!("{other:?}"),
        }
    };
    let trouble = |there| Event::Trouble(0, "x".to_owned(), there);
    assert!(nobody(vec![]));
    assert!(nobody(vec![trouble(false)]));
    assert!(!nobody(vec![trouble(true), trouble(false)]));
    assert!(!nobody(vec![Event::Linked(0, 1)]));
}

#[test]
fn a_device_that_most_others_refuse_ends() {
    let (cluster, now) = (cluster(4, None), Instant::now());
    let mut last = meeting(&cluster, 3, now);
    last.begin(now);
    let differs = |device| Event::Differs(device, Some(Refusal::Plan), "another plan".to_owned());
    assert!(last.on(differs(1), now).is_empty());
    // The same again is not another voice.
    assert!(last.on(differs(1), now).is_empty());
    let end = told(last.on(differs(2), now));
    assert_eq!(
        end,
        ["end different-plan: `d1` at h:2 refuses: another plan"]
    );
}

#[test]
fn a_device_that_was_put_right_does_not_count() {
    let (cluster, now) = (cluster(4, None), Instant::now());
    let mut last = meeting(&cluster, 3, now);
    last.begin(now);
    let differs = |device| Event::Differs(device, Some(Refusal::Plan), "another plan".to_owned());
    last.on(differs(1), now);
    // It stays so while it cannot be reached, but not when it comes back.
    last.on(Event::Trouble(1, "refused".to_owned(), false), now);
    last.on(Event::Linked(1, 1), now);
    assert!(last.on(differs(2), now).is_empty());
    // Another process under the name of a device that is here says nothing about it.
    assert!(last.on(differs(1), now).is_empty());
    let end = told(last.on(Event::Tick, after(now, 30)));
    assert_eq!(
        end,
        ["end different-plan: `d2` at h:3 refuses: another plan"]
    );
}

#[test]
fn a_caller_that_differs_is_not_what_this_device_ends_for() {
    let (cluster, now) = (cluster(2, None), Instant::now());
    let mut first = meeting(&cluster, 0, now);
    first.begin(now);
    let event = Event::Differs(1, None, "another plan".to_owned());
    assert!(first.on(event, now).is_empty());
    let end = told(first.on(Event::Tick, after(now, 30)));
    let late =
        "end missing-devices: after 30 s these devices are missing: `d1` at h:2 (another plan)";
    assert_eq!(end, [late]);
}

#[test]
fn who_is_left_out_waits_until_the_device_that_commits_is_gone() {
    let (cluster, now) = (cluster(3, Some(5)), Instant::now());
    let mut first = Meeting::new((&cluster, 0, Members::ALL), Some(2), None, now);
    assert_eq!(told(first.begin(now)), ["ask 2"]);
    first.on(Event::Without, now);
    assert!(
        first
            .on(Event::Trouble(2, "x".to_owned(), true), after(now, 60))
            .is_empty()
    );
    // Another one that is gone changes nothing.
    assert!(
        first
            .on(Event::Trouble(1, "x".to_owned(), false), after(now, 60))
            .is_empty()
    );
    let end = told(first.on(Event::Trouble(2, "y".to_owned(), false), after(now, 60)));
    assert_eq!(end.len(), 1, "{end:?}");
    assert!(
        end[0].starts_with("end missing-devices: after 35 s"),
        "{end:?}"
    );
}

#[test]
fn without_the_device_that_commits_nobody_goes_on_and_that_is_said() {
    let (cluster, now) = (cluster(3, Some(5)), Instant::now());
    let mut first = Meeting::new((&cluster, 0, Members::ALL), Some(2), None, now);
    first.begin(now);
    assert!(first.on(Event::Tick, after(now, 4)).is_empty());
    let line = "`d2` is waited for: results are committed there";
    assert_eq!(told(first.on(Event::Tick, after(now, 5))), [line]);
    assert!(first.on(Event::Linked(2, 1), after(now, 6)).is_empty());
}

#[test]
fn the_device_that_commits_goes_on_with_those_who_are_left() {
    let (cluster, now) = (cluster(3, Some(5)), Instant::now());
    let possible = |members: Members| match members.bits() {
        0b101 => Ok(()),
        _ => Err("`d1` alone has the model".to_owned()),
    };
    let mut absent = vec![None; 3];
    let survivors = Survivors {
        after: Duration::from_secs(5),
        absent: &mut absent,
        possible: &possible,
    };
    let mut first = Meeting::new((&cluster, 0, Members::ALL), Some(0), Some(survivors), now);
    assert!(first.begin(now).is_empty());
    // All must be gone for so long.
    first.on(Event::Linked(2, 1), after(now, 1));
    first.on(Event::Down(2, 1, "it ended".to_owned()), after(now, 2));
    assert!(first.on(Event::Tick, after(now, 6)).is_empty());
    let waits =
        "the run waits for `d1` (it never answered), `d2` (it ended): `d1` alone has the model";
    assert_eq!(told(first.on(Event::Tick, after(now, 7))), [waits]);
    // It has no deadline of its own.
    assert_eq!(told(first.on(Event::Tick, after(now, 9))), [waits]);
    let decided = told(first.on(Event::Linked(2, 2), after(now, 9)));
    let line = "the run goes on without `d1` (it never answered)";
    assert_eq!(decided, [line, "go on with 101"]);
    drop(first);
    assert_eq!(absent, [None, Some(now), None]);
}

#[test]
fn a_later_generation_and_the_end_of_the_run_end_it() {
    let (cluster, now) = (cluster(2, None), Instant::now());
    let end = |event| told(meeting(&cluster, 1, now).on(event, now));
    let outdated = "end older-generation: another device is at generation 7 of the run already";
    assert_eq!(end(Event::Outdated(7, Members::ALL)), [outdated]);
    assert_eq!(end(Event::Done), ["end done: the run is complete"]);
}
