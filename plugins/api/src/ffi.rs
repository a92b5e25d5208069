//! The ABI of `segue.h`, from the Rust side. Plugins use [`export!`](crate::export).

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};

use crate::{Batch, Column, Context, Error, Host, Manifest, Next, OperatorManifest, Result, Stage};
use crate::{export_batch, import_batch};

/// `SEGUE_MAGIC`
pub const MAGIC: u64 = 0x5345_4755_4550_4c47;
/// `SEGUE_ABI_MAJOR`
pub const ABI_MAJOR: u32 = 1;
/// `SEGUE_ABI_MINOR`
pub const ABI_MINOR: u32 = 2;
/// The one symbol a plugin exports.
pub const SYMBOL: &str = "segue_plugin_table";

/// `segue_text`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    /// UTF-8, not zero-ended.
    pub data: *const u8,
    /// In bytes.
    pub length: usize,
}

impl Text {
    /// Borrows `text`, for the length of one call.
    pub fn new(text: &str) -> Self {
        Text {
            data: text.as_ptr(),
            length: text.len(),
        }
    }

    /// The text, with anything that is not UTF-8 replaced.
    ///
    /// # Safety
    /// `data` must point to `length` readable bytes, or `length` be 0.
    pub unsafe fn read(self) -> String {
        if self.length == 0 || self.data.is_null() {
            return String::new();
        }
        // SAFETY: the caller vouches for it.
        let bytes = unsafe { std::slice::from_raw_parts(self.data, self.length) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// `segue_reply`
#[repr(C)]
pub struct Reply {
    /// First argument of each function.
    pub host: *mut c_void,
    /// Takes a JSON answer.
    pub text: unsafe extern "C" fn(*mut c_void, Text),
    /// Takes a batch, and ownership of it.
    pub batch: unsafe extern "C" fn(*mut c_void, *mut FFI_ArrowArray, *mut FFI_ArrowSchema),
    /// Takes code, message and option.
    pub fail: unsafe extern "C" fn(*mut c_void, Text, Text, Text),
    /// Shows a line on how far a job is.
    pub progress: unsafe extern "C" fn(*mut c_void, Text),
    /// Hears that what the stage was given survives a crash.
    pub saved: unsafe extern "C" fn(*mut c_void),
    /// Takes a copy of the stage's state. Since 1.2.
    pub state: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    /// Hears that the stage needs no more input. Since 1.2.
    pub done: unsafe extern "C" fn(*mut c_void),
}

/// `segue_origin`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The batch's time.
    pub time: u64,
    /// The input port.
    pub port: u32,
    /// Which part of its time it is.
    pub part: u32,
}

/// `manifest`
pub type ManifestFn = unsafe extern "C" fn(*const Reply) -> i32;
/// `columns`
pub type ColumnsFn = unsafe extern "C" fn(Text, Text, Text, *const Reply) -> i32;
/// `units`
pub type UnitsFn = unsafe extern "C" fn(Text, Text, *const Reply) -> i32;
/// `create`
pub type CreateFn = unsafe extern "C" fn(Text, Text, Text, *const Reply, *mut *mut c_void) -> i32;
/// `process`
pub type ProcessFn = unsafe extern "C" fn(
    *mut c_void,
    u64,
    *mut FFI_ArrowArray,
    *mut FFI_ArrowSchema,
    *const Reply,
) -> i32;
/// `flush`
pub type FlushFn = unsafe extern "C" fn(*mut c_void, u64, *const Reply) -> i32;
/// `drop`
pub type DropFn = unsafe extern "C" fn(*mut c_void);
/// `finish`
pub type FinishFn = unsafe extern "C" fn(*mut c_void, *const Reply, *mut i32) -> i32;
/// `snapshot`
pub type SnapshotFn = unsafe extern "C" fn(*mut c_void, *const Reply) -> i32;
/// `restore`
pub type RestoreFn = unsafe extern "C" fn(*mut c_void, *const u8, usize, *const Reply) -> i32;

/// `process_from`
pub type ProcessFromFn = unsafe extern "C" fn(
    *mut c_void,
    *const Origin,
    *mut FFI_ArrowArray,
    *mut FFI_ArrowSchema,
    *const Reply,
) -> i32;
/// `begin`
pub type BeginFn = unsafe extern "C" fn(*mut c_void, *const Reply) -> i32;

/// `segue_plugin`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Table {
    /// [`MAGIC`]
    pub magic: u64,
    /// [`ABI_MAJOR`]
    pub abi_major: u32,
    /// [`ABI_MINOR`]
    pub abi_minor: u32,
    /// Bytes of this struct.
    pub size: u64,
    /// Every operator, as JSON.
    pub manifest: Option<ManifestFn>,
    /// What an operator reads and writes.
    pub columns: Option<ColumnsFn>,
    /// The parts a stage can be cut into.
    pub units: Option<UnitsFn>,
    /// Makes a stage.
    pub create: Option<CreateFn>,
    /// One batch in.
    pub process: Option<ProcessFn>,
    /// No more input at a time.
    pub flush: Option<FlushFn>,
    /// The last call on a stage.
    pub drop: Option<DropFn>,
    /// No more input at all. Since 1.1.
    pub finish: Option<FinishFn>,
    /// The stage's state. Since 1.2.
    pub snapshot: Option<SnapshotFn>,
    /// Its state back. Since 1.2.
    pub restore: Option<RestoreFn>,
    /// One batch in, with where it comes from. Since 1.2.
    pub process_from: Option<ProcessFromFn>,
    /// The first batches of a stage that starts. Since 1.2.
    pub begin: Option<BeginFn>,
}

/// Bytes of a table of ABI 1.0, which ends before `finish`.
pub const SIZE_OF_1_0: u64 = std::mem::offset_of!(Table, finish) as u64;
/// Bytes of a table of ABI 1.1, which ends with `finish`.
pub const SIZE_OF_1_1: u64 = SIZE_OF_1_0 + size_of::<Option<FinishFn>>() as u64;

/// The fewest bytes that a table of ABI 1.`minor` has.
pub const fn least_size(minor: u32) -> u64 {
    match minor {
        0 => SIZE_OF_1_0,
        1 => SIZE_OF_1_1,
        _ => size_of::<Table>() as u64,
    }
}

/// The operators of one library; [`export!`](crate::export) implements it.
pub trait Library: 'static {
    /// In the order a manifest names them.
    const OPERATORS: &'static [Operator];
}

/// One operator's functions, with its type erased.
pub struct Operator {
    name: &'static str,
    version: &'static str,
    manifest: fn(&str, &str) -> OperatorManifest,
    columns: fn(&str, &[Column]) -> Result<String>,
    units: fn(&str) -> Result<String>,
    create: fn(&str, &Context) -> Result<Box<dyn Erased>>,
}

impl Operator {
    /// The operator `name`, which is a stage of type `S`.
    pub const fn of<S: Stage>(name: &'static str, version: &'static str) -> Self {
        Operator {
            name,
            version,
            manifest: OperatorManifest::of::<S>,
            columns: |options, input| json(&parse::<S>(options)?.columns_for(input)?),
            units: |options| json(&parse::<S>(options)?.units()?),
            create: |options, context| {
                let mut stage = parse::<S>(options)?;
                stage.start(context)?;
                Ok(Box::new(stage))
            },
        }
    }
}

/// A stage without its type.
trait Erased {
    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()>;
    fn begin(&mut self, host: &mut Host<'_>) -> Result<()>;
    fn flush(&mut self, time: u64, host: &mut Host<'_>) -> Result<()>;
    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next>;
    fn snapshot(&mut self) -> Result<Vec<u8>>;
    fn restore(&mut self, state: &[u8]) -> Result<()>;
}

impl<S: Stage> Erased for S {
    fn process_each(&mut self, batch: Batch, host: &mut Host<'_>) -> Result<()> {
        Stage::process_each(self, batch, host)
    }

    fn begin(&mut self, host: &mut Host<'_>) -> Result<()> {
        Stage::begin(self, host)
    }

    fn flush(&mut self, time: u64, host: &mut Host<'_>) -> Result<()> {
        Stage::flush(self, time, host)
    }

    fn finish(&mut self, host: &mut Host<'_>) -> Result<Next> {
        Stage::finish(self, host)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Stage::snapshot(self)
    }

    fn restore(&mut self, state: &[u8]) -> Result<()> {
        Stage::restore(self, state)
    }
}

fn parse<S: Stage>(options: &str) -> Result<S> {
    let mut json = serde_json::Deserializer::from_str(options);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let option = error
            .path()
            .iter()
            .next()
            .map(|segment| segment.to_string());
        let reason = error.inner().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let error = Error::new("bad-option", reason);
        option
            .into_iter()
            .fold(error, |error, name| error.option(name))
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::new("json", e.to_string()))
}

impl Table {
    /// The table of the library `L`.
    pub const fn of<L: Library>() -> Self {
        Table {
            magic: MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            size: size_of::<Table>() as u64,
            manifest: Some(manifest::<L>),
            columns: Some(columns::<L>),
            units: Some(units::<L>),
            create: Some(create::<L>),
            process: Some(process),
            flush: Some(flush),
            drop: Some(drop_stage),
            finish: Some(finish),
            snapshot: Some(snapshot),
            restore: Some(restore),
            process_from: Some(process_from),
            begin: Some(begin),
        }
    }
}

fn operator<L: Library>(name: &str) -> Result<&'static Operator> {
    (L::OPERATORS.iter().find(|one| one.name == name)).ok_or_else(|| {
        Error::new(
            "unknown-operator",
            format!("there is no operator `{name}` here"),
        )
    })
}

unsafe extern "C" fn manifest<L: Library>(reply: *const Reply) -> i32 {
    let work = || {
        let of = |one: &Operator| (one.manifest)(one.name, one.version);
        json(&Manifest {
            operators: L::OPERATORS.iter().map(of).collect(),
        })
    };
    // SAFETY: the host passes a valid reply, for this call.
    unsafe { answer(reply, work) }
}

unsafe extern "C" fn columns<L: Library>(
    name: Text,
    options: Text,
    input: Text,
    reply: *const Reply,
) -> i32 {
    // SAFETY: the host passes valid texts and a valid reply, for this call.
    unsafe {
        let (name, options, input) = (name.read(), options.read(), input.read());
        let work = || {
            let input: Vec<Column> = serde_json::from_str(&input)
                .map_err(|e| Error::new("json", format!("bad input columns: {e}")))?;
            (operator::<L>(&name)?.columns)(&options, &input)
        };
        answer(reply, work)
    }
}

unsafe extern "C" fn units<L: Library>(name: Text, options: Text, reply: *const Reply) -> i32 {
    // SAFETY: as in `columns`.
    unsafe {
        let (name, options) = (name.read(), options.read());
        answer(reply, || (operator::<L>(&name)?.units)(&options))
    }
}

/// Runs `work` and passes its JSON, or its failure, to the host.
unsafe fn answer(reply: *const Reply, work: impl FnOnce() -> Result<String>) -> i32 {
    // SAFETY: the host passes a valid reply, for this call.
    let reply = unsafe { &*reply };
    match guard(work) {
        Ok(json) => {
            // SAFETY: `json` outlives the call.
            unsafe { (reply.text)(reply.host, Text::new(&json)) };
            0
        }
        Err(error) => fail(reply, &error),
    }
}

unsafe extern "C" fn create<L: Library>(
    name: Text,
    options: Text,
    context: Text,
    reply: *const Reply,
    stage: *mut *mut c_void,
) -> i32 {
    // SAFETY: as in `columns`.
    let (name, options, context, reply) =
        unsafe { (name.read(), options.read(), context.read(), &*reply) };
    let made = guard(|| {
        let context: Context = serde_json::from_str(&context)
            .map_err(|e| Error::new("json", format!("bad context: {e}")))?;
        (operator::<L>(&name)?.create)(&options, &context)
    });
    match made {
        Ok(made) => {
            let erased: *mut Box<dyn Erased> = Box::into_raw(Box::new(made));
            // SAFETY: the host passes a place for the result.
            unsafe { *stage = erased.cast() };
            0
        }
        Err(error) => fail(reply, &error),
    }
}

unsafe extern "C" fn process(
    stage: *mut c_void,
    time: u64,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
    reply: *const Reply,
) -> i32 {
    let (port, part) = (0, 0);
    // SAFETY: the caller's duties are the same.
    unsafe { process_from(stage, &Origin { time, port, part }, array, schema, reply) }
}

unsafe extern "C" fn process_from(
    stage: *mut c_void,
    origin: *const Origin,
    array: *mut FFI_ArrowArray,
    schema: *mut FFI_ArrowSchema,
    reply: *const Reply,
) -> i32 {
    // SAFETY: `stage` is what `create` made, and calls on it never overlap; the
    // structs are the host's batch, which now is ours; its origin is valid for the call.
    let (stage, origin, array, schema, reply) = unsafe {
        let stage = &mut *stage.cast::<Box<dyn Erased>>();
        let (array, schema) = (
            FFI_ArrowArray::from_raw(array),
            FFI_ArrowSchema::from_raw(schema),
        );
        (stage, *origin, array, schema, &*reply)
    };
    with_host(reply, |host| {
        // SAFETY: the host exports its batches with `export_batch`.
        let columns = unsafe { import_batch(array, &schema)? };
        let batch = Batch::new(origin.time, columns).at_port(origin.port as usize);
        stage.process_each(batch, host)
    })
}

unsafe extern "C" fn begin(stage: *mut c_void, reply: *const Reply) -> i32 {
    // SAFETY: as in `process`.
    let (stage, reply) = unsafe { (&mut *stage.cast::<Box<dyn Erased>>(), &*reply) };
    with_host(reply, |host| stage.begin(host))
}

unsafe extern "C" fn flush(stage: *mut c_void, time: u64, reply: *const Reply) -> i32 {
    // SAFETY: as in `process`.
    let (stage, reply) = unsafe { (&mut *stage.cast::<Box<dyn Erased>>(), &*reply) };
    with_host(reply, |host| stage.flush(time, host))
}

unsafe extern "C" fn finish(stage: *mut c_void, reply: *const Reply, more: *mut i32) -> i32 {
    // SAFETY: as in `process`.
    let (stage, reply) = unsafe { (&mut *stage.cast::<Box<dyn Erased>>(), &*reply) };
    with_host(reply, |host| {
        let next = stage.finish(host)?;
        // SAFETY: the host passes a place for the answer.
        unsafe { *more = i32::from(next == Next::More) };
        Ok(())
    })
}

unsafe extern "C" fn snapshot(stage: *mut c_void, reply: *const Reply) -> i32 {
    // SAFETY: as in `process`.
    let (stage, reply) = unsafe { (&mut *stage.cast::<Box<dyn Erased>>(), &*reply) };
    match guard(|| stage.snapshot()) {
        Ok(state) => {
            // SAFETY: the reply is valid for this call, which `state` outlives.
            unsafe { (reply.state)(reply.host, state.as_ptr(), state.len()) };
            0
        }
        Err(error) => fail(reply, &error),
    }
}

unsafe extern "C" fn restore(
    stage: *mut c_void,
    state: *const u8,
    length: usize,
    reply: *const Reply,
) -> i32 {
    // SAFETY: as in `process`; the host's bytes are valid for the call.
    let (stage, reply, state) = unsafe {
        let stage = &mut *stage.cast::<Box<dyn Erased>>();
        (stage, &*reply, std::slice::from_raw_parts(state, length))
    };
    match guard(|| stage.restore(state)) {
        Ok(()) => 0,
        Err(error) => fail(reply, &error),
    }
}

unsafe extern "C" fn drop_stage(stage: *mut c_void) {
    // SAFETY: `stage` is what `create` made, and this is its last use.
    let stage = unsafe { Box::from_raw(stage.cast::<Box<dyn Erased>>()) };
    // A failure to drop cannot be told to anyone; it must only not unwind further.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(stage)));
}

/// Runs `work`, and passes what it gives, or its failure, to the host.
fn with_host(reply: &Reply, work: impl FnOnce(&mut Host<'_>) -> Result<()>) -> i32 {
    // SAFETY: the host passes a valid reply, for this call; the text outlives it.
    let show = |line: &str| unsafe { (reply.progress)(reply.host, Text::new(line)) };
    let exported = guard(|| {
        let mut host = Host::new(&show);
        work(&mut host)?;
        let (saved, done) = (host.was_saved(), host.is_done());
        let export = |one: Batch| export_batch(one.into_columns());
        let batches = host.into_batches().into_iter().map(export);
        Ok((batches.collect::<Result<Vec<_>>>()?, saved, done))
    });
    match exported {
        Ok((all, saved, done)) => {
            if done {
                // SAFETY: the reply is valid for this call.
                unsafe { (reply.done)(reply.host) };
            }
            if saved {
                // SAFETY: the reply is valid for this call.
                unsafe { (reply.saved)(reply.host) };
            }
            for (mut array, mut schema) in all {
                // SAFETY: the host moves both structs out and marks them released.
                unsafe { (reply.batch)(reply.host, &mut array, &mut schema) };
            }
            0
        }
        Err(error) => fail(reply, &error),
    }
}

fn fail(reply: &Reply, error: &Error) -> i32 {
    let option = error.option.as_deref().unwrap_or_default();
    let texts = (
        Text::new(&error.code),
        Text::new(&error.message),
        Text::new(option),
    );
    // SAFETY: the texts outlive the call.
    unsafe { (reply.fail)(reply.host, texts.0, texts.1, texts.2) };
    1
}

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
    static GUARDED: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `work`; a panic in it becomes an error of code `plugin-panic`.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
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

/// Makes a shared library of these operators: `export!("upper" => Upper, "lower" => Lower);`
///
/// It expands to a unit type that lists the operators, a static table of the
/// functions of `segue.h`, and the exported function `segue_plugin_table`, which
/// returns that table. Nothing else is registered or run.
#[macro_export]
macro_rules! export {
    ($($name:literal => $stage:ty),+ $(,)?) => {
        struct SegueLibrary;

        impl $crate::ffi::Library for SegueLibrary {
            const OPERATORS: &'static [$crate::ffi::Operator] =
                &[$($crate::ffi::Operator::of::<$stage>($name, env!("CARGO_PKG_VERSION"))),+];
        }

        static SEGUE_TABLE: $crate::ffi::Table = $crate::ffi::Table::of::<SegueLibrary>();

        /// The functions of this plugin, as `segue.h` lays them out.
        #[unsafe(no_mangle)]
        pub extern "C" fn segue_plugin_table() -> *const $crate::ffi::Table {
            &raw const SEGUE_TABLE
        }
    };
}
