//! From texts to token ids: WordPiece and the like, as the model's own files say.

mod bounds;
mod cut;
mod files;
mod load;
mod model;
mod settings;
#[cfg(test)]
mod tests;

use segue_plugin::{
    Batch, Column, Columns, Context, Error, ModelPath, Result, Rows, Stage, list_u32,
    list_u32_array,
};

use cut::Cut;
use model::Model;
use settings::Settings;

/// Cuts texts into a model's tokens, with its special tokens around them and no padding.
///
/// # Columns
/// reads `text` utf8
/// writes `tokens` list u32: at most `max-tokens` ids, special ones included
/// With `truncation = "windows"` a long text gives several rows, one a window.
/// # Errors
/// `model-missing`; `bad-model` when the model's files are damaged or contradict each other;
/// `bad-option` when `max-tokens` does not fit the model
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tokenizer {
    /// The model's folder, with `tokenizer.json` or `vocab.txt`.
    pub model: ModelPath,
    /// The most tokens a row may have, special ones included.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// What is kept of a longer text.
    #[serde(default)]
    pub truncation: Truncation,
    /// With `head+tail`: how many tokens come from the start; left out, three eighths.
    pub head_tokens: Option<usize>,
    /// With `windows`: how many tokens neighbouring windows share.
    #[serde(default)]
    pub overlap: usize,
    #[serde(skip)]
    loaded: Option<Model>,
}

/// What is kept of a text that is too long.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Its start.
    #[default]
    Head,
    /// Its end.
    Tail,
    /// Some of both.
    #[serde(rename = "head+tail")]
    HeadTail,
    /// All of it, in several windows.
    Windows,
}

fn default_max_tokens() -> usize {
    256
}

impl Tokenizer {
    /// How a text's own tokens are cut, when `special` places go to special tokens.
    fn cut(&self, special: usize) -> Result<Cut> {
        let bad = |name: &str, message: String| Err(Error::new("bad-option", message).option(name));
        let Some(room) = self
            .max_tokens
            .checked_sub(special)
            .filter(|room| *room > 0)
        else {
            let message = format!("`max-tokens` must be over {special}, the special tokens");
            return bad("max-tokens", message);
        };
        let head = self.head_tokens.unwrap_or(room * 3 / 8);
        if head > room {
            return bad(
                "head-tokens",
                format!("`head-tokens` must not be over {room}"),
            );
        }
        if self.overlap >= room {
            return bad("overlap", format!("`overlap` must be under {room}"));
        }
        Ok(match self.truncation {
            Truncation::Head => Cut::Keep {
                head: room,
                tail: 0,
            },
            Truncation::Tail => Cut::Keep {
                head: 0,
                tail: room,
            },
            Truncation::HeadTail => Cut::Keep {
                head,
                tail: room - head,
            },
            Truncation::Windows => Cut::Windows {
                room,
                step: room - self.overlap,
            },
        })
    }

    /// The vocabulary, when it and the options fit together.
    fn load(&self) -> Result<Model> {
        let settings = Settings::read(&self.model)?;
        let model = Model::load(&self.model, &settings)?;
        let most = settings.positions;
        if let Some(limit) = most.filter(|limit| self.max_tokens > *limit) {
            let message = format!(
                "`max-tokens` is {}, the model has {limit} positions",
                self.max_tokens
            );
            return Err(Error::new("bad-option", message).option("max-tokens"));
        }
        self.cut(model.special())?;
        Ok(model)
    }
}

impl Stage for Tokenizer {
    fn columns(&self) -> Columns {
        let columns = Columns::new()
            .reads("text", "utf8")
            .writes("tokens", list_u32());
        match self.truncation {
            Truncation::Windows => columns.rows(Rows::Mapped),
            _ => columns,
        }
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        self.load()?;
        Ok(self.columns())
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        self.loaded = Some(self.load()?);
        Ok(())
    }

    fn process(&mut self, batch: Batch) -> Result<Batch> {
        let Some(model) = &self.loaded else {
            return Err(Error::new("not-started", "the vocabulary is not loaded"));
        };
        let cut = self.cut(model.special())?;
        let (mut tokens, mut rows) = (Vec::new(), Vec::new());
        for (row, text) in batch.text("text")?.iter().enumerate() {
            let text = text.unwrap_or_default();
            let ids = model.ids(text).map_err(|error| of_row(row, text, error))?;
            for part in cut.apply(&ids) {
                tokens.push(model.wrap(&part));
                // A batch has far fewer than 2^32 rows.
                rows.push(row as u32);
            }
        }
        let tokens = list_u32_array(tokens.iter().map(Vec::as_slice));
        match self.truncation {
            Truncation::Windows => Batch::mapped(batch.time(), rows)?.with_column("tokens", tokens),
            _ => batch.with_column("tokens", tokens),
        }
    }
}

/// `error` of the text of row `row`, by its first words.
fn of_row(row: usize, text: &str, error: Error) -> Error {
    let start: String = text.chars().take(40).collect();
    let message = format!("row {row}, `{start}...`: {}", error.message);
    Error { message, ..error }
}

segue_plugin::export!("tokenizer" => Tokenizer);
