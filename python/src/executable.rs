//! How is an executable run from Python?

use std::sync::Arc;

use preheat_runtime::{DeviceTensor, Executable, Input};
use preheat_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::arrays::tensor::{PyDeviceTensor, PyTensor};
use crate::arrays::tensor_of;
use crate::errors::Failure;
use crate::reports::to_python;
use crate::values::kind_as_tuple;
use crate::work::{self, Ask, PyCancel};

/// A compiled program that is ready to run. It may be used by several threads at once.
#[pyclass(name = "Executable", module = "preheat", frozen)]
pub(crate) struct PyExecutable {
    pub(crate) executable: Executable,
}

/// One input: on the host, or on the device.
enum Given {
    Host(Tensor),
    Device(Arc<DeviceTensor>),
}

impl<'a> From<&'a Given> for Input<'a> {
    fn from(given: &'a Given) -> Self {
        match given {
            Given::Host(tensor) => Input::Host(tensor),
            Given::Device(tensor) => Input::Device(tensor),
        }
    }
}

/// What a run returns.
enum Outputs {
    Host(Vec<Tensor>),
    Device(Vec<DeviceTensor>),
}

#[pymethods]
impl PyExecutable {
    /// Runs the program on `inputs`, which are in the order of the program's own inputs, and
    /// returns the list of outputs.
    ///
    /// With `on_device`, outputs stay on the device, and the call returns as soon as the work is
    /// queued. The lock of the interpreter is not held while it runs.
    #[pyo3(signature = (inputs, *, on_device=false, cancel=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyAny>,
        on_device: bool,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let wanted = self.executable.inputs();
        let mut given = Vec::with_capacity(wanted.map_or(0, <[_]>::len));
        for (index, input) in inputs.try_iter()?.enumerate() {
            let input = input?;
            given.push(match input.cast::<PyDeviceTensor>() {
                Ok(tensor) => Given::Device(tensor.get().shared()),
                Err(_) => {
                    Given::Host(tensor_of(&input, wanted.and_then(|kinds| kinds.get(index)))?)
                }
            });
        }
        let executable = self.executable.clone();
        let ask = match cancel {
            None => Ask::silent(),
            Some(_) => Ask::of(py, Some(pyo3::types::PyBool::new(py, false).as_any()), cancel)?,
        };
        let outputs = work::run(py, &ask, move |_| {
            Ok::<_, Failure>(if on_device {
                Outputs::Device(executable.run(&given)?)
            } else {
                Outputs::Host(executable.run_to_host(&given)?)
            })
        })?;
        let list = PyList::empty(py);
        match outputs {
            Outputs::Host(tensors) => {
                tensors
                    .into_iter()
                    .try_for_each(|tensor| list.append(Py::new(py, PyTensor { tensor })?))?;
            }
            Outputs::Device(tensors) => {
                let mut tensors = tensors.into_iter();
                tensors.try_for_each(|tensor| {
                    list.append(Py::new(py, PyDeviceTensor::new(tensor))?)
                })?;
            }
        }
        Ok(list)
    }

    /// Runs the program, with its inputs as arguments.
    #[pyo3(signature = (*inputs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.run(py, inputs.as_any(), false, None)
    }

    /// The types of its inputs, in order: `(dtype, shape)` of each; `None` if the device does not
    /// report them.
    #[getter]
    fn inputs(&self) -> Option<Vec<(&'static str, Vec<u64>)>> {
        self.executable.inputs().map(|kinds| kinds.iter().map(kind_as_tuple).collect())
    }

    /// A tensor of zeros for every input.
    fn zeros(&self, py: Python<'_>) -> PyResult<Vec<PyTensor>> {
        let zeros = self.executable.zeros().map_err(|error| Failure::from(error).raised(py))?;
        Ok(zeros.into_iter().map(|tensor| PyTensor { tensor }).collect())
    }

    /// Moves an array to its device, for an input that stays the same from run to run.
    fn to_device(&self, py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<PyDeviceTensor> {
        let (executable, tensor) = (self.executable.clone(), tensor_of(array, None)?);
        work::run(py, &Ask::silent(), move |_| Ok(executable.to_device(&tensor)?))
            .map(PyDeviceTensor::new)
    }

    /// How it was obtained: its `source`, `match`, `compile_seconds`, `load_seconds`, ...
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, self.executable.report())
    }

    /// The key that names it in the cache, 64 hexadecimal digits.
    #[getter]
    fn graph_key(&self) -> String {
        self.executable.graph_key().to_string()
    }

    /// The figures that the plugin reported when it compiled this executable, such as `flops`.
    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.executable.metrics())
    }

    fn __repr__(&self) -> String {
        let report = self.executable.report();
        let source = format!("{:?}", report.source).to_lowercase();
        format!("<preheat.Executable {} {}, {source}>", report.model_id, report.stage)
    }
}
