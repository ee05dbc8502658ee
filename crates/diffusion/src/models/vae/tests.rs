use serde_json::json;

use super::*;
use crate::models::tests::{open, refusal, weight_names};

#[test]
fn a_latent_becomes_eight_pixels_each_way() {
    let vae = open("sdxl").vae().clone();
    let graph = vae_decoder(&vae, [12, 20]).unwrap();
    assert_eq!(graph.inputs()[0].kind.to_string(), "float32[1, 4, 12, 20]");
    assert_eq!(graph.type_of(graph.outputs()[0].value).to_string(), "float32[1, 3, 96, 160]");
    assert_eq!(vae.scale(), 8);
}

#[test]
fn parts_that_a_config_leaves_out_are_not_read() {
    let mut vae = open("sd15").vae().clone();
    (vae.post_quant_conv, vae.middle_attention) = (false, false);
    let graph = vae_decoder(&vae, [8, 8]).unwrap();
    assert!(
        !weight_names(&graph)
            .iter()
            .any(|name| name.contains("quant") || name.contains("attentions"))
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (field, value) in [
        ("up_block_types", json!(["AttnUpDecoderBlock2D"])),
        ("up_block_types", json!(["UpDecoderBlock2D"])),
        ("shift_factor", json!(0.1159)),
        ("latents_mean", json!([0.0])),
        ("latents_std", json!([1.0])),
        ("act_fn", json!("gelu")),
        ("out_channels", json!(4)),
        ("norm_num_groups", json!(48)),
        ("scaling_factor", json!(0)),
        ("force_upcast", json!("yes")),
    ] {
        let told = refusal("sd15", "vae/config.json", field, value.clone());
        assert!(
            told.starts_with(&format!("vae/config.json: `{field}` is {value}; supported is ")),
            "{told}"
        );
    }
}
