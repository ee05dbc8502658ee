//! Does machine code fit the device and the plugin that are to run it? An [`Environment`] holds all
//! facts that decide this.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hash::{Digest, FramedHasher};

/// The version of the list of fields that [`Environment::digest`] covers.
const ENVIRONMENT_TAG: &str = "preheat-environment-v1";

/// The longest file that is read as a file of flags.
const FLAG_FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Flags that only decide what is written down about a compile, each with its effect as XLA's own
/// help describes it. They stay out of the key. Any other flag is part of the key: for example,
/// `xla_dump_hlo_snapshots` and `xla_dump_hlo_unoptimized_snapshots` change what executing a
/// program does.
const DUMP_ONLY_FLAGS: [(&str, &str); 20] = [
    ("xla_dump_compress_protos", "gzips what is dumped"),
    ("xla_dump_disable_metadata", "leaves metadata out of dumped text"),
    ("xla_dump_enable_mlir_pretty_form", "chooses the form of dumped MLIR"),
    ("xla_dump_full_hlo_config", "adds the module's config to dumped text"),
    ("xla_dump_fusion_visualization", "draws each step of fusion"),
    ("xla_dump_hlo_as_dot", "chooses the form of a dump"),
    ("xla_dump_hlo_as_html", "chooses the form of a dump"),
    ("xla_dump_hlo_as_long_text", "chooses the form of a dump"),
    ("xla_dump_hlo_as_proto", "chooses the form of a dump"),
    ("xla_dump_hlo_as_text", "chooses the form of a dump"),
    ("xla_dump_hlo_as_url", "chooses the form of a dump"),
    ("xla_dump_hlo_module_re", "chooses the modules that are dumped"),
    ("xla_dump_hlo_pass_re", "chooses the passes around which modules are dumped"),
    ("xla_dump_hlo_pipeline_re", "chooses the pipelines in which modules are dumped"),
    ("xla_dump_include_timestamp", "chooses the names of dumped files"),
    ("xla_dump_large_constants", "writes large constants out in dumped text"),
    ("xla_dump_latency_hiding_schedule", "dumps the schedule that was found"),
    ("xla_dump_max_hlo_modules", "bounds how many modules are dumped"),
    ("xla_dump_module_metadata", "dumps the record of the passes"),
    ("xla_dump_to", "chooses the folder for dumps"),
];

/// Whether a flag only decides what is written down about a compile.
pub(crate) fn only_dumps(flag: &str) -> bool {
    DUMP_ONLY_FLAGS.iter().any(|(dump_only, _)| flag == *dump_only)
}

/// The flags of one environment variable, as the compiler reads them, in a normalised order.
///
/// Each flag is one word as the compiler receives it, without quotes: `--name`, or `--name=value`.
/// The words are sorted by name, and flags that only dump are dropped. If a name is repeated and
/// all its values are truth values, the last one counts, as it does in XLA. All other repetitions
/// are kept in their order, since some flags add up (`xla_disable_hlo_passes`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    words: Vec<String>,
}

/// The reason why preheat cannot tell which flags XLA will see.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// If the value of `XLA_FLAGS` does not start with `-`, XLA uses it as the name of a file of
    /// flags, and ends the process if it cannot read that file.
    #[error(
        "XLA_FLAGS does not start with \"-\", so XLA reads it as the name of a file of flags, and {path:?} cannot be read: {cause}"
    )]
    File {
        /// The value, as a path.
        path: PathBuf,
        /// Why it cannot be read.
        cause: std::io::Error,
    },
}

impl Flags {
    /// Reads a line of flags the way XLA does.
    ///
    /// Words are separated by whitespace. A value that opens with a quote right after `=` ends at
    /// the closing quote; a backslash escapes inside double quotes only. XLA stops at the first
    /// word that does not start with `-`. The text from there on is kept here as one last word,
    /// since another program that reads flags may use it, such as libtpu (`LIBTPU_INIT_ARGS`).
    pub fn parse(text: &str) -> Self {
        let mut words: Vec<(String, String)> = Vec::new();
        let mut rest = text.trim_start_matches(is_space);
        while rest.starts_with('-') {
            let name_end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(name_end);
            let quote = after
                .strip_prefix('=')
                .and_then(|value| value.chars().next())
                .filter(|c| matches!(c, '"' | '\''));
            let value = if let Some(quote) = quote {
                let (value, remaining) = unquote(&after[2..], quote);
                rest = remaining;
                format!("={value}")
            } else {
                let end = after.find(is_space).unwrap_or(after.len());
                rest = &after[end..];
                after[..end].to_owned()
            };
            words.push((name.to_owned(), value));
            rest = rest.trim_start_matches(is_space);
        }
        let unread = rest.trim_end_matches(is_space);
        Self { words: canonical(words, unread) }
    }

    /// Reads the value of `XLA_FLAGS`. If the value does not start with `-`, it is the name of a
    /// file of flags.
    ///
    /// # Errors
    /// If that file cannot be read, is longer than 1 MiB, or is not UTF-8.
    pub fn from_xla_flags(value: &str) -> Result<Self, FlagsError> {
        if value.is_empty() || value.trim_start_matches(is_space).starts_with('-') {
            return Ok(Self::parse(value));
        }
        let path = Path::new(value);
        read_bounded(path)
            .map(|text| Self::parse(&text))
            .map_err(|cause| FlagsError::File { path: path.into(), cause })
    }

    /// The words, in the order in which they enter the key.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The value of a flag: the last one that is given, or an empty text if the flag has no value.
    /// `None` if the flag is not given. `name` has no dashes.
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self
            .words
            .iter()
            .rev()
            .filter_map(|word| word.trim_start_matches('-').strip_prefix(name));
        values
            .into_iter()
            .find_map(|value| if value.is_empty() { Some("") } else { value.strip_prefix('=') })
    }

    /// Whether no word is left after the flags that only dump were dropped.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words.join(" "))
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { words: Vec::deserialize(deserializer)? })
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The value up to the closing quote (or the end), and what follows it.
fn unquote(text: &str, quote: char) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return (value, &text[at + character.len_utf8()..]);
        }
        let escaped = if quote == '"' && character == '\\' { characters.next() } else { None };
        value.push(escaped.map_or(character, |(_, next)| next));
    }
    (value, "")
}

fn canonical(mut words: Vec<(String, String)>, unread: &str) -> Vec<String> {
    words.retain(|(name, _)| !name.strip_prefix("--").is_some_and(only_dumps));
    words.sort_by(|one, other| one.0.cmp(&other.0));
    let mut sorted: Vec<String> = Vec::with_capacity(words.len() + 1);
    for same_name in words.chunk_by(|one, other| one.0 == other.0) {
        let switches = same_name
            .iter()
            .all(|(_, value)| matches!(value.as_str(), "" | "=true" | "=false" | "=1" | "=0"));
        let kept = if switches { &same_name[same_name.len() - 1..] } else { same_name };
        sorted.extend(kept.iter().map(|(name, value)| format!("{name}{value}")));
    }
    sorted.extend((!unread.is_empty()).then(|| unread.to_owned()));
    sorted
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    crate::files::anywhere::read_small(path, FLAG_FILE_LIMIT_BYTES)
}

/// The kind and the arrangement of the devices. A compile with a PJRT client and an ahead-of-time
/// compile, which has no client, describe the same devices in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Topology {
    /// The kind of chip or host, such as `v5e`.
    pub kind: String,
    /// The number of chips along each dimension.
    pub bounds: Vec<u64>,
    /// The number of cores in all.
    pub core_count: u64,
}

impl fmt::Display for Topology {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds: Vec<String> = self.bounds.iter().map(u64::to_string).collect();
        let cores = if self.core_count == 1 { "core" } else { "cores" };
        write!(formatter, "{}:{} ({} {cores})", self.kind, bounds.join("x"), self.core_count)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.features.iter().filter(|feature| feature.starts_with('+')).count();
        write!(formatter, "{present} CPU features, {} CPUs", self.schedulable_cpus)
    }
}

/// The host, for machine code that runs on the host itself (XLA:CPU).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// LLVM's features of the CPU, sorted. If preheat cannot read them from the plugin's topology,
    /// there is one text instead: `topology:` and a digest of the topology.
    pub features: Vec<String>,
    /// The number of CPUs that the compiler saw ([`schedulable_cpus`](crate::schedulable_cpus)),
    /// since it tunes the code to this number.
    pub schedulable_cpus: u64,
}

/// The facts that decide whether an executable fits the plugin and the devices that are to run it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// The plugin's build id or content hash ([`PluginBuild`](crate::PluginBuild)).
    pub plugin_build: String,
    /// The platform's name, such as `tpu` or `cpu`.
    pub platform: String,
    /// The platform's version as the plugin gives it.
    pub platform_version: String,
    /// The device's kind as the plugin gives it.
    pub device_kind: String,
    /// The kind, the arrangement and the number of cores of the devices.
    pub topology: Topology,
    /// The ids of the devices that the executable runs on. preheat leaves this list empty, since
    /// the compile options have the ids.
    pub device_assignment: Vec<u64>,
    /// The flags in the variable `XLA_FLAGS`, as they were when the plugin was loaded.
    #[serde(default)]
    pub xla_flags: Flags,
    /// The flags in the variable `LIBTPU_INIT_ARGS`, as they were when the plugin was loaded.
    #[serde(default)]
    pub libtpu_init_args: Flags,
    /// The host, on XLA:CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The plugin's serialised topology. This field is only recorded: nothing reads it, and it is
    /// not part of any key.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub raw_topology: Option<Vec<u8>>,
}

/// A field of the program, the execution signature, the compile options or the environment in which
/// an entry in the store differs from the wanted entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// The field's name, such as `device_kind` or `host.features`; for a compiler option, the
    /// option's name.
    pub field: String,
    /// What the store has; for `host.features`, only the features that the wanted host lacks.
    pub have: String,
    /// What was wanted; for `host.features`, only the features that the store's host lacks.
    pub want: String,
}

impl Difference {
    /// The difference between two values, if there is one.
    pub(crate) fn between<T: PartialEq>(
        field: &str,
        have: &T,
        want: &T,
        show: impl Fn(&T) -> String,
    ) -> Option<Self> {
        (have != want).then(|| Self { field: field.to_owned(), have: show(have), want: show(want) })
    }
}

impl Environment {
    /// The digest of every field except `raw_topology`.
    pub fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(ENVIRONMENT_TAG);
        hasher
            .text(&self.plugin_build)
            .text(&self.platform)
            .text(&self.platform_version)
            .text(&self.device_kind);
        hasher.text(&self.topology.kind);
        hasher.list(&self.topology.bounds, |hasher, bound| hasher.integer(*bound));
        hasher.integer(self.topology.core_count);
        hasher.list(&self.device_assignment, |hasher, device| hasher.integer(*device));
        for flags in [&self.xla_flags, &self.libtpu_init_args] {
            hasher.list(&flags.words, |hasher, word| hasher.text(word));
        }
        hasher.option(self.host.as_ref(), |hasher, host| {
            let mut features: Vec<&str> = host.features.iter().map(String::as_str).collect();
            features.sort_unstable();
            hasher
                .list(&features, |hasher, feature| hasher.text(feature))
                .integer(host.schedulable_cpus)
        });
        hasher.finish()
    }

    /// Each field, except `raw_topology`, in which `self`, the environment in the store, differs
    /// from `want`.
    pub fn differences(&self, want: &Self) -> Vec<Difference> {
        [
            Difference::between(
                "plugin_build",
                &self.plugin_build,
                &want.plugin_build,
                String::clone,
            ),
            Difference::between("platform", &self.platform, &want.platform, String::clone),
            Difference::between(
                "platform_version",
                &self.platform_version,
                &want.platform_version,
                |version| version.replace('\n', ", "),
            ),
            Difference::between("device_kind", &self.device_kind, &want.device_kind, String::clone),
            Difference::between("topology", &self.topology, &want.topology, Topology::to_string),
            Difference::between(
                "device_assignment",
                &self.device_assignment,
                &want.device_assignment,
                |ids| format!("{ids:?}"),
            ),
            Difference::between("xla_flags", &self.xla_flags, &want.xla_flags, Flags::to_string),
            Difference::between(
                "libtpu_init_args",
                &self.libtpu_init_args,
                &want.libtpu_init_args,
                Flags::to_string,
            ),
        ]
        .into_iter()
        .flatten()
        .chain(host_differences(self.host.as_ref(), want.host.as_ref()))
        .collect()
    }
}

fn host_differences(have: Option<&Host>, want: Option<&Host>) -> Vec<Difference> {
    let (Some(here), Some(there)) = (have, want) else {
        let one_side =
            |host: Option<&Host>| host.map_or_else(|| "none".to_owned(), Host::to_string);
        return Difference::between("host", &have, &want, |host| one_side(*host))
            .into_iter()
            .collect();
    };
    let field = "host.schedulable_cpus";
    let cpus =
        Difference::between(field, &here.schedulable_cpus, &there.schedulable_cpus, u64::to_string);
    features_difference(here, there).into_iter().chain(cpus).collect()
}

/// The difference between two hosts' features. It names only the features that one of them lacks,
/// since a host has about a hundred and fifty.
fn features_difference(have: &Host, want: &Host) -> Option<Difference> {
    let only = |these: &Host, those: &Host| -> Vec<String> {
        these.features.iter().filter(|feature| !those.features.contains(feature)).cloned().collect()
    };
    let (extra_here, missing_here) = (only(have, want), only(want, have));
    (!extra_here.is_empty() || !missing_here.is_empty()).then(|| Difference {
        field: "host.features".to_owned(),
        have: extra_here.join(","),
        want: missing_here.join(","),
    })
}

/// Writes optional bytes as hexadecimal text, and reads them back.
pub(crate) mod hex {
    use super::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde's `with` hands over a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let digits = |byte: &u8| {
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
        };
        let text = bytes.as_ref().map(|bytes| bytes.iter().flat_map(digits).collect::<String>());
        serde::Serialize::serialize(&text, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes
            .map(Some)
            .ok_or_else(|| de::Error::custom("a value that should be hexadecimal is not"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
