//! How is a program compiled? These compile options are part of the key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::environment::Difference;
use crate::framework_options::FrameworkOptions;
use crate::hash::{Digest, FramedHasher};

/// The version of the list of fields that [`CompileOptions::digest`] covers.
const OPTIONS_TAG: &str = "preheat-compile-options-v1";

/// A value for one of the compiler's own options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionValue {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number. It has to be finite, or else the executable is not stored.
    Float(f64),
    /// A text, or the name of an enum's value.
    Text(String),
}

impl std::fmt::Display for OptionValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(formatter),
            Self::Int(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
            Self::Text(value) => value.fmt(formatter),
        }
    }
}

/// How a program is to be compiled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompileOptions {
    /// Copies of the program that run side by side; XLA aborts on 0.
    pub num_replicas: u32,
    /// Parts that one copy is split into; XLA aborts on 0.
    pub num_partitions: u32,
    /// Whether XLA splits the program by its sharding annotations.
    pub use_spmd_partitioning: bool,
    /// Device ids, ordered by replica and then by partition; empty if the client chooses.
    pub device_assignment: Vec<u64>,
    /// Options of the compiler, by their names in XLA's debug options.
    pub overrides: BTreeMap<String, OptionValue>,
    /// All options as a framework sent them, if a framework requested the compile. The first three
    /// fields above repeat what these options say; the other fields above are then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<FrameworkOptions>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            num_replicas: 1,
            num_partitions: 1,
            use_spmd_partitioning: false,
            device_assignment: Vec::new(),
            overrides: BTreeMap::new(),
            framework: None,
        }
    }
}

impl From<FrameworkOptions> for CompileOptions {
    fn from(framework: FrameworkOptions) -> Self {
        Self {
            num_replicas: framework.num_replicas(),
            num_partitions: framework.num_partitions(),
            use_spmd_partitioning: framework.use_spmd_partitioning(),
            framework: Some(framework),
            ..Self::default()
        }
    }
}

impl CompileOptions {
    /// The digest of every field.
    pub fn digest(&self) -> Digest {
        let mut hasher = FramedHasher::new(OPTIONS_TAG);
        hasher
            .integer(self.num_replicas.into())
            .integer(self.num_partitions.into())
            .boolean(self.use_spmd_partitioning);
        hasher.list(&self.device_assignment, |hasher, device| hasher.integer(*device));
        hasher.map(&self.overrides, |hasher, value| match value {
            OptionValue::Bool(value) => hasher.integer(0).boolean(*value),
            OptionValue::Int(value) => hasher.integer(1).signed(*value),
            OptionValue::Float(value) => hasher.integer(2).float(*value),
            OptionValue::Text(value) => hasher.integer(3).text(value),
        });
        // Options without this field have the digests that they had before there was one.
        if let Some(framework) = &self.framework {
            hasher.digest(&framework.digest());
        }
        hasher.finish()
    }
}

impl CompileOptions {
    /// The first compiler option whose number is not finite. Such options have a key, but their
    /// record could not be read back, so [`Store::put`](crate::Store::put) refuses them.
    pub fn non_finite(&self) -> Option<&str> {
        let odd =
            |value: &OptionValue| matches!(value, OptionValue::Float(value) if !value.is_finite());
        self.overrides.iter().find(|(_, value)| odd(value)).map(|(name, _)| name.as_str())
    }

    /// Each field in which `self`, the options in the store, differs from `want`.
    pub fn differences(&self, want: &Self) -> Vec<Difference> {
        let mut all: Vec<Difference> = [
            Difference::between(
                "num_replicas",
                &self.num_replicas,
                &want.num_replicas,
                u32::to_string,
            ),
            Difference::between(
                "num_partitions",
                &self.num_partitions,
                &want.num_partitions,
                u32::to_string,
            ),
            Difference::between(
                "use_spmd_partitioning",
                &self.use_spmd_partitioning,
                &want.use_spmd_partitioning,
                bool::to_string,
            ),
            Difference::between(
                "options.device_assignment",
                &self.device_assignment,
                &want.device_assignment,
                |ids| format!("{ids:?}"),
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        let digest = |options: &Self| options.framework.as_ref().map(FrameworkOptions::digest);
        all.extend(Difference::between(
            "options.framework",
            &digest(self),
            &digest(want),
            |digest| digest.map_or_else(|| "none".to_owned(), |digest| digest.short()),
        ));
        let names: BTreeSet<&String> = self.overrides.keys().chain(want.overrides.keys()).collect();
        let show = |value: &Option<OptionValue>| {
            value.as_ref().map_or_else(String::new, OptionValue::to_string)
        };
        all.extend(names.into_iter().filter_map(|name| {
            Difference::between(
                name,
                &self.overrides.get(name).cloned(),
                &want.overrides.get(name).cloned(),
                show,
            )
        }));
        all
    }
}
