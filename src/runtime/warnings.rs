//! What went wrong without being an error, said once each.

use std::sync::{Mutex, PoisonError};

use preheat_cache::{IndexCause, StoreError};

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
    ///
    /// An index that other processes keep busy is nothing to warn of: objects are found by their keys meanwhile.
    pub(super) fn store_failed(&self, doing: &str, cause: &StoreError) {
        if is_busy(cause) {
            tracing::info!(%cause, doing, "going on without the cache's index");
            return;
        }
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

/// Whether the store works, and other processes only kept its index for too long.
pub(super) fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Busy(_), .. })
}
