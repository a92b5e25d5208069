//! Training: fine-tuning and distillation of BERT-family models, as operators.

mod attention;
mod batch;
mod config;
mod distill;
mod finetune;
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
mod schedule;
mod trainer;

pub use distill::Distill;
pub use finetune::Finetune;

segue_plugin::export!("finetune" => Finetune, "distill" => Distill);
