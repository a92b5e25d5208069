//! What a plugin answers during one call.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use segue_plugin::ffi::{Reply, Text};

use crate::diagnostic::Diagnostic;

/// Bytes of a text; a longer one is a length that was never set.
const TEXT_MAX: usize = 1 << 30;

/// What a plugin answered during one call.
#[derive(Default)]
pub struct Answer<'a> {
    pub text: String,
    pub batches: Vec<(FFI_ArrowArray, FFI_ArrowSchema)>,
    pub saved: bool,
    pub done: bool,
    pub state: Option<Vec<u8>>,
    failure: Option<Diagnostic>,
    show: Option<&'a Show>,
}

/// Where lines on a stage's progress go.
pub type Show = dyn Fn(String);

/// The text, or a note in its place.
///
/// # Safety
/// As for [`Text::read`]
unsafe fn read(text: Text) -> String {
    if text.length > TEXT_MAX {
        return format!("(a text of {} bytes)", text.length);
    }
    // SAFETY: the caller vouches for it.
    unsafe { text.read() }
}

unsafe extern "C" fn take_text(host: *mut c_void, text: Text) {
    // SAFETY: `host` is the `Answer` of the call that is under way.
    unsafe { (*host.cast::<Answer>()).text = read(text) };
}

unsafe extern "C" fn take_batch(
    host: *mut c_void,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
) {
    // SAFETY: as in `take_text`; the structs are moved out and left released.
    unsafe {
        if array.is_null() || schema.is_null() || !array.is_aligned() || !schema.is_aligned() {
            let message = "it gave a batch whose array or schema is not a pointer to a struct";
            let failure = &mut (*host.cast::<Answer>()).failure;
            failure.get_or_insert_with(|| Diagnostic::new("bad-batch", message));
            return;
        }
        let moved = (
            FFI_ArrowArray::from_raw(array),
            FFI_ArrowSchema::from_raw(schema),
        );
        (*host.cast::<Answer>()).batches.push(moved);
    }
}

unsafe extern "C" fn take_failure(host: *mut c_void, code: Text, message: Text, option: Text) {
    // SAFETY: as in `take_text`.
    unsafe {
        let option = Some(read(option)).filter(|name| !name.is_empty());
        let failure = segue_plugin::Error {
            code: read(code),
            message: read(message),
            option,
        };
        (*host.cast::<Answer>()).failure = Some(failure.into());
    }
}

unsafe extern "C" fn take_progress(host: *mut c_void, line: Text) {
    // SAFETY: as in `take_text`.
    unsafe {
        if let Some(show) = (*host.cast::<Answer>()).show {
            show(read(line));
        }
    }
}

unsafe extern "C" fn take_saved(host: *mut c_void) {
    // SAFETY: as in `take_text`.
    unsafe { (*host.cast::<Answer>()).saved = true };
}

unsafe extern "C" fn take_done(host: *mut c_void) {
    // SAFETY: as in `take_text`.
    unsafe { (*host.cast::<Answer>()).done = true };
}

unsafe extern "C" fn take_state(host: *mut c_void, state: *const u8, length: usize) {
    // SAFETY: as in `take_text`; the plugin gives as many bytes as it says.
    unsafe {
        let answer = &mut *host.cast::<Answer>();
        if state.is_null() && length > 0 {
            let message = "it gave a state that is not a pointer to bytes";
            (answer.failure).get_or_insert_with(|| Diagnostic::new("no-state", message));
            return;
        }
        let bytes = match length {
            0 => &[],
            _ => std::slice::from_raw_parts(state, length),
        };
        answer.state = Some(bytes.to_vec());
    }
}

/// Makes one call and collects its answer.
pub fn ask(call: impl FnOnce(*const Reply) -> i32) -> Result<Answer<'static>, Diagnostic> {
    ask_and_show(None, call)
}

/// As [`ask`], with a place for lines of progress.
pub fn ask_and_show(
    show: Option<&Show>,
    call: impl FnOnce(*const Reply) -> i32,
) -> Result<Answer<'_>, Diagnostic> {
    let mut answer = Answer {
        show,
        ..Answer::default()
    };
    let reply = Reply {
        host: (&raw mut answer).cast(),
        text: take_text,
        batch: take_batch,
        fail: take_failure,
        progress: take_progress,
        saved: take_saved,
        state: take_state,
        done: take_done,
    };
    let status = call(&reply);
    match (status, answer.failure.take()) {
        (0, None) => Ok(answer),
        (_, Some(failure)) => Err(failure),
        (status, None) => Err(Diagnostic::new(
            "plugin-error",
            format!("the plugin failed with status {status} and no reason"),
        )),
    }
}
