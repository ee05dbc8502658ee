//! How are the steps that a device repeats named, timed, and limited to a few in flight?

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::Error;
use super::executable::DeviceTensor;
use super::metrics::{Recorder, Samples};
use super::parts::{Inner, Runtime};
use crate::backend::DeviceFault;
use crate::backend::contract;
use crate::progress::{Control, Event, EventKind};
use crate::trace::Going;

/// How many steps may be queued on the device at once: one that runs, and one that follows it
/// without a gap. With more, Ctrl-C would take longer, and more steps would hold memory.
const STEPS_IN_FLIGHT: usize = 2;
/// How long a wait for a step lasts before it is checked whether the caller asked to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the steps of one [`StepBoundary`] took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct StepTimes {
    /// From the beginning of the first step until it was done, in seconds.
    pub first_seconds: f64,
    /// The mean time of all steps after the first one, in seconds. If there is only one step, this
    /// is its time.
    pub mean_seconds: f64,
    /// The time in seconds that half of the steps did not exceed. The first step is included. If
    /// there were more than 1024 steps, only the last 1024 count.
    pub p50_seconds: f64,
    /// The time in seconds that 99 in 100 of those steps did not exceed.
    pub p99_seconds: f64,
}

/// The boundary between steps of one kind, such as `diffusion_step`. It is made once, before the
/// first step.
///
/// The host does not wait for a step that it has queued. Steps are timed by the completions that
/// the device reports. [`Self::begin`] allows at most two steps in flight, which limits both memory
/// and the time that Ctrl-C takes. With [`sync_steps`](crate::RuntimeBuilder::sync_steps) the host
/// also waits for the device after every Nth step.
///
/// If it is dropped instead of finished, the steps in flight go on, and nobody waits for them.
#[must_use = "a boundary does nothing until a step begins"]
pub struct StepBoundary<'a> {
    inner: &'a Inner,
    control: &'a Control,
    name: &'static str,
    model_id: String,
    stage: String,
    total: Option<usize>,
    /// When the first step began.
    began: Option<Instant>,
    queued: usize,
    done: Done,
    device: Arc<Device>,
    sender: mpsc::Sender<Told>,
    receiver: mpsc::Receiver<Told>,
    /// The event of the latest step, if the host still has to wait for it.
    latest: Option<Box<dyn contract::Event>>,
}

/// The steps that have finished.
#[derive(Default)]
struct Done {
    count: usize,
    first: Option<Instant>,
    last: Option<Instant>,
    took: Samples,
}

/// The data from which the device's threads compute how long a step took.
struct Device {
    name: &'static str,
    /// When the device finished the previous step.
    free: Mutex<Option<Instant>>,
    recorder: Option<Arc<Recorder>>,
}

/// The report on a finished step: when it finished, how long the device took for it, and whether it
/// failed.
struct Told {
    ended: Instant,
    took: Duration,
    result: Result<(), DeviceFault>,
}

/// A step that has begun. [`Self::until`] names the result with which it ends. A step that is
/// dropped without that call does not count.
#[must_use = "a step counts only after `until` was called"]
pub struct Step<'s, 'a> {
    boundary: &'s mut StepBoundary<'a>,
    began: Instant,
    _host: Option<Going>,
}

impl Runtime {
    /// Makes the boundary between steps that are called `name` in metrics and traces.
    pub fn step_boundary(&self, name: &'static str) -> StepBoundary<'_> {
        let (sender, receiver) = mpsc::channel();
        let recorder = self.inner.recorder.clone();
        StepBoundary {
            inner: &self.inner,
            control: &self.control,
            name,
            model_id: String::new(),
            stage: name.to_owned(),
            total: None,
            began: None,
            queued: 0,
            done: Done::default(),
            device: Arc::new(Device { name, free: Mutex::default(), recorder }),
            sender,
            receiver,
            latest: None,
        }
    }
}

impl<'a> StepBoundary<'a> {
    /// Sets the model and stage of the steps, which progress and errors name.
    pub fn of(mut self, model_id: impl Into<String>, stage: impl Into<String>) -> Self {
        (self.model_id, self.stage) = (model_id.into(), stage.into());
        self
    }

    /// Sets the number of all steps. Each finished step is then reported as [`EventKind::Step`].
    pub fn total(mut self, steps: usize) -> Self {
        self.total = Some(steps);
        self
    }

    /// Begins a step, after waiting until at most one other step is in flight.
    ///
    /// # Errors
    /// If an earlier step failed, or the caller asked to stop.
    pub fn begin<'s>(&'s mut self) -> Result<Step<'s, 'a>, Error> {
        while self.queued - self.done.count >= STEPS_IN_FLIGHT {
            self.wait_for_one()?;
        }
        if self.control.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let began = Instant::now();
        self.began.get_or_insert(began);
        let host = self.trace("host", self.name);
        Ok(Step { boundary: self, began, _host: host })
    }

    /// Waits until every step has finished. Returns how long they took.
    ///
    /// # Errors
    /// The errors of [`Self::begin`].
    pub fn finish(mut self) -> Result<StepTimes, Error> {
        self.synchronise()?;
        Ok(self.times())
    }

    /// The times of the steps that are known to have finished.
    fn times(&self) -> StepTimes {
        let (Some(began), Some(first), Some(last)) = (self.began, self.done.first, self.done.last)
        else {
            return StepTimes::default();
        };
        let first_seconds = first.saturating_duration_since(began).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 steps")]
        let mean_seconds = match self.done.count {
            0 | 1 => first_seconds,
            count => last.saturating_duration_since(first).as_secs_f64() / (count - 1) as f64,
        };
        let took = self.done.took.summary();
        StepTimes { first_seconds, mean_seconds, p50_seconds: took.p50, p99_seconds: took.p99 }
    }

    /// Makes the device report when `result` is ready. The step that began at `began` ends with
    /// this result.
    fn watch(&mut self, began: Instant, result: &DeviceTensor) -> Result<(), Error> {
        let event = result.ready().map_err(|cause| self.failed(cause))?;
        let (device, sender) = (Arc::clone(&self.device), self.sender.clone());
        // Nobody receives the report any more if another step failed or the boundary was dropped.
        let tell = move |result| drop(sender.send(device.ended(began, result)));
        event.on_ready(Box::new(tell)).map_err(|cause| self.failed(cause))?;
        self.queued += 1;
        let every = self.inner.rules.sync_steps;
        if every == 0 {
            return Ok(());
        }
        self.latest = Some(event);
        if self.queued.is_multiple_of(every) { self.synchronise() } else { Ok(()) }
    }

    /// Waits until the device has done everything that was queued. Without `sync_steps` the host
    /// only receives the device's reports, and does not wait on an event.
    fn synchronise(&mut self) -> Result<(), Error> {
        let _waiting = self.trace("host", "wait for the device");
        if let Some(event) = self.latest.take() {
            event.wait().map_err(|cause| self.failed(cause))?;
        }
        while self.done.count < self.queued {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<(), Error> {
        let told = loop {
            match self.receiver.recv_timeout(PATIENCE) {
                Ok(told) => break told,
                // `self.sender` is alive, so the channel is not closed. If a device never answers,
                // the caller can still ask to stop.
                Err(_) if self.control.is_cancelled() => return Err(Error::Cancelled),
                Err(_) => {}
            }
        };
        // A failed step has finished, too: nobody waits for it again.
        self.done.count += 1;
        told.result.map_err(|cause| self.failed(cause))?;
        self.done.first.get_or_insert(told.ended);
        self.done.last = Some(told.ended);
        self.done.took.add(told.took.as_secs_f64());
        if let Some(total) = self.total {
            let kind = EventKind::Step { done: self.done.count, total };
            let (model_id, stage) = (self.model_id.clone(), self.stage.clone());
            self.control.tell(Event { model_id, stage, kind });
        }
        Ok(())
    }

    fn trace(&self, row: &'static str, name: &'static str) -> Option<Going> {
        self.device.recorder.as_ref()?.begin(row, name)
    }

    fn failed(&self, cause: DeviceFault) -> Error {
        Error::Run { stage: self.stage.clone(), doing: "a step", cause }
    }
}

impl Device {
    /// Called by the device's thread when a step that began at `began` has ended.
    fn ended(&self, began: Instant, result: Result<(), DeviceFault>) -> Told {
        let ended = Instant::now();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // The step may have been queued while the previous one ran, so its time counts from the end
        // of the previous step.
        let began = free.replace(ended).map_or(began, |free| free.max(began)).min(ended);
        drop(free);
        let took = ended - began;
        if let Some(recorder) = self.recorder.as_ref().filter(|_| result.is_ok()) {
            recorder.step(self.name, began, took);
        }
        Told { ended, took, result }
    }
}

impl Step<'_, '_> {
    /// Ends the step, which is done when `result` is ready. Its work is already queued, so this
    /// returns at once, unless [`sync_steps`](crate::RuntimeBuilder::sync_steps) makes the host
    /// wait for the device now.
    ///
    /// # Errors
    /// If the plugin cannot report when `result` is ready. A call that waits for the device also
    /// fails if a step failed or the caller asked to stop.
    pub fn until(self, result: &DeviceTensor) -> Result<(), Error> {
        self.boundary.watch(self.began, result)
    }
}

impl std::fmt::Debug for StepBoundary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepBoundary")
            .field("name", &self.name)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Step<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("of", &self.boundary.name).finish_non_exhaustive()
    }
}
