//! Does preheat on the real XLA:CPU compute what diffusers 0.42.1 computes with LoRAs of each
//! format? The section "LoRAs" of tests/fixtures/README.md describes the files.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

use std::path::PathBuf;

use preheat_diffusion::pipeline::{Lora, Made, Pipeline, Precision, Precisions, TextToImage};
use safetensors::SafeTensors;

use crate::parity::fixture::{Fixture, error};
use crate::parity::runs::{PSNR_DB, psnr};
use crate::support::repository;

/// The largest allowed error of the latents after a run, relative to the largest absolute value of
/// the reference.
const LIMIT: f64 = 1e-3;
const PROMPT: &str = "A photograph of an astronaut riding a horse on Mars, highly detailed";

/// A tensor of `expected.safetensors`, and the LoRA files that it was computed with.
type Case = (&'static str, &'static [(&'static str, f64)]);

const OF_ALL: [Case; 7] = [
    ("base", &[]),
    ("lora", &[("diffusers.safetensors", 0.8)]),
    ("lora", &[("older.safetensors", 0.8)]),
    ("lora", &[("kohya.safetensors", 0.8)]),
    ("peft", &[("peft/adapter_model.safetensors", 0.8)]),
    ("two", &[("kohya.safetensors", 0.8), ("second.safetensors", -0.6)]),
    ("dora", &[("dora.safetensors", 0.7)]),
];
const OF_SD15: [Case; 2] =
    [("loha", &[("loha.safetensors", 0.9)]), ("lokr", &[("lokr.safetensors", 0.9)])];
const OF_SDXL: [Case; 1] = [("lora", &[("kohya_original.safetensors", 0.8)])];

fn path(model: &str, file: &str) -> PathBuf {
    repository(&format!("tests/fixtures/lora/{model}/{file}"))
}

fn make(pipeline: &Pipeline, model: &str, loras: &[(&str, f64)]) -> Made {
    let loras =
        loras.iter().map(|(file, weight)| Lora { weight: *weight, ..Lora::new(path(model, file)) });
    let request = TextToImage {
        width: Some(64),
        height: Some(64),
        steps: 3,
        cfg_scale: 5.0,
        seed: Some(7),
        loras: loras.collect(),
        ..TextToImage::new(PROMPT)
    };
    pipeline.run(&request).unwrap()
}

fn agree(model: &'static str, cases: &[Case]) {
    let fixture = Fixture::new(model);
    let precisions = Precisions { all: Precision::Fp32, ..Precisions::default() };
    let builder = Pipeline::builder().padding_multiple_px(8).precisions(precisions).warmup_steps(0);
    let pipeline = builder.open(fixture.runtime(), &fixture.folder).unwrap();
    let expected = std::fs::read(path(model, "expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let bytes = expected.tensor(name).unwrap().data().chunks_exact(4);
        bytes.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    let base = make(&pipeline, model, &[]);
    for (name, loras) in cases {
        let made = make(&pipeline, model, loras);
        assert_eq!(made.warnings, [], "{loras:?}");
        let have = made.latents.to_f32().unwrap();
        let error = error(&have, &floats(name));
        println!("parity {model:10} {name:14} {error:.1e} at most, with {loras:?}");
        assert!(error < LIMIT, "{model}, {loras:?}: {error}");
        if *name == "lora" {
            let bytes: Vec<f32> =
                expected.tensor("picture").unwrap().data().iter().map(|&b| b.into()).collect();
            let (psnr, _) = psnr(&made.pictures[0].rgb, &bytes);
            assert!(psnr >= PSNR_DB, "{model}, {loras:?}: {psnr} dB");
        }
    }
    let again = make(&pipeline, model, &[]);
    assert_eq!(again.latents.bytes(), base.latents.bytes(), "the model's own weights are back");
}

#[test]
fn loras_of_stable_diffusion_agree() {
    agree("sd15", &[&OF_ALL[..], &OF_SD15[..]].concat());
}

#[test]
fn loras_of_stable_diffusion_xl_agree() {
    agree("sdxl", &[&OF_ALL[..], &OF_SDXL[..]].concat());
}
