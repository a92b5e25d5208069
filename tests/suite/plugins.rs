//! Plugins: found, run, refused, and caught when they fail.

mod contract;
mod refused;

use std::path::Path;

use crate::harness::{Project, ROOT, compile, compile_word_count, reviews};
use refused::refused;

/// `reviews.csv` through one stage, in batches of 4.
fn graph(plugin: &str, rest: &str) -> String {
    format!(
        "format = 1
[stream]
batch = 4
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.odd]
plugin = \"{plugin}\"
from = \"reviews\"
{rest}
[stage.out]
plugin = \"write\"
from = \"odd\"
with.path = \"out.jsonl\"
"
    )
}

fn project(plugin: &str, rest: &str) -> Project {
    Project::with_graph(&graph(plugin, rest)).file("reviews.csv", reviews(40))
}

fn words(project: &Project) -> Vec<u64> {
    let rows = project.lines("out.jsonl");
    rows.iter()
        .map(|row| row["words"].as_u64().unwrap())
        .collect()
}

/// Words of each review, counted here.
fn expected_words() -> Vec<u64> {
    let text = reviews(40);
    let lines = text.lines().skip(1);
    lines.map(|line| line.split(' ').count() as u64).collect()
}

#[test]
fn a_plugin_in_c_is_found_on_the_search_path() {
    let project = project("word-count", "").look_in("plugins");
    compile_word_count(&project.path("plugins"));
    project.run_graph(&[]);
    assert_eq!(words(&project), expected_words());
    let list = project.run(&["stages"]).ok().stdout;
    let listed = |line: &str| {
        line.strip_prefix("word-count ")
            .is_some_and(|doc| doc.trim_start() == "Counts the words of a text.")
    };
    assert!(list.lines().any(listed), "{list}");
    let page = project.run(&["stages", "word-count"]).ok().stdout;
    for part in [
        "word-count 1.0.0\n",
        "libsegue_word_count.so",
        "with.shortest (integer, default 1)",
    ] {
        assert!(page.contains(part), "{page}");
    }
}

#[test]
fn a_plugin_is_found_by_a_path_from_the_graph_file() {
    for plugin in [
        "lib/libsegue_word_count.so",
        "./lib/libsegue_word_count.so",
        "lib/libsegue_word_count.so#word-count",
    ] {
        let project = Project::new()
            .file("graphs/graph.toml", graph(plugin, ""))
            .file("graphs/reviews.csv", reviews(40));
        compile_word_count(&project.path("graphs/lib"));
        let ran = project.run(&["run", "graphs/graph.toml"]).ok();
        assert!(ran.stderr.contains("40 reviews in "), "{ran}");
        let rows = project.lines("graphs/out.jsonl");
        assert_eq!(rows.len(), expected_words().len());
    }
}

#[test]
fn a_library_has_only_its_own_operators() {
    let project = project("test-plugin/libtest_plugin.so#nothing", "").test_plugin();
    project.run(&["check", "graph.toml"]).failed_with(
        2,
        "unknown-plugin",
        &[
            "`test-plugin/libtest_plugin.so` has no operator `nothing`",
            "graph.toml:8:10",
        ],
    );
}

#[test]
fn an_option_that_only_the_plugin_can_judge_is_underlined() {
    let project = project("word-count", "with.shortest = -1").look_in("plugins");
    compile_word_count(&project.path("plugins"));
    let text = project.run(&["check", "graph.toml"]).failed(2);
    let expected = "\
error[bad-option]: `shortest` must not be negative
  --> graph.toml:10:17
10 | with.shortest = -1
   |                 ^^

graph.toml: 1 error
";
    assert_eq!(text, expected);
}

/// A table of ABI 1.0 ends before `finish`, which then is not called.
#[test]
fn a_plugin_for_an_older_abi_still_runs() {
    let size = "-DSIZE=offsetof(segue_plugin, finish)";
    let project = project("lib/odd.so", "");
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    compile(&source, &project.path("lib/odd.so"), &["-DMINOR=0", size]);
    project.run(&["check", "graph.toml"]).ok();
    // The same table, said to be of 1.1, is too short; one of 1.1 ends before `snapshot`.
    let size_of_1_1 = "-DSIZE=offsetof(segue_plugin, snapshot)";
    compile(
        &source,
        &project.path("lib/odd.so"),
        &["-DMINOR=1", size_of_1_1],
    );
    project.run(&["check", "graph.toml"]).ok();
    refused(&["-DMINOR=1", size]).failed_with(2, "bad-plugin", &["has a table of"]);
}

#[test]
fn rows_held_back_until_the_end_of_a_time() {
    let project = project("hoard", "").test_plugin();
    project.run_graph(&[]);
    let rows = project.lines("out.jsonl");
    assert_eq!(rows.len(), 10);
    let text = reviews(40);
    let texts: Vec<&str> = text.lines().skip(1).map(|line| &line[2..]).collect();
    for (row, batch) in rows.iter().zip(texts.chunks(4)) {
        assert_eq!(row["texts"], 4);
        let longest = batch.iter().max_by_key(|text| text.len()).unwrap();
        assert_eq!(row["longest"], *longest);
        assert_eq!(row.as_object().unwrap().len(), 2, "{row}");
    }
    let alone = project.read("out.jsonl");
    project.run_graph(&["--workers", "2", "--set", "odd.replicas=2"]);
    assert_eq!(project.read("out.jsonl"), alone);
}

#[test]
fn mapped_rows_keep_the_columns_of_the_rows_they_came_from() {
    let project = project("every-other", "").test_plugin();
    for batch in ["4", "40"] {
        project.run_graph(&["--set", &format!("stream.batch={batch}")]);
        let text = reviews(40);
        let rows = project.lines("out.jsonl");
        assert_eq!(rows.len(), 20);
        for (row, line) in rows.iter().zip(text.lines().skip(1).step_by(2)) {
            assert_eq!(row["text"], line[2..]);
        }
        let reviews = rows.iter().map(|row| row["review"].as_u64().unwrap());
        assert_eq!(
            reviews.collect::<Vec<_>>(),
            (0..40).step_by(2).collect::<Vec<_>>()
        );
    }
}

const LOOP: &str = "format = 1
[stream]
batch = 4
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.zero]
plugin = \"zero\"
from = \"reviews\"
[stage.step]
plugin = \"add-one\"
from = \"zero\"
loop = \"again\"
[stage.again]
plugin = \"reached\"
from = \"step\"
with.most = 5
with.keep = false
[stage.done]
plugin = \"reached\"
from = \"step\"
with.most = 5
with.keep = true
[stage.out]
plugin = \"write\"
from = \"done\"
with.path = \"out.csv\"
with.columns = [\"review\", \"trips\", \"text\"]
";

#[test]
fn a_loop_ends_when_no_row_goes_round_again() {
    let project = Project::with_graph(LOOP)
        .file("reviews.csv", reviews(40))
        .test_plugin();
    let mut outputs = Vec::new();
    for more in [
        &["--workers", "1"][..],
        &["--workers", "2"],
        &["--workers", "2", "--set", "step.replicas=2"],
        &["--workers", "3", "--set", "again.replicas=3"],
    ] {
        project.run_graph(&[more, &["--quiet"]].concat());
        outputs.push(project.read("out.csv"));
    }
    let text = reviews(40);
    let texts: Vec<&str> = text.lines().skip(1).map(|line| &line[2..]).collect();
    let mut rows: Vec<String> = outputs[0].lines().skip(1).map(str::to_owned).collect();
    rows.sort_by_key(|row| row.split(',').next().unwrap().parse::<usize>().unwrap());
    let row = |(review, text): (usize, &&str)| format!("{review},{},{text}", review % 5 + 1);
    assert_eq!(rows, texts.iter().enumerate().map(row).collect::<Vec<_>>());
    for output in &outputs {
        assert_eq!(output, &outputs[0], "another order");
    }
}

#[test]
fn segments_overlap_and_no_more_than_the_window_is_in_flight() {
    for window in [1_u64, 3, 8] {
        let rest = format!("with.ahead = {window}\nsplit = 2");
        let project = project("gate", &rest).test_plugin();
        let set = format!("stream.window={window}");
        project.run_graph(&["--workers", "2", "--set", &set, "--quiet"]);
        let rows = project.lines("out.jsonl");
        assert_eq!(rows.len(), 40);
        let most = rows.iter().map(|row| row["ahead"].as_u64().unwrap()).max();
        assert_eq!(
            most,
            Some(window),
            "batches in flight with a window of {window}"
        );
    }
}

#[test]
fn an_unknown_plugin_says_where_it_was_looked_for() {
    let unset = project("wurd-count", "");
    let parts = [
        "looked in SEGUE_PLUGIN_PATH, which is not set; beside the program: `",
        "/release`",
    ];
    let ran = unset.run(&["check", "graph.toml"]);
    ran.failed_with(2, "unknown-plugin", &parts);
    let nowhere = project("wurd-count", "").look_in("plugins");
    let folder = format!(
        "looked in SEGUE_PLUGIN_PATH: `{}` (which is not a folder); ",
        nowhere.path("plugins").display()
    );
    let ran = nowhere.run(&["check", "graph.toml"]);
    ran.failed_with(2, "unknown-plugin", &[&folder]);
}

#[test]
fn a_library_is_shown_by_its_path() {
    let project = Project::new().test_plugin();
    compile_word_count(&project.path("lib"));
    let page = project
        .run(&["stages", "./lib/libsegue_word_count.so"])
        .ok();
    assert!(page.stdout.starts_with("word-count 1.0.0\n"), "{page}");
    let list = project
        .run(&["stages", "test-plugin/libtest_plugin.so"])
        .ok();
    assert!(list.stdout.contains("\nevery-other "), "{list}");
    let one = project
        .run(&["stages", "test-plugin/libtest_plugin.so#hoard"])
        .ok();
    assert!(one.stdout.starts_with("hoard "), "{one}");
    let missing = project.run(&["stages", "./nothing.so"]);
    missing.failed_with(2, "missing-file", &["`./nothing.so`"]);
}

/// The folder that is named first wins, and that is said.
#[test]
fn two_libraries_with_one_operator() {
    let project = project("word-count", "").look_in("plugins");
    let used = compile_word_count(&project.path("plugins"));
    let other = project.path("plugins/zz.so");
    std::fs::copy(&used, &other).unwrap();
    let note = format!(
        "note: `word-count` is in several libraries: `{}` is used, not `{}`\n",
        used.display(),
        other.display()
    );
    let checked = project.run(&["check", "graph.toml"]).ok();
    assert_eq!(checked.stderr, note);
    for arguments in [&["stages"][..], &["stages", "word-count"]] {
        let listed = project.run(arguments).ok();
        assert!(listed.stdout.ends_with(&note), "{listed}");
    }
    // One file under two names is one library.
    std::fs::remove_file(&other).unwrap();
    std::os::unix::fs::symlink(&used, &other).unwrap();
    assert_eq!(project.run(&["check", "graph.toml"]).ok().stderr, "");
}

#[test]
fn a_plugin_of_the_user_hides_one_that_ships() {
    let project = project("aggregator", "").look_in("plugins");
    let shipped = crate::harness::beside_this("libsegue_aggregator.so");
    let own = project.path("plugins/my_own.so");
    std::fs::create_dir_all(project.path("plugins")).unwrap();
    std::fs::copy(&shipped, &own).unwrap();
    let page = project.run(&["stages", "aggregator"]).ok();
    let note = format!(
        "note: `aggregator` is in several libraries: `{}` is used, not `{}`\n",
        own.display(),
        shipped.display()
    );
    assert!(page.stdout.ends_with(&note), "{page}");
}

#[test]
fn more_workers_than_a_device_can_have_are_refused() {
    let many = project("every-other", "replicas = 1000000").test_plugin();
    let ran = many.run(&["check", "graph.toml"]);
    ran.failed_with(
        2,
        "bad-value",
        &["`replicas` must be from 1 to 256\n", "graph.toml:10:12"],
    );
    for (set, message) in [
        ("stream.batch=0", "`batch` must be from 1 to "),
        ("stream.batch=1000000000000", "`batch` must be from 1 to "),
        ("stream.window=0", "`window` must be from 1 to "),
        ("stream.window=-3", "`window` must be from 1 to "),
        ("odd.replicas=-1", "`replicas` must be from 1 to 256"),
        ("odd.replicas=257", "`replicas` must be from 1 to 256"),
    ] {
        let project = project("every-other", "").test_plugin();
        let ran = project.run(&["check", "graph.toml", "--set", set]);
        ran.failed_with(2, "bad-value", &[message]);
    }
    let wide = project("gate", "split = 2\nreplicas = 200\nwith.ahead = 1").test_plugin();
    let ran = wide.run(&["check", "graph.toml"]);
    ran.failed_with(
        2,
        "bad-value",
        &["`odd` asks for 400 workers at once, of 256 that a device can have"],
    );
    wide.run(&["check", "graph.toml", "--workers", "4"]).ok();
}
