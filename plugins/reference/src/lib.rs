//! Models to compare others with: a linear support vector machine, a multilayer
//! perceptron and a convolutional network.
//!
//! Texts become word numbers ([`words`]), these become features ([`features`]), and
//! every model learns from such rows behind one interface ([`model::Model`]):
//!
//! ```
//! use segue_reference::rows::{Examples, Rows};
//! use segue_reference::svm::{SvmModel, SvmOptions};
//! use segue_reference::training::{Schedule, fit};
//!
//! let mut rows = Rows::new(2);
//! rows.push([(0, 1.0)]);
//! rows.push([(1, 1.0)]);
//! let train = Examples { rows, classes: vec![0, 1] };
//! let options = SvmOptions { cost: 1.0, tolerance: 0.01, naive_bayes: false, seed: 0 };
//! let mut model = SvmModel::new(options, 2, 2);
//! let schedule = Schedule { epochs: 100, patience: None };
//! let quality = fit(&mut model, &train, &train, schedule, |_| ())?;
//! assert_eq!(quality.map(|quality| quality.accuracy), Some(1.0));
//! # Ok::<(), segue_plugin::Error>(())
//! ```

pub mod adam;
pub mod ann;
pub mod cnn;
pub mod dual;
pub mod features;
pub mod gathered;
pub mod learning;
pub mod model;
pub mod network;
pub mod operator;
pub mod operator_ann;
pub mod operator_cnn;
pub mod operator_svm;
mod options;
pub mod recipe;
pub mod rows;
pub mod sparse;
pub mod svm;
pub mod tensors;
pub mod tfidf;
pub mod tokens;
pub mod trained;
pub mod training;
pub mod windows;
pub mod words;

segue_plugin::export!(
    "svm" => operator_svm::SvmStage,
    "ann" => operator_ann::AnnStage,
    "cnn" => operator_cnn::CnnStage,
);
