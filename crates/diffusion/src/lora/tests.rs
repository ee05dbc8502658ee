use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype as Stored, TensorView};
use tempfile::TempDir;

use super::key::Part::{Alpha, Down, Magnitude, Up};
use super::*;
use crate::lora::names::flat;
use crate::models::{
    Component, DenoiserSpec, Family, TextClass, TextConfig, TextOutputs, UnetConfig, denoiser,
    text_encoder,
};

fn config(model: &str, component: Component) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/configs")
        .join(model)
        .join(component.name())
        .join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

fn unet(model: &str) -> UnetConfig {
    let (path, text) = config(model, Component::Unet);
    UnetConfig::read(&path, &text).unwrap()
}

/// The names of all weights that the graphs of a published model read.
fn names(model: &str) -> ModuleNames {
    let unet = unet(model);
    let mut contexts = Vec::new();
    let mut weights: Vec<(Component, String, Vec<u64>)> = Vec::new();
    let encoders: &[Component] = match model {
        "sdxl" => &[Component::TextEncoder, Component::TextEncoder2],
        _ => &[Component::TextEncoder],
    };
    for &component in encoders {
        let (path, text) = config(model, component);
        let class = match component {
            Component::TextEncoder2 => TextClass::WithProjection,
            _ => TextClass::Plain,
        };
        let config = TextConfig::read(&path, &text, class).unwrap();
        contexts.push([config.tokens, config.hidden_size]);
        let everything = TextOutputs { skipped_layers: 0, normed: true, pooled: true };
        let graph = text_encoder(&config, everything).unwrap();
        let own = graph.weights().iter();
        weights.extend(own.map(|w| (component, w.name.clone(), w.kind.dims.clone())));
    }
    let spec =
        DenoiserSpec { guided: false, batch: 1, latent_height: 8, latent_width: 8, contexts };
    let graph = denoiser(&unet, &spec).unwrap();
    let own = graph.weights().iter();
    weights.extend(own.map(|w| (Component::Unet, w.name.clone(), w.kind.dims.clone())));
    let borrowed = weights.iter().map(|(at, name, dims)| (*at, name.as_str(), dims.as_slice()));
    ModuleNames::new(&unet, borrowed)
}

fn layer(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap()
}

#[test]
fn every_name_of_a_published_model_means_one_weight_in_each_spelling() {
    // How many layers kohya's scripts train: in the UNet without its convolutions, and in each text
    // encoder.
    for (model, counts) in
        [("sd15", [192, 72, 0]), ("sd21", [192, 138, 0]), ("sdxl", [722, 72, 192])]
    {
        let (unet, names) = (unet(model), names(model));
        let mut found = [0; 3];
        for weight in names.weights() {
            let layer = layer(&weight.name);
            let means = |spelling: &str| {
                let (found, _) = names
                    .find(weight.component, spelling)
                    .unwrap_or_else(|| panic!("{model}: {spelling}"));
                assert_eq!(found, weight, "{model}: {spelling}");
            };
            means(layer);
            means(&flat(layer));
            let in_transformer = layer.contains(".attentions.");
            let in_encoder = layer.contains(".encoder.layers.");
            match weight.component {
                Component::Unet => {
                    found[0] += usize::from(in_transformer);
                    let original = ldm::original(&unet, layer);
                    means(&flat(&original.unwrap_or_else(|| panic!("{model}: {layer}"))));
                    if let Some(short) = layer.strip_suffix(".to_out.0") {
                        means(&format!("{short}.to_out"));
                    }
                }
                Component::TextEncoder => found[1] += usize::from(in_encoder),
                _ => found[2] += usize::from(in_encoder),
            }
        }
        assert_eq!(found, counts, "{model}");
    }
}

/// Names in files of kohya's scripts, and the names into which diffusers converts them.
#[test]
fn names_of_the_original_code_are_those_of_published_files() {
    let names = names("sdxl");
    for (original, own) in [
        ("input_blocks_0_0", "conv_in"),
        ("input_blocks_1_0_in_layers_2", "down_blocks.0.resnets.0.conv1"),
        ("input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
        ("input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
        ("input_blocks_4_1_proj_in", "down_blocks.1.attentions.0.proj_in"),
        (
            "input_blocks_5_1_transformer_blocks_1_attn1_to_out_0",
            "down_blocks.1.attentions.1.transformer_blocks.1.attn1.to_out.0",
        ),
        ("input_blocks_6_0_op", "down_blocks.1.downsamplers.0.conv"),
        (
            "input_blocks_8_1_transformer_blocks_9_ff_net_0_proj",
            "down_blocks.2.attentions.1.transformer_blocks.9.ff.net.0.proj",
        ),
        (
            "middle_block_1_transformer_blocks_9_attn2_to_v",
            "mid_block.attentions.0.transformer_blocks.9.attn2.to_v",
        ),
        ("middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"),
        ("output_blocks_0_0_emb_layers_1", "up_blocks.0.resnets.0.time_emb_proj"),
        ("output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"),
        ("output_blocks_3_1_proj_out", "up_blocks.1.attentions.0.proj_out"),
        ("output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"),
        ("output_blocks_8_0_in_layers_2", "up_blocks.2.resnets.2.conv1"),
        ("time_embed_2", "time_embedding.linear_2"),
        ("label_emb_0_0", "add_embedding.linear_1"),
        ("out_2", "conv_out"),
    ] {
        let (found, is_original) = names.find(Component::Unet, original).expect(original);
        assert_eq!((layer(&found.name), is_original), (own, true));
    }
    assert!(names.find(Component::Unet, "input_blocks_9_0_in_layers_2").is_none());
}

#[test]
fn a_key_is_taken_apart_in_each_format() {
    let read =
        |name: &str| key::Key::parse(name).map(|key| (key.component, flat(&key.layer), key.part));
    let q = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    let is = |component, layer: &str, part| Some((component, layer.to_owned(), part));
    for (name, part) in [
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", Down),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight",
            Up,
        ),
        (
            "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
            Down,
        ),
        (
            "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.default.weight",
            Up,
        ),
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha", Alpha),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_magnitude_vector",
            Magnitude,
        ),
    ] {
        assert_eq!(read(name), is(Component::Unet, q, part), "{name}");
    }
    let text = "text_model_encoder_layers_0_self_attn_q_proj";
    for (name, component) in [
        (
            "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
            Component::TextEncoder,
        ),
        (
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
            Component::TextEncoder,
        ),
        (
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
            Component::TextEncoder2,
        ),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight",
            Component::TextEncoder,
        ),
        (
            "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
            Component::TextEncoder2,
        ),
    ] {
        assert_eq!(read(name), is(component, text, Down), "{name}");
    }
    assert_eq!(read("lora_unet_conv_in.diff"), None);
    assert_eq!(read("lora_unet_conv_in.weight"), None);
}

/// A tensor of a test's file: its name, its shape and its values.
type Given<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes a LoRA file into a folder of its own.
fn written(name: &str, tensors: &[Given<'_>]) -> (TempDir, PathBuf) {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, dims, values)| {
            (*name, *dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views: BTreeMap<&str, TensorView<'_>> = bytes
        .iter()
        .map(|(name, dims, bytes)| {
            (*name, TensorView::new(Stored::F32, dims.to_vec(), bytes).unwrap())
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    (folder, path)
}

/// A model with a linear layer of two inputs and three outputs, and a convolution.
fn small() -> ModuleNames {
    ModuleNames::new(
        &unet("sd15"),
        [
            (Component::Unet, "mid_block.attentions.0.proj_in.weight", [3, 2].as_slice()),
            (Component::Unet, "conv_in.weight", [2, 1, 1, 2].as_slice()),
            (Component::Unet, "conv_in.bias", [2].as_slice()),
        ],
    )
}

const LINEAR: &str = "mid_block.attentions.0.proj_in.weight";

fn adapters(path: &Path, weight: f64) -> Result<Adapters, LoraError> {
    Shelf::default().adapters([(path, weight)], Family::StableDiffusion, small)
}

/// The values of a weight after a LoRA with these tensors was applied.
fn applied(tensors: &[Given<'_>], weight: f64, name: &str, base: &[f32], rows: usize) -> Vec<f32> {
    let (_folder, path) = written("some.safetensors", tensors);
    let of = adapters(&path, weight).unwrap().of(Component::Unet);
    // The rows are changed in two bands, as the rows of a large weight are in many.
    let (columns, first) = (base.len() / rows, rows / 2);
    let mut values = base.to_vec();
    if let Some(mut change) = of.change(name, columns).unwrap() {
        let (upper, lower) = values.split_at_mut(first * columns);
        change(0, upper);
        change(first, lower);
    }
    values
}

#[track_caller]
fn near(have: &[f32], want: &[f32]) {
    assert_eq!(have.len(), want.len());
    assert!(
        have.iter().zip(want).all(|(have, want)| (have - want).abs() < 1e-5),
        "{have:?} is not {want:?}"
    );
}

#[test]
fn a_lora_adds_its_product_by_alpha_over_rank_and_weight() {
    let up: Given<'_> =
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", &[3, 1], &[1.0, 2.0, 3.0]);
    let down: Given<'_> =
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[1, 2], &[10.0, 20.0]);
    let alpha: Given<'_> = ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[], &[0.5]);
    let base = [1.0; 6];
    near(&applied(&[up, down], 1.0, LINEAR, &base, 3), &[11.0, 21.0, 21.0, 41.0, 31.0, 61.0]);
    near(
        &applied(&[up, down, alpha], -1.0, LINEAR, &base, 3),
        &[-4.0, -9.0, -9.0, -19.0, -14.0, -29.0],
    );
    let (_folder, path) = written("some.safetensors", &[up, down]);
    let none = adapters(&path, 0.0).unwrap();
    let change = none.of(Component::Unet).change(LINEAR, 2).unwrap();
    assert!(change.is_none(), "a weight of 0 changes nothing");
    assert_eq!(none.applied.len(), 1);
}

#[test]
fn a_core_stands_between_the_matrices_for_each_place_of_the_kernel() {
    let tensors: [Given<'_>; 3] = [
        ("lora_unet_conv_in.lora_up.weight", &[2, 1, 1, 1], &[1.0, 2.0]),
        ("lora_unet_conv_in.lora_mid.weight", &[1, 1, 1, 2], &[3.0, 5.0]),
        ("lora_unet_conv_in.lora_down.weight", &[1, 1, 1, 1], &[7.0]),
    ];
    near(&applied(&tensors, 1.0, "conv_in.weight", &[0.0; 4], 2), &[21.0, 35.0, 42.0, 70.0]);
}

#[test]
fn a_loha_multiplies_two_products_and_a_lokr_is_a_kronecker_product() {
    let loha: [Given<'_>; 5] = [
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", &[3, 1], &[1.0, 2.0, 3.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_b", &[1, 2], &[1.0, 10.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w2_a", &[3, 1], &[1.0, 1.0, 2.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w2_b", &[1, 2], &[1.0, 0.5]),
        ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[1], &[2.0]),
    ];
    near(&applied(&loha, 1.0, LINEAR, &[0.0; 6], 3), &[2.0, 10.0, 4.0, 20.0, 12.0, 60.0]);
    let cored: [Given<'_>; 6] = [
        ("lora_unet_conv_in.hada_t1", &[1, 1, 1, 2], &[1.0, 2.0]),
        ("lora_unet_conv_in.hada_w1_a", &[1, 2], &[1.0, 3.0]),
        ("lora_unet_conv_in.hada_w1_b", &[1, 1], &[5.0]),
        ("lora_unet_conv_in.hada_t2", &[1, 1, 1, 2], &[1.0, 1.0]),
        ("lora_unet_conv_in.hada_w2_a", &[1, 2], &[1.0, 1.0]),
        ("lora_unet_conv_in.hada_w2_b", &[1, 1], &[2.0]),
    ];
    near(&applied(&cored, 1.0, "conv_in.weight", &[0.0; 4], 2), &[10.0, 20.0, 30.0, 60.0]);
    let whole: [Given<'_>; 3] = [
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1", &[3, 1], &[1.0, 2.0, 3.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w2", &[1, 2], &[1.0, 10.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[], &[9.0]),
    ];
    let change = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
    near(&applied(&whole, 1.0, LINEAR, &[0.0; 6], 3), &change);
    let product: [Given<'_>; 4] = [
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1_a", &[3, 1], &[1.0, 2.0, 3.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1_b", &[1, 1], &[1.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w2", &[1, 2], &[1.0, 10.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[], &[9.0]),
    ];
    near(&applied(&product, 1.0, LINEAR, &[0.0; 6], 3), &change.map(|value| 9.0 * value));
}

#[test]
fn a_dora_gives_each_row_its_norm_at_any_weight() {
    let tensors: [Given<'_>; 3] = [
        ("unet.mid_block.attentions.0.proj_in.lora_B.weight", &[3, 1], &[1.0, 0.0, 0.0]),
        ("unet.mid_block.attentions.0.proj_in.lora_A.weight", &[1, 2], &[2.0, 4.0]),
        ("unet.mid_block.attentions.0.proj_in.lora_magnitude_vector", &[3], &[10.0, 1.0, 2.0]),
    ];
    let base = [1.0, 0.0, 0.0, 4.0, 3.0, 0.0];
    near(&applied(&tensors, 1.0, LINEAR, &base, 3), &[6.0, 8.0, 0.0, 1.0, 2.0, 0.0]);
    near(&applied(&tensors, 0.0, LINEAR, &base, 3), &[10.0, 0.0, 0.0, 1.0, 2.0, 0.0]);
}

#[test]
fn the_alpha_of_a_config_in_the_header_or_beside_the_file_is_taken() {
    let tensors: [Given<'_>; 2] = [
        (
            "base_model.model.mid_block.attentions.0.proj_in.lora_B.weight",
            &[3, 1],
            &[1.0, 2.0, 3.0],
        ),
        ("base_model.model.mid_block.attentions.0.proj_in.lora_A.weight", &[1, 2], &[1.0, 1.0]),
    ];
    let (folder, path) = written("adapter_model.safetensors", &tensors);
    let values = || {
        let mut values = [0.0; 6];
        let of = adapters(&path, 1.0).unwrap().of(Component::Unet);
        of.change(LINEAR, 2).unwrap().unwrap()(0, &mut values);
        values
    };
    near(&values(), &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    let config = folder.path().join("adapter_config.json");
    std::fs::write(&config, r#"{"r": 1, "lora_alpha": 4, "alpha_pattern": {"proj_out": 8}}"#)
        .unwrap();
    near(&values(), &[4.0, 4.0, 8.0, 8.0, 12.0, 12.0]);
    std::fs::write(
        &config,
        r#"{"r": 1, "lora_alpha": 4, "alpha_pattern": {"attentions.0.proj_in": 2}}"#,
    )
    .unwrap();
    near(&values(), &[2.0, 2.0, 4.0, 4.0, 6.0, 6.0]);
    std::fs::write(&config, r#"{"r": 1, "lora_alpha": "many"}"#).unwrap();
    let error = adapters(&path, 1.0).unwrap_err().to_string();
    assert!(
        error.contains("adapter_config.json is no config of an adapter: invalid type"),
        "{error}"
    );
}

#[test]
fn two_requests_agree_on_the_weights_that_both_change_in_the_same_way() {
    let linear: [Given<'_>; 2] = [
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", &[3, 1], &[1.0, 2.0, 3.0]),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[1, 2], &[10.0, 20.0]),
    ];
    let conv: [Given<'_>; 2] = [
        ("lora_unet_conv_in.lora_up.weight", &[2, 1, 1, 1], &[1.0, 2.0]),
        ("lora_unet_conv_in.lora_down.weight", &[1, 1, 1, 2], &[3.0, 5.0]),
    ];
    let ((_one, linear), (_other, conv)) =
        (written("a.safetensors", &linear), written("b.safetensors", &conv));
    let shelf = Shelf::default();
    let of = |wanted: &[(&Path, f64)]| {
        let adapters = shelf.adapters(wanted.iter().copied(), Family::StableDiffusion, small);
        adapters.unwrap().of(Component::Unet)
    };
    let (a, b) = (linear.as_path(), conv.as_path());
    let (one, both) = (of(&[(a, 0.5)]), of(&[(a, 0.5), (b, 1.0)]));
    assert_eq!(one, of(&[(a, 0.5)]), "the file is opened once");
    assert_ne!(one, both);
    assert!(one.agree_on(&both, LINEAR) && !one.agree_on(&both, "conv_in.weight"));
    assert!(!one.agree_on(&of(&[(a, 0.6)]), LINEAR));
    let none = of(&[]);
    assert!(!one.agree_on(&none, LINEAR) && one.agree_on(&none, "conv_in.weight"));
    // Another file under the same name is another LoRA.
    std::fs::rename(&conv, &linear).unwrap();
    let replaced = of(&[(a, 0.5)]);
    let changes = |name| replaced.change(name, 2).unwrap().is_some();
    assert!(changes("conv_in.weight") && !changes(LINEAR));
}

/// The error for a file of these tensors.
#[track_caller]
fn refused(tensors: &[Given<'_>]) -> String {
    let (_folder, path) = written("bad.safetensors", tensors);
    let error = adapters(&path, 1.0).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

#[test]
fn what_does_not_fit_is_named_with_both_shapes() {
    let up: Given<'_> =
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", &[3, 1], &[0.0; 3]);
    let down: Given<'_> =
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[1, 2], &[0.0; 2]);
    assert_eq!(
        refused(&[up, (down.0, &[1, 5], &[0.0; 5])]),
        "the LoRA FILE does not fit: \
         `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight` is [1, 5], for 5 inputs, \
         and this model's `mid_block.attentions.0.proj_in.weight` is [3, 2]: \
         is it made for this model?"
    );
    let wide = [0.0; 2048];
    let error = refused(&[
        (up.0, &[4, 1], &[0.0; 4]),
        down,
        (
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
            &[1, 2048],
            &wide,
        ),
    ]);
    assert!(error.contains("is [4, 1], for 4 outputs, and"), "{error}");
    assert!(error.ends_with("it seems to be for Stable Diffusion XL"), "{error}");
    assert_eq!(
        refused(&[(up.0, &[3, 2], &[0.0; 6]), down]),
        "the LoRA FILE is damaged: \
         `lora_unet_mid_block_attentions_0_proj_in.lora_up.weight` is [3, 2] and does not fit \
         `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`, which is [1, 2]: \
         is it fully downloaded?"
    );
    let alone = refused(&[up]);
    assert!(alone.contains("lora_up.weight` without the other matrix"), "{alone}");
    let alpha = ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[2][..], &[0.0; 2][..]);
    assert!(
        refused(&[up, down, alpha])
            .contains("proj_in.alpha` is [2], and one finite number is wanted")
    );
    let alpha = ("lora_unet_mid_block_attentions_0_proj_in.alpha", &[][..], &[f32::NAN][..]);
    assert!(refused(&[up, down, alpha]).contains("proj_in.alpha` is NaN, and one finite number"));
    let scale = ("lora_unet_mid_block_attentions_0_proj_in.dora_scale", &[1, 2][..], &[0.0; 2][..]);
    let error = refused(&[up, down, scale]);
    assert!(
        error.contains("dora_scale` is [1, 2], but one norm for each output is needed"),
        "{error}"
    );
    let key = |end: &str| format!("lora_unet_mid_block_attentions_0_proj_in.{end}");
    let (one, two) = (key("lokr_w1"), key("lokr_w2"));
    let error = refused(&[(&one, &[2, 1], &[0.0; 2]), (&two, &[2, 2], &[0.0; 4])]);
    assert!(error.contains("lokr_w2` is [2, 2], for 4 outputs"), "{error}");
    assert!(refused(&[(&one, &[3, 1], &[0.0; 3])]).contains("lokr_w1` without `lokr_w2`"));
    let half = key("hada_w1_a");
    assert!(
        refused(&[(&half, &[3, 1], &[0.0; 3])])
            .contains("hada_w1_a` without the tensor that ends in `_b`")
    );
}

#[test]
fn a_file_that_changes_nothing_says_what_it_seems_to_be_for() {
    let error = refused(&[
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", &[1, 1], &[0.0]),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight", &[1, 1], &[0.0]),
    ]);
    assert_eq!(
        error,
        "the LoRA FILE changes nothing in this model, which is Stable Diffusion 1.x or 2.x: \
         it seems to be for Flux; 2 tensors have no place in it, such as \
         `transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight`, \
         `transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight`"
    );
    let error = refused(&[("some.weight", &[1], &[0.0])]);
    assert!(error.contains("is it made for this model?; 1 tensor has no place in it"), "{error}");
    let error = refused(&[("lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha", &[], &[1.0])]);
    assert!(error.contains("it seems to be for Stable Diffusion XL"), "{error}");
}

#[test]
fn a_file_that_is_no_lora_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str| adapters(&folder.path().join(name), 1.0).unwrap_err();
    assert!(error("style.pt").to_string().contains("is a pickle, which preheat does not read"));
    let missing = error("missing.safetensors");
    let cause = std::error::Error::source(&missing).unwrap().to_string();
    assert!(cause.contains("missing.safetensors cannot be read"), "{cause}");
    std::fs::write(folder.path().join("text.safetensors"), "no tensors at all").unwrap();
    let cause = std::error::Error::source(&error("text.safetensors")).unwrap().to_string();
    assert!(cause.contains("is not an intact safetensors file"), "{cause}");
}

#[test]
fn tensors_without_a_place_are_counted_and_some_are_named() {
    let tensors: [Given<'_>; 6] = [
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", &[3, 1], &[0.0; 3]),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[1, 2], &[0.0; 2]),
        ("a.diff", &[1], &[0.0]),
        ("b.diff", &[1], &[0.0]),
        ("c.diff", &[1], &[0.0]),
        ("d.diff", &[1], &[0.0]),
    ];
    let (_folder, path) = written("some.safetensors", &tensors);
    let remarks = adapters(&path, 1.0).unwrap().remarks;
    let [remark] = remarks.as_slice() else { panic!("{remarks:?}") };
    assert!(
        remark.ends_with("4 of its 6 tensors have no place in this model and are left out: `a.diff`, `b.diff`, `c.diff`, ..."),
        "{remark}"
    );
}

#[test]
fn a_file_that_was_cut_short_meanwhile_is_an_error_and_ends_nothing() {
    let tensors: [Given<'_>; 2] = [
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", &[3, 1], &[0.0; 3]),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", &[1, 2], &[0.0; 2]),
    ];
    let (_folder, path) = written("some.safetensors", &tensors);
    let of = adapters(&path, 1.0).unwrap().of(Component::Unet);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let error = of.change(LINEAR, 2).err().unwrap().to_string();
    assert!(error.ends_with("cannot be read: was it changed meanwhile?"), "{error}");
}
