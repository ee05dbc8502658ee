//! How does a process use a plugin's devices? Through a client, which opens them.

use std::ffi::c_int;
use std::fmt;
use std::sync::Arc;

use super::call::Handle;
use super::error::PjrtError;
use super::plugin::Plugin;
use super::sys;
use super::table::text;
use super::value::{self, PjrtValue};

/// A client of a plugin. Clones share it. It is closed when the last clone and the last object that
/// it made are dropped, unless other code made it ([`Self::borrow`]).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    plugin: Plugin,
    raw: Handle<sys::Client>,
    /// Whether other code made the client, and closes it.
    is_borrowed: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_borrowed {
            return;
        }
        // SAFETY: owned; everything that the client made holds the `Arc` around it, so nothing is
        // left.
        unsafe {
            self.plugin
                .destroy(sys::ClientDestroyArgs { client: self.raw.as_ptr(), ..sys::Args::new() });
        };
    }
}

/// More devices than any machine has. A request for more is a mistake, so no memory is allocated
/// for it.
const MOST_DEVICES: usize = 1 << 20;

impl Client {
    /// Opens the plugin's devices. XLA:CPU takes the option `cpu_device_count` (an integer; without
    /// it, there are 4 devices).
    pub fn create(plugin: &Plugin, options: &[(&str, PjrtValue)]) -> Result<Self, PjrtError> {
        let options = value::to_c(options);
        let mut args = sys::ClientCreateArgs {
            create_options: options.as_ptr(),
            num_options: options.len(),
            ..sys::Args::new()
        };
        // SAFETY: the options outlive the call; no callbacks are given.
        unsafe { plugin.call(&mut args) }?;
        let raw = Handle::new(args.client, <sys::ClientCreateArgs as sys::Call>::FUNCTION)?;
        Ok(Self(Arc::new(Inner { plugin: plugin.clone(), raw, is_borrowed: false })))
    }

    /// A client that other code made and closes.
    ///
    /// # Safety
    ///
    /// `raw` is null or a client of `plugin`, and is not closed before the last clone of the result
    /// and everything that it made are dropped.
    pub unsafe fn borrow(plugin: &Plugin, raw: *mut sys::Client) -> Result<Self, PjrtError> {
        let raw = Handle::new(raw, <sys::ClientCreateArgs as sys::Call>::FUNCTION)?;
        Ok(Self(Arc::new(Inner { plugin: plugin.clone(), raw, is_borrowed: true })))
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

    /// This process's position among the processes of a distributed job; 0 if there is only one.
    pub fn process_index(&self) -> Result<i32, PjrtError> {
        let mut args = sys::ClientProcessIndexArgs { client: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the client is live.
        unsafe { self.plugin().call(&mut args) }?;
        Ok(args.process_index)
    }

    /// The ids of the devices on which a program of `num_replicas` replicas with `num_partitions`
    /// partitions each runs by default: `[num_replicas, num_partitions]`, flattened.
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
