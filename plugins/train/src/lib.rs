//! Fine-tuning, distillation and rounding of BERT-family models, as operators.

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
mod pool;
mod prune;
mod quantize;
mod schedule;
mod trainer;
mod trial;

pub use chosen::FinetuneChosen;
pub use distill::Distill;
pub use finetune::Finetune;
pub use quantize::Quantize;
pub use trial::FinetuneTrial;

segue_plugin::export!(
    "finetune" => Finetune,
    "distill" => Distill,
    "quantize" => Quantize,
    "finetune-trial" => FinetuneTrial,
    "finetune-chosen" => FinetuneChosen,
);
