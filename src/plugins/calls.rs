//! Which thread is in which plugin's call, so that a call that crashes, ends the program
//! or never comes back can be named.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Threads that may be in a call at once; what is beyond is not named.
const SLOTS: usize = 512;
/// Seconds after which a call is first said to be slow; 0 for never.
const PATIENCE_VARIABLE: &str = "SEGUE_SLOW_SECONDS";
/// The same where the variable is not set.
const PATIENCE_SECONDS: u64 = 10;

/// Whose call it is. It lives as long as the process, as a signal may ask at any time.
#[derive(Clone, Copy)]
pub struct Label(&'static Names);

/// The stage, or the operator where there is no stage yet, and its library's path.
pub struct Names {
    pub stage: String,
    pub library: String,
}

impl Label {
    /// The stage or operator `stage` of the library at `library`.
    pub fn new(stage: &str, library: &Path) -> Self {
        static KNOWN: Mutex<Vec<&'static Names>> = Mutex::new(Vec::new());
        let library = library.to_string_lossy();
        // A thread that panicked while it held the lock left whole values.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |names: &&&Names| names.stage == stage && names.library == library;
        if let Some(names) = known.iter().find(same) {
            return Label(names);
        }
        let names: &'static Names = Box::leak(Box::new(Names {
            stage: stage.to_owned(),
            library: library.into_owned(),
        }));
        known.push(names);
        Label(names)
    }
}

/// What a plugin is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Say what operators there are, or what one reads, writes or is made of.
    Describe,
    /// Make a stage.
    Start,
    /// Process the batch of a time.
    Batch(u64),
    /// End a time.
    Flush(u64),
    /// End.
    Finish,
    /// Drop a stage.
    Drop,
    /// Give its state.
    Snapshot,
}

impl Work {
    fn number(self) -> (u8, u64) {
        match self {
            Work::Describe => (0, 0),
            Work::Start => (1, 0),
            Work::Batch(time) => (2, time),
            Work::Flush(time) => (3, time),
            Work::Finish => (4, 0),
            Work::Drop => (5, 0),
            Work::Snapshot => (6, 0),
        }
    }

    fn of(kind: u8, time: u64) -> Self {
        match kind {
            0 => Work::Describe,
            1 => Work::Start,
            2 => Work::Batch(time),
            3 => Work::Flush(time),
            4 => Work::Finish,
            5 => Work::Drop,
            _ => Work::Snapshot,
        }
    }

    /// As words after a verb, and the time that follows them. Nothing is allocated.
    pub fn words(self) -> (&'static str, Option<u64>) {
        match self {
            Work::Describe => ("as it was asked about its columns", None),
            Work::Start => ("as it was started", None),
            Work::Batch(time) => ("on batch ", Some(time)),
            Work::Flush(time) => ("at the end of batch ", Some(time)),
            Work::Finish => ("at the end of its input", None),
            Work::Drop => ("as it was dropped", None),
            Work::Snapshot => ("as it was asked for its state", None),
        }
    }
}

/// A place for one thread's call.
struct Slot {
    names: AtomicPtr<Names>,
    kind: AtomicU8,
    time: AtomicU64,
    /// Since the process's first call, plus one, so that 0 is "not begun".
    since_ms: AtomicU64,
    /// How long the call had taken when that was last said.
    said_ms: AtomicU64,
}

static CALLS: [Slot; SLOTS] = [const {
    Slot {
        names: AtomicPtr::new(std::ptr::null_mut()),
        kind: AtomicU8::new(0),
        time: AtomicU64::new(0),
        since_ms: AtomicU64::new(0),
        said_ms: AtomicU64::new(0),
    }
}; SLOTS];

thread_local! {
    /// The slot of this thread's call. Neither made nor dropped at run time: a signal
    /// handler reads it.
    static MINE: Cell<usize> = const { Cell::new(SLOTS) };
}

/// A call that is under way, until it is dropped.
pub struct Call {
    slot: usize,
    outer: usize,
}

impl Call {
    /// This thread calls into a plugin.
    pub fn begin(label: &Label, work: Work) -> Self {
        let names = std::ptr::from_ref(label.0).cast_mut();
        let null = std::ptr::null_mut();
        let free = |slot: &Slot| {
            let claimed =
                (slot.names).compare_exchange(null, names, Ordering::AcqRel, Ordering::Relaxed);
            claimed.is_ok()
        };
        let slot = CALLS.iter().position(free).unwrap_or(SLOTS);
        if let Some(mine) = CALLS.get(slot) {
            let (kind, time) = work.number();
            mine.kind.store(kind, Ordering::Relaxed);
            mine.time.store(time, Ordering::Relaxed);
            mine.said_ms.store(0, Ordering::Relaxed);
            mine.since_ms.store(now_ms(), Ordering::Release);
        }
        Call {
            slot,
            outer: MINE.replace(slot),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        MINE.set(self.outer);
        if let Some(mine) = CALLS.get(self.slot) {
            mine.since_ms.store(0, Ordering::Relaxed);
            mine.names.store(std::ptr::null_mut(), Ordering::Release);
        }
    }
}

fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}

/// What a slot says, if a call is under way there.
fn read(slot: &Slot) -> Option<(&'static Names, Work)> {
    // SAFETY: what is stored there is never freed.
    let names = unsafe { slot.names.load(Ordering::Acquire).as_ref() }?;
    let time = slot.time.load(Ordering::Relaxed);
    Some((names, Work::of(slot.kind.load(Ordering::Relaxed), time)))
}

/// This thread's call. Safe in a signal handler.
pub fn mine() -> Option<(&'static Names, Work)> {
    read(CALLS.get(MINE.get())?)
}

/// The calls of all threads. Safe in a signal handler.
pub fn all() -> impl Iterator<Item = (&'static Names, Work)> {
    CALLS.iter().filter_map(read)
}

/// Has `say` told, on a thread of its own, which calls take longer than
/// `SEGUE_SLOW_SECONDS` (10 where it is not set, 0 for never), and again each time that
/// twice as much has gone by.
pub fn watch(say: impl Fn(String) + Send + 'static) {
    let seconds = std::env::var(PATIENCE_VARIABLE).ok();
    let seconds = seconds.and_then(|text| text.trim().parse().ok());
    let patience_ms = seconds.unwrap_or(PATIENCE_SECONDS).saturating_mul(1000);
    if patience_ms == 0 {
        return;
    }
    let pause = Duration::from_millis((patience_ms / 4).clamp(50, 1000));
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(pause);
            slow(now_ms(), patience_ms).for_each(&say);
        }
    });
}

/// A line for each call that is to be told of at `now_ms`.
fn slow(now_ms: u64, patience_ms: u64) -> impl Iterator<Item = String> {
    CALLS.iter().filter_map(move |slot| {
        let since_ms = slot.since_ms.load(Ordering::Acquire);
        let (names, work) = read(slot)?;
        let took_ms = now_ms.saturating_sub(since_ms);
        let next_ms = (slot.said_ms.load(Ordering::Relaxed) * 2).max(patience_ms);
        if since_ms == 0 || took_ms < next_ms {
            return None;
        }
        slot.said_ms.store(took_ms, Ordering::Relaxed);
        let did = match work {
            Work::Describe => "has been asked about its columns".to_owned(),
            Work::Start => "has been starting".to_owned(),
            Work::Batch(time) => format!("has worked on batch {time}"),
            Work::Flush(time) => format!("has worked on the end of batch {time}"),
            Work::Finish => "has worked on the end of its input".to_owned(),
            Work::Drop => "has been ending".to_owned(),
            Work::Snapshot => "has been giving its state".to_owned(),
        };
        let seconds = took_ms / 1000;
        Some(format!("`{}` {did} for {seconds} s", names.stage))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the stage `name` at `now_ms`.
    fn said(name: &str, now_ms: u64) -> Vec<String> {
        let ours = format!("`{name}` ");
        slow(now_ms, 10_000)
            .filter(|line| line.starts_with(&ours))
            .collect()
    }

    #[test]
    fn a_slow_call_is_told_of_now_and_then_until_it_ends() {
        let label = Label::new("slow", Path::new("lib.so"));
        let call = Call::begin(&label, Work::Batch(7));
        let begun = now_ms();
        assert!(said("slow", begun + 9_000).is_empty());
        let line = said("slow", begun + 10_500);
        assert_eq!(line, ["`slow` has worked on batch 7 for 10 s"]);
        assert!(said("slow", begun + 20_000).is_empty());
        assert_eq!(said("slow", begun + 25_000).len(), 1);
        drop(call);
        assert!(said("slow", begun + 90_000).is_empty());
        assert!(mine().is_none());
    }

    #[test]
    fn a_call_within_a_call_gives_the_outer_one_back() {
        let label = Label::new("outer", Path::new("lib.so"));
        let _outer = Call::begin(&label, Work::Start);
        drop(Call::begin(
            &Label::new("inner", Path::new("lib.so")),
            Work::Drop,
        ));
        let (names, work) = mine().unwrap();
        assert_eq!((names.stage.as_str(), work), ("outer", Work::Start));
    }
}
