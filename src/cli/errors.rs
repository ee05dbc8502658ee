//! What can go wrong on the command line, and what each exit status means.

use std::path::PathBuf;

use preheat_cache::StoreError;
use preheat_io::printable::{printable, printable_lines, without_middle};
use preheat_tensor::TensorError;

use crate::backend::BackendError;
use crate::device::{DeviceError, DeviceName};
use crate::evidence::EvidenceError;
use crate::models::ModelError;
use crate::pipeline::PipelineError;
use crate::pipeline::schedulers::SchedulerError;
use crate::pjrt::ErrorCode;
use crate::plugins::InstallError;
use crate::runtime;
use crate::weights::WeightsError;

mod programs;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line was used in a way that can have no meaning.
    #[error("{0}")]
    Usage(String),
    /// A device could not be chosen: its name is unknown, or it is not available.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The runtime could not do it.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The runtime could not do it for one program.
    #[error("{}", path.display())]
    Program {
        /// The program's file.
        path: PathBuf,
        /// What the runtime said; boxed, since it is large and this is not often made.
        #[source]
        cause: Box<runtime::Error>,
    },
    /// The pipeline could not do it; boxed, since it is large and this is not often made.
    #[error(transparent)]
    Pipeline(Box<PipelineError>),
    /// A request log or a manifest could not be used.
    #[error(transparent)]
    Evidence(EvidenceError),
    /// A plugin could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// libtorch was to be installed, but the library that calls it is not installed.
    #[error(
        "libtorch is of no use without the torch library, which calls it and is not there; nothing was downloaded"
    )]
    NoTorchLibrary,
    /// A command asks what a cache holds, but the cache's folder does not exist.
    #[error("there is no cache at {}: the folder is not there", path.display())]
    NoCacheFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{doing} {} failed", path.display())]
    File {
        /// Reading or writing.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The demo model could not be unpacked.
    #[error("writing the demo model to {} failed", path.display())]
    DemoModel {
        /// Its folder.
        path: PathBuf,
        /// What the system said.
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
        /// How many the cache does not have.
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
        cause: Box<runtime::Error>,
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
    #[error("{doing} takes a process of its own, and that failed")]
    Started {
        /// What the child was to do.
        doing: String,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The system gives this process too few threads.
    #[error("preheat and its libraries need several threads, and the system gives too few")]
    NoThread {
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The process that measured a device failed. It has printed the reason.
    #[error("device `{device}` could not be measured: its process {}, and what it said is above", ended(*.status))]
    NotMeasured {
        /// The device.
        device: DeviceName,
        /// The exit status; `None` where a signal ended it.
        status: Option<i32>,
    },
    /// The process that listed the devices failed. It has printed the reason.
    #[error("the devices could not be listed: the process that was to do it {}, and what it said is above", ended(*.status))]
    NotListed {
        /// The exit status; `None` where a signal ended it.
        status: Option<i32>,
    },
    /// Neither device that could compute the reference picture is available.
    #[error(
        "devices are compared with float32 on the CPU, and neither cpu nor xla-cpu can be used here"
    )]
    NoReference,
    /// The pictures of some devices differ too much from those of the CPU.
    #[error("too far from {reference} in float32: {strayed}")]
    Strayed {
        /// The device that they were compared with.
        reference: DeviceName,
        /// Each device that differs too much, with its figures and its limit.
        strayed: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// How a command ended. Only `main.rs` turns it into a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The command did what it was asked to do.
    Done,
    /// The command failed.
    Failed,
    /// The command line was wrong.
    Usage,
    /// Something would have to be compiled, or is not warm.
    NotWarm,
    /// The command found damage.
    Damage,
    /// The command was interrupted.
    Interrupted,
}

impl CliError {
    /// The runtime's error, if this error contains one.
    fn of_runtime(&self) -> Option<&runtime::Error> {
        match self {
            Self::Runtime(cause) => Some(cause),
            Self::Program { cause, .. } | Self::NotCompiled { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// How a command ends that returns this error.
    pub fn status(&self) -> Status {
        match self {
            Self::Usage(_)
            | Self::Evidence(EvidenceError::Manifest { .. })
            | Self::Signature(_)
            | Self::Device(DeviceError::UnknownName { .. } | DeviceError::Mlx)
            | Self::Install(InstallError::NotOffered { .. } | InstallError::NoWheel { .. }) => {
                Status::Usage
            }
            Self::Interrupted | Self::Install(InstallError::Cancelled { .. }) => {
                Status::Interrupted
            }
            Self::Pipeline(error) => pipeline_status(error),
            Self::NotMeasured { status, .. } | Self::NotListed { status } => of_child(*status),
            _ => self.of_runtime().map_or(Status::Failed, runtime_status),
        }
    }

    /// Makes a function that adds the program's file to an error of the runtime.
    pub(super) fn about(path: &std::path::Path) -> impl Fn(runtime::Error) -> Self {
        move |cause| match cause {
            runtime::Error::Cancelled => Self::Interrupted,
            cause => Self::Program { path: path.to_owned(), cause: Box::new(cause) },
        }
    }

    /// What to do about the error, if the error does not say it itself.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotKept { .. } => Some(
                "a warmup needs a cache that can be written: leave --cache-read-only and --tpu-compilation-cache=false out",
            ),
            Self::DemoModel { .. } => Some(
                "--model names a model that you have already; PREHEAT_DATA_DIR names another place for the demo model",
            ),
            Self::NoTorchLibrary => Some(
                "in preheat's sources `cargo xtask setup torch` builds it and installs both; PREHEAT_TORCH_BACKEND names one that is built; \
                 --libtorch-alone downloads libtorch all the same",
            ),
            Self::NoCacheFolder { .. } => Some(
                "check --cache-dir and PREHEAT_CACHE_DIR; a run or a warmup with the same folder makes the cache",
            ),
            Self::NoThread { .. } => Some(
                "raise the limit on processes (`ulimit -u`, or `pids.max` of a container), or let other programs end",
            ),
            Self::NoReference => Some("`preheat plugins install xla-cpu` installs one of them"),
            Self::Strayed { .. } => Some(
                "--min-psnr sets another bound; --precision fp32 shows what the dtype has to do with it",
            ),
            Self::NotAProgram { .. } => {
                Some("in JAX, `jax.jit(f).lower(...).as_text()` gives StableHLO text")
            }
            Self::Tables { cause, .. } => cause.hint(),
            Self::Pipeline(error) => pipeline_hint(error),
            Self::Evidence(error) => evidence_hint(error),
            _ => self.of_runtime().and_then(runtime_hint),
        }
    }

    /// The error as text for a person: what failed, each cause in turn, and what to do about it.
    pub fn describe(&self) -> String {
        let mut text = format!("error: {}", printable_lines(&with_causes(self)));
        if let Some(runtime::Error::NotWarm(stages)) = self.of_runtime() {
            for line in super::lookup::explain(stages) {
                text.push('\n');
                text.push_str(&printable(&line));
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

/// How a process ended, in words.
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
        | PipelineError::RequestFile { .. }
        | PipelineError::Scheduler(SchedulerError::UnknownName { .. }) => Status::Usage,
        PipelineError::Runtime(error) => runtime_status(error),
        _ => Status::Failed,
    }
}

fn pipeline_hint(error: &PipelineError) -> Option<&'static str> {
    match error {
        PipelineError::Model(ModelError::NoFolder { .. }) => Some(
            "preheat downloads no models: `hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --local-dir DIR` is one way to get one",
        ),
        PipelineError::Weights(
            WeightsError::OnlyVariants { .. } | WeightsError::NoVariant { .. },
        ) => Some(
            "--variant names the variant, the part of a file's name in front of .safetensors: --variant bf16 reads model.bf16.safetensors",
        ),
        PipelineError::Scheduler(error) if error.is_of_one_scheduler() => {
            Some("`--scheduler euler` runs the model with another scheduler than its own")
        }
        PipelineError::NoRoom { .. } => {
            Some("make the batch or the size smaller, or let other programs end")
        }
        PipelineError::NotKept(_) => Some(
            "a warmup needs a cache that can be written: leave --cache-read-only and --tpu-compilation-cache=false out",
        ),
        _ => None,
    }
}

fn evidence_hint(error: &EvidenceError) -> Option<&'static str> {
    match error {
        EvidenceError::EmptyLog { .. } | EvidenceError::NoLog { .. } => Some(
            "`preheat run --log-requests FILE` appends each request to a log; docs/evidence.md describes its lines",
        ),
        EvidenceError::OtherModels { .. } => {
            Some("--model names the folder of the model that the log is about")
        }
        _ => None,
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

fn runtime_status(error: &runtime::Error) -> Status {
    match error {
        runtime::Error::Shape(_) | runtime::Error::Device(DeviceError::Contradiction { .. }) => {
            Status::Usage
        }
        runtime::Error::NotWarm(_) => Status::NotWarm,
        runtime::Error::Cancelled => Status::Interrupted,
        _ => Status::Failed,
    }
}

/// What to do if somebody else may write to the cache.
const UNTRUSTED: &str = "--cache-shared shares the cache with the group of its folder, and every member can then run \
    code as you; --cache-dir names another folder; docs/security.md says what is checked";

/// What to do if the device has too little memory.
const NO_MEMORY: &str =
    "let other programs that use the device's memory end, or make the batch or the size smaller";

fn runtime_hint(error: &runtime::Error) -> Option<&'static str> {
    match error {
        runtime::Error::NotWarm(_) => Some(
            "`preheat warmup` compiles it now; without --require-warm the run compiles it itself",
        ),
        runtime::Error::NotAsWritten { cause, .. } => programs::not_as_written_hint(cause),
        runtime::Error::Compile { cause, .. }
            if cause.code() == Some(ErrorCode::ResourceExhausted) =>
        {
            Some(NO_MEMORY)
        }
        error if error.is_out_of_memory() => Some(NO_MEMORY),
        runtime::Error::Compile { cause, .. } => programs::compile_hint(&cause.to_string()),
        runtime::Error::Backend(BackendError::Plugin { .. }) => Some(
            "`preheat plugins list` shows where each plugin was looked for; `preheat plugins install NAME --force` installs it anew",
        ),
        runtime::Error::InputCount { .. } | runtime::Error::InputType { .. } => Some(
            "`preheat cache list` names the program's graph, and `preheat --json cache show GRAPH` lists every input",
        ),
        runtime::Error::Store(StoreError::Untrusted { .. }) => Some(UNTRUSTED),
        runtime::Error::Store(_) => {
            Some("--cache-dir or PREHEAT_CACHE_DIR names another cache folder")
        }
        _ => None,
    }
}
