//! Runs of the binary with the torch library, and runtimes on its devices.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use preheat::device::{DeviceName, Request};
use preheat::{Runtime, runtime};
use serde_json::Value;

use crate::support::{Lab, Preheat, xla_cpu_plugin};

/// The torch library that is tested: `PREHEAT_TORCH_BACKEND`. Panics where there is none: a test
/// that cannot reach it fails, it is never skipped.
pub fn torch_library() -> PathBuf {
    let path = std::env::var_os("PREHEAT_TORCH_BACKEND").map(PathBuf::from);
    let path = path
        .expect("PREHEAT_TORCH_BACKEND names the torch library: run `cargo xtask test --torch`");
    assert!(
        path.is_file(),
        "no torch library at {}: run `cargo xtask test --torch`",
        path.display()
    );
    path
}

impl Lab {
    /// `preheat` on the CPU through libtorch.
    pub fn torch(&self) -> Preheat {
        self.on("cpu")
    }

    /// `preheat` on a device of libtorch's or XLA's.
    pub fn on(&self, device: &str) -> Preheat {
        let preheat =
            self.bare().env("PREHEAT_TORCH_BACKEND", torch_library()).env("PREHEAT_DEVICE", device);
        quiet_threads(preheat)
    }

    /// `preheat` on the first fake device of this list, as `PREHEAT_TORCH_FAKE_DEVICES` has it.
    pub fn fake(&self, devices: &str) -> Preheat {
        self.on("fake:0").env("PREHEAT_TORCH_FAKE_DEVICES", devices)
    }

    /// The same with so many bytes of memory.
    pub fn card(&self, memory_bytes: u64) -> Preheat {
        self.fake(&format!("[{{\"memory_bytes\": {memory_bytes}}}]"))
    }

    /// A runtime on a device, with this folder's cache.
    pub fn runtime(&self, device: DeviceName) -> runtime::Builder {
        let builder =
            Runtime::builder().device(Request { device, strict: true, ..Request::default() });
        match device {
            DeviceName::XlaCpu => builder.plugin(xla_cpu_plugin()),
            _ => builder,
        }
        .cache_dir(self.cache())
    }
}

/// On a machine that does something else, too, libgomp's threads lose milliseconds at each op while
/// they spin for one another.
fn quiet_threads(preheat: Preheat) -> Preheat {
    preheat.env("OMP_WAIT_POLICY", "passive")
}

/// In a child of a test.
const CHILD: &str = "PREHEAT_TEST_CHILD";

/// Runs `body` in a child process of the test called `test`, in which libtorch has these fake
/// devices: the library reads its environment when a session is opened.
pub fn with_fake_devices(test: &str, devices: &str, body: impl FnOnce(&Lab)) {
    if std::env::var_os(CHILD).is_some() {
        return body(&Lab::new());
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
        .env("PREHEAT_TORCH_BACKEND", torch_library())
        .env("PREHEAT_TORCH_FAKE_DEVICES", devices);
    let output = command.env("OMP_WAIT_POLICY", "passive").output().unwrap();
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .join("");
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    said.lines().filter(|line| line.starts_with("memory ")).for_each(|line| println!("{line}"));
}

/// What a run says of its device's memory, in bytes.
pub fn device_bytes(ran: &Value, name: &str) -> u64 {
    let figure = ran["metrics"][format!("device.{name}")].as_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
    figure.map_or_else(|| panic!("no device.{name} in {ran}"), |bytes| bytes as u64)
}

/// The warnings of a run.
pub fn warnings(ran: &Value) -> Vec<String> {
    ran["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning.as_str().unwrap().to_owned())
        .collect()
}

/// Asserts where every stage came from, and how it was found.
#[track_caller]
pub fn assert_stages(ran: &Value, source: &str, matched: &str) {
    let stages = ran["stages"].as_array().unwrap();
    assert!(!stages.is_empty(), "{ran}");
    for stage in stages {
        assert_eq!(
            (stage["source"].as_str(), stage["match"].as_str()),
            (Some(source), Some(matched)),
            "{stage}"
        );
    }
}

/// The bytes of a file.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A folder that holds a library of a few lines of C, for a `LIBTORCH` or a torch library that is
/// another than it should be.
pub fn compile(source: &str, library: &Path) -> OsString {
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    crate::support::compile_c(source, library, true);
    library.as_os_str().to_owned()
}
