//! Libraries that are refused before they run, and those that are odd but are not.

use std::path::Path;

use super::{expected_words, project, words};
use crate::harness::{ROOT, Ran, compile, compile_word_count};

/// Compiles `plugins/table.c` with `flags`, and checks a graph that names it.
pub fn refused(flags: &[&str]) -> Ran {
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
