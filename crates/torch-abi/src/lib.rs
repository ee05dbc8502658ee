//! How do preheat and the torch library speak? `torch/` implements this C interface, and preheat's
//! back end for libtorch calls it. Both are built from this crate, so that neither has to know more
//! of the other.
//!
//! The library exports one symbol, [`SYMBOL`], a function that gives its [`Api`]. Each function in
//! it answers with an [`Answer`], and no panic and no C++ exception leaves one. Handles are made by
//! one function and freed by another, once; all of them may be used from any thread, and from
//! several at once. A change of anything here takes a new [`INTERFACE_VERSION`].
//!
//! What is told once, when a session is opened, and what is told about it travels as JSON:
//! [`TorchOptions`], [`TorchDevice`] and [`TorchFallback`].

mod device;
mod options;

use std::ptr::null_mut;

pub use device::{TorchDevice, TorchId};
pub use options::{FAKE_DEVICES_VARIABLE, FakeDevice, TorchFallback, TorchOptions};
use preheat_tensor::Dtype;

/// The version of everything on this page.
pub const INTERFACE_VERSION: u64 = 2;
/// What the library exports: an [`Entry`].
pub const SYMBOL: &str = "preheat_torch_api";
/// The libtorch that the library is built against, the one that `tch` is made for.
pub const LIBTORCH_VERSION: [u32; 3] = [2, 11, 0];

/// The type of [`SYMBOL`]. What it gives is constant and never freed.
pub type Entry = unsafe extern "C" fn() -> *const Api;

macro_rules! opaque {
    ($($(#[$attribute:meta])* $name:ident,)*) => {
        $(
            $(#[$attribute])*
            #[repr(C)]
            pub struct $name {
                _opaque: [u8; 0],
            }
        )*
    };
}

opaque! {
    /// The devices, and what happens on them. Everything else belongs to one, and keeps what it
    /// needs of it alive.
    Session,
    /// A tensor on one of the devices.
    TensorHandle,
    /// A graph that is ready to run on one of the devices.
    GraphHandle,
    /// A moment in the work of a device.
    EventHandle,
}

/// Bytes of the caller's, for the time of a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first one.
    pub start: *const u8,
    /// How many.
    pub length: usize,
}

impl Bytes {
    /// `bytes`, which must outlive the call.
    pub fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), length: bytes.len() }
    }
}

/// Bytes of the library's, which the caller gives back to [`Api::free_bytes`].
#[repr(C)]
pub struct OwnedBytes {
    /// The first one; null where there are none.
    pub start: *mut u8,
    /// How many.
    pub length: usize,
}

impl OwnedBytes {
    /// No bytes.
    pub const NONE: Self = Self { start: null_mut(), length: 0 };
}

/// How a call went.
#[repr(C)]
pub struct Answer {
    /// 0 where it went well, else a [`code`].
    pub code: u32,
    /// What went wrong, as text. Where a run went well: the ops that it took to the CPU for the
    /// first time, as JSON, or nothing.
    pub message: OwnedBytes,
}

/// What [`Answer::code`] says went wrong.
pub mod code {
    /// Nothing.
    pub const OK: u32 = 0;
    /// An op or a dtype that the device, or libtorch, does not have.
    pub const UNSUPPORTED: u32 = 1;
    /// The device has no memory left for it.
    pub const OUT_OF_MEMORY: u32 = 2;
    /// A tensor on another device than the graph's.
    pub const WRONG_DEVICE: u32 = 3;
    /// A tensor of another dtype or shape than is declared, or too many or too few of them.
    pub const WRONG_TYPE: u32 = 4;
    /// A tensor that was given away to an earlier run.
    pub const DONATED: u32 = 5;
    /// Bytes that are no graph.
    pub const BAD_GRAPH: u32 = 6;
    /// Anything else that libtorch says.
    pub const LIBTORCH: u32 = 7;
    /// A fault of the library's own.
    pub const BUG: u32 = 8;
}

/// The dtype and shape of a tensor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TensorSpec {
    /// A number of [`dtype_code`].
    pub dtype: u32,
    /// How many dimensions.
    pub rank: u32,
    /// As many sizes; may be anything where `rank` is 0.
    pub dims: *const u64,
}

/// The memory of a device, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// In tensors of this session that are alive: weights, inputs, outputs and, during a run, its
    /// intermediate results. What libtorch takes inside an op is not in it.
    pub tensors: u64,
    /// The most of those since the session began, or since it was last asked to forget.
    pub tensors_peak: u64,
    /// What libtorch's allocator holds in blocks that are in use; 0 where it does not say (the
    /// CPU).
    pub allocated: u64,
    /// The most of that, since as above.
    pub allocated_peak: u64,
    /// What libtorch's allocator has from the device, in use or not; 0 where it does not say.
    pub reserved: u64,
    /// What of the device's own memory nobody uses; [`UNKNOWN_BYTES`] where it has none of its own
    /// (the CPU), or does not say.
    pub free: u64,
    /// The device's own memory; [`UNKNOWN_BYTES`] as above.
    pub total: u64,
}

/// Bytes that nobody can tell.
pub const UNKNOWN_BYTES: u64 = u64::MAX;

/// Weights that rest on another device than the graph's come to it when an op needs them, and go
/// after the last one that does.
pub const RUN_STREAMS_WEIGHTS: u32 = 1;

/// The table of functions. `device` is always a position in what [`Api::devices`] lists.
#[repr(C)]
pub struct Api {
    /// The size of this table in the library.
    pub struct_size: usize,
    /// [`INTERFACE_VERSION`] of the library.
    pub interface_version: u64,
    /// Takes back what a call gave.
    pub free_bytes: unsafe extern "C" fn(OwnedBytes),
    /// Begins a session. Options are a `TorchOptions` as JSON.
    pub open: unsafe extern "C" fn(Bytes, *mut *mut Session) -> Answer,
    /// Ends a session; what belongs to it may be freed later.
    pub close: unsafe extern "C" fn(*mut Session),
    /// Lists the devices: `TorchDevice`s as JSON.
    pub devices: unsafe extern "C" fn(*const Session, *mut OwnedBytes) -> Answer,
    /// Tells how much memory of a device is in use.
    pub memory: unsafe extern "C" fn(*const Session, u32, *mut MemoryUse) -> Answer,
    /// Forgets the peaks of a device.
    pub reset_peaks: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Gives memory that a device's allocator keeps for later back to the device.
    pub drop_caches: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Waits until a device has done all that it was given.
    pub synchronize: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Tells which ops were run on the CPU because a device lacks them: `TorchFallback`s as JSON.
    pub fallbacks: unsafe extern "C" fn(*const Session, *mut OwnedBytes) -> Answer,
    /// Makes a tensor on a device from row-major, little-endian bytes.
    pub make_tensor: unsafe extern "C" fn(
        *const Session,
        u32,
        TensorSpec,
        Bytes,
        *mut *mut TensorHandle,
    ) -> Answer,
    /// Copies a tensor to another device.
    pub copy_tensor:
        unsafe extern "C" fn(*const TensorHandle, u32, *mut *mut TensorHandle) -> Answer,
    /// Writes a tensor's elements, row-major, to as many bytes.
    pub read_tensor: unsafe extern "C" fn(*const TensorHandle, *mut u8, usize) -> Answer,
    /// Frees a tensor.
    pub free_tensor: unsafe extern "C" fn(*mut TensorHandle),
    /// Makes a graph ready on a device, from its bytes.
    pub load_graph:
        unsafe extern "C" fn(*const Session, u32, Bytes, *mut *mut GraphHandle) -> Answer,
    /// Runs a graph on as many tensors as it has inputs and weights, in this order, and gives as
    /// many outputs as it has. An input whose memory an output may take over is gone afterwards, as
    /// after a run that failed. Flags: `RUN_*`.
    pub run_graph: unsafe extern "C" fn(
        *const GraphHandle,
        *const *const TensorHandle,
        usize,
        u32,
        *mut *mut TensorHandle,
        usize,
    ) -> Answer,
    /// Frees a graph.
    pub free_graph: unsafe extern "C" fn(*mut GraphHandle),
    /// Takes note of the moment at which a device will have done all that it was given so far.
    pub record_event: unsafe extern "C" fn(*const Session, u32, *mut *mut EventHandle) -> Answer,
    /// Waits for that moment.
    pub wait_event: unsafe extern "C" fn(*const EventHandle) -> Answer,
    /// Frees an event, waited for or not.
    pub free_event: unsafe extern "C" fn(*mut EventHandle),
}

/// Dtypes that tensors may have, by the number that stands for them.
const DTYPES: [(u32, Dtype); 14] = [
    (1, Dtype::BFloat16),
    (2, Dtype::Float16),
    (3, Dtype::Float32),
    (4, Dtype::Float64),
    (5, Dtype::Float8E4M3Fn),
    (6, Dtype::Float8E5M2),
    (7, Dtype::Int8),
    (8, Dtype::Int16),
    (9, Dtype::Int32),
    (10, Dtype::Int64),
    (11, Dtype::UInt8),
    (12, Dtype::Bool),
    (13, Dtype::Complex64),
    (14, Dtype::Complex128),
];

/// The number of a dtype; `None` where torch has none like it.
pub fn dtype_code(dtype: Dtype) -> Option<u32> {
    DTYPES.iter().find(|row| row.1 == dtype).map(|row| row.0)
}

/// The dtype of a number.
pub fn dtype_of(code: u32) -> Option<Dtype> {
    DTYPES.iter().find(|row| row.0 == code).map(|row| row.1)
}
