//! `segue agent`: a small supervisor. It runs this device's part of a graph, and when a
//! device is lost, again, as the next generation, from the last commit on.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::interrupt::pass_on;
use super::local::signal_name;
use super::run::RunArgs;
use super::say::say;
use super::words::Word;
use super::{AGAIN, Failed, NOBODY, Outcome};
use segue::deploy::{Ended, Next, Restarts};
use segue::diagnostic::{Diagnostic, Sources};

/// `segue agent`
#[derive(Args)]
pub struct AgentArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Signals that no plugin comes by: SIGHUP, SIGINT, SIGKILL, SIGTERM.
const BY_OTHERS: [i32; 4] = [1, 2, 9, 15];
/// How often it is looked whether the run has ended.
const TICK: Duration = Duration::from_millis(10);
/// How long a run has to end when its agent ends.
const ENDING: Duration = Duration::from_secs(5);

/// Runs generation after generation until one is complete, or fails by itself.
pub fn agent(arguments: &AgentArgs) -> Outcome {
    if arguments.run.device().is_none() {
        let error = Diagnostic::new("missing-device", "an agent needs a cluster and a device");
        let error = error.help("add `--cluster FILE --device NAME`");
        return Err(Failed::Wrong(error.render(&Sources::new())));
    }
    let internal = |e: std::io::Error| {
        Failed::from(Diagnostic::new(
            "internal",
            format!("cannot start a run: {e}"),
        ))
    };
    let signals = Signals::new().map_err(internal)?;
    let mut restarts = Restarts::default();
    for generation in 0_u64.. {
        let mut run = Run::start(generation).map_err(internal)?;
        let status = run.wait(&signals).map_err(internal)?;
        signals.obey();
        let ended = run.ended(status);
        let pause = match restarts.after(&ended) {
            Next::Complete => return Ok(()),
            Next::GiveUp(error) => return Err(error.into()),
            Next::Fail if status.code() == Some(2) => return Err(Failed::Wrong(String::new())),
            Next::Fail => return Err(Failed::Running(String::new())),
            Next::Again(pause) => pause,
        };
        match ended {
            Ended::Lost => {
                say("the run goes on from the last commit when its devices are there");
            }
            Ended::Crashed { text, .. } => {
                say(format_args!("{text}; it goes on from the last commit"));
            }
            Ended::Done | Ended::Nobody | Ended::Failed => {}
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            signals.obey();
            std::thread::sleep(TICK);
        }
    }
    Ok(())
}

/// The signals that are to end an agent, and with it its run.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let got = Arc::<AtomicUsize>::default();
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&got), number)?;
        }
        Ok(Signals(got))
    }

    fn got(&self) -> Option<i32> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }

    /// Ends this process as the signal would have, if there was one.
    fn obey(&self) {
        if let Some(signal) = self.got() {
            // For one that ends no process this does nothing.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
}

/// One generation: this command as `run`, resuming.
struct Run {
    child: Child,
    /// The other end of its stdin: it ends when this closes, whatever the reason, and what
    /// it says comes back here.
    socket: Option<UnixStream>,
    said: Vec<u8>,
    /// The time at which it has begun, if it has.
    begins: Option<u64>,
}

impl Run {
    fn start(generation: u64) -> std::io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let arguments = std::env::args_os().skip(1);
        let rest = arguments.skip_while(|argument| argument != "agent").skip(1);
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .args(rest.filter(|argument| argument != "--resume"))
            .arg("--resume")
            .arg(format!("--generation={generation}"))
            .arg("--tied")
            .stdin(OwnedFd::from(theirs))
            .process_group(0)
            .spawn()?;
        Ok(Run {
            child,
            socket: Some(socket),
            said: Vec::new(),
            begins: None,
        })
    }

    /// Until it has ended, which it also does when this process is to end.
    fn wait(&mut self, signals: &Signals) -> std::io::Result<ExitStatus> {
        let mut since = None;
        let status = loop {
            self.listen();
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if signals.got().is_some() {
                let since = *since.get_or_insert_with(|| {
                    // It is in a group of its own, where no terminal asks it too.
                    pass_on(&self.child);
                    Instant::now()
                });
                match since.elapsed() {
                    elapsed if elapsed < ENDING => {}
                    // Then it ends whatever it does.
                    elapsed if elapsed < ENDING * 2 => self.socket = None,
                    _ => self.child.kill()?,
                }
            }
            std::thread::sleep(TICK);
        };
        self.listen();
        Ok(status)
    }

    /// What it has come to, with `status`.
    fn ended(&self, status: ExitStatus) -> Ended {
        // What has become of it after that does not matter.
        if Word::heard(&self.said).any(|word| word == Word::Done) {
            return Ended::Done;
        }
        let by_others = |signal: i32| BY_OTHERS.contains(&signal);
        match status.code() {
            Some(code) if code == i32::from(AGAIN) => Ended::Lost,
            Some(code) if code == i32::from(NOBODY) => Ended::Nobody,
            // One that is complete says so; a signal by which it ends it may have noticed.
            Some(code) if code != 0 && !by_others(code - 128) => Ended::Failed,
            _ => Ended::Crashed {
                begins: self.begins,
                by_others: ended_by(status).is_some_and(by_others),
                text: how_ended(status),
            },
        }
    }

    /// Takes what it has said so far.
    fn listen(&mut self) {
        let mut buffer = [0; 256];
        while let Some(socket) = &mut self.socket {
            match socket.read(&mut buffer) {
                Ok(count) if count > 0 => self.said.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        let times = Word::heard(&self.said).filter_map(|word| match word {
            Word::Begins(time) => Some(time),
            Word::Done => None,
        });
        self.begins = times.last();
    }
}

/// The signal that has ended it, whether or not it has noticed.
fn ended_by(status: ExitStatus) -> Option<i32> {
    let noticed = status.code().filter(|code| *code > 128);
    status.signal().or(noticed.map(|code| code - 128))
}

fn how_ended(status: ExitStatus) -> String {
    match ended_by(status) {
        Some(signal) => {
            let name = signal_name(signal);
            format!("the run on this device was ended by signal {signal}{name}")
        }
        None => "the run on this device ended before it was complete".to_owned(),
    }
}
