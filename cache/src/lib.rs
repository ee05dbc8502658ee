//! Which graphs were compiled, and where is their machine code? These are the keys and the store of
//! preheat: processes share compiled graphs, which are stored under content hashes.
//!
//! A [`Signature`] is what the user asked to run. Its projection, the [`Environment`], the
//! [`CompileOptions`] and the [`BuilderId`] are enough to find the graph keys of a pipeline's
//! stages: no graph has to be built. A [`GraphKey`] names exactly one compiled executable, and a
//! [`Store`] keeps the executable. This crate stores bytes under keys: it loads no plugin and
//! lowers no graph.
#![forbid(unsafe_code)]

mod environment;
mod files;
mod format;
mod framework_options;
mod framework_payload;
mod hash;
mod host;
mod key;
mod layout;
mod lock;
mod object;
mod options;
mod place;
mod plugin_build;
mod program;
mod record;
mod remote;
mod signature;
mod statistics;
mod store;
mod trust;
mod watched;

pub use environment::{Difference, Environment, Flags, FlagsError, Host, Topology};
pub use format::{FormatVersion, ObjectVersion};
pub use framework_options::FrameworkOptions;
pub use framework_payload::FrameworkPayload;
pub use hash::{Digest, FramedHasher, ParseDigestError};
pub use host::schedulable_cpus;
pub use key::{BuilderId, GraphKey, KeyInputs, RecordedProjection, projection_key};
pub use layout::Layout;
pub use lock::{CompileLock, LockHolder, LockOutcome, ReadGuard, Wait};
pub use object::ObjectError;
pub use options::{CompileOptions, OptionValue};
pub use plugin_build::{PluginBuild, PluginBuildError};
pub use program::{
    NamedDevices, Program, ProgramError, ProgramFormat, Requirements, RequirementsError,
};
pub use record::{
    GraphRecord, Interface, Measurements, ObjectInfo, ProgramInfo, RecordStatistics,
    RecordedSignature, TensorSpec,
};
pub use remote::{
    Delivered, Fetched, Remote, RemoteError, RemotePointer, RemoteQuery, RemoteStorage,
};
pub use signature::{
    CfgProjection, Keep, LARGEST_SIDE_PX, ModelProjection, ProjectedCfg, ProjectedModel,
    ProjectedSignature, Projection, ShapeError, Signature, SignatureError,
    create_execution_signature, latent_shape, normalize_shape,
};
pub use statistics::{
    Counters, DeviceStatistics, FinishedRequest, GroupStatistics, Histogram, Hits, Match, Outcomes,
    Purpose, QuantileLimits, RemoteStatistics, RequestEvent, RequestGroup, RequestOutcome,
    RequestStatistics, Source, StageCounts, StageUse, Statistics, Use, WarmingStatistics,
};
pub use store::{
    Cleared, EXPORT_START, Exported, Finding, FindingKind, Imported, IndexCause, LoadMark,
    LoadedObject, NearestRecord, Note, ObjectLookup, Prune, PruneReason, Pruned, PrunedEntry,
    Rebuilt, RefusedEntry, Removal, Resolved, Spooled, Store, StoreError, StoreOptions, Unfit,
    VerifyReport, Verifying, WantedEntry, remove_load_marks,
};
pub use trust::{Distrust, DistrustReason, Trust};
