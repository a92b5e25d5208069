//! What a child process says on stderr, taken while it runs: a pipe that nobody empties
//! holds up whoever writes to it.

use std::collections::VecDeque;
use std::io::Read;
use std::process::{Child, ChildStderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// As much of the end is kept: why it failed is said last.
const KEPT_BYTES: usize = 1 << 16;
/// How long a pipe is waited for that another process holds open.
const PATIENCE: Duration = Duration::from_secs(1);

/// The end of what a child says.
pub struct Said {
    kept: Arc<Mutex<VecDeque<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Said {
    /// Takes what `child` says from now on, if its stderr is a pipe.
    pub fn by(child: &mut Child) -> Self {
        let kept = Arc::<Mutex<VecDeque<u8>>>::default();
        let into = Arc::clone(&kept);
        let thread = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || take(pipe, &into)));
        Said { kept, thread }
    }

    /// All that is kept, once the child has ended.
    pub fn text(self) -> String {
        let until = Instant::now() + PATIENCE;
        let open = || {
            self.thread
                .as_ref()
                .is_some_and(|thread| !thread.is_finished())
        };
        while open() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn take(mut pipe: ChildStderr, into: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 1 << 13];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&buffer[..count]);
        let beyond = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..beyond);
    }
}
