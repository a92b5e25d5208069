//! How good are the algorithms, and how fast, beside others at equal evaluations? Functions in 10
//! and 30 dimensions, medians over 31 seeds.
//!
//! `cargo bench --bench search`, with a Python that has `pyswarms`, `cma` and `numpy`:
//! `SEGUE_BENCH_PYTHON`, or else `python3`. `SEGUE_BENCH_SEEDS` for fewer or more seeds; an
//! argument such as `pso` for one contest.

#[path = "common/peer.rs"]
mod peer;

use std::time::Instant;

use peer::Peer;
use segue_search::bat::BatOptions;
use segue_search::cma::CmaOptions;
use segue_search::cuckoo::CuckooOptions;
use segue_search::functions::Function;
use segue_search::ga::GaOptions;
use segue_search::hybrid::{PsoCsOptions, PsoGaOptions};
use segue_search::pso::{PsoOptions, Topology, Version};
use segue_search::{Algorithm, Answers, Method, Quality, Scope};

/// When a run counts as having arrived.
const TARGET: f64 = 1e-8;

/// Better than this is as good: coordinates have 53 bits.
const FLOOR: f64 = 1e-14;

/// Who is compared with whom, and where it is ours that is measured.
struct Contest {
    ours: Method,
    name: &'static str,
    peers: &'static [&'static str],
    /// In 10 and in 30 dimensions.
    evaluations: [u64; 2],
}

/// What a side did on one function.
struct Outcome {
    seconds: f64,
    bests: Vec<f64>,
    /// Evaluations until [`TARGET`], or infinity.
    hits: Vec<f64>,
}

fn main() {
    let seeds = std::env::var("SEGUE_BENCH_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let seeds = seeds.unwrap_or(31);
    println!("medians over {seeds} seeds; `hits`: median evaluations to {TARGET:e}");
    let named = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    for contest in contests() {
        if named.as_ref().is_some_and(|named| named != contest.name) {
            continue;
        }
        let mut peers: Vec<_> = contest
            .peers
            .iter()
            .map(|name| (*name, Peer::start("search.py", &[(*name).to_owned()])))
            .collect();
        for (name, peer) in &peers {
            if peer.is_none() {
                println!("{name}: skipped, Python does not have it: set SEGUE_BENCH_PYTHON");
            }
        }
        for (n, evaluations) in [10, 30].into_iter().zip(contest.evaluations) {
            let ours = timed(&contest.ours, evaluations);
            println!(
                "\n{}, {n} dimensions, {evaluations} evaluations",
                contest.name
            );
            for function in Function::ALL {
                let ours = run(&ours, function, n, evaluations, seeds);
                show(function.name(), contest.name, &ours, None, evaluations);
                for (name, peer) in &mut peers {
                    let task = (function, n, evaluations, seeds);
                    if let Some(theirs) = peer.as_mut().map(|peer| theirs(peer, task)) {
                        show("", name, &theirs, Some(&ours), evaluations);
                    }
                }
            }
        }
    }
}

/// A swarm whose weight has fallen when its evaluations are used up.
fn timed(method: &Method, evaluations: u64) -> Method {
    let mut method = method.clone();
    if let Method::Pso(options) = &mut method {
        options.generations = evaluations / options.particles as u64;
    }
    method
}

fn contests() -> Vec<Contest> {
    let swarm = |version, topology| {
        Method::Pso(PsoOptions {
            version,
            topology,
            ..PsoOptions::default()
        })
    };
    let cma = |separable| {
        Method::CmaEs(CmaOptions {
            separable,
            ..CmaOptions::default()
        })
    };
    let contest = |name, ours, peers, evaluations| Contest {
        ours,
        name,
        peers,
        evaluations,
    };
    let (swarms, few) = ([20_000, 60_000], [10_000, 30_000]);
    let global = swarm(Version::Constriction, Some(Topology::Global));
    vec![
        contest(
            "pso",
            swarm(Version::Spso2011, None),
            &["spso-2011", "pyswarms"],
            swarms,
        ),
        contest("pso global", global, &["pyswarms-constriction"], swarms),
        contest("pso ring", swarm(Version::Constriction, None), &[], swarms),
        contest("pso dynamic", swarm(Version::Dynamic, None), &[], swarms),
        contest("cma-es", cma(false), &["cma"], few),
        contest("cma-es separable", cma(true), &["cma-separable"], few),
        contest("ga", Method::Ga(GaOptions::default()), &[], swarms),
        contest("bat", Method::Bat(BatOptions::default()), &[], swarms),
        contest(
            "cuckoo",
            Method::Cuckoo(CuckooOptions::default()),
            &[],
            swarms,
        ),
        contest(
            "pso-ga",
            Method::PsoGa(PsoGaOptions::default()),
            &[],
            swarms,
        ),
        contest(
            "pso-cs",
            Method::PsoCs(PsoCsOptions::default()),
            &[],
            swarms,
        ),
    ]
}

/// Ours.
fn run(method: &Method, function: Function, n: usize, evaluations: u64, seeds: u64) -> Outcome {
    let start = Instant::now();
    let (mut bests, mut hits) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let mut state = method.start(Scope::new(seed, n)).expect("the defaults");
        let (mut used, mut best, mut hit) = (0, f64::INFINITY, f64::INFINITY);
        let mut answers = Answers::default();
        loop {
            let asked = state.ask();
            used += asked.len() as u64;
            if used > evaluations {
                break;
            }
            let score = |position: &[f64]| Quality::feasible(function.at_unit(position));
            answers.qualities.clear();
            answers
                .qualities
                .extend(asked.positions.chunks_exact(n).map(score));
            best = answers
                .qualities
                .iter()
                .fold(best, |best, quality| best.min(quality.fitness));
            if best <= TARGET && hit == f64::INFINITY {
                hit = used as f64;
            }
            state.tell(&answers);
        }
        bests.push(best);
        hits.push(hit);
    }
    Outcome {
        seconds: start.elapsed().as_secs_f64(),
        bests,
        hits,
    }
}

/// One line: a side's medians and speed, and how ours compare.
fn show(function: &str, name: &str, outcome: &Outcome, ours: Option<&Outcome>, evaluations: u64) {
    let (best, hit) = (median(&outcome.bests), median(&outcome.hits));
    let speed =
        |outcome: &Outcome| outcome.bests.len() as f64 * evaluations as f64 / outcome.seconds;
    let mut line = format!(
        "{function:<11}{name:<22}best {best:<10.3e} hits {hit:<8} {:>11.0}/s",
        speed(outcome)
    );
    if let Some(ours) = ours {
        let ratio = |ours: f64, theirs: f64| if ours == theirs { 1.0 } else { ours / theirs };
        let best = best.max(FLOOR);
        line += &format!(
            "   ours/theirs: best {:.2e}, hits {:.2}, speed {:.1}",
            ratio(median(&ours.bests).max(FLOOR), best),
            ratio(median(&ours.hits), hit),
            speed(ours) / speed(outcome)
        );
    }
    println!("{line}");
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What a peer did.
fn theirs(peer: &mut Peer, task: (Function, usize, u64, u64)) -> Outcome {
    let (function, n, evaluations, seeds) = task;
    let answer = peer.ask(&format!("{} {n} {evaluations} {seeds}", function.name()));
    let (front, hits) = answer.split_once('|').expect("the peer answers");
    let numbers = |text: &str| -> Vec<f64> {
        text.split_whitespace()
            .map(|word| word.parse().expect("a number"))
            .collect()
    };
    let front = numbers(front);
    Outcome {
        seconds: front[0],
        bests: front[1..].to_vec(),
        hits: numbers(hits),
    }
}
