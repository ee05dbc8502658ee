//! What is a tensor on the host, and of which elements?
//!
//! [`Dtype`] is the one list of element types, with all their names. [`Tensor`] is dense and
//! row-major, in memory that a device can use in place ([`AlignedBytes`]), and travels as
//! safetensors files. What the C interfaces of PJRT and libtorch call a type is said there, and
//! nowhere else.

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
