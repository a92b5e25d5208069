//! What does a training step cost beside PyTorch? The shipped model's shape, 32 reviews of
//! 128 tokens: forward, backward, clipping and AdamW, with dropout, on all cores.
//!
//! `cargo bench --bench training`, with a Python that has torch: `SEGUE_BENCH_PYTHON`, or else
//! `python3`

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array};
use common::{median, median_ratio, root, rounds, seconds, show};
use peer::Peer;
use segue_plugin::{Batch, Context, Host, Stage, list_u32_array};
use segue_train::Finetune;
use serde_json::json;

const REVIEWS: usize = 32;
const TOKENS: usize = 128;
/// Steps before the first that is measured.
const WARM_UP: u64 = 2;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut stage = started(folder.path());
    let mut step = 0;
    let mut own = || {
        let batch = batch(step);
        step += 1;
        seconds(|| {
            let mut host = Host::silent();
            stage.process_each(batch, &mut host).expect("a step");
        })
    };
    let sizes = [REVIEWS, TOKENS].map(|number| number.to_string());
    let mut peer = Peer::start("training.py", &sizes);
    let step = |peer: &mut Peer| peer.seconds("step");
    for _ in 0..WARM_UP {
        own();
        peer.as_mut().map(step);
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        ours.push(own());
        theirs.extend(peer.as_mut().map(step));
    }
    println!("a step: {:.3} s", median(ours.clone()));
    if peer.is_none() {
        println!("no Python with torch to compare with: set SEGUE_BENCH_PYTHON");
        return;
    }
    println!("PyTorch's: {:.3} s", median(theirs.clone()));
    show(
        "a step / PyTorch's",
        median_ratio(&ours, &theirs),
        "at most 1.5",
    );
}

/// The operator, with the shipped model.
fn started(folder: &Path) -> Finetune {
    let options = json!({
        "model": root().join("models/tinybert-imdb"), "output": folder,
        "checkpoint-minutes": 1e6,
    });
    let mut stage: Finetune = serde_json::from_value(options).expect("the options");
    let context = Context {
        stage: "train".into(),
        device: "local".into(),
        worker: 0,
        from: 0,
        ..Context::default()
    };
    stage.start(&context).expect("the model that ships");
    stage
}

/// Any tokens will do.
fn batch(time: u64) -> Batch {
    let token = |i: usize| 1000 + (i * 7919 + time as usize * 104_729) as u32 % 20_000;
    let tokens: Vec<u32> = (0..REVIEWS * TOKENS).map(token).collect();
    let truth = (0..REVIEWS).map(|i| Some(["negative", "positive"][i % 2]));
    let columns: [(&str, ArrayRef); 5] = [
        ("tokens", Arc::new(list_u32_array(tokens.chunks(TOKENS)))),
        ("truth", Arc::new(truth.collect::<StringArray>())),
        ("role", Arc::new(StringArray::from(vec!["train"; REVIEWS]))),
        ("epoch", Arc::new(UInt32Array::from(vec![0; REVIEWS]))),
        ("progress", Arc::new(Float32Array::from(vec![0.5; REVIEWS]))),
    ];
    let columns = columns.map(|(name, column)| (name.to_owned(), column));
    Batch::from_arrays(time, columns.into()).expect("columns of one length")
}
