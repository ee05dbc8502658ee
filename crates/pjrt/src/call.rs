//! The one way into a plugin's function table.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr::NonNull;

use super::error::{ErrorCode, PjrtError};
use super::plugin::Plugin;
use super::sys::{self, abi_version};

/// A plugin's function table, or that of one of its extensions: it may be shorter or longer than
/// the layout here.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// Its first field: its size.
    start: NonNull<usize>,
    /// Bytes that the plugin says the table has; nothing beyond is read.
    pub(super) struct_size: usize,
}

// SAFETY: the table is constant data of a library that is never unloaded.
unsafe impl Send for Table {}
// SAFETY: as above, and it is only read.
unsafe impl Sync for Table {}

impl Table {
    /// Up to the last function without which neither errors can be read nor the plugin be
    /// initialised.
    pub(super) const NEEDED: usize = offset_of!(sys::Api, plugin_initialize) + size_of::<usize>();

    /// Reads the size of the table that a plugin handed out.
    ///
    /// # Safety
    ///
    /// `start` points to a function table that stays valid for good, and whose first field is its
    /// size.
    pub(super) unsafe fn new<T>(start: NonNull<T>) -> Self {
        let start = start.cast::<usize>();
        // SAFETY: the caller's word.
        let struct_size = unsafe { start.read() };
        Self { start, struct_size }
    }

    /// Whether both are one table.
    pub(super) fn is(self, other: Self) -> bool {
        self.start == other.start
    }

    /// The table's field at `offset`, or `None` where the table ends before it.
    ///
    /// # Safety
    ///
    /// A table that reaches so far holds a `T` at `offset`.
    pub(super) unsafe fn field<T: Copy>(self, offset: usize) -> Option<T> {
        if offset + size_of::<T>() > self.struct_size {
            return None;
        }
        // SAFETY: within the table by the check above, and a `T` by the caller's word.
        Some(unsafe { self.start.byte_add(offset).cast::<T>().read() })
    }

    /// The function that takes `A`, if the plugin has it.
    pub(super) fn function<A: sys::Call>(self) -> Option<sys::Function<A>> {
        // SAFETY: `Call` promises an optional function of that type at that offset.
        unsafe { self.field::<Option<sys::Function<A>>>(A::OFFSET) }.flatten()
    }

    /// Reads an error of the plugin's and gives it back.
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
            // SAFETY: complete args over a live error. An error about the error is dropped: there
            // is no end to that.
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
    /// What the header asks of `args`: handles are live and of this plugin, pointers valid for
    /// their counts.
    #[inline]
    pub(super) unsafe fn call<A: sys::Call>(&self, args: &mut A) -> Result<(), PjrtError> {
        let Some(function) = self.table().function::<A>() else {
            return Err(self.missing(A::FUNCTION));
        };
        // SAFETY: the function is the plugin's for this type of args, whose contents the caller
        // vouches for.
        unsafe { self.enter(A::FUNCTION, function, args) }
    }

    /// Calls the function of the `AbiVersion` extension that takes `args`; without the extension
    /// the function is missing.
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
    /// `function` is this plugin's, and takes these args.
    #[inline]
    unsafe fn enter<A>(
        &self,
        name: &'static str,
        function: sys::Function<A>,
        args: &mut A,
    ) -> Result<(), PjrtError> {
        // SAFETY: the caller's word.
        match NonNull::new(unsafe { function(args) }) {
            None => Ok(()),
            // SAFETY: just returned, so ours.
            Some(error) => Err(unsafe { self.table().take_error(name, error) }),
        }
    }

    /// Calls a function that destroys something: a failure is logged, since a drop can do no more.
    ///
    /// # Safety
    ///
    /// As for [`Self::call`]; and nothing uses the destroyed thing afterwards.
    pub(super) unsafe fn destroy<A: sys::Call>(&self, mut args: A) {
        // SAFETY: the caller's word.
        if let Err(error) = unsafe { self.call(&mut args) } {
            tracing::warn!(%error, "the plugin did not take something back");
        }
    }

    /// Refuses early what could not be finished: the plugin must have the function that takes `A`.
    pub(super) fn require<A: sys::Call>(&self) -> Result<(), PjrtError> {
        self.table().function::<A>().map(|_| ()).ok_or_else(|| self.missing(A::FUNCTION))
    }

    /// That the plugin does not have a function.
    #[cold]
    fn missing(&self, function: &'static str) -> PjrtError {
        PjrtError::MissingFunction {
            path: self.path().to_owned(),
            version: self.api_version(),
            function,
        }
    }
}

/// A pointer to something of the plugin's. It is not owned: each type that holds one says who
/// destroys it.
pub(super) struct Handle<T>(NonNull<T>);

// SAFETY: PJRT's objects may be used and destroyed from any thread; nothing here looks behind the
// pointer.
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
    /// The handle that `function` answered; null is an error.
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

/// What a plugin gave as pointer and count; null is an empty list.
///
/// # Safety
///
/// Unless null, `start` points to `count` values that stay valid and unchanged for `'a`.
pub(super) unsafe fn list<'a, T>(start: *const T, count: usize) -> &'a [T] {
    if start.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's word, and not null.
    unsafe { std::slice::from_raw_parts(start, count) }
}

/// A copy of bytes that a plugin gave as pointer and length.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn bytes(start: *const c_char, length: usize) -> Vec<u8> {
    // SAFETY: the caller's word.
    unsafe { list(start.cast::<u8>(), length) }.to_vec()
}

/// A copy of text that a plugin gave as pointer and length; what is not UTF-8 is replaced.
///
/// # Safety
///
/// Unless null, `start` points to `length` bytes.
pub(super) unsafe fn text(start: *const c_char, length: usize) -> String {
    // SAFETY: the caller's word.
    String::from_utf8_lossy(unsafe { list(start.cast::<u8>(), length) }).into_owned()
}
