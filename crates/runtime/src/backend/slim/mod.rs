//! Which parts of a serialised XLA:CPU executable does a load not need?
//!
//! The parts that only the compiler needed are removed. Loading then takes four tenths less time.
//!
//! The bytes hold the machine code, the thunks that call it, the buffer assignment, and the whole
//! optimised HLO module. Loading rebuilds that module instruction by instruction, but then reads
//! only a few parts of it: the entry's shape and aliasing, the constants that own a buffer, the
//! analysis that gives each logical buffer its value, and a count of operations. Therefore:
//!
//! 1. metadata (source lines, operation names, statistics) is removed from every instruction;
//! 2. the body of a fusion, which has already been compiled to a kernel, is replaced by its
//!    parameters and, for each result, a constant of its shape without a value;
//! 3. computations that only such bodies called (the reducers) are removed, with their schedule and
//!    their thread-local buffers.
//!
//! Nothing that runs is changed: thunks, object files, symbols, options and the places of all other
//! buffers are copied byte for byte. `docs/slim.md` says why each of these removals is safe, and
//! for which builds that was shown.
//!
//! | file | handles |
//! |---|---|
//! | `wire.rs` | protocol buffers |
//! | `thunks.rs` | which thunks look something up in the module |
//! | `module.rs` | computations and instructions, written without the removed parts |
//! | `buffers.rs` | logical buffers and allocations |
//! | `plan.rs` | what is removed |
//!
//! The rewriter rejects an executable in which it does not recognise a field, and that executable
//! is then kept unchanged. Field numbers are those of XLA's `xla/service/hlo.proto`,
//! `xla/service/cpu/executable.proto` and `xla/backends/cpu/runtime/thunk.proto`.

mod buffers;
mod module;
mod plan;
mod thunks;
mod wire;

use buffers::Buffers;
use module::Module;
use plan::Plan;
use wire::Message;

/// The plugin builds, as `preheat_cache::PluginBuild` names them, on which every test program gave
/// the same bytes from its whole and its slim executable.
const PROVEN_BUILDS: &[&str] = &[
    // xla-cpu-pjrt 0.0.1, Linux x86-64.
    "blake3:2b16e6d95b862adefb7dea3ba6ffd485101588ff8f410306251b1b74814ab295",
];

/// The environment variable that, set to `0`, keeps executables as the plugin wrote them.
pub(crate) const SWITCH: &str = "PREHEAT_SLIM";

/// Whether executables of this plugin build may be slimmed.
pub(crate) fn is_proven(plugin_build: &str) -> bool {
    PROVEN_BUILDS.contains(&plugin_build)
}

/// Whether executables are to be slimmed; the user can turn it off.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(SWITCH).is_none_or(|value| value != "0")
}

/// Why an executable is kept as the plugin wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSlimmed {
    /// A length or a number reaches past the end, or a field has an unknown wire type.
    #[error("{message} is not a well-formed message")]
    Malformed {
        /// The message that was read.
        message: &'static str,
    },
    /// A field that this release does not know, or knows in another form.
    #[error("{message} has a field {field} that is not understood")]
    UnknownField {
        /// The message that was read.
        message: &'static str,
        /// The field's number.
        field: u32,
    },
    /// A field that must be there exactly once is missing or repeated.
    #[error("{message} does not have field {field} exactly once")]
    NotOnce {
        /// The message that was read.
        message: &'static str,
        /// The field's number.
        field: u32,
    },
    /// The parts are well formed but do not fit together.
    #[error("{what}")]
    Inconsistent {
        /// The parts that do not fit together.
        what: &'static str,
    },
}

/// `CompilationResultProto.ObjFileKind.KERNELS`: the executable consists of thunks that call
/// kernels. XLA:CPU has made no other kind for years.
const KERNELS: u64 = 2;
/// XLA:CPU runs an executable with fewer floating point operations than this in the caller's
/// thread.
const FEWEST_OPERATIONS_OF_ITS_OWN_THREAD: u64 = 1000;

/// Returns the executable without the parts that only its compiler needed; see the module's head.
pub(crate) fn slim(payload: &[u8]) -> Result<Vec<u8>, NotSlimmed> {
    rewrite(payload, FEWEST_OPERATIONS_OF_ITS_OWN_THREAD)
}

/// Does the work of [`slim`]. It keeps enough of the fusions' bodies for XLA to still count
/// `operations` floating point operations.
pub(crate) fn rewrite(payload: &[u8], operations: u64) -> Result<Vec<u8>, NotSlimmed> {
    let with_options = Message::read(payload, "the executable with its options", 1..=2)?;
    let result = Message::read(with_options.bytes(1)?, "the compilation result", 1..=10)?;
    // The options are always there, and last: if they are missing, bytes were cut off.
    with_options.bytes(2)?;
    if result.varint(5)? != KERNELS {
        return Err(NotSlimmed::Inconsistent { what: "the executable is not made of kernels" });
    }
    let pinned = thunks::pinned_instructions(result.bytes(6)?)?;
    let with_config = Message::read(result.bytes(1)?, "the module with its configuration", 1..=2)?;
    let module = Module::read(with_config.bytes(1)?)?;
    let buffers = Buffers::read(result.bytes(2)?, &module)?;
    let plan = Plan::new(&module, &buffers, &pinned, operations)?;

    let module = with_config.with(&[(1, module.write(&plan)?)]);
    let result = result.with(&[(1, module), (2, buffers.write(&plan))]);
    Ok(with_options.with(&[(1, result)]))
}
