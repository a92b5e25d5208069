//! What searches and evaluators share, wherever they live.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`rows`] | candidates and scores as they travel round a loop |
//! | [`space`] | what a point of the unit box stands for: options, or the weights of a model |
//! | [`given`] | a stage's options with a candidate's in their place |
//! | [`BestOptions`] | what a search found, for a stage that works with it |
//! | [`Measure`], [`Cost`] | what a model is judged by, and what it costs |
//! | [`adam`] | the steps of an evaluator that has a gradient |
//! | [`random`], [`digest`] | numbers that are the same for ever |
//!
//! An evaluator is a stage whose columns are [`rows::evaluates`] and whose
//! [`process_each`](segue_plugin::Stage::process_each) gives what [`rows::scored`] makes.

pub mod adam;
mod best;
pub mod digest;
pub mod given;
mod measure;
pub mod random;
pub mod rows;
pub mod space;
mod task;

pub use best::BestOptions;
pub use measure::{Cost, Measure};
pub use task::Task;
