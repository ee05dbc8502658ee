use preheat_ir::graph::Verified;
use preheat_tensor::Dtype;
use preheat_tensor::TensorType;
use serde_json::{Value as Json, json};

use super::*;
use crate::models::tests::{fixture, open, refusal, weight_names};
use crate::models::{DenoiserSpec, denoiser};

/// The config in `unet/config.json` of `model` after `change`.
fn config(model: &str, change: impl FnOnce(&mut Json)) -> UnetConfig {
    let path = fixture(model).join("unet/config.json");
    let mut json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut json);
    UnetConfig::read(&path, &json.to_string()).unwrap()
}

fn build(config: &UnetConfig, [height, width]: [u64; 2]) -> Verified {
    let contexts = vec![[77, config.context_size]];
    let spec = DenoiserSpec {
        guided: false,
        batch: 1,
        latent_height: height,
        latent_width: width,
        contexts,
    };
    denoiser(config, &spec).unwrap()
}

#[test]
fn lists_are_resolved() {
    let unet = open("sdxl").unet().clone();
    let blocks = |blocks: &[UnetBlock]| -> Vec<String> {
        let told = |block: &UnetBlock| {
            let attention = block.attention.map(|attention| (attention.layers, attention.heads));
            let (layers, heads) = attention.unwrap_or_default();
            format!(
                "{} resnets of {}, {layers} layers, {heads} heads",
                block.resnets, block.channels
            )
        };
        blocks.iter().map(told).collect()
    };
    let middle = "2 resnets of 1280, 10 layers, 20 heads";
    let down =
        ["2 resnets of 320, 0 layers, 0 heads", "2 resnets of 640, 2 layers, 10 heads", middle];
    assert_eq!(blocks(&unet.down), down);
    assert_eq!(blocks(&[unet.middle]), [middle]);
    let up = down.map(|block| block.replace("2 resnets", "3 resnets"));
    assert!(blocks(&unet.up).iter().eq(up.iter().rev()));
    assert_eq!(unet.added, Some(AddedConfig { time_size: 256, pooled_size: 1280 }));

    let uneven = config("sd15", |json| json["layers_per_block"] = json!([1, 2, 3, 4]));
    assert_eq!(uneven.up.iter().map(|block| block.resnets).collect::<Vec<_>>(), [5, 4, 3, 2]);
    build(&uneven, [32, 32]);
}

#[test]
fn defaults_are_those_of_diffusers() {
    let read =
        |text: &str| UnetConfig::read(std::path::Path::new("unet/config.json"), text).unwrap();
    let (bare, known) =
        (read("{}"), config("sd15", |json| json["cross_attention_dim"] = json!(1280)));
    assert_eq!(bare, known);
    // The index decides about the class, and null counts as false.
    let other = r#"{"_class_name": "FlaxUNet2DConditionModel", "upcast_attention": null, "dual_cross_attention": null}"#;
    assert_eq!(read(other), bare);
}

#[test]
fn heads_that_do_not_divide_the_channels_leave_the_rest_out() {
    for linear in [false, true] {
        let unet = config("sd15", |json| {
            json["attention_head_dim"] = json!([7, 8, 8, 8]);
            json["use_linear_projection"] = json!(linear);
        });
        let graph = build(&unet, [32, 32]);
        let dims = |name: &str| {
            let name = format!("down_blocks.0.attentions.0.{name}.weight");
            graph.weights().iter().find(|weight| weight.name == name).unwrap().kind.dims[..2]
                .to_vec()
        };
        assert_eq!((dims("proj_in"), dims("proj_out")), (vec![315, 320], vec![320, 315]));
        assert_eq!(dims("transformer_blocks.0.attn1.to_q"), [315, 315]);
        assert_eq!(dims("transformer_blocks.0.attn2.to_k"), [315, 768]);
    }
}

#[test]
fn any_size_comes_back_as_it_went_in() {
    let unet = open("sd15").unet().clone();
    for size in [[64, 64], [37, 20], [1, 9]] {
        let graph = build(&unet, size);
        assert_eq!(graph.type_of(graph.outputs()[0].value).dims, [1, 4, size[0], size[1]]);
    }
}

#[test]
fn the_first_attention_can_see_the_prompt_only() {
    let unet =
        config("sd15", |json| json["only_cross_attention"] = json!([true, false, false, false]));
    let graph = build(&unet, [32, 32]);
    let dims = |name: &str| {
        graph.weights().iter().find(|weight| weight.name == name).unwrap().kind.dims.clone()
    };
    assert_eq!(
        dims("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k.weight"),
        [320, 768]
    );
    assert_eq!(
        dims("down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k.weight"),
        [640, 640]
    );
    assert_eq!(dims("up_blocks.3.attentions.2.transformer_blocks.0.attn1.to_k.weight"), [320, 768]);
}

#[test]
fn added_conditioning_is_there_exactly_where_it_is_wanted() {
    let build = |config: &UnetConfig, added: bool| {
        let mut b = FunctionBuilder::new("test");
        let mut input =
            |name: &str, dims: &[u64]| b.input(name, TensorType::new(Dtype::Float32, dims));
        let sample = input("sample", &[2, 4, 8, 8]);
        let timestep = input("timestep", &[]);
        let context = input("context", &[2, 77, config.context_size]);
        let added = added.then(|| Added::Parts {
            text_embeds: input("text_embeds", &[2, 1280]),
            time_ids: input("time_ids", &[2, 6]),
        });
        let predicted = unet(&mut b, config, sample, timestep, context, added)?;
        assert_eq!(b.dims(predicted), [2, 4, 8, 8]);
        b.output("predicted", predicted);
        b.finish()
    };
    let (plain, xl) = (open("sd15").unet().clone(), open("sdxl").unet().clone());
    assert!(
        !weight_names(&build(&plain, false).unwrap())
            .iter()
            .any(|name| name.starts_with("add_embedding"))
    );
    assert!(build(&xl, true).is_ok());
    assert!(
        build(&plain, true)
            .unwrap_err()
            .to_string()
            .contains("the network has no added conditioning")
    );
    assert!(build(&xl, false).unwrap_err().to_string().contains("conditioning is missing"));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let other: [(&str, Json); 32] = [
        ("mid_block_type", json!("UNetMidBlock2DSimpleCrossAttn")),
        (
            "down_block_types",
            json!(["SimpleCrossAttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"]),
        ),
        ("up_block_types", json!(["UpBlock2D", "UpBlock2D", "UpBlock2D"])),
        ("downsample_padding", json!(0)),
        ("mid_block_scale_factor", json!(2)),
        ("reverse_transformer_layers_per_block", json!([1, 2])),
        ("transformer_layers_per_block", json!([[1, 2], 1, 1, 1])),
        ("encoder_hid_dim", json!(64)),
        ("encoder_hid_dim_type", json!("text_proj")),
        ("num_attention_heads", json!(8)),
        ("dual_cross_attention", json!(true)),
        ("class_embed_type", json!("timestep")),
        ("num_class_embeds", json!(7)),
        ("class_embeddings_concat", json!(true)),
        ("addition_embed_type", json!("image")),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("resnet_skip_time_act", json!(true)),
        ("resnet_out_scale_factor", json!(0.5)),
        ("time_embedding_type", json!("fourier")),
        ("time_embedding_dim", json!(512)),
        ("time_embedding_act_fn", json!("silu")),
        ("timestep_post_act", json!("silu")),
        ("time_cond_proj_dim", json!(256)),
        ("conv_in_kernel", json!(1)),
        ("conv_out_kernel", json!(1)),
        ("attention_type", json!("gated")),
        ("cross_attention_norm", json!("layer_norm")),
        ("act_fn", json!("mish")),
        ("norm_num_groups", json!(null)),
        ("attention_head_dim", json!([321, 8, 8, 8])),
        ("freq_shift", json!(0.5)),
        ("cross_attention_dim", json!([768, 768, 768, 1024])),
    ];
    for (field, value) in other {
        let told = refusal("sd15", "unet/config.json", field, value.clone());
        let start = format!("unet/config.json: `{field}` is {value}; supported is ");
        assert!(told.starts_with(&start) && told.len() > start.len(), "{told}");
    }
    for (field, value) in [
        ("addition_time_embed_dim", json!(255)),
        ("projection_class_embeddings_input_dim", json!(9)),
    ] {
        assert!(refusal("sdxl", "unet/config.json", field, value).contains(field));
    }
    let changes_nothing = config("sd15", |json| json["dropout"] = json!(0.1));
    assert_eq!(&changes_nothing, open("sd15").unet());
}
