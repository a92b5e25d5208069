//! What the operators that learn have in common, whatever their models are.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`columns`], [`labels`] | what `read` says of a row, and what its classes are called |
//! | [`evenly`] | some of many rows |
//! | [`lists`] | lists of numbers in one piece of memory: texts as tokens |
//! | [`adamw`], [`schedule`], [`loss`] | how far a step goes, when to stop, and what is made smaller |
//! | [`scorer`] | a model as one sees it who knows no gradients |
//! | [`store`] | a state as bytes, tensors as bytes, and files that are there whole or not at all |
//! | [`tensors`] | the numbers of candle's tensors |

pub mod adamw;
pub mod columns;
pub mod evenly;
pub mod labels;
pub mod lists;
pub mod loss;
pub mod schedule;
pub mod scorer;
pub mod store;
pub mod tensors;
