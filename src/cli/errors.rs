//! Why can a command fail, what is the user told, and which exit status does the process have?

use std::path::PathBuf;

use super::misses::explain;
use preheat_io::printable::{printable, printable_lines, without_middle};
use preheat_tensor::TensorError;

use preheat_diffusion::evidence::EvidenceError;
use preheat_diffusion::pipeline::PipelineError;
use preheat_diffusion::pipeline::schedulers::SchedulerError;
use preheat_plugins::{InstallError, LibtpuError};
use preheat_runtime::device::{DeviceError, DeviceName};

mod hints;
mod programs;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A device could not be chosen: its name is unknown, or it is not available.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] preheat_runtime::Error),
    /// The runtime failed for one program.
    #[error("{}", path.display())]
    Program {
        /// The program's file.
        path: PathBuf,
        /// The error of the runtime. It is boxed because it is large and this variant is rare.
        #[source]
        cause: Box<preheat_runtime::Error>,
    },
    /// Stages of a picture's request would have to be compiled, and `--require-warm` forbids that.
    #[error("{cause}")]
    NotWarm {
        /// The error of the runtime, which has the stages.
        cause: Box<preheat_runtime::Error>,
        /// How many chunks of tokens the prompts of the request fill.
        prompt_chunks: u64,
        /// The command that compiles the stages; `None` if it is not known.
        command: Option<String>,
    },
    /// The pipeline failed. The error is boxed because it is large and this variant is rare.
    #[error(transparent)]
    Pipeline(Box<PipelineError>),
    /// A request log or a manifest could not be used.
    #[error(transparent)]
    Evidence(EvidenceError),
    /// A plugin could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The libtpu that was asked for is not here.
    #[error(transparent)]
    Libtpu(#[from] LibtpuError),
    /// libtorch was to be installed, but the library that calls it is not installed.
    #[error(
        "preheat calls libtorch through its own torch library, which is not installed, so \
         libtorch was not downloaded"
    )]
    NoTorchLibrary,
    /// A command reads a cache, but the cache's folder does not exist.
    #[error("there is no cache at {}: the folder is not there", path.display())]
    NoCacheFolder {
        /// The folder that was searched for the cache.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{doing} {} failed", path.display())]
    File {
        /// Reading or writing.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The statistics could not be published.
    #[error("the metrics cannot be published to {to}")]
    Publish {
        /// The file or the address.
        to: String,
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The demo model could not be unpacked.
    #[error("writing the demo model to {} failed", path.display())]
    DemoModel {
        /// Its folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A file that should hold a program holds something else.
    #[error("{}", path.display())]
    NotAProgram {
        /// Which file.
        path: PathBuf,
        /// What it looks like instead.
        #[source]
        cause: preheat_cache::ProgramError,
    },
    /// A signature flag has a value that no signature can have.
    #[error("the signature cannot be made")]
    Signature(#[from] preheat_cache::SignatureError),
    /// Inputs or outputs could not be read or written.
    #[error("{doing} {} failed", path.display())]
    Tensors {
        /// Reading the inputs or writing the outputs.
        doing: &'static str,
        /// The safetensors file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: TensorError,
    },
    /// Standard output could not be written.
    #[error("the result could not be written to standard output")]
    Output(#[source] std::io::Error),
    /// The command did nothing, for the reason in the text: for example, its question was answered
    /// with no.
    #[error("{0}")]
    Declined(String),
    /// A warmup compiled programs, but the cache did not keep them.
    #[error(
        "{lost} of {of} programs were compiled and not kept, so the next process compiles them again"
    )]
    NotKept {
        /// How many programs the cache does not have.
        lost: usize,
        /// Of how many.
        of: usize,
    },
    /// Some stages could not be compiled ahead of time; the others are kept.
    #[error("{failed} of {of} stages could not be compiled, the others are kept")]
    NotCompiled {
        /// How many could not.
        failed: usize,
        /// Of how many.
        of: usize,
        /// Why the first of them could not.
        #[source]
        cause: Box<preheat_runtime::Error>,
    },
    /// Some full executables cannot be made or used.
    #[error(
        "{failed} of {of} full executables cannot be used, so those of a lower effort stay: \
         {reason}"
    )]
    NotUpgraded {
        /// How many cannot.
        failed: usize,
        /// Of how many.
        of: usize,
        /// Why the first of them cannot.
        reason: String,
    },
    /// Some warmups of a manifest failed; the others are done.
    #[error("{failed} of {of} warmups of the manifest failed, the others are done")]
    Tables {
        /// How many failed.
        failed: usize,
        /// Of how many.
        of: usize,
        /// Why the first of them did.
        #[source]
        cause: Box<CliError>,
    },
    /// A child process of this program could not be started, or its answer could not be read.
    #[error("{doing} needs a child process; starting it or reading its answer failed")]
    Started {
        /// What the child was to do.
        doing: String,
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The system gives this process too few threads.
    #[error("preheat and its libraries need several threads, and the system gives too few")]
    NoThread {
        /// The operating system's error.
        #[source]
        cause: std::io::Error,
    },
    /// The process that measured a device failed. It has printed the reason.
    #[error("device `{device}` could not be measured: the child process {}; its messages are \
             above", ended(*.status))]
    NotMeasured {
        /// The device.
        device: DeviceName,
        /// The exit status; `None` if a signal ended it.
        status: Option<i32>,
    },
    /// The process that listed the devices failed. It has printed the reason.
    #[error(
        "the devices could not be listed: the child process {}; its messages are above",
        ended(*.status)
    )]
    NotListed {
        /// The exit status; `None` if a signal ended it.
        status: Option<i32>,
    },
    /// Neither device that could compute the reference picture is available.
    #[error(
        "devices are compared with float32 on the CPU, and neither cpu nor xla-cpu can be used here"
    )]
    NoReference,
    /// The pictures of some devices differ too much from those of the CPU.
    #[error("these pictures differ too much from the picture of {reference} in float32: {strayed}")]
    Strayed {
        /// The device that they were compared with.
        reference: DeviceName,
        /// Each device that differs too much, with its figures and its limit.
        strayed: String,
    },
    /// A signal, such as that of Ctrl-C, stopped the command.
    #[error("interrupted")]
    Interrupted,
}

/// How a command ended. `main.rs` turns it into a number; only the number for an interrupted
/// command is in `signals.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The command did what it was asked to do.
    Done,
    /// The command failed for a reason that no other status names.
    Failed,
    /// The command line was wrong.
    Usage,
    /// Something would have to be compiled, or is not warm.
    NotWarm,
    /// The command found damage, or an executable that is gone.
    Damage,
    /// A signal, such as that of Ctrl-C, stopped the command.
    Interrupted,
    /// The program that the command ran ended with this exit status.
    OfProgram(u8),
}

impl CliError {
    /// The runtime's error, if this error contains one.
    fn of_runtime(&self) -> Option<&preheat_runtime::Error> {
        match self {
            Self::Runtime(cause) => Some(cause),
            Self::Program { cause, .. }
            | Self::NotCompiled { cause, .. }
            | Self::NotWarm { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// The status with which a command ends if it returns this error.
    pub fn status(&self) -> Status {
        match self {
            Self::Usage(_)
            | Self::Evidence(EvidenceError::Manifest { .. })
            | Self::Signature(_)
            | Self::Device(DeviceError::UnknownName { .. } | DeviceError::Mlx)
            | Self::Install(
                InstallError::NotOffered { .. }
                | InstallError::NoWheel { .. }
                | InstallError::NotAVersion { .. },
            ) => Status::Usage,
            Self::Interrupted | Self::Install(InstallError::Cancelled { .. }) => {
                Status::Interrupted
            }
            Self::Pipeline(error) => pipeline_status(error),
            Self::NotMeasured { status, .. } | Self::NotListed { status } => of_child(*status),
            _ => self.of_runtime().map_or(Status::Failed, runtime_status),
        }
    }

    /// Makes a function that adds the program's file to an error of the runtime.
    pub(super) fn about(path: &std::path::Path) -> impl Fn(preheat_runtime::Error) -> Self {
        move |cause| match cause {
            preheat_runtime::Error::Cancelled => Self::Interrupted,
            cause => Self::Program { path: path.to_owned(), cause: Box::new(cause) },
        }
    }

    /// What to do about the error, if the error does not say it itself.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotKept { .. } => Some(hints::NOT_WRITTEN),
            Self::Device(error) => hints::device_hint(error),
            Self::Publish { .. } => Some(hints::NOT_PUBLISHED),
            Self::DemoModel { .. } => Some(
                "--model names a model that you have already; PREHEAT_DATA_DIR names another place for the demo model",
            ),
            Self::NoTorchLibrary => Some(
                "`cargo xtask setup torch`, run in preheat's sources, builds the torch library \
                 and installs it and libtorch; \
                 PREHEAT_TORCH_BACKEND names a torch library that is already built; \
                 --libtorch-alone downloads libtorch without it",
            ),
            Self::NoCacheFolder { .. } => Some(
                "check --cache-dir and PREHEAT_CACHE_DIR; a run or a warmup with the same folder makes the cache",
            ),
            Self::NoThread { .. } => Some(
                "raise the limit on processes (`ulimit -u`, or `pids.max` of a container), or let other programs end",
            ),
            Self::NoReference => Some("`preheat plugins install xla-cpu` installs one of them"),
            Self::Strayed { .. } => Some(
                "--min-psnr sets another limit; --precision fp32 shows whether the dtype causes \
                 the difference",
            ),
            Self::NotAProgram { .. } => {
                Some("in JAX, `jax.jit(f).lower(...).as_text()` gives StableHLO text")
            }
            Self::Tables { cause, .. } => cause.hint(),
            Self::Pipeline(error) => hints::pipeline_hint(error),
            Self::Evidence(error) => hints::evidence_hint(error),
            _ => self.of_runtime().and_then(hints::runtime_hint),
        }
    }

    /// The error as text for a person: what failed, each cause in turn, and what to do about it.
    pub fn describe(&self) -> String {
        let mut text = format!("error: {}", printable_lines(&with_causes(self)));
        if let Some(preheat_runtime::Error::NotWarm(stages)) = self.of_runtime() {
            let (chunks, command) = match self {
                Self::NotWarm { prompt_chunks, command, .. } => (*prompt_chunks, command.as_ref()),
                _ => (1, None),
            };
            for line in explain(stages, chunks) {
                text.push('\n');
                text.push_str(&printable(&line));
            }
            if let Some(command) = command {
                text.push_str("\nhint: ");
                text.push_str(&printable(&format!(
                    "`{command}` compiles the missing stages; without --require-warm, the run \
                     itself compiles them"
                )));
                return text;
            }
        }
        if let Some(hint) = self.hint() {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }
}

/// An error with its causes, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    /// A longer text would hide what the error is about. A parser quotes the wrong value in its
    /// message, however long the value is.
    const MOST_CHARACTERS: usize = 10_000;
    let mut text = without_middle(&error.to_string(), MOST_CHARACTERS).into_owned();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&without_middle(&said, MOST_CHARACTERS));
        }
    }
    text
}

/// How a child process of this program ended, by its exit status. `main.rs` made the number.
fn of_child(status: Option<i32>) -> Status {
    match status {
        Some(2) => Status::Usage,
        Some(3) => Status::NotWarm,
        Some(130) => Status::Interrupted,
        _ => Status::Failed,
    }
}

/// How a process ended, as text.
fn ended(status: Option<i32>) -> String {
    status.map_or_else(
        || "was ended by a signal".to_owned(),
        |status| format!("ended with status {status}"),
    )
}

fn pipeline_status(error: &PipelineError) -> Status {
    match error {
        // The request file is not UTF-8 text, or it has the conflict marks of a merge.
        PipelineError::ReadRequest { cause, .. }
            if cause.kind() == std::io::ErrorKind::InvalidData =>
        {
            Status::Usage
        }
        PipelineError::Request { .. }
        | PipelineError::Prompt { .. }
        | PipelineError::NoBatchEstimate { .. }
        | PipelineError::RequestFile { .. }
        | PipelineError::NoPng { .. }
        | PipelineError::Scheduler(SchedulerError::UnknownName { .. }) => Status::Usage,
        PipelineError::Runtime(error) => runtime_status(error),
        _ => Status::Failed,
    }
}

impl From<EvidenceError> for CliError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Pipeline(error) => (*error).into(),
            EvidenceError::Runtime(error) => (*error).into(),
            error => Self::Evidence(error),
        }
    }
}

fn runtime_status(error: &preheat_runtime::Error) -> Status {
    match error {
        preheat_runtime::Error::Shape(_)
        | preheat_runtime::Error::Device(DeviceError::Contradiction { .. }) => Status::Usage,
        preheat_runtime::Error::NotWarm(_) => Status::NotWarm,
        preheat_runtime::Error::Cancelled => Status::Interrupted,
        _ => Status::Failed,
    }
}
