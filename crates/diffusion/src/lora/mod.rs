//! How do LoRA files change the weights of a model?
//!
//! A LoRA file holds small matrices for some layers of a model. They change a layer's weight `W`:
//!
//! ```text
//! W + weight * (alpha / rank) * up @ down
//! ```
//!
//! `weight` is the LoRA's weight in the request. The sum is computed in f32 from the values in the
//! model's files, and rounded once to the dtype in which the graph reads `W`. A change is never
//! subtracted again: for a request without the file, `W` is read again from the model's files. A
//! graph does not contain the values of its weights, so another choice of LoRAs needs no compile.
//!
//! | file | answers |
//! |---|---|
//! | `key.rs` | what does the name of a tensor in the file mean? |
//! | `names.rs` | which weight of the model does a layer's name mean? |
//! | `ldm.rs` | what is a layer of the UNet called in the original code? |
//! | `metadata.rs` | by which factor does the file itself scale the change of a layer? |
//! | `family.rs` | for which kind of model does the file seem to be made? |
//! | `file.rs` | what does a file change in this model? |
//! | `network.rs` | how do the matrices of one layer become a change, and do their shapes fit? |
//! | `apply.rs` | how is a weight changed? |
//! | `adapters.rs` | which weights do a request's LoRAs change, and do two requests change a weight alike? |
//! | `shelf.rs` | which files are open already? |
//!
//! # Which formats are read
//!
//! | format | names of tensors |
//! |---|---|
//! | diffusers, PEFT | `unet.LAYER.lora_A.weight`, `.lora_B.weight`; `text_encoder.`, `text_encoder_2.`; `diffusion_model.` for `unet.`; with `base_model.model.` or without a prefix |
//! | older diffusers | `.lora.down.weight`, `.lora_linear_layer.down.weight`, `.processor.to_q_lora.down.weight` |
//! | kohya | `lora_unet_LAYER.lora_down.weight`, `.alpha`; `lora_te_`, `lora_te1_`, `lora_te2_`; `LAYER` in diffusers' names or in those of the original code |
//! | LyCORIS | `.lora_mid.weight`, `.hada_w1_a` and the other `.hada_` names (LoHa), `.lokr_w1` and the other `.lokr_` names (LoKr) |
//! | DoRA | `.dora_scale`, `.lora_magnitude_vector` |

mod adapters;
mod apply;
mod error;
mod family;
mod file;
mod key;
mod ldm;
mod metadata;
mod names;
mod network;
mod shelf;
#[cfg(test)]
mod tests;

pub use adapters::AppliedLora;
pub(crate) use adapters::{Adapters, AdaptersId, ComponentAdapters};
pub use error::{LoraError, LoraMisfit, LoraRankMisfit};
pub(crate) use names::ModuleNames;
pub(crate) use shelf::Shelf;
