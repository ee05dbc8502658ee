//! How does a TPU describe itself? The descriptions were captured from libtpu. The environment can
//! change the one that the pose of this process uses.
//!
//! `examples/capture.rs` prints `captured.json`. A topology that was not captured is unknown here.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::config::{Overrides, from_hex};

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// A list of integers.
    Integers(Vec<i64>),
    /// A string.
    Text(String),
    /// A number.
    Float(f32),
    /// A boolean.
    Bool(bool),
}

/// An attribute of a device or of a topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A device, with the data of its PJRT description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Ids count through x first, then y, then z, and through the cores of a chip before the next
    /// chip.
    pub id: i32,
    /// The host that it is on.
    pub process_index: i32,
    /// Its kind, such as `TPU v5 lite`.
    pub kind: String,
    /// Such as `TPU_0(process=0,(0,0,0,0))`.
    pub debug_string: String,
    /// Such as `TpuDevice(id=0, process_index=0, coords=(0,0,0), core_on_chip=0)`.
    pub to_string: String,
    /// `coords`, `core_on_chip`, `num_cores`, `device_memory_bytes_limit`; libtpu lists them
    /// in random order.
    pub attributes: Vec<Attribute>,
}

impl Device {
    fn integer(&self, name: &str) -> Option<i64> {
        self.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| {
            match attribute.value {
                Value::Integer(value) => Some(value),
                _ => None,
            }
        })
    }

    /// Bytes of memory that libtpu reports for the device.
    pub fn memory_limit(&self) -> Option<i64> {
        self.integer(MEMORY_LIMIT)
    }
}

/// A topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The name under which it is created. libtpu accepts the empty name, too.
    pub name: String,
    /// `tpu`.
    pub platform_name: String,
    /// Two lines of text: the chip, and the build of libtpu.
    pub platform_version: String,
    /// The attributes `wrap`, `twist` and `device_memory_bytes_limit`.
    pub attributes: Vec<Attribute>,
    /// The serialised description, in hexadecimal.
    pub serialized: String,
    /// The devices in libtpu's order: host by host.
    pub devices: Vec<Device>,
}

impl Topology {
    /// The serialised description.
    pub fn serialized_bytes(&self) -> Vec<u8> {
        from_hex(&self.serialized).unwrap_or_default()
    }

    /// The device with this id.
    pub fn device(&self, id: i32) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// How many hosts it spans.
    pub fn processes(&self) -> usize {
        self.devices
            .iter()
            .map(|device| device.process_index)
            .max()
            .map_or(0, |last| usize::try_from(last).unwrap_or(0) + 1)
    }
}

#[derive(Deserialize)]
struct Captured {
    topologies: Vec<Topology>,
}

const MEMORY_LIMIT: &str = "device_memory_bytes_limit";

static CAPTURED: LazyLock<Vec<Topology>> = LazyLock::new(|| {
    let captured = serde_json::from_str::<Captured>(include_str!("../captured.json"));
    captured.map(|captured| captured.topologies).unwrap_or_default()
});

/// The captured topology of this name. As for libtpu, `v5e:1x1x1` and `v5e=1x1` mean `v5e:1x1`, and
/// the empty name means a v2.
pub fn find(name: &str) -> Option<&'static Topology> {
    CAPTURED.iter().find(|topology| topology.name == name).or_else(|| {
        let (chip, chips) = name.split_once([':', '=', '_'])?;
        let parts = |chips: &str| {
            let parts: Vec<String> = chips.split('x').map(str::to_owned).collect();
            let kept =
                parts.iter().rposition(|part| part != "1").map_or(2, |last| (last + 1).max(2));
            parts[..kept.min(parts.len())].to_vec()
        };
        let wanted = parts(chips);
        // A single number is not a layout.
        let layout = wanted.len() > 1;
        CAPTURED.iter().find(|known| {
            layout
                && known
                    .name
                    .split_once(':')
                    .is_some_and(|(named, chips)| named == chip && parts(chips) == wanted)
        })
    })
}

/// The message for a topology name that is not known.
pub fn unknown(name: &str) -> String {
    let known: Vec<&str> = CAPTURED
        .iter()
        .map(|topology| topology.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    format!(
        "pjrt-sim knows no TPU topology `{name}`, only those captured from libtpu: {}",
        known.join(", ")
    )
}

/// The topology, with the changes that the environment sets.
pub fn overridden(captured: &Topology, overrides: &Overrides) -> Topology {
    let mut topology = captured.clone();
    if overrides.bounds.is_some() || overrides.cores.is_some() {
        rebuild(&mut topology, overrides);
    }
    if let Some(name) = &overrides.platform_name {
        topology.platform_name.clone_from(name);
    }
    if let Some(version) = &overrides.platform_version {
        topology.platform_version.clone_from(version);
    }
    if let Some(kind) = &overrides.device_kind {
        topology.devices.iter_mut().for_each(|device| device.kind.clone_from(kind));
    }
    if let Some(limit) = overrides.memory_limit {
        let lists = topology.devices.iter_mut().map(|device| &mut device.attributes);
        for attribute in lists
            .chain([&mut topology.attributes])
            .flatten()
            .filter(|attribute| attribute.name == MEMORY_LIMIT)
        {
            attribute.value = Value::Integer(limit);
        }
    }
    if let Some(bytes) = &overrides.topology_bytes {
        topology.serialized = crate::config::to_hex(bytes);
    }
    topology
}

/// Chips along x, y and z of the devices listed.
pub fn bounds(devices: &[Device]) -> [u8; 3] {
    let mut bounds = [1; 3];
    for attribute in devices
        .iter()
        .flat_map(|device| &device.attributes)
        .filter(|attribute| attribute.name == "coords")
    {
        if let Value::Integers(coords) = &attribute.value {
            for (bound, coord) in bounds.iter_mut().zip(coords) {
                *bound = u8::try_from(*coord).map_or(*bound, |coord| (*bound).max(coord + 1));
            }
        }
    }
    bounds
}

/// Devices per chip.
pub fn cores(devices: &[Device]) -> u8 {
    let last = devices.iter().filter_map(|device| device.integer("core_on_chip")).max();
    last.and_then(|last| u8::try_from(last + 1).ok()).unwrap_or(1)
}

/// Arranges the devices anew, all on one host, and changes the bounds in the serialised
/// description.
fn rebuild(topology: &mut Topology, overrides: &Overrides) {
    let before = bounds(&topology.devices);
    let after = overrides.bounds.unwrap_or(before);
    let cores = overrides.cores.unwrap_or_else(|| cores(&topology.devices));
    if let Some(model) = topology.devices.first().cloned() {
        topology.devices = lay_out(&model, after, cores);
    }
    // The bounds are field 5 of the inner message, which has three fields of one byte each.
    let field = |[x, y, z]: [u8; 3]| format!("2a0608{x:02x}10{y:02x}18{z:02x}");
    topology.serialized = topology.serialized.replacen(&field(before), &field(after), 1);
}

fn lay_out(model: &Device, [width, height, depth]: [u8; 3], cores: u8) -> Vec<Device> {
    let mut devices = Vec::new();
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                for core in 0..cores {
                    let id = i32::try_from(devices.len()).unwrap_or(i32::MAX);
                    let mut device = Device {
                        id,
                        process_index: 0,
                        debug_string: format!("TPU_{id}(process=0,({x},{y},{z},{core}))"),
                        to_string: format!(
                            "TpuDevice(id={id}, process_index=0, coords=({x},{y},{z}), core_on_chip={core})"
                        ),
                        ..model.clone()
                    };
                    for attribute in &mut device.attributes {
                        match attribute.name.as_str() {
                            "coords" => {
                                attribute.value =
                                    Value::Integers([x, y, z].map(i64::from).to_vec());
                            }
                            "core_on_chip" => attribute.value = Value::Integer(core.into()),
                            _ => {}
                        }
                    }
                    devices.push(device);
                }
            }
        }
    }
    devices
}

/// XLA:CPU's serialised topology with other host features in it; `None` if the bytes are not a
/// protocol buffer.
///
/// The features are strings of the top-level message in field 4. Nothing else is assumed of the
/// message.
pub fn with_host_features(topology: &[u8], features: &[String]) -> Option<Vec<u8>> {
    const FEATURES: u64 = 4 << 3 | 2;
    let mut changed = Vec::new();
    let mut rest = topology;
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let size = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(size..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
        if key != FEATURES {
            changed.extend_from_slice(&start[..start.len() - rest.len()]);
        }
    }
    for feature in features {
        changed.extend([
            FEATURES.to_le_bytes()[0],
            u8::try_from(feature.len()).ok().filter(|size| *size < 128)?,
        ]);
        changed.extend_from_slice(feature.as_bytes());
    }
    Some(changed)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_out_is_what_libtpu_lays_out() {
        assert!(CAPTURED.len() >= 15);
        for captured in CAPTURED.iter() {
            let mut sorted = captured.devices.clone();
            sorted.sort_by_key(|device| device.id);
            let laid_out = lay_out(&sorted[0], bounds(&sorted), cores(&sorted));
            assert_eq!(laid_out.len(), sorted.len(), "{}", captured.name);
            for (ours, theirs) in laid_out.iter().zip(&sorted) {
                let mut theirs = theirs.clone();
                let host = theirs.process_index;
                theirs.process_index = 0;
                theirs.debug_string =
                    theirs.debug_string.replace(&format!("process={host}"), "process=0");
                theirs.to_string =
                    theirs.to_string.replace(&format!("process_index={host}"), "process_index=0");
                assert_eq!(*ours, theirs, "{}", captured.name);
            }
        }
    }

    #[test]
    fn bounds_that_were_captured_give_the_bytes_that_were_captured() {
        let overrides = Overrides { bounds: Some([2, 1, 1]), ..Overrides::default() };
        let rebuilt = overridden(find("v5e:1x1").unwrap(), &overrides);
        let captured = find("v5e:2x1").unwrap();
        assert_eq!(rebuilt.serialized, captured.serialized);
        assert_eq!(bounds(&rebuilt.devices), [2, 1, 1]);
    }

    #[test]
    fn one_override_changes_one_thing() {
        let captured = find("v4:2x2x1").unwrap();
        let kind = overridden(
            captured,
            &Overrides { device_kind: Some("TPU v99".to_owned()), ..Overrides::default() },
        );
        assert!(kind.devices.iter().all(|device| device.kind == "TPU v99"));
        assert_eq!(
            (&kind.serialized, &kind.platform_version),
            (&captured.serialized, &captured.platform_version)
        );
        let version = overridden(
            captured,
            &Overrides { platform_version: Some("x".to_owned()), ..Overrides::default() },
        );
        assert_eq!(version.platform_version, "x");
        assert_eq!(
            (&version.serialized, &version.devices),
            (&captured.serialized, &captured.devices)
        );
        let cores = overridden(captured, &Overrides { cores: Some(1), ..Overrides::default() });
        assert_eq!((cores.devices.len(), &cores.serialized), (4, &captured.serialized));
    }

    #[test]
    fn names_are_found_as_libtpu_finds_them() {
        assert_eq!(find("v5e:1x1x1").unwrap().name, "v5e:1x1");
        assert_eq!(find("v5e=1x1").unwrap().name, "v5e:1x1");
        assert_eq!(find("v4:2x2x1").unwrap().name, "v4:2x2x1");
        assert_eq!(find("v4:2x2").unwrap().name, "v4:2x2x1");
        assert_eq!(find("").unwrap().devices[0].kind, "TPU v2");
        for name in ["v5e", "v5e:1", "v99:1x1", "v5e:3x3", "nonsense", "v5e:"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn host_features_are_replaced_and_nothing_else() {
        let topology = b"\x0a\x02\x18\x01\x22\x04+avx\x22\x05+avx2\x1a\x03cpu";
        let changed = with_host_features(topology, &["+fma".to_owned()]).unwrap();
        assert_eq!(changed, b"\x0a\x02\x18\x01\x1a\x03cpu\x22\x04+fma");
        assert_eq!(with_host_features(b"\x22\x7f", &[]), None);
    }
}
