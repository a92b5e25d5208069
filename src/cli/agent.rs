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
use segue::diagnostic::{Diagnostic, Sources};

/// `segue agent`
#[derive(Args)]
pub struct AgentArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// Before another generation, so that a lost device is not asked for in a busy loop.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest pause after crashes, each of which doubles it.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Generations in which nobody was there, after which an agent that has never met another
/// device gives up: the run may have been completed long ago.
const NOBODY_MAX: usize = 10;
/// Crashes in a row, with nothing committed between them, after which an agent gives up.
const CRASHES_MAX: u32 = 5;
/// The same where somebody else, such as the system when it is out of memory, ended it.
const KILLS_MAX: u32 = 30;
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
    let (mut met, mut alone, mut crashes) = (false, 0, Crashes::default());
    for generation in 0_u64.. {
        let mut run = Run::start(generation).map_err(internal)?;
        let ended = run.wait(&signals).map_err(internal)?;
        signals.obey();
        met |= ended == Verdict::Again;
        alone += usize::from(ended == Verdict::Nobody);
        let mut pause = PAUSE;
        match ended {
            Verdict::Done => return Ok(()),
            Verdict::Nobody if !met && alone >= NOBODY_MAX => return Err(nobody()),
            // The generation has said what is wrong.
            Verdict::Failed(2) => return Err(Failed::Wrong(String::new())),
            Verdict::Failed(_) => return Err(Failed::Running(String::new())),
            Verdict::Again => {
                say("the run goes on from the last commit when its devices are there");
            }
            Verdict::Nobody => {}
            Verdict::Ended(status) => {
                let text = how_ended(status);
                pause = crashes.one_more(status, run.begins, &text)?;
                say(format_args!("{text}; it goes on from the last commit"));
            }
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
    fn wait(&mut self, signals: &Signals) -> std::io::Result<Verdict> {
        let mut asked = None;
        let status = loop {
            self.listen();
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if signals.got().is_some() {
                let since = *asked.get_or_insert_with(|| {
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
        // What has become of it after that does not matter.
        match Word::heard(&self.said).any(|word| word == Word::Done) {
            true => Ok(Verdict::Done),
            false => Ok(verdict(status)),
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

fn nobody() -> Failed {
    let message = format!("nobody was there in {NOBODY_MAX} generations");
    let error = Diagnostic::new("missing-devices", message);
    let help = "the run may be complete; if not, start the other agents, then this one again";
    error.help(help).into()
}

/// How often the run has crashed in a row.
#[derive(Default)]
struct Crashes {
    /// Where it had begun.
    begins: Option<u64>,
    count: u32,
}

impl Crashes {
    /// Gives how long to wait before it is tried again.
    ///
    /// # Errors
    /// When it has crashed too often since anything was committed
    fn one_more(
        &mut self,
        status: ExitStatus,
        begins: Option<u64>,
        text: &str,
    ) -> Result<Duration, Failed> {
        // One that never began has made no way either.
        if begins.is_some() && begins != self.begins {
            self.begins = begins;
            self.count = 0;
        }
        self.count += 1;
        let by_others = BY_OTHERS
            .iter()
            .any(|other| ended_by(status) == Some(*other));
        let most = if by_others { KILLS_MAX } else { CRASHES_MAX };
        if self.count < most {
            let doubled = PAUSE * 2_u32.saturating_pow(self.count - 1).min(1 << 10);
            return Ok(if by_others {
                PAUSE
            } else {
                doubled.min(PAUSE_MAX)
            });
        }
        let message = format!(
            "{text}, {} times in a row with nothing committed between",
            self.count
        );
        let error = Diagnostic::new("crashed", message);
        let help =
            "a plugin of this device's stages may be at fault; what it printed last is above";
        Err(error.help(help).into())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    /// The others were there, and may be again.
    Again,
    Nobody,
    /// By a signal, or by a plugin that ended the process.
    Ended(ExitStatus),
    Failed(i32),
}

fn verdict(status: ExitStatus) -> Verdict {
    match status.code() {
        Some(code) if code == i32::from(AGAIN) => Verdict::Again,
        Some(code) if code == i32::from(NOBODY) => Verdict::Nobody,
        // One that is complete says so.
        Some(0) | None => Verdict::Ended(status),
        // By a signal too, which it has noticed.
        Some(code) if BY_OTHERS.iter().any(|signal| code == 128 + signal) => Verdict::Ended(status),
        Some(code) => Verdict::Failed(code),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_count_until_something_is_committed() {
        let crash = ExitStatus::from_raw(11);
        let mut crashes = Crashes::default();
        let mut one = |begins| crashes.one_more(crash, begins, "it crashed");
        for begins in [None, Some(3), Some(3), None, Some(3)] {
            assert!(one(begins).is_ok());
        }
        for _ in 1..CRASHES_MAX {
            assert!(one(Some(4)).is_ok());
        }
        let Err(Failed::Running(text)) = one(None) else {
            panic!("it goes on for ever")
        };
        assert!(
            text.contains("error[crashed]: it crashed, 5 times"),
            "{text}"
        );
    }

    #[test]
    fn pauses_grow_with_crashes_and_not_with_kills() {
        let pauses = |raw| {
            let mut crashes = Crashes::default();
            let mut one = || crashes.one_more(ExitStatus::from_raw(raw), Some(1), "");
            [one(), one(), one()].map(|pause| pause.ok().unwrap().as_millis())
        };
        assert_eq!(pauses(6), [300, 600, 1200]);
        assert_eq!(pauses(9), [300, 300, 300]);
    }
}
