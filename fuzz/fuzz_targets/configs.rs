//! Config files of a model, one of which is the input: it is refused in words, or what was read is
//! sound. `graphs` builds of it what a run would.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat::models::ModelFolder;
use preheat::pipeline::schedulers::SchedulerConfig;
use preheat_fuzz::{Bases, models, mutate_json};

static MODELS: LazyLock<Bases> = LazyLock::new(models);

/// The files that say what a scheduler does.
const SCHEDULER: &str = "scheduler";

fn open(folder: &Path, changed: &Path) {
    if changed.starts_with(SCHEDULER) {
        return schedule(&folder.join(changed));
    }
    match ModelFolder::open(folder) {
        Ok(model) => {
            assert_eq!(model.text_encoders().len(), model.text_outputs(0).len());
            assert!(model.default_size_px().iter().all(|side| *side > 0));
            assert!(!model.scheduler_class().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn schedule(file: &Path) {
    let config = match SchedulerConfig::read(file) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let _ = (config.name(), config.prediction());
    for steps in [1, 2, 20, 1000] {
        let Ok(schedule) = config.for_stable_diffusion().schedule(steps) else { continue };
        assert!(schedule.history_length() <= 3);
    }
}

fuzz_target!(|data: &[u8]| MODELS.with(data, open));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(2, data, size, max_size, seed)
});
