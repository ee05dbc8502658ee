//! How is a plugin loaded? A plugin is a shared library that exports `GetPjrtApi`.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::{ManuallyDrop, offset_of};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use preheat_io::library::missing_bytes;

use super::error::PjrtError;
use super::sys::{self, Args as _};
use super::table::Table;
use super::value::{self, PjrtValue};
use super::version::ApiVersion;

/// A loaded and initialised plugin. Clones share it.
#[derive(Clone)]
pub struct Plugin(Arc<Library>);

/// The library is never unloaded: plugins start threads and register exit handlers that run its
/// code, and libtpu holds a machine-wide lock that is released only at the end of the process.
struct Library {
    path: PathBuf,
    table: Table,
    version: ApiVersion,
    extensions: Vec<sys::ExtensionType>,
    /// The `AbiVersion` extension's table.
    abi_version: Option<Table>,
}

/// Every library that this process has initialised, in the order of opening. A plugin may be
/// initialised only once.
static OPENED: Mutex<Vec<Plugin>> = Mutex::new(Vec::new());

impl Plugin {
    /// Loads and initialises the plugin at `path`. If the same library is open already, it is
    /// shared.
    ///
    /// It is initialised once per process, and stays loaded until the process ends.
    pub fn open(path: &Path) -> Result<Self, PjrtError> {
        let not_found = |cause| PjrtError::PluginNotFound { path: path.to_owned(), cause };
        // Made absolute, because the dynamic linker searches other folders for a bare name.
        let path = path.canonicalize().map_err(not_found)?;
        // A panic while the lock is held leaves the list valid.
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = opened.iter().find(|plugin| plugin.path() == path) {
            return Ok(plugin.clone());
        }
        let start = load(&path)?;
        // SAFETY: `load` got the pointer from the library's GetPjrtApi, and keeps the library
        // loaded for the rest of the process.
        let table = unsafe { Table::new(start) };
        if let Some(plugin) = opened.iter().find(|plugin| plugin.table().is(table)) {
            return Ok(plugin.clone()); // the same file by another name
        }
        let version = check(&path, table)?;
        // SAFETY: the table was checked: it has this major version and reaches beyond the field.
        let extension_start = unsafe {
            table.field::<*const sys::ExtensionBase>(offset_of!(sys::Api, extension_start))
        };
        // SAFETY: the chain is constant data of the library.
        let chain = unsafe { extensions(extension_start.unwrap_or(std::ptr::null())) };
        let extensions = chain.iter().map(|(kind, _)| *kind).collect();
        let abi_version =
            chain.into_iter().find(|(kind, _)| *kind == sys::abi_version::ABI_VERSION);
        let abi_version = abi_version.map(|(_, table)| table);
        let plugin = Self(Arc::new(Library { path, table, version, extensions, abi_version }));
        // SAFETY: complete args; the lock above makes this the first initialisation, unless another
        // copy of this code ran one.
        unsafe { plugin.call(&mut sys::PluginInitializeArgs::new()) }?;
        tracing::debug!(path = %plugin.path().display(), %version, "plugin initialised");
        opened.push(plugin.clone());
        Ok(plugin)
    }

    pub(super) fn table(&self) -> Table {
        self.0.table
    }

    /// The `AbiVersion` extension; `None` if the plugin does not offer it.
    pub(super) fn abi_version(&self) -> Option<Table> {
        self.0.abi_version
    }

    /// Whether the plugin has the `AbiVersion` extension, so that it can say which executables it
    /// accepts.
    pub fn tells_abi_versions(&self) -> bool {
        self.0.abi_version.is_some()
    }

    /// The path that the library was loaded from: absolute, with links resolved.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The version of the PJRT C API that the plugin reports.
    pub fn api_version(&self) -> ApiVersion {
        self.0.version
    }

    /// Properties that the plugin reports, such as `stablehlo_current_version`, a list of three
    /// integers.
    pub fn attributes(&self) -> Result<BTreeMap<String, PjrtValue>, PjrtError> {
        let mut args = sys::PluginAttributesArgs::new();
        // SAFETY: complete args.
        unsafe { self.call(&mut args) }?;
        // SAFETY: the attributes live as long as the plugin.
        Ok(unsafe { value::read_all(args.attributes, args.num_attributes) })
    }

    /// The extensions that the plugin offers, in its order; [`sys::ExtensionType::name`] returns
    /// the name of a known one.
    pub fn extensions(&self) -> &[sys::ExtensionType] {
        &self.0.extensions
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("path", &self.path())
            .field("version", &self.api_version())
            .finish_non_exhaustive()
    }
}

/// Loads the library and gets its table.
fn load(path: &Path) -> Result<NonNull<sys::Api>, PjrtError> {
    let not_a_library = |error: libloading::Error| PjrtError::NotALibrary {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    // If the file cannot be read, the dynamic linker gives the best message.
    if let Ok(Some(missing)) = missing_bytes(path) {
        return Err(PjrtError::CutShort { path: path.to_owned(), missing });
    }
    // SAFETY: loading runs the library's initialisers. The user who names a file as a plugin wants
    // its code to be run.
    let library = unsafe { libloading::Library::new(path) }.map_err(not_a_library)?;
    // SAFETY: every PJRT plugin exports this symbol with this type.
    let entry = unsafe { library.get::<sys::GetPjrtApi>(c"GetPjrtApi") }
        .map_err(|_| PjrtError::NoEntryPoint { path: path.to_owned() })?;
    // SAFETY: as above; it takes nothing.
    let start = unsafe { entry() };
    // The library's code has run by now, so the library stays loaded (see `Library`).
    let _ = ManuallyDrop::new(library);
    NonNull::new(start.cast_mut()).ok_or_else(|| PjrtError::NullApi { path: path.to_owned() })
}

/// The table's version; an error if this library does not support it, or if the table is too short.
fn check(path: &Path, table: Table) -> Result<ApiVersion, PjrtError> {
    let too_short = || PjrtError::TableTooShort {
        path: path.to_owned(),
        struct_size: table.struct_size,
        needed: Table::NEEDED,
    };
    // SAFETY: the version is at the same offset in every table, so it can be read before anything
    // else is known.
    let version = unsafe { table.field::<sys::ApiVersion>(offset_of!(sys::Api, pjrt_api_version)) }
        .ok_or_else(too_short)?;
    let plugin = ApiVersion { major: version.major_version, minor: version.minor_version };
    if plugin.major != ApiVersion::OURS.major {
        return Err(PjrtError::MajorVersion {
            path: path.to_owned(),
            plugin,
            ours: ApiVersion::OURS,
        });
    }
    if table.struct_size < Table::NEEDED {
        return Err(too_short());
    }
    Ok(plugin)
}

/// The extensions along a chain: the kind and the table of each.
///
/// # Safety
///
/// `next` is null or starts a chain of extensions that stay valid for the rest of the process.
unsafe fn extensions(mut next: *const sys::ExtensionBase) -> Vec<(sys::ExtensionType, Table)> {
    // Plugins have about twenty; the limit guards against a chain that is a cycle.
    const AT_MOST: usize = 256;
    let mut chain = Vec::new();
    while let Some(start) = NonNull::new(next.cast_mut()).filter(|_| chain.len() < AT_MOST) {
        // SAFETY: the pointer is not null, and the caller vouches for the rest.
        let extension = unsafe { start.read() };
        // SAFETY: as above; every extension starts with its size.
        chain.push((extension.r#type, unsafe { Table::new(start) }));
        next = extension.next;
    }
    chain
}
