//! Config files of a model, one of which is the input: it is refused, or its graphs are built, keep every rule and can be written.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat::graph::Verified;
use preheat::lower::{Target, stablehlo};
use preheat::models::{Component, ModelFolder, denoiser, text_encoder, vae_decoder};
use preheat::pipeline::schedulers::SchedulerConfig;
use preheat_fuzz::{Bases, models, mutate_json};

static MODELS: LazyLock<Bases> = LazyLock::new(models);

/// The smallest latents that every UNet of the fixtures takes.
const LATENTS: [u64; 2] = [16, 16];

fn check(graph: &Verified) {
    let bytes = graph.encode().unwrap();
    assert_eq!(Verified::decode(&bytes).unwrap().encode().unwrap(), bytes);
    assert!(!stablehlo(graph, Target::Cpu).text.is_empty());
}

fn open(folder: &Path) {
    if let Ok(model) = ModelFolder::open(folder) {
        for (config, outputs) in model.text_encoders().iter().zip(model.text_outputs(0)) {
            text_encoder(config, outputs).iter().for_each(check);
        }
        denoiser(model.unet(), &model.denoiser_spec(true, 1, LATENTS)).iter().for_each(check);
        vae_decoder(model.vae(), LATENTS).iter().for_each(check);
        let _ = model.default_size_px();
    }
    let scheduler = folder.join(Component::Scheduler.name()).join("scheduler_config.json");
    if let Ok(config) = SchedulerConfig::read(&scheduler) {
        let _ = (config.name(), config.prediction());
        for steps in [1, 2, 20, 1000] {
            let Ok(schedule) = config.for_stable_diffusion().schedule(steps) else { continue };
            assert!(schedule.history_length() <= 3);
        }
    }
}

fuzz_target!(|data: &[u8]| MODELS.with(data, open));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate_json(2, data, size, max_size, seed) });
