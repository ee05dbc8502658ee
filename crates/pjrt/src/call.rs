//! How is a function of a plugin's table called safely? Only through this file, with two
//! exceptions: `table.rs` calls the functions that read an error, and `forward.rs` calls the plugin
//! that another plugin wraps.

use std::ptr::NonNull;

use super::error::PjrtError;
use super::plugin::Plugin;
use super::sys::{self, abi_version};
use super::table::Table;

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
    /// The same as for [`Self::call`].
    pub(super) unsafe fn call_abi_version<A: abi_version::Call>(
        &self,
        args: &mut A,
    ) -> Result<(), PjrtError> {
        let field = |table: Table| {
            // SAFETY: `abi_version::Call` promises an optional function of that type at this
            // offset.
            unsafe { table.field::<Option<sys::ApiFunction<A>>>(A::OFFSET) }.flatten()
        };
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
        function: sys::ApiFunction<A>,
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
    /// The same as for [`Self::call`]. In addition, nothing uses the destroyed handle afterwards.
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
