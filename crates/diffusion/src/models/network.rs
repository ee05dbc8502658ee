//! What does the network alone compute, for programs with their own samplers?
//!
//! [`network`] builds the network alone, like `UNet2DConditionModel` of diffusers. The graph of
//! [`denoiser`](super::denoiser) is one step of preheat's own loop: besides the network, it has
//! guidance and the scheduler's update.

use preheat_ir::graph::{FunctionBuilder, GraphError, Verified};
use preheat_tensor::{Dtype, TensorType};

use super::unet::{Added, AddedConfig, UnetConfig, unet};

/// What shapes the graph of a network besides its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkSpec {
    /// How many latents are denoised at once.
    pub batch: u64,
    /// The height of the latents.
    pub latent_height: u64,
    /// The width of the latents.
    pub latent_width: u64,
    /// How many tokens the context of each latent has.
    pub tokens: u64,
    /// Whether networks of Stable Diffusion XL take their added conditioning as one vector.
    pub joined: bool,
}

/// The graph of a network.
///
/// Its inputs are `x` (`f32[batch, in_channels, height, width]`), `timestep` (an `f32` scalar for
/// the whole batch) and `context` (`f32[batch, tokens, context_size]`). Networks of Stable
/// Diffusion XL also take `text_embeds` (`f32[batch, pooled_size]`) and `time_ids` (`f32[batch,
/// 6]`), or, if `joined`, `y` (`f32[batch, pooled_size + 6 * time_size]`). Its output is
/// `predicted` (`f32[batch, out_channels, height, width]`).
///
/// # Errors
/// If the graph cannot be built at that size.
pub fn network(config: &UnetConfig, spec: NetworkSpec) -> Result<Verified, GraphError> {
    let NetworkSpec { batch, latent_height, latent_width, tokens, joined } = spec;
    let mut b = FunctionBuilder::new("network");
    let float = |dims: &[u64]| TensorType::new(Dtype::Float32, dims);
    let x = b.input("x", float(&[batch, config.in_channels, latent_height, latent_width]));
    let timestep = b.input("timestep", float(&[]));
    let context = b.input("context", float(&[batch, tokens, config.context_size]));
    let added = config.added.map(|AddedConfig { time_size, pooled_size }| {
        if joined {
            let size = pooled_size + AddedConfig::TIME_IDS * time_size;
            return Added::Joined(b.input("y", float(&[batch, size])));
        }
        Added::Parts {
            text_embeds: b.input("text_embeds", float(&[batch, pooled_size])),
            time_ids: b.input("time_ids", float(&[batch, AddedConfig::TIME_IDS])),
        }
    });
    let predicted = unet(&mut b, config, x, timestep, context, added)?;
    let predicted = b.pin(predicted, Dtype::Float32);
    b.output("predicted", predicted);
    b.finish()
}
