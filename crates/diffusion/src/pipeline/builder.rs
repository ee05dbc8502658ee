//! With which settings is a pipeline opened?

use std::path::PathBuf;

use preheat_runtime::Percent;
use preheat_runtime::device::Precisions;
use preheat_runtime::device::offload::Offload;

use super::schedulers::Prediction;

/// The settings of a pipeline, which are the same for all its requests.
#[derive(Debug, Clone)]
pub struct PipelineBuilder {
    pub(super) padding_multiple_px: u64,
    pub(super) precisions: Precisions,
    pub(super) warmup_steps: u32,
    pub(super) variant: Option<String>,
    pub(super) config: Option<PathBuf>,
    pub(super) vae: Option<PathBuf>,
    pub(super) text_encoders: Vec<PathBuf>,
    pub(super) prediction: Option<Prediction>,
    pub(super) snap_to_warm: Option<Percent>,
    pub(super) offload: Offload,
    pub(super) reserve_bytes: Option<u64>,
}

impl Default for PipelineBuilder {
    fn default() -> Self {
        Self {
            padding_multiple_px: preheat_runtime::RuntimeBuilder::DEFAULT_PADDING_MULTIPLE_PX,
            precisions: Precisions::default(),
            warmup_steps: preheat_runtime::RuntimeBuilder::DEFAULT_WARMUP_STEPS,
            variant: None,
            config: None,
            vae: None,
            text_encoders: Vec::new(),
            prediction: None,
            snap_to_warm: None,
            offload: Offload::Auto,
            reserve_bytes: None,
        }
    }
}

impl PipelineBuilder {
    /// The multiple that sizes are rounded up to, in pixels. It is a multiple of 8; with 8, sizes
    /// are padded only to whole latents.
    #[must_use]
    pub fn padding_multiple_px(mut self, multiple: u64) -> Self {
        self.padding_multiple_px = multiple;
        self
    }

    /// Which dtype each stage computes in.
    #[must_use]
    pub fn precisions(mut self, precisions: Precisions) -> Self {
        self.precisions = precisions;
        self
    }

    /// How many denoising steps are run on zeros before a run, if anything was freshly compiled for
    /// it; each other stage is then run once. 0 for no such warmup. On devices of libtorch there is
    /// none, because libtorch compiles nothing.
    #[must_use]
    pub fn warmup_steps(mut self, steps: u32) -> Self {
        self.warmup_steps = steps;
        self
    }

    /// How weights are brought to a device of libtorch. On devices of XLA this has no effect: all
    /// weights for which there is room are on the device.
    #[must_use]
    pub fn offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// How many bytes of a device's free memory are left unused when preheat decides what is
    /// offloaded; by default
    /// [`default_reserve_bytes`](preheat_runtime::device::offload::default_reserve_bytes).
    #[must_use]
    pub fn reserve_memory_bytes(mut self, bytes: u64) -> Self {
        self.reserve_bytes = Some(bytes);
        self
    }

    /// Which weights are read if the folder has several variants, such as `fp16`.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// The folder in the diffusers layout that has the configs, the scheduler's config and the
    /// tokenizers, in place of the model's own. A model in a single file has no configs of its own:
    /// by default it gets those of the public release whose UNet has the same shape.
    #[must_use]
    pub fn config(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config = Some(folder.into());
        self
    }

    /// The VAE that replaces the model's own: a file, the folder of a VAE, or the folder of a
    /// model. A file has weights only, so the model's config is kept.
    #[must_use]
    pub fn vae(mut self, place: impl Into<PathBuf>) -> Self {
        self.vae = Some(place.into());
        self
    }

    /// A file or a folder of a text encoder, whose weights replace those of a text encoder of the
    /// model. Of the two text encoders of Stable Diffusion XL, the one with the same number of
    /// features for each token is replaced. Call this twice to replace both.
    #[must_use]
    pub fn text_encoder(mut self, place: impl Into<PathBuf>) -> Self {
        self.text_encoders.push(place.into());
        self
    }

    /// What the model predicts, whatever its config or its file says.
    #[must_use]
    pub fn prediction(mut self, prediction: Prediction) -> Self {
        self.prediction = Some(prediction);
        self
    }

    /// If the padded size of a request is not warm, the smallest warm size that covers the
    /// requested size serves the request, and the picture is cropped. At most this share of the
    /// computed area may lie beyond the padded size: at 50 percent, at most twice as many pixels
    /// are computed. The picture differs from the one at the request's own size, since noise is
    /// drawn at the size that is computed.
    ///
    /// This affects runs and look-ups. A warmup warms the size that it is given.
    #[must_use]
    pub fn snap_to_warm(mut self, most_waste: Percent) -> Self {
        self.snap_to_warm = Some(most_waste);
        self
    }
}
