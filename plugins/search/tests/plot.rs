//! The convergence plot.

mod common;

use segue_search::functions::Function;
use segue_search::plot::{Run, convergence};
use segue_search::{Method, Statistics};

fn history(method: Method, function: Function) -> Vec<Statistics> {
    let mut search = common::search(method, 10, 1);
    (0..250)
        .map(|_| common::step(&mut search, function))
        .collect()
}

#[test]
fn a_history_goes_through_json_unchanged() {
    let history = history(Method::Pso(Default::default()), Function::Ackley);
    let lines: Vec<String> = history
        .iter()
        .map(|line| serde_json::to_string(line).unwrap())
        .collect();
    let keys = r#"{"generation":0,"evaluations":40,"effort":40.0,"best":"#;
    assert!(lines[0].starts_with(keys), "{}", lines[0]);
    for (line, text) in history.iter().zip(&lines) {
        let again: Statistics = serde_json::from_str(text).unwrap();
        assert_eq!(
            (again.generation, again.evaluations),
            (line.generation, line.evaluations)
        );
        let (a, b) = (again.best.unwrap(), line.best.unwrap());
        assert!((a - b).abs() <= 1e-15 * b.abs(), "{a} {b}");
    }
}

#[test]
fn several_runs_are_in_one_plot_with_axes_and_legend() {
    let runs = [
        (
            "pso",
            history(Method::Pso(Default::default()), Function::Ackley),
        ),
        (
            "ga & <elites>",
            history(Method::Ga(Default::default()), Function::Ackley),
        ),
        ("nothing", Vec::new()),
    ];
    let runs: Vec<Run> = runs
        .iter()
        .map(|(name, history)| Run { name, history })
        .collect();
    let svg = convergence("Ackley in 10 dimensions", "value", &runs);
    if let Some(path) = std::env::var_os("SEGUE_PLOT") {
        std::fs::write(path, &svg).unwrap();
    }
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(
        svg.matches("<circle").count(),
        2,
        "a run without values has no line"
    );
    for text in [
        ">ga &amp; &lt;elites&gt;<",
        ">nothing<",
        ">evaluations<",
        ">best value<",
        ">1e-",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    assert!(svg.len() < 40_000 && !svg.contains("NaN") && !svg.contains("inf"));
    assert_eq!(
        svg,
        convergence("Ackley in 10 dimensions", "value", &runs),
        "the same bytes"
    );
}
