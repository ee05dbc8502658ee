//! What is a tensor on the host, and of which elements?
//!
//! [`Dtype`] is the one list of element types, with their names in signatures and in StableHLO.
//! [`Tensor`] is dense and row-major, in memory that a device can use in place ([`AlignedBytes`]),
//! and is stored in safetensors files. The names of types in the C interfaces of PJRT and libtorch
//! are kept with those interfaces.

mod aligned;
mod array;
mod dtype;
#[cfg(feature = "xla-rs")]
mod literal;
mod tensor;

pub use aligned::{AlignedBytes, ZERO_COPY_ALIGNMENT};
pub use array::ArrayError;
pub use dtype::{Dtype, ParseDtypeError};
#[cfg(feature = "xla-rs")]
pub use literal::LiteralError;
pub use tensor::{Tensor, TensorError, TensorType};
