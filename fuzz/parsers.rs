//! What must hold of any file that Segue is given to read. Used by the fuzz targets, and by
//! the tests with files of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use segue::dataflow;
use segue::diagnostic::{Diagnostic, Sources};
use segue::graph::{Catalog, Layout, Operator, Role};
use segue::io::{self, ReadOptions};
use segue::operators::Operators;
use segue_encoder::{Layers, ModelConfig, Segment};
use segue_plugin::arrow_array::cast::AsArray;
use segue_plugin::arrow_array::{Array, ArrayRef, StringArray};
use segue_plugin::{Batch, Column, Columns, Context, Stage, Unit, Units};
use segue_tokenizer::Tokenizer;
use serde_json::{Value, json};

/// A parser, by the name of its target and of the folder of its seeds.
pub type Parser = (&'static str, fn(&[u8]) -> bool);

/// All there are. Each may refuse what it is given, and must not panic, nor take what it
/// accepts for something else; it gives whether it accepted it.
pub const PARSERS: [Parser; 9] = [
    ("graph", graph),
    ("cluster", cluster),
    ("csv", csv),
    ("json-lines", json_lines),
    ("parquet", parquet),
    ("config", config),
    ("safetensors", safetensors),
    ("journal", journal),
    ("tokenizer", tokenizer),
];

/// Every error must be one that can be shown.
fn shown(errors: &[segue::diagnostic::Diagnostic], sources: &Sources) {
    assert!(!errors.is_empty(), "refused without a reason");
    for error in errors.iter().take(100) {
        assert!(error.render(sources).starts_with("error["));
    }
}

/// A graph file, and the plan that comes of it.
pub fn graph(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut sources = Sources::new();
    let number = sources.add("graph.toml", text);
    let base = Path::new("");
    match segue::graph::check(&mut sources, number, &[], base, &Anything::default()) {
        Ok(graph) => {
            let workers = segue::graph::asked_workers(&graph).unwrap_or(1);
            let plan = segue::graph::plan(graph, Layout::local(workers));
            assert!(!plan.graph.stages.is_empty());
            true
        }
        Err(errors) => {
            shown(&errors, &sources);
            false
        }
    }
}

/// A cluster file.
pub fn cluster(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut sources = Sources::new();
    let number = sources.add("cluster.toml", text);
    match segue::cluster::check(&sources, number) {
        Ok(cluster) => {
            assert!(!cluster.devices.is_empty());
            true
        }
        Err(errors) => {
            shown(&errors, &sources);
            false
        }
    }
}

/// A CSV file.
pub fn csv(bytes: &[u8]) -> bool {
    records(bytes, "csv")
}

/// A JSON Lines file.
pub fn json_lines(bytes: &[u8]) -> bool {
    records(bytes, "jsonl")
}

/// A Parquet file.
pub fn parquet(bytes: &[u8]) -> bool {
    records(bytes, "parquet")
}

/// A model's config.json, beside weights that fit one.
pub fn config(bytes: &[u8]) -> bool {
    let weights = include_bytes!("seeds/safetensors/whole.safetensors");
    model(bytes, weights)
}

/// A model's weights, beside a config.json that fits some.
pub fn safetensors(bytes: &[u8]) -> bool {
    model(include_bytes!("seeds/config/whole.json"), bytes)
}

/// What is checked without an error must load.
fn model(config: &[u8], weights: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    std::fs::write(path.join("config.json"), config).expect("a file");
    std::fs::write(path.join("model.safetensors"), weights).expect("a file");
    let Ok(config) = ModelConfig::read(path) else {
        return false;
    };
    let Ok(layers) = Layers::parse("..", config.num_hidden_layers) else {
        return false;
    };
    if segue_encoder::check(path, layers).is_err() {
        return false;
    }
    let loaded = Segment::load(path, layers);
    if let Err(error) = loaded {
        panic!("{error}");
    }
    true
}

/// The journal of a run from the source `reviews` to the sink `out`.
pub fn journal(bytes: &[u8]) -> bool {
    let stands = |bytes: &[u8]| match dataflow::read_journal(bytes, &["reviews"], &["out"]) {
        Ok(_) => true,
        Err(failure) => {
            assert!(!failure.message.is_empty(), "refused without a reason");
            false
        }
    };
    // Few damaged lines come past the checksum.
    stands(&dataflow::sum_journal(bytes));
    stands(bytes)
}

/// A model's tokenizer.json, and tokens as it says.
pub fn tokenizer(bytes: &[u8]) -> bool {
    const TOKENS_MAX: usize = 8;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("tokenizer.json"), bytes).expect("a file");
    let options = json!({"model": folder.path(), "max-tokens": TOKENS_MAX});
    let stage: Result<Tokenizer, _> = serde_json::from_value(options);
    let mut stage = stage.expect("its options");
    if stage.start(&Context::default()).is_err() {
        return false;
    }
    let texts = [
        "a film",
        "",
        "The films was fine, the film was a film!",
        "\u{e9}\u{301}\0",
    ];
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = Batch::from_arrays(0, vec![("text".to_owned(), texts)]).expect("a batch");
    let Ok(given) = stage.process(batch) else {
        return false;
    };
    let tokens = given.column("tokens").expect("its column");
    let lists = tokens.as_list::<i32>();
    let short = |list: ArrayRef| list.len() <= TOKENS_MAX;
    assert!(lists.iter().flatten().all(short), "{tokens:?}");
    true
}

/// Reads a file to its end: each record must be a row or rejected.
fn records(bytes: &[u8], ending: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("records.{ending}"));
    std::fs::write(&path, bytes).expect("a file");
    let Ok(mut source) = io::open(&ReadOptions::new(&path)) else {
        return false;
    };
    let mut records = 0;
    loop {
        match source.next_batch(7) {
            Ok(Some(read)) => {
                assert_eq!(read.batch.schema(), source.schema());
                records += (read.batch.num_rows() + read.rejects.len()) as u64;
                assert_eq!(read.next_record, records);
            }
            Ok(None) => return true,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return false;
            }
        }
    }
}

/// A world in which every file is there, and every plugin, with parts to split.
#[derive(Default)]
struct Anything {
    built_in: Operators,
}

impl Catalog for Anything {
    fn operator(&self, plugin: &str, base: &Path) -> Result<Operator, Diagnostic> {
        if ["read", "write"].contains(&plugin) {
            return self.built_in.operator(plugin, base);
        }
        let mut operator = self.built_in.operator("write", base)?;
        operator.manifest.options.clear();
        operator.manifest.units = true;
        operator.manifest.name = plugin.to_owned();
        operator.role = Role::Transform;
        Ok(operator)
    }

    fn columns(&self, operator: &Operator, _: &Value, _: &[Column]) -> Result<Columns, Diagnostic> {
        Ok(match operator.role {
            Role::Source => Columns::new().writes("text", "utf8"),
            Role::Transform => Columns::new().reads("text", "utf8"),
            Role::Sink => Columns::new(),
        })
    }

    fn units(&self, operator: &Operator, _: &Value) -> Result<Option<Units>, Diagnostic> {
        let unit = |i: usize| Unit {
            name: format!("layer {i}"),
            cost: i as f64,
            bytes: 1 << 20,
        };
        Ok((operator.role == Role::Transform).then(|| Units {
            option: "layers".to_owned(),
            units: (0..4).map(unit).collect(),
        }))
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }

    fn fetched(&self, _: &str) -> Option<Result<PathBuf, Diagnostic>> {
        None
    }

    fn kept_beside(&self, _path: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn resolved(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}
