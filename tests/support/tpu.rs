//! libtpu in a child of a test, and what it writes of versions.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use preheat::pjrt::{Compatibility, ExecutableAbiVersion, Plugin, RuntimeAbiVersion};
use prost::Message as _;

/// In a child of a test, the libtpu that it is to load.
const LIBRARY: &str = "PREHEAT_TEST_LIBTPU";

/// The libtpu that this process is to load, if it is a child.
pub fn library_of_child() -> Option<PathBuf> {
    std::env::var_os(LIBRARY).map(PathBuf::from)
}

/// Runs the test called `test` again in a child process, in which libtpu answers at once, shares
/// its machine-wide lock and is quiet.
#[track_caller]
pub fn child(test: &str, library: &Path, variables: &[(&str, &OsStr)]) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([&super::lab::full_name(test), "--exact", "--nocapture"])
        .env(LIBRARY, library)
        .env("TPU_SKIP_MDS_QUERY", "1")
        .env("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        .env("TPU_ACCELERATOR_TYPE", "v5litepod-1")
        .env("TPU_WORKER_HOSTNAMES", "localhost")
        .env("TPU_MIN_LOG_LEVEL", "3")
        .env("TPU_STDERR_LOG_LEVEL", "3")
        .env("TPU_LOG_DIR", "disabled")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("1 passed"), "{said}");
}

/// Whether libtpu says that a runtime with this very version takes an executable.
pub fn takes(
    plugin: &Plugin,
    runtime: &TpuVersion,
    executable: &ExecutableAbiVersion,
) -> Compatibility {
    let runtime = RuntimeAbiVersion::from_bytes(plugin, &runtime.of_runtime()).unwrap().unwrap();
    assert_eq!(runtime.platform_id().unwrap(), executable.platform_id().unwrap());
    runtime.takes(executable).unwrap()
}

/// What libtpu writes of versions, as far as it is read here. It carries the descriptor of these
/// messages.
#[derive(Debug, Clone)]
pub struct TpuVersion {
    platform: u64,
    chip: Chip,
    /// Changes from release to release, and not with every patch: 162 in libtpu 0.0.49, 163 in
    /// 0.0.50 and 0.0.50.1, 164 in 0.0.51.
    pub base: i64,
    /// Of the chip.
    pub hardware: i64,
}

/// `xla.PjRtExecutableAbiVersionProto` and `xla.PjRtRuntimeAbiVersionProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Versioned {
    #[prost(uint64, tag = "1")]
    platform: u64,
    #[prost(bytes = "vec", tag = "2")]
    version: Vec<u8>,
}

/// `tpu.TpuCoreProgramAbiProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct OfExecutable {
    #[prost(int32, tag = "1")]
    generation: i32,
    #[prost(string, tag = "2")]
    variant: String,
    #[prost(string, tag = "3")]
    configuration: String,
    #[prost(int64, tag = "4")]
    base: i64,
    #[prost(int64, tag = "5")]
    hardware: i64,
}

/// `tpu.TpuRuntimeAbiProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct OfRuntime {
    #[prost(int64, tag = "1")]
    base: i64,
    #[prost(message, repeated, tag = "2")]
    hardware: Vec<Chip>,
    #[prost(string, tag = "3")]
    compiler_hash: String,
}

/// `tpu.TpuRuntimeAbiProto.HardwareAbiVersion`.
#[derive(Clone, PartialEq, prost::Message)]
struct Chip {
    #[prost(int32, tag = "1")]
    generation: i32,
    #[prost(string, tag = "2")]
    variant: String,
    #[prost(string, tag = "3")]
    configuration: String,
    #[prost(int64, tag = "4")]
    version: i64,
}

impl TpuVersion {
    /// What an executable needs.
    pub fn read(of_executable: &[u8]) -> Self {
        let Versioned { platform, version } = Versioned::decode(of_executable).unwrap();
        let OfExecutable { generation, variant, configuration, base, hardware } =
            OfExecutable::decode(&*version).unwrap();
        Self {
            platform,
            chip: Chip { generation, variant, configuration, version: 0 },
            base,
            hardware,
        }
    }

    /// The version of a runtime that has this very one, as libtpu writes it.
    pub fn of_runtime(&self) -> Vec<u8> {
        let chip = Chip { version: self.hardware, ..self.chip.clone() };
        // libtpu wants some hash; executables name one only where they need that very compiler.
        let version =
            OfRuntime { base: self.base, hardware: vec![chip], compiler_hash: "any".into() };
        Versioned { platform: self.platform, version: version.encode_to_vec() }.encode_to_vec()
    }
}
