//! What long work tells whoever is watching, and how it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Something that takes long enough to be worth showing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The model that the work is for.
    pub model_id: String,
    /// The stage of it.
    pub stage: String,
    /// What happens.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happens to a stage.
///
/// Serialised, its name is `event` (`"compiling"`), and times are numbers of seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Its executable is being read and handed to the device.
    Loading {
        /// Bytes of machine code.
        payload_bytes: u64,
    },
    /// A process died over its executable, which a process of its own tries before it is loaded
    /// here.
    Trying,
    /// Its graph is being compiled, by this process.
    Compiling {
        /// Seconds that this graph, or the one most like it, took before; `None` where nothing like
        /// it was measured.
        expected_seconds: Option<f64>,
    },
    /// Another process compiles the same graph; this one waits for it.
    Waiting {
        /// Who compiles, as far as the lock file tells.
        holder: Option<String>,
        /// How long that has been compiling, as far as the lock file tells.
        #[serde(rename = "compiling_seconds", serialize_with = "as_seconds_if_known")]
        compiling: Option<Duration>,
        /// How long this process has waited.
        #[serde(rename = "waited_seconds", serialize_with = "as_seconds")]
        waited: Duration,
    },
    /// Its graph is compiled.
    Compiled {
        /// Seconds the compile took.
        seconds: f64,
    },
    /// Graphs are compiled ahead of time; of the whole model, so that the event names no stage.
    Precompiled {
        /// Graphs that are in the cache.
        done: usize,
        /// Of how many.
        total: usize,
        /// Seconds that the others may take, as far as ones like them were measured.
        seconds_left: Option<f64>,
    },
    /// Its executable is ready to run.
    Ready,
    /// Its weights are being brought to the device.
    Weights {
        /// Tensors that are there.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// A denoising step is done.
    Step {
        /// How many are.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// What was freshly compiled is run on zeros.
    WarmingUp {
        /// How many executions are done.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// A picture is being decoded.
    Decoding {
        /// How many are done.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "serde hands the field over")]
fn as_seconds_if_known<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

/// Receives [`Event`]s. Called from whichever thread does the work, so it must be quick.
pub trait Progress: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: Event);
}

/// The progress of someone who does not look.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event) {}
}

/// A flag, shared by its clones, that asks long work to stop at its next safe place.
///
/// Waits for another process's compile stop within a tenth of a second. A compile that runs inside
/// the plugin cannot be stopped from outside; a program that must end at once may simply exit,
/// since nothing is written before a compile is done.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks every holder of a clone to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether someone asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_objects_with_a_name_and_times_in_seconds() {
        let json = |kind| {
            let event = Event { model_id: "sd15".to_owned(), stage: "denoiser".to_owned(), kind };
            serde_json::to_value(event).unwrap()
        };
        assert_eq!(
            json(EventKind::Ready),
            json!({"model_id": "sd15", "stage": "denoiser", "event": "ready"})
        );
        let waited = Duration::from_millis(1500);
        let waiting = EventKind::Waiting { holder: None, compiling: Some(waited), waited };
        assert_eq!(
            json(waiting),
            json!({"model_id": "sd15", "stage": "denoiser", "event": "waiting", "holder": null,
                "compiling_seconds": 1.5, "waited_seconds": 1.5})
        );
    }
}
