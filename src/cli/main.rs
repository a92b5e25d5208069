//! The command `segue`: one file a subcommand. The only crate that prints, and that decides
//! about exit codes.

mod agent;
mod bench;
mod check;
mod explain;
mod fetch;
mod identity;
mod interrupt;
mod load;
mod local;
mod new_stage;
mod numbers;
mod planned;
mod profile;
mod progress;
mod run;
mod said;
mod say;
mod stages;
mod summary;
mod svg;
mod test;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use segue::diagnostic::{Diagnostic, paint};
use segue::plugins;

/// Runs machine-learning pipelines on small machines as dataflow graphs of plugins.
#[derive(Parser)]
#[command(name = "segue", version, disable_help_subcommand = true, after_help = CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the exit codes say.
const CODES: &str = "Exit codes: 0 done; 1 failed while running; 2 the graph, the cluster or the \
command line is wrong; 130 or 143 ended by Ctrl-C or `kill`";

#[derive(Subcommand)]
enum Command {
    /// Run a graph
    Run(run::RunArgs),
    /// Run this device's part of a graph, again whenever another device was lost
    Agent(agent::AgentArgs),
    /// Find every error of a graph without running it
    Check(GraphArgs),
    /// Show the plan: which worker runs what, and which columns cross each edge
    Explain(explain::ExplainArgs),
    /// List the operators there are, or show one with its options
    Stages(stages::StagesArgs),
    /// Run the examples of an operator, or of a library
    Test(test::TestArgs),
    /// Make a project for a plugin of your own
    NewStage(new_stage::NewStageArgs),
    /// Make the identity of a device
    Identity(identity::IdentityArgs),
    /// Measure what each part of a graph takes on this device, for the planner
    Profile(profile::ProfileArgs),
    /// Measure a graph on one worker, split and replicated, side by side
    Bench(bench::BenchArgs),
}

/// What every command on a graph takes.
#[derive(Args, Clone)]
pub struct GraphArgs {
    /// The graph file
    pub graph: PathBuf,
    /// Set an option of a stage, or one of `stream`; may be repeated
    #[arg(long, value_name = "STAGE.OPTION=VALUE")]
    pub set: Vec<String>,
    /// Worker threads; left out, as many as the graph's segments and replicas ask for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Run on N local processes that stand for devices, each with `--workers` threads or one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), conflicts_with_all = ["cluster", "device"])]
    pub devices: Option<u16>,
    /// The cluster file: the devices to run on
    #[arg(long, value_name = "FILE", conflicts_with = "workers")]
    pub cluster: Option<PathBuf>,
    /// Which device of the cluster file this is
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub device: Option<String>,
    /// What `segue profile` measured; left out, NAME.profile.toml beside the cluster file NAME.toml
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
}

/// What can go wrong in a command.
pub enum Failed {
    /// The graph or the command line is wrong: exit code 2. The text is complete.
    Wrong(String),
    /// It failed while running: exit code 1.
    Running(String),
    /// Another device failed it, and a later generation may succeed: exit code 75, but
    /// only under an agent.
    Again(String),
    /// A signal ended it: exit code 128 and the signal's number.
    Interrupted(String, u8),
    /// Not one of the other devices was there: exit code 69, but only under an agent.
    Nobody(String),
}

impl From<Diagnostic> for Failed {
    /// A failure while running, that points at no text.
    fn from(error: Diagnostic) -> Self {
        Failed::Running(error.text())
    }
}

/// The exit code that tells an agent to try again, as `sysexits.h` has it.
pub const AGAIN: u8 = 75;

/// The exit code that tells an agent that nobody was there, as `sysexits.h` has it.
pub const NOBODY: u8 = 69;

type Outcome = Result<(), Failed>;

/// A language for a new plugin.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// With the SDK
    Rust,
    /// With the header alone
    C,
}

/// Runs the command that the process was started with.
fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let [_, command, path, operator @ ..] = arguments.as_slice()
        && *command == *plugins::PROBE_COMMAND
    {
        let operator = operator.first().map(OsString::as_os_str);
        return print(&plugins::probe_here(path.as_ref(), operator));
    }
    plugins::report_crashes();
    plugins::watch(say::say);
    let outcome = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Agent(arguments) => agent::agent(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Stages(arguments) => stages::stages(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::NewStage(arguments) => new_stage::new_stage(&arguments),
        Command::Identity(arguments) => identity::identity(&arguments),
        Command::Profile(arguments) => profile::profile(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Wrong(text)) => complain(&text, 2),
        Err(Failed::Running(text)) => complain(&text, 1),
        Err(Failed::Again(text)) => complain(&text, AGAIN),
        Err(Failed::Interrupted(text, signal)) => complain(&text, 128 + signal),
        Err(Failed::Nobody(text)) => complain(&text, NOBODY),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    if say::has_colours() {
        say::write(&paint(text))
    } else {
        say::write(text)
    }
    ExitCode::from(code)
}

/// Prints what was asked for. A reader that went away, such as `head`, is no failure.
fn answer(text: &str) -> Outcome {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            let message = format!("cannot write to stdout: {e}");
            Err(Diagnostic::new("write-failed", message).into())
        }
        _ => Ok(()),
    }
}
