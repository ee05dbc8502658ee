//! How does a program with samplers of its own use the network alone, with weights from memory?
//!
//! Python programs call `preheat.Denoiser` (`python/preheat/_denoiser.py`), which converts weights
//! to the order and the dtype that the graph reads.
#![expect(clippy::needless_pass_by_value, reason = "PyO3 hands over the lists that it made")]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_cache::{
    CfgProjection, Digest, Keep, ModelProjection, Program, ProgramFormat, Projection,
};
use preheat_diffusion::models::{NetworkSpec, UnetConfig, aliases, builder_id, network};
use preheat_diffusion::pipeline::noise::Generator;
use preheat_ir::graph::{Verified, autocast};
use preheat_ir::lower::{self, LoweringTarget};
use preheat_runtime::{DeviceTensor, Executable, Graph, Input};
use preheat_tensor::{Dtype, Tensor};
use pyo3::prelude::*;

use crate::arrays::tensor::PyTensor;
use crate::arrays::tensor_of;
use crate::errors::{Failure, Kind, raise, with_causes};
use crate::reports::to_python;
use crate::runtime::PyRuntime;
use crate::signature::PySignature;
use crate::values::dtype_of;
use crate::work::{self, Ask, PyCancel};

/// The network of a model, compiled without its weights, for `preheat.Denoiser`.
#[pyclass(name = "Network", module = "preheat._native", frozen)]
pub(crate) struct PyNetwork {
    runtime: Py<PyRuntime>,
    executable: Executable,
    function: Arc<Verified>,
    orders: Vec<Vec<usize>>,
    signature: preheat_cache::Signature,
    weights: Mutex<Vec<Option<Arc<DeviceTensor>>>>,
}

/// A weight as [`PyNetwork::weights`] describes it.
type ReadWeight = (String, Vec<String>, Vec<u64>, Vec<usize>, &'static str);

/// Numbers as `torch.Generator("cpu").manual_seed(seed)` gives them to `torch.randn`.
#[pyfunction]
pub(crate) fn noise(py: Python<'_>, seed: u64, shape: Vec<u64>) -> PyResult<PyTensor> {
    let count = shape.iter().try_fold(1_u64, |count, side| count.checked_mul(*side));
    let count = count.and_then(|count| usize::try_from(count).ok());
    let too_large = || raise(py, Kind::InvalidRequest, "the shape has more elements than fit");
    let values = Generator::new(seed).normal(count.ok_or_else(too_large)?);
    let tensor = Tensor::from_f32(&shape, &values)
        .map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))?;
    Ok(PyTensor { tensor })
}

#[pymethods]
impl PyNetwork {
    #[new]
    #[pyo3(signature = (runtime, config, size, batch, tokens, dtype, *, name, joined=false, force_recompile=false, require_warm=None, warming=false, progress=None, cancel=None))]
    fn new<'py>(
        py: Python<'py>,
        runtime: &Bound<'py, PyRuntime>,
        config: &str,
        size: [u64; 2],
        batch: u64,
        tokens: u64,
        dtype: &Bound<'py, PyAny>,
        name: &str,
        joined: bool,
        force_recompile: bool,
        require_warm: Option<bool>,
        warming: bool,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Self> {
        let ask = Ask::of(py, progress, cancel)?;
        let wanted = Wanted::of(runtime, config, size, batch, tokens, dtype, name, joined)?;
        let Wanted { function, signature, .. } = wanted.clone();
        let executable = runtime.get().work(py, &ask, move |runtime, _| {
            let graph = wanted.graph(runtime.lowering_target());
            let mut request =
                runtime.request(&wanted.signature, &graph).force_recompile(force_recompile);
            if let Some(require) = require_warm {
                request = request.require_warm(require);
            }
            Ok(if warming { request.get_for_warmup()? } else { request.get()? })
        })?;
        let owner = runtime.clone().unbind();
        let orders = lower::weight_orders(&function);
        let weights = Mutex::new(vec![None; orders.len()]);
        Ok(Self { runtime: owner, executable, function, orders, signature, weights })
    }

    /// Looks up whether a network would be served without a compile. Nothing is compiled, and no
    /// statistics are kept.
    #[staticmethod]
    #[pyo3(signature = (runtime, config, size, batch, tokens, dtype, *, name, joined=false))]
    fn lookup<'py>(
        py: Python<'py>,
        runtime: &Bound<'py, PyRuntime>,
        config: &str,
        size: [u64; 2],
        batch: u64,
        tokens: u64,
        dtype: &Bound<'py, PyAny>,
        name: &str,
        joined: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Wanted::of(runtime, config, size, batch, tokens, dtype, name, joined)?;
        let lookup = runtime.get().work(py, &Ask::silent(), move |runtime, _| {
            let graph = wanted.graph(runtime.lowering_target());
            Ok(runtime.lookup(&wanted.signature, &graph)?)
        })?;
        to_python(py, &lookup)
    }

    /// Each weight that the graph reads: its name, its older names, its shape in a checkpoint, the
    /// order in which its dimensions are handed over, and the dtype.
    #[getter]
    fn weights(&self) -> Vec<ReadWeight> {
        let weights = self.function.weights().iter().zip(&self.orders);
        weights
            .map(|(weight, order)| {
                let (dims, dtype) = (weight.kind.dims.clone(), weight.kind.dtype.name());
                (weight.name.clone(), aliases(&weight.name), dims, order.clone(), dtype)
            })
            .collect()
    }

    /// Copies one weight to the device. The weight that was there before is dropped.
    fn set_weight(&self, py: Python<'_>, index: usize, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let (executable, tensor) = (self.executable.clone(), tensor_of(array, None)?);
        let moved = work::run(py, &Ask::silent(), move |_| Ok(executable.to_device(&tensor)?))?;
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = weights.get_mut(index) {
            *place = Some(Arc::new(moved));
        }
        Ok(())
    }

    /// Takes every weight that `other` has on the device, without a copy. Both must read the same
    /// weights in the same order, as two sizes of one network do.
    fn share(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        let other = other.get();
        let kinds = |one: &Self| one.function.weights().to_vec();
        let are_of_one_kind = self.orders == other.orders && kinds(self) == kinds(other);
        if !self.runtime.is(&other.runtime) || !are_of_one_kind {
            let words = "load the weights: the two networks do not read the same ones, or not on \
                         the same runtime";
            return Err(raise(py, Kind::InvalidRequest, words));
        }
        let theirs = other.weights.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.weights.lock().unwrap_or_else(PoisonError::into_inner) = theirs;
        Ok(())
    }

    /// Drops the weights, and with them their memory on the device unless another network shares
    /// them.
    fn unload(&self) {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).fill(None);
    }

    /// Runs the network on its inputs, all of float32.
    #[pyo3(signature = (inputs, *, cancel=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<PyTensor> {
        let ask = Ask::of(py, Some(pyo3::types::PyBool::new(py, false).as_any()), cancel)?;
        let kinds = self.executable.inputs();
        let given = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| tensor_of(input, kinds.and_then(|kinds| kinds.get(index))));
        let given = given.collect::<PyResult<Vec<Tensor>>>()?;
        let weights = {
            let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
            weights.iter().cloned().collect::<Option<Vec<_>>>()
        };
        let weights = weights.ok_or_else(|| {
            raise(py, Kind::InvalidRequest, "load the weights first: load(weights)")
        })?;
        let executable = self.executable.clone();
        let tensor = work::run(py, &ask, move |_| {
            let host = given.iter().map(Input::Host);
            let all = host.chain(weights.iter().map(|weight| Input::Device(weight)));
            let mut outputs = executable.run_to_host(all)?;
            let none = || Failure::Words(Kind::DeviceError, "the network gave nothing".to_owned());
            if outputs.is_empty() { Err(none()) } else { Ok(outputs.remove(0)) }
        })?;
        Ok(PyTensor { tensor })
    }

    /// How its executable was obtained.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.executable.report())
    }

    /// The signature that it was compiled under.
    #[getter]
    fn signature(&self) -> PySignature {
        PySignature { signature: self.signature.clone() }
    }
}

/// The graph of a network, with the signature and the projection of the request for it.
#[derive(Clone)]
struct Wanted {
    function: Arc<Verified>,
    signature: preheat_cache::Signature,
    projection: Projection,
}

impl Wanted {
    /// Builds the graph of a network, in that dtype.
    #[expect(clippy::too_many_arguments, reason = "they are those of the Python class")]
    fn of(
        runtime: &Bound<'_, PyRuntime>,
        config: &str,
        [latent_width, latent_height]: [u64; 2],
        batch: u64,
        tokens: u64,
        dtype: &Bound<'_, PyAny>,
        name: &str,
        joined: bool,
    ) -> PyResult<Self> {
        let py = runtime.py();
        if runtime.get().runtime.torch_device().is_some() {
            let words = "name a device of XLA, such as xla-cpu or xla-cuda: the network alone does \
                         not run on libtorch's devices";
            return Err(raise(py, Kind::DeviceError, words));
        }
        let dtype = dtype_of(dtype)?;
        let config = UnetConfig::read(Path::new("config"), config)
            .map_err(|error| raise(py, Kind::ModelError, &with_causes(&error)))?;
        let spec = NetworkSpec { batch, latent_height, latent_width, tokens, joined };
        let function = built(&config, spec, dtype)
            .map_err(|error| raise(py, Kind::InvalidRequest, &with_causes(&error)))?;
        let shape = [batch, config.in_channels, latent_height, latent_width];
        let signature =
            preheat_cache::create_execution_signature(name, shape, batch, 1.0, "", 1, dtype)
                .map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))?;
        let architecture = serde_json::to_vec(&config).unwrap_or_default();
        let vector = if joined && config.added.is_some() { ", one added vector" } else { "" };
        let projection = Projection {
            model_id: ModelProjection::Architecture(Digest::of(&architecture)),
            cfg_scale: CfgProjection::Dropped,
            scheduler: Keep::Dropped,
            steps: Keep::Dropped,
            extra: format!("{tokens} tokens{vector}"),
            ..Projection::exact()
        };
        Ok(Self { function: Arc::new(function), signature, projection })
    }

    /// The graph that the runtime compiles if it has no executable.
    fn graph(&self, target: LoweringTarget) -> Graph {
        let lowered = Arc::clone(&self.function);
        let build = move || {
            let text = lower::stablehlo(&lowered, target).text;
            Ok(Program::new(ProgramFormat::Mlir, text.into_bytes()))
        };
        Graph::built_by(builder_id(), build).stage("network").projection(self.projection.clone())
    }
}

/// The graph, in that dtype.
fn built(
    config: &UnetConfig,
    spec: NetworkSpec,
    dtype: Dtype,
) -> Result<Verified, preheat_ir::graph::GraphError> {
    autocast(&network(config, spec)?, dtype)
}
