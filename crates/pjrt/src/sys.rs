//! What do the structs and functions of PJRT's C API, version 0.81, look like in memory?
//!
//! Rust names are the C names without `PJRT_` and underscores: `PJRT_Client_Compile_Args` is
//! [`ClientCompileArgs`]. The macros below keep every C name beside its layout in [`STRUCTS`],
//! [`ENUMS`] and [`FUNCTIONS`]. With these tables, `tests/cpu/pjrt_layout.rs` compares each size,
//! offset and value with those that a C compiler computes from the real header.
//!
//! Rules for all these types:
//! - Every args struct starts with `struct_size`, from which the plugin sees which fields its
//!   caller has. It is the size up to the end of the last field, without the padding behind it.
//!   [`Args::new`] fills it and zeroes the rest.
//! - A plugin's [`Api`] may be shorter or longer than the one here. Never make a reference to it or
//!   copy it whole: read a function through its [`Call::OFFSET`] once the table's own `struct_size`
//!   says that it is there (see `call.rs`).
//! - C enums are integers here, not Rust enums: a newer plugin may return a value that this file
//!   does not know.
#![expect(
    missing_docs,
    reason = "the header documents the fields and constants under the same names; the doc of each type names its C type"
)]
#![expect(
    unsafe_code,
    reason = "declares a trait whose implementors promise a C layout, and zeroes such types"
)]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::marker::{PhantomData, PhantomPinned};
use std::mem::{MaybeUninit, offset_of, size_of};

/// Major version of the header that these layouts were transcribed from.
pub const API_MAJOR: c_int = 0;
/// Minor version of that header. A plugin with a higher one may have more functions and longer
/// structs.
pub const API_MINOR: c_int = 81;

/// The offset of a field in its struct, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct FieldLayout {
    /// The field's name in C.
    pub c_name: &'static str,
    pub offset: usize,
    pub size: usize,
}

/// The layout that Rust gives to a C struct, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct StructLayout {
    /// The struct's name in C.
    pub c_name: &'static str,
    /// `sizeof`, trailing padding included.
    pub size: usize,
    /// The value of the field `struct_size`; `None` for a struct that does not begin with
    /// `struct_size` and `extension_start`.
    pub struct_size: Option<usize>,
    pub fields: &'static [FieldLayout],
}

/// The values of a C enum.
#[derive(Clone, Copy, Debug)]
pub struct EnumLayout {
    /// The enum's name in C.
    pub c_name: &'static str,
    pub size: usize,
    /// Each enumerator's C name and value.
    pub values: &'static [(&'static str, c_uint)],
}

/// A struct whose first field is `struct_size`.
///
/// # Safety
///
/// The type is `repr(C)`, starts with `struct_size: usize`, and all-zero bytes are a valid value of
/// it.
pub unsafe trait Args: Sized {
    /// Bytes up to the end of the last field, which C calls `PJRT_..._STRUCT_SIZE`.
    const STRUCT_SIZE: usize;

    /// A zeroed struct with its `struct_size` set.
    fn new() -> Self {
        let mut args = MaybeUninit::<Self>::zeroed();
        // SAFETY: the implementor promises that the first field is `struct_size: usize` (so the
        // write is in bounds and aligned) and that zeroes are valid for the rest.
        unsafe {
            args.as_mut_ptr().cast::<usize>().write(Self::STRUCT_SIZE);
            args.assume_init()
        }
    }
}

/// Args struct of one function of [`Api`]; it gives the function's name and its offset in the
/// table.
///
/// # Safety
///
/// The table holds an `Option<ApiFunction<Self>>` at `OFFSET`.
pub unsafe trait Call: Args {
    /// The function's name in C.
    const FUNCTION: &'static str;
    /// Bytes from the start of the table to the function's pointer.
    const OFFSET: usize;
}

/// A function of the table; it returns null when it succeeded.
pub type ApiFunction<A> = unsafe extern "C" fn(*mut A) -> *mut Error;

/// The type of the function that a plugin exports as `GetPjrtApi`.
pub type GetPjrtApi = unsafe extern "C" fn() -> *const Api;

macro_rules! field_name {
    // `r#` belongs to Rust's name, not to C's.
    (r#type) => {
        "type"
    };
    ($field:ident) => {
        stringify!($field)
    };
}

macro_rules! fields {
    ($name:ident: $($field:ident: $type:ty),* $(,)?) => {
        &[$(FieldLayout { c_name: field_name!($field), offset: offset_of!($name, $field), size: size_of::<$type>() }),*]
    };
}

const fn end_of_last(fields: &[FieldLayout]) -> usize {
    let last = &fields[fields.len() - 1];
    last.offset + last.size
}

/// Opaque types: used only through pointers that the plugin made.
macro_rules! opaque {
    ($($name:ident = $c:literal)*) => {$(
        #[doc = concat!("`", $c, "`, which only the plugin can look into.")]
        #[repr(C)]
        pub struct $name {
            _bytes: [u8; 0],
            _not_ours: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

/// C enums, as integers with named values.
macro_rules! enums {
    ($($name:ident = $c:literal { $($value:ident = $cvalue:literal $number:literal,)* })*) => {
        $(
            #[doc = concat!("`", $c, "`; other values than these are possible.")]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            #[repr(transparent)]
            pub struct $name(pub c_uint);

            impl $name {
                $(pub const $value: Self = Self($number);)*
            }
        )*

        /// Every enum of this file.
        pub const ENUMS: &[EnumLayout] = &[$(
            EnumLayout { c_name: $c, size: size_of::<$name>(), values: &[$(($cvalue, $number)),*] },
        )*];
    };
}

/// Structs that start with `struct_size` and `extension_start`; those two are left out of the table
/// below.
macro_rules! structs {
    ($($name:ident = $c:literal { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[doc = concat!("`", $c, "`.")]
            #[derive(Clone, Copy)]
            #[repr(C)]
            pub struct $name {
                pub struct_size: usize,
                pub extension_start: *mut ExtensionBase,
                $(pub $field: $type,)*
            }

            impl $name {
                const FIELDS: &[FieldLayout] =
                    fields!($name: struct_size: usize, extension_start: *mut ExtensionBase $(, $field: $type)*);
            }

            // SAFETY: repr(C), `struct_size` first; integers, floats, bools, raw pointers, optional
            // function pointers and structs and unions of these are all valid as zeroes.
            unsafe impl Args for $name {
                const STRUCT_SIZE: usize = end_of_last(Self::FIELDS);
            }
        )*

        const PLAIN_STRUCTS: &[StructLayout] = &[$(
            StructLayout {
                c_name: $c,
                size: size_of::<$name>(),
                struct_size: Some(<$name as Args>::STRUCT_SIZE),
                fields: $name::FIELDS,
            },
        )*];
    };
}

/// Structs that start differently; every field is written out.
macro_rules! odd_structs {
    ($($name:ident = $c:literal { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[doc = concat!("`", $c, "`.")]
            #[derive(Clone, Copy)]
            #[repr(C)]
            pub struct $name {
                $(pub $field: $type,)*
            }
        )*

        const ODD_STRUCTS: &[StructLayout] = &[$(
            StructLayout { c_name: $c, size: size_of::<$name>(), struct_size: None, fields: fields!($name: $($field: $type),*) },
        )*];
    };
}

/// The function table.
macro_rules! api {
    (
        returning nothing { $($quiet:ident: $quiet_args:ident = $quiet_c:literal,)* }
        returning an error { $($field:ident: $args:ident = $c:literal,)* }
    ) => {
        /// `PJRT_Api`: the table of functions that a plugin returns.
        ///
        /// This type is for making a new table. A plugin's table is read through [`Call`], never
        /// through a reference to this type.
        #[derive(Clone, Copy)]
        #[repr(C)]
        pub struct Api {
            pub struct_size: usize,
            pub extension_start: *mut ExtensionBase,
            pub pjrt_api_version: ApiVersion,
            $(pub $quiet: Option<unsafe extern "C" fn(*mut $quiet_args)>,)*
            $(pub $field: Option<ApiFunction<$args>>,)*
        }

        // SAFETY: repr(C), `struct_size` first; null is `None` for an optional function pointer.
        unsafe impl Args for Api {
            const STRUCT_SIZE: usize = size_of::<Self>();
        }

        $(
            // SAFETY: the table's field at that offset is declared with this type, right above.
            unsafe impl Call for $args {
                const FUNCTION: &'static str = $c;
                const OFFSET: usize = offset_of!(Api, $field);
            }
        )*

        /// Every function's C name and its offset in the table, in the order of the table.
        pub const FUNCTIONS: &[(&str, usize)] = &[
            $(($quiet_c, offset_of!(Api, $quiet)),)*
            $(($c, offset_of!(Api, $field)),)*
        ];
    };
}

opaque! {
    Error = "PJRT_Error"
    Event = "PJRT_Event"
    Client = "PJRT_Client"
    Device = "PJRT_Device"
    Memory = "PJRT_Memory"
    DeviceDescription = "PJRT_DeviceDescription"
    TopologyDescription = "PJRT_TopologyDescription"
    Executable = "PJRT_Executable"
    LoadedExecutable = "PJRT_LoadedExecutable"
    Buffer = "PJRT_Buffer"
    ExecuteContext = "PJRT_ExecuteContext"
    SerializedExecutable = "PJRT_SerializedExecutable"
    SerializedTopology = "PJRT_SerializedTopology"
    DeviceAssignmentSerialized = "PJRT_DeviceAssignmentSerialized"
    AsyncHostToDeviceTransferManager = "PJRT_AsyncHostToDeviceTransferManager"
    FulfillAliasBufferCallback = "PJRT_FulfillAliasBufferCallback"
    CopyToDeviceStream = "PJRT_CopyToDeviceStream"
}

/// `PJRT_CallbackError`: makes an error in the plugin's form, which a callback can return.
pub type CallbackError =
    Option<unsafe extern "C" fn(ErrorCode, *const c_char, usize) -> *mut Error>;
/// `PJRT_Event_OnReadyCallback`: receives the event's error (null if there is none), which it then
/// owns, and the user's pointer.
pub type EventOnReadyCallback = Option<unsafe extern "C" fn(*mut Error, *mut c_void)>;
/// `PJRT_KeyValueGetCallback`.
pub type KeyValueGetCallback =
    Option<unsafe extern "C" fn(*mut KeyValueGetCallbackArgs) -> *mut Error>;
/// `PJRT_KeyValueTryGetCallback`.
pub type KeyValueTryGetCallback =
    Option<unsafe extern "C" fn(*mut KeyValueTryGetCallbackArgs) -> *mut Error>;
/// `PJRT_KeyValuePutCallback`.
pub type KeyValuePutCallback =
    Option<unsafe extern "C" fn(*mut KeyValuePutCallbackArgs) -> *mut Error>;
/// `PJRT_KeyValueGetCallback_ValueDeleter`.
pub type KeyValueGetCallbackValueDeleter = Option<unsafe extern "C" fn(*mut c_char)>;
/// `PJRT_KeyValueTryGetCallback_ValueDeleter`.
pub type KeyValueTryGetCallbackValueDeleter = Option<unsafe extern "C" fn(*mut c_char)>;
/// `PJRT_SendCallback`.
pub type SendCallback = Option<
    unsafe extern "C" fn(*mut Chunk, *mut CallbackError, usize, bool, *mut c_void) -> *mut Error,
>;
/// `PJRT_RecvCallback`.
pub type RecvCallback = Option<unsafe extern "C" fn(*mut CopyToDeviceStream, *mut c_void)>;

/// The value of a [`NamedValue`]; the field `type` of that struct says which member it is.
#[derive(Clone, Copy)]
#[repr(C)]
pub union NamedValueUnion {
    pub string_value: *const c_char,
    pub int64_value: i64,
    pub int64_array_value: *const i64,
    pub float_value: f32,
    pub bool_value: bool,
}

/// The layout in a [`BufferMemoryLayout`]; the field `type` of that struct says which member it is.
#[derive(Clone, Copy)]
#[repr(C)]
pub union BufferMemoryLayoutUnion {
    pub tiled: BufferMemoryLayoutTiled,
    pub strides: BufferMemoryLayoutStrides,
}

odd_structs! {
    ExtensionBase = "PJRT_Extension_Base" { struct_size: usize, r#type: ExtensionType, next: *mut ExtensionBase }
    ProcessInfo = "PJRT_ProcessInfo" {
        struct_size: usize, task_id: c_int, incarnation_id: u64, state: ProcessState, error_code: c_int,
        error_message: *const c_char, error_message_size: usize,
    }
    Chunk = "PJRT_Chunk" {
        data: *mut c_void, size: usize, deleter: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>, deleter_arg: *mut c_void,
    }
    SendCallbackInfo = "PJRT_SendCallbackInfo" { channel_id: i64, user_arg: *mut c_void, send_callback: SendCallback }
    RecvCallbackInfo = "PJRT_RecvCallbackInfo" { channel_id: i64, user_arg: *mut c_void, recv_callback: RecvCallback }
}

structs! {
    // The unions of these two structs have no name in C, so the tables name each union's first
    // member.
    NamedValue = "PJRT_NamedValue" {
        name: *const c_char, name_size: usize, r#type: NamedValueType, value: NamedValueUnion, value_size: usize,
    }
    BufferMemoryLayout = "PJRT_Buffer_MemoryLayout" { layout: BufferMemoryLayoutUnion, r#type: BufferMemoryLayoutType }

    ApiVersion = "PJRT_Api_Version" { major_version: c_int, minor_version: c_int }
    ErrorDestroyArgs = "PJRT_Error_Destroy_Args" { error: *mut Error }
    ErrorMessageArgs = "PJRT_Error_Message_Args" { error: *const Error, message: *const c_char, message_size: usize }
    ErrorGetCodeArgs = "PJRT_Error_GetCode_Args" { error: *const Error, code: ErrorCode }
    PluginInitializeArgs = "PJRT_Plugin_Initialize_Args" {}
    PluginAttributesArgs = "PJRT_Plugin_Attributes_Args" { attributes: *const NamedValue, num_attributes: usize }
    EventDestroyArgs = "PJRT_Event_Destroy_Args" { event: *mut Event }
    EventIsReadyArgs = "PJRT_Event_IsReady_Args" { event: *mut Event, is_ready: bool }
    EventErrorArgs = "PJRT_Event_Error_Args" { event: *mut Event }
    EventAwaitArgs = "PJRT_Event_Await_Args" { event: *mut Event }
    EventOnReadyArgs = "PJRT_Event_OnReady_Args" { event: *mut Event, callback: EventOnReadyCallback, user_arg: *mut c_void }
    KeyValueGetCallbackArgs = "PJRT_KeyValueGetCallback_Args" {
        key: *const c_char, key_size: usize, timeout_in_ms: c_int, callback_error: *mut CallbackError, user_arg: *mut c_void,
        value: *mut c_char, value_size: usize, value_deleter_callback: KeyValueGetCallbackValueDeleter,
    }
    KeyValueTryGetCallbackArgs = "PJRT_KeyValueTryGetCallback_Args" {
        key: *const c_char, key_size: usize, callback_error: *mut CallbackError, user_arg: *mut c_void, value: *mut c_char,
        value_size: usize, value_deleter_callback: KeyValueTryGetCallbackValueDeleter,
    }
    KeyValuePutCallbackArgs = "PJRT_KeyValuePutCallback_Args" {
        key: *const c_char, key_size: usize, value: *const c_char, value_size: usize, callback_error: *mut CallbackError,
        user_arg: *mut c_void,
    }
    ClientCreateArgs = "PJRT_Client_Create_Args" {
        create_options: *const NamedValue, num_options: usize, kv_get_callback: KeyValueGetCallback,
        kv_get_user_arg: *mut c_void, kv_put_callback: KeyValuePutCallback, kv_put_user_arg: *mut c_void, client: *mut Client,
        kv_try_get_callback: KeyValueTryGetCallback, kv_try_get_user_arg: *mut c_void,
    }
    ClientDestroyArgs = "PJRT_Client_Destroy_Args" { client: *mut Client }
    ClientPlatformNameArgs = "PJRT_Client_PlatformName_Args" {
        client: *mut Client, platform_name: *const c_char, platform_name_size: usize,
    }
    ClientProcessIndexArgs = "PJRT_Client_ProcessIndex_Args" { client: *mut Client, process_index: c_int }
    ClientPlatformVersionArgs = "PJRT_Client_PlatformVersion_Args" {
        client: *mut Client, platform_version: *const c_char, platform_version_size: usize,
    }
    ClientTopologyDescriptionArgs = "PJRT_Client_TopologyDescription_Args" {
        client: *mut Client, topology: *mut TopologyDescription,
    }
    ClientDevicesArgs = "PJRT_Client_Devices_Args" { client: *mut Client, devices: *const *mut Device, num_devices: usize }
    ClientAddressableDevicesArgs = "PJRT_Client_AddressableDevices_Args" {
        client: *mut Client, addressable_devices: *const *mut Device, num_addressable_devices: usize,
    }
    ClientLookupDeviceArgs = "PJRT_Client_LookupDevice_Args" { client: *mut Client, id: c_int, device: *mut Device }
    ClientLookupAddressableDeviceArgs = "PJRT_Client_LookupAddressableDevice_Args" {
        client: *mut Client, local_hardware_id: c_int, addressable_device: *mut Device,
    }
    ClientUpdateGlobalProcessInfoArgs = "PJRT_Client_UpdateGlobalProcessInfo_Args" {
        client: *mut Client, process_infos: *mut ProcessInfo, num_process_infos: usize,
    }
    ClientAddressableMemoriesArgs = "PJRT_Client_AddressableMemories_Args" {
        client: *mut Client, addressable_memories: *const *mut Memory, num_addressable_memories: usize,
    }
    Program = "PJRT_Program" { code: *mut c_char, code_size: usize, format: *const c_char, format_size: usize }
    ClientCompileArgs = "PJRT_Client_Compile_Args" {
        client: *mut Client, program: *const Program, compile_options: *const c_char, compile_options_size: usize,
        executable: *mut LoadedExecutable,
    }
    ClientDefaultDeviceAssignmentArgs = "PJRT_Client_DefaultDeviceAssignment_Args" {
        client: *mut Client, num_replicas: c_int, num_partitions: c_int, default_assignment_size: usize,
        default_assignment: *mut c_int,
    }
    ClientDmaMapArgs = "PJRT_Client_DmaMap_Args" { client: *mut Client, data: *mut c_void, size: usize }
    ClientDmaUnmapArgs = "PJRT_Client_DmaUnmap_Args" { client: *mut Client, data: *mut c_void }
    AsyncHostToDeviceTransferManagerDestroyArgs = "PJRT_AsyncHostToDeviceTransferManager_Destroy_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager,
    }
    AsyncHostToDeviceTransferManagerTransferDataArgs = "PJRT_AsyncHostToDeviceTransferManager_TransferData_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, buffer_index: c_int, data: *const c_void, offset: i64,
        transfer_size: i64, is_last_transfer: bool, done_with_h2d_transfer: *mut Event,
    }
    AsyncHostToDeviceTransferManagerRetrieveBufferArgs = "PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, buffer_index: c_int, buffer_out: *mut Buffer,
    }
    AsyncHostToDeviceTransferManagerDeviceArgs = "PJRT_AsyncHostToDeviceTransferManager_Device_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, device_out: *mut Device,
    }
    AsyncHostToDeviceTransferManagerBufferCountArgs = "PJRT_AsyncHostToDeviceTransferManager_BufferCount_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, buffer_count: usize,
    }
    AsyncHostToDeviceTransferManagerBufferSizeArgs = "PJRT_AsyncHostToDeviceTransferManager_BufferSize_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, buffer_index: c_int, buffer_size: usize,
    }
    AsyncHostToDeviceTransferManagerSetBufferErrorArgs = "PJRT_AsyncHostToDeviceTransferManager_SetBufferError_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, buffer_index: c_int, error_code: ErrorCode,
        error_message: *const c_char, error_message_size: usize,
    }
    AsyncHostToDeviceTransferManagerAddMetadataArgs = "PJRT_AsyncHostToDeviceTransferManager_AddMetadata_Args" {
        transfer_manager: *mut AsyncHostToDeviceTransferManager, transfer_metadata: *const NamedValue, num_metadata: usize,
    }
    BufferMemoryLayoutTiled = "PJRT_Buffer_MemoryLayout_Tiled" {
        minor_to_major: *const i64, minor_to_major_size: usize, tile_dims: *const i64, tile_dim_sizes: *const usize,
        num_tiles: usize,
    }
    BufferMemoryLayoutStrides = "PJRT_Buffer_MemoryLayout_Strides" { byte_strides: *const i64, num_byte_strides: usize }
    ClientCreateUninitializedBufferArgs = "PJRT_Client_CreateUninitializedBuffer_Args" {
        client: *mut Client, shape_dims: *const i64, shape_num_dims: usize, shape_element_type: BufferType,
        shape_layout: *mut BufferMemoryLayout, device: *mut Device, memory: *mut Memory, buffer: *mut Buffer,
    }
    ClientCreateAliasBufferArgs = "PJRT_Client_CreateAliasBuffer_Args" {
        client: *mut Client, memory: *mut Memory, shape_dims: *const i64, shape_num_dims: usize, shape_element_type: BufferType,
        shape_layout: *mut BufferMemoryLayout, alias_buffer: *mut Buffer,
        fulfill_alias_buffer_cb: *mut FulfillAliasBufferCallback,
    }
    ClientFulfillAliasBufferArgs = "PJRT_Client_FulfillAliasBuffer_Args" {
        client: *mut Client, buffer: *mut Buffer, status_code: ErrorCode, error_message: *const c_char,
        error_message_size: usize, fulfill_alias_buffer_cb: *mut FulfillAliasBufferCallback,
    }
    ClientBufferFromHostBufferArgs = "PJRT_Client_BufferFromHostBuffer_Args" {
        client: *mut Client, data: *const c_void, r#type: BufferType, dims: *const i64, num_dims: usize,
        byte_strides: *const i64, num_byte_strides: usize, host_buffer_semantics: HostBufferSemantics, device: *mut Device,
        memory: *mut Memory, device_layout: *mut BufferMemoryLayout, done_with_host_buffer: *mut Event, buffer: *mut Buffer,
    }
    ClientCreateViewOfDeviceBufferArgs = "PJRT_Client_CreateViewOfDeviceBuffer_Args" {
        client: *mut Client, device_buffer_ptr: *mut c_void, dims: *const i64, num_dims: usize, element_type: BufferType,
        layout: *mut BufferMemoryLayout, device: *mut Device,
        on_delete_callback: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>, on_delete_callback_arg: *mut c_void,
        stream: isize, buffer: *mut Buffer, memory: *mut Memory,
    }
    ShapeSpec = "PJRT_ShapeSpec" { dims: *const i64, num_dims: usize, element_type: BufferType }
    ClientCreateBuffersForAsyncHostToDeviceArgs = "PJRT_Client_CreateBuffersForAsyncHostToDevice_Args" {
        client: *mut Client, shape_specs: *mut ShapeSpec, num_shape_specs: usize, device_layouts: *mut *mut BufferMemoryLayout,
        num_device_layouts: usize, memory: *mut Memory, transfer_manager: *mut AsyncHostToDeviceTransferManager,
    }
    DeviceDescriptionIdArgs = "PJRT_DeviceDescription_Id_Args" { device_description: *mut DeviceDescription, id: c_int }
    DeviceDescriptionProcessIndexArgs = "PJRT_DeviceDescription_ProcessIndex_Args" {
        device_description: *mut DeviceDescription, process_index: c_int,
    }
    DeviceDescriptionAttributesArgs = "PJRT_DeviceDescription_Attributes_Args" {
        device_description: *mut DeviceDescription, num_attributes: usize, attributes: *const NamedValue,
    }
    DeviceDescriptionKindArgs = "PJRT_DeviceDescription_Kind_Args" {
        device_description: *mut DeviceDescription, device_kind: *const c_char, device_kind_size: usize,
    }
    DeviceDescriptionDebugStringArgs = "PJRT_DeviceDescription_DebugString_Args" {
        device_description: *mut DeviceDescription, debug_string: *const c_char, debug_string_size: usize,
    }
    DeviceDescriptionToStringArgs = "PJRT_DeviceDescription_ToString_Args" {
        device_description: *mut DeviceDescription, to_string: *const c_char, to_string_size: usize,
    }
    DeviceGetDescriptionArgs = "PJRT_Device_GetDescription_Args" {
        device: *mut Device, device_description: *mut DeviceDescription,
    }
    DeviceIsAddressableArgs = "PJRT_Device_IsAddressable_Args" { device: *mut Device, is_addressable: bool }
    DeviceLocalHardwareIdArgs = "PJRT_Device_LocalHardwareId_Args" { device: *mut Device, local_hardware_id: c_int }
    DeviceAddressableMemoriesArgs = "PJRT_Device_AddressableMemories_Args" {
        device: *mut Device, memories: *const *mut Memory, num_memories: usize,
    }
    DeviceDefaultMemoryArgs = "PJRT_Device_DefaultMemory_Args" { device: *mut Device, memory: *mut Memory }
    DeviceMemoryStatsArgs = "PJRT_Device_MemoryStats_Args" {
        device: *mut Device, bytes_in_use: i64, peak_bytes_in_use: i64, peak_bytes_in_use_is_set: bool, num_allocs: i64,
        num_allocs_is_set: bool, largest_alloc_size: i64, largest_alloc_size_is_set: bool, bytes_limit: i64,
        bytes_limit_is_set: bool, bytes_reserved: i64, bytes_reserved_is_set: bool, peak_bytes_reserved: i64,
        peak_bytes_reserved_is_set: bool, bytes_reservable_limit: i64, bytes_reservable_limit_is_set: bool,
        largest_free_block_bytes: i64, largest_free_block_bytes_is_set: bool, pool_bytes: i64, pool_bytes_is_set: bool,
        peak_pool_bytes: i64, peak_pool_bytes_is_set: bool,
    }
    MemoryIdArgs = "PJRT_Memory_Id_Args" { memory: *mut Memory, id: c_int }
    MemoryKindArgs = "PJRT_Memory_Kind_Args" { memory: *mut Memory, kind: *const c_char, kind_size: usize }
    MemoryKindIdArgs = "PJRT_Memory_Kind_Id_Args" { memory: *mut Memory, kind_id: c_int }
    MemoryDebugStringArgs = "PJRT_Memory_DebugString_Args" {
        memory: *mut Memory, debug_string: *const c_char, debug_string_size: usize,
    }
    MemoryToStringArgs = "PJRT_Memory_ToString_Args" { memory: *mut Memory, to_string: *const c_char, to_string_size: usize }
    MemoryAddressableByDevicesArgs = "PJRT_Memory_AddressableByDevices_Args" {
        memory: *mut Memory, devices: *const *mut Device, num_devices: usize,
    }
    ExecuteContextCreateArgs = "PJRT_ExecuteContext_Create_Args" { context: *mut ExecuteContext }
    ExecuteContextDestroyArgs = "PJRT_ExecuteContext_Destroy_Args" { context: *mut ExecuteContext }
    ExecutableDestroyArgs = "PJRT_Executable_Destroy_Args" { executable: *mut Executable }
    LoadedExecutableDestroyArgs = "PJRT_LoadedExecutable_Destroy_Args" { executable: *mut LoadedExecutable }
    LoadedExecutableGetExecutableArgs = "PJRT_LoadedExecutable_GetExecutable_Args" {
        loaded_executable: *mut LoadedExecutable, executable: *mut Executable,
    }
    LoadedExecutableGetDeviceAssignmentArgs = "PJRT_LoadedExecutable_GetDeviceAssignment_Args" {
        executable: *mut LoadedExecutable, serialized_bytes: *const c_char, serialized_bytes_size: usize,
        serialized_device_assignment: *mut DeviceAssignmentSerialized,
        serialized_device_assignment_deleter: Option<unsafe extern "C" fn(*mut DeviceAssignmentSerialized)>,
    }
    ExecutableNameArgs = "PJRT_Executable_Name_Args" {
        executable: *mut Executable, executable_name: *const c_char, executable_name_size: usize,
    }
    ExecutableNumReplicasArgs = "PJRT_Executable_NumReplicas_Args" { executable: *mut Executable, num_replicas: usize }
    ExecutableNumPartitionsArgs = "PJRT_Executable_NumPartitions_Args" { executable: *mut Executable, num_partitions: usize }
    LoadedExecutableAddressableDevicesArgs = "PJRT_LoadedExecutable_AddressableDevices_Args" {
        executable: *mut LoadedExecutable, addressable_devices: *const *mut Device, num_addressable_devices: usize,
    }
    ExecutableOptimizedProgramArgs = "PJRT_Executable_OptimizedProgram_Args" {
        executable: *mut Executable, program: *mut Program,
    }
    LoadedExecutableDeleteArgs = "PJRT_LoadedExecutable_Delete_Args" { executable: *mut LoadedExecutable }
    LoadedExecutableIsDeletedArgs = "PJRT_LoadedExecutable_IsDeleted_Args" { executable: *mut LoadedExecutable, is_deleted: bool }
    ExecuteOptions = "PJRT_ExecuteOptions" {
        send_callbacks: *mut *mut SendCallbackInfo, recv_callbacks: *mut *mut RecvCallbackInfo, num_send_ops: usize,
        num_recv_ops: usize, launch_id: c_int, non_donatable_input_indices: *const i64, num_non_donatable_input_indices: usize,
        context: *mut ExecuteContext, call_location: *const c_char, num_tasks: usize, task_ids: *mut c_int,
        incarnation_ids: *mut i64,
    }
    LoadedExecutableExecuteArgs = "PJRT_LoadedExecutable_Execute_Args" {
        executable: *mut LoadedExecutable, options: *mut ExecuteOptions, argument_lists: *const *const *mut Buffer,
        num_devices: usize, num_args: usize, output_lists: *const *mut *mut Buffer, device_complete_events: *mut *mut Event,
        execute_device: *mut Device,
    }
    ExecutableNumOutputsArgs = "PJRT_Executable_NumOutputs_Args" { executable: *mut Executable, num_outputs: usize }
    ExecutableSizeOfGeneratedCodeInBytesArgs = "PJRT_Executable_SizeOfGeneratedCodeInBytes_Args" {
        executable: *mut Executable, size_in_bytes: i64,
    }
    ExecutableFingerprintArgs = "PJRT_Executable_Fingerprint_Args" {
        executable: *mut Executable, executable_fingerprint: *const c_char, executable_fingerprint_size: usize,
    }
    ExecutableGetCostAnalysisArgs = "PJRT_Executable_GetCostAnalysis_Args" {
        executable: *mut Executable, num_properties: usize, properties: *const NamedValue,
    }
    ExecutableGetCompiledMemoryStatsArgs = "PJRT_Executable_GetCompiledMemoryStats_Args" {
        executable: *mut Executable, generated_code_size_in_bytes: i64, argument_size_in_bytes: i64, output_size_in_bytes: i64,
        alias_size_in_bytes: i64, temp_size_in_bytes: i64, host_generated_code_size_in_bytes: i64,
        host_argument_size_in_bytes: i64, host_output_size_in_bytes: i64, host_alias_size_in_bytes: i64,
        host_temp_size_in_bytes: i64, peak_memory_in_bytes: i64,
    }
    ExecutableOutputElementTypesArgs = "PJRT_Executable_OutputElementTypes_Args" {
        executable: *mut Executable, output_types: *mut BufferType, num_output_types: usize,
    }
    ExecutableOutputDimensionsArgs = "PJRT_Executable_OutputDimensions_Args" {
        executable: *mut Executable, num_outputs: usize, dims: *const i64, dim_sizes: *const usize,
    }
    ExecutableOutputMemoryKindsArgs = "PJRT_Executable_OutputMemoryKinds_Args" {
        executable: *mut Executable, num_outputs: usize, memory_kinds: *const *const c_char, memory_kind_sizes: *const usize,
    }
    ExecutableSerializeArgs = "PJRT_Executable_Serialize_Args" {
        executable: *const Executable, serialized_bytes: *const c_char, serialized_bytes_size: usize,
        serialized_executable: *mut SerializedExecutable,
        serialized_executable_deleter: Option<unsafe extern "C" fn(*mut SerializedExecutable)>,
    }
    ExecutableDeserializeAndLoadArgs = "PJRT_Executable_DeserializeAndLoad_Args" {
        client: *mut Client, serialized_executable: *const c_char, serialized_executable_size: usize,
        loaded_executable: *mut LoadedExecutable, overridden_serialized_compile_options: *const c_char,
        overridden_serialized_compile_options_size: usize,
    }
    LoadedExecutableFingerprintArgs = "PJRT_LoadedExecutable_Fingerprint_Args" {
        executable: *mut LoadedExecutable, executable_fingerprint: *const c_char, executable_fingerprint_size: usize,
    }
    BufferDestroyArgs = "PJRT_Buffer_Destroy_Args" { buffer: *mut Buffer }
    BufferElementTypeArgs = "PJRT_Buffer_ElementType_Args" { buffer: *mut Buffer, r#type: BufferType }
    BufferDimensionsArgs = "PJRT_Buffer_Dimensions_Args" { buffer: *mut Buffer, dims: *const i64, num_dims: usize }
    BufferUnpaddedDimensionsArgs = "PJRT_Buffer_UnpaddedDimensions_Args" {
        buffer: *mut Buffer, unpadded_dims: *const i64, num_dims: usize,
    }
    BufferDynamicDimensionIndicesArgs = "PJRT_Buffer_DynamicDimensionIndices_Args" {
        buffer: *mut Buffer, dynamic_dim_indices: *const usize, num_dynamic_dims: usize,
    }
    BufferGetMemoryLayoutArgs = "PJRT_Buffer_GetMemoryLayout_Args" { buffer: *mut Buffer, layout: BufferMemoryLayout }
    BufferToHostBufferArgs = "PJRT_Buffer_ToHostBuffer_Args" {
        src: *mut Buffer, host_layout: *mut BufferMemoryLayout, dst: *mut c_void, dst_size: usize, event: *mut Event,
    }
    BufferOnDeviceSizeInBytesArgs = "PJRT_Buffer_OnDeviceSizeInBytes_Args" { buffer: *mut Buffer, on_device_size_in_bytes: usize }
    BufferDeleteArgs = "PJRT_Buffer_Delete_Args" { buffer: *mut Buffer }
    BufferIsDeletedArgs = "PJRT_Buffer_IsDeleted_Args" { buffer: *mut Buffer, is_deleted: bool }
    BufferCopyRawToHostArgs = "PJRT_Buffer_CopyRawToHost_Args" {
        buffer: *mut Buffer, dst: *mut c_void, offset: i64, transfer_size: i64, event: *mut Event,
    }
    BufferCopyToDeviceArgs = "PJRT_Buffer_CopyToDevice_Args" {
        buffer: *mut Buffer, dst_device: *mut Device, dst_buffer: *mut Buffer,
    }
    BufferCopyToMemoryArgs = "PJRT_Buffer_CopyToMemory_Args" {
        buffer: *mut Buffer, dst_memory: *mut Memory, dst_buffer: *mut Buffer,
    }
    BufferIsOnCpuArgs = "PJRT_Buffer_IsOnCpu_Args" { buffer: *mut Buffer, is_on_cpu: bool }
    BufferDeviceArgs = "PJRT_Buffer_Device_Args" { buffer: *mut Buffer, device: *mut Device }
    BufferMemoryArgs = "PJRT_Buffer_Memory_Args" { buffer: *mut Buffer, memory: *mut Memory }
    BufferReadyEventArgs = "PJRT_Buffer_ReadyEvent_Args" { buffer: *mut Buffer, event: *mut Event }
    BufferUnsafePointerArgs = "PJRT_Buffer_UnsafePointer_Args" { buffer: *mut Buffer, buffer_pointer: usize }
    BufferIncreaseExternalReferenceCountArgs = "PJRT_Buffer_IncreaseExternalReferenceCount_Args" { buffer: *mut Buffer }
    BufferDecreaseExternalReferenceCountArgs = "PJRT_Buffer_DecreaseExternalReferenceCount_Args" { buffer: *mut Buffer }
    BufferOpaqueDeviceMemoryDataPointerArgs = "PJRT_Buffer_OpaqueDeviceMemoryDataPointer_Args" {
        buffer: *mut Buffer, device_memory_ptr: *mut c_void,
    }
    CopyToDeviceStreamDestroyArgs = "PJRT_CopyToDeviceStream_Destroy_Args" { stream: *mut CopyToDeviceStream }
    CopyToDeviceStreamAddChunkArgs = "PJRT_CopyToDeviceStream_AddChunk_Args" {
        stream: *mut CopyToDeviceStream, chunk: *mut Chunk, transfer_complete: *mut Event,
    }
    CopyToDeviceStreamTotalBytesArgs = "PJRT_CopyToDeviceStream_TotalBytes_Args" {
        stream: *mut CopyToDeviceStream, total_bytes: i64,
    }
    CopyToDeviceStreamGranuleSizeArgs = "PJRT_CopyToDeviceStream_GranuleSize_Args" {
        stream: *mut CopyToDeviceStream, granule_size_in_bytes: i64,
    }
    CopyToDeviceStreamCurrentBytesArgs = "PJRT_CopyToDeviceStream_CurrentBytes_Args" {
        stream: *mut CopyToDeviceStream, current_bytes: i64,
    }
    TopologyDescriptionCreateArgs = "PJRT_TopologyDescription_Create_Args" {
        topology_name: *const c_char, topology_name_size: usize, create_options: *const NamedValue, num_options: usize,
        topology: *mut TopologyDescription,
    }
    TopologyDescriptionDestroyArgs = "PJRT_TopologyDescription_Destroy_Args" { topology: *mut TopologyDescription }
    TopologyDescriptionPlatformVersionArgs = "PJRT_TopologyDescription_PlatformVersion_Args" {
        topology: *mut TopologyDescription, platform_version: *const c_char, platform_version_size: usize,
    }
    TopologyDescriptionPlatformNameArgs = "PJRT_TopologyDescription_PlatformName_Args" {
        topology: *const TopologyDescription, platform_name: *const c_char, platform_name_size: usize,
    }
    TopologyDescriptionGetDeviceDescriptionsArgs = "PJRT_TopologyDescription_GetDeviceDescriptions_Args" {
        topology: *const TopologyDescription, descriptions: *const *mut DeviceDescription, num_descriptions: usize,
    }
    TopologyDescriptionSerializeArgs = "PJRT_TopologyDescription_Serialize_Args" {
        topology: *mut TopologyDescription, serialized_bytes: *const c_char, serialized_bytes_size: usize,
        serialized_topology: *mut SerializedTopology,
        serialized_topology_deleter: Option<unsafe extern "C" fn(*mut SerializedTopology)>,
    }
    TopologyDescriptionDeserializeArgs = "PJRT_TopologyDescription_Deserialize_Args" {
        serialized_topology: *const c_char, serialized_topology_size: usize, topology: *mut TopologyDescription,
    }
    TopologyDescriptionAttributesArgs = "PJRT_TopologyDescription_Attributes_Args" {
        topology: *mut TopologyDescription, attributes: *const NamedValue, num_attributes: usize,
    }
    CompileArgs = "PJRT_Compile_Args" {
        topology: *const TopologyDescription, program: *const Program, compile_options: *const c_char,
        compile_options_size: usize, client: *mut Client, executable: *mut Executable,
    }
}

enums! {
    ExtensionType = "PJRT_Extension_Type" {
        GPU_CUSTOM_CALL = "PJRT_Extension_Type_Gpu_Custom_Call" 0,
        PROFILER = "PJRT_Extension_Type_Profiler" 1,
        CUSTOM_PARTITIONER = "PJRT_Extension_Type_Custom_Partitioner" 2,
        STREAM = "PJRT_Extension_Type_Stream" 3,
        LAYOUTS = "PJRT_Extension_Type_Layouts" 4,
        FFI = "PJRT_Extension_Type_FFI" 5,
        MEMORY_DESCRIPTIONS = "PJRT_Extension_Type_MemoryDescriptions" 6,
        TRITON = "PJRT_Extension_Type_Triton" 7,
        RAW_BUFFER = "PJRT_Extension_Type_RawBuffer" 8,
        PHASE_COMPILE = "PJRT_Extension_Type_PhaseCompile" 9,
        EXAMPLE = "PJRT_Extension_Type_Example" 10,
        UNKNOWN = "PJRT_Extension_Type_Unknown" 11,
        CROSS_HOST_TRANSFERS = "PJRT_Extension_Type_CrossHostTransfers" 12,
        EXECUTABLE_METADATA = "PJRT_Extension_Type_ExecutableMetadata" 13,
        CALLBACK = "PJRT_Extension_Type_Callback" 14,
        HOST_ALLOCATOR = "PJRT_Extension_Type_HostAllocator" 15,
    }
    ErrorCode = "PJRT_Error_Code" {
        OK = "PJRT_Error_Code_OK" 0,
        CANCELLED = "PJRT_Error_Code_CANCELLED" 1,
        UNKNOWN = "PJRT_Error_Code_UNKNOWN" 2,
        INVALID_ARGUMENT = "PJRT_Error_Code_INVALID_ARGUMENT" 3,
        DEADLINE_EXCEEDED = "PJRT_Error_Code_DEADLINE_EXCEEDED" 4,
        NOT_FOUND = "PJRT_Error_Code_NOT_FOUND" 5,
        ALREADY_EXISTS = "PJRT_Error_Code_ALREADY_EXISTS" 6,
        PERMISSION_DENIED = "PJRT_Error_Code_PERMISSION_DENIED" 7,
        RESOURCE_EXHAUSTED = "PJRT_Error_Code_RESOURCE_EXHAUSTED" 8,
        FAILED_PRECONDITION = "PJRT_Error_Code_FAILED_PRECONDITION" 9,
        ABORTED = "PJRT_Error_Code_ABORTED" 10,
        OUT_OF_RANGE = "PJRT_Error_Code_OUT_OF_RANGE" 11,
        UNIMPLEMENTED = "PJRT_Error_Code_UNIMPLEMENTED" 12,
        INTERNAL = "PJRT_Error_Code_INTERNAL" 13,
        UNAVAILABLE = "PJRT_Error_Code_UNAVAILABLE" 14,
        DATA_LOSS = "PJRT_Error_Code_DATA_LOSS" 15,
        UNAUTHENTICATED = "PJRT_Error_Code_UNAUTHENTICATED" 16,
    }
    NamedValueType = "PJRT_NamedValue_Type" {
        STRING = "PJRT_NamedValue_kString" 0,
        INT64 = "PJRT_NamedValue_kInt64" 1,
        INT64_LIST = "PJRT_NamedValue_kInt64List" 2,
        FLOAT = "PJRT_NamedValue_kFloat" 3,
        BOOL = "PJRT_NamedValue_kBool" 4,
    }
    ProcessState = "PJRT_ProcessState" {
        UNSPECIFIED = "PJRT_ProcessState_kUnspecified" 0,
        UNINITIALIZED = "PJRT_ProcessState_kUninitialized" 1,
        DISCONNECTED = "PJRT_ProcessState_kDisconnected" 2,
        CONNECTED = "PJRT_ProcessState_kConnected" 3,
        ERROR = "PJRT_ProcessState_kError" 4,
    }
    BufferType = "PJRT_Buffer_Type" {
        INVALID = "PJRT_Buffer_Type_INVALID" 0,
        PRED = "PJRT_Buffer_Type_PRED" 1,
        S8 = "PJRT_Buffer_Type_S8" 2,
        S16 = "PJRT_Buffer_Type_S16" 3,
        S32 = "PJRT_Buffer_Type_S32" 4,
        S64 = "PJRT_Buffer_Type_S64" 5,
        U8 = "PJRT_Buffer_Type_U8" 6,
        U16 = "PJRT_Buffer_Type_U16" 7,
        U32 = "PJRT_Buffer_Type_U32" 8,
        U64 = "PJRT_Buffer_Type_U64" 9,
        F16 = "PJRT_Buffer_Type_F16" 10,
        F32 = "PJRT_Buffer_Type_F32" 11,
        F64 = "PJRT_Buffer_Type_F64" 12,
        BF16 = "PJRT_Buffer_Type_BF16" 13,
        C64 = "PJRT_Buffer_Type_C64" 14,
        C128 = "PJRT_Buffer_Type_C128" 15,
        F8E5M2 = "PJRT_Buffer_Type_F8E5M2" 16,
        F8E4M3FN = "PJRT_Buffer_Type_F8E4M3FN" 17,
        F8E4M3B11FNUZ = "PJRT_Buffer_Type_F8E4M3B11FNUZ" 18,
        F8E5M2FNUZ = "PJRT_Buffer_Type_F8E5M2FNUZ" 19,
        F8E4M3FNUZ = "PJRT_Buffer_Type_F8E4M3FNUZ" 20,
        S4 = "PJRT_Buffer_Type_S4" 21,
        U4 = "PJRT_Buffer_Type_U4" 22,
        TOKEN = "PJRT_Buffer_Type_TOKEN" 23,
        S2 = "PJRT_Buffer_Type_S2" 24,
        U2 = "PJRT_Buffer_Type_U2" 25,
        F8E4M3 = "PJRT_Buffer_Type_F8E4M3" 26,
        F8E3M4 = "PJRT_Buffer_Type_F8E3M4" 27,
        F8E8M0FNU = "PJRT_Buffer_Type_F8E8M0FNU" 28,
        F4E2M1FN = "PJRT_Buffer_Type_F4E2M1FN" 29,
    }
    HostBufferSemantics = "PJRT_HostBufferSemantics" {
        IMMUTABLE_ONLY_DURING_CALL = "PJRT_HostBufferSemantics_kImmutableOnlyDuringCall" 0,
        IMMUTABLE_UNTIL_TRANSFER_COMPLETES = "PJRT_HostBufferSemantics_kImmutableUntilTransferCompletes" 1,
        IMMUTABLE_ZERO_COPY = "PJRT_HostBufferSemantics_kImmutableZeroCopy" 2,
        MUTABLE_ZERO_COPY = "PJRT_HostBufferSemantics_kMutableZeroCopy" 3,
    }
    BufferMemoryLayoutType = "PJRT_Buffer_MemoryLayout_Type" {
        TILED = "PJRT_Buffer_MemoryLayout_Type_Tiled" 0,
        STRIDES = "PJRT_Buffer_MemoryLayout_Type_Strides" 1,
    }
}

impl ExtensionType {
    /// The extension's name in C, without the common prefix; `None` for one that this file does not
    /// know.
    pub fn name(self) -> Option<&'static str> {
        if self == abi_version::ABI_VERSION {
            return Some("AbiVersion");
        }
        let all = ENUMS.iter().find(|layout| layout.c_name == "PJRT_Extension_Type")?;
        let (name, _) = all.values.iter().find(|(_, value)| *value == self.0)?;
        name.strip_prefix("PJRT_Extension_Type_")
    }
}

pub mod abi_version;

/// Every struct of this file except [`Api`], whose functions are in [`FUNCTIONS`].
pub const STRUCTS: &[&[StructLayout]] = &[ODD_STRUCTS, PLAIN_STRUCTS];

api! {
    returning nothing {
        error_destroy: ErrorDestroyArgs = "PJRT_Error_Destroy",
        error_message: ErrorMessageArgs = "PJRT_Error_Message",
    }
    returning an error {
        error_get_code: ErrorGetCodeArgs = "PJRT_Error_GetCode",
        plugin_initialize: PluginInitializeArgs = "PJRT_Plugin_Initialize",
        plugin_attributes: PluginAttributesArgs = "PJRT_Plugin_Attributes",
        event_destroy: EventDestroyArgs = "PJRT_Event_Destroy",
        event_is_ready: EventIsReadyArgs = "PJRT_Event_IsReady",
        event_error: EventErrorArgs = "PJRT_Event_Error",
        event_await: EventAwaitArgs = "PJRT_Event_Await",
        event_on_ready: EventOnReadyArgs = "PJRT_Event_OnReady",
        client_create: ClientCreateArgs = "PJRT_Client_Create",
        client_destroy: ClientDestroyArgs = "PJRT_Client_Destroy",
        client_platform_name: ClientPlatformNameArgs = "PJRT_Client_PlatformName",
        client_process_index: ClientProcessIndexArgs = "PJRT_Client_ProcessIndex",
        client_platform_version: ClientPlatformVersionArgs = "PJRT_Client_PlatformVersion",
        client_devices: ClientDevicesArgs = "PJRT_Client_Devices",
        client_addressable_devices: ClientAddressableDevicesArgs = "PJRT_Client_AddressableDevices",
        client_lookup_device: ClientLookupDeviceArgs = "PJRT_Client_LookupDevice",
        client_lookup_addressable_device: ClientLookupAddressableDeviceArgs = "PJRT_Client_LookupAddressableDevice",
        client_addressable_memories: ClientAddressableMemoriesArgs = "PJRT_Client_AddressableMemories",
        client_compile: ClientCompileArgs = "PJRT_Client_Compile",
        client_default_device_assignment: ClientDefaultDeviceAssignmentArgs = "PJRT_Client_DefaultDeviceAssignment",
        client_buffer_from_host_buffer: ClientBufferFromHostBufferArgs = "PJRT_Client_BufferFromHostBuffer",
        device_description_id: DeviceDescriptionIdArgs = "PJRT_DeviceDescription_Id",
        device_description_process_index: DeviceDescriptionProcessIndexArgs = "PJRT_DeviceDescription_ProcessIndex",
        device_description_attributes: DeviceDescriptionAttributesArgs = "PJRT_DeviceDescription_Attributes",
        device_description_kind: DeviceDescriptionKindArgs = "PJRT_DeviceDescription_Kind",
        device_description_debug_string: DeviceDescriptionDebugStringArgs = "PJRT_DeviceDescription_DebugString",
        device_description_to_string: DeviceDescriptionToStringArgs = "PJRT_DeviceDescription_ToString",
        device_get_description: DeviceGetDescriptionArgs = "PJRT_Device_GetDescription",
        device_is_addressable: DeviceIsAddressableArgs = "PJRT_Device_IsAddressable",
        device_local_hardware_id: DeviceLocalHardwareIdArgs = "PJRT_Device_LocalHardwareId",
        device_addressable_memories: DeviceAddressableMemoriesArgs = "PJRT_Device_AddressableMemories",
        device_default_memory: DeviceDefaultMemoryArgs = "PJRT_Device_DefaultMemory",
        device_memory_stats: DeviceMemoryStatsArgs = "PJRT_Device_MemoryStats",
        memory_id: MemoryIdArgs = "PJRT_Memory_Id",
        memory_kind: MemoryKindArgs = "PJRT_Memory_Kind",
        memory_debug_string: MemoryDebugStringArgs = "PJRT_Memory_DebugString",
        memory_to_string: MemoryToStringArgs = "PJRT_Memory_ToString",
        memory_addressable_by_devices: MemoryAddressableByDevicesArgs = "PJRT_Memory_AddressableByDevices",
        executable_destroy: ExecutableDestroyArgs = "PJRT_Executable_Destroy",
        executable_name: ExecutableNameArgs = "PJRT_Executable_Name",
        executable_num_replicas: ExecutableNumReplicasArgs = "PJRT_Executable_NumReplicas",
        executable_num_partitions: ExecutableNumPartitionsArgs = "PJRT_Executable_NumPartitions",
        executable_num_outputs: ExecutableNumOutputsArgs = "PJRT_Executable_NumOutputs",
        executable_size_of_generated_code_in_bytes: ExecutableSizeOfGeneratedCodeInBytesArgs = "PJRT_Executable_SizeOfGeneratedCodeInBytes",
        executable_get_cost_analysis: ExecutableGetCostAnalysisArgs = "PJRT_Executable_GetCostAnalysis",
        executable_output_memory_kinds: ExecutableOutputMemoryKindsArgs = "PJRT_Executable_OutputMemoryKinds",
        executable_optimized_program: ExecutableOptimizedProgramArgs = "PJRT_Executable_OptimizedProgram",
        executable_serialize: ExecutableSerializeArgs = "PJRT_Executable_Serialize",
        loaded_executable_destroy: LoadedExecutableDestroyArgs = "PJRT_LoadedExecutable_Destroy",
        loaded_executable_get_executable: LoadedExecutableGetExecutableArgs = "PJRT_LoadedExecutable_GetExecutable",
        loaded_executable_addressable_devices: LoadedExecutableAddressableDevicesArgs = "PJRT_LoadedExecutable_AddressableDevices",
        loaded_executable_delete: LoadedExecutableDeleteArgs = "PJRT_LoadedExecutable_Delete",
        loaded_executable_is_deleted: LoadedExecutableIsDeletedArgs = "PJRT_LoadedExecutable_IsDeleted",
        loaded_executable_execute: LoadedExecutableExecuteArgs = "PJRT_LoadedExecutable_Execute",
        executable_deserialize_and_load: ExecutableDeserializeAndLoadArgs = "PJRT_Executable_DeserializeAndLoad",
        loaded_executable_fingerprint: LoadedExecutableFingerprintArgs = "PJRT_LoadedExecutable_Fingerprint",
        buffer_destroy: BufferDestroyArgs = "PJRT_Buffer_Destroy",
        buffer_element_type: BufferElementTypeArgs = "PJRT_Buffer_ElementType",
        buffer_dimensions: BufferDimensionsArgs = "PJRT_Buffer_Dimensions",
        buffer_unpadded_dimensions: BufferUnpaddedDimensionsArgs = "PJRT_Buffer_UnpaddedDimensions",
        buffer_dynamic_dimension_indices: BufferDynamicDimensionIndicesArgs = "PJRT_Buffer_DynamicDimensionIndices",
        buffer_get_memory_layout: BufferGetMemoryLayoutArgs = "PJRT_Buffer_GetMemoryLayout",
        buffer_on_device_size_in_bytes: BufferOnDeviceSizeInBytesArgs = "PJRT_Buffer_OnDeviceSizeInBytes",
        buffer_device: BufferDeviceArgs = "PJRT_Buffer_Device",
        buffer_memory: BufferMemoryArgs = "PJRT_Buffer_Memory",
        buffer_delete: BufferDeleteArgs = "PJRT_Buffer_Delete",
        buffer_is_deleted: BufferIsDeletedArgs = "PJRT_Buffer_IsDeleted",
        buffer_copy_to_device: BufferCopyToDeviceArgs = "PJRT_Buffer_CopyToDevice",
        buffer_to_host_buffer: BufferToHostBufferArgs = "PJRT_Buffer_ToHostBuffer",
        buffer_is_on_cpu: BufferIsOnCpuArgs = "PJRT_Buffer_IsOnCpu",
        buffer_ready_event: BufferReadyEventArgs = "PJRT_Buffer_ReadyEvent",
        buffer_unsafe_pointer: BufferUnsafePointerArgs = "PJRT_Buffer_UnsafePointer",
        buffer_increase_external_reference_count: BufferIncreaseExternalReferenceCountArgs = "PJRT_Buffer_IncreaseExternalReferenceCount",
        buffer_decrease_external_reference_count: BufferDecreaseExternalReferenceCountArgs = "PJRT_Buffer_DecreaseExternalReferenceCount",
        buffer_opaque_device_memory_data_pointer: BufferOpaqueDeviceMemoryDataPointerArgs = "PJRT_Buffer_OpaqueDeviceMemoryDataPointer",
        copy_to_device_stream_destroy: CopyToDeviceStreamDestroyArgs = "PJRT_CopyToDeviceStream_Destroy",
        copy_to_device_stream_add_chunk: CopyToDeviceStreamAddChunkArgs = "PJRT_CopyToDeviceStream_AddChunk",
        copy_to_device_stream_total_bytes: CopyToDeviceStreamTotalBytesArgs = "PJRT_CopyToDeviceStream_TotalBytes",
        copy_to_device_stream_granule_size: CopyToDeviceStreamGranuleSizeArgs = "PJRT_CopyToDeviceStream_GranuleSize",
        copy_to_device_stream_current_bytes: CopyToDeviceStreamCurrentBytesArgs = "PJRT_CopyToDeviceStream_CurrentBytes",
        topology_description_create: TopologyDescriptionCreateArgs = "PJRT_TopologyDescription_Create",
        topology_description_destroy: TopologyDescriptionDestroyArgs = "PJRT_TopologyDescription_Destroy",
        topology_description_platform_name: TopologyDescriptionPlatformNameArgs = "PJRT_TopologyDescription_PlatformName",
        topology_description_platform_version: TopologyDescriptionPlatformVersionArgs = "PJRT_TopologyDescription_PlatformVersion",
        topology_description_get_device_descriptions: TopologyDescriptionGetDeviceDescriptionsArgs = "PJRT_TopologyDescription_GetDeviceDescriptions",
        topology_description_serialize: TopologyDescriptionSerializeArgs = "PJRT_TopologyDescription_Serialize",
        topology_description_attributes: TopologyDescriptionAttributesArgs = "PJRT_TopologyDescription_Attributes",
        compile: CompileArgs = "PJRT_Compile",
        executable_output_element_types: ExecutableOutputElementTypesArgs = "PJRT_Executable_OutputElementTypes",
        executable_output_dimensions: ExecutableOutputDimensionsArgs = "PJRT_Executable_OutputDimensions",
        buffer_copy_to_memory: BufferCopyToMemoryArgs = "PJRT_Buffer_CopyToMemory",
        client_create_view_of_device_buffer: ClientCreateViewOfDeviceBufferArgs = "PJRT_Client_CreateViewOfDeviceBuffer",
        executable_fingerprint: ExecutableFingerprintArgs = "PJRT_Executable_Fingerprint",
        client_topology_description: ClientTopologyDescriptionArgs = "PJRT_Client_TopologyDescription",
        executable_get_compiled_memory_stats: ExecutableGetCompiledMemoryStatsArgs = "PJRT_Executable_GetCompiledMemoryStats",
        memory_kind_id: MemoryKindIdArgs = "PJRT_Memory_Kind_Id",
        execute_context_create: ExecuteContextCreateArgs = "PJRT_ExecuteContext_Create",
        execute_context_destroy: ExecuteContextDestroyArgs = "PJRT_ExecuteContext_Destroy",
        buffer_copy_raw_to_host: BufferCopyRawToHostArgs = "PJRT_Buffer_CopyRawToHost",
        async_host_to_device_transfer_manager_destroy: AsyncHostToDeviceTransferManagerDestroyArgs = "PJRT_AsyncHostToDeviceTransferManager_Destroy",
        async_host_to_device_transfer_manager_transfer_data: AsyncHostToDeviceTransferManagerTransferDataArgs = "PJRT_AsyncHostToDeviceTransferManager_TransferData",
        client_create_buffers_for_async_host_to_device: ClientCreateBuffersForAsyncHostToDeviceArgs = "PJRT_Client_CreateBuffersForAsyncHostToDevice",
        async_host_to_device_transfer_manager_retrieve_buffer: AsyncHostToDeviceTransferManagerRetrieveBufferArgs = "PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer",
        async_host_to_device_transfer_manager_device: AsyncHostToDeviceTransferManagerDeviceArgs = "PJRT_AsyncHostToDeviceTransferManager_Device",
        async_host_to_device_transfer_manager_buffer_count: AsyncHostToDeviceTransferManagerBufferCountArgs = "PJRT_AsyncHostToDeviceTransferManager_BufferCount",
        async_host_to_device_transfer_manager_buffer_size: AsyncHostToDeviceTransferManagerBufferSizeArgs = "PJRT_AsyncHostToDeviceTransferManager_BufferSize",
        async_host_to_device_transfer_manager_set_buffer_error: AsyncHostToDeviceTransferManagerSetBufferErrorArgs = "PJRT_AsyncHostToDeviceTransferManager_SetBufferError",
        async_host_to_device_transfer_manager_add_metadata: AsyncHostToDeviceTransferManagerAddMetadataArgs = "PJRT_AsyncHostToDeviceTransferManager_AddMetadata",
        client_dma_map: ClientDmaMapArgs = "PJRT_Client_DmaMap",
        client_dma_unmap: ClientDmaUnmapArgs = "PJRT_Client_DmaUnmap",
        client_create_uninitialized_buffer: ClientCreateUninitializedBufferArgs = "PJRT_Client_CreateUninitializedBuffer",
        client_update_global_process_info: ClientUpdateGlobalProcessInfoArgs = "PJRT_Client_UpdateGlobalProcessInfo",
        topology_description_deserialize: TopologyDescriptionDeserializeArgs = "PJRT_TopologyDescription_Deserialize",
        client_create_alias_buffer: ClientCreateAliasBufferArgs = "PJRT_Client_CreateAliasBuffer",
        client_fulfill_alias_buffer: ClientFulfillAliasBufferArgs = "PJRT_Client_FulfillAliasBuffer",
        loaded_executable_get_device_assignment: LoadedExecutableGetDeviceAssignmentArgs = "PJRT_LoadedExecutable_GetDeviceAssignment",
    }
}
