//! What every search algorithm is, and which there are.

use serde::{Deserialize, Serialize};

use crate::bat::{Bat, BatOptions};
use crate::blocks::{BlockOptions, Blocks};
use crate::cma::{CmaEs, CmaOptions};
use crate::cuckoo::{Cuckoo, CuckooOptions};
use crate::error::Result;
use crate::ga::{Ga, GaOptions};
use crate::halving::{Halving, HalvingOptions, Hyperband, HyperbandOptions};
use crate::hybrid::{PsoAdam, PsoAdamOptions, PsoCs, PsoCsOptions, PsoGa, PsoGaOptions};
use crate::pso::{Pso, PsoOptions};
use crate::{Answers, Generation, Quality, Scope};

/// A search over the unit box.
///
/// Its whole state is plain data. What it asks depends on its options, its seed and the answers,
/// and on nothing else: not on the order in which candidates were scored, nor on how often it
/// was saved and restored between.
pub trait Algorithm {
    /// What is to be scored next. Asking again gives the same.
    fn ask(&self) -> &Generation;

    /// Takes the answers to what was asked, one a candidate, and makes the next generation.
    fn tell(&mut self, answers: &Answers);

    /// What surrounds this search has changed: what it remembers is corrected as
    /// [`Quality::rebased`] says.
    fn rebase(&mut self, before: &Quality, after: &Quality);

    /// Offers a point that another search found. Those that cannot use it ignore it.
    fn inject(&mut self, _position: &[f64], _quality: &Quality) {}

    /// Whether what is asked goes on with what was asked before, so that a search that ended here
    /// would have scored candidates in vain.
    fn is_midway(&self) -> bool {
        false
    }
}

/// An algorithm and its options, as a graph names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is documented where its options are")]
pub enum Method {
    Pso(PsoOptions),
    Ga(GaOptions),
    Bat(BatOptions),
    Cuckoo(CuckooOptions),
    CmaEs(CmaOptions),
    PsoGa(PsoGaOptions),
    PsoCs(PsoCsOptions),
    PsoAdam(PsoAdamOptions),
    Hyperband(HyperbandOptions),
    /// Any of them, block by block.
    Blocks(BlockOptions, Box<Method>),
    /// Any of them, with candidates that do badly stopped early.
    Halving(HalvingOptions, Box<Method>),
}

/// The state of any algorithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is documented where it is")]
pub enum State {
    Pso(Pso),
    Ga(Ga),
    Bat(Bat),
    Cuckoo(Cuckoo),
    CmaEs(CmaEs),
    PsoGa(PsoGa),
    PsoCs(PsoCs),
    PsoAdam(PsoAdam),
    Hyperband(Hyperband),
    Blocks(Box<Blocks>),
    Halving(Box<Halving>),
}

impl Method {
    /// A search at its start.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn start(&self, scope: Scope) -> Result<State> {
        Ok(match self.clone() {
            Method::Pso(options) => State::Pso(Pso::new(options, scope)?),
            Method::Ga(options) => State::Ga(Ga::new(options, scope)?),
            Method::Bat(options) => State::Bat(Bat::new(options, scope)?),
            Method::Cuckoo(options) => State::Cuckoo(Cuckoo::new(options, scope)?),
            Method::CmaEs(options) => State::CmaEs(CmaEs::new(options, scope)?),
            Method::PsoGa(options) => State::PsoGa(PsoGa::new(options, scope)?),
            Method::PsoCs(options) => State::PsoCs(PsoCs::new(options, scope)?),
            Method::PsoAdam(options) => State::PsoAdam(PsoAdam::new(options, scope)?),
            Method::Hyperband(options) => State::Hyperband(Hyperband::new(options, scope)?),
            Method::Blocks(options, inner) => {
                State::Blocks(Box::new(Blocks::new(options, &inner, scope)?))
            }
            Method::Halving(options, inner) => {
                State::Halving(Box::new(Halving::new(options, &inner, scope)?))
            }
        })
    }
}

impl State {
    fn algorithm(&self) -> &dyn Algorithm {
        match self {
            State::Pso(state) => state,
            State::Ga(state) => state,
            State::Bat(state) => state,
            State::Cuckoo(state) => state,
            State::CmaEs(state) => state,
            State::PsoGa(state) => state,
            State::PsoCs(state) => state,
            State::PsoAdam(state) => state,
            State::Hyperband(state) => state,
            State::Blocks(state) => state.as_ref(),
            State::Halving(state) => state.as_ref(),
        }
    }

    fn algorithm_mut(&mut self) -> &mut dyn Algorithm {
        match self {
            State::Pso(state) => state,
            State::Ga(state) => state,
            State::Bat(state) => state,
            State::Cuckoo(state) => state,
            State::CmaEs(state) => state,
            State::PsoGa(state) => state,
            State::PsoCs(state) => state,
            State::PsoAdam(state) => state,
            State::Hyperband(state) => state,
            State::Blocks(state) => state.as_mut(),
            State::Halving(state) => state.as_mut(),
        }
    }
}

impl Algorithm for State {
    fn ask(&self) -> &Generation {
        self.algorithm().ask()
    }

    fn tell(&mut self, answers: &Answers) {
        self.algorithm_mut().tell(answers);
    }

    fn rebase(&mut self, before: &Quality, after: &Quality) {
        self.algorithm_mut().rebase(before, after);
    }

    fn inject(&mut self, position: &[f64], quality: &Quality) {
        self.algorithm_mut().inject(position, quality);
    }

    fn is_midway(&self) -> bool {
        self.algorithm().is_midway()
    }
}
