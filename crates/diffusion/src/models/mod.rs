//! The models of a diffusers folder as graphs: the text encoders, the denoiser and the VAE decoder,
//! from their config files.
//!
//! A config field that shapes the graph is either built or refused by name: none is passed over in
//! silence.

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
