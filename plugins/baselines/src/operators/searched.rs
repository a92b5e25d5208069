//! Models whose weights a search looks for: evaluators that score candidates, and stages that
//! judge with the best.

pub mod ann;
pub mod cnn;
pub mod fitness;
pub mod gathering;
pub mod network;
pub mod verdicts;
