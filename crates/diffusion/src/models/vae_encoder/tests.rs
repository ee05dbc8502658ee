use serde_json::json;

use super::*;
use crate::models::ModelFolder;
use crate::models::tests::{altered, open, weight_names};

#[test]
fn eight_pixels_become_a_latent_each_way() {
    let model = open("sdxl");
    let graph = vae_encoder(model.vae_encoder().unwrap(), [12, 20]).unwrap();
    assert_eq!(graph.inputs()[0].kind.to_string(), "float32[1, 3, 96, 160]");
    assert_eq!(graph.type_of(graph.outputs()[0].value).to_string(), "float32[1, 8, 12, 20]");
    let names = weight_names(&graph);
    assert!(names.iter().all(|name| name.starts_with("encoder.") || name.starts_with("quant_")));
}

#[test]
fn parts_that_a_config_leaves_out_are_not_read() {
    let mut config = open("sd15").vae_encoder().unwrap().clone();
    (config.quant_conv, config.middle_attention) = (false, false);
    let graph = vae_encoder(&config, [8, 8]).unwrap();
    let names = weight_names(&graph);
    assert!(!names.iter().any(|name| name.contains("quant") || name.contains("attentions")));
}

#[test]
fn an_encoder_that_is_not_built_is_refused_only_if_it_is_needed() {
    for (field, value) in [
        ("down_block_types", json!(["AttnDownEncoderBlock2D"])),
        ("down_block_types", json!(["DownEncoderBlock2D"])),
        ("in_channels", json!(4)),
    ] {
        let folder = altered("sd15", "vae/config.json", |json| json[field] = value.clone());
        let model = ModelFolder::open(folder.path()).unwrap();
        let told = model.vae_encoder().unwrap_err().to_string();
        let said = format!("vae/config.json: `{field}` is {value}; supported is ");
        assert!(told.contains(&said), "{told}");
    }
}
