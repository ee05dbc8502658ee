//! How do the config files of a diffusers folder become graphs?
//!
//! There is a graph for each text encoder, the denoiser and the VAE decoder. A config field that
//! shapes a graph is either built or refused by name: none is ignored silently.

mod architecture;
mod clip;
mod config;
mod error;
mod folder;
mod layers;
mod step;
mod unet;
mod vae;

pub use architecture::{aliases, builder_id};
pub use clip::{TextActivation, TextClass, TextConfig, TextOutputs, text_encoder};
pub use error::ModelError;
pub use folder::{Component, Family, LATENT_PX, ModelFolder};
pub use step::{Coefficients, DenoiserSpec, StepScalars, denoiser};
pub use unet::{Added, AddedConfig, UnetAttention, UnetBlock, UnetConfig, unet};
pub use vae::{VaeConfig, vae, vae_decoder};

#[cfg(test)]
mod tests;
