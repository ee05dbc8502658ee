//! Which numbers do PJRT and HLO use for each element type? Only this file converts between
//! them and [`Dtype`].

use preheat_tensor::Dtype;

use super::sys::BufferType;

/// Each type with the C API's value for it and HLO's number (`PrimitiveType` in `xla_data.proto`).
const TYPES: [(Dtype, BufferType, i32); 29] = [
    (Dtype::Bool, BufferType::PRED, 1),
    (Dtype::Int2, BufferType::S2, 26),
    (Dtype::Int4, BufferType::S4, 21),
    (Dtype::Int8, BufferType::S8, 2),
    (Dtype::Int16, BufferType::S16, 3),
    (Dtype::Int32, BufferType::S32, 4),
    (Dtype::Int64, BufferType::S64, 5),
    (Dtype::UInt2, BufferType::U2, 27),
    (Dtype::UInt4, BufferType::U4, 22),
    (Dtype::UInt8, BufferType::U8, 6),
    (Dtype::UInt16, BufferType::U16, 7),
    (Dtype::UInt32, BufferType::U32, 8),
    (Dtype::UInt64, BufferType::U64, 9),
    (Dtype::Float16, BufferType::F16, 10),
    (Dtype::Float32, BufferType::F32, 11),
    (Dtype::Float64, BufferType::F64, 12),
    (Dtype::BFloat16, BufferType::BF16, 16),
    (Dtype::Complex64, BufferType::C64, 15),
    (Dtype::Complex128, BufferType::C128, 18),
    (Dtype::Float4E2M1Fn, BufferType::F4E2M1FN, 32),
    (Dtype::Float8E3M4, BufferType::F8E3M4, 29),
    (Dtype::Float8E4M3, BufferType::F8E4M3, 28),
    (Dtype::Float8E4M3Fn, BufferType::F8E4M3FN, 20),
    (Dtype::Float8E4M3FnUz, BufferType::F8E4M3FNUZ, 25),
    (Dtype::Float8E4M3B11FnUz, BufferType::F8E4M3B11FNUZ, 23),
    (Dtype::Float8E5M2, BufferType::F8E5M2, 19),
    (Dtype::Float8E5M2FnUz, BufferType::F8E5M2FNUZ, 24),
    (Dtype::Float8E8M0Fnu, BufferType::F8E8M0FNU, 33),
    (Dtype::Token, BufferType::TOKEN, 17),
];

/// The C API's value for `dtype`.
pub(super) fn to_raw(dtype: Dtype) -> BufferType {
    TYPES.iter().find(|row| row.0 == dtype).map_or(BufferType::INVALID, |row| row.1)
}

/// The type for a value of the C API; `None` for a value that is invalid or unknown.
pub(super) fn from_raw(raw: BufferType) -> Option<Dtype> {
    TYPES.iter().find(|row| row.1 == raw).map(|row| row.0)
}

/// The type for a `PrimitiveType` of HLO's protocol buffers.
pub fn dtype_from_hlo(primitive_type: i32) -> Option<Dtype> {
    TYPES.iter().find(|row| row.2 == primitive_type).map(|row| row.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_value_and_is_found_again_by_it() {
        for &dtype in Dtype::ALL {
            assert_eq!(from_raw(to_raw(dtype)), Some(dtype));
        }
        assert_eq!(from_raw(BufferType::INVALID), None);
        assert_eq!(dtype_from_hlo(11), Some(Dtype::Float32));
        assert_eq!(dtype_from_hlo(13), None, "a tuple");
    }
}
