//! What happens if the input replaces the config of one component of a model? If the component's
//! graph can be built, it can be encoded, decoded and lowered. After the decoding, it passes the
//! verifier again. The target `configs` covers more kinds of files, and tries many more inputs in a
//! second.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::models::{Component, ModelFolder, denoiser, text_encoder, vae_decoder};
use preheat_fuzz::{Bases, mutate_json, small_models};
use preheat_ir::graph::Verified;
use preheat_ir::lower::{LoweringTarget, stablehlo};

static MODELS: LazyLock<Bases> = LazyLock::new(small_models);

/// The height and width of the latents. A UNet takes any.
const LATENTS: [u64; 2] = [16, 16];

fn check(graph: &Verified) {
    let bytes = graph.encode().unwrap();
    assert_eq!(Verified::decode(&bytes).unwrap().encode().unwrap(), bytes);
    assert!(!stablehlo(graph, LoweringTarget::Cpu).text.is_empty());
}

/// Builds only the graph that the changed file shapes, because the other graphs do not change.
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
