//! The ONNX path against the safetensors path, on a file with the structure and the names that
//! Hugging Face's exporter gives.

use std::path::Path;

use prost::Message;
use segue_encoder::{Layers, Options, Precision, Segment};
use tract_onnx::pb::NodeProto;

use crate::difference::max_difference;
use crate::export::{FLOAT, export, value};
use crate::tiny::{Tiny, run, tokens};

/// Writes the same model twice: as safetensors into `native`, as ONNX into `onnx`.
fn write(tiny: Tiny, native: &Path, onnx: &Path) {
    tiny.write(native);
    std::fs::write(onnx.join("config.json"), tiny.config()).unwrap();
    std::fs::write(onnx.join("model.onnx"), export(tiny).encode_to_vec()).unwrap();
}

fn check(tiny: Tiny) {
    let (native, onnx) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(tiny, native.path(), onnx.path());
    for n in [1, 2, 13, 64] {
        let tokens = tokens(n, 9);
        let want = run(native.path(), &[0, tiny.layers], &tokens);
        let whole = run(onnx.path(), &[0, tiny.layers], &tokens);
        let off = max_difference(&whole, &want);
        println!("n={n}: max absolute difference {off:e}");
        assert!(off < 1e-5, "n={n}: {off:e}");
        for cut in 1..tiny.layers {
            assert_eq!(whole, run(onnx.path(), &[0, cut, tiny.layers], &tokens));
        }
        let lower = run(onnx.path(), &[0, 1], &tokens);
        assert!(max_difference(&lower, &run(native.path(), &[0, 1], &tokens)) < 1e-5);
    }
}

#[test]
fn equals_the_safetensors_path_and_any_cut() {
    check(Tiny::default());
    check(Tiny {
        with_head: false,
        ..Tiny::default()
    });
}

#[test]
fn an_onnx_file_can_be_named_itself() {
    let (native, onnx) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(Tiny::default(), native.path(), onnx.path());
    let mut segment = Segment::load(&onnx.path().join("model.onnx"), Layers::all(3)).unwrap();
    let mut out = Vec::new();
    segment.run_tokens(&[1, 2, 3], &mut out).unwrap();
    assert_eq!(out.len(), 2);
}

#[test]
fn an_onnx_file_has_its_own_precision() {
    let (native, onnx) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(Tiny::default(), native.path(), onnx.path());
    let options = Options {
        precision: Precision::Int8,
        ..Options::default()
    };
    let error = Segment::load_with(onnx.path(), Layers::all(3), &options).unwrap_err();
    assert_eq!(error.code, "bad-precision");
    let checked = segue_encoder::check_with(onnx.path(), Layers::all(3), Precision::Int8);
    assert_eq!(checked.unwrap_err(), error);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (native, onnx) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(Tiny::default(), native.path(), onnx.path());
    let load = || Segment::load(onnx.path(), Layers { start: 0, end: 1 }).unwrap_err();
    let more = Tiny {
        layers: 5,
        ..Tiny::default()
    };
    std::fs::write(onnx.path().join("config.json"), more.config()).unwrap();
    assert!(
        load()
            .message
            .contains("it has 3 layers, and `config.json` says 5"),
        "{}",
        load()
    );

    let mut anonymous = export(Tiny::default());
    let graph = anonymous.graph.as_mut().unwrap();
    let nodes = (graph.node.iter_mut()).flat_map(|n| {
        [&mut n.name]
            .into_iter()
            .chain(&mut n.input)
            .chain(&mut n.output)
    });
    let weights = graph.initializer.iter_mut().map(|w| &mut w.name);
    let outputs = graph.output.iter_mut().map(|o| &mut o.name);
    for name in nodes.chain(weights).chain(outputs) {
        *name = name.replace("/layer.", "/block_");
    }
    // As newer exporters do, with a symbol of their own.
    let graph = anonymous.graph.as_mut().unwrap();
    let gather = |node: &&NodeProto| node.name.ends_with("word_embeddings/Gather");
    let middle = graph.node.iter().find(gather).unwrap().output[0].clone();
    let axes = ["batch", "sequence", "width"];
    graph.value_info.push(value(&middle, FLOAT, &axes));
    std::fs::write(onnx.path().join("model.onnx"), anonymous.encode_to_vec()).unwrap();
    let config = Tiny::default().config();
    std::fs::write(onnx.path().join("config.json"), &config).unwrap();
    assert_eq!(load().code, "model-onnx");
    assert!(load().help.unwrap().contains("leave out `split`"));
    let known = segue_encoder::check(onnx.path(), Layers::all(3)).unwrap();
    assert!(known.gives_logits && !known.is_cut);
    let tokens = tokens(21, 3);
    let whole = run(onnx.path(), &[0, 3], &tokens);
    let want = run(native.path(), &[0, 3], &tokens);
    assert!(max_difference(&whole, &want) < 1e-5);
    assert!(
        load().message.contains("no node is named like"),
        "{}",
        load()
    );

    std::fs::write(onnx.path().join("model.onnx"), [0xa5; 300]).unwrap();
    assert_eq!(load().code, "model-onnx");
    assert_eq!(
        segue_encoder::check(onnx.path(), Layers::all(3))
            .unwrap_err()
            .code,
        "model-onnx"
    );
}
