//! Models as people have them, in graphs: `check` finds what is wrong, and nothing wrong is
//! judged.

use serde_json::{Value, json};

use crate::harness::Project;
use crate::tiny::Tiny;

const GRAPH: &str = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 24
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"model\"
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

const TRAIN: &str = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
with.epochs = 1
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 24
[stage.train]
plugin = \"finetune\"
from = \"tokenize\"
with.model = \"model\"
with.output = \"made\"
[stage.log]
plugin = \"write\"
from = \"train\"
with.path = \"log.jsonl\"
";

/// One word of the vocabulary a review.
const REVIEWS: &str = "label,text\n1,lovely\n0,boring\n0,the film was boring\n1,a lovely plot\n";

fn project(graph: &str) -> Project {
    let project = Project::with_graph(graph).file("reviews.csv", REVIEWS);
    project.model("model", Tiny::default())
}

fn configured(graph: &str, more: Value) -> Project {
    let project = project(graph);
    let mut config = Tiny::default().config();
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    project.write("model/config.json", config.to_string());
    project
}

/// Header and data of the model's weights.
fn weights(project: &Project) -> (Value, Vec<u8>) {
    let bytes = project.bytes("model/model.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    (header, bytes[8 + length..].to_vec())
}

fn write_weights(project: &Project, name: &str, header: &Value, data: &[u8]) {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    project.write(name, [&length, header.as_bytes(), data].concat());
}

/// Sets numbers of a tensor of f32, from number `from` on.
fn damage(project: &Project, tensor: &str, from: usize, values: &[f32]) {
    let (header, mut data) = weights(project);
    let start = header[tensor]["data_offsets"][0].as_u64().unwrap() as usize + 4 * from;
    for (i, value) in values.iter().enumerate() {
        data[start + 4 * i..][..4].copy_from_slice(&value.to_le_bytes());
    }
    write_weights(project, "model/model.safetensors", &header, &data);
}

#[test]
fn a_damaged_row_fails_the_review_that_needs_it() {
    let project = project(GRAPH);
    let vocabulary = project.read("model/vocab.txt");
    let row = vocabulary.lines().position(|word| word == "plot").unwrap();
    let table = "bert.embeddings.word_embeddings.weight";
    damage(&project, table, row * 16 + 5, &[f32::NAN]);
    for more in [&[][..], &["--set", "encoder.split=2"]] {
        let error = project.run(&[&["run", "graph.toml"], more].concat());
        let parts = [
            "review 3",
            "encoder",
            "`model`",
            "embeddings.word_embeddings.weight",
        ];
        error.failed_with(1, "not-finite", &parts[..]);
    }
}

#[test]
fn an_infinite_bias_fails_the_run() {
    let project = project(GRAPH);
    damage(&project, "classifier.bias", 0, &[f32::INFINITY]);
    let parts = ["encoder", "`model`", "`classifier.bias`"];
    let ran = project.run(&["run", "graph.toml"]);
    ran.failed_with(1, "not-finite", &parts);
}

#[test]
fn training_does_not_start_from_what_is_not_finite() {
    let project = project(TRAIN);
    damage(
        &project,
        "bert.encoder.layer.2.output.dense.bias",
        1,
        &[f32::NAN],
    );
    let ran = project.run(&["run", "graph.toml"]);
    ran.failed_with(1, "not-finite", &["encoder.layer.2.output.dense.bias"]);
}

#[test]
fn what_cannot_judge_is_found_by_check() {
    for (more, code, part) in [
        (
            json!({"architectures": ["BertForTokenClassification"]}),
            "model-task",
            "each token",
        ),
        (
            json!({"problem_type": "multi_label_classification"}),
            "model-task",
            "several labels",
        ),
        (
            json!({"problem_type": "regression"}),
            "model-task",
            "regression",
        ),
        (
            json!({"position_embedding_type": "relative_key"}),
            "model-config",
            "relative_key",
        ),
        (
            json!({"num_hidden_layers": 1_000_000}),
            "model-config",
            "1000000",
        ),
        (json!({"model_type": "xlnet"}), "model-config", "`xlnet`"),
    ] {
        let project = configured(GRAPH, more);
        project.write("out.jsonl", "the last good output\n");
        let ran = project.run(&["check", "graph.toml"]);
        ran.failed_with(2, code, &[part, "graph.toml:13:14"]);
        project
            .run(&["run", "graph.toml"])
            .failed_with(2, code, &[part]);
        assert_eq!(project.read("out.jsonl"), "the last good output\n");
    }
}

#[test]
fn what_cannot_be_trained_is_found_by_check() {
    for (more, part) in [
        (
            json!({"position_embedding_type": "relative_key"}),
            "relative_key",
        ),
        (json!({"hidden_act": "relu"}), "`hidden_act` is not `gelu`"),
        (
            json!({"num_hidden_layers": 7}),
            "has no tensor `bert.encoder.layer.4.",
        ),
        (
            json!({"id2label": {"0": "a", "1": "b", "2": "c"}}),
            "[3, 16]",
        ),
    ] {
        let project = configured(TRAIN, more);
        let error = project.run(&["check", "graph.toml"]).failed(2);
        assert!(error.contains(part), "{error}");
        assert!(error.contains("graph.toml:14:14"), "{error}");
    }
    let other = configured(
        TRAIN,
        json!({"id2label": {"0": "POSITIVE", "1": "NEGATIVE"}}),
    );
    let given = [
        "check",
        "graph.toml",
        "--set",
        "train.labels=[\"negative\",\"positive\"]",
    ];
    other
        .run(&given)
        .failed_with(2, "labels-differ", &["`POSITIVE`, `NEGATIVE`"]);
}

/// Stores the model's numbers as bf16, in two files, with old names behind a prefix.
fn as_people_have_it(project: &Project) {
    let (header, data) = weights(project);
    let (mut headers, mut files) = ([json!({}), json!({})], [Vec::new(), Vec::new()]);
    let mut map = json!({});
    for (i, (name, info)) in header.as_object().unwrap().iter().enumerate() {
        let range = [0, 1].map(|k| info["data_offsets"][k].as_u64().unwrap() as usize);
        let (file, part) = (&mut files[i % 2], &mut headers[i % 2]);
        let from = file.len();
        for number in data[range[0]..range[1]].chunks_exact(4) {
            file.extend_from_slice(&number[2..]);
        }
        let name = format!("module.{name}");
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        let name = name.replace("LayerNorm.bias", "LayerNorm.beta");
        part[&name] =
            json!({"dtype": "BF16", "shape": info["shape"], "data_offsets": [from, file.len()]});
        map[&name] = format!("model-{}.safetensors", i % 2).into();
    }
    for i in 0..2 {
        let name = format!("model/model-{i}.safetensors");
        write_weights(project, &name, &headers[i], &files[i]);
    }
    let index = json!({"weight_map": map}).to_string();
    project.write("model/model.safetensors.index.json", index);
    std::fs::remove_file(project.path("model/model.safetensors")).unwrap();
}

/// The model's numbers cut to 16 bits, in one file of 32.
fn cut_to_bf16(project: &Project) {
    let (header, mut data) = weights(project);
    for number in data.chunks_exact_mut(4) {
        number[..2].fill(0);
    }
    write_weights(project, "model/model.safetensors", &header, &data);
}

#[test]
fn old_names_prefixes_and_several_files_judge_and_train_alike() {
    for (graph, output) in [(GRAPH, "out.jsonl"), (TRAIN, "made/model.safetensors")] {
        let (plain, other) = (project(graph), project(graph));
        cut_to_bf16(&plain);
        as_people_have_it(&other);
        plain.run_graph(&[]);
        other.run_graph(&[]);
        assert!(plain.bytes(output) == other.bytes(output), "{output}");
    }
}

#[test]
fn what_stands_in_for_weights_is_named() {
    let project = project(GRAPH);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n";
    project.write("model/model.safetensors", pointer);
    let check = || project.run(&["check", "graph.toml"]);
    check().failed_with(2, "model-missing", &["Git LFS pointer", "git lfs pull"]);
    std::fs::remove_file(project.path("model/model.safetensors")).unwrap();
    project.write("model/pytorch_model.bin", "PK\u{3}\u{4} and no more");
    check().failed_with(
        2,
        "model-mismatch",
        &["pytorch_model.bin", "save_pretrained"],
    );
    std::fs::remove_file(project.path("model/pytorch_model.bin")).unwrap();
    std::fs::create_dir(project.path("model/onnx")).unwrap();
    project.write("model/onnx/model.onnx", "");
    check().failed_with(2, "model-missing", &["model/onnx/model.onnx` as `model`"]);
}

#[test]
fn stages_whose_classes_differ_are_not_merged() {
    let second = "[stage.other]\nplugin = \"bert\"\nfrom = \"tokenize\"\nwith.model = \"second\"\n";
    let graph = GRAPH.replace("[stage.verdict]", &format!("{second}[stage.verdict]"));
    let graph = graph.replace("from = \"encoder\"", "from = [\"encoder\", \"other\"]");
    let project = project(&graph).model("second", Tiny::default());
    project.run(&["check", "graph.toml"]).ok();
    let mut config = Tiny::default().config();
    config["id2label"] = json!({"0": "positive", "1": "negative"});
    project.write("second/config.json", config.to_string());
    let parts = [
        "`encoder` has `negative`, `positive`",
        "`other` has `positive`, `negative`",
    ];
    let ran = project.run(&["check", "graph.toml"]);
    ran.failed_with(2, "labels-differ", &parts);
}

const QUANTIZE: &str = "format = 1
[stage.smaller]
plugin = \"quantize\"
with.model = \"model\"
with.output = \"bytes\"
[stage.log]
plugin = \"write\"
from = \"smaller\"
with.path = \"log.jsonl\"
";

#[test]
fn a_model_stored_as_bytes_is_a_model() {
    let project = project(GRAPH).file("quantize.toml", QUANTIZE);
    project.run(&["run", "quantize.toml"]).ok();
    let row = &project.lines("log.jsonl")[0];
    // Six matrices a layer, and the word table.
    let layers = Tiny::default().layers as u64;
    assert_eq!(row["matrices"], 6 * layers + 1);
    let error = row["error"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.01, "{error}");
    let length = |folder: &str| project.bytes(&format!("{folder}/model.safetensors")).len();
    assert_eq!(row["bytes"], length("bytes"));
    let weights = row["weights"].as_u64().unwrap() as usize;
    let saved = length("model").saturating_sub(length("bytes"));
    assert!(saved > weights, "{saved} bytes saved of {weights} weights");

    let score = |more: &[&str]| -> Vec<f64> {
        project.run_graph(more);
        let lines = project.lines("out.jsonl");
        std::fs::remove_file(project.path("out.jsonl")).unwrap();
        lines
            .iter()
            .map(|line| line["score"].as_f64().unwrap())
            .collect()
    };
    let small = [
        "--set",
        "encoder.model=bytes",
        "--set",
        "tokenize.model=bytes",
    ];
    let int8 = ["--set", "encoder.precision=int8"];
    let want = score(&[]);
    let both = [&small[..], &int8].concat();
    for more in [&small[..], &int8, &both] {
        let got = score(more);
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() < 0.05, "{more:?}: {got}, not {want}");
        }
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_told() {
    let project = project(GRAPH);
    let run = |isa| project.run_with(&["run", "graph.toml"], &[("SEGUE_ISA", isa)]);
    run("z80").failed_with(
        2,
        "bad-isa",
        &["`SEGUE_ISA` is `z80`, and this machine has ", "`portable`"],
    );
    run("portable").ok();
}
