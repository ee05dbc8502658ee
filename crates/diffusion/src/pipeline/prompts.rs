//! Has this prompt been encoded before?
//!
//! The results for the prompts that were used last stay on the device, in the form in which the
//! denoiser reads them. While its result is there, a prompt is not encoded again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_cache::GraphKey;
use preheat_runtime::{DeviceTensor, Executable};

use super::prompt_syntax::PromptSyntax;
use super::stage::Stage;
use crate::lora::AdaptersId;

/// How many encoded prompts are kept; the one that has not been used for the longest time is
/// dropped first.
const LIMIT: usize = 32;

/// The outputs of the text encoders for one prompt. They stay on the device.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The hidden states of each text encoder, `[1, tokens, features]`.
    pub(super) hidden: Vec<DeviceTensor>,
    /// The pooled output of the last text encoder, `[1, features]`, if the denoiser reads it.
    pub(super) pooled: Option<DeviceTensor>,
}

/// What an encoded prompt depends on besides the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromptKey {
    /// The text for each text encoder; `None` for the zeros that take its place if there is no
    /// prompt.
    pub(super) texts: Option<[String; 2]>,
    /// How the texts are read.
    pub(super) syntax: PromptSyntax,
    /// How many chunks of tokens the denoiser reads.
    pub(super) chunks: u64,
    /// The text encoders' executables, which differ for another dtype or clip skip.
    pub(super) encoders: Vec<GraphKey>,
    /// The LoRAs that change the weights of each text encoder.
    pub(super) adapters: Vec<AdaptersId>,
}

impl Encoded {
    /// Adds the outputs of one text encoder: `hidden` and, from some text encoders, `pooled`.
    pub(super) fn push(&mut self, results: Vec<DeviceTensor>) {
        let mut results = results.into_iter();
        self.hidden.extend(results.next());
        self.pooled = results.next();
    }
}

impl PromptKey {
    /// `encoders` are the executables of `stages`, in the same order.
    pub(super) fn new(
        texts: Option<[&str; 2]>,
        (syntax, chunks): (PromptSyntax, u64),
        encoders: &[Executable],
        stages: &[Stage],
    ) -> Self {
        Self {
            texts: texts.map(|texts| texts.map(str::to_owned)),
            syntax,
            chunks,
            encoders: encoders.iter().map(Executable::graph_key).collect(),
            adapters: stages.iter().map(|stage| stage.adapters.id().clone()).collect(),
        }
    }
}

/// The prompts that were encoded last.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    latest_last: Mutex<VecDeque<(PromptKey, Arc<Encoded>)>>,
}

impl Prompts {
    /// Returns the encoded prompt if it is kept here, and otherwise calls `encode`.
    pub(super) fn get_or_encode<E>(
        &self,
        key: PromptKey,
        encode: impl FnOnce() -> Result<Encoded, E>,
    ) -> Result<Arc<Encoded>, E> {
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        let encoded = Arc::new(encode()?);
        let mut latest_last = self.latest_last.lock().unwrap_or_else(PoisonError::into_inner);
        if latest_last.len() >= LIMIT {
            latest_last.pop_front();
        }
        latest_last.push_back((key, Arc::clone(&encoded)));
        Ok(encoded)
    }

    /// Drops all encoded prompts.
    pub(super) fn forget(&self) {
        self.latest_last.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn find(&self, key: &PromptKey) -> Option<Arc<Encoded>> {
        let mut latest_last = self.latest_last.lock().unwrap_or_else(PoisonError::into_inner);
        let position = latest_last.iter().position(|(known, _)| known == key)?;
        let found = latest_last.remove(position)?;
        let encoded = Arc::clone(&found.1);
        latest_last.push_back(found);
        Some(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: usize) -> PromptKey {
        let texts = Some([text.to_string(), String::new()]);
        let (syntax, chunks) = (PromptSyntax::Plain, 1);
        PromptKey { texts, syntax, chunks, encoders: Vec::new(), adapters: Vec::new() }
    }

    #[test]
    fn a_prompt_is_encoded_once_until_many_others_came() {
        let prompts = Prompts::default();
        let encoded = std::cell::Cell::new(0);
        let ask = |text: usize| {
            prompts.get_or_encode(key(text), || {
                encoded.set(encoded.get() + 1);
                Ok::<_, ()>(Encoded { hidden: Vec::new(), pooled: None })
            })
        };
        ask(0).unwrap();
        for other in 1..LIMIT {
            ask(other).unwrap();
            ask(0).unwrap();
        }
        assert_eq!(encoded.get(), LIMIT);
        ask(LIMIT).unwrap();
        ask(0).unwrap();
        assert_eq!(encoded.get(), LIMIT + 1, "a prompt that is used again and again is kept");
        ask(1).unwrap();
        assert_eq!(encoded.get(), LIMIT + 2, "the prompt that was unused for longest is dropped");
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let prompts = Prompts::default();
        assert!(prompts.get_or_encode(key(0), || Err(())).is_err());
        assert!(
            prompts
                .get_or_encode(key(0), || Ok::<_, ()>(Encoded { hidden: Vec::new(), pooled: None }))
                .is_ok()
        );
    }
}
