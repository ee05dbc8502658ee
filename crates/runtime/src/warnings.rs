//! Which faults that are not errors have occurred? Each of them is reported once, as a warning.
//!
//! A warning has a kind and says what happened. Advice depends on the program that a person uses:
//! the command line names its flags (`src/cli/advice.rs`), and another program names its own
//! settings.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_cache::{Distrust, IndexCause, RemoteError, StoreError};
use serde::Serialize;

/// A fault that is not an error. Its text says what happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// The kind of the fault, for a program that treats kinds differently.
    pub kind: WarningKind,
    /// What happened, as text.
    pub text: String,
}

/// The kind of a [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// The device that was asked for cannot be used, and the CPU is used instead.
    /// [`DeviceRequest::strict`](crate::device::DeviceRequest::strict) makes this an error.
    DeviceReplaced,
    /// A stage computes in the dtype of the device's own rule, not in the one that was asked for.
    /// [`Precisions::force`](crate::device::Precisions::force) overrides the rule.
    PrecisionOverruled,
    /// A stage computes in float32 because its numbers do not fit the dtype that was asked for.
    PrecisionUnfit,
    /// Weights were to be offloaded on a device on which offloading has no effect.
    OffloadIgnored,
    /// Something has to be compiled although the user warms up by hand
    /// ([`RuntimeBuilder::manual_warmup`](crate::RuntimeBuilder::manual_warmup)).
    NotWarm,
    /// The latents of a picture are not finite.
    LatentsNotFinite,
    /// A picture was decoded again in float32, because the dtype of the VAE was too small.
    DecodedAgain,
    /// A picture would have been decoded again in float32, but nothing may be compiled for it.
    ColdDecoder,
    /// A prompt is longer than what the text encoder reads, and its end has no effect.
    PromptCutOff,
    /// A prompt names a LoRA in the syntax of other programs, which has no effect here.
    LoraInPrompt,
    /// An executable cannot be stored without exceeding the cache's limit
    /// ([`RuntimeBuilder::cache_max_bytes`](crate::RuntimeBuilder::cache_max_bytes)).
    CacheLimit,
    /// Others could have changed machine code in the cache, so it is not run
    /// ([`RuntimeBuilder::cache_shared`](crate::RuntimeBuilder::cache_shared)).
    CacheUntrusted,
    /// Another program holds the lock of the cache's index and does not release it.
    CacheIndexHeld,
    /// The disk of the cache is full.
    CacheDiskFull,
    /// The cache cannot be used, or cannot be written, for another reason.
    CacheUnusable,
    /// A remote does not answer or refuses access, and is left out
    /// ([`RuntimeBuilder::cache_remote`](crate::RuntimeBuilder::cache_remote)).
    RemoteUnusable,
    /// An object of a remote is damaged or belongs to something else, and is not used.
    RemoteRefused,
    /// Anything else.
    Other,
}

impl Warning {
    /// A warning of that kind.
    pub fn new(kind: WarningKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A warning of the kind [`WarningKind::Other`].
impl From<String> for Warning {
    fn from(text: String) -> Self {
        Self::new(WarningKind::Other, text)
    }
}

/// The function that is called with each warning as soon as it occurs.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(&Warning) + Send + Sync>);

impl Listener {
    pub(super) fn new(tell: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl Default for Listener {
    /// Logs each warning.
    fn default() -> Self {
        Self::new(|warning| tracing::warn!("{warning}"))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Collects warnings for the result, and passes each of them to the listener as soon as it occurs.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    listener: Listener,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    warnings: Vec<Warning>,
    /// The reasons of the store's failures that were already reported. A folder that cannot be
    /// written causes failures in several places, all for one reason.
    store: Vec<Reason>,
}

/// Why the store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The disk is full, wherever that was noticed.
    DiskFull,
    /// Another kind of failure.
    Kind(std::mem::Discriminant<StoreError>),
}

impl Reason {
    fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Full { .. } => Self::DiskFull,
            StoreError::IndexUnavailable { cause: IndexCause::Io(error), .. }
                if error.kind() == io::ErrorKind::StorageFull =>
            {
                Self::DiskFull
            }
            error => Self::Kind(std::mem::discriminant(error)),
        }
    }
}

impl Warnings {
    pub(super) fn to(listener: Listener) -> Self {
        Self { listener, said: Mutex::default() }
    }

    /// Adds a warning, unless it was already added.
    pub(super) fn warn(&self, warning: impl Into<Warning>) {
        let warning = warning.into();
        {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.warnings.contains(&warning) {
                return;
            }
            said.warnings.push(warning.clone());
        }
        self.tell(&warning);
    }

    /// Passes a warning to the listener, and does not collect it. This is for a warning that
    /// belongs to one request and is kept with that request's result.
    pub(super) fn tell(&self, warning: &Warning) {
        (self.listener.0)(warning);
    }

    /// Warns if somebody besides this user and root can change a plugin that is about to be loaded.
    /// They may be able to change its file, or to replace the file in its folder.
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

    /// Warns that a remote does not work: once for each remote, whatever the reason is.
    pub(super) fn of_remote(&self, name: &str, cause: &RemoteError) {
        let begins = format!("the remote {name} does not work, going on without it: ");
        let is_said = |one: &Warning| one.text.starts_with(&begins);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.warnings.iter().any(is_said) {
            return;
        }
        drop(said);
        self.warn(Warning::new(WarningKind::RemoteUnusable, format!("{begins}{cause}")));
    }

    /// Warns that something in the cache does not work, once for each reason.
    ///
    /// There is no warning if other processes keep the index busy, or if an object cannot be made
    /// or used although its file can be reached.
    pub(super) fn store_failed(&self, doing: &str, cause: &StoreError) {
        if is_busy(cause) || matches!(cause, StoreError::Object { .. }) {
            tracing::info!(%cause, doing, "going on without");
            return;
        }
        if matches!(cause, StoreError::NoRoom { .. }) {
            let text = format!("{cause}: it is compiled anew each time");
            return self.warn(Warning::new(WarningKind::CacheLimit, text));
        }
        let reason = Reason::of(cause);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.store.contains(&reason) {
            tracing::debug!(%cause, doing, "the cache still does not work");
            return;
        }
        said.store.push(reason);
        drop(said);
        let kind = match cause {
            _ if reason == Reason::DiskFull => WarningKind::CacheDiskFull,
            StoreError::Untrusted { .. } => WarningKind::CacheUntrusted,
            StoreError::IndexUnavailable { cause: IndexCause::Held { .. }, .. } => {
                WarningKind::CacheIndexHeld
            }
            _ => WarningKind::CacheUnusable,
        };
        let what = match cause {
            StoreError::IndexUnavailable { .. } => {
                "the cache's index cannot be used, executables are still found by their keys"
            }
            StoreError::Unwritable { cause: refused, .. } if is_forbidden(refused) => {
                "the cache may not be written, what is in it is used all the same"
            }
            _ => "the cache does not work, going on without it",
        };
        self.warn(Warning::new(kind, format!("{what}: {doing}: {cause}")));
    }

    /// All warnings so far.
    pub(super) fn all(&self) -> Vec<Warning> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).warnings.clone()
    }
}

/// Whether the store cannot be written by this user, or by anybody, but can still be read.
fn is_forbidden(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether the store works, but other processes kept its index for too long.
pub(super) fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Busy(_), .. })
}
