//! The config of one component of a model, which is the input: its graph, if it gives one, keeps
//! every rule, can be written and read, and is lowered. `configs` takes more kinds of files, and
//! many more of them in a second.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat::graph::Verified;
use preheat::lower::{Target, stablehlo};
use preheat::models::{Component, ModelFolder, denoiser, text_encoder, vae_decoder};
use preheat_fuzz::{Bases, mutate_json, small_models};

static MODELS: LazyLock<Bases> = LazyLock::new(small_models);

/// The smallest latents that every UNet of the fixtures takes.
const LATENTS: [u64; 2] = [16, 16];

fn check(graph: &Verified) {
    let bytes = graph.encode().unwrap();
    assert_eq!(Verified::decode(&bytes).unwrap().encode().unwrap(), bytes);
    assert!(!stablehlo(graph, Target::Cpu).text.is_empty());
}

/// Builds the graph that the changed file shapes: all others are as they were.
fn build(folder: &Path, changed: &Path) {
    let Ok(model) = ModelFolder::open(folder) else { return };
    let is_of = |component: Component| changed.starts_with(component.name());
    if is_of(Component::Unet) {
        denoiser(model.unet(), &model.denoiser_spec(true, 1, LATENTS)).iter().for_each(check);
    } else if is_of(Component::Vae) {
        vae_decoder(model.vae(), LATENTS).iter().for_each(check);
    }
    let components = [Component::TextEncoder, Component::TextEncoder2];
    let texts = model.text_encoders().iter().zip(model.text_outputs(0));
    for ((config, outputs), component) in texts.zip(components) {
        if is_of(component) {
            text_encoder(config, outputs).iter().for_each(check);
        }
    }
}

fuzz_target!(|data: &[u8]| MODELS.with(data, build));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(2, data, size, max_size, seed)
});
