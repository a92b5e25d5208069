//! The last words of a process that a plugin takes down.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::calls::{Work, all, mine};

/// Set once the last words are said, or must not be.
static SILENT: AtomicBool = AtomicBool::new(false);
/// The process that [`report_crashes`] was called in; a child that a plugin forks has
/// its own ways to end.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// From now on a fatal signal is named with the stage and batch it hit, before it does
/// what it did before; and a plugin that ends the program makes it fail.
pub fn report_crashes() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    unix::install();
}

/// Ends the program, whatever the plugins are at.
pub fn leave(code: i32) -> ! {
    SILENT.store(true, Ordering::Relaxed);
    std::process::exit(code)
}

fn silent() -> bool {
    PROCESS.load(Ordering::Relaxed) != std::process::id() || SILENT.swap(true, Ordering::Relaxed)
}

/// Text of a fixed size, built without memory: a signal handler may not ask for any.
struct Words {
    bytes: [u8; 1024],
    length: usize,
}

impl Words {
    fn new() -> Self {
        Words {
            bytes: [0; 1024],
            length: 0,
        }
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut left = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.text(std::str::from_utf8(&digits[at..]).unwrap_or_default())
    }

    fn work(&mut self, work: Work) -> &mut Self {
        let (words, time) = work.words();
        self.text(words);
        if let Some(time) = time {
            self.number(time);
        }
        self
    }

    /// `error[plugin-crash]: ...`, for what this thread or all of them are at.
    fn crash(&mut self, signal: &str) -> &mut Self {
        if let Some((names, work)) = mine() {
            self.text("\nerror[plugin-crash]: `").text(&names.stage);
            self.text("` crashed with ").text(signal).text(" ");
            self.work(work).text("\nhelp: it ran in the plugin ");
            return self.text(&names.library).text("\n");
        }
        let mut calls = all().peekable();
        if calls.peek().is_none() {
            self.text("\nerror[crash]: segue crashed with ")
                .text(signal);
            return self.text(", not in a plugin's call\n");
        }
        self.text("\nerror[plugin-crash]: ").text(signal);
        self.text(" on a thread that is not a stage's, while there was at work:\n");
        for (names, work) in calls {
            self.text("  `").text(&names.stage).text("` ");
            self.work(work).text("\n");
        }
        self
    }

    fn exit(&mut self) -> &mut Self {
        match mine().or_else(|| all().next()) {
            Some((names, work)) => {
                self.text("\nerror[plugin-exit]: `").text(&names.stage);
                self.text("` ended the program ").work(work);
                self.text("\nhelp: a plugin must return an error instead; it ran in the plugin ");
                self.text(&names.library).text("\n")
            }
            None => self,
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::cell::UnsafeCell;
    use std::ffi::{c_int, c_void};
    use std::mem::MaybeUninit;

    use super::{Words, silent};
    use crate::plugins::calls::all;

    const FATAL: [(c_int, &str); 7] = [
        (libc::SIGSEGV, "SIGSEGV, a bad memory access"),
        (libc::SIGBUS, "SIGBUS, a bad memory access"),
        (
            libc::SIGILL,
            "SIGILL, an instruction that this processor lacks",
        ),
        (libc::SIGFPE, "SIGFPE, such as a division by zero"),
        (libc::SIGABRT, "SIGABRT, it called abort"),
        (libc::SIGSYS, "SIGSYS, a system call that is not allowed"),
        (libc::SIGTRAP, "SIGTRAP, a trap"),
    ];

    /// What each signal did before.
    struct Before(UnsafeCell<[MaybeUninit<libc::sigaction>; FATAL.len()]>);

    // SAFETY: written once, by `install`, before any handler can read it.
    unsafe impl Sync for Before {}

    static BEFORE: Before = Before(UnsafeCell::new(
        [const { MaybeUninit::uninit() }; FATAL.len()],
    ));

    pub fn install() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            for (i, (signal, _)) in FATAL.iter().enumerate() {
                // SAFETY: the action is whole, and the place for the one before is ours.
                unsafe {
                    let mut action: libc::sigaction = std::mem::zeroed();
                    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fatal;
                    action.sa_sigaction = handler as libc::sighandler_t;
                    // On the stack for signals, since a plugin may have used up its own.
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                    libc::sigemptyset(&mut action.sa_mask);
                    let before = (*BEFORE.0.get())[i].as_mut_ptr();
                    libc::sigaction(*signal, std::ptr::null(), before);
                    libc::sigaction(*signal, &action, std::ptr::null_mut());
                }
            }
            // SAFETY: the functions live as long as the program. Without them an exit of a
            // plugin is not noticed, which is no reason not to run.
            let _ = unsafe { libc::atexit(on_exit) };
            #[cfg(all(target_os = "linux", target_env = "gnu"))]
            super::at_once::install();
        });
    }

    /// Says what it hit, then lets the signal do its work: a fault comes again, to the
    /// handler before this one, as the instruction is run again; what was sent is sent
    /// again, and ends the process.
    extern "C" fn on_fatal(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        let known = FATAL.iter().position(|(known, _)| *known == signal);
        let Some(i) = known else { return };
        if !silent() {
            say(Words::new().crash(FATAL[i].1));
        }
        // SAFETY: only functions that a signal handler may call; `install` has filled the
        // place, and `info` is the kernel's.
        unsafe {
            if !info.is_null() && (*info).si_code > 0 {
                libc::sigaction(signal, (*BEFORE.0.get())[i].as_ptr(), std::ptr::null_mut());
            } else {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
    }

    /// Within a plugin's call the program was not to end.
    pub extern "C" fn on_exit() {
        if told_of_an_exit() {
            // SAFETY: ends the process, without the handlers that were there before.
            unsafe { libc::_exit(1) };
        }
    }

    /// Says, if a plugin's call is under way, that it ends the program; whether it did.
    pub fn told_of_an_exit() -> bool {
        if all().next().is_none() || silent() {
            return false;
        }
        say(Words::new().exit());
        true
    }

    fn say(words: &Words) {
        // SAFETY: the bytes are there. With stderr gone there is nobody to tell.
        unsafe { libc::write(2, words.bytes.as_ptr().cast(), words.length) };
    }
}

/// The ways to end a process that ask no handler: `_exit`, `_Exit`, and `quick_exit`, which
/// asks its own.
///
/// A library that is loaded later is bound to the program's functions before those of the C
/// library, and the linker exports what the C library has too. The C library itself does not
/// come by here, so `exit` ends as it always does.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod at_once {
    use std::ffi::c_int;

    use super::unix::{on_exit, told_of_an_exit};

    // SAFETY: as the C library declares it.
    unsafe extern "C" {
        fn at_quick_exit(handler: extern "C" fn()) -> c_int;
    }

    pub fn install() {
        // SAFETY: the function lives as long as the program.
        let _ = unsafe { at_quick_exit(on_exit) };
    }

    // SAFETY: it does what the C library's does, but for the code that a plugin's exit gets.
    #[unsafe(no_mangle)]
    extern "C" fn _exit(code: c_int) -> ! {
        end(if told_of_an_exit() { 1 } else { code })
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    extern "C" fn _Exit(code: c_int) -> ! {
        _exit(code)
    }

    fn end(code: c_int) -> ! {
        loop {
            // SAFETY: the call takes a number, and ends all threads.
            unsafe { libc::syscall(libc::SYS_exit_group, code) };
        }
    }
}

#[cfg(not(unix))]
mod unix {
    pub fn install() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::calls::{Call, Label};

    fn text(words: &Words) -> &str {
        std::str::from_utf8(&words.bytes[..words.length]).unwrap()
    }

    #[test]
    fn last_words_name_stage_and_batch() {
        let label = Label::new("encoder/1", "lib.so".as_ref());
        let _call = Call::begin(&label, Work::Batch(1205));
        let mut words = Words::new();
        let expected = "\nerror[plugin-crash]: `encoder/1` crashed with SIGSEGV on batch 1205\n\
                        help: it ran in the plugin lib.so\n";
        assert_eq!(text(words.crash("SIGSEGV")), expected);
    }

    #[test]
    fn words_that_do_not_fit_are_cut() {
        let mut words = Words::new();
        words.text(&"x".repeat(1020)).number(u64::MAX);
        assert!(text(&words).ends_with("xx1844"));
    }
}
