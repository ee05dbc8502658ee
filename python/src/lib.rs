//! How do Python programs use preheat? This is `preheat._native`, the compiled half of the package
//! whose other half is in `python/preheat/`.
//!
//! Each file has one class, or one conversion between the two languages. Nothing here decides
//! anything about devices, caches or models: the crates below do.
//!
//! | file | the question it answers |
//! |---|---|
//! | `work.rs` | how does long work run without the interpreter's lock, and how does Ctrl-C stop it? |
//! | `errors.rs` | which Python exception does each error become? |
//! | `reports.rs`, `values.rs`, `settings.rs` | how do reports become dictionaries, names become dtypes, and keyword arguments become settings? |
//! | `arrays.rs`, `buffer.rs`, `dlpack.rs` | how are arrays taken and returned, without a copy if possible? |
//! | `tensor.rs`, `signature.rs`, `program.rs`, `executable.rs`, `runtime.rs`, `cache.rs`, `pipeline.rs`, `denoiser.rs` | the classes |

#![expect(
    clippy::too_many_arguments,
    reason = "the arguments of Python functions have names where they are called"
)]

mod arrays;
mod cache;
mod denoiser;
mod errors;
mod executable;
mod pipeline;
mod program;
mod reports;
mod runtime;
mod settings;
mod signature;
mod values;
mod work;

use pyo3::prelude::*;

/// The compiled half of the package.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<work::PyCancel>()?;
    module.add_class::<signature::PySignature>()?;
    module.add_class::<program::PyProgram>()?;
    module.add_class::<arrays::tensor::PyTensor>()?;
    module.add_class::<arrays::tensor::PyDeviceTensor>()?;
    module.add_class::<executable::PyExecutable>()?;
    module.add_class::<runtime::PyRuntime>()?;
    module.add_class::<cache::PyCache>()?;
    module.add_class::<pipeline::PyPipeline>()?;
    module.add_class::<denoiser::PyNetwork>()?;
    module.add_function(wrap_pyfunction!(denoiser::noise, module)?)?;
    module.add_function(wrap_pyfunction!(signature::create_execution_signature, module)?)?;
    module.add_function(wrap_pyfunction!(signature::normalize_shape, module)?)?;
    module.add_function(wrap_pyfunction!(signature::latent_shape, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::devices, module)?)?;
    let end = wrap_pyfunction!(work::end, module)?;
    module.py().import("atexit")?.call_method1("register", (end,))?;
    Ok(())
}
