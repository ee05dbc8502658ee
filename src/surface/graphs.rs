//! How does a program describe what it runs: by which signature, and by which graph?

/// A signature says what a user asked to run. Requests with equal signatures share executables.
///
/// ```
/// use preheat::{Dtype, Signature, create_execution_signature};
///
/// # fn main() -> Result<(), preheat::SignatureError> {
/// let asked =
///     create_execution_signature("sd15", [1, 4, 64, 64], 1, 7.5, "euler", 20, Dtype::Float32)?;
/// let unguided = Signature { cfg_scale: 1.0, ..asked.clone() };
/// assert!(asked.is_guided() && !unguided.is_guided());
/// assert_ne!(asked.digest(), unguided.digest());
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::Signature;

/// A signature that no request can have is refused when it is made.
///
/// ```
/// use preheat::{Dtype, SignatureError, create_execution_signature};
///
/// let nothing =
///     create_execution_signature("sd15", [1, 4, 64, 64], 0, 7.5, "euler", 20, Dtype::Float32);
/// assert_eq!(nothing, Err(SignatureError::BatchSize));
/// ```
pub use preheat_cache::SignatureError;

/// A program describes each request to a runtime by the signature that this function makes.
///
/// ```
/// use preheat::{Dtype, create_execution_signature, latent_shape, normalize_shape};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let padded_px = normalize_shape([500, 760], 64)?;
/// let (shape, dtype) = (latent_shape(1, padded_px), Dtype::BFloat16);
/// let signature = create_execution_signature("sd15", shape, 1, 7.5, "euler", 20, dtype)?;
/// assert_eq!(signature.input_shape, [1, 4, 96, 64]);
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::create_execution_signature;

/// Pictures of nearly the same size are computed at one padded size and cropped, so that they share
/// their executables.
///
/// ```
/// assert_eq!(preheat::normalize_shape([500, 760], 64), Ok([512, 768]));
/// assert_eq!(preheat::normalize_shape([512, 768], 64), Ok([512, 768]));
/// assert!(preheat::normalize_shape([0, 768], 64).is_err());
/// ```
pub use preheat_cache::normalize_shape;

/// The shape of latents has the height before the width, while a size in pixels has the width
/// first.
///
/// ```
/// assert_eq!(preheat::latent_shape(2, [512, 768]), [2, 4, 96, 64]);
/// ```
pub use preheat_cache::latent_shape;

/// A program that another tool exported is compiled unchanged. It may be StableHLO text or
/// bytecode, a serialised HLO module, or a function that `jax.export` serialised.
///
/// ```
/// use preheat::{Program, ProgramFormat};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }";
/// let program = Program::sniff(text.as_bytes())?;
/// assert_eq!(program.format(), ProgramFormat::Mlir);
/// assert!(Program::sniff(&b"no program"[..]).is_err());
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::Program;

/// A program that is built in memory is made with its format, and nothing has to be detected.
///
/// ```
/// use preheat::{Program, ProgramFormat};
///
/// let text = "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }";
/// let program = Program::new(ProgramFormat::Mlir, text.as_bytes());
/// assert_eq!(program.format().to_string(), "mlir");
/// ```
pub use preheat_cache::ProgramFormat;

/// A graph that takes long to build is given as a function, which is called only if nothing in the
/// cache answers the request.
///
/// ```
/// use preheat::{BuilderId, Digest, Graph, Program, Projection};
///
/// # fn export() -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) }
/// let architecture = Digest::of(b"the fields of unet/config.json that shape the graph");
/// let unet = Graph::built_by(BuilderId("my-unet-3".to_owned()), || {
///     Ok(Program::sniff(export()?)?) // may take minutes
/// })
/// .stage("denoiser")
/// .projection(Projection::step_graph(architecture));
/// assert_eq!(unet.stage_name(), "denoiser");
/// ```
pub use preheat_runtime::Graph;

/// The id of a graph's builder is a part of the key. It has to change whenever the code that builds
/// the graph changes; a digest of the sources does this automatically.
///
/// ```
/// use preheat::{BuilderId, Digest};
///
/// let sources = [&b"fn unet() ..."[..], b"fn attention() ..."].concat();
/// let builder = BuilderId(format!("my-models:{}", Digest::of(&sources)));
/// assert!(builder.0.starts_with("my-models:"));
/// ```
pub use preheat_cache::BuilderId;

/// A digest names bytes of any length, such as the fields of a configuration.
///
/// ```
/// use preheat::Digest;
///
/// let digest = Digest::of(b"{\"layers\": 4}");
/// assert_eq!(digest.to_string().len(), 64);
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// ```
pub use preheat_cache::Digest;

/// Options of the compiler are a part of the key: another value is another executable.
///
/// ```
/// use preheat::{CompileOptions, OptionValue};
///
/// let mut fast = CompileOptions::default();
/// let name = "xla_cpu_enable_fast_math".to_owned();
/// fast.overrides.insert(name, OptionValue::Bool(true));
/// assert_ne!(fast.digest(), CompileOptions::default().digest());
/// ```
pub use preheat_cache::CompileOptions;

/// The value of a compiler option has one of four types.
///
/// ```
/// use preheat::OptionValue;
///
/// assert_eq!(OptionValue::Int(2).to_string(), "2");
/// assert_eq!(OptionValue::Text("O1".to_owned()).to_string(), "O1");
/// ```
pub use preheat_cache::OptionValue;
