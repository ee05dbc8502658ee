//! How are devices connected, and how is a program compiled for devices that this machine does not
//! have?

use std::collections::BTreeMap;
use std::ffi::c_char;

use super::call::Handle;
use super::client::Client;
use super::device::DeviceDescription;
use super::error::PjrtError;
use super::executable::PjrtExecutable;
use super::options;
use super::plugin::Plugin;
use super::program::PjrtProgram;
use super::sys;
use super::table::{bytes, list, text};
use super::value::{self, PjrtValue};

/// A topology, which is made by name or belongs to a client.
pub struct PjrtTopology {
    plugin: Plugin,
    raw: Handle<sys::TopologyDescription>,
    /// The client that owns it; `None` if it is owned here.
    client: Option<Client>,
}

impl Client {
    /// The topology that the client runs on.
    pub fn topology(&self) -> Result<PjrtTopology, PjrtError> {
        let mut args =
            sys::ClientTopologyDescriptionArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live.
        unsafe { self.plugin().call(&mut args) }?;
        PjrtTopology::of_client(self, args.topology)
    }
}

impl PjrtTopology {
    /// A topology by its name, such as `v5e:1x1`. Each plugin defines its names; XLA:CPU offers
    /// none.
    pub fn create(
        plugin: &Plugin,
        name: &str,
        options: &[(&str, PjrtValue)],
    ) -> Result<Self, PjrtError> {
        if name.is_empty() {
            return Err(PjrtError::EmptyTopologyName);
        }
        let options = value::to_c(options);
        let mut args = sys::TopologyDescriptionCreateArgs {
            topology_name: name.as_ptr().cast::<c_char>(),
            topology_name_size: name.len(),
            create_options: options.as_ptr(),
            num_options: options.len(),
            ..sys::Args::new()
        };
        // SAFETY: name and options outlive the call.
        unsafe { plugin.call(&mut args) }?;
        let raw = Handle::new(
            args.topology,
            <sys::TopologyDescriptionCreateArgs as sys::Call>::FUNCTION,
        )?;
        Ok(Self { plugin: plugin.clone(), raw, client: None })
    }

    /// Wraps the topology that `client` returned as its own.
    pub(super) fn of_client(
        client: &Client,
        raw: *mut sys::TopologyDescription,
    ) -> Result<Self, PjrtError> {
        let raw = Handle::new(raw, <sys::ClientTopologyDescriptionArgs as sys::Call>::FUNCTION)?;
        Ok(Self { plugin: client.plugin().clone(), raw, client: Some(client.clone()) })
    }

    /// The plugin that it belongs to.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    fn as_ptr(&self) -> *mut sys::TopologyDescription {
        self.raw.as_ptr()
    }

    /// The platform's name, such as `cpu` or `tpu`.
    pub fn platform_name(&self) -> Result<String, PjrtError> {
        let mut args = sys::TopologyDescriptionPlatformNameArgs {
            topology: self.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the topology is live; the answer lives as long as it.
        unsafe {
            self.plugin.call(&mut args)?;
            Ok(text(args.platform_name, args.platform_name_size))
        }
    }

    /// The build of the platform.
    pub fn platform_version(&self) -> Result<String, PjrtError> {
        let mut args = sys::TopologyDescriptionPlatformVersionArgs {
            topology: self.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the topology is live; the answer lives as long as it.
        unsafe {
            self.plugin.call(&mut args)?;
            Ok(text(args.platform_version, args.platform_version_size))
        }
    }

    /// Every device of the topology.
    pub fn device_descriptions(&self) -> Result<Vec<DeviceDescription>, PjrtError> {
        let mut args = sys::TopologyDescriptionGetDeviceDescriptionsArgs {
            topology: self.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the topology is live; the list and its descriptions live as long as it.
        let descriptions = unsafe {
            self.plugin.call(&mut args)?;
            list(args.descriptions, args.num_descriptions)
        };
        let function = <sys::TopologyDescriptionGetDeviceDescriptionsArgs as sys::Call>::FUNCTION;
        descriptions
            .iter()
            // SAFETY: the description belongs to this topology.
            .map(|&raw| unsafe {
                DeviceDescription::read(&self.plugin, Handle::new(raw, function)?)
            })
            .collect()
    }

    /// Further properties that the platform reports.
    pub fn attributes(&self) -> Result<BTreeMap<String, PjrtValue>, PjrtError> {
        let mut args =
            sys::TopologyDescriptionAttributesArgs { topology: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the topology is live; the attributes live as long as it.
        unsafe {
            self.plugin.call(&mut args)?;
            Ok(value::read_all(args.attributes, args.num_attributes))
        }
    }

    /// The topology as bytes, in the plugin's own form. They are equal in all processes; on XLA:CPU
    /// they list the host's features.
    pub fn serialize(&self) -> Result<Vec<u8>, PjrtError> {
        let mut args =
            sys::TopologyDescriptionSerializeArgs { topology: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the topology is live; the bytes live until the deleter is called on the object
        // behind them.
        unsafe {
            self.plugin.call(&mut args)?;
            let copy = bytes(args.serialized_bytes, args.serialized_bytes_size);
            if let Some(delete) = args.serialized_topology_deleter {
                delete(args.serialized_topology);
            }
            Ok(copy)
        }
    }
}

impl Drop for PjrtTopology {
    fn drop(&mut self) {
        if self.client.is_none() {
            // SAFETY: `create` made it, so it is owned here, and this is its last use.
            unsafe {
                self.plugin.destroy(sys::TopologyDescriptionDestroyArgs {
                    topology: self.as_ptr(),
                    ..sys::Args::new()
                });
            }
        }
    }
}

/// Compiles `program` for `topology`, even if this machine does not have its devices. `options`
/// come from [`options::encode`].
///
/// With a `client`, the plugin can examine real devices; the client must be of the topology's
/// plugin.
pub fn compile_ahead(
    topology: &PjrtTopology,
    program: PjrtProgram<'_>,
    options: &[u8],
    client: Option<&Client>,
) -> Result<PjrtExecutable, PjrtError> {
    options::check(options)?;
    let plugin = topology.plugin();
    if client.is_some_and(|client| client.plugin().path() != plugin.path()) {
        return Err(PjrtError::ForeignHandle { what: "the client".into() });
    }
    let program = program.to_c();
    let mut args = sys::CompileArgs {
        topology: topology.as_ptr(),
        program: program.as_ptr(),
        compile_options: options.as_ptr().cast::<c_char>(),
        compile_options_size: options.len(),
        client: client.map_or(std::ptr::null_mut(), Client::as_ptr),
        ..sys::Args::new()
    };
    // SAFETY: topology and client are live and of one plugin; program and options outlive the call.
    unsafe { plugin.call(&mut args) }?;
    // SAFETY: it was just made, and nobody else owns it.
    unsafe {
        PjrtExecutable::own(
            plugin,
            client,
            args.executable,
            <sys::CompileArgs as sys::Call>::FUNCTION,
        )
    }
}
