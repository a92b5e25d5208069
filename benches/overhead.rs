//! What does the framework cost? The one-worker pipeline against a bare loop over the
//! same model, on the same tokens, in turns.
//!
//! `cargo bench --bench overhead`

mod common;

use std::path::Path;

use common::{median, median_ratio, plan, rounds, run, seconds, show};
use segue::io::ReadOptions;
use segue::operators::{Operators, read_options};
use segue_encoder::{Layers, Segment};
use segue_plugin::{Batch, Context};

/// The graph's text and tokenizer, outside any dataflow.
struct Bare {
    batches: Vec<Batch>,
    tokenizer: segue::plugins::Instance,
    segment: Segment,
}

impl Bare {
    fn new(operators: &Operators, plan: &segue::graph::Plan) -> Self {
        let stage = |name: &str| {
            let found = plan
                .graph
                .stages
                .iter()
                .find(|stage| stage.file_name == name);
            found.expect("the graph has this stage")
        };
        let options: ReadOptions = read_options(&stage("reviews").options);
        let mut source = segue::io::open(&options).expect("the reviews can be read");
        let mut batches = Vec::new();
        while let Some(read) = source.next_batch(32).expect("the reviews can be read") {
            let text = read
                .batch
                .column_by_name("text")
                .expect("there is a text")
                .clone();
            let batch = Batch::from_arrays(0, vec![("text".to_owned(), text)]);
            batches.push(batch.expect("one column"));
        }
        let tokenize = stage("tokenize");
        let path = tokenize.operator.library.clone().expect("it is a plugin");
        let library = operators
            .plugins
            .library(&path)
            .expect("it was loaded for the plan");
        let context = Context {
            stage: "bare".into(),
            device: "local".into(),
            worker: 0,
            from: 0,
            ..Context::default()
        };
        let tokenizer = library.create("tokenizer", &tokenize.options, &context);
        let model = stage("encoder").options["model"]
            .as_str()
            .expect("a path")
            .to_owned();
        let config = segue_encoder::ModelConfig::read(Path::new(&model)).expect("it was checked");
        let layers = Layers::all(config.num_hidden_layers);
        Bare {
            batches,
            tokenizer: tokenizer.expect("it was checked"),
            segment: Segment::load(Path::new(&model), layers).expect("it was checked"),
        }
    }

    fn tokenize(&mut self) -> Vec<Vec<u32>> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            let columns = batch.columns().clone();
            let (time, port, reserved) = (0, 0, 0);
            let origin = segue_plugin::ffi::Origin {
                time,
                port,
                reserved,
            };
            let given = self
                .tokenizer
                .process(&origin, columns, false)
                .expect("it can tokenize");
            for tokens in given.batches {
                let tokens = Batch::new(0, tokens);
                rows.extend(
                    tokens
                        .lists_u32("tokens")
                        .expect("tokens")
                        .map(<[u32]>::to_vec),
                );
            }
        }
        rows
    }

    fn classify(&mut self, rows: &[Vec<u32>]) {
        let mut logits = Vec::new();
        for tokens in rows {
            self.segment
                .run_tokens(tokens, &mut logits)
                .expect("the model runs");
        }
        std::hint::black_box(logits);
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let operators = Operators::default();
    let make = || plan(&operators, &["encoder.split=1"], 1, folder.path());
    let mut bare = Bare::new(&operators, &make());
    let rows = bare.tokenize();
    let tokens: usize = rows.iter().map(Vec::len).sum();
    println!("{} reviews, {tokens} tokens", rows.len());
    let (mut pipeline, mut model, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds() {
        model.push(seconds(|| bare.classify(&rows)));
        pipeline.push(run(&operators, make()).seconds);
        both.push(seconds(|| {
            let rows = bare.tokenize();
            bare.classify(&rows);
        }));
    }
    println!(
        "bare model: {:.1} reviews/s",
        rows.len() as f64 / median(model.clone())
    );
    show(
        "pipeline / bare loop over the model",
        median_ratio(&model, &pipeline),
        "at least 0.97",
    );
    show(
        "pipeline / bare loop over tokenizer and model",
        median_ratio(&both, &pipeline),
        "near 1",
    );
}
