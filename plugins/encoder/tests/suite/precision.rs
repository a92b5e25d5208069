//! Products in fewer bits: close to f32, and the same however a model is cut and whatever computes
//! them.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use segue_encoder::{Isa, Layers, Options, Precision, Segment, check, check_with};

use segue_model::Quantized;

use crate::difference::max_difference;
use crate::reference::{model_dir, reviews};
use crate::tiny::{Tiny, tokens};

const FEWER: [Precision; 2] = [Precision::Bf16, Precision::Int8];

/// Runs one review through the segments between `cuts`.
fn run(dir: &Path, cuts: &[usize], options: &Options, tokens: &[u32]) -> Vec<f32> {
    let mut data = Vec::new();
    for (i, pair) in cuts.windows(2).enumerate() {
        let (start, end) = (pair[0], pair[1]);
        let mut segment = Segment::load_with(dir, Layers { start, end }, options).unwrap();
        let mut out = Vec::new();
        match i {
            0 => segment.run_tokens(tokens, &mut out).unwrap(),
            _ => segment.run_hidden(&data, &mut out).unwrap(),
        }
        data = out;
    }
    data
}

fn options(precision: Precision) -> Options {
    Options {
        precision,
        ..Options::default()
    }
}

#[test]
fn any_cut_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    for precision in FEWER {
        for n in [1, 13, 64, 200] {
            let tokens = tokens(n, 5);
            let whole = run(dir.path(), &[0, 3], &options(precision), &tokens);
            assert!(whole.iter().all(|x| x.is_finite()));
            for cuts in [&[0, 1, 3][..], &[0, 2, 3], &[0, 1, 2, 3]] {
                let cut = run(dir.path(), cuts, &options(precision), &tokens);
                assert_eq!(whole, cut, "{precision:?}, {n} tokens, {cuts:?}");
            }
        }
    }
}

#[test]
fn fewer_bits_are_close_but_not_the_same() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    for (precision, tolerance) in [(Precision::Bf16, 0.05), (Precision::Int8, 0.1)] {
        let tokens = tokens(50, 3);
        let exact = run(dir.path(), &[0, 3], &options(Precision::F32), &tokens);
        let got = run(dir.path(), &[0, 3], &options(precision), &tokens);
        let off = max_difference(&exact, &got);
        assert!(off > 0.0, "{precision:?} rounds nothing");
        assert!(off < tolerance, "{precision:?}: {got:?}, not {exact:?}");
    }
}

#[test]
fn every_instruction_set_with_fused_multiply_add_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let all = Isa::all();
    let names: Vec<String> = all.iter().map(Isa::to_string).collect();
    eprintln!("compared: {}; others are skipped", names.join(", "));
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for n in [1, 17, 200] {
            let logits = all.iter().filter(|isa| !isa.is_portable()).map(|isa| {
                let options = Options {
                    isa: Some(*isa),
                    ..options(precision)
                };
                run(dir.path(), &[0, 3], &options, &tokens(n, 8))
            });
            let mut logits: Vec<_> = logits.collect();
            logits.dedup();
            assert!(logits.len() <= 1, "{precision:?}, {n} tokens: {logits:?}");
        }
    }
}

/// Writes `tiny` with the matrices that `is_stored` names as bytes, with a scale a row.
fn write_bytes(tiny: Tiny, dir: &Path, is_stored: impl Fn(&str) -> bool, scales: &str) {
    std::fs::write(dir.join("config.json"), tiny.config()).unwrap();
    let floats = |x: &[f32]| -> Vec<u8> { x.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, (shape, values)) in tiny.tensors() {
        if shape.len() == 2 && is_stored(&name) {
            let rows = Quantized::of(&values, shape[1]);
            let numbers = rows.numbers.iter().map(|x| x.cast_unsigned()).collect();
            let of_rows = (format!("{name}{scales}"), Dtype::F32, vec![shape[0]]);
            tensors.push((of_rows.0, of_rows.1, of_rows.2, floats(&rows.scales)));
            tensors.push((name, Dtype::I8, shape, numbers));
        } else {
            tensors.push((name, Dtype::F32, shape, floats(&values)));
        }
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join("model.safetensors"), file).unwrap();
}

#[test]
fn weights_that_are_stored_as_bytes_are_those_rounded_at_load() {
    let (full, stored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tiny = Tiny::default();
    tiny.write(full.path());
    write_bytes(
        tiny,
        stored.path(),
        |name| name.contains("encoder.layer"),
        "_scale",
    );
    for n in [1, 30] {
        let tokens = tokens(n, 4);
        let run = |dir: &Path, precision| run(dir, &[0, 2, 3], &options(precision), &tokens);
        let (rounded, int8) = (
            run(full.path(), Precision::Int8),
            run(stored.path(), Precision::Int8),
        );
        assert_eq!(rounded, int8);
        // In other precisions they are the floats that the bytes stand for.
        let (exact, widened) = (
            run(full.path(), Precision::F32),
            run(stored.path(), Precision::F32),
        );
        let off = max_difference(&exact, &widened);
        assert!(off > 0.0 && off < 0.1, "{widened:?}, not {exact:?}");
    }
}

#[test]
fn a_word_table_of_bytes_is_read_row_by_row() {
    let (full, stored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tiny = Tiny::default();
    tiny.write(full.path());
    write_bytes(
        tiny,
        stored.path(),
        |name| name.contains("word_embeddings"),
        "_scale",
    );
    let tokens = tokens(20, 6);
    let exact = run(full.path(), &[0, 3], &options(Precision::F32), &tokens);
    let got = run(stored.path(), &[0, 3], &options(Precision::F32), &tokens);
    let off = max_difference(&exact, &got);
    assert!(off > 0.0 && off < 0.05, "{got:?}, not {exact:?}");
    let words = |dir: &Path| check(dir, Layers::all(3)).unwrap().word_bytes;
    assert_eq!(words(full.path()), 50 * 78 * 4);
    assert_eq!(words(stored.path()), 50 * (78 + 4));
}

#[test]
fn bytes_without_scales_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_bytes(
        Tiny::default(),
        dir.path(),
        |name| name.contains("query"),
        "_step",
    );
    let error = Segment::load(dir.path(), Layers::all(3)).unwrap_err();
    assert_eq!(error.code, "model-mismatch");
    assert!(error.message.contains("no scale for each row"), "{error}");
    assert!(error.help.unwrap().contains("query.weight_scale"));
}

#[test]
fn verdicts_of_the_shared_model_stay() {
    let Some(dir) = model_dir() else { return };
    for (precision, tolerance) in [(Precision::Bf16, 0.1), (Precision::Int8, 0.3)] {
        let mut segment = Segment::load_with(&dir, Layers::all(4), &options(precision)).unwrap();
        for review in reviews() {
            let mut got = Vec::new();
            segment.run_tokens(&review.token_ids, &mut got).unwrap();
            let off = max_difference(&got, &review.logits);
            assert!(
                off < tolerance,
                "{precision:?}: {got:?}, not {:?}",
                review.logits
            );
        }
    }
}

#[test]
fn fewer_bits_take_less_memory_and_check_the_same() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let layers = Layers::all(3);
    let plain = check(dir.path(), layers).unwrap();
    let bytes = |precision| {
        let config = check_with(dir.path(), layers, precision).unwrap().config;
        assert_eq!(config, plain.config);
        segue_encoder::layer_cost(&config, 0, precision, 1).parameter_bytes
    };
    let [full, half, least] = [Precision::F32, Precision::Bf16, Precision::Int8].map(bytes);
    assert!(
        half < full * 6 / 10 && least < full * 4 / 10,
        "{full} {half} {least}"
    );
}
