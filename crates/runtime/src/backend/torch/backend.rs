//! How does the runtime use a device of libtorch?
//!
//! A device makes graphs ready, copies tensors to itself, and reports its memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{
    Environment, Interface, KeyInputs, Measurements, ProgramFormat, TensorSpec, Topology,
};
use preheat_ir::graph::{Type, Verified};
use preheat_pjrt::{ErrorCode, MemoryStats};
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;
use preheat_torch_abi::UNKNOWN_BYTES;

use super::{
    Torch, TorchError, TorchErrorCode, TorchFallback, TorchGraph, TorchTensor, WeightPlace,
    is_in_host_memory,
};
use crate::backend::host_memory::host_memory;
use crate::backend::xla::{Compiled, Payload};
use crate::backend::{BackendError, CompileError};
use crate::device::arguments::{ArgumentError, Placed, Reader};
use crate::device::estimate::{AttentionMemory, activations};
use crate::device::{TorchDevice, TorchId};

/// A device of a session, and the environment that graphs fit which were made ready on it.
#[derive(Debug)]
pub(crate) struct TorchBackend {
    torch: Torch,
    device: TorchDevice,
    environment: Arc<Environment>,
}

/// A graph that is ready to run on a device.
pub(crate) struct TorchExecutable {
    backend: Arc<TorchBackend>,
    graph: TorchGraph,
    reader: Reader,
}

/// A tensor of an execution: one that the caller gave, or a copy that was made for the execution.
enum Given<'a> {
    There(&'a TorchTensor),
    Brought(TorchTensor),
}

impl Given<'_> {
    fn tensor(&self) -> &TorchTensor {
        match self {
            Self::There(tensor) => tensor,
            Self::Brought(tensor) => tensor,
        }
    }
}

impl TorchBackend {
    /// `identify` returns the name of a library's build, for the environment.
    pub(crate) fn new(
        torch: &Torch,
        device: &TorchDevice,
        identify: impl Fn(&Path) -> Result<String, BackendError>,
    ) -> Result<Self, BackendError> {
        let environment = environment(device, identify(&torch.libraries().backend)?);
        Ok(Self {
            torch: torch.clone(),
            device: device.clone(),
            environment: Arc::new(environment),
        })
    }

    /// The device, as it was when the session was opened.
    pub(crate) fn device(&self) -> &TorchDevice {
        &self.device
    }

    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// The memory that can still be allocated: the device's free memory, and the memory that
    /// libtorch keeps for later. For the CPU, the memory that the system or a container leaves
    /// free.
    pub(crate) fn free_memory_bytes(&self) -> Option<u64> {
        let memory = self.torch.memory(&self.device).ok()?;
        if memory.free != UNKNOWN_BYTES {
            return Some(
                memory.free.saturating_add(memory.reserved.saturating_sub(memory.allocated)),
            );
        }
        is_in_host_memory(self.device.id).then(host_memory)?.map(|memory| memory.available_bytes)
    }

    pub(crate) fn total_memory_bytes(&self) -> Option<u64> {
        if self.device.id == TorchId::Cpu {
            Some(host_memory()?.total_bytes)
        } else {
            self.device.total_bytes
        }
    }

    /// Memory in use by this session's tensors. On a GPU libtorch's allocator counts more, such as
    /// its workspaces.
    pub(crate) fn memory_stats(&self) -> Option<MemoryStats> {
        let used = self.torch.memory(&self.device).ok()?;
        let signed = |bytes: u64| i64::try_from(bytes).ok();
        Some(MemoryStats {
            bytes_in_use: signed(used.allocated.max(used.tensors))?,
            peak_bytes_in_use: signed(used.allocated_peak.max(used.tensors_peak)),
            bytes_limit: self.total_memory_bytes().and_then(signed),
            bytes_reserved: signed(used.reserved).filter(|&bytes| bytes > 0),
            largest_alloc_size: None,
            largest_free_block_bytes: None,
        })
    }

    pub(crate) fn give_memory_back(&self) {
        if let Err(error) = self.torch.drop_caches(&self.device) {
            tracing::debug!(%error, "libtorch keeps the memory that it freed");
        }
    }

    /// The ops that ran on the CPU because this device lacks them, one sentence for each op.
    pub(crate) fn lacking(&self) -> Vec<String> {
        let own = self.device.id.to_string();
        let told = |TorchFallback { op, device, count, reason }: TorchFallback| {
            format!(
                "{device} has no {op}: it ran on the CPU, {count} time{} so far ({reason})",
                if count == 1 { "" } else { "s" }
            )
        };
        let all = self.torch.fallbacks().unwrap_or_default();
        all.into_iter().filter(|one| one.device == own).map(told).collect()
    }

    /// Makes a graph ready. There is nothing to compile: the graph itself is stored, as a sign that
    /// it was ready on this device.
    pub(crate) fn compile(
        self: &Arc<Self>,
        inputs: &KeyInputs,
    ) -> Result<(TorchExecutable, Compiled), CompileError> {
        let began = Instant::now();
        let program = &inputs.program;
        if program.format() != ProgramFormat::Graph {
            return Err(CompileError::NoTorchProgram {
                format: program.format(),
                device: self.device.id.into(),
            });
        }
        let (executable, function) = self.read(program.bytes())?;
        let compiled = Compiled {
            payload: Ok(Payload::Owned(program.bytes().to_vec())),
            interface: Some(interface(&function)),
            abi_version: None,
            measurements: measurements(&function, self, began),
        };
        Ok((executable, compiled))
    }

    pub(crate) fn load(self: &Arc<Self>, payload: &[u8]) -> Result<TorchExecutable, TorchError> {
        Ok(self.read(payload)?.0)
    }

    fn read(self: &Arc<Self>, bytes: &[u8]) -> Result<(TorchExecutable, Verified), TorchError> {
        let function = Verified::decode(bytes)?;
        let graph = self.torch.load(&self.device, &function)?;
        let reader = Reader::of(&function, self.device.id);
        Ok((TorchExecutable { backend: Arc::clone(self), graph, reader }, function))
    }

    pub(crate) fn upload(&self, tensor: &Tensor) -> Result<TorchTensor, TorchError> {
        self.torch.tensor(&self.device, &graph_type(tensor.kind())?, tensor.bytes())
    }

    /// Keeps a tensor in the host's memory.
    pub(crate) fn upload_to_host(&self, tensor: &Tensor) -> Result<TorchTensor, TorchError> {
        let host = self
            .torch
            .devices()
            .iter()
            .find(|device| device.id == TorchId::Cpu)
            .unwrap_or(&self.device);
        self.torch.tensor(host, &graph_type(tensor.kind())?, tensor.bytes())
    }

    /// Copies a tensor to this device.
    pub(crate) fn bring(&self, tensor: &TorchTensor) -> Result<TorchTensor, TorchError> {
        tensor.copy_to(&self.device)
    }

    fn place_of(&self, tensor: &TorchTensor) -> TorchId {
        let device = self.torch.devices().get(tensor.device() as usize);
        device.map_or(self.device.id, |device| device.id)
    }
}

impl TorchExecutable {
    /// Runs the graph on inputs, then weights, on whichever device they are. Inputs are copied to
    /// this device; weights that rest elsewhere are streamed.
    pub(crate) fn execute(&self, given: &[&TorchTensor]) -> Result<Vec<TorchTensor>, TorchError> {
        let place = |tensor: &&'_ TorchTensor| self.backend.place_of(tensor);
        let placed = given
            .iter()
            .map(|tensor| Placed::new(Given::There(tensor), place(tensor), tensor.kind().clone()));
        let bring = |given: Given<'_>| self.backend.bring(given.tensor()).map(Given::Brought);
        let arguments =
            self.reader.arguments(placed.collect(), bring).map_err(|error| match error {
                ArgumentError::Bring(error) => error,
                error => TorchError::Call {
                    doing: "giving a graph its tensors".to_owned(),
                    code: TorchErrorCode::WrongType,
                    message: error.to_string(),
                },
            })?;
        let tensors: Vec<&TorchTensor> =
            arguments.tensors().iter().map(|placed| placed.tensor().tensor()).collect();
        let weights = if arguments.weights_are_elsewhere() {
            WeightPlace::Anywhere
        } else {
            WeightPlace::OnDevice
        };
        self.graph.run(&tensors, weights)
    }
}

/// The environment of graphs that were made ready on a device: the library's build, libtorch's
/// version, and the hardware.
fn environment(device: &TorchDevice, build: String) -> Environment {
    let platform = match device.id {
        TorchId::Cuda(_) if device.rocm => "torch-rocm",
        TorchId::Cuda(_) => "torch-cuda",
        TorchId::Mps => "torch-mps",
        TorchId::Cpu => "torch-cpu",
        TorchId::Fake(_) => "torch-fake",
    };
    // The CPU's name describes libtorch and its threads, which have no influence on what fits.
    let device_kind =
        if device.id == TorchId::Cpu { "cpu".to_owned() } else { device.name.clone() };
    let [major, minor, patch] = preheat_torch_abi::LIBTORCH_VERSION;
    Environment {
        plugin_build: build,
        platform: platform.to_owned(),
        platform_version: format!("libtorch {major}.{minor}.{patch}"),
        topology: Topology { kind: device_kind.clone(), bounds: vec![1], core_count: 1 },
        device_kind,
        ..Environment::default()
    }
}

fn interface(function: &Verified) -> Interface {
    let inputs = function.inputs().iter().map(|input| &input.kind);
    let weights = function.weights().iter().map(|weight| &weight.kind);
    let outputs = function.outputs().iter().map(|output| function.type_of(output.value));
    Interface {
        inputs: inputs.chain(weights).filter_map(spec).collect(),
        outputs: outputs.filter_map(spec).collect(),
    }
}

fn spec(kind: &Type) -> Option<TensorSpec> {
    let TensorType { dtype, dimensions } = tensor_type(kind).ok()?;
    Some(TensorSpec { dtype: dtype.stablehlo().to_owned(), dims: dimensions })
}

/// The estimate of the graph's memory. Weights are left out: under offload they rest elsewhere.
fn measurements(function: &Verified, backend: &TorchBackend, began: Instant) -> Measurements {
    let attention =
        AttentionMemory { whole_scores: backend.device.id == TorchId::Mps, in_float32: false };
    let temporaries = activations(function, attention).bytes;
    Measurements {
        compile_seconds: began.elapsed().as_secs_f64(),
        memory_bytes: [("temporaries".to_owned(), temporaries)].into(),
        program_counts: [("instructions".to_owned(), function.nodes().len() as u64)].into(),
        ..Measurements::default()
    }
}

/// Converts the type of a host tensor to a type of the graph.
pub(crate) fn graph_type(kind: &TensorType) -> Result<Type, TorchError> {
    let dims =
        kind.dimensions.iter().map(|&size| u64::try_from(size).ok()).collect::<Option<Vec<u64>>>();
    dims.map(|dims| Type::new(kind.dtype, dims)).ok_or_else(|| unsupported(kind))
}

/// Converts the type of a graph's tensor to that of a host tensor.
pub(crate) fn tensor_type(kind: &Type) -> Result<TensorType, TorchError> {
    let dimensions =
        kind.dims.iter().map(|&size| i64::try_from(size).ok()).collect::<Option<Vec<i64>>>();
    dimensions
        .map(|dimensions| TensorType { dtype: kind.dtype, dimensions })
        .ok_or_else(|| unsupported(kind))
}

fn unsupported(kind: &dyn std::fmt::Display) -> TorchError {
    TorchError::Call {
        doing: format!("moving a tensor of {kind}"),
        code: TorchErrorCode::Unsupported,
        message: "torch has no tensors like it".to_owned(),
    }
}

impl From<TorchErrorCode> for ErrorCode {
    fn from(code: TorchErrorCode) -> Self {
        match code {
            TorchErrorCode::Unsupported => Self::Unimplemented,
            TorchErrorCode::OutOfMemory => Self::ResourceExhausted,
            TorchErrorCode::WrongDevice | TorchErrorCode::WrongType | TorchErrorCode::BadGraph => {
                Self::InvalidArgument
            }
            TorchErrorCode::Donated => Self::FailedPrecondition,
            TorchErrorCode::Libtorch | TorchErrorCode::Bug => Self::Internal,
        }
    }
}
