//! The operators `ann-verdicts` and `cnn-verdicts`.

use schemars::JsonSchema;
use segue_candidates::rows;
use segue_learn::columns::Role;
use segue_learn::store::make_folder;
use segue_plugin::{
    Batch, Column, Columns, Context, Error, Host, OutputPath, Port, Result, Rows, Stage,
};
use serde::Deserialize;

use super::ann::AnnShape;
use super::cnn::CnnShape;
use super::fitness::Scoring;
use super::gathering::{Gathering, reads};
use super::network::{Shape, some_texts};
use crate::operators::operator::judge_texts;

/// Judges with the best that a search found among the weights of a network, at its
/// end.
///
/// Its options must be those of the stage that scored candidates: the best must score here what it
/// did there.
///
/// # Columns
/// reads at `best` what the search gives, and at `rows` `review` u64, `text` utf8, `truth` utf8
/// and `role` utf8: those to learn features from, and those to be judged
/// writes one row for each that is judged: `review`, `truth`, `label` utf8, the verdict, and
/// `score` f32, its probability
/// # Errors
/// `other-network` when the best was scored with other options
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, bound = "S: Shape")]
pub struct Verdicts<S: Shape> {
    /// The network.
    #[serde(flatten)]
    pub shape: S,
    /// What was measured.
    #[serde(flatten)]
    pub scoring: Scoring,
    /// Which rows are judged.
    pub judge: Judged,
    /// The folder that the best is written to, as a model that `ann` and `cnn` can judge with.
    pub output: Option<OutputPath>,
    #[serde(skip)]
    texts: Gathering<()>,
}

/// The operator `ann-verdicts`.
pub type AnnVerdicts = Verdicts<AnnShape>;

/// The operator `cnn-verdicts`.
pub type CnnVerdicts = Verdicts<CnnShape>;

/// Which rows are judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// Those with the role `test`.
    #[default]
    Test,
    /// Those that were held out, to choose options by.
    Validation,
}

impl From<Judged> for Role {
    fn from(judged: Judged) -> Self {
        match judged {
            Judged::Test => Role::Test,
            Judged::Validation => Role::Validation,
        }
    }
}

fn all_columns(input: &[Column]) -> Columns {
    let columns = Columns::new()
        .reads_at("best", "what", "utf8")
        .reads_at("best", "position", "list f64")
        .reads_at("best", "objectives", "utf8")
        .writes("review", "u64")
        .writes("truth", "utf8")
        .writes("label", "utf8")
        .writes("score", "f32");
    reads(columns, input).rows(Rows::New)
}

fn other_network(there: f64, here: f64) -> Error {
    let message = format!(
        "the best has the fitness {here} here, but {there} in the search: give this stage the \
         options of the one that scored candidates, such as `radius`, `seed` and `measure`"
    );
    Error::new("other-network", message)
}

impl<S: Shape> Stage for Verdicts<S> {
    const PORTS: &'static [Port] = &[Port::new("best"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        all_columns(&[])
    }

    fn columns_for(&self, input: &[Column]) -> Result<Columns> {
        self.shape.check()?;
        self.scoring.check()?;
        Ok(all_columns(input))
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        self.output.as_deref().map_or(Ok(()), make_folder)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        if batch.port() == 1 {
            return self.texts.add(&batch, self.shape.labels());
        }
        let Some(best) = rows::best(&batch)? else {
            return Ok(());
        };
        let Gathering::Texts(mut gathered) =
            std::mem::replace(&mut self.texts, Gathering::Made(()))
        else {
            return Ok(());
        };
        let texts = some_texts(&gathered, self.judge.into())?;
        host.progress("making features");
        let made = self
            .shape
            .trained(&best.position, self.scoring, &mut gathered);
        let (trained, fitness) = made?;
        if let Some(there) = best.objective("fitness").filter(|there| *there != fitness) {
            return Err(other_network(there, fitness));
        }
        if let Some(output) = self.output.as_ref() {
            trained.save(output)?;
        }
        judge_texts(&trained, &gathered, &texts, batch.time(), host)
    }
}
