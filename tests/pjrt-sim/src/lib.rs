//! How can tests make a PJRT plugin behave like a TPU, or fail on purpose? This plugin forwards to
//! a real one, poses as a TPU, injects faults and logs the calls that tests count.
//!
//! As a cdylib this crate is the plugin. As a Rust library it is what tests use to set the plugin
//! up and to read its log: [`library_path`], [`Sim`], [`log::read`], [`Count`]. [`forward`] can be
//! used for other purposes too.
//!
//! # The environment
//!
//! The plugin reads these variables once, when it is loaded. If a value is invalid, or a variable
//! with this prefix is unknown, `PJRT_Plugin_Initialize` returns an error that names the variable.
//!
//! | variable | value |
//! |---|---|
//! | `PJRT_SIM_PLUGIN` | the real plugin's file; must be set |
//! | `PJRT_SIM_LOG` | a file that [`log`] lines are appended to; several processes may share it |
//! | `PJRT_SIM_POSE` | `tpu:TOPOLOGY`, such as `tpu:v5e:1x1` or `tpu:v4:2x2x1`: calls are answered with what was captured from libtpu for that topology (see [`pose`]) |
//! | `PJRT_SIM_PLATFORM_NAME` | another platform name |
//! | `PJRT_SIM_PLATFORM_VERSION` | another platform version |
//! | `PJRT_SIM_DEVICE_KIND` | another kind of all devices |
//! | `PJRT_SIM_BOUNDS` | other chips along x, y and z, such as `2x4`; with a pose only |
//! | `PJRT_SIM_CORES` | another number of devices per chip; with a pose only |
//! | `PJRT_SIM_TOPOLOGY_BYTES` | another serialised topology, in hexadecimal |
//! | `PJRT_SIM_HOST_FEATURES` | other host features in XLA:CPU's serialised topology, such as `+avx2,+fma`; without a pose only |
//! | `PJRT_SIM_MEMORY_LIMIT` | another size of a device's memory, in bytes; with a pose only |
//! | `PJRT_SIM_ABI_VERSION` | a text: the plugin offers the `AbiVersion` extension, and this is the version of the runtime and of what it compiles |
//! | `PJRT_SIM_ABI_TAKES` | versions, separated by commas, of the executables that the runtime accepts, or `none`; unset, it accepts its own version. Needs `PJRT_SIM_ABI_VERSION` |
//! | `PJRT_SIM_DELAY` | `WHERE=MILLISECONDS`, ...: these calls take longer |
//! | `PJRT_SIM_FAIL` | `WHERE`, ...: these calls return an error |
//! | `PJRT_SIM_ERROR_CODE` | the code of those errors, by number or by name; `INTERNAL` unless set |
//! | `PJRT_SIM_OUT_OF_MEMORY` | `WHERE`, ...: these calls return `RESOURCE_EXHAUSTED` |
//! | `PJRT_SIM_CORRUPT` | `deserialize`: the real plugin is given damaged bytes |
//! | `PJRT_SIM_HANG` | `WHERE`, ...: these calls never return |
//! | `PJRT_SIM_CRASH` | `WHERE`, ...: these calls abort the process, with a failed check and its stack on standard error |
//! | `PJRT_SIM_EXIT` | `WHERE`, ...: these calls end the process with exit status 1, as XLA does at an unknown flag |
//! | `PJRT_SIM_API_VERSION` | another version of the PJRT C API, such as `1.0` |
//! | `PJRT_SIM_TABLE_END` | the last function of the table, such as `PJRT_Compile` |
//! | `PJRT_SIM_ABSENT` | functions whose pointer is null |
//! | `PJRT_SIM_UNIMPLEMENTED` | functions that return `UNIMPLEMENTED`, such as `PJRT_Executable_Serialize` |
//!
//! `WHERE` is a place, which means each call there, or `PLACE@N` for the Nth call, or `PLACE@N+`
//! for the Nth and all later calls. Places are `initialize`, `client`, `topology`, `compile`,
//! `serialize`, `deserialize`, `execute`, `host_to_device` and `device_to_host`. Calls are counted
//! from 1 over the log file, over all processes that write to it; if there is no log, each process
//! counts its own.
//!
//! # A pose
//!
//! The real plugin must be XLA:CPU. A client gets as many devices as the topology has. Topologies
//! made by name, and compiles without a client, are served by additional clients of the real
//! plugin, which the caller never sees. A client belongs to one host. So programs can be compiled
//! for a topology of several hosts, but no client can be created for it.
//!
//! A serialised executable is marked with what it was compiled for, and every other pose refuses
//! it, as a real TPU would. If there are ABI versions, they decide instead: an executable for the
//! same chip is loaded if the runtime accepts its version, whatever its topology.
//!
//! The `StableHLO` versions among the plugin's attributes stay those of the real plugin, because
//! the real plugin reads the programs. Memory statistics hold the captured limit. The memory in use
//! is the size of the buffers that were filled from the host and of the executables that were
//! deserialised, until they are freed. A call that would exceed the limit is refused. Buffers and
//! executables that compiles and executions make are not counted. An override changes only the
//! topology of the pose; other topologies stay as they were captured.

mod abi_version;
pub mod config;
pub mod fault;
mod identity;
pub mod log;
mod plugin;
pub mod pose;
mod sim;
mod work;

pub use preheat_pjrt::forward;

/// The overrides of this plugin are implemented for this type.
#[derive(Debug)]
pub(crate) enum Simulated {}

/// The table of this plugin.
pub(crate) type Table = forward::Table<Simulated>;
pub use fault::{Place, When};
pub use log::{Count, Entry, Event, Origin, Outcome};
pub use sim::{LIBRARY, Sim, copy_as_other_build, library_path};

/// The entry point of a PJRT plugin.
#[expect(unsafe_code, reason = "a plugin is found by this symbol")]
// SAFETY: no other symbol of the library has this name.
#[unsafe(no_mangle)]
pub extern "C" fn GetPjrtApi() -> *const preheat_pjrt::sys::Api {
    plugin::table()
}
