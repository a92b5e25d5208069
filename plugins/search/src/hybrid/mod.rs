//! Searches made of two.

mod pso_adam;
mod pso_cs;
mod pso_ga;

pub use pso_adam::{PsoAdam, PsoAdamOptions};
pub use pso_cs::{PsoCs, PsoCsOptions};
pub use pso_ga::{PsoGa, PsoGaOptions};
