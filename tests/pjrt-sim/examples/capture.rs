//! How does libtpu describe TPU topologies on a machine that has no TPU? This program prints the
//! content of `captured.json`.
//!
//! ```text
//! env ALLOW_MULTIPLE_LIBTPU_LOAD=1 TPU_SKIP_MDS_QUERY=1 TPU_ACCELERATOR_TYPE=v5litepod-1 TPU_WORKER_HOSTNAMES=localhost \
//!     TPU_MIN_LOG_LEVEL=3 TPU_STDERR_LOG_LEVEL=3 TPU_LOG_DIR=disabled \
//!     cargo run -p pjrt-sim --example capture -- libtpu.so "libtpu 0.0.51" > tests/pjrt-sim/captured.json
//! ```
//!
//! `libtpu.so` is in the wheel `libtpu`. Without these variables, libtpu takes the lock of a real
//! TPU, and tries for minutes to reach a metadata server.
#![expect(unsafe_code, reason = "calls a PJRT plugin")]
#![expect(clippy::print_stdout, reason = "its purpose is to print")]

use std::ffi::c_char;
use std::path::Path;
use std::{error, ptr};

use pjrt_sim::config::to_hex;
use pjrt_sim::forward::{Raised, Real, bytes};
use pjrt_sim::pose::{Attribute, Device, Topology, Value};
use preheat_pjrt::sys::{
    Args, Call, DeviceDescription, DeviceDescriptionAttributesArgs,
    DeviceDescriptionDebugStringArgs, DeviceDescriptionIdArgs, DeviceDescriptionKindArgs,
    DeviceDescriptionProcessIndexArgs, DeviceDescriptionToStringArgs, NamedValue, NamedValueType,
    PluginAttributesArgs, PluginInitializeArgs, TopologyDescriptionAttributesArgs,
    TopologyDescriptionCreateArgs, TopologyDescriptionGetDeviceDescriptionsArgs,
    TopologyDescriptionPlatformNameArgs, TopologyDescriptionPlatformVersionArgs,
    TopologyDescriptionSerializeArgs,
};

/// Names that libtpu accepts; the empty name is one of them.
const NAMES: &[&str] = &[
    "",
    "v2:2x2",
    "v3:2x2",
    "v4:1x1x1",
    "v4:2x2x1",
    "v4:2x2x2",
    "v5e:1x1",
    "v5e:2x1",
    "v5e:2x2",
    "v5e:2x4",
    "v5e:4x4",
    "v5p:1x1x1",
    "v5p:2x2x1",
    "v6e:1x1",
    "v6e:2x2",
    "v6e:2x4",
    "tpu7x:2x2x1",
];
/// Names that libtpu refuses.
const REFUSED: &[&str] = &["nonsense", "v5e", "v9:1x1", "v5e:3x3", "v6e:1"];

fn call<A: Call>(real: &'static Real, args: &mut A) -> Result<(), Raised> {
    // SAFETY: every call below passes handles that the same plugin made and that were not freed,
    // and strings that outlive the call.
    unsafe { real.call(args) }
}

fn text(pointer: *const c_char, size: usize) -> String {
    // SAFETY: every call below passes what a getter returned for a handle that lives.
    String::from_utf8_lossy(unsafe { bytes(pointer, size) }).into_owned()
}

fn attributes(values: *const NamedValue, count: usize) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = (0..count)
        .map(|index| {
            // SAFETY: the plugin returned an array of `count` values, each with the type that it
            // names and an array of `value_size` elements.
            let named = unsafe { values.add(index).read() };
            let name = text(named.name, named.name_size);
            // SAFETY: as above.
            let value = unsafe {
                match named.r#type {
                    NamedValueType::STRING => {
                        Value::Text(text(named.value.string_value, named.value_size))
                    }
                    NamedValueType::INT64_LIST => {
                        let list = named.value.int64_array_value;
                        Value::Integers(
                            (0..named.value_size).map(|at| list.add(at).read()).collect(),
                        )
                    }
                    NamedValueType::FLOAT => Value::Float(named.value.float_value),
                    NamedValueType::BOOL => Value::Bool(named.value.bool_value),
                    _ => Value::Integer(named.value.int64_value),
                }
            };
            Attribute { name, value }
        })
        .collect();
    // libtpu's own order differs from call to call.
    attributes.sort_by(|one, other| one.name.cmp(&other.name));
    attributes
}

fn device(
    real: &'static Real,
    device_description: *mut DeviceDescription,
) -> Result<Device, Raised> {
    let mut id = DeviceDescriptionIdArgs { device_description, ..Args::new() };
    call(real, &mut id)?;
    let mut process = DeviceDescriptionProcessIndexArgs { device_description, ..Args::new() };
    call(real, &mut process)?;
    let mut kind = DeviceDescriptionKindArgs { device_description, ..Args::new() };
    call(real, &mut kind)?;
    let mut debug = DeviceDescriptionDebugStringArgs { device_description, ..Args::new() };
    call(real, &mut debug)?;
    let mut string = DeviceDescriptionToStringArgs { device_description, ..Args::new() };
    call(real, &mut string)?;
    let mut values = DeviceDescriptionAttributesArgs { device_description, ..Args::new() };
    call(real, &mut values)?;
    Ok(Device {
        id: id.id,
        process_index: process.process_index,
        kind: text(kind.device_kind, kind.device_kind_size),
        debug_string: text(debug.debug_string, debug.debug_string_size),
        to_string: text(string.to_string, string.to_string_size),
        attributes: attributes(values.attributes, values.num_attributes),
    })
}

fn topology(real: &'static Real, name: &str) -> Result<Topology, Raised> {
    let (topology_name, topology_name_size) = (name.as_ptr().cast(), name.len());
    let mut create =
        TopologyDescriptionCreateArgs { topology_name, topology_name_size, ..Args::new() };
    call(real, &mut create)?;
    let topology = create.topology;
    let mut platform_name = TopologyDescriptionPlatformNameArgs { topology, ..Args::new() };
    call(real, &mut platform_name)?;
    let mut version = TopologyDescriptionPlatformVersionArgs { topology, ..Args::new() };
    call(real, &mut version)?;
    let mut values = TopologyDescriptionAttributesArgs { topology, ..Args::new() };
    call(real, &mut values)?;
    let mut serialize = TopologyDescriptionSerializeArgs { topology, ..Args::new() };
    call(real, &mut serialize)?;
    // SAFETY: the plugin returned this many bytes.
    let serialized =
        to_hex(unsafe { bytes(serialize.serialized_bytes, serialize.serialized_bytes_size) });
    let mut list = TopologyDescriptionGetDeviceDescriptionsArgs { topology, ..Args::new() };
    call(real, &mut list)?;
    let devices = (0..list.num_descriptions)
        // SAFETY: the plugin returned an array of this length.
        .map(|index| device(real, unsafe { list.descriptions.add(index).read() }))
        .collect::<Result<_, _>>()?;
    Ok(Topology {
        name: name.to_owned(),
        platform_name: text(platform_name.platform_name, platform_name.platform_name_size),
        platform_version: text(version.platform_version, version.platform_version_size),
        attributes: attributes(values.attributes, values.num_attributes),
        serialized,
        devices,
    })
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(plugin), Some(source)) = (arguments.next(), arguments.next()) else {
        return Err("usage: capture libtpu.so \"libtpu VERSION\"".into());
    };
    let real = Real::open(Path::new(&plugin), None)?;
    let fail = |raised: Raised| format!("{raised:?}: {:?}", raised.describe());
    call(real, &mut PluginInitializeArgs::new()).map_err(fail)?;
    let mut plugin = PluginAttributesArgs { attributes: ptr::null(), ..Args::new() };
    call(real, &mut plugin).map_err(fail)?;
    let (major, minor) = real.version();
    println!(
        "{{\n\"source\": {},",
        serde_json::to_string(&format!("{source}, PJRT C API {major}.{minor}"))?
    );
    println!(
        "\"plugin_attributes\": {},",
        serde_json::to_string(&attributes(plugin.attributes, plugin.num_attributes))?
    );
    println!("\"topologies\": [");
    for (index, name) in NAMES.iter().enumerate() {
        let topology = topology(real, name).map_err(fail)?;
        let comma = if index + 1 == NAMES.len() { "" } else { "," };
        println!("{}{comma}", serde_json::to_string(&topology)?.replace("{\"id\"", "\n  {\"id\""));
    }
    println!("],\n\"refused\": [");
    for (index, name) in REFUSED.iter().enumerate() {
        let comma = if index + 1 == REFUSED.len() { "" } else { "," };
        let (code, message) =
            topology(real, name).err().ok_or_else(|| format!("{name} was taken"))?.describe();
        println!(
            "{}{comma}",
            serde_json::to_string(
                &serde_json::json!({ "name": name, "code": code.0, "message": message })
            )?
        );
    }
    println!("]\n}}");
    Ok(())
}
