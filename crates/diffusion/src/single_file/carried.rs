//! Which configs do the public releases have?
//!
//! `configs/` has the files of stable-diffusion-v1-5, stable-diffusion-2-1 and
//! stable-diffusion-xl-base-1.0, each as one object with the paths of a diffusers folder as keys.
//! tests/fixtures/configs has the same files as folders.

use serde_json::{Map, Value as Json, json};

use super::{Predicts, Release, SingleFileError};
use crate::models::Configs;
use crate::pipeline::schedulers::Prediction;

impl Release {
    fn text(self) -> &'static str {
        match self {
            Self::StableDiffusion1 => include_str!("configs/sd15.json"),
            Self::StableDiffusion2 => include_str!("configs/sd21.json"),
            Self::StableDiffusionXl => include_str!("configs/sdxl.json"),
        }
    }
}

/// The configs of a release. A model of Stable Diffusion 2 that predicts the noise is one of the
/// base models, which were made for 512x512 px.
pub(super) fn configs(release: Release, predicts: Predicts) -> Result<Configs, SingleFileError> {
    let broken = |why: String| SingleFileError::Carried { why };
    let mut files: Map<String, Json> =
        serde_json::from_str(release.text()).map_err(|error| broken(error.to_string()))?;
    if release == Release::StableDiffusion2 && predicts.prediction == Prediction::Epsilon {
        let unet = files.get_mut("unet/config.json").and_then(Json::as_object_mut);
        let unet = unet.ok_or_else(|| broken("there is no unet/config.json".to_owned()))?;
        unet.insert("sample_size".to_owned(), json!(64));
    }
    Ok(Configs::in_memory(&format!("the configs of {release}"), files))
}
