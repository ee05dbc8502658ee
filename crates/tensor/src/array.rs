//! Which arrays cannot exist in this machine's memory, and why?

use crate::dtype::Dtype;

/// The reasons why an array cannot be in host memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The shape has a negative dimension, or is too large for this machine to address.
    #[error("dimensions {dimensions:?} describe no array")]
    Dimensions {
        /// The shape.
        dimensions: Vec<i64>,
    },
    /// An element of this type cannot be moved between host and device as whole bytes.
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
