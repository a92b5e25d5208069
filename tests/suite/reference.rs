//! The shipped model's logits against PyTorch's, however it is cut.

use std::path::{Path, PathBuf};

use segue_bert::{Layers, Segment};
use serde_json::Value;

use crate::harness::ROOT;

/// The folder of the model that ships.
pub fn model() -> PathBuf {
    Path::new(ROOT).join("models/minilm4-imdb")
}

/// Token ids and logits of 64 reviews; `None` where the reference is not there.
fn reference() -> Option<Vec<(Vec<u32>, Vec<f32>)>> {
    let path = Path::new(ROOT).join("../shared/models/reference_logits.json");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: no `{}`", path.display());
        return None;
    };
    let reviews: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let of = |review: &Value| {
        let tokens = serde_json::from_value(review["token_ids"].clone()).unwrap();
        (
            tokens,
            serde_json::from_value(review["logits"].clone()).unwrap(),
        )
    };
    Some(reviews.iter().map(of).collect())
}

/// The segments between `cuts`, one after the other.
fn logits(segments: &mut [Segment], tokens: &[u32]) -> Vec<f32> {
    let mut data = Vec::new();
    for segment in segments {
        let mut out = Vec::new();
        match segment.takes_tokens() {
            true => segment.run_tokens(tokens, &mut out).unwrap(),
            false => segment.run_hidden(&data, &mut out).unwrap(),
        }
        data = out;
    }
    data
}

#[test]
fn logits_are_those_of_the_reference_at_every_cut() {
    let Some(reviews) = reference() else { return };
    assert_eq!(reviews.len(), 64);
    let mut whole = None;
    for cuts in [
        &[0, 4][..],
        &[0, 1, 4],
        &[0, 2, 4],
        &[0, 3, 4],
        &[0, 1, 2, 3, 4],
    ] {
        let load = |pair: &[usize]| {
            let (start, end) = (pair[0], pair[1]);
            Segment::load(&model(), Layers { start, end }).unwrap()
        };
        let mut segments: Vec<Segment> = cuts.windows(2).map(load).collect();
        let ours: Vec<Vec<f32>> = (reviews.iter())
            .map(|(tokens, _)| logits(&mut segments, tokens))
            .collect();
        let pairs = || {
            ours.iter()
                .flatten()
                .zip(reviews.iter().flat_map(|(_, theirs)| theirs))
        };
        assert_eq!(pairs().count(), 128);
        let difference = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("cut at {cuts:?}: the largest absolute difference is {difference:e}");
        let first: Vec<_> = pairs().take(8).collect();
        assert!(
            difference < 1e-4,
            "{difference}; ours and theirs: {first:?}"
        );
        assert_eq!(
            whole.get_or_insert(ours.clone()),
            &ours,
            "{cuts:?} changes bits"
        );
    }
}
