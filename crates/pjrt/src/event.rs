//! When is asynchronous work of a plugin finished? An event reports it.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::call::Handle;
use super::client::Client;
use super::error::PjrtError;
use super::plugin::Plugin;
use super::sys;

/// The completion of asynchronous work: a transfer, or the execution that fills a buffer.
pub struct PjrtEvent {
    client: Client,
    raw: Handle<sys::Event>,
}

type Callback = Box<dyn FnOnce(Result<(), PjrtError>) + Send>;

struct Registered {
    /// This is the plugin and not the client: dropping the last handle of a client here would close
    /// the client on one of the client's own threads.
    plugin: Plugin,
    callback: Callback,
}

impl PjrtEvent {
    /// Takes over an event that `function` returned.
    ///
    /// # Safety
    ///
    /// `raw` is null or an event of `client` that the caller owns.
    pub(super) unsafe fn own(
        client: &Client,
        raw: *mut sys::Event,
        function: &'static str,
    ) -> Result<Self, PjrtError> {
        Ok(Self { client: client.clone(), raw: Handle::new(raw, function)? })
    }

    /// Blocks until the work is finished; returns an error if the work failed.
    pub fn wait(&self) -> Result<(), PjrtError> {
        let mut args = sys::EventAwaitArgs { event: self.raw.as_ptr(), ..sys::Args::new() };
        // SAFETY: the event is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }
    }

    /// Whether the work is finished, successfully or not.
    pub fn is_ready(&self) -> Result<bool, PjrtError> {
        let mut args = sys::EventIsReadyArgs { event: self.raw.as_ptr(), ..sys::Args::new() };
        // SAFETY: the event is live: it is destroyed on drop only.
        unsafe { self.client.plugin().call(&mut args) }?;
        Ok(args.is_ready)
    }

    /// Calls `callback` with the outcome once the work is finished: on a thread of the plugin, or
    /// at once on this thread.
    ///
    /// The callback must be quick and must not call into the plugin. If it panics, the panic is
    /// logged and not passed on. The event may be dropped before the callback runs.
    pub fn on_ready(
        &self,
        callback: impl FnOnce(Result<(), PjrtError>) + Send + 'static,
    ) -> Result<(), PjrtError> {
        self.client.plugin().require::<sys::EventOnReadyArgs>()?;
        let registered =
            Registered { plugin: self.client.plugin().clone(), callback: Box::new(callback) };
        let mut args = sys::EventOnReadyArgs {
            event: self.raw.as_ptr(),
            callback: Some(call_back),
            // If the call fails, this memory is leaked, because the plugin may still call back.
            user_arg: Box::into_raw(Box::new(registered)).cast::<c_void>(),
            ..sys::Args::new()
        };
        // SAFETY: the event is live; the callback takes the box, and nobody else has it.
        unsafe { self.client.plugin().call(&mut args) }
    }
}

/// The function that the plugin calls once for each registration. It takes ownership of `error`.
unsafe extern "C" fn call_back(error: *mut sys::Error, user_arg: *mut c_void) {
    // SAFETY: `on_ready` made the pointer from a box of this type, and each registration is called
    // once.
    let registered = unsafe { Box::from_raw(user_arg.cast::<Registered>()) };
    // No panic may cross into C.
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        let Registered { plugin, callback } = *registered;
        let result = match NonNull::new(error) {
            None => Ok(()),
            // SAFETY: the plugin passes ownership of its error with the call.
            Some(error) => Err(unsafe { plugin.table().take_error("PJRT_Event_OnReady", error) }),
        };
        callback(result);
    }));
    if let Err(panic) = outcome {
        report_panic(panic);
    }
}

/// Logs a panic that must not cross into C.
pub fn report_panic(panic: Box<dyn Any + Send>) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // A log subscriber may panic as well, and that panic must not cross into C either.
    let _ = catch_unwind(|| {
        tracing::error!(message = message.unwrap_or("a panic"), "a callback of an event panicked");
    });
    // Dropping the panic's value could panic again.
    std::mem::forget(panic);
}

impl Drop for PjrtEvent {
    fn drop(&mut self) {
        // SAFETY: owned, and this is its last use; callbacks do not need it.
        unsafe {
            self.client
                .plugin()
                .destroy(sys::EventDestroyArgs { event: self.raw.as_ptr(), ..sys::Args::new() });
        };
    }
}
