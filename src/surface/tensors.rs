//! What goes into an executable, and what comes out?

/// An element type can be parsed from its name in safetensors files, in StableHLO or in Python.
///
/// ```
/// use preheat::Dtype;
///
/// assert_eq!("bfloat16".parse(), Ok(Dtype::BFloat16));
/// assert_eq!(Dtype::BFloat16.stablehlo(), "bf16");
/// assert_eq!(Dtype::BFloat16.bits(), 16);
/// ```
pub use preheat_tensor::Dtype;

/// A tensor in the host's memory is given to an executable directly, or copied to the device first.
///
/// ```
/// use preheat::Tensor;
///
/// # fn main() -> Result<(), preheat::TensorError> {
/// let scale = Tensor::from_f32(&[2], &[0.5, 2.0])?;
/// assert_eq!(scale.kind().to_string(), "float32[2]");
/// assert_eq!(scale.to_f32(), Some(vec![0.5, 2.0]));
/// # Ok(())
/// # }
/// ```
pub use preheat_tensor::Tensor;

/// The type of a tensor is its dtype and its dimensions, the outermost first.
///
/// ```
/// use preheat::{Dtype, Tensor, TensorType};
///
/// # fn main() -> Result<(), preheat::TensorError> {
/// let latents = TensorType::new(Dtype::Float32, vec![1, 4, 64, 64]);
/// assert_eq!(Tensor::zeros(latents)?.bytes().len(), 4 * 4 * 64 * 64);
/// # Ok(())
/// # }
/// ```
pub use preheat_tensor::TensorType;

/// Bytes that do not fit a tensor's type are refused, and the error says how many were wanted.
///
/// ```
/// use preheat::{Dtype, Tensor, TensorError, TensorType};
///
/// let pair = TensorType::new(Dtype::Float32, vec![2]);
/// let error = Tensor::new(pair, &[0; 7]).expect_err("seven bytes are not two floats");
/// assert!(matches!(error, TensorError::Length { expected: 8, given: 7, .. }));
/// ```
pub use preheat_tensor::TensorError;

/// A literal of the `xla` crate becomes a tensor, and a tensor becomes a literal, unless its
/// element type has no counterpart.
///
/// ```
/// use preheat::{LiteralError, Tensor};
///
/// # fn main() -> Result<(), LiteralError> {
/// let tensor = Tensor::try_from(&xla::Literal::vec1(&[1f32, 2.0]))?;
/// assert_eq!(tensor.to_f32(), Some(vec![1.0, 2.0]));
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "xla-rs")]
pub use preheat_tensor::LiteralError;
