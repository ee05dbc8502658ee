//! How does a computation of the `xla` crate get preheat's cache (feature `xla-rs`)? It is a graph
//! like any other, so that a pipeline that says
//!
//! ```ignore
//! let executable = client.compile(&computation)?;
//! ```
//!
//! says instead
//!
//! ```ignore
//! let executable = runtime.get_or_compile(&signature, &computation)?;
//! ```
//!
//! `Program::try_from(&computation)` gives its program, which is in `preheat-cache`; tensors and
//! literals convert into each other in `preheat-tensor`. docs/xla-rs.md has the set-up.

use std::borrow::Cow;

use preheat_cache::Program;
use xla::XlaComputation;

use crate::source::{AsGraph, BuildError, Graph};

impl AsGraph for XlaComputation {
    /// The computation as a graph that is matched on the exact signature. It is serialised on every
    /// call: a loop keeps the executable, not the computation.
    fn as_graph(&self) -> Result<Cow<'_, Graph>, BuildError> {
        Ok(Cow::Owned(Graph::from_program(Program::try_from(self)?)))
    }
}
