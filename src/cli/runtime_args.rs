//! Which device, cache, precision and warmup does a command use? These flags decide it. They are
//! apart from `args.rs` because another program can flatten them into its own command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::advice::advised;
use super::{CliError, Size, number};
use preheat_diffusion::pipeline::{Pipeline, Precision, Precisions};
use preheat_plugins::{LibtpuChoice, PluginSearch, choose_libtpu};
use preheat_runtime::device::offload::Offload;
use preheat_runtime::device::{self, DeviceName, StageDevices, TpuSwitch};
use preheat_runtime::{
    CompileEffort, EffortChoice, Percent, PublishTo, Publisher, Runtime, RuntimeBuilder,
};

/// The global flags: which device, which cache, which warmup.
///
/// Another program flattens them into its own parser with `#[command(flatten)]` and calls
/// [`RuntimeArgs::builder`]. The `--tpu-*` flags act on every XLA device, and most of
/// them on the devices of libtorch, too.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Runtime")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line's contract")]
pub struct RuntimeArgs {
    /// auto, tpu, cuda, cuda:N, mps, cpu, xla-cpu or xla-cuda; auto takes the first of tpu, cuda,
    /// mps and cpu that is available, and xla-cpu if the torch library is not installed
    #[arg(
        long,
        global = true,
        value_name = "DEVICE",
        env = "PREHEAT_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    pub device: String,
    /// Fail if the device is unavailable, instead of warning and using the CPU
    #[arg(long, global = true)]
    pub strict_device: bool,
    /// Which libtpu compiles for a TPU: an installed version, such as 0.0.50, the path of a
    /// libtpu.so, or python for the one in the active Python environment [default: the one in the
    /// active Python environment; if it has none, the newest that its frameworks accept]
    #[arg(
        long,
        global = true,
        value_name = "VERSION|PATH|python",
        env = "PREHEAT_LIBTPU",
        hide_env_values = true
    )]
    pub libtpu: Option<LibtpuChoice>,
    /// The folder of the cache [default: `preheat` in the platform's cache folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PREHEAT_CACHE_DIR",
        hide_env_values = true
    )]
    pub cache_dir: Option<PathBuf>,
    /// The most disk space that the cache may take, such as 500MB or 20GiB; beyond it, the entries
    /// that are worth least are removed
    #[arg(long, global = true, value_name = "SIZE", default_value = "10GiB")]
    pub cache_max_size: Size,
    /// Read the cache, but never write to it
    #[arg(long, global = true)]
    pub cache_read_only: bool,
    /// Share the cache with the group of its folder: every member may write to it, and you run the
    /// machine code that they put there
    #[arg(
        long,
        global = true,
        env = "PREHEAT_CACHE_SHARED",
        hide_env_values = true,
        action = clap::ArgAction::SetTrue,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub cache_shared: bool,
    /// Another cache, which is only read, and only if the main cache misses; may be given several
    /// times
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_fallback: Vec<PathBuf>,
    /// A cache that many machines share, asked after the caches on this machine, by its URL:
    /// `file:///folder`, `https://host/path`, `s3://bucket/prefix`, `gs://`, `az://` or `redis://`.
    /// What it has is verified and kept here; what is compiled here is uploaded, unless its URL
    /// ends in `?mode=ro`. A web server is only read, unless its URL ends in `?mode=rw`. May be
    /// given several times; the variable has URLs with spaces between them
    #[cfg(feature = "remote")]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PREHEAT_CACHE_REMOTE",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    pub cache_remote: Vec<RemoteUrl>,
    /// Fail if a remote fails, or if it has an object that is refused, instead of going on without
    #[cfg(feature = "remote")]
    #[arg(long, global = true)]
    pub cache_remote_required: bool,
    /// Use a TPU; fail if there is none
    #[arg(long, global = true, conflicts_with = "tpu_disable")]
    pub tpu_enable: bool,
    /// Never use a TPU
    #[arg(long, global = true)]
    pub tpu_disable: bool,
    /// How much work the compiler does: fast, balanced, full or tiered. A warm executable of this
    /// effort or of a higher one is used; only a missing one is compiled with this effort. With
    /// tiered, a lower effort serves first, and the full one takes over when it has been compiled
    /// in the background [default: tiered for what somebody waits for, full for what is warmed
    /// ahead; where no lower effort saves a fifth of the time, tiered is full]
    #[arg(
        long,
        global = true,
        value_name = "EFFORT",
        env = "PREHEAT_COMPILE_EFFORT",
        hide_env_values = true
    )]
    pub compile_effort: Option<EffortChoice>,
    /// Compile in this process instead of in a child process. A compiler that crashes, or that ends
    /// its process, then ends this command
    #[arg(
        long,
        global = true,
        env = "PREHEAT_COMPILE_IN_PROCESS",
        hide_env_values = true,
        action = clap::ArgAction::SetTrue,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub compile_in_process: bool,
    /// Warm only by `preheat warmup`, never automatically; a run that has to compile says what it
    /// compiles
    #[arg(long, global = true)]
    pub tpu_manual_warmup: bool,
    /// The older name of --tpu-manual-warmup
    #[arg(long, global = true, hide = true)]
    pub tpu_warmup_enable: bool,
    /// Automatic warmup: how many times a freshly compiled program is run on zeros before the real
    /// run
    #[arg(long, global = true, value_name = "N", default_value_t = RuntimeBuilder::DEFAULT_WARMUP_STEPS,
          value_parser = number::whole(0..=u32::MAX))]
    pub tpu_warmup_steps: u32,
    /// Turn automatic warmup off
    #[arg(long, global = true)]
    pub no_tpu_warmup: bool,
    /// Use the cache; with false, compile every time and neither read nor write a cache
    #[arg(long, global = true, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub tpu_compilation_cache: bool,
    /// Round sizes up to the padding multiple
    #[arg(long, global = true, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub tpu_shape_padding: bool,
    /// The padding multiple in pixels; it must be a multiple of 8
    #[arg(long, global = true, value_name = "PX", default_value_t = RuntimeBuilder::DEFAULT_PADDING_MULTIPLE_PX,
          value_parser = number::from(0))]
    pub tpu_shape_padding_multiple: u64,
    /// The dtype of a model's stages: auto, bf16, fp16 or fp32; auto is bf16 if the device computes
    /// in bf16 natively
    #[arg(long, global = true, value_name = "DTYPE", default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// The dtype of the text encoders [default: --precision]
    #[arg(long, global = true, value_name = "DTYPE")]
    pub text_encoder_precision: Option<Precision>,
    /// The dtype of the denoiser [default: --precision]
    #[arg(long, global = true, value_name = "DTYPE")]
    pub denoiser_precision: Option<Precision>,
    /// The dtype of the VAE [default: --precision]
    #[arg(long, global = true, value_name = "DTYPE")]
    pub vae_precision: Option<Precision>,
    /// Let `--precision auto` choose bf16; with false it is fp32 on every device
    #[arg(long, global = true, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub tpu_autocast_bf16: bool,
    /// Print the times of compiles, loads, transfers and steps at the end, and the plugin's own
    /// cost and memory figures
    #[arg(long, global = true)]
    pub tpu_debug_metrics: bool,
    /// Wait for the device after every N steps. With 0, wait only when a result is read; at most
    /// two steps are queued
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        value_parser = number::whole(0..=u32::MAX),
        allow_negative_numbers = true
    )]
    pub tpu_sync_steps: u32,
    /// Write a trace of compiles, loads, transfers and steps, for Perfetto or Chrome; - is standard
    /// output
    #[arg(long, global = true, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Keep a file up to date with the cache's statistics, for the textfile collector of
    /// Prometheus' node exporter, which reads names that end in .prom
    #[arg(long, global = true, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Answer Prometheus at this address, at the path /metrics, while the command runs; a port
    /// without an address can be reached from this machine only
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = listen_address)]
    pub metrics_listen: Option<SocketAddr>,
    /// Fail with exit status 3 instead of compiling; with `full`, also fail if an executable is
    /// warm only at a lower effort, whatever --compile-effort says
    #[arg(
        long,
        global = true,
        value_name = "EFFORT",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "any",
        hide_possible_values = true
    )]
    pub require_warm: Option<RequireWarm>,
    /// If the padded size of a picture is not warm, compute it at the smallest warm size that
    /// covers it and crop it, provided that at most this percentage of the area is wasted (0 to
    /// 100). The same seed then gives another picture than at the picture's own size
    #[arg(long, global = true, value_name = "PERCENT", allow_negative_numbers = true)]
    pub snap_to_warm: Option<Percent>,
    /// The flags that act on libtorch's devices alone.
    #[command(flatten)]
    pub torch: TorchArgs,
}

/// The URL of a remote, as it was typed. It may contain a password, which its `Debug` leaves out.
#[cfg(feature = "remote")]
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(pub String);

#[cfg(feature = "remote")]
impl std::str::FromStr for RemoteUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

#[cfg(feature = "remote")]
impl std::fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteUrl")
    }
}

/// What has to be warm under `--require-warm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RequireWarm {
    /// What `--compile-effort` accepts.
    Any,
    /// An executable of the full effort.
    Full,
}

/// The flags that act on libtorch's devices alone.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Devices of libtorch (cuda, mps, cpu)")]
pub struct TorchArgs {
    /// Compute in the requested precision even if the device's own rule overrules it, as it does
    /// with fp32 on mps, and with bf16 and fp16 on cpu
    #[arg(long, global = true)]
    pub force_precision: bool,
    /// Which weights leave the device: auto, none (all stay there), model (those of a stage are
    /// there while it is needed) or sequential (those of an op are there while it runs)
    #[arg(long, global = true, value_name = "HOW", default_value_t = Offload::Auto)]
    pub offload: Offload,
    /// How much of the device's free memory `--offload auto` and `--batch auto` leave unused, such
    /// as 1GiB [default: 512 MiB on a card, 2 GiB elsewhere]
    #[arg(long, global = true, value_name = "SIZE")]
    pub reserve_memory: Option<Size>,
    /// The device of the text encoders [default: --device]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub text_encoder_device: Option<DeviceName>,
    /// The device of the VAE [default: --device]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub vae_device: Option<DeviceName>,
}

impl RuntimeArgs {
    /// Refuses `--force-recompile` together with `--require-warm`, which forbids compiles.
    pub(super) fn refuse_force(&self, force_recompile: bool) -> Result<(), CliError> {
        if !(self.require_warm.is_some() && force_recompile) {
            return Ok(());
        }
        Err(CliError::Usage(
            "--force-recompile compiles everything anew, but --require-warm forbids compiling: \
             leave one of them out"
                .to_owned(),
        ))
    }

    /// Refuses a warmup with `--require-warm`, which forbids compiles.
    pub(super) fn refuse_warmup(&self) -> Result<(), CliError> {
        if self.require_warm.is_none() {
            return Ok(());
        }
        Err(CliError::Usage(
            "a warmup compiles, but --require-warm forbids compiling: `preheat lookup` tells \
             whether everything is warm"
                .to_owned(),
        ))
    }

    /// Begins to publish the statistics of the cache where [`Self::metrics_file`] and
    /// [`Self::metrics_listen`] say, until the returned value is dropped. `None` if neither is set.
    ///
    /// # Errors
    /// If the cache cannot be opened, the file cannot be written, or the address is taken.
    pub fn publish(&self) -> Result<Option<Publisher>, CliError> {
        let (file, listen) = (self.metrics_file.clone(), self.metrics_listen);
        if file.is_none() && listen.is_none() {
            return Ok(None);
        }
        let cache = self.builder()?.open_cache()?;
        let to = match (&file, &listen) {
            (Some(file), None) => file.display().to_string(),
            (None, Some(address)) => address.to_string(),
            _ => "the metrics file and address".to_owned(),
        };
        let publisher = Publisher::start(cache, PublishTo { file, listen })
            .map_err(|cause| CliError::Publish { to, cause })?;
        if let Some(address) = publisher.address() {
            tracing::info!("metrics are served at http://{address}/metrics");
            if !address.ip().is_loopback() {
                tracing::warn!(
                    "everyone who reaches {address} can read the names of models and sizes: \
                     127.0.0.1 serves this machine alone"
                );
            }
        }
        Ok(Some(publisher))
    }

    /// A [`RuntimeBuilder`] set up as the flags say, except for [`Self::trace`]: the program that
    /// writes the trace file passes its trace to [`RuntimeBuilder::trace`].
    ///
    /// # Errors
    /// If no device has the name that [`Self::device`] gives, or the libtpu that [`Self::libtpu`]
    /// gives is not here.
    pub fn builder(&self) -> Result<RuntimeBuilder, CliError> {
        let tpu = match (self.tpu_enable, self.tpu_disable) {
            (true, _) => TpuSwitch::Enabled,
            (_, true) => TpuSwitch::Disabled,
            _ => TpuSwitch::Unset,
        };
        let device: DeviceName = self.device.parse()?;
        let mut builder = Runtime::builder()
            .device(device::DeviceRequest { device, strict: self.strict_device, tpu })
            .stage_devices(StageDevices {
                text_encoder: self.torch.text_encoder_device,
                vae: self.torch.vae_device,
            })
            .read_only(self.cache_read_only)
            .cache_shared(self.cache_shared)
            .cache_max_bytes(self.cache_max_size.bytes())
            .use_cache(self.tpu_compilation_cache)
            .require_warm(self.require_warm.is_some())
            .manual_warmup(self.manual_warmup())
            .compile_in_process(self.compile_in_process)
            .sync_steps(usize::try_from(self.tpu_sync_steps).unwrap_or(usize::MAX))
            .metrics(self.tpu_debug_metrics)
            .on_warning(|warning| tracing::warn!("{}", advised(warning)));
        if let Some(effort) = self.effort() {
            builder = builder.compile_effort(effort);
        }
        if let Some(dir) = self.named_cache_dir() {
            builder = builder.cache_dir(dir);
        }
        if self.libtpu.is_some() && (device == DeviceName::Tpu || self.tpu_enable) {
            let chosen = choose_libtpu(self.libtpu.as_ref(), &PluginSearch::from_process())?;
            builder =
                chosen.into_iter().fold(builder, |builder, libtpu| builder.plugin(libtpu.path));
        }
        for dir in &self.cache_fallback {
            builder = builder.cache_fallback(dir);
        }
        #[cfg(feature = "remote")]
        {
            let limits = preheat_remote::RemoteLimits::default();
            for address in self.remotes()? {
                let remote = preheat_remote::open_remote_within(&address, limits);
                builder = builder.cache_remote(remote);
            }
            builder = builder.cache_remote_required(self.cache_remote_required);
        }
        Ok(builder)
    }

    /// The remotes that the flags name.
    #[cfg(feature = "remote")]
    pub(super) fn remotes(&self) -> Result<Vec<preheat_remote::RemoteAddress>, CliError> {
        let named = self.cache_remote.iter().filter(|RemoteUrl(url)| !url.is_empty());
        // The URL is read here and not by clap, which would repeat it with its password.
        named
            .map(|RemoteUrl(url)| {
                url.parse().map_err(|error| CliError::Usage(format!("--cache-remote: {error}")))
            })
            .collect()
    }

    /// The effort that is asked for, if one is.
    fn effort(&self) -> Option<EffortChoice> {
        match self.require_warm {
            Some(RequireWarm::Full) => Some(CompileEffort::Full.into()),
            _ => self.compile_effort,
        }
    }

    /// The cache's folder, if a flag or the environment names one.
    pub(super) fn named_cache_dir(&self) -> Option<&Path> {
        self.cache_dir.as_deref().filter(|dir| !dir.as_os_str().is_empty())
    }

    /// A builder of a pipeline, set up as the flags say.
    pub fn pipeline(&self) -> preheat_diffusion::pipeline::PipelineBuilder {
        let mut builder = Pipeline::builder()
            .offload(self.torch.offload)
            .padding_multiple_px(self.padding_multiple_px())
            .warmup_steps(if self.no_tpu_warmup { 0 } else { self.tpu_warmup_steps })
            .precisions(self.precisions());
        if let Some(bytes) = self.torch.reserve_memory {
            builder = builder.reserve_memory_bytes(bytes.bytes());
        }
        match self.snap_to_warm {
            Some(most_waste) => builder.snap_to_warm(most_waste),
            None => builder,
        }
    }

    /// Which dtype each stage of a model computes in, as the flags say.
    pub(super) fn precisions(&self) -> Precisions {
        Precisions {
            all: self.precision,
            text_encoder: self.text_encoder_precision,
            denoiser: self.denoiser_precision,
            vae: self.vae_precision,
            autocast: self.tpu_autocast_bf16,
            force: self.torch.force_precision,
        }
    }

    /// Refuses flags that act on models only: a program fixes its own dtypes and sizes.
    pub(super) fn refuse_for_programs(&self) -> Result<(), CliError> {
        let given = [
            (self.precision != Precision::Auto, "--precision"),
            (self.text_encoder_precision.is_some(), "--text-encoder-precision"),
            (self.denoiser_precision.is_some(), "--denoiser-precision"),
            (self.vae_precision.is_some(), "--vae-precision"),
            (!self.tpu_autocast_bf16, "--tpu-autocast-bf16=false"),
            (self.torch.force_precision, "--force-precision"),
        ];
        let placing = [
            (self.torch.offload != Offload::Auto, "--offload"),
            (self.torch.reserve_memory.is_some(), "--reserve-memory"),
            (self.torch.text_encoder_device.is_some(), "--text-encoder-device"),
            (self.torch.vae_device.is_some(), "--vae-device"),
        ];
        if let Some((_, flag)) = placing.into_iter().find(|(given, _)| *given) {
            return Err(CliError::Usage(format!(
                "{flag} acts on models: a program has no stages that could be placed"
            )));
        }
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(CliError::Usage(format!(
                "{flag} acts on models: a program computes in the dtypes that it contains, which --dtype records"
            ))),
            None if self.snap_to_warm.is_some() => Err(CliError::Usage(
                "--snap-to-warm acts on models: a program in a file has one size; the library snaps graphs whose builder declares how \
                 they are padded (`Graph::padding`, `Runtime::get_or_snap`)"
                    .to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// The multiple that sizes are rounded up to, in pixels. It is 8, the size of one latent, if
    /// padding is off.
    pub fn padding_multiple_px(&self) -> u64 {
        if self.tpu_shape_padding { self.tpu_shape_padding_multiple } else { 8 }
    }

    /// Whether automatic warmup is off, under either name of the flag.
    pub fn manual_warmup(&self) -> bool {
        self.tpu_manual_warmup || self.tpu_warmup_enable
    }
}

/// Reads an IP address with a port, such as `127.0.0.1:9464`. A port alone means 127.0.0.1.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let port = || text.parse().ok().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    text.parse().ok().or_else(port).ok_or_else(|| {
        "give an IP address with a port, such as 127.0.0.1:9464, or a port alone".to_owned()
    })
}
