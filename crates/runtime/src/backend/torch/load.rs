//! How is the torch library loaded?
//!
//! libtorch is loaded first, by absolute path, so that nothing depends on the loader's search path.

use std::error::Error as _;
use std::path::Path;

use libloading::Library;
use preheat_io::library::missing_bytes;
use preheat_torch_abi::{Entry, INTERFACE_VERSION, LIBTORCH_VERSION, SYMBOL, TorchApi};

use super::error::TorchError;
use super::find::{TorchLibraries, libtorch_file};

/// The libraries of libtorch that add the GPUs. If one of them exists, loading it is enough.
const ADDED: [&str; 2] = ["torch_cuda", "torch_hip"];

/// Loads libtorch and the torch library, and returns the library's table of functions. Neither
/// library is ever unloaded, because libtorch has threads of its own.
pub(super) fn load(libraries: &TorchLibraries) -> Result<&'static TorchApi, TorchError> {
    let path = libraries.libtorch.join(libtorch_file("torch_cpu"));
    let libtorch = open(&path)?;
    let found = libtorch_version(&libtorch);
    // It stays loaded even if it does not fit: a library cannot be unloaded safely.
    std::mem::forget(libtorch);
    if found != Some(LIBTORCH_VERSION) {
        return Err(TorchError::AnotherLibtorch { path, found });
    }
    for path in ADDED
        .map(|stem| libraries.libtorch.join(libtorch_file(stem)))
        .iter()
        .filter(|path| path.is_file())
    {
        match open(path) {
            Ok(library) => std::mem::forget(library),
            Err(error) => tracing::warn!(cause = error.source(), "no card can be used: {error}"),
        }
    }
    let library = open(&libraries.backend)?;
    let api = table(&library, &libraries.backend);
    std::mem::forget(library);
    api
}

fn open(path: &Path) -> Result<Library, TorchError> {
    // If the file cannot be read, the dynamic linker gives the better error.
    if let Ok(Some(missing)) = missing_bytes(path) {
        return Err(TorchError::CutShort { path: path.to_owned(), missing });
    }
    // SAFETY: loading runs the initialisation of libtorch and of the torch library, which require
    // nothing of the process. If the file is an unrelated library, the user is responsible for it,
    // as for every plugin.
    unsafe { Library::new(path) }.map_err(|cause| TorchError::Load { path: path.to_owned(), cause })
}

/// The version that libtorch reports, if it has the function for it (from 2.7 on).
fn libtorch_version(library: &Library) -> Option<[u32; 3]> {
    // SAFETY: libtorch declares this function in torch/csrc/inductor/aoti_torch/c/shim.h: it takes
    // no arguments and returns a 64-bit number.
    let version =
        unsafe { library.get::<unsafe extern "C" fn() -> u64>(b"aoti_torch_abi_version\0") }
            .ok()?;
    // SAFETY: it takes nothing and returns a constant.
    let [major, minor, patch, ..] = unsafe { version() }.to_be_bytes();
    Some([major, minor, patch].map(u32::from))
}

fn table(library: &Library, path: &Path) -> Result<&'static TorchApi, TorchError> {
    let none = || TorchError::NoTorchLibrary { path: path.to_owned() };
    // SAFETY: a library that exports this name is built from `torch/`, where it has this type; the
    // version is checked below before anything else is read.
    let entry = unsafe { library.get::<Entry>(SYMBOL.as_bytes()) }.map_err(|_| none())?;
    // SAFETY: it takes no arguments, and returns a pointer to a constant, or null.
    let api = unsafe { entry() };
    if api.is_null() {
        return Err(none());
    }
    // SAFETY: every version of the table begins with its size and its version.
    let (found_bytes, found) = unsafe {
        ((&raw const (*api).struct_size).read(), (&raw const (*api).interface_version).read())
    };
    if found != INTERFACE_VERSION {
        return Err(TorchError::AnotherInterface { path: path.to_owned(), found });
    }
    if found_bytes < size_of::<TorchApi>() {
        return Err(TorchError::ShortTable {
            path: path.to_owned(),
            found_bytes,
            wanted_bytes: size_of::<TorchApi>(),
        });
    }
    // SAFETY: the table has this release's version and at least the size of a `TorchApi`, so it is
    // one; the library stays loaded, and its table is constant.
    Ok(unsafe { &*api })
}
