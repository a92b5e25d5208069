//! Columns of numbers as a drawing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use segue_plugin::arrow_array::{Array, Float64Array};
use segue_plugin::{Batch, Columns, Context, Host, Next, OutputPath, Result, Stage};
use serde::{Deserialize, Serialize};

use super::report::{check_folder, no_state, write};
use crate::plot::curves;

/// Draws one column of numbers against another, a line for each name in a third, and passes its
/// rows on. A row in which a number is missing or not finite has no point.
///
/// # Columns
/// reads the columns that `x` and `y` name, f64, and the one that `by` names, utf8
/// # Errors
/// `write-failed`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plot {
    /// The column across.
    pub x: String,
    /// The column upwards.
    pub y: String,
    /// The column whose names make lines; left out, there is one line.
    #[serde(default)]
    pub by: Option<String>,
    /// The file of the drawing, SVG.
    pub output: OutputPath,
    #[serde(skip)]
    lines: Lines,
}

/// Points of each line, by its name.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Lines(BTreeMap<String, Vec<(f64, f64)>>);

impl Stage for Plot {
    fn columns(&self) -> Columns {
        let columns = Columns::new().reads(&self.x, "f64").reads(&self.y, "f64");
        let by = self.by.as_ref();
        by.map_or(columns.clone(), |by| columns.reads(by, "utf8"))
            .snapshots(0)
    }

    fn start(&mut self, _context: &Context) -> Result<()> {
        check_folder(&self.output)
    }

    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        let (x, y) = (
            batch.get::<Float64Array>(&self.x)?,
            batch.get::<Float64Array>(&self.y)?,
        );
        let names = self.by.as_ref().map(|by| batch.text(by)).transpose()?;
        let number = |of: &Float64Array, row: usize| {
            let number = of.is_valid(row).then(|| of.value(row));
            number.filter(|number| number.is_finite())
        };
        for row in 0..batch.rows() {
            let (Some(x), Some(y)) = (number(x, row), number(y, row)) else {
                continue;
            };
            let name = names.map_or(self.y.as_str(), |names| names.value(row));
            let line = self.lines.0.entry(name.to_owned()).or_default();
            line.push((x, y));
        }
        host.emit(batch);
        Ok(())
    }

    fn finish(&mut self, _host: &mut Host<'_>) -> Result<Next> {
        let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
        for (name, points) in &self.lines.0 {
            let mut points = points.clone();
            points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            lines.push((name, points));
        }
        let title = format!("{} by {}", self.y, self.x);
        write(&self.output, &curves(&title, (&self.x, &self.y), &lines))?;
        Ok(Next::Done)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        postcard::to_stdvec(&self.lines).map_err(no_state)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        self.lines = postcard::from_bytes(state).map_err(no_state)?;
        Ok(())
    }
}
