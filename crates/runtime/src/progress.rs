//! How does long work report its progress, and how is it asked to stop?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Something that takes long enough to be worth showing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The model that the work is for.
    pub model_id: String,
    /// The stage of the model.
    pub stage: String,
    /// What happens to the stage.
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
    /// A process died over the stage's executable. A child process tries it before it is loaded
    /// here.
    Trying,
    /// The stage's graph is being compiled by this process.
    Compiling {
        /// Seconds that an earlier compile of this graph, or of the one most like it, took; `None`
        /// if no such compile was measured.
        expected_seconds: Option<f64>,
    },
    /// Another process is compiling the same graph, and this process waits for it.
    Waiting {
        /// The process that compiles, if the lock file names it.
        holder: Option<String>,
        /// How long that process has been compiling, if the lock file tells.
        #[serde(rename = "compiling_seconds", serialize_with = "as_seconds_if_known")]
        compiling: Option<Duration>,
        /// How long this process has waited.
        #[serde(rename = "waited_seconds", serialize_with = "as_seconds")]
        waited: Duration,
    },
    /// The stage's graph has been compiled.
    Compiled {
        /// Seconds the compile took.
        seconds: f64,
    },
    /// Graphs of the whole model are compiled ahead of time; the event names no stage.
    Precompiled {
        /// The number of graphs that are in the cache.
        done: usize,
        /// The number of all graphs.
        total: usize,
        /// Seconds that the remaining compiles may take, if similar compiles were measured.
        seconds_left: Option<f64>,
    },
    /// The stage's executable is ready to run.
    Ready,
    /// The stage's weights are being moved to the device.
    Weights {
        /// The number of tensors that are on the device.
        done: usize,
        /// The number of all tensors.
        total: usize,
    },
    /// A denoising step has finished.
    Step {
        /// The number of finished steps.
        done: usize,
        /// The number of all steps.
        total: usize,
    },
    /// A newly compiled executable is run on zeros.
    WarmingUp {
        /// The number of finished executions.
        done: u64,
        /// The number of all executions.
        total: u64,
    },
    /// A picture is being decoded.
    Decoding {
        /// The number of decoded pictures.
        done: u64,
        /// The number of all pictures.
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

/// Receives [`Event`]s. It is called by the thread that does the work, so it must be quick.
pub trait Progress: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: Event);
}

/// Ignores all events.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event) {}
}

/// A flag, shared by its clones, that asks long work to stop at its next safe place.
///
/// A wait for another process's compile stops within a tenth of a second. A compile that runs
/// inside the plugin cannot be stopped from outside. A program that must end at once may simply
/// exit, since nothing is written before a compile has finished.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks every holder of a clone to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a holder of a clone asked to stop.
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
