//! What can a person do about a program that cannot be compiled or run? These hints depend on the
//! error, and on the message of the plugin. They are in a file of their own because most of them
//! are about the way a program was exported.

use preheat_cache::RequirementsError;

use preheat_runtime::NotAsWritten;

/// The hint for a file that preheat or the plugin cannot read.
const UNREADABLE: &str = "the file is damaged, or newer than the StableHLO that the plugin reads: export it again, as text or for that version";

/// What to do about a program that a plugin refused, judged by the plugin's message.
pub(super) fn compile_hint(said: &str) -> Option<&'static str> {
    // XLA gives the same message for a file that is cut short.
    if said.contains("Failed to parse using StableHLO") {
        return Some(UNREADABLE);
    }
    if said.contains("_python_") && said.contains("_callback") {
        return Some(
            "the program calls a function of the Python process that exported it, which no other \
             process has: leave `jax.pure_callback`, \
             `io_callback` and `jax.debug` out of the exported function",
        );
    }
    if said.contains("lapack_") {
        return Some(
            "JAX's linear algebra for the CPU calls LAPACK inside jaxlib, which a plugin does not have: \
             `jax.export.export(f, platforms=[\"tpu\"])` uses operations of XLA's own, which XLA:CPU has, too",
        );
    }
    if said.contains("dynamism") {
        return Some(
            "XLA compiles a program only if all its shapes are known: export it for inputs of one \
             size",
        );
    }
    let unknown = ["No FFI handler registered for", "No registered implementation for"];
    unknown.iter().any(|words| said.contains(words)).then_some(
        "a custom call names a function of the program that exported it, which the plugin does not have: export without it",
    )
}

/// What to do about a program that would not run as it is written.
pub(super) fn not_as_written_hint(cause: &NotAsWritten) -> Option<&'static str> {
    match cause {
        NotAsWritten::Requirements(RequirementsError::Unreadable(_)) => Some(UNREADABLE),
        NotAsWritten::SeveralDevices { .. } => Some(
            "`preheat warmup --aot TARGET --program FILE` compiles it for hardware with enough \
             devices; in JAX, a function whose \
             mesh has one device is exported for one device",
        ),
        NotAsWritten::TooFewDevices { .. } => Some("name a larger topology, such as tpu:v5e:2x2"),
        NotAsWritten::Undeclared { .. } => Some(
            "export it as StableHLO that declares `mhlo.num_partitions` and `mhlo.num_replicas`, as JAX does; a HloModuleProto has \
             no place for them",
        ),
        NotAsWritten::Layout(_) => {
            Some("in JAX, leave `Format` and `Layout` out of `in_shardings` and `out_shardings`")
        }
        _ => None,
    }
}
