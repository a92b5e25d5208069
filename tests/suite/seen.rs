//! What people see: progress in a terminal, signals, closed pipes, texts of others.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::harness::{Project, reviews};
use crate::pace::{Leash, commits, eventually};

const REVIEWS: usize = 80;

fn graph(ending: &str) -> String {
    format!(
        "format = 1
[stream]
batch = 4
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"my reviews.{ending}\"
[stage.slow]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"slow\"
with.path = \"out.jsonl\"
"
    )
}

fn records(ending: &str) -> String {
    let csv = reviews(REVIEWS);
    match ending {
        "csv" => csv,
        _ => (csv.lines().skip(1))
            .map(|line| format!("{{\"text\": \"{}\"}}\n", &line[2..]))
            .collect(),
    }
}

fn project(ending: &str) -> Project {
    Project::with_graph(&graph(ending))
        .file(&format!("my reviews.{ending}"), records(ending))
        .test_plugin()
}

/// Starts `command` with what it says in the file `said`.
fn saying(project: &Project, mut command: Command) -> Child {
    let file = std::fs::File::create(project.path("said")).unwrap();
    let command = command.stdout(Stdio::null()).stderr(file);
    command.spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.unwrap().success());
}

/// Waits until the run has noticed a signal: it is then held in a batch.
fn noticed(project: &Project) {
    eventually("the signal is noticed", || {
        project
            .read("said")
            .contains("ending behind what is under way")
    });
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    eventually("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// The command that the run names to go on with.
fn command(said: &str) -> &str {
    let (_, command) = said
        .split_once("help: go on from there with: ")
        .expect(said);
    command.trim_end()
}

/// Runs with `more`, sends `signal` in the middle, and goes on as the run says.
fn interrupted(signal: &str, code: i32, name: &str, more: &[&str]) {
    let project = project("csv");
    let mut leash = Leash::new(&project);
    let run = project.command(&[&["run", "graph.toml"], more].concat());
    let mut child = saying(&project, run);
    leash.until("it commits", || commits(&project, "out.jsonl") >= 2);
    send(signal, &child);
    noticed(&project);
    leash.free();
    assert_eq!(ended(&mut child).code(), Some(code));
    let said = project.read("said");
    let rows = project.lines("out.jsonl").len();
    assert!(0 < rows && rows < REVIEWS, "{rows}");
    let message =
        format!("error[interrupted]: {name} came before the end; {rows} reviews committed");
    assert!(said.contains(&message), "{said}");
    let mut again = Command::new("sh");
    again.args(["-c", command(&said)]);
    again.env("SEGUE_PLUGIN_PATH", project.path("test-plugin"));
    let status = project.prepare(again).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{said}");
    let all = project.lines("out.jsonl");
    assert_eq!(all.len(), REVIEWS);
    assert!((all.iter().enumerate()).all(|(i, row)| row["review"] == i));
}

#[test]
fn ctrl_c_says_what_is_committed_and_how_to_go_on() {
    interrupted("-INT", 130, "SIGINT", &[]);
}

#[test]
fn a_search_that_is_interrupted_before_it_gives_a_row_goes_on() {
    let graph = "format = 1
[stage.search]
plugin = \"pso\"
loop = \"function\"
with.generations = 20
[stage.hold]
plugin = \"hold\"
from = \"search\"
with.leash = \"leash\"
[stage.function]
plugin = \"function\"
from = \"hold\"
[stage.best]
plugin = \"search-best\"
from = \"search\"
[stage.out]
plugin = \"write\"
from = \"best\"
with.path = \"out.jsonl\"
";
    let project = Project::with_graph(graph).test_plugin();
    let mut leash = Leash::new(&project);
    let mut child = saying(&project, project.command(&["run", "graph.toml"]));
    leash.until("it commits", || commits(&project, "out.jsonl") >= 3);
    send("-INT", &child);
    noticed(&project);
    leash.free();
    assert_eq!(ended(&mut child).code(), Some(130));
    let said = project.read("said");
    assert!(said.contains("what was done so far is kept"), "{said}");
    let mut again = Command::new("sh");
    again.args(["-c", command(&said)]);
    again.env("SEGUE_PLUGIN_PATH", project.path("test-plugin"));
    let status = project.prepare(again).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{said}");
    assert_eq!(project.lines("out.jsonl").len(), 1);
}

#[test]
fn kill_says_what_is_committed_and_how_to_go_on() {
    interrupted(
        "-TERM",
        143,
        "SIGTERM",
        &["--resume", "--set", "stream.window=2"],
    );
}

#[test]
fn local_devices_are_ended_together() {
    interrupted("-TERM", 143, "SIGTERM", &["--devices", "2"]);
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let project = project("csv");
    let mut leash = Leash::new(&project);
    let mut child = saying(&project, project.command(&["run", "graph.toml"]));
    leash.walk(1);
    send("-INT", &child);
    noticed(&project);
    send("-INT", &child);
    // The stage is still held.
    assert_eq!(ended(&mut child).signal(), Some(2));
    leash.free();
    project.run_graph(&["--quiet", "--resume"]);
    assert_eq!(project.lines("out.jsonl").len(), REVIEWS);
}

/// `segue` with `arguments` in a terminal of `columns`, with `environment`; what it shows
/// goes to the file `shown`. None where this system has no `script`.
fn in_terminal(
    project: &Project,
    columns: usize,
    environment: &str,
    arguments: &str,
) -> Option<Child> {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: this system has no `script`");
        return None;
    }
    let segue = env!("CARGO_BIN_EXE_segue");
    let line = format!("stty cols {columns} rows 20; {environment} exec {segue} {arguments}");
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command.env("SEGUE_PLUGIN_PATH", project.path("test-plugin"));
    let file = std::fs::File::create(project.path("shown")).unwrap();
    let command = &mut project.prepare(command);
    let command = command
        .stdin(Stdio::piped())
        .stdout(file)
        .stderr(Stdio::null());
    Some(command.spawn().unwrap())
}

/// The lines of a terminal as they were drawn, without what moves its cursor.
fn drawn(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => drop(chars.find(char::is_ascii_alphabetic)),
            '\r' | '\n' => lines.push(String::new()),
            c => lines.last_mut().unwrap().push(c),
        }
    }
    lines
}

#[test]
fn a_terminal_shows_share_rate_and_time_left_for_every_text_format() {
    for (ending, columns) in [("csv", 100), ("jsonl", 30)] {
        let project = project(ending);
        let mut leash = Leash::new(&project);
        let Some(mut child) = in_terminal(&project, columns, "", "run graph.toml") else {
            return;
        };
        leash.until("it commits", || commits(&project, "out.jsonl") >= 2);
        let share = |line: &String| {
            let (share, _) = line.split_once(" %, ")?;
            share.trim().parse::<u32>().ok()
        };
        let shares = || {
            drawn(&project.read("shown"))
                .iter()
                .filter_map(share)
                .collect::<Vec<_>>()
        };
        eventually("a share is shown", || {
            shares().iter().any(|share| (1..100).contains(share))
        });
        // The time left is told once the rate is steady.
        let left = |line: &String| line.contains(" left") || columns < 60;
        eventually("more is shown", || {
            leash.pay_out(1);
            drawn(&project.read("shown")).iter().any(left) || child.try_wait().unwrap().is_some()
        });
        leash.free();
        assert!(ended(&mut child).success());
        let shown = project.read("shown");
        let lines = drawn(&shown);
        let progress: Vec<_> = lines.iter().filter(|line| share(line).is_some()).collect();
        assert!(
            progress
                .iter()
                .all(|line| line.trim_end().chars().count() <= columns),
            "{progress:?}"
        );
        if columns >= 60 {
            assert!(
                progress.iter().any(|line| line.contains(" a second")),
                "{progress:?}"
            );
        }
        assert!(
            lines.iter().any(|line| line.starts_with("80 reviews in ")),
            "{shown}"
        );
    }
}

#[test]
fn errors_are_coloured_in_a_terminal_that_wants_it() {
    let project = Project::with_graph("format = 2\n");
    let red = "\u{1b}[1;31merror[";
    for (environment, coloured) in [("", true), ("NO_COLOR=1", false), ("TERM=dumb", false)] {
        let Some(mut child) = in_terminal(&project, 80, environment, "check graph.toml") else {
            return;
        };
        assert_eq!(ended(&mut child).code(), Some(2));
        let shown = project.read("shown");
        assert!(shown.contains("error["), "{shown}");
        assert_eq!(shown.contains(red), coloured, "{environment} {shown:?}");
        assert_eq!(
            shown.contains('\u{1b}'),
            coloured,
            "{environment} {shown:?}"
        );
    }
}

#[test]
fn who_goes_away_is_no_failure() {
    let project = project("csv");
    for arguments in [
        &["explain", "graph.toml"][..],
        &["stages"],
        &["run", "graph.toml"],
    ] {
        let mut command = project.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(ended(&mut child).code(), Some(0), "{arguments:?}");
    }
    assert_eq!(project.lines("out.jsonl").len(), REVIEWS);
    let mut command = project.command(&["check", "none.toml"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(ended(&mut child).code(), Some(2));
}

#[test]
fn names_of_others_cannot_move_the_cursor() {
    let project = project("csv");
    let name = "no\u{1b}[2J\u{7}\nfile\u{202e}.csv";
    let path = format!("reviews.path={name}");
    let graph = "gr\u{1b}[31maph\n.toml";
    project.write(graph, project.read("graph.toml"));
    for arguments in [
        &["check", "graph.toml", "--set", &path][..],
        &["check", graph, "--set", &path],
        &["run", name],
    ] {
        let said = project.run(arguments).failed(2);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(acts), "{said:?}");
        assert!(
            said.contains("no\\u{1b}[2J\\u{7}\\nfile\\u{202e}.csv"),
            "{said}"
        );
    }
    // A graph of such a name runs.
    let ran = project.run(&["check", graph]).ok();
    assert_eq!(
        ran.stdout,
        "gr\\u{1b}[31maph\\n.toml: no errors in 3 stages\n"
    );
}
