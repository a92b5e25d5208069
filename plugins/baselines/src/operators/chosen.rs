//! `svm-chosen`, `ann-chosen` and `cnn-chosen`: a model with the options that a search found best.

use schemars::JsonSchema;
use segue_candidates::BestOptions;
use segue_candidates::given::Given;
use segue_learn::store::make_folder;
use segue_plugin::{Batch, Column, Columns, Context, Host, Next, Port, Result, Rows, Stage};
use serde::Deserialize;

use crate::operators::gathered::Gathered;
use crate::operators::operator::{Operator, Options, with};
use crate::operators::options::check;

/// Learns, with the options that a search found best, from all rows but those whose role is
/// `test`, and judges these.
///
/// # Columns
/// by `options`: `options` utf8, such as `search-best` gives; the last row counts
/// by `rows`, a side input: `review` u64, `text` utf8, `truth` utf8 and `role` utf8
/// writes one row for each that is to be judged: `review`, `truth`, `label` utf8, the verdict,
/// and `score` f32, of the verdict
/// # Errors
/// `no-best` when no options came; `bad-candidate`
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", bound = "O: Options")]
pub struct Chosen<O: Options> {
    /// The model's own; the best's take the place of some.
    #[serde(flatten)]
    given: Given<O>,
    #[serde(skip)]
    gathered: Gathered,
    #[serde(skip)]
    best: BestOptions,
    /// What learns and judges, when all is there.
    #[serde(skip)]
    operator: Option<Operator<O>>,
}

/// The port of the rows.
const ROWS: usize = 1;

impl<O: Options> Stage for Chosen<O> {
    const PORTS: &'static [Port] = &[Port::new("options"), Port::whole("rows")];

    fn columns(&self) -> Columns {
        Columns::new()
            .reads_at("options", "options", "utf8")
            .reads_at("rows", "review", "u64")
            .reads_at("rows", "text", "utf8")
            .reads_at("rows", "truth", "utf8")
            .reads_at("rows", "role", "utf8")
            .writes("review", "u64")
            .writes("truth", "utf8")
            .writes("label", "utf8")
            .writes("score", "f32")
            .rows(Rows::New)
            .snapshots(0)
    }

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        with(&self.given, "")?.recipe()?;
        let absent = "left out: it learns from the rows";
        check(self.given.own().common().model.is_none(), "model", absent)?;
        Ok(self.columns())
    }

    fn process_each(&mut self, batch: Batch, _host: &mut Host<'_>) -> Result<()> {
        if batch.port() == ROWS {
            let labels = &self.given.own().common().labels;
            return self.gathered.add(&batch, labels);
        }
        self.best.add(&batch)
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        let output = self.given.own().common().output.as_deref();
        output.map_or(Ok(()), make_folder)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(self.best.snapshot())
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.best.restore(state)
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        if self.operator.is_none() {
            let options = with(&self.given, self.best.text()?)?;
            let mut gathered = std::mem::take(&mut self.gathered);
            gathered.learn_from_all();
            self.operator = Some(Operator::with(options, gathered));
        }
        match &mut self.operator {
            Some(operator) => operator.finish(host),
            None => Ok(Next::Done),
        }
    }
}
