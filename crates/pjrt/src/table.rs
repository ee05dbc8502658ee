//! What is in a plugin's table, and how are the lists and texts that a plugin returns read?

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr::NonNull;

use super::error::{ErrorCode, PjrtError};
use super::sys;

/// The function table of a plugin or of one of its extensions. It may be shorter or longer than the
/// layout in `sys`.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// Points to its first field, which is its size.
    start: NonNull<usize>,
    /// The size that the plugin reports for the table; nothing beyond it is read.
    pub(super) struct_size: usize,
}

// SAFETY: the table is constant data of a library that is never unloaded.
unsafe impl Send for Table {}
// SAFETY: as above, and it is only read.
unsafe impl Sync for Table {}

impl Table {
    /// The size up to the last function that must exist: without these, errors cannot be read and
    /// the plugin cannot be initialised.
    pub(super) const NEEDED: usize = offset_of!(sys::Api, plugin_initialize) + size_of::<usize>();

    /// Reads the size of a table that a plugin returned.
    ///
    /// # Safety
    ///
    /// `start` points to a function table that stays valid for the rest of the process, and whose
    /// first field is its size.
    pub(super) unsafe fn new<T>(start: NonNull<T>) -> Self {
        let start = start.cast::<usize>();
        // SAFETY: the caller vouches for it.
        let struct_size = unsafe { start.read() };
        Self { start, struct_size }
    }

    /// Whether both are the same table.
    pub(super) fn is(self, other: Self) -> bool {
        self.start == other.start
    }

    /// The table's field at `offset`, or `None` if the table ends before it.
    ///
    /// # Safety
    ///
    /// A table that reaches as far as `offset` holds a `T` there.
    pub(super) unsafe fn field<T: Copy>(self, offset: usize) -> Option<T> {
        if offset + size_of::<T>() > self.struct_size {
            return None;
        }
        // SAFETY: the check above shows that the field is within the table, and the caller vouches
        // for its type.
        Some(unsafe { self.start.byte_add(offset).cast::<T>().read() })
    }

    /// The function that takes `A`, if the plugin has it.
    pub(super) fn function<A: sys::Call>(self) -> Option<sys::ApiFunction<A>> {
        // SAFETY: `Call` promises an optional function of that type at that offset.
        unsafe { self.field::<Option<sys::ApiFunction<A>>>(A::OFFSET) }.flatten()
    }

    /// Reads an error of the plugin and destroys it.
    ///
    /// # Safety
    ///
    /// `error` is an error that this plugin returned and that nobody has destroyed.
    pub(super) unsafe fn take_error(
        self,
        function: &'static str,
        error: NonNull<sys::Error>,
    ) -> PjrtError {
        let mut code = sys::ErrorGetCodeArgs {
            error: error.as_ptr(),
            code: sys::ErrorCode::UNKNOWN,
            ..sys::Args::new()
        };
        if let Some(get_code) = self.function::<sys::ErrorGetCodeArgs>() {
            // SAFETY: complete args with a live error. If reading the code fails with a second
            // error, the second error is ignored, because reading it could fail in the same way.
            let _ = unsafe { get_code(&raw mut code) };
        }
        let mut message = sys::ErrorMessageArgs { error: error.as_ptr(), ..sys::Args::new() };
        // SAFETY: the field's type is the one declared in `sys::Api`.
        let get_message = unsafe {
            self.field::<Option<unsafe extern "C" fn(*mut sys::ErrorMessageArgs)>>(offset_of!(
                sys::Api,
                error_message
            ))
        };
        if let Some(get_message) = get_message.flatten() {
            // SAFETY: complete args over a live error.
            unsafe { get_message(&raw mut message) };
        }
        // SAFETY: the message lives as long as the error, which is destroyed below; `text` copies
        // it.
        let message = unsafe { text(message.message, message.message_size) };
        // SAFETY: the field's type is the one declared in `sys::Api`.
        let destroy = unsafe {
            self.field::<Option<unsafe extern "C" fn(*mut sys::ErrorDestroyArgs)>>(offset_of!(
                sys::Api,
                error_destroy
            ))
        };
        if let Some(destroy) = destroy.flatten() {
            let mut args = sys::ErrorDestroyArgs { error: error.as_ptr(), ..sys::Args::new() };
            // SAFETY: the caller hands over the error, and this is its last use.
            unsafe { destroy(&raw mut args) };
        }
        PjrtError::Call { function, code: ErrorCode::from_raw(code.code), message }
    }
}

/// A list that a plugin returned as pointer and count; a null pointer is an empty list.
///
/// # Safety
///
/// Unless null, `start` points to `count` values that stay valid and unchanged for `'a`.
pub(super) unsafe fn list<'a, T>(start: *const T, count: usize) -> &'a [T] {
    if start.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the pointer is not null, and the caller vouches for the rest.
    unsafe { std::slice::from_raw_parts(start, count) }
}

/// A copy of bytes that a plugin returned as pointer and length.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn bytes(start: *const c_char, length: usize) -> Vec<u8> {
    // SAFETY: the caller vouches for the bytes.
    unsafe { list(start.cast::<u8>(), length) }.to_vec()
}

/// A copy of text that a plugin returned as pointer and length; bytes that are not UTF-8 are
/// replaced.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn text(start: *const c_char, length: usize) -> String {
    // SAFETY: the caller vouches for the bytes.
    String::from_utf8_lossy(unsafe { list(start.cast::<u8>(), length) }).into_owned()
}
