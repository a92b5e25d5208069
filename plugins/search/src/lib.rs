//! Search: swarms, genetic and evolution strategies over the weights of models and over options.
//!
//! ```text
//! Setup ──▶ Search ──ask──▶ candidates (points of the unit box) ──Space::decode──▶ evaluator
//!             ▲                                                                       │
//!             └────────────────────────────tell──── scores ───────────────────────────┘
//! ```
//!
//! In a graph all of this is an operator: a search proposes, an evaluator scores, and scores come
//! back over a loop edge; see [`stages`].
//!
//! [`Algorithm`] is the one trait behind which all stand; [`Method`] names them with their options,
//! [`State`] is their state as plain data. [`Search`] puts one over a [`space`], keeps the best,
//! the Pareto front and the scores that are known, and can be saved and restored between any two
//! steps.
//!
//! # What always holds
//! - A random number comes from (seed, generation, candidate), never from order.
//! - Every candidate is a point of the unit box.
//! - Fitness is minimised inside; what is not finite is worse than everything, and is counted.
//! - Sums are in a fixed order and functions are `libm`'s, so the same answers give the same
//!   candidates on every machine.
//!
//! ```
//! use segue_search::functions::Function;
//! use segue_search::space::Space;
//! use segue_search::{Method, Score, Search, Setup, Stop};
//!
//! let method = Method::CmaEs(Default::default());
//! let mut setup = Setup::new(method, Space::Unit { dimensions: 5 }, 1);
//! setup.stop = Stop { target: Some(1e-6), evaluations: Some(20_000), ..Stop::default() };
//! let mut search = Search::new(setup)?;
//! while !search.is_done() {
//!     let score = |position: &[f64]| Score::of(Function::Sphere.at_unit(position));
//!     let scores: Vec<Score> = search.ask().iter().map(|asked| score(asked.position)).collect();
//!     search.tell(&scores)?;
//! }
//! assert!(search.best().is_some_and(|best| best.quality.fitness <= 1e-6));
//! # Ok::<(), segue_search::Error>(())
//! ```

mod algorithm;
pub mod bat;
pub mod blocks;
mod cache;
pub mod cma;
pub mod cuckoo;
mod error;
pub mod functions;
pub mod ga;
mod generation;
mod goal;
pub mod halving;
pub mod history;
pub mod hybrid;
pub mod pareto;
pub mod plot;
pub mod pso;
mod quality;
mod search;
mod setup;
pub mod stages;

pub use algorithm::{Algorithm, Method, State};
pub use error::{Error, Result};
pub use generation::{Answers, Generation, Scope, Start};
pub use goal::{Direction, Goal, Objective};
pub use history::Statistics;
pub use quality::Quality;
pub use search::Search;
pub use segue_candidates::random::{Purpose, Random};
pub use segue_candidates::{Task, adam, space};
pub use setup::{Best, Candidate, Score, Setup, Stop};

segue_plugin::export!(
    "pso" => stages::swarm::PsoStage,
    "pso-ga" => stages::swarm::PsoGaStage,
    "pso-cs" => stages::swarm::PsoCsStage,
    "pso-adam" => stages::swarm::PsoAdamStage,
    "ga" => stages::population::GaStage,
    "bat" => stages::population::BatStage,
    "cuckoo" => stages::population::CuckooStage,
    "cma-es" => stages::population::CmaStage,
    "search-history" => stages::report::History,
    "search-best" => stages::report::Best,
    "search-front" => stages::report::Front,
    "function" => stages::function::Evaluator,
    "grid" => stages::grid::Grid,
    "plot" => stages::curves::Plot,
);
