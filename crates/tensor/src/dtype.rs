//! Which element types are there, and what is each of them called?
//!
//! One table has each type's names in signatures, in StableHLO and in input, and its number in
//! hashes. The names and numbers of one interface or file format are kept with the code for it:
//! PJRT's and HLO's in `preheat-pjrt`, libtorch's in `preheat-torch-abi`, those of safetensors in
//! `tensor.rs`, those of the `xla` crate in `literal.rs`, those of `DLPack` and NumPy in the Python
//! package.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! dtypes {
    ($($(#[$doc:meta])+ $variant:ident $ordinal:literal $name:literal $stablehlo:literal
       $bits:literal $others:expr;)*) => {
        /// The type of a tensor's elements. It is displayed as in NumPy and JAX (`float32`), and
        /// parsed from that name, from StableHLO's name (`f32`) and from common short ones
        /// (`fp32`).
        ///
        /// Its order is the order of declaration. The bytes of a graph depend on that order, so a
        /// new type is added at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Dtype {
            $($(#[$doc])+ $variant,)*
        }

        impl Dtype {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in signatures: `bfloat16`, `float32`, ...
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The name in StableHLO: `bf16`, `f32`, `i1`, `ui8`, `complex<f32>`, ...
            pub const fn stablehlo(self) -> &'static str {
                match self { $(Self::$variant => $stablehlo,)* }
            }

            /// The number that stands for this type in every hash. A number is never used for
            /// another type.
            pub const fn ordinal(self) -> u64 {
                match self { $(Self::$variant => $ordinal,)* }
            }

            /// How many bits an element has by the type's definition: 8 for a truth value, 4 for an
            /// `int4`, 0 for a token.
            pub const fn bits(self) -> u32 {
                match self { $(Self::$variant => $bits,)* }
            }

            /// Other names that are accepted in input.
            const fn other_names(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &$others,)* }
            }
        }
    };
}

dtypes! {
    /// 16 bits with the exponent of a float32.
    BFloat16 1 "bfloat16" "bf16" 16 [];
    /// IEEE half precision.
    Float16 2 "float16" "f16" 16 ["fp16", "half"];
    /// IEEE single precision.
    Float32 3 "float32" "f32" 32 ["fp32", "float"];
    /// IEEE double precision.
    Float64 4 "float64" "f64" 64 ["fp64", "double"];
    /// 8-bit float with 4 bits of exponent, without infinities.
    Float8E4M3Fn 5 "float8e4m3fn" "f8E4M3FN" 8 ["float8_e4m3fn"];
    /// 8-bit float with 5 bits of exponent.
    Float8E5M2 6 "float8e5m2" "f8E5M2" 8 ["float8_e5m2"];
    /// Signed 8-bit integer.
    Int8 7 "int8" "i8" 8 ["s8"];
    /// Signed 16-bit integer.
    Int16 8 "int16" "i16" 16 ["s16"];
    /// Signed 32-bit integer.
    Int32 9 "int32" "i32" 32 ["s32"];
    /// Signed 64-bit integer.
    Int64 10 "int64" "i64" 64 ["s64"];
    /// Unsigned 8-bit integer.
    UInt8 11 "uint8" "ui8" 8 ["u8"];
    /// Unsigned 16-bit integer.
    UInt16 12 "uint16" "ui16" 16 ["u16"];
    /// Unsigned 32-bit integer.
    UInt32 13 "uint32" "ui32" 32 ["u32"];
    /// Unsigned 64-bit integer.
    UInt64 14 "uint64" "ui64" 64 ["u64"];
    /// Truth values, a byte each.
    Bool 15 "bool" "i1" 8 ["pred"];
    /// Pairs of float32.
    Complex64 16 "complex64" "complex<f32>" 64 ["c64"];
    /// Pairs of float64.
    Complex128 17 "complex128" "complex<f64>" 128 ["c128"];
    /// Signed 2-bit integer.
    Int2 18 "int2" "i2" 2 ["s2"];
    /// Signed 4-bit integer.
    Int4 19 "int4" "i4" 4 ["s4"];
    /// Unsigned 2-bit integer.
    UInt2 20 "uint2" "ui2" 2 ["u2"];
    /// Unsigned 4-bit integer.
    UInt4 21 "uint4" "ui4" 4 ["u4"];
    /// 4-bit float with 2 bits of exponent, finite values only.
    Float4E2M1Fn 22 "float4e2m1fn" "f4E2M1FN" 4 ["float4_e2m1fn"];
    /// 8-bit float with 3 bits of exponent.
    Float8E3M4 23 "float8e3m4" "f8E3M4" 8 ["float8_e3m4"];
    /// 8-bit float with 4 bits of exponent.
    Float8E4M3 24 "float8e4m3" "f8E4M3" 8 ["float8_e4m3"];
    /// 8-bit float with 4 bits of exponent, without infinities and without a negative zero.
    Float8E4M3FnUz 25 "float8e4m3fnuz" "f8E4M3FNUZ" 8 ["float8_e4m3fnuz"];
    /// Like `Float8E4M3FnUz`, but with an exponent bias of 11.
    Float8E4M3B11FnUz 26 "float8e4m3b11fnuz" "f8E4M3B11FNUZ" 8 ["float8_e4m3b11fnuz"];
    /// 8-bit float with 5 bits of exponent, without infinities and without a negative zero.
    Float8E5M2FnUz 27 "float8e5m2fnuz" "f8E5M2FNUZ" 8 ["float8_e5m2fnuz"];
    /// A power of two in 8 bits, without sign.
    Float8E8M0Fnu 28 "float8e8m0fnu" "f8E8M0FNU" 8 ["float8_e8m0fnu"];
    /// No data: a value that orders the effects of a program.
    Token 29 "token" "token" 0 [];
}

impl Dtype {
    /// The type with this StableHLO name, in exactly this spelling.
    pub fn from_stablehlo(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.stablehlo() == name)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that is not an element type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no element type; bfloat16, float16, float32 and float64 are some (bf16, fp16, \
     fp32, fp64 for short)"
)]
pub struct ParseDtypeError {
    name: String,
}

impl FromStr for Dtype {
    type Err = ParseDtypeError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let wanted = name.to_ascii_lowercase();
        let named = |dtype: &Self| {
            dtype.name() == wanted
                || dtype.stablehlo().eq_ignore_ascii_case(&wanted)
                || dtype.other_names().contains(&wanted.as_str())
        };
        // A token has no elements, so no request can ask for this type.
        let found = Self::ALL.iter().copied().filter(|dtype| dtype.bits() > 0).find(named);
        found.ok_or_else(|| ParseDtypeError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_again_by_each_of_its_names() {
        for &dtype in Dtype::ALL {
            assert_eq!(Dtype::from_stablehlo(dtype.stablehlo()), Some(dtype));
            if dtype != Dtype::Token {
                assert_eq!(dtype.name().parse(), Ok(dtype));
                assert_eq!(dtype.stablehlo().parse(), Ok(dtype));
            }
            for name in dtype.other_names() {
                assert_eq!(name.parse(), Ok(dtype));
            }
            assert_eq!(serde_json::to_string(&dtype).unwrap(), format!("{:?}", dtype.name()));
        }
        assert!("float33".parse::<Dtype>().is_err());
        assert!("token".parse::<Dtype>().is_err());
    }

    #[test]
    fn ordinals_are_those_of_the_first_release_and_no_two_are_equal() {
        let ordinals: Vec<_> = Dtype::ALL.iter().map(|dtype| dtype.ordinal()).collect();
        assert_eq!(ordinals, (1..=29).collect::<Vec<_>>());
        assert_eq!((Dtype::BFloat16.ordinal(), Dtype::Complex128.ordinal()), (1, 17));
    }

    #[test]
    fn sizes_of_arrays() {
        use crate::array::ArrayError::{Dimensions, NotWholeBytes};
        assert_eq!(Dtype::Float32.array_bytes(&[2, 3]).unwrap(), 24);
        assert_eq!(Dtype::Complex128.array_bytes(&[]).unwrap(), 16);
        assert_eq!(Dtype::Bool.array_bytes(&[7]).unwrap(), 7);
        assert!(matches!(Dtype::Float32.array_bytes(&[u64::MAX, 2]), Err(Dimensions { .. })));
        assert_eq!(Dtype::Float32.array_bytes(&[u64::MAX, u64::MAX, 0]).unwrap(), 0);
        assert!(matches!(Dtype::Int4.array_bytes(&[2]), Err(NotWholeBytes { .. })));
    }
}
