//! preheat compiles the graphs of a diffusion pipeline with XLA once, keeps the executables on
//! disk, and loads them in a fraction of a second in every later process.
//!
//! | word | meaning |
//! |---|---|
//! | model | a pipeline's weights and configuration; its id is a name |
//! | stage | one graph of a model: text encoder, denoiser, VAE decoder; `program` where there is no model |
//! | execution signature | what the user asked to run: model id, padded shape, batch, cfg scale, scheduler, steps, dtype |
//! | environment | what decides whether machine code fits: plugin build, topology, compiler flags, host features, ... |
//! | program | StableHLO text or bytecode, or a serialised HLO module |
//! | graph key | the digest of program, compile options and environment: names exactly one executable |
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

#[cfg(feature = "cli")]
pub mod cli;

pub use preheat_cache::{
    BuilderId, CfgProjection, CompileOptions, Digest, GraphKey, Keep, Match, ModelProjection,
    OptionValue, Program, ProgramFormat, Projection, Signature, Source, Statistics,
    create_execution_signature, latent_shape, normalize_shape,
};
#[cfg(feature = "pipeline")]
pub use preheat_diffusion::{evidence, models, pipeline, weights};
pub use preheat_ir::{graph, lower};
pub use preheat_runtime::{
    Executable, Graph, Runtime, backend, device, progress, serve_compiler, trace,
};
#[cfg(feature = "xla-rs")]
pub use preheat_tensor::LiteralError;
pub use preheat_tensor::{Dtype, Tensor, TensorError, TensorType};
pub use {
    preheat_pjrt as pjrt, preheat_plugins as plugins, preheat_runtime as runtime,
    preheat_tensor as tensor, preheat_torch_abi as torch_abi,
};
