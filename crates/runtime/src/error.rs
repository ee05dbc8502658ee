//! Why could a runtime not do what it was asked to do?

use std::sync::Arc;

use preheat_cache::{GraphKey, ShapeError};

use super::as_written::NotAsWritten;
use super::out_of_memory::OutOfMemory;
use super::report::StageLookup;
use super::source::BuildError;
use crate::backend::{BackendError, CompileError, DeviceFault};
use crate::device::{DeviceError, DeviceName, Target};

/// Why a runtime could not do what it was asked to do.
///
/// A request for an executable never fails because the cache cannot be read or written: the runtime
/// then compiles, with a warning. Only work whose purpose is the cache itself fails in that case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No device could be chosen.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device's plugin cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The signature is not valid.
    #[error(transparent)]
    Signature(#[from] preheat_cache::SignatureError),
    /// The size of the picture is not valid.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The graph could not be built.
    #[error("stage `{stage}`: the graph could not be built")]
    Build {
        /// The stage of the model.
        stage: String,
        /// The error of its builder.
        #[source]
        cause: BuildError,
    },
    /// The device would run the program differently from what the program declares.
    #[error("stage `{stage}`")]
    NotAsWritten {
        /// The stage of the model.
        stage: String,
        /// What the program declares that the device would not do.
        #[source]
        cause: NotAsWritten,
    },
    /// The graph could not be compiled.
    #[error("stage `{stage}`: {device} could not compile graph {}", graph_key.short())]
    Compile {
        /// The stage of the model.
        stage: String,
        /// The key the executable would have had.
        graph_key: GraphKey,
        /// The device it was compiled for.
        device: DeviceName,
        /// The error of the device, or of the child process that compiled. All threads that waited
        /// for this compile share it.
        #[source]
        cause: Arc<CompileError>,
    },
    /// Another process tried to compile the graph while this one waited, and its compile failed.
    #[error("stage `{stage}`: process {pid} could not compile graph {}: {reason}", graph_key.short())]
    CompileElsewhere {
        /// The stage of the model.
        stage: String,
        /// The key the executable would have had.
        graph_key: GraphKey,
        /// The id of the process that compiled.
        pid: u32,
        /// The error in that process.
        reason: String,
    },
    /// The request would have to compile, and `require_warm` forbids that.
    #[error("not warm: {} would have to be compiled", stages(.0))]
    NotWarm(Vec<StageLookup>),
    /// A runtime for hardware that is not here was asked to run something.
    #[error(
        "this machine has no {target}: graphs can be compiled for it and looked up, but not \
         loaded or run"
    )]
    NotHere {
        /// The hardware.
        target: Target,
    },
    /// The graph was compiled only to be stored, and could not be stored.
    #[error("stage `{stage}`: graph {} was compiled and could not be kept", graph_key.short())]
    NotKept {
        /// The stage of the model.
        stage: String,
        /// The key the executable would have had.
        graph_key: GraphKey,
    },
    /// The cache knows no graph under that key.
    #[error("the cache knows no graph {}", graph_key.short())]
    Unrecorded {
        /// The key.
        graph_key: GraphKey,
    },
    /// A graph was requested by its key, but was compiled for another plugin build, device or
    /// flags.
    #[error(
        "graph {} was compiled for another environment ({} differ from this one)",
        graph_key.short(),
        fields.join(", ")
    )]
    OtherEnvironment {
        /// The key.
        graph_key: GraphKey,
        /// The fields in which the environments differ.
        fields: Vec<String>,
    },
    /// A graph was to be compiled again, and its program is not in the cache any more.
    #[error("stage `{stage}`: the cache has lost the program of graph {}, so it cannot be compiled from there", graph_key.short())]
    ProgramGone {
        /// The stage of the model.
        stage: String,
        /// The graph.
        graph_key: GraphKey,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// An executable was given the wrong number of inputs.
    #[error("stage `{stage}` takes {}, {given} {} given", inputs(*.expected), if *.given == 1 { "was" } else { "were" })]
    InputCount {
        /// The stage of the model.
        stage: String,
        /// The number of inputs that it takes.
        expected: usize,
        /// The number of inputs that it was given.
        given: usize,
    },
    /// An input has another shape or dtype than the executable takes.
    #[error("stage `{stage}`, input {index}: it takes {expected}, and {given} was given")]
    InputType {
        /// The stage of the model.
        stage: String,
        /// The input's position, from 0.
        index: usize,
        /// The dtype and shape it takes.
        expected: String,
        /// The dtype and shape it was given.
        given: String,
    },
    /// The executable's inputs are not known, so zeros of their shapes cannot be made.
    #[error("stage `{stage}`: the plugin does not report the inputs of graph {}, so it cannot be run on zeros", graph_key.short())]
    InputsUnknown {
        /// The stage of the model.
        stage: String,
        /// The executable's key.
        graph_key: GraphKey,
    },
    /// Running an executable, or moving its inputs and outputs, failed.
    #[error("stage `{stage}`: {doing}")]
    Run {
        /// The stage of the model.
        stage: String,
        /// What was being done.
        doing: &'static str,
        /// The error of the plugin or the torch library.
        #[source]
        cause: DeviceFault,
    },
    /// The device has too little memory, even if everything that is not in use is dropped. The
    /// error is boxed, because it has many figures.
    #[error(transparent)]
    OutOfMemory(#[from] Box<OutOfMemory>),
    /// A tensor could not be moved to the device.
    #[error("a tensor of {kind} could not be moved to the device")]
    Upload {
        /// Its dtype and shape.
        kind: String,
        /// The error of the plugin or the torch library.
        #[source]
        cause: DeviceFault,
    },
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(#[from] preheat_tensor::TensorError),
    /// A tensor does not have the size that the graph's builder declared.
    #[error("stage `{stage}`, {what} {index} is {given}, and the graph declares that {declared}")]
    Padding {
        /// The stage of the model.
        stage: String,
        /// `input` or `output`.
        what: &'static str,
        /// Its position, from 0.
        index: usize,
        /// What was declared.
        declared: String,
        /// Its dtype and shape.
        given: String,
    },
    /// An operation on the cache itself failed.
    #[error(transparent)]
    Store(#[from] preheat_cache::StoreError),
    /// Entries that no installed plugin compiled were to be removed, and no plugin is installed.
    #[error(
        "no plugin was found, so everything in the cache would count as stale; nothing was removed"
    )]
    NothingInstalled,
    /// Something was to be compiled only to be stored, and the cache folder cannot be written.
    #[error("nothing could be kept: the cache folder {} cannot be written", path.display())]
    CacheNotWritable {
        /// The folder.
        path: std::path::PathBuf,
        /// Why the folder cannot be written.
        #[source]
        cause: Box<preheat_cache::StoreError>,
    },
    /// A remote failed, and the runtime requires its remotes.
    #[error("the remote {name} is required: {cause}")]
    Remote {
        /// The remote's name: its URL without a password.
        name: String,
        /// Why it failed, or why an object of it was refused.
        #[source]
        cause: preheat_cache::RemoteError,
    },
    /// An operation needs a cache, and there is none.
    #[error("no cache is in use: {0}")]
    NoCache(NoCache),
}

/// Why a runtime has no cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCache {
    /// [`RuntimeBuilder::use_cache`](crate::RuntimeBuilder::use_cache) turned it off.
    #[error("it is turned off")]
    TurnedOff,
    /// No folder was named, and the environment does not tell where the user's files are.
    #[error("no cache folder is known: set PREHEAT_CACHE_DIR or HOME")]
    NoFolder,
    /// It was turned off, or could not be opened. If it could not be opened, a warning says why.
    #[error("it was turned off, or could not be opened")]
    Absent,
}

impl Error {
    /// A cache is needed, and this runtime has none.
    pub(crate) const NO_CACHE: Self = Self::NoCache(NoCache::Absent);

    /// Whether the device had too little memory for a load, a tensor or an execution.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::OutOfMemory(_) => true,
            Self::Run { cause, .. } | Self::Upload { cause, .. } => cause.is_out_of_memory(),
            _ => false,
        }
    }
}

fn inputs(count: usize) -> String {
    if count == 1 { "1 input".to_owned() } else { format!("{count} inputs") }
}

fn stages(lookups: &[StageLookup]) -> String {
    let names: Vec<_> = lookups.iter().map(|stage| format!("stage `{}`", stage.stage)).collect();
    names.join(", ")
}
