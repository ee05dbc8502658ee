//! Steps: work that a device does again and again, named, timed, and kept to a few in flight.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::error::Error;
use super::executable::DeviceTensor;
use super::metrics::{Recorder, Samples};
use super::{Inner, Runtime};
use crate::backend::DeviceFault;
use crate::backend::here;
use crate::progress::{Event, EventKind};
use crate::trace::Going;

/// How many steps may be queued on the device at once: one that runs and one that follows it
/// without a gap. More would only make Ctrl-C wait longer, and hold the memory of more steps.
const STEPS_IN_FLIGHT: usize = 2;
/// How long a step is waited for before it is asked whether anyone still wants it.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the steps of one [`StepBoundary`] took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepTimes {
    /// From the begin of the first step until it was done, in seconds.
    pub first_seconds: f64,
    /// The mean of the others; the first one's where there is no other.
    pub mean_seconds: f64,
    /// What half of the steps did not exceed, the first among them; of the last 1024 where there
    /// were more.
    pub p50_seconds: f64,
    /// What 99 in 100 of them did not exceed.
    pub p99_seconds: f64,
}

/// The boundary between steps of one kind, such as `diffusion_step`: made once before the first of
/// them.
///
/// A step that was queued is not waited for. It is timed by what the device tells when it is done;
/// and [`Self::begin`] lets no more than two be in flight, so that neither memory nor Ctrl-C
/// suffers. With [`sync_steps`](super::Builder::sync_steps) (`--tpu-sync-steps N`) the host waits
/// for the device after every Nth step as well.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = preheat_runtime::Runtime::builder().for_programs().build()?;
/// # let program = preheat_cache::Program::sniff(std::fs::read("step.mlir")?)?;
/// # let signature = preheat_cache::create_execution_signature("m", [1], 1, 7.0, "euler", 20, preheat_tensor::Dtype::Float32)?;
/// # let executable = runtime.get_or_compile(&signature, &program)?;
/// # let start = executable.zeros()?.remove(0);
/// let mut latents = runtime.to_device(&start)?;
/// let mut boundary = runtime.step_boundary("diffusion_step").total(20);
/// for _ in 0..20 {
///     let step = boundary.begin()?; // waits where two are in flight
///     latents = executable.run([&latents])?.remove(0);
///     step.until(&latents)?; // waits for nothing, unless --tpu-sync-steps says so
/// }
/// let times = boundary.finish()?; // every step is done
/// println!("{:.3} s a step, p99 {:.3} s", times.mean_seconds, times.p99_seconds);
/// # Ok(())
/// # }
/// ```
///
/// Where it is dropped instead of finished, the steps in flight go on, and nobody waits for them.
#[must_use = "a boundary does nothing until a step begins"]
pub struct StepBoundary<'a> {
    runtime: &'a Inner,
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
    /// What the next wait for the device waits for.
    latest: Option<here::Event>,
}

/// The steps that are done.
#[derive(Default)]
struct Done {
    count: usize,
    first: Option<Instant>,
    last: Option<Instant>,
    took: Samples,
}

/// What the device's threads need in order to say how long a step took.
struct Device {
    name: &'static str,
    /// When the device was done with the step before.
    free: Mutex<Option<Instant>>,
    recorder: Option<Arc<Recorder>>,
}

/// What the device tells of a step: when it was done, how long the device took for it, and whether
/// it failed.
struct Told {
    ended: Instant,
    took: Duration,
    result: Result<(), DeviceFault>,
}

/// A step that has begun. [`Self::until`] says what it ends with; where it is dropped without,
/// there was no such step.
#[must_use = "a step counts once it is told what it ends with"]
pub struct Step<'s, 'a> {
    boundary: &'s mut StepBoundary<'a>,
    began: Instant,
    _host: Option<Going>,
}

impl Runtime {
    /// The boundary between steps that are called `name` in metrics and traces.
    pub fn step_boundary(&self, name: &'static str) -> StepBoundary<'_> {
        let (sender, receiver) = mpsc::channel();
        let recorder = self.inner.recorder.clone();
        StepBoundary {
            runtime: &self.inner,
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
    /// Which model and stage the steps are of: progress and errors name them.
    pub fn of(mut self, model_id: impl Into<String>, stage: impl Into<String>) -> Self {
        (self.model_id, self.stage) = (model_id.into(), stage.into());
        self
    }

    /// How many steps there will be: each one that is done is then told as [`EventKind::Step`].
    pub fn total(mut self, steps: usize) -> Self {
        self.total = Some(steps);
        self
    }

    /// Begins a step, once the device has room for it.
    ///
    /// # Errors
    /// Where an earlier step failed, or where someone asked to stop.
    pub fn begin<'s>(&'s mut self) -> Result<Step<'s, 'a>, Error> {
        while self.queued - self.done.count >= STEPS_IN_FLIGHT {
            self.wait_for_one()?;
        }
        if self.runtime.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let began = Instant::now();
        self.began.get_or_insert(began);
        let host = self.trace("host", self.name);
        Ok(Step { boundary: self, began, _host: host })
    }

    /// Waits until every step is done; what they took.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn finish(mut self) -> Result<StepTimes, Error> {
        self.synchronise()?;
        Ok(self.times())
    }

    /// What the steps that are known to be done took.
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

    /// Has the device tell when `result`, the end of a step that began at `began`, is there.
    fn watch(&mut self, began: Instant, result: &DeviceTensor) -> Result<(), Error> {
        let event = result.ready().map_err(|cause| self.failed(cause))?;
        let (device, sender) = (Arc::clone(&self.device), self.sender.clone());
        // Nobody listens any more where another step failed, or where the boundary is gone.
        let tell = move |result| drop(sender.send(device.ended(began, result)));
        event.on_ready(tell).map_err(|cause| self.failed(cause))?;
        self.queued += 1;
        let every = self.runtime.sync_steps;
        if every == 0 {
            return Ok(());
        }
        self.latest = Some(event);
        if self.queued.is_multiple_of(every) { self.synchronise() } else { Ok(()) }
    }

    /// Waits until the device is done with all that was queued. Without `sync_steps` the host is
    /// told so, and does not ask.
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
                // `self.sender` lives, so the channel is not closed; a device that never answers
                // can at least be left.
                Err(_) if self.runtime.cancel.is_cancelled() => return Err(Error::Cancelled),
                Err(_) => {}
            }
        };
        // One that failed is done as well: nobody waits for it again.
        self.done.count += 1;
        told.result.map_err(|cause| self.failed(cause))?;
        self.done.first.get_or_insert(told.ended);
        self.done.last = Some(told.ended);
        self.done.took.add(told.took.as_secs_f64());
        if let Some(total) = self.total {
            let kind = EventKind::Step { done: self.done.count, total };
            let (model_id, stage) = (self.model_id.clone(), self.stage.clone());
            self.runtime.progress.event(Event { model_id, stage, kind });
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
    /// Called by the device's thread: a step that began at `began` has ended.
    fn ended(&self, began: Instant, result: Result<(), DeviceFault>) -> Told {
        let ended = Instant::now();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // It was queued while the step before it ran; what it took counts from that one's end.
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
    /// The step is done once `result` is there. Its work is queued by now; this returns at once,
    /// unless it is time to wait for the device (`--tpu-sync-steps`).
    ///
    /// # Errors
    /// Where the plugin cannot be asked; where the device is waited for, also where a step failed.
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
