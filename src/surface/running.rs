//! How is an executable obtained and run?

/// A program makes one runtime when it starts, and asks it for every executable that it needs.
///
/// ```no_run
/// use preheat::{Dtype, Program, Runtime, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().for_programs().build()?;
/// let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// let signature =
///     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// let unet = runtime.get_or_compile(&signature, &program)?; // from memory, disk or the compiler
/// let outputs = unet.run(&unet.zeros()?)?;
/// # let _ = outputs;
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Runtime;

/// The settings of a runtime have the meaning of the command line's flags.
///
/// ```no_run
/// use preheat::{Cancel, DeviceName, DeviceRequest, Runtime};
///
/// # fn main() -> Result<(), preheat::Error> {
/// let stop = Cancel::default();
/// let device = DeviceRequest { device: DeviceName::Tpu, strict: true, ..Default::default() };
/// let runtime = Runtime::builder()
///     .device(device)
///     .cache_dir("/srv/preheat")
///     .cache_max_bytes(20 << 30)
///     .require_warm(true) // anything that would have to be compiled is an error
///     .cancel(stop.clone())
///     .build()?;
/// println!("{}", runtime.device().reason);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::RuntimeBuilder;

/// A request can be refined before it is made.
///
/// ```no_run
/// use preheat::{Dtype, Program, Runtime, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// # let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// // The executable in the cache is not trusted: compile it again, and replace it.
/// let unet = runtime.request(&signature, &program).force_recompile(true).get()?;
/// # let _ = unet;
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Request;

/// An executable takes tensors of the host or of the device, and returns tensors on the device.
///
/// ```no_run
/// # use preheat::{Dtype, Program, Runtime, create_execution_signature};
/// use preheat::{Executable, Tensor};
///
/// fn first_output(unet: &Executable, inputs: &[Tensor]) -> Result<Tensor, preheat::Error> {
///     Ok(unet.run_to_host(inputs)?.remove(0))
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// # let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// let unet = runtime.get_or_compile(&signature, &program)?;
/// println!("{:?} in {} s", unet.report().source, unet.report().load_seconds);
/// println!("{:?}", first_output(&unet, &unet.zeros()?)?);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Executable;

/// A tensor that stays the same from step to step is moved to the device once.
///
/// ```no_run
/// use preheat::{DeviceTensor, Runtime, Tensor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// let prompt: DeviceTensor = runtime.to_device(&Tensor::from_f32(&[2], &[0.5, 2.0])?)?;
/// assert_eq!(prompt.to_host()?.to_f32(), Some(vec![0.5, 2.0]));
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::DeviceTensor;

/// Errors say what failed, on what, and why. If the cache fails while a runtime serves a request,
/// this is only a warning, and the runtime compiles.
///
/// ```no_run
/// use preheat::{Error, Runtime};
/// # use preheat::{Dtype, Program, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().for_programs().require_warm(true).build()?;
/// # let program = Program::sniff(std::fs::read("examples/programs/unet_step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// match runtime.get_or_compile(&signature, &program) {
///     Ok(unet) => println!("{:?}", unet.report().source),
///     Err(Error::NotWarm(stages)) => println!("{} stages would be compiled", stages.len()),
///     Err(error) if error.is_out_of_memory() => println!("try a smaller batch: {error}"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::Error;

/// To compile for hardware that is not here, the runtime starts the program itself once more for
/// each compile.
///
/// ```no_run
/// use preheat::{Runtime, Target};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     preheat::serve_compiler(); // first of all: in such a process it does not return
///     let v5e: Target = "tpu:v5e:2x2".parse()?;
///     let runtime = Runtime::builder().target(v5e).build()?;
///     // runtime.request(&signature, &graph).precompile()?;
///     # let _ = runtime;
///     Ok(())
/// }
/// ```
pub use preheat_runtime::serve_compiler;

/// A denoising loop marks its steps with a boundary. The boundary times each step, and lets at most
/// two steps be queued on the device.
///
/// ```no_run
/// use preheat::StepBoundary;
/// # use preheat::{Dtype, Program, Runtime, create_execution_signature};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().for_programs().build()?;
/// # let program = Program::sniff(std::fs::read("step.mlir")?)?;
/// # let signature =
/// #     create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;
/// # let executable = runtime.get_or_compile(&signature, &program)?;
/// # let start = executable.zeros()?.remove(0);
/// let mut latents = runtime.to_device(&start)?;
/// let mut boundary: StepBoundary<'_> = runtime.step_boundary("diffusion_step").total(20);
/// for _ in 0..20 {
///     let step = boundary.begin()?; // waits while two are in flight
///     latents = executable.run([&latents])?.remove(0);
///     step.until(&latents)?; // waits for nothing, unless `sync_steps` says so
/// }
/// let times = boundary.finish()?; // every step has finished
/// println!("{:.3} s a step, p99 {:.3} s", times.mean_seconds, times.p99_seconds);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::StepBoundary;

/// The time of the first step is reported apart, because a device may prepare itself during that
/// step.
///
/// ```
/// use preheat::StepTimes;
///
/// fn in_words(times: &StepTimes) -> String {
///     format!("first {:.2} s, then {:.2} s each", times.first_seconds, times.mean_seconds)
/// }
///
/// let times = StepTimes { first_seconds: 0.5, mean_seconds: 0.25, ..StepTimes::default() };
/// assert_eq!(in_words(&times), "first 0.50 s, then 0.25 s each");
/// ```
pub use preheat_runtime::StepTimes;
