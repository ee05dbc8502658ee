//! What is a [`Runtime`] made from, and in which order are its device and cache opened?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use preheat_cache::{PluginBuild, StoreOptions, Trust};

use super::cache::Cache;
use super::devices::{Found, find_devices, find_plugin};
use super::digests::Digests;
use super::error::Error;
use super::memory::Memory;
use super::metrics::Recorder;
use super::on_device::OnDevice;
use super::warnings::Warnings;
use super::{DeviceReport, Inner, Runtime, StageRuntimes};
use crate::backend::ahead::Ahead;
use crate::backend::here::Here;
use crate::backend::torch::{Torch, TorchBackend};
use crate::backend::xla::XlaBackend;
use crate::backend::{AheadError, Backend, BackendError};
use crate::device::{self, Choice, DeviceError, DeviceName, Selected, StageDevices, Target};
use crate::progress::{Cancel, Progress, Silent};
use crate::trace::Trace;

/// The opened devices of a runtime: its own, and those of stages that have a device of their own.
struct OpenDevices {
    own: (Backend, DeviceReport),
    text_encoder: Option<(Backend, DeviceReport)>,
    vae: Option<(Backend, DeviceReport)>,
}

/// The settings of a new [`Runtime`]. Each has a default; [`Builder::build`] makes the runtime.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as on the command line"
)]
pub struct Builder {
    device: device::Request,
    stage_devices: StageDevices,
    target: Option<Target>,
    compiler_program: Option<PathBuf>,
    for_programs: bool,
    plugin: Option<PathBuf>,
    cache_dir: Option<PathBuf>,
    fallbacks: Vec<PathBuf>,
    use_cache: bool,
    read_only: bool,
    cache_trust: Trust,
    cache_max_bytes: u64,
    memory_limit_bytes: u64,
    require_warm: bool,
    manual_warmup: bool,
    sync_steps: usize,
    metrics: bool,
    trace: Option<Trace>,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            device: device::Request::default(),
            stage_devices: StageDevices::default(),
            target: None,
            compiler_program: None,
            for_programs: false,
            plugin: None,
            cache_dir: None,
            fallbacks: Vec::new(),
            use_cache: true,
            read_only: false,
            cache_trust: Trust::Private,
            cache_max_bytes: StoreOptions::DEFAULT_MAX_BYTES,
            memory_limit_bytes: Self::DEFAULT_MEMORY_LIMIT_BYTES,
            require_warm: false,
            manual_warmup: false,
            sync_steps: 0,
            metrics: false,
            trace: None,
            progress: Arc::new(Silent),
            cancel: Cancel::default(),
        }
    }
}

impl Builder {
    /// The default limit of the machine code that is kept in memory, in bytes.
    pub const DEFAULT_MEMORY_LIMIT_BYTES: u64 = 2 << 30;
    /// The number of executions on zeros in an automatic warmup (`--tpu-warmup-steps`).
    pub const DEFAULT_WARMUP_STEPS: u32 = 2;
    /// The multiple that sizes are rounded up to, in pixels (`--tpu-shape-padding-multiple`).
    pub const DEFAULT_PADDING_MULTIPLE_PX: u64 = 64;

    /// Sets which device is asked for.
    #[must_use]
    pub fn device(mut self, request: device::Request) -> Self {
        self.device = request;
        self
    }

    /// Sets devices for single stages (`--text-encoder-device`, `--vae-device`). Stages can be
    /// spread over the devices of libtorch only.
    #[must_use]
    pub fn stage_devices(mut self, devices: StageDevices) -> Self {
        self.stage_devices = devices;
        self
    }

    /// Makes a runtime for programs, which run on devices of XLA only. `auto` then passes over the
    /// devices of libtorch, which run the graphs of models.
    #[must_use]
    pub fn for_programs(mut self) -> Self {
        self.for_programs = true;
        self
    }

    /// Sets a target: hardware that need not be here. The runtime then looks up and compiles for
    /// it, and runs nothing.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Sets the program that is started to compile ahead of time: the `preheat` command, or one
    /// that calls [`serve_compiler`](crate::serve_compiler). The default is this program.
    #[must_use]
    pub fn compiler_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler_program = Some(program.into());
        self
    }

    /// Sets the plugin's file, in place of the one that `preheat plugins list` finds.
    #[must_use]
    pub fn plugin(mut self, path: impl Into<PathBuf>) -> Self {
        self.plugin = Some(path.into());
        self
    }

    /// Sets the cache's folder. The default is `PREHEAT_CACHE_DIR`, or else `preheat` in the
    /// platform's folder for caches.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// Adds a read-only cache that is looked up after the main one, such as one that is part of a
    /// container image.
    #[must_use]
    pub fn cache_fallback(mut self, dir: impl Into<PathBuf>) -> Self {
        self.fallbacks.push(dir.into());
        self
    }

    /// Sets whether there is a cache at all. Without one, everything is compiled every time and
    /// nothing is written.
    #[must_use]
    pub fn use_cache(mut self, use_cache: bool) -> Self {
        self.use_cache = use_cache;
        self
    }

    /// Sets whether the cache is only read, never written.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets whether the cache is shared: everybody in the group of its folder may write to it, and
    /// this process runs the machine code that they put there (docs/security.md). Otherwise machine
    /// code is run only from folders and files that belong to this user or to root, and that nobody
    /// else may write.
    #[must_use]
    pub fn cache_shared(mut self, shared: bool) -> Self {
        self.cache_trust = if shared { Trust::Shared } else { Trust::Private };
        self
    }

    /// Sets how many bytes the cache may take on disk. Beyond it, the entries of least value are
    /// removed.
    #[must_use]
    pub fn cache_max_bytes(mut self, bytes: u64) -> Self {
        self.cache_max_bytes = bytes;
        self
    }

    /// Sets how many bytes of machine code are kept in memory. Beyond it, the least recently used
    /// executables are dropped.
    #[must_use]
    pub fn memory_limit_bytes(mut self, bytes: u64) -> Self {
        self.memory_limit_bytes = bytes;
        self
    }

    /// Sets whether a request that would have to compile fails, with [`Error::NotWarm`].
    #[must_use]
    pub fn require_warm(mut self, require_warm: bool) -> Self {
        self.require_warm = require_warm;
        self
    }

    /// Sets whether the user warms up by hand (`--tpu-manual-warmup`): each compile outside of a
    /// warmup then causes a warning.
    #[must_use]
    pub fn manual_warmup(mut self, manual_warmup: bool) -> Self {
        self.manual_warmup = manual_warmup;
        self
    }

    /// Sets after how many steps the host waits for the device (`--tpu-sync-steps`). With 0, the
    /// default, the host waits only where it reads a result, or where too many steps are in flight.
    /// See [`StepBoundary`](super::StepBoundary).
    #[must_use]
    pub fn sync_steps(mut self, steps: usize) -> Self {
        self.sync_steps = steps;
        self
    }

    /// Sets whether [`Runtime::metrics`] is filled.
    #[must_use]
    pub fn metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sets a trace that the runtime adds to.
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Sets the receiver of events about work that takes long.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Sets the flag with which the caller can stop long work.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Chooses the device, loads its plugin and opens the cache.
    ///
    /// # Errors
    /// Where no device can be used. A cache that cannot be opened is not an error: everything is
    /// compiled then, and [`Runtime::warnings`] says why.
    pub fn build(self) -> Result<Runtime, Error> {
        let warnings = Arc::new(Warnings::default());
        let cache = self.cache(&warnings).map(Arc::new);
        let opening = self.trace.as_ref().map(|trace| trace.begin("host", "open the device"));
        let mut devices = match &self.target {
            Some(target) => {
                let own = self.ahead(target, cache.as_deref(), &warnings)?;
                OpenDevices { own, text_encoder: None, vae: None }
            }
            None => self.here(cache.as_deref(), &warnings)?,
        };
        drop(opening);
        let recorder = (self.metrics || self.trace.is_some())
            .then(|| Arc::new(Recorder::new(self.trace.clone())));
        let make = |(backend, device): (Backend, DeviceReport), stages| {
            tracing::info!(device = %device.selected, reason = %device.reason, "device chosen");
            let environment_digest = backend.environment().digest();
            let here = match &backend {
                Backend::Here(here) => Some(here.clone()),
                Backend::Ahead(_) => None,
            };
            Runtime::new(Inner {
                device,
                stages,
                digests: Digests::new(environment_digest).into(),
                environment_digest,
                backend,
                compiler_program: self.compiler_program.clone(),
                reuse: self.use_cache,
                compiling: std::sync::Mutex::default(),
                cache: cache.clone(),
                on_device: Arc::new(OnDevice::new(here, Memory::new(self.memory_limit_bytes))),
                require_warm: self.require_warm,
                manual_warmup: self.manual_warmup,
                sync_steps: self.sync_steps,
                recorder: recorder.clone(),
                progress: Arc::clone(&self.progress),
                cancel: self.cancel.clone(),
                warnings: Arc::clone(&warnings),
            })
        };
        let of_a_stage = |opened| make(opened, StageRuntimes::default());
        let text_encoder = devices.text_encoder.take().map(of_a_stage);
        // Two stages on one device share a runtime.
        let vae = devices.vae.take().map(|opened| match &text_encoder {
            Some(runtime) if runtime.device().selected == opened.1.selected => runtime.clone(),
            _ => of_a_stage(opened),
        });
        let stages = StageRuntimes { text_encoder, vae };
        Ok(make(devices.own, stages))
    }

    /// Chooses the devices among those that are here, and opens them.
    fn here(&self, cache: Option<&Cache>, warnings: &Warnings) -> Result<OpenDevices, Error> {
        let found = match &self.plugin {
            Some(path) => Found { inventory: device::Inventory::of_one_plugin(path), torch: None },
            None => find_devices(self.device, self.stage_devices, self.for_programs),
        };
        let choices = device::choose_for_stages(self.device, self.stage_devices, &found.inventory)?;
        for choice in [&choices.denoiser, &choices.text_encoder, &choices.vae] {
            choice.warnings.iter().for_each(|warning| warnings.warn(warning.clone()));
        }
        let open =
            |choice: &Choice| self.open(choice.clone(), found.torch.as_ref(), cache, warnings);
        let of_a_stage = |choice: &Choice| {
            let is_its_own = choice.selected != choices.denoiser.selected;
            is_its_own.then(|| open(choice)).transpose()
        };
        Ok(OpenDevices {
            own: open(&choices.denoiser)?,
            text_encoder: of_a_stage(&choices.text_encoder)?,
            vae: of_a_stage(&choices.vae)?,
        })
    }

    /// Opens the device that was chosen.
    fn open(
        &self,
        mut choice: Choice,
        torch: Option<&Torch>,
        cache: Option<&Cache>,
        warnings: &Warnings,
    ) -> Result<(Backend, DeviceReport), Error> {
        let here = match (&mut choice.selected, torch) {
            (Selected::Xla { device, plugin }, _) => {
                warnings.of_plugin(plugin);
                let mut backend =
                    XlaBackend::open(*device, plugin, || plugin_build(plugin, cache))?;
                if self.plugin.is_some() && self.device.device == DeviceName::Auto {
                    backend = backend.named_by_platform();
                    *device = backend.name;
                    "the plugin was named".clone_into(&mut choice.reason);
                }
                Here::Xla(Arc::new(backend))
            }
            (Selected::Torch(device), Some(torch)) => {
                let identify = |library: &Path| {
                    warnings.of_plugin(library);
                    plugin_build(library, cache)
                };
                Here::Torch(Arc::new(TorchBackend::new(torch, device, identify)?))
            }
            (Selected::Torch(_), None) => {
                let why = "it was not opened".to_owned();
                return Err(DeviceError::NoTorch { device: choice.requested, why }.into());
            }
        };
        let device = DeviceReport::new(&choice, &here.environment().device_kind);
        Ok((Backend::Here(here), device))
    }

    /// Makes a compiler for hardware that need not be here.
    fn ahead(
        &self,
        target: &Target,
        cache: Option<&Cache>,
        warnings: &Warnings,
    ) -> Result<(Backend, DeviceReport), Error> {
        let plugin = match &self.plugin {
            Some(path) => path.clone(),
            None => find_plugin(target.device())
                .map_err(|why| BackendError::NoPlugin { target: target.clone(), why })?,
        };
        warnings.of_plugin(&plugin);
        let notes = cache.and_then(Cache::remembers);
        let (target, program) = (target.clone(), self.compiler_program.clone());
        let identify = || plugin_build(&plugin, cache);
        let ahead = Ahead::open(target.clone(), &plugin, program, identify, notes, &self.cancel);
        let ahead = ahead.map_err(|error| match error {
            BackendError::Target { cause: AheadError::Cancelled, .. } => Error::Cancelled,
            error => error.into(),
        })?;
        let device = DeviceReport {
            requested: target.to_string(),
            selected: target.to_string(),
            reason: "compiled for ahead of time".to_owned(),
            kind: ahead.environment.device_kind.clone(),
        };
        Ok((Backend::Ahead(Box::new(ahead)), device))
    }

    pub(super) fn asked_target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    pub(super) fn has_plugin(&self) -> bool {
        self.plugin.is_some()
    }

    pub(super) fn asked_device(&self) -> DeviceName {
        self.device.device
    }

    /// Opens the cache alone, to ask what it holds. No device is chosen and no plugin is loaded.
    ///
    /// # Errors
    /// Where the cache cannot be opened.
    pub fn open_cache(&self) -> Result<Cache, Error> {
        if !self.use_cache {
            return Err(Error::NoCache("--tpu-compilation-cache=false turns it off"));
        }
        let dir = self
            .dir()
            .ok_or(Error::NoCache("no cache folder is known: set PREHEAT_CACHE_DIR or HOME"))?;
        Ok(Cache::open(self.store_options(dir), &self.fallbacks)?)
    }

    /// Opens as much of the cache as can be opened, and warns of the rest.
    fn cache(&self, warnings: &Warnings) -> Option<Cache> {
        if !self.use_cache {
            return None;
        }
        let Some(dir) = self.dir() else {
            warnings.warn(
                "no cache folder is known, so nothing is kept: set PREHEAT_CACHE_DIR or HOME"
                    .to_owned(),
            );
            return None;
        };
        Cache::open_or_degrade(self.store_options(dir), &self.fallbacks, warnings)
    }

    fn store_options(&self, dir: PathBuf) -> StoreOptions {
        let (read_only, trust, max_bytes) =
            (self.read_only, self.cache_trust, self.cache_max_bytes);
        StoreOptions { dir, read_only, trust, max_bytes }
    }

    fn dir(&self) -> Option<PathBuf> {
        use etcetera::BaseStrategy as _;
        let platform = || {
            etcetera::choose_base_strategy().ok().map(|folders| folders.cache_dir().join("preheat"))
        };
        let variable = || {
            std::env::var_os("PREHEAT_CACHE_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
        };
        self.cache_dir.clone().or_else(variable).or_else(platform)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("device", &self.device)
            .field("cache_dir", &self.cache_dir)
            .finish_non_exhaustive()
    }
}

/// The identity of the plugin's build. A content hash is remembered in the cache's folder if that
/// folder may be written.
fn plugin_build(path: &Path, cache: Option<&Cache>) -> Result<String, BackendError> {
    let unreadable = |cause| BackendError::Identity { path: path.to_owned(), cause };
    Ok(PluginBuild::of(path, cache.map(Cache::notes)).map_err(unreadable)?.to_string())
}
