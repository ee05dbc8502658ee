//! The types that elements of an array can have.

use std::fmt;
use std::str::FromStr;

use super::error::PjrtError;
use super::sys;

macro_rules! element_types {
    ($($name:ident $raw:ident $hlo:literal $bits:literal $text:literal,)*) => {
        /// Type of an array's elements. Displayed and parsed as StableHLO spells it: `f32`, `bf16`, `i1`, `ui8`, `complex<f32>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ElementType {
            $(#[doc = concat!("StableHLO's `", $text, "`.")] $name,)*
        }

        impl ElementType {
            /// Every type there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The C API's value for it.
            pub const fn to_raw(self) -> sys::BufferType {
                match self { $(Self::$name => sys::BufferType::$raw,)* }
            }

            /// The type that the C API's value stands for; `None` for one that is invalid or unknown.
            pub const fn from_raw(raw: sys::BufferType) -> Option<Self> {
                match raw { $(sys::BufferType::$raw => Some(Self::$name),)* _ => None }
            }

            /// The type that a `PrimitiveType` of HLO's protocol buffers stands for (`xla_data.proto`).
            pub const fn from_hlo(primitive_type: i32) -> Option<Self> {
                match primitive_type { $($hlo => Some(Self::$name),)* _ => None }
            }

            /// Bits that one element takes in the type's own terms: 1 byte for `i1`, 4 bits for `i4`, none for a token.
            pub const fn bits(self) -> u32 {
                match self { $(Self::$name => $bits,)* }
            }

            /// As StableHLO spells it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

element_types! {
    Pred PRED 1 8 "i1",
    I2 S2 26 2 "i2",
    I4 S4 21 4 "i4",
    I8 S8 2 8 "i8",
    I16 S16 3 16 "i16",
    I32 S32 4 32 "i32",
    I64 S64 5 64 "i64",
    U2 U2 27 2 "ui2",
    U4 U4 22 4 "ui4",
    U8 U8 6 8 "ui8",
    U16 U16 7 16 "ui16",
    U32 U32 8 32 "ui32",
    U64 U64 9 64 "ui64",
    F16 F16 10 16 "f16",
    F32 F32 11 32 "f32",
    F64 F64 12 64 "f64",
    Bf16 BF16 16 16 "bf16",
    C64 C64 15 64 "complex<f32>",
    C128 C128 18 128 "complex<f64>",
    F4E2M1FN F4E2M1FN 32 4 "f4E2M1FN",
    F8E3M4 F8E3M4 29 8 "f8E3M4",
    F8E4M3 F8E4M3 28 8 "f8E4M3",
    F8E4M3FN F8E4M3FN 20 8 "f8E4M3FN",
    F8E4M3FNUZ F8E4M3FNUZ 25 8 "f8E4M3FNUZ",
    F8E4M3B11FNUZ F8E4M3B11FNUZ 23 8 "f8E4M3B11FNUZ",
    F8E5M2 F8E5M2 19 8 "f8E5M2",
    F8E5M2FNUZ F8E5M2FNUZ 24 8 "f8E5M2FNUZ",
    F8E8M0FNU F8E8M0FNU 33 8 "f8E8M0FNU",
    Token TOKEN 17 0 "token",
}

impl ElementType {
    /// Bytes of one element; an error where elements are not whole bytes (sub-byte types, tokens).
    pub fn bytes(self) -> Result<usize, PjrtError> {
        match self.bits() {
            0 | 2 | 4 => Err(PjrtError::UnsupportedElementType { element_type: self }),
            bits => Ok(bits as usize / 8),
        }
    }

    /// Bytes of a dense array of `dimensions`.
    pub fn array_bytes(self, dimensions: &[i64]) -> Result<usize, PjrtError> {
        let bad = || PjrtError::BadDimensions { dimensions: dimensions.to_vec() };
        let element = self.bytes()?;
        let sizes: Option<Vec<usize>> = dimensions.iter().map(|&size| usize::try_from(size).ok()).collect();
        let sizes = sizes.ok_or_else(bad)?;
        if sizes.contains(&0) {
            // Whatever the others are: their product may be beyond all numbers.
            return Ok(0);
        }
        let bytes = sizes.iter().try_fold(element, |bytes, &size| bytes.checked_mul(size));
        bytes.filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or_else(bad)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ElementType {
    type Err = UnknownElementType;

    /// Takes StableHLO's spelling only.
    fn from_str(text: &str) -> Result<Self, UnknownElementType> {
        Self::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| UnknownElementType(text.to_owned()))
    }
}

/// A name that StableHLO gives to no element type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no element type; StableHLO's are f32, bf16, i1, i32, ui8, complex<f32> and the like")]
pub struct UnknownElementType(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_again_by_name_and_by_c_value() {
        for &one in ElementType::ALL {
            assert_eq!(one.name().parse(), Ok(one));
            assert_eq!(ElementType::from_raw(one.to_raw()), Some(one));
        }
        assert_eq!(ElementType::from_raw(sys::BufferType::INVALID), None);
        assert_eq!(ElementType::ALL.len(), 29, "one for each but INVALID");
        assert!("float32".parse::<ElementType>().is_err());
    }

    #[test]
    fn sizes_of_arrays() {
        assert_eq!(ElementType::F32.array_bytes(&[2, 3]).unwrap(), 24);
        assert_eq!(ElementType::C128.array_bytes(&[]).unwrap(), 16);
        assert_eq!(ElementType::Pred.array_bytes(&[7]).unwrap(), 7);
        assert!(matches!(ElementType::F32.array_bytes(&[i64::MAX, 2]), Err(PjrtError::BadDimensions { .. })));
        assert_eq!(ElementType::F32.array_bytes(&[i64::MAX, i64::MAX, 0]).unwrap(), 0);
        assert!(matches!(ElementType::F32.array_bytes(&[-1]), Err(PjrtError::BadDimensions { .. })));
        assert!(matches!(ElementType::I4.array_bytes(&[2]), Err(PjrtError::UnsupportedElementType { .. })));
    }
}
