//! On which device does a stage run, in which precision, and how much of it stays on the device?

/// Devices have the names of the flag `--device`.
///
/// ```
/// use preheat::DeviceName;
///
/// assert_eq!("cuda:1".parse(), Ok(DeviceName::Cuda(1)));
/// assert_eq!(DeviceName::XlaCpu.to_string(), "xla-cpu");
/// assert!("gpu".parse::<DeviceName>().is_err());
/// ```
pub use preheat_runtime::device::DeviceName;

/// A request for a device may be strict: then a device that cannot be used is an error. Otherwise
/// the CPU is used in its place.
///
/// ```no_run
/// use preheat::{DeviceName, DeviceRequest, Runtime};
///
/// # fn main() -> Result<(), preheat::Error> {
/// let tpu = DeviceRequest { device: DeviceName::Tpu, strict: true, ..DeviceRequest::default() };
/// let runtime = Runtime::builder().device(tpu).build()?;
/// assert_eq!(runtime.device_name(), DeviceName::Tpu);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::device::DeviceRequest;

/// The text encoder and the VAE may run on devices of their own.
///
/// ```no_run
/// use preheat::{DeviceName, Runtime, StageDevices};
///
/// # fn main() -> Result<(), preheat::Error> {
/// let on_the_cpu = StageDevices { vae: Some(DeviceName::Cpu), ..StageDevices::default() };
/// let runtime = Runtime::builder().stage_devices(on_the_cpu).build()?;
/// # let _ = runtime;
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::device::StageDevices;

/// A target names hardware that need not be here: graphs are compiled for it ahead of time.
///
/// ```
/// use preheat::Target;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let v5e: Target = "tpu:v5e:2x2".parse()?;
/// assert_eq!(v5e.topology(), "v5e:2x2");
/// assert!("tpu".parse::<Target>().is_err());
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::device::Target;

/// A lower effort compiles faster. A warm executable of a higher effort also serves a request for a
/// lower one.
///
/// ```
/// use preheat::{CompileEffort, Runtime};
///
/// let builder = Runtime::builder().compile_effort(CompileEffort::Fast);
/// assert!(CompileEffort::Fast < CompileEffort::Full);
/// # let _ = builder;
/// ```
pub use preheat_runtime::CompileEffort;

/// With the tiered choice, an executable of a lower effort serves first, and the full one takes
/// over when it has been compiled in the background.
///
/// ```
/// use preheat::{EffortChoice, Runtime};
///
/// let builder = Runtime::builder().compile_effort(EffortChoice::Tiered);
/// assert!(EffortChoice::Tiered.is_tiered_on("tpu"));
/// # let _ = builder;
/// ```
pub use preheat_runtime::EffortChoice;

/// The device decides the precision of a stage, unless a program asks for a particular precision.
///
/// ```
/// use preheat::Precision;
///
/// assert_eq!("bfloat16".parse(), Ok(Precision::Bf16));
/// assert_eq!(Precision::default(), Precision::Auto);
/// ```
pub use preheat_runtime::device::Precision;

/// Each stage of a pipeline may have a precision of its own.
///
/// ```
/// use preheat::{Precision, Precisions};
///
/// let precisions =
///     Precisions { all: Precision::Bf16, vae: Some(Precision::Fp32), ..Precisions::default() };
/// assert_eq!(precisions.denoiser, None); // as `all` says
/// ```
pub use preheat_runtime::device::Precisions;

/// On devices of libtorch, weights may rest in the memory of the host.
///
/// ```
/// use preheat::Offload;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stage_by_stage: Offload = "model".parse()?;
/// assert_ne!(stage_by_stage, Offload::Auto);
/// # Ok(())
/// # }
/// ```
pub use preheat_runtime::device::offload::Offload;

/// A program that lets people choose a device shows which ones this machine has, and why the others
/// cannot be used.
///
/// ```no_run
/// for device in preheat::describe_devices() {
///     let mark = if device.available { "+" } else { "-" };
///     println!("{mark} {}: {}", device.name, device.reason);
/// }
/// ```
pub use preheat_runtime::describe_devices;
