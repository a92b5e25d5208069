//! `segue run`

use std::path::PathBuf;

use clap::Args;

use super::load::{load, render_failure};
use super::progress::Display;
use super::{Failed, GraphArgs, Outcome};
use crate::dataflow::{self, Report, RunOptions};
use crate::graph::{Plan, Role};

/// `segue run`
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    graph: GraphArgs,
    /// Go on after the last commit of an earlier run of the same graph
    #[arg(long)]
    resume: bool,
    /// End at the first record that cannot be used
    #[arg(long)]
    strict: bool,
    /// Write records that cannot be used here; left out, beside the first output
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Write what was measured here, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Show no progress and no summary
    #[arg(long)]
    quiet: bool,
}

/// Runs the graph, then writes report and summary.
pub fn run(arguments: &RunArgs) -> Outcome {
    let loaded = load(&arguments.graph)?;
    let options = RunOptions {
        resume: arguments.resume,
        strict: arguments.strict,
        rejects: arguments.rejects.clone(),
    };
    let mut display = Display::new(arguments.quiet);
    let plan = loaded.plan.clone();
    let result = dataflow::run(plan, &loaded.operators, &options, &mut |progress| {
        display.update(progress)
    });
    display.clear();
    let mut report = result.map_err(|failure| {
        Failed::Running(render_failure(failure, &loaded.plan, &loaded.sources))
    })?;
    report.graph = arguments.graph.graph.to_string_lossy().into_owned();
    if let Some(path) = &arguments.report {
        write_report(path, &report)?;
    }
    if !arguments.quiet {
        eprint!("{}", summary(&report, &loaded.plan));
    }
    Ok(())
}

fn write_report(path: &PathBuf, report: &Report) -> Outcome {
    let json = serde_json::to_string_pretty(report).map_err(std::io::Error::other);
    json.and_then(|json| std::fs::write(path, json + "\n"))
        .map_err(|e| {
            let path = path.display();
            Failed::Running(format!(
                "error[write-failed]: cannot write the report `{path}`: {e}\n"
            ))
        })
}

fn summary(report: &Report, plan: &Plan) -> String {
    let sinks = plan
        .graph
        .stages
        .iter()
        .filter(|stage| stage.operator.role == Role::Sink);
    let paths: Vec<&str> = sinks
        .filter_map(|stage| stage.options["path"].as_str())
        .collect();
    let mut text = match report.seconds {
        0.0 => format!(
            "{} reviews were committed before, nothing was left to do",
            report.reviews
        ),
        _ => format!(
            "{} reviews in {:.1} s, {:.1} a second",
            report.reviews - report.resumed,
            report.seconds,
            report.reviews_per_second
        ),
    };
    if report.resumed > 0 && report.seconds > 0.0 {
        text += &format!(" ({} committed before)", report.resumed);
    }
    if let Some(accuracy) = report.accuracy {
        text += &format!(", accuracy {:.2} %", accuracy * 100.0);
    }
    if report.rejected > 0 {
        text += &format!(", {} records rejected", report.rejected);
    }
    format!("{text}\nwritten to {}\n", paths.join(", "))
}
