//! How does a computation of the `xla` crate use preheat's cache (feature `xla-rs`)? It is a graph
//! like any other. A program that contains
//!
//! ```ignore
//! let executable = client.compile(&computation)?;
//! ```
//!
//! contains this instead:
//!
//! ```ignore
//! let executable = runtime.get_or_compile(&signature, &computation)?;
//! ```
//!
//! `preheat-cache` has the conversion of a computation into its program,
//! `Program::try_from(&computation)`. `preheat-tensor` has the conversions between tensors and
//! literals. docs/xla-rs.md has the set-up.

use std::borrow::Cow;

use preheat_cache::Program;
use xla::XlaComputation;

use crate::source::{AsGraph, BuildError, Graph};

impl AsGraph for XlaComputation {
    /// The computation as a graph that is matched on the exact signature. Each call serialises the
    /// computation, so a loop should keep the executable instead of calling this again.
    fn as_graph(&self) -> Result<Cow<'_, Graph>, BuildError> {
        Ok(Cow::Owned(Graph::from_program(Program::try_from(self)?)))
    }
}
