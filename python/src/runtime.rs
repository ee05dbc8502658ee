//! How does a Python program get a device and its cache?

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_ir::lower::LoweringTarget;
use preheat_runtime::device::{DeviceRequest, StageDevices, TpuSwitch};
use preheat_runtime::progress::Control;
use preheat_runtime::{CompileEffort, Runtime, RuntimeBuilder};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::arrays::tensor::PyDeviceTensor;
use crate::cache::PyCache;
use crate::errors::{Failure, Kind, raise};
use crate::executable::PyExecutable;
use crate::program::PyProgram;
use crate::reports::to_python;
use crate::settings::{cache_settings, refuse_others, take, take_word};
use crate::signature::PySignature;
use crate::work::{self, Ask, PyCancel};

/// A device with its cache. A program makes one when it starts, and gets every executable from it.
#[pyclass(name = "Runtime", module = "preheat", frozen, subclass)]
pub(crate) struct PyRuntime {
    pub(crate) runtime: Runtime,
    builder: RuntimeBuilder,
    /// The process that made it. A fork has neither the plugin's threads nor its locks.
    process: u32,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// A list of what this machine has: each device, whether it can be used, and if not, why.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let found = work::run(py, &Ask::silent(), |_| Ok(preheat_runtime::describe_devices()))?;
    to_python(py, &found)
}

/// A setting that is on or off.
type Switch = fn(RuntimeBuilder, bool) -> RuntimeBuilder;

fn settings_of(
    mut builder: RuntimeBuilder,
    settings: &Bound<'_, PyDict>,
) -> PyResult<RuntimeBuilder> {
    let device = DeviceRequest {
        device: take_word(settings, "device")?.unwrap_or_default(),
        strict: take(settings, "strict_device")?.unwrap_or(false),
        tpu: match take(settings, "tpu")? {
            None => TpuSwitch::Unset,
            Some(true) => TpuSwitch::Enabled,
            Some(false) => TpuSwitch::Disabled,
        },
    };
    builder = builder.device(device).stage_devices(StageDevices {
        text_encoder: take_word(settings, "text_encoder_device")?,
        vae: take_word(settings, "vae_device")?,
    });
    builder = cache_settings(builder, settings)?;
    if take(settings, "for_programs")?.unwrap_or(true) {
        builder = builder.for_programs();
    }
    if let Some(target) = take_word(settings, "target")? {
        builder = builder.target(target);
    }
    if let Some(path) = take::<PathBuf>(settings, "plugin")? {
        builder = builder.plugin(path);
    }
    // A Python program may end at any moment, and nothing there waits for a compile in the
    // background. So a runtime of Python's is never tiered.
    let effort = take_word::<CompileEffort>(settings, "compile_effort")?;
    builder = builder.compile_effort(effort.unwrap_or_default());
    if let Some(bytes) = take(settings, "memory_limit_bytes")? {
        builder = builder.memory_limit_bytes(bytes);
    }
    if let Some(steps) = take(settings, "sync_steps")? {
        builder = builder.sync_steps(steps);
    }
    let switches: [(&str, Switch); 4] = [
        ("use_cache", RuntimeBuilder::use_cache),
        ("require_warm", RuntimeBuilder::require_warm),
        ("manual_warmup", RuntimeBuilder::manual_warmup),
        ("metrics", RuntimeBuilder::metrics),
    ];
    for (name, switch) in switches {
        if let Some(on) = take(settings, name)? {
            builder = switch(builder, on);
        }
    }
    let packaged = settings.py().import("preheat._command")?.call_method0("path")?;
    // Python programs compile many small graphs, each of which would start a process.
    builder = builder.compiler_program(packaged.extract::<PathBuf>()?).compile_in_process(true);
    refuse_others(settings)?;
    Ok(builder)
}

impl PyRuntime {
    /// Does `work` with this runtime under the call's own control, and then gives its warnings to
    /// Python.
    pub(crate) fn work<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: &Ask,
        work: impl FnOnce(&Runtime, &Control) -> Result<T, Failure> + Send + 'static,
    ) -> PyResult<T> {
        if self.process != std::process::id() {
            return Err(raise(
                py,
                Kind::DeviceError,
                "make a runtime in the child process: this one was made before the fork, and the \
                 device's threads did not come along. multiprocessing starts children that import \
                 anew with multiprocessing.set_start_method(\"spawn\")",
            ));
        }
        let runtime = self.runtime.clone();
        let outcome =
            work::run(py, ask, move |control| work(&runtime.controlled_by(control), control));
        self.say_warnings(py)?;
        outcome
    }

    fn say_warnings(&self, py: Python<'_>) -> PyResult<()> {
        let warnings =
            std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        if warnings.is_empty() {
            return Ok(());
        }
        let class = py.import("preheat._errors")?.getattr("PreheatWarning")?;
        let module = py.import("warnings")?;
        for text in warnings {
            module.call_method1("warn", (text, &class, 2))?;
        }
        Ok(())
    }
}

#[pymethods]
impl PyRuntime {
    /// Chooses the device, loads its plugin and opens the cache. `help(preheat)` lists the
    /// settings.
    #[new]
    #[pyo3(signature = (device=None, **settings))]
    fn new<'py>(
        py: Python<'py>,
        device: Option<&str>,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let settings = settings.map_or_else(|| Ok(PyDict::new(py)), PyDictMethods::copy)?;
        // The command line takes its default from the same variable.
        let named = std::env::var("PREHEAT_DEVICE").ok().filter(|named| !named.is_empty());
        if let Some(device) = device.map(str::to_owned).or(named) {
            settings.set_item("device", device)?;
        }
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&warnings);
        let builder = Runtime::builder().on_warning(move |warning| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(warning.to_string());
        });
        let builder = settings_of(builder, &settings)?;
        let surroundings = py.import("preheat._surroundings")?;
        let hidden = surroundings.call_method0("prepare")?;
        let ready = builder.clone();
        let runtime = work::run(py, &Ask::silent(), move |control| {
            Ok(ready.cancel(control.flag().clone()).build()?)
        });
        surroundings.call_method1("restore", (hidden,))?;
        let runtime = runtime?;
        // The flag that could stop the opening of the device must not stop later work.
        let runtime = runtime.controlled_by(&Control::default());
        let made = Self { runtime, builder, process: std::process::id(), warnings };
        made.say_warnings(py)?;
        Ok(made)
    }

    /// The executable of `program`: from memory, from the cache, or compiled now and kept.
    #[pyo3(signature = (signature, program, *, require_warm=None, force_recompile=false, effort=None, progress=None, cancel=None))]
    fn get_or_compile<'py>(
        &self,
        py: Python<'py>,
        signature: &Bound<'py, PySignature>,
        program: &Bound<'py, PyProgram>,
        require_warm: Option<bool>,
        force_recompile: bool,
        effort: Option<&str>,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<PyExecutable> {
        let ask = Ask::of(py, progress, cancel)?;
        let (signature, program) = asked(signature, program);
        let effort = effort_of(py, effort)?;
        let executable = self.work(py, &ask, move |runtime, _| {
            let mut request =
                runtime.request(&signature, &program).force_recompile(force_recompile);
            if let Some(require) = require_warm {
                request = request.require_warm(require);
            }
            if let Some(effort) = effort {
                request = request.effort(effort);
            }
            Ok(request.get()?)
        })?;
        Ok(PyExecutable { executable })
    }

    /// Makes sure that `program` is compiled, and runs it once on zeros. Returns the executable and
    /// what the warmup did.
    #[pyo3(signature = (signature, program, *, force_recompile=false, effort=None, progress=None, cancel=None))]
    fn warmup<'py>(
        &self,
        py: Python<'py>,
        signature: &Bound<'py, PySignature>,
        program: &Bound<'py, PyProgram>,
        force_recompile: bool,
        effort: Option<&str>,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<(PyExecutable, Bound<'py, PyAny>)> {
        let ask = Ask::of(py, progress, cancel)?;
        let (signature, program) = asked(signature, program);
        let effort = effort_of(py, effort)?;
        let (executable, report) = self.work(py, &ask, move |runtime, _| {
            let mut request =
                runtime.request(&signature, &program).force_recompile(force_recompile);
            if let Some(effort) = effort {
                request = request.effort(effort);
            }
            Ok(request.warmup()?)
        })?;
        Ok((PyExecutable { executable }, to_python(py, &report)?))
    }

    /// Makes sure that the cache has the executable, and loads nothing. For hardware that is not
    /// here (`target`), this is all that can be done.
    #[pyo3(signature = (signature, program, *, progress=None, cancel=None))]
    fn precompile<'py>(
        &self,
        py: Python<'py>,
        signature: &Bound<'py, PySignature>,
        program: &Bound<'py, PyProgram>,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ask = Ask::of(py, progress, cancel)?;
        let (signature, program) = asked(signature, program);
        let report = self.work(py, &ask, move |runtime, _| {
            Ok(runtime.request(&signature, &program).precompile()?)
        })?;
        to_python(py, &report)
    }

    /// Looks up whether a request would be served without a compile. Nothing is compiled. Without a
    /// program, this looks up the executables that were used before under the exact signature.
    #[pyo3(signature = (signature, program=None))]
    fn lookup<'py>(
        &self,
        py: Python<'py>,
        signature: &Bound<'py, PySignature>,
        program: Option<&Bound<'py, PyProgram>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let signature = signature.get().signature.clone();
        let program = program.map(|program| program.get().program.clone());
        let lookup = self.work(py, &Ask::silent(), move |runtime, _| {
            Ok(match program {
                Some(program) => runtime.lookup(&signature, &program)?,
                None => runtime.lookup_signature(&signature)?,
            })
        })?;
        to_python(py, &lookup)
    }

    /// Whether everything that was run under this exact signature is still in the cache, for this
    /// device and plugin.
    fn is_cached(&self, py: Python<'_>, signature: &Bound<'_, PySignature>) -> PyResult<bool> {
        let signature = signature.get().signature.clone();
        self.work(py, &Ask::silent(), move |runtime, _| Ok(runtime.is_cached(&signature)?))
    }

    /// Moves an array to the device.
    fn to_device(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<PyDeviceTensor> {
        let tensor = crate::arrays::tensor_of(array, None)?;
        self.work(py, &Ask::silent(), move |runtime, _| Ok(runtime.to_device(&tensor)?))
            .map(PyDeviceTensor::new)
    }

    /// The cache's statistics, summed over all processes that use it.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let statistics = self.work(py, &Ask::silent(), |runtime, _| Ok(runtime.stats()?))?;
        to_python(py, &statistics)
    }

    /// The cache, to list, check, prune, pin and move what it holds.
    #[getter]
    fn cache(&self, py: Python<'_>) -> PyResult<PyCache> {
        PyCache::open(py, &self.builder, Some(self.runtime.clone()))
    }

    /// The device: what was `requested`, what was `selected`, and the `reason`.
    #[getter]
    fn device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.runtime.device())
    }

    /// The target that programs are compiled for here.
    #[getter]
    fn target(&self) -> String {
        self.runtime.target()
    }

    /// The warnings so far. Each of them is also given as a `PreheatWarning`.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.runtime.warnings().iter().map(ToString::to_string).collect()
    }

    /// What this runtime has done so far, in numbers: empty unless `metrics=True` was given.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let metrics = self.work(py, &Ask::silent(), |runtime, _| Ok(runtime.metrics()))?;
        to_python(py, &metrics.flat())
    }

    /// The dtype in which models compute on this device if no other one is asked for.
    #[getter]
    fn compute_dtype(&self) -> &'static str {
        match self.runtime.lowering_target() {
            LoweringTarget::Accelerator => "bfloat16",
            LoweringTarget::Cpu => "float32",
        }
    }

    /// Frees device memory that is not in use, and returns how many bytes that were. Later requests
    /// load again what they need.
    fn free_memory(&self, py: Python<'_>) -> PyResult<u64> {
        self.work(py, &Ask::silent(), |runtime, _| Ok(runtime.free_memory()))
    }

    fn __repr__(&self) -> String {
        format!("<preheat.Runtime on {}>", self.runtime.device().selected)
    }
}

fn asked(
    signature: &Bound<'_, PySignature>,
    program: &Bound<'_, PyProgram>,
) -> (preheat_cache::Signature, preheat_cache::Program) {
    (signature.get().signature.clone(), program.get().program.clone())
}

fn effort_of(py: Python<'_>, effort: Option<&str>) -> PyResult<Option<CompileEffort>> {
    let parsed = effort.map(str::parse::<CompileEffort>).transpose();
    parsed.map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))
}
