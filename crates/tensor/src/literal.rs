//! How do tensors become literals of the `xla` crate, and back (feature `xla-rs`)? The conversions
//! are in this crate because Rust allows such a `TryFrom` only in a crate that defines one of the
//! two types.

use xla::{Literal, PrimitiveType};

use crate::aligned::AlignedBytes;
use crate::array::ArrayError;
use crate::dtype::Dtype;
use crate::tensor::{Tensor, TensorType};

/// The reasons why a tensor and a literal could not be converted into each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiteralError {
    /// The literal is a tuple, or a tensor cannot have its element type or dimensions.
    #[error(
        "a literal of {shape} is no dense tensor; take a tuple apart with `Literal::to_tuple` first"
    )]
    NoTensor {
        /// The literal's shape, as the `xla` crate prints it.
        shape: String,
    },
    /// The `xla` crate has no name for the tensor's dtype.
    #[error("the xla crate has no name for {dtype}")]
    NoLiteral {
        /// The tensor's dtype.
        dtype: Dtype,
    },
    /// No array has these dimensions, or the host has too little memory for it.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// The `xla` crate refused.
    #[error("the xla crate: {0}")]
    Xla(#[from] xla::Error),
}

impl TryFrom<&Literal> for Tensor {
    type Error = LiteralError;

    fn try_from(literal: &Literal) -> Result<Self, LiteralError> {
        let shape = literal.shape()?;
        let no_tensor = || LiteralError::NoTensor { shape: format!("{shape:?}") };
        let xla::Shape::Array(array) = &shape else { return Err(no_tensor()) };
        let dtype = dtype_of(array.primitive_type()).ok_or_else(no_tensor)?;
        let dims: Result<Vec<u64>, _> =
            array.dims().iter().map(|&size| u64::try_from(size)).collect();
        let kind = TensorType::new(dtype, dims.map_err(|_| no_tensor())?);
        let byte_count = kind.host_bytes().map_err(|cause| match cause {
            ArrayError::NotWholeBytes { .. } => no_tensor(),
            cause => LiteralError::Array(cause),
        })?;
        let mut bytes = AlignedBytes::zeroed(byte_count)?;
        literal.copy_untyped_to(&mut bytes)?;
        Ok(Self::from_aligned(kind, bytes))
    }
}

impl TryFrom<&Tensor> for Literal {
    type Error = LiteralError;

    fn try_from(tensor: &Tensor) -> Result<Self, LiteralError> {
        let TensorType { dtype, dims } = tensor.kind();
        let no_literal = || LiteralError::NoLiteral { dtype: *dtype };
        let primitive_type = primitive_type(*dtype).ok_or_else(no_literal)?;
        // Every size fits into a `usize`: this was checked when the tensor was made.
        let sizes: Vec<usize> =
            dims.iter().filter_map(|&size| usize::try_from(size).ok()).collect();
        Ok(Self::create_from_shape_and_untyped_data(
            primitive_type.element_type()?,
            &sizes,
            tensor.bytes(),
        )?)
    }
}

/// The `xla` crate's name for a dtype whose elements are whole bytes; `None` if it has none.
fn primitive_type(dtype: Dtype) -> Option<PrimitiveType> {
    Some(match dtype {
        Dtype::Bool => PrimitiveType::Pred,
        Dtype::Int8 => PrimitiveType::S8,
        Dtype::Int16 => PrimitiveType::S16,
        Dtype::Int32 => PrimitiveType::S32,
        Dtype::Int64 => PrimitiveType::S64,
        Dtype::UInt8 => PrimitiveType::U8,
        Dtype::UInt16 => PrimitiveType::U16,
        Dtype::UInt32 => PrimitiveType::U32,
        Dtype::UInt64 => PrimitiveType::U64,
        Dtype::Float16 => PrimitiveType::F16,
        Dtype::Float32 => PrimitiveType::F32,
        Dtype::Float64 => PrimitiveType::F64,
        Dtype::BFloat16 => PrimitiveType::Bf16,
        Dtype::Complex64 => PrimitiveType::C64,
        Dtype::Complex128 => PrimitiveType::C128,
        Dtype::Float8E4M3Fn => PrimitiveType::F8E4M3FN,
        Dtype::Float8E5M2 => PrimitiveType::F8E5M2,
        Dtype::Float8E8M0Fnu => PrimitiveType::F8E8M0FNU,
        _ => return None,
    })
}

/// The dtype whose name in the `xla` crate is `wanted`.
fn dtype_of(wanted: PrimitiveType) -> Option<Dtype> {
    let has_name =
        |dtype: &Dtype| primitive_type(*dtype).is_some_and(|name| name as i32 == wanted as i32);
    Dtype::ALL.iter().copied().find(has_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_survives_the_way_there_and_back() {
        let mut there = 0;
        for &dtype in Dtype::ALL {
            for dims in [vec![], vec![3], vec![2, 3], vec![0, 4]] {
                let kind = TensorType { dtype, dims };
                // Sub-byte types and tokens cannot be tensors at all.
                let Ok(length) = kind.host_bytes() else { continue };
                // Only 0 and 1 are values of a predicate.
                let bytes: Vec<u8> = (0..length).map(|index| u8::from(index % 2 == 0)).collect();
                let tensor = Tensor::new(kind.clone(), &bytes).unwrap();
                match Literal::try_from(&tensor) {
                    Ok(literal) => {
                        there += 1;
                        let back = Tensor::try_from(&literal).unwrap();
                        assert_eq!((back.kind(), back.bytes()), (&kind, bytes.as_slice()));
                    }
                    Err(error) => assert!(error.to_string().contains(dtype.name()), "{error}"),
                }
            }
        }
        assert_eq!(there, 18 * 4);
    }

    #[test]
    fn a_literal_of_the_crate_is_row_major() {
        let literal = Literal::vec1(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape(&[2, 3]).unwrap();
        let tensor = Tensor::try_from(&literal).unwrap();
        assert_eq!(tensor.kind().to_string(), "float32[2, 3]");
        assert_eq!(tensor.to_f32().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(
            Literal::try_from(&tensor).unwrap().to_vec::<f32>().unwrap(),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
    }

    #[test]
    fn a_tuple_is_no_tensor() {
        let tuple = Literal::tuple(vec![Literal::scalar(1f32)]);
        let error = Tensor::try_from(&tuple).unwrap_err();
        assert!(matches!(error, LiteralError::NoTensor { .. }), "{error}");
        assert!(error.to_string().contains("to_tuple"), "{error}");
    }
}
