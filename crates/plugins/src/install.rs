//! How is a pinned plugin installed? By downloading, verifying, unpacking, and renaming it into
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
use super::{InstallError, InstalledFile, Manifest, Pin, Wheel, data_dir, pip, process_env, wheel};

/// How often a lock that is held is tried again, and the cancellation is checked.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// What an install is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Waiting: another process is installing the same plugin.
    Waiting,
    /// Downloading the wheel.
    Download {
        /// The bytes that are on disk.
        done_bytes: u64,
        /// The wheel's size.
        total_bytes: u64,
    },
    /// Computing the wheel's sha256.
    Verify {
        /// The bytes that have been read.
        done_bytes: u64,
        /// The wheel's size.
        total_bytes: u64,
    },
    /// Unpacking a file.
    Unpack {
        /// Its path in the plugin's folder.
        file: String,
        /// The bytes that have been written.
        done_bytes: u64,
        /// The file's size.
        total_bytes: u64,
    },
}

/// Where the wheel comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
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
pub struct Installation {
    /// The plugin's folder.
    pub folder: PathBuf,
    /// The library in it.
    pub library: PathBuf,
    /// The content of `plugin.json`.
    pub manifest: Manifest,
    /// Whether it was installed and intact before, so that nothing was downloaded or written.
    pub already_installed: bool,
}

/// Installs plugins into one data folder.
pub struct Installer<'a> {
    /// The data folder; plugins go below `plugins/` in it.
    pub data_dir: PathBuf,
    /// Where wheels come from.
    pub source: Source,
    /// Whether to install again where an intact install exists.
    pub force: bool,
    /// Called often, from the thread that installs.
    pub progress: &'a dyn Fn(Progress),
    /// Called at least every 100 ms. Once it returns `true`, the install stops and leaves nothing
    /// behind.
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

    /// As [`Installer::from_process`], into another data folder.
    pub fn new(data_dir: PathBuf) -> Self {
        let source = Source::Pip { python: "python3".into() };
        Self { data_dir, source, force: false, progress: &|_| (), cancelled: &|| false }
    }
}

impl Installer<'_> {
    /// Makes sure that the plugin of `pin` is installed. Several processes may call this at the
    /// same time: one installs, and the others wait and then find the plugin installed.
    pub fn install(&self, pin: &Pin<'_>) -> Result<Installation, InstallError> {
        let watch =
            Watch { what: pin.name.as_str(), progress: self.progress, cancelled: self.cancelled };
        let plugins = self.data_dir.join("plugins");
        let target = plugins.join(pin.name.as_str()).join(pin.wheel.version);
        if let Some(installation) = self.already_installed(pin, &target) {
            return Ok(installation);
        }
        std::fs::create_dir_all(&plugins).map_err(InstallError::io("create", &plugins))?;
        let _lock = lock(&plugins.join(format!(".{}.lock", pin.name)), &watch)?;
        if let Some(installation) = self.already_installed(pin, &target) {
            return Ok(installation);
        }

        let staging = Staging::new(&plugins, pin.name.as_str())?;
        let wheel = match &self.source {
            Source::Pip { python } => {
                pip::download(python, &pin.wheel, &staging.path("download"), &watch)?
            }
            Source::Wheel(file) => file.clone(),
        };
        wheel::verify(&wheel, &pin.wheel, &watch)?;
        let tree = staging.path("tree");
        std::fs::create_dir(&tree).map_err(InstallError::io("create", &tree))?;
        let files = wheel::unpack(&wheel, pin.members, &tree, &watch)?;
        let manifest = Manifest {
            name: pin.name,
            version: pin.wheel.version.to_owned(),
            wheel: pin.wheel.file.to_owned(),
            sha256: pin.wheel.sha256.to_owned(),
            installed_at: Timestamp::now(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
        };
        write_manifest(&tree, &manifest)?;
        watch.check()?;
        put_in_place(&tree, &target, &staging.path("replaced"))?;
        tracing::info!(plugin = %pin.name, version = pin.wheel.version, folder = %target.display(), "installed");
        Ok(installation(target, manifest, false))
    }

    /// Makes sure that members chosen from a wheel without a plugin are unpacked into `folder`,
    /// which must exist and is not emptied. `choose` receives the name of every member and returns
    /// its path in `folder`, or `None` for a member that is left out. The wheel is downloaded and
    /// checked in the same way as a plugin's. The files are not yet durable when this returns.
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
        let path = match &self.source {
            Source::Pip { python } => pip::download(python, wheel, download.path(), &watch)?,
            Source::Wheel(file) => file.clone(),
        };
        wheel::verify(&path, wheel, &watch)?;
        wheel::unpack_chosen(&path, choose, folder, &watch)
    }

    fn already_installed(&self, pin: &Pin<'_>, target: &Path) -> Option<Installation> {
        if self.force {
            return None;
        }
        let manifest = Manifest::read(target).ok()?;
        (manifest.matches(pin) && manifest.damage(target).is_none())
            .then(|| installation(target.to_owned(), manifest, true))
    }
}

fn installation(folder: PathBuf, manifest: Manifest, already_installed: bool) -> Installation {
    Installation {
        library: folder.join(manifest.name.library_file()),
        folder,
        manifest,
        already_installed,
    }
}

/// Who is told of an install's progress, and who can stop it.
pub(super) struct Watch<'a> {
    pub what: &'a str,
    pub progress: &'a dyn Fn(Progress),
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Watch<'_> {
    pub fn check(&self) -> Result<(), InstallError> {
        if (self.cancelled)() { Err(self.cancellation()) } else { Ok(()) }
    }

    pub fn cancellation(&self) -> InstallError {
        InstallError::Cancelled { what: self.what.to_owned() }
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
                    (watch.progress)(Progress::Waiting);
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
    /// Must be called while the plugin's lock is held: then any other staging folder of the plugin
    /// was left behind by an install that ended, and is removed.
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

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), InstallError> {
    let path = folder.join(MANIFEST_FILE);
    let file = File::create_new(&path).map_err(InstallError::io("create", &path))?;
    serde_json::to_writer_pretty(&file, manifest)
        .map_err(|error| InstallError::io("write", &path)(error.into()))?;
    file.sync_all().map_err(InstallError::io("write", &path))
}

/// Renames `tree` to `target`, after moving what is there to `replaced`. A process that has the old
/// library loaded keeps it. After a crash between the two renames the plugin is missing, but never
/// incomplete.
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
