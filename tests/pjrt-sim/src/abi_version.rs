//! The `AbiVersion` extension, as libtpu has it: which executables a runtime takes.
//!
//! A version is the chip that something is for, by the name that its topology starts with (`v5e`;
//! empty without a pose), and the text of `PJRT_SIM_ABI_VERSION`. Written down it is both, with a
//! space between.
#![expect(unsafe_code, reason = "reads and answers C structs")]

use std::ffi::c_char;
use std::sync::OnceLock;
use std::time::Duration;

use preheat_pjrt::sys::abi_version::{
    ABI_VERSION, Call, ClientRuntimeAbiVersionArgs, ExecutableAbiVersion,
    ExecutableAbiVersionDestroyArgs, ExecutableAbiVersionFromProtoArgs,
    ExecutableAbiVersionPlatformIdArgs, ExecutableAbiVersionToProtoArgs,
    ExecutableGetAbiVersionArgs, Extension, RuntimeAbiVersion, RuntimeAbiVersionDestroyArgs,
    RuntimeAbiVersionFromProtoArgs, RuntimeAbiVersionIsCompatibleWithExecutableArgs,
    RuntimeAbiVersionIsCompatibleWithRuntimeArgs, RuntimeAbiVersionPlatformIdArgs,
    RuntimeAbiVersionToProtoArgs, SerializedProto,
};
use preheat_pjrt::sys::{Error, ErrorCode, ExtensionBase};

use crate::config::Config;
use crate::forward::{Raised, answered, bytes};
use crate::log::{Event, Outcome};
use crate::plugin::{Guise, handles, plugin};

/// A number for the platform, which libtpu has too: any will do.
const PLATFORM_ID: u64 = 0x51_4d;

/// The extension in front of the real plugin's, where the environment asks for one.
pub(crate) fn extension(config: &Config, next: *mut ExtensionBase) -> Option<*mut ExtensionBase> {
    static EXTENSION: OnceLock<usize> = OnceLock::new();
    config.abi_version.as_ref()?;
    let base = ExtensionBase { struct_size: size_of::<Extension>(), r#type: ABI_VERSION, next };
    let address = EXTENSION.get_or_init(|| {
        Box::into_raw(Box::new(Extension {
            base,
            client_runtime_abi_version: Some(entry::<ClientRuntimeAbiVersionArgs>),
            executable_get_abi_version: Some(entry::<ExecutableGetAbiVersionArgs>),
            runtime_abi_version_destroy: Some(entry::<RuntimeAbiVersionDestroyArgs>),
            runtime_abi_version_is_compatible_with_runtime: Some(
                entry::<RuntimeAbiVersionIsCompatibleWithRuntimeArgs>,
            ),
            runtime_abi_version_is_compatible_with_executable: Some(
                entry::<RuntimeAbiVersionIsCompatibleWithExecutableArgs>,
            ),
            runtime_abi_version_to_proto: Some(entry::<RuntimeAbiVersionToProtoArgs>),
            runtime_abi_version_platform_id: Some(entry::<RuntimeAbiVersionPlatformIdArgs>),
            executable_abi_version_destroy: Some(entry::<ExecutableAbiVersionDestroyArgs>),
            executable_abi_version_to_proto: Some(entry::<ExecutableAbiVersionToProtoArgs>),
            executable_abi_version_platform_id: Some(entry::<ExecutableAbiVersionPlatformIdArgs>),
            runtime_abi_version_from_proto: Some(entry::<RuntimeAbiVersionFromProtoArgs>),
            executable_abi_version_from_proto: Some(entry::<ExecutableAbiVersionFromProtoArgs>),
        })) as usize
    });
    Some(*address as *mut ExtensionBase)
}

/// The version of what is compiled for `guise`, where there are versions.
pub(crate) fn version_for(config: &Config, guise: Option<&Guise>) -> Option<String> {
    let chip = guise.and_then(|guise| guise.topology.name.split(':').next()).unwrap_or_default();
    config.abi_version.as_ref().map(|version| format!("{chip} {version}"))
}

/// Why a runtime does not take an executable; `None` where it does.
pub(crate) fn refusal(config: &Config, runtime: &str, executable: &str) -> Option<String> {
    let parts = |version: &str| {
        version.split_once(' ').map(|(chip, version)| (chip.to_owned(), version.to_owned()))
    };
    let (Some((runtime_chip, own)), Some((chip, needed))) = (parts(runtime), parts(executable))
    else {
        return Some(format!("pjrt-sim: `{runtime}` and `{executable}` are not both versions"));
    };
    let taken = match &config.abi_takes {
        Some(takes) => takes.contains(&needed),
        None => own == needed,
    };
    (runtime_chip != chip || !taken).then(|| {
        format!(
            "pjrt-sim: the ABI version `{executable}` of the executable is not supported by the runtime `{runtime}`"
        )
    })
}

/// A function of the extension.
trait Serve: Call + Copy {
    fn serve(&mut self) -> Result<(), Raised>;
}

/// # Safety
///
/// As the header asks of callers of the function that takes `A`.
unsafe extern "C" fn entry<A: Serve>(args: *mut A) -> *mut Error {
    // SAFETY: the caller's word.
    unsafe { answered(A::FUNCTION, args, A::serve) }
}

/// Hands a version out; [`taken_back`] frees it.
fn handed_out<T>(version: String) -> *mut T {
    Box::into_raw(Box::new(version)).cast()
}

/// # Safety
///
/// The version was handed out, and is not used again.
unsafe fn taken_back<T>(version: *mut T) {
    // SAFETY: the caller's word.
    drop(unsafe { Box::from_raw(version.cast::<String>()) });
}

/// # Safety
///
/// The version was handed out and not taken back.
unsafe fn text<'a, T>(version: *const T) -> &'a String {
    // SAFETY: the caller's word.
    unsafe { &*version.cast::<String>() }
}

impl Serve for ClientRuntimeAbiVersionArgs {
    fn serve(&mut self) -> Result<(), Raised> {
        let plugin = plugin()?;
        self.abi_version = handed_out(version_for(&plugin.config, plugin.pose).unwrap_or_default());
        Ok(())
    }
}

impl Serve for ExecutableGetAbiVersionArgs {
    fn serve(&mut self) -> Result<(), Raised> {
        let guise = handles().executable(self.executable).and_then(|known| known.guise);
        self.abi_version = handed_out(version_for(&plugin()?.config, guise).unwrap_or_default());
        Ok(())
    }
}

impl Serve for RuntimeAbiVersionIsCompatibleWithExecutableArgs {
    fn serve(&mut self) -> Result<(), Raised> {
        let plugin = plugin()?;
        // SAFETY: the header asks the caller for versions that live.
        let (runtime, executable) =
            unsafe { (text(self.abi_version), text(self.executable_abi_version)) };
        let refusal = refusal(&plugin.config, runtime, executable);
        let (runtime, executable) = (runtime.clone(), executable.clone());
        let event = Event::Takes { runtime, executable, taken: refusal.is_none() };
        plugin.stage.log.write(event, Outcome::Ok, Duration::ZERO);
        refusal.map_or(Ok(()), |refusal| Err(Raised::ours(ErrorCode::FAILED_PRECONDITION, refusal)))
    }
}

/// As libtpu, which has no answer.
impl Serve for RuntimeAbiVersionIsCompatibleWithRuntimeArgs {
    fn serve(&mut self) -> Result<(), Raised> {
        Err(Raised::ours(
            ErrorCode::UNIMPLEMENTED,
            "pjrt-sim: runtimes are not compared, as in libtpu",
        ))
    }
}

/// Frees what a version was written to.
unsafe extern "C" fn free(written: *mut SerializedProto) {
    // SAFETY: the caller hands back, once, what `write` below leaked as this type.
    drop(unsafe { Box::from_raw(written.cast::<String>()) });
}

fn written(version: &str) -> (*const c_char, usize, *mut SerializedProto) {
    let version = Box::new(version.to_owned());
    let (start, size) = (version.as_ptr().cast(), version.len());
    (start, size, Box::into_raw(version).cast())
}

/// # Safety
///
/// The bytes can be read.
unsafe fn read(start: *const c_char, size: usize) -> Result<String, Raised> {
    // SAFETY: the caller's word.
    let text = String::from_utf8_lossy(unsafe { bytes(start, size) }).into_owned();
    let is_version = text.contains(' ');
    is_version
        .then_some(text)
        .ok_or_else(|| Raised::ours(ErrorCode::INVALID_ARGUMENT, "pjrt-sim: this is no version"))
}

/// What both kinds of versions can do.
macro_rules! version {
    ($version:ident: $write:ident $read:ident $platform:ident $destroy:ident) => {
        impl Serve for $write {
            fn serve(&mut self) -> Result<(), Raised> {
                // SAFETY: the header asks the caller for a version that lives.
                let version = unsafe { text(self.abi_version) };
                (self.serialized_proto, self.serialized_proto_size, self.serialized_proto_holder) =
                    written(version);
                self.serialized_proto_deleter = Some(free);
                Ok(())
            }
        }

        impl Serve for $read {
            fn serve(&mut self) -> Result<(), Raised> {
                // SAFETY: the header asks the caller for so many bytes.
                let version = unsafe { read(self.serialized_proto, self.serialized_proto_size) }?;
                self.abi_version = handed_out::<$version>(version);
                Ok(())
            }
        }

        impl Serve for $platform {
            fn serve(&mut self) -> Result<(), Raised> {
                self.platform_id = PLATFORM_ID;
                Ok(())
            }
        }

        impl Serve for $destroy {
            fn serve(&mut self) -> Result<(), Raised> {
                // SAFETY: the header asks the caller for a version of this plugin's that is not
                // used again.
                unsafe { taken_back(self.abi_version) };
                Ok(())
            }
        }
    };
}

version! {
    RuntimeAbiVersion: RuntimeAbiVersionToProtoArgs RuntimeAbiVersionFromProtoArgs
    RuntimeAbiVersionPlatformIdArgs RuntimeAbiVersionDestroyArgs
}

version! {
    ExecutableAbiVersion: ExecutableAbiVersionToProtoArgs ExecutableAbiVersionFromProtoArgs
    ExecutableAbiVersionPlatformIdArgs ExecutableAbiVersionDestroyArgs
}
