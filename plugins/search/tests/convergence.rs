//! That each algorithm finds what it should, with room to spare.

mod common;

use common::{best_after, best_of};
use segue_search::bat::BatOptions;
use segue_search::blocks::BlockOptions;
use segue_search::cma::CmaOptions;
use segue_search::functions::Function;
use segue_search::ga::GaOptions;
use segue_search::hybrid::PsoAdamOptions;
use segue_search::pso::{PsoOptions, Topology, Version};
use segue_search::{Method, Scope};

fn pso(version: Version, topology: Option<Topology>) -> Method {
    Method::Pso(PsoOptions {
        version,
        topology,
        generations: 250,
        ..PsoOptions::default()
    })
}

fn blocks(size: usize, hybrid: bool, inner: Method) -> Method {
    Method::Blocks(
        BlockOptions {
            size,
            turn: 1,
            hybrid,
        },
        Box::new(inner),
    )
}

#[track_caller]
fn check(name: &str, method: Method, function: Function, at_most: f64) {
    let best = best_after(method, function, 5, 10_000);
    assert!(
        best <= at_most,
        "{name} on {}: {best} instead of {at_most}",
        function.name()
    );
}

#[test]
fn all_find_the_bottom_of_a_bowl() {
    let cma = CmaOptions {
        separable: true,
        ..CmaOptions::default()
    };
    for (name, method, at_most) in [
        ("pso", pso(Version::Spso2011, None), 1e-9),
        ("pso ring", pso(Version::Constriction, None), 1e-6),
        (
            "pso global",
            pso(Version::Constriction, Some(Topology::Global)),
            1e-9,
        ),
        ("pso dynamic", pso(Version::Dynamic, None), 1e-2),
        ("ga", Method::Ga(GaOptions::default()), 1e-2),
        ("bat", Method::Bat(Default::default()), 1.0),
        ("cuckoo", Method::Cuckoo(Default::default()), 0.1),
        ("cma-es", Method::CmaEs(CmaOptions::default()), 1e-12),
        ("cma-es separable", Method::CmaEs(cma), 1e-12),
        ("pso-ga", Method::PsoGa(Default::default()), 1e-6),
        ("pso-cs", Method::PsoCs(Default::default()), 1e-3),
        ("hyperband", Method::Hyperband(Default::default()), 2000.0),
    ] {
        check(name, method, Function::Sphere, at_most);
    }
}

#[test]
fn a_full_covariance_follows_a_bent_valley() {
    check(
        "cma-es",
        Method::CmaEs(CmaOptions::default()),
        Function::Rosenbrock,
        1e-9,
    );
}

#[test]
fn many_minima_do_not_hold_a_swarm() {
    check(
        "pso",
        pso(Version::Spso2011, None),
        Function::Rastrigin,
        5.0,
    );
    check(
        "pso-cs",
        Method::PsoCs(Default::default()),
        Function::Rastrigin,
        5.0,
    );
    check(
        "cuckoo",
        Method::Cuckoo(Default::default()),
        Function::Schwefel,
        250.0,
    );
}

#[test]
fn steps_downhill_beat_the_swarm_alone_where_there_is_a_slope() {
    // In units of the box, where the bowl's bottom is never farther than 1/2.
    let options = PsoAdamOptions {
        rate: 0.02,
        steps: 20,
        ..PsoAdamOptions::default()
    };
    let swarm = best_after(pso(Version::Spso2011, None), Function::Sphere, 100, 4000);
    let adam = best_after(Method::PsoAdam(options), Function::Sphere, 100, 4000);
    assert!(adam < 0.01 * swarm, "{adam} and {swarm}");
}

#[test]
fn in_many_dimensions_blocks_arrive_where_plain_ones_do_not() {
    let (dimensions, evaluations) = (500, 100_000);
    let few = PsoOptions {
        particles: 10,
        ..PsoOptions::default()
    };
    let ring = PsoOptions {
        version: Version::Constriction,
        ..PsoOptions::default()
    };
    let few_of_ring = PsoOptions {
        particles: 10,
        ..ring.clone()
    };
    let bats = BatOptions {
        bats: 10,
        ..BatOptions::default()
    };
    let ga = GaOptions {
        parents: 10,
        ..GaOptions::default()
    };
    for (name, plain, part, at_most) in [
        (
            "pso",
            Method::Pso(PsoOptions::default()),
            Method::Pso(few),
            1e-2,
        ),
        (
            "pso ring",
            Method::Pso(ring),
            Method::Pso(few_of_ring),
            1e-2,
        ),
        (
            "bat",
            Method::Bat(BatOptions::default()),
            Method::Bat(bats),
            1e-2,
        ),
        ("ga", Method::Ga(GaOptions::default()), Method::Ga(ga), 0.5),
    ] {
        let best = |method| best_after(method, Function::Sphere, dimensions, evaluations);
        let (alone, together) = (best(plain), best(blocks(16, false, part)));
        println!("{name}: {together:.3e} in blocks, {alone:.3e} plain");
        assert!(
            together < at_most * alone,
            "{name}: {together} in blocks, {alone} plain"
        );
    }
}

#[test]
fn a_hybrid_of_blocks_and_whole_leaves_a_valley_between_blocks() {
    // Neighbours depend on each other across blocks.
    let swarm = || {
        Method::Pso(PsoOptions {
            particles: 10,
            ..PsoOptions::default()
        })
    };
    let best = |hybrid| {
        let run = |seed| {
            best_of(
                seed,
                blocks(2, hybrid, swarm()),
                Function::Rosenbrock,
                5,
                10_000,
            )
        };
        let mut bests: Vec<f64> = (0..7).map(run).collect();
        bests.sort_by(f64::total_cmp);
        bests[3]
    };
    let (hybrid, plain) = (best(true), best(false));
    println!("{hybrid:.3e} with, {plain:.3e} without");
    assert!(hybrid < 0.5 * plain, "{hybrid} with, {plain} without");
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let refused = |method: Method| method.start(Scope::new(1, 2)).unwrap_err().to_string();
    let swarm = PsoOptions {
        particles: 1,
        ..PsoOptions::default()
    };
    assert_eq!(
        refused(Method::Pso(swarm)),
        "`particles` is 1, but must be at least 2"
    );
    let strategy = CmaOptions {
        sigma: f64::NAN,
        ..CmaOptions::default()
    };
    assert!(refused(Method::CmaEs(strategy)).starts_with("`sigma` is NaN"));
    let adam = blocks(2, false, Method::PsoAdam(Default::default()));
    assert!(refused(adam).contains("blocks"));
}
