//! How does a model folder become pictures?

/// A pipeline is opened once and runs any number of requests. It keeps weights and executables.
///
/// ```no_run
/// use preheat::{Pipeline, Runtime, TextToImage};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().build()?;
/// let pipeline = Pipeline::open(&runtime, "examples/demo-model")?;
/// let made = pipeline.run(&TextToImage::new("the digit seven"))?;
/// made.pictures[0].save("seven.png".as_ref())?;
/// # Ok(())
/// # }
/// ```
pub use preheat_diffusion::pipeline::Pipeline;

/// The settings of a pipeline hold for all of its requests.
///
/// ```no_run
/// use preheat::{Percent, Pipeline, Precision, Precisions, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().build()?;
/// let pipeline = Pipeline::builder()
///     .precisions(Precisions { all: Precision::Bf16, ..Precisions::default() })
///     .snap_to_warm(Percent::wasted(512 * 512, 512 * 768))
///     .variant("fp16")
///     .open(&runtime, "models/sd15")?;
/// # let _ = pipeline;
/// # Ok(())
/// # }
/// ```
pub use preheat_diffusion::pipeline::PipelineBuilder;

/// A request has the same fields in a program, in a JSON file and on the command line.
///
/// ```
/// use preheat::TextToImage;
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let request = TextToImage { seed: Some(7), steps: 8, ..TextToImage::new("the digit seven") };
/// let json = r#"{"prompt": "the digit seven", "seed": 7, "num_inference_steps": 8}"#;
/// assert_eq!(serde_json::from_str::<TextToImage>(json)?, request);
///
/// // LoRA files change the model's weights for one request, and compile nothing.
/// let styled = TextToImage::new("the digit seven").with_lora("style.safetensors", 0.8);
/// let json = r#"{"prompt": "the digit seven", "loras": ["style.safetensors:0.8"]}"#;
/// assert_eq!(serde_json::from_str::<TextToImage>(json)?, styled);
///
/// // Weights in a prompt are read if the request says in whose syntax they are written.
/// let weighted = TextToImage {
///     prompt_syntax: "a1111".parse().expect("it is a syntax"),
///     ..TextToImage::new("the (digit:1.3) seven")
/// };
/// let json = r#"{"prompt": "the (digit:1.3) seven", "prompt_syntax": "a1111"}"#;
/// assert_eq!(serde_json::from_str::<TextToImage>(json)?, weighted);
/// # Ok(())
/// # }
/// ```
pub use preheat_diffusion::pipeline::TextToImage;

/// A run returns its pictures, and how it made them.
///
/// ```no_run
/// use preheat::{Made, Pipeline, PipelineError, TextToImage};
///
/// fn show(pipeline: &Pipeline, prompt: &str) -> Result<(), PipelineError> {
///     let made: Made = pipeline.run(&TextToImage::new(prompt))?;
///     println!("seed {}, {:.3} s a step", made.plan.seed, made.steps.mean_seconds);
///     for stage in &made.stages {
///         println!("{}: {:?}, {}", stage.stage, stage.source, stage.matched);
///     }
///     for warning in &made.warnings {
///         println!("{warning}"); // such as: the prompt is too long
///     }
///     Ok(())
/// }
/// # let _ = show;
/// ```
pub use preheat_diffusion::pipeline::Made;

/// A picture is saved with the settings that make it again.
///
/// ```
/// use preheat::{Picture, PipelineError};
///
/// /// The picture as a PNG file, for a web server to send.
/// fn body(picture: &Picture) -> Result<Vec<u8>, PipelineError> {
///     println!("{}x{}, seed {}", picture.width, picture.height, picture.settings.seed);
///     picture.to_png()
/// }
/// # let _ = body;
/// ```
pub use preheat_diffusion::pipeline::Picture;

/// A plan tells the signature and the sizes of a request before anything is loaded.
///
/// ```no_run
/// use preheat::{Pipeline, PipelineError, Plan, TextToImage};
///
/// fn padded_px(pipeline: &Pipeline, request: &TextToImage) -> Result<[u64; 2], PipelineError> {
///     let plan: Plan = pipeline.plan(request)?;
///     Ok(plan.sizes.padded)
/// }
/// # let _ = padded_px;
/// ```
pub use preheat_diffusion::pipeline::Plan;

/// A warmup reports each stage: whether it was compiled, loaded or already in memory.
///
/// ```no_run
/// use preheat::{Pipeline, Runtime, Source, TextToImage, Warmed};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().build()?;
/// let request = TextToImage::new("the digit seven");
/// let (pipeline, warmed): (Pipeline, Warmed) =
///     Pipeline::builder().open_warm(&runtime, "examples/demo-model", &request)?;
/// let compiled = |report: &&preheat::WarmupReport| report.stage.source == Source::Compiled;
/// println!("{} stages were compiled", warmed.stages.iter().filter(compiled).count());
/// # let _ = pipeline;
/// # Ok(())
/// # }
/// ```
pub use preheat_diffusion::pipeline::Warmed;

/// The errors of a pipeline distinguish a request that cannot be served from a model that cannot be
/// used.
///
/// ```no_run
/// use preheat::{Made, Pipeline, PipelineError, TextToImage};
///
/// fn answer(pipeline: &Pipeline, request: &TextToImage) -> Result<Made, String> {
///     pipeline.run(request).map_err(|error| match error {
///         PipelineError::Request { field, why, .. } => format!("field `{field}`: {why}"),
///         error if error.is_out_of_memory() => "the picture is too large".to_owned(),
///         error => error.to_string(),
///     })
/// }
/// # let _ = answer;
/// ```
pub use preheat_diffusion::pipeline::PipelineError;
