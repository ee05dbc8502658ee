//! What is read of a model folder once, for all requests?
//!
//! Everything but the values of the weights, which `resident.rs` loads when a stage needs them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use preheat_cache::Digest;

use super::error::PipelineError;
use super::schedulers::SchedulerConfig;
use super::tokenizer::{Tokenizer, TokenizerError};
use crate::models::{Component, Family, ModelError, ModelFolder, TextOutputs};
use crate::weights::Checkpoint;

/// Configs, tokenizers, the scheduler's config and the headers of the weights. The values of the
/// weights are not read.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) folder: ModelFolder,
    pub(super) tokenizers: Tokenizers,
    pub(super) scheduler: SchedulerConfig,
    checkpoints: HashMap<Component, Checkpoint>,
    /// Digests of the architectures. Computing one goes through the names and shapes of a thousand
    /// weights, and every request asks for several.
    architectures: Mutex<Vec<(ArchitectureOf, Digest)>>,
}

/// The part that an architecture's digest is for: a component, and for a text encoder the outputs
/// that are wanted.
type ArchitectureOf = (Component, Option<TextOutputs>);

/// The tokenizers of a model, one for each text encoder. Reading a vocabulary takes longer than
/// reading everything else together, so a thread of its own does that, and the first caller that
/// needs the tokenizers waits for it.
#[derive(Debug, Clone)]
pub(super) struct Tokenizers(Arc<Opened>);

type Opened =
    LazyLock<Result<Vec<Tokenizer>, Arc<TokenizerError>>, Box<dyn FnOnce() -> OpenedNow + Send>>;
type OpenedNow = Result<Vec<Tokenizer>, Arc<TokenizerError>>;

impl Tokenizers {
    fn open(folders: Vec<PathBuf>) -> Self {
        let open = move || {
            folders.iter().map(|folder| Tokenizer::open(folder).map_err(Arc::new)).collect()
        };
        // If no thread can be started, the first caller that needs the tokenizers reads them.
        let Ok(reading) = std::thread::Builder::new().spawn(open.clone()) else {
            return Self(Arc::new(LazyLock::new(Box::new(open))));
        };
        let broken = || TokenizerError::Encode { why: "reading the vocabulary failed".to_owned() };
        let join = move || reading.join().unwrap_or_else(|_panic| Err(Arc::new(broken())));
        Self(Arc::new(LazyLock::new(Box::new(join))))
    }

    /// The tokenizers, or the error that reading them gave.
    pub(super) fn get(&self) -> Result<&[Tokenizer], Arc<TokenizerError>> {
        (**self.0).as_ref().map(Vec::as_slice).map_err(Arc::clone)
    }
}

impl Model {
    /// Reads the folder. `variant` selects weights such as `fp16` where the folder has several.
    pub(super) fn open(path: &Path, variant: Option<&str>) -> Result<Self, PipelineError> {
        let folder = ModelFolder::open(path)?;
        let components = folder.family().components();
        let tokenizers = [Component::Tokenizer, Component::Tokenizer2];
        let tokenizers = tokenizers.into_iter().filter(|wanted| components.contains(wanted));
        let tokenizers =
            Tokenizers::open(tokenizers.map(|component| folder.component(component)).collect());
        let checkpoints = open_checkpoints(&folder, variant)?;
        let config = SchedulerConfig::read(
            &folder.component(Component::Scheduler).join("scheduler_config.json"),
        )?
        .of_class(folder.scheduler_class(), &folder.index());
        let scheduler = if folder.family() == Family::StableDiffusion {
            config.for_stable_diffusion()
        } else {
            config
        };
        Ok(Self { folder, tokenizers, scheduler, checkpoints, architectures: Mutex::default() })
    }

    /// The tokenizers, one for each text encoder. It is an error if a text encoder does not
    /// take as many tokens as its tokenizer gives.
    pub(super) fn tokenizers(&self) -> Result<&[Tokenizer], PipelineError> {
        let tokenizers = self.tokenizers.get()?;
        for (tokenizer, encoder) in tokenizers.iter().zip(self.folder.text_encoders()) {
            let (given, taken) = (tokenizer.max_length() as u64, encoder.tokens);
            if given != taken {
                let why = format!(
                    "the tokenizer gives {given} tokens (`model_max_length`), and the text encoder takes {taken} \
                     (`max_position_embeddings`)"
                );
                return Err(
                    ModelError::Mismatch { path: self.folder.path().to_owned(), why }.into()
                );
            }
        }
        Ok(tokenizers)
    }

    /// The weights of a component, which must be one that has weights.
    pub(super) fn checkpoint(&self, component: Component) -> &Checkpoint {
        &self.checkpoints[&component]
    }

    /// The architecture's digest for a component, and for a text encoder with these outputs;
    /// computed once.
    pub(super) fn architecture(
        &self,
        component: Component,
        outputs: Option<TextOutputs>,
        compute: impl FnOnce() -> Digest,
    ) -> Digest {
        let mut known = self.architectures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, digest)) = known.iter().find(|(of, _)| *of == (component, outputs)) {
            return *digest;
        }
        let digest = compute();
        known.push(((component, outputs), digest));
        digest
    }

    pub(super) fn is_xl(&self) -> bool {
        self.folder.family() == Family::StableDiffusionXl
    }
}

/// Opens the weights of each component that has weights. As in diffusers, the variant is used for
/// those components that have it, and at least one of them must have it.
fn open_checkpoints(
    folder: &ModelFolder,
    variant: Option<&str>,
) -> Result<HashMap<Component, Checkpoint>, PipelineError> {
    let stem = |component: Component| match component {
        Component::TextEncoder | Component::TextEncoder2 => Some("model"),
        Component::Unet | Component::Vae => Some("diffusion_pytorch_model"),
        Component::Tokenizer | Component::Tokenizer2 | Component::Scheduler => None,
    };
    let components = folder.family().components();
    let weighty = components
        .iter()
        .filter_map(|&component| Some((component, folder.component(component), stem(component)?)));
    let weighty: Vec<_> = weighty.collect();
    let is_there =
        |variant| weighty.iter().any(|(_, folder, _)| Checkpoint::has_variant(folder, variant));
    let is_nowhere = variant.is_some_and(|variant| !is_there(variant));
    let open = |(component, folder, stem): &(Component, PathBuf, &str)| {
        let own = variant.filter(|variant| is_nowhere || Checkpoint::has_variant(folder, variant));
        Ok((*component, Checkpoint::open(folder, stem, own)?))
    };
    weighty.iter().map(open).collect()
}
