//! Which devices does a client have, and what does each report about itself?

use std::collections::BTreeMap;
use std::fmt;

use super::call::Handle;
use super::client::Client;
use super::error::{PjrtError, optional};
use super::plugin::Plugin;
use super::sys;
use super::table::{list, text};
use super::value::{self, PjrtValue};

/// A device of a client.
#[derive(Clone)]
pub struct Device {
    client: Client,
    raw: Handle<sys::Device>,
    description: Handle<sys::DeviceDescription>,
    id: i32,
}

/// A device's description of itself. A topology also has descriptions of devices that this machine
/// does not have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeviceDescription {
    /// Unique over all devices of the platform.
    pub id: i32,
    /// The process that can use the device.
    pub process_index: i32,
    /// The vendor's name for this kind of device, such as `TPU v5 lite`.
    pub kind: String,
    /// A detailed text for logs.
    pub debug_string: String,
    /// Further properties that the platform reports, such as `coords`.
    pub attributes: BTreeMap<String, PjrtValue>,
}

/// The use of a device's memory, in bytes. `None` means that the plugin does not report a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes in use now.
    pub bytes_in_use: i64,
    /// The most bytes that were ever in use.
    pub peak_bytes_in_use: Option<i64>,
    /// All bytes that can be used.
    pub bytes_limit: Option<i64>,
    /// Bytes reserved, whether used or not.
    pub bytes_reserved: Option<i64>,
    /// The largest allocation so far.
    pub largest_alloc_size: Option<i64>,
    /// The largest allocation that would succeed now.
    pub largest_free_block_bytes: Option<i64>,
}

impl Client {
    /// Every device of the job, including those of other processes.
    pub fn devices(&self) -> Result<Vec<Device>, PjrtError> {
        let mut args = sys::ClientDevicesArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live; the list and its devices live as long as it.
        let devices = unsafe {
            self.plugin().call(&mut args)?;
            list(args.devices, args.num_devices)
        };
        // SAFETY: the devices belong to this client.
        devices.iter().map(|&raw| unsafe { Device::of(self, raw) }).collect()
    }

    /// The devices that this process can use.
    pub fn addressable_devices(&self) -> Result<Vec<Device>, PjrtError> {
        let mut args =
            sys::ClientAddressableDevicesArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live; the list and its devices live as long as it.
        let devices = unsafe {
            self.plugin().call(&mut args)?;
            list(args.addressable_devices, args.num_addressable_devices)
        };
        // SAFETY: the devices belong to this client.
        devices.iter().map(|&raw| unsafe { Device::of(self, raw) }).collect()
    }
}

impl Device {
    /// # Safety
    ///
    /// `raw` is null or a device of `client`.
    pub(super) unsafe fn of(client: &Client, raw: *mut sys::Device) -> Result<Self, PjrtError> {
        let mut args = sys::DeviceGetDescriptionArgs { device: raw, ..sys::Args::new() };
        let function = <sys::DeviceGetDescriptionArgs as sys::Call>::FUNCTION;
        let raw = Handle::new(raw, "PJRT_Client_Devices")?;
        // SAFETY: the device belongs to the client and lives as long as it.
        unsafe { client.plugin().call(&mut args) }?;
        let description = Handle::new(args.device_description, function)?;
        // SAFETY: the description lives as long as the device.
        let id = unsafe { id(client.plugin(), description) }?;
        Ok(Self { client: client.clone(), raw, description, id })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::Device {
        self.raw.as_ptr()
    }

    /// The client that it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Unique over all devices of the platform.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The vendor's name for this kind of device, such as `TPU v5 lite`.
    pub fn kind(&self) -> Result<String, PjrtError> {
        // SAFETY: the description lives as long as the client, which this device holds.
        unsafe { kind(self.client.plugin(), self.description) }
    }

    /// The device's whole description of itself.
    pub fn description(&self) -> Result<DeviceDescription, PjrtError> {
        // SAFETY: the description lives as long as the client, which this device holds.
        unsafe { DeviceDescription::read(self.client.plugin(), self.description) }
    }

    /// Whether this process can use it.
    pub fn is_addressable(&self) -> Result<bool, PjrtError> {
        let mut args = sys::DeviceIsAddressableArgs { device: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the device lives as long as the client, which it holds.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.is_addressable)
    }

    /// The number of the device on this machine, as the vendor's tools count; -1 if that has no
    /// meaning.
    pub fn local_hardware_id(&self) -> Result<i32, PjrtError> {
        let mut args = sys::DeviceLocalHardwareIdArgs { device: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the device lives as long as the client, which it holds.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.local_hardware_id)
    }

    /// How the device's memory is used; `None` if the plugin does not report it (XLA:CPU).
    pub fn memory_stats(&self) -> Result<Option<MemoryStats>, PjrtError> {
        let mut args = sys::DeviceMemoryStatsArgs { device: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the device lives as long as the client, which it holds.
        let answer = optional(unsafe { self.client.plugin().call(&mut args) })?;
        let known = |value: i64, is_set: bool| is_set.then_some(value);
        Ok(answer.map(|()| MemoryStats {
            bytes_in_use: args.bytes_in_use,
            peak_bytes_in_use: known(args.peak_bytes_in_use, args.peak_bytes_in_use_is_set),
            bytes_limit: known(args.bytes_limit, args.bytes_limit_is_set),
            bytes_reserved: known(args.bytes_reserved, args.bytes_reserved_is_set),
            largest_alloc_size: known(args.largest_alloc_size, args.largest_alloc_size_is_set),
            largest_free_block_bytes: known(
                args.largest_free_block_bytes,
                args.largest_free_block_bytes_is_set,
            ),
        }))
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("id", &self.id).finish_non_exhaustive()
    }
}

impl DeviceDescription {
    /// # Safety
    ///
    /// `raw` is a live description of `plugin`.
    pub(super) unsafe fn read(
        plugin: &Plugin,
        raw: Handle<sys::DeviceDescription>,
    ) -> Result<Self, PjrtError> {
        let device_description = raw.as_ptr();
        let mut process =
            sys::DeviceDescriptionProcessIndexArgs { device_description, ..sys::Args::new() };
        let mut debug =
            sys::DeviceDescriptionDebugStringArgs { device_description, ..sys::Args::new() };
        let mut attributes =
            sys::DeviceDescriptionAttributesArgs { device_description, ..sys::Args::new() };
        // SAFETY: the description is live, and what it returns lives as long as it.
        unsafe {
            plugin.call(&mut process)?;
            plugin.call(&mut debug)?;
            plugin.call(&mut attributes)?;
            Ok(Self {
                id: id(plugin, raw)?,
                process_index: process.process_index,
                kind: kind(plugin, raw)?,
                debug_string: text(debug.debug_string, debug.debug_string_size),
                attributes: value::read_all(attributes.attributes, attributes.num_attributes),
            })
        }
    }
}

/// # Safety
///
/// `raw` is a live description of `plugin`.
unsafe fn id(plugin: &Plugin, raw: Handle<sys::DeviceDescription>) -> Result<i32, PjrtError> {
    let mut args =
        sys::DeviceDescriptionIdArgs { device_description: raw.as_ptr(), ..sys::Args::new() };
    // SAFETY: the caller vouches for the description.
    unsafe { plugin.call(&mut args) }?;
    Ok(args.id)
}

/// # Safety
///
/// `raw` is a live description of `plugin`.
unsafe fn kind(plugin: &Plugin, raw: Handle<sys::DeviceDescription>) -> Result<String, PjrtError> {
    let mut args =
        sys::DeviceDescriptionKindArgs { device_description: raw.as_ptr(), ..sys::Args::new() };
    // SAFETY: the caller vouches for the description; the text lives as long as it.
    unsafe {
        plugin.call(&mut args)?;
        Ok(text(args.device_kind, args.device_kind_size))
    }
}
