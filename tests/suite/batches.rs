//! What a plugin in C can get wrong in a batch: each is an error that names stage and
//! batch, and what was committed before stays.

use std::path::Path;

use crate::harness::{Project, ROOT, compile, reviews};

/// 16 reviews in batches of 4, through `plugins/batch.c` compiled with `flags`.
pub fn project(flags: &[&str]) -> Project {
    let graph = "format = 1
stream.batch = 4
stage.reviews = { plugin = \"read\", with.path = \"reviews.csv\" }
stage.odd = { plugin = \"lib/odd.so\", from = \"reviews\" }
stage.out = { plugin = \"write\", from = \"odd\", with.path = \"out.jsonl\", with.columns = [\"number\", \"word\"] }
";
    let project = Project::with_graph(graph).file("reviews.csv", reviews(16));
    let source = Path::new(ROOT).join("tests/suite/plugins/batch.c");
    compile(&source, &project.path("lib/odd.so"), flags);
    project
}

fn refused(fault: &str, code: &str, message: &str) {
    let project = project(&[&format!("-DFAULT={fault}")]);
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    let whole = format!("`odd` failed on batch 2 of 4 rows: {message}\n");
    ran.failed_with(1, code, &[&whole, "--> graph.toml:4:7"]);
    assert!(project.lines("out.jsonl").len() <= 8, "{fault}");
}

#[test]
fn a_good_batch_is_taken() {
    let project = project(&[]);
    project.run_graph(&[]);
    let rows = project.lines("out.jsonl");
    assert_eq!(rows.len(), 16);
    assert_eq!(rows[7], serde_json::json!({"number": 3, "word": "w"}));
}

#[test]
fn counts_that_disagree() {
    for (fault, message) in [
        (
            "given->array.n_children = 3",
            "the batch has 3 children, but its schema has 4",
        ),
        (
            "given->schema.n_children = 0",
            "the batch has 4 children, but its schema has 0",
        ),
        (
            "given->array.n_children = given->schema.n_children = -1",
            "the batch has -1 children, which is not from 0 to 16384",
        ),
        (
            "given->array.n_children = given->schema.n_children = INT64_MAX",
            "the batch has 9223372036854775807 children, which is not from 0 to 16384",
        ),
        (
            "given->array.n_buffers = 0",
            "the batch has 0 buffers, not 1",
        ),
        (
            "given->column[0].n_buffers = 3",
            "column `number` has 3 buffers, not 2",
        ),
        (
            "given->column[1].n_buffers = 2",
            "column `word` has 2 buffers, not 3",
        ),
        (
            "given->column[3].n_buffers = 1 << 30",
            "column `pair` has 1073741824 buffers, not 1",
        ),
        (
            "given->column[2].n_children = given->named[2].n_children = 0",
            "column `list` has 0 children, `+l` has 1",
        ),
        (
            "given->column[0].length = 3",
            "column `number` has 3 rows, the batch 4",
        ),
        (
            "given->column[1].length = 5",
            "column `word` has 5 rows, the batch 4",
        ),
        (
            "given->item[0].length = 3",
            "column `list` has 3 items, but needs 4",
        ),
        (
            "given->item[1].length = 7",
            "column `pair` has 7 items, but needs 8",
        ),
    ] {
        refused(fault, "bad-batch", message);
    }
}

#[test]
fn numbers_that_cannot_be() {
    for (fault, message) in [
        (
            "given->array.length = -1",
            "the batch has a length of -1, which is not from 0 to 2147483647",
        ),
        (
            "given->array.offset = INT64_MIN",
            "the batch has an offset of -9223372036854775808, which is not from 0 to 2147483647",
        ),
        (
            "given->column[0].length = INT64_MAX",
            "column `number` has a length of 9223372036854775807, which is not from 0 to 1099511627776",
        ),
        (
            "given->column[1].offset = -4",
            "column `word` has an offset of -4, which is not from 0 to 1099511627776",
        ),
        (
            "given->column[0].null_count = -2",
            "column `number` has a null count of -2 in 4 elements",
        ),
        (
            "given->column[2].null_count = 5",
            "column `list` has a null count of 5 in 4 elements",
        ),
        (
            "given->word_ends[0] = -1",
            "column `word` has offsets from -1 to 4",
        ),
        (
            "given->word_ends[4] = -9",
            "column `word` has offsets from 0 to -9",
        ),
        (
            "given->list_ends[4] = 1 << 30",
            "column `list` has 4 items, but needs 1073741824",
        ),
    ] {
        refused(fault, "bad-batch", message);
    }
    let long = "it gave 1000000000000 rows for 4";
    refused("given->array.length = 1000000000000", "row-count", long);
    let short = "it gave 3 rows for 4";
    refused("given->array.length = 3", "row-count", short);
}

#[test]
fn pointers_that_are_null() {
    for (fault, message) in [
        (
            "return reply->batch(reply->host, NULL, NULL), 0",
            "it gave a batch whose array or schema is not a pointer to a struct",
        ),
        (
            "return reply->batch(reply->host, &given->array, NULL), 0",
            "it gave a batch whose array or schema is not a pointer to a struct",
        ),
        (
            "given->array.children = NULL",
            "the batch has no children: their list is null",
        ),
        (
            "given->schema.children = NULL",
            "the batch has no children: their list is null",
        ),
        ("given->columns[1] = NULL", "child 2 of the batch is null"),
        ("given->names[3] = NULL", "child 4 of the batch is null"),
        (
            "given->list_items[0] = NULL",
            "child 1 of column `list` is null",
        ),
        (
            "given->array.buffers = NULL",
            "the batch has no buffers: their list is null",
        ),
        (
            "given->column[0].buffers = NULL",
            "column `number` has no buffers: their list is null",
        ),
        (
            "given->buffers[0][1] = NULL",
            "column `number` has no values: its buffer 1 is null",
        ),
        (
            "given->buffers[1][1] = NULL",
            "column `word` has no offsets: its buffer 1 is null",
        ),
        (
            "given->buffers[1][2] = NULL",
            "column `word` has no values: its buffer 2 is null",
        ),
        (
            "given->buffers[2][1] = NULL",
            "column `list` has no offsets: its buffer 1 is null",
        ),
        (
            "given->item_buffers[1][1] = NULL",
            "an item of column `pair` has no values: its buffer 1 is null",
        ),
        (
            "given->column[1].null_count = 2",
            "column `word` has 2 nulls, but its buffer 0, which says where, is null",
        ),
        (
            "given->schema.format = NULL",
            "the batch has no format: it is null",
        ),
        (
            "given->named[0].format = NULL",
            "column `number` has no format: it is null",
        ),
        (
            "given->named[2].name = NULL",
            "column 3 of the batch has no name",
        ),
        (
            "given->array.release = NULL",
            "the batch was already released",
        ),
        (
            "given->schema.release = NULL",
            "the batch was already released",
        ),
        (
            "given->column[1].release = NULL",
            "column `word` was already released",
        ),
        (
            "given->items[0].release = NULL",
            "an item of column `list` was already released",
        ),
    ] {
        refused(fault, "bad-batch", message);
    }
}

#[test]
fn names_and_types_that_are_none() {
    for (fault, message) in [
        (
            "given->named[1].name = \"na\\xefve\"",
            "the name of column 2 of the batch, `na\u{fffd}ve`, is not UTF-8",
        ),
        (
            "given->named[1].name = \"pair\"",
            "column `pair` is given twice",
        ),
        (
            "given->schema.format = \"u\"",
            "a batch must be a struct array (`+s`), not `u`",
        ),
        (
            "given->named[0].format = \"\"",
            "column `number` has the Arrow format ``, which is not a column type",
        ),
        (
            "given->named[0].format = \"L\\xff\"",
            "column `number` has the Arrow format `L\u{fffd}`, which is not a column type",
        ),
        (
            "given->named[0].format = \"tdD\"",
            "column `number` has the Arrow format `tdD`, which is not a column type",
        ),
        (
            "given->named[1].format = \"vu\"",
            "column `word` has the Arrow format `vu`, which is not a column type",
        ),
        (
            "given->named[3].format = \"+w:-2\"",
            "column `pair` has the Arrow format `+w:-2`, which is not a column type",
        ),
        (
            "given->named[3].format = \"+w:99999999999\"",
            "column `pair` has the Arrow format `+w:99999999999`, which is not a column type",
        ),
        (
            "given->named[3].format = \"+w:3\"",
            "column `pair` has 8 items, but needs 12",
        ),
        (
            "given->column[0].dictionary = &given->column[1]",
            "column `number` is dictionary-encoded, which is not a column type",
        ),
        (
            "given->named[0].dictionary = &given->named[1]",
            "column `number` is dictionary-encoded, which is not a column type",
        ),
        (
            "nest(given)",
            "an item of an item of an item of an item of column `list` is nested too deeply",
        ),
    ] {
        refused(fault, "bad-batch", message);
    }
    let other = "it gave `number` as `Float64`, not as `u64`";
    refused("given->named[0].format = \"g\"", "bad-output", other);
}

#[test]
fn contents_that_are_wrong() {
    let project = project(&["-DFAULT=given->words[1] = (char)0xff"]);
    let parts = ["`odd` failed on batch 2 of 4 rows: ", "tf-8"];
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    ran.failed_with(1, "bad-batch", &parts);
    let unsorted = "-DFAULT=given->word_ends[2] = 100";
    let project = self::project(&[unsorted]);
    let ran = project.run(&["run", "graph.toml", "--quiet"]);
    ran.failed_with(1, "bad-batch", &["`odd` failed on batch 2 of 4 rows: "]);
}

/// An array may begin within its buffers, and its nulls may be counted later.
#[test]
fn what_the_interface_allows_is_taken() {
    for fault in [
        "given->column[0].offset = given->column[1].offset = 3",
        "given->column[0].null_count = -1",
        "given->array.null_count = -1",
        "given->item[0].length = 60",
        "given->named[0].flags = ARROW_FLAG_NULLABLE",
        "given->schema.name = NULL",
        "given->items[0].name = NULL",
    ] {
        let project = project(&[&format!("-DFAULT={fault}")]);
        project.run_graph(&[]);
        assert_eq!(project.lines("out.jsonl").len(), 16, "{fault}");
    }
}

/// Columns of every documented type reach the next stage as they were, wherever it runs
/// and however hidden states cross.
#[test]
fn every_column_type_works() {
    let graph = "format = 1
stream.batch = 4
stage.reviews = { plugin = \"read\", with.path = \"reviews.csv\" }
stage.give = { plugin = \"every-type\", from = \"reviews\", replicas = 2 }
stage.take = { plugin = \"same-types\", from = \"give\", replicas = 2 }
stage.out = { plugin = \"write\", from = \"take\", with.path = \"out.jsonl\", with.columns = [\"same\"] }
";
    let project = Project::with_graph(graph)
        .file("reviews.csv", reviews(16))
        .test_plugin();
    for more in [
        &["--workers", "1"][..],
        &["--workers", "2"],
        &["--devices", "2"],
    ] {
        for wire in ["f32", "f16", "int8"] {
            let wire = format!("take.wire={wire}");
            project.run_graph(&[more, &["--quiet", "--set", &wire]].concat());
            assert_eq!(project.lines("out.jsonl").len(), 16);
        }
    }
}
