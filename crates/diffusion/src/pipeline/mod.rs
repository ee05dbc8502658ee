//! How do a model folder and a prompt become pictures?
//!
//! ```no_run
//! use preheat_runtime::Runtime;
//! use preheat_diffusion::pipeline::{Pipeline, TextToImage};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().build()?;
//! let pipeline = Pipeline::open(&runtime, "examples/demo-model")?;
//! let made = pipeline.run(&TextToImage::new("the digit seven"))?;
//! made.pictures[0].save("seven.png".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! A request becomes stages (`stage.rs`): each text encoder, the denoiser, and the VAE's decoder.
//! The request is planned without a device (`checked_request.rs`). Then the executables are
//! obtained in parallel, while the weights are copied to the device (`ready.rs`). Prompts are read
//! (`read_prompts.rs`, `prompt_syntax/`) and encoded, each once (`encode.rs`). The run begins with
//! noise, or with a picture (`given_picture.rs`, `resample.rs`, `beginning.rs`). The denoising
//! steps run, and the latents stay on the device meanwhile (`denoise.rs`). At the end, pictures are
//! decoded one by one and cropped (`decode.rs`).
//!
//! The crop begins at the top left corner, `[0, 0]`: what padding added is cut off at the right and
//! at the bottom. A picture that was computed at a larger warm size (`snap.rs`) is cropped in the
//! same way.
//!
//! A [`Pipeline`] only brings these parts together (`handle.rs`).

mod agreement;
mod beginning;
mod builder;
mod carry;
mod checked_request;
mod decode;
mod denoise;
mod encode;
mod error;
mod given_picture;
mod handle;
mod home;
mod image;
mod learned;
mod made;
mod make;
mod measure;
mod model;
pub mod noise;
mod obtain;
mod on_stage;
mod open;
mod precompile_stages;
mod prompt_syntax;
mod prompt_warnings;
mod prompts;
mod read_prompts;
mod ready;
mod request;
mod resample;
mod resident;
mod room;
pub mod schedulers;
mod snap;
mod source;
mod stage;
mod stage_lookup;
#[cfg(test)]
mod test_model;
mod tiles;
pub mod tokenizer;
mod tune;
mod upscale;
mod warm;
mod watch;

pub use crate::lora::AppliedLora;
pub use agreement::Agreement;
pub use builder::PipelineBuilder;
pub use checked_request::{Plan, PlannedPicture, Sizes};
pub use error::PipelineError;
pub use handle::Pipeline;
pub use image::{Picture, Settings, Upscaled};
pub use made::{Made, Warmed};
pub use measure::GotReady;
pub use open::ReadModel;
pub use precompile_stages::{Precompile, Precompiled, precompile_programs};
pub use preheat_runtime::StepTimes;
pub use preheat_runtime::device::{ParsePrecisionError, Precision, Precisions};
pub use prompt_syntax::{ParsePromptSyntaxError, PromptSyntax, PromptSyntaxError};
pub use request::{Lora, ParseResolutionError, TextToImage, WarmupBlock, parse_resolution};
pub use stage_lookup::{LookedUp, LookedUpStage};
pub use tune::{Speed, Tried, Tuned};
pub use upscale::{LatentInterpolation, LatentUpscale, ParseLatentInterpolationError};
