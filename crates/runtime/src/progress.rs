//! How does long work report its progress, and how is it asked to stop?
//!
//! Both belong to one piece of work: a [`Control`] goes with each request, so that stopping one
//! request does not stop the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::effort::CompileEffort;

/// Something that takes long enough to be worth showing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The model that the work is for.
    pub model_id: String,
    /// The stage of the model.
    pub stage: String,
    /// What happens to the stage.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// Makes an event of a stage of a model.
    pub fn new(model_id: impl Into<String>, stage: impl Into<String>, kind: EventKind) -> Self {
        Self { model_id: model_id.into(), stage: stage.into(), kind }
    }
}

/// What happens to a stage.
///
/// In JSON, the field `event` has the name of the variant, such as `"compiling"`, and times are
/// numbers of seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Its executable is being read and handed to the device.
    Loading {
        /// Bytes of machine code.
        payload_bytes: u64,
    },
    /// A process died while it loaded the stage's executable, so a child process tries the
    /// executable before it is loaded here.
    Trying,
    /// The stage's graph is being compiled by this process.
    Compiling {
        /// Seconds that an earlier compile of this graph, or of the one most like it, took; `None`
        /// if no such compile was measured.
        expected_seconds: Option<f64>,
    },
    /// Another process, or another thread of this process, is compiling the same graph, and the
    /// request waits for it.
    Waiting {
        /// The process that compiles: this one, or the one that the lock file names, if any.
        holder: Option<String>,
        /// How long that process has been compiling, if the lock file tells.
        #[serde(rename = "compiling_seconds", serialize_with = "as_seconds_if_known")]
        compiling: Option<Duration>,
        /// How long the request has waited.
        #[serde(rename = "waited_seconds", serialize_with = "as_seconds")]
        waited: Duration,
    },
    /// The stage's graph has been compiled.
    Compiled {
        /// Seconds the compile took.
        seconds: f64,
    },
    /// Many graphs are compiled, such as all graphs of a model; the event names no stage.
    Precompiled {
        /// The number of graphs that need no more work: they are in the cache, or their compile
        /// failed.
        done: usize,
        /// The number of all graphs.
        total: usize,
        /// Seconds that the remaining compiles may take, if similar compiles were measured.
        seconds_left: Option<f64>,
        /// The effort of these compiles, if the same graphs are compiled at several.
        effort: Option<CompileEffort>,
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
    /// Receives one event.
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
/// exit, because a compile stores nothing before it has finished.
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

/// The control of one piece of work: the receiver of its events, and the flag that asks it to stop.
/// A clone shares both.
///
/// A runtime has its own control. Its requests use that control unless they are given another one
/// ([`Request::control`](crate::Request::control), [`Runtime::controlled_by`]).
///
/// [`Runtime::controlled_by`]: crate::Runtime::controlled_by
///
/// ```
/// use preheat_runtime::progress::{Cancel, Control};
///
/// let cancel = Cancel::default();
/// let control = Control::default().cancel(cancel.clone());
/// assert!(!control.is_cancelled());
/// cancel.cancel(); // from any thread
/// assert!(control.is_cancelled());
/// ```
#[derive(Clone)]
pub struct Control {
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl Default for Control {
    /// A control that ignores all events and has a new flag, which nobody else holds.
    fn default() -> Self {
        Self { progress: Arc::new(Silent), cancel: Cancel::default() }
    }
}

impl Control {
    /// Sets the receiver of events.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Sets the flag that asks the work to stop.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Passes an event to the receiver.
    pub fn tell(&self, event: Event) {
        self.progress.event(event);
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The flag that asks the work to stop.
    pub fn flag(&self) -> &Cancel {
        &self.cancel
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancel", &self.cancel).finish_non_exhaustive()
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
