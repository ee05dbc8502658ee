use preheat_ir::graph::Function;
use serde_json::json;

use super::*;
use crate::models::tests::{altered, open};
use crate::models::{ModelFolder, denoiser, text_encoder, vae_decoder};

type Weights = Vec<(String, Vec<u64>)>;

fn weights(graph: &Function) -> Weights {
    graph.weights().iter().map(|weight| (weight.name.clone(), weight.kind.dims.clone())).collect()
}

fn given(weights: &Weights) -> impl Iterator<Item = (&str, &[u64])> {
    weights.iter().map(|(name, dims)| (name.as_str(), dims.as_slice()))
}

#[test]
fn each_input_changes_the_digest() {
    let model = open("sd15");
    let weights = weights(&denoiser(model.unet(), &model.denoiser_spec(true, 1, [8, 8])).unwrap());
    let digest = model.unet().architecture(given(&weights));

    let mut other = weights.clone();
    other[0].1[0] += 1;
    assert_ne!(model.unet().architecture(given(&other)), digest, "a shape");
    let mut other = weights.clone();
    other[0].0.push('x');
    assert_ne!(model.unet().architecture(given(&other)), digest, "a name");
    assert_ne!(model.unet().architecture(given(&weights[1..].to_vec())), digest, "a weight less");
    for (field, value) in [
        ("upcast_attention", json!(true)),
        ("norm_eps", json!(1e-6)),
        ("flip_sin_to_cos", json!(false)),
        ("attention_head_dim", json!([8, 8, 8, 16])),
    ] {
        let folder = altered("sd15", "unet/config.json", |config| config[field] = value);
        let other = ModelFolder::open(folder.path()).unwrap();
        assert_ne!(other.unet().architecture(given(&weights)), digest, "{field}");
    }
}

#[test]
fn what_changes_no_graph_changes_no_digest() {
    let model = open("sd15");
    let mut weights =
        weights(&denoiser(model.unet(), &model.denoiser_spec(true, 1, [8, 8])).unwrap());
    let digest = model.unet().architecture(given(&weights));
    weights.reverse();
    assert_eq!(model.unet().architecture(given(&weights)), digest, "the order of the weights");
    for (field, value) in [
        ("_diffusers_version", json!("0.99")),
        ("stray", json!(1)),
        ("sample_size", json!(96)),
        ("attention_head_dim", json!([8, 8, 8, 8])),
        ("resnet_out_scale_factor", json!(1)),
    ] {
        let folder = altered("sd15", "unet/config.json", |config| config[field] = value);
        let other = ModelFolder::open(folder.path()).unwrap();
        assert_eq!(other.unet().architecture(given(&weights)), digest, "{field}");
    }
}

#[test]
fn text_encoders_differ_by_what_is_wanted_of_them() {
    let sd15 = open("sd15");
    let (text, outputs) = (&sd15.text_encoders()[0], TextOutputs::stable_diffusion(0));
    let mut weights = weights(&text_encoder(text, outputs).unwrap());
    let digest = text.architecture(outputs, given(&weights));
    assert_ne!(text.architecture(TextOutputs::stable_diffusion(1), given(&weights)), digest);
    let mut other = text.clone();
    other.eos_token_id = 49407;
    weights.push(("text_model.embeddings.position_ids".to_owned(), vec![1, 77]));
    assert_eq!(other.architecture(outputs, given(&weights)), digest);
}

#[test]
fn other_names_for_the_same_weights_are_known() {
    for model in ["sd15", "sdxl"] {
        let model = open(model);
        let text = &model.text_encoders()[0];
        let outputs = TextOutputs::stable_diffusion(0);
        let text_weights = weights(&text_encoder(text, outputs).unwrap());
        let vae_weights = weights(&vae_decoder(model.vae(), [8, 8]).unwrap());
        let renamed = |weights: &Weights| -> Weights {
            let rename = |name: &String| aliases(name).pop().unwrap_or_else(|| name.clone());
            weights.iter().map(|(name, dims)| (rename(name), dims.clone())).collect()
        };
        let (text_renamed, mut vae_renamed) = (renamed(&text_weights), renamed(&vae_weights));
        assert_ne!((&text_renamed, &vae_renamed), (&text_weights, &vae_weights));
        vae_renamed.push(("encoder.conv_in.weight".to_owned(), vec![128, 3, 3, 3]));
        assert_eq!(
            text.architecture(outputs, given(&text_renamed)),
            text.architecture(outputs, given(&text_weights))
        );
        assert_eq!(
            model.vae().architecture(given(&vae_renamed)),
            model.vae().architecture(given(&vae_weights))
        );
    }
    let attention = "decoder.mid_block.attentions.0";
    for (new, old) in [("to_q.weight", "query.weight"), ("to_out.0.bias", "proj_attn.bias")] {
        assert_eq!(aliases(&format!("{attention}.{new}")), [format!("{attention}.{old}")]);
    }
    assert!(
        aliases("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight").is_empty()
    );
    assert!(
        aliases("decoder.conv_in.weight").is_empty()
            && aliases(&format!("{attention}.group_norm.bias")).is_empty()
    );
}

#[test]
fn the_digest_is_pinned() {
    let model = open("sd15");
    let weights = vec![("conv_in.weight".to_owned(), vec![320, 4, 3, 3])];
    let digest = model.unet().architecture(given(&weights)).to_string();
    assert_eq!(
        digest, "034f223c1fb85176ef711cd392688cd0ef9403cf6df39789d7de451dcc353552",
        "a digest of another meaning needs another version in its tag"
    );
}

#[test]
fn the_builder_is_named_by_a_digest() {
    let BuilderId(id) = builder_id();
    assert!(id.len() == 64 && id.chars().all(|digit| digit.is_ascii_hexdigit()), "{id}");
}
