//! preheat compiles the graphs of a diffusion pipeline with XLA once, keeps the executables on
//! disk, and loads them in a fraction of a second in every later process.
//!
//! | word | meaning |
//! |---|---|
//! | model | a pipeline's weights and configuration; its id is a name |
//! | stage | one graph of a model: text encoder, denoiser, VAE decoder; `program` if there is no model |
//! | execution signature | the facts of a request that decide what is executed: model id, padded shape, batch, cfg scale, scheduler, steps, dtype |
//! | environment | the facts that decide whether machine code fits: plugin build, topology, compiler flags, host features, ... |
//! | program | StableHLO text or bytecode, or a serialised HLO module |
//! | graph key | the digest of program, compile options and environment: it names exactly one executable |
//! | warm | every stage that a signature needs has an executable in the cache for this environment |
//!
//! A [`Runtime`] is a device with its cache. A program asks it for the executable of a graph under
//! a signature. The runtime answers from memory or from disk, or compiles the graph and keeps the
//! executable:
//!
//! ```no_run
//! use preheat::{Dtype, Program, Runtime, Tensor, create_execution_signature};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().for_programs().build()?;
//! let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
//! let signature = create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
//!
//! let unet = runtime.get_or_compile(&signature, &program)?; // compiled once, ever
//! let outputs = unet.run(&unet.zeros()?)?; // the outputs stay on the device
//! println!("{:?}", outputs[0].to_host()?);
//! # Ok(())
//! # }
//! ```

//!
//! From a model folder to a picture, with the feature `pipeline`:
//!
//! ```no_run
//! # #[cfg(feature = "pipeline")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use preheat::{Pipeline, Runtime, TextToImage};
//!
//! let runtime = Runtime::builder().build()?;
//! let pipeline = Pipeline::open(&runtime, "examples/demo-model")?;
//! let made = pipeline.run(&TextToImage::new("the digit seven"))?;
//! made.pictures[0].save("seven.png".as_ref())?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "pipeline"))]
//! # fn main() {}
//! ```
//!
//! # The names
//!
//! These are the main names of the library, by what a program does with them. Types that a program
//! only reads, as fields and results of these, are documented in the crates that define them; the
//! pages of the names link to them.
//!
//! | a program | with |
//! |---|---|
//! | describes what it runs | [`create_execution_signature`], [`Signature`], [`normalize_shape`], [`latent_shape`], [`Dtype`] |
//! | brings a graph | [`Program`], [`Graph`], [`BuilderId`], [`CompileOptions`] |
//! | declares what may share an executable | [`Projection`], [`Keep`], [`ModelProjection`], [`CfgProjection`], [`Padding`], [`Scaled`] |
//! | chooses a device | [`DeviceRequest`], [`DeviceName`], [`StageDevices`], [`Target`], [`Precisions`], [`CompileEffort`], [`EffortChoice`], [`Offload`], [`describe_devices`] |
//! | obtains and runs executables | [`Runtime`], [`RuntimeBuilder`], [`Request`], [`Executable`], [`Tensor`], [`DeviceTensor`], [`StepBoundary`] |
//! | reads results and figures | [`StageReport`], [`WarmupReport`], [`Lookup`], [`Verdict`], [`Source`], [`Match`], [`Metrics`], [`Trace`] |
//! | follows long work, and stops it | [`Progress`], [`Event`], [`Cancel`], [`Control`] |
//! | looks after the cache | [`Cache`], [`CacheInfo`], [`PruneRule`], [`Statistics`] |
//! | shares the cache with other machines | `open_remote` (feature `remote`) |
//! | makes pictures | `Pipeline`, `PipelineBuilder`, `TextToImage`, `Made`, `Picture` (feature `pipeline`) |
//! | flattens the command line's flags into its own | `preheat::cli` (feature `cli`) |
//!
//! A program that needs only a part of preheat can depend on the crate of that part: `preheat-ir`
//! for graphs of one's own, `preheat-cache` for keys and the store, `preheat-pjrt` for XLA's
//! plugins.

#[cfg(feature = "cli")]
pub mod cli;
mod surface;

pub use self::surface::devices::{
    CompileEffort, DeviceName, DeviceRequest, EffortChoice, Offload, Precision, Precisions,
    StageDevices, Target, describe_devices,
};
pub use self::surface::graphs::{
    BuilderId, CompileOptions, Digest, Graph, OptionValue, Program, ProgramFormat, Signature,
    SignatureError, create_execution_signature, latent_shape, normalize_shape,
};
#[cfg(feature = "pipeline")]
pub use self::surface::pipelines::{
    Made, Picture, Pipeline, PipelineBuilder, PipelineError, Plan, TextToImage, Warmed,
};
pub use self::surface::progress::{Cancel, Control, Event, EventKind, Progress, Trace};
pub use self::surface::projections::{
    CfgProjection, Keep, ModelProjection, Padding, Percent, Projection, Scaled,
};
pub use self::surface::reports::{
    GraphKey, Lookup, Match, Metrics, Source, StageReport, Statistics, Verdict, WarmupReport,
};
pub use self::surface::running::{
    DeviceTensor, Error, Executable, Request, Runtime, RuntimeBuilder, StepBoundary, StepTimes,
    serve_compiler,
};
#[cfg(feature = "xla-rs")]
pub use self::surface::tensors::LiteralError;
pub use self::surface::tensors::{Dtype, Tensor, TensorError, TensorType};
#[cfg(feature = "remote")]
pub use self::surface::upkeep::open_remote;
pub use self::surface::upkeep::{Cache, CacheInfo, PruneRule};
