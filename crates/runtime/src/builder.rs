//! What is a [`Runtime`] made from, and in which order are its device and cache opened?
//!
//! A [`RuntimeBuilder`] has the settings. The cache is opened first, because the identity of a
//! plugin's build is remembered there. Then the device is chosen and its plugin is loaded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use preheat_cache::{PluginBuild, RemoteStorage, StoreOptions, Trust};

use super::DeviceReport;
use super::cache::Cache;
use super::devices::{Found, find_devices, find_plugin};
use super::digests::Digests;
use super::effort::EffortChoice;
use super::error::{Error, NoCache};
use super::flights::Flights;
use super::memory::Memory;
use super::metrics::Recorder;
use super::on_device::OnDevice;
use super::parts::{Inner, Rules, Runtime, StageRuntimes};
use super::remotes::RemoteSettings;
use super::site::Site;
use super::upgrade::queue::Upgrades;
use super::warnings::{Listener, Warning, Warnings};
use crate::backend::ahead::{Ahead, check_flags, this_program_serves};
use crate::backend::contract::Device;
use crate::backend::torch::{Torch, TorchBackend};
use crate::backend::xla::XlaBackend;
use crate::backend::{AheadError, Backend, BackendError};
use crate::device::{self, DeviceChoice, DeviceError, DeviceName, Selected, StageDevices, Target};
use crate::progress::{Cancel, Control, Progress};
use crate::trace::Trace;

/// The opened devices of a runtime: its own, and those of stages that have a device of their own.
struct OpenDevices {
    own: (Backend, DeviceReport),
    text_encoder: Option<(Backend, DeviceReport)>,
    vae: Option<(Backend, DeviceReport)>,
}

/// The settings of a new [`Runtime`]. Each has a default; [`RuntimeBuilder::build`] makes the
/// runtime.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as on the command line"
)]
pub struct RuntimeBuilder {
    device: device::DeviceRequest,
    stage_devices: StageDevices,
    target: Option<Target>,
    compiler_program: Option<PathBuf>,
    for_programs: bool,
    plugin: Option<PathBuf>,
    cache_dir: Option<PathBuf>,
    fallbacks: Vec<PathBuf>,
    remotes: RemoteSettings,
    use_cache: bool,
    read_only: bool,
    cache_trust: Trust,
    cache_max_bytes: u64,
    memory_limit_bytes: u64,
    require_warm: bool,
    manual_warmup: bool,
    compile_effort: Option<EffortChoice>,
    compile_in_process: bool,
    sync_steps: usize,
    metrics: bool,
    trace: Option<Trace>,
    control: Control,
    on_warning: Listener,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            device: device::DeviceRequest::default(),
            stage_devices: StageDevices::default(),
            target: None,
            compiler_program: None,
            for_programs: false,
            plugin: None,
            cache_dir: None,
            fallbacks: Vec::new(),
            remotes: RemoteSettings::default(),
            use_cache: true,
            read_only: false,
            cache_trust: Trust::Private,
            cache_max_bytes: StoreOptions::DEFAULT_MAX_BYTES,
            memory_limit_bytes: Self::DEFAULT_MEMORY_LIMIT_BYTES,
            require_warm: false,
            manual_warmup: false,
            compile_effort: None,
            compile_in_process: false,
            sync_steps: 0,
            metrics: false,
            trace: None,
            control: Control::default(),
            on_warning: Listener::default(),
        }
    }
}

impl RuntimeBuilder {
    /// The default limit of the machine code that is kept in memory, in bytes.
    pub const DEFAULT_MEMORY_LIMIT_BYTES: u64 = 2 << 30;
    /// The number of executions on zeros in an automatic warmup.
    pub const DEFAULT_WARMUP_STEPS: u32 = 2;
    /// The multiple that sizes are rounded up to, in pixels.
    pub const DEFAULT_PADDING_MULTIPLE_PX: u64 = 64;

    /// Sets the device.
    #[must_use]
    pub fn device(mut self, request: device::DeviceRequest) -> Self {
        self.device = request;
        self
    }

    /// Sets devices for single stages. Stages can be spread over the devices of libtorch only.
    #[must_use]
    pub fn stage_devices(mut self, devices: StageDevices) -> Self {
        self.stage_devices = devices;
        self
    }

    /// Sets that the runtime is for programs, which run on devices of XLA only. `auto` then ignores
    /// the devices of libtorch, which run only the graphs of models.
    #[must_use]
    pub fn for_programs(mut self) -> Self {
        self.for_programs = true;
        self
    }

    /// Sets a target, which is hardware that this machine does not need to have. The runtime then
    /// looks up and compiles for the target, and runs nothing.
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

    /// Adds a read-only cache that is searched after the main one, for example a cache in a
    /// container image.
    #[must_use]
    pub fn cache_fallback(mut self, dir: impl Into<PathBuf>) -> Self {
        self.fallbacks.push(dir.into());
        self
    }

    /// Adds a remote: a tier of the cache that many machines share. It is asked after the main
    /// cache and its fallbacks, in the order in which remotes are added, before anything is
    /// compiled. What it has is verified and stored in the main cache. What is compiled is uploaded
    /// in the background, if the remote may be written.
    ///
    /// The crate `preheat-remote` opens remotes by URLs. The machine code of a remote is run as if
    /// it had been compiled here: whoever can write to the remote is trusted (docs/security.md).
    #[must_use]
    pub fn cache_remote(mut self, remote: Arc<dyn RemoteStorage>) -> Self {
        self.remotes.storages.push(remote);
        self
    }

    /// Sets whether it is an error if a remote fails, or if it has an object that is refused. By
    /// default, the next tier is asked, with a warning.
    #[must_use]
    pub fn cache_remote_required(mut self, required: bool) -> Self {
        self.remotes.required = required;
        self
    }

    /// Sets whether look-ups ask the remotes, too. A look-up fetches no executable: it reads one
    /// small file of a remote.
    #[must_use]
    pub fn look_up_remotely(mut self, remotely: bool) -> Self {
        self.remotes.for_lookups = remotely;
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

    /// Sets how many bytes the objects of the cache may take on disk. If they would take more, the
    /// entries of least value are removed.
    #[must_use]
    pub fn cache_max_bytes(mut self, bytes: u64) -> Self {
        self.cache_max_bytes = bytes;
        self
    }

    /// Sets how many bytes of machine code are kept in memory. If this limit is exceeded, the least
    /// recently used executables are dropped.
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

    /// Sets whether the user warms up by hand: each compile outside of a warmup then causes a
    /// warning.
    #[must_use]
    pub fn manual_warmup(mut self, manual_warmup: bool) -> Self {
        self.manual_warmup = manual_warmup;
        self
    }

    /// Sets how much work the compiler puts into a graph. Warm executables of this effort or of a
    /// higher one serve a request; only a missing executable is compiled with this effort. The
    /// default is [`EffortChoice::Tiered`] for a request, because somebody waits for it, and
    /// [`CompileEffort::Full`](crate::CompileEffort::Full) for what is warmed up or precompiled.
    ///
    /// With [`EffortChoice::Tiered`], a lower effort serves first, and the full executable is
    /// compiled in a child process meanwhile. The child runs the same program again, so the program
    /// must call [`serve_compiler`](crate::serve_compiler) first in `main`, or name another program
    /// with [`compiler_program`](Self::compiler_program). If it does neither, the full executable
    /// is compiled at once. If this runtime is dropped before a full executable is finished, a
    /// later runtime finishes it.
    #[must_use]
    pub fn compile_effort(mut self, effort: impl Into<EffortChoice>) -> Self {
        self.compile_effort = Some(effort.into());
        self
    }

    /// Sets whether graphs for a device that is here are compiled in this process. By default a
    /// child process compiles them, if this program calls
    /// [`serve_compiler`](crate::serve_compiler) or a
    /// [`compiler_program`](Self::compiler_program) is set: a compiler that exits, aborts, crashes
    /// or takes all memory then ends only the child. Graphs for CUDA are always compiled in this
    /// process.
    #[must_use]
    pub fn compile_in_process(mut self, in_process: bool) -> Self {
        self.compile_in_process = in_process;
        self
    }

    /// Sets after how many steps the host waits for the device. With 0, the default, the host waits
    /// only when it reads a result, or when too many steps are in flight. See
    /// [`StepBoundary`](super::StepBoundary).
    #[must_use]
    pub fn sync_steps(mut self, steps: usize) -> Self {
        self.sync_steps = steps;
        self
    }

    /// Sets whether [`Runtime::metrics`] is filled. With a [`trace`](Self::trace), it is filled in
    /// any case.
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

    /// Sets the receiver of events about long work, for requests that have no receiver of their
    /// own.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.control = self.control.progress(progress);
        self
    }

    /// Sets the function that is called with each warning as soon as it occurs. A program can add
    /// there what its users can do about the warning. By default each warning is logged.
    /// [`Runtime::warnings`] lists all warnings except those that are kept with the result of one
    /// request.
    #[must_use]
    pub fn on_warning(mut self, tell: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        self.on_warning = Listener::new(tell);
        self
    }

    /// Sets the flag with which the caller can stop long work, for requests that have no flag of
    /// their own.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.control = self.control.cancel(cancel);
        self
    }

    /// Opens the cache, chooses the device and loads its plugin.
    ///
    /// # Errors
    /// If no device can be used, if the plugin cannot compile for the [target](Self::target), or if
    /// the caller asked to stop. A cache that cannot be opened is not an error: everything is
    /// compiled then, and [`Runtime::warnings`] says why.
    pub fn build(self) -> Result<Runtime, Error> {
        let warnings = Arc::new(Warnings::to(self.on_warning.clone()));
        let cache = self.cache(&warnings).map(Arc::new);
        let opening = self.trace.as_ref().map(|trace| trace.begin("host", "open the device"));
        let devices = match &self.target {
            Some(target) => {
                let own = self.ahead(target, cache.as_deref(), &warnings)?;
                OpenDevices { own, text_encoder: None, vae: None }
            }
            None => self.here(cache.as_deref(), &warnings)?,
        };
        drop(opening);
        Ok(self.assemble(devices, cache.as_ref(), &warnings))
    }

    /// Makes a runtime on a device that a test made.
    #[cfg(test)]
    pub(crate) fn build_on(self, device: Arc<dyn Device>) -> Runtime {
        let warnings = Arc::new(Warnings::default());
        let cache = self.cache(&warnings).map(Arc::new);
        let report = DeviceReport {
            requested: "auto".to_owned(),
            selected: device.name().to_string(),
            reason: "a test made it".to_owned(),
            kind: device.environment().device_kind.clone(),
        };
        let own = (Backend::Here(device), report);
        let devices = OpenDevices { own, text_encoder: None, vae: None };
        self.assemble(devices, cache.as_ref(), &warnings)
    }

    /// Makes the runtimes of the devices that were opened.
    fn assemble(
        self,
        mut devices: OpenDevices,
        cache: Option<&Arc<Cache>>,
        warnings: &Arc<Warnings>,
    ) -> Runtime {
        let recorder = (self.metrics || self.trace.is_some())
            .then(|| Arc::new(Recorder::new(self.trace.clone())));
        let make = |(backend, device): (Backend, DeviceReport), stages| {
            tracing::info!(device = %device.selected, reason = %device.reason, "device chosen");
            let here = match &backend {
                Backend::Here(here) => Some(Arc::clone(here)),
                Backend::Ahead(_) => None,
            };
            let site = Site::new(backend, device, self.compiler_program.clone());
            let inner = Inner {
                stages,
                rules: Rules {
                    reuse: self.use_cache,
                    require_warm: self.require_warm,
                    manual_warmup: self.manual_warmup,
                    effort: self.compile_effort,
                    compile_in_process: self.compile_in_process,
                    sync_steps: self.sync_steps,
                },
                digests: Digests::new(site.environment_digest),
                site,
                flights: Flights::default(),
                upgrades: Upgrades::of(Weak::new()),
                cache: cache.cloned(),
                on_device: Arc::new(OnDevice::new(here, Memory::new(self.memory_limit_bytes))),
                recorder: recorder.clone(),
                warnings: Arc::clone(warnings),
            };
            Runtime::new(inner, self.control.clone())
        };
        let of_a_stage = |opened| make(opened, StageRuntimes::default());
        let text_encoder = devices.text_encoder.take().map(of_a_stage);
        // Two stages on one device share a runtime.
        let vae = devices.vae.take().map(|opened| match &text_encoder {
            Some(runtime) if runtime.device().selected == opened.1.selected => runtime.clone(),
            _ => of_a_stage(opened),
        });
        let stages = StageRuntimes { text_encoder, vae };
        make(devices.own, stages)
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
        let open = |choice: &DeviceChoice| {
            self.open(choice.clone(), found.torch.as_ref(), cache, warnings)
        };
        let of_a_stage = |choice: &DeviceChoice| {
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
        mut choice: DeviceChoice,
        torch: Option<&Torch>,
        cache: Option<&Cache>,
        warnings: &Warnings,
    ) -> Result<(Backend, DeviceReport), Error> {
        let here: Arc<dyn Device> = match (&mut choice.selected, torch) {
            (Selected::Xla { device, plugin }, _) => {
                warnings.of_plugin(plugin);
                if self.has_compiler() {
                    let program = self.compiler_program.as_deref();
                    let notes = cache.and_then(Cache::remembers);
                    check_flags(*device, plugin, program, notes, self.control.flag())?;
                }
                let mut backend =
                    XlaBackend::open(*device, plugin, || plugin_build(plugin, cache))?;
                if self.plugin.is_some() && self.device.device == DeviceName::Auto {
                    backend = backend.named_by_platform();
                    *device = backend.name;
                    "the plugin was named".clone_into(&mut choice.reason);
                }
                Arc::new(backend)
            }
            (Selected::Torch(device), Some(torch)) => {
                let identify = |library: &Path| {
                    warnings.of_plugin(library);
                    plugin_build(library, cache)
                };
                Arc::new(TorchBackend::new(torch, device, identify)?)
            }
            (Selected::Torch(_), None) => {
                let why = "it was not opened".to_owned();
                return Err(DeviceError::NoTorch { device: choice.requested, why }.into());
            }
        };
        let device = DeviceReport::new(&choice, &here.environment().device_kind);
        Ok((Backend::Here(here), device))
    }

    /// Makes a compiler for a target.
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
        let ahead =
            Ahead::open(target.clone(), &plugin, program, identify, notes, self.control.flag());
        let ahead = ahead.map_err(|error| match error {
            BackendError::Target { cause: AheadError::Cancelled, .. } => Error::Cancelled,
            error => error.into(),
        })?;
        let device = DeviceReport::of_target(&ahead);
        Ok((Backend::Ahead(Box::new(ahead)), device))
    }

    /// Makes a runtime that compiles for the target of `ahead`, into the cache of another runtime.
    pub(super) fn beside(
        self,
        ahead: Ahead,
        cache: Option<&Arc<Cache>>,
        warnings: &Arc<Warnings>,
    ) -> Runtime {
        let device = DeviceReport::of_target(&ahead);
        let own = (Backend::Ahead(Box::new(ahead)), device);
        self.assemble(OpenDevices { own, text_encoder: None, vae: None }, cache, warnings)
    }

    /// Whether a child process may compile and load plugins.
    fn has_compiler(&self) -> bool {
        let is_known = self.compiler_program.is_some() || this_program_serves();
        is_known && !self.compile_in_process
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

    /// Opens only the cache, for example to list its entries. No device is chosen and no plugin is
    /// loaded.
    ///
    /// # Errors
    /// If the cache is turned off, if no folder for it is known, or if it or one of its fallbacks
    /// cannot be opened.
    pub fn open_cache(&self) -> Result<Cache, Error> {
        if !self.use_cache {
            return Err(Error::NoCache(NoCache::TurnedOff));
        }
        let dir = self.dir().ok_or(Error::NoCache(NoCache::NoFolder))?;
        Ok(Cache::open(self.store_options(dir), &self.fallbacks, &self.remotes)?)
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
        let options = self.store_options(dir);
        if self.read_only && !self.remotes.storages.is_empty() {
            warnings.warn(
                "the cache is read-only, so nothing could be kept of what remotes have: they are \
                 not asked"
                    .to_owned(),
            );
        }
        Cache::open_or_degrade(options, &self.fallbacks, &self.remotes, warnings)
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

impl std::fmt::Debug for RuntimeBuilder {
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
