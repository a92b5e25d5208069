//! Weights as people have them.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use segue_model::{Found, ModelConfig, ModelError, Weights, find, folder_of};

use crate::tiny::{
    Tensors, bytes, config, distilled, distilled_config, folder, prefixed, renamed, specs, tensors,
    write,
};

fn open(folder: &Path) -> Result<Weights, ModelError> {
    Weights::open(&find(folder)?, &ModelConfig::read(folder)?)
}

/// All tensors can be read under BERT's names, with their numbers.
fn check(folder: &Path) {
    let weights = open(folder).unwrap();
    let expect = tensors();
    let is_distilled = ModelConfig::read(folder).unwrap().type_vocab_size == 1;
    for mut spec in specs() {
        let mut values = expect[&spec.name].1.clone();
        if is_distilled && spec.name.contains("token_type") {
            spec.shape[0] = 1;
            values = vec![0.0; 4];
        }
        weights.check(&spec).unwrap();
        assert_eq!(weights.read(&spec).unwrap(), values, "{}", spec.name);
    }
    assert!(weights.has_classifier());
}

fn refused(folder: &Path, code: &str, parts: &[&str]) {
    let Err(error) = open(folder).map(drop) else {
        panic!("it was read");
    };
    assert_eq!(error.code, code, "{error}");
    let whole = format!("{}; {}", error.message, error.help.unwrap_or_default());
    for part in parts {
        assert!(whole.contains(part), "{whole}");
    }
}

#[test]
fn prefixes() {
    for (prefix, head) in [
        ("bert.", ""),
        ("", ""),
        ("module.bert.", "module."),
        ("model.bert.", "model."),
        ("bert.", "bert."),
        ("_orig_mod.module.bert.", "_orig_mod.module."),
    ] {
        check(folder(&config(), &prefixed(prefix, head), Dtype::F32).path());
    }
}

#[test]
fn gamma_and_beta_are_weight_and_bias() {
    let old = renamed(|name| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        name.replace("LayerNorm.bias", "LayerNorm.beta")
    });
    check(folder(&config(), &old, Dtype::F32).path());
}

#[test]
fn sixteen_bits() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        check(folder(&config(), &tensors(), dtype).path());
        check(folder(&distilled_config(), &distilled(), dtype).path());
    }
}

#[test]
fn distilbert() {
    check(folder(&distilled_config(), &distilled(), Dtype::F32).path());
    // Weights and configuration of two models.
    let mixed = folder(&config(), &distilled(), Dtype::F32);
    refused(
        mixed.path(),
        "model-mismatch",
        &["`distilbert`", "of one model"],
    );
    let mixed = folder(&distilled_config(), &prefixed("bert.", ""), Dtype::F32);
    refused(
        mixed.path(),
        "model-mismatch",
        &["tensors of a `bert` model"],
    );
}

/// Writes `tensors` into `count` files with an index.
fn shards(folder: &Path, tensors: &Tensors, count: usize) {
    let name = |i: usize| format!("model-{:05}-of-{count:05}.safetensors", i + 1);
    let mut parts = vec![Tensors::new(); count];
    let mut map = serde_json::Map::new();
    for (i, (tensor, values)) in tensors.iter().enumerate() {
        parts[i % count].insert(tensor.clone(), values.clone());
        map.insert(tensor.clone(), name(i % count).into());
    }
    for (i, part) in parts.iter().enumerate() {
        write(folder, &name(i), &bytes(part, Dtype::F32));
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    write(
        folder,
        "model.safetensors.index.json",
        index.to_string().as_bytes(),
    );
}

#[test]
fn several_files() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", config().as_bytes());
    shards(dir.path(), &prefixed("bert.", ""), 3);
    check(dir.path());
    std::fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    refused(
        dir.path(),
        "model-missing",
        &["model-00002-of-00003", "in 3 files"],
    );
    for (index, part) in [
        ("{", "not an index"),
        (r#"{"weight_map": 3}"#, "no `weight_map`"),
        (r#"{"weight_map": {}}"#, "names no tensor"),
        (r#"{"weight_map": {"a": "../b.safetensors"}}"#, "beside it"),
        (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "beside it"),
        (r#"{"weight_map": {"a": 3}}"#, "beside it"),
    ] {
        write(dir.path(), "model.safetensors.index.json", index.as_bytes());
        refused(dir.path(), "model-mismatch", &[part]);
    }
}

#[test]
fn pytorch_s_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../train/testdata");
    write(dir.path(), "config.json", br#"{"hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 6, "vocab_size": 5, "max_position_embeddings": 3}"#);
    let torch = std::fs::read(made.join("torch/pytorch_model.bin")).unwrap();
    let safe = std::fs::read(made.join("safe/model.safetensors")).unwrap();
    write(dir.path(), "pytorch_model.bin", &torch);
    let from_torch = open(dir.path()).unwrap();
    write(dir.path(), "model.safetensors", &safe);
    let from_safe = open(dir.path()).unwrap();
    for mut spec in specs() {
        match spec.name.as_str() {
            "embeddings.word_embeddings.weight" => spec.shape[0] = 5,
            "embeddings.position_embeddings.weight" => spec.shape[0] = 3,
            name if name.starts_with("classifier") => continue,
            _ => {}
        }
        let values = from_torch.read(&spec).unwrap();
        assert_eq!(values, from_safe.read(&spec).unwrap(), "{}", spec.name);
    }
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    for broken in [
        b"\x80\x02 older".to_vec(),
        [b"PK\x03\x04".to_vec(), vec![0; 200]].concat(),
        torch[..torch.len() / 2].to_vec(),
        Vec::new(),
    ] {
        write(dir.path(), "pytorch_model.bin", &broken);
        refused(
            dir.path(),
            "model-mismatch",
            &["pytorch_model.bin", "save the model anew"],
        );
    }
}

#[test]
fn what_is_there_instead_of_weights_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", config().as_bytes());
    refused(
        dir.path(),
        "model-missing",
        &["model.safetensors", "a model is a folder"],
    );
    write(dir.path(), "tf_model.h5", b"");
    refused(dir.path(), "model-missing", &["TensorFlow"]);
    write(dir.path(), "adapter_model.safetensors", b"");
    refused(dir.path(), "model-missing", &["adapter"]);
    std::fs::create_dir(dir.path().join("onnx")).unwrap();
    write(&dir.path().join("onnx"), "model.onnx", b"");
    write(&dir.path().join("onnx"), "a.onnx", b"");
    refused(
        dir.path(),
        "model-missing",
        &["onnx/model.onnx` as `model`"],
    );
    let graph = dir.path().join("onnx/model.onnx");
    assert_eq!(find(&graph).unwrap(), Found::Onnx(graph.clone()));
    assert_eq!(folder_of(&graph), dir.path());
    refused(&dir.path().join("config.json"), "model-missing", &[]);
    write(
        dir.path(),
        "model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 57000000\n",
    );
    refused(
        dir.path(),
        "model-missing",
        &["Git LFS pointer", "git lfs pull"],
    );
}

#[test]
fn encoders_that_cannot_be_told_apart() {
    let mut two = prefixed("query.bert.", "");
    two.extend(prefixed("passage.bert.", "x."));
    let dir = folder(&config(), &two, Dtype::F32);
    refused(dir.path(), "model-mismatch", &["several encoders"]);
    let none = folder(&config(), &renamed(|name| format!("a{name}")), Dtype::F32);
    refused(
        none.path(),
        "model-mismatch",
        &["has no tensor `bert.encoder", "tensors such as"],
    );
}

#[test]
fn a_tensor_that_is_missing_or_has_another_shape() {
    let mut less = prefixed("bert.", "");
    less.remove("bert.pooler.dense.weight");
    let dir = folder(&config(), &less, Dtype::F32);
    let weights = open(dir.path()).unwrap();
    let mut spec = specs().swap_remove(0);
    spec.shape[0] += 1;
    let error = weights.check(&spec).unwrap_err();
    assert!(error.message.contains("[9, 4]"), "{error}");
    assert!(error.message.contains("[10, 4]"), "{error}");
    spec.name = "pooler.dense.weight".into();
    let error = weights.check(&spec).unwrap_err();
    assert!(
        error
            .message
            .contains("no tensor `bert.pooler.dense.weight`"),
        "{error}"
    );
    assert!(error.help.unwrap().contains("of tokens"));
}

/// A file in which `query.weight` is stored without its zeros, by a mask of `bits` and these
/// numbers; and what is there in full besides.
fn sparse(shape: &str, bits: &[u8], kept: &[f32]) -> tempfile::TempDir {
    let mut all = prefixed("bert.", "");
    let name = "bert.encoder.layer.0.attention.self.query.weight";
    all.remove(name);
    let bytes: Vec<u8> = kept.iter().flat_map(|x| x.to_le_bytes()).collect();
    let full: Vec<(String, Vec<usize>, Vec<u8>)> = (all.into_iter())
        .map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let view = |dtype, shape: &[usize], bytes| {
        safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap()
    };
    let mut views: Vec<_> = (full.iter())
        .map(|(name, shape, bytes)| (name.clone(), view(Dtype::F32, shape, bytes)))
        .collect();
    views.push((format!("{name}_mask"), view(Dtype::U8, &[bits.len()], bits)));
    views.push((
        format!("{name}_kept"),
        view(Dtype::F32, &[kept.len()], &bytes),
    ));
    let said = [("segue.sparse".to_owned(), format!("{{\"{name}\":{shape}}}"))];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", config().as_bytes());
    let file = safetensors::serialize(views, Some(said.into())).unwrap();
    write(folder.path(), "model.safetensors", &file);
    folder
}

#[test]
fn a_tensor_without_its_zeros_is_read_with_them() {
    let folder = sparse("[4,4]", &[0b1000_0001, 0b0001_0000], &[1.5, -2.0, 0.25]);
    let weights = open(folder.path()).unwrap();
    let specs = specs().into_iter();
    let query = specs
        .clone()
        .find(|spec| spec.name.contains("query.weight"))
        .unwrap();
    let mut expected = [0.0; 16];
    (expected[0], expected[7], expected[12]) = (1.5, -2.0, 0.25);
    assert_eq!(weights.read(&query).unwrap(), expected);
    assert_eq!(weights.stored_bytes(&query).unwrap(), 64);
    for spec in specs.filter(|spec| *spec != query) {
        assert_eq!(weights.read(&spec).unwrap(), tensors()[&spec.name].1);
    }
}

#[test]
fn masks_that_do_not_fit_are_refused() {
    let of = |shape: &str, bits: &[u8]| {
        let folder = sparse(shape, bits, &[1.5, -2.0, 0.25]);
        let weights = open(folder.path())?;
        let query = specs()
            .into_iter()
            .find(|spec| spec.name.contains("query.weight"));
        weights.read(&query.unwrap())
    };
    for (shape, bits, part) in [
        (
            "[4,4]",
            &[0b1000_0001, 0b0001_0100][..],
            "sets 4 bits for 16",
        ),
        (
            "[4,4]",
            &[0b1000_0001][..],
            "a bit for each of 16 numbers is 2 bytes",
        ),
        ("[4,3]", &[0b1000_0001, 0b0000_0100][..], "asks for [4, 4]"),
        ("[3,5]", &[0b1000_0001, 0b1000_0000][..], "asks for [4, 4]"),
        (
            "\"a\"",
            &[0b1000_0001, 0b0001_0000][..],
            "no table of shapes",
        ),
    ] {
        let error = of(shape, bits).unwrap_err();
        assert!(
            error.code == "model-mismatch" && error.message.contains(part),
            "{error}"
        );
    }
}
