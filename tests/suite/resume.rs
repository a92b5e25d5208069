//! A run that is killed and resumed gives the bytes of one that was not.

use crate::harness::{Project, Random, reviews};
use crate::pace::{Leash, kill_after};

const REVIEWS: usize = 400;

/// A graph of 100 batches, held by a leash when there is one.
fn graph(ending: &str) -> String {
    format!(
        "format = 1
[stream]
batch = 4
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.slow]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.out]
plugin = \"write\"
from = \"slow\"
with.path = \"out.{ending}\"
"
    )
}

/// Reviews of which every seventh cannot be used.
fn records() -> String {
    let text = reviews(REVIEWS);
    let line = |(i, line): (usize, &str)| match i % 7 {
        6 => format!("{i},\n"),
        _ => format!("{line}\n"),
    };
    text.lines().enumerate().map(line).collect()
}

fn project(ending: &str) -> Project {
    Project::with_graph(&graph(ending))
        .file("reviews.csv", records())
        .test_plugin()
}

/// What an undisturbed run writes: output and rejects.
fn undisturbed(ending: &str) -> (Vec<u8>, Vec<u8>) {
    let project = project(ending);
    project.run_graph(&["--set", "stream.batch=32"]);
    files(&project, ending)
}

fn files(project: &Project, ending: &str) -> (Vec<u8>, Vec<u8>) {
    let out = format!("out.{ending}");
    (
        project.bytes(&out),
        project.bytes(&format!("{out}.rejects.jsonl")),
    )
}

/// Kills a run after a commit, and `times` that resume the one before.
fn kill(project: &Project, output: &str, times: usize, more: &[&str], random: &mut Random) {
    let mut leash = Leash::new(project);
    let resume = [more, &["--resume"]].concat();
    for time in 0..=times {
        let more = if time == 0 { more } else { &resume };
        kill_after(&mut leash, output, 1, random.below(5) as u64, more);
    }
    leash.free();
}

/// Kills and resumes until done; the files must be those of an undisturbed run.
fn check(ending: &str, workers: &str, seed: u64) {
    let expected = undisturbed(ending);
    let project = project(ending);
    let mut random = Random(seed);
    let more = ["--workers", workers, "--set", "slow.replicas=2"];
    kill(&project, &format!("out.{ending}"), 8, &more, &mut random);
    project.run_graph(&[&more[..], &["--resume"]].concat());
    let (out, rejects) = files(&project, ending);
    assert!(out == expected.0, "`out.{ending}` is another");
    assert!(rejects == expected.1, "the rejects are others");
    for left in ["spool", "tmp"] {
        assert!(!project.has(&format!("out.{ending}.{left}")), "{left}");
    }
    // Once done, there is nothing to resume.
    let again = project.run_graph(&["--resume", "--report", "report.json"]);
    assert!(again.stderr.contains("nothing was left to do"), "{again}");
    assert_eq!(files(&project, ending).0, expected.0);
    let report = project.json("report.json");
    assert_eq!(report["reviews"], report["resumed"]);
    let rejected = expected.1.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(report["rejected"], rejected);
    assert_eq!(report["reviews"], REVIEWS - rejected);
}

#[test]
fn json_lines_on_one_worker() {
    check("jsonl", "1", 11);
}

#[test]
fn json_lines_on_two_workers() {
    check("jsonl", "2", 12);
}

#[test]
fn csv_on_one_worker() {
    check("csv", "1", 13);
}

#[test]
fn csv_on_two_workers() {
    check("csv", "2", 14);
}

#[test]
fn parquet_on_one_worker() {
    check("parquet", "1", 15);
}

#[test]
fn parquet_on_two_workers() {
    check("parquet", "2", 16);
}

/// A project whose run was killed after some commits, and before its end.
fn interrupted() -> Project {
    let project = project("jsonl");
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "out.jsonl", 10, 0, &[]);
    leash.free();
    project
}

#[test]
fn another_batch_size_and_other_workers_give_the_same_bytes() {
    let expected = undisturbed("jsonl");
    for more in [
        &[
            "--set",
            "stream.batch=1",
            "--workers",
            "2",
            "--set",
            "slow.replicas=2",
        ][..],
        &["--set", "stream.batch=32"],
        &["--set", "stream.window=1"],
    ] {
        let project = interrupted();
        let ran = project.run_graph(&[more, &["--resume"]].concat());
        assert!(ran.stderr.contains(" committed before)"), "{ran}");
        assert!(files(&project, "jsonl") == expected, "{more:?}");
    }
}

#[test]
fn without_resume_a_run_starts_afresh() {
    let expected = undisturbed("jsonl");
    let project = interrupted();
    let ran = project.run_graph(&[]);
    assert!(!ran.stderr.contains("committed before"), "{ran}");
    assert!(files(&project, "jsonl") == expected);
}

#[test]
fn resume_without_a_journal_starts_at_the_beginning() {
    let project = project("jsonl");
    project.run_graph(&["--resume"]);
    assert!(files(&project, "jsonl") == undisturbed("jsonl"));
}

#[test]
fn another_option_or_another_input_cannot_be_resumed() {
    let project = interrupted();
    let before = files(&project, "jsonl");
    let changed = |more: &[&str], stage: &str| {
        let ran = project.run(&[&["run", "graph.toml", "--resume", "--quiet"], more].concat());
        let part = format!("cannot be resumed: stage `{stage}` or a file it reads has changed");
        ran.failed_with(1, "other-journal", &[&part, "leave out `--resume`"]);
        assert!(files(&project, "jsonl") == before, "it wrote");
    };
    changed(&["--set", "slow.sleep-ms=1"], "slow");
    changed(&["--set", "reviews.max-bytes=100"], "reviews");
    project.write("reviews.csv", records() + "1,one more\n");
    let ran = project.run(&["run", "graph.toml", "--resume", "--quiet"]);
    let part = "what `reviews` reads has changed since the run began";
    ran.failed_with(1, "other-journal", &[part, "leave out `--resume`"]);
    assert!(files(&project, "jsonl") == before, "it wrote");
}

#[test]
fn a_torn_line_of_the_journal_does_not_count() {
    let expected = undisturbed("jsonl");
    for torn in ["{\"time\":99,\"sourc", "\u{0}\u{0}\u{0}\u{0}\n"] {
        let project = interrupted();
        let journal = project.read("out.jsonl.journal");
        let whole = &journal[..=journal.rfind('\n').unwrap()];
        project.write("out.jsonl.journal", format!("{whole}{torn}"));
        project.run_graph(&["--resume"]);
        assert!(files(&project, "jsonl") == expected, "{torn}");
    }
}

#[test]
fn bytes_after_the_last_commit_are_cut_off() {
    let project = interrupted();
    let mut out = project.bytes("out.jsonl");
    out.extend(b"{\"review\":7,\"te");
    project.write("out.jsonl", out);
    project.run_graph(&["--resume"]);
    assert!(files(&project, "jsonl") == undisturbed("jsonl"));
}

#[test]
fn an_output_that_was_shortened_cannot_be_resumed() {
    let project = interrupted();
    project.write("out.jsonl", "{}\n");
    let ran = project.run(&["run", "graph.toml", "--resume", "--quiet"]);
    ran.failed_with(
        1,
        "bad-resume",
        &["`out.jsonl` has 3 bytes, fewer than the "],
    );
}

/// Two files into two outputs, one of each kind.
const TWO: &str = "format = 1
[stream]
batch = 4
window = 3
[stage.first]
plugin = \"read\"
with.path = \"first.csv\"
[stage.second]
plugin = \"read\"
with.path = \"second.csv\"
[stage.slow]
plugin = \"pass\"
from = [\"second\", \"first\"]
with.leash = \"leash\"
[stage.half]
plugin = \"every-other\"
from = \"slow\"
[stage.all]
plugin = \"write\"
from = [\"slow\", \"first\"]
with.path = \"all.csv\"
[stage.some]
plugin = \"write\"
from = \"half\"
with.path = \"some.parquet\"
";

fn two() -> Project {
    Project::with_graph(TWO)
        .file("first.csv", records())
        .file("second.csv", reviews(150))
        .test_plugin()
}

const TWO_OUTPUTS: [&str; 3] = ["all.csv", "all.csv.rejects.jsonl", "some.parquet"];

#[test]
fn two_sources_and_two_sinks_stay_in_step() {
    let undisturbed = two();
    undisturbed.run_graph(&["--quiet"]);
    let rows = undisturbed.read("all.csv").lines().count() - 1;
    let rejected = undisturbed.lines("all.csv.rejects.jsonl").len();
    assert_eq!(rows, 2 * (REVIEWS - rejected) + 150);
    for (workers, seed) in [("1", 17), ("2", 18)] {
        let project = two();
        let more = ["--workers", workers, "--set", "slow.replicas=2"];
        let mut random = Random(seed);
        kill(&project, "all.csv", 7, &more, &mut random);
        project.run_graph(&[&more[..], &["--resume"]].concat());
        for file in TWO_OUTPUTS {
            assert!(project.bytes(file) == undisturbed.bytes(file), "{file}");
        }
    }
}

/// Rows that go round a few times before they are written.
fn round() -> Project {
    let graph = graph("jsonl").replace(
        "[stage.out]",
        "[stage.zero]
plugin = \"zero\"
from = \"slow\"
[stage.step]
plugin = \"add-one\"
from = \"zero\"
loop = \"again\"
[stage.again]
plugin = \"reached\"
from = \"step\"
with.most = 5
with.keep = false
[stage.out]",
    );
    let graph = graph.replace("from = \"slow\"\nwith.path", "from = \"step\"\nwith.path");
    project("jsonl").file("graph.toml", graph)
}

#[test]
fn a_loop_goes_on_where_it_was() {
    let undisturbed = round();
    undisturbed.run_graph(&[]);
    let expected = files(&undisturbed, "jsonl");
    let project = round();
    let mut leash = Leash::new(&project);
    for (commits, more) in [(3, &[][..]), (2, &["--resume"]), (9, &["--resume"])] {
        kill_after(&mut leash, "out.jsonl", commits, 0, more);
    }
    leash.free();
    let done = project.run_graph(&["--resume"]);
    assert!(done.stderr.contains(" committed before)"), "{done}");
    assert!(files(&project, "jsonl") == expected, "the rows are others");
    let names = std::fs::read_dir(project.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.contains("state")).collect();
    assert!(left.is_empty(), "what was kept is not removed: {left:?}");
}

#[test]
fn another_rejects_file_cannot_be_resumed() {
    let project = interrupted();
    let ran = project.run(&[
        "run",
        "graph.toml",
        "--resume",
        "--quiet",
        "--rejects",
        "others.jsonl",
    ]);
    ran.failed_with(
        1,
        "bad-resume",
        &["`others.jsonl` has 0 bytes, fewer than the "],
    );
    assert!(!project.has("others.jsonl"));
}
