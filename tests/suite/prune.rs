//! Pruning in a graph: what it makes runs, cut and spread; a crash of its recovery changes nothing.

use serde_json::{Value, json};

use crate::harness::{Project, Random};
use crate::pace::{Leash, kill_after};
use crate::tiny::Tiny;

/// A graph that prunes with `options`, with a teacher upstream.
fn graph(options: &str) -> String {
    format!(
        "format = 1
[stream]
batch = 8
window = 3
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = 4
with.shuffle = 3
with.hold-out = 0.25
[stage.pace]
plugin = \"pass\"
from = \"reviews\"
with.leash = \"leash\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"pace\"
with.model = \"base\"
with.max-tokens = 24
[stage.teacher]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"base\"
with.states = \"0,1,2,3,4\"
[stage.train]
plugin = \"prune\"
from = \"teacher\"
with.model = \"base\"
with.output = \"made\"
with.learning-rate = 1e-3
with.patience = 100
{options}
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
"
    )
}

const STRUCTURED: &str = "with.kind = \"structured\"
with.speedup = 1.6
with.score = \"fisher\"
with.calibration = 40
with.recover = \"distill\"
with.state-weight = 0.5";

const GRADUAL: &str = "with.kind = \"structured\"
with.amount = 0.5
with.gradual = 0.5
with.gradual-steps = 4
with.recover = \"finetune\"";

const ZEROS: &str = "with.kind = \"unstructured\"
with.amount = 0.5
with.scope = \"global\"
with.recover = \"finetune\"";

/// Reviews that are good or bad by one word.
fn reviews() -> String {
    let mut random = Random(9);
    let mut text = "label,text\n".to_owned();
    for _ in 0..120 {
        let label = random.below(2);
        let word = ["boring", "lovely"][label];
        let before = ["the film was", "i was in it", "a plot and"][random.below(3)];
        text += &format!("{label},{before} {word} at the end\n");
    }
    text
}

fn project(options: &str) -> Project {
    let project = Project::with_graph(&graph(options)).file("reviews.csv", reviews());
    project.model("base", Tiny::default()).test_plugin()
}

fn made(project: &Project) -> [Vec<u8>; 3] {
    ["made/model.safetensors", "made/config.json", "log.jsonl"].map(|name| project.bytes(name))
}

/// A graph that judges with the model in the folder `model`.
fn judge(model: &str) -> String {
    format!(
        "format = 1\n[stage.reviews]\nplugin = \"read\"\nwith.path = \"reviews.csv\"\n\
         [stage.tokenize]\nplugin = \"tokenizer\"\nfrom = \"reviews\"\nwith.model = \"{model}\"\nwith.max-tokens = 24\n\
         [stage.encoder]\nplugin = \"bert\"\nfrom = \"tokenize\"\nwith.model = \"{model}\"\n\
         [stage.verdict]\nplugin = \"aggregator\"\nfrom = \"encoder\"\n\
         [stage.out]\nplugin = \"write\"\nfrom = \"verdict\"\nwith.path = \"out.jsonl\"\n"
    )
}

fn judged(project: &Project, model: &str, more: &[&str]) -> Vec<u8> {
    project.write("judge.toml", judge(model));
    project.run(&[&["run", "judge.toml"], more].concat()).ok();
    let out = project.bytes("out.jsonl");
    std::fs::remove_file(project.path("out.jsonl")).unwrap();
    out
}

/// The tensors of a file of 32-bit numbers, by name.
fn tensors(project: &Project, name: &str) -> Vec<(String, Vec<f32>)> {
    let bytes = project.bytes(name);
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&rest[..length]).unwrap();
    let all = header.as_object().unwrap().iter();
    let tensor = |(name, info): (&String, &Value)| {
        let at = |i: usize| info["data_offsets"][i].as_u64().unwrap() as usize;
        let data = &rest[length..][at(0)..at(1)];
        let numbers = data
            .chunks(4)
            .map(|x| f32::from_le_bytes(x.try_into().unwrap()));
        (name.clone(), numbers.collect())
    };
    all.filter(|(name, _)| *name != "__metadata__")
        .map(tensor)
        .collect()
}

#[test]
fn a_pruned_model_runs_cut_and_spread_and_prunes_the_same_anywhere() {
    let first = project(STRUCTURED);
    first.run_graph(&["--workers", "1"]);
    let bytes = |model: &str| first.bytes(&format!("{model}/model.safetensors")).len();
    assert!(bytes("made") < bytes("base"));
    let expected = judged(&first, "made", &["--workers", "1"]);
    assert!(expected != judged(&first, "base", &["--workers", "1"]));
    for more in [
        &["--devices", "2", "--set", "encoder.split=2"][..],
        &["--devices", "2", "--set", "encoder.split=4"],
        &["--workers", "2", "--set", "encoder.split=3"],
    ] {
        assert!(judged(&first, "made", more) == expected, "{more:?}");
    }
    for more in [&["--workers", "2"][..], &["--devices", "2"]] {
        let again = project(STRUCTURED);
        again.run_graph(more);
        assert!(made(&again) == made(&first), "{more:?}");
    }
    // It is a model like others: to be pruned again, and trained.
    first.run_graph(&[
        "--set",
        "train.model=made",
        "--set",
        "train.output=again",
        "--set",
        "teacher.model=made",
        "--set",
        "train.speedup=1.1",
    ]);
    assert!(bytes("again") < bytes("made"));
}

#[test]
fn what_goes_gradually_is_gone_at_the_end() {
    let project = project(GRADUAL);
    project.run_graph(&[]);
    let config = project.json("made/config.json");
    assert_eq!(config["intermediate_size"], 12);
    assert_eq!(config["pruned_heads"]["3"], json!([1]));
    let pruned = project.lines("log.jsonl");
    let pruned = pruned.iter().filter(|row| row["event"] == "pruned");
    assert_eq!(pruned.count(), 4);
    judged(&project, "made", &[]);
}

#[test]
fn zeros_stay_zero() {
    let project = project(ZEROS);
    project.run_graph(&[]);
    let all = tensors(&project, "made/model.safetensors");
    let matrices = all.iter().filter(|(name, _)| {
        name.contains(".layer.") && name.ends_with(".weight") && !name.contains("Norm")
            || name.contains("pooler.dense.weight")
    });
    let numbers: Vec<f32> = matrices.flat_map(|(_, numbers)| numbers).copied().collect();
    let zeros = numbers.iter().filter(|x| **x == 0.0).count();
    assert_eq!(zeros, numbers.len() / 2);
}

#[test]
fn a_file_without_zeros_is_smaller_and_the_same_model() {
    for half in ["train.half-precision=false", "train.half-precision=true"] {
        let project = project(ZEROS);
        project.run_graph(&["--set", half]);
        let sparse = ["train.output=small", "train.sparse=true"];
        project.run_graph(&["--set", half, "--set", sparse[0], "--set", sparse[1]]);
        let bytes = |model: &str| project.bytes(&format!("{model}/model.safetensors")).len();
        assert!(bytes("small") < bytes("made"), "{half}");
        let expected = judged(&project, "made", &[]);
        assert!(judged(&project, "small", &[]) == expected);
        assert!(
            judged(
                &project,
                "small",
                &["--devices", "2", "--set", "encoder.split=3"]
            ) == expected
        );
        // What trains reads it too, and so do those that round it.
        for (model, output) in [("made", "first"), ("small", "second")] {
            project.run_graph(&[
                "--set",
                &format!("train.model={model}"),
                "--set",
                &format!("train.output={output}"),
            ]);
        }
        assert!(
            project.bytes("first/model.safetensors") == project.bytes("second/model.safetensors")
        );
    }
}

#[test]
fn a_killed_recovery_gives_the_same_model() {
    for (options, seed) in [(STRUCTURED, 41), (GRADUAL, 42), (ZEROS, 43)] {
        let undisturbed = project(options);
        undisturbed.run_graph(&[]);
        let project = project(options);
        let mut random = Random(seed);
        let mut leash = Leash::new(&project);
        // Often, but not at every batch: some are learnt again.
        let often = ["--set", "train.checkpoint-minutes=0.0002"];
        let again = [&often[..], &["--resume"]].concat();
        for time in 0..3 {
            let more = if time == 0 { &often[..] } else { &again };
            kill_after(&mut leash, "log.jsonl", 1, random.below(6) as u64, more);
        }
        leash.free();
        project.run_graph(&again);
        assert!(made(&project) == made(&undisturbed), "{options}");
    }
}

#[test]
fn word_pieces_that_never_come_go_and_change_nothing() {
    let graph = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"base\"
with.max-tokens = 24
[stage.smaller]
plugin = \"prune-vocabulary\"
from = \"tokenize\"
with.model = \"base\"
with.output = \"small\"
[stage.log]
plugin = \"write\"
from = \"smaller\"
with.path = \"log.jsonl\"
";
    let project = Project::with_graph(graph).file("reviews.csv", reviews());
    let project = project.model("base", Tiny::default());
    project.run_graph(&[]);
    let row = &project.lines("log.jsonl")[0];
    assert_eq!((&row["pieces"], &row["covered"]), (&json!(37), &json!(1.0)));
    assert!(row["kept"].as_u64().unwrap() < 25, "{row}");
    assert!(judged(&project, "small", &[]) == judged(&project, "base", &[]));
    // A word that it does not have is unknown, and still judged.
    project.write("reviews.csv", "label,text\n0,the worst scene\n");
    assert!(!judged(&project, "small", &[]).is_empty());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let project = project(STRUCTURED);
    for (set, part) in [
        ("train.amount=0.5", "cannot both be given"),
        ("train.kind=unstructured", "zeros take as long"),
        ("train.gradual=0.5", "needs `amount`"),
        ("train.sparse=true", "nothing is zero"),
        ("train.options=heads-9=0.5", "there is no layer 9"),
        ("train.options=heads-0=1.5", "from 0 to below 1"),
        ("train.options=depth=0.5", "names no part that goes"),
        (
            "train.speedup=1000",
            "with the least that a layer can have it is",
        ),
    ] {
        let ran = project.run(&["run", "graph.toml", "--set", set]);
        assert!(ran.stderr.contains(part), "{set}: {ran}");
        // Only what depends on scores is told after a start.
        let late = set == "train.speedup=1000";
        assert_eq!(ran.code, Some(if late { 1 } else { 2 }), "{set}: {ran}");
    }
}

/// Tries how much can go: `grid` proposes it.
fn trial(space: &str, options: &str) -> Project {
    let graph = format!(
        "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.shuffle = 3
with.hold-out = 0.5
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"base\"
with.max-tokens = 24
[stage.grid]
plugin = \"grid\"
with.space = {space}
[stage.trial]
plugin = \"prune-trial\"
from = {{ candidates = \"grid\", rows = \"tokenize\" }}
with.model = \"base\"
with.calibration = 20
{options}
[stage.plot]
plugin = \"plot\"
from = \"trial\"
with.x = \"sparsity\"
with.y = \"loss\"
with.by = \"kind\"
with.output = \"plot.svg\"
[stage.table]
plugin = \"write\"
from = \"plot\"
with.path = \"table.jsonl\"
"
    );
    let project = Project::with_graph(&graph).file("reviews.csv", reviews());
    project.model("base", Tiny::default()).test_plugin()
}

#[test]
fn a_table_of_what_each_amount_costs() {
    let space = "[\"kind = structured | unstructured\", \"amount = 0.0 | 0.5 | 0.75\"]";
    let project = trial(space, "");
    project.run_graph(&[]);
    let rows = project.lines("table.jsonl");
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap();
    assert_eq!(rows.len(), 6);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row["candidate"], at);
        assert_eq!(row["kind"], ["structured", "unstructured"][at / 3]);
        assert_eq!(number(row, "loss"), number(row, "fitness"));
        assert!((0.0..=1.0).contains(&number(row, "accuracy")), "{row}");
    }
    for kind in rows.chunks(3) {
        // Without a loss of anything it is the model itself.
        assert_eq!(number(&kind[0], "loss"), number(&rows[0], "loss"));
        assert!(number(&kind[0], "sparsity") == 0.0 && number(&kind[0], "speedup") == 1.0);
        for (less, more) in kind.iter().zip(&kind[1..]) {
            assert!(
                number(less, "sparsity") < number(more, "sparsity"),
                "{more}"
            );
            assert!(
                number(less, "parameters") > number(more, "parameters"),
                "{more}"
            );
            assert!(number(less, "bytes") > number(more, "bytes"), "{more}");
        }
    }
    assert!(number(&rows[1], "speedup") > 1.5 && number(&rows[4], "speedup") == 1.0);
    let svg = project.read("plot.svg");
    assert!(
        svg.contains(">structured<") && svg.contains(">unstructured<"),
        "{svg}"
    );
    assert_eq!(svg.matches("<circle").count(), 6);
    // What `bytes` says is what `prune` writes.
    let pruned = self::project(ZEROS);
    let half = [
        "train.half-precision=true",
        "train.sparse=true",
        "train.recover=none",
    ];
    let sets = half.iter().chain(&["train.scope=layer"]);
    let sets: Vec<&str> = sets.flat_map(|set| ["--set", set]).collect();
    pruned.run_graph(&sets);
    let bytes = pruned.bytes("made/model.safetensors").len();
    assert_eq!(number(&rows[4], "bytes"), bytes as f64);
    for more in [&["--workers", "2"][..], &["--devices", "2"]] {
        let again = trial(space, "");
        again.run_graph(more);
        assert_eq!(again.read("table.jsonl"), project.read("table.jsonl"));
        assert_eq!(again.read("plot.svg"), svg);
    }
}

#[test]
fn single_layers_lose_what_is_said_of_them() {
    let options = "heads-0=0.5,inner-0=0.75,inner-3=0.5";
    let space = "[\"heads-0 = 0.5\", \"inner-0 = 0.75\", \"inner-3 = 0.5\"]";
    let tried = trial(space, "with.score = \"l1\"");
    tried.run_graph(&[]);
    let row = &tried.lines("table.jsonl")[0];
    assert_eq!(row["options"], options);
    let project = project(STRUCTURED);
    let set = format!("train.options={options}");
    let sets = [
        "--set",
        &set,
        "--set",
        "train.score=l1",
        "--set",
        "train.recover=none",
    ];
    project.run_graph(&[&sets[..], &["--set", "train.half-precision=true"]].concat());
    let config = project.json("made/config.json");
    assert_eq!(config["pruned_heads"], json!({"0": [1]}));
    assert_eq!(config["intermediate_sizes"], json!([6, 24, 24, 12]));
    let bytes = project.bytes("made/model.safetensors").len();
    assert_eq!(row["bytes"].as_f64(), Some(bytes as f64));
}

#[test]
fn what_cannot_be_tried_is_refused() {
    for (space, options, part) in [
        ("[\"amount = 0.1..0.5\"]", "", "cannot be counted"),
        ("[\"heads-7 = 0.5\"]", "", "there is no layer 7"),
        ("[\"amount = 1.5\"]", "", "from 0 to below 1"),
        ("[\"depth = 3\"]", "", "none that this stage has"),
        (
            "[\"heads-0 = 0.5\"]",
            "with.kind = \"unstructured\"",
            "go with `kind = \"structured\"` alone",
        ),
    ] {
        let ran = trial(space, options).run(&["run", "graph.toml"]);
        assert!(
            ran.code != Some(0) && ran.stderr.contains(part),
            "{space}: {ran}"
        );
    }
    let project = trial("[\"amount = 0.5\"]", "");
    for (set, part) in [
        ("plot.x=loss", "`loss` is drawn already"),
        ("plot.by=sparsity", "`sparsity` is drawn already"),
        ("plot.x=size", "reads `size: f64`"),
    ] {
        let ran = project.run(&["check", "graph.toml", "--set", set]);
        assert!(
            ran.code == Some(2) && ran.stderr.contains(part),
            "{set}: {ran}"
        );
    }
}
