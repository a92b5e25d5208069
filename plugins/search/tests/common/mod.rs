//! What the tests share: every algorithm, and how one is run.
#![allow(dead_code, reason = "each test uses its part")]

use segue_search::blocks::BlockOptions;
use segue_search::cma::CmaOptions;
use segue_search::functions::Function;
use segue_search::ga::{Crossover, GaOptions, Mutation};
use segue_search::pso::{PsoOptions, Topology, Version};
use segue_search::space::Space;
use segue_search::{Candidate, Method, Score, Search, Setup, Task};

/// Every algorithm, and every version that moves by other rules.
pub fn methods() -> Vec<(&'static str, Method)> {
    let pso = |version, topology| {
        Method::Pso(PsoOptions {
            version,
            topology,
            ..PsoOptions::default()
        })
    };
    let blocks = |hybrid, inner| {
        Method::Blocks(
            BlockOptions {
                size: 2,
                turn: 1,
                hybrid,
            },
            Box::new(inner),
        )
    };
    let ga = GaOptions {
        crossover: Crossover::Sbx { eta: 15.0 },
        mutation: Mutation::Polynomial { eta: 20.0 },
        children: Some(30),
        elites: Some(25),
        ..GaOptions::default()
    };
    let cma = CmaOptions {
        separable: true,
        ..CmaOptions::default()
    };
    vec![
        ("pso", pso(Version::Spso2011, None)),
        ("pso constriction", pso(Version::Constriction, None)),
        (
            "pso global",
            pso(Version::Constriction, Some(Topology::Global)),
        ),
        ("pso dynamic", pso(Version::Dynamic, None)),
        ("ga", Method::Ga(GaOptions::default())),
        ("ga sbx", Method::Ga(ga)),
        ("bat", Method::Bat(Default::default())),
        ("cuckoo", Method::Cuckoo(Default::default())),
        ("cma-es", Method::CmaEs(Default::default())),
        ("cma-es separable", Method::CmaEs(cma)),
        ("pso-ga", Method::PsoGa(Default::default())),
        ("pso-cs", Method::PsoCs(Default::default())),
        ("pso-adam", Method::PsoAdam(Default::default())),
        ("hyperband", Method::Hyperband(Default::default())),
        ("blocks pso", blocks(false, pso(Version::Spso2011, None))),
        (
            "blocks pso hybrid",
            blocks(true, pso(Version::Spso2011, None)),
        ),
        ("blocks bat", blocks(false, Method::Bat(Default::default()))),
        ("blocks ga", blocks(false, Method::Ga(GaOptions::default()))),
        (
            "halving pso",
            Method::Halving(Default::default(), Box::new(pso(Version::Spso2011, None))),
        ),
        (
            "halving pso-adam",
            Method::Halving(
                Default::default(),
                Box::new(Method::PsoAdam(Default::default())),
            ),
        ),
    ]
}

/// A search over the unit box.
pub fn search(method: Method, dimensions: usize, seed: u64) -> Search {
    Search::new(Setup::new(method, Space::Unit { dimensions }, seed)).expect("a good setup")
}

/// What an evaluator would say, Adam's steps and all.
pub fn score(function: Function, asked: &Candidate<'_>) -> Score {
    let Task::Adam { steps, rate } = asked.task else {
        return Score::of(function.at_unit(asked.position));
    };
    let mut position = asked.position.to_vec();
    segue_search::adam::descend(&mut position, steps, rate, |x, slope| {
        let mut near = x.to_vec();
        for at in 0..x.len() {
            near[at] = x[at] + 1e-6;
            let above = function.at_unit(&near);
            near[at] = x[at] - 1e-6;
            slope[at] = (above - function.at_unit(&near)) / 2e-6;
            near[at] = x[at];
        }
    });
    position.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
    Score {
        improved: Some(position.clone()),
        ..Score::of(function.at_unit(&position))
    }
}

/// One generation.
pub fn step(search: &mut Search, function: Function) -> segue_search::Statistics {
    let scores: Vec<Score> = search
        .ask()
        .iter()
        .map(|asked| score(function, asked))
        .collect();
    search.tell(&scores).expect("as many scores as candidates")
}

/// The best after so many evaluations, or when nothing new is asked any more.
pub fn best_after(method: Method, function: Function, dimensions: usize, evaluations: u64) -> f64 {
    best_of(1, method, function, dimensions, evaluations)
}

/// The same with a seed.
pub fn best_of(
    seed: u64,
    method: Method,
    function: Function,
    dimensions: usize,
    evaluations: u64,
) -> f64 {
    let mut setup = Setup::new(method, Space::Unit { dimensions }, seed);
    // No function takes long enough for that.
    setup.cache = 0;
    let mut search = Search::new(setup).expect("a good setup");
    loop {
        let statistics = step(&mut search, function);
        if statistics.evaluations >= evaluations || search.is_done() {
            return statistics.best.expect("all could be scored");
        }
    }
}
