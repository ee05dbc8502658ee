//! What does the denoiser of a single file predict: the noise, or v?
//!
//! | what the file has | it predicts | as in |
//! |---|---|---|
//! | a tensor `v_pred` | v | ComfyUI, which writes it, and the releases of `NoobAI` |
//! | tensors `v_pred` and `ztsnr` | v, and the last timestep has no signal at all | ComfyUI |
//! | Stable Diffusion 2: `global_step` is 875000 | the noise | diffusers |
//! | Stable Diffusion 2: one bias of the last transformer varies by more than 0.09 | v | ComfyUI |
//! | Stable Diffusion 2: this bias varies less | the noise | ComfyUI |
//! | none of these | what the configs say | |
//!
//! The bias distinguishes the releases of Stability AI, and most models made from them. The bias is
//! not used by diffusers, which assumes v for all files of Stable Diffusion 2 whose `global_step`
//! is not 875000.

use super::Release;
use crate::pipeline::schedulers::Prediction;
use crate::weights::OneFile;

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Predicts {
    pub(crate) prediction: Prediction,
    /// Whether the last timestep of the training has no signal at all.
    pub(crate) zero_terminal_snr: bool,
}

impl Predicts {
    /// What the model predicts if a user says `prediction` and the file says `told`. The file's
    /// `zero_terminal_snr` is used only if the prediction is v.
    pub(crate) fn overruled(prediction: Prediction, told: Option<Self>) -> Self {
        let zero_terminal_snr = told.is_some_and(|told| told.zero_terminal_snr);
        let zero_terminal_snr = prediction == Prediction::V && zero_terminal_snr;
        Self { prediction, zero_terminal_snr }
    }
}

/// The bias whose values show what a model of Stable Diffusion 2 predicts.
const BIAS: &str = "output_blocks.11.1.transformer_blocks.0.norm1.bias";
/// The smallest standard deviation of that bias if the model predicts v.
const LEAST_DEVIATION: f32 = 0.09;
/// The step at which the training of Stable Diffusion 2.0 base ended.
const STEPS_OF_BASE: f32 = 875_000.0;

/// What the model predicts, if the file shows it.
pub(super) fn of(file: &OneFile, unet: &str, release: Option<Release>) -> Option<Predicts> {
    let predicts = |is_v| Predicts {
        prediction: if is_v { Prediction::V } else { Prediction::Epsilon },
        zero_terminal_snr: false,
    };
    if file.dims("v_pred").is_some() {
        let zero_terminal_snr = file.dims("ztsnr").is_some();
        return Some(Predicts { prediction: Prediction::V, zero_terminal_snr });
    }
    if release != Some(Release::StableDiffusion2) {
        return None;
    }
    let steps = file.values("global_step").and_then(|values| values.first().copied());
    if steps.is_some_and(|steps| (steps - STEPS_OF_BASE).abs() < 0.5) {
        return Some(predicts(false));
    }
    let bias = file.values(&format!("{unet}{BIAS}"));
    bias.map(|bias| predicts(deviation(&bias) > LEAST_DEVIATION))
}

/// The standard deviation of all values.
#[expect(clippy::cast_precision_loss, reason = "a bias has a few hundred values")]
fn deviation(values: &[f32]) -> f32 {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt()
}
