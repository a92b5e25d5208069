//! Columns of numbers as a drawing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use segue_plugin::arrow_array::{Array, Float64Array};
use segue_plugin::{Batch, Column, Columns, Context, Error, Host, Next, OutputPath, Result, Stage};
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

    fn columns_for(&self, _input: &[Column]) -> Result<Columns> {
        let twice = |option: &str, name: &str| {
            let message = format!("`{name}` is drawn already: name another column");
            Err(Error::new("bad-option", message).option(option))
        };
        match &self.by {
            _ if self.x == self.y => twice("y", &self.y),
            Some(by) if *by == self.x || *by == self.y => twice("by", by),
            _ => Ok(self.columns()),
        }
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
            let name = match names {
                Some(names) if names.is_valid(row) => names.value(row),
                Some(_) => "none",
                None => self.y.as_str(),
            };
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use segue_plugin::arrow_array::{ArrayRef, StringArray};

    use super::*;

    fn plot(output: &std::path::Path) -> Plot {
        let options = serde_json::json!({"x": "a", "y": "b", "by": "c", "output": output});
        serde_json::from_value(options).unwrap()
    }

    fn rows(from: usize) -> Batch {
        let a = [Some(2.0), None, Some(1.0), Some(f64::NAN)];
        let c = [Some("first"), Some("first"), None, Some("last")];
        let b = (0..4).map(|at| Some((from + at) as f64));
        let columns: [(&str, ArrayRef); 3] = [
            ("a", Arc::new(Float64Array::from(a.to_vec()))),
            ("b", Arc::new(b.collect::<Float64Array>())),
            ("c", Arc::new(StringArray::from(c.to_vec()))),
        ];
        let named = |(name, column): (&str, ArrayRef)| (name.to_owned(), column);
        Batch::from_arrays(0, columns.into_iter().map(named).collect()).unwrap()
    }

    #[test]
    fn a_plot_goes_on_from_what_it_saved() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["whole.svg", "cut.svg"].map(|name| folder.path().join(name));
        let mut host = Host::silent();
        let mut whole = plot(&paths[0]);
        whole.process_each(rows(0), &mut host).unwrap();
        let mut cut = plot(&paths[1]);
        cut.restore(&whole.snapshot().unwrap()).unwrap();
        for one in [&mut whole, &mut cut] {
            one.process_each(rows(7), &mut host).unwrap();
            one.finish(&mut host).unwrap();
        }
        let svg = std::fs::read_to_string(&paths[0]).unwrap();
        assert_eq!(svg, std::fs::read_to_string(&paths[1]).unwrap());
        // Two rows each are points, of lines that have names.
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains(">first<") && svg.contains(">none<") && !svg.contains(">last<"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
