//! How does the platform describe itself? This file answers calls for names, versions, kinds,
//! attributes and topologies.
#![expect(unsafe_code, reason = "reads and answers C structs")]

use std::ffi::c_char;

use preheat_pjrt::sys::{
    Args, BufferIsOnCpuArgs, ClientPlatformNameArgs, ClientPlatformVersionArgs,
    DeviceDescriptionAttributesArgs, DeviceDescriptionDebugStringArgs, DeviceDescriptionKindArgs,
    DeviceDescriptionProcessIndexArgs, DeviceDescriptionToStringArgs, DeviceGetDescriptionArgs,
    DeviceMemoryStatsArgs, ErrorCode, SerializedTopology, TopologyDescriptionAttributesArgs,
    TopologyDescriptionCreateArgs, TopologyDescriptionDestroyArgs,
    TopologyDescriptionPlatformNameArgs, TopologyDescriptionPlatformVersionArgs,
    TopologyDescriptionSerializeArgs,
};

use crate::fault::Place;
use crate::forward::{Incoming, Override, Raised, bytes};
use crate::log::Event;
use crate::plugin::{guise_named, handles, plugin};
use crate::pose;
use crate::{Simulated, Table};

/// Puts the overrides of this file into the table. If there is no pose, the overrides that only a
/// pose needs are left out.
pub(crate) fn override_all(table: &mut Table, posing: bool) {
    table.set::<ClientPlatformNameArgs>();
    table.set::<ClientPlatformVersionArgs>();
    table.set::<DeviceDescriptionKindArgs>();
    table.set::<TopologyDescriptionCreateArgs>();
    table.set::<TopologyDescriptionPlatformNameArgs>();
    table.set::<TopologyDescriptionPlatformVersionArgs>();
    table.set::<TopologyDescriptionSerializeArgs>();
    if posing {
        table.set::<BufferIsOnCpuArgs>();
        table.set::<DeviceDescriptionAttributesArgs>();
        table.set::<DeviceDescriptionDebugStringArgs>();
        table.set::<DeviceDescriptionProcessIndexArgs>();
        table.set::<DeviceDescriptionToStringArgs>();
        table.set::<DeviceMemoryStatsArgs>();
        table.set::<TopologyDescriptionAttributesArgs>();
        table.set::<TopologyDescriptionDestroyArgs>();
    }
}

/// Pointer and size of a string that lives as long as the process.
fn text(text: &'static str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

impl Override<Simulated> for ClientPlatformNameArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let posed = plugin.pose.map(|pose| pose.topology.platform_name.as_str());
        match posed.or(plugin.config.overrides.platform_name.as_deref()) {
            None => call.forward()?,
            Some(name) => {
                call.answer(|args| (args.platform_name, args.platform_name_size) = text(name));
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for ClientPlatformVersionArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let posed = plugin.pose.map(|pose| pose.topology.platform_version.as_str());
        match posed.or(plugin.config.overrides.platform_version.as_deref()) {
            None => call.forward()?,
            Some(version) => call
                .answer(|args| (args.platform_version, args.platform_version_size) = text(version)),
        }
        Ok(())
    }
}

impl Override<Simulated> for TopologyDescriptionPlatformNameArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let posed = handles()
            .topology(call.args().topology)
            .map(|guise| guise.topology.platform_name.as_str());
        match posed.or(plugin.config.overrides.platform_name.as_deref()) {
            None => call.forward()?,
            Some(name) => {
                call.answer(|args| (args.platform_name, args.platform_name_size) = text(name));
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for TopologyDescriptionPlatformVersionArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let posed = handles()
            .topology(call.args().topology)
            .map(|guise| guise.topology.platform_version.as_str());
        match posed.or(plugin.config.overrides.platform_version.as_deref()) {
            None => call.forward()?,
            Some(version) => call
                .answer(|args| (args.platform_version, args.platform_version_size) = text(version)),
        }
        Ok(())
    }
}

impl Override<Simulated> for TopologyDescriptionCreateArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let real = call.real()?;
        // SAFETY: PJRT's header requires the caller to pass a name of this size.
        let name = unsafe { bytes(call.args().topology_name, call.args().topology_name_size) };
        let name = String::from_utf8_lossy(name).into_owned();
        let created = plugin.stage.perform(
            Place::Topology,
            |_| Event::Topology { name: name.clone() },
            |_| {
                if plugin.pose.is_none() {
                    call.forward()?;
                    return Ok(None);
                }
                let guise = guise_named(plugin, &name);
                let guise = guise.ok_or_else(|| {
                    Raised::ours(ErrorCode::INVALID_ARGUMENT, pose::unknown(&name))
                })?;
                handles().named_topology(real, guise).map(Some)
            },
        )?;
        if let Some(topology) = created {
            call.answer(|args| args.topology = topology);
        }
        Ok(())
    }
}

impl Override<Simulated> for TopologyDescriptionDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let named = handles().is_named(call.args().topology);
        if named { Ok(()) } else { call.forward() }
    }
}

impl Override<Simulated> for TopologyDescriptionAttributesArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let guise = handles().topology(call.args().topology);
        match guise {
            None => call.forward()?,
            Some(guise) => call.answer(|args| {
                (args.attributes, args.num_attributes) =
                    (guise.attributes.as_ptr(), guise.attributes.len());
            }),
        }
        Ok(())
    }
}

/// Frees the bytes that the override of [`TopologyDescriptionSerializeArgs`] returns.
unsafe extern "C" fn free_topology(serialized: *mut SerializedTopology) {
    // SAFETY: the caller passes back, once, the pointer that `serve` below made.
    drop(unsafe { Box::from_raw(serialized.cast::<Vec<u8>>()) });
}

impl Override<Simulated> for TopologyDescriptionSerializeArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let overrides = &plugin()?.config.overrides;
        let guise = handles().topology(call.args().topology);
        let serialized = match (guise, &overrides.topology_bytes, &overrides.host_features) {
            (Some(guise), _, _) => guise.serialized.clone(),
            (None, Some(bytes), _) => bytes.clone(),
            (None, None, None) => return call.forward(),
            (None, None, Some(features)) => {
                call.forward()?;
                let args = call.args();
                // SAFETY: the call above returned this many bytes.
                let real = unsafe { bytes(args.serialized_bytes, args.serialized_bytes_size) };
                let changed = pose::with_host_features(real, features);
                if let Some(free) = args.serialized_topology_deleter {
                    // SAFETY: the plugin requires exactly this call when the bytes are no longer
                    // used.
                    unsafe { free(args.serialized_topology) };
                }
                changed.ok_or_else(|| {
                    Raised::ours(ErrorCode::INTERNAL, "pjrt-sim: cannot read the real topology")
                })?
            }
        };
        call.answer(|args| {
            let serialized = Box::new(serialized);
            args.serialized_bytes = serialized.as_ptr().cast();
            args.serialized_bytes_size = serialized.len();
            args.serialized_topology = Box::into_raw(serialized).cast();
            args.serialized_topology_deleter = Some(free_topology);
        });
        Ok(())
    }
}

impl Override<Simulated> for DeviceDescriptionKindArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let plugin = plugin()?;
        let posed = handles()
            .device(call.real()?, call.args().device_description)?
            .map(|(device, _)| device.kind.as_str());
        match posed.or(plugin.config.overrides.device_kind.as_deref()) {
            None => call.forward()?,
            Some(kind) => {
                call.answer(|args| (args.device_kind, args.device_kind_size) = text(kind));
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for DeviceDescriptionProcessIndexArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let posed = handles().device(call.real()?, call.args().device_description)?;
        match posed {
            None => call.forward()?,
            Some((device, _)) => call.answer(|args| args.process_index = device.process_index),
        }
        Ok(())
    }
}

impl Override<Simulated> for DeviceDescriptionDebugStringArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let posed = handles().device(call.real()?, call.args().device_description)?;
        match posed {
            None => call.forward()?,
            Some((device, _)) => {
                call.answer(|args| {
                    (args.debug_string, args.debug_string_size) = text(&device.debug_string);
                });
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for DeviceDescriptionToStringArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let posed = handles().device(call.real()?, call.args().device_description)?;
        match posed {
            None => call.forward()?,
            Some((device, _)) => {
                call.answer(|args| (args.to_string, args.to_string_size) = text(&device.to_string));
            }
        }
        Ok(())
    }
}

impl Override<Simulated> for DeviceDescriptionAttributesArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let posed = handles().device(call.real()?, call.args().device_description)?;
        match posed {
            None => call.forward()?,
            Some((_, attributes)) => {
                call.answer(|args| {
                    (args.attributes, args.num_attributes) =
                        (attributes.as_ptr(), attributes.len());
                });
            }
        }
        Ok(())
    }
}

/// Only the limit was captured from libtpu; the memory in use is what `Handles` counts.
impl Override<Simulated> for DeviceMemoryStatsArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let real = call.real()?;
        let mut description =
            DeviceGetDescriptionArgs { device: call.args().device, ..Args::new() };
        // SAFETY: PJRT's header requires the caller to pass a device that is not freed yet.
        unsafe { real.call(&mut description) }?;
        let posed = handles().device(real, description.device_description)?;
        match posed.and_then(|(device, _)| device.memory_limit()) {
            None => call.forward()?,
            Some(limit) => call.answer(|args| {
                let bytes_in_use = handles().bytes_in_use();
                let (struct_size, extension_start, device) =
                    (args.struct_size, args.extension_start, args.device);
                *args = Self {
                    struct_size,
                    extension_start,
                    device,
                    bytes_in_use,
                    bytes_limit: limit,
                    bytes_limit_is_set: true,
                    ..Args::new()
                };
            }),
        }
        Ok(())
    }
}

impl Override<Simulated> for BufferIsOnCpuArgs {
    fn serve(call: Incoming<'_, Self>) -> Result<(), Raised> {
        call.answer(|args| args.is_on_cpu = false);
        Ok(())
    }
}
