//! The `bert` operator: runs a range of the encoder layers of a BERT-family model.
//!
//! What it runs them with is `segue_encoder`.

mod operator;

pub use operator::Bert;

segue_plugin::export!("bert" => Bert);
