//! How does a child compile a graph for a device that its parent has, too?
//!
//! The child loads the same plugin file, creates a client of its own, and compiles. If the compiler
//! exits, aborts, crashes or takes all memory, only the child ends. The parent loads what the child
//! left. Only plugins whose devices several processes can use are driven in this way.

use std::io;
use std::path::Path;

use preheat_cache::{CompileOptions, Digest, KeyInputs, Program, ProgramFormat};
use serde::{Deserialize, Serialize};

use super::job::{self, Answer, Job, PluginFile, Task};
use super::process::{self, Starting};
use super::{AheadError, refused};
use crate::backend::contract::{Compiled, PluginInUse};
use crate::backend::xla::{self, XlaBackend};
use crate::backend::{CompileError, DeviceFault};
use crate::device::XlaDevice;
use crate::progress::Cancel;

/// What is to be compiled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WantedHere {
    format: ProgramFormat,
    pub(super) program_bytes: usize,
    options: CompileOptions,
    /// The name of the plugin's build, which the child does not find out anew.
    plugin_build: String,
    /// The digest of the environment that the key was made from.
    environment: Digest,
}

/// Compiles `inputs` in a child. `None` if the plugin does not serialise the executable, so that
/// nothing can be left for this process.
pub(crate) fn compile_here(
    plugin: &PluginInUse<'_>,
    program: Option<&Path>,
    inputs: &KeyInputs,
    cancel: &Cancel,
) -> Result<Option<Compiled>, CompileError> {
    let bytes = inputs.program.bytes();
    let wanted = WantedHere {
        format: inputs.program.format(),
        program_bytes: bytes.len(),
        options: inputs.options.clone(),
        plugin_build: inputs.environment.plugin_build.clone(),
        environment: inputs.environment.digest(),
    };
    let task = Task::CompileHere(Box::new(wanted));
    let job = Job { plugin: PluginFile::now(plugin.path), task };
    let folder = process::answer_folder()?;
    let starting = Starting { program, variables: plugin.variables };
    match process::run(&starting, &job, bytes, &folder, cancel)? {
        Answer::Compiled { interface, abi_version, measurements } => {
            let payload = std::fs::read(job::payload(folder.path())).map_err(AheadError::Answer)?;
            let payload = Ok(Box::new(payload) as _);
            Ok(Some(Compiled { payload, interface, abi_version, measurements }))
        }
        Answer::NotSerialised { message } => {
            tracing::debug!(message, "the child's executable cannot be serialised");
            Ok(None)
        }
        _ => Err(AheadError::Confused.into()),
    }
}

/// The child's side.
pub(super) fn serve(
    plugin: &PluginFile,
    wanted: &WantedHere,
    program: Vec<u8>,
    folder: &Path,
) -> io::Result<Answer> {
    let build = || Ok(wanted.plugin_build.clone());
    let backend =
        XlaBackend::open(XlaDevice::XlaCpu, &plugin.path, build).map_err(io::Error::other)?;
    if plugin.was_replaced() || backend.environment.digest() != wanted.environment {
        return Ok(Answer::Replaced);
    }
    let inputs = KeyInputs {
        program: Program::new(wanted.format, program),
        options: wanted.options.clone(),
        environment: backend.environment,
    };
    let compiled = match xla::compile(&backend.client, &inputs) {
        Ok((_, compiled)) => compiled,
        Err(error) => return Ok(refused(error.code(), &DeviceFault::from(error))),
    };
    let Compiled { payload, interface, abi_version, measurements } = compiled;
    match payload {
        Ok(payload) => {
            std::fs::write(job::payload(folder), &**payload)?;
            Ok(Answer::Compiled { interface, abi_version, measurements })
        }
        Err(fault) => Ok(Answer::NotSerialised { message: fault.to_string() }),
    }
}
