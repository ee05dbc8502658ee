//! What does a model compute, and how is that told to XLA?
//!
//! [`graph`] is the tensor IR: ops, their types, the verifier, autocast, and the bytes in which a
//! graph is passed on. [`lower`] writes a verified graph as StableHLO. Neither knows a device, a
//! file or a cache: the code that runs graphs, through XLA or through libtorch, stands above this
//! crate.

pub mod graph;
pub mod lower;

/// The digest of this crate's sources. It is a part of the key under which graphs are found, so
/// that a change here never finds a graph that older sources made.
pub const SOURCES: &str = env!("PREHEAT_IR_SOURCES");
