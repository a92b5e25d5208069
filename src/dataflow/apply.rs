//! One batch through one stage: what the plugin is given, what is taken from it, and
//! which columns pass it by.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{Field, Schema, SchemaRef};
use segue_plugin::ffi::Origin;
use segue_plugin::{Column, Next, Rows, Scalar, Type};

use crate::diagnostic::Diagnostic;
use crate::graph::Stage;
use crate::io::number_field;
use crate::plugins::{Given, Instance};

/// Runs `stage` on `rows` that come from `origin`.
///
/// # Errors
/// What the plugin says, and `row-count` or `bad-output` when what it gives does not
/// fit what it declares
pub fn process(
    stage: &Stage,
    instance: &mut Instance,
    origin: &Origin,
    rows: &RecordBatch,
) -> Result<Given, Diagnostic> {
    let port = origin.port as usize;
    let reads: Vec<Column> = stage.reads_at(port).cloned().collect();
    let read = project(rows, &reads)?;
    let whole = stage.is_whole(port);
    let given = instance.process(origin, read, whole)?;
    let outputs = &given.batches;
    if whole {
        return if outputs.is_empty() {
            Ok(given)
        } else {
            Err(Diagnostic::new(
                "row-count",
                "it gave rows for a side input",
            ))
        };
    }
    if stage.columns.rows == Rows::Same && outputs.len() != 1 {
        let message = format!("it gave {} batches for one", outputs.len());
        return Err(Diagnostic::new("row-count", message));
    }
    let composed = outputs.iter().map(|output| compose(stage, rows, output));
    Ok(Given {
        batches: composed.collect::<Result<_, _>>()?,
        ..given
    })
}

/// What `stage` held back until no more input can come at `time`.
///
/// # Errors
/// As [`process`]
pub fn flush(stage: &Stage, instance: &mut Instance, time: u64) -> Result<Given, Diagnostic> {
    let given = instance.flush(time)?;
    if stage.columns.spreads && !given.batches.is_empty() {
        let message = "it gave rows at the end of a time, but says that each batch is for itself";
        return Err(Diagnostic::new("row-count", message));
    }
    let batches = compose_new(stage, &given.batches, "of a time")?;
    Ok(Given { batches, ..given })
}

/// The first rows of `stage`, which starts.
///
/// # Errors
/// As [`process`]
pub fn begin(stage: &Stage, instance: &mut Instance) -> Result<Given, Diagnostic> {
    let given = instance.begin()?;
    let batches = compose_new(stage, &given.batches, "of its start")?;
    Ok(Given { batches, ..given })
}

/// What `stage` held back until no more input can come at all, or a part of it.
///
/// # Errors
/// As [`process`]
pub fn finish(
    stage: &Stage,
    instance: &mut Instance,
) -> Result<(Vec<RecordBatch>, Next), Diagnostic> {
    let (given, next) = instance.finish()?;
    Ok((compose_new(stage, &given.batches, "of its input")?, next))
}

/// What `stage` sends for batches that belong to no input.
fn compose_new(
    stage: &Stage,
    outputs: &[RecordBatch],
    end: &str,
) -> Result<Vec<RecordBatch>, Diagnostic> {
    if stage.columns.rows != Rows::New && !outputs.is_empty() {
        let message =
            format!("it gave rows at the end {end}, but does not declare its rows as new");
        return Err(Diagnostic::new("row-count", message));
    }
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    outputs
        .iter()
        .map(|output| compose(stage, &nothing, output))
        .collect()
}

/// The Arrow schema of `columns`.
pub fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| match column.column_type {
        Type::Scalar(Scalar::Number) => number_field(&column.name),
        other => Field::new(&column.name, other.to_arrow(), true),
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// Only `columns` of `rows`, in that order.
///
/// # Errors
/// `missing-column`
pub fn project(rows: &RecordBatch, columns: &[Column]) -> Result<RecordBatch, Diagnostic> {
    let arrays = columns
        .iter()
        .map(|column| find(rows, &column.name).cloned());
    assemble(columns, arrays.collect::<Result<_, _>>()?, rows.num_rows())
}

fn find<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Diagnostic> {
    rows.column_by_name(name)
        .ok_or_else(|| Diagnostic::new("bad-output", format!("there is no column `{name}`")))
}

fn assemble(
    columns: &[Column],
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, Diagnostic> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema(columns), arrays, &options);
    batch.map_err(|e| Diagnostic::new("bad-output", e.to_string()))
}

/// What `stage` sends: its written columns from `output`, the others from `input`.
fn compose(
    stage: &Stage,
    input: &RecordBatch,
    output: &RecordBatch,
) -> Result<RecordBatch, Diagnostic> {
    let origin = origin(stage.columns.rows, input, output)?;
    let written = |column: &Column| stage.columns.writes.contains(column);
    let mut arrays = Vec::new();
    for column in &stage.sends {
        arrays.push(match (written(column), &origin) {
            (true, _) => taken(output, column)?,
            (false, None) => find(input, &column.name)?.clone(),
            (false, Some(origin)) => {
                let taken = arrow_select::take::take(find(input, &column.name)?, origin, None);
                taken.map_err(|e| Diagnostic::new("bad-output", e.to_string()))?
            }
        });
    }
    // A declared column is checked even if nothing downstream reads it.
    for column in stage
        .columns
        .writes
        .iter()
        .filter(|column| !stage.sends.contains(column))
    {
        taken(output, column)?;
    }
    assemble(&stage.sends, arrays, output.num_rows())
}

/// The column `column` of what a plugin gave.
fn taken(output: &RecordBatch, column: &Column) -> Result<ArrayRef, Diagnostic> {
    let bad = |message: String| Diagnostic::new("bad-output", message);
    let array = (output.column_by_name(&column.name))
        .ok_or_else(|| bad(format!("it did not give the column `{}`", column.name)))?;
    let wanted = column.column_type.to_arrow();
    if *array.data_type() == wanted {
        return Ok(array.clone());
    }
    if Type::from_arrow(array.data_type()) != Some(column.column_type) {
        let message = format!(
            "it gave `{}` as `{}`, not as `{}`",
            column.name,
            array.data_type(),
            column.column_type
        );
        return Err(bad(message));
    }
    // The same type with other names or nullability of its items.
    arrow_cast::cast(array, &wanted).map_err(|e| bad(e.to_string()))
}

/// For each output row the input row it came from; `None` when they are the same, or
/// unrelated.
fn origin(
    rows: Rows,
    input: &RecordBatch,
    output: &RecordBatch,
) -> Result<Option<UInt32Array>, Diagnostic> {
    let (had, has) = (input.num_rows(), output.num_rows());
    match rows {
        Rows::New => Ok(None),
        Rows::Same if had == has => Ok(None),
        Rows::Same => Err(Diagnostic::new(
            "row-count",
            format!("it gave {has} rows for {had}"),
        )),
        Rows::Mapped => {
            let bad = |message: &str| Diagnostic::new("row-count", message.to_owned());
            let row = output
                .column_by_name("row")
                .ok_or_else(|| bad("it gave no column `row`"))?;
            let row = row.as_primitive_opt::<UInt32Type>();
            let row = row
                .ok_or_else(|| bad("its column `row` is not `u32`"))?
                .clone();
            let fits = row.null_count() == 0
                && row.values().is_sorted()
                && row
                    .values()
                    .last()
                    .is_none_or(|last| (*last as usize) < had);
            if fits {
                Ok(Some(row))
            } else {
                Err(bad(
                    "its column `row` does not name input rows in ascending order",
                ))
            }
        }
    }
}
