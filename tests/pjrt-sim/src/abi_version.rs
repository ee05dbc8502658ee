//! Which executables does a runtime accept, by their ABI versions? This is the `AbiVersion`
//! extension, as libtpu has it.
//!
//! A version consists of two parts: the chip that an executable or runtime is for, as at the start
//! of its topology's name (`v5e`; empty if the test plugin does not act as a TPU), and the text of
//! `PJRT_SIM_ABI_VERSION`. The serialised form is both parts with a space between them.
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

/// A number for the platform, because libtpu has such a number, too. Its value does not matter.
const PLATFORM_ID: u64 = 0x51_4d;

/// The extension, to be put in front of the real plugin's extensions; `None` if
/// `PJRT_SIM_ABI_VERSION` is not set.
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

/// The ABI version of an executable that is compiled for `guise`; `None` if `PJRT_SIM_ABI_VERSION`
/// is not set.
pub(crate) fn version_for(config: &Config, guise: Option<&Guise>) -> Option<String> {
    let chip = guise.and_then(|guise| guise.topology.name.split(':').next()).unwrap_or_default();
    config.abi_version.as_ref().map(|version| format!("{chip} {version}"))
}

/// The reason why a runtime does not accept an executable; `None` if it accepts it.
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
/// The call follows the rules of PJRT's C header for the function whose arguments are `A`.
unsafe extern "C" fn entry<A: Serve>(args: *mut A) -> *mut Error {
    // SAFETY: the caller vouches for the args.
    unsafe { answered(A::FUNCTION, args, A::serve) }
}

/// Returns a version as a pointer for the caller; [`taken_back`] frees it.
fn handed_out<T>(version: String) -> *mut T {
    Box::into_raw(Box::new(version)).cast()
}

/// # Safety
///
/// `version` came from [`handed_out`] and is not used again.
unsafe fn taken_back<T>(version: *mut T) {
    // SAFETY: the caller vouches for the pointer.
    drop(unsafe { Box::from_raw(version.cast::<String>()) });
}

/// # Safety
///
/// `version` came from [`handed_out`] and was not freed.
unsafe fn text<'a, T>(version: *const T) -> &'a String {
    // SAFETY: the caller vouches for the pointer.
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
        // SAFETY: PJRT's header requires the caller to pass versions that are not freed yet.
        let (runtime, executable) =
            unsafe { (text(self.abi_version), text(self.executable_abi_version)) };
        let refusal = refusal(&plugin.config, runtime, executable);
        let (runtime, executable) = (runtime.clone(), executable.clone());
        let event = Event::Takes { runtime, executable, taken: refusal.is_none() };
        plugin.stage.log.write(event, Outcome::Ok, Duration::ZERO);
        refusal.map_or(Ok(()), |refusal| Err(Raised::ours(ErrorCode::FAILED_PRECONDITION, refusal)))
    }
}

/// Returns an error of code `UNIMPLEMENTED`, as libtpu does.
impl Serve for RuntimeAbiVersionIsCompatibleWithRuntimeArgs {
    fn serve(&mut self) -> Result<(), Raised> {
        Err(Raised::ours(
            ErrorCode::UNIMPLEMENTED,
            "pjrt-sim: runtimes are not compared, as in libtpu",
        ))
    }
}

/// Frees the serialised form of a version.
unsafe extern "C" fn free(written: *mut SerializedProto) {
    // SAFETY: the caller passes back, once, the pointer that `written` below made.
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
    // SAFETY: the caller vouches for the bytes.
    let text = String::from_utf8_lossy(unsafe { bytes(start, size) }).into_owned();
    let is_version = text.contains(' ');
    is_version
        .then_some(text)
        .ok_or_else(|| Raised::ours(ErrorCode::INVALID_ARGUMENT, "pjrt-sim: this is no version"))
}

/// The functions that both kinds of versions have.
macro_rules! version {
    ($version:ident: $write:ident $read:ident $platform:ident $destroy:ident) => {
        impl Serve for $write {
            fn serve(&mut self) -> Result<(), Raised> {
                // SAFETY: PJRT's header requires the caller to pass a version that is not freed
                // yet.
                let version = unsafe { text(self.abi_version) };
                (self.serialized_proto, self.serialized_proto_size, self.serialized_proto_holder) =
                    written(version);
                self.serialized_proto_deleter = Some(free);
                Ok(())
            }
        }

        impl Serve for $read {
            fn serve(&mut self) -> Result<(), Raised> {
                // SAFETY: PJRT's header requires the caller to pass this many bytes.
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
                // SAFETY: PJRT's header requires the caller to pass a version that this plugin made
                // and that is not used again.
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
