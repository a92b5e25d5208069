//! The operators as a host sees them.

use std::sync::Arc;

use segue_baselines::operators::ann::AnnStage;
use segue_baselines::operators::cnn::CnnStage;
use segue_baselines::operators::svm::SvmStage;
use segue_plugin::arrow_array::cast::AsArray;
use segue_plugin::arrow_array::{ArrayRef, StringArray, UInt64Array};
use segue_plugin::{Batch, Column, Context, Error, Host, Next, Rows, Stage};
use serde_json::{Value, json};

use crate::tiny::texts;

type Texts<'a> = Vec<Option<&'a str>>;

fn batch(texts: Texts, truth: Option<Texts>, role: Option<Texts>) -> Batch {
    let reviews: UInt64Array = (100..100 + texts.len() as u64).map(Some).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![("review".to_owned(), Arc::new(reviews))];
    let all = [("text", Some(texts)), ("truth", truth), ("role", role)];
    for (name, values) in all {
        if let Some(values) = values {
            columns.push((name.to_owned(), Arc::new(StringArray::from(values))));
        }
    }
    Batch::from_arrays(0, columns).unwrap()
}

/// The tiny task: 40 texts to learn from, 10 held out, 10 to judge.
fn tiny(labels: [&'static str; 2]) -> Batch {
    let texts = texts();
    let truth = texts.iter().map(|(_, class)| Some(labels[*class as usize]));
    let roles = ["train"; 40]
        .into_iter()
        .chain(["validation"; 10])
        .chain(["test"; 10]);
    let only = texts.iter().map(|(text, _)| Some(text.as_str()));
    batch(
        only.collect(),
        Some(truth.collect()),
        Some(roles.map(Some).collect()),
    )
}

const LABELS: [&str; 2] = ["negative", "positive"];

/// What an operator gives for `batches`: columns of text, and the lines it shows.
fn run<S: Stage>(options: &Value, batches: Vec<Batch>) -> Result<(Vec<Batch>, Vec<String>), Error> {
    let mut stage: S = serde_json::from_value(options.clone()).unwrap();
    let context = Context {
        stage: "model".to_owned(),
        device: "local".to_owned(),
        ..Context::default()
    };
    stage.start(&context)?;
    let lines = std::cell::RefCell::new(Vec::new());
    let show = |line: &str| lines.borrow_mut().push(line.to_owned());
    let mut given = Vec::new();
    for batch in batches {
        let mut host = Host::new(&show);
        stage.process_each(batch, &mut host)?;
        given.extend(host.into_batches());
    }
    loop {
        let mut host = Host::new(&show);
        let next = stage.finish(&mut host)?;
        given.extend(host.into_batches());
        if next == Next::Done {
            return Ok((given, lines.take()));
        }
    }
}

fn column(batch: &Batch, name: &str) -> Vec<String> {
    let values = batch.text(name).unwrap().iter();
    values
        .map(|value| value.unwrap_or("-").to_owned())
        .collect()
}

/// Learns, judges, saves, loads, judges again.
fn check<S: Stage>(mut options: Value) {
    let folder = tempfile::TempDir::new().unwrap();
    let model = folder.path().join("model");
    options["least-texts"] = 1.into();
    options["output"] = json!(model);
    let (given, lines) = run::<S>(&options, vec![tiny(LABELS)]).unwrap();
    assert!(
        lines.iter().any(|line| line.starts_with("epoch 1 of ")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("making") || line.contains(", held out "))
    );
    let [given] = given.as_slice() else {
        panic!("{} batches", given.len());
    };
    let reviews = given.u64("review").unwrap().values().to_vec();
    assert_eq!(reviews, (150..160).collect::<Vec<_>>());
    assert_eq!(column(given, "label"), column(given, "truth"));

    let (again, lines) = run::<S>(&json!({"model": model}), vec![tiny(LABELS)]).unwrap();
    assert!(lines.is_empty());
    for name in ["label", "score", "review", "truth"] {
        assert_eq!(again[0].column(name).unwrap(), given.column(name).unwrap());
    }
    let plain = batch(vec![Some("a lovely film"), None, Some("dull")], None, None);
    let (plain, _) = run::<S>(&json!({"model": model}), vec![plain]).unwrap();
    assert_eq!(plain[0].rows(), 3);
    let labels = column(&plain[0], "label");
    assert_eq!(
        (labels[0].as_str(), labels[2].as_str()),
        ("positive", "negative")
    );
    let scores = plain[0].column("score").unwrap();
    let scores = scores.as_primitive::<segue_plugin::arrow_array::types::Float32Type>();
    assert!(scores.values().iter().all(|score| score.is_finite()));
}

#[test]
fn each_learns_judges_and_comes_back_from_its_folder() {
    check::<SvmStage>(json!({}));
    check::<AnnStage>(json!({"hidden": 8, "batch": 5, "rate": 0.02}));
    check::<CnnStage>(json!({"embedding": 8, "filters": 8, "batch": 5, "rate": 0.02}));
}

/// The model that `rows` of the tiny task, in this order, leave in a folder.
fn left<S: Stage>(options: &Value, roles: [&'static str; 2]) -> [Vec<u8>; 2] {
    let folder = tempfile::TempDir::new().unwrap();
    let mut options = options.clone();
    options["output"] = json!(folder.path());
    options["least-texts"] = 1.into();
    let all = texts();
    let part = |role: &'static str| {
        let learned = role == "train";
        let texts = all.iter().map(move |(text, class)| {
            if learned {
                (Some(text.as_str()), Some(LABELS[*class as usize]))
            } else {
                (Some("zebras eat apples"), None)
            }
        });
        let (texts, truth) = texts.unzip();
        batch(texts, Some(truth), Some(vec![Some(role); all.len()]))
    };
    run::<S>(&options, roles.map(part).to_vec()).unwrap();
    ["vocabulary.txt", "model.safetensors"]
        .map(|name| std::fs::read(folder.path().join(name)).unwrap())
}

#[test]
fn what_is_only_judged_changes_nothing_that_is_learned() {
    fn check<S: Stage>(options: Value) {
        let first = left::<S>(&options, ["train", "test"]);
        assert!(first == left::<S>(&options, ["test", "train"]), "{options}");
    }
    check::<SvmStage>(json!({}));
    check::<AnnStage>(json!({"hidden": 8, "batch": 5, "epochs": 2}));
    check::<CnnStage>(json!({"embedding": 8, "filters": 8, "batch": 5, "epochs": 2}));
}

#[test]
fn what_cannot_be_learned_from_is_an_error() {
    let code = |batches| {
        run::<SvmStage>(&json!({"output": "none"}), batches)
            .unwrap_err()
            .code
    };
    assert_eq!(code(vec![]), "no-train-rows");
    let one = |truth| batch(vec![Some("a film")], Some(vec![truth]), None);
    assert_eq!(code(vec![one(None)]), "no-truth");
    assert_eq!(code(vec![one(Some(""))]), "no-truth");
    assert_eq!(code(vec![one(Some("positive"))]), "one-class");
    assert_eq!(code(vec![one(Some("good"))]), "unknown-label");
    let two = vec![
        one(Some("positive")),
        batch(vec![None], Some(vec![Some("negative")]), None),
    ];
    assert_eq!(code(two), "no-features");
    let role = batch(vec![Some("a")], Some(vec![None]), Some(vec![Some("trial")]));
    assert_eq!(code(vec![role]), "unknown-role");
    let nothing = run::<SvmStage>(&json!({}), vec![one(Some("positive"))]);
    assert_eq!(nothing.unwrap_err().code, "no-use");
    let missing = run::<SvmStage>(&json!({"model": "no such folder"}), vec![]);
    assert_eq!(missing.unwrap_err().code, "model-missing");
}

#[test]
fn options_that_make_no_sense_are_blamed() {
    let blamed = |options: Value, name: &str| {
        let error = match name {
            "widest" => columns::<CnnStage>(&options, &[]).unwrap_err(),
            "hidden" | "dropout" | "rate" => columns::<AnnStage>(&options, &[]).unwrap_err(),
            _ => columns::<SvmStage>(&options, &[]).unwrap_err(),
        };
        assert_eq!(error.code, "bad-option");
        assert_eq!(error.option.as_deref(), Some(name));
    };
    blamed(json!({"labels": ["one"]}), "labels");
    blamed(json!({"labels": ["one", "one"]}), "labels");
    blamed(json!({"ngrams": 4}), "ngrams");
    blamed(json!({"cost": 0.0}), "cost");
    blamed(json!({"hidden": 0}), "hidden");
    blamed(json!({"dropout": 1.0}), "dropout");
    blamed(json!({"rate": -1.0}), "rate");
    blamed(json!({"widest": 0}), "widest");
}

fn columns<S: Stage>(options: &Value, input: &[Column]) -> Result<segue_plugin::Columns, Error> {
    let stage: S = serde_json::from_value(options.clone()).unwrap();
    stage.columns_for(input)
}

#[test]
fn only_learning_keeps_rows_and_needs_the_truth() {
    let names = |columns: &[Column]| {
        columns
            .iter()
            .map(|c| c.name.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let learning = columns::<SvmStage>(&json!({}), &[]).unwrap();
    assert_eq!(names(&learning.reads), "review text truth");
    assert_eq!(names(&learning.writes), "review truth label score");
    assert!(learning.stateful && learning.rows == Rows::New);
    let input = ["text", "role"].map(|name| Column::new(name, "utf8"));
    let judging = columns::<SvmStage>(&json!({"model": "m"}), &input).unwrap();
    assert_eq!(names(&judging.reads), "review text role");
    assert_eq!(names(&judging.writes), "review label score");
    assert!(!judging.stateful);
}
