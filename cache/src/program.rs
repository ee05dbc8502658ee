//! Do two programs compile to the same code? A program is the input of a compiler. Its digest
//! leaves out the parts that change no code.
//!
//! | format | recognised by | left out of the digest |
//! |---|---|---|
//! | StableHLO text | its first word | locations, the module's name, comments (`program/text.rs`) |
//! | MLIR bytecode | its magic | locations, the module's name, the numbers of attributes and types (`program/bytecode/canonical.rs`) |
//! | `Exported.serialize()` of `jax.export` | a flatbuffer with MLIR bytecode in the field for the module (`program/exported.rs`) | everything except that bytecode |
//! | serialised `HloModuleProto` | its wire format | the module's name, source positions, drawing aids (`program/wire.rs`); the order of maps (`program/proto_maps.rs`) |
//!
//! The program is always compiled as it was given. Programs with equal digests compile to
//! executables that compute the same results. A program that is not understood completely is hashed
//! whole.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

pub use self::requirements::{NamedDevices, Requirements, RequirementsError};
use crate::hash::Digest;

mod bytecode;
mod exported;
mod proto_maps;
mod requirements;
mod text;
pub(crate) mod wire;
#[cfg(feature = "xla-rs")]
mod xla_rs;

/// The version of the rules for what [`Program::digest`] leaves out.
const PROGRAM_TAG: &[u8] = b"preheat-program-v1\0";

/// The formats of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramFormat {
    /// StableHLO, as text or as MLIR bytecode.
    Mlir,
    /// A serialised `HloModuleProto`.
    Hlo,
    /// A graph in preheat's own format, which libtorch's devices run. No PJRT plugin accepts it.
    Graph,
}

impl ProgramFormat {
    /// The format's name. If a plugin accepts the format, this is the value of
    /// `PJRT_Program.format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlir => "mlir",
            Self::Hlo => "hlo",
            Self::Graph => "preheat-graph",
        }
    }
}

impl fmt::Display for ProgramFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The error for bytes that are not a program. It says what the bytes look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no program: {seen}; StableHLO (text, MLIR bytecode, or what `Exported.serialize()` of jax.export writes) or a serialised \
     HloModuleProto is wanted"
)]
pub struct ProgramError {
    seen: String,
}

/// A program, shared and immutable.
#[derive(Clone)]
pub struct Program {
    format: ProgramFormat,
    bytes: Arc<[u8]>,
    digest: Arc<OnceLock<Digest>>,
    requirements: Arc<OnceLock<Result<Requirements, RequirementsError>>>,
}

/// How the bytes of a program are hashed. The ordinals of the variants are part of the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text = 1,
    Bytecode = 2,
    Hlo = 3,
    AsItIs = 4,
    Graph = 5,
    Operations = 6,
}

impl Program {
    /// The size of the largest program in bytes: the largest message of protobuf, which XLA keeps
    /// programs in.
    pub const MOST_BYTES: u64 = 2 << 30;

    /// A program whose format is known.
    pub fn new(format: ProgramFormat, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { format, bytes: bytes.into(), digest: Arc::default(), requirements: Arc::default() }
    }

    /// Recognises the format by the bytes.
    pub fn sniff(bytes: impl Into<Arc<[u8]>>) -> Result<Self, ProgramError> {
        let bytes = bytes.into();
        if bytes.starts_with(bytecode::MAGIC) || text::looks_like_mlir(&bytes) {
            return Ok(Self::new(ProgramFormat::Mlir, bytes));
        }
        if wire::looks_like_hlo(&bytes) {
            return Ok(Self::new(ProgramFormat::Hlo, bytes));
        }
        if let Some(exported) = exported::read(&bytes) {
            return Self::of_exported(&exported);
        }
        Err(ProgramError { seen: describe(&bytes) })
    }

    /// The module of an exported function. It has to declare as many devices as the function was
    /// exported for.
    fn of_exported(exported: &exported::Exported<'_>) -> Result<Self, ProgramError> {
        let program = Self::new(ProgramFormat::Mlir, exported.module);
        match program.requirements() {
            Ok(declared)
                if exported.devices > 0 && declared.devices() != u64::from(exported.devices) =>
            {
                Err(ProgramError {
                    seen: format!(
                        "it is a function that was exported for {} devices, around a module that declares {}",
                        exported.devices,
                        declared.devices()
                    ),
                })
            }
            _ => Ok(program),
        }
    }

    /// What the program requires of the devices that run it. It is read once.
    ///
    /// # Errors
    /// If the program does not follow its format, and if the number of devices that it
    /// declares is not valid.
    pub fn requirements(&self) -> Result<&Requirements, &RequirementsError> {
        self.requirements.get_or_init(|| Requirements::of(self)).as_ref()
    }

    /// The format.
    pub fn format(&self) -> ProgramFormat {
        self.format
    }

    /// The name of the program's module, such as `jit_f`; `None` if the module has no name, or if
    /// its name cannot be read.
    pub fn module_name(&self) -> Option<String> {
        let name = match self.format {
            ProgramFormat::Mlir if self.bytes.starts_with(bytecode::MAGIC) => {
                bytecode::Bytecode::read(&self.bytes)?.module_name()?
            }
            ProgramFormat::Mlir => text::module_name(&self.bytes)?,
            ProgramFormat::Hlo => {
                let first = wire::fields(&self.bytes).next()??;
                first.content.filter(|_| first.number == 1)?
            }
            ProgramFormat::Graph => return None,
        };
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// The program as it was given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the program without the parts that change no code. It is computed
    /// once.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| digest_of(self.format, &self.bytes))
    }
}

impl Program {
    /// Whether the program was stored under this digest, by this release or an earlier one.
    pub(crate) fn has_digest(&self, digest: &Digest) -> bool {
        self.digest() == *digest || has_digest(self.format, &self.bytes, digest)
    }
}

/// The digest of the program without the parts that change no code.
pub(crate) fn digest_of(format: ProgramFormat, bytes: &[u8]) -> Digest {
    let attempt = match format {
        ProgramFormat::Hlo => {
            let mut sorted = bytes.to_vec();
            proto_maps::sort_maps(&mut sorted);
            Sink::attempt(Form::Hlo, |sink| wire::hash_normalised(&sorted, sink))
        }
        ProgramFormat::Mlir if bytes.starts_with(bytecode::MAGIC) => {
            Sink::attempt(Form::Operations, |sink| bytecode::canonical::hash(bytes, sink))
                .or_else(|| Some(Sink::whole(Form::Bytecode, bytes)))
        }
        // Each graph is written in exactly one way.
        ProgramFormat::Graph => Some(Sink::whole(Form::Graph, bytes)),
        ProgramFormat::Mlir => Sink::attempt(Form::Text, |sink| text::hash_normalised(bytes, sink)),
    };
    attempt.unwrap_or_else(|| Sink::whole(Form::AsItIs, bytes))
}

/// Whether a program has this digest. Earlier releases hashed all bytecode whole; entries that they
/// stored under such a digest still belong to their programs.
pub(crate) fn has_digest(format: ProgramFormat, bytes: &[u8], digest: &Digest) -> bool {
    let is_bytecode = format == ProgramFormat::Mlir && bytes.starts_with(bytecode::MAGIC);
    digest_of(format, bytes) == *digest
        || is_bytecode && Sink::whole(Form::Bytecode, bytes) == *digest
}

/// The digest of a program that is read piece by piece, to its end; `None` if hashing its format
/// needs the whole program at once.
pub(crate) fn streamed_digest(
    format: ProgramFormat,
    from: &mut dyn Read,
) -> io::Result<Option<Digest>> {
    if format != ProgramFormat::Graph {
        io::copy(from, &mut io::sink())?;
        return Ok(None);
    }
    let mut hasher = Sink::new(Form::Graph).hasher;
    hasher.update_reader(from)?;
    Ok(Some(hasher.finalize().into()))
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.bytes == other.bytes
    }
}

impl Eq for Program {}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Program({}, {} bytes)", self.format, self.bytes.len())
    }
}

/// Collects the parts of a program that are kept. The parts are gathered before they are hashed,
/// since blake3 is several times faster on a long input than on many short ones.
struct Sink {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
}

impl Sink {
    /// The most bytes that are gathered: they fit in a processor's second-level cache.
    const GATHER_BYTES: usize = 128 << 10;

    fn new(form: Form) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(PROGRAM_TAG).update(&[form as u8]);
        Self { hasher, gathered: Vec::new() }
    }

    /// The digest of what `keep` adds; `None` if `keep` does not understand the program.
    fn attempt(form: Form, keep: impl FnOnce(&mut Self) -> Option<()>) -> Option<Digest> {
        let mut sink = Self::new(form);
        keep(&mut sink)?;
        sink.hasher.update(&sink.gathered);
        Some(sink.hasher.finalize().into())
    }

    fn whole(form: Form, bytes: &[u8]) -> Digest {
        Self::new(form).hasher.update(bytes).finalize().into()
    }

    fn add(&mut self, piece: &[u8]) {
        if self.gathered.len() + piece.len() > Self::GATHER_BYTES {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
            if piece.len() > Self::GATHER_BYTES / 2 {
                self.hasher.update(piece);
                return;
            }
        }
        self.gathered.extend_from_slice(piece);
    }
}

/// Describes bytes that are not a program, for the error message.
fn describe(bytes: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"HloModule", "HLO text, which XLA's tools turn into a proto"),
        (b"\x7fELF", "an ELF binary"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "gzip data"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"PREHEAT\0", "an object of a preheat store"),
        (b"\x89PNG", "a PNG picture"),
        (b"{", "JSON"),
    ];
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if let Some((_, name)) = KNOWN.into_iter().find(|(start, _)| bytes.starts_with(start)) {
        return format!("it is {name}");
    }
    let start = &bytes[..bytes.len().min(24)];
    match std::str::from_utf8(start) {
        Ok(text) => format!("it starts with {text:?}"),
        Err(_) => format!("it starts with the bytes {start:02x?}"),
    }
}

#[cfg(test)]
mod tests;
