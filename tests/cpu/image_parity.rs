//! Do runs that begin with a picture give what diffusers 0.42.1 gives: image to image, inpainting,
//! and inpainting with a network that was made for it? `tests/fixtures/image_fixtures.py` makes the
//! expected results.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

use std::path::Path;

use preheat_diffusion::models::{Component, vae_encoder};
use preheat_diffusion::pipeline::{
    LatentInterpolation, LatentUpscale, Made, Pipeline, Precision, Precisions, TextToImage,
};
use preheat_tensor::Tensor;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;

use crate::parity::fixture::{Expected, Fixture, error};
use crate::parity::parts;
use crate::parity::runs::{PSNR_DB, psnr};
use crate::support::random_model::{self, Shape, Weights};
use crate::support::repository;

/// The largest allowed error of the latents after a run, relative to the largest absolute value of
/// the reference.
const LIMIT: f64 = 1e-3;
/// The same of one network.
const LIMIT_OF_THE_ENCODER: f64 = 1e-4;

const PROMPT: &str = "A photograph of an astronaut riding a horse on Mars, highly detailed";
const NEGATIVE: &str = "low quality, blurry";

/// A line of `tests/fixtures/images/cases.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    tensor: String,
    model: String,
    mode: String,
    seed: Option<u64>,
    batch: Option<u64>,
    scheduler: Option<String>,
    steps: Option<u64>,
    strength: Option<f64>,
    cfg_scale: Option<f64>,
    channels: Option<u64>,
    factor: Option<f64>,
    interpolation: Option<LatentInterpolation>,
}

impl Case {
    fn request(&self) -> TextToImage {
        let upscale_latents = self.factor.map(|factor| LatentUpscale {
            factor,
            strength: self.strength.unwrap(),
            mode: self.interpolation.unwrap(),
        });
        let begins = upscale_latents.is_none();
        let size = (!begins).then_some([64, 48]);
        TextToImage {
            prompt: PROMPT.to_owned(),
            negative_prompt: self
                .cfg_scale
                .filter(|scale| *scale > 1.0)
                .map(|_| NEGATIVE.to_owned()),
            image: begins.then(|| file("photo.png")),
            mask: (self.mode == "inpaint").then(|| file("mask.png")),
            strength: self.strength.filter(|_| begins),
            upscale_latents,
            width: size.map(|[width, _]| width),
            height: size.map(|[_, height]| height),
            scheduler: self.scheduler.clone(),
            steps: self.steps.unwrap(),
            cfg_scale: self.cfg_scale.unwrap(),
            seed: self.seed,
            batch_size: self.batch.unwrap(),
            ..TextToImage::default()
        }
    }

    fn is_for_inpainting(&self) -> bool {
        self.channels == Some(9)
    }
}

fn file(name: &str) -> std::path::PathBuf {
    repository(&format!("tests/fixtures/images/{name}"))
}

fn cases(model: &str) -> Vec<Case> {
    let cases = std::fs::read(file("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    cases.into_iter().filter(|case| case.model == model).collect()
}

fn expected(tensor: &str) -> Expected {
    let bytes = std::fs::read(file("expected.safetensors")).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let values = |tensor: &TensorView<'_>| {
        if tensor.dtype() == safetensors::Dtype::U8 {
            return tensor.data().iter().map(|&byte| byte.into()).collect();
        }
        let each = tensor.data().chunks_exact(4);
        each.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    let tensor = all.tensor(tensor).unwrap();
    Expected { dims: tensor.shape().to_vec(), values: values(&tensor) }
}

fn open(fixture: &Fixture, folder: &Path) -> Pipeline {
    let precisions = Precisions { all: Precision::Fp32, ..Precisions::default() };
    let builder = Pipeline::builder().padding_multiple_px(8).precisions(precisions).warmup_steps(0);
    builder.open(fixture.runtime(), folder).unwrap()
}

/// The fixture's model with a network that was made for inpainting.
fn for_inpainting(fixture: &Fixture, parent: &Path) -> std::path::PathBuf {
    let folder = random_model::write_small(fixture.name, parent).unwrap();
    let change = |file: &str, field: &str, value: serde_json::Value| {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json[field] = value;
        std::fs::write(path, json.to_string()).unwrap();
    };
    change("unet/config.json", "in_channels", 9.into());
    let is_xl = fixture.name == "sdxl";
    let xl = if is_xl { "XL" } else { "" };
    let class = format!("StableDiffusion{xl}InpaintPipeline");
    change("model_index.json", "_class_name", class.into());
    let shape = Shape::Small(fixture.name);
    random_model::write_weights(shape, &folder, Weights::default(), |_, _, _| {}).unwrap();
    folder
}

fn compare(case: &Case, made: &Made, worst: &mut (f64, String)) {
    let expected = expected(&case.tensor);
    let sides = made.plan.sizes.requested;
    if case.mode == "upscale" {
        assert_eq!(sides, [8 * expected.dims[3] as u64, 8 * expected.dims[2] as u64]);
    } else {
        assert_eq!(sides, [72, 88], "{}", case.tensor);
    }
    if case.tensor.ends_with(".picture") {
        let (psnr, most) = psnr(&made.pictures[0].rgb, &expected.values);
        println!(
            "parity {:5} {psnr:.1} dB, bytes differ by {most} at most, in {}",
            case.model, case.tensor
        );
        assert!(psnr >= PSNR_DB, "{}: {psnr} dB", case.tensor);
        return;
    }
    let error = error(&made.latents.to_f32().unwrap(), &expected.values);
    println!("parity {:5} {error:.1e} in {}", case.model, case.tensor);
    if error > worst.0 || !error.is_finite() {
        *worst = (error, case.tensor.clone());
    }
}

fn runs_agree(model: &'static str) {
    let fixture = Fixture::new(model);
    let pipeline = open(&fixture, &fixture.folder);
    let temp = tempfile::tempdir().unwrap();
    let inpainting = open(&fixture, &for_inpainting(&fixture, temp.path()));
    let mut worst = (0.0, String::new());
    let runs = cases(model).into_iter().filter(|case| case.steps.is_some());
    let mut count = 0;
    for case in runs {
        let pipeline = if case.is_for_inpainting() { &inpainting } else { &pipeline };
        let made = pipeline.run(&case.request());
        let made = made.unwrap_or_else(|error| panic!("{}: {error}", case.tensor));
        assert_eq!(made.warnings, [], "{}", case.tensor);
        compare(&case, &made, &mut worst);
        count += 1;
    }
    assert!(count >= 15, "{count}");
    println!("parity {model:5} {:.1e} at most of {count}, in {}", worst.0, worst.1);
    assert!(worst.0 < LIMIT, "{worst:?}");
}

#[test]
fn runs_of_stable_diffusion_agree() {
    runs_agree("sd15");
}

#[test]
fn runs_of_stable_diffusion_xl_agree() {
    runs_agree("sdxl");
}

#[test]
fn encoders_agree() {
    for model in ["sd15", "sdxl", "mixed"] {
        let fixture = Fixture::new(model);
        let photo = expected("resized");
        let [height, width] = [photo.dims[1], photo.dims[2]];
        let cases: Vec<Case> = cases(model);
        let cases: Vec<_> = cases.iter().filter(|case| case.mode == "encode").collect();
        assert_eq!(cases.len(), 2);
        for case in cases {
            let wanted = expected(&case.tensor);
            let sides = [wanted.dims[2] as u64, wanted.dims[3] as u64];
            let graph = vae_encoder(fixture.model.vae_encoder().unwrap(), sides).unwrap();
            let network = parts::xla(&fixture, Component::Vae, &graph);
            let (rows, columns) = (8 * wanted.dims[2], 8 * wanted.dims[3]);
            let value = |(channel, y, x): (usize, usize, usize)| {
                2.0 * (photo.values[(y * width + x) * 3 + channel] / 255.0) - 1.0
            };
            let at = (0..3).flat_map(|c| (0..rows).map(move |y| (c, y)));
            let at = at.flat_map(|(c, y)| (0..columns).map(move |x| (c, y, x)));
            assert!(rows <= height && columns <= width);
            let image: Vec<f32> = at.map(value).collect();
            let dims = [1, 3, rows as u64, columns as u64];
            let made = network(&[Tensor::from_f32(&dims, &image).unwrap()]);
            let error = error(&made[0], &wanted.values);
            println!("parity {model:5} {error:.1e} in {}", case.tensor);
            assert!(error < LIMIT_OF_THE_ENCODER, "{}: {error}", case.tensor);
        }
    }
}
