use serde_json::json;

use super::*;
use crate::models::tests::{open, refusal, weight_names};

#[test]
fn only_what_is_wanted_is_computed() {
    let sdxl = open("sdxl");
    let [first, second] = sdxl.text_encoders() else { panic!("two encoders are there") };
    let graph = text_encoder(first, TextOutputs::stable_diffusion_xl(0, false)).unwrap();
    let names = weight_names(&graph);
    assert!(names.iter().any(|name| name.starts_with("text_model.encoder.layers.10.")));
    assert!(
        !names.iter().any(|name| name.contains("layers.11.") || name.contains("final_layer_norm"))
    );
    assert_eq!(graph.inputs().len(), 1);

    let graph = text_encoder(second, TextOutputs::stable_diffusion_xl(0, true)).unwrap();
    assert!(weight_names(&graph).contains(&"text_projection.weight"));
    let outputs: Vec<String> = graph
        .outputs()
        .iter()
        .map(|output| format!("{} {}", output.name, graph.type_of(output.value)))
        .collect();
    assert_eq!(outputs, ["hidden float32[1, 77, 1280]", "pooled float32[1, 1280]"]);
    assert_eq!(graph.inputs()[1].name, "eos_position");
}

#[test]
fn skipping_leaves_out_the_last_layers() {
    let sd15 = open("sd15");
    let text = &sd15.text_encoders()[0];
    let weights = |clip_skip| {
        text_encoder(text, TextOutputs::stable_diffusion(clip_skip)).unwrap().weights().len()
    };
    assert_eq!(weights(0), 196);
    assert_eq!(weights(2), 196 - 2 * 16);
    assert_eq!(weights(12), 4);
    let error = text_encoder(text, TextOutputs::stable_diffusion(13)).unwrap_err().to_string();
    assert!(error.contains("13 of 12 layers cannot be skipped"), "{error}");
    assert!(text_encoder(text, TextOutputs::stable_diffusion_xl(u64::MAX, true)).is_err());
    // Both outputs are normed and come from different layers: the norm's weights are declared once.
    let both = TextOutputs { skipped_layers: 3, normed: true, pooled: true };
    assert_eq!(text_encoder(text, both).unwrap().weights().len(), 196);
}

#[test]
fn the_end_of_the_text_is_found_by_either_rule() {
    let mut text = open("sd15").text_encoders()[0].clone();
    let ids = [49406, 320, 1125, 49407, 49407, 49407];
    assert_eq!((text.eos_token_id, text.eos_position(&ids)), (2, 3));
    // The id of a token that textual inversion added is larger than that of the end-of-text token.
    // The old rule therefore takes the added token, as transformers does.
    assert_eq!(text.eos_position(&[49406, 49408, 49407, 49407]), 1);
    text.eos_token_id = 49407;
    assert_eq!(text.eos_position(&[49406, 49408, 49407, 49407]), 2);
    assert_eq!((text.eos_position(&[1, 2]), text.eos_position(&[])), (0, 0));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (field, value) in [
        ("hidden_act", json!("relu")),
        ("model_type", json!("t5")),
        ("use_attention_mask", json!(true)),
        ("num_attention_heads", json!(7)),
        ("eos_token_id", json!([1, 2])),
        ("layer_norm_eps", json!("small")),
        ("vocab_size", json!(-1)),
    ] {
        let told = refusal("sd15", "text_encoder/config.json", field, value.clone());
        assert!(
            told.starts_with(&format!(
                "text_encoder/config.json: `{field}` is {value}; supported is "
            )),
            "{told}"
        );
    }
}
