//! Do prompts with weights and of several chunks give what the rules of the AUTOMATIC1111 web UI
//! and of ComfyUI give? `tests/fixtures/prompt_fixtures.py` computes these rules anew in torch, and
//! diffusers 0.42.1 denoises with the result.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

use preheat_diffusion::pipeline::{
    Made, Pipeline, Precision, Precisions, PromptSyntax, TextToImage,
};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::parity::fixture::{Fixture, error};
use crate::support::repository;

/// The largest allowed error of the latents after a run, relative to the largest absolute value of
/// the reference. Two cases of one model differ by more than ten times as much.
const LIMIT: f64 = 1e-3;
/// The same between one context and its repetition, which differ only by rounding.
const LIMIT_OF_REPETITION: f64 = 1e-4;

/// A line of `tests/fixtures/prompts/cases.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    tensor: String,
    syntax: PromptSyntax,
    prompt: String,
    prompt_2: Option<String>,
    negative_prompt: String,
    chunks: u64,
}

impl Case {
    fn request(&self) -> TextToImage {
        TextToImage {
            prompt: self.prompt.clone(),
            prompt_2: self.prompt_2.clone(),
            negative_prompt: Some(self.negative_prompt.clone()),
            prompt_syntax: self.syntax,
            width: Some(64),
            height: Some(64),
            steps: 3,
            cfg_scale: 5.0,
            seed: Some(7),
            ..TextToImage::default()
        }
    }
}

fn open(fixture: &Fixture) -> Pipeline {
    let precisions = Precisions { all: Precision::Fp32, ..Precisions::default() };
    let builder = Pipeline::builder().padding_multiple_px(8).precisions(precisions).warmup_steps(0);
    builder.open(fixture.runtime(), &fixture.folder).unwrap()
}

fn values(made: &Made) -> Vec<f32> {
    made.latents.to_f32().unwrap()
}

fn agree(model: &'static str) {
    let fixture = Fixture::new(model);
    let pipeline = open(&fixture);
    let read =
        |file: &str| std::fs::read(repository(&format!("tests/fixtures/prompts/{file}"))).unwrap();
    let expected = read("expected.safetensors");
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&read("cases.json")).unwrap();
    let prefix = format!("{model}.");
    let cases: Vec<&Case> = cases.iter().filter(|case| case.tensor.starts_with(&prefix)).collect();
    assert!(cases.len() >= 5);
    for case in cases {
        let made = pipeline.run(&case.request()).unwrap();
        assert_eq!(made.plan.prompt_chunks, case.chunks, "{}", case.tensor);
        assert_eq!(made.warnings, [], "{}", case.tensor);
        let bytes = expected.tensor(&case.tensor).unwrap().data().chunks_exact(4);
        let want: Vec<f32> =
            bytes.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let error = error(&values(&made), &want);
        println!("parity {:10} {:14} {error:.1e} at most, in {}", model, "prompts", case.tensor);
        assert!(error < LIMIT, "{}: {error}", case.tensor);
    }
}

#[test]
fn prompts_of_stable_diffusion_agree() {
    agree("sd15");
}

#[test]
fn prompts_of_stable_diffusion_xl_agree() {
    agree("sdxl");
}

#[test]
fn a_prompt_that_is_repeated_gives_the_same_picture() {
    let fixture = Fixture::new("sd15");
    let pipeline = open(&fixture);
    for syntax in [PromptSyntax::Plain, PromptSyntax::Comfy] {
        let once = TextToImage {
            prompt_syntax: syntax,
            width: Some(64),
            height: Some(64),
            steps: 3,
            seed: Some(7),
            ..TextToImage::new("a red fox in the snow")
        };
        let twice = TextToImage { prompt_chunks: Some(2), ..once.clone() };
        let (once, twice) = (pipeline.run(&once).unwrap(), pipeline.run(&twice).unwrap());
        assert_eq!([once.plan.prompt_chunks, twice.plan.prompt_chunks], [1, 2]);
        assert_ne!(once.latents.bytes(), twice.latents.bytes(), "it is another graph");
        let error = error(&values(&twice), &values(&once));
        println!("parity sd15       repeated       {error:.1e} at most");
        assert!(error < LIMIT_OF_REPETITION, "{error}");
    }
}
