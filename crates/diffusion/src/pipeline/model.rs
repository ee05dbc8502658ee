//! Which parts of a model are read once, for all requests?
//!
//! All of its files, which `source.rs` finds, are read once, except the values of the weights:
//! `resident.rs` loads these when a stage needs them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use preheat_cache::Digest;

use super::builder::PipelineBuilder;
use super::error::PipelineError;
use super::request::Lora;
use super::schedulers::SchedulerConfig;
use super::source::{Source, TokenizerFiles};
use super::tokenizer::{Tokenizer, TokenizerError};
use crate::lora::{Adapters, LoraError, ModuleNames, Shelf};
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
    /// What a user should know about the model's files.
    pub(super) remarks: Vec<String>,
    /// Digests of the architectures. Computing a digest reads the names and shapes of about a
    /// thousand weights, and every request needs several digests.
    architectures: Mutex<Vec<(ArchitectureOf, Digest)>>,
    loras: Shelf,
}

/// The part of a model that an architecture's digest describes: a component, and for a text encoder
/// also the outputs that are wanted.
type ArchitectureOf = (Component, Option<TextOutputs>);

/// The tokenizers of a model, one for each text encoder. Reading a vocabulary takes longer than
/// reading all other files together, so a separate thread reads the vocabularies. The first caller
/// that needs the tokenizers waits for that thread.
#[derive(Debug, Clone)]
pub(super) struct Tokenizers(Arc<Opened>);

type Opened =
    LazyLock<Result<Vec<Tokenizer>, Arc<TokenizerError>>, Box<dyn FnOnce() -> OpenedNow + Send>>;
type OpenedNow = Result<Vec<Tokenizer>, Arc<TokenizerError>>;

impl Tokenizers {
    fn open(all: Vec<TokenizerFiles>) -> Self {
        let open_one = |files: &TokenizerFiles| match files {
            TokenizerFiles::Folder(folder) => Tokenizer::open(folder),
            TokenizerFiles::Carried(path, config) => Tokenizer::carried(path, config),
        };
        let open = move || all.iter().map(|files| open_one(files).map_err(Arc::new)).collect();
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
    /// Reads a folder or a single file.
    pub(super) fn open(path: &Path, settings: &PipelineBuilder) -> Result<Self, PipelineError> {
        let Source { folder, tokenizers, scheduler, checkpoints, remarks } =
            Source::open(path, settings)?;
        let tokenizers = Tokenizers::open(tokenizers);
        Ok(Self {
            folder,
            tokenizers,
            scheduler,
            checkpoints,
            remarks,
            architectures: Mutex::default(),
            loras: Shelf::default(),
        })
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

    /// The weights of `component`, which must be one of the components that have weights.
    pub(super) fn checkpoint(&self, component: Component) -> &Checkpoint {
        &self.checkpoints[&component]
    }

    /// The architecture's digest of a component; of a text encoder, the digest with these outputs.
    /// It is computed once.
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

    /// What these LoRA files change in the model. Files that earlier requests named stay open.
    ///
    /// # Errors
    /// If a file cannot be opened, or does not fit the model.
    pub(super) fn adapters(&self, loras: &[Lora]) -> Result<Adapters, LoraError> {
        let wanted = loras.iter().map(|lora| (lora.path.as_path(), lora.weight));
        self.loras.adapters(wanted, self.folder.family(), || {
            let changeable =
                [Component::Unet, Component::TextEncoder, Component::TextEncoder2].into_iter();
            let weights = changeable.filter_map(|component| {
                let checkpoint = self.checkpoints.get(&component)?;
                Some(checkpoint.names_and_shapes().map(move |(name, dims)| (component, name, dims)))
            });
            ModuleNames::new(self.folder.unet(), weights.flatten())
        })
    }

    pub(super) fn is_xl(&self) -> bool {
        self.folder.family() == Family::StableDiffusionXl
    }
}
