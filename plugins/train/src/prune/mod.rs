//! Pruning: a smaller model, or one with fewer weights, out of a model.
//!
//! | module | what it has |
//! | --- | --- |
//! | `weights` | single weights: the smallest, and which stay zero |
//! | `units` | heads and inner units: what they weigh, and models without some |
//! | `importance` | what the loss says of them |
//! | `search` | what to keep under a limit |
//! | `target` | how much is to go, and what that leaves of each layer |
//! | `rescale` | least squares for what is left |
//! | `recovery` | what is learnt afterwards |
//! | `options`, `calibration`, `work` | what a graph says, what is looked at first, what is done |
//! | `trial` | how good a model is of which so much was taken out |
//! | `operator`, `state` | the stage as the host calls it, and how it survives a crash |

mod calibration;
mod importance;
mod operator;
mod options;
mod recovery;
mod rescale;
mod search;
mod state;
mod target;
mod trial;
mod units;
mod weights;
mod work;

pub use options::Prune;
pub use trial::PruneTrial;
