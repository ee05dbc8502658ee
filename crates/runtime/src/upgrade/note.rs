//! What does the store keep of an upgrade, so that a later process can continue it?
//!
//! There is one small file for each executable of a lower effort, written whole or not at all. A
//! note of another version, or one that cannot be read, is ignored.

use jiff::Timestamp;
use preheat_cache::{Digest, GraphKey, Note, Store};
use serde::{Deserialize, Serialize};

use crate::effort::CompileEffort;

/// The version of a note's JSON. Notes of other versions are not read.
const NOTE_VERSION: u32 = 1;

/// A note about an executable of a lower effort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UpgradeNote {
    version: u32,
    /// The stage that the executable computes.
    pub(super) stage: String,
    /// The digest of the environment that the executable fits.
    pub(super) environment: Digest,
    /// When the note was written.
    at: Timestamp,
    #[serde(flatten)]
    pub(super) state: UpgradeState,
}

/// The state of an upgrade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum UpgradeState {
    /// The full executable is wanted. It may already be stored, but was not yet compared.
    Wanted,
    /// The full executable serves.
    Done(Timing),
    /// The full executable cannot be used: its compile failed, or it computes something else. Only
    /// `Runtime::finish_upgrades` tries again.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

/// The times of both executables when they were compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Timing {
    /// The lower effort.
    pub(super) effort: CompileEffort,
    pub(super) lower: Seconds,
    pub(super) full: Seconds,
}

/// The times of one executable, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Seconds {
    pub(super) compile: f64,
    /// One execution; `None` if it was not measured.
    pub(super) run: Option<f64>,
}

impl UpgradeNote {
    pub(super) fn new(stage: &str, environment: Digest, reached: UpgradeState) -> Self {
        let (version, at) = (NOTE_VERSION, Timestamp::now());
        Self { version, stage: stage.to_owned(), environment, at, state: reached }
    }

    /// The note about the executable `lower`.
    pub(super) fn read(store: &Store, lower: GraphKey) -> Option<Self> {
        let note: Self = serde_json::from_slice(&store.note(Note::Upgrade(lower))?).ok()?;
        (note.version == NOTE_VERSION).then_some(note)
    }

    /// Writes the note. If that fails, a later process upgrades the executable only when it gets a
    /// request for the same graph.
    pub(super) fn write(&self, store: &Store, lower: GraphKey) {
        let written = serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .and_then(|note| store.write_note(Note::Upgrade(lower), &note));
        if let Err(error) = written {
            tracing::debug!(%error, graph_key = %lower, "an upgrade is not remembered");
        }
    }
}

#[cfg(test)]
mod tests {
    use preheat_cache::StoreOptions;

    use super::*;

    #[test]
    fn a_note_reads_back_and_one_of_another_version_or_none_at_all_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).unwrap();
        let lower = GraphKey(Digest::of(b"lower"));
        let seconds = |compile, run| Seconds { compile, run };
        let timing = Timing {
            effort: CompileEffort::Fast,
            lower: seconds(17.0, Some(0.2)),
            full: seconds(130.0, None),
        };
        let failed = UpgradeState::Failed { reason: "no".to_owned() };
        assert_eq!(UpgradeNote::read(&store, lower), None);
        for state in [UpgradeState::Wanted, UpgradeState::Done(timing), failed] {
            let note = UpgradeNote::new("denoiser", Digest::of(b"here"), state);
            note.write(&store, lower);
            assert_eq!(UpgradeNote::read(&store, lower), Some(note));
        }
        assert_eq!(store.upgrades(), [lower]);
        let note = String::from_utf8(store.note(Note::Upgrade(lower)).unwrap()).unwrap();
        for other in [note.replace("\"version\":1", "\"version\":2"), note[1..].to_owned()] {
            store.write_note(Note::Upgrade(lower), other.as_bytes()).unwrap();
            assert_eq!(UpgradeNote::read(&store, lower), None);
        }
    }
}
