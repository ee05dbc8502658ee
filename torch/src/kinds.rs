//! Which dtypes and shapes of tch correspond to those of preheat?

use preheat_tensor::Dtype;
use preheat_tensor::TensorType;
use preheat_torch_abi::code;
use tch::Kind;

use crate::failure::{Failure, Outcome};

pub fn kind_of(dtype: Dtype) -> Outcome<Kind> {
    Ok(match dtype {
        Dtype::BFloat16 => Kind::BFloat16,
        Dtype::Float16 => Kind::Half,
        Dtype::Float32 => Kind::Float,
        Dtype::Float64 => Kind::Double,
        Dtype::Float8E4M3Fn => Kind::Float8e4m3fn,
        Dtype::Float8E5M2 => Kind::Float8e5m2,
        Dtype::Int8 => Kind::Int8,
        Dtype::Int16 => Kind::Int16,
        Dtype::Int32 => Kind::Int,
        Dtype::Int64 => Kind::Int64,
        Dtype::UInt8 => Kind::Uint8,
        Dtype::Bool => Kind::Bool,
        Dtype::Complex64 => Kind::ComplexFloat,
        Dtype::Complex128 => Kind::ComplexDouble,
        _ => {
            return Err(Failure::new(
                code::UNSUPPORTED,
                format!("libtorch computes nothing in {dtype}"),
            ));
        }
    })
}

/// Whether the type is a float of 16 bits, so that operands have to be converted for a computation
/// in f32.
pub fn is_low(kind: Kind) -> bool {
    matches!(kind, Kind::BFloat16 | Kind::Half)
}

/// Sizes in the type that libtorch takes.
pub fn sizes(dims: &[u64]) -> Outcome<Vec<i64>> {
    dims.iter().map(|&dim| size(dim)).collect()
}

pub fn size(dim: u64) -> Outcome<i64> {
    i64::try_from(dim).map_err(|_| {
        Failure::new(code::OUT_OF_MEMORY, format!("no tensor has {dim} cells along an axis"))
    })
}

/// Checks that a tensor has the declared type; the error says where it differs.
pub fn check(what: &str, name: &str, given: &TensorType, wanted: &TensorType) -> Outcome<()> {
    if given == wanted {
        return Ok(());
    }
    Err(Failure::new(code::WRONG_TYPE, format!("{what} {name} is {given}, and should be {wanted}")))
}
