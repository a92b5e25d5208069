//! Whole error texts: `errors/*.toml`, each beside the `.stderr` it must give.

use std::path::Path;

use crate::harness::{Project, ROOT, golden, reviews};
use crate::tiny::Tiny;

/// A project in which the graphs of `errors/` find what they name.
fn project() -> Project {
    let wide = Tiny {
        hidden: 24,
        ..Tiny::default()
    };
    Project::new()
        .file("reviews.csv", reviews(4))
        .file("more.csv", reviews(6))
        .model("model", Tiny::default())
        .model("wide", wide)
        .test_plugin()
}

const GOOD: &str = "format = 1
stage.reviews = { plugin = \"read\", with.path = \"reviews.csv\" }
stage.half = { plugin = \"every-other\", from = \"reviews\" }
stage.out = { plugin = \"write\", from = \"half\", with.path = \"out.jsonl\" }
";

/// Where plugins were looked for differs from machine to machine.
fn without_folders(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line {
        line if line.starts_with("help: looked in SEGUE_PLUGIN_PATH: ") => "help: looked in ...\n",
        line => line,
    });
    lines.collect()
}

#[test]
fn each_file_gives_its_text() {
    let project = project();
    let entries = std::fs::read_dir(Path::new(ROOT).join("tests/suite/errors")).unwrap();
    let mut checked = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        project.write(name, std::fs::read(&path).unwrap());
        let text = project.run(&["check", name]).failed(2);
        golden(
            &format!("errors/{}", name.replace(".toml", ".stderr")),
            &without_folders(&text),
        );
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn run_and_explain_say_the_same_as_check_and_write_nothing() {
    let project = project();
    let name = "unknown-option.toml";
    let path = Path::new(ROOT).join("tests/suite/errors").join(name);
    project.write(name, std::fs::read(path).unwrap());
    let text = project.run(&["check", name]).failed(2);
    assert_eq!(project.run(&["run", name]).failed(2), text);
    assert_eq!(project.run(&["explain", name]).failed(2), text);
    assert!(!project.has("out.jsonl") && !project.has("out.jsonl.journal"));
}

fn check_set(set: &str, expected: &str) {
    let project = project().file("graph.toml", GOOD);
    let text = project
        .run(&["check", "graph.toml", "--set", set])
        .failed(2);
    assert_eq!(text, expected);
}

#[test]
fn of_very_many_errors_the_first_are_shown() {
    let keys: String = (0..5_000).map(|i| format!("key{i} = 1\n")).collect();
    let project = project().file("graph.toml", format!("{GOOD}[many]\n{keys}"));
    let one = project.run(&["check", "graph.toml"]).failed(2);
    assert_eq!(one.matches("error[unknown-key]").count(), 1, "{one}");
    project.write("graph.toml", format!("{keys}{GOOD}"));
    let text = project.run(&["check", "graph.toml"]).failed(2);
    assert_eq!(text.matches("error[unknown-key]").count(), 100);
    let last = text.lines().last().unwrap();
    let told = "graph.toml: 5000 errors, and these are the first";
    assert_eq!(last, told);
}

#[test]
fn a_good_graph_has_no_errors() {
    let project = project().file("graph.toml", GOOD);
    let ran = project.run(&["check", "graph.toml"]).ok();
    assert_eq!(ran.stdout, "graph.toml: no errors in 3 stages\n");
    assert_eq!(ran.stderr, "");
    let set = ["--set", "out.path=other.csv", "--set", "stream.batch=3"];
    project
        .run(&[&["check", "graph.toml"], &set[..]].concat())
        .ok();
}

#[test]
fn a_set_that_sets_nothing() {
    check_set(
        "half",
        "\
error[bad-set]: `half` does not set anything
  --> --set:1:1
1 | half
  | ^^^^
help: write it as `--set STAGE.OPTION=VALUE`

graph.toml: 1 error
",
    );
}

#[test]
fn a_set_of_an_unknown_stage() {
    check_set(
        "rewiews.path=x.csv",
        "\
error[unknown-stage]: there is no stage `rewiews`
  --> --set:1:1
1 | rewiews.path=x.csv
  | ^^^^^^^
help: did you mean `reviews`?

graph.toml: 1 error
",
    );
}

#[test]
fn a_set_of_the_wrong_type() {
    check_set(
        "reviews.max-bytes=many",
        "\
error[wrong-type]: `max-bytes` must be an integer, not a string
  --> --set:1:19
1 | reviews.max-bytes=many
  |                   ^^^^

graph.toml: 1 error
",
    );
}

#[test]
fn a_set_of_an_unknown_option() {
    check_set(
        "reviews.strip-markupp=true",
        "\
error[unknown-option]: `read` has no option `strip-markupp`
  --> --set:1:9
1 | reviews.strip-markupp=true
  |         ^^^^^^^^^^^^^
help: did you mean `strip-markup`?

graph.toml: 1 error
",
    );
}

#[test]
fn a_set_of_a_stage_key() {
    check_set(
        "half.split=2",
        "\
error[bad-split]: `every-other` cannot be split
  --> --set:1:12
1 | half.split=2
  |            ^

graph.toml: 1 error
",
    );
}

#[test]
fn a_graph_file_that_is_not_there() {
    let text = project().run(&["run", "grahp.toml"]).failed(2);
    assert_eq!(text, "error[missing-file]: there is no file `grahp.toml`\n");
}

#[test]
fn a_graph_file_that_is_not_text() {
    let project = project().file("graph.toml", b"format = 1\n# caf\xe9\n");
    let text = project.run(&["check", "graph.toml"]).failed(2);
    assert_eq!(
        text,
        "error[invalid-utf8]: line 2 of `graph.toml` is not UTF-8\n"
    );
}

#[test]
fn a_folder_for_a_graph_file() {
    let text = project().run(&["check", "model"]).failed(2);
    let expected = "error[is-directory]: `model` is a folder\nhelp: name a file in it\n";
    assert_eq!(text, expected);
}

#[test]
fn a_wrong_command_line() {
    for arguments in [
        &["rum", "graph.toml"][..],
        &["run"],
        &["run", "graph.toml", "--workers", "0"],
        &["explain", "graph.toml", "--format", "pdf"],
    ] {
        let text = project().run(arguments).failed(2);
        assert!(text.starts_with("error: "), "{text}");
    }
}
