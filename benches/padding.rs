//! What does no padding save? Reviews of mixed length at their own length, against the
//! same reviews padded to the longest of their batch, and against reviews of one length
//! with as many tokens in all.
//!
//! `cargo bench --bench padding`

mod common;

use common::{median_ratio, root, rounds, seconds, show};
use segue_encoder::{Layers, Segment};

const BATCH: usize = 32;

/// Lengths from 16 to 256, spread evenly.
fn mixed_lengths() -> Vec<usize> {
    (0..4 * BATCH).map(|i| 16 + (i * 89) % 241).collect()
}

fn padded_lengths(lengths: &[usize]) -> Vec<usize> {
    let longest = |batch: &[usize]| batch.iter().copied().max().unwrap_or(0);
    lengths
        .chunks(BATCH)
        .flat_map(|batch| vec![longest(batch); batch.len()])
        .collect()
}

fn main() {
    let model = root().join("models/tinybert-imdb");
    let config = segue_encoder::ModelConfig::read(&model).expect("the model that ships");
    let layers = Layers::all(config.num_hidden_layers);
    let mut segment = Segment::load(&model, layers).expect("the model that ships");
    let mut time = |lengths: &[usize]| {
        seconds(|| {
            let mut logits = Vec::new();
            for length in lengths {
                let tokens: Vec<u32> = (0..*length as u32).map(|i| 1000 + i * 7).collect();
                segment
                    .run_tokens(&tokens, &mut logits)
                    .expect("the model runs");
            }
        })
    };
    let mixed = mixed_lengths();
    let padded = padded_lengths(&mixed);
    let tokens: usize = mixed.iter().sum();
    let even = vec![tokens / mixed.len(); mixed.len()];
    let padded_tokens: usize = padded.iter().sum();
    println!(
        "{} reviews, {tokens} tokens, {padded_tokens} when padded",
        mixed.len()
    );
    let (mut own, mut longest, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds() {
        own.push(time(&mixed));
        longest.push(time(&padded));
        same.push(time(&even));
    }
    let share = tokens as f64 / padded_tokens as f64;
    show(
        "own length / padded to the longest",
        median_ratio(&own, &longest),
        &format!("tokens: {share:.3}"),
    );
    show(
        "own length / one length, as many tokens",
        median_ratio(&own, &same),
        "near 1",
    );
}
