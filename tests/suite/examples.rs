//! Every example in a manifest holds: examples are documentation that runs.

use std::collections::BTreeSet;
use std::path::Path;

use segue::plugins::{Plugins, broken};
use tempfile::TempDir;

use crate::harness::{
    Project, ROOT, Ran, beside_this, compile, compile_row_count, compile_word_count, reviews,
};

#[test]
fn the_examples_of_every_operator_that_ships_hold() {
    let folder = TempDir::new().unwrap();
    let plugins = Plugins::new();
    let mut paths = vec![
        compile_word_count(folder.path()),
        compile_row_count(folder.path()),
    ];
    for name in ["aggregator", "bert", "search", "tokenizer"] {
        paths.push(beside_this(&format!("libsegue_{name}.so")));
    }
    let mut checked = BTreeSet::new();
    for path in paths {
        let library = plugins.library(&path).map_err(|e| e.message).unwrap();
        for operator in library.manifest().unwrap().operators {
            assert_eq!(broken(library, &operator), [], "`{}`", operator.name);
            checked.extend((!operator.examples.is_empty()).then(|| operator.name.clone()));
        }
    }
    // The others need a model.
    let expected = BTreeSet::from(["aggregator".to_owned(), "word-count".to_owned()]);
    assert!(checked.is_superset(&expected), "{checked:?}");
}

/// `segue test` and `segue check` on `plugins/table.c` with the manifest's `examples`.
fn held_to(examples: &str, flags: &[&str]) -> [Ran; 2] {
    let graph = "format = 1
stage.reviews = { plugin = \"read\", with.path = \"reviews.csv\" }
stage.odd = { plugin = \"lib/odd.so\", from = \"reviews\" }
stage.out = { plugin = \"write\", from = \"odd\", with.path = \"out.jsonl\" }
";
    let project = Project::with_graph(graph).file("reviews.csv", reviews(4));
    let source = Path::new(ROOT).join("tests/suite/plugins/table.c");
    let manifest = format!(
        "{{\"operators\": [{{\"name\": \"odd\", \"version\": \"1.0.0\", \"doc\": \"Odd.\", \"examples\": [{examples}]}}]}}"
    );
    let define = format!("-DMANIFEST={manifest:?}");
    compile(
        &source,
        &project.path("lib/odd.so"),
        &[&[define.as_str()], flags].concat(),
    );
    [
        project.run(&["test", "lib/odd.so"]),
        project.run(&["check", "graph.toml"]),
    ]
}

const EXAMPLE: &str = "{\"options\": {}, \"input\": [{\"a\": 1}], \"output\": [{\"a\": 1}]}";

#[test]
fn a_library_without_examples_says_so() {
    let [tested, checked] = held_to("", &[]);
    assert_eq!(tested.ok().stdout, "`odd` has no examples\n");
    checked.ok();
}

#[test]
fn an_example_that_does_not_hold_is_told_of_by_test_and_check() {
    let [tested, checked] = held_to(EXAMPLE, &[]);
    let message = "example 1 of `odd` does not hold: \
                   the plugin failed with status 7 and no reason (plugin-error)";
    tested.failed_with(1, "bad-example", &[message]);
    checked.failed_with(2, "bad-example", &[message, "--> graph.toml:3:7"]);
}

#[test]
fn an_example_that_crashes_takes_only_its_child_down() {
    let flags = ["-DPROCESS=crash"];
    let [tested, checked] = held_to(EXAMPLE, &flags);
    let message = "died (signal: 6 (SIGABRT)";
    let when = "while the examples of `odd` ran";
    tested.failed_with(1, "bad-plugin", &[message, when]);
    checked.failed_with(2, "bad-plugin", &[message, when]);
}

#[test]
fn an_example_that_ends_the_program_is_told_of() {
    let [tested, checked] = held_to(EXAMPLE, &["-DPROCESS=leave"]);
    let message = "`lib/odd.so` ended the program while the examples of `odd` ran";
    tested.failed_with(1, "bad-plugin", &[message]);
    checked.failed_with(2, "bad-plugin", &[message]);
}

#[test]
fn an_example_gives_rows_to_each_input_port() {
    let project = Project::new().test_plugin();
    let score = "test-plugin/libtest_plugin.so#score";
    let tested = project.run(&["test", score]).ok();
    assert_eq!(tested.stdout, "`score`: its example holds\n");
    let page = project.run(&["stages", score]).ok().stdout;
    let ports = "
input ports
  candidates
  rows (a side input: each replica gets all of its rows, before all else)
";
    assert!(page.contains(ports), "{page}");
    let example = "
example, with {}
  in   at `candidates`: {\"candidate\":7,\"value\":1.0}
  in   at `rows`: {\"text\":\"one\"}, {\"text\":\"three\"}
  out  {\"candidate\":7,\"fitness\":0.992,\"texts\":2}
";
    assert!(page.contains(example), "{page}");
}

#[test]
fn the_examples_of_a_plugin_in_c_hold() {
    let project = Project::new().look_in("plugins");
    compile_word_count(&project.path("plugins"));
    for plugin in [
        "word-count",
        "plugins/libsegue_word_count.so",
        "plugins/libsegue_word_count.so#word-count",
    ] {
        let ran = project.run(&["test", plugin]).ok();
        assert_eq!(ran.stdout, "`word-count`: its example holds\n");
    }
    let ran = project.run(&["test", "word-cuont"]);
    ran.failed_with(
        2,
        "unknown-plugin",
        &["did you mean `word-count`?", "looked in SEGUE_PLUGIN_PATH"],
    );
}
