//! What do two workers gain? The same graph on one worker, split in two, and with two
//! replicas of the whole encoder, in turns.
//!
//! `cargo bench --bench scaling`

mod common;

use common::{median, median_ratio, plan, rounds, run, show};
use segue::operators::Operators;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let operators = Operators::default();
    let arrangements: [(&str, &[&str], usize); 3] = [
        ("one worker", &["encoder.split=1"], 1),
        ("split = 2", &["encoder.split=2"], 2),
        (
            "replicas = 2",
            &["encoder.split=1", "encoder.replicas=2"],
            2,
        ),
    ];
    let mut seconds = [Vec::new(), Vec::new(), Vec::new()];
    let mut reviews = 0;
    for _ in 0..rounds() {
        for ((_, sets, workers), seconds) in arrangements.iter().zip(&mut seconds) {
            let plan = plan(&operators, sets, *workers, folder.path());
            let report = run(&operators, plan);
            reviews = report.reviews;
            seconds.push(report.seconds);
        }
    }
    for ((name, ..), seconds) in arrangements.iter().zip(&seconds) {
        println!(
            "{name}: {:.1} reviews/s",
            reviews as f64 / median(seconds.clone())
        );
    }
    for i in [1, 2] {
        let what = format!("{} / one worker", arrangements[i].0);
        show(
            &what,
            median_ratio(&seconds[0], &seconds[i]),
            "at least 1.8",
        );
    }
}
