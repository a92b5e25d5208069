//! The shipped model's logits against PyTorch's, however it is cut.

use std::path::{Path, PathBuf};

use segue_encoder::{Layers, Segment};
use serde::Deserialize;

use crate::harness::ROOT;

/// What PyTorch makes of a review.
#[derive(Deserialize)]
struct Review {
    token_ids: Vec<u32>,
    logits: Vec<f32>,
}

/// The folder of the model that ships.
pub fn model() -> PathBuf {
    Path::new(ROOT).join("models/tinybert-imdb")
}

/// All reviews of `graphs/reviews.csv`; `reference.py` makes the file.
fn reference() -> Vec<Review> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

/// The segments between `cuts`, one after the other.
fn logits(segments: &mut [Segment], tokens: &[u32]) -> Vec<f32> {
    let mut data = Vec::new();
    for segment in segments {
        let mut out = Vec::new();
        if segment.takes_tokens() {
            segment.run_tokens(tokens, &mut out).unwrap()
        } else {
            segment.run_hidden(&data, &mut out).unwrap()
        }
        data = out;
    }
    data
}

#[test]
fn logits_are_those_of_the_reference_at_every_cut() {
    let reviews = reference();
    assert_eq!(reviews.len(), 72);
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
            .map(|review| logits(&mut segments, &review.token_ids))
            .collect();
        let pairs = || {
            ours.iter()
                .flatten()
                .zip(reviews.iter().flat_map(|review| &review.logits))
        };
        assert_eq!(pairs().count(), 144);
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
