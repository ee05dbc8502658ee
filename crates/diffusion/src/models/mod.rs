//! How do the config files of a diffusers folder become graphs?
//!
//! There is a graph for each text encoder, the denoiser, and both halves of the VAE. Each config
//! field that shapes a graph is either used to build it, or refused by name; none is ignored
//! silently.

mod architecture;
mod blend;
mod clip;
mod config;
mod configs;
mod error;
mod family;
mod folder;
mod layers;
mod network;
mod step;
mod unet;
mod vae;
mod vae_encoder;

pub(crate) use architecture::canonical;
pub use architecture::{aliases, builder_id};
pub use blend::{latent_blend, latent_blend_architecture};
pub use clip::{TextActivation, TextClass, TextConfig, TextOutputs, text_encoder};
pub use configs::Configs;
pub use error::ModelError;
pub use family::{Component, Family};
pub use folder::{LATENT_PX, ModelFolder};
pub use network::{NetworkSpec, network};
pub use step::{Coefficients, DenoiserSpec, StepScalars, denoiser};
pub use unet::{Added, AddedConfig, UnetAttention, UnetBlock, UnetConfig, unet};
pub use vae::{VaeConfig, vae, vae_decoder};
pub use vae_encoder::{VaeEncoderConfig, vae_encoder};

#[cfg(test)]
mod tests;
