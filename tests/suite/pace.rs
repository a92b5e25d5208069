//! How far a run has come, and how far it may go: tests wait for an event and hold a run
//! there, however fast or slow anything is.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Project};

/// Waits until `is` gives true.
pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < PATIENCE, "hung: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many commits stand in the journal of `output`: its whole lines behind the first.
pub fn commits(project: &Project, output: &str) -> usize {
    let journal = std::fs::read_to_string(project.path(&format!("{output}.journal")));
    let lines = journal.unwrap_or_default().matches('\n').count();
    lines.saturating_sub(1)
}

/// Whether the journal of `output` says that the run is complete.
pub fn is_done(project: &Project, output: &str) -> bool {
    let journal = std::fs::read_to_string(project.path(&format!("{output}.journal")));
    let journal = journal.unwrap_or_default();
    let last = journal.lines().last().unwrap_or_default();
    journal.ends_with('\n') && last.contains("\"done\":true")
}

/// Starts `segue run graph.toml` with `more`, whose words nobody reads.
pub fn start(project: &Project, more: &[&str]) -> Child {
    let mut command = project.command(&[&["run", "graph.toml", "--quiet"], more].concat());
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

/// Holds every `pass` whose option `leash` is the name of this one's file.
pub struct Leash<'a> {
    project: &'a Project,
    /// The first time that may not pass.
    end: u64,
}

impl<'a> Leash<'a> {
    /// The file that graphs name.
    pub const FILE: &'static str = "leash";

    /// Takes up the leash where it was left, or where nothing may pass.
    pub fn new(project: &'a Project) -> Self {
        let left = std::fs::read_to_string(project.path(Self::FILE));
        let end = left.map_or(0, |end| end.parse().unwrap());
        let mut leash = Leash { project, end };
        leash.pay_out(0);
        leash
    }

    /// Lets so many more times pass.
    pub fn pay_out(&mut self, times: u64) {
        self.end += times;
        // A stage must never see half a number.
        self.project.write("leash.new", self.end.to_string());
        let [new, file] = ["leash.new", Self::FILE].map(|name| self.project.path(name));
        std::fs::rename(new, file).unwrap();
        // Of a run that was killed while it waited here.
        let _ = std::fs::remove_file(self.project.path(&self.mark()));
    }

    /// The file that is there while a stage waits at the end.
    fn mark(&self) -> String {
        format!("{}.{}", Self::FILE, self.end)
    }

    /// Waits until `is` gives true, and lets one more time pass whenever a stage waits for it;
    /// less and less willingly, since what has passed may be on its way to a slow disk.
    pub fn until(&mut self, what: &str, mut is: impl FnMut() -> bool) {
        let mut pause = Duration::from_millis(1);
        let mut next = Instant::now();
        eventually(what, || {
            let reached = is();
            if !reached && Instant::now() > next && self.project.has(&self.mark()) {
                self.pay_out(1);
                pause = (pause * 2).min(Duration::from_secs(1));
                next = Instant::now() + pause;
            }
            reached
        });
    }

    /// The same for a run that must not end before.
    pub fn until_in(&mut self, child: &mut Child, what: &str, is: impl Fn() -> bool) {
        self.until(what, || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() || is(), "it ended before {what}: {ended:?}");
            is()
        });
    }

    /// Lets `times` pass, and waits until a stage waits for the next.
    pub fn walk(&mut self, times: u64) {
        self.pay_out(times);
        eventually("a stage waits", || self.project.has(&self.mark()));
    }

    /// Holds nothing any more.
    pub fn free(self) {
        free(self.project);
    }
}

/// Lets all pass that a leash of `project` holds.
pub fn free(project: &Project) {
    std::fs::remove_file(project.path(Leash::FILE)).unwrap();
}

/// Starts a run, and kills it after `count` more commits to `output`, and at most `further`
/// times on. SIGKILL cannot be caught.
pub fn kill_after(leash: &mut Leash<'_>, output: &str, count: usize, further: u64, more: &[&str]) {
    let project = leash.project;
    let before = commits(project, output);
    let mut child = start(project, more);
    for more in 1..=count {
        let commits = || commits(project, output) >= before + more;
        leash.until_in(&mut child, "it commits", commits);
    }
    leash.pay_out(further);
    // So that kills meet it in other states; nothing depends on it.
    std::thread::sleep(Duration::from_millis(further));
    child.kill().unwrap();
    child.wait().unwrap();
}
