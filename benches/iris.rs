//! Do searches train a small network? 4 inputs, 6 hidden neurons, 3 classes of irises.
//!
//! `cargo bench --bench iris`; `SEGUE_BENCH_SEEDS` for fewer or more seeds.
//!
//! Stratified five-fold cross-validation: of each class a fifth is held out, inputs are scaled by
//! the mean and deviation of the rest, and the weights, from -5 to 5, are searched by their mean
//! cross entropy on the rest, with a small weight on their squares. Every row is judged once a
//! seed, by a network that has not seen it. Equal evaluations for all; no gradient.
//!
//! Data: Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7,
//! 1936. What PSO-CS is compared with: 94.8 %, by Chen, Do and Hsieh, Algorithms 8, 2015.

use std::time::Instant;

use segue_search::cuckoo::CuckooOptions;
use segue_search::hybrid::PsoCsOptions;
use segue_search::pso::PsoOptions;
use segue_search::space::Space;
use segue_search::{Method, Random, Score, Search, Setup, Stop};

const INPUTS: usize = 4;
const HIDDEN: usize = 6;
const CLASSES: usize = 3;
const WEIGHTS: usize = HIDDEN * (INPUTS + 1) + CLASSES * (HIDDEN + 1);
const REACH: f64 = 5.0;
const DECAY: f64 = 1e-3;
const FOLDS: usize = 5;
const EVALUATIONS: u64 = 12_000;

type Flower = ([f64; INPUTS], usize);

fn main() {
    let seeds = std::env::var("SEGUE_BENCH_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(31);
    let flowers = flowers();
    println!(
        "{} irises, {FOLDS} folds, {seeds} seeds, {EVALUATIONS} evaluations a network of {WEIGHTS} weights",
        flowers.len()
    );
    for (name, method) in [
        ("pso-cs", Method::PsoCs(PsoCsOptions::default())),
        ("pso", Method::Pso(PsoOptions::default())),
        ("cuckoo", Method::Cuckoo(CuckooOptions::default())),
    ] {
        let start = Instant::now();
        let accuracies: Vec<f64> = (0..seeds)
            .map(|seed| cross_validate(&method, &flowers, seed))
            .collect();
        let mean = accuracies.iter().sum::<f64>() / seeds as f64;
        let (least, most) = accuracies
            .iter()
            .fold((1.0_f64, 0.0_f64), |(least, most), x| {
                (least.min(*x), most.max(*x))
            });
        println!(
            "{name:<8} held out: mean {:.2} %, from {:.2} to {:.2} %; {:.1} s",
            100.0 * mean,
            100.0 * least,
            100.0 * most,
            start.elapsed().as_secs_f64()
        );
    }
}

fn flowers() -> Vec<Flower> {
    let names = ["setosa", "versicolor", "virginica"];
    let flower = |line: &str| {
        let mut words = line.split(',');
        let inputs = [(); INPUTS].map(|()| {
            let word = words.next().expect("four numbers");
            word.parse().expect("a number")
        });
        let name = words.next().expect("a name");
        let class = names.iter().position(|known| *known == name);
        (inputs, class.expect("one of three"))
    };
    include_str!("iris.csv")
        .lines()
        .skip(1)
        .map(flower)
        .collect()
}

/// The part of all flowers that networks get right which have not seen them.
fn cross_validate(method: &Method, flowers: &[Flower], seed: u64) -> f64 {
    let folds = folds(flowers, seed);
    let right: usize = (0..FOLDS)
        .map(|fold| {
            let of = |held_out: bool| -> Vec<Flower> {
                let rows = flowers.iter().zip(&folds);
                let kept = rows.filter(|(_, at)| (**at == fold) == held_out);
                kept.map(|(flower, _)| *flower).collect()
            };
            let (mut seen, mut unseen) = (of(false), of(true));
            scale(&mut seen, &mut unseen);
            let weights = train(method, &seen, seed * FOLDS as u64 + fold as u64);
            unseen
                .iter()
                .filter(|flower| is_right(&weights, flower))
                .count()
        })
        .sum();
    right as f64 / flowers.len() as f64
}

/// The fold of each flower: each has a fifth of each class.
fn folds(flowers: &[Flower], seed: u64) -> Vec<usize> {
    let mut folds = vec![0; flowers.len()];
    for class in 0..CLASSES {
        let mut members: Vec<usize> = (0..flowers.len())
            .filter(|at| flowers[*at].1 == class)
            .collect();
        let purpose = segue_search::Purpose::Start;
        let mut random = Random::new(seed, class as u64, 0, purpose);
        for last in (1..members.len()).rev() {
            members.swap(last, random.below(last + 1));
        }
        for (place, member) in members.into_iter().enumerate() {
            folds[member] = place % FOLDS;
        }
    }
    folds
}

fn scale(seen: &mut [Flower], unseen: &mut [Flower]) {
    for input in 0..INPUTS {
        let count = seen.len() as f64;
        let mean = seen.iter().map(|flower| flower.0[input]).sum::<f64>() / count;
        let squares = seen.iter().map(|flower| (flower.0[input] - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        for flower in seen.iter_mut().chain(unseen.iter_mut()) {
            flower.0[input] = (flower.0[input] - mean) / deviation;
        }
    }
}

fn train(method: &Method, seen: &[Flower], seed: u64) -> Vec<f64> {
    let space = Space::Unit {
        dimensions: WEIGHTS,
    };
    let mut setup = Setup::new(method.clone(), space, seed);
    setup.cache = 0;
    setup.stop = Stop {
        evaluations: Some(EVALUATIONS),
        ..Stop::default()
    };
    let mut search = Search::new(setup).expect("the defaults");
    while !search.is_done() {
        let score = |position: &[f64]| Score::of(loss(&weights(position), seen));
        let asked = search.ask();
        let scores: Vec<Score> = asked.iter().map(|asked| score(asked.position)).collect();
        search.tell(&scores).expect("as many scores");
    }
    weights(&search.best().expect("a best").position)
}

fn weights(position: &[f64]) -> Vec<f64> {
    position.iter().map(|x| (2.0 * x - 1.0) * REACH).collect()
}

fn loss(weights: &[f64], flowers: &[Flower]) -> f64 {
    let cost = |flower: &Flower| {
        let logits = logits(weights, &flower.0);
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        sum.ln() - logits[flower.1]
    };
    let costs: f64 = flowers.iter().map(cost).sum();
    let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
    costs / flowers.len() as f64 + DECAY * squares / WEIGHTS as f64
}

fn logits(weights: &[f64], inputs: &[f64; INPUTS]) -> [f64; CLASSES] {
    let (first, last) = weights.split_at(HIDDEN * (INPUTS + 1));
    let mut hidden = [0.0; HIDDEN];
    for (value, weights) in hidden.iter_mut().zip(first.chunks_exact(INPUTS + 1)) {
        *value = sum(weights, inputs).tanh();
    }
    let mut logits = [0.0; CLASSES];
    for (logit, weights) in logits.iter_mut().zip(last.chunks_exact(HIDDEN + 1)) {
        *logit = sum(weights, &hidden);
    }
    logits
}

/// The weighted sum of `inputs`, and the bias behind their weights.
fn sum(weights: &[f64], inputs: &[f64]) -> f64 {
    let products = weights.iter().zip(inputs).map(|(weight, x)| weight * x);
    products.sum::<f64>() + weights[inputs.len()]
}

fn is_right(weights: &[f64], flower: &Flower) -> bool {
    let logits = logits(weights, &flower.0);
    let better = |logit: &f64| *logit > logits[flower.1];
    !logits.iter().any(better)
}
