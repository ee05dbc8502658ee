//! Which environment do executables fit?
//!
//! One function answers this for a client and for a compile without one, so that both make the same
//! keys.

use preheat_cache::{Environment, Flags, Host, schedulable_cpus};
use preheat_pjrt::{PjrtError, Topology, Value};
use prost::Message;
use serde::{Deserialize, Serialize};

use super::BackendError;

/// The inputs of a plugin's compiler that do not change once the plugin is loaded: its file, and
/// the flags that it read at that time.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    plugin_build: String,
    xla_flags: Flags,
    libtpu_init_args: Flags,
    /// The two variables as they were then, for a process that is to compile with the same flags.
    variables: [(&'static str, String); 2],
}

impl Identity {
    /// The identity of a plugin that is being loaded now. `build` returns the name of its build.
    pub(super) fn now(
        build: impl FnOnce() -> Result<String, BackendError>,
    ) -> Result<Self, BackendError> {
        let variables = [
            ("XLA_FLAGS", variable("XLA_FLAGS")?),
            ("LIBTPU_INIT_ARGS", variable("LIBTPU_INIT_ARGS")?),
        ];
        Ok(Self {
            plugin_build: build()?,
            xla_flags: Flags::from_xla_flags(&variables[0].1).map_err(|error| {
                BackendError::Flags { variable: "XLA_FLAGS", why: error.to_string() }
            })?,
            libtpu_init_args: Flags::parse(&variables[1].1),
            variables,
        })
    }

    /// The environment variables that the compiler reads, as they were when this identity was
    /// taken.
    pub(super) fn variables(&self) -> &[(&'static str, String); 2] {
        &self.variables
    }

    /// The build and the compiler's flags. Together with a topology's name, they decide how a
    /// plugin describes the topology.
    pub(super) fn words(&self) -> [String; 3] {
        [self.plugin_build.clone(), self.xla_flags.to_string(), self.libtpu_init_args.to_string()]
    }
}

fn variable(variable: &'static str) -> Result<String, BackendError> {
    match std::env::var(variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Ok(String::new()),
        Err(error) => Err(BackendError::Flags { variable, why: error.to_string() }),
    }
}

/// What a plugin says of a topology: a client's own, or one that was named.
///
/// Every fact is read from the topology and none from a client, so that a process that compiles
/// ahead of time and a process that runs ask for the same facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    platform: String,
    platform_version: String,
    topology: preheat_cache::Topology,
    raw_topology: Vec<u8>,
}

impl Facts {
    pub(super) fn read(topology: &Topology) -> Result<Self, PjrtError> {
        Ok(Self {
            platform: topology.platform_name()?,
            platform_version: topology.platform_version()?,
            topology: canonical_topology(topology)?,
            raw_topology: topology.serialize()?,
        })
    }

    /// Whether two descriptions lead to the same keys. The raw bytes are not compared, because none
    /// of them is part of a key.
    pub(super) fn are_alike(&self, other: &Self) -> bool {
        (&self.platform, &self.platform_version, &self.topology)
            == (&other.platform, &other.platform_version, &other.topology)
    }

    pub(super) fn environment(self, identity: Identity) -> Environment {
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
fn canonical_topology(topology: &Topology) -> Result<preheat_cache::Topology, PjrtError> {
    let devices = topology.device_descriptions()?;
    let kind = devices.first().map(|device| device.kind.clone()).unwrap_or_default();
    let mut bounds: Vec<u64> = Vec::new();
    for device in &devices {
        let Some(Value::IntList(coordinates)) = device.attributes.get("coords") else { continue };
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

/// The one field of `xla.CpuTopologyProto` that is read (`xla/pjrt/proto/pjrt_c_api` and its
/// neighbours): the host's features as LLVM names them, with `+` for a feature that the host has
/// and `-` for one that it lacks.
#[derive(Clone, PartialEq, Message)]
struct CpuTopology {
    #[prost(string, repeated, tag = "4")]
    machine_attributes: Vec<String>,
}

/// The host's features. XLA:CPU's executables hold instructions for them, and its serialised
/// topology lists them. If a release writes the topology in another form, all of its bytes stand
/// for the features: that can cause a miss, but never a wrong hit.
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
