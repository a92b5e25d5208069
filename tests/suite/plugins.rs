//! Plugins: found, run, held to their examples, refused, and caught when they fail.

use std::path::Path;

use crate::harness::{Project, ROOT, Ran, compile, compile_word_count, reviews};

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

/// Compiles `plugins/table.c` with `flags`, and checks a graph that names it.
fn refused(flags: &[&str]) -> Ran {
    let project = project("lib/odd.so", "");
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    compile(&source, &project.path("lib/odd.so"), flags);
    project.run(&["check", "graph.toml"])
}

#[test]
fn a_plugin_for_another_abi_is_refused() {
    for (flag, version) in [
        ("-DMAJOR=2", "2.2"),
        ("-DMAJOR=0", "0.2"),
        ("-DMINOR=9", "1.9"),
    ] {
        refused(&[flag]).failed_with(
            2,
            "plugin-abi",
            &[
                &format!("`lib/odd.so` is built for plugin ABI {version}; this Segue has 1.2\n"),
                "graph.toml:8:10",
                "help: build it again",
            ],
        );
    }
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
fn what_is_no_plugin_is_refused() {
    for (flag, part) in [
        (
            "-DMAGIC=7",
            "is not a Segue plugin: its table has the wrong magic",
        ),
        (
            "-DSYMBOL=something",
            "is not a Segue plugin: it has no `segue_plugin_table`",
        ),
        ("-DTABLE=NULL", "`segue_plugin_table` gives no table"),
        ("-DSIZE=32", "has a table of 32 bytes, not "),
        (
            "-DPROCESS=NULL",
            "lacks a function that every plugin must have",
        ),
        (
            "-DMANIFEST=\"operators\"",
            "the plugin's manifest cannot be read",
        ),
        ("-DMANIFEST=\"[7]\"", "the plugin's manifest cannot be read"),
    ] {
        refused(&[flag]).failed_with(2, "bad-plugin", &[part, "graph.toml:8:10"]);
    }
}

#[test]
fn a_library_that_crashes_takes_only_its_probe_down() {
    for (flag, part) in [
        (
            "-DAT_LOAD=abort()",
            "`lib/odd.so` died (signal: 6 (SIGABRT)",
        ),
        (
            "-DAT_LOAD=*(volatile int*)8=1",
            "`lib/odd.so` died (signal: 11 (SIGSEGV)",
        ),
        (
            "-DAT_LOAD=_exit(3)",
            "`lib/odd.so` ended the program (exit status: 3)",
        ),
        ("-DAT_LOAD=_exit(0)", "`lib/odd.so` ended the program"),
    ] {
        refused(&[flag]).failed_with(2, "bad-plugin", &[part, "while it was probed"]);
    }
}

#[test]
fn a_library_that_hangs_is_given_up() {
    let parts = ["`lib/odd.so` hung while it was probed"];
    refused(&["-DAT_LOAD=for(;;)pause()"]).failed_with(2, "bad-plugin", &parts);
}

#[test]
fn a_text_named_so_is_refused() {
    let project = project("lib/odd.so", "").file("lib/odd.so", "not a library\n");
    let parts = ["`lib/odd.so` is not a library this system can load: "];
    let ran = project.run(&["check", "graph.toml"]);
    ran.failed_with(2, "bad-plugin", &parts);
}

#[test]
fn a_bad_library_beside_good_ones_is_listed_and_stops_nothing() {
    let project = project("word-count", "")
        .file("plugins/broken.so", "not a library\n")
        .look_in("plugins");
    compile_word_count(&project.path("plugins"));
    let list = project.run(&["stages"]).ok().stdout;
    assert!(list.contains("\nnot usable:\n"), "{list}");
    assert!(
        list.contains("plugins/broken.so` is not a library"),
        "{list}"
    );
    project.run_graph(&[]);
    assert_eq!(words(&project), expected_words());
}

#[test]
fn a_failure_without_a_reason_is_told() {
    let project = project("lib/odd.so", "");
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    compile(&source, &project.path("lib/odd.so"), &[]);
    let parts =
        ["`odd` failed on batch 0 of 4 rows: the plugin failed with status 7 and no reason"];
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    ran.failed_with(1, "plugin-error", &parts);
}

/// An operator that breaks the contract at batch 6, on 1 and on 2 workers: one error,
/// and what was committed before it is the start of what a good run gives.
fn breaks(operator: &str, code: &str, message: &str) {
    let good = project(operator, "with.at = 99").test_plugin();
    good.run_graph(&[]);
    let good = good.read("out.jsonl");
    assert!(good.lines().count() == 40, "{good}");
    for workers in ["1", "2"] {
        let bad = project(operator, "replicas = 2\nwith.at = 6").test_plugin();
        let run = ["run", "graph.toml", "--workers", workers, "--quiet"];
        let text = bad.run_with(&run, &[("RUST_BACKTRACE", "0")]).failed_with(
            1,
            code,
            &[message, "--> graph.toml:"],
        );
        let place = if code == "bad-option" { "11:11" } else { "7:8" };
        assert!(text.contains(&format!("graph.toml:{place}\n")), "{text}");
        let committed = bad.read("out.jsonl");
        assert!(good.starts_with(&committed), "{committed}");
        let rows = bad.lines("out.jsonl").len();
        assert!(
            rows <= 24 && rows.is_multiple_of(4),
            "{rows} rows are committed"
        );
        let journal = bad.lines("out.jsonl.journal");
        if let Some(last) = journal.iter().skip(1).last() {
            assert_eq!(last["sinks"]["out"], committed.len());
            assert_eq!(last["done"], false);
        }
    }
}

#[test]
fn a_panic_is_an_error_of_the_batch() {
    breaks(
        "panics",
        "plugin-panic",
        "`odd` failed on batch 6 of 4 rows: the plugin panicked at tests/plugin/src/faults.rs:",
    );
}

#[test]
fn a_panic_shows_its_backtrace_to_those_who_ask() {
    let project = project("panics", "with.at = 3").test_plugin();
    let run = |backtrace| {
        let run = ["run", "graph.toml", "--quiet"];
        let ran = project.run_with(&run, &[("RUST_BACKTRACE", backtrace)]);
        assert_eq!(ran.code, Some(1), "{ran}");
        ran.stderr
    };
    let asked = run("1");
    assert!(asked.contains("test_plugin::faults::Panics"), "{asked}");
    assert!(
        asked.contains("error[plugin-panic]: `odd` failed on batch 3 of 4 rows: "),
        "{asked}"
    );
    assert!(!run("0").contains("test_plugin::faults"));
}

#[test]
fn too_few_rows() {
    let message = "`odd` failed on batch 6 of 4 rows: it gave 3 rows for 4\n";
    breaks("loses-a-row", "row-count", message);
}

#[test]
fn two_batches_for_one() {
    let message = "`odd` failed on batch 6 of 4 rows: it gave 2 batches for one\n";
    breaks("gives-twice", "row-count", message);
}

#[test]
fn a_column_of_another_type() {
    let message = "`odd` failed on batch 6 of 4 rows: it gave `number` as `Utf8`, not as `u64`\n";
    breaks("gives-text", "bad-output", message);
}

#[test]
fn a_column_that_is_not_there() {
    let message = "`odd` failed on batch 6 of 4 rows: it did not give the column `number`\n";
    breaks("gives-nothing", "bad-output", message);
}

#[test]
fn rows_out_of_order() {
    let message = "`odd` failed on batch 6 of 4 rows: its column `row` does not name input rows in ascending order\n";
    breaks("rows-backwards", "row-count", message);
}

#[test]
fn rows_after_their_batch() {
    let message = "`odd` failed on batch 6: it gave rows at the end of a time, but does not declare its rows as new\n";
    breaks("late", "row-count", message);
}

#[test]
fn a_blamed_option_is_underlined() {
    let message = "`odd` failed on batch 6 of 4 rows: `at` must not be 6\n";
    breaks("refuses", "bad-option", message);
}

#[test]
fn a_stage_that_does_not_start() {
    for workers in ["1", "2"] {
        let rest = "replicas = 2\nwith.blamed = true";
        let project = project("will-not-start", rest).test_plugin();
        let parts = ["`odd` failed to start: worker ", "graph.toml:11:15"];
        project
            .run(&["run", "graph.toml", "--workers", workers, "--quiet"])
            .failed_with(1, "bad-option", &parts);
        assert!(!project.has("out.jsonl") && !project.has("out.jsonl.journal"));
    }
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

/// A child that the initialiser leaves behind holds the output of the probe open.
#[test]
fn a_library_that_forks_as_it_is_loaded() {
    let fork = "-DAT_LOAD=note()";
    let project = project("lib/odd.so", "");
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    compile(
        &source,
        &project.path("lib/odd.so"),
        &[fork, "-DAFTER_FORK"],
    );
    let ran = project.run(&["stages", "lib/odd.so"]);
    let left: Vec<i32> = project
        .read("children")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    for child in &left {
        let mut kill = std::process::Command::new("kill");
        assert!(
            kill.args(["-9", &child.to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
    assert!(!left.is_empty());
    assert!(ran.ok().stdout.starts_with("odd 1.0.0\n"));
}

#[test]
fn what_a_library_prints_does_not_spoil_its_manifest() {
    let print = "-DAT_LOAD=(void)!write(1, \"{\\\"Right\\\": 7}\\nhello\", 19)";
    let project = project("lib/odd.so", "");
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    compile(&source, &project.path("lib/odd.so"), &[print]);
    let page = project.run(&["stages", "lib/odd.so"]).ok();
    assert!(page.stdout.starts_with("odd 1.0.0\n"), "{page}");
}

#[test]
fn a_manifest_that_contradicts_itself() {
    let one = |rest: &str| {
        format!(
            "{{\"operators\": [{{\"name\": \"odd\", \"version\": \"1\", \"doc\": \"\"{rest}}}]}}"
        )
    };
    for (manifest, message) in [
        (String::new(), "the plugin gave no manifest"),
        (
            "{\"operators\": []}".to_owned(),
            "the plugin's manifest names no operators",
        ),
        (
            "{\"operators\": [{\"name\": \"odd\", \"version\": 1}]}".to_owned(),
            "the plugin's manifest cannot be read, at `operators[0].version`: invalid type: integer `1`, expected a string",
        ),
        (
            one(", \"options\": [{\"name\": \"n\", \"type\": \"int\"}]"),
            "the plugin's manifest cannot be read, at `operators[0].options[0].type`: unknown variant `int`",
        ),
        (
            one(", \"options\": [{\"name\": \"n\", \"type\": \"integer\", \"default\": \"1\"}]"),
            "gives option `n` of `odd` the default \"1\", which does not fit its type",
        ),
        (
            one(
                ", \"options\": [{\"name\": \"n\", \"type\": \"integer\"}, {\"name\": \"n\", \"type\": \"integer\"}]",
            ),
            "gives option `n` of `odd` twice",
        ),
        (
            one("") + "x",
            "the plugin's manifest cannot be read: trailing characters",
        ),
        (
            one("").replace("\"odd\"", "\"od d\""),
            "names an operator `od d`, which a graph cannot write",
        ),
    ] {
        let define = format!("-DMANIFEST={manifest:?}");
        refused(&[&define]).failed_with(
            2,
            "bad-plugin",
            &[message, "`lib/odd.so`", "graph.toml:8:10"],
        );
    }
}

#[test]
fn units_beyond_all_measure_are_refused() {
    let unit = |cost: &str| {
        format!(
            "{{\"option\": \"layers\", \"units\": [{{\"name\": \"a\", \"cost\": {cost}, \"bytes\": 0}}]}}"
        )
    };
    let checked = |units: &str, count: &str| {
        let project = project("lib/odd.so", "split = 1");
        let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
        let manifest = "-DMANIFEST=\"{\\\"operators\\\": [{\\\"name\\\": \\\"odd\\\", \\\"version\\\": \\\"1\\\", \\\"doc\\\": \\\"\\\", \\\"units\\\": true, \\\"options\\\": [{\\\"name\\\": \\\"layers\\\", \\\"type\\\": \\\"string\\\"}]}]}\"";
        let flags = [
            manifest,
            &format!("-DUNITS={units:?}"),
            &format!("-DUNITS_COUNT={count}"),
        ];
        compile(&source, &project.path("lib/odd.so"), &flags);
        project.run(&["check", "graph.toml"])
    };
    checked(&unit("-1.0"), "1").failed_with(2, "bad-plugin", &["its unit `a` has the cost -1, "]);
    checked(&unit("1.0"), "1000000").failed_with(
        2,
        "bad-plugin",
        &["it says that it has 1000000 units; 1024 is the most"],
    );
    checked(&unit("1.0"), "1").ok();
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
