//! Models that are not what they should be: refused before anything runs.

use serde_json::Value;

use crate::harness::{Project, reviews};
use crate::tiny::Tiny;

const MODEL: &str = "format = 1
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"words\"
with.max-tokens = 32
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

/// A graph with a model that is as it should be.
pub fn with_model() -> Project {
    Project::with_graph(MODEL)
        .file("reviews.csv", reviews(4))
        .model("words", Tiny::default())
        .model("model", Tiny::default())
}

/// `check` refuses the model, underlined where it is named.
fn bad_model(project: &Project, code: &str, parts: &[&str]) {
    let parts = [parts, &["--> graph.toml:13:14\n"]].concat();
    project
        .run(&["check", "graph.toml"])
        .failed_with(2, code, &parts);
    assert!(!project.has("out.jsonl"));
}

#[test]
fn a_model_that_is_not_whole() {
    with_model().run_graph(&[]);
    let project = with_model();
    let weights = project.bytes("model/model.safetensors");
    for length in [weights.len() - 1, weights.len() / 2] {
        project.write("model/model.safetensors", &weights[..length]);
        let part = format!("`model/model.safetensors` ends after {length} bytes");
        bad_model(&project, "model-truncated", &[&part]);
    }
    for length in [0, 7, 100] {
        project.write("model/model.safetensors", &weights[..length]);
        let part = format!("`model/model.safetensors` is {length} bytes long");
        bad_model(&project, "model-truncated", &[&part]);
    }
    std::fs::remove_file(project.path("model/model.safetensors")).unwrap();
    bad_model(&project, "model-missing", &["`model/model.safetensors`"]);
    std::fs::remove_file(project.path("model/config.json")).unwrap();
    bad_model(&project, "model-missing", &["`model/config.json`"]);
}

#[test]
fn a_configuration_that_disagrees_with_the_tensors() {
    let project = with_model();
    let config = |change: &dyn Fn(&mut Value)| {
        let mut config = Tiny::default().config();
        change(&mut config);
        project.write("model/config.json", config.to_string());
    };
    config(&|config| config["hidden_size"] = 24.into());
    bad_model(
        &project,
        "model-mismatch",
        &["of shape [37, 16], but `config.json` asks for [37, 24]"],
    );
    config(&|config| config["num_hidden_layers"] = 6.into());
    let part = "has no tensor `bert.encoder.layer.4.";
    bad_model(&project, "model-mismatch", &[part]);
    config(&|config| config["num_attention_heads"] = 3.into());
    let part = "`hidden_size` 16 is not a multiple of `num_attention_heads` 3";
    bad_model(&project, "model-config", &[part]);
    config(&|config| config["model_type"] = "roberta".into());
    bad_model(&project, "model-config", &["`model_type` is `roberta`"]);
    project.write("model/config.json", "{");
    bad_model(&project, "model-config", &["`model/config.json`: "]);
}

#[test]
fn a_tokenizer_of_another_vocabulary() {
    let project = with_model();
    let words = project.read("words/vocab.txt");
    // The model has no rows for these.
    let shifted: String = (0..40).map(|i| format!("\nextra{i}")).collect();
    project.write(
        "words/vocab.txt",
        words.replace("\na\n", &format!("{shifted}\na\n")),
    );
    let ran = project.run(&["check", "graph.toml"]);
    ran.failed_with(
        2,
        "bad-model",
        &[
            "its token `worst` is number 76, but `vocab_size` in `config.json` is 37",
            "graph.toml:8:14",
        ],
    );
    project.write("words/vocab.txt", words.replace("[CLS]", "CLS"));
    let ran = project.run(&["check", "graph.toml"]);
    ran.failed_with(2, "bad-model", &["it lacks `[CLS]`", "graph.toml:8:14"]);
    std::fs::remove_file(project.path("words/vocab.txt")).unwrap();
    let ran = project.run(&["check", "graph.toml"]);
    let part = "`words` has neither `tokenizer.json` nor `vocab.txt`";
    ran.failed_with(2, "model-missing", &[part, "graph.toml:8:14"]);
}
