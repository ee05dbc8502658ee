//! Which calls connect a handle of an executable with its entry in the store, and which calls end
//! the connection?

use std::ffi::c_char;

use preheat_pjrt::forward::{Incoming, Override, Raised, Real, bytes};
use preheat_pjrt::sys::{
    Args as _, ClientDestroyArgs, Executable, ExecutableDestroyArgs,
    ExecutableOptimizedProgramArgs, ExecutableSerializeArgs, LoadedExecutable,
    LoadedExecutableDestroyArgs, LoadedExecutableGetExecutableArgs, Program,
};

use crate::caching::{Caching, Table};
use crate::handles::handles;
use crate::kept::OptimizedProgram;
use crate::keys::forget_client;

/// Puts this file's functions into the table.
pub(crate) fn install(table: &mut Table) {
    table.set::<LoadedExecutableGetExecutableArgs>();
    table.set::<LoadedExecutableDestroyArgs>();
    table.set::<ExecutableDestroyArgs>();
    table.set::<ClientDestroyArgs>();
}

impl Override<Caching> for LoadedExecutableGetExecutableArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        call.forward()?;
        handles().alias(call.args().executable, call.args().loaded_executable);
        Ok(())
    }
}

impl Override<Caching> for LoadedExecutableDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        handles().forget(call.args().executable);
        call.forward()
    }
}

impl Override<Caching> for ExecutableDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        handles().forget(call.args().executable);
        call.forward()
    }
}

impl Override<Caching> for ClientDestroyArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        forget_client(call.args().client);
        call.forward()
    }
}

/// A handle of an executable, which is freed when this value is dropped.
pub(crate) struct Described {
    real: &'static Real,
    executable: *mut Executable,
}

#[expect(unsafe_code, reason = "calls the real plugin")]
impl Described {
    /// Gets the handle through which a loaded executable is described.
    pub(crate) fn of(
        real: &'static Real,
        loaded_executable: *mut LoadedExecutable,
    ) -> Result<Self, Raised> {
        let mut args = LoadedExecutableGetExecutableArgs {
            loaded_executable,
            ..LoadedExecutableGetExecutableArgs::new()
        };
        // SAFETY: the real plugin has just made this executable, and the caller gets it only after
        // this call.
        unsafe { real.call(&mut args) }?;
        Ok(Self { real, executable: args.executable })
    }

    /// The executable as bytes.
    pub(crate) fn serialize(&self) -> Result<Vec<u8>, Raised> {
        let mut args = ExecutableSerializeArgs {
            executable: self.executable,
            ..ExecutableSerializeArgs::new()
        };
        // SAFETY: the handle lives as long as `self`.
        unsafe { self.real.call(&mut args) }?;
        // SAFETY: the plugin's bytes live until its deleter is called.
        let copy = unsafe { bytes(args.serialized_bytes, args.serialized_bytes_size) }.to_vec();
        if let Some(delete) = args.serialized_executable_deleter {
            // SAFETY: the plugin's own deleter, called once on its own object.
            unsafe { delete(args.serialized_executable) };
        }
        Ok(copy)
    }

    /// The optimised program. `None` if the plugin does not return it, or returns it in an unknown
    /// format.
    pub(crate) fn optimized_program(&self) -> Option<OptimizedProgram> {
        let mut program = Program::new();
        let mut args = ExecutableOptimizedProgramArgs {
            executable: self.executable,
            program: &raw mut program,
            ..ExecutableOptimizedProgramArgs::new()
        };
        // SAFETY: the handle lives as long as `self`. Without memory for the code, the plugin
        // writes only the size and the format.
        unsafe { self.real.call(&mut args) }.ok()?;
        let mut code = vec![0_u8; program.code_size];
        program.code = code.as_mut_ptr().cast::<c_char>();
        // SAFETY: now there is room for `code_size` bytes.
        unsafe { self.real.call(&mut args) }.ok()?;
        code.truncate(program.code_size);
        // SAFETY: the format's name is constant text of the plugin.
        let format = unsafe { bytes(program.format, program.format_size) };
        OptimizedProgram::new(std::str::from_utf8(format).ok()?, &code)
    }
}

#[expect(unsafe_code, reason = "calls the real plugin")]
impl Drop for Described {
    fn drop(&mut self) {
        let mut args =
            ExecutableDestroyArgs { executable: self.executable, ..ExecutableDestroyArgs::new() };
        // SAFETY: the handle is owned, and this is its last use. If the call fails, the handle
        // stays until the process ends.
        let _ = unsafe { self.real.call(&mut args) };
    }
}
