use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::models::{Component, ModelFolder};

/// What diffusers read from a tensor of `single_file.json`: it holds one weight, or it is made of
/// several weights, or it is not read and only its shape is recorded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Held {
    One(String),
    Made {
        of: Vec<String>,
        #[serde(rename = "as")]
        how: String,
    },
    Idle {
        #[expect(dead_code, reason = "it tells the variants apart")]
        shape: Vec<u64>,
    },
}

fn fixture(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models").join(model)
}

/// The names of each component in the single file of a small model.
fn names(model: &str) -> Vec<(Component, Names)> {
    let folder = ModelFolder::open(&fixture(model)).unwrap();
    let text = folder.text_encoders();
    let mut names = vec![
        (Component::Unet, Names::of_unet("model.diffusion_model.", folder.unet())),
        (Component::Vae, Names::of_vae("first_stage_model.", folder.vae())),
    ];
    names.extend(match model {
        "sd15" => {
            vec![(Component::TextEncoder, Names::of_clip("cond_stage_model.transformer.", false))]
        }
        "sd21" => vec![(
            Component::TextEncoder,
            Names::of_open_clip("cond_stage_model.model.", text[0].layers, false),
        )],
        _ => vec![
            (Component::TextEncoder, Names::of_clip("conditioner.embedders.0.transformer.", false)),
            (
                Component::TextEncoder2,
                Names::of_open_clip("conditioner.embedders.1.model.", text[1].layers, true),
            ),
        ],
    });
    names
}

/// Each name in a file is translated to the name that diffusers gives it, and back.
#[test]
fn names_are_those_that_diffusers_gives_them() {
    for model in ["sd15", "sd21", "sdxl"] {
        let text = std::fs::read_to_string(fixture(model).join("single_file.json")).unwrap();
        let file: BTreeMap<String, Held> = serde_json::from_str(&text).unwrap();
        assert!(file.len() > 900, "{model}");
        let names = names(model);
        for (name, held) in &file {
            let pieces = names.iter().flat_map(|(component, names)| {
                names.of_file(name).into_iter().map(|piece| (*component, piece))
            });
            let pieces: Vec<_> = pieces.collect();
            let meant: Vec<String> = pieces
                .iter()
                .map(|(component, piece)| format!("{}/{}", component.name(), piece.name))
                .collect();
            let (of, how) = match held {
                Held::One(of) => (vec![of.clone()], ""),
                Held::Made { of, how } => (of.clone(), how.as_str()),
                Held::Idle { .. } => (Vec::new(), ""),
            };
            assert_eq!(meant, of, "{model}: {name}");
            for (at, (component, piece)) in pieces.iter().enumerate() {
                let third = (how == "rows").then_some(at as u64);
                assert_eq!(piece.third, third, "{model}: {name}");
                assert_eq!(piece.transposed, how == "transposed", "{model}: {name}");
                assert!(how != "convolution" || piece.linear, "{model}: {name}");
                let (_, names) = names.iter().find(|(one, _)| one == component).unwrap();
                assert_eq!(names.in_file(&piece.name).as_ref(), Some(name), "{model}");
            }
        }
    }
}

/// A name that only resembles a name of the component is not translated.
#[test]
fn other_names_are_left_out() {
    let names = names("sdxl");
    let of = |at: usize, name: &str| names[at].1.of_file(name);
    for name in [
        "input_blocks.0.0.weight",
        "model.diffusion_model.input_blocks.99.0.in_layers.0.weight",
        "model.diffusion_model.input_blocks.1.2.weight",
        "model.diffusion_model.input_blocks.1.0.in_layers.7.weight",
        "model.diffusion_model.output_blocks.0.1.conv.weight",
        "model.diffusion_model.output_blocks.x.0.weight",
        "model.diffusion_model.middle_block.0.unknown.weight",
        "model.diffusion_model.extra.weight",
    ] {
        assert_eq!(of(0, name), [], "{name}");
    }
    for name in ["decoder.up.9.block.0.norm1.weight", "loss.weight", "decoder.other.weight"] {
        assert_eq!(of(1, &format!("first_stage_model.{name}")), [], "{name}");
    }
    for name in ["transformer.resblocks.5.ln_1.weight", "logit_scale", "visual.proj"] {
        assert_eq!(of(3, &format!("conditioner.embedders.1.model.{name}")), [], "{name}");
    }
}
