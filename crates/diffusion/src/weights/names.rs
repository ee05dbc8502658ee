//! Which weights of a component does a tensor of an original release hold?
//!
//! Releases in a single file have the names of the programs that the models were trained with.
//! Graphs read weights under the names of diffusers. This module translates in both directions:
//! when a file is opened, the names of its tensors become names of weights, and in messages the
//! name of a weight becomes the name of its tensor.
//!
//! | component | name in the file begins with | what differs |
//! |---|---|---|
//! | UNet | `model.diffusion_model.` | the layers of all blocks are numbered consecutively (`unet.rs`) |
//! | VAE | `first_stage_model.` | the decoder's blocks are numbered from its end (`vae.rs`) |
//! | text encoder of SD 1.x, first one of XL | `cond_stage_model.transformer.`, `conditioner.embedders.0.transformer.` | nothing |
//! | text encoder of SD 2.x, second one of XL | `cond_stage_model.model.`, `conditioner.embedders.1.model.` | query, key and value are one tensor (`open_clip.rs`) |
//!
//! The names are those of CompVis/latent-diffusion, Stability-AI/generative-models and
//! `mlfoundations/open_clip`. The translation follows `from_single_file` of diffusers 0.42.1.

mod open_clip;
mod piece;
#[cfg(test)]
mod tests;
mod unet;
mod vae;

use crate::models::{UnetConfig, VaeConfig};
pub(super) use piece::Piece;

/// The names that the tensors of one component have in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The prefix of each name.
    prefix: String,
    layout: Layout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// The names of diffusers.
    Diffusers,
    /// The names of transformers.
    Clip {
        /// Whether the projection is read.
        projection: bool,
    },
    Unet(unet::Blocks),
    Vae(vae::Blocks),
    OpenClip(open_clip::Encoder),
}

/// How the names of a text encoder begin. Some releases leave out `text_model.`.
const CLIP: [&str; 4] = ["text_model.", "embeddings.", "encoder.layers.", "final_layer_norm."];

impl Names {
    /// The names of transformers for a text encoder. `projection` says whether its projection is
    /// read.
    pub fn of_clip(prefix: &str, projection: bool) -> Self {
        Self { prefix: prefix.to_owned(), layout: Layout::Clip { projection } }
    }

    /// The names of diffusers, behind a prefix.
    pub fn of_diffusers(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), layout: Layout::Diffusers }
    }

    /// The original names of a UNet.
    pub fn of_unet(prefix: &str, config: &UnetConfig) -> Self {
        Self { prefix: prefix.to_owned(), layout: Layout::Unet(unet::Blocks::of(config)) }
    }

    /// The original names of a VAE.
    pub fn of_vae(prefix: &str, config: &VaeConfig) -> Self {
        let blocks = vae::Blocks { count: config.channels.len() as u64 };
        Self { prefix: prefix.to_owned(), layout: Layout::Vae(blocks) }
    }

    /// The names of `open_clip` for a text encoder that has at least this many layers. `projection`
    /// says whether its projection is read.
    pub fn of_open_clip(prefix: &str, layers: u64, projection: bool) -> Self {
        let encoder = open_clip::Encoder { layers, projection };
        Self { prefix: prefix.to_owned(), layout: Layout::OpenClip(encoder) }
    }

    /// The weights that a tensor of the file holds: none if the component has no such weight, and
    /// three if query, key and value are one tensor.
    pub(super) fn of_file(&self, name: &str) -> Vec<Piece> {
        let Some(name) = name.strip_prefix(&self.prefix) else { return Vec::new() };
        match &self.layout {
            Layout::Diffusers => vec![Piece::whole(name.to_owned())],
            Layout::Clip { projection } => {
                let starts = |start: &&str| name.starts_with(*start);
                let is_read =
                    CLIP.iter().any(&starts) || *projection && starts(&"text_projection.");
                is_read.then(|| Piece::whole(name.to_owned())).into_iter().collect()
            }
            Layout::Unet(blocks) => blocks.of_file(name).map(Piece::whole).into_iter().collect(),
            Layout::Vae(blocks) => blocks.of_file(name).into_iter().collect(),
            Layout::OpenClip(encoder) => encoder.of_file(name),
        }
    }

    /// Whether a tensor of the file belongs to the component.
    pub fn has(&self, name: &str) -> bool {
        !self.of_file(name).is_empty()
    }

    /// The name that a weight of diffusers has in the file; `None` if it is the same, or there is
    /// no such weight.
    pub fn in_file(&self, name: &str) -> Option<String> {
        let found = match &self.layout {
            Layout::Diffusers | Layout::Clip { .. } => Some(name.to_owned()),
            Layout::Unet(blocks) => blocks.in_file(name),
            Layout::Vae(blocks) => blocks.in_file(name),
            Layout::OpenClip(encoder) => encoder.in_file(name),
        };
        found.map(|found| format!("{}{found}", self.prefix)).filter(|found| found != name)
    }
}
