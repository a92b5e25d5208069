//! Fine-tuning, distillation, pruning and rounding of BERT-family models, as operators.

mod attention;
mod batch;
mod chosen;
mod config;
mod course;
mod distill;
mod finetune;
mod gathered;
mod held_out;
mod labels;
mod layer;
mod log;
mod model;
mod norm;
mod output;
mod params;
mod pieces;
mod pool;
mod prune;
mod quantize;
mod schedule;
mod shrink;
mod trainer;
mod trial;
mod vocabulary;

pub use chosen::FinetuneChosen;
pub use distill::Distill;
pub use finetune::Finetune;
pub use prune::{Prune, PruneTrial};
pub use quantize::Quantize;
pub use trial::FinetuneTrial;
pub use vocabulary::PruneVocabulary;

segue_plugin::export!(
    "finetune" => Finetune,
    "distill" => Distill,
    "prune" => Prune,
    "prune-trial" => PruneTrial,
    "prune-vocabulary" => PruneVocabulary,
    "quantize" => Quantize,
    "finetune-trial" => FinetuneTrial,
    "finetune-chosen" => FinetuneChosen,
);
