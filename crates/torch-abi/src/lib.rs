//! How do preheat and the torch library communicate? `torch/` implements this C interface, and
//! preheat's back end for libtorch calls it. Both are built from this crate, so that neither needs
//! anything else of the other.
//!
//! The library exports one symbol, [`SYMBOL`], a function that returns its [`TorchApi`]. Each
//! function of that table that can fail returns an [`Answer`]; no panic and no C++ exception leaves
//! a function. A handle is made by one function and freed once by another. Any thread may use any
//! handle, and several threads may use one at the same time. Any change of this interface needs a
//! new [`INTERFACE_VERSION`].
//!
//! Options and descriptions are passed as JSON: [`TorchOptions`], [`TorchDevice`] and
//! [`TorchFallback`].

mod device;
mod options;

use std::ptr::null_mut;

pub use device::{TorchDevice, TorchId};
pub use options::{FAKE_DEVICES_VARIABLE, FakeDevice, TorchFallback, TorchOptions};
use preheat_tensor::Dtype;

/// The version of this whole interface.
pub const INTERFACE_VERSION: u64 = 2;
/// The name of the symbol that the library exports: an [`Entry`].
pub const SYMBOL: &str = "preheat_torch_api";
/// The libtorch version that the library is built against; `tch` needs exactly this one.
pub const LIBTORCH_VERSION: [u32; 3] = [2, 11, 0];

/// The type of [`SYMBOL`]. The table that it returns is constant and never freed.
pub type Entry = unsafe extern "C" fn() -> *const TorchApi;

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
    /// The devices and the state of each. Every other handle belongs to a session, and keeps alive
    /// what it needs of that session.
    Session,
    /// A tensor on one of the devices.
    TensorHandle,
    /// A graph that is ready to run on one of the devices.
    GraphHandle,
    /// A point in the sequence of work of a device.
    EventHandle,
}

/// Bytes that belong to the caller, valid during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// A pointer to the first byte.
    pub start: *const u8,
    /// How many bytes there are.
    pub length: usize,
}

impl Bytes {
    /// `bytes`, which must outlive the call.
    pub fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), length: bytes.len() }
    }
}

/// Bytes that belong to the library; the caller returns them to [`TorchApi::free_bytes`].
#[repr(C)]
pub struct OwnedBytes {
    /// A pointer to the first byte; null if there are none.
    pub start: *mut u8,
    /// How many bytes there are.
    pub length: usize,
}

impl OwnedBytes {
    /// No bytes.
    pub const NONE: Self = Self { start: null_mut(), length: 0 };
}

/// The result of a call.
#[repr(C)]
pub struct Answer {
    /// 0 if the call succeeded, else another [`code`].
    pub code: u32,
    /// After an error, a text that says what went wrong. After a successful run, the ops that this
    /// run was the first to move to the CPU, as JSON; no bytes if there are none.
    pub message: OwnedBytes,
}

/// The values of [`Answer::code`]: the kinds of errors.
pub mod code {
    /// No error.
    pub const OK: u32 = 0;
    /// An op or a dtype that the device, or libtorch, does not have.
    pub const UNSUPPORTED: u32 = 1;
    /// The device has too little free memory.
    pub const OUT_OF_MEMORY: u32 = 2;
    /// A tensor is on another device than the graph.
    pub const WRONG_DEVICE: u32 = 3;
    /// A tensor has another dtype or shape than is declared, or there are too many or too few
    /// tensors.
    pub const WRONG_TYPE: u32 = 4;
    /// A tensor was donated to an earlier run.
    pub const DONATED: u32 = 5;
    /// The bytes are not a graph.
    pub const BAD_GRAPH: u32 = 6;
    /// Any other error of libtorch.
    pub const LIBTORCH: u32 = 7;
    /// A bug in the library itself.
    pub const BUG: u32 = 8;
}

/// The dtype and shape of a tensor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TorchTensorSpec {
    /// A number of [`dtype_code`].
    pub dtype: u32,
    /// How many dimensions.
    pub rank: u32,
    /// A pointer to `rank` sizes; any pointer if `rank` is 0.
    pub dims: *const u64,
}

/// The memory of a device, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes of the tensors of this session that are alive: weights, inputs, outputs and, during a
    /// run, intermediate results. Memory that libtorch uses inside an op is not included.
    pub tensors: u64,
    /// The largest value of `tensors` since the session began or the peaks were last reset.
    pub tensors_peak: u64,
    /// Bytes in blocks of libtorch's allocator that are in use; 0 if the allocator does not report
    /// them (the CPU).
    pub allocated: u64,
    /// The largest value of `allocated` in the same period.
    pub allocated_peak: u64,
    /// Bytes that libtorch's allocator holds, in use or not; 0 if it does not report them.
    pub reserved: u64,
    /// Bytes of the device's own memory that no process uses; [`UNKNOWN_BYTES`] if the device has
    /// no memory of its own (the CPU), or does not report its free memory.
    pub free: u64,
    /// The size of the device's own memory; [`UNKNOWN_BYTES`] in the same cases.
    pub total: u64,
}

/// Stands for a number of bytes that is not known.
pub const UNKNOWN_BYTES: u64 = u64::MAX;

/// A flag of [`TorchApi::run_graph`]: a weight that rests on another device is copied to the
/// graph's device when an op needs it, and the copy is freed after the last op that needs it.
pub const RUN_STREAMS_WEIGHTS: u32 = 1;

/// The table of functions. `device` is always a position in the list of [`TorchApi::devices`].
#[repr(C)]
pub struct TorchApi {
    /// The size of this table in the library.
    pub struct_size: usize,
    /// [`INTERFACE_VERSION`] of the library.
    pub interface_version: u64,
    /// Frees the bytes that a call returned.
    pub free_bytes: unsafe extern "C" fn(OwnedBytes),
    /// Opens a session. The options are a `TorchOptions` as JSON.
    pub open: unsafe extern "C" fn(Bytes, *mut *mut Session) -> Answer,
    /// Closes a session; handles that belong to it may be freed later.
    pub close: unsafe extern "C" fn(*mut Session),
    /// Lists the devices: `TorchDevice`s as JSON.
    pub devices: unsafe extern "C" fn(*const Session, *mut OwnedBytes) -> Answer,
    /// Reports how much memory of a device is in use.
    pub memory: unsafe extern "C" fn(*const Session, u32, *mut MemoryUse) -> Answer,
    /// Resets the peaks of a device.
    pub reset_peaks: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Returns to a device the memory that its allocator keeps for later use.
    pub drop_caches: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Waits until a device has finished all work that it was given.
    pub synchronize: unsafe extern "C" fn(*const Session, u32) -> Answer,
    /// Reports which ops ran on the CPU because a device lacks them: `TorchFallback`s as JSON.
    pub fallbacks: unsafe extern "C" fn(*const Session, *mut OwnedBytes) -> Answer,
    /// Makes a tensor on a device from row-major, little-endian bytes.
    pub make_tensor: unsafe extern "C" fn(
        *const Session,
        u32,
        TorchTensorSpec,
        Bytes,
        *mut *mut TensorHandle,
    ) -> Answer,
    /// Copies a tensor to another device.
    pub copy_tensor:
        unsafe extern "C" fn(*const TensorHandle, u32, *mut *mut TensorHandle) -> Answer,
    /// Writes a tensor's elements, row-major, into a buffer of exactly their size.
    pub read_tensor: unsafe extern "C" fn(*const TensorHandle, *mut u8, usize) -> Answer,
    /// Frees a tensor.
    pub free_tensor: unsafe extern "C" fn(*mut TensorHandle),
    /// Makes a graph ready to run on a device, from the graph's bytes.
    pub load_graph:
        unsafe extern "C" fn(*const Session, u32, Bytes, *mut *mut GraphHandle) -> Answer,
    /// Runs a graph. Its arguments are the tensors for all its inputs and then all its weights; it
    /// returns all its outputs. An input whose memory an output may take over cannot be used
    /// afterwards, even after a run that failed. Flags: `RUN_*`.
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
    /// Makes an event that is reached when a device has finished all work that it was given so far.
    pub record_event: unsafe extern "C" fn(*const Session, u32, *mut *mut EventHandle) -> Answer,
    /// Waits for an event.
    pub wait_event: unsafe extern "C" fn(*const EventHandle) -> Answer,
    /// Frees an event, whether or not it was waited for.
    pub free_event: unsafe extern "C" fn(*mut EventHandle),
}

/// The dtypes that tensors may have, each with its number.
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

/// The number of a dtype; `None` if the interface has no number for it.
pub fn dtype_code(dtype: Dtype) -> Option<u32> {
    DTYPES.iter().find(|row| row.1 == dtype).map(|row| row.0)
}

/// The dtype with this number.
pub fn dtype_of(code: u32) -> Option<Dtype> {
    DTYPES.iter().find(|row| row.0 == code).map(|row| row.1)
}
