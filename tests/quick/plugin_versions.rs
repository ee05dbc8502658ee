//! Are versions of libtpu other than the pinned one installed beside it, and is the right one
//! chosen? The tests make their own wheels: none uses the network or the user's data folder.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use preheat_plugins::{
    InstallError, Installation, Installer, LibtpuChoice, LibtpuError, Pin, PluginName,
    PluginSearch, WheelSource, choose_libtpu, find, pin_for,
};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn libtpu() -> &'static Pin<'static> {
    pin_for(PluginName::Tpu, "linux", "x86_64").unwrap()
}

/// A folder with wheels, a data folder and a Python environment.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A wheel whose one member is `member`, with the wheel's own name as content.
    fn wheel(&self, file: &str, member: &str) -> PathBuf {
        let path = self.path(file);
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        writer.start_file(member, SimpleFileOptions::default()).unwrap();
        writer.write_all(file.as_bytes()).unwrap();
        writer.finish().unwrap();
        path
    }

    fn installer(&self, source: WheelSource) -> Installer<'static> {
        Installer { source, ..Installer::new(self.path("data")) }
    }

    /// Installs `wanted` from a wheel of `version`.
    fn install(&self, wanted: &str, version: &str) -> Result<Installation, InstallError> {
        let file = format!("libtpu-{version}-cp311-cp311-manylinux_2_31_x86_64.whl");
        let wheel = self.wheel(&file, "libtpu/libtpu.so");
        self.installer(WheelSource::Wheel(wheel)).install_version(libtpu(), wanted)
    }

    /// Puts a file into the Python environment.
    fn in_python(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path("site-packages").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn search<'a>(&self, env: &'a dyn Fn(&str) -> Option<OsString>) -> PluginSearch<'a> {
        PluginSearch {
            env,
            explicit: None,
            data_dir: Some(self.path("data")),
            site_packages: vec![self.path("site-packages")],
        }
    }

    /// The path and reason of the libtpu that is chosen.
    fn chosen(&self, choice: Option<&str>) -> Result<Option<(PathBuf, String)>, LibtpuError> {
        let choice = choice.map(|choice| choice.parse::<LibtpuChoice>().unwrap());
        let chosen = choose_libtpu(choice.as_ref(), &self.search(&|_| None))?;
        Ok(chosen.map(|libtpu| (libtpu.path, libtpu.reason.unwrap_or_default())))
    }
}

#[test]
fn versions_are_installed_side_by_side_and_the_newest_is_found_first() {
    let folders = Folders::new();
    for version in ["0.0.48", "0.0.50.1", "0.0.9"] {
        let installed = folders.install(version, version).unwrap();
        assert!(!installed.already_installed);
        assert_eq!(installed.manifest.version, version);
        assert_eq!(
            installed.library,
            folders.path(&format!("data/plugins/tpu/{version}/libtpu.so"))
        );
        let content = std::fs::read_to_string(&installed.library).unwrap();
        assert_eq!(content, installed.manifest.wheel);
        assert_eq!(installed.manifest.sha256.len(), 64);
    }
    let found = find(PluginName::Tpu, &folders.search(&|_| None));
    let versions: Vec<_> = found.libraries().map(|one| one.version.clone().unwrap()).collect();
    assert_eq!(versions, ["0.0.50.1", "0.0.48", "0.0.9"]);
    assert_eq!(found.plugin.unwrap().version.as_deref(), Some("0.0.50.1"));

    // The installer finds no wheel here, so the installed version must be enough.
    for (wanted, version) in [("0.0.48", "0.0.48"), ("0.0.50.*", "0.0.50.1"), ("0.0.*", "0.0.50.1")]
    {
        let nothing = WheelSource::Wheel(folders.path("no.whl"));
        let again = folders.installer(nothing).install_version(libtpu(), wanted).unwrap();
        assert!(again.already_installed);
        assert_eq!(again.manifest.version, version, "{wanted}");
    }
    // A damaged version is not enough.
    std::fs::write(folders.path("data/plugins/tpu/0.0.48/libtpu.so"), "short").unwrap();
    assert!(!folders.install("0.0.48", "0.0.48").unwrap().already_installed);
}

#[cfg(unix)]
#[test]
fn pip_is_asked_for_any_wheel_of_the_version() {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = Folders::new();
    let wheel =
        folders.wheel("libtpu-0.0.50.1-py3-none-manylinux_2_27_x86_64.whl", "libtpu/libtpu.so");
    let (python, said) = (folders.path("python3"), folders.path("said"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" > '{}'\nfor argument; do \
         test \"$last\" = --dest && cp '{}' \"$argument\"; last=$argument; done\n",
        said.display(),
        wheel.display()
    );
    // If this process wrote the script, a child of another thread could hold it open for writing
    // until that child starts its own program. So a shell writes the script.
    let mut shell = std::process::Command::new("sh");
    let write = shell.args(["-c", "printf %s \"$1\" > \"$2\"", "sh", &script]).arg(&python);
    assert!(write.status().unwrap().success());
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let pip = folders.installer(WheelSource::Pip { python: python.into() });
    let installed = pip.install_version(libtpu(), "0.0.50.*").unwrap();
    assert_eq!(installed.manifest.version, "0.0.50.1");
    let said = std::fs::read_to_string(said).unwrap();
    for expected in [
        "--platform manylinux_2_31_x86_64 --platform manylinux_2_27_x86_64",
        "--abi cp311 --abi none",
        "libtpu==0.0.50.*",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_wheel_of_another_version_or_without_the_library_is_refused() {
    let folders = Folders::new();
    let message = |outcome: Result<Installation, InstallError>| outcome.unwrap_err().to_string();
    let wrong = message(folders.install("0.0.48", "0.0.49"));
    assert!(wrong.contains("is no wheel of libtpu==0.0.48"), "{wrong}");
    let other = folders.wheel("jax-0.0.48-py3-none-any.whl", "libtpu/libtpu.so");
    let other = folders.installer(WheelSource::Wheel(other)).install_version(libtpu(), "0.0.48");
    assert!(message(other).contains("is no wheel of libtpu==0.0.48"));
    let empty = folders.wheel("libtpu-0.0.48-py3-none-any.whl", "libtpu/readme");
    let empty = folders.installer(WheelSource::Wheel(empty)).install_version(libtpu(), "0.0.48");
    assert!(message(empty).contains("holds no libtpu/libtpu.so"));
    let left = std::fs::read_dir(folders.path("data/plugins")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".tpu.lock"]);
}

#[test]
fn a_text_that_is_no_version_is_refused_before_anything_is_downloaded() {
    let folders = Folders::new();
    for text in ["", "*", ".*", "latest", "../0.0.48", "0.0.48/..", "0.0.48 --pre", "0.*.1", "-0.1"]
    {
        let error = folders.install(text, "0.0.48").unwrap_err();
        assert!(matches!(error, InstallError::NotAVersion { .. }), "{text:?}: {error}");
        assert!(error.to_string().contains("such as 0.0.51"), "{error}");
    }
    assert!(!folders.path("data").exists());
}

#[test]
fn the_libtpu_is_the_one_that_was_asked_for_or_that_the_python_environment_needs() {
    let folders = Folders::new();
    assert_eq!(folders.chosen(None).unwrap(), None);
    let old = folders.install("0.0.50.1", "0.0.50.1").unwrap().library;
    let new = folders.install("0.0.52", "0.0.52").unwrap().library;
    assert_eq!(folders.chosen(None).unwrap(), None, "the search decides");

    let metadata = "Name: jax\nRequires-Dist: libtpu==0.0.50.*; extra == \"tpu\"\n";
    folders.in_python("jax-0.10.2.dist-info/METADATA", metadata);
    let reason = "jax 0.10.2 requires 0.0.50.*".to_owned();
    assert_eq!(folders.chosen(None).unwrap(), Some((old.clone(), reason)));

    folders.in_python("libtpu-0.0.49.dist-info/METADATA", "");
    let python = folders.in_python("libtpu/libtpu.so", "");
    let reason = "it is in the active Python environment".to_owned();
    assert_eq!(folders.chosen(None).unwrap(), Some((python.clone(), reason)));

    let no_reason = String::new;
    for (choice, library) in [
        ("python", &python),
        ("0.0.49", &python),
        ("0.0.50.*", &old),
        ("0.0.*", &new),
        (old.to_str().unwrap(), &old),
    ] {
        let chosen = folders.chosen(Some(choice)).unwrap();
        assert_eq!(chosen, Some((library.clone(), no_reason())), "{choice}");
    }

    // A variable that names a libtpu decides, even if there is no file.
    let variable = |name: &str| (name == "PREHEAT_TPU_PLUGIN").then(|| "/no.so".into());
    assert_eq!(choose_libtpu(None, &folders.search(&variable)).unwrap(), None);
}

#[test]
fn a_libtpu_that_is_not_here_is_named_with_what_to_do() {
    let folders = Folders::new();
    let message = |choice| folders.chosen(Some(choice)).unwrap_err().to_string();
    let nothing =
        "install libtpu 0.0.48 with `preheat plugins install tpu==0.0.48`: no libtpu is here";
    assert_eq!(message("0.0.48"), nothing);
    folders.install("0.0.50", "0.0.50").unwrap();
    assert!(message("0.0.48").ends_with("only 0.0.50 is here"), "{}", message("0.0.48"));
    folders.install("0.0.52", "0.0.52").unwrap();
    assert!(message("0.0.48").ends_with("only 0.0.52, 0.0.50 are here"), "{}", message("0.0.48"));
    assert!(message("no/libtpu.so").contains("no/libtpu.so is no file"));
    let python = message("python");
    let looked_at = folders.path("site-packages/libtpu/libtpu.so");
    assert!(python.contains(Path::new(&looked_at).to_str().unwrap()), "{python}");
    assert!(python.starts_with("install libtpu in the Python environment"), "{python}");
}
