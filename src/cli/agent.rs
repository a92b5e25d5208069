//! `segue agent`: a small supervisor. It runs this device's part of a graph, and when a
//! device is lost, again, as the next generation, from the last commit on.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;

use super::join::DONE;
use super::run::RunArgs;
use super::say::say;
use super::{AGAIN, Failed, NOBODY, Outcome};
use crate::diagnostic::{Diagnostic, Sources};

/// `segue agent`
#[derive(Args)]
pub struct AgentArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Before another generation, so that a lost device is not asked for in a busy loop.
const PAUSE: Duration = Duration::from_millis(300);
/// Generations in which nobody was there, after which an agent that has never met another
/// device gives up: the run may have been completed long ago.
const NOBODY_MAX: usize = 10;

/// Runs generation after generation until one is complete, or fails by itself.
pub fn agent(arguments: &AgentArgs) -> Outcome {
    if arguments.run.device().is_none() {
        let error = Diagnostic::new("missing-device", "an agent needs a cluster and a device");
        let error = error.help("add `--cluster FILE --device NAME`");
        return Err(Failed::Wrong(error.render(&Sources::new())));
    }
    let (mut met, mut alone) = (false, 0);
    for generation in 0_u64.. {
        let ended = start(generation).and_then(wait).map_err(|e| {
            let message = format!("cannot start a generation: {e}");
            Failed::from(Diagnostic::new("internal", message))
        })?;
        met |= ended == Verdict::Again;
        alone += usize::from(ended == Verdict::Nobody);
        match ended {
            Verdict::Done => return Ok(()),
            Verdict::Nobody if !met && alone >= NOBODY_MAX => return Err(nobody()),
            // The generation has said what is wrong.
            Verdict::Failed(2) => return Err(Failed::Wrong(String::new())),
            Verdict::Failed(_) => return Err(Failed::Running(String::new())),
            Verdict::Again | Verdict::Killed | Verdict::Nobody => {
                say(format_args!(
                    "generation {generation} ended, here is generation {}",
                    generation + 1
                ));
                std::thread::sleep(PAUSE);
            }
        }
    }
    Ok(())
}

/// This command as `run`, resuming. Its stdin is a pipe that closes when this process
/// ends, whatever the reason, and then it ends too.
fn start(generation: u64) -> std::io::Result<Child> {
    let arguments = std::env::args_os().skip(1);
    let rest = arguments.skip_while(|argument| argument != "agent").skip(1);
    Command::new(std::env::current_exe()?)
        .arg("run")
        .args(rest.filter(|argument| argument != "--resume"))
        .arg("--resume")
        .arg(format!("--generation={generation}"))
        .arg("--tied")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

fn wait(mut child: Child) -> std::io::Result<Verdict> {
    // Waiting would close it, which is what tells the child that we are gone.
    let _pipe = child.stdin.take();
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    // What has become of it after that does not matter.
    match said.lines().any(|line| line == DONE) {
        true => Ok(Verdict::Done),
        false => Ok(verdict(status)),
    }
}

fn nobody() -> Failed {
    let message = format!("nobody was there in {NOBODY_MAX} generations");
    let error = Diagnostic::new("missing-devices", message);
    let help = "the run may be complete; if not, start the other agents, then this one again";
    Failed::Running(error.help(help).render(&Sources::new()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    /// The others were there, and may be again.
    Again,
    Nobody,
    Killed,
    Failed(i32),
}

fn verdict(status: ExitStatus) -> Verdict {
    match status.code() {
        Some(0) => Verdict::Done,
        Some(code) if code == i32::from(AGAIN) => Verdict::Again,
        Some(code) if code == i32::from(NOBODY) => Verdict::Nobody,
        Some(code) => Verdict::Failed(code),
        // Killed by a signal: whoever did that did not mean the agent.
        None => Verdict::Killed,
    }
}
