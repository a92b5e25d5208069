//! `segue run`

use std::path::{Path, PathBuf};

use clap::Args;

use super::elsewhere::load_here;
use super::join::{Apart, Duty, Joined, Part, join};
use super::load::{Loaded, render_failure};
use super::local::run_local_devices;
use super::progress::Display;
use super::{Failed, GraphArgs, Outcome};
use crate::dataflow::{self, Progress, Report, RunOptions};
use crate::diagnostic::{Diagnostic, Sources};
use crate::graph::{Catalog, Plan, Role, Stage};

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
    /// Under an agent: how many runs there were before
    #[arg(long, hide = true)]
    generation: Option<u64>,
    /// End when stdin does: whoever started this holds its other end
    #[arg(long, hide = true)]
    tied: bool,
}

impl RunArgs {
    /// The device that this is, if it is one of a cluster.
    pub fn device(&self) -> Option<&str> {
        self.graph.device.as_deref()
    }

    /// A failure of the mesh or of another device.
    fn again(&self, text: String) -> Failed {
        match self.generation {
            Some(_) => Failed::Again(text),
            None => Failed::Running(text),
        }
    }
}

/// Runs the graph, then writes report and summary.
pub fn run(arguments: &RunArgs) -> Outcome {
    let loaded = load_here(&arguments.graph).map_err(|failed| match failed {
        Failed::Nobody(text) if arguments.generation.is_none() => Failed::Running(text),
        failed => failed,
    })?;
    own_files(arguments, &loaded)?;
    if arguments.graph.devices.is_some_and(|devices| devices > 1) {
        return run_local_devices(&loaded.plan, &own_arguments(), arguments.quiet);
    }
    let cluster = arguments.graph.cluster.as_deref();
    if cluster.is_some() && arguments.graph.device.is_none() {
        let error = Diagnostic::new("missing-device", "which device of the cluster is this?");
        let error = error.help("add `--device NAME`").render(&loaded.sources);
        return Err(Failed::Wrong(error));
    }
    if arguments.tied {
        std::thread::spawn(end_with_stdin);
    }
    let file = cluster.unwrap_or(Path::new(""));
    let joined = join(&loaded, file, arguments.generation);
    let Part { plan, here, duty } = match joined.map_err(|apart| apart_text(arguments, apart))? {
        Joined::Run(part) => *part,
        Joined::Done => {
            eprintln!("the run is complete, nothing was left to do");
            return Ok(());
        }
    };
    let options = RunOptions {
        resume: arguments.resume,
        strict: arguments.strict,
        rejects: arguments.rejects.clone(),
    };
    let mut display = Display::new(arguments.quiet);
    let run_plan = plan.clone();
    let watch = &mut |progress: &Progress| display.update(progress);
    let result = dataflow::run_here(run_plan, &loaded.operators, &options, here, watch);
    display.clear();
    let report = result.map_err(|failure| {
        let lost = failure.code == "device-lost";
        let text = render_failure(failure, &plan, &loaded.sources);
        if lost {
            arguments.again(text)
        } else {
            Failed::Running(text)
        }
    })?;
    // Another device commits, and reports.
    let Some(mut report) = report else {
        return Ok(());
    };
    report.graph = arguments.graph.graph.to_string_lossy().into_owned();
    if let Some(path) = &arguments.report {
        write_report(path, &report)?;
    }
    if !arguments.quiet {
        eprint!("{}", summary(&report, &plan));
    }
    duty.map_or(Ok(()), |duty| fulfil(duty, arguments))
}

/// Tells those who were not there that the run is complete.
fn fulfil(duty: Duty, arguments: &RunArgs) -> Outcome {
    let unaware = duty.complete(arguments.quiet).map_err(|error| {
        let error = Diagnostic::new(error.code(), error.to_string());
        arguments.again(error.render(&Sources::new()))
    })?;
    if !unaware.is_empty() && !arguments.quiet {
        let names: Vec<String> = unaware.iter().map(|name| format!("`{name}`")).collect();
        eprintln!("not told that the run is complete: {}", names.join(", "));
    }
    Ok(())
}

fn apart_text(arguments: &RunArgs, apart: Apart) -> Failed {
    let text = |error: Diagnostic| error.render(&Sources::new());
    match apart {
        Apart::Never(error) => Failed::Running(text(error)),
        Apart::Missing(error) => arguments.again(text(error)),
        Apart::Nobody(error) if arguments.generation.is_some() => Failed::Nobody(text(error)),
        Apart::Nobody(error) => Failed::Running(text(error)),
    }
}

/// An agent holds the other end of stdin: when it is gone, this process is too.
fn end_with_stdin() {
    // Whatever ends the reading, the agent is not there any more.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(1);
}

/// `--rejects` and `--report` must not name a file of the graph: it would be lost.
fn own_files(arguments: &RunArgs, loaded: &Loaded) -> Outcome {
    let flags = [
        ("--rejects", &arguments.rejects),
        ("--report", &arguments.report),
    ];
    for (flag, path) in flags {
        let Some(path) = path else { continue };
        let path = loaded.operators.resolved(path);
        let is_it = |stage: &&Stage| {
            let files = stage.own_files();
            (files.iter()).any(|(_, file)| loaded.operators.resolved(file) == path)
        };
        if let Some(stage) = loaded.plan.graph.stages.iter().find(is_it) {
            let message = format!("`{flag}` names the file of `{}`", stage.name);
            let error = Diagnostic::new("duplicate", message).at(stage.spans.name);
            return Err(Failed::Wrong(error.render(&loaded.sources)));
        }
    }
    Ok(())
}

/// The arguments of this process, but for those that `--devices` is about.
fn own_arguments() -> Vec<String> {
    let mut arguments = std::env::args().skip(1);
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quiet" => {}
            "--devices" | "--workers" => drop(arguments.next()),
            other if other.starts_with("--devices=") || other.starts_with("--workers=") => {}
            _ => kept.push(argument),
        }
    }
    kept
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
