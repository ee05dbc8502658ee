//! What do the integration tests share? The paths of the native parts, and helpers that make small
//! models.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The installed xla-cpu plugin: the file that `PREHEAT_XLA_CPU_PLUGIN` names, or the one that
/// `cargo xtask setup` installs.
///
/// Panics if there is no such file: a test without the plugin fails, and is never skipped.
pub fn xla_cpu_plugin() -> PathBuf {
    let path = std::env::var_os("PREHEAT_XLA_CPU_PLUGIN")
        .map_or_else(|| data_dir().join("plugins/xla-cpu/0.0.1/xla_cpu_pjrt.so"), PathBuf::from);
    assert!(path.is_file(), "no xla-cpu plugin at {}: run cargo xtask setup", path.display());
    path
}

/// The installed libtpu: the file that `PREHEAT_TPU_PLUGIN` names, or the one that `cargo xtask
/// setup tpu` installs. Panics if there is no such file.
pub fn tpu_plugin() -> PathBuf {
    let path = std::env::var_os("PREHEAT_TPU_PLUGIN")
        .map_or_else(|| data_dir().join("plugins/tpu/0.0.51/libtpu.so"), PathBuf::from);
    assert!(path.is_file(), "no libtpu at {}: run cargo xtask setup tpu", path.display());
    path
}

/// An older release of libtpu than [`tpu_plugin`]. If `PREHEAT_OLDER_TPU_PLUGIN` names no file, the
/// release is downloaded at the first use (214 MB) and checked against its sha256. It is kept apart
/// from the plugins that are installed for the user.
pub fn older_tpu_plugin() -> PathBuf {
    use preheat_plugins::{Installer, Member, Pin, PluginName, Wheel};
    if let Some(path) = std::env::var_os("PREHEAT_OLDER_TPU_PLUGIN") {
        return path.into();
    }
    let pin = Pin {
        name: PluginName::Tpu,
        wheel: Wheel {
            distribution: "libtpu",
            version: "0.0.50.1",
            file: "libtpu-0.0.50.1-cp311-cp311-manylinux_2_31_x86_64.whl",
            sha256: "a816c326a4250c23348ce2cb3853ca85e9630e82bb318581c0c2f3be2e7d85a6",
            bytes: 214_354_937,
            platform: "manylinux_2_31_x86_64",
            python_version: "3.11",
            abi: Some("cp311"),
        },
        members: &[Member { member: "libtpu/libtpu.so", file: "libtpu.so", bytes: 630_900_056 }],
        other_platforms: &[],
    };
    let installed = Installer::new(data_dir().join("for-tests")).install(&pin);
    installed.unwrap_or_else(|error| panic!("no second libtpu could be had: {error}")).library
}

/// The folder of the C header that ships beside the xla-cpu plugin.
pub fn header_dir() -> PathBuf {
    let dir = xla_cpu_plugin().with_file_name("include");
    assert!(
        dir.join("pjrt_c_api.h").is_file(),
        "no pjrt_c_api.h in {}: run cargo xtask setup",
        dir.display()
    );
    dir
}

fn data_dir() -> PathBuf {
    preheat_plugins::data_dir(&preheat_plugins::process_env).expect("there is a home folder")
}

/// Compiles C source that can include the header; `shared` makes a library instead of a program.
pub fn compile_c(source: &str, output: &Path, shared: bool) {
    let file = output.with_extension("c");
    std::fs::write(&file, source).expect("the folder of the output is writable");
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    if shared {
        cc.args(["-shared", "-fPIC"]);
    }
    cc.arg("-I").arg(header_dir()).arg("-o").arg(output).arg(&file);
    let result = cc.output().expect("a C compiler is on the PATH: install cc");
    assert!(result.status.success(), "cc: {}", String::from_utf8_lossy(&result.stderr));
}

#[cfg(feature = "pipeline")]
pub mod demo;
pub mod lab;
#[cfg(feature = "pipeline")]
pub mod random_model;
pub mod schema;
pub mod single_file;
pub mod tensors;
pub mod tpu;

pub use lab::{Lab, Preheat, Ran, in_child};

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
