//! How does the runtime use a device of libtorch?
//!
//! A device makes graphs ready, copies tensors to itself, and reports its memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{
    Environment, Interface, KeyInputs, Measurements, ProgramFormat, TensorSpec, Topology,
};
use preheat_ir::graph::Verified;
use preheat_tensor::Tensor;
use preheat_tensor::TensorType;
use preheat_torch_abi::UNKNOWN_BYTES;

use super::{
    Torch, TorchError, TorchErrorCode, TorchEvent, TorchFallback, TorchGraph, TorchTensor,
    WeightPlace, is_in_host_memory,
};
use crate::backend::contract::{Buffer, Compiled, Device, Done, Event, Loaded, MemoryUse, own};
use crate::backend::host_memory::host_memory;
use crate::backend::{BackendError, CompileError, DeviceFault, FaultKind};
use crate::device::arguments::{ArgumentError, Placed, Reader};
use crate::device::estimate::{AttentionMemory, activations};
use crate::device::{DeviceName, TorchDevice, TorchId};

/// The name of this driver in the error that a buffer of another driver causes.
const DRIVER: &str = "libtorch";

/// A device of a session, and the environment of the graphs that are made ready on it.
#[derive(Debug, Clone)]
pub(crate) struct TorchBackend {
    torch: Torch,
    device: TorchDevice,
    environment: Arc<Environment>,
}

/// A graph that is ready to run on a device.
pub(crate) struct TorchExecutable {
    backend: TorchBackend,
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
    /// Prepares a device of a session for use by the runtime. `identify` returns the name of a
    /// library's build, for the environment.
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

    fn read(&self, bytes: &[u8]) -> Result<(TorchExecutable, Verified), TorchError> {
        let function = Verified::decode(bytes)?;
        let graph = self.torch.load(&self.device, &function)?;
        let reader = Reader::of(&function, self.device.id);
        Ok((TorchExecutable { backend: self.clone(), graph, reader }, function))
    }

    /// Copies a tensor to this device.
    fn bring(&self, tensor: &TorchTensor) -> Result<TorchTensor, TorchError> {
        tensor.copy_to(&self.device)
    }

    fn place_of(&self, tensor: &TorchTensor) -> TorchId {
        let device = self.torch.devices().get(tensor.device() as usize);
        device.map_or(self.device.id, |device| device.id)
    }
}

impl Device for TorchBackend {
    fn name(&self) -> DeviceName {
        self.device.id.into()
    }

    fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// There is nothing to compile. The graph itself is stored, and shows that it was made ready on
    /// this device.
    fn compile(&self, inputs: &KeyInputs) -> Result<(Box<dyn Loaded>, Compiled), CompileError> {
        let began = Instant::now();
        let program = &inputs.program;
        if program.format() != ProgramFormat::Graph {
            let (format, device) = (program.format(), self.device.id.into());
            let refused = OtherFormat { format, device };
            return Err(DeviceFault::new(FaultKind::Unsupported, refused).into());
        }
        let (executable, function) = self.read(program.bytes()).map_err(DeviceFault::from)?;
        let compiled = Compiled {
            payload: Ok(Box::new(program.bytes().to_vec())),
            interface: Some(interface(&function)),
            abi_version: None,
            measurements: measurements(&function, self, began),
        };
        Ok((Box::new(executable), compiled))
    }

    fn load(&self, payload: &[u8]) -> Result<Box<dyn Loaded>, DeviceFault> {
        Ok(Box::new(self.read(payload)?.0))
    }

    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        Ok(Box::new(self.torch.tensor(&self.device, tensor.kind(), tensor.bytes())?))
    }

    fn put_in_host_memory(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        let all = self.torch.devices();
        let host = all.iter().find(|device| device.id == TorchId::Cpu).unwrap_or(&self.device);
        Ok(Box::new(self.torch.tensor(host, tensor.kind(), tensor.bytes())?))
    }

    fn copy(&self, buffer: &dyn Buffer) -> Result<Box<dyn Buffer>, DeviceFault> {
        Ok(Box::new(self.bring(own(buffer, DRIVER)?)?))
    }

    /// The device's free memory plus the freed memory that libtorch keeps for later use. For the
    /// CPU, it is the memory that the system or a container leaves free.
    fn free_memory_bytes(&self) -> Option<u64> {
        let memory = self.torch.memory(&self.device).ok()?;
        if memory.free != UNKNOWN_BYTES {
            return Some(
                memory.free.saturating_add(memory.reserved.saturating_sub(memory.allocated)),
            );
        }
        is_in_host_memory(self.device.id).then(host_memory)?.map(|memory| memory.available_bytes)
    }

    fn total_memory_bytes(&self) -> Option<u64> {
        if self.device.id == TorchId::Cpu {
            Some(host_memory()?.total_bytes)
        } else {
            self.device.total_bytes
        }
    }

    /// Memory in use by this session's tensors. On a GPU libtorch's allocator counts more, such as
    /// its workspaces.
    fn memory_use(&self) -> Option<MemoryUse> {
        let used = self.torch.memory(&self.device).ok()?;
        Some(MemoryUse {
            in_use: used.allocated.max(used.tensors),
            peak: Some(used.allocated_peak.max(used.tensors_peak)),
            limit: self.total_memory_bytes(),
            reserved: Some(used.reserved).filter(|&bytes| bytes > 0),
        })
    }

    fn give_memory_back(&self) {
        if let Err(error) = self.torch.drop_caches(&self.device) {
            tracing::debug!(%error, "libtorch keeps the memory that it freed");
        }
    }

    /// The figures are an estimate, and not all weights need to be on the device at once.
    fn knows_footprints(&self) -> bool {
        false
    }

    fn torch(&self) -> Option<&TorchDevice> {
        Some(&self.device)
    }

    fn lacking(&self) -> Vec<String> {
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
}

/// A program was given to libtorch, but only a PJRT plugin can compile programs of its format.
#[derive(Debug, thiserror::Error)]
#[error(
    "{device} runs through libtorch, which runs the graphs of models and no {format} programs: \
     choose xla-cpu, xla-cuda or tpu"
)]
struct OtherFormat {
    format: ProgramFormat,
    device: DeviceName,
}

impl Loaded for TorchExecutable {
    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        self.backend.put(tensor)
    }

    fn run(&self, inputs: &[&dyn Buffer]) -> Result<Vec<Box<dyn Buffer>>, DeviceFault> {
        let inputs =
            inputs.iter().map(|buffer| own(*buffer, DRIVER)).collect::<Result<Vec<_>, _>>()?;
        let outputs = self.execute(&inputs)?;
        Ok(outputs.into_iter().map(|tensor| Box::new(tensor) as Box<dyn Buffer>).collect())
    }
}

impl Buffer for TorchTensor {
    fn kind(&self) -> Result<TensorType, DeviceFault> {
        Ok(TorchTensor::kind(self).clone())
    }

    fn ready(&self) -> Result<Box<dyn Event>, DeviceFault> {
        Ok(Box::new(Arc::new(TorchTensor::ready(self)?)))
    }

    fn read_into(&self, bytes: &mut [u8]) -> Result<(), DeviceFault> {
        Ok(TorchTensor::read_into(self, bytes)?)
    }
}

impl Event for Arc<TorchEvent> {
    fn wait(&self) -> Result<(), DeviceFault> {
        Ok(TorchEvent::wait(self)?)
    }

    fn on_ready(&self, done: Done) -> Result<(), DeviceFault> {
        TorchEvent::on_ready(self, |result| done(result.map_err(Into::into)));
        Ok(())
    }
}

impl TorchExecutable {
    /// Runs the graph on `given`: its inputs, then its weights, which may be on any device. Inputs
    /// are copied to this device; weights that rest elsewhere are streamed.
    fn execute(&self, given: &[&TorchTensor]) -> Result<Vec<TorchTensor>, TorchError> {
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
    // The CPU's name describes libtorch and its threads. Neither decides whether a graph fits.
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
        inputs: inputs.chain(weights).map(TensorSpec::from).collect(),
        outputs: outputs.map(TensorSpec::from).collect(),
    }
}

/// The time in which the graph was made ready, an estimate of its memory, and the number of its
/// ops. The estimate leaves out the weights, because they may rest elsewhere.
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
