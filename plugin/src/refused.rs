//! Which programs must not be cached? Programs whose machine code refers to the process that
//! compiled it, or that exchange data with the process or another device while they run.
//!
//! The names of such operations are looked for in the program's bytes, because every form that
//! frameworks send contains the names in full. A program that contains such a name in another place
//! is not cached either.

use memchr::memmem;
use preheat_cache::{Program, ProgramFormat};

/// The names that must not be in a program, each with the reason.
const TEXTS: [(&[u8], &str); 4] = [
    (b"python_cpu_callback", "a callback into the process"),
    (b"python_gpu_callback", "a callback into the process"),
    (b"CustomSPMDPartitioning", "custom partitioning, which is a pointer into the process"),
    (b"is_host_transfer = true", "a transfer to the host"),
];

/// Operations that exchange data with the host, or with a device that no key names, in VHLO's
/// spelling.
const OPERATIONS: [&[u8]; 4] = [b"infeed_v", b"outfeed_v", b"send_v", b"recv_v"];

/// The first bytes of MLIR bytecode.
const BYTECODE: &[u8] = b"ML\xefR";

/// The same operations as opcodes of an `HloInstructionProto`: field 2, its length, and the text.
const OPCODES: [&[u8]; 4] =
    [b"\x12\x06infeed", b"\x12\x07outfeed", b"\x12\x04send", b"\x12\x04recv"];

/// The reason why a program must not be cached; `None` if it may be cached.
pub(crate) fn reason(program: &Program) -> Option<&'static str> {
    let bytes = program.bytes();
    let has = |needle: &[u8]| memmem::find(bytes, needle).is_some();
    if let Some((_, why)) = TEXTS.into_iter().find(|(text, _)| has(text)) {
        return Some(why);
    }
    let transfers = match program.format() {
        ProgramFormat::Hlo => OPCODES,
        ProgramFormat::Mlir | ProgramFormat::Graph => OPERATIONS,
    };
    if transfers.into_iter().any(has) || transfers_by_text(program) {
        return Some("a transfer to the host or an unnamed device");
    }
    None
}

/// Whether a program in text form has an operation that transfers data. Bytecode is not read here,
/// because the names of its operations are found by the search above.
fn transfers_by_text(program: &Program) -> bool {
    program.format() == ProgramFormat::Mlir
        && !program.bytes().starts_with(BYTECODE)
        && program.requirements().is_ok_and(|requirements| requirements.host_transfer.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        reason(&Program::new(ProgramFormat::Mlir, text.as_bytes()))
    }

    #[test]
    fn what_refers_to_the_process_is_refused_by_name() {
        let call = |target: &str| {
            format!(
                "module {{ func.func @main() {{ stablehlo.custom_call @{target}() : () -> () \
                 return }} }}"
            )
        };
        assert_eq!(of(&call("xla_ffi_python_cpu_callback")), Some("a callback into the process"));
        assert!(of(&call("xla_python_gpu_callback")).is_some());
        assert!(
            of(&call("CustomSPMDPartitioning")).is_some_and(|why| why.contains("partitioning"))
        );
        assert_eq!(of(&call("lapack_sgesdd_ffi")), None);
        assert_eq!(of(&call("Sharding")), None);
    }

    #[test]
    fn transfers_are_refused_in_every_form() {
        let text = "module { func.func @main(%t: !stablehlo.token) -> !stablehlo.token { \
            %0 = \"stablehlo.outfeed\"(%t) {outfeed_config = \"\"} : (!stablehlo.token) -> \
            !stablehlo.token \
            return %0 : !stablehlo.token } }";
        assert!(of(text).is_some());
        let opcode = Program::new(ProgramFormat::Hlo, &b"\x0a\x01x\x12\x04send"[..]);
        assert!(reason(&opcode).is_some());
        let other = Program::new(ProgramFormat::Hlo, &b"\x0a\x04send\x12\x03add"[..]);
        assert_eq!(reason(&other), None);
    }
}
