//! What does a device do for the runtime, whatever drives it?
//!
//! A device runs either compiled graphs through a PJRT plugin (`xla/`), or libtorch's operations
//! through the torch library (`torch/`); tests use a device that computes nothing (`fake.rs`). Once
//! a device is open, the runtime uses it only through the traits of this file, so that everything
//! above them can be tested without a plugin.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use preheat_cache::{Environment, Interface, KeyInputs, Measurements};
use preheat_tensor::{AlignedBytes, Tensor, TensorType};

use super::{CompileError, DeviceFault};
use crate::device::{DeviceName, TorchDevice};

/// A device that is here.
pub(crate) trait Device: Debug + Send + Sync {
    /// The device's name, as people choose it.
    fn name(&self) -> DeviceName;

    /// The facts that decide which executables fit this device.
    fn environment(&self) -> &Arc<Environment>;

    /// Makes a program ready to run. Returns it together with the data to store.
    fn compile(&self, inputs: &KeyInputs) -> Result<(Box<dyn Loaded>, Compiled), CompileError>;

    /// Loads data that was stored by a compile for this environment.
    fn load(&self, payload: &[u8]) -> Result<Box<dyn Loaded>, DeviceFault>;

    /// Moves a tensor to the device.
    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault>;

    /// Keeps a tensor in the host's memory, in a form that executables can read from there. A
    /// device that does not offload moves the tensor to itself, as [`Self::put`] does.
    fn put_in_host_memory(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        self.put(tensor)
    }

    /// Copies a tensor to this device from another device, or from where it rests in the host's
    /// memory.
    fn copy(&self, _buffer: &dyn Buffer) -> Result<Box<dyn Buffer>, DeviceFault> {
        Err(DeviceFault::no_copies(self.name()))
    }

    /// The memory that can still be allocated, in bytes; on the CPU, the memory that the system has
    /// left for programs. `None` if it is not reported.
    fn free_memory_bytes(&self) -> Option<u64>;

    /// The device's memory in bytes, used or not.
    fn total_memory_bytes(&self) -> Option<u64>;

    /// How much of the device's memory is in use; `None` if the device does not count it.
    fn memory_use(&self) -> Option<MemoryUse>;

    /// Returns unused memory to the device, if the driver keeps freed memory for later.
    fn give_memory_back(&self) {}

    /// Whether the memory that a graph takes is known from its compile. If not, it is an estimate,
    /// and no executable is refused at its load because of it.
    fn knows_footprints(&self) -> bool {
        true
    }

    /// The device as libtorch describes it, if libtorch drives it.
    fn torch(&self) -> Option<&TorchDevice> {
        None
    }

    /// The ops that ran on the CPU because this device lacks them, one sentence for each op.
    fn lacking(&self) -> Vec<String> {
        Vec::new()
    }

    /// The plugin whose machine code is loaded here; `None` if stored objects hold no machine
    /// code, so that loading one cannot end the process.
    fn plugin(&self) -> Option<PluginInUse<'_>> {
        None
    }

    /// Whether [`Self::accepts`] can return an answer at all. If not, callers do not call it.
    fn tells_what_it_accepts(&self) -> bool {
        false
    }

    /// Whether the driver accepts machine code of this ABI version, which another build of the
    /// driver made. `Ok(None)` if it cannot tell.
    fn accepts(&self, _abi_version: &[u8]) -> Result<Option<Acceptance>, DeviceFault> {
        Ok(None)
    }
}

/// What a driver says of another build's machine code.
pub(crate) enum Acceptance {
    Accepted,
    /// The driver refuses the machine code, for this reason.
    Refused(String),
}

/// A plugin that is loaded into this process.
pub(crate) struct PluginInUse<'a> {
    pub(crate) path: &'a Path,
    /// The environment variables that it read when it was loaded.
    pub(crate) variables: &'a [(&'static str, String); 2],
}

/// How much of a device's memory is in use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MemoryUse {
    pub(crate) in_use: u64,
    pub(crate) peak: Option<u64>,
    pub(crate) limit: Option<u64>,
    /// What the allocator holds, used or not.
    pub(crate) reserved: Option<u64>,
}

/// A graph that is ready to run on a device.
pub(crate) trait Loaded: Send + Sync {
    /// Moves a tensor to the device from which this executable reads its inputs.
    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault>;

    /// Queues an execution. Inputs that the executable donates cannot be used afterwards.
    fn run(&self, inputs: &[&dyn Buffer]) -> Result<Vec<Box<dyn Buffer>>, DeviceFault>;
}

/// A tensor's memory on a device.
pub(crate) trait Buffer: Any + Debug + Send + Sync {
    /// The dtype and shape.
    fn kind(&self) -> Result<TensorType, DeviceFault>;

    /// The event that is ready when the buffer has been computed.
    fn ready(&self) -> Result<Box<dyn Event>, DeviceFault>;

    /// Copies the elements to the host, row-major, after waiting until they have been computed.
    /// `bytes` must be exactly as long as the buffer.
    fn read_into(&self, bytes: &mut [u8]) -> Result<(), DeviceFault>;
}

/// The buffer as a `T`, the type of `driver`'s own buffers. It is an error if another driver made
/// the buffer.
pub(crate) fn own<'a, T: Buffer>(
    buffer: &'a dyn Buffer,
    driver: &'static str,
) -> Result<&'a T, DeviceFault> {
    let any: &dyn Any = buffer;
    any.downcast_ref().ok_or_else(|| DeviceFault::other_driver(driver))
}

/// Copies a buffer of this dtype and shape to the host, after waiting until it has been computed.
pub(crate) fn to_host(buffer: &dyn Buffer, kind: TensorType) -> Result<Tensor, DeviceFault> {
    let mut bytes = AlignedBytes::zeroed(kind.dtype.array_bytes(&kind.dims)?)?;
    buffer.read_into(&mut bytes)?;
    Ok(Tensor::from_aligned(kind, bytes))
}

/// A point in a device's queue of work, which can be waited for.
pub(crate) trait Event: Send + Sync {
    /// Waits until the event is ready.
    fn wait(&self) -> Result<(), DeviceFault>;

    /// Calls `done` when the event is ready or its work has failed: either on a thread of the
    /// driver, or at once on this thread. `done` must be quick and must not call the device.
    fn on_ready(&self, done: Done) -> Result<(), DeviceFault>;
}

/// The function that is called when an event is ready, with the error if its work failed.
pub(crate) type Done = Box<dyn FnOnce(Result<(), DeviceFault>) + Send>;

/// The data that is stored of an executable that was just compiled.
pub(crate) struct Compiled {
    /// The executable as bytes, if the driver can serialise it.
    pub(crate) payload: Result<Payload, DeviceFault>,
    pub(crate) interface: Option<Interface>,
    /// See [`preheat_cache::GraphRecord::abi_version`].
    pub(crate) abi_version: Option<Vec<u8>>,
    pub(crate) measurements: Measurements,
}

/// An executable as bytes, in the driver's memory or in this program's.
pub(crate) type Payload = Box<dyn Deref<Target = [u8]> + Send>;
