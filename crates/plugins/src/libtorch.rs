//! Where does libtorch come from? It is taken from `PyTorch`'s own wheels; the torch library is
//! built against it and runs with it.
//!
//! ```text
//! <data folder>/torch/
//!   libpreheat_torch.so     the torch library, which `cargo xtask setup torch` builds
//!   2.11.0-cpu/             a set: whole or absent, unpacked elsewhere, then renamed into place
//!     installed.json        its files, with their sizes
//!     torch/                what tch calls LIBTORCH: lib/, include/, build-version
//!     nvidia/               the libraries of CUDA, where libtorch's libraries look for them
//!   2.11.0-cuda13/          the same with what CUDA cards need
//! ```
//!
//! The wheel for Linux is the CUDA build. Its `libtorch_cpu.so` is the same in both sets, so one
//! torch library works with either. `libtorch_cpu.so` needs two small libraries of CUDA even on a
//! machine without a card.

mod pins;
pub(super) mod set;

use std::fs::File;
use std::path::{Path, PathBuf};

use preheat_io::input;

use self::pins::{CPU_LINUX_X86_64, CUDA_LINUX_X86_64, MACOS_AARCH64, Taken};
pub use self::set::LibtorchSet;
use self::set::VERSION;
use super::install::{Staging, lock, put_in_place};
use super::watch::Watch;
use super::{InstallError, InstalledFile, Installer};

/// The file that lists what was unpacked.
const INSTALLED: &str = "installed.json";
/// The file has about a hundred bytes for each of about ten thousand files.
const MOST_INSTALLED_BYTES: u64 = 64 << 20;
/// The file in which torch-sys looks for the version.
const BUILD_VERSION: &str = "torch/build-version";

/// A libtorch that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledLibtorch {
    /// The folder that tch calls LIBTORCH; it contains `lib/` and `include/`.
    pub folder: PathBuf,
    /// Its version.
    pub version: &'static str,
    /// Which libraries it has.
    pub set: LibtorchSet,
    /// Whether it was installed before, so that nothing was downloaded or written.
    pub already_installed: bool,
}

/// The folder of the libraries that run the torch devices.
pub fn torch_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("torch")
}

/// The folders inside a data folder that hold a libtorch's libraries once it is installed; the
/// larger set first.
pub fn libtorch_folders(data_dir: &Path) -> Vec<PathBuf> {
    LibtorchSet::ALL
        .map(|set| torch_folder(data_dir).join(set.folder_name()).join("torch/lib"))
        .to_vec()
}

/// The parts of `set` on the platform that this crate was built for.
fn recipe(set: LibtorchSet) -> Result<&'static [Taken], InstallError> {
    match (set, std::env::consts::OS, std::env::consts::ARCH) {
        (LibtorchSet::Cpu, "linux", "x86_64") => Ok(CPU_LINUX_X86_64),
        (LibtorchSet::Cuda, "linux", "x86_64") => Ok(CUDA_LINUX_X86_64),
        (LibtorchSet::Cpu, "macos", "aarch64") => Ok(MACOS_AARCH64),
        (_, os, arch) => Err(InstallError::NoLibtorch { set, os, arch, version: VERSION }),
    }
}

impl Installer<'_> {
    /// Makes sure that a libtorch is installed, as [`Self::install`] does for a plugin. Its wheels
    /// come from [`Self::source`], which has to be pip if there are several.
    ///
    /// # Errors
    /// If no libtorch is pinned for this platform, a wheel cannot be downloaded or unpacked or is
    /// not the pinned one, a file cannot be written, or the caller stops the install.
    pub fn install_libtorch(&self, set: LibtorchSet) -> Result<InstalledLibtorch, InstallError> {
        let recipe = recipe(set)?;
        let parent = torch_folder(&self.data_dir);
        let target = parent.join(set.folder_name());
        let installed = |already_installed| InstalledLibtorch {
            folder: target.join("torch"),
            version: VERSION,
            set,
            already_installed,
        };
        if !self.force && is_intact(&target) {
            return Ok(installed(true));
        }
        std::fs::create_dir_all(&parent).map_err(InstallError::io("create", &parent))?;
        let watch = Watch { what: "libtorch", progress: self.progress, cancelled: self.cancelled };
        let _lock = lock(&parent.join(".lock"), &watch)?;
        if !self.force && is_intact(&target) {
            return Ok(installed(true));
        }
        let staging = Staging::new(&parent, "libtorch")?;
        let tree = staging.path("tree");
        std::fs::create_dir(&tree).map_err(InstallError::io("create", &tree))?;
        let mut files = Vec::new();
        for taken in recipe {
            files.extend(self.take(taken, &tree)?);
        }
        finish(&tree, set, &files)?;
        watch.check()?;
        put_in_place(&tree, &target, &staging.path("replaced"))?;
        tracing::info!(version = VERSION, folder = %target.display(), "libtorch is installed");
        Ok(installed(false))
    }

    fn take(&self, taken: &Taken, tree: &Path) -> Result<Vec<InstalledFile>, InstallError> {
        let is_taken = |member: &str| {
            let of = |pattern: &&str| {
                member == *pattern || pattern.ends_with('/') && member.starts_with(*pattern)
            };
            taken.members.iter().any(of) && is_of_use(member)
        };
        let choose = |member: &str| is_taken(member).then(|| member.to_owned());
        let files = self.unpack(&taken.wheel, &choose, tree)?;
        let is_missing = |member: &&&str| {
            !files.iter().any(|file| {
                file.file == **member || member.ends_with('/') && file.file.starts_with(**member)
            })
        };
        match taken.members.iter().find(is_missing) {
            Some(member) => Err(InstallError::MissingMember {
                path: PathBuf::from(taken.wheel.file),
                member: (*member).to_owned(),
            }),
            None => Ok(files),
        }
    }
}

/// Whether a member is needed: it is a header, or a library other than those that only Python uses.
fn is_of_use(member: &str) -> bool {
    let file = member.rsplit('/').next().unwrap_or(member);
    (is_library(file) && !file.contains("torch_python")) || member.starts_with("torch/include/")
}

fn is_library(file: &str) -> bool {
    file.contains(".so") || file.contains(".dylib")
}

/// Adds the files that the wheels lack, and makes the libraries durable.
fn finish(tree: &Path, set: LibtorchSet, files: &[InstalledFile]) -> Result<(), InstallError> {
    for file in files.iter().filter(|file| is_library(&file.file)) {
        let path = tree.join(&file.file);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(InstallError::io("write", &path))?;
    }
    let write = |name: &str, text: &[u8]| {
        let path = tree.join(name);
        std::fs::write(&path, text).map_err(InstallError::io("write", &path))
    };
    write(BUILD_VERSION, VERSION.as_bytes())?;
    // Linkers look for a library of this name. The wheel's own libtorch.so contains no code and
    // depends on libtorch_cuda.so, which this set lacks.
    #[cfg(target_os = "linux")]
    if set == LibtorchSet::Cpu {
        let path = tree.join("torch/lib/libtorch.so");
        std::os::unix::fs::symlink("libtorch_cpu.so", &path)
            .map_err(InstallError::io("create", &path))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = set;
    let text = serde_json::to_vec(files)
        .map_err(|error| InstallError::io("write", tree.join(INSTALLED))(error.into()))?;
    write(INSTALLED, &text)
}

/// Whether every installed file is there and undamaged.
fn is_intact(folder: &Path) -> bool {
    let Some(files) = installed_files(folder) else { return false };
    let is_there = |file: &InstalledFile| file.damage(folder).is_none();
    !files.is_empty() && files.iter().all(is_there) && folder.join(BUILD_VERSION).is_file()
}

/// The reason why the libraries of a set are no longer those that were installed; `None` if they
/// are, or if the set has no list of its files. `libraries` is one of [`libtorch_folders`].
pub fn libtorch_damage(libraries: &Path) -> Option<String> {
    let folder = libraries.ancestors().nth(2)?;
    let files = installed_files(folder)?;
    files.iter().filter(|file| is_library(&file.file)).find_map(|file| file.damage(folder))
}

fn installed_files(folder: &Path) -> Option<Vec<InstalledFile>> {
    serde_json::from_str(&input::text(&folder.join(INSTALLED), MOST_INSTALLED_BYTES).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_consistent() {
        for taken in [CPU_LINUX_X86_64, CUDA_LINUX_X86_64, MACOS_AARCH64].into_iter().flatten() {
            let wheel = taken.wheel;
            assert!(wheel.file.starts_with(&format!(
                "{}-{}-",
                wheel.distribution.replace('-', "_"),
                wheel.version
            )));
            assert!(wheel.file.contains(wheel.platform), "{}", wheel.file);
            assert!(
                wheel.sha256.len() == 64
                    && wheel.sha256.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            );
            assert!(wheel.bytes > 10_000 && !taken.members.is_empty());
            let is_kept = |member: &&str| member.ends_with('/') || is_of_use(member);
            assert!(taken.members.iter().all(is_kept), "{}", wheel.file);
        }
    }

    #[test]
    fn what_is_of_use_is_told_from_what_is_not() {
        for member in
            ["torch/include/c10/a.h", "torch/lib/libgomp.so.1", "nvidia/cu13/lib/libcudart.so.13"]
        {
            assert!(is_of_use(member), "{member}");
        }
        for member in [
            "torch/lib/libtorch_python.so",
            "nvidia/__init__.py",
            "nvidia/cu13/lib/libcudadevrt.a",
            "torch/a.h",
        ] {
            assert!(!is_of_use(member), "{member}");
        }
    }

    #[test]
    fn what_is_damaged_is_told_from_what_is_whole() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_intact(root.path()));
        std::fs::create_dir(root.path().join("torch")).unwrap();
        std::fs::write(root.path().join("a.so"), "abc").unwrap();
        let files = [InstalledFile {
            file: "a.so".to_owned(),
            bytes: 3,
            blake3: String::new(),
            modified: None,
        }];
        finish(root.path(), LibtorchSet::Cuda, &files).unwrap();
        assert!(is_intact(root.path()));
        std::fs::write(root.path().join("a.so"), "ab").unwrap();
        assert!(!is_intact(root.path()));
    }
}
