//! Features that were made once, for whoever learns from them or tries candidates on them.

use std::sync::Arc;

use super::Features;
use super::rows::Examples;

/// Features, and the examples in them; clones share all of it but the features' names.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What a text is to a model.
    pub features: Features,
    /// What it learns from.
    pub train: Arc<Examples>,
    /// What it is chosen by; may be empty.
    pub held_out: Arc<Examples>,
}
