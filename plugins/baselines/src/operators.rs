//! What a graph can name.

pub mod ann;
pub mod chosen;
pub mod cnn;
pub mod gathered;
pub mod learning;
pub mod operator;
mod options;
pub mod searched;
pub mod svm;
pub mod trial;
