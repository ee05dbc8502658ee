//! Takes out of a serialised XLA:CPU executable what only its compiler needed; loading it then
//! costs four tenths less.
//!
//! The bytes hold the machine code, the thunks that call it, the buffer assignment, and the whole
//! optimised HLO module. Loading rebuilds that module instruction by instruction, though all that
//! still reads it is the entry's shape and aliasing, the constants that own a buffer, the analysis
//! that gives each logical buffer its value, and a count of operations. So
//!
//! 1. metadata (source lines, operation names, statistics) goes from every instruction;
//! 2. the body of a fusion, long since a kernel, becomes its parameters and, for each result, a
//!    constant of its shape without a value;
//! 3. computations that only such bodies called (the reducers) go, with their schedule and their
//!    thread-local buffers.
//!
//! Nothing that runs is touched: thunks, object files, symbols, options and the places of all other
//! buffers are copied byte for byte. `docs/slim.md` says why each of these is safe, and for which
//! builds it was shown.
//!
//! | file | knows |
//! |---|---|
//! | `wire.rs` | protocol buffers |
//! | `thunks.rs` | which thunks look something up in the module |
//! | `module.rs` | computations and instructions, and how they are written without what goes |
//! | `buffers.rs` | logical buffers and allocations |
//! | `plan.rs` | what goes |
//!
//! The rewriter knows the few fields it reads and refuses whatever it does not recognise; the bytes
//! are then kept as they are. Field numbers are those of XLA's `xla/service/hlo.proto`,
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

/// The plugin builds, as `preheat_cache::PluginBuild` names them, on which every test program ran
/// to the same bytes either way.
const PROVEN_BUILDS: &[&str] = &[
    // xla-cpu-pjrt 0.0.1, Linux x86-64.
    "blake3:2b16e6d95b862adefb7dea3ba6ffd485101588ff8f410306251b1b74814ab295",
];

/// Set to `0`, it keeps executables as the plugin wrote them.
pub(crate) const SWITCH: &str = "PREHEAT_SLIM";

/// Whether executables of this plugin build may be slimmed.
pub(crate) fn is_proven(plugin_build: &str) -> bool {
    PROVEN_BUILDS.contains(&plugin_build)
}

/// Whether the user left it on.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(SWITCH).is_none_or(|value| value != "0")
}

/// Why an executable is kept as the plugin wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSlimmed {
    /// A length or a number reaches past the end, or a field has a form that none here has.
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
    /// A field that must be there once is missing or there again.
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
        /// What does not fit.
        what: &'static str,
    },
}

/// `CompilationResultProto.ObjFileKind.KERNELS`: thunks that call kernels, the only kind there has
/// been for years.
const KERNELS: u64 = 2;
/// XLA:CPU runs an executable of fewer floating point operations than this in the caller's thread.
const FEWEST_OPERATIONS_OF_ITS_OWN_THREAD: u64 = 1000;

/// The executable without what only its compiler needed; see the module's head.
pub(crate) fn slim(payload: &[u8]) -> Result<Vec<u8>, NotSlimmed> {
    rewrite(payload, FEWEST_OPERATIONS_OF_ITS_OWN_THREAD)
}

/// As [`slim`]; of the fusions' bodies so much stays that `operations` floating point operations
/// are still counted.
pub(crate) fn rewrite(payload: &[u8], operations: u64) -> Result<Vec<u8>, NotSlimmed> {
    let with_options = Message::read(payload, "the executable with its options", 1..=2)?;
    let result = Message::read(with_options.bytes(1)?, "the compilation result", 1..=10)?;
    // Always there, and last: bytes that were cut off are told by it.
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
