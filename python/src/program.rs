//! How does a Python program give preheat a program in StableHLO or HLO?

use std::path::PathBuf;

use preheat_cache::Program;
use preheat_io::input;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{Kind, raise};

/// A program that is compiled without changes: StableHLO as text or bytecode, a serialised HLO
/// module, or the module in what `jax.export` serialised.
#[pyclass(name = "Program", module = "preheat", frozen, subclass)]
#[derive(Clone)]
pub(crate) struct PyProgram {
    pub(crate) program: Program,
}

impl PyProgram {
    fn sniff(py: Python<'_>, bytes: Vec<u8>) -> PyResult<Self> {
        let program = Program::sniff(bytes)
            .map_err(|error| raise(py, Kind::InvalidRequest, &error.to_string()))?;
        Ok(Self { program })
    }
}

#[pymethods]
impl PyProgram {
    /// Makes a program of bytes or text. Its format is recognised by its content.
    #[new]
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = source.py();
        if let Ok(text) = source.extract::<String>() {
            return Self::sniff(py, text.into_bytes());
        }
        match source.extract::<Vec<u8>>() {
            Ok(bytes) => Self::sniff(py, bytes),
            Err(_) => Err(raise(
                py,
                Kind::InvalidRequest,
                &format!(
                    "a program is text or bytes, and {} was given; Program.from_jax takes what \
                     jax.jit(f).lower(...) returns",
                    source.get_type().name()?
                ),
            )),
        }
    }

    /// Reads a program from a file.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 passes owned paths")]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::sniff(py, input::small(&path, Program::MOST_BYTES)?)
    }

    /// The program that JAX lowered: `Program.from_jax(jax.jit(f).lower(x))`. The program's inputs
    /// are the flat list of the arguments that the function uses.
    #[staticmethod]
    fn from_jax(lowered: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = lowered.py();
        let text = lowered.call_method0("as_text").and_then(|text| text.extract::<String>());
        match text {
            Ok(text) => Self::sniff(py, text.into_bytes()),
            Err(_) => Err(raise(
                py,
                Kind::InvalidRequest,
                &format!(
                    "Program.from_jax takes what jax.jit(f).lower(...) returns, and {} was given",
                    lowered.get_type().name()?
                ),
            )),
        }
    }

    /// The program as text, bytecode or a serialised module.
    #[getter]
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.program.bytes())
    }

    /// `mlir` or `hlo`.
    #[getter]
    fn format(&self) -> &'static str {
        self.program.format().name()
    }

    /// The name of its module, such as `jit_f`; `None` if the module has none.
    #[getter]
    fn name(&self) -> Option<String> {
        self.program.module_name()
    }

    /// The digest of the program, 64 hexadecimal digits. It leaves out the parts that do not change
    /// the machine code, such as source locations.
    #[getter]
    fn digest(&self) -> String {
        self.program.digest().to_string()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().program == self.program)
    }

    fn __repr__(&self) -> String {
        format!("<preheat.Program {}, {} bytes>", self.program.format(), self.program.bytes().len())
    }
}
