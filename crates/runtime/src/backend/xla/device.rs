//! How does the runtime use a device of a PJRT plugin?

use std::sync::Arc;

use preheat_cache::{Environment, FrameworkPayload, KeyInputs};
use preheat_pjrt::{Compatibility, ExecutableAbiVersion, ExecuteOptions, HostTransfer};
use preheat_tensor::{Tensor, TensorType};

use super::{XlaBackend, compile};
use crate::backend::contract::{
    Acceptance, Buffer, Compiled, Device, Done, Event, Loaded, MemoryUse, PluginInUse, own,
};
use crate::backend::host_memory::host_memory;
use crate::backend::{CompileError, DeviceFault};
use crate::device::DeviceName;

/// The name of this driver in the error that a buffer of another driver causes.
const DRIVER: &str = "PJRT";

impl Device for XlaBackend {
    fn name(&self) -> DeviceName {
        self.name.into()
    }

    fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    fn compile(&self, inputs: &KeyInputs) -> Result<(Box<dyn Loaded>, Compiled), CompileError> {
        let (executable, compiled) = compile(&self.client, inputs).map_err(DeviceFault::from)?;
        Ok((Box::new(self.executable(executable)), compiled))
    }

    fn load(&self, payload: &[u8]) -> Result<Box<dyn Loaded>, DeviceFault> {
        // A payload that a framework stored through the caching plugin has other parts beside the
        // machine code.
        let parts = FrameworkPayload::split(payload);
        let executable = parts.map_or(payload, |(parts, _)| parts.executable);
        let executable = self.client.deserialize_and_load(executable, None)?;
        Ok(Box::new(self.executable(executable)))
    }

    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        put(&self.client, &self.device, tensor)
    }

    fn free_memory_bytes(&self) -> Option<u64> {
        if self.environment.platform == "cpu" {
            return Some(host_memory()?.available_bytes);
        }
        let stats = self.device.memory_stats().ok().flatten()?;
        u64::try_from(stats.bytes_limit? - stats.bytes_in_use).ok()
    }

    fn total_memory_bytes(&self) -> Option<u64> {
        if self.environment.platform == "cpu" {
            return Some(host_memory()?.total_bytes);
        }
        u64::try_from(self.device.memory_stats().ok().flatten()?.bytes_limit?).ok()
    }

    fn memory_use(&self) -> Option<MemoryUse> {
        let stats = self.device.memory_stats().ok().flatten()?;
        let known = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        Some(MemoryUse {
            in_use: u64::try_from(stats.bytes_in_use).ok()?,
            peak: known(stats.peak_bytes_in_use),
            limit: known(stats.bytes_limit),
            reserved: known(stats.bytes_reserved),
        })
    }

    fn plugin(&self) -> Option<PluginInUse<'_>> {
        Some(PluginInUse { path: self.client.plugin().path(), variables: &self.variables })
    }

    fn tells_what_it_accepts(&self) -> bool {
        self.client.plugin().tells_abi_versions()
    }

    fn accepts(&self, abi_version: &[u8]) -> Result<Option<Acceptance>, DeviceFault> {
        let Some(own) = self.client.abi_version()? else { return Ok(None) };
        let Some(asked) = ExecutableAbiVersion::from_bytes(self.client.plugin(), abi_version)?
        else {
            return Ok(None);
        };
        Ok(Some(match own.takes(&asked)? {
            Compatibility::Compatible => Acceptance::Accepted,
            Compatibility::Incompatible(reason) => Acceptance::Refused(reason),
        }))
    }
}

impl XlaBackend {
    fn executable(&self, executable: preheat_pjrt::LoadedExecutable) -> XlaExecutable {
        let its_device =
            executable.addressable_devices().ok().and_then(|devices| devices.into_iter().next());
        XlaExecutable {
            client: self.client.clone(),
            device: its_device.unwrap_or_else(|| self.device.clone()),
            executable,
        }
    }
}

fn put(
    client: &preheat_pjrt::Client,
    device: &preheat_pjrt::Device,
    tensor: &Tensor,
) -> Result<Box<dyn Buffer>, DeviceFault> {
    let TensorType { dtype, dims } = tensor.kind();
    // The device uses the host's memory in place where it can; the buffer keeps that memory alive.
    let transfer = HostTransfer::ZeroCopy;
    let buffer = client.buffer_from_owner(device, *dtype, dims, tensor.shared(), transfer)?;
    Ok(Box::new(buffer))
}

/// An executable of a plugin.
struct XlaExecutable {
    client: preheat_pjrt::Client,
    /// The device that it runs on. The compile options may have named another device than the
    /// first.
    device: preheat_pjrt::Device,
    executable: preheat_pjrt::LoadedExecutable,
}

impl Loaded for XlaExecutable {
    fn put(&self, tensor: &Tensor) -> Result<Box<dyn Buffer>, DeviceFault> {
        put(&self.client, &self.device, tensor)
    }

    fn run(&self, inputs: &[&dyn Buffer]) -> Result<Vec<Box<dyn Buffer>>, DeviceFault> {
        let inputs =
            inputs.iter().map(|buffer| own(*buffer, DRIVER)).collect::<Result<Vec<_>, _>>()?;
        let outputs = self.executable.execute(&inputs, ExecuteOptions::default())?;
        Ok(outputs.into_iter().map(|buffer| Box::new(buffer) as Box<dyn Buffer>).collect())
    }
}

impl Buffer for preheat_pjrt::Buffer {
    fn kind(&self) -> Result<TensorType, DeviceFault> {
        Ok(preheat_pjrt::Buffer::kind(self)?)
    }

    fn ready(&self) -> Result<Box<dyn Event>, DeviceFault> {
        Ok(Box::new(preheat_pjrt::Buffer::ready(self)?))
    }

    fn read_into(&self, bytes: &mut [u8]) -> Result<(), DeviceFault> {
        Ok(self.to_host_into(bytes)?)
    }
}

impl Event for preheat_pjrt::PjrtEvent {
    fn wait(&self) -> Result<(), DeviceFault> {
        Ok(preheat_pjrt::PjrtEvent::wait(self)?)
    }

    fn on_ready(&self, done: Done) -> Result<(), DeviceFault> {
        Ok(preheat_pjrt::PjrtEvent::on_ready(self, |result| done(result.map_err(Into::into)))?)
    }
}
