//! The `bert` operator, which runs a range of the encoder layers of a BERT-family model, and
//! `layer-times`, which measures how long layers take.
//!
//! What it runs them with is `segue_encoder`.

mod layer_times;
mod operator;

pub use layer_times::LayerTimes;
pub use operator::Bert;

segue_plugin::export!("bert" => Bert, "layer-times" => LayerTimes);
