//! What does a model compute, and in which form does XLA get it?
//!
//! [`graph`] is the tensor IR: ops, their types, the verifier, autocast, and the bytes in which a
//! graph is passed on. [`lower`] writes a verified graph as StableHLO. Neither uses a device, a
//! file or a cache: the crates that run graphs, through XLA or through libtorch, stand above this
//! crate.

pub mod graph;
pub mod lower;

/// The digest of this crate's sources. It is a part of the key of level 1, so that no look-up finds
/// a graph that other sources made.
pub const SOURCES: &str = env!("PREHEAT_IR_SOURCES");
