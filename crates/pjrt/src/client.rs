//! How does a process use a plugin's devices? Through a client, which opens them.

use std::ffi::{c_char, c_int};
use std::fmt;
use std::sync::Arc;

use super::call::{Handle, list, text};
use super::device::Device;
use super::error::PjrtError;
use super::loaded::LoadedExecutable;
use super::options;
use super::plugin::Plugin;
use super::program::Program;
use super::sys;
use super::topology::Topology;
use super::value::{self, Value};

/// A client of a plugin. Clones share it. It is closed when the last clone and the last object that
/// it made are dropped.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    plugin: Plugin,
    raw: Handle<sys::Client>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: owned; everything that the client made holds the `Arc` around it, so nothing is
        // left.
        unsafe {
            self.plugin
                .destroy(sys::ClientDestroyArgs { client: self.raw.as_ptr(), ..sys::Args::new() });
        };
    }
}

/// More devices than any machine has. A request for more is a mistake, and not worth its memory.
const MOST_DEVICES: usize = 1 << 20;

impl Client {
    /// Opens the plugin's devices. XLA:CPU takes the option `cpu_device_count` (an integer; without
    /// it, there are 4 devices).
    pub fn create(plugin: &Plugin, options: &[(&str, Value)]) -> Result<Self, PjrtError> {
        let options = value::to_c(options);
        let mut args = sys::ClientCreateArgs {
            create_options: options.as_ptr(),
            num_options: options.len(),
            ..sys::Args::new()
        };
        // SAFETY: the options outlive the call; no callbacks are given.
        unsafe { plugin.call(&mut args) }?;
        let raw = Handle::new(args.client, <sys::ClientCreateArgs as sys::Call>::FUNCTION)?;
        Ok(Self(Arc::new(Inner { plugin: plugin.clone(), raw })))
    }

    /// The plugin that it belongs to.
    pub fn plugin(&self) -> &Plugin {
        &self.0.plugin
    }

    pub(super) fn as_ptr(&self) -> *mut sys::Client {
        self.0.raw.as_ptr()
    }

    /// Whether both are the same client.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The platform's name, such as `cpu`, `tpu` or `cuda`.
    pub fn platform_name(&self) -> Result<String, PjrtError> {
        let mut args = sys::ClientPlatformNameArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live; the answer lives as long as it.
        unsafe {
            self.plugin().call(&mut args)?;
            Ok(text(args.platform_name, args.platform_name_size))
        }
    }

    /// The build of the platform: two lines on TPU, only `cpu` on XLA:CPU.
    pub fn platform_version(&self) -> Result<String, PjrtError> {
        let mut args = sys::ClientPlatformVersionArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live; the answer lives as long as it.
        unsafe {
            self.plugin().call(&mut args)?;
            Ok(text(args.platform_version, args.platform_version_size))
        }
    }

    /// This process's position among the processes of a distributed job; 0 where there is only one.
    pub fn process_index(&self) -> Result<i32, PjrtError> {
        let mut args = sys::ClientProcessIndexArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live.
        unsafe { self.plugin().call(&mut args) }?;
        Ok(args.process_index)
    }

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

    /// The topology that the client runs on.
    pub fn topology(&self) -> Result<Topology, PjrtError> {
        let mut args =
            sys::ClientTopologyDescriptionArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live.
        unsafe { self.plugin().call(&mut args) }?;
        Topology::of_client(self, args.topology)
    }

    /// Compiles `program` and loads it. `options` come from [`options::encode`].
    pub fn compile(
        &self,
        program: Program<'_>,
        options: &[u8],
    ) -> Result<LoadedExecutable, PjrtError> {
        options::check(options)?;
        let program = program.to_c();
        let mut args = sys::ClientCompileArgs {
            client: self.as_ptr(),
            program: program.as_ptr(),
            compile_options: options.as_ptr().cast::<c_char>(),
            compile_options_size: options.len(),
            ..sys::Args::new()
        };
        // SAFETY: the client is live; program and options outlive the call.
        unsafe { self.plugin().call(&mut args) }?;
        // SAFETY: this client made it, and nobody else owns it.
        unsafe {
            LoadedExecutable::own(
                self,
                args.executable,
                <sys::ClientCompileArgs as sys::Call>::FUNCTION,
            )
        }
    }

    /// Loads the bytes of [`Executable::serialize`](super::Executable::serialize), on the devices
    /// that it was compiled for, or on those that `options` (from [`options::encode`]) name.
    ///
    /// Verify the bytes first: a plugin may do anything with bytes that it did not write.
    pub fn deserialize_and_load(
        &self,
        bytes: &[u8],
        options: Option<&[u8]>,
    ) -> Result<LoadedExecutable, PjrtError> {
        options.map_or(Ok(()), options::check)?;
        let mut args = sys::ExecutableDeserializeAndLoadArgs {
            client: self.as_ptr(),
            serialized_executable: bytes.as_ptr().cast::<c_char>(),
            serialized_executable_size: bytes.len(),
            overridden_serialized_compile_options: options
                .map_or(std::ptr::null(), |o| o.as_ptr().cast::<c_char>()),
            overridden_serialized_compile_options_size: options.map_or(0, <[u8]>::len),
            ..sys::Args::new()
        };
        // SAFETY: the client is live; bytes and options outlive the call.
        unsafe { self.plugin().call(&mut args) }?;
        let function = <sys::ExecutableDeserializeAndLoadArgs as sys::Call>::FUNCTION;
        // SAFETY: this client made it, and nobody else owns it.
        unsafe { LoadedExecutable::own(self, args.loaded_executable, function) }
    }

    /// The ids of the devices on which a program over `replicas` and `partitions` runs by default:
    /// `[replicas, partitions]`, flattened.
    pub fn default_device_assignment(
        &self,
        num_replicas: u32,
        num_partitions: u32,
    ) -> Result<Vec<i32>, PjrtError> {
        let too_large =
            |count: u64| PjrtError::BadOptions { what: format!("{count} is too large a count") };
        let in_c = |count: u32| c_int::try_from(count).map_err(|_| too_large(count.into()));
        let count = u64::from(num_replicas) * u64::from(num_partitions);
        let size = usize::try_from(count)
            .ok()
            .filter(|&size| size <= MOST_DEVICES)
            .ok_or_else(|| too_large(count))?;
        let mut assignment: Vec<c_int> = vec![0; size];
        let mut args = sys::ClientDefaultDeviceAssignmentArgs {
            client: self.as_ptr(),
            num_replicas: in_c(num_replicas)?,
            num_partitions: in_c(num_partitions)?,
            default_assignment_size: size,
            default_assignment: assignment.as_mut_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the client is live; the plugin writes at most `size` numbers.
        unsafe { self.plugin().call(&mut args) }?;
        Ok(assignment)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("plugin", self.plugin()).finish_non_exhaustive()
    }
}
