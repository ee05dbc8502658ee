//! What does the runtime hold of a device that is here, whatever drives it?
//!
//! A device runs either compiled graphs through a PJRT plugin, or libtorch's operations through the
//! torch library. This file has one type for both.

use std::sync::Arc;

use preheat_cache::{Environment, KeyInputs};
use preheat_pjrt::{ErrorCode, ExecuteOptions, HostTransfer, PjrtError};
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;
use preheat_tensor::{AlignedBytes, ArrayError};

use super::torch::{TorchBackend, TorchError, TorchEvent, TorchExecutable, TorchTensor};
use super::xla::{self, Compiled, XlaBackend};
use super::{CompileError, is_passing};
use crate::device::DeviceName;

/// A device that is here. A clone shares it.
#[derive(Debug, Clone)]
pub(crate) enum Here {
    Xla(Arc<XlaBackend>),
    Torch(Arc<TorchBackend>),
}

/// A graph that is ready to run on a device.
pub(crate) enum Loaded {
    Xla {
        executable: preheat_pjrt::LoadedExecutable,
        /// The device that it runs on. The compile options may have named another than the first.
        device: preheat_pjrt::Device,
    },
    Torch(TorchExecutable),
}

/// A tensor's memory on a device.
#[derive(Debug)]
pub(crate) enum Buffer {
    Xla(preheat_pjrt::Buffer),
    Torch(TorchTensor),
}

/// A point in a device's queue of work, which can be waited for.
pub(crate) enum Event {
    Xla(preheat_pjrt::Event),
    Torch(Arc<TorchEvent>),
}

/// Why a device did not do what it was asked to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFault {
    /// The plugin raised an error.
    #[error(transparent)]
    Plugin(#[from] PjrtError),
    /// The torch library raised an error.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// An array does not fit in the host's memory.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// An executable returned fewer results than its graph has.
    #[error("it gave fewer than the {wanted} results that its graph has")]
    TooFewResults {
        /// How many the graph has.
        wanted: usize,
    },
    /// A tensor of one back end was given to an executable of another.
    #[error(
        "a tensor is on a device that runs through {tensor}, and the executable on one that runs through {executable}"
    )]
    OtherBackend {
        /// What the tensor's device runs through.
        tensor: &'static str,
        /// What the executable's device runs through.
        executable: &'static str,
    },
    /// A tensor was to be copied to a device of XLA.
    #[error("tensors are copied between devices of libtorch only, and {device} is one of XLA")]
    NoCopies {
        /// The device.
        device: DeviceName,
    },
}

impl DeviceFault {
    /// The kind of error, if the plugin or the torch library told it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Plugin(error) => error.code(),
            Self::Torch(error) => error.code().map(Into::into),
            Self::Array(_) | Self::TooFewResults { .. } => None,
            Self::OtherBackend { .. } => Some(ErrorCode::InvalidArgument),
            Self::NoCopies { .. } => Some(ErrorCode::Unimplemented),
        }
    }

    /// Whether the device had too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.code() == Some(ErrorCode::ResourceExhausted)
    }

    /// Whether the error may pass, because it comes from the present state of the device or its
    /// memory.
    pub(crate) fn is_passing(&self) -> bool {
        is_passing(self.code())
    }
}

impl Here {
    pub(crate) fn environment(&self) -> &Arc<Environment> {
        match self {
            Self::Xla(backend) => &backend.environment,
            Self::Torch(backend) => backend.environment(),
        }
    }

    pub(crate) fn name(&self) -> DeviceName {
        match self {
            Self::Xla(backend) => backend.name.into(),
            Self::Torch(backend) => backend.device().id.into(),
        }
    }

    /// The memory that can still be allocated on the device, in bytes; on the CPU, the memory that
    /// the system has left for programs.
    pub(crate) fn free_memory_bytes(&self) -> Option<u64> {
        match self {
            Self::Xla(backend) => backend.free_memory_bytes(),
            Self::Torch(backend) => backend.free_memory_bytes(),
        }
    }

    /// The device's memory in bytes, used or not.
    pub(crate) fn total_memory_bytes(&self) -> Option<u64> {
        match self {
            Self::Xla(backend) => backend.total_memory_bytes(),
            Self::Torch(backend) => backend.total_memory_bytes(),
        }
    }

    pub(crate) fn memory_stats(&self) -> Option<preheat_pjrt::MemoryStats> {
        match self {
            Self::Xla(backend) => backend.device.memory_stats().ok().flatten(),
            Self::Torch(backend) => backend.memory_stats(),
        }
    }

    /// The PJRT side of the device, for work that only a plugin can do.
    pub(crate) fn xla(&self) -> Option<&Arc<XlaBackend>> {
        match self {
            Self::Xla(backend) => Some(backend),
            Self::Torch(_) => None,
        }
    }

    /// The libtorch side of the device.
    pub(crate) fn torch(&self) -> Option<&Arc<TorchBackend>> {
        match self {
            Self::Xla(_) => None,
            Self::Torch(backend) => Some(backend),
        }
    }

    /// Returns unused memory to the device: libtorch keeps freed memory for later allocations.
    pub(crate) fn give_memory_back(&self) {
        if let Self::Torch(backend) = self {
            backend.give_memory_back();
        }
    }

    /// Makes a program ready to run. Returns it together with the data to store.
    pub(crate) fn compile(&self, inputs: &KeyInputs) -> Result<(Loaded, Compiled), CompileError> {
        match self {
            Self::Xla(backend) => {
                let (executable, compiled) = xla::compile(&backend.client, inputs)?;
                Ok((backend.loaded(executable), compiled))
            }
            Self::Torch(backend) => {
                let (executable, compiled) = backend.compile(inputs)?;
                Ok((Loaded::Torch(executable), compiled))
            }
        }
    }

    /// Loads data that was stored by a compile for this environment.
    pub(crate) fn load(&self, payload: &[u8]) -> Result<Loaded, DeviceFault> {
        match self {
            Self::Xla(backend) => {
                Ok(backend.loaded(backend.client.deserialize_and_load(payload, None)?))
            }
            Self::Torch(backend) => Ok(Loaded::Torch(backend.load(payload)?)),
        }
    }

    /// Moves a tensor to the device.
    pub(crate) fn upload(&self, tensor: &Tensor) -> Result<Buffer, DeviceFault> {
        match self {
            Self::Xla(backend) => backend.upload(&backend.device, tensor),
            Self::Torch(backend) => Ok(Buffer::Torch(backend.upload(tensor)?)),
        }
    }
}

/// Only devices of libtorch offload.
impl Here {
    /// Keeps a tensor in the host's memory. Executables can still read it from there.
    pub(crate) fn upload_to_host(&self, tensor: &Tensor) -> Result<Buffer, DeviceFault> {
        match self {
            Self::Xla(_) => self.upload(tensor),
            Self::Torch(backend) => Ok(Buffer::Torch(backend.upload_to_host(tensor)?)),
        }
    }

    /// Copies a tensor to this device.
    pub(crate) fn bring(&self, buffer: &Buffer) -> Result<Buffer, DeviceFault> {
        match self {
            Self::Xla(backend) => Err(DeviceFault::NoCopies { device: backend.name.into() }),
            Self::Torch(backend) => Ok(Buffer::Torch(backend.bring(buffer.torch()?)?)),
        }
    }
}

impl XlaBackend {
    fn loaded(&self, executable: preheat_pjrt::LoadedExecutable) -> Loaded {
        let its_device =
            executable.addressable_devices().ok().and_then(|devices| devices.into_iter().next());
        Loaded::Xla { executable, device: its_device.unwrap_or_else(|| self.device.clone()) }
    }

    fn upload(
        &self,
        device: &preheat_pjrt::Device,
        tensor: &Tensor,
    ) -> Result<Buffer, DeviceFault> {
        let TensorType { dtype, dimensions } = tensor.kind();
        // The device uses the host's memory in place where it can; the buffer keeps that memory
        // alive.
        let transfer = HostTransfer::ZeroCopy;
        let buffer =
            self.client.buffer_from_owner(device, *dtype, dimensions, tensor.shared(), transfer)?;
        Ok(Buffer::Xla(buffer))
    }
}

impl Loaded {
    /// Moves a tensor to the device from which this executable reads its inputs.
    pub(crate) fn upload(&self, here: &Here, tensor: &Tensor) -> Result<Buffer, DeviceFault> {
        match (self, here) {
            (Self::Xla { device, .. }, Here::Xla(backend)) => backend.upload(device, tensor),
            _ => here.upload(tensor),
        }
    }

    /// Queues an execution. Inputs that the executable donates cannot be used afterwards.
    pub(crate) fn execute(&self, inputs: &[&Buffer]) -> Result<Vec<Buffer>, DeviceFault> {
        match self {
            Self::Xla { executable, .. } => {
                let inputs =
                    inputs.iter().map(|buffer| buffer.xla()).collect::<Result<Vec<_>, _>>()?;
                let outputs = executable.execute(&inputs, ExecuteOptions::default())?;
                Ok(outputs.into_iter().map(Buffer::Xla).collect())
            }
            Self::Torch(executable) => {
                let inputs =
                    inputs.iter().map(|buffer| buffer.torch()).collect::<Result<Vec<_>, _>>()?;
                Ok(executable.execute(&inputs)?.into_iter().map(Buffer::Torch).collect())
            }
        }
    }
}

impl Buffer {
    fn xla(&self) -> Result<&preheat_pjrt::Buffer, DeviceFault> {
        match self {
            Self::Xla(buffer) => Ok(buffer),
            Self::Torch(_) => {
                Err(DeviceFault::OtherBackend { tensor: "libtorch", executable: "PJRT" })
            }
        }
    }

    pub(crate) fn torch(&self) -> Result<&TorchTensor, DeviceFault> {
        match self {
            Self::Torch(tensor) => Ok(tensor),
            Self::Xla(_) => {
                Err(DeviceFault::OtherBackend { tensor: "PJRT", executable: "libtorch" })
            }
        }
    }

    /// The buffer's dtype and shape.
    pub(crate) fn kind(&self) -> Result<TensorType, DeviceFault> {
        Ok(match self {
            Self::Xla(buffer) => {
                TensorType { dtype: buffer.dtype()?, dimensions: buffer.dimensions()? }
            }
            Self::Torch(tensor) => super::torch::tensor_type(tensor.kind())?,
        })
    }

    /// The event that comes when the buffer has been computed.
    pub(crate) fn ready(&self) -> Result<Event, DeviceFault> {
        Ok(match self {
            Self::Xla(buffer) => Event::Xla(buffer.ready()?),
            Self::Torch(tensor) => Event::Torch(Arc::new(tensor.ready()?)),
        })
    }

    /// Copies the buffer to the host, after waiting until it has been computed.
    pub(crate) fn to_host(&self, kind: TensorType) -> Result<Tensor, DeviceFault> {
        let mut bytes = AlignedBytes::zeroed(kind.dtype.array_bytes(&kind.dimensions)?)?;
        match self {
            Self::Xla(buffer) => buffer.to_host_into(&mut bytes)?,
            Self::Torch(tensor) => tensor.read_into(&mut bytes)?,
        }
        Ok(Tensor::from_aligned(kind, bytes))
    }
}

impl Event {
    /// Waits until the event has come.
    pub(crate) fn wait(&self) -> Result<(), DeviceFault> {
        match self {
            Self::Xla(event) => Ok(event.wait()?),
            Self::Torch(event) => Ok(event.wait()?),
        }
    }

    /// Calls `done` when the event has come or its work has failed: either on a thread of the back
    /// end, or at once on this one.
    pub(crate) fn on_ready(
        &self,
        done: impl FnOnce(Result<(), DeviceFault>) + Send + 'static,
    ) -> Result<(), DeviceFault> {
        match self {
            Self::Xla(event) => Ok(event.on_ready(|result| done(result.map_err(Into::into)))?),
            Self::Torch(event) => {
                event.on_ready(|result| done(result.map_err(Into::into)));
                Ok(())
            }
        }
    }
}
