//! Where are the torch library and the libtorch that it needs?
//!
//! The search loads no library and starts no process.
//!
//! | what | looked for, in this order |
//! |---|---|
//! | the torch library | `PREHEAT_TORCH_BACKEND`; beside the executable; `torch/` in the data folder |
//! | libtorch | `LIBTORCH`, as tch reads it; `lib/` beside the torch library; the torch library's folder; the sets in `torch/` of the data folder |
//!
//! If a variable names something that does not exist, the search ends with an error, because the
//! user set the variable on purpose.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use preheat_plugins::{data_dir, libtorch_damage, libtorch_folders, process_env};

use super::error::TorchError;

/// The environment variable that names the torch library.
pub const BACKEND_VARIABLE: &str = "PREHEAT_TORCH_BACKEND";
/// The environment variable that names a libtorch: a folder with `lib/` in it.
pub const LIBTORCH_VARIABLE: &str = "LIBTORCH";

/// The inputs of a search. Tests make their own; programs use [`TorchLookup::from_process`].
pub struct TorchLookup<'a> {
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder of the executable.
    pub beside: Option<PathBuf>,
    /// The user's data folder.
    pub data_dir: Option<PathBuf>,
}

impl TorchLookup<'static> {
    /// The environment and the folders of this process.
    pub fn from_process() -> Self {
        let beside =
            std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
        Self { env: &process_env, beside, data_dir: data_dir(&process_env) }
    }
}

/// The files to load.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TorchLibraries {
    /// The torch library.
    pub backend: PathBuf,
    /// The folder of libtorch's libraries.
    pub libtorch: PathBuf,
}

/// The file name of the torch library on this system.
pub fn backend_file() -> String {
    format!("{DLL_PREFIX}preheat_torch{DLL_SUFFIX}")
}

/// The file name of one of libtorch's libraries on this system.
pub(super) fn libtorch_file(stem: &str) -> String {
    format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}")
}

/// Looks for the torch library and its libtorch.
///
/// # Errors
/// If one of them is not found. The error lists every place that was searched, or names the
/// variable that points to nothing.
pub fn find(lookup: &TorchLookup<'_>) -> Result<TorchLibraries, TorchError> {
    let backend = find_backend(lookup)?;
    let libtorch = find_libtorch(lookup, &backend)?;
    Ok(TorchLibraries { backend, libtorch })
}

/// The torch library, if it is found; libtorch is not looked for.
pub fn installed_library(lookup: &TorchLookup<'_>) -> Option<PathBuf> {
    find_backend(lookup).ok()
}

/// Whether both the torch library and libtorch are found.
pub fn is_installed(lookup: &TorchLookup<'_>) -> bool {
    find(lookup).is_ok()
}

fn find_backend(lookup: &TorchLookup<'_>) -> Result<PathBuf, TorchError> {
    if let Some(path) = named(lookup, BACKEND_VARIABLE) {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(TorchError::Dangling { variable: BACKEND_VARIABLE, path })
        };
    }
    let mut places = format!("  {BACKEND_VARIABLE}: not set");
    let installed = lookup.data_dir.as_ref().map(|folder| folder.join("torch"));
    let folders = [("beside the executable", lookup.beside.clone()), ("data folder", installed)];
    for (origin, path) in folders
        .into_iter()
        .filter_map(|(origin, folder)| Some((origin, folder?.join(backend_file()))))
    {
        if path.is_file() {
            return Ok(absolute(&path));
        }
        let _ = write!(places, "\n  {origin}: {}: not there", path.display());
    }
    Err(TorchError::NotInstalled { places })
}

fn find_libtorch(lookup: &TorchLookup<'_>, backend: &Path) -> Result<PathBuf, TorchError> {
    let file = libtorch_file("torch_cpu");
    if let Some(path) = named(lookup, LIBTORCH_VARIABLE) {
        let found = [path.join("lib"), path.clone()]
            .into_iter()
            .find(|folder| folder.join(&file).is_file());
        return found.ok_or(TorchError::Dangling {
            variable: LIBTORCH_VARIABLE,
            path: path.join("lib").join(file),
        });
    }
    let beside =
        backend.parent().into_iter().flat_map(|folder| [folder.join("lib"), folder.to_owned()]);
    let installed = lookup.data_dir.iter().flat_map(|folder| libtorch_folders(folder));
    let mut places = format!("  {LIBTORCH_VARIABLE}: not set");
    for folder in beside.chain(installed) {
        let found = folder.join(&file);
        let problem =
            if found.is_file() { libtorch_damage(&folder) } else { Some("not there".to_owned()) };
        let Some(problem) = problem else { return Ok(absolute(&folder)) };
        let _ = write!(places, "\n  {}: {problem}", found.display());
    }
    Err(TorchError::NoLibtorch { backend: backend.to_owned(), places })
}

/// The path in a variable; an empty variable counts as unset.
fn named(lookup: &TorchLookup<'_>, variable: &str) -> Option<PathBuf> {
    (lookup.env)(variable)
        .filter(|value| !value.is_empty())
        .map(|value| absolute(Path::new(&value)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
