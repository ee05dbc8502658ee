//! A model folder with everything that is read of it once.

use std::collections::HashMap;
use std::path::Path;

use super::error::PipelineError;
use super::schedulers::SchedulerConfig;
use super::tokenizer::Tokenizer;
use crate::models::{Component, Family, ModelFolder};
use crate::weights::Checkpoint;

/// Configs, tokenizers, the scheduler's config and the headers of the weights. The values of the weights are not touched.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) folder: ModelFolder,
    pub(super) tokenizers: Vec<Tokenizer>,
    pub(super) scheduler: SchedulerConfig,
    checkpoints: HashMap<Component, Checkpoint>,
}

impl Model {
    /// Reads the folder; `variant` asks for weights such as `fp16` where there are several.
    pub(super) fn open(path: &Path, variant: Option<&str>) -> Result<Self, PipelineError> {
        let folder = ModelFolder::open(path)?;
        let components = folder.family().components();
        let tokenizers = || -> Result<Vec<Tokenizer>, PipelineError> {
            let open = |component| Ok(Tokenizer::open(&folder.component(component))?);
            let wanted = [Component::Tokenizer, Component::Tokenizer2];
            wanted.into_iter().filter(|wanted| components.contains(wanted)).map(open).collect()
        };
        let (tokenizers, checkpoints, scheduler) = std::thread::scope(|scope| {
            // A vocabulary takes longer to read than everything else together.
            let tokenizers = scope.spawn(tokenizers);
            let mut checkpoints = HashMap::new();
            let scheduler = open_checkpoints(&folder, variant, &mut checkpoints).and_then(|()| {
                let file = folder.component(Component::Scheduler).join("scheduler_config.json");
                let config = SchedulerConfig::read(&file)?;
                Ok(if folder.family() == Family::StableDiffusion { config.for_stable_diffusion() } else { config })
            });
            let tokenizers = tokenizers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (tokenizers, checkpoints, scheduler)
        });
        Ok(Self { tokenizers: tokenizers?, scheduler: scheduler?, checkpoints, folder })
    }

    /// The weights of a component that has some.
    pub(super) fn checkpoint(&self, component: Component) -> &Checkpoint {
        &self.checkpoints[&component]
    }

    pub(super) fn is_xl(&self) -> bool {
        self.folder.family() == Family::StableDiffusionXl
    }
}

fn open_checkpoints(
    folder: &ModelFolder,
    variant: Option<&str>,
    checkpoints: &mut HashMap<Component, Checkpoint>,
) -> Result<(), PipelineError> {
    for &component in folder.family().components() {
        let stem = match component {
            Component::TextEncoder | Component::TextEncoder2 => "model",
            Component::Unet | Component::Vae => "diffusion_pytorch_model",
            Component::Tokenizer | Component::Tokenizer2 | Component::Scheduler => continue,
        };
        checkpoints.insert(component, Checkpoint::open(&folder.component(component), stem, variant)?);
    }
    Ok(())
}
