//! Does a killed run lose or repeat anything? Runs of each kind are killed (`kill -9`) and
//! resumed, often: half of them at random moments, half swept through the end of the run by
//! steps of 0.2 ms. In the end every file must be that of a run that nobody disturbed.
//!
//! `cargo bench --bench kills`; `SEGUE_BENCH_KILLS=100` for fewer kills, `SEGUE_BENCH_SEED=2`
//! for others, and with words of a scenario's name behind `--` for these alone. Ends with
//! code 1 when anything is not as it should be.

#[path = "../tests/suite/fleet.rs"]
#[allow(dead_code, reason = "the suite uses the rest")]
mod fleet;
#[path = "../tests/suite/harness.rs"]
#[allow(dead_code, reason = "the suite uses the rest")]
mod harness;
#[path = "../tests/suite/kills/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the suite uses the rest")]
mod kills;
#[path = "../tests/suite/pace.rs"]
#[allow(dead_code, reason = "the suite uses the rest")]
mod pace;
#[path = "../tests/suite/tiny.rs"]
#[allow(dead_code, reason = "the suite uses the rest")]
mod tiny;

use kills::{SCENARIOS, Scenario, Tally, kill_often};

/// Kills in all, where nobody says how many.
const KILLS: u64 = 1000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |scenario: &&Scenario| {
        let mut words = wanted
            .iter()
            .filter(|word| !word.starts_with("--"))
            .peekable();
        words.peek().is_none() || words.any(|word| scenario.name.contains(word.as_str()))
    };
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(is_wanted).collect();
    let kills = usize::try_from(number("SEGUE_BENCH_KILLS", KILLS)).expect("a number of kills");
    let share = kills.div_ceil(scenarios.len().max(1));
    println!(
        "{:<42} {:>6} {:>8} {:>12} {:>5} {:>9} {:>5} {:>8}",
        "", "kills", "resumed", "differences", "hung", "repeated", "lost", "seconds"
    );
    let mut all = Tally::default();
    for scenario in scenarios {
        let tally = kill_often(scenario, share, number("SEGUE_BENCH_SEED", 1));
        show(scenario.name, &tally);
        all.add(tally);
    }
    show("all", &all);
    for complaint in &all.complaints {
        eprintln!("{complaint}");
    }
    if !all.is_clean() {
        std::process::exit(1);
    }
}

fn show(name: &str, tally: &Tally) {
    println!(
        "{name:<42} {:>6} {:>8} {:>12} {:>5} {:>9} {:>5} {:>8.1}",
        tally.kills,
        tally.resumed,
        tally.differences,
        tally.hung,
        tally.repeated,
        tally.lost,
        tally.seconds
    );
}

/// The number that `variable` holds, where it holds one.
fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}
