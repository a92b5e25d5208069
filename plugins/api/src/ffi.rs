//! The ABI of `segue.h`, from the Rust side. Plugins use [`export!`](crate::export).

mod guard;
mod types;

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};

use crate::{Batch, Column, Context, Error, Host, Manifest, Next, OperatorManifest, Result, Stage};
use crate::{export_batch, import_batch};
use guard::guard;

pub use types::{
    ABI_MAJOR, ABI_MINOR, BeginFn, ColumnsFn, CreateFn, DropFn, FinishFn, FlushFn, MAGIC,
    ManifestFn, Origin, ProcessFn, ProcessFromFn, Reply, RestoreFn, SIZE_OF_1_0, SIZE_OF_1_1,
    SYMBOL, SnapshotFn, Table, Text, UnitsFn, least_size,
};

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
    let (port, reserved) = (0, 0);
    // SAFETY: the caller's duties are the same.
    unsafe {
        process_from(
            stage,
            &Origin {
                time,
                port,
                reserved,
            },
            array,
            schema,
            reply,
        )
    }
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
