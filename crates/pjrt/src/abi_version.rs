//! Which executables can a runtime load, according to the plugin itself? This module wraps the
//! `AbiVersion` extension.
//!
//! Not every plugin has the extension (libtpu has it, XLA:CPU does not). Without it, the functions
//! that return a version return `None`. Only the plugin can interpret its versions: it compares
//! them, and preheat keeps them as the bytes that the plugin writes.

use super::call::Handle;
use super::client::Client;
use super::error::{ErrorCode, PjrtError, optional};
use super::executable::PjrtExecutable;
use super::plugin::Plugin;
use super::sys::Args;
use super::sys::abi_version as sys;
use super::table::bytes;

/// The answer to whether a runtime accepts an executable, or another runtime's executables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// It accepts.
    Compatible,
    /// It refuses; the text is the plugin's own reason.
    Incompatible(String),
}

impl Compatibility {
    /// Turns the plugin's answer into a value: a plugin reports "no" as an error.
    fn of(answer: Result<(), PjrtError>) -> Result<Self, PjrtError> {
        match answer {
            Ok(()) => Ok(Self::Compatible),
            Err(PjrtError::Call { code, message, .. }) if code != ErrorCode::Unimplemented => {
                Ok(Self::Incompatible(message))
            }
            Err(error) => Err(error),
        }
    }
}

/// The functions that both kinds of versions have. Both kinds are read, written and freed in the
/// same way, but through different functions of the plugin.
macro_rules! version {
    (
        $(#[$doc:meta])* $name:ident:
        read by $read:ident $read_name:literal, written by $write:ident, platform by $platform:ident, given back by $destroy:ident
    ) => {
        $(#[$doc])*
        pub struct $name {
            plugin: Plugin,
            raw: Handle<sys::$name>,
        }

        impl $name {
            /// Reads the bytes of [`Self::to_bytes`], which another process or another build of the
            /// plugin may have written; `None` if this plugin has no such function.
            pub fn from_bytes(plugin: &Plugin, serialized: &[u8]) -> Result<Option<Self>, PjrtError> {
                let mut args = sys::$read {
                    serialized_proto: serialized.as_ptr().cast(),
                    serialized_proto_size: serialized.len(),
                    ..Args::new()
                };
                // SAFETY: the bytes outlive the call.
                let answer = optional(unsafe { plugin.call_abi_version(&mut args) })?;
                answer.map(|()| Self::own(plugin, args.abi_version, $read_name)).transpose()
            }

            fn own(plugin: &Plugin, raw: *mut sys::$name, function: &'static str) -> Result<Self, PjrtError> {
                Ok(Self { plugin: plugin.clone(), raw: Handle::new(raw, function)? })
            }

            /// The version as bytes, as the plugin writes them.
            pub fn to_bytes(&self) -> Result<Vec<u8>, PjrtError> {
                let mut args = sys::$write { abi_version: self.raw.as_ptr(), ..Args::new() };
                // SAFETY: the version is live; the answer is copied before it is freed, once, by
                // the deleter that came with it.
                unsafe {
                    self.plugin.call_abi_version(&mut args)?;
                    let copy = bytes(args.serialized_proto, args.serialized_proto_size);
                    if let Some(delete) = args.serialized_proto_deleter {
                        delete(args.serialized_proto_holder);
                    }
                    Ok(copy)
                }
            }

            /// The plugin's number for its platform.
            pub fn platform_id(&self) -> Result<u64, PjrtError> {
                let mut args = sys::$platform { abi_version: self.raw.as_ptr(), ..Args::new() };
                // SAFETY: the version is live.
                unsafe { self.plugin.call_abi_version(&mut args) }?;
                Ok(args.platform_id)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                let mut args = sys::$destroy { abi_version: self.raw.as_ptr(), ..Args::new() };
                // SAFETY: owned, and this is its last use.
                if let Err(error) = unsafe { self.plugin.call_abi_version(&mut args) } {
                    tracing::warn!(%error, "the plugin did not free an object");
                }
            }
        }
    };
}

version! {
    /// The version of a runtime, which decides the executables that it accepts.
    RuntimeAbiVersion:
    read by RuntimeAbiVersionFromProtoArgs "PJRT_RuntimeAbiVersion_FromProto", written by RuntimeAbiVersionToProtoArgs,
    platform by RuntimeAbiVersionPlatformIdArgs, given back by RuntimeAbiVersionDestroyArgs
}

version! {
    /// The version of an executable, which decides the runtimes that accept it.
    ExecutableAbiVersion:
    read by ExecutableAbiVersionFromProtoArgs "PJRT_ExecutableAbiVersion_FromProto", written by ExecutableAbiVersionToProtoArgs,
    platform by ExecutableAbiVersionPlatformIdArgs, given back by ExecutableAbiVersionDestroyArgs
}

impl Client {
    /// The version of this client's runtime; `None` if the plugin does not report it.
    pub fn abi_version(&self) -> Result<Option<RuntimeAbiVersion>, PjrtError> {
        let mut args = sys::ClientRuntimeAbiVersionArgs { client: self.as_ptr(), ..Args::new() };
        // SAFETY: the client is live.
        let answer = optional(unsafe { self.plugin().call_abi_version(&mut args) })?;
        let function = <sys::ClientRuntimeAbiVersionArgs as sys::Call>::FUNCTION;
        answer
            .map(|()| RuntimeAbiVersion::own(self.plugin(), args.abi_version, function))
            .transpose()
    }
}

impl PjrtExecutable {
    /// The executable's version; `None` if the plugin does not report it.
    pub fn abi_version(&self) -> Result<Option<ExecutableAbiVersion>, PjrtError> {
        let mut args =
            sys::ExecutableGetAbiVersionArgs { executable: self.as_ptr(), ..Args::new() };
        // SAFETY: the executable is live.
        let answer = optional(unsafe { self.plugin().call_abi_version(&mut args) })?;
        let function = <sys::ExecutableGetAbiVersionArgs as sys::Call>::FUNCTION;
        answer
            .map(|()| ExecutableAbiVersion::own(self.plugin(), args.abi_version, function))
            .transpose()
    }
}

impl RuntimeAbiVersion {
    /// Whether this runtime accepts an executable of that version. The same plugin must have read
    /// both.
    pub fn takes(&self, executable: &ExecutableAbiVersion) -> Result<Compatibility, PjrtError> {
        self.must_share_plugin(&executable.plugin)?;
        let mut args = sys::RuntimeAbiVersionIsCompatibleWithExecutableArgs {
            abi_version: self.raw.as_ptr(),
            executable_abi_version: executable.raw.as_ptr(),
            ..Args::new()
        };
        // SAFETY: both are live and of one plugin.
        Compatibility::of(unsafe { self.plugin.call_abi_version(&mut args) })
    }

    /// Whether this runtime accepts the executables that `other` accepts. The same plugin must have
    /// read both. libtpu 0.0.51 does not implement this.
    pub fn takes_as(&self, other: &Self) -> Result<Compatibility, PjrtError> {
        self.must_share_plugin(&other.plugin)?;
        let mut args = sys::RuntimeAbiVersionIsCompatibleWithRuntimeArgs {
            abi_version: self.raw.as_ptr(),
            other_abi_version: other.raw.as_ptr(),
            ..Args::new()
        };
        // SAFETY: both are live and of one plugin.
        Compatibility::of(unsafe { self.plugin.call_abi_version(&mut args) })
    }

    fn must_share_plugin(&self, other: &Plugin) -> Result<(), PjrtError> {
        if self.plugin.path() == other.path() {
            return Ok(());
        }
        Err(PjrtError::ForeignHandle { what: "the version".into() })
    }
}
