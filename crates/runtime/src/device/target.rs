//! Which hardware, here or not, can graphs be compiled for ahead of time?

use std::fmt;
use std::str::FromStr;

use super::XlaDevice;

/// Hardware by name, such as `tpu:v5e:1x1`: a device, and the name that its plugin has for a
/// topology.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    device: XlaDevice,
    topology: String,
}

impl Target {
    /// The device, which decides which plugin compiles.
    pub fn device(&self) -> XlaDevice {
        self.device
    }

    /// The topology's name, such as `v5e:1x1`; never empty.
    pub fn topology(&self) -> &str {
        &self.topology
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.device, self.topology)
    }
}

/// Why a text is not the name of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a target: {why}; examples of targets: {EXAMPLES}")]
pub struct TargetError {
    given: String,
    why: &'static str,
}

/// Examples of targets for error messages; libtpu 0.0.51 accepts them.
pub(crate) const EXAMPLES: &str = "tpu:v4:2x2x1, tpu:v5e:1x1, tpu:v5e:2x2, tpu:v6e:1x1";

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = |why| TargetError { given: text.to_owned(), why };
        let (device, topology) = text.split_once(':').unwrap_or((text, ""));
        let device = match device {
            "tpu" => XlaDevice::Tpu,
            "xla-cuda" => XlaDevice::XlaCuda,
            "xla-cpu" => return Err(wrong("XLA:CPU compiles for the machine that it runs on")),
            _ => return Err(wrong("it does not begin with a device")),
        };
        // libtpu interprets an empty name as a v2, so an empty name is refused here.
        if topology.trim().is_empty() {
            return Err(wrong("it names no topology"));
        }
        Ok(Self { device, topology: topology.to_owned() })
    }
}

/// For each generation of TPUs: the name that its devices report (`device_kind` of libtpu 0.0.51),
/// its name in topologies, and the number of dimensions in which its chips are laid out. Google's
/// documentation of Cloud TPU has the layouts.
const GENERATIONS: [(&str, &str, usize); 6] = [
    ("TPU v2", "v2", 2),
    ("TPU v3", "v3", 2),
    ("TPU v4", "v4", 3),
    ("TPU v5 lite", "v5e", 2),
    ("TPU v5", "v5p", 3),
    ("TPU v6 lite", "v6e", 2),
];

/// The name of a topology: `v5e:1x1` for one `TPU v5 lite`. An unknown kind keeps its own name and
/// all its bounds.
pub(crate) fn topology_name(topology: &preheat_cache::Topology) -> String {
    let known = GENERATIONS.iter().find(|(kind, ..)| *kind == topology.kind);
    let (name, dimensions) =
        known.map_or((topology.kind.as_str(), 0), |(_, name, dimensions)| (*name, *dimensions));
    let mut bounds = topology.bounds.as_slice();
    while bounds.len() > dimensions && dimensions > 0 && bounds.last() == Some(&1) {
        bounds = &bounds[..bounds.len() - 1];
    }
    let bounds: Vec<String> = bounds.iter().map(u64::to_string).collect();
    format!("{name}:{}", bounds.join("x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        let target: Target = "tpu:v5e:2x2".parse().unwrap();
        assert_eq!((target.device(), target.topology()), (XlaDevice::Tpu, "v5e:2x2"));
        assert_eq!(target.to_string(), "tpu:v5e:2x2");
    }

    #[test]
    fn what_names_no_hardware_is_refused_with_examples() {
        for (text, why) in [
            ("", "device"),
            ("v5e:1x1", "device"),
            ("banana", "device"),
            ("tpu", "topology"),
            ("tpu:", "topology"),
            ("tpu: ", "topology"),
            ("xla-cpu:4", "XLA:CPU"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("tpu:v5e:1x1"), "{text}: {error}");
        }
    }

    #[test]
    fn topologies_are_called_as_they_are_asked_for() {
        let name = |kind: &str, bounds: &[u64]| {
            topology_name(&preheat_cache::Topology {
                kind: kind.to_owned(),
                bounds: bounds.to_vec(),
                core_count: 1,
            })
        };
        assert_eq!(name("TPU v5 lite", &[1, 1, 1]), "v5e:1x1");
        assert_eq!(name("TPU v6 lite", &[2, 2, 1]), "v6e:2x2");
        assert_eq!(name("TPU v4", &[2, 2, 1]), "v4:2x2x1");
        assert_eq!(name("TPU v5", &[2, 2, 4]), "v5p:2x2x4");
        assert_eq!(name("A100", &[1]), "A100:1");
    }
}
