//! Pruning of a vocabulary, as a graph file names it.

use std::sync::Arc;

use schemars::JsonSchema;
use segue_learn::store::make_folder;
use segue_learn::store::no_state;
use segue_plugin::arrow_array::{ArrayRef, Float64Array, UInt64Array};
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, ModelPath, Next, OutputPath, Result, Rows, Stage,
    list_u32,
};
use serde::Deserialize;
use serde_json::json;

use crate::config::Config;
use crate::output::{Tokenizer, read_tokenizer, write_model};
use crate::params::{self, WORDS};
use crate::pieces::{Pieces, files_of};
use crate::trainer::not_started;

/// Takes word pieces that texts do not have, or hardly, out of a model and its tokenizer.
///
/// Texts that have none of them are the same tokens as before, by other numbers. In others a
/// piece that is gone is spelt by smaller ones: single characters always stay. To learn those
/// anew, fine-tune the model or `prune` it with `recover`.
///
/// # Columns
/// reads  `tokens`, of the model's own tokenizer; of as many texts as there are
///
/// writes one row: `pieces` u64 before, `kept` u64, `tokens_seen` u64, and `covered` f64, the part
/// of these whose piece stays
/// # Errors
/// `bad-model` where the vocabulary is not one of WordPiece; `bad-token`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PruneVocabulary {
    /// The model: a Hugging Face folder with `model.safetensors` or `pytorch_model.bin`.
    pub model: ModelPath,
    /// The folder for the model with the smaller vocabulary.
    pub output: OutputPath,
    /// The most word pieces to keep, the commonest first; left out, all that came.
    pub pieces: Option<usize>,
    /// How often a piece must have come to stay.
    #[serde(default = "once")]
    pub least: u64,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    #[serde(skip)]
    running: Option<Running>,
}

fn once() -> u64 {
    1
}

struct Running {
    config: Config,
    labels: Vec<String>,
    tokenizer: Tokenizer,
    pieces: Pieces,
    /// How often each piece came.
    counts: Vec<u64>,
}

fn blame(error: Error) -> Error {
    match error.option {
        None => error.option("model"),
        Some(_) => error,
    }
}

impl PruneVocabulary {
    fn load(&self) -> Result<Running> {
        let (config, labels) = Config::read(&self.model, &[])?;
        let tokenizer = read_tokenizer(&self.model)?;
        let pieces = Pieces::read(&tokenizer)?;
        params::open(&self.model, &config)?;
        let rows = config.shape.words;
        if pieces.names.len() > rows {
            let message = "the tokenizer has more pieces than the model has rows";
            return Err(Error::new("bad-model", message));
        }
        Ok(Running {
            config,
            labels,
            tokenizer,
            pieces,
            counts: vec![0; rows],
        })
    }
}

/// The rows `kept` of a table of rows of `width`.
fn rows(table: &[f32], width: usize, kept: &[usize]) -> Vec<f32> {
    let row = |at: &usize| &table[at * width..(at + 1) * width];
    kept.iter().flat_map(row).copied().collect()
}

impl Stage for PruneVocabulary {
    fn columns(&self) -> Columns {
        Columns::new()
            .reads("tokens", list_u32())
            .writes("pieces", "u64")
            .writes("kept", "u64")
            .writes("tokens_seen", "u64")
            .writes("covered", "f64")
            .rows(Rows::New)
            .snapshots(10_000)
    }

    fn columns_for(&self, _: &[Column]) -> Result<Columns> {
        self.load().map_err(blame)?;
        Ok(self.columns())
    }

    fn start(&mut self, _: &Context) -> Result<()> {
        make_folder(&self.output)?;
        self.running = Some(self.load().map_err(blame)?);
        Ok(())
    }

    fn process_each(&mut self, batch: Batch, _: &mut Host<'_>) -> Result<()> {
        let Some(Running { counts, .. }) = &mut self.running else {
            return Err(not_started());
        };
        for token in batch.lists_u32("tokens")?.flatten() {
            let count = counts.get_mut(*token as usize).ok_or_else(|| {
                let message = format!("token {token} is outside the model's vocabulary");
                Error::new("bad-token", message)
            })?;
            *count += 1;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        match &self.running {
            Some(running) => {
                let counts = running.counts.iter();
                Ok(counts.flat_map(|count| count.to_le_bytes()).collect())
            }
            None => Err(not_started()),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        let Some(Running { counts, .. }) = &mut self.running else {
            return Err(not_started());
        };
        let (found, rest) = state.as_chunks::<8>();
        if found.len() != counts.len() || !rest.is_empty() {
            return Err(no_state("it is of another vocabulary"));
        }
        *counts = found
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .collect();
        Ok(())
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        let Some(running) = &self.running else {
            return Err(not_started());
        };
        let Running {
            config,
            labels,
            tokenizer,
            pieces,
            counts,
        } = running;
        let most = self.pieces.unwrap_or(usize::MAX);
        let kept = pieces.kept(counts, most, self.least);
        let mut vectors = params::read(&self.model, config, 1).map_err(blame)?;
        let mut shape = config.shape.clone();
        vectors[WORDS] = rows(&vectors[WORDS], shape.hidden, &kept);
        shape.words = kept.len();
        let mut text: serde_json::Value = serde_json::from_str(&config.text(&shape, labels))
            .map_err(|e| Error::new("model-config", e.to_string()))?;
        let pad = text["pad_token_id"].as_u64();
        if let Some(new) = pad.and_then(|pad| kept.iter().position(|at| *at as u64 == pad)) {
            text["pad_token_id"] = json!(new);
        }
        let files = files_of(tokenizer, &kept)?;
        let model = (&shape, vectors.as_slice());
        write_model(
            &self.output,
            &files,
            model,
            &format!("{text:#}\n"),
            self.half_precision,
        )?;
        let seen: u64 = counts.iter().sum();
        let covered: u64 = kept.iter().map(|at| counts[*at]).sum();
        let whole = |number: u64| Arc::new(UInt64Array::from(vec![number])) as ArrayRef;
        let covered = covered as f64 / seen.max(1) as f64;
        let columns: Vec<(String, ArrayRef)> = vec![
            ("pieces".into(), whole(pieces.names.len() as u64)),
            ("kept".into(), whole(kept.len() as u64)),
            ("tokens_seen".into(), whole(seen)),
            (
                "covered".into(),
                Arc::new(Float64Array::from(vec![covered])),
            ),
        ];
        host.emit(Batch::from_arrays(0, columns)?);
        Ok(Next::Done)
    }
}
