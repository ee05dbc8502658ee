//! Under which key is a framework's compile stored?

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use preheat_cache::{Environment, FrameworkOptions, GraphKey, KeyInputs, Program, ProgramFormat};
use preheat_environment::Facts;
use preheat_pjrt::forward::bytes;
use preheat_pjrt::sys::{self, ClientCompileArgs};
use preheat_pjrt::{Client, PjrtError};

use crate::refused;
use crate::wrapped::Wrapped;

/// A compile that can be cached.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) inputs: KeyInputs,
    pub(crate) key: GraphKey,
    /// The name of the program's module.
    pub(crate) name: String,
}

/// A compile that is not cached, because it is not understood or must not be cached.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The name of the program's module, if it is known.
    pub(crate) name: String,
    pub(crate) why: String,
}

/// The environment for which a client's executables are made, or the reason why they cannot be
/// cached.
type OfClient = Result<Arc<Environment>, String>;

/// The environments of the live clients, by their addresses.
static ENVIRONMENTS: LazyLock<Mutex<HashMap<usize, OfClient>>> = LazyLock::new(Mutex::default);

impl Asked {
    /// Reads a compile.
    #[expect(unsafe_code, reason = "the caller's program and options are pointers and sizes")]
    pub(crate) fn read(wrapped: &Wrapped, args: &ClientCompileArgs) -> Result<Self, Refused> {
        let refuse = |name: &str, why: &str| Refused { name: name.to_owned(), why: why.to_owned() };
        if args.program.is_null() {
            return Err(refuse("", "there is no program"));
        }
        // SAFETY: the header requires a program and options that are valid during the call, and the
        // pointer is not null.
        let (format, code, options) = unsafe {
            let program = &*args.program;
            (
                bytes(program.format, program.format_size),
                bytes(program.code, program.code_size),
                bytes(args.compile_options, args.compile_options_size),
            )
        };
        let format = match format {
            b"mlir" => ProgramFormat::Mlir,
            b"hlo" => ProgramFormat::Hlo,
            _ => return Err(refuse("", "the program's format is not known")),
        };
        let program = Program::new(format, code);
        let name = program.module_name().unwrap_or_default();
        let options = FrameworkOptions::read(options)
            .ok_or_else(|| refuse(&name, "the compile options are not understood"))?;
        if let Some(why) = refused::reason(&program) {
            return Err(refuse(&name, why));
        }
        let environment = environment(wrapped, args.client).map_err(|why| refuse(&name, &why))?;
        let inputs = KeyInputs { program, options: options.into(), environment };
        let key = inputs.graph_key();
        Ok(Self { inputs, key, name })
    }
}

/// The environment of a client. It is computed once for each client.
fn environment(wrapped: &Wrapped, client: *mut sys::Client) -> OfClient {
    let mut known = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(client as usize).or_insert_with(|| describe(wrapped, client)).clone()
}

/// Removes the environment of a client that is about to be closed.
pub(crate) fn forget_client(client: *mut sys::Client) {
    ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(client as usize));
}

#[expect(unsafe_code, reason = "the client is the caller's pointer")]
fn describe(wrapped: &Wrapped, client: *mut sys::Client) -> OfClient {
    let opened = wrapped.opened()?;
    // SAFETY: the caller's client is live during its call, and everything that is made from it here
    // is dropped before the call ends.
    let client = unsafe { Client::borrow(&opened.plugin, client) };
    let described = client.and_then(|client| {
        let facts = Facts::read(&client.topology()?)?;
        Ok((is_of_one_process(&client)?, facts))
    });
    let (is_of_one_process, facts) = described.map_err(|error| error.to_string())?;
    if !is_of_one_process {
        return Err("the devices belong to several processes".to_owned());
    }
    Ok(Arc::new(facts.environment(opened.identity.clone())))
}

fn is_of_one_process(client: &Client) -> Result<bool, PjrtError> {
    let here = client.process_index()?;
    for device in client.devices()? {
        if device.description()?.process_index != here {
            return Ok(false);
        }
    }
    Ok(true)
}
