//! Which array has no bytes in the memory of this machine, and why?

use crate::dtype::Dtype;

/// Why there is no such array in host memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// A shape with a negative dimension, or too large for this machine to address.
    #[error("dimensions {dimensions:?} describe no array")]
    Dimensions {
        /// The shape.
        dimensions: Vec<i64>,
    },
    /// An element type that cannot be moved between host and device as whole bytes.
    #[error("{dtype} cannot be moved between host and device: its elements are not whole bytes")]
    NotWholeBytes {
        /// The type.
        dtype: Dtype,
    },
    /// The host has less memory than the array takes.
    #[error("the host does not have the {bytes} bytes of memory that an array takes")]
    HostMemory {
        /// The array's size.
        bytes: usize,
    },
}
