//! What holds for every algorithm, whatever it searches.

mod common;

use common::{methods, score, search, step};
use segue_search::functions::Function;
use segue_search::{Score, Search, Start};

/// Enough for every phase of every algorithm: walks downhill, brackets, sweeps over blocks.
const GENERATIONS: usize = 24;

#[test]
fn a_search_that_was_saved_goes_on_as_if_it_had_not_been() {
    for (name, method) in methods() {
        let mut whole = search(method, 5, 3);
        let mut resumed = whole.clone();
        for generation in 0..GENERATIONS {
            let bytes = resumed.save().unwrap();
            resumed = Search::restore(resumed.setup().clone(), &bytes).unwrap();
            assert_eq!(
                resumed.save().unwrap(),
                bytes,
                "{name}, generation {generation}"
            );
            let (a, b) = (
                step(&mut whole, Function::Ackley),
                step(&mut resumed, Function::Ackley),
            );
            assert_eq!(a, b, "{name}, generation {generation}");
        }
        assert_eq!(whole.save().unwrap(), resumed.save().unwrap(), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for (name, method) in methods() {
        let bytes = |seed| {
            let mut search = search(method.clone(), 4, seed);
            for _ in 0..GENERATIONS {
                step(&mut search, Function::Rastrigin);
            }
            let front: Vec<u64> = search
                .generation()
                .positions
                .iter()
                .map(|x| x.to_bits())
                .collect();
            (search.save().unwrap(), front)
        };
        assert_eq!(bytes(1), bytes(1), "{name}");
        assert_ne!(bytes(1).1, bytes(2).1, "{name}");
    }
}

#[test]
fn every_candidate_is_in_the_box() {
    // The minimum on a wall draws all there.
    for (name, method) in methods() {
        let mut search = search(method, 6, 5);
        for _ in 0..60 {
            let inside = search
                .generation()
                .positions
                .iter()
                .all(|x| (0.0..=1.0).contains(x));
            assert!(inside, "{name}: {:?}", search.generation());
            let value = |position: &[f64]| position.iter().sum::<f64>();
            let scores: Vec<Score> = search
                .ask()
                .iter()
                .map(|asked| Score::of(value(asked.position)))
                .collect();
            search.tell(&scores).unwrap();
        }
    }
}

#[test]
fn the_best_never_gets_worse_and_is_what_was_scored() {
    for (name, method) in methods() {
        let mut search = search(method, 5, 7);
        let mut last = f64::INFINITY;
        for _ in 0..60 {
            let Some(best) = step(&mut search, Function::Griewank).best else {
                continue;
            };
            assert!(best <= last, "{name}: {best} after {last}");
            last = best;
        }
        let best = search.best().unwrap();
        assert_eq!(
            best.quality.fitness,
            Function::Griewank.at_unit(&best.position),
            "{name}"
        );
        assert_eq!(best.quality.fitness, last, "{name}");
    }
}

#[test]
fn asking_again_gives_the_same() {
    for (name, method) in methods() {
        let mut search = search(method, 3, 9);
        step(&mut search, Function::Sphere);
        assert_eq!(search.ask(), search.ask(), "{name}");
    }
}

#[test]
fn what_is_not_finite_is_counted_never_best_and_stops_nothing() {
    for (name, method) in methods() {
        let mut search = search(method, 4, 11);
        let mut counted = 0;
        for generation in 0..GENERATIONS {
            let broken = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            let scores: Vec<Score> = (search.ask().iter())
                .map(|asked| match (asked.number + generation) % 3 {
                    0 => Score::of(broken[asked.number % 3]),
                    _ => score(Function::Sphere, asked),
                })
                .collect();
            let sent = scores
                .iter()
                .filter(|score| !score.objectives[0].is_finite())
                .count();
            let statistics = search.tell(&scores).unwrap();
            assert!(
                statistics.not_finite >= sent as u64,
                "{name}: {statistics:?}"
            );
            assert!(
                statistics.best.is_none_or(f64::is_finite),
                "{name}: {statistics:?}"
            );
            counted += sent;
            let sane = search.generation().positions.iter().all(|x| x.is_finite());
            assert!(sane, "{name}");
        }
        assert!(
            counted > 0 && search.best().unwrap().quality.is_finite(),
            "{name}"
        );
    }
}

#[test]
fn when_nothing_can_be_scored_there_is_no_best() {
    for (name, method) in methods() {
        let mut search = search(method, 4, 13);
        for _ in 0..GENERATIONS {
            let scores: Vec<Score> = search.ask().iter().map(|_| Score::of(f64::NAN)).collect();
            let statistics = search.tell(&scores).unwrap();
            assert_eq!((statistics.best, statistics.mean), (None, None), "{name}");
            assert!(
                search.generation().positions.iter().all(|x| x.is_finite()),
                "{name}"
            );
        }
        assert!(search.best().is_none(), "{name}");
    }
}

#[test]
fn a_start_is_the_first_candidate_and_the_rest_are_near() {
    for (name, method) in methods() {
        let mut setup = search(method, 4, 15).setup().clone();
        let at = vec![0.25, 0.5, 0.75, 0.125];
        setup.start = Start::Around {
            at: at.clone(),
            spread: Some(0.1),
        };
        let search = Search::new(setup).unwrap();
        let first = search.generation();
        if !name.starts_with("cma") {
            assert_eq!(first.position(0), at, "{name}");
        }
        let near = |position: &[f64]| {
            // A sampled step of a strategy is at most some deviations long.
            position
                .iter()
                .zip(&at)
                .all(|(x, at)| (x - at).abs() <= 0.2)
        };
        assert!(first.positions.chunks_exact(4).all(near), "{name}");
    }
}

#[test]
fn bytes_of_another_setup_or_none_are_refused() {
    let (_, method) = methods().swap_remove(0);
    let one = search(method.clone(), 3, 1);
    let bytes = one.save().unwrap();
    let other = search(method, 3, 2);
    assert!(Search::restore(other.setup().clone(), &bytes).is_err());
    assert!(Search::restore(one.setup().clone(), &bytes[..bytes.len() - 1]).is_err());
    assert!(Search::restore(one.setup().clone(), b"something else").is_err());
    let mut later = one.setup().clone();
    later.stop.generations = Some(9);
    assert!(
        Search::restore(later, &bytes).is_ok(),
        "an end may be put off"
    );
}

#[test]
fn wrong_answers_are_refused_and_change_nothing() {
    let (_, method) = methods().swap_remove(0);
    let mut search = search(method, 3, 1);
    let before = search.clone();
    let count = search.ask().len();
    assert!(search.tell(&vec![Score::of(0.0); count - 1]).is_err());
    let two = Score {
        objectives: vec![0.0, 1.0],
        ..Score::of(0.0)
    };
    assert!(search.tell(&vec![two; count]).is_err());
    let short = Score {
        improved: Some(vec![0.5]),
        ..Score::of(0.0)
    };
    assert!(search.tell(&vec![short; count]).is_err());
    assert_eq!(search, before);
}
