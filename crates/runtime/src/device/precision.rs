//! Which dtype does each stage compute in?
//!
//! One table answers this from the device, the precision that was asked for, and the stage;
//! docs/devices.md shows it. `graph::autocast` then decides for each op of a stage whether the op
//! computes in that dtype (docs/precision.md).

use std::fmt;
use std::str::FromStr;

use preheat_tensor::Dtype;

use super::torch::{breaks_in_float16, computes_bfloat16};
use super::{Selected, TorchId};
use crate::{Warning, WarningKind};

/// The precision that the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The precision that suits the device: bfloat16 if the device computes it natively, otherwise
    /// float16 or float32.
    #[default]
    Auto,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    Fp16,
    /// float32.
    Fp32,
}

/// The text is not the name of a precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a precision: choose auto, bf16, fp16 or fp32")]
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

/// The precisions of a pipeline's stages: one for all of them, and one for each stage that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precisions {
    /// The precision of every stage that has none of its own.
    pub all: Precision,
    /// For the text encoders.
    pub text_encoder: Option<Precision>,
    /// For the denoiser.
    pub denoiser: Option<Precision>,
    /// For the VAE.
    pub vae: Option<Precision>,
    /// Whether [`Precision::Auto`] may be bfloat16 on devices of XLA.
    pub autocast: bool,
    /// Whether the precision that was asked for overrides the device's own rule.
    pub force: bool,
}

impl Default for Precisions {
    fn default() -> Self {
        Self {
            all: Precision::Auto,
            text_encoder: None,
            denoiser: None,
            vae: None,
            autocast: true,
            force: false,
        }
    }
}

/// A stage, as far as it matters for the dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageKind {
    /// A text encoder.
    TextEncoder,
    /// The denoiser.
    Denoiser,
    /// The VAE's decoder.
    Vae {
        /// Whether its config says that its values do not fit in float16 (`force_upcast`).
        force_upcast: bool,
    },
}

/// The facts about a device that decide dtypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// Compiled graphs on a device of XLA.
    Xla {
        /// Whether it computes bfloat16 at full speed; only the CPU does not.
        native_bfloat16: bool,
    },
    /// A card through libtorch.
    Cuda {
        /// Whether its hardware computes bfloat16.
        native_bfloat16: bool,
        /// Whether it returns NaN in float16.
        breaks_in_float16: bool,
    },
    /// Apple's GPU through libtorch.
    Mps,
    /// The CPU through libtorch.
    Cpu,
}

impl From<&Selected> for Arithmetic {
    fn from(selected: &Selected) -> Self {
        match selected {
            Selected::Xla { device, .. } => {
                Self::Xla { native_bfloat16: *device != super::XlaDevice::XlaCpu }
            }
            Selected::Torch(device) => Self::from(device),
        }
    }
}

impl From<&super::TorchDevice> for Arithmetic {
    fn from(device: &super::TorchDevice) -> Self {
        match device.id {
            TorchId::Cuda(_) => Self::Cuda {
                native_bfloat16: computes_bfloat16(device),
                breaks_in_float16: breaks_in_float16(device),
            },
            TorchId::Mps => Self::Mps,
            TorchId::Cpu | TorchId::Fake(_) => Self::Cpu,
        }
    }
}

/// The dtype that a stage computes in, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDtype {
    /// The dtype of convolutions and matrix products.
    pub dtype: Dtype,
    /// Whether attention is computed in float32 even if `dtype` is another.
    pub attention_in_float32: bool,
    /// Why, in a phrase.
    pub reason: &'static str,
    /// What the user should know: that the stage does not compute in the precision that was asked
    /// for.
    pub warning: Option<Warning>,
}

impl Precisions {
    /// The dtype of a stage on a device.
    pub fn of(self, stage: StageKind, on: Arithmetic) -> StageDtype {
        let own = match stage {
            StageKind::TextEncoder => self.text_encoder,
            StageKind::Denoiser => self.denoiser,
            StageKind::Vae { .. } => self.vae,
        };
        let asked = own.unwrap_or(self.all);
        let (mut dtype, mut reason) = rule(on, asked, self.autocast);
        let overruled = asked.dtype().filter(|wanted| *wanted != dtype);
        match overruled {
            Some(wanted) if self.force => (dtype, reason) = (wanted, "forced"),
            _ => {}
        }
        let too_large =
            matches!(stage, StageKind::Vae { force_upcast: true }) && dtype == Dtype::Float16;
        if too_large {
            (dtype, reason) = (
                Dtype::Float32,
                "its numbers do not fit float16, its config says (`force_upcast`)",
            );
        }
        let warning = asked.dtype().filter(|wanted| *wanted != dtype).map(|wanted| {
            let kind = if too_large {
                WarningKind::PrecisionUnfit
            } else {
                WarningKind::PrecisionOverruled
            };
            let text = format!("{} in {dtype}, not {wanted}: {reason}", stage.computes());
            Warning::new(kind, text)
        });
        // Apple's matrix products give wrong sums in both short dtypes, and pictures become black:
        // Comfy-Org/ComfyUI#4799 and #8485 (float16), #15819 (bfloat16).
        let attention_in_float32 = on == Arithmetic::Mps && dtype != Dtype::Float32;
        StageDtype { dtype, attention_in_float32, reason, warning }
    }
}

/// The table. A device's own rule comes before the precision that was asked for.
fn rule(on: Arithmetic, asked: Precision, autocast: bool) -> (Dtype, &'static str) {
    use Arithmetic::{Cpu, Cuda, Mps, Xla};
    use Precision::{Auto, Bf16, Fp16, Fp32};
    match (on, asked) {
        (Xla { native_bfloat16: true }, Auto) if autocast => {
            (Dtype::BFloat16, "native on the device")
        }
        (Xla { native_bfloat16: true }, Auto) => {
            (Dtype::Float32, "bfloat16 is chosen only where it is asked for")
        }
        (Xla { native_bfloat16: false }, Auto) => {
            (Dtype::Float32, "XLA:CPU is no faster in a shorter dtype")
        }
        (Cuda { breaks_in_float16: true, .. }, Auto | Bf16 | Fp16) => {
            (Dtype::Float32, "GTX 16 cards have no bfloat16, and give NaN in float16")
        }
        (Cuda { native_bfloat16: false, .. }, Auto | Bf16) => {
            (Dtype::Float16, "the card does not compute bfloat16 itself")
        }
        (Cuda { .. }, Auto) => (Dtype::BFloat16, "native on the card"),
        (Mps, Auto) => (Dtype::BFloat16, "native on the GPU"),
        (Mps, Fp32) => (Dtype::Float16, "float32 is slow on mps"),
        (Cpu, Auto | Bf16 | Fp16) => (Dtype::Float32, "the CPU computes in float32 unless forced"),
        (_, Bf16) => (Dtype::BFloat16, "asked for"),
        (_, Fp16) => (Dtype::Float16, "asked for"),
        (_, Fp32) => (Dtype::Float32, "asked for"),
    }
}

/// The dtype in which a tensor of `dtype` is kept on a device: the same, except for float64 on mps,
/// which has no float64.
pub fn carried(dtype: Dtype, on: Arithmetic) -> Dtype {
    match (dtype, on) {
        (Dtype::Float64, Arithmetic::Mps) => Dtype::Float32,
        _ => dtype,
    }
}

impl Precision {
    /// The dtype that this precision names.
    fn dtype(self) -> Option<Dtype> {
        match self {
            Self::Auto => None,
            Self::Bf16 => Some(Dtype::BFloat16),
            Self::Fp16 => Some(Dtype::Float16),
            Self::Fp32 => Some(Dtype::Float32),
        }
    }
}

impl StageKind {
    fn computes(self) -> &'static str {
        match self {
            Self::TextEncoder => "the text encoder computes",
            Self::Denoiser => "the denoiser computes",
            Self::Vae { .. } => "the VAE computes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TPU: Arithmetic = Arithmetic::Xla { native_bfloat16: true };
    const XLA_CPU: Arithmetic = Arithmetic::Xla { native_bfloat16: false };

    fn denoiser(precisions: Precisions, on: Arithmetic) -> Dtype {
        precisions.of(StageKind::Denoiser, on).dtype
    }

    #[test]
    fn auto_follows_the_device_and_the_flag_and_an_explicit_one_wins() {
        let auto = Precisions::default();
        assert_eq!(denoiser(auto, TPU), Dtype::BFloat16);
        assert_eq!(denoiser(auto, XLA_CPU), Dtype::Float32);
        let off = Precisions { autocast: false, ..auto };
        assert_eq!(denoiser(off, TPU), Dtype::Float32);
        assert_eq!(
            denoiser(off, Arithmetic::Mps),
            Dtype::BFloat16,
            "`autocast` acts on XLA's devices"
        );
        assert_eq!(denoiser(Precisions { all: Precision::Bf16, ..off }, XLA_CPU), Dtype::BFloat16);
        assert_eq!(
            denoiser(Precisions { denoiser: Some(Precision::Fp16), ..auto }, TPU),
            Dtype::Float16
        );
        let own = Precisions { all: Precision::Bf16, denoiser: Some(Precision::Fp32), ..auto };
        assert_eq!(denoiser(own, TPU), Dtype::Float32);
        assert_eq!(own.of(StageKind::TextEncoder, TPU).dtype, Dtype::BFloat16);
    }

    #[test]
    fn a_dtype_that_is_not_what_was_asked_for_is_said_and_can_be_forced() {
        for (on, asked, given, forced) in [
            (Arithmetic::Mps, Precision::Fp32, Dtype::Float16, Dtype::Float32),
            (Arithmetic::Cpu, Precision::Bf16, Dtype::Float32, Dtype::BFloat16),
            (Arithmetic::Cpu, Precision::Fp16, Dtype::Float32, Dtype::Float16),
        ] {
            let asked = Precisions { all: asked, ..Precisions::default() };
            let decided = asked.of(StageKind::Denoiser, on);
            assert_eq!(decided.dtype, given);
            let kind = decided.warning.as_ref().map(|warning| warning.kind);
            assert_eq!(kind, Some(WarningKind::PrecisionOverruled), "{decided:?}");
            let decided = Precisions { force: true, ..asked }.of(StageKind::Denoiser, on);
            assert_eq!((decided.dtype, decided.warning), (forced, None));
        }
        let auto = Precisions::default().of(StageKind::Denoiser, Arithmetic::Cpu);
        assert_eq!(auto.warning, None, "nobody asked");
    }

    #[test]
    fn a_vae_that_does_not_fit_float16_never_computes_in_it() {
        let vae = StageKind::Vae { force_upcast: true };
        let turing = Arithmetic::Cuda { native_bfloat16: false, breaks_in_float16: false };
        let decided = Precisions::default().of(vae, turing);
        assert_eq!((decided.dtype, decided.warning), (Dtype::Float32, None));
        let forced = Precisions { all: Precision::Fp16, force: true, ..Precisions::default() };
        let decided = forced.of(vae, turing);
        assert_eq!(decided.dtype, Dtype::Float32);
        let warning = decided.warning.unwrap();
        assert_eq!(warning.kind, WarningKind::PrecisionUnfit);
        assert!(warning.text.contains("force_upcast"), "{warning}");
        assert_eq!(forced.of(StageKind::Vae { force_upcast: false }, turing).dtype, Dtype::Float16);
    }

    #[test]
    fn attention_is_in_float32_where_pictures_come_out_black() {
        for asked in [Precision::Auto, Precision::Fp16] {
            let asked = Precisions { all: asked, ..Precisions::default() };
            assert!(asked.of(StageKind::Denoiser, Arithmetic::Mps).attention_in_float32);
            assert!(!asked.of(StageKind::Denoiser, TPU).attention_in_float32);
        }
    }

    /// The table as docs/devices.md has it: a row for each device, a column for each precision.
    #[test]
    fn the_page_shows_the_table() {
        let card = |native_bfloat16, breaks_in_float16| Arithmetic::Cuda {
            native_bfloat16,
            breaks_in_float16,
        };
        let page = include_str!("../../../../docs/devices.md");
        for (device, on) in [
            ("tpu, xla-cuda", TPU),
            ("xla-cpu", XLA_CPU),
            ("cuda, from compute capability 8.0", card(true, false)),
            ("cuda, below 8.0", card(false, false)),
            ("cuda, GTX 16 cards", card(false, true)),
            ("mps", Arithmetic::Mps),
            ("cpu", Arithmetic::Cpu),
        ] {
            let cells =
                [Precision::Auto, Precision::Bf16, Precision::Fp16, Precision::Fp32].map(|all| {
                    let decided =
                        Precisions { all, ..Precisions::default() }.of(StageKind::Denoiser, on);
                    if decided.warning.is_some() {
                        format!("{}, with a warning", decided.dtype)
                    } else {
                        decided.dtype.to_string()
                    }
                });
            let row = format!("| {device} | {} |", cells.join(" | "));
            assert!(
                page.lines().any(|line| line.starts_with(&row)),
                "docs/devices.md lacks the row\n{row}"
            );
        }
    }

    #[test]
    fn mps_has_no_float64() {
        assert_eq!(carried(Dtype::Float64, Arithmetic::Mps), Dtype::Float32);
        assert_eq!(carried(Dtype::Float64, Arithmetic::Cpu), Dtype::Float64);
        assert_eq!(carried(Dtype::Int64, Arithmetic::Mps), Dtype::Int64);
    }

    #[test]
    fn names_are_read_and_others_are_refused() {
        for precision in [Precision::Auto, Precision::Bf16, Precision::Fp16, Precision::Fp32] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        // A dtype's own name is accepted, too.
        for dtype in [Dtype::BFloat16, Dtype::Float16, Dtype::Float32] {
            assert_eq!(
                dtype.to_string().parse::<Precision>().map(Precision::dtype),
                Ok(Some(dtype))
            );
        }
        let error = "int8".parse::<Precision>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"int8\" is not a precision: choose auto, bf16, fp16 or fp32"
        );
    }
}
