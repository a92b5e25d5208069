//! What points stand for, and back.

use segue_search::space::{Domain, Options, Scale, Space, Value, Weights};
use segue_search::{
    Direction, Goal, Method, Objective, Purpose, Random, Score, Search, Setup, Task,
};

fn options() -> Options {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Options(vec![
        (
            "rate".into(),
            Domain::Float {
                low: 1e-6,
                high: 0.3,
                scale: Scale::Log,
            },
        ),
        (
            "dropout".into(),
            Domain::Float {
                low: -0.7,
                high: 1.9,
                scale: Scale::Linear,
            },
        ),
        ("layers".into(), Domain::Integer { low: -2, high: 4 }),
        (
            "kernel".into(),
            Domain::Choice(names(&["linear", "rbf", "poly"])),
        ),
    ])
}

#[test]
fn what_a_point_stands_for_has_a_point_and_a_text_that_stand_for_the_same() {
    let options = options();
    let mut random = Random::new(1, 0, 0, Purpose::Move);
    let ends = [0.0, 1.0, 0.5, 1.0 - f64::EPSILON / 2.0, f64::MIN_POSITIVE];
    let drawn: Vec<f64> = (0..4000).map(|_| random.uniform()).collect();
    for x in ends.iter().chain(&drawn) {
        let values = options.decode(&[*x; 4]);
        let again = options.decode(&options.encode(&values).unwrap());
        assert_eq!(again, values, "{x}");
        let text = options.text(&values);
        assert_eq!(options.parse(&text).unwrap(), values, "{text}");
    }
}

#[test]
fn text_is_short_and_ends_are_exact() {
    let options = options();
    let least = options.text(&options.decode(&[0.0; 4]));
    assert_eq!(least, "rate=1e-6,dropout=-0.7,layers=-2,kernel=linear");
    let most = options.text(&options.decode(&[1.0; 4]));
    assert_eq!(most, "rate=0.3,dropout=1.9,layers=4,kernel=poly");
}

#[test]
fn whole_numbers_and_choices_have_equal_shares() {
    let options = options();
    let mut counts = [0; 7];
    for step in 0..7000 {
        let x = (f64::from(step) + 0.5) / 7000.0;
        let Value::Integer(layers) = options.decode(&[x; 4])[2] else {
            panic!("not whole")
        };
        counts[(layers + 2) as usize] += 1;
    }
    assert_eq!(counts, [1000; 7]);
}

#[test]
fn what_is_outside_or_out_of_order_is_refused() {
    let options = options();
    for (text, word) in [
        (
            "rate=1,dropout=0.0,layers=0,kernel=rbf",
            "`rate` cannot be 1",
        ),
        (
            "rate=NaN,dropout=0.0,layers=0,kernel=rbf",
            "`rate` cannot be NaN",
        ),
        (
            "rate=0.1,dropout=0.0,layers=0.5,kernel=rbf",
            "`layers` cannot be 0.5",
        ),
        (
            "rate=0.1,dropout=0.0,layers=0,kernel=cubic",
            "`kernel` cannot be cubic",
        ),
        (
            "dropout=0.0,rate=0.1,layers=0,kernel=rbf",
            "`rate=...` is missing",
        ),
        ("rate=0.1", "1 values for 4 options"),
    ] {
        let error = options.parse(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn spaces_that_make_no_sense_are_refused() {
    let float = |low, high, scale| Domain::Float { low, high, scale };
    for domain in [
        float(1.0, 1.0, Scale::Linear),
        float(0.0, f64::NAN, Scale::Linear),
        float(f64::MIN, f64::MAX, Scale::Linear),
        float(0.0, 1.0, Scale::Log),
        Domain::Integer { low: 2, high: 1 },
        Domain::Integer {
            low: i64::MIN,
            high: i64::MAX,
        },
        Domain::Choice(vec![]),
        Domain::Choice(vec!["a".into(), "a".into()]),
        Domain::Choice(vec!["a b".into()]),
    ] {
        let space = Space::Options(Options(vec![("x".into(), domain.clone())]));
        assert!(space.check().is_err(), "{domain:?}");
    }
}

#[test]
fn a_graph_s_form_of_a_domain() {
    let domain: Domain =
        serde_json::from_str(r#"{"float": {"low": 0.1, "high": 1.0, "scale": "log"}}"#).unwrap();
    assert_eq!(
        domain,
        Domain::Float {
            low: 0.1,
            high: 1.0,
            scale: Scale::Log
        }
    );
    let domain: Domain = serde_json::from_str(r#"{"choice": ["a", "b"]}"#).unwrap();
    assert_eq!(domain, Domain::Choice(vec!["a".into(), "b".into()]));
}

#[test]
fn weights_that_a_point_stands_for_have_a_point_that_stands_for_them() {
    let mut random = Random::new(2, 0, 0, Purpose::Move);
    let start: Vec<f32> = (0..500).map(|_| random.gaussian() as f32).collect();
    let weights = Weights::whole(start, 0.3);
    for _ in 0..20 {
        let point: Vec<f64> = (0..500).map(|_| random.uniform()).collect();
        let decoded = weights.decode(&point);
        assert_eq!(weights.decode(&weights.encode(&decoded).unwrap()), decoded);
    }
    assert_eq!(weights.decode(&vec![0.5; 500]), weights.start);
    assert!(weights.encode(&[0.0; 499]).is_err());
    assert!(weights.encode(&[f32::NAN; 500]).is_err());
}

#[test]
fn a_subspace_leads_through_its_start_and_back() {
    let start = vec![0.5_f32; 300];
    for dense in [true, false] {
        let weights = Weights::subspace(start.clone(), 2.0, 6, 9, dense);
        assert_eq!(weights.decode(&[0.5; 6]), start);
        let point = [0.1, 0.9, 0.3, 0.6, 0.5, 0.7];
        let back = weights.encode(&weights.decode(&point)).unwrap();
        let far = point
            .iter()
            .zip(&back)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        // Directions are orthogonal exactly where they are sparse, nearly where they are dense.
        assert!(far < if dense { 0.2 } else { 1e-6 }, "{dense}: {back:?}");
        assert_ne!(
            weights.decode(&point),
            Weights::subspace(start.clone(), 2.0, 6, 8, dense).decode(&point)
        );
    }
}

#[test]
fn a_walk_downhill_stays_in_the_subspace_and_leads_down() {
    for weights in [
        Weights::whole(vec![1.0; 40], 3.0),
        Weights::subspace(vec![1.0; 40], 9.0, 5, 1, true),
        Weights::subspace(vec![1.0; 40], 9.0, 5, 1, false),
    ] {
        let value = |weights: &[f32]| weights.iter().map(|w| f64::from(w * w)).sum::<f64>();
        let mut point = vec![0.5; weights.dimensions()];
        let taken = weights.descend(&mut point, 200, 0.05, |weights, slope| {
            slope
                .iter_mut()
                .zip(weights)
                .for_each(|(slope, w)| *slope = 2.0 * f64::from(*w));
        });
        assert_eq!(taken, 200);
        let (before, after) = (40.0, value(&weights.decode(&point)));
        assert!(after < 0.95 * before, "{after}");
    }
}

fn over(space: Space, method: Method) -> Search {
    Search::new(Setup::new(method, space, 4)).unwrap()
}

#[test]
fn what_was_scored_before_is_not_scored_again() {
    let choices = ["a", "b", "c"].map(str::to_owned).to_vec();
    let space = Space::Options(Options(vec![
        ("x".into(), Domain::Choice(choices)),
        ("y".into(), Domain::Integer { low: 1, high: 4 }),
    ]));
    let mut search = over(space, Method::Ga(Default::default()));
    let mut seen = Vec::new();
    for _ in 0..30 {
        let Space::Options(options) = &search.setup().space else {
            panic!("not options")
        };
        let asked: Vec<_> = search
            .ask()
            .iter()
            .map(|asked| options.decode(asked.position))
            .collect();
        let scores: Vec<Score> = (asked.iter())
            .map(|values| match values[1] {
                Value::Integer(y) => Score::of(y as f64),
                _ => panic!("not whole"),
            })
            .collect();
        seen.extend(asked);
        let statistics = search.tell(&scores).unwrap();
        assert_eq!(statistics.evaluations, seen.len() as u64);
        assert_eq!(statistics.cached + scores.len() as u64, 50);
    }
    while !search.is_done() {
        assert!(
            search.ask().is_empty(),
            "a search that has seen all comes to a stand"
        );
        search.tell(&[]).unwrap();
    }
    assert!(seen.len() <= 12, "there are no more: {}", seen.len());
    assert_eq!(search.best().unwrap().quality.fitness, 1.0);
}

#[test]
fn constraints_come_before_fitness() {
    // The least x is forbidden; feasible is what has x + y of 1 and more.
    let mut search = over(
        Space::Unit { dimensions: 2 },
        Method::Pso(Default::default()),
    );
    let mut statistics = None;
    for _ in 0..120 {
        let score = |p: &[f64]| Score {
            violation: (1.0 - p[0] - p[1]).max(0.0),
            ..Score::of(p[0] * p[0] + p[1] * p[1])
        };
        let scores: Vec<Score> = search
            .ask()
            .iter()
            .map(|asked| score(asked.position))
            .collect();
        statistics = Some(search.tell(&scores).unwrap());
    }
    let best = search.best().unwrap();
    assert!(
        best.quality.is_feasible() && (best.quality.fitness - 0.5).abs() < 1e-3,
        "{best:?}"
    );
    assert!(
        statistics.unwrap().infeasible > 0,
        "the border is approached from both sides"
    );
}

#[test]
fn more_can_be_better_and_is_shown_as_it_is() {
    let mut setup = Setup::new(
        Method::Pso(Default::default()),
        Space::Unit { dimensions: 3 },
        1,
    );
    setup.goal = Goal::maximize();
    setup.stop.target = Some(2.9);
    let mut search = Search::new(setup).unwrap();
    let mut best = 0.0;
    while !search.is_done() {
        let value = |position: &[f64]| Score::of(position.iter().sum());
        let scores: Vec<Score> = search
            .ask()
            .iter()
            .map(|asked| value(asked.position))
            .collect();
        best = search.tell(&scores).unwrap().best.unwrap();
    }
    assert!(best >= 2.9 && search.best().unwrap().objectives == [best]);
}

#[test]
fn several_objectives_have_a_front_and_a_weighted_best() {
    let objective = |name: &str, direction, weight| Objective {
        name: name.into(),
        direction,
        weight,
    };
    let mut setup = Setup::new(
        Method::Ga(Default::default()),
        Space::Unit { dimensions: 2 },
        2,
    );
    setup.goal = Goal(vec![
        objective("loss", Direction::Minimize, 1.0),
        objective("speed", Direction::Maximize, 0.5),
    ]);
    let mut search = Search::new(setup).unwrap();
    for _ in 0..40 {
        // Loss (x - 1)² + y and speed 1 - x: y is 0 on the front, x is anything.
        let score = |p: &[f64]| Score {
            objectives: vec![(p[0] - 1.0).powi(2) + p[1], 1.0 - p[0]],
            violation: 0.0,
            improved: None,
        };
        let scores: Vec<Score> = search
            .ask()
            .iter()
            .map(|asked| score(asked.position))
            .collect();
        search.tell(&scores).unwrap();
    }
    let front = search.front();
    assert!(front.len() > 5);
    for (number, a) in front.iter().enumerate() {
        for b in &front[..number] {
            let worse = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a >= b);
            assert!(!worse(&a.objectives, &b.objectives) && !worse(&b.objectives, &a.objectives));
        }
    }
    // d/dx ((x - 1)² - 0.5 (1 - x)) = 0 at x = 0.75.
    assert!((search.best().unwrap().position[0] - 0.75).abs() < 0.05);
}

#[test]
fn halving_stops_the_worse_early_and_pays_less() {
    let inner = Box::new(Method::Pso(Default::default()));
    let mut search = over(
        Space::Unit { dimensions: 3 },
        Method::Halving(Default::default(), inner),
    );
    let (mut sizes, mut effort) = (Vec::new(), 0.0);
    for _ in 0..6 {
        let asked = search.ask();
        sizes.push(asked.len());
        effort += asked
            .iter()
            .map(|asked| match asked.task {
                Task::Score { effort } => effort,
                Task::Adam { .. } => panic!("not asked for"),
            })
            .sum::<f64>();
        let scores: Vec<Score> = asked
            .iter()
            .map(|asked| Score::of(asked.position[0]))
            .collect();
        let statistics = search.tell(&scores).unwrap();
        assert!((statistics.effort - effort).abs() < 1e-9);
    }
    assert_eq!(sizes, [40, 13, 4, 40, 13, 4]);
    assert!(effort < 2.0 * 13.0);
    assert_eq!(search.best().unwrap().quality.missing, 0);
}
