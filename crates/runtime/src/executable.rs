//! How is a loaded executable run?
//!
//! Its inputs come from the host or from the device. Its outputs stay on the device until they are
//! dropped; reading an output copies it to the host.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use preheat_cache::{GraphKey, Measurements};
use preheat_tensor::TensorType;
use preheat_tensor::{Tensor, TensorError};

use super::error::Error;
use super::memory::Held;
use super::metrics::{self, Recorder};
use super::on_device::{Doing, Failure, OnDevice};
use super::out_of_memory::Footprint;
use super::report::StageReport;
use super::trial::FirstRun;
use crate::backend::DeviceFault;
use crate::backend::contract::{Buffer, Event, Loaded, to_host};

/// An executable in memory, shared by all requests that obtained it.
pub(super) struct LoadedGraph {
    pub(super) graph_key: GraphKey,
    pub(super) loaded: Box<dyn Loaded>,
    /// The mark of the load, until the first execution is over. This field is dropped after
    /// `loaded`: unloading can end the process, too, and then the mark has to be there.
    pub(super) first_run: FirstRun,
    /// Inputs and outputs; `None` if the plugin does not report them.
    pub(super) interface: Option<Interface>,
    /// The length of the serialised machine code, in bytes.
    pub(super) payload_bytes: u64,
    pub(super) measurements: Measurements,
    pub(super) footprint: Footprint,
    /// The things that the runtime keeps on the device and can drop if there is no room. Once the
    /// runtime is dropped, they are gone.
    pub(super) on_device: Weak<OnDevice<LoadedGraph>>,
    pub(super) recorder: Option<Arc<Recorder>>,
}

/// The types of the inputs and outputs of an executable.
pub(super) struct Interface {
    inputs: Vec<TensorType>,
    /// The inputs' types again; equal types are one shared `Arc`. A tensor whose type is that `Arc`
    /// needs no further comparison.
    shared_inputs: Vec<Arc<TensorType>>,
    outputs: Vec<Arc<TensorType>>,
}

impl Interface {
    pub(super) fn new(inputs: Vec<TensorType>, outputs: &[TensorType]) -> Self {
        let mut kinds = HashMap::new();
        let mut share = |kind: &TensorType| {
            Arc::clone(kinds.entry(kind.clone()).or_insert_with(|| Arc::new(kind.clone())))
        };
        let shared_inputs = inputs.iter().map(&mut share).collect();
        Self { outputs: outputs.iter().map(share).collect(), inputs, shared_inputs }
    }

    /// The shared type that equals `kind`, or a new one if no input is of this type.
    fn share(&self, kind: &TensorType) -> Arc<TensorType> {
        let shared = self.shared_inputs.iter().find(|shared| ***shared == *kind);
        shared.map_or_else(|| Arc::new(kind.clone()), Arc::clone)
    }
}

impl Held for LoadedGraph {
    fn graph_key(&self) -> GraphKey {
        self.graph_key
    }

    fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    fn footprint(&self) -> Footprint {
        self.footprint
    }
}

impl fmt::Debug for LoadedGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedGraph").field("graph_key", &self.graph_key).finish_non_exhaustive()
    }
}

/// A tensor that stays on the device.
#[derive(Debug)]
pub struct DeviceTensor {
    buffer: Box<dyn Buffer>,
    /// `None` if the executable that made the tensor does not report its outputs.
    kind: Option<Arc<TensorType>>,
    recorder: Option<Arc<Recorder>>,
}

impl DeviceTensor {
    /// The tensor's dtype and shape; `None` if the executable that made it does not report them.
    pub fn kind(&self) -> Option<&TensorType> {
        self.kind.as_deref()
    }

    pub(super) fn upload(
        upload: impl FnOnce() -> Result<Box<dyn Buffer>, DeviceFault>,
        tensor: &Tensor,
        kind: Arc<TensorType>,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Self, DeviceFault> {
        let began = recorder.map(|_| Instant::now());
        let buffer = upload()?;
        if let (Some(recorder), Some(began)) = (recorder, began) {
            recorder.sent(&*buffer, began, tensor.bytes().len());
        }
        Ok(Self { buffer, kind: Some(kind), recorder: recorder.cloned() })
    }

    /// A tensor that rests in the host's memory, in the form of the device's back end. The
    /// transfer to that memory is not measured.
    pub(super) fn resting(buffer: Box<dyn Buffer>, kind: Arc<TensorType>) -> Self {
        Self { buffer, kind: Some(kind), recorder: None }
    }

    /// A copy of the tensor, which `bring` makes.
    pub(super) fn copied(
        &self,
        bring: impl FnOnce(&dyn Buffer) -> Result<Box<dyn Buffer>, DeviceFault>,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Self, DeviceFault> {
        let began = recorder.map(|_| Instant::now());
        let buffer = bring(&*self.buffer)?;
        if let (Some(recorder), Some(began), Some(kind)) = (recorder, began, &self.kind) {
            recorder.sent(&*buffer, began, kind.dtype.array_bytes(&kind.dims).unwrap_or(0));
        }
        Ok(Self { buffer, kind: self.kind.clone(), recorder: recorder.cloned() })
    }

    /// Calls `done` when the tensor has been computed, or when that has failed, with the error. The
    /// plugin chooses the thread.
    ///
    /// # Errors
    /// If the plugin cannot report this; `done` is not called in that case.
    pub fn when_ready(
        &self,
        done: impl FnOnce(Result<(), DeviceFault>) + Send + 'static,
    ) -> Result<(), DeviceFault> {
        self.ready()?.on_ready(Box::new(done))
    }

    /// The event that is ready when the tensor has been computed.
    pub(super) fn ready(&self) -> Result<Box<dyn Event>, DeviceFault> {
        self.buffer.ready()
    }

    /// Waits until the tensor has been computed.
    ///
    /// # Errors
    /// If the computation failed, or the plugin cannot report its end.
    pub fn wait(&self) -> Result<(), DeviceFault> {
        self.ready()?.wait()
    }

    /// Copies the tensor to the host, after waiting until it has been computed.
    ///
    /// # Errors
    /// If the computation failed, the tensor has been donated to an execution, the host has too
    /// little memory, or the copy fails.
    pub fn to_host(&self) -> Result<Tensor, DeviceFault> {
        let kind = match &self.kind {
            Some(kind) => TensorType::clone(kind),
            None => self.buffer.kind()?,
        };
        let began = self.recorder.as_ref().map(|_| Instant::now());
        let tensor = to_host(&*self.buffer, kind)?;
        if let (Some(recorder), Some(began)) = (&self.recorder, began) {
            recorder.received(began, tensor.bytes().len());
        }
        Ok(tensor)
    }
}

/// An input: a tensor of the host, or a tensor that is already on the device.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The tensor is moved to the device for this execution.
    Host(&'a Tensor),
    /// The tensor is used in place. If the executable donates this input, the tensor cannot be used
    /// again.
    Device(&'a DeviceTensor),
}

impl<'a> From<&'a Tensor> for Input<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Host(tensor)
    }
}

impl<'a> From<&'a DeviceTensor> for Input<'a> {
    fn from(tensor: &'a DeviceTensor) -> Self {
        Self::Device(tensor)
    }
}

/// An executable that is ready to run. A clone shares it.
#[derive(Debug, Clone)]
pub struct Executable {
    pub(super) graph: Arc<LoadedGraph>,
    pub(super) report: StageReport,
}

impl Executable {
    /// How this executable was obtained.
    pub fn report(&self) -> &StageReport {
        &self.report
    }

    /// The graph key that names this executable.
    pub fn graph_key(&self) -> GraphKey {
        self.graph.graph_key
    }

    /// The types of the inputs, in order; `None` if the plugin does not report them.
    pub fn inputs(&self) -> Option<&[TensorType]> {
        self.graph.interface.as_ref().map(|interface| interface.inputs.as_slice())
    }

    /// What the plugin reported when it compiled this executable: the cost analysis, the memory in
    /// bytes, and counts of the optimised program, such as `instructions` and `fusions`.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        metrics::figures(&self.graph.measurements)
    }

    /// Refuses an execution that, with its inputs, takes more memory than the device has free. The
    /// check uses the compiler's own figures and executes nothing. If the device has too little
    /// free memory, everything on it that is not in use is dropped first, as far as necessary.
    /// [`Self::run`] does not make this check.
    ///
    /// # Errors
    /// If there is too little memory, although everything that is not in use was dropped.
    pub fn check_fits(&self) -> Result<(), Error> {
        let Some(on_device) = self.graph.on_device.upgrade() else { return Ok(()) };
        let inputs = self.inputs().into_iter().flatten().map(|kind| {
            let bytes = kind.dtype.array_bytes(&kind.dims).unwrap_or(0);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        });
        let inputs = inputs.fold(0, u64::saturating_add).max(self.footprint().arguments);
        let needed = inputs.saturating_add(self.footprint().of_execution());
        Ok(on_device.check_fits_now(&self.doing("running it", Some(needed)))?)
    }

    /// Makes a tensor of zeros for every input.
    ///
    /// # Errors
    /// If the plugin does not report the inputs, or the host has too little memory for the zeros.
    pub fn zeros(&self) -> Result<Vec<Tensor>, Error> {
        let inputs = self.inputs().ok_or_else(|| Error::InputsUnknown {
            stage: self.report.stage.clone(),
            graph_key: self.graph.graph_key,
        })?;
        let zeros = |kind: &TensorType| Tensor::zeros(kind.clone());
        inputs.iter().map(zeros).collect::<Result<_, _>>().map_err(|cause| match cause {
            TensorError::Array(cause) => self.failed("making zeros for its inputs", cause),
            other => Error::Tensor(other),
        })
    }

    /// Moves a tensor to the device that this executable runs on.
    ///
    /// # Errors
    /// If the device has no room, or the transfer fails.
    pub fn to_device(&self, tensor: &Tensor) -> Result<DeviceTensor, Error> {
        let kind = match &self.graph.interface {
            Some(interface) => interface.share(tensor.kind()),
            None => Arc::new(tensor.kind().clone()),
        };
        let upload = || {
            let graph = &self.graph;
            let upload = || graph.loaded.put(tensor);
            DeviceTensor::upload(upload, tensor, Arc::clone(&kind), graph.recorder.as_ref())
        };
        self.with_room("moving an input to the device", Some(tensor.bytes().len() as u64), upload)
    }

    /// The device memory that this executable takes, by the compiler's own figures.
    pub fn footprint(&self) -> Footprint {
        self.graph.footprint
    }

    pub(super) fn doing<'a>(&'a self, what: &'a str, needed_bytes: Option<u64>) -> Doing<'a> {
        Doing {
            stage: Some(&self.report.stage),
            what,
            needed_bytes,
            footprint: Some(self.footprint()),
        }
    }

    /// Does `work`. If the device has no room for it, this drops something that is not in use and
    /// tries again, until `work` succeeds or nothing is left to drop.
    fn with_room<T>(
        &self,
        what: &'static str,
        needed_bytes: Option<u64>,
        mut work: impl FnMut() -> Result<T, DeviceFault>,
    ) -> Result<T, Error> {
        let Some(on_device) = self.graph.on_device.upgrade() else {
            return work().map_err(|cause| self.failed(what, cause));
        };
        on_device.with_room(&self.doing(what, needed_bytes), work).map_err(
            |failure| match failure {
                Failure::OutOfMemory(error) => error.into(),
                Failure::Other(cause) => self.failed(what, cause),
            },
        )
    }

    /// Runs the executable. The outputs stay on the device, and the call returns as soon as the
    /// work is queued.
    ///
    /// # Errors
    /// If there are more or fewer inputs than the executable takes, an input has another type, or
    /// the device cannot take the inputs or the work.
    pub fn run<'a, I>(&self, inputs: I) -> Result<Vec<DeviceTensor>, Error>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let inputs: Vec<Input<'a>> = inputs.into_iter().map(Into::into).collect();
        self.check(&inputs)?;
        let on_host = inputs.iter().filter_map(|input| match input {
            Input::Host(tensor) => Some(self.to_device(tensor)),
            Input::Device(_) => None,
        });
        let moved = on_host.collect::<Result<Vec<_>, _>>()?;
        let mut moved = moved.iter();
        // The vector is allocated once: a step has hundreds of inputs, and the iterator does not
        // know how many.
        let mut buffers: Vec<&dyn Buffer> = Vec::with_capacity(inputs.len());
        buffers.extend(inputs.iter().filter_map(|input| match input {
            Input::Device(tensor) => Some(&*tensor.buffer),
            Input::Host(_) => moved.next().map(|tensor| &*tensor.buffer),
        }));
        let recorder = self.graph.recorder.as_ref();
        let began = recorder.map(|_| Instant::now());
        let execute = || self.graph.loaded.run(&buffers);
        let outputs =
            self.with_room("running it", Some(self.footprint().of_execution()), execute)?;
        self.graph.first_run.ends_with(outputs.first().map(|output| &**output));
        if let (Some(recorder), Some(began), Some(first)) = (recorder, began, outputs.first()) {
            recorder.queued(&self.report, began, &**first);
        }
        let kinds = self.graph.interface.as_ref().map(|interface| &interface.outputs);
        let kind = |index| kinds.and_then(|kinds| kinds.get(index)).cloned();
        let outputs = outputs.into_iter().enumerate();
        Ok(outputs
            .map(|(index, buffer)| DeviceTensor {
                buffer,
                kind: kind(index),
                recorder: recorder.cloned(),
            })
            .collect())
    }

    /// Runs the executable and copies the outputs to the host.
    ///
    /// # Errors
    /// The errors of [`Self::run`] and of [`DeviceTensor::to_host`].
    pub fn run_to_host<'a, I>(&self, inputs: I) -> Result<Vec<Tensor>, Error>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let read = |output: &DeviceTensor| {
            output.to_host().map_err(|cause| self.failed("reading a result", cause))
        };
        self.run(inputs)?.iter().map(read).collect()
    }

    /// Runs the executable on zeros and waits until it has finished.
    ///
    /// # Errors
    /// The errors of [`Self::check_fits`], [`Self::zeros`], [`Self::run`] and
    /// [`DeviceTensor::wait`].
    pub fn run_on_zeros(&self) -> Result<(), Error> {
        self.check_fits()?;
        let zeros = self.zeros()?;
        for output in self.run(&zeros)? {
            output.wait().map_err(|cause| self.failed("warming it up", cause))?;
        }
        Ok(())
    }

    pub(super) fn failed(&self, doing: &'static str, cause: impl Into<DeviceFault>) -> Error {
        Error::Run { stage: self.report.stage.clone(), doing, cause: cause.into() }
    }

    fn check(&self, inputs: &[Input<'_>]) -> Result<(), Error> {
        let Some(interface) = &self.graph.interface else { return Ok(()) };
        let (expected, shared) = (&interface.inputs, &interface.shared_inputs);
        if inputs.len() != expected.len() {
            let stage = self.report.stage.clone();
            return Err(Error::InputCount { stage, expected: expected.len(), given: inputs.len() });
        }
        for (index, (input, expected)) in inputs.iter().zip(shared).enumerate() {
            let given = match input {
                Input::Host(tensor) => Some(tensor.kind()),
                Input::Device(DeviceTensor { kind: Some(kind), .. })
                    if Arc::ptr_eq(kind, expected) =>
                {
                    continue;
                }
                Input::Device(tensor) => tensor.kind(),
            };
            if let Some(given) = given.filter(|&given| *given != **expected) {
                return Err(Error::InputType {
                    stage: self.report.stage.clone(),
                    index,
                    expected: expected.to_string(),
                    given: given.to_string(),
                });
            }
        }
        Ok(())
    }
}
