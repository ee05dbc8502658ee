//! Where does Python keep installed wheels? The answer is read from the file system alone, because
//! starting Python would take longer than loading an executable.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::PluginName;

/// A library's path in site-packages and the distributions that install it there.
pub(super) struct Candidate {
    /// The library's path below site-packages.
    pub library: &'static str,
    /// Names of distributions, as their `.dist-info` folders spell them.
    pub distributions: &'static [&'static str],
}

/// The paths at which wheels install the library of `name`, the preferred one first.
pub(super) const fn candidates(name: PluginName) -> &'static [Candidate] {
    match name {
        PluginName::XlaCpu => &[Candidate {
            library: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
            distributions: &["xla_cpu_pjrt"],
        }],
        PluginName::Tpu => &[Candidate {
            library: "libtpu/libtpu.so",
            distributions: &["libtpu", "libtpu_nightly"],
        }],
        PluginName::XlaCuda => &[
            Candidate {
                library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
                distributions: &["xla_cuda13_pjrt", "jax_cuda13_pjrt"],
            },
            Candidate {
                library: "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
                distributions: &["xla_cuda12_pjrt", "jax_cuda12_pjrt"],
            },
        ],
    }
}

/// The site-packages folders that exist, in the order of the search: those of the active virtual
/// environment, of the active conda environment, of the `python3` on the path, of the user, and of
/// the system.
pub fn site_packages_folders(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |variable: &str| env(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let prefixes = [
        set("VIRTUAL_ENV"),
        set("CONDA_PREFIX"),
        env("PATH").and_then(|path| python_prefix(&path)),
        set("PYTHONUSERBASE").or_else(|| set("HOME").map(|home| home.join(".local"))),
        Some(PathBuf::from("/usr/local")),
        Some(PathBuf::from("/usr")),
    ];
    let mut folders = Vec::new();
    for prefix in prefixes.into_iter().flatten() {
        for folder in below(&prefix) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// The virtual environment of the first `python3` on the path, or else its installation, with links
/// followed.
fn python_prefix(path: &OsString) -> Option<PathBuf> {
    let python = std::env::split_paths(path)
        .map(|folder| folder.join("python3"))
        .find(|file| file.is_file())?;
    // The links of a virtual environment lead out of it, so the environment's own folder is tried
    // first.
    let own = python.parent()?.parent()?;
    if own.join("pyvenv.cfg").is_file() {
        return Some(own.to_owned());
    }
    Some(python.canonicalize().ok()?.parent()?.parent()?.to_owned())
}

/// The package folders of one installation, newest Python first.
fn below(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pythons: Vec<(Vec<u64>, PathBuf)> = folders_in(&prefix.join("lib"))
        .filter_map(|(file_name, folder)| {
            Some((version_parts(file_name.strip_prefix("python")?), folder))
        })
        .collect();
    pythons.sort_by(|left, right| right.cmp(left));
    for (_, python) in pythons {
        found.extend([python.join("site-packages"), python.join("dist-packages")]);
    }
    found.retain(|folder| folder.is_dir());
    found
}

/// The version of an installed distribution, read from the name of its `.dist-info` folder.
pub(super) fn distribution_version(site_packages: &Path, distributions: &[&str]) -> Option<String> {
    folders_in(site_packages).find_map(|(file_name, _)| {
        let (distribution, version) = file_name.strip_suffix(".dist-info")?.rsplit_once('-')?;
        distributions
            .iter()
            .any(|known| known.eq_ignore_ascii_case(distribution))
            .then(|| version.to_owned())
    })
}

/// The folders in a folder, with their names; none if the folder cannot be read.
pub(super) fn folders_in(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(_, path)| path.is_dir())
}

/// The folders in a folder, with their names, which are versions; the newest first.
pub(super) fn newest_first(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut versions: Vec<(String, PathBuf)> = folders_in(folder).collect();
    versions.sort_by_key(|(version, _)| Reverse(version_parts(version)));
    versions
}

/// The numbers in a version, so that 0.0.10 sorts after 0.0.9.
pub(super) fn version_parts(version: &str) -> Vec<u64> {
    version
        .split(|character: char| !character.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_environment_comes_before_the_python_on_the_path_and_newer_pythons_first() {
        let root = tempfile::tempdir().unwrap();
        let venv = root.path().join("venv");
        let base = root.path().join("base");
        for folder in ["venv/lib/python3.9/site-packages", "venv/lib/python3.12/site-packages"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::create_dir_all(base.join("lib/python3.11/dist-packages")).unwrap();
        std::fs::create_dir_all(base.join("bin")).unwrap();
        std::fs::write(base.join("bin/python3"), "").unwrap();
        let base = base.canonicalize().unwrap();

        let folders = site_packages_folders(&|variable| match variable {
            "VIRTUAL_ENV" => Some(venv.clone().into()),
            "PATH" => Some(base.join("bin").into()),
            _ => None,
        });
        assert_eq!(
            folders[..3],
            [
                venv.join("lib/python3.12/site-packages"),
                venv.join("lib/python3.9/site-packages"),
                base.join("lib/python3.11/dist-packages"),
            ]
        );
    }

    #[test]
    fn versions_sort_by_number() {
        assert!(version_parts("0.0.10") > version_parts("0.0.9"));
        assert!(version_parts("3.12") > version_parts("3.9"));
    }
}
