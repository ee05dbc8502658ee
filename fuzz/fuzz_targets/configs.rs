//! What happens if the input replaces one config file of a model? The model is refused with a
//! message, or the values that were read are consistent. The target `graphs` also builds the graphs
//! that a run would build.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::models::ModelFolder;
use preheat_diffusion::pipeline::schedulers::SchedulerConfig;
use preheat_fuzz::{Bases, models, mutate_json};

static MODELS: LazyLock<Bases> = LazyLock::new(models);

/// The folder of the file that configures a scheduler.
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
