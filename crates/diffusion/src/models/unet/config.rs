//! Which graph does `unet/config.json` describe?
//!
//! Lists and defaults are resolved to one value for each block, and a value that is not supported
//! is refused by the name of its field.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::models::ModelError;
use crate::models::config::{Fields, divides};
use crate::models::layers::Groups;

/// The fields of a denoiser's config that its graph depends on, with every list resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "diffusers' fields, one by one")]
pub struct UnetConfig {
    /// How many channels the latents have.
    pub in_channels: u64,
    /// How many channels the prediction has.
    pub out_channels: u64,
    /// Height and width of the latents that the model was made for; the model also accepts other
    /// sizes.
    #[serde(skip)]
    pub sample_size: [u64; 2],
    /// Whether the latents are first transformed to `2 x - 1`.
    pub center_input_sample: bool,
    /// Whether cosines come before sines in the timestep's embedding.
    pub flip_sin_to_cos: bool,
    /// The number that is subtracted from the count of frequencies of that embedding.
    pub freq_shift: f32,
    /// The blocks on the way down.
    pub down: Vec<UnetBlock>,
    /// The block in the middle.
    pub middle: UnetBlock,
    /// The blocks on the way up, in the order in which they run.
    pub up: Vec<UnetBlock>,
    /// How many groups each group norm has.
    pub norm_groups: u64,
    /// The epsilon of each group norm outside the transformers.
    pub norm_eps: f32,
    /// How many features a token of the prompt has.
    pub context_size: u64,
    /// Whether transformers project tokens with linear layers instead of pixels with convolutions.
    pub use_linear_projection: bool,
    /// Whether the products of queries and keys are computed in f32, whatever dtype the stage
    /// computes in.
    pub upcast_attention: bool,
    /// What the network is conditioned on besides timestep and prompt.
    pub added: Option<AddedConfig>,
}

/// A block of resnets with one number of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnetBlock {
    /// How many channels its output has.
    pub channels: u64,
    /// How many resnets it has.
    pub resnets: u64,
    /// The transformer after each resnet, if there is one.
    pub attention: Option<UnetAttention>,
}

/// The transformers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnetAttention {
    /// How many layers each transformer has.
    pub layers: u64,
    /// How many heads each attention has. If they do not divide the block's channels, the tokens
    /// have fewer features: the remainder of the division is left out.
    pub heads: u64,
    /// Whether the first attention of a layer reads the prompt instead of the picture.
    pub only_cross_attention: bool,
}

/// The conditioning called `text_time` (Stable Diffusion XL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AddedConfig {
    /// How many features each embedded number has.
    pub time_size: u64,
    /// How many features the pooled prompt has.
    pub pooled_size: u64,
}

impl AddedConfig {
    /// How many numbers are embedded: two sizes and the crop's corner, two numbers each.
    pub const TIME_IDS: u64 = 6;
}

const DOWN: [&str; 2] = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP: [&str; 2] = ["CrossAttnUpBlock2D", "UpBlock2D"];

impl UnetConfig {
    /// Reads `unet/config.json`. `path` is the path that messages name.
    ///
    /// # Errors
    /// If the text is not a JSON object, or a field that shapes the graph is missing or has a value
    /// that is not supported.
    pub fn read(path: &Path, text: &str) -> Result<Self, ModelError> {
        Self::of(&Fields::parse(path, text)?)
    }

    /// Whether the network was made for inpainting: besides latents, it takes a mask of one channel
    /// and the latents of the masked picture.
    pub(in crate::models) fn reads_a_mask(&self) -> bool {
        self.in_channels == 2 * self.out_channels + 1
    }

    pub(in crate::models) fn of(fields: &Fields) -> Result<Self, ModelError> {
        neutrals(fields)?;
        fields.one_of("act_fn", "silu", &["silu", "swish"])?;
        let levels = Levels::read(fields)?;
        Ok(Self {
            in_channels: fields.count("in_channels", Some(4))?,
            out_channels: fields.count("out_channels", Some(4))?,
            sample_size: fields.sides("sample_size", 64)?,
            center_input_sample: fields.flag("center_input_sample", false)?,
            flip_sin_to_cos: fields.flag("flip_sin_to_cos", true)?,
            freq_shift: freq_shift(fields)?,
            down: levels.down(fields)?,
            middle: levels.middle(fields)?,
            up: levels.up(fields)?,
            norm_groups: levels.norm_groups,
            norm_eps: fields.number("norm_eps", 1e-5)?,
            context_size: context_size(fields, levels.count())?,
            use_linear_projection: fields.flag("use_linear_projection", false)?,
            upcast_attention: fields.flag("upcast_attention", false)?,
            added: added(fields)?,
        })
    }

    /// The settings of the group norms outside the transformers.
    pub(super) fn groups(&self) -> Groups {
        Groups { count: self.norm_groups, eps: self.norm_eps }
    }
}

/// Checks the fields for which only one value is supported.
fn neutrals(fields: &Fields) -> Result<(), ModelError> {
    fields.neutrals(&[
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        ("downsample_padding", json!(1)),
        ("mid_block_scale_factor", json!(1)),
        ("reverse_transformer_layers_per_block", json!(null)),
        ("encoder_hid_dim", json!(null)),
        ("encoder_hid_dim_type", json!(null)),
        ("num_attention_heads", json!(null)), // diffusers refuses it, too: the heads are in `attention_head_dim`
        ("dual_cross_attention", json!(false)),
        ("class_embed_type", json!(null)),
        ("num_class_embeds", json!(null)),
        ("class_embeddings_concat", json!(false)),
        ("resnet_time_scale_shift", json!("default")),
        ("resnet_skip_time_act", json!(false)),
        ("resnet_out_scale_factor", json!(1)),
        ("time_embedding_type", json!("positional")),
        ("time_embedding_dim", json!(null)),
        ("time_embedding_act_fn", json!(null)),
        ("timestep_post_act", json!(null)),
        ("time_cond_proj_dim", json!(null)),
        ("conv_in_kernel", json!(3)),
        ("conv_out_kernel", json!(3)),
        ("attention_type", json!("default")),
        ("cross_attention_norm", json!(null)),
    ])
}

/// The config's values for each level, from the largest picture to the smallest.
struct Levels {
    channels: Vec<u64>,
    resnets: Vec<u64>,
    layers: Vec<u64>,
    heads: Vec<u64>,
    only_cross_attention: Vec<bool>,
    norm_groups: u64,
}

impl Levels {
    fn read(fields: &Fields) -> Result<Self, ModelError> {
        let channels = fields.counts("block_out_channels", &[320, 640, 1280, 1280])?;
        let levels = channels.len();
        fields.bound_blocks("block_out_channels", levels)?;
        if !channels[0].is_multiple_of(2) {
            return Err(fields.unsupported(
                "block_out_channels",
                "an even number of channels in the first block",
            ));
        }
        let (heads, norm_groups) = (
            fields.count_per_level("attention_head_dim", 8, levels)?,
            fields.count("norm_num_groups", Some(32))?,
        );
        for &channels in &channels {
            divides(fields, "norm_num_groups", norm_groups, "block_out_channels", channels)?;
        }
        let resnets = fields.count_per_level("layers_per_block", 2, levels)?;
        let layers = fields.count_per_level("transformer_layers_per_block", 1, levels)?;
        // A block on the way up has one more resnet than the block on the way down, and a
        // transformer can follow each resnet.
        let both_ways = resnets.iter().map(|resnets| 2 * resnets + 1);
        fields.bound_layers("layers_per_block", both_ways.clone().sum())?;
        let with_transformers =
            both_ways.zip(&layers).map(|(resnets, layers)| resnets * (1 + layers));
        fields.bound_layers("transformer_layers_per_block", with_transformers.sum())?;
        Ok(Self {
            channels,
            resnets,
            layers,
            heads,
            only_cross_attention: fields.flag_per_level("only_cross_attention", false, levels)?,
            norm_groups,
        })
    }

    fn count(&self) -> usize {
        self.channels.len()
    }

    fn down(&self, fields: &Fields) -> Result<Vec<UnetBlock>, ModelError> {
        let attends = self.attends(fields, "down_block_types", &DOWN, [true, true, true, false])?;
        attends
            .into_iter()
            .enumerate()
            .map(|(level, attends)| self.block(fields, level, attends))
            .collect()
    }

    fn middle(&self, fields: &Fields) -> Result<UnetBlock, ModelError> {
        let mut block = self.block(fields, self.count() - 1, true)?;
        block.resnets = 2;
        if let Some(attention) = &mut block.attention {
            attention.only_cross_attention = false;
        }
        Ok(block)
    }

    /// The blocks on the way up. Each has one more resnet than its block on the way down: for the
    /// skip that was saved before the first block or after a halving.
    fn up(&self, fields: &Fields) -> Result<Vec<UnetBlock>, ModelError> {
        let attends = self.attends(fields, "up_block_types", &UP, [false, true, true, true])?;
        let blocks = (0..self.count()).rev().zip(attends).map(|(level, attends)| {
            let block = self.block(fields, level, attends)?;
            Ok(UnetBlock { resnets: block.resnets + 1, ..block })
        });
        blocks.collect()
    }

    fn block(&self, fields: &Fields, level: usize, attends: bool) -> Result<UnetBlock, ModelError> {
        if attends && self.heads[level] > self.channels[level] {
            let most = format!(
                "at most as many heads as a block has channels, which are {}",
                self.channels[level]
            );
            return Err(fields.unsupported("attention_head_dim", most));
        }
        let attention = UnetAttention {
            layers: self.layers[level],
            heads: self.heads[level],
            only_cross_attention: self.only_cross_attention[level],
        };
        Ok(UnetBlock {
            channels: self.channels[level],
            resnets: self.resnets[level],
            attention: attends.then_some(attention),
        })
    }

    /// Which of the blocks on one way have attention: those whose type is the first of `types`.
    fn attends(
        &self,
        fields: &Fields,
        field: &str,
        types: &[&str; 2],
        default: [bool; 4],
    ) -> Result<Vec<bool>, ModelError> {
        let default = default.map(|attends| types[usize::from(!attends)]);
        let list = fields.list_of(field, &default, types)?;
        if list.len() != self.count() {
            return Err(fields.unsupported(
                field,
                format!("as many blocks as `block_out_channels` has, which are {}", self.count()),
            ));
        }
        Ok(list.iter().map(|block| block == types[0]).collect())
    }
}

fn freq_shift(fields: &Fields) -> Result<f32, ModelError> {
    let shift = fields.number("freq_shift", 0.0)?;
    if [0.0_f32, 1.0].map(f32::to_bits).contains(&shift.to_bits()) {
        Ok(shift)
    } else {
        Err(fields.unsupported("freq_shift", "0 or 1"))
    }
}

/// The number of features of the context. All blocks share one context, so a list must have the
/// same number for each.
fn context_size(fields: &Fields, levels: usize) -> Result<u64, ModelError> {
    let sizes = fields.count_per_level("cross_attention_dim", 1280, levels)?;
    if sizes.iter().all(|size| *size == sizes[0]) {
        return Ok(sizes[0]);
    }
    Err(fields.unsupported("cross_attention_dim", "one number for all blocks"))
}

fn added(fields: &Fields) -> Result<Option<AddedConfig>, ModelError> {
    match fields.get("addition_embed_type") {
        None | Some(serde_json::Value::Null) => return Ok(None),
        Some(kind) if kind == "text_time" => {}
        Some(_) => return Err(fields.unsupported("addition_embed_type", "null or \"text_time\"")),
    }
    let time_size = fields.count("addition_time_embed_dim", None)?;
    if !time_size.is_multiple_of(2) {
        return Err(fields.unsupported("addition_time_embed_dim", "an even number"));
    }
    let joined = fields.count("projection_class_embeddings_input_dim", None)?;
    let pooled_size = joined
        .checked_sub(AddedConfig::TIME_IDS * time_size)
        .filter(|&size| size > 0)
        .ok_or_else(|| {
            let supported =
                format!("more than {} times `addition_time_embed_dim`", AddedConfig::TIME_IDS);
            fields.unsupported("projection_class_embeddings_input_dim", supported)
        })?;
    Ok(Some(AddedConfig { time_size, pooled_size }))
}
