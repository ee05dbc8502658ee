//! How does a program follow long work, and stop it?

/// A program that shows progress implements this trait and gives it to
/// [`RuntimeBuilder::progress`](crate::RuntimeBuilder::progress).
///
/// ```
/// use std::sync::Arc;
///
/// use preheat::{Event, Progress, Runtime};
///
/// struct Lines;
///
/// impl Progress for Lines {
///     fn event(&self, event: Event) {
///         eprintln!("{} {}: {:?}", event.model_id, event.stage, event.kind);
///     }
/// }
///
/// let builder = Runtime::builder().progress(Arc::new(Lines));
/// # let _ = builder;
/// ```
pub use preheat_runtime::progress::Progress;

/// An event names its model and its stage. It can be passed on as JSON.
///
/// ```
/// use preheat::{Event, EventKind};
///
/// let kind = EventKind::Step { done: 3, total: 20 };
/// let event = Event::new("sd15", "denoiser", kind);
/// assert_eq!(
///     serde_json::json!(event),
///     serde_json::json!({
///         "model_id": "sd15", "stage": "denoiser", "event": "step", "done": 3, "total": 20
///     })
/// );
/// ```
pub use preheat_runtime::progress::Event;

/// A control belongs to one request, so that stopping this request does not stop the others.
///
/// ```
/// use std::sync::Arc;
///
/// use preheat::{Cancel, Control, Event, Progress};
///
/// struct Silent;
///
/// impl Progress for Silent {
///     fn event(&self, _: Event) {}
/// }
///
/// let cancel = Cancel::default();
/// let control = Control::default().cancel(cancel.clone()).progress(Arc::new(Silent));
/// // `runtime.request(&signature, &graph).control(control)`, or `runtime.controlled_by(&control)`
/// cancel.cancel();
/// assert!(control.is_cancelled());
/// ```
pub use preheat_runtime::progress::Control;

/// New kinds of events may come with a release, so a `match` on them has an arm for the others.
///
/// ```
/// use preheat::EventKind;
///
/// fn status(kind: &EventKind) -> Option<String> {
///     match kind {
///         EventKind::Compiling { expected_seconds: Some(seconds) } => {
///             Some(format!("compiling, about {seconds:.0} s"))
///         }
///         EventKind::Step { done, total } => Some(format!("step {done} of {total}")),
///         _ => None,
///     }
/// }
///
/// assert_eq!(status(&EventKind::Step { done: 3, total: 20 }).as_deref(), Some("step 3 of 20"));
/// ```
pub use preheat_runtime::progress::EventKind;

/// The runtime gets a clone of the flag; whoever has another clone can stop the runtime's work.
///
/// ```
/// use preheat::{Cancel, Runtime};
///
/// let stop = Cancel::default();
/// let builder = Runtime::builder().cancel(stop.clone());
/// stop.cancel(); // from a signal handler's thread, for example
/// assert!(stop.is_cancelled());
/// # let _ = builder;
/// ```
pub use preheat_runtime::progress::Cancel;

/// A trace is written as JSON that Perfetto shows.
///
/// ```
/// use preheat::{Runtime, Trace};
///
/// # fn main() -> std::io::Result<()> {
/// let trace = Trace::default();
/// let builder = Runtime::builder().trace(trace.clone());
/// let reading = trace.begin("disk", "read the prompts"); // until it is dropped
/// drop(reading);
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("trace.json");
/// trace.write(&path)?;
/// # let _ = builder;
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::trace::Trace;
