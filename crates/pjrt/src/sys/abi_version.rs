//! What do the structs of PJRT's `AbiVersion` extension, version 1, look like in memory
//! (`pjrt_c_api_abi_version_extension.h`)?
//!
//! None of the pinned plugins includes this header, so these layouts are not compared with it. They
//! are compared with the sizes that libtpu itself expects (`tests/tpu/pjrt_tpu.rs`).
//!
//! An extension's args have no `extension_start`. Later versions added functions at the table's
//! end: read a function only if the extension's own `struct_size` says that it is there, as with
//! [`Api`](super::Api).

use super::{
    ApiFunction, Args, Client, Executable, ExtensionBase, ExtensionType, FieldLayout, PhantomData,
    PhantomPinned, StructLayout, c_char, end_of_last, offset_of,
};

/// `PJRT_Extension_Type_AbiVersion`. The header from which the other layouts were transcribed does
/// not have it yet.
pub const ABI_VERSION: ExtensionType = ExtensionType(20);

opaque! {
    RuntimeAbiVersion = "PJRT_RuntimeAbiVersion"
    ExecutableAbiVersion = "PJRT_ExecutableAbiVersion"
    SerializedProto = "PJRT_SerializedProto"
}

/// Frees the bytes that a `ToProto` function returned.
pub type SerializedProtoDeleter = Option<unsafe extern "C" fn(*mut SerializedProto)>;

/// Args struct of one function of the extension.
///
/// # Safety
///
/// The extension holds an `Option<ApiFunction<Self>>` at `OFFSET`.
pub unsafe trait Call: Args {
    /// The function's name in C.
    const FUNCTION: &'static str;
    /// Bytes from the start of the extension to the function's pointer.
    const OFFSET: usize;
}

/// The args of the extension's functions, and the extension itself.
macro_rules! extension {
    ($($field:ident: $args:ident = $function:literal { $($arg:ident: $type:ty),* $(,)? })*) => {
        $(
            #[doc = concat!("`", $function, "_Args`.")]
            #[derive(Clone, Copy)]
            #[repr(C)]
            pub struct $args {
                pub struct_size: usize,
                $(pub $arg: $type,)*
            }

            impl $args {
                const FIELDS: &[FieldLayout] = fields!($args: struct_size: usize $(, $arg: $type)*);
            }

            // SAFETY: repr(C), `struct_size` first; integers, raw pointers and optional function
            // pointers are valid as zeroes.
            unsafe impl Args for $args {
                const STRUCT_SIZE: usize = end_of_last(Self::FIELDS);
            }

            // SAFETY: the extension's field at that offset is declared with this type, right below.
            unsafe impl Call for $args {
                const FUNCTION: &'static str = $function;
                const OFFSET: usize = offset_of!(Extension, $field);
            }
        )*

        /// `PJRT_AbiVersion_Extension`. A plugin's extension is read through [`Call`], never
        /// through a reference to this type.
        #[derive(Clone, Copy)]
        #[repr(C)]
        pub struct Extension {
            pub base: ExtensionBase,
            $(pub $field: Option<ApiFunction<$args>>,)*
        }

        /// The args of every function, in the order of the extension.
        pub const STRUCTS: &[StructLayout] = &[$(
            StructLayout {
                c_name: concat!($function, "_Args"),
                size: size_of::<$args>(),
                struct_size: Some(<$args as Args>::STRUCT_SIZE),
                fields: $args::FIELDS,
            },
        )*];
    };
}

extension! {
    client_runtime_abi_version: ClientRuntimeAbiVersionArgs = "PJRT_Client_RuntimeAbiVersion" {
        client: *mut Client, abi_version: *mut RuntimeAbiVersion,
    }
    executable_get_abi_version: ExecutableGetAbiVersionArgs = "PJRT_Executable_GetAbiVersion" {
        executable: *mut Executable, abi_version: *mut ExecutableAbiVersion,
    }
    runtime_abi_version_destroy: RuntimeAbiVersionDestroyArgs = "PJRT_RuntimeAbiVersion_Destroy" {
        abi_version: *mut RuntimeAbiVersion,
    }
    runtime_abi_version_is_compatible_with_runtime: RuntimeAbiVersionIsCompatibleWithRuntimeArgs =
        "PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime" {
        abi_version: *const RuntimeAbiVersion, other_abi_version: *const RuntimeAbiVersion,
    }
    runtime_abi_version_is_compatible_with_executable: RuntimeAbiVersionIsCompatibleWithExecutableArgs =
        "PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable" {
        abi_version: *const RuntimeAbiVersion, executable_abi_version: *const ExecutableAbiVersion,
    }
    runtime_abi_version_to_proto: RuntimeAbiVersionToProtoArgs = "PJRT_RuntimeAbiVersion_ToProto" {
        abi_version: *const RuntimeAbiVersion, serialized_proto: *const c_char, serialized_proto_size: usize,
        serialized_proto_holder: *mut SerializedProto, serialized_proto_deleter: SerializedProtoDeleter,
    }
    runtime_abi_version_platform_id: RuntimeAbiVersionPlatformIdArgs = "PJRT_RuntimeAbiVersion_PlatformId" {
        abi_version: *const RuntimeAbiVersion, platform_id: u64,
    }
    executable_abi_version_destroy: ExecutableAbiVersionDestroyArgs = "PJRT_ExecutableAbiVersion_Destroy" {
        abi_version: *mut ExecutableAbiVersion,
    }
    executable_abi_version_to_proto: ExecutableAbiVersionToProtoArgs = "PJRT_ExecutableAbiVersion_ToProto" {
        abi_version: *const ExecutableAbiVersion, serialized_proto: *const c_char, serialized_proto_size: usize,
        serialized_proto_holder: *mut SerializedProto, serialized_proto_deleter: SerializedProtoDeleter,
    }
    executable_abi_version_platform_id: ExecutableAbiVersionPlatformIdArgs = "PJRT_ExecutableAbiVersion_PlatformId" {
        abi_version: *const ExecutableAbiVersion, platform_id: u64,
    }
    runtime_abi_version_from_proto: RuntimeAbiVersionFromProtoArgs = "PJRT_RuntimeAbiVersion_FromProto" {
        serialized_proto: *const c_char, serialized_proto_size: usize, abi_version: *mut RuntimeAbiVersion,
    }
    executable_abi_version_from_proto: ExecutableAbiVersionFromProtoArgs = "PJRT_ExecutableAbiVersion_FromProto" {
        serialized_proto: *const c_char, serialized_proto_size: usize, abi_version: *mut ExecutableAbiVersion,
    }
}
