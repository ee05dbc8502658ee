//! How does a Python program say what it runs?

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use preheat_cache::Signature;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{Kind, raise};
use crate::reports::to_python;
use crate::values::dtype_of;

/// The facts of a request that decide what is executed: model id, shape, batch, cfg scale,
/// scheduler, steps and dtype.
#[pyclass(name = "Signature", module = "preheat", frozen)]
#[derive(Clone)]
pub(crate) struct PySignature {
    pub(crate) signature: Signature,
}

/// Makes a signature and checks it. The function's name comes from the specification.
#[pyfunction]
#[pyo3(signature = (model_id, input_shape, batch_size=1, cfg_scale=1.0, scheduler="", steps=1, dtype=None))]
pub(crate) fn create_execution_signature(
    py: Python<'_>,
    model_id: &str,
    input_shape: Vec<u64>,
    batch_size: u64,
    cfg_scale: f64,
    scheduler: &str,
    steps: u64,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<PySignature> {
    let dtype = dtype.map_or(Ok(preheat_tensor::Dtype::Float32), dtype_of)?;
    let made = preheat_cache::create_execution_signature(
        model_id,
        input_shape,
        batch_size,
        cfg_scale,
        scheduler,
        steps,
        dtype,
    );
    let signature = made.map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))?;
    Ok(PySignature { signature })
}

/// Rounds `(width, height)` in pixels up to multiples of `multiple`, which has to be a multiple of
/// 8.
#[pyfunction]
#[pyo3(signature = (size, multiple=64))]
pub(crate) fn normalize_shape(
    py: Python<'_>,
    size: [u64; 2],
    multiple: u64,
) -> PyResult<(u64, u64)> {
    preheat_cache::normalize_shape(size, multiple)
        .map(|[width, height]| (width, height))
        .map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))
}

/// The shape of the latents of `(width, height)` in pixels: `(batch, 4, height / 8, width / 8)`.
#[pyfunction]
pub(crate) fn latent_shape(batch: u64, size: [u64; 2]) -> (u64, u64, u64, u64) {
    let [batch, channels, height, width] = preheat_cache::latent_shape(batch, size);
    (batch, channels, height, width)
}

#[pymethods]
impl PySignature {
    #[new]
    #[pyo3(signature = (model_id, input_shape, batch_size=1, cfg_scale=1.0, scheduler="", steps=1, dtype=None))]
    fn new(
        py: Python<'_>,
        model_id: &str,
        input_shape: Vec<u64>,
        batch_size: u64,
        cfg_scale: f64,
        scheduler: &str,
        steps: u64,
        dtype: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        create_execution_signature(
            py,
            model_id,
            input_shape,
            batch_size,
            cfg_scale,
            scheduler,
            steps,
            dtype,
        )
    }

    #[getter]
    fn model_id(&self) -> &str {
        &self.signature.model_id
    }

    #[getter]
    fn input_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pyo3::types::PyTuple::new(py, &self.signature.input_shape)
    }

    #[getter]
    fn batch_size(&self) -> u64 {
        self.signature.batch_size
    }

    #[getter]
    fn cfg_scale(&self) -> f64 {
        self.signature.cfg_scale
    }

    #[getter]
    fn scheduler(&self) -> &str {
        &self.signature.scheduler
    }

    #[getter]
    fn steps(&self) -> u64 {
        self.signature.steps
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.signature.dtype.name()
    }

    /// The digest of every field, 64 hexadecimal digits.
    #[getter]
    fn digest(&self) -> String {
        self.signature.digest().to_string()
    }

    /// The fields as a dictionary.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.signature)
    }

    /// A signature with some fields changed.
    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        &self,
        py: Python<'py>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fields = to_python(py, &self.signature)?.cast_into::<PyDict>()?;
        if let Some(changes) = changes {
            fields.update(changes.as_mapping())?;
        }
        py.get_type::<Self>().call((), Some(&fields))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let s = &slf.get().signature;
        let fields = (
            s.model_id.as_str(),
            s.input_shape.clone(),
            s.batch_size,
            s.cfg_scale,
            s.scheduler.as_str(),
            s.steps,
            s.dtype.name(),
        );
        Ok((slf.get_type().into_any(), fields.into_pyobject(slf.py())?.into_any()))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().signature == self.signature)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.signature.digest().to_string().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        let s = &self.signature;
        format!(
            "Signature({:?}, {:?}, batch_size={}, cfg_scale={:?}, scheduler={:?}, steps={}, \
             dtype={:?})",
            s.model_id,
            s.input_shape,
            s.batch_size,
            s.cfg_scale,
            s.scheduler,
            s.steps,
            s.dtype.name()
        )
    }
}
