//! The types of `segue.h`.

use std::ffi::c_void;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};

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
    /// 0.
    pub reserved: u32,
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
