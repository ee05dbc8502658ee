//! Which environment do executables fit?
//!
//! One function answers this for a client and for a compile without a client, so that both make the
//! same keys. The runtime and the caching plugin share that function. It is in a separate crate so
//! that the plugin needs no other part of the runtime.

use preheat_cache::{Environment, Flags, Host, schedulable_cpus};
use preheat_pjrt::{PjrtError, PjrtTopology, PjrtValue};
use prost::Message;
use serde::{Deserialize, Serialize};

/// The inputs of a plugin's compiler that do not change once the plugin is loaded: its file, and
/// the flags that it read at that time.
#[derive(Debug, Clone)]
pub struct Identity {
    plugin_build: String,
    xla_flags: Flags,
    libtpu_init_args: Flags,
    /// The two environment variables as they were at that time. A child process that compiles gets
    /// the same values.
    variables: [(&'static str, String); 2],
}

impl Identity {
    /// The identity of a plugin that is being loaded now; `plugin_build` names its build.
    pub fn now(plugin_build: String) -> Result<Self, FlagsUnreadable> {
        let variables = [
            ("XLA_FLAGS", variable("XLA_FLAGS")?),
            ("LIBTPU_INIT_ARGS", variable("LIBTPU_INIT_ARGS")?),
        ];
        Ok(Self {
            plugin_build,
            xla_flags: Flags::from_xla_flags(&variables[0].1).map_err(|error| FlagsUnreadable {
                variable: "XLA_FLAGS",
                why: error.to_string(),
            })?,
            libtpu_init_args: Flags::parse(&variables[1].1),
            variables,
        })
    }

    /// The environment variables that the compiler reads, as they were when this identity was
    /// taken.
    pub fn variables(&self) -> &[(&'static str, String); 2] {
        &self.variables
    }

    /// The build and the compiler's flags. Together with a topology's name, they decide how a
    /// plugin describes the topology.
    pub fn words(&self) -> [String; 3] {
        [self.plugin_build.clone(), self.xla_flags.to_string(), self.libtpu_init_args.to_string()]
    }
}

/// The error for an environment variable of the compiler that cannot be read, so that no key can
/// cover its flags.
#[derive(Debug, thiserror::Error)]
#[error("{variable} cannot be read: {why}")]
pub struct FlagsUnreadable {
    /// `XLA_FLAGS` or `LIBTPU_INIT_ARGS`.
    pub variable: &'static str,
    /// What is wrong with it.
    pub why: String,
}

fn variable(variable: &'static str) -> Result<String, FlagsUnreadable> {
    match std::env::var(variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Ok(String::new()),
        Err(error) => Err(FlagsUnreadable { variable, why: error.to_string() }),
    }
}

/// What a plugin reports about a topology: the topology of a client, or one that was named.
///
/// Every fact is read from the topology and none from a client, so that a process that compiles
/// ahead of time and a process that runs programs use the same facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    platform: String,
    platform_version: String,
    topology: preheat_cache::Topology,
    raw_topology: Vec<u8>,
}

impl Facts {
    /// Reads what the plugin reports about this topology.
    pub fn read(topology: &PjrtTopology) -> Result<Self, PjrtError> {
        Ok(Self {
            platform: topology.platform_name()?,
            platform_version: topology.platform_version()?,
            topology: canonical_topology(topology)?,
            raw_topology: topology.serialize()?,
        })
    }

    /// Whether two descriptions of a named topology lead to the same keys. The raw bytes are not
    /// compared: a key contains something of them only for XLA:CPU, which has no named topologies.
    pub fn are_alike(&self, other: &Self) -> bool {
        (&self.platform, &self.platform_version, &self.topology)
            == (&other.platform, &other.platform_version, &other.topology)
    }

    /// The environment of a plugin with this identity on this topology.
    pub fn environment(self, identity: Identity) -> Environment {
        let host = (self.platform == "cpu").then(|| Host {
            features: host_features(&self.raw_topology),
            schedulable_cpus: schedulable_cpus(),
        });
        Environment {
            plugin_build: identity.plugin_build,
            platform: self.platform,
            platform_version: self.platform_version,
            device_kind: self.topology.kind.clone(),
            topology: self.topology,
            device_assignment: Vec::new(),
            xla_flags: identity.xla_flags,
            libtpu_init_args: identity.libtpu_init_args,
            host,
            raw_topology: Some(self.raw_topology),
        }
    }
}

/// The topology in a form that is the same for a client and for a compile without a client: kind,
/// bounds, number of cores.
///
/// The bounds come from the devices' coordinates. A TPU's chips lie in a grid, and each chip has
/// one core or more. Devices without coordinates are taken to lie in a row.
fn canonical_topology(topology: &PjrtTopology) -> Result<preheat_cache::Topology, PjrtError> {
    let devices = topology.device_descriptions()?;
    let kind = devices.first().map(|device| device.kind.clone()).unwrap_or_default();
    let mut bounds: Vec<u64> = Vec::new();
    for device in &devices {
        let Some(PjrtValue::IntList(coordinates)) = device.attributes.get("coords") else {
            continue;
        };
        bounds.resize(bounds.len().max(coordinates.len()), 0);
        for (bound, coordinate) in bounds.iter_mut().zip(coordinates) {
            *bound = (*bound).max(u64::try_from(*coordinate).unwrap_or(0) + 1);
        }
    }
    let core_count = devices.len() as u64;
    if bounds.is_empty() {
        bounds.push(core_count);
    }
    Ok(preheat_cache::Topology { kind, bounds, core_count })
}

/// The one field of `xla.CpuTopologyProto` (XLA's `cpu_topology.proto`) that is read: the host's
/// features as LLVM names them, with `+` for a feature that the host has and `-` for one that it
/// lacks.
#[derive(Clone, PartialEq, Message)]
struct CpuTopology {
    #[prost(string, repeated, tag = "4")]
    machine_attributes: Vec<String>,
}

/// The host's features. XLA:CPU's executables hold instructions for them, and its serialised
/// topology lists them. If a release of XLA writes the topology in another form, a digest of all
/// its bytes takes the place of the features: this can cause a miss, but never a wrong hit.
fn host_features(raw_topology: &[u8]) -> Vec<String> {
    let mut features = match CpuTopology::decode(raw_topology) {
        Ok(topology) if !topology.machine_attributes.is_empty() => topology.machine_attributes,
        _ => vec![format!("topology:{}", preheat_cache::Digest::of(raw_topology))],
    };
    features.sort_unstable();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_sorted_and_an_unknown_form_stands_for_itself() {
        let topology = CpuTopology { machine_attributes: vec!["+avx2".into(), "+adx".into()] };
        assert_eq!(host_features(&topology.encode_to_vec()), ["+adx", "+avx2"]);
        let unknown = host_features(b"\x0a\x03abc");
        assert_eq!(unknown.len(), 1);
        assert!(unknown[0].starts_with("topology:"));
        assert_ne!(unknown, host_features(b"\x0a\x03abd"));
    }
}
