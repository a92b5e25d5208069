//! `segue bench`: the same graph in several arrangements, side by side.

use std::path::Path;

use clap::Args;

use super::load::{load, render_failure};
use super::{Failed, GraphArgs, Outcome, answer};
use segue::dataflow::{self, RunOptions};
use segue::deploy::Loaded;
use segue::diagnostic::Diagnostic;
use segue::graph::Role;

/// `segue bench`
#[derive(Args)]
pub struct BenchArgs {
    #[command(flatten)]
    graph: GraphArgs,
    /// How often each arrangement runs; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
}

struct Arrangement {
    name: String,
    arguments: GraphArgs,
    rates: Vec<f64>,
}

/// Measures reviews a second. Arrangements take turns, so that a slow moment of the
/// machine does not fall on one of them; outputs go to a folder that is removed.
pub fn bench(arguments: &BenchArgs) -> Outcome {
    let loaded = load(&arguments.graph)?;
    let folder = std::env::temp_dir().join(format!("segue-bench-{}", std::process::id()));
    let failed = |e: std::io::Error| {
        let message = format!("cannot use `{}`: {e}", folder.display());
        Failed::from(Diagnostic::new("write-failed", message))
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut all = arrangements(arguments, &loaded, &folder);
    let outcome = (0..arguments.rounds)
        .try_for_each(|_| all.iter_mut().try_for_each(measure))
        .and_then(|()| answer(&table(&mut all)));
    std::fs::remove_dir_all(&folder).map_err(failed)?;
    outcome
}

/// One worker; then for each stage that can be cut or is, `split` and `replicas`.
fn arrangements(arguments: &BenchArgs, loaded: &Loaded, folder: &Path) -> Vec<Arrangement> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = arguments.graph.workers.map_or(cores, usize::from);
    let mut base = arguments.graph.clone();
    for stage in loaded
        .plan
        .graph
        .stages
        .iter()
        .filter(|s| s.operator.role == Role::Sink)
    {
        let written = Path::new(stage.options["path"].as_str().unwrap_or_default());
        let file = written.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{}-{file}", stage.name));
        base.set
            .push(format!("{}.path={}", stage.file_name, path.display()));
    }
    let arrangement = |name: String, sets: &[String], workers: usize| {
        let mut arguments = base.clone();
        arguments.set.extend_from_slice(sets);
        arguments.workers = u16::try_from(workers).ok();
        Arrangement {
            name,
            arguments,
            rates: Vec::new(),
        }
    };
    let mut all = vec![arrangement("1 worker".to_owned(), &[], 1)];
    let mut divisible: Vec<&str> = (loaded.plan.graph.stages.iter())
        .filter(|stage| stage.operator.manifest.units)
        .map(|stage| stage.file_name.as_str())
        .collect();
    divisible.dedup();
    for stage in divisible.into_iter().filter(|_| workers > 1) {
        let split = format!("{stage}.split={workers}");
        all.push(arrangement(
            format!("{workers} workers, {split}"),
            &[split],
            workers,
        ));
        let replicas = format!("{stage}.replicas={workers}");
        let whole = format!("{stage}.split=1");
        all.push(arrangement(
            format!("{workers} workers, {replicas}"),
            &[whole, replicas],
            workers,
        ));
    }
    all
}

fn measure(arrangement: &mut Arrangement) -> Outcome {
    let loaded = load(&arrangement.arguments)?;
    let plan = loaded.plan.clone();
    let report = dataflow::run(plan, &loaded.operators, &RunOptions::default(), &mut |_| {});
    let report = report.map_err(|failure| {
        Failed::Running(render_failure(failure, &loaded.plan, &loaded.sources))
    })?;
    arrangement.rates.push(report.reviews_per_second);
    Ok(())
}

fn table(all: &mut [Arrangement]) -> String {
    let width = all.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let medians: Vec<f64> = all.iter_mut().map(|one| median(&mut one.rates)).collect();
    let one_worker = medians.first().copied().unwrap_or(1.0);
    let line = |(one, rate): (&Arrangement, &f64)| {
        format!(
            "{:width$}  {rate:8.1} reviews a second  {:5.2} times\n",
            one.name,
            rate / one_worker
        )
    };
    all.iter().zip(&medians).map(line).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
