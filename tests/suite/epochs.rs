//! Files that are read several times over, shuffled, with a part held out.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Project, reviews};
use crate::pace::{Leash, kill_after};

fn project(options: &str) -> Project {
    let graph = format!(
        "format = 1
[stream]
batch = 7
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
{options}
[stage.out]
plugin = \"write\"
from = \"reviews\"
with.path = \"out.jsonl\"
"
    );
    Project::with_graph(&graph).file("reviews.csv", reviews(50))
}

fn rows(options: &str) -> Vec<Value> {
    let project = project(options);
    project.run_graph(&[]);
    let text = String::from_utf8(project.bytes("out.jsonl")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn numbers(rows: &[Value]) -> Vec<u64> {
    rows.iter()
        .map(|row| row["review"].as_u64().unwrap())
        .collect()
}

#[test]
fn every_epoch_gives_every_record_once() {
    let rows = rows("with.epochs = 3\nwith.shuffle = 5\nwith.hold-out = 0.2");
    assert_eq!(rows.len(), 150);
    let mut orders = Vec::new();
    let mut held_out = Vec::new();
    for (epoch, part) in rows.chunks(50).enumerate() {
        assert!(part.iter().all(|row| row["epoch"] == epoch));
        assert!(part[..40].iter().all(|row| row["role"] == "train"));
        assert!(part[40..].iter().all(|row| row["role"] == "validation"));
        let mut sorted = numbers(part);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        orders.push(numbers(&part[..40]));
        held_out.push(numbers(&part[40..]));
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2]);
    assert!(held_out[0] == held_out[1] && held_out[1] == held_out[2]);
    assert!(held_out[0].is_sorted() && !orders[0].is_sorted());
    let progress: Vec<f64> = rows
        .iter()
        .map(|row| row["progress"].as_f64().unwrap())
        .collect();
    assert!(progress.is_sorted() && progress[0] > 0.0 && progress[149] == 1.0);
}

/// Reviews of films, `counts` of each; of the last there is no name.
fn films(counts: &[usize]) -> String {
    let films = counts.iter().enumerate().flat_map(|(film, count)| {
        let name = if film + 1 == counts.len() {
            String::new()
        } else {
            format!("film {film}")
        };
        (0..*count).map(move |i| format!("positive,review {i},{name}\n"))
    });
    "label,text,film\n".to_owned() + &films.collect::<String>()
}

#[test]
fn what_belongs_together_is_held_out_together() {
    let options = "with.shuffle = 5\nwith.hold-out = 0.25\nwith.hold-out-by = \"film\"";
    let project = project(options).file("reviews.csv", films(&[9, 2, 8, 5, 4, 3, 4, 5]));
    project.run_graph(&[]);
    let text = project.read("out.jsonl");
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut roles, mut held_out) = (BTreeMap::new(), 0);
    for row in rows {
        held_out += usize::from(row["role"] == "validation");
        if row["film"].as_str().is_some_and(|film| !film.is_empty()) {
            let role = roles
                .entry(row["film"].to_string())
                .or_insert_with(|| row["role"].clone());
            assert_eq!(*role, row["role"], "{row}");
        }
    }
    assert!(roles.len() == 7 && held_out == 10, "{roles:?} {held_out}");
}

#[test]
fn that_much_less_could_be_held_out_is_said() {
    let options = "with.shuffle = 5\nwith.hold-out = 0.3\nwith.hold-out-by = \"film\"";
    let project = project(options).file("reviews.csv", films(&[20, 20, 2, 0]));
    let ran = project.run(&["run", "graph.toml"]).ok();
    let expected = "2 of 42 records are held out, and not 13";
    assert!(ran.stderr.contains(expected), "{ran}");
}

#[test]
fn a_file_without_a_good_record_says_why() {
    let options = "with.hold-out = 0.3\nwith.hold-out-by = \"film\"";
    let bad = "label,text,film\npositive,,one\nnegative, ,two\n";
    let project = project(options).file("reviews.csv", bad);
    let ran = project.run(&["run", "graph.toml"]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("`text` is empty"),
        "{ran}"
    );
}

#[test]
fn one_film_alone_cannot_be_held_out() {
    let options = "with.shuffle = 5\nwith.hold-out = 0.2\nwith.hold-out-by = \"film\"";
    let ran = project(options)
        .file("reviews.csv", films(&[10, 0]))
        .run(&["run", "graph.toml"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let expected = "asks for 2 of 10 records; of the 1 different `film`, the least frequent has 10";
    assert!(ran.stderr.contains(expected), "{ran}");
}

#[test]
fn without_a_seed_the_order_is_that_of_the_file() {
    assert_eq!(
        numbers(&rows("with.epochs = 2"))[..50],
        (0..50).collect::<Vec<_>>()
    );
    let one = rows("with.shuffle = 1");
    let other = rows("with.shuffle = 2");
    assert_eq!(one.len(), 50);
    assert!(numbers(&one) != numbers(&other) && one == rows("with.shuffle = 1"));
}

#[test]
fn a_role_is_a_column() {
    let rows = rows("with.role = \"test\"");
    assert!(rows.len() == 50 && rows.iter().all(|row| row["role"] == "test"));
}

/// `text`, once a line, under a header.
fn texts(texts: &[&str]) -> String {
    let lines = texts.iter().map(|text| format!("{text}\n"));
    "text\n".to_owned() + &lines.collect::<String>()
}

#[test]
fn records_without_a_label_join_those_for_training() {
    let known = reviews(50);
    let first = known.lines().nth(1).unwrap();
    let first = first.split_once(',').unwrap().1;
    let project = project(
        "with.epochs = 2\nwith.shuffle = 5\nwith.hold-out = 0.2\n\
         with.unlabelled = \"more.csv\"\nwith.exclude = \"test.csv\"",
    );
    let more = texts(&[
        "a new one",
        first,
        "one to measure with",
        "a new one",
        "   ",
        "another",
    ]);
    let project = project
        .file("more.csv", more)
        .file("test.csv", texts(&["one to measure with"]));
    project.run_graph(&[]);
    let text = project.read("out.jsonl");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2 * 52, "{text}");
    for epoch in rows.chunks(52) {
        let fresh: Vec<&Value> = epoch.iter().filter(|row| row["truth"].is_null()).collect();
        let mut texts: Vec<&str> = fresh
            .iter()
            .filter_map(|row| row["text"].as_str())
            .collect();
        texts.sort_unstable();
        assert_eq!(texts, ["a new one", "another"]);
        assert!(fresh.iter().all(|row| row["role"] == "train"));
        let mut numbers: Vec<_> = fresh.iter().map(|row| row["review"].as_u64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [Some(50), Some(55)]);
    }
    // Who is held out does not depend on the other file.
    let alone = self::rows("with.epochs = 2\nwith.shuffle = 5\nwith.hold-out = 0.2");
    let held_out = |rows: &[Value]| -> Vec<u64> {
        let rows = rows.iter().filter(|row| row["role"] == "validation");
        rows.filter_map(|row| row["review"].as_u64()).collect()
    };
    assert_eq!(held_out(&rows), held_out(&alone));
    let rejects = project.read("out.jsonl.rejects.jsonl");
    assert!(
        rejects.contains("more.csv`: ") && rejects.contains("\"record\":54"),
        "{rejects}"
    );
}

#[test]
fn a_cut_run_goes_on_in_the_same_order() {
    let options = "with.epochs = 3\nwith.shuffle = 5\nwith.hold-out = 0.2";
    let graph = format!(
        "format = 1\n[stream]\nbatch = 7\nwindow = 2\n[stage.reviews]\nplugin = \"read\"\n\
         with.path = \"reviews.csv\"\n{options}\n[stage.slow]\nplugin = \"pass\"\n\
         from = \"reviews\"\nwith.leash = \"leash\"\n[stage.out]\nplugin = \"write\"\n\
         from = \"slow\"\nwith.path = \"out.jsonl\"\n"
    );
    let project = || {
        let project = Project::with_graph(&graph).file("reviews.csv", reviews(50) + ",\n");
        project.test_plugin()
    };
    let (whole, cut) = (project(), project());
    whole.run_graph(&[]);
    let mut leash = Leash::new(&cut);
    // One by one, this is in the second epoch.
    kill_after(&mut leash, "out.jsonl", 9, 1, &[]);
    leash.free();
    cut.run_graph(&["--resume"]);
    assert!(cut.bytes("out.jsonl") == whole.bytes("out.jsonl"));
    let rejects = "out.jsonl.rejects.jsonl";
    assert!(!whole.bytes(rejects).is_empty());
    assert!(cut.bytes(rejects) == whole.bytes(rejects));
}

#[test]
fn nonsense_is_refused() {
    for (options, expected) in [
        ("with.epochs = 0", "`epochs` must be at least 1"),
        ("with.hold-out = 1.0", "from 0 to below 1"),
        ("with.hold-out-by = \"film\"", "`hold-out` is not given"),
        (
            "with.hold-out = 0.2\nwith.hold-out-by = \"film\"",
            "`reviews.csv` has no column `film`",
        ),
        (
            "with.hold-out = 0.2\nwith.hold-out-by = \"review\"",
            "`reviews.csv` has no column `review`",
        ),
        ("with.shuffle = -1", "0 or more"),
        ("with.exclude = \"reviews.csv\"", "which is not given"),
        ("with.unlabelled = \"gone.csv\"", "there is nothing at"),
        (
            "with.unlabelled = \"reviews.csv\"\nwith.exclude = \"gone.csv\"",
            "there is nothing at",
        ),
        ("with.role = \"exam\"", "cannot be `exam`"),
        (
            "with.role = \"test\"\nwith.epochs = 2",
            "a role of their own",
        ),
    ] {
        let ran = project(options).run(&["check", "graph.toml"]);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(expected), "{options}: {ran}");
    }
}
