//! Would a plugin end this process because of the flags in the environment?
//!
//! XLA ends the process at a flag in `XLA_FLAGS` or `LIBTPU_INIT_ARGS` that it does not know, or
//! whose value it refuses. So if there are flags, a child loads the plugin first. That the child
//! lived is remembered.

use std::path::Path;

use preheat_cache::{FramedHasher, Note, Store};
use preheat_environment::Identity;
use preheat_pjrt::{Client, Plugin};

use super::ended::ended_itself;
use super::job::{Answer, Job, PluginFile, Task};
use super::process::{self, Starting};
use super::{AheadError, refused};
use crate::backend::BackendError;
use crate::backend::xla;
use crate::device::XlaDevice;
use crate::progress::Cancel;

/// The version of the key under which it is stored that a plugin takes some flags.
const FLAGS_TAG: &str = "preheat-flags-v1";

/// Refuses to load a plugin that ends its process because of the flags in the environment. If no
/// child can be had, nothing is refused.
pub(crate) fn check_flags(
    device: XlaDevice,
    plugin: &Path,
    program: Option<&Path>,
    notes: Option<&Store>,
    cancel: &Cancel,
) -> Result<(), BackendError> {
    let identity = Identity::now(String::new())?;
    let has_flags = identity.variables().iter().any(|(_, value)| !value.trim().is_empty());
    // A plugin that is loaded has read its flags already.
    if !has_flags || xla::is_loaded(plugin) {
        return Ok(());
    }
    let file = PluginFile::now(plugin);
    let mut hasher = FramedHasher::new(FLAGS_TAG);
    hasher.text(&format!("{file:?}"));
    for word in identity.words() {
        hasher.text(&word);
    }
    let note = Note::Target(hasher.finish());
    if notes.is_some_and(|store| store.note(note).is_some()) {
        return Ok(());
    }
    // Only one process may have a client of a TPU. libtpu reads its own flags when it is loaded.
    let creates_client = device == XlaDevice::XlaCpu;
    let job = Job { plugin: file, task: Task::ReadFlags { creates_client } };
    let starting = Starting { program, variables: identity.variables() };
    let answer = process::answer_folder()
        .and_then(|folder| process::run(&starting, &job, &[], &folder, cancel));
    match answer {
        Ok(_) => {
            // A command that only reads makes no folder for the cache.
            let notes = notes.filter(|store| store.dir().is_dir());
            if let Some(error) = notes.and_then(|store| store.write_note(note, b"taken").err()) {
                tracing::debug!(%error, "it is not remembered that the flags are taken");
            }
            Ok(())
        }
        Err(AheadError::Ended { status, said }) if ended_itself(status, &said) => {
            Err(BackendError::FlagsRefused { path: plugin.to_owned(), status, said })
        }
        Err(error) => {
            tracing::debug!(%error, "the flags are not checked in a child");
            Ok(())
        }
    }
}

/// The child's side.
pub(super) fn serve(plugin: &PluginFile, creates_client: bool) -> Answer {
    let loaded = Plugin::open(&plugin.path);
    let read = loaded.and_then(|plugin| {
        if creates_client { Client::create(&plugin, &[]).map(drop) } else { Ok(()) }
    });
    // An error is reported again when the parent loads the plugin.
    read.map_or_else(|error| refused(error.code(), &error), |()| Answer::Ran)
}
