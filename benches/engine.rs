//! How many reviews a second does the encoder run beside onnxruntime? The shipped model in each
//! precision, on one core and on two, each review at its own length: our engine with a segment a
//! core, and onnxruntime as it does best (a session of one thread a core) and as people use it
//! (batches of 32, padded to the longest, on two threads).
//!
//! `cargo bench --bench engine`, with a Python that has onnxruntime, onnx, numpy and safetensors:
//! `SEGUE_BENCH_PYTHON`, or else `python3`. All are measured in turns; ratios are medians of pairs.

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::sync::Barrier;

use common::{median, median_ratio, root, rounds, seconds, show};
use peer::Peer;
use segue_encoder::{Isa, Layers, Options, Precision, Segment};

/// Reviews of one measurement.
const REVIEWS: usize = 96;
/// The longest, which half of them are: those of IMDB are cut there.
const TOKENS_MAX: usize = 256;

/// Lengths as those of IMDB's reviews, cut at [`TOKENS_MAX`]: 200 on average.
fn lengths() -> Vec<usize> {
    let length = |i: usize| match i % 2 {
        0 => TOKENS_MAX,
        _ => 40 + (i * 89) % (TOKENS_MAX - 40),
    };
    (0..REVIEWS).map(length).collect()
}

fn tokens(length: usize) -> Vec<u32> {
    (0..length as u32)
        .map(|i| 1000 + i * 7919 % 20_000)
        .collect()
}

/// One way to run the model: what it is called, and with what.
struct Ours {
    name: &'static str,
    options: Options,
    /// Of each round.
    seconds: Vec<f64>,
}

impl Ours {
    fn new(name: &'static str, precision: Precision, isa: Isa) -> Self {
        let options = Options {
            precision,
            isa: Some(isa),
            ..Options::default()
        };
        Self {
            name,
            options,
            seconds: Vec::new(),
        }
    }

    /// Runs all reviews, dealt over a segment a core; what loading takes does not count.
    fn measure(&mut self, reviews: &[Vec<u32>], cores: usize) {
        let loaded = Barrier::new(cores);
        let (loaded, options) = (&loaded, &self.options);
        let took = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|core| {
                    let own = reviews.iter().skip(core).step_by(cores);
                    // Not in the threads, where one that failed would leave the others waiting.
                    let model = root().join("models/tinybert-imdb");
                    let segment = Segment::load_with(&model, Layers::all(4), options);
                    let mut segment = segment.expect("the model that ships");
                    scope.spawn(move || {
                        let mut logits = Vec::new();
                        let mut run = |tokens: &[u32]| {
                            segment.run_tokens(tokens, &mut logits).expect("it runs");
                        };
                        run(&reviews[0]);
                        loaded.wait();
                        seconds(|| own.for_each(|tokens| run(tokens)))
                    })
                })
                .collect();
            let all = threads
                .into_iter()
                .map(|thread| thread.join().expect("it ran"));
            all.fold(0.0, f64::max)
        });
        self.seconds.push(took);
    }
}

/// What is measured of ours on this machine.
fn ours() -> Vec<Ours> {
    let best = Isa::detect();
    let mut all = vec![
        Ours::new("f32", Precision::F32, best),
        Ours::new("bf16", Precision::Bf16, best),
        Ours::new("int8", Precision::Int8, best),
    ];
    let others = [
        ("f32 on avx2", Precision::F32, "avx2"),
        ("int8 on avx512-vnni", Precision::Int8, "avx512-vnni"),
        ("int8 on avx-vnni", Precision::Int8, "avx-vnni"),
    ];
    for (name, precision, isa) in others {
        match Isa::named(isa) {
            Ok(isa) if isa != best => all.push(Ours::new(name, precision, isa)),
            Ok(_) => {}
            Err(_) => println!("skipped: {name}, which this processor does not have"),
        }
    }
    all
}

fn main() {
    let lengths = lengths();
    let reviews: Vec<Vec<u32>> = lengths.iter().map(|length| tokens(*length)).collect();
    let total: usize = lengths.iter().sum();
    println!(
        "{REVIEWS} reviews, {} tokens on average; best: {}",
        total / REVIEWS,
        Isa::detect()
    );
    let model = root().join("models/tinybert-imdb");
    let mut arguments = vec![model.to_string_lossy().into_owned()];
    arguments.extend(lengths.iter().map(usize::to_string));
    let mut peer = Peer::start("engine.py", &arguments);
    if peer.is_none() {
        println!("no Python with onnxruntime to compare with: set SEGUE_BENCH_PYTHON");
    }
    for cores in [1, 2] {
        measure(cores, &reviews, peer.as_mut());
    }
}

/// Measures everything in turns on `cores`, and shows it.
fn measure(cores: usize, reviews: &[Vec<u32>], mut peer: Option<&mut Peer>) {
    let mut ours = ours();
    let ways = [
        ("f32", "own"),
        ("int8", "own"),
        ("f32", "padded"),
        ("int8", "padded"),
    ];
    let ways = if cores == 1 { &ways[..2] } else { &ways[..] };
    let mut theirs = vec![Vec::new(); ways.len()];
    for round in 0..=rounds() {
        for one in &mut ours {
            one.measure(reviews, cores);
        }
        for ((kind, way), seconds) in ways.iter().zip(&mut theirs) {
            let question = format!("{kind} {way} {cores}");
            seconds.extend(peer.as_mut().map(|peer| peer.seconds(&question)));
        }
        if round == 0 {
            // The first is for caches and clocks.
            ours.iter_mut().for_each(|one| one.seconds.clear());
            theirs.iter_mut().for_each(Vec::clear);
        }
    }
    let rate = |seconds: &[f64]| REVIEWS as f64 / median(seconds.to_vec());
    println!("\non {cores} cores, reviews a second:");
    for one in &ours {
        println!("  {:<40} {:>6.0}", one.name, rate(&one.seconds));
    }
    if theirs[0].is_empty() {
        return;
    }
    for ((kind, way), seconds) in ways.iter().zip(&theirs) {
        let name = format!("onnxruntime {kind}, {way} length");
        println!("  {name:<40} {:>6.0}", rate(seconds));
    }
    let f32 = ours[0].seconds.clone();
    for one in &ours {
        let (theirs, goal, what) = match one.name {
            "bf16" => (&f32, "3, with AMX", "our f32"),
            name if name.starts_with("int8") => (&theirs[1], "1.2", "onnxruntime's int8"),
            _ => (&theirs[0], "1.1", "onnxruntime's f32"),
        };
        let ratio = median_ratio(theirs, &one.seconds);
        show(&format!("{} / {what}", one.name), ratio, goal);
    }
}
