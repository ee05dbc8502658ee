//! What the integration tests share: where the native parts are, and how to make small ones.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The installed xla-cpu plugin: `PREHEAT_XLA_CPU_PLUGIN`, else where `cargo xtask setup` puts it.
///
/// Panics where there is none: a test that cannot reach the plugin fails, it is never skipped.
pub fn xla_cpu_plugin() -> PathBuf {
    let path = std::env::var_os("PREHEAT_XLA_CPU_PLUGIN")
        .map_or_else(|| data_dir().join("plugins/xla-cpu/0.0.1/xla_cpu_pjrt.so"), PathBuf::from);
    assert!(path.is_file(), "no xla-cpu plugin at {}: run cargo xtask setup", path.display());
    path
}

/// The installed libtpu: `PREHEAT_TPU_PLUGIN`, else where `cargo xtask setup tpu` puts it. Panics where there is none.
pub fn tpu_plugin() -> PathBuf {
    let path = std::env::var_os("PREHEAT_TPU_PLUGIN")
        .map_or_else(|| data_dir().join("plugins/tpu/0.0.51/libtpu.so"), PathBuf::from);
    assert!(path.is_file(), "no libtpu at {}: run cargo xtask setup tpu", path.display());
    path
}

/// The folder of the C header that ships beside the xla-cpu plugin.
pub fn header_dir() -> PathBuf {
    let dir = xla_cpu_plugin().with_file_name("include");
    assert!(dir.join("pjrt_c_api.h").is_file(), "no pjrt_c_api.h in {}: run cargo xtask setup", dir.display());
    dir
}

fn data_dir() -> PathBuf {
    preheat::plugins::data_dir(&preheat::plugins::process_env).expect("there is a home folder")
}

/// Compiles C source with the header at hand; `shared` makes a library instead of a program.
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
pub mod tensors;

pub use lab::{Lab, Preheat, Ran, in_child};

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
