//! Logits against PyTorch's.

use std::path::PathBuf;

use segue_encoder::{Layers, Segment};

use crate::difference::max_difference;

#[derive(serde::Deserialize)]
pub struct Review {
    pub token_ids: Vec<u32>,
    pub logits: Vec<f32>,
}

/// A path in the folder of models shared beside the project, if it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let path = root.join(name);
    if !path.exists() {
        eprintln!("skipped: no `{}`", path.display());
        return None;
    }
    Some(path)
}

pub fn model_dir() -> Option<PathBuf> {
    shared("minilm4-imdb")
}

pub fn reviews() -> Vec<Review> {
    let path = shared("reference_logits.json").expect("it lies beside the model");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn logits_equal_the_reference() {
    let Some(dir) = model_dir() else { return };
    let mut segment = Segment::load(&dir, Layers::all(4)).unwrap();
    let (mut got, mut want) = (Vec::new(), Vec::new());
    for review in reviews() {
        segment.run_tokens(&review.token_ids, &mut got).unwrap();
        want.extend(review.logits);
    }
    let off = max_difference(&got, &want);
    println!("max absolute difference of {} logits: {off:e}", got.len());
    assert!(off < 1e-4, "{:?} instead of {:?}", &got[..8], &want[..8]);
}
