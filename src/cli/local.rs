//! Local processes that stand for devices.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Failed;
use super::interrupt::{Interrupt, pass_on};
use super::said::Said;
use segue::deploy::local_cluster;
use segue::diagnostic::Diagnostic;
use segue::graph::Plan;

/// How long local devices have to notice that one of them failed.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the graph on local processes that stand for devices, with identities that are
/// thrown away. What the process that commits prints is shown; of the others only why
/// they failed.
///
/// # Errors
/// The first failure
pub fn run_local_devices(
    plan: &Plan,
    [committing, others]: [&[String]; 2],
    quiet: bool,
) -> Result<(), Failed> {
    let failed = |e: std::io::Error| {
        let message = format!("cannot start local devices: {e}");
        Failed::from(Diagnostic::new("internal", message))
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = local_cluster(plan, folder.path())?;
    let binary = std::env::current_exe().map_err(failed)?;
    let commits = plan.sink_device();
    // The devices end by themselves, and say how far they are.
    let interrupt = Interrupt::watch();
    let (mut children, mut said): (Vec<Child>, Vec<Said>) = Default::default();
    for (i, (name, _)) in plan.layout.devices.iter().enumerate() {
        let mut command = Command::new(&binary);
        command
            .args(if i == commits { committing } else { others })
            .arg("--cluster")
            .arg(&file)
            .args(["--device", name]);
        // It closes when this process ends, whatever the reason, and then they end too.
        command.arg("--tied").stdin(Stdio::piped());
        // Ctrl-C is passed on, once: a terminal would send it to all of its group.
        command.process_group(0);
        if i != commits || quiet {
            command.arg("--quiet");
        }
        if i != commits {
            command.stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(failed)?;
        said.push(Said::by(&mut child));
        children.push(child);
    }
    let killed = end_together(&mut children, &interrupt).map_err(failed)?;
    if let Some(signal) = interrupt.signal() {
        children
            .into_iter()
            .try_for_each(|mut child| child.wait().map(drop))
            .map_err(failed)?;
        return Err(Failed::Interrupted(String::new(), signal));
    }
    let mut outcome = Ok(());
    for (i, (mut child, said)) in children.into_iter().zip(said).enumerate() {
        let name = &plan.layout.devices[i].0;
        let status = child.wait().map_err(failed)?;
        if let (Some(died), false) = (died(name, status), killed[i]) {
            return Err(died.into());
        }
        let said = said.text();
        // Those that only lost another have nothing to add to what it said itself.
        let cause = i != commits && !said.is_empty() && !said.contains("error[device-lost]");
        if !status.success() && (outcome.is_ok() || cause) {
            outcome = Err(match status.code() {
                Some(2) => Failed::Wrong(said),
                _ => Failed::Running(said),
            });
        }
    }
    outcome
}

/// Waits for all. When one fails, the others have [`GRACE`] to notice; those that still
/// wait for it then are ended. Gives which are.
fn end_together(children: &mut [Child], interrupt: &Interrupt) -> std::io::Result<Vec<bool>> {
    let mut deadline: Option<Instant> = None;
    let mut passed_on = false;
    loop {
        if interrupt.signal().is_some() && !passed_on {
            passed_on = true;
            children.iter().for_each(pass_on);
        }
        let mut running = false;
        for child in children.iter_mut() {
            match child.try_wait()? {
                None => running = true,
                Some(status) if !status.success() => {
                    deadline.get_or_insert(Instant::now() + GRACE);
                }
                Some(_) => {}
            }
        }
        if !running {
            return Ok(vec![false; children.len()]);
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let kill = |child: &mut Child| {
                let runs = child.try_wait()?.is_none();
                // One that has just ended by itself needs no ending.
                drop(child.kill());
                Ok(runs)
            };
            return children.iter_mut().map(kill).collect();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What to say of a device that a signal has ended: it could not do so itself.
fn died(name: &str, status: ExitStatus) -> Option<Diagnostic> {
    // The first of these a device notices, and ends by itself.
    let noticed = status.code().filter(|code| [130, 143].contains(code));
    let signal = status.signal().or(noticed.map(|code| code - 128))?;
    let known = signal_name(signal);
    let message = format!("device `{name}` was ended by signal {signal}{known}");
    let error = Diagnostic::new("device-died", message);
    Some(match signal {
        9 => error.help("where nobody did that, the system may have been out of memory"),
        _ => error,
    })
}

/// What a signal is called, in brackets and after a space, where that is known.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}
