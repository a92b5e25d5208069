//! Broken models and inputs give errors that say what is wrong.

use std::path::Path;

use segue_encoder::{Layers, ModelError, Segment, check};

use crate::tiny::{POSITIONS, Tiny, VOCABULARY, tokens};

fn tiny(change: impl FnOnce(&Path)) -> ModelError {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    change(dir.path());
    let error = Segment::load(dir.path(), Layers::all(3)).unwrap_err();
    assert_eq!(check(dir.path(), Layers::all(3)).unwrap_err(), error);
    error
}

fn rewrite(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let error = tiny(|dir| std::fs::remove_file(dir.join("model.safetensors")).unwrap());
    assert_eq!(error.code, "model-missing");
    assert!(error.message.contains("model.safetensors"), "{error}");
    let error = tiny(|dir| std::fs::remove_file(dir.join("config.json")).unwrap());
    assert_eq!(error.code, "model-missing");
}

#[test]
fn a_short_file_is_truncated() {
    for length in [0, 7, 8, 100, 10_000, 100_000] {
        let error = tiny(|dir| rewrite(dir, |bytes| bytes.truncate(length)));
        assert_eq!(error.code, "model-truncated", "{length}: {error}");
        assert!(error.message.contains(&length.to_string()), "{error}");
    }
}

#[test]
fn noise_is_no_model() {
    let error = tiny(|dir| rewrite(dir, |bytes| bytes.fill(0xa5)));
    assert_eq!(error.code, "model-mismatch");
    let error = tiny(|dir| rewrite(dir, |bytes| bytes[8..40].fill(b'x')));
    assert_eq!(error.code, "model-mismatch");
}

#[test]
fn a_wrong_shape_is_named_with_both_shapes() {
    let other = Tiny {
        inner: 96,
        ..Tiny::default()
    };
    let error = tiny(|dir| std::fs::write(dir.join("config.json"), other.config()).unwrap());
    assert_eq!(error.code, "model-mismatch");
    for part in [
        "intermediate.dense",
        "[100, 78]",
        "[96, 78]",
        "model.safetensors",
    ] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let other = Tiny {
        layers: 4,
        ..Tiny::default()
    };
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    std::fs::write(dir.path().join("config.json"), other.config()).unwrap();
    let error = Segment::load(dir.path(), Layers { start: 2, end: 4 }).unwrap_err();
    assert_eq!(error.code, "model-mismatch");
    assert!(error.message.contains("encoder.layer.3."), "{error}");
    // The range that is there can still be used.
    check(dir.path(), Layers { start: 0, end: 3 }).unwrap();
}

#[test]
fn a_segment_needs_no_tensor_of_another() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    // The head's bytes come after the first layers': cut them off.
    rewrite(dir.path(), |bytes| {
        bytes.truncate(bytes.len() - 78 * 78 * 4)
    });
    check(dir.path(), Layers { start: 0, end: 2 }).unwrap();
    let error = check(dir.path(), Layers::all(3)).unwrap_err();
    assert_eq!(error.code, "model-truncated");
}

#[test]
fn wrong_input_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let mut first = Segment::load(dir.path(), Layers { start: 0, end: 1 }).unwrap();
    let mut last = Segment::load(dir.path(), Layers { start: 1, end: 3 }).unwrap();
    let mut out = Vec::new();
    let code = |result: Result<(), ModelError>| result.unwrap_err().code;
    assert_eq!(code(first.run_tokens(&[], &mut out)), "no-tokens");
    assert_eq!(
        code(first.run_tokens(&[1, VOCABULARY as u32], &mut out)),
        "bad-token"
    );
    assert_eq!(code(first.run_tokens(&[u32::MAX], &mut out)), "bad-token");
    assert_eq!(
        code(first.run_tokens(&tokens(POSITIONS + 1, 1), &mut out)),
        "too-long"
    );
    assert_eq!(code(first.run_hidden(&[0.0; 78], &mut out)), "wrong-input");
    assert_eq!(code(last.run_tokens(&[1], &mut out)), "wrong-input");
    assert_eq!(code(last.run_hidden(&[0.0; 77], &mut out)), "wrong-input");
    assert_eq!(code(last.run_hidden(&[], &mut out)), "no-tokens");
    assert!(out.is_empty());
    let nan = [f32::NAN; 78];
    assert_eq!(code(last.run_hidden(&nan, &mut out)), "not-finite");
    assert!(out.is_empty());
}
