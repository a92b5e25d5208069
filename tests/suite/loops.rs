//! Loops that start by themselves, parts that are dealt over all replicas, side inputs, and
//! stages that need no more.

use crate::harness::{Project, compile_row_count, reviews};
use crate::pace::{Leash, commits, kill_after};

/// A search in small. Its texts are a side input of what scores.
const SEARCH: &str = "format = 1
[stream]
batch = 4
window = 2
[stage.train]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.search]
plugin = \"propose\"
loop = \"score\"
with.generations = 60
with.candidates = 7
with.together = 1
[stage.score]
plugin = \"score\"
from = { candidates = \"search\", rows = \"train\" }
with.leash = \"leash\"
[stage.scores]
plugin = \"write\"
from = \"score\"
with.path = \"scores.jsonl\"
[stage.out]
plugin = \"write\"
from = \"search\"
with.path = \"out.csv\"
";

const FILES: [&str; 2] = ["scores.jsonl", "out.csv"];

fn search() -> Project {
    Project::with_graph(SEARCH)
        .file("reviews.csv", reviews(90))
        .test_plugin()
}

fn compare(project: &Project, expected: &Project, how: &str) {
    for file in FILES {
        let (is, must) = (project.read(file), expected.read(file));
        assert!(is == must, "{how}: {file}\n{is}\n--\n{must}");
    }
}

#[test]
fn a_search_gives_the_same_wherever_it_runs() {
    let expected = search();
    expected.run_graph(&["--workers", "1"]);
    let scores = expected.lines("scores.jsonl");
    assert_eq!(scores.len(), 60 * 7);
    assert!(scores.iter().all(|row| row["texts"] == 90), "{scores:?}");
    let out = expected.read("out.csv");
    assert_eq!(out.lines().count(), 1 + 60 * 7 + 1, "{out}");
    for more in [
        &["--workers", "2"][..],
        &["--workers", "5"],
        &["--workers", "3", "--set", "score.replicas=2"],
        &["--devices", "2", "--workers", "2"],
        &["--devices", "3"],
        &["--set", "search.together=0"],
        &["--workers", "2", "--set", "search.together=3"],
        &["--set", "stream.batch=7", "--set", "stream.window=1"],
    ] {
        let project = search();
        project.run_graph(more);
        compare(&project, &expected, &more.join(" "));
    }
}

#[test]
fn explain_shows_which_port_each_edge_leads_to() {
    let text = search().run(&["explain", "graph.toml"]).ok().stdout;
    for line in [
        "  from  search at `candidates`, train at `rows`\n",
        "  reads candidate: u64 at `candidates`\n",
        "  reads text: utf8 at `rows`\n",
        "  from  score at `scores`\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json = search().run(&["explain", "graph.toml", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&json.ok().stdout).unwrap();
    let ports: Vec<_> = plan["stages"].as_array().unwrap().iter().collect();
    let score = ports.iter().find(|stage| stage["name"] == "score").unwrap();
    assert_eq!(score["ports"], serde_json::json!(["candidates", "rows"]));
}

#[test]
fn a_column_that_is_missing_at_a_port_is_missed_at_its_edge() {
    let graph = SEARCH.replace("rows = \"train\"", "rows = \"other\"").replace(
        "[stage.train]\nplugin = \"read\"\nwith.path = \"reviews.csv\"",
        "[stage.other]\nplugin = \"propose\"\nloop = \"score\"\nwith.generations = 1\nwith.candidates = 1",
    );
    let project = Project::with_graph(&graph).test_plugin();
    let said = project.run(&["check", "graph.toml"]).failed(2);
    let edge = "
18 | from = { candidates = \"search\", rows = \"other\" }
   |                                        ^^^^^^^
";
    assert!(
        said.contains("error[missing-column]: `score` reads `text: utf8`"),
        "{said}"
    );
    assert!(said.contains(edge), "{said}");
}

#[test]
fn a_search_goes_on_where_it_was() {
    let expected = search();
    expected.run_graph(&[]);
    for (more, last) in [
        (&["--workers", "1"][..], &["--workers", "2"][..]),
        (&["--workers", "3"], &["--devices", "2"]),
    ] {
        let project = search();
        let mut leash = Leash::new(&project);
        for resume in [&[][..], &["--resume"], &["--resume"]] {
            kill_after(&mut leash, "scores.jsonl", 2, 1, &[more, resume].concat());
        }
        leash.free();
        let done = project.run_graph(&[last, &["--resume"]].concat());
        assert!(done.stderr.contains(" committed before"), "{done}");
        compare(&project, &expected, &more.join(" "));
        // All is committed: nothing is processed any more, wherever it is asked.
        for again in [
            &["--workers", "2", "--resume"][..],
            &["--devices", "2", "--resume"],
        ] {
            project.run_graph(again);
            compare(&project, &expected, &again.join(" "));
        }
    }
}

#[test]
fn records_of_a_side_input_are_rejected_once() {
    let bad = reviews(30) + "x,\n" + reviews(30).split_once('\n').unwrap().1;
    let project = Project::with_graph(SEARCH)
        .file("reviews.csv", &bad)
        .test_plugin();
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "scores.jsonl", 2, 1, &[]);
    leash.free();
    let done = project.run_graph(&["--resume"]);
    let rejects = project.lines("scores.jsonl.rejects.jsonl");
    assert_eq!(rejects.len(), 1, "{done} {rejects:?}");
}

const ENOUGH: &str = "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.pass]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.enough]
plugin = \"enough\"
from = \"pass\"
with.batches = 5
[stage.out]
plugin = \"write\"
from = \"enough\"
with.path = \"out.jsonl\"
";

fn enough(rows: usize) -> Project {
    // Whoever reads on meets a record that cannot be used.
    let bad = reviews(rows) + "x,\n" + reviews(4000).split_once('\n').unwrap().1;
    Project::with_graph(ENOUGH)
        .file("reviews.csv", bad)
        .test_plugin()
}

#[test]
fn a_stage_that_needs_no_more_ends_its_source() {
    let rows =
        "{\"rows\":4}\n{\"rows\":8}\n{\"rows\":12}\n{\"rows\":16}\n{\"rows\":20}\n{\"rows\":20}\n";
    for more in [
        &[][..],
        &["--workers", "3", "--set", "pass.replicas=3"],
        &["--devices", "2"],
    ] {
        let project = enough(24);
        project.run_graph(more);
        assert_eq!(project.read("out.jsonl"), rows, "{more:?}");
        // However far the source was, what nobody needed is not told of.
        assert!(!project.has("out.jsonl.rejects.jsonl"), "{more:?}");
    }
}

#[test]
fn what_ended_stays_ended_after_a_crash() {
    let expected = enough(24);
    expected.run_graph(&[]);
    let project = enough(24);
    let mut leash = Leash::new(&project);
    kill_after(&mut leash, "out.jsonl", 2, 0, &[]);
    assert!(commits(&project, "out.jsonl") >= 2);
    leash.free();
    project.run_graph(&["--resume"]);
    assert_eq!(project.read("out.jsonl"), expected.read("out.jsonl"));
    // All is committed: nothing is processed any more.
    project.run_graph(&["--resume"]);
    assert_eq!(project.read("out.jsonl"), expected.read("out.jsonl"));
}

/// The operator in C that ends itself, behind a stage that may be held.
fn counted(most: u64) -> Project {
    let graph = ENOUGH
        .replace(
            "\"enough\"\nfrom = \"pass\"",
            "\"libsegue_row_count.so\"\nfrom = { texts = \"pass\" }",
        )
        .replace("with.batches = 5", &format!("with.most = {most}"));
    let project = Project::with_graph(&graph)
        .file("reviews.csv", reviews(100))
        .test_plugin();
    compile_row_count(&project.path(""));
    project
}

#[test]
fn an_operator_in_c_ends_itself_and_keeps_its_state() {
    for (most, rows) in [(0, 100), (30, 32), (1000, 100)] {
        let project = counted(most);
        let mut leash = Leash::new(&project);
        kill_after(&mut leash, "out.jsonl", 3, 0, &[]);
        leash.free();
        let done = project.run_graph(&["--resume"]);
        let given = project.read("out.jsonl");
        assert_eq!(given, format!("{{\"rows\":{rows}}}\n"), "{most} {done}");
    }
    let project = counted(0);
    project.write(
        "graph.toml",
        project.read("graph.toml").replace("most = 0", "most = -3"),
    );
    let says = ["`most` must be at least 0, not -3", "graph.toml:14:13"];
    project
        .run(&["check", "graph.toml"])
        .failed_with(2, "bad-value", &says);
}

#[test]
fn edges_that_cannot_be_are_refused() {
    let wrong = [
        (
            "rows = \"train\"",
            "row = \"train\"",
            "unknown-port",
            "did you mean `rows`?",
        ),
        (
            ", rows = \"train\"",
            ", rows = [\"train\", \"search\"]",
            "missing-column",
            "text",
        ),
        (
            "from = \"search\"",
            "from = [\"search\", \"train\"]",
            "bad-edge",
            "are a side input of `score`, but `out` reads them too",
        ),
        (
            "from = { candidates = \"search\", rows = \"train\" }",
            "from = [\"search\", \"train\", \"train\"]",
            "duplicate",
            "twice",
        ),
        (
            "loop = \"score\"\n",
            "",
            "missing-key",
            "by its port `scores`, to which no edge leads",
        ),
        (
            "plugin = \"read\"\n",
            "plugin = \"read\"\nfrom = {}\n",
            "bad-value",
            "is an empty table",
        ),
    ];
    for (old, new, code, says) in wrong {
        let project = search();
        project.write("graph.toml", SEARCH.replacen(old, new, 1));
        project
            .run(&["check", "graph.toml"])
            .failed_with(2, code, &[says]);
    }
}
