//! How does a user get the `XLA_EXTENSION_DIR` that the `xla` crate links? This program makes it,
//! once for each user, and prints its path. `cargo xtask setup xla-rs` runs it.
//!
//! No registry has the `xla_extension` archive for which the crate is made. But the wheel
//! tensorflow-cpu has what the crate needs: XLA's headers, and two libraries that export `xla::*`.
//! The wheel lacks headers of MLIR, LLVM and the GPU client. These are in `include/` beside this
//! file, each with only the lines that the crate needs to compile. The crate's build script runs
//! bindgen, which needs libclang. libclang comes from another wheel, and the three headers in
//! `clang/` replace those that a whole clang has.
//!
//! ```text
//! <data folder>/xla-rs/<digest of the recipe>/   complete or absent: it is renamed into place
//!   installed.json                               the files that were unpacked, with their sizes
//!   include/                                     the wheel's headers, and those beside this file
//!   lib/libxla_extension.so                      a linker script that names the two libraries
//!   clang/libclang.so, clang/include/            for bindgen: LIBCLANG_PATH and
//!                                                BINDGEN_EXTRA_CLANG_ARGS name them
//! ```
//!
//! The folder is sufficient for tests and for building graphs. It does not fully replace an
//! `xla_extension`: it has no StableHLO text, no GPU and no plugin clients, and loading TensorFlow
//! costs a process 0.2 s and 300 MB.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program prints the path, and its progress"
)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use preheat_cache::Digest;
use preheat_plugins::{InstallProgress, InstalledFile, Installer, Wheel};

/// The wheel of TensorFlow, which contains XLA.
const TENSORFLOW: Wheel<'_> = Wheel {
    distribution: "tensorflow-cpu",
    version: "2.21.0",
    file: "tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl",
    sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
    bytes: 273_829_956,
    platform: "manylinux_2_27_x86_64",
    python_version: "3.11",
    abi: Some("cp311"),
};

/// The library with which bindgen reads C headers.
const LIBCLANG: Wheel<'_> = Wheel {
    distribution: "libclang",
    version: "18.1.1",
    file: "libclang-18.1.1-py2.py3-none-manylinux2010_x86_64.whl",
    sha256: "c533091d8a3bbf7460a00cb6c1a71da93bffe148f172c7d03b1c31fbf8aa2a0b",
    bytes: 24_515_943,
    platform: "manylinux2010_x86_64",
    python_version: "3.11",
    abi: None,
};

/// The files that are taken from a wheel, as pairs of a name in the wheel and a name in the folder
/// that is made. A pair stands for a file or, if both names end in `/`, for a folder with
/// everything below it.
type Taken = &'static [(&'static str, &'static str)];

const FROM_TENSORFLOW: Taken = &[
    ("tensorflow/libtensorflow_cc.so.2", "lib/libtensorflow_cc.so.2"),
    ("tensorflow/libtensorflow_framework.so.2", "lib/libtensorflow_framework.so.2"),
    ("tensorflow/include/Eigen/", "include/Eigen/"),
    ("tensorflow/include/absl/", "include/absl/"),
    ("tensorflow/include/google/protobuf/", "include/google/protobuf/"),
    ("tensorflow/include/ml_dtypes/", "include/ml_dtypes/"),
    ("tensorflow/include/tsl/", "include/tsl/"),
    ("tensorflow/include/unsupported/Eigen/", "include/unsupported/Eigen/"),
    ("tensorflow/include/xla/", "include/xla/"),
    ("tensorflow/include/external/farmhash_archive/src/", "include/"),
    ("tensorflow/include/external/highwayhash/highwayhash/", "include/highwayhash/"),
];

const FROM_LIBCLANG: Taken =
    &[("libclang-18.1.1.data/platlib/clang/native/libclang.so", "clang/libclang.so")];

/// The files that do not come from a wheel: their names in the folder that is made, and their
/// contents. They replace files of the wheel with the same names.
const OWN: &[(&str, &str)] = &[
    ("clang/include/stdbool.h", include_str!("clang/stdbool.h")),
    ("clang/include/stddef.h", include_str!("clang/stddef.h")),
    ("clang/include/stdint.h", include_str!("clang/stdint.h")),
    ("include/llvm/Support/raw_ostream.h", include_str!("include/llvm/Support/raw_ostream.h")),
    ("include/mlir/IR/BuiltinOps.h", include_str!("include/mlir/IR/BuiltinOps.h")),
    ("include/mlir/IR/MLIRContext.h", include_str!("include/mlir/IR/MLIRContext.h")),
    ("include/mlir/IR/OwningOpRef.h", include_str!("include/mlir/IR/OwningOpRef.h")),
    (
        "include/xla/hlo/translate/stablehlo.h",
        include_str!("include/xla/hlo/translate/stablehlo.h"),
    ),
    ("include/xla/pjrt/gpu/gpu_helpers.h", include_str!("include/xla/pjrt/gpu/gpu_helpers.h")),
    (
        "include/xla/pjrt/gpu/se_gpu_pjrt_client.h",
        include_str!("include/xla/pjrt/gpu/se_gpu_pjrt_client.h"),
    ),
    ("include/xla/pjrt/pjrt_api.h", include_str!("include/xla/pjrt/pjrt_api.h")),
    (
        "lib/libxla_extension.so",
        "/* GNU ld script: XLA, as the wheel of TensorFlow exports it. */\n\
         INPUT(-l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2)\n",
    ),
];

/// The file that lists what was unpacked.
const INSTALLED: &str = "installed.json";

/// The beginning of the name of each folder in which an installation is under way.
const STAGING: &str = ".staging-";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match extension() {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The path of the folder, which is made unless it is there.
fn extension() -> Outcome<PathBuf> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err("no xla_extension can be made here: the recipe is for Linux on x86-64. Set XLA_EXTENSION_DIR to one that was \
                    built for this machine (docs/xla-rs.md)"
            .into());
    }
    let installer = Installer { progress: &Shown::default().tell(), ..Installer::from_process()? };
    let parent = installer.data_dir.join("xla-rs");
    std::fs::create_dir_all(&parent)
        .map_err(|error| format!("could not create {}: {error}", parent.display()))?;
    let folder = parent.join(recipe());
    // The kernel releases the lock when the process ends.
    let lock = File::options().create(true).append(true).open(parent.join(".lock"))?;
    lock.lock()?;
    if is_intact(&folder) {
        return Ok(folder);
    }
    make(&installer, &parent, &folder)?;
    Ok(folder)
}

/// The name of the folder: a digest of the wheels, the choice of files and the headers. If any of
/// them changes, `XLA_EXTENSION_DIR` changes, too, and cargo builds the crate again.
fn recipe() -> String {
    let text = format!("{TENSORFLOW:?}{LIBCLANG:?}{FROM_TENSORFLOW:?}{FROM_LIBCLANG:?}{OWN:?}");
    let digest = Digest::of(text.as_bytes()).to_string();
    digest.chars().take(16).collect()
}

fn make(installer: &Installer<'_>, parent: &Path, folder: &Path) -> Outcome<()> {
    for entry in std::fs::read_dir(parent)?.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    let staging = tempfile::Builder::new().prefix(STAGING).tempdir_in(parent)?;
    let tree = staging.path().join("tree");
    std::fs::create_dir(&tree)?;
    let mut files = installer.unpack(&LIBCLANG, &|member| place(FROM_LIBCLANG, member), &tree)?;
    files.extend(installer.unpack(&TENSORFLOW, &|member| place(FROM_TENSORFLOW, member), &tree)?);
    for (file, content) in OWN {
        let path = tree.join(file);
        std::fs::create_dir_all(path.parent().ok_or("a file without a folder")?)?;
        std::fs::write(path, content)?;
    }
    let unpacked: HashSet<&str> = files.iter().map(|file| file.file.as_str()).collect();
    for (member, file) in
        FROM_TENSORFLOW.iter().chain(FROM_LIBCLANG).filter(|(member, _)| !member.ends_with('/'))
    {
        if !unpacked.contains(file) {
            return Err(format!("the wheel has no {member}").into());
        }
    }
    std::fs::write(tree.join(INSTALLED), serde_json::to_vec(&files)?)?;
    // Only the libraries are synced. They take most of the space, and nothing links without them.
    // If a header was lost, its size shows it.
    for library in unpacked.iter().filter(|file| file.contains(".so")) {
        File::open(tree.join(library))?.sync_all()?;
    }
    match std::fs::rename(folder, staging.path().join("replaced")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => (),
    }
    std::fs::rename(&tree, folder)?;
    Ok(())
}

/// The path to which a member of a wheel is unpacked; `None` if it is not taken.
fn place(taken: Taken, member: &str) -> Option<String> {
    let file = taken.iter().find_map(|(from, to)| match member.strip_prefix(from) {
        Some("") => Some((*to).to_owned()),
        Some(rest) if from.ends_with('/') => Some(format!("{to}{rest}")),
        _ => None,
    })?;
    (!OWN.iter().any(|(own, _)| *own == file)).then_some(file)
}

/// Whether every file that was put into the folder is there, with the right size.
fn is_intact(folder: &Path) -> bool {
    let Ok(text) = std::fs::read(folder.join(INSTALLED)) else { return false };
    let Ok(files) = serde_json::from_slice::<Vec<InstalledFile>>(&text) else { return false };
    let is = |file: &str, bytes: u64| {
        std::fs::metadata(folder.join(file)).is_ok_and(|there| there.len() == bytes)
    };
    files.iter().all(|file| is(&file.file, file.bytes))
        && OWN.iter().all(|(file, text)| is(file, text.len() as u64))
}

/// Prints how far the work is, one line for each stage.
#[derive(Default)]
struct Shown {
    last: RefCell<String>,
}

impl Shown {
    fn tell(self) -> impl Fn(InstallProgress) {
        move |progress| {
            let stage = match progress {
                InstallProgress::Download { total_bytes: Some(bytes), .. } => {
                    format!("downloading {} MB", bytes / 1_000_000)
                }
                InstallProgress::Download { .. } => "downloading".to_owned(),
                InstallProgress::Verify { .. } => "checking its sha256".to_owned(),
                InstallProgress::Unpack { .. } => "unpacking".to_owned(),
                _ => return,
            };
            if self.last.replace(stage.clone()) != stage {
                eprintln!("{stage}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_go_where_the_crate_looks_for_them() {
        let placed = |member| place(FROM_TENSORFLOW, member);
        assert_eq!(
            placed("tensorflow/libtensorflow_cc.so.2").as_deref(),
            Some("lib/libtensorflow_cc.so.2")
        );
        assert_eq!(placed("tensorflow/libtensorflow_cc.so.2.params"), None);
        assert_eq!(
            placed("tensorflow/include/xla/shape.h").as_deref(),
            Some("include/xla/shape.h")
        );
        assert_eq!(
            placed("tensorflow/include/external/farmhash_archive/src/farmhash.h").as_deref(),
            Some("include/farmhash.h")
        );
        assert_eq!(
            placed("tensorflow/include/xla/pjrt/pjrt_api.h"),
            None,
            "the file of this folder replaces it"
        );
        assert_eq!(placed("tensorflow/python/eager/context.py"), None);
    }

    #[test]
    fn every_header_of_this_folder_is_installed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("xla-rs");
        let mut folders = vec![root.join("include"), root.join("clang")];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(
                        OWN.iter().any(|(_, own)| *own == text),
                        "{} is missing in OWN",
                        path.display()
                    );
                    seen += 1;
                }
            }
        }
        assert_eq!(seen + 1, OWN.len(), "the linker script has no file of its own");
    }

    #[test]
    fn what_is_damaged_is_told_from_what_is_whole() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_intact(root.path()));
        for (file, content) in OWN {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::write(root.path().join("a"), "abc").unwrap();
        std::fs::write(root.path().join(INSTALLED), r#"[{"file":"a","bytes":3,"blake3":""}]"#)
            .unwrap();
        assert!(is_intact(root.path()));
        std::fs::write(root.path().join("a"), "ab").unwrap();
        assert!(!is_intact(root.path()));
    }
}
