//! What does a runtime consist of?
//!
//! Each part has its own file, except for the settings and the runtimes of single stages, which are
//! defined here. The public methods of a runtime are in `lib.rs`.

use std::sync::Arc;

use super::cache::Cache;
use super::digests::Digests;
use super::effort::EffortChoice;
use super::error::Error;
use super::executable::LoadedGraph;
use super::flights::Flights;
use super::metrics::Recorder;
use super::on_device::OnDevice;
use super::open_request::OpenRequest;
use super::site::Site;
use super::upgrade::queue::Upgrades;
use super::warnings::Warnings;
use crate::progress::Control;

/// A device, the cache, and the executables in memory. Clones share all of them.
///
/// When the last clone is dropped, the statistics that are still in memory are written.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
    /// The control of the work of this handle.
    pub(crate) control: Control,
    /// The request to which this handle's work belongs. `None` if each executable is a request of
    /// its own.
    pub(crate) part_of: Option<Arc<OpenRequest>>,
}

/// The parts of a runtime. Code that needs several parts gets them from methods such as
/// `Inner::lookups`. Each of these methods is defined in the file of the type that it returns.
pub(crate) struct Inner {
    pub(crate) site: Site,
    /// The runtimes of the stages that run on devices of their own.
    pub(crate) stages: StageRuntimes,
    pub(crate) rules: Rules,
    pub(crate) digests: Digests,
    pub(crate) flights: Flights,
    pub(crate) upgrades: Upgrades<Inner>,
    /// `None` if the cache was turned off or could not be opened.
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) on_device: Arc<OnDevice<LoadedGraph>>,
    /// `None` if neither metrics nor a trace are wanted.
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) warnings: Arc<Warnings>,
}

/// The settings of a runtime that concern its requests.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub(crate) struct Rules {
    /// Whether compiled executables may be used again. If not, every request compiles.
    pub(crate) reuse: bool,
    pub(crate) require_warm: bool,
    pub(crate) manual_warmup: bool,
    /// Whether graphs for a device that is here are compiled in this process, although a child
    /// could do it.
    pub(crate) compile_in_process: bool,
    /// The effort of requests that set no effort of their own. `None` if it depends on whether
    /// somebody waits for the request.
    pub(crate) effort: Option<EffortChoice>,
    /// The number of steps after which the host waits for the device; 0 turns this wait off.
    pub(crate) sync_steps: usize,
}

/// The runtimes of the stages that run on another device than the rest of the pipeline.
#[derive(Default)]
pub(crate) struct StageRuntimes {
    pub(crate) text_encoder: Option<Runtime>,
    pub(crate) vae: Option<Runtime>,
}

impl Runtime {
    pub(crate) fn new(inner: Inner, control: Control) -> Self {
        let inner = Arc::new_cyclic(|owner| {
            let mut inner = inner;
            inner.upgrades = Upgrades::of(owner.clone());
            inner
        });
        Self { inner, control, part_of: None }
    }
}

impl Inner {
    pub(crate) fn cache(&self) -> Result<&Cache, Error> {
        self.cache.as_deref().ok_or(Error::NO_CACHE)
    }

    /// Waits a while for uploads. They are counted with the last flush.
    pub(crate) fn finish_uploads(&self) {
        if let Some(cache) = &self.cache {
            cache.remotes().finish_uploads();
        }
    }

    pub(crate) fn flush(&self) {
        if let Some(cache) = &self.cache {
            cache.flush(&self.warnings);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.upgrades.stop();
        self.finish_uploads();
        self.flush();
    }
}
