//! What does preheat say if the torch library or libtorch is missing, damaged, or of another
//! release? The error says which of the two is wrong, and what to do. The libraries here are a few
//! lines of C; tests/torch.rs uses the real ones.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::env::consts::DLL_SUFFIX;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use preheat_runtime::backend::torch::{Torch, TorchError, TorchLookup, TorchOptions, backend_file};
use preheat_torch_abi::{INTERFACE_VERSION, TorchApi};
use tempfile::TempDir;

/// A libtorch whose only function says that it is version 2.11.0.
const LIBTORCH: &str =
    "unsigned long long aoti_torch_abi_version(void) { return 0x020b000000000000ull; }";

/// A data folder with a libtorch and a torch library in it.
struct Installed {
    root: TempDir,
}

impl Installed {
    /// Makes the folder; a file whose argument is `None` is missing.
    fn new(libtorch: Option<&str>, library: Option<&str>) -> Self {
        let installed = Self { root: tempfile::tempdir().unwrap() };
        if let Some(source) = libtorch {
            compile(source, &installed.libtorch());
        }
        if let Some(source) = library {
            compile(source, &installed.library());
        }
        installed
    }

    fn libtorch(&self) -> PathBuf {
        self.root.path().join(format!("torch/2.11.0-cpu/torch/lib/libtorch_cpu{DLL_SUFFIX}"))
    }

    fn library(&self) -> PathBuf {
        self.root.path().join("torch").join(backend_file())
    }

    fn open(&self, variables: &[(&str, &Path)]) -> TorchError {
        let env = |name: &str| -> Option<OsString> {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| value.as_os_str().to_owned())
        };
        let lookup =
            TorchLookup { env: &env, beside: None, data_dir: Some(self.root.path().to_owned()) };
        Torch::open(&lookup, &TorchOptions::default()).unwrap_err()
    }
}

fn compile(source: &str, library: &Path) {
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    let file = library.with_extension("c");
    std::fs::write(&file, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
}

/// A torch library whose function table begins with these numbers.
fn library(bytes: usize, version: u64) -> String {
    format!(
        "struct {{ unsigned long long size, version, rest[64]; }} table = {{ {bytes}, {version}, {{ 0 }} }};\n\
         void *preheat_torch_api(void) {{ return &table; }}"
    )
}

#[test]
fn nothing_is_installed() {
    let error = Installed::new(None, None).open(&[]);
    assert!(matches!(error, TorchError::NotInstalled { .. }), "{error}");
    let said = error.to_string();
    for word in ["PREHEAT_TORCH_BACKEND: not set", "data folder", "cargo xtask setup torch"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn there_is_no_libtorch_for_the_library() {
    let error =
        Installed::new(None, Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION))).open(&[]);
    assert!(matches!(error, TorchError::NoLibtorch { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("2.11.0") && said.contains("preheat plugins install torch"), "{said}");
}

#[test]
fn a_variable_names_nothing() {
    let installed =
        Installed::new(Some(LIBTORCH), Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION)));
    for variable in ["PREHEAT_TORCH_BACKEND", "LIBTORCH"] {
        let error = installed.open(&[(variable, Path::new("/nowhere/at/all"))]);
        assert!(matches!(error, TorchError::Dangling { .. }), "{error}");
        assert!(
            error.to_string().contains(variable) && error.to_string().contains("/nowhere/at/all"),
            "{error}"
        );
    }
}

#[test]
fn libtorch_is_of_another_version() {
    let newer = LIBTORCH.replace("0x020b", "0x020d");
    let error =
        Installed::new(Some(&newer), Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION)))
            .open(&[]);
    assert!(
        matches!(error, TorchError::AnotherLibtorch { found: Some([2, 13, 0]), .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("is 2.13.0") && error.to_string().contains("2.11.0 only"),
        "{error}"
    );
    let error = Installed::new(
        Some("int nothing;"),
        Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION)),
    )
    .open(&[]);
    assert!(matches!(error, TorchError::AnotherLibtorch { found: None, .. }), "{error}");
}

#[test]
fn the_library_is_of_another_release() {
    let newer = Installed::new(
        Some(LIBTORCH),
        Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION + 1)),
    );
    let error = newer.open(&[]);
    assert!(
        matches!(error, TorchError::AnotherInterface { found, .. } if found == INTERFACE_VERSION + 1),
        "{error}"
    );
    assert!(error.to_string().contains("cargo xtask setup torch"), "{error}");
    let shorter = Installed::new(
        Some(LIBTORCH),
        Some(&library(size_of::<TorchApi>() - 8, INTERFACE_VERSION)),
    );
    let error = shorter.open(&[]);
    assert!(matches!(error, TorchError::ShortTable { .. }), "{error}");
}

#[test]
fn the_library_is_something_else() {
    let error = Installed::new(Some(LIBTORCH), Some("int nothing;")).open(&[]);
    assert!(matches!(error, TorchError::NoTorchLibrary { .. }), "{error}");
    let null = Installed::new(Some(LIBTORCH), Some("void *preheat_torch_api(void) { return 0; }"));
    assert!(matches!(null.open(&[]), TorchError::NoTorchLibrary { .. }));
    let text = Installed::new(Some(LIBTORCH), None);
    std::fs::write(text.library(), "no library").unwrap();
    let error = text.open(&[]);
    assert!(matches!(&error, TorchError::Load { path, .. } if *path == text.library()), "{error}");
    let text = Installed::new(None, Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION)));
    std::fs::create_dir_all(text.libtorch().parent().unwrap()).unwrap();
    std::fs::write(text.libtorch(), "no library").unwrap();
    let error = text.open(&[]);
    assert!(matches!(&error, TorchError::Load { path, .. } if *path == text.libtorch()), "{error}");
}

#[test]
fn fake_devices_that_do_not_parse() {
    let installed =
        Installed::new(Some(LIBTORCH), Some(&library(size_of::<TorchApi>(), INTERFACE_VERSION)));
    let error = installed.open(&[("PREHEAT_TORCH_FAKE_DEVICES", Path::new("{\"memory\": 3}"))]);
    assert!(matches!(error, TorchError::FakeDevices(_)), "{error}");
}
