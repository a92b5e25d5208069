//! Why a stage failed, as a user is told.

use crate::diagnostic::Diagnostic;
use crate::graph::Stage;

/// What went wrong while `stage` did `what`.
pub fn stage_failed(stage: &Stage, what: &str, error: impl Into<Diagnostic>) -> Diagnostic {
    let error = error.into();
    let message = format!("`{}` failed {what}: {}", stage.name, error.message);
    Diagnostic { message, ..error }.stage(&stage.file_name)
}

/// What went wrong on `rows` rows of batch `time`; 0 at its end.
pub fn batch_failed(
    stage: &Stage,
    time: u64,
    rows: usize,
    error: impl Into<Diagnostic>,
) -> Diagnostic {
    let what = match rows {
        0 => format!("on batch {time}"),
        _ => format!("on batch {time} of {rows} rows"),
    };
    stage_failed(stage, &what, error)
}

/// What went wrong with a file of `stage`.
pub fn file_failed(stage: &Stage, error: Diagnostic) -> Diagnostic {
    error.stage(&stage.file_name)
}
