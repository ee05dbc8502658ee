//! What went wrong without being an error? Each warning is said once.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use preheat_cache::{Distrust, IndexCause, StoreError};

/// Collects warnings for the result, and logs each of them when it comes.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    texts: Vec<String>,
    /// The kinds of failure of the store that were reported. A folder that cannot be written fails
    /// in several places for one reason.
    store: Vec<std::mem::Discriminant<StoreError>>,
}

impl Warnings {
    /// Adds a warning, unless it was already added.
    pub(super) fn warn(&self, text: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.texts.contains(&text) {
            tracing::warn!("{text}");
            said.texts.push(text);
        }
    }

    /// Warns if somebody besides this user and root can change a plugin that is about to be loaded:
    /// its file, or a folder in which the file can be replaced.
    pub(super) fn of_plugin(&self, library: &Path) {
        let whole = library.canonicalize().ok();
        let folders = [Some(library), whole.as_deref()].map(|path| path?.parent());
        let mut places = [Some(library)].into_iter().chain(folders).flatten();
        if let Some(distrust) = places.find_map(Distrust::of_path) {
            self.warn(format!(
                "the plugin {} is code that others can change, and preheat runs it: {distrust}; take \
                 from others the right to write there, or name a plugin in a folder of your own",
                library.display()
            ));
        }
    }

    /// Warns of what does not work in the cache, once for each kind of failure.
    ///
    /// There is no warning if other processes keep the index busy, or if another release stored an
    /// object.
    pub(super) fn store_failed(&self, doing: &str, cause: &StoreError) {
        if is_busy(cause) || matches!(cause, StoreError::Object { .. }) {
            tracing::info!(%cause, doing, "going on without");
            return;
        }
        if matches!(cause, StoreError::NoRoom { .. }) {
            return self.warn(format!("{cause}: it is compiled anew each time (--cache-max-size sets the limit, `preheat cache unpin` lets entries be removed)"));
        }
        let kind = std::mem::discriminant(cause);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.store.contains(&kind) {
            tracing::debug!(%cause, doing, "the cache still does not work");
            return;
        }
        said.store.push(kind);
        drop(said);
        let advice = match cause {
            StoreError::Untrusted { .. } => {
                "--cache-shared trusts all who may write to it, --cache-dir names another folder"
            }
            StoreError::IndexUnavailable { cause: IndexCause::Held { .. }, .. } => {
                "end the program that holds the lock, or name another folder with --cache-dir or PREHEAT_CACHE_DIR"
            }
            StoreError::Full { .. } => {
                "free some space, or name another folder with --cache-dir or PREHEAT_CACHE_DIR"
            }
            _ => {
                "--cache-dir or PREHEAT_CACHE_DIR names another folder, --cache-read-only never writes"
            }
        };
        self.warn(match cause {
            StoreError::IndexUnavailable { .. } => format!(
                "the cache's index cannot be used, executables are still found by their keys: {doing}: {cause} ({advice})"
            ),
            StoreError::Unwritable { cause: refused, .. } if is_forbidden(refused) => {
                format!("the cache may not be written, what is in it is used all the same: {doing}: {cause} ({advice})")
            }
            _ => format!("the cache does not work, going on without it: {doing}: {cause} ({advice})"),
        });
    }

    /// All warnings so far.
    pub(super) fn texts(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).texts.clone()
    }
}

/// Whether this user may not write the store, or nobody may. It can still be read.
fn is_forbidden(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether the store works, but other processes kept its index for too long.
pub(super) fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Busy(_), .. })
}
