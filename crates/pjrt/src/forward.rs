//! How can single functions of a plugin be replaced, while it still serves all others? By a
//! function table that stands in front of the table of this plugin, the real plugin, and forwards
//! to it.
//!
//! [`Real`] is the real plugin. [`Table`] is a copy of its table, in which any entry can be
//! replaced by an implementation of [`Override`] for the function's args. The caller sees no
//! difference between an error of the wrapping plugin and an error of the real plugin: the three
//! error functions of a [`Table`] find out which of the two made the error. A panic in an override
//! becomes an error of code `INTERNAL`.
//!
//! The copy has every byte of the real plugin's table, even if that table is longer than the layout
//! in [`sys`]: a caller that reads a version from the table expects the functions of that version.
//!
//! The test plugin and the caching plugin are built on this module, which depends on neither of
//! them.

use std::collections::HashSet;
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use crate::sys::{
    self, Api, ApiFunction, Args, Call, Error, ErrorCode, ErrorDestroyArgs, ErrorGetCodeArgs,
    ErrorMessageArgs, ExtensionBase, GetPjrtApi,
};

/// The reasons why a real plugin could not be put behind a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The dynamic loader refused the file, or it does not export `GetPjrtApi`.
    #[error("cannot load the real plugin {}: {source}", path.display())]
    Load {
        /// The file that was opened.
        path: PathBuf,
        /// The loader's error.
        source: libloading::Error,
    },
    /// The file is the wrapping plugin itself.
    #[error("{} cannot wrap itself", path.display())]
    Itself {
        /// The file that was opened.
        path: PathBuf,
    },
    /// `GetPjrtApi` returned null, or a table that ends before its error functions.
    #[error("{} exports GetPjrtApi, but the table it returns is empty", path.display())]
    NoTable {
        /// The file that was opened.
        path: PathBuf,
    },
}

/// A real plugin, loaded for as long as the process lives.
#[derive(Debug)]
pub struct Real {
    api: *const Api,
    /// How many bytes of the table may be read.
    struct_size: usize,
}

// SAFETY: the table is never written to after the plugin returns it, and PJRT's functions may be
// called from any thread.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

impl Real {
    /// Loads the plugin at `path`, which is then never unloaded. Returns an error if the plugin's
    /// entry point is `own`, the entry point of the wrapping plugin.
    pub fn open(path: &Path, own: Option<GetPjrtApi>) -> Result<&'static Self, OpenError> {
        let load = |source| OpenError::Load { path: path.to_owned(), source };
        // SAFETY: the user who names a plugin vouches for its initialisers; there is no way to
        // check them.
        let library = unsafe { libloading::Library::new(path) }.map_err(load)?;
        // SAFETY: PJRT gives this symbol this type.
        let api = match unsafe { library.get::<GetPjrtApi>(b"GetPjrtApi\0") } {
            Ok(get) if own.is_some_and(|own| std::ptr::fn_addr_eq(own, *get)) => {
                return Err(OpenError::Itself { path: path.to_owned() });
            }
            // SAFETY: the function takes no arguments and may be called at any time.
            Ok(get) => unsafe { get() },
            Err(source) => return Err(load(source)),
        };
        std::mem::forget(library);
        if api.is_null() {
            return Err(OpenError::NoTable { path: path.to_owned() });
        }
        // SAFETY: the pointer is not null, and the first field of every table is its size.
        let struct_size = unsafe { api.cast::<usize>().read() };
        if struct_size < ERROR_FUNCTIONS_END {
            return Err(OpenError::NoTable { path: path.to_owned() });
        }
        Ok(Box::leak(Box::new(Self { api, struct_size })))
    }

    /// Calls the plugin's function that takes `A`. If the plugin does not have that function, the
    /// result is an error of code `UNIMPLEMENTED`.
    ///
    /// # Safety
    ///
    /// `args` must meet the header's requirements on the function's caller: handles are live, and
    /// pointers cover the sizes beside them.
    pub unsafe fn call<A: Call>(&'static self, args: &mut A) -> Result<(), Raised> {
        let missing = || {
            Raised::ours(
                ErrorCode::UNIMPLEMENTED,
                format!("the real plugin has no {}", A::FUNCTION),
            )
        };
        if A::OFFSET + size_of::<ApiFunction<A>>() > self.struct_size {
            return Err(missing());
        }
        // SAFETY: the line above checked that the table reaches that far; `Call` names the type of
        // the field.
        let function =
            unsafe { self.api.byte_add(A::OFFSET).cast::<Option<ApiFunction<A>>>().read() }
                .ok_or_else(missing)?;
        // SAFETY: the caller vouches for the args.
        match NonNull::new(unsafe { function(args) }) {
            None => Ok(()),
            Some(error) => Err(Raised::Theirs(Theirs { error, real: self })),
        }
    }

    /// The plugin's version of the PJRT C API: major and minor.
    pub fn version(&self) -> (c_int, c_int) {
        // SAFETY: `open` checked that the table reaches beyond its version.
        let version = unsafe { (&raw const (*self.api).pjrt_api_version).read() };
        (version.major_version, version.minor_version)
    }
}

/// The smallest size of a table, which must contain the error functions.
const ERROR_FUNCTIONS_END: usize =
    <ErrorGetCodeArgs as Call>::OFFSET + size_of::<Option<ApiFunction<ErrorGetCodeArgs>>>();

/// An error that the real plugin made; it is freed when this value is dropped.
#[derive(Debug)]
pub struct Theirs {
    error: NonNull<Error>,
    real: &'static Real,
}

impl Theirs {
    /// Its code and message.
    pub fn describe(&self) -> (ErrorCode, String) {
        let mut code = ErrorGetCodeArgs { error: self.error.as_ptr(), ..Args::new() };
        // SAFETY: the error lives as long as `self`.
        let code = match unsafe { self.real.call(&mut code) } {
            Ok(()) => code.code,
            Err(_) => ErrorCode::UNKNOWN,
        };
        let mut message = ErrorMessageArgs { error: self.error.as_ptr(), ..Args::new() };
        // SAFETY: `open` checked that the table holds the error functions; this field is one of
        // them.
        let function = unsafe { (&raw const (*self.real.api).error_message).read() };
        if let Some(function) = function {
            // SAFETY: the error lives as long as `self`, and the args are the header's.
            unsafe { function(&raw mut message) };
        }
        // SAFETY: the plugin filled in a message that lives as long as the error. The pointer is
        // null only if there is no message.
        let message = unsafe { bytes(message.message, message.message_size) };
        (code, String::from_utf8_lossy(message).into_owned())
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let mut args = ErrorDestroyArgs { error: self.error.as_ptr(), ..Args::new() };
        // SAFETY: `open` checked that the table holds the error functions; this field is one of
        // them.
        if let Some(function) = unsafe { (&raw const (*self.real.api).error_destroy).read() } {
            // SAFETY: the error is owned by `self` and not used again.
            unsafe { function(&raw mut args) };
        }
    }
}

/// The error that a call ended with.
#[derive(Debug)]
pub enum Raised {
    /// The real plugin's error.
    Theirs(Theirs),
    /// An error that the wrapping plugin raised.
    Ours {
        /// The code that the caller reads.
        code: ErrorCode,
        /// The message that the caller reads.
        message: String,
    },
}

impl Raised {
    /// An error that the wrapping plugin raises.
    pub fn ours(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Ours { code, message: message.into() }
    }

    /// Code and message of the error, from either side.
    pub fn describe(&self) -> (ErrorCode, String) {
        match self {
            Self::Theirs(theirs) => theirs.describe(),
            Self::Ours { code, message } => (*code, message.clone()),
        }
    }

    /// A pointer for the caller, who frees it through the table.
    fn into_raw(self) -> *mut Error {
        match self {
            Self::Theirs(theirs) => {
                let error = theirs.error.as_ptr();
                std::mem::forget(theirs);
                error
            }
            Self::Ours { code, message } => {
                let error = Box::into_raw(Box::new(OwnError { code, message })).cast::<Error>();
                OWN_ERRORS.lock().unwrap_or_else(PoisonError::into_inner).insert(error as usize);
                error
            }
        }
    }
}

struct OwnError {
    code: ErrorCode,
    message: String,
}

/// Addresses of the wrapping plugin's errors that callers still hold.
static OWN_ERRORS: LazyLock<Mutex<HashSet<usize>>> = LazyLock::new(Mutex::default);

/// The real plugin behind this process's table.
static REAL: OnceLock<&'static Real> = OnceLock::new();

fn own_error<'a>(error: *const Error) -> Option<&'a OwnError> {
    let own = OWN_ERRORS.lock().unwrap_or_else(PoisonError::into_inner).contains(&(error as usize));
    // SAFETY: an address in the set was leaked by `into_raw` and not yet freed by `error_destroy`;
    // the caller may use it until then.
    own.then(|| unsafe { &*error.cast::<OwnError>() })
}

unsafe extern "C" fn error_destroy(args: *mut ErrorDestroyArgs) {
    // SAFETY: the header requires a valid struct, which holds this field in every
    // version.
    let error = unsafe { (*args).error };
    if OWN_ERRORS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(error as usize)) {
        // SAFETY: the address was in the set, so `into_raw` leaked it as this type. It is no longer
        // in the set, so nothing else frees it.
        drop(unsafe { Box::from_raw(error.cast::<OwnError>()) });
    } else if let (Some(real), Some(error)) = (REAL.get(), NonNull::new(error)) {
        drop(Theirs { error, real });
    }
}

unsafe extern "C" fn error_message(args: *mut ErrorMessageArgs) {
    // SAFETY: the header requires a valid struct, which holds these fields in every
    // version.
    let args = unsafe { &mut *args };
    if let Some(own) = own_error(args.error) {
        args.message = own.message.as_ptr().cast();
        args.message_size = own.message.len();
    } else if let Some(real) = REAL.get() {
        // SAFETY: `Real::open` checked that the table holds the error functions; this field is one
        // of them.
        if let Some(function) = unsafe { (&raw const (*real.api).error_message).read() } {
            // SAFETY: the caller's own args, and the error is not one of ours.
            unsafe { function(args) };
        }
    }
}

unsafe extern "C" fn error_get_code(args: *mut ErrorGetCodeArgs) -> *mut Error {
    // SAFETY: the header requires a valid struct, which holds these fields in every
    // version.
    let args = unsafe { &mut *args };
    if let Some(own) = own_error(args.error) {
        args.code = own.code;
    } else if let Some(real) = REAL.get() {
        // SAFETY: the caller's own args, and the error is not one of ours.
        if let Err(raised) = unsafe { real.call(args) } {
            return raised.into_raw();
        }
    }
    ptr::null_mut()
}

/// A call from the caller, with its args and the means to forward it to the real plugin.
pub struct Incoming<'a, A: Call> {
    args: &'a mut A,
    real: Option<&'static Real>,
}

impl<A: Call> Incoming<'_, A> {
    /// The args that the caller sent. After [`Incoming::forward`] they hold what the plugin filled
    /// in.
    pub fn args(&self) -> &A {
        self.args
    }

    /// The real plugin.
    ///
    /// # Errors
    /// If there is none.
    pub fn real(&self) -> Result<&'static Real, Raised> {
        self.real.ok_or_else(|| {
            Raised::ours(ErrorCode::FAILED_PRECONDITION, "there is no real plugin behind this one")
        })
    }

    /// Forwards the call with its present args.
    pub fn forward(&mut self) -> Result<(), Raised> {
        let real = self.real()?;
        // SAFETY: the caller vouched for these args by calling. Code that changed them since
        // vouched for its changes (`args_mut`).
        unsafe { real.call(self.args) }
    }

    /// Fills in the function's results and ends the call.
    pub fn answer(self, fill: impl FnOnce(&mut A)) {
        fill(self.args);
    }

    /// The args, to change what is forwarded.
    ///
    /// # Safety
    ///
    /// The changed args must meet the header's requirements on the function's caller until the last
    /// [`Incoming::forward`].
    pub unsafe fn args_mut(&mut self) -> &mut A {
        self.args
    }
}

/// A function that replaces the real plugin's function for the same args. `Plugin` is a marker type
/// of the crate that implements this trait. It keeps the overrides of one wrapping plugin apart
/// from those of another.
pub trait Override<Plugin>: Call {
    /// Serves a call. The implementation decides whether to forward it.
    fn serve(call: Incoming<'_, Self>) -> Result<(), Raised>;
}

/// The C function that a [`Table`] holds for an [`Override`].
///
/// # Safety
///
/// The caller meets the header's requirements on callers of the function that takes `A`.
unsafe extern "C" fn entry<Plugin, A: Override<Plugin> + Copy>(args: *mut A) -> *mut Error {
    let serve = |args: &mut A| A::serve(Incoming { args, real: REAL.get().copied() });
    // SAFETY: the caller vouches for the args.
    unsafe { answered(A::FUNCTION, args, serve) }
}

/// Serves a call of `function`. An error that `serve` raises, or a panic in it, becomes the
/// caller's error.
///
/// # Safety
///
/// The caller meets the header's requirements on callers of the function.
pub unsafe fn answered<A: Args + Copy>(
    function: &str,
    args: *mut A,
    serve: impl FnOnce(&mut A) -> Result<(), Raised>,
) -> *mut Error {
    let served = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: every args struct starts with its size.
        let given = unsafe { args.cast::<usize>().read() };
        if given >= A::STRUCT_SIZE {
            // SAFETY: the size says that the caller's struct holds all fields of `A`.
            return serve(unsafe { &mut *args });
        }
        // The caller uses an older header: its struct is too short to be an `A`.
        let mut whole = A::new();
        // SAFETY: the caller's struct has `given` bytes, and `whole` has more.
        unsafe {
            ptr::copy_nonoverlapping(args.cast::<u8>(), (&raw mut whole).cast::<u8>(), given);
        };
        let served = serve(&mut whole);
        // SAFETY: the same bytes the other way.
        unsafe {
            ptr::copy_nonoverlapping((&raw const whole).cast::<u8>(), args.cast::<u8>(), given);
        };
        served
    }));
    match served {
        Ok(Ok(())) => ptr::null_mut(),
        Ok(Err(raised)) => raised.into_raw(),
        Err(panic) => {
            let reason = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref().cloned());
            let message = format!("{function} panicked: {}", reason.unwrap_or_default());
            Raised::ours(ErrorCode::INTERNAL, message).into_raw()
        }
    }
}

unsafe extern "C" fn unimplemented(_args: *mut c_void) -> *mut Error {
    Raised::ours(ErrorCode::UNIMPLEMENTED, "this plugin does not implement the function").into_raw()
}

/// The table has no function of this name.
#[derive(Debug, thiserror::Error)]
#[error("PJRT has no function `{0}` that returns an error")]
pub struct UnknownFunction(pub String);

/// A table under construction: a copy of the real plugin's, for the overrides of `Plugin`.
#[derive(Debug)]
pub struct Table<Plugin> {
    /// The table as machine words, because it can be longer than [`Api`], but never shorter.
    words: Box<[usize]>,
    plugin: PhantomData<Plugin>,
}

impl<Plugin> Table<Plugin> {
    /// Makes a table in front of `real`. Without `real`, all functions except the error functions
    /// are missing.
    ///
    /// A process has one real plugin: the `real` of the first call is kept.
    pub fn new(real: Option<&'static Real>) -> Self {
        let word = size_of::<usize>();
        let theirs = real.map_or(0, |real| real.struct_size);
        let words = vec![0; Api::STRUCT_SIZE.max(theirs).div_ceil(word)].into_boxed_slice();
        let mut table = Self { words, plugin: PhantomData };
        let api = table.api();
        if let Some(real) = real {
            let _ = REAL.set(real);
            // SAFETY: both tables have at least `theirs` bytes, and a new box does not overlap the
            // plugin's.
            unsafe { ptr::copy_nonoverlapping(real.api.cast::<u8>(), api.cast::<u8>(), theirs) };
        } else {
            let pjrt_api_version = sys::ApiVersion {
                major_version: sys::API_MAJOR,
                minor_version: sys::API_MINOR,
                ..Args::new()
            };
            // SAFETY: the words hold a whole `Api` and are aligned for it.
            unsafe { api.write(Api { pjrt_api_version, ..Api::new() }) };
        }
        // SAFETY: the words hold a whole `Api`, and `Real::open` checked that the real plugin's
        // table reaches these three functions.
        let api = unsafe { &mut *api };
        api.error_destroy = Some(error_destroy);
        api.error_message = Some(error_message);
        api.error_get_code = Some(error_get_code);
        table
    }

    /// The part of the table that [`Api`] describes.
    fn api(&mut self) -> *mut Api {
        self.words.as_mut_ptr().cast()
    }

    /// How many bytes the caller may read.
    fn struct_size(&mut self) -> &mut usize {
        &mut self.words[0]
    }

    /// Puts `A`'s override into the table. A table that does not reach that far stays unchanged.
    pub fn set<A: Override<Plugin> + Copy>(&mut self) {
        self.put(A::OFFSET, Some(entry::<Plugin, A> as ApiFunction<A>));
    }

    /// Writes a function pointer; its type follows from the offset.
    fn put<A>(&mut self, offset: usize, function: Option<ApiFunction<A>>) {
        if offset + size_of::<Option<ApiFunction<A>>>() <= *self.struct_size() {
            // SAFETY: the line above checked that the words hold these bytes; every offset that is
            // passed in belongs to a function.
            unsafe {
                self.api().byte_add(offset).cast::<Option<ApiFunction<A>>>().write(function);
            };
        }
    }

    fn offset(name: &str) -> Result<usize, UnknownFunction> {
        let quiet = ["PJRT_Error_Destroy", "PJRT_Error_Message"];
        let found =
            sys::FUNCTIONS.iter().find(|(known, _)| *known == name && !quiet.contains(known));
        found.map(|(_, offset)| *offset).ok_or_else(|| UnknownFunction(name.to_owned()))
    }

    /// Leaves a null pointer in the place of the function.
    pub fn remove(&mut self, name: &str) -> Result<(), UnknownFunction> {
        self.put::<c_void>(Self::offset(name)?, None);
        Ok(())
    }

    /// Makes the function return an error of code `UNIMPLEMENTED`.
    pub fn unimplement(&mut self, name: &str) -> Result<(), UnknownFunction> {
        self.put::<c_void>(Self::offset(name)?, Some(unimplemented));
        Ok(())
    }

    /// Makes the table end right behind the function.
    pub fn end_after(&mut self, name: &str) -> Result<(), UnknownFunction> {
        let end = Self::offset(name)? + size_of::<Option<ApiFunction<c_void>>>();
        let struct_size = self.struct_size();
        *struct_size = end.min(*struct_size);
        Ok(())
    }

    /// Puts an extension in front of the real plugin's extensions; `extension` receives a pointer
    /// to the first of these.
    pub fn extend(
        &mut self,
        extension: impl FnOnce(*mut ExtensionBase) -> Option<*mut ExtensionBase>,
    ) {
        // SAFETY: the words hold a whole `Api`, and every byte pattern that was copied into it is
        // one that a plugin made.
        let api = unsafe { &mut *self.api() };
        if let Some(first) = extension(api.extension_start) {
            api.extension_start = first;
        }
    }

    /// Changes the version that the table claims.
    pub fn claim_version(&mut self, major: c_int, minor: c_int) {
        // SAFETY: as in `extend`.
        let api = unsafe { &mut *self.api() };
        api.pjrt_api_version.major_version = major;
        api.pjrt_api_version.minor_version = minor;
    }

    /// The finished table; it is never freed.
    pub fn leak(self) -> *const Api {
        Box::leak(self.words).as_ptr().cast()
    }
}

/// The bytes behind a pointer and a size as PJRT passes them; an empty slice for a null pointer.
///
/// # Safety
///
/// A pointer that is not null must cover `size` bytes, and nobody may write to them for as long as
/// the result is used.
pub unsafe fn bytes<'a>(pointer: *const c_char, size: usize) -> &'a [u8] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(pointer.cast(), size) }
}
