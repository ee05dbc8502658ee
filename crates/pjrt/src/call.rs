//! How is a function of a plugin's table called safely? This is the only way into the table.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr::NonNull;

use super::error::{ErrorCode, PjrtError};
use super::plugin::Plugin;
use super::sys::{self, abi_version};

/// A plugin's function table, or that of one of its extensions. It may be shorter or longer than
/// the layout in `sys`.
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

    /// The table's field at `offset`, or `None` where the table ends before it.
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
    pub(super) fn function<A: sys::Call>(self) -> Option<sys::Function<A>> {
        // SAFETY: `Call` promises an optional function of that type at that offset.
        unsafe { self.field::<Option<sys::Function<A>>>(A::OFFSET) }.flatten()
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
            // SAFETY: complete args with a live error. If reading the code fails with another
            // error, that one is ignored: reading it could fail in the same way.
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

impl Plugin {
    /// Calls the function that takes `args`.
    ///
    /// # Safety
    ///
    /// The header's requirements on `args` are met: handles are live and belong to this plugin,
    /// pointers are valid for their counts.
    #[inline]
    pub(super) unsafe fn call<A: sys::Call>(&self, args: &mut A) -> Result<(), PjrtError> {
        let Some(function) = self.table().function::<A>() else {
            return Err(self.missing(A::FUNCTION));
        };
        // SAFETY: the function is the plugin's for this type of args, and the caller vouches for
        // their contents.
        unsafe { self.enter(A::FUNCTION, function, args) }
    }

    /// Calls the function of the `AbiVersion` extension that takes `args`. Without the extension,
    /// the function counts as missing.
    ///
    /// # Safety
    ///
    /// As for [`Self::call`].
    pub(super) unsafe fn call_abi_version<A: abi_version::Call>(
        &self,
        args: &mut A,
    ) -> Result<(), PjrtError> {
        // SAFETY: `abi_version::Call` promises an optional function of that type at that offset.
        let field =
            |table: Table| unsafe { table.field::<Option<sys::Function<A>>>(A::OFFSET) }.flatten();
        let Some(function) = self.abi_version().and_then(field) else {
            return Err(self.missing(A::FUNCTION));
        };
        // SAFETY: as in `call`.
        unsafe { self.enter(A::FUNCTION, function, args) }
    }

    /// # Safety
    ///
    /// `function` belongs to this plugin and takes these args.
    #[inline]
    unsafe fn enter<A>(
        &self,
        name: &'static str,
        function: sys::Function<A>,
        args: &mut A,
    ) -> Result<(), PjrtError> {
        // SAFETY: the caller vouches for the function and its args.
        match NonNull::new(unsafe { function(args) }) {
            None => Ok(()),
            // SAFETY: the error was just returned, so nobody has destroyed it.
            Some(error) => Err(unsafe { self.table().take_error(name, error) }),
        }
    }

    /// Calls a function that destroys a handle. A failure is only logged, because a drop cannot
    /// return it.
    ///
    /// # Safety
    ///
    /// As for [`Self::call`]; and nothing uses the destroyed handle afterwards.
    pub(super) unsafe fn destroy<A: sys::Call>(&self, mut args: A) {
        // SAFETY: the caller vouches for the args.
        if let Err(error) = unsafe { self.call(&mut args) } {
            tracing::warn!(%error, "the plugin did not free an object");
        }
    }

    /// Returns an error, before any work is done, if the plugin lacks the function that takes `A`.
    pub(super) fn require<A: sys::Call>(&self) -> Result<(), PjrtError> {
        self.table().function::<A>().map(|_| ()).ok_or_else(|| self.missing(A::FUNCTION))
    }

    /// The error that the plugin lacks a function.
    #[cold]
    fn missing(&self, function: &'static str) -> PjrtError {
        PjrtError::MissingFunction {
            path: self.path().to_owned(),
            version: self.api_version(),
            function,
        }
    }
}

/// A pointer to an object of the plugin. It is not owned: each type that holds one says who
/// destroys it.
pub(super) struct Handle<T>(NonNull<T>);

// SAFETY: PJRT's objects may be used and destroyed from any thread, and nothing here dereferences
// the pointer.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above: PJRT's objects are thread-safe.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> Handle<T> {
    /// The handle that `function` returned; a null pointer is an error.
    pub(super) fn new(raw: *mut T, function: &'static str) -> Result<Self, PjrtError> {
        match NonNull::new(raw) {
            Some(raw) => Ok(Self(raw)),
            None => Err(PjrtError::BadAnswer { function, what: "null".into() }),
        }
    }

    pub(super) fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }
}

/// A list that a plugin gave as pointer and count; a null pointer is an empty list.
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

/// A copy of bytes that a plugin gave as pointer and length.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn bytes(start: *const c_char, length: usize) -> Vec<u8> {
    // SAFETY: the caller vouches for the bytes.
    unsafe { list(start.cast::<u8>(), length) }.to_vec()
}

/// A copy of text that a plugin gave as pointer and length; bytes that are not UTF-8 are replaced.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn text(start: *const c_char, length: usize) -> String {
    // SAFETY: the caller vouches for the bytes.
    String::from_utf8_lossy(unsafe { list(start.cast::<u8>(), length) }).into_owned()
}
