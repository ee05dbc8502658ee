//! How do programs get results: as tensors of the host, which other libraries use in place, or as
//! tensors that stay on the device?

use std::sync::Arc;

use preheat_runtime::DeviceTensor;
use preheat_tensor::{Dtype, Tensor, TensorType};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::arrays::dlpack;
use crate::arrays::tensor_of;
use crate::errors::{Failure, Kind, raise, with_causes};
use crate::values::dtype_of;
use crate::work::{self, Ask};

/// A tensor in the host's memory, dense and row-major. numpy, torch and JAX take it without a copy:
/// `numpy.asarray(tensor)`, `torch.from_dlpack(tensor)`, `jax.numpy.from_dlpack(tensor)`.
#[pyclass(name = "Tensor", module = "preheat", frozen)]
pub(crate) struct PyTensor {
    pub(crate) tensor: Tensor,
}

/// A dtype as numpy's `typestr`; `None` if numpy itself does not have it.
fn typestr(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::Bool => "|b1",
        Dtype::Int8 => "|i1",
        Dtype::Int16 => "<i2",
        Dtype::Int32 => "<i4",
        Dtype::Int64 => "<i8",
        Dtype::UInt8 => "|u1",
        Dtype::UInt16 => "<u2",
        Dtype::UInt32 => "<u4",
        Dtype::UInt64 => "<u8",
        Dtype::Float16 => "<f2",
        Dtype::Float32 => "<f4",
        Dtype::Float64 => "<f8",
        Dtype::Complex64 => "<c8",
        Dtype::Complex128 => "<c16",
        _ => return None,
    })
}

#[pymethods]
impl PyTensor {
    /// A tensor of an array of numpy, torch or JAX, of a `memoryview`, or of numbers in lists. With
    /// `dtype` and `shape`, `array` is the plain bytes of the tensor.
    #[new]
    #[pyo3(signature = (array, *, dtype=None, shape=None))]
    fn new(
        array: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
        shape: Option<Vec<u64>>,
    ) -> PyResult<Self> {
        let tensor = tensor_of(array, None)?;
        let (dtype, dims) = match (dtype, shape) {
            (Some(dtype), Some(dims)) => (dtype, dims),
            (None, None) => return Ok(Self { tensor }),
            _ => {
                let what_to_do =
                    "give both dtype and shape for plain bytes, or neither for an array";
                return Err(raise(array.py(), Kind::InvalidRequest, what_to_do));
            }
        };
        let kind = TensorType { dtype: dtype_of(dtype)?, dims };
        let tensor = Tensor::new(kind, tensor.bytes())
            .map_err(|error| raise(array.py(), Kind::InvalidRequest, &error.to_string()))?;
        Ok(Self { tensor })
    }

    /// The name of the type of its elements, such as `float32`.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.tensor.kind().dtype.name()
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.tensor.kind().dims)
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.tensor.bytes().len()
    }

    /// A copy of its bytes, little-endian, row-major.
    fn tobytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.tensor.bytes())
    }

    /// The array of numpy, in the same memory. A dtype that numpy lacks, such as `bfloat16`, needs
    /// the package `ml_dtypes`.
    fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let dtype = slf.get().tensor.kind().dtype;
        let numpy = py.import("numpy")?;
        if typestr(dtype).is_some() {
            return numpy.call_method1(
                "asarray",
                (py.import("preheat._arrays")?.call_method1("interface", (slf,))?,),
            );
        }
        py.import("preheat._arrays")?.call_method1("with_ml_dtypes", (slf, dtype.name()))
    }

    /// Its memory as a `memoryview`, without a copy and without numpy. Elements of a dtype that the
    /// `struct` module lacks are bytes.
    fn memoryview<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("preheat._arrays")?.call_method1("memory", (slf,))
    }

    /// The address of its memory, for `ctypes`. It is valid for as long as this object lives.
    #[getter]
    fn address(&self) -> usize {
        self.tensor.bytes().as_ptr().addr()
    }

    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kind = self.tensor.kind();
        let Some(typestr) = typestr(kind.dtype) else {
            // numpy then calls `__array__`, whose error says what is missing.
            return Err(pyo3::exceptions::PyAttributeError::new_err("__array_interface__"));
        };
        let interface = PyDict::new(py);
        interface.set_item("shape", PyTuple::new(py, &kind.dims)?)?;
        interface.set_item("typestr", typestr)?;
        interface.set_item("data", (self.tensor.bytes().as_ptr().addr(), false))?;
        interface.set_item("version", 3)?;
        Ok(interface)
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = Self::numpy(slf)?;
        match dtype {
            Some(dtype) => array.call_method1("astype", (dtype,)),
            None if copy == Some(true) => array.call_method0("copy"),
            None => Ok(array),
        }
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<&Bound<'py, PyAny>>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (stream, max_version);
        if dl_device.is_some_and(|(kind, _)| kind != dlpack::CPU) {
            return Err(pyo3::exceptions::PyBufferError::new_err(
                "the tensor is in the host's memory",
            ));
        }
        if copy != Some(true) {
            return dlpack::give(py, &self.tensor);
        }
        let copied = Tensor::new(self.tensor.kind().clone(), self.tensor.bytes())
            .map_err(|error| raise(py, Kind::PreheatError, &error.to_string()))?;
        dlpack::give(py, &copied)
    }

    #[expect(clippy::unused_self, reason = "the protocol asks the object")]
    fn __dlpack_device__(&self) -> (i32, i32) {
        (dlpack::CPU, 0)
    }

    fn __len__(&self) -> PyResult<usize> {
        let first = self.tensor.kind().dims.first();
        first
            .and_then(|&size| usize::try_from(size).ok())
            .ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("a scalar has no length"))
    }

    fn __repr__(&self) -> String {
        let kind = self.tensor.kind();
        format!("<preheat.Tensor {} {:?}>", kind.dtype, kind.dims)
    }
}

/// A tensor that stays on the device, to be given to the next execution.
#[pyclass(name = "DeviceTensor", module = "preheat", frozen)]
pub(crate) struct PyDeviceTensor {
    tensor: Arc<DeviceTensor>,
}

impl PyDeviceTensor {
    pub(crate) fn new(tensor: DeviceTensor) -> Self {
        Self { tensor: Arc::new(tensor) }
    }

    pub(crate) fn shared(&self) -> Arc<DeviceTensor> {
        Arc::clone(&self.tensor)
    }
}

#[pymethods]
impl PyDeviceTensor {
    #[getter]
    fn dtype(&self) -> Option<&'static str> {
        self.tensor.kind().map(|kind| kind.dtype.name())
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.tensor.kind().map(|kind| PyTuple::new(py, &kind.dims)).transpose()
    }

    /// Waits until it has been computed.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        let tensor = self.shared();
        work::run(py, &Ask::silent(), move |_| {
            tensor.wait().map_err(|fault| Failure::Words(Kind::DeviceError, with_causes(&fault)))
        })
    }

    /// Copies it to the host, after waiting until it has been computed.
    fn to_host(&self, py: Python<'_>) -> PyResult<Py<PyTensor>> {
        let tensor = self.shared();
        let tensor = work::run(py, &Ask::silent(), move |_| {
            tensor.to_host().map_err(|fault| Failure::Words(Kind::DeviceError, with_causes(&fault)))
        })?;
        Py::new(py, PyTensor { tensor })
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        PyTensor::__array__(self.to_host(py)?.bind(py), dtype, copy)
    }

    fn __repr__(&self) -> String {
        match self.tensor.kind() {
            Some(kind) => format!("<preheat.DeviceTensor {} {:?}>", kind.dtype, kind.dims),
            None => "<preheat.DeviceTensor>".to_owned(),
        }
    }
}
