//! What does a compiled program report about itself, and how is it serialised? Executables are
//! described and serialised here; `loaded.rs` runs them.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ops::Deref;

use preheat_tensor::TensorType;

use super::buffer::dims_of;
use super::buffer_type;
use super::call::Handle;
use super::client::Client;
use super::error::{PjrtError, optional};
use super::hlo::{self, OptimizedProgram, ProgramShape};
use super::plugin::Plugin;
use super::sys::{self, Args as _};
use super::table::{bytes, list, text};
use super::value::{self, PjrtValue};

/// A compiled program that can be described and serialised, but not run.
pub struct PjrtExecutable {
    plugin: Plugin,
    raw: Handle<sys::Executable>,
    /// The client that it came from, if any; the client must outlive it.
    _client: Option<Client>,
}

/// How much of a device's memory an execution takes, in bytes. A figure that the plugin does not
/// know is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompiledMemoryStats {
    /// The machine code.
    pub generated_code_bytes: i64,
    /// The arguments.
    pub argument_bytes: i64,
    /// The results.
    pub output_bytes: i64,
    /// The part of the results that lies in donated arguments.
    pub alias_bytes: i64,
    /// Memory for intermediate results.
    pub temporary_bytes: i64,
    /// The most memory in use at any time.
    pub peak_bytes: i64,
}

impl PjrtExecutable {
    /// Takes over an executable that `function` returned.
    ///
    /// # Safety
    ///
    /// `raw` is null or an executable of `plugin`, and of `client` if there is one, that the caller
    /// owns.
    pub(super) unsafe fn own(
        plugin: &Plugin,
        client: Option<&Client>,
        raw: *mut sys::Executable,
        function: &'static str,
    ) -> Result<Self, PjrtError> {
        Ok(Self {
            plugin: plugin.clone(),
            raw: Handle::new(raw, function)?,
            _client: client.cloned(),
        })
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub(super) fn as_ptr(&self) -> *mut sys::Executable {
        self.raw.as_ptr()
    }

    /// The program's name, which is its module's name.
    pub fn name(&self) -> Result<String, PjrtError> {
        let mut args = sys::ExecutableNameArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live; the name lives as long as it.
        unsafe {
            self.plugin.call(&mut args)?;
            Ok(text(args.executable_name, args.executable_name_size))
        }
    }

    /// How many replicas it runs as.
    pub fn num_replicas(&self) -> Result<usize, PjrtError> {
        let mut args =
            sys::ExecutableNumReplicasArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live.
        unsafe { self.plugin.call(&mut args) }?;
        Ok(args.num_replicas)
    }

    /// How many partitions each replica is divided into.
    pub fn num_partitions(&self) -> Result<usize, PjrtError> {
        let mut args =
            sys::ExecutableNumPartitionsArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live.
        unsafe { self.plugin.call(&mut args) }?;
        Ok(args.num_partitions)
    }

    /// How many buffers an execution returns on each device.
    pub fn num_outputs(&self) -> Result<usize, PjrtError> {
        let mut args =
            sys::ExecutableNumOutputsArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live.
        unsafe { self.plugin.call(&mut args) }?;
        Ok(args.num_outputs)
    }

    /// Bytes of machine code; XLA:CPU returns 0.
    pub fn generated_code_bytes(&self) -> Result<i64, PjrtError> {
        let mut args = sys::ExecutableSizeOfGeneratedCodeInBytesArgs {
            executable: self.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the executable is live.
        unsafe { self.plugin.call(&mut args) }?;
        Ok(args.size_in_bytes)
    }

    /// Type and dimensions of each output, in order.
    pub fn outputs(&self) -> Result<Vec<TensorType>, PjrtError> {
        let mut types =
            sys::ExecutableOutputElementTypesArgs { executable: self.as_ptr(), ..sys::Args::new() };
        let mut shapes =
            sys::ExecutableOutputDimensionsArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live; both results live as long as it, and there are as many
        // dimensions as the sum of the ranks.
        let (types, ranks, mut dimensions) = unsafe {
            self.plugin.call(&mut types)?;
            self.plugin.call(&mut shapes)?;
            let ranks = list(shapes.dim_sizes, shapes.num_outputs);
            (
                list(types.output_types, types.num_output_types),
                ranks,
                list(shapes.dims, ranks.iter().sum()),
            )
        };
        let bad =
            |what| PjrtError::BadAnswer { function: "PJRT_Executable_OutputElementTypes", what };
        if types.len() != ranks.len() {
            return Err(bad(format!("{} types for {} shapes", types.len(), ranks.len())));
        }
        let output = |(&raw, &rank): (&sys::BufferType, &usize)| {
            let dtype =
                buffer_type::from_raw(raw).ok_or_else(|| bad(format!("element type {}", raw.0)))?;
            let (shape, rest) = dimensions.split_at(rank);
            dimensions = rest;
            let function = <sys::ExecutableOutputDimensionsArgs as sys::Call>::FUNCTION;
            Ok(TensorType::new(dtype, dims_of(function, shape)?))
        };
        types.iter().zip(ranks).map(output).collect()
    }

    /// The executable in the plugin's own form. Two serialisations of one executable may differ.
    pub fn serialize(&self) -> Result<SerializedExecutable, PjrtError> {
        let mut args =
            sys::ExecutableSerializeArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live.
        unsafe { self.plugin.call(&mut args) }?;
        Ok(SerializedExecutable { args, _plugin: self.plugin.clone() })
    }

    /// The plugin's digest of the executable; `None` if it makes none.
    pub fn fingerprint(&self) -> Result<Option<Vec<u8>>, PjrtError> {
        let mut args =
            sys::ExecutableFingerprintArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live; the answer lives as long as it.
        let answer = optional(unsafe { self.plugin.call(&mut args) })?;
        // SAFETY: as above.
        Ok(answer.map(|()| unsafe {
            bytes(args.executable_fingerprint, args.executable_fingerprint_size)
        }))
    }

    /// The compiler's estimates, such as `flops` and `bytes accessed`; `None` if it makes none.
    pub fn cost_analysis(&self) -> Result<Option<BTreeMap<String, PjrtValue>>, PjrtError> {
        let mut args =
            sys::ExecutableGetCostAnalysisArgs { executable: self.as_ptr(), ..sys::Args::new() };
        // SAFETY: the executable is live; the answer lives as long as it.
        let answer = optional(unsafe { self.plugin.call(&mut args) })?;
        // SAFETY: as above.
        Ok(answer.map(|()| unsafe { value::read_all(args.properties, args.num_properties) }))
    }

    /// How much of a device's memory an execution takes; `None` if the plugin does not report
    /// it.
    pub fn compiled_memory_stats(&self) -> Result<Option<CompiledMemoryStats>, PjrtError> {
        let mut args = sys::ExecutableGetCompiledMemoryStatsArgs {
            executable: self.as_ptr(),
            ..sys::Args::new()
        };
        // SAFETY: the executable is live.
        let answer = optional(unsafe { self.plugin.call(&mut args) })?;
        Ok(answer.map(|()| CompiledMemoryStats {
            generated_code_bytes: args.generated_code_size_in_bytes,
            argument_bytes: args.argument_size_in_bytes,
            output_bytes: args.output_size_in_bytes,
            alias_bytes: args.alias_size_in_bytes,
            temporary_bytes: args.temp_size_in_bytes,
            peak_bytes: args.peak_memory_in_bytes,
        }))
    }

    /// The program as the compiler optimised it.
    pub fn optimized_program(&self) -> Result<OptimizedProgram, PjrtError> {
        let mut program = sys::Program::new();
        let mut args = sys::ExecutableOptimizedProgramArgs {
            executable: self.as_ptr(),
            program: &raw mut program,
            ..sys::Args::new()
        };
        // SAFETY: the executable is live; no memory for the code is given, so the plugin writes
        // only the size and the format.
        unsafe { self.plugin.call(&mut args) }?;
        let mut code = vec![0_u8; program.code_size];
        program.code = code.as_mut_ptr().cast::<c_char>();
        // SAFETY: now there is room for `code_size` bytes, as the plugin requires.
        unsafe { self.plugin.call(&mut args) }?;
        code.truncate(program.code_size);
        // SAFETY: the format's name is constant text of the plugin.
        let format = unsafe { text(program.format, program.format_size) };
        Ok(OptimizedProgram { format, code })
    }

    /// Parameters and results of the program, read from [`Self::optimized_program`].
    pub fn program_shape(&self) -> Result<ProgramShape, PjrtError> {
        hlo::program_shape(&self.optimized_program()?)
    }
}

impl Drop for PjrtExecutable {
    fn drop(&mut self) {
        // SAFETY: owned, and this is its last use.
        unsafe {
            self.plugin.destroy(sys::ExecutableDestroyArgs {
                executable: self.as_ptr(),
                ..sys::Args::new()
            });
        };
    }
}

/// A serialised executable: bytes that the plugin holds until this is dropped.
pub struct SerializedExecutable {
    args: sys::ExecutableSerializeArgs,
    _plugin: Plugin,
}

// SAFETY: nothing changes the bytes, and any thread may call the deleter, like every function of
// PJRT.
unsafe impl Send for SerializedExecutable {}
// SAFETY: as above.
unsafe impl Sync for SerializedExecutable {}

impl Deref for SerializedExecutable {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the plugin's bytes, valid until the deleter is called on drop.
        unsafe { list(self.args.serialized_bytes.cast::<u8>(), self.args.serialized_bytes_size) }
    }
}

impl Drop for SerializedExecutable {
    fn drop(&mut self) {
        if let Some(delete) = self.args.serialized_executable_deleter {
            // SAFETY: called once, on the object that the plugin returned together with this
            // deleter.
            unsafe { delete(self.args.serialized_executable) };
        }
    }
}
