//! What went wrong without being an error, said once each.

use std::sync::{Mutex, PoisonError};

/// Collects warnings for the result, and logs each as it comes.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    texts: Vec<String>,
    store: bool,
}

impl Warnings {
    /// Says something.
    pub(super) fn warn(&self, text: String) {
        tracing::warn!("{text}");
        self.said.lock().unwrap_or_else(PoisonError::into_inner).texts.push(text);
    }

    /// Says that the cache does not work, the first time that it does not; an unwritable folder fails in several places,
    /// and they all have one cause.
    pub(super) fn store_failed(&self, doing: &str, cause: &preheat_cache::StoreError) {
        let first = !std::mem::replace(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner).store, true);
        if first {
            self.warn(format!(
                "the cache does not work, going on without it: {doing}: {cause} \
                 (--cache-dir or PREHEAT_CACHE_DIR names another folder)"
            ));
        } else {
            tracing::debug!(%cause, doing, "the cache still does not work");
        }
    }

    /// Everything that was said so far.
    pub(super) fn texts(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).texts.clone()
    }
}
