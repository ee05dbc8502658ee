//! What is a layer of the UNet called in the original code?
//!
//! The original code is the code with which a model was first published. Files for Stable Diffusion
//! XL usually have the original code's names (`input_blocks.4.1`) instead of those of diffusers
//! (`down_blocks.1.attentions.0`). The original code numbers the layers of all blocks
//! consecutively.

use crate::models::UnetConfig;

/// The name of a UNet's layer in the original code; `None` if the name is not one of diffusers'.
/// `layer` is the name of the layer's weight in diffusers without `.weight`.
pub(super) fn original(unet: &UnetConfig, layer: &str) -> Option<String> {
    if let Some((_, name)) = TOP.iter().find(|(own, _)| *own == layer) {
        return Some((*name).to_owned());
    }
    let parts: Vec<&str> = layer.split('.').collect();
    match parts.as_slice() {
        ["down_blocks", block, kind, at, rest @ ..] => {
            let (block, at) = (block.parse::<usize>().ok()?, at.parse::<u64>().ok()?);
            // Number 0 is `conv_in`. Each block has a number for each resnet, and one for the layer
            // that halves the picture.
            let before = unet.down.get(..block)?.iter().map(|block| block.resnets + 1).sum::<u64>();
            let first = 1 + before;
            match *kind {
                "resnets" => Some(format!("input_blocks.{}.0.{}", first + at, in_resnet(rest)?)),
                "attentions" => Some(format!("input_blocks.{}.1.{}", first + at, rest.join("."))),
                "downsamplers" if *rest == ["conv"] => {
                    Some(format!("input_blocks.{}.0.op", first + unet.down.get(block)?.resnets))
                }
                _ => None,
            }
        }
        ["mid_block", kind, at, rest @ ..] => {
            let at = at.parse::<u64>().ok()?;
            match *kind {
                "resnets" => Some(format!("middle_block.{}.{}", 2 * at, in_resnet(rest)?)),
                "attentions" => Some(format!("middle_block.{}.{}", 2 * at + 1, rest.join("."))),
                _ => None,
            }
        }
        ["up_blocks", block, kind, at, rest @ ..] => {
            let (block, at) = (block.parse::<usize>().ok()?, at.parse::<u64>().ok()?);
            let own = unet.up.get(block)?;
            let first = unet.up.get(..block)?.iter().map(|block| block.resnets).sum::<u64>();
            match *kind {
                "resnets" => Some(format!("output_blocks.{}.0.{}", first + at, in_resnet(rest)?)),
                "attentions" => Some(format!("output_blocks.{}.1.{}", first + at, rest.join("."))),
                // The upsampler follows the last resnet, and this resnet's attention if there is
                // one.
                "upsamplers" if *rest == ["conv"] => {
                    let place = if own.attention.is_some() { 2 } else { 1 };
                    Some(format!("output_blocks.{}.{place}.conv", first + own.resnets - 1))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Layers outside the blocks.
const TOP: [(&str, &str); 6] = [
    ("conv_in", "input_blocks.0.0"),
    ("conv_out", "out.2"),
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
];

fn in_resnet(rest: &[&str]) -> Option<&'static str> {
    match rest {
        ["conv1"] => Some("in_layers.2"),
        ["time_emb_proj"] => Some("emb_layers.1"),
        ["conv2"] => Some("out_layers.3"),
        ["conv_shortcut"] => Some("skip_connection"),
        _ => None,
    }
}
