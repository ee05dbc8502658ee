//! Prompts as the denoiser takes them, each encoded once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_cache::GraphKey;
use preheat_runtime::{DeviceTensor, Executable};

/// So many prompts are remembered; the one that was asked for longest ago goes first.
const LIMIT: usize = 32;

/// What the text encoders make of one prompt. It stays on the device.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// `[1, tokens, features]` of each text encoder.
    pub(super) hidden: Vec<DeviceTensor>,
    /// `[1, features]` of the last text encoder, where the denoiser reads it.
    pub(super) pooled: Option<DeviceTensor>,
}

/// What an encoded prompt depends on beside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromptKey {
    /// The prompt; `None` for the zeros that stand for no prompt.
    pub(super) text: Option<String>,
    /// The text encoders' executables: another dtype or clip skip is another executable.
    pub(super) encoders: Vec<GraphKey>,
}

impl Encoded {
    /// Adds what one text encoder gave: `hidden` and, of some, `pooled`.
    pub(super) fn push(&mut self, results: Vec<DeviceTensor>) {
        let mut results = results.into_iter();
        self.hidden.extend(results.next());
        self.pooled = results.next();
    }
}

impl PromptKey {
    pub(super) fn new(text: Option<&str>, encoders: &[Executable]) -> Self {
        Self {
            text: text.map(str::to_owned),
            encoders: encoders.iter().map(Executable::graph_key).collect(),
        }
    }
}

/// The prompts that were encoded last.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    latest_last: Mutex<VecDeque<(PromptKey, Arc<Encoded>)>>,
}

impl Prompts {
    /// The encoded prompt, from memory or by `encode`.
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

    /// Lets go of all of them.
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
        PromptKey { text: Some(text.to_string()), encoders: Vec::new() }
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
        assert_eq!(encoded.get(), LIMIT + 1, "asked for again and again, it stays");
        ask(1).unwrap();
        assert_eq!(encoded.get(), LIMIT + 2, "asked for longest ago, it went");
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
