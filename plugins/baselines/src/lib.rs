//! Models to compare others with: a linear support vector machine, a multilayer
//! perceptron and a convolutional network.
//!
//! Texts become word numbers ([`features::words`]), these become [`features`], and every one of
//! the [`models`] learns from such rows behind one interface; the [`operators`] are what a graph
//! names.
//!
//! ```
//! use segue_baselines::features::rows::{Examples, Rows};
//! use segue_baselines::models::svm::{SvmModel, SvmOptions};
//! use segue_baselines::models::training::{Schedule, fit};
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

pub mod features;
pub mod models;
pub mod operators;

segue_plugin::export!(
    "svm" => operators::svm::SvmStage,
    "ann" => operators::ann::AnnStage,
    "cnn" => operators::cnn::CnnStage,
    "svm-trial" => operators::svm::SvmTrial,
    "ann-trial" => operators::ann::AnnTrial,
    "cnn-trial" => operators::cnn::CnnTrial,
    "svm-chosen" => operators::svm::SvmChosen,
    "ann-chosen" => operators::ann::AnnChosen,
    "cnn-chosen" => operators::cnn::CnnChosen,
    "ann-fitness" => operators::searched::fitness::AnnFitness,
    "ann-verdicts" => operators::searched::verdicts::AnnVerdicts,
    "cnn-fitness" => operators::searched::fitness::CnnFitness,
    "cnn-verdicts" => operators::searched::verdicts::CnnVerdicts,
);
