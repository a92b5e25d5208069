//! Probing: a child process loads a library first, so that a bad one takes only the
//! child down.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use segue_plugin::Manifest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::examples::{self, Broken};
use super::library::load;
use crate::diagnostic::Diagnostic;

/// The hidden subcommand that probes a library.
pub const PROBE_COMMAND: &str = "__probe";
/// The longest that loading a library and asking it anything may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a child that says nothing is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the line of a child's answer begins with: a plugin may print what it likes.
const ANSWER: &str = "\u{1e}segue ";
/// Bytes of an answer.
const ANSWER_MAX: u64 = 64 << 20;

/// What a child answers.
#[derive(Serialize, Deserialize)]
enum Answer<T> {
    Right(T),
    Wrong {
        code: String,
        message: String,
        help: Option<String>,
    },
}

impl<T> From<Result<T, Diagnostic>> for Answer<T> {
    fn from(result: Result<T, Diagnostic>) -> Self {
        match result {
            Ok(answer) => Answer::Right(answer),
            Err(error) => Answer::Wrong {
                code: error.code,
                message: error.message,
                help: error.help,
            },
        }
    }
}

impl<T> From<Answer<T>> for Result<T, Diagnostic> {
    fn from(answer: Answer<T>) -> Self {
        match answer {
            Answer::Right(answer) => Ok(answer),
            Answer::Wrong {
                code,
                message,
                help,
            } => Err(Diagnostic::new(code, message).help_some(help)),
        }
    }
}

/// The probing child's whole work: loads `path`, and gives its manifest or, with the
/// name of an operator, which of its examples do not hold. The text is to be printed.
pub fn probe_here(path: &Path, operator: Option<&OsStr>) -> String {
    let json = match operator {
        None => serde_json::to_string(&Answer::from(manifest_here(path))),
        Some(name) => {
            serde_json::to_string(&Answer::from(examples_here(path, &name.to_string_lossy())))
        }
    };
    format!("\n{ANSWER}{}\n", json.unwrap_or_default())
}

fn manifest_here(path: &Path) -> Result<Manifest, Diagnostic> {
    let manifest = load(path)?.manifest();
    manifest.map_err(|e| Diagnostic::new(e.code, format!("`{}`: {}", path.display(), e.message)))
}

fn examples_here(path: &Path, operator: &str) -> Result<Vec<Broken>, Diagnostic> {
    let library = load(path)?;
    let manifest = library.manifest()?;
    let found = manifest.operators.iter().find(|one| one.name == operator);
    Ok(found.map_or(Vec::new(), |found| examples::broken(library, found)))
}

/// The manifest of the library at `path`.
///
/// # Errors
/// `bad-plugin`, `plugin-abi`
pub fn probe(path: &Path) -> Result<Manifest, Diagnostic> {
    match segue_binary() {
        Some(binary) => ask(&binary, path, None, "while it was probed"),
        // Within a program that only links this crate there is no child to ask.
        None => manifest_here(path),
    }
}

/// Which examples of the operator `name` in the library at `path` do not hold.
///
/// # Errors
/// `bad-plugin` when it crashes or hangs
pub fn broken_examples(path: &Path, name: &str) -> Result<Vec<Broken>, Diagnostic> {
    match segue_binary() {
        Some(binary) => {
            let when = format!("while the examples of `{name}` ran");
            ask(&binary, path, Some(name), &when)
        }
        None => examples_here(path, name),
    }
}

fn crashed(path: &Path, how: &str, when: &str) -> Diagnostic {
    Diagnostic::new("bad-plugin", format!("`{}` {how} {when}", path.display()))
}

fn ask<T: DeserializeOwned>(
    binary: &Path,
    path: &Path,
    operator: Option<&str>,
    when: &str,
) -> Result<T, Diagnostic> {
    let text = answer(binary, path, operator, when)?;
    let unclear = || crashed(path, "gave an answer that is not one", when);
    let answer: Answer<T> = serde_json::from_str(&text).map_err(|_| unclear())?;
    answer.into()
}

fn answer(
    binary: &Path,
    path: &Path,
    operator: Option<&str>,
    when: &str,
) -> Result<String, Diagnostic> {
    let failed =
        |e: std::io::Error| Diagnostic::new("bad-plugin", format!("cannot probe a plugin: {e}"));
    let mut command = Command::new(binary);
    command.arg(PROBE_COMMAND).arg(path).args(operator);
    own_group(&mut command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let answer = child.stdout.take().map(listen);
    let deadline = Instant::now() + PROBE_TIMEOUT;
    let mut text = None;
    loop {
        // What a plugin forked may hold the pipe open for ever, so its end says nothing.
        let heard = answer.as_ref().filter(|_| text.is_none());
        match heard.map(|answer| answer.recv_timeout(LOOK_EVERY)) {
            Some(Ok(line)) => text = Some(line),
            Some(Err(RecvTimeoutError::Timeout)) => {}
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        match child.try_wait().map_err(failed)? {
            Some(status) if !status.success() => {
                let how = match status.code() {
                    Some(_) => "ended the program",
                    None => "died",
                };
                return Err(crashed(path, &format!("{how} ({status})"), when));
            }
            Some(_) => {
                // All it printed is in the pipe.
                let last = || answer.as_ref()?.recv_timeout(Duration::from_secs(1)).ok();
                let text = text.or_else(last);
                return text.ok_or_else(|| crashed(path, "ended the program", when));
            }
            None if Instant::now() > deadline => {
                end(&mut child);
                return Err(crashed(path, "hung", when));
            }
            None => {}
        }
    }
}

/// The answer, as soon as its line is whole.
fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout.take(ANSWER_MAX));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if let Some(answer) = line.strip_prefix(ANSWER.as_bytes()) {
                // Whoever asked may have given up.
                let _ = sender.send(String::from_utf8_lossy(answer).into_owned());
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// So that what the library starts can be ended with the child.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Ends the child, which has not been waited for, and what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    // SAFETY: a signal to the group that the child leads, which it does until it is
    // waited for.
    unsafe {
        libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL);
    }
    // Already gone is as good.
    let _ = child.kill();
    let _ = child.wait();
}

/// This program, if it is `segue`; else the `segue` built beside it.
fn segue_binary() -> Option<PathBuf> {
    let name = format!("segue{}", std::env::consts::EXE_SUFFIX);
    let current = std::env::current_exe().ok()?;
    let folder = current.parent()?;
    let beside = [
        current.clone(),
        folder.join(&name),
        folder.parent()?.join(&name),
    ];
    beside
        .into_iter()
        .find(|path| path.file_name().is_some_and(|n| n == name.as_str()) && path.is_file())
}
