//! `config.json` as people have it.

use std::path::Path;

use segue_model::{Activation, Family, ModelConfig};
use serde_json::{Value, json};

use crate::tiny::{config, distilled_config, write};

/// The plain configuration with `more` in it.
fn with(more: Value) -> Result<ModelConfig, String> {
    let mut json: Value = serde_json::from_str(&config()).unwrap();
    let more = more.as_object().unwrap().clone();
    json.as_object_mut().unwrap().extend(more);
    ModelConfig::parse(&json.to_string())
}

fn refused(more: Value, part: &str) {
    let message = with(more.clone()).unwrap_err();
    assert!(message.contains(part), "{more}: {message}");
}

#[test]
fn defaults_and_labels() {
    let config = with(json!({"hidden_act": "relu", "vocab_size": 9.0})).unwrap();
    assert_eq!(config.labels, ["bad", "good"]);
    assert_eq!(config.class_names(), ["bad", "good"]);
    assert_eq!(config.layers[0].head_size, 2);
    assert_eq!(config.hidden_act, Activation::Relu);
    assert_eq!(config.layer_norm_eps, 1e-12);
    assert_eq!(config.vocab_size, 9);
    let stars = with(json!({"id2label": {"0": 1, "1": "2 stars", "2": 3.5}})).unwrap();
    assert_eq!(stars.labels, ["1", "2 stars", "3.5"]);
    let none = with(json!({"id2label": null, "num_labels": 3})).unwrap();
    assert_eq!(none.labels, ["LABEL_0", "LABEL_1", "LABEL_2"]);
    assert!(none.class_names().is_empty());
}

#[test]
fn distilbert_has_names_of_its_own() {
    let config = ModelConfig::parse(&distilled_config()).unwrap();
    assert_eq!(config.family, Family::DistilBert);
    let sizes = (config.hidden_size, config.num_hidden_layers);
    assert_eq!(sizes, (4, 1));
    assert_eq!((config.intermediate_size, config.type_vocab_size), (6, 1));
    // The class of the weights says it too.
    let text = distilled_config().replace(
        r#""model_type": "distilbert""#,
        r#""architectures": ["DistilBertModel"]"#,
    );
    assert_eq!(
        ModelConfig::parse(&text).unwrap().family,
        Family::DistilBert
    );
}

#[test]
fn an_unknown_family_is_named_before_its_fields() {
    let message = ModelConfig::parse(r#"{"model_type": "gpt2", "n_embd": 768}"#).unwrap_err();
    assert!(message.contains("`model_type` is `gpt2`"), "{message}");
    let message = ModelConfig::parse(r#"{"architectures": ["T5Model"], "d": 1}"#).unwrap_err();
    assert!(message.contains("`T5Model`"), "{message}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(json!({"num_attention_heads": 3}), "not a multiple");
    refused(json!({"num_attention_heads": 0}), "outside 1..");
    refused(json!({"num_hidden_layers": 1_000_000}), "outside 1..=1024");
    refused(json!({"num_hidden_layers": -1}), "outside 1..");
    refused(json!({"hidden_size": 1e300}), "outside 1..");
    refused(json!({"hidden_size": "4"}), "not a whole number");
    refused(json!({"hidden_size": null}), "`hidden_size` is missing");
    refused(json!({"vocab_size": u64::MAX}), "outside 1..");
    refused(json!({"layer_norm_eps": 0}), "layer_norm_eps");
    refused(json!({"hidden_act": "silu"}), "`hidden_act` is `silu`");
    refused(
        json!({"position_embedding_type": "relative_key"}),
        "relative_key",
    );
    refused(json!({"is_decoder": true}), "only encoders");
    refused(json!({"pruned_heads": [1]}), "not an object of layers");
    refused(json!({"pruned_heads": {"7": [1]}}), "names layer `7`");
    refused(
        json!({"pruned_heads": {"0": [2]}}),
        "not a list of some of its 2 heads",
    );
    refused(
        json!({"pruned_heads": {"0": [1, 0]}}),
        "leaves layer `0` no head",
    );
    refused(json!({"intermediate_sizes": [3, 3]}), "not a list of");
    refused(json!({"intermediate_sizes": 3}), "not a list of");
    refused(json!({"head_dim": 0}), "outside 1..");
    refused(json!({"quantization_config": {"bits": 8}}), "quantised");
    refused(json!({"id2label": {"1": "x"}}), "none for 0");
    refused(json!({"id2label": ["x"]}), "not an object");
    refused(
        json!({"id2label": {}, "num_labels": 1_000_000}),
        "num_labels",
    );
    assert!(
        ModelConfig::parse("[]")
            .unwrap_err()
            .contains("not a JSON object")
    );
}

#[test]
fn what_does_not_judge_texts_is_refused() {
    let task = |more: Value| with(more).unwrap().check_classes();
    for (more, part) in [
        (
            json!({"architectures": ["BertForTokenClassification"]}),
            "each token",
        ),
        (
            json!({"architectures": ["BertForQuestionAnswering"]}),
            "answers",
        ),
        (
            json!({"architectures": ["BertForMultipleChoice"]}),
            "chooses",
        ),
        (
            json!({"problem_type": "multi_label_classification"}),
            "several labels",
        ),
        (json!({"problem_type": "regression"}), "numbers"),
        (json!({"problem_type": "other"}), "unknown `problem_type`"),
        (json!({"id2label": {"0": "score"}}), "single output"),
    ] {
        let error = task(more).unwrap_err();
        assert_eq!(error.code, "model-task");
        assert!(error.message.contains(part), "{error}");
        assert!(error.help.is_some());
    }
    for more in [
        json!({}),
        json!({"architectures": ["BertForSequenceClassification"]}),
        json!({"problem_type": "single_label_classification"}),
        json!({"architectures": ["SomeModelOfOurs_v2"]}),
    ] {
        task(more).unwrap();
    }
}

#[test]
fn a_file_that_is_not_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let refused = |part: &str| {
        let error = ModelConfig::read(folder.path()).unwrap_err();
        assert_eq!(error.code, "model-missing");
        assert!(error.message.contains(part), "{error}");
        assert!(error.message.contains("config.json"), "{error}");
    };
    refused("No such file");
    std::fs::create_dir(&path).unwrap();
    refused("it is a folder");
    std::fs::remove_dir(&path).unwrap();
    pipe(&path);
    refused("a pipe or a device");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    refused("a pipe or a device");
    std::fs::remove_file(&path).unwrap();
    write(
        folder.path(),
        "config.json",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 570\n",
    );
    refused("Git LFS pointer");
    // A file of 1 TB that takes no room.
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(1 << 40).unwrap();
    refused("longer than");
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}
