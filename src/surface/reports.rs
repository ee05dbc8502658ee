//! What does a runtime report about its work?

/// A look-up tells whether a request would have to compile, without compiling.
///
/// ```no_run
/// use preheat::{Lookup, Runtime, Verdict};
/// # use preheat::{Dtype, Program, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// # let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// let answer: Lookup = runtime.lookup(&signature, &program)?;
/// for stage in answer.stages.iter().filter(|stage| stage.verdict == Verdict::Miss) {
///     println!("{}: {:?} s to compile", stage.stage, stage.expected_compile_seconds);
/// }
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Lookup;

/// A request hits if nothing has to be compiled for it; it hits in part if only some of its stages
/// are cold.
///
/// ```
/// use preheat::{Lookup, Verdict};
///
/// assert_eq!(Lookup::of(Vec::new()).verdict, Verdict::Miss);
/// assert_eq!(serde_json::json!(Verdict::Partial), "partial");
/// ```
pub use preheat_runtime::Verdict;

/// Every executable has a report of how it was obtained.
///
/// ```
/// use preheat::{Source, StageReport};
///
/// fn waited_seconds(stages: &[StageReport]) -> f64 {
///     stages.iter().map(|stage| stage.compile_seconds + stage.load_seconds).sum()
/// }
///
/// fn is_warm(stages: &[StageReport]) -> bool {
///     stages.iter().all(|stage| stage.source != Source::Compiled)
/// }
/// # assert!(is_warm(&[]) && waited_seconds(&[]) == 0.0);
/// ```
pub use preheat_runtime::StageReport;

/// A warmup runs each stage once on zeros, and says whether the cache kept what was compiled.
///
/// ```no_run
/// use preheat::{Runtime, WarmupReport};
/// # use preheat::{Dtype, Program, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// # let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// let (unet, report): (_, WarmupReport) = runtime.warmup(&signature, &program)?;
/// assert!(report.kept, "the next process would compile it again: {:?}", runtime.warnings());
/// # let _ = unet;
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::WarmupReport;

/// The source of an executable shows whether it was compiled for this request.
///
/// ```
/// use preheat::Source;
///
/// fn is_cold(source: Source) -> bool {
///     match source {
///         Source::Memory | Source::Disk | Source::Fallback | Source::Remote => false,
///         Source::Compiled => true,
///     }
/// }
/// assert!(is_cold(Source::Compiled));
/// ```
pub use preheat_cache::Source;

/// A match says how an executable was found: by the exact request, by an equivalent one, or by the
/// graph.
///
/// ```
/// use preheat::Match;
///
/// // The executable was made for another request with the same projection.
/// assert_eq!(Match::Equivalent.to_string(), "equivalent");
/// ```
pub use preheat_cache::Match;

/// A graph key is printed as hexadecimal digits, and read again from them.
///
/// ```
/// use preheat::{Digest, GraphKey};
///
/// let key = GraphKey(Digest::of(b"program, options and environment"));
/// assert_eq!(key.to_string().parse(), Ok(key));
/// assert!(key.to_string().starts_with(&key.short()));
/// ```
pub use preheat_cache::GraphKey;

/// The statistics of a cache are the sums over all processes that use it.
///
/// ```
/// use preheat::{Runtime, Statistics};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let cache = Runtime::builder().cache_dir(folder.path()).open_cache()?;
/// let statistics: Statistics = cache.statistics()?;
/// assert_eq!((statistics.stages.compiles, statistics.stages.hits.exact), (0, 0));
/// # Ok(())
/// # }
/// ```
pub use preheat_cache::Statistics;

/// Metrics are collected only if a program asks for them. Most have the names that `torch_xla`
/// uses.
///
/// ```no_run
/// use preheat::{Metrics, Runtime};
///
/// # fn main() -> Result<(), preheat::Error> {
/// let runtime = Runtime::builder().metrics(true).build()?;
/// // ... requests and executions
/// let metrics: Metrics = runtime.metrics();
/// for (name, figure) in metrics.flat() {
///     println!("{name} {figure}"); // UncachedCompile 1, denoiser.CompileTime.seconds 12.5, ...
/// }
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Metrics;
