//! Operators that break the contract: each is an error of its stage and batch.

use std::path::Path;

use super::project;
use crate::harness::{ROOT, compile};

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
