//! The contract between Segue and its plugins, for plugins in Rust.
//!
//! A plugin is a struct and a trait: the struct's fields are the operator's
//! `with.*` options, [`Stage`] says what it reads, what it writes and what it
//! does with a batch, and [`export!`] makes the library's one symbol.
//!
//! ```
//! use segue_plugin::{Batch, Columns, Result, Stage, arrow_array::UInt64Array};
//!
//! /// Counts the words of a text.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(rename_all = "kebab-case", deny_unknown_fields)]
//! pub struct WordCount {
//!     /// Words shorter than this many letters are not counted.
//!     #[serde(default)]
//!     pub shortest: usize,
//! }
//!
//! impl Stage for WordCount {
//!     fn columns(&self) -> Columns {
//!         Columns::new().reads("text", "utf8").writes("words", "u64")
//!     }
//!
//!     fn process(&mut self, batch: Batch) -> Result<Batch> {
//!         let long = |word: &&str| word.chars().count() >= self.shortest;
//!         let words: UInt64Array = (batch.text("text")?.iter())
//!             .map(|text| Some(text?.split_whitespace().filter(long).count() as u64))
//!             .collect();
//!         batch.with_column("words", words)
//!     }
//! }
//!
//! segue_plugin::export!("word-count" => WordCount);
//! # fn main() {}
//! ```
//!
//! The C header `segue.h` beside this crate is the same contract for any other
//! language. This crate does no input or output.

mod batch;
mod columns;
mod error;
mod example;
pub mod ffi;
mod host;
mod import;
mod manifest;
mod shape;
mod stage;

pub use arrow_array;
pub use arrow_buffer;
pub use arrow_schema;
pub use schemars;
pub use serde;

pub use batch::{Batch, fixed_f32_array, list_u32_array, ragged_f32_array};
pub use columns::{Column, Columns, Rows, Scalar, Type, fixed_f32, list_u32, ragged_f32};
pub use error::{Error, Result};
pub use example::Example;
pub use host::{Host, Next};
pub use import::{export_batch, import_batch};
pub use manifest::{
    Manifest, OperatorManifest, OptionManifest, OptionType, Port, PortManifest, Unit, Units,
};
pub use stage::{Context, ModelPath, OutputPath, Stage};
