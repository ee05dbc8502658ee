//! How is an executable run? A loaded executable is one that can run on its devices.

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use super::buffer::Buffer;
use super::call::Handle;
use super::client::Client;
use super::device::Device;
use super::error::PjrtError;
use super::executable::PjrtExecutable;
use super::options;
use super::program::PjrtProgram;
use super::sys::{self, Args as _};
use super::table::list;

/// Up to this many arguments or results, the pointers that an execution needs are kept on the
/// stack.
const INLINE: usize = 32;

/// A program on the devices it was compiled or loaded for.
pub struct LoadedExecutable {
    client: Client,
    raw: Handle<sys::LoadedExecutable>,
    executable: PjrtExecutable,
    num_outputs: usize,
    num_devices: usize,
}

/// The options of one execution.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecuteOptions<'a> {
    /// Indices of arguments that must survive although the program is compiled to take them over
    /// for its results.
    pub keep: &'a [i64],
    /// Identifies the launch if several executables run together; 0 if they do not.
    pub launch_id: i32,
}

impl Client {
    /// Compiles `program` and loads it. `options` come from [`options::encode`].
    pub fn compile(
        &self,
        program: PjrtProgram<'_>,
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

    /// Loads the bytes of [`PjrtExecutable::serialize`](super::PjrtExecutable::serialize), on the
    /// devices that the executable was compiled for, or on those that `options` (from
    /// [`options::encode`]) name.
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
}

impl LoadedExecutable {
    /// Takes over an executable that `function` returned.
    ///
    /// # Safety
    ///
    /// `raw` is null or a loaded executable of `client` that the caller owns.
    pub(super) unsafe fn own(
        client: &Client,
        raw: *mut sys::LoadedExecutable,
        function: &'static str,
    ) -> Result<Self, PjrtError> {
        let raw = Unasked { client, raw: Handle::new(raw, function)? };
        // SAFETY: the caller vouches that it is live.
        let executable = unsafe { executable_of(client, raw.raw) }?;
        let num_outputs = executable.num_outputs()?;
        // SAFETY: as above.
        let num_devices = unsafe { devices_of(client, raw.raw) }?.len();
        Ok(Self { client: client.clone(), raw: raw.keep(), executable, num_outputs, num_devices })
    }

    fn as_ptr(&self) -> *mut sys::LoadedExecutable {
        self.raw.as_ptr()
    }

    /// The client that it is loaded in.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The executable, to be described and serialised.
    pub fn executable(&self) -> &PjrtExecutable {
        &self.executable
    }

    /// How many buffers an execution returns.
    pub fn num_outputs(&self) -> usize {
        self.num_outputs
    }

    /// The devices of this process that it runs on.
    pub fn addressable_devices(&self) -> Result<Vec<Device>, PjrtError> {
        // SAFETY: the executable is live: it is destroyed on drop only.
        let devices = unsafe { devices_of(&self.client, self.raw) }?;
        // SAFETY: the devices belong to this client.
        devices.iter().map(|&raw| unsafe { Device::of(&self.client, raw) }).collect()
    }

    /// Runs the program on its one device, and returns the results in the program's order.
    ///
    /// It returns before the work is finished: [`Buffer::ready`] and [`Buffer::to_host`] wait, and
    /// return an error if the work failed. Arguments that the program takes over (donation) count
    /// as deleted at once. Wrong arguments are an error of the plugin.
    pub fn execute(
        &self,
        arguments: &[&Buffer],
        options: ExecuteOptions<'_>,
    ) -> Result<Vec<Buffer>, PjrtError> {
        if self.num_devices != 1 {
            return Err(PjrtError::SeveralDevices { devices: self.num_devices });
        }
        let (mut inline_inputs, mut many_inputs) = ([null_mut(); INLINE], Vec::new());
        let inputs = pointers(&mut inline_inputs, &mut many_inputs, arguments.len());
        for (index, (argument, slot)) in arguments.iter().zip(inputs.iter_mut()).enumerate() {
            if !argument.client().is(&self.client) {
                return Err(PjrtError::ForeignHandle { what: format!("argument {index}") });
            }
            *slot = argument.as_ptr();
        }
        let (mut inline_outputs, mut many_outputs) = ([null_mut(); INLINE], Vec::new());
        let outputs = pointers(&mut inline_outputs, &mut many_outputs, self.num_outputs);

        let mut c_options = sys::ExecuteOptions {
            launch_id: options.launch_id,
            non_donatable_input_indices: if options.keep.is_empty() {
                null()
            } else {
                options.keep.as_ptr()
            },
            num_non_donatable_input_indices: options.keep.len(),
            ..sys::ExecuteOptions::new()
        };
        let argument_lists = [inputs.as_ptr()];
        let output_lists = [outputs.as_mut_ptr()];
        let mut args = sys::LoadedExecutableExecuteArgs {
            executable: self.as_ptr(),
            options: &raw mut c_options,
            argument_lists: argument_lists.as_ptr(),
            num_devices: 1,
            num_args: arguments.len(),
            output_lists: output_lists.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: executable and arguments are live and of one client. There is one list of each
        // kind for the one device: the inputs with `num_args` buffers, and the outputs with room
        // for what the executable returns. All of it outlives the call.
        unsafe { self.client.plugin().call(&mut args) }?;
        let mut results = Vec::with_capacity(outputs.len());
        let mut missing = false;
        for &mut raw in outputs {
            // SAFETY: the result was just made in this client, and nobody else owns it.
            match unsafe { Buffer::own(&self.client, raw, "PJRT_LoadedExecutable_Execute") } {
                Ok(buffer) => results.push(buffer),
                Err(_) => missing = true,
            }
        }
        if missing {
            let what = format!("{} of {} results", results.len(), self.num_outputs);
            return Err(PjrtError::BadAnswer { function: "PJRT_LoadedExecutable_Execute", what });
        }
        Ok(results)
    }

    /// Removes the program from the device, even though handles to it still exist: they can no
    /// longer be executed.
    pub fn delete(&self) -> Result<(), PjrtError> {
        let mut args =
            sys::LoadedExecutableDeleteArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }
    }

    /// Whether [`Self::delete`] was called.
    pub fn is_deleted(&self) -> Result<bool, PjrtError> {
        let mut args =
            sys::LoadedExecutableIsDeletedArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.is_deleted)
    }
}

impl Drop for LoadedExecutable {
    fn drop(&mut self) {
        // SAFETY: owned, and this is its last use.
        unsafe { destroy(&self.client, self.raw) };
    }
}

/// `count` null pointers, on the stack if they fit there.
fn pointers<'a>(
    inline: &'a mut [*mut sys::Buffer; INLINE],
    many: &'a mut Vec<*mut sys::Buffer>,
    count: usize,
) -> &'a mut [*mut sys::Buffer] {
    if let Some(enough) = inline.get_mut(..count) {
        return enough;
    }
    many.resize(count, null_mut());
    many
}

/// A loaded executable that is destroyed if the first calls that describe it fail.
struct Unasked<'a> {
    client: &'a Client,
    raw: Handle<sys::LoadedExecutable>,
}

impl Unasked<'_> {
    fn keep(self) -> Handle<sys::LoadedExecutable> {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }
}

impl Drop for Unasked<'_> {
    fn drop(&mut self) {
        // SAFETY: owned, and this is its last use: `keep` forgets it.
        unsafe { destroy(self.client, self.raw) };
    }
}

/// # Safety
///
/// `raw` is owned by the caller and not used again.
unsafe fn destroy(client: &Client, raw: Handle<sys::LoadedExecutable>) {
    let args = sys::LoadedExecutableDestroyArgs { executable: raw.as_ptr(), ..sys::Args::new() };
    // SAFETY: the caller vouches for it.
    unsafe { client.plugin().destroy(args) };
}

/// # Safety
///
/// `raw` is a live executable of `client`.
unsafe fn executable_of(
    client: &Client,
    raw: Handle<sys::LoadedExecutable>,
) -> Result<PjrtExecutable, PjrtError> {
    let mut args = sys::LoadedExecutableGetExecutableArgs {
        loaded_executable: raw.as_ptr(),
        ..sys::Args::new()
    };
    let function = <sys::LoadedExecutableGetExecutableArgs as sys::Call>::FUNCTION;
    // SAFETY: the caller vouches for it; the result is owned here.
    unsafe {
        client.plugin().call(&mut args)?;
        PjrtExecutable::own(client.plugin(), Some(client), args.executable, function)
    }
}

/// The devices of this process that an executable runs on; they live as long as the client.
///
/// # Safety
///
/// `raw` is a live executable of `client`, and outlives the result.
unsafe fn devices_of(
    client: &Client,
    raw: Handle<sys::LoadedExecutable>,
) -> Result<&[*mut sys::Device], PjrtError> {
    let mut args = sys::LoadedExecutableAddressableDevicesArgs {
        executable: raw.as_ptr(),
        ..sys::Args::new()
    };
    // SAFETY: the caller vouches for it.
    unsafe {
        client.plugin().call(&mut args)?;
        Ok(list(args.addressable_devices, args.num_addressable_devices))
    }
}
