//! What a model is made from: all that its options say.

use segue_plugin::Result;
use serde::{Deserialize, Serialize};

use crate::features::FeatureOptions;
use crate::models::Model;
use crate::models::ann::{Ann, AnnOptions};
use crate::models::cnn::{Cnn, CnnOptions};
use crate::models::conv::{Conv, ConvOptions};
use crate::models::network::{LearningOptions, Network};
use crate::models::svm::{SvmModel, SvmOptions};
use crate::models::training::Schedule;

/// Features, model and training. With the same texts and the same recipe the same model
/// comes out, to the last bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the classes 0, 1, ... are called.
    pub labels: Vec<String>,
    /// What a text is to the model.
    pub features: FeatureOptions,
    /// The model.
    pub model: ModelOptions,
    /// How long it learns.
    pub schedule: Schedule,
}

/// Which model, and its own options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelOptions {
    /// A linear support vector machine.
    Svm(SvmOptions),
    /// A multilayer perceptron.
    Ann(AnnOptions, LearningOptions),
    /// A convolutional network.
    Cnn(CnnOptions, LearningOptions),
    /// A convolutional network whose weights are searched.
    Conv(ConvOptions),
}

impl Recipe {
    /// A model for `width` features that has learned nothing.
    ///
    /// # Errors
    /// `failed-tensor`
    pub fn model(&self, width: usize) -> Result<Box<dyn Model>> {
        let classes = self.labels.len();
        Ok(match self.model {
            ModelOptions::Svm(options) => Box::new(SvmModel::new(options, width, classes)),
            ModelOptions::Ann(options, learning) => {
                let ann = Ann {
                    options,
                    width,
                    classes,
                };
                Box::new(Network::new(ann, learning)?)
            }
            ModelOptions::Conv(options) => Box::new(Conv::new(options, width)),
            ModelOptions::Cnn(options, learning) => {
                let cnn = Cnn {
                    options,
                    width,
                    classes,
                };
                Box::new(Network::new(cnn, learning)?)
            }
        })
    }
}
