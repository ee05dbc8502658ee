//! How do tests run libtpu in a child process, and read the versions that it writes?

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use preheat_pjrt::{Compatibility, ExecutableAbiVersion, Plugin, RuntimeAbiVersion};
use prost::Message as _;

/// The variable that tells a child of a test which libtpu to load.
const LIBRARY: &str = "PREHEAT_TEST_LIBTPU";

/// The libtpu that this process must load; `None` if it is not a child.
pub fn library_of_child() -> Option<PathBuf> {
    std::env::var_os(LIBRARY).map(PathBuf::from)
}

/// Runs the test named `test` again in a child process. In this process, libtpu asks no metadata
/// server, may be loaded while other processes use it, and logs nothing.
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

/// Whether libtpu reports that a runtime with exactly this version accepts an executable.
pub fn takes(
    plugin: &Plugin,
    runtime: &TpuVersion,
    executable: &ExecutableAbiVersion,
) -> Compatibility {
    let runtime = RuntimeAbiVersion::from_bytes(plugin, &runtime.of_runtime()).unwrap().unwrap();
    assert_eq!(runtime.platform_id().unwrap(), executable.platform_id().unwrap());
    runtime.takes(executable).unwrap()
}

/// The fields of libtpu's versions that are read here. libtpu itself contains the descriptor of
/// these messages.
#[derive(Debug, Clone)]
pub struct TpuVersion {
    platform: u64,
    chip: Chip,
    /// A number that changes from release to release, but not with every patch: 162 in libtpu
    /// 0.0.49, 163 in 0.0.50 and 0.0.50.1, 164 in 0.0.51.
    pub base: i64,
    /// The version of the chip.
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
    /// The version that an executable needs.
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

    /// The bytes that libtpu writes for a runtime of exactly this version.
    pub fn of_runtime(&self) -> Vec<u8> {
        let chip = Chip { version: self.hardware, ..self.chip.clone() };
        // libtpu requires a hash. Any value will do here, because an executable names a hash only
        // if it needs exactly that compiler.
        let version =
            OfRuntime { base: self.base, hardware: vec![chip], compiler_hash: "any".into() };
        Versioned { platform: self.platform, version: version.encode_to_vec() }.encode_to_vec()
    }
}
