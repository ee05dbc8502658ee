//! Do two sets of compile options from a framework lead to the same code? A framework, such as JAX
//! or `torch_xla`, sends its compile options as a serialised `CompileOptionsProto`
//! (`xla/pjrt/proto/compile_options.proto`). Equal options can be sent as different bytes.
//!
//! The message is read at the level of protobuf's wire format. Fields that change no code are left
//! out. They are recognised by their numbers in that file and in `xla/xla.proto`. Every other field
//! is kept, even if its number is unknown:
//!
//! | message | what is done |
//! |---|---|
//! | `CompileOptionsProto` | the entries of `env_option_overrides` (7) are sorted; those of flags that only dump are left out |
//! | `ExecutableBuildOptionsProto` | `device_assignment` (9) is left out if the program runs on one device: the options of each load choose that device |
//! | `DebugOptions` | the entries of its two maps (357, 500) are sorted; flags that only dump, and folders of other caches (306, 310), are left out |
//!
//! Options that do not follow the wire format, or hold one key of a map twice, are hashed whole.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::environment::{hex, only_dumps};
use crate::hash::{Digest, FramedHasher};
use crate::program::wire::{self, Field};

/// The version of the rules for what [`FrameworkOptions::digest`] leaves out.
const FRAMEWORK_OPTIONS_TAG: &str = "preheat-framework-options-v1";

/// The fields of `DebugOptions` that only decide what is written down about a compile: the flags
/// that [`only_dumps`] names, by their numbers in `xla.proto`.
const DUMPS: [u64; 20] = [
    109, 110, 111, 112, 113, 114, 115, 116, 131, 132, 144, 149, 151, 153, 154, 164, 182, 185, 290,
    381,
];
/// The fields of `DebugOptions` that name files of other caches: `xla_gpu_kernel_cache_file` and
/// `xla_gpu_per_fusion_autotune_cache_dir`. JAX puts its own cache's folder there.
const CACHE_FOLDERS: [u64; 2] = [306, 310];

/// The numbers of the fields whose content is read here.
mod field {
    /// `CompileOptionsProto.executable_build_options`.
    pub(super) const BUILD: u64 = 3;
    /// `CompileOptionsProto.env_option_overrides`.
    pub(super) const OVERRIDES: u64 = 7;
    /// `ExecutableBuildOptionsProto.debug_options`.
    pub(super) const DEBUG: u64 = 3;
    /// `ExecutableBuildOptionsProto.num_replicas`.
    pub(super) const REPLICAS: u64 = 4;
    /// `ExecutableBuildOptionsProto.num_partitions`.
    pub(super) const PARTITIONS: u64 = 5;
    /// `ExecutableBuildOptionsProto.use_spmd_partitioning`.
    pub(super) const SPMD: u64 = 6;
    /// `ExecutableBuildOptionsProto.device_assignment`.
    pub(super) const ASSIGNMENT: u64 = 9;
    /// `xla_gpu_analytical_latency_estimator_options` and `xla_backend_extra_options`.
    pub(super) const DEBUG_MAPS: [u64; 2] = [357, 500];
}

/// Compile options as a framework sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkOptions {
    raw: Vec<u8>,
    /// Copies of the program that run side by side.
    num_replicas: u32,
    /// Parts that one copy is split into.
    num_partitions: u32,
    use_spmd_partitioning: bool,
}

impl FrameworkOptions {
    /// Reads serialised options. `None` if they do not follow the wire format, or ask for no
    /// device at all.
    pub fn read(raw: &[u8]) -> Option<Self> {
        let build = last(raw, field::BUILD)?.unwrap_or_default();
        let count = |number| -> Option<u32> {
            u32::try_from(number_in(build, number)?).ok().filter(|count| *count > 0)
        };
        Some(Self {
            num_replicas: count(field::REPLICAS)?,
            num_partitions: count(field::PARTITIONS)?,
            use_spmd_partitioning: number_in(build, field::SPMD)? != 0,
            raw: raw.to_vec(),
        })
    }

    /// The options as they were sent.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Copies of the program that run side by side.
    pub fn num_replicas(&self) -> u32 {
        self.num_replicas
    }

    /// Parts that one copy is split into.
    pub fn num_partitions(&self) -> u32 {
        self.num_partitions
    }

    /// Whether XLA splits the program by its sharding annotations.
    pub fn use_spmd_partitioning(&self) -> bool {
        self.use_spmd_partitioning
    }

    /// Whether the program runs on one device. If so, the digest does not depend on which device it
    /// is.
    pub fn on_one_device(&self) -> bool {
        self.num_replicas == 1 && self.num_partitions == 1
    }

    /// The device assignment as it was sent; empty if there is none.
    pub fn device_assignment(&self) -> &[u8] {
        let build = last(&self.raw, field::BUILD).flatten().unwrap_or_default();
        last(build, field::ASSIGNMENT).flatten().unwrap_or_default()
    }

    /// The digest of the options without the fields that change no code. Options with the same
    /// digest are equivalent.
    pub fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(FRAMEWORK_OPTIONS_TAG);
        match canonical(&self.raw, self.on_one_device()) {
            Some(canonical) => hasher.integer(1).bytes(&canonical),
            None => hasher.integer(0).bytes(&self.raw),
        };
        hasher.finish()
    }
}

impl Serialize for FrameworkOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&Some(self.raw.clone()), serializer)
    }
}

impl<'de> Deserialize<'de> for FrameworkOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::deserialize(deserializer)?
            .and_then(|raw| Self::read(&raw))
            .ok_or_else(|| serde::de::Error::custom("the options of a framework cannot be read"))
    }
}

/// The content of the last field with this number, which is the one that counts in a message.
/// `None` if the wire format is broken, or if a field with this number holds a number instead of
/// bytes.
#[expect(clippy::option_option, reason = "a broken message differs from one without the field")]
fn last(message: &[u8], number: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    for field in wire::fields(message) {
        let field = field?;
        if field.number == number {
            found = Some(field.content?);
        }
    }
    Some(found)
}

/// The value of an integer field; 0 if it is left out, as protobuf defines.
fn number_in(message: &[u8], number: u64) -> Option<u64> {
    let mut found = 0;
    for field in wire::fields(message) {
        let field = field?;
        if field.number == number {
            found = varint(&field.whole[field.tag.len()..])?;
        }
    }
    Some(found)
}

fn varint(bytes: &[u8]) -> Option<u64> {
    let ends = bytes.len() <= 10 && bytes.last().is_some_and(|byte| byte & 0x80 == 0);
    let add = |(index, byte): (usize, &u8)| u64::from(byte & 0x7f) << (7 * index);
    ends.then(|| bytes.iter().enumerate().map(add).fold(0, |all, one| all | one))
}

/// The options in a form in which only equivalent options have the same bytes.
fn canonical(raw: &[u8], on_one_device: bool) -> Option<Vec<u8>> {
    let debug = |message: &[u8]| {
        rewrite(message, &field::DEBUG_MAPS, &|field| {
            if DUMPS.contains(&field.number) || CACHE_FOLDERS.contains(&field.number) {
                return Some(Kept::No);
            }
            Some(Kept::AsItIs)
        })
    };
    let build = |message: &[u8]| {
        rewrite(message, &[], &|field| match field.number {
            field::ASSIGNMENT if on_one_device => Some(Kept::No),
            field::DEBUG => Some(Kept::As(debug(field.content?)?)),
            _ => Some(Kept::AsItIs),
        })
    };
    rewrite(raw, &[field::OVERRIDES], &|field| match field.number {
        field::BUILD => Some(Kept::As(build(field.content?)?)),
        field::OVERRIDES if only_dumps(map_key(field)?) => Some(Kept::No),
        _ => Some(Kept::AsItIs),
    })
}

/// What is kept of a field.
enum Kept {
    No,
    AsItIs,
    As(Vec<u8>),
}

/// A message without the fields that `keep` leaves out, and with the entries of `maps` sorted. The
/// content of a field that was rewritten is preceded by its new length. `None` if the message does
/// not follow the wire format, or if a map has one key twice.
fn rewrite(
    message: &[u8],
    maps: &[u64],
    keep: &dyn Fn(&Field<'_>) -> Option<Kept>,
) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(message.len());
    let mut entries: Vec<Field<'_>> = Vec::new();
    for field in wire::fields(message) {
        let field = field?;
        match keep(&field)? {
            Kept::No => {}
            Kept::AsItIs if maps.contains(&field.number) => entries.push(field),
            Kept::AsItIs => kept.extend_from_slice(field.whole),
            Kept::As(content) => {
                kept.extend_from_slice(field.tag);
                kept.extend_from_slice(&(content.len() as u64).to_le_bytes());
                kept.extend_from_slice(&content);
            }
        }
    }
    entries.sort_unstable_by_key(|entry| (entry.number, entry.whole));
    let mut keys = entries.iter().map(|entry| Some((entry.number, map_key(entry)?)));
    let mut seen = std::collections::BTreeSet::new();
    keys.all(|key| key.is_some_and(|key| seen.insert(key))).then_some(())?;
    for entry in &entries {
        kept.extend_from_slice(entry.whole);
    }
    Some(kept)
}

/// The key of an entry of a map whose keys are texts.
fn map_key<'a>(entry: &Field<'a>) -> Option<&'a str> {
    std::str::from_utf8(last(entry.content?, 1)?.unwrap_or_default()).ok()
}

#[cfg(test)]
mod tests;
