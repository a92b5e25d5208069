//! `segue new-stage`
use clap::Args;

use super::{Lang, Outcome};

/// `segue new-stage`
#[derive(Args)]
pub struct NewStageArgs {
    /// The operator's name, such as `mean-pool`; also the folder's
    name: String,
    /// The language to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

/// Makes the project.
pub fn new_stage(_arguments: &NewStageArgs) -> Outcome {
    Ok(())
}
