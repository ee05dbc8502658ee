//! Which names does a program need, and how is each used?
//!
//! Each file re-exports the names of one topic, each with an example. A name's own documentation,
//! which follows its example on the same page, stands where the name is defined. `src/lib.rs` lists
//! the names, and `tests/quick/surface.rs` checks that list.

pub(crate) mod devices;
pub(crate) mod graphs;
#[cfg(feature = "pipeline")]
pub(crate) mod pipelines;
pub(crate) mod progress;
pub(crate) mod projections;
pub(crate) mod reports;
pub(crate) mod running;
pub(crate) mod tensors;
pub(crate) mod upkeep;
