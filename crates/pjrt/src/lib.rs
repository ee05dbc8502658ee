//! How is an XLA plugin called safely? XLA's plugins are loaded and driven through a C interface,
//! PJRT.
//!
//! A [`Plugin`] is a shared library that exports `GetPjrtApi`. It makes [`Client`]s, which own
//! [`Device`]s, compile programs to [`LoadedExecutable`]s and hold [`Buffer`]s. If it can compile
//! without hardware, it also makes [`PjrtTopology`]s for [`compile_ahead`]. Every handle keeps
//! alive what it depends on, may be used from any thread, and frees what it holds when it is
//! dropped.
//!
//! - [`sys`] holds the C layouts. The handles above enter the function table only through
//!   `call.rs`: it reads no function beyond the table's own size, and turns each error of the
//!   plugin into [`PjrtError::Call`].
//! - [`RuntimeAbiVersion`] says whether a runtime accepts an executable, if the plugin has the
//!   extension for it.
//! - [`forward`] puts another table in front of a plugin's table, for plugins that wrap a plugin.
//!   It calls the wrapped plugin's table itself, by the same rules.
//! - [`options`] encodes compile options; [`hlo`] reads a program's parameters and results from
//!   an executable.
//!
//! Each plugin decides what it does on a bad request, and some end the process, for example on
//! unknown flags in `XLA_FLAGS`. This crate only refuses compile options on which plugins end the
//! process; its callers have to guard against the rest.
//!
//! ```no_run
//! use preheat_pjrt::{Client, ExecuteOptions, Plugin, PjrtProgram, options};
//! use preheat_tensor::Dtype;
//!
//! # fn main() -> Result<(), preheat_pjrt::PjrtError> {
//! let client = Client::create(&Plugin::open("xla_cpu_pjrt.so".as_ref())?, &[])?;
//! let text = b"func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
//!   %y = stablehlo.add %x, %x : tensor<2xf32>
//!   return %y : tensor<2xf32>
//! }";
//! let options = options::encode(&options::BuildOptions::default(), std::iter::empty())?;
//! let doubled = client.compile(PjrtProgram::mlir(text), &options)?;
//! let device = &client.addressable_devices()?[0];
//! let x = client.buffer_from_host(device, Dtype::Float32, &[2], &[0, 0, 128, 63, 0, 0, 0, 64])?;
//! let y = doubled.execute(&[&x], ExecuteOptions::default())?;
//! assert_eq!(y[0].to_host()?, [0, 0, 0, 64, 0, 0, 128, 64]);
//! # Ok(())
//! # }
//! ```
#![expect(unsafe_code, reason = "this crate calls C")]

mod abi_version;
mod buffer;
mod buffer_type;
mod call;
mod client;
mod device;
mod error;
mod event;
mod executable;
pub mod forward;
pub mod hlo;
mod layout;
mod loaded;
pub mod options;
mod plugin;
mod program;
pub mod sys;
mod table;
mod topology;
mod value;
mod version;

pub use abi_version::{Compatibility, ExecutableAbiVersion, RuntimeAbiVersion};
pub use buffer::{Buffer, HostTransfer};
pub use buffer_type::dtype_from_hlo;
pub use client::Client;
pub use device::{Device, DeviceDescription, MemoryStats};
pub use error::{ErrorCode, PjrtError};
pub use event::PjrtEvent;
pub use event::report_panic;
pub use executable::{CompiledMemoryStats, PjrtExecutable, SerializedExecutable};
pub use hlo::OptimizedProgram;
pub use loaded::{ExecuteOptions, LoadedExecutable};
pub use plugin::Plugin;
pub use program::{PjrtProgram, PjrtProgramFormat};
pub use topology::{PjrtTopology, compile_ahead};
pub use value::PjrtValue;
pub use version::ApiVersion;
