//! Do LoRAs change pictures without any compile? The tests also check that only the weights that a
//! LoRA changes are sent to the device, and that requests with different LoRAs never mix.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pjrt_sim::{Event, When};
use preheat::Runtime;
use preheat_diffusion::pipeline::{Lora, Made, Pipeline, TextToImage};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use safetensors::tensor::{Dtype, TensorView};
use support::lab::library;
use support::random_model::{self, splitmix64};
use support::{Lab, in_child};

const MODEL: &str = "mixed";
const STAGES: usize = 3;

/// Layers of the model, each with the numbers of rows and columns of its weight.
type Layers = &'static [(&'static str, usize, usize)];
const QUERY: (&str, usize, usize) =
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 16, 16);
const KEY: (&str, usize, usize) =
    ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k", 24, 16);
const TEXT: (&str, usize, usize) = ("lora_te_text_model_encoder_layers_0_mlp_fc1", 48, 16);

/// Writes a LoRA of rank 2.
fn lora(folder: &Path, name: &str, layers: Layers) -> PathBuf {
    let numbers = |name: &str, count: usize| -> Vec<u8> {
        let seed = random_model::seed(name);
        let number = |at| {
            let sixteen = u16::try_from(splitmix64(seed, at) >> 48).unwrap();
            f32::from(sixteen) / f32::from(1_u16 << 15) - 1.0
        };
        (0..count as u64).flat_map(|at| number(at).to_le_bytes()).collect()
    };
    let mut tensors = Vec::new();
    for &(layer, rows, columns) in layers {
        let (up, down) = (format!("{layer}.lora_up.weight"), format!("{layer}.lora_down.weight"));
        tensors.push((up.clone(), vec![rows, 2], numbers(&format!("{name}{up}"), rows * 2)));
        tensors.push((
            down.clone(),
            vec![2, columns],
            numbers(&format!("{name}{down}"), columns * 2),
        ));
    }
    let views = tensors.iter().map(|(name, dims, bytes)| {
        (name, TensorView::new(Dtype::F32, dims.clone(), bytes).unwrap())
    });
    let path = folder.join(name);
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn request(loras: &[(&Path, f64)]) -> TextToImage {
    let loras = loras.iter().map(|(path, weight)| Lora { weight: *weight, ..Lora::new(*path) });
    TextToImage {
        width: Some(64),
        height: Some(64),
        steps: 2,
        seed: Some(1),
        loras: loras.collect(),
        ..TextToImage::new("a red fox")
    }
}

fn open(lab: &Lab) -> Pipeline {
    let device = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    let runtime = Runtime::builder().device(device).plugin(library()).cache_dir(lab.cache());
    let folder = random_model::write_small(MODEL, &lab.path("")).unwrap();
    Pipeline::builder().warmup_steps(0).open(&runtime.build().unwrap(), folder).unwrap()
}

/// The bytes of each transfer to the device since the log had `before` entries.
fn sent(lab: &Lab, before: usize) -> Vec<usize> {
    let log = lab.log();
    let sent = log[before..].iter().filter_map(|entry| match entry.event {
        Event::HostToDevice { bytes } => Some(bytes),
        _ => None,
    });
    sent.collect()
}

#[test]
fn loras_change_pictures_and_compile_nothing() {
    // Three compiles succeed, and every later one fails.
    let sim = |lab: &Lab| lab.sim().fail_compile(When::From(STAGES as u64 + 1));
    in_child("loras_change_pictures_and_compile_nothing", sim, |lab| {
        let a = lora(&lab.path(""), "a.safetensors", &[QUERY, TEXT]);
        let b = lora(&lab.path(""), "b.safetensors", &[QUERY, KEY]);
        let pipeline = open(lab);
        pipeline.warmup(&request(&[]), false).unwrap();
        assert_eq!(lab.compiles(), STAGES);
        let run = |loras: &[(&Path, f64)]| pipeline.run(&request(loras)).unwrap();
        let cases: [&[(&Path, f64)]; 6] =
            [&[], &[(&a, 1.0)], &[(&a, 0.5)], &[(&b, 0.5)], &[(&a, 1.0), (&b, 0.5)], &[(&b, -0.5)]];
        let made: Vec<Made> = cases.iter().map(|case| run(case)).collect();
        for (at, one) in made.iter().enumerate() {
            assert_eq!(one.warnings, []);
            for other in &made[..at] {
                assert_ne!(one.latents.bytes(), other.latents.bytes(), "{at}");
            }
        }
        // In the reverse order the latents are the same, because each run starts from the model's
        // own weights.
        for (case, first) in cases.iter().zip(&made).rev() {
            assert_eq!(run(case).latents.bytes(), first.latents.bytes(), "{case:?}");
        }
        let zero = run(&[(&a, 0.0)]);
        assert_eq!(zero.latents.bytes(), made[0].latents.bytes());
        assert_eq!(lab.compiles(), STAGES);
    });
}

#[test]
fn only_the_weights_that_differ_are_sent_again() {
    in_child("only_the_weights_that_differ_are_sent_again", Lab::sim, |lab| {
        let a = lora(&lab.path(""), "a.safetensors", &[QUERY]);
        let b = lora(&lab.path(""), "b.safetensors", &[KEY]);
        let pipeline = open(lab);
        let sent_for = |loras: &[(&Path, f64)]| {
            let before = lab.log().len();
            pipeline.run(&request(loras)).unwrap();
            let mut bytes = sent(lab, before);
            bytes.sort_unstable();
            bytes
        };
        sent_for(&[]);
        let nothing_new = sent_for(&[]);
        let with = |weights: &[usize]| {
            let mut bytes = [&nothing_new, weights].concat();
            bytes.sort_unstable();
            bytes
        };
        let (query, key) = (16 * 16 * 4, 24 * 16 * 4);
        assert_eq!(sent_for(&[(&a, 1.0)]), with(&[query]), "applied");
        assert_eq!(sent_for(&[(&a, 1.0)]), nothing_new, "the same again");
        assert_eq!(sent_for(&[(&a, 1.0), (&b, 1.0)]), with(&[key]), "another one beside it");
        assert_eq!(sent_for(&[(&b, 1.0)]), with(&[query]), "one of two taken away");
        assert_eq!(sent_for(&[(&a, 1.0)]), with(&[query, key]), "exchanged");
        assert_eq!(sent_for(&[]), with(&[query]), "taken away");
    });
}

#[test]
fn requests_with_different_loras_at_once_do_not_mix() {
    in_child("requests_with_different_loras_at_once_do_not_mix", Lab::sim, |lab| {
        let a = lora(&lab.path(""), "a.safetensors", &[QUERY, TEXT]);
        let b = lora(&lab.path(""), "b.safetensors", &[QUERY, KEY]);
        let pipeline = open(lab);
        let run = |loras: &[(&Path, f64)]| pipeline.run(&request(loras)).unwrap().latents;
        let cases: [&[(&Path, f64)]; 3] = [&[], &[(&a, 1.0)], &[(&b, 0.5)]];
        let alone: Vec<_> = cases.iter().map(|case| run(case)).collect();
        std::thread::scope(|scope| {
            for (case, alone) in cases.iter().zip(&alone) {
                let run = &run;
                scope.spawn(move || {
                    for _ in 0..4 {
                        assert_eq!(run(case).bytes(), alone.bytes(), "{case:?}");
                    }
                });
            }
        });
        assert_eq!(lab.compiles(), STAGES);
    });
}

#[test]
fn the_command_line_applies_loras_to_a_warm_model_and_says_so() {
    let lab = Lab::new();
    let model = random_model::write_small(MODEL, &lab.path("")).unwrap();
    let a = lora(&lab.path(""), "a.safetensors", &[QUERY, TEXT]);
    let b = lora(&lab.path(""), "b.safetensors", &[KEY]);
    let sim = lab.sim();
    let size = "--width 64 --height 64 --steps 2";
    let warmup = lab.quick(&sim).words("warmup").words(size);
    warmup.arg("--model").arg(&model).run().done();
    let run = |words: &str| {
        let run = lab.quick(&sim).words("--json --require-warm run --prompt seven --seed 1");
        run.words(size).words(words).arg("--model").arg(&model).run()
    };
    let base = run("--output base.png").done();
    assert!(base.json().get("loras").is_none());
    let words = format!("--output both.png --lora {}:0.5 --lora {}", a.display(), b.display());
    let both = run(&words).done();
    let told = both.json()["loras"].clone();
    let wanted = serde_json::json!([{"path": a, "weight": 0.5}, {"path": b, "weight": 1.0}]);
    assert_eq!(told, wanted);
    assert_ne!(fs::read(lab.path("base.png")).unwrap(), fs::read(lab.path("both.png")).unwrap());
    let file = BufReader::new(File::open(lab.path("both.png")).unwrap());
    let reader = png::Decoder::new(file).read_info().unwrap();
    let text = |key: &str| {
        let texts = &reader.info().utf8_text;
        texts.iter().find(|text| text.keyword == key).unwrap().get_text().unwrap()
    };
    assert!(text("parameters").ends_with(", LoRAs: \"a:0.5, b:1\""), "{}", text("parameters"));
    let settings: serde_json::Value = serde_json::from_str(&text("preheat")).unwrap();
    assert_eq!(settings["loras"], wanted);
    // If a prompt names a LoRA, a warning says which flag applies LoRAs.
    let named = run("--output named.png --negative-prompt <lora:style:0.8>").done();
    let warnings = named.json()["warnings"].to_string();
    assert!(warnings.contains("applies no LoRA (--lora FILE:WEIGHT applies a LoRA)"), "{warnings}");
    let missing = run("--output missing.png --lora missing.safetensors:0.5").ended(1);
    missing.says(&[
        "the LoRA missing.safetensors cannot be used",
        "missing.safetensors cannot be read",
    ]);
    assert!(!lab.path("missing.png").exists());
}
