//! Panics end at the boundary: they become errors.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::{Error, Result};

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `work`; a panic in it becomes an error of code `plugin-panic`.
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    remember_panic_places();
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.unwrap_or_else(|payload| {
        let place = PANIC_PLACE
            .take()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        Err(Error::new(
            "plugin-panic",
            format!("the plugin panicked{place}: {}", words(&*payload)),
        ))
    })
}

/// Within [`guard`], a panic is recorded instead of printed, but for its backtrace.
fn remember_panic_places() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let guarded = GUARDED.with_borrow(|guarded| *guarded);
            if guarded {
                PANIC_PLACE.set(
                    info.location()
                        .map(|at| format!("{}:{}", at.file(), at.line())),
                );
            }
            // Whoever asks for backtraces gets this one too.
            if !guarded || Backtrace::capture().status() == BacktraceStatus::Captured {
                other(info);
            }
        }));
    });
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}
