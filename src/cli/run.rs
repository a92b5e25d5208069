//! `segue run`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::interrupt::{self, Interrupt};
use super::load::{load_here, render_failure};
use super::local::run_local_devices;
use super::numbers::count;
use super::progress::Display;
use super::say::{self, say};
use super::summary::{summary, written_to};
use super::words::Word;
use super::{Failed, GraphArgs, Outcome};
use segue::dataflow::{self, Here, Progress, Report, RunOptions, Standing};
use segue::deploy::{Agent, Apart, Duty, Extra, Joined, Loaded, Part, check_extra, join};
use segue::diagnostic::{Diagnostic, Note, visible};
use segue::graph::Plan;

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
    /// The command that goes on with this run, where it is not this process's own
    #[arg(long, hide = true, value_name = "COMMAND")]
    again: Option<String>,
}

impl RunArgs {
    /// The device that this is, if it is one of a cluster.
    pub fn device(&self) -> Option<&str> {
        self.graph.device.as_deref()
    }

    /// A failure of the mesh or of another device.
    fn lost(&self, text: String) -> Failed {
        match self.generation {
            Some(_) => Failed::Again(text),
            None => Failed::Running(text),
        }
    }
}

/// Runs the graph, then writes report and summary.
pub fn run(arguments: &RunArgs) -> Outcome {
    if arguments.tied {
        std::thread::spawn(end_with_stdin);
    }
    let outcome = run_part(arguments);
    if arguments.generation.is_some() && outcome.is_ok() {
        Word::Done.say();
    }
    outcome
}

fn run_part(arguments: &RunArgs) -> Outcome {
    let loaded = load_here(&arguments.graph).map_err(|failed| match failed {
        Failed::Nobody(text) if arguments.generation.is_none() => Failed::Running(text),
        failed => failed,
    })?;
    extra_files(arguments, &loaded)?;
    let shadowed = loaded.operators.shadowed(&loaded.plan.graph, false);
    shadowed.iter().for_each(say);
    if arguments.graph.devices.is_some_and(|devices| devices > 1) {
        let command = interrupt::command_to_resume();
        let all = std::env::args().skip(1).filter(|one| one != "--quiet");
        let own = without(all.collect(), &["--devices", "--workers"]);
        let own = [own, vec![format!("--again={command}")]].concat();
        // One of them reports, for all.
        let others = without(own.clone(), &["--report", "--rejects"]);
        return run_local_devices(&loaded.plan, [&own, &others], arguments.quiet);
    }
    let cluster = arguments.graph.cluster.as_deref();
    if cluster.is_some() && arguments.graph.device.is_none() {
        let error = Diagnostic::new("missing-device", "which device of the cluster is this?");
        let error = error.help("add `--device NAME`").render(&loaded.sources);
        return Err(Failed::Wrong(error));
    }
    let file = cluster.unwrap_or(Path::new(""));
    let agent = arguments.generation.map(|generation| Agent {
        generation,
        begins: |time| Word::Begins(time).say(),
        done: || Word::Done.say(),
    });
    let joined = join(&loaded, file, agent, Arc::new(|line| say(visible(line))));
    let Part {
        plan,
        here,
        duty,
        failed_for_good,
    } = match joined.map_err(|apart| apart_text(arguments, apart))? {
        Joined::Run(part) => *part,
        Joined::Done => {
            say("the run is complete, nothing was left to do");
            return Ok(());
        }
    };
    let device = &plan.layout.devices[plan.sink_device()].0;
    let commits = plan.sink_device() == here.device;
    if arguments.rejects.is_some() && !commits {
        let message = format!("rejected records are written on `{device}`, and not here");
        say::write(&Note::new("--rejects", message).render());
    }
    let options = RunOptions {
        resume: arguments.resume,
        strict: arguments.strict,
        rejects: arguments.rejects.clone(),
        records: None,
    };
    let part = (here, &*failed_for_good);
    let result = watched(arguments, &loaded, &plan, &options, part);
    // Nothing was left to do, as another device says.
    let Some(mut report) = result? else {
        return Ok(());
    };
    report.graph = arguments.graph.graph.to_string_lossy().into_owned();
    if let Some(path) = &arguments.report {
        write_report(path, &report)?;
    }
    // The one that commits tells of it.
    if commits && !arguments.quiet {
        say::write(&summary(&report, &plan));
    }
    duty.map_or(Ok(()), |duty| fulfil(duty, arguments))
}

/// Runs this device's part of `plan` with its progress on stderr, to the end or until a
/// signal comes.
fn watched(
    arguments: &RunArgs,
    loaded: &Loaded,
    plan: &Plan,
    options: &RunOptions,
    (here, failed_for_good): (Here, &AtomicBool),
) -> Result<Option<Report>, Failed> {
    let interrupt = Interrupt::watch();
    let mut display = Display::new(arguments.quiet);
    let mut last = None;
    let watch = &mut |progress: &Progress| {
        if interrupt.signal().is_some() && !progress.ended() {
            progress.end();
            if !arguments.quiet {
                say("ending behind what is under way; once more ends it at once");
            }
        }
        display.update(progress);
        let committed = progress.committed.load(Ordering::Relaxed);
        last = progress.commits().then_some(committed);
    };
    let result = dataflow::run_here(plan.clone(), &loaded.operators, options, here, watch);
    display.clear();
    result.map_err(
        |failure| match (failure.code.as_str(), interrupt.signal()) {
            // Another device may have seen its signal first, and ended.
            ("interrupted" | "device-lost", Some(signal)) => {
                let error = interrupted(arguments, plan, signal, last);
                Failed::Interrupted(error.text(), signal)
            }
            (code, _) => {
                let lost = code == "device-lost" && !failed_for_good.load(Ordering::SeqCst);
                if lost && arguments.generation.is_some() {
                    // Nothing is wrong yet: the run goes on when the device is back.
                    return Failed::Again(format!("{}\n", visible(&failure.message)));
                }
                let failure = match arguments.generation {
                    Some(_) => of_an_agent(failure, plan),
                    None => failure,
                };
                Failed::Running(render_failure(failure, plan, &loaded.sources))
            }
        },
    )
}

/// An agent always goes on with what there is: whoever wants to start afresh has to take that
/// away, and cannot leave out an option.
fn of_an_agent(failure: Diagnostic, plan: &Plan) -> Diagnostic {
    let leaves_out = |help: &String| help.contains("`--resume`");
    let journal = dataflow::journal_path(plan);
    match (failure.help.as_ref().is_some_and(leaves_out), journal) {
        (true, Ok(journal)) => {
            let journal = journal.display();
            let help =
                format!("an agent goes on where it was: move `{journal}` away to start afresh");
            failure.help(help)
        }
        _ => failure,
    }
}

/// What is safe after `signal`, and how to go on: `committed` rows, where they are
/// committed here.
fn interrupted(arguments: &RunArgs, plan: &Plan, signal: u8, committed: Option<u64>) -> Diagnostic {
    // What stages keep is committed too, such as a search that gives its rows at its end.
    let kept = || matches!(dataflow::standing(plan), Ok(Standing::ToResume(_)));
    let nothing = committed == Some(0) && !kept();
    let what = match committed {
        Some(0) if nothing => "nothing was committed yet".to_owned(),
        Some(0) => "what was done so far is kept".to_owned(),
        Some(rows) => {
            let rows = count(rows, "review");
            format!("{rows} committed, for {}", written_to(plan))
        }
        None => {
            let device = &plan.layout.devices[plan.sink_device()].0;
            format!("what is committed is on `{device}`")
        }
    };
    let message = format!("{} came before the end; {what}", interrupt::name(signal));
    let command = match (&arguments.again, arguments.generation) {
        (Some(command), _) => command.clone(),
        (None, Some(_)) => interrupt::command_of_agent(),
        (None, None) => interrupt::command_to_resume(),
    };
    let help = if nothing {
        "run it again from the start".to_owned()
    } else {
        format!("go on from there with: {command}")
    };
    Diagnostic::new("interrupted", message).help(help)
}

/// Tells those who were not there that the run is complete.
fn fulfil(duty: Duty, arguments: &RunArgs) -> Outcome {
    let waits = |longest: Duration| {
        if !arguments.quiet {
            let seconds = longest.as_secs_f64();
            say(format_args!(
                "who was not there is told that the run is complete, for up to {seconds} s"
            ));
        }
    };
    let unaware = duty.complete(waits).map_err(|error| {
        let error = Diagnostic::new(error.code(), error.to_string());
        arguments.lost(error.text())
    })?;
    if !unaware.is_empty() && !arguments.quiet {
        let names: Vec<String> = unaware.iter().map(|name| format!("`{name}`")).collect();
        say(format_args!(
            "not told that the run is complete: {}",
            names.join(", ")
        ));
    }
    Ok(())
}

fn apart_text(arguments: &RunArgs, apart: Apart) -> Failed {
    match apart {
        Apart::Never(error) => error.into(),
        Apart::Missing(error) => arguments.lost(error.text()),
        Apart::Nobody(error) if arguments.generation.is_some() => Failed::Nobody(error.text()),
        Apart::Nobody(error) => error.into(),
    }
}

/// An agent holds the other end of stdin: when it is gone, this process is too.
fn end_with_stdin() {
    // Whatever ends the reading, the agent is not there any more.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    segue::plugins::leave(1)
}

/// `--rejects` and `--report` must not name a file of the graph: it would be lost.
fn extra_files(arguments: &RunArgs, loaded: &Loaded) -> Outcome {
    let flags = [
        (Extra::Rejects, "--rejects", &arguments.rejects),
        (Extra::Report, "--report", &arguments.report),
    ];
    let request = arguments.graph.request();
    for (extra, flag, path) in flags {
        let Some(path) = path else { continue };
        check_extra((extra, flag, path), &request, loaded).map_err(|error| {
            let text = error.render(&loaded.sources);
            if error.code == "write-failed" {
                Failed::Running(text)
            } else {
                Failed::Wrong(text)
            }
        })?;
    }
    Ok(())
}

/// The arguments but for the options `names` and their values.
fn without(arguments: Vec<String>, names: &[&str]) -> Vec<String> {
    let mut arguments = arguments.into_iter();
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        let name = argument.split('=').next().unwrap_or_default();
        match (names.contains(&name), argument.contains('=')) {
            (true, false) => drop(arguments.next()),
            (true, true) => {}
            (false, _) => kept.push(argument),
        }
    }
    kept
}

fn write_report(path: &PathBuf, report: &Report) -> Outcome {
    let json = serde_json::to_string_pretty(report).map_err(std::io::Error::other);
    json.and_then(|json| std::fs::write(path, json + "\n"))
        .map_err(|e| {
            let message = format!("cannot write the report `{}`: {e}", path.display());
            Diagnostic::new("write-failed", message).into()
        })
}
