//! Which dtype each stage computes in.

use std::fmt;
use std::str::FromStr;

use preheat_cache::Dtype;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// bfloat16 where the device computes it natively, float32 elsewhere.
    #[default]
    Auto,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    Fp16,
    /// float32.
    Fp32,
}

/// A name that is no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no precision; auto, bf16, fp16 and fp32 are")]
pub struct ParsePrecisionError(String);

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "bf16" | "bfloat16" => Ok(Self::Bf16),
            "fp16" | "float16" => Ok(Self::Fp16),
            "fp32" | "float32" => Ok(Self::Fp32),
            _ => Err(ParsePrecisionError(name.to_owned())),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Fp32 => "fp32",
        })
    }
}

/// The precisions of a pipeline's stages: one for all, and one for each that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precisions {
    /// For every stage that has none of its own.
    pub all: Precision,
    /// For the text encoders.
    pub text_encoder: Option<Precision>,
    /// For the denoiser.
    pub denoiser: Option<Precision>,
    /// For the VAE.
    pub vae: Option<Precision>,
    /// Whether [`Precision::Auto`] may be bfloat16 at all (`--tpu-autocast-bf16`).
    pub autocast: bool,
}

impl Default for Precisions {
    fn default() -> Self {
        Self { all: Precision::Auto, text_encoder: None, denoiser: None, vae: None, autocast: true }
    }
}

impl Precisions {
    /// The dtype of a stage that was asked for `own`, on a device that `computes_bfloat16` natively or does not.
    pub(super) fn dtype(self, own: Option<Precision>, computes_bfloat16: bool) -> Dtype {
        match own.unwrap_or(self.all) {
            Precision::Auto if self.autocast && computes_bfloat16 => Dtype::BFloat16,
            Precision::Auto | Precision::Fp32 => Dtype::Float32,
            Precision::Bf16 => Dtype::BFloat16,
            Precision::Fp16 => Dtype::Float16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_device_and_the_flag_and_an_explicit_one_wins() {
        let auto = Precisions::default();
        assert_eq!(auto.dtype(None, true), Dtype::BFloat16);
        assert_eq!(auto.dtype(None, false), Dtype::Float32);
        let off = Precisions { autocast: false, ..auto };
        assert_eq!(off.dtype(None, true), Dtype::Float32);
        assert_eq!(Precisions { all: Precision::Bf16, ..off }.dtype(None, false), Dtype::BFloat16);
        assert_eq!(auto.dtype(Some(Precision::Fp16), true), Dtype::Float16);
        assert_eq!(Precisions { all: Precision::Bf16, ..auto }.dtype(Some(Precision::Fp32), true), Dtype::Float32);
    }

    #[test]
    fn names_are_read_and_others_are_refused() {
        for precision in [Precision::Auto, Precision::Bf16, Precision::Fp16, Precision::Fp32] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        // A dtype's own name will do.
        for dtype in [Dtype::BFloat16, Dtype::Float16, Dtype::Float32] {
            let all: Precision = dtype.to_string().parse().unwrap();
            assert_eq!(Precisions { all, autocast: false, ..Precisions::default() }.dtype(None, false), dtype);
        }
        let error = "int8".parse::<Precision>().unwrap_err();
        assert_eq!(error.to_string(), "\"int8\" is no precision; auto, bf16, fp16 and fp32 are");
    }
}
