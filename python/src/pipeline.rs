//! How do a model folder and a prompt become pictures, for a Python program?
//!
//! A request is passed as JSON with the field names of request files, so that the names cannot
//! differ. Python programs call `preheat.DiffusionPipeline` (`python/preheat/_pipeline.py`).

use std::path::PathBuf;

use preheat_diffusion::pipeline::{Made, Pipeline, PipelineBuilder, Precisions, TextToImage};
use preheat_runtime::Percent;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyDictMethods};

use crate::arrays::tensor::PyTensor;
use crate::errors::{Failure, Kind, raise};
use crate::reports::to_python;
use crate::runtime::PyRuntime;
use crate::settings::{refuse_others, take, take_word};
use crate::signature::PySignature;
use crate::work::{Ask, PyCancel};

/// A picture: its width, its height, and red, green and blue of each pixel, row by row.
type Pixels<'py> = (u32, u32, Bound<'py, PyBytes>);

/// A model on a device, for `preheat.DiffusionPipeline`.
#[pyclass(name = "Pipeline", module = "preheat._native", frozen)]
pub(crate) struct PyPipeline {
    runtime: Py<PyRuntime>,
    pipeline: Pipeline,
}

fn settings_of(settings: &Bound<'_, PyDict>) -> PyResult<PipelineBuilder> {
    let mut builder = Pipeline::builder();
    if let Some(multiple) = take(settings, "padding_multiple_px")? {
        builder = builder.padding_multiple_px(multiple);
    }
    if let Some(steps) = take(settings, "warmup_steps")? {
        builder = builder.warmup_steps(steps);
    }
    if let Some(variant) = take::<String>(settings, "variant")? {
        builder = builder.variant(variant);
    }
    if let Some(folder) = take::<String>(settings, "config")? {
        builder = builder.config(folder);
    }
    if let Some(vae) = take::<String>(settings, "vae")? {
        builder = builder.vae(vae);
    }
    for text_encoder in take::<Vec<String>>(settings, "text_encoder")?.unwrap_or_default() {
        builder = builder.text_encoder(text_encoder);
    }
    if let Some(prediction) = take_word(settings, "prediction_type")? {
        builder = builder.prediction(prediction);
    }
    if let Some(offload) = take_word(settings, "offload")? {
        builder = builder.offload(offload);
    }
    if let Some(bytes) = take(settings, "reserve_memory_bytes")? {
        builder = builder.reserve_memory_bytes(bytes);
    }
    if let Some(percent) = take_word::<Percent>(settings, "snap_to_warm")? {
        builder = builder.snap_to_warm(percent);
    }
    let own = Precisions::default();
    let precisions = Precisions {
        all: take_word(settings, "precision")?.unwrap_or(own.all),
        text_encoder: take_word(settings, "text_encoder_precision")?,
        denoiser: take_word(settings, "denoiser_precision")?,
        vae: take_word(settings, "vae_precision")?,
        autocast: take(settings, "autocast_bf16")?.unwrap_or(own.autocast),
        force: take(settings, "force_precision")?.unwrap_or(own.force),
    };
    Ok(builder.precisions(precisions))
}

fn request_of(py: Python<'_>, json: &str) -> PyResult<TextToImage> {
    serde_json::from_str(json)
        .map_err(|error| raise(py, Kind::InvalidRequest, &format!("the request: {error}")))
}

impl PyPipeline {
    /// Does `work` with the pipeline under the call's own control.
    fn work<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: &Ask,
        work: impl FnOnce(&Pipeline) -> Result<T, Failure> + Send + 'static,
    ) -> PyResult<T> {
        let pipeline = self.pipeline.clone();
        self.runtime.get().work(py, ask, move |_, control| work(&pipeline.controlled_by(control)))
    }
}

#[pymethods]
impl PyPipeline {
    /// Opens a model folder or a single file, to be run on the device of `runtime`.
    #[new]
    #[pyo3(signature = (runtime, folder, **settings))]
    fn new<'py>(
        py: Python<'py>,
        runtime: Py<PyRuntime>,
        folder: PathBuf,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let settings = settings.map_or_else(|| Ok(PyDict::new(py)), PyDictMethods::copy)?;
        let builder = settings_of(&settings)?;
        refuse_others(&settings)?;
        let pipeline = runtime
            .get()
            .work(py, &Ask::silent(), move |runtime, _| Ok(builder.open(runtime, folder)?))?;
        Ok(Self { runtime, pipeline })
    }

    #[getter]
    fn runtime(&self, py: Python<'_>) -> Py<PyRuntime> {
        self.runtime.clone_ref(py)
    }

    #[getter]
    fn model_id(&self) -> &str {
        self.pipeline.model_id()
    }

    #[getter]
    fn class_name(&self) -> &'static str {
        self.pipeline.class_name()
    }

    /// The signature, the sizes and the seed of a request. Nothing is loaded or compiled.
    fn plan<'py>(&self, py: Python<'py>, request: &str) -> PyResult<Bound<'py, PyAny>> {
        let request = request_of(py, request)?;
        let plan = self.work(py, &Ask::silent(), move |pipeline| Ok(pipeline.plan(&request)?))?;
        to_python(py, &plan)
    }

    /// The execution signature of a request.
    fn signature(&self, py: Python<'_>, request: &str) -> PyResult<PySignature> {
        let request = request_of(py, request)?;
        let plan = self.work(py, &Ask::silent(), move |pipeline| Ok(pipeline.plan(&request)?))?;
        Ok(PySignature { signature: plan.signature })
    }

    /// Looks up whether the request would be served without a compile.
    fn lookup<'py>(&self, py: Python<'py>, request: &str) -> PyResult<Bound<'py, PyAny>> {
        let request = request_of(py, request)?;
        let lookup =
            self.work(py, &Ask::silent(), move |pipeline| Ok(pipeline.lookup(&request)?))?;
        to_python(py, &lookup)
    }

    /// Makes every stage ready, and runs each once on zeros.
    #[pyo3(signature = (request, *, force_recompile=false, progress=None, cancel=None))]
    fn warmup<'py>(
        &self,
        py: Python<'py>,
        request: &str,
        force_recompile: bool,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (ask, request) = (Ask::of(py, progress, cancel)?, request_of(py, request)?);
        let warmed =
            self.work(py, &ask, move |pipeline| Ok(pipeline.warmup(&request, force_recompile)?))?;
        to_python(py, &warmed)
    }

    /// Makes pictures. Returns `(width, height, rgb)` of each, the latents, and how they were made.
    #[pyo3(signature = (request, *, progress=None, cancel=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        request: &str,
        progress: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<(Vec<Pixels<'py>>, PyTensor, Bound<'py, PyAny>)> {
        let (ask, request) = (Ask::of(py, progress, cancel)?, request_of(py, request)?);
        let made: Made = self.work(py, &ask, move |pipeline| Ok(pipeline.run(&request)?))?;
        let report = to_python(py, &made)?;
        let pictures = made.pictures.iter();
        let pictures = pictures
            .map(|picture| (picture.width, picture.height, PyBytes::new(py, &picture.rgb)))
            .collect();
        Ok((pictures, PyTensor { tensor: made.latents }, report))
    }

    /// Drops everything that this model has on the device, and returns how many bytes that were.
    fn unload(&self, py: Python<'_>) -> PyResult<u64> {
        self.work(py, &Ask::silent(), |pipeline| Ok(pipeline.unload()))
    }
}
