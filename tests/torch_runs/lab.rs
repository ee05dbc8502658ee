//! How do tests run the binary with the torch library, and make runtimes on its devices?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use preheat::Runtime;
use preheat_runtime::device::{DeviceName, DeviceRequest};
use serde_json::Value;

use crate::support::{Lab, Preheat, xla_cpu_plugin};

/// The path of the torch library that is tested, which `PREHEAT_TORCH_BACKEND` holds. Panics if
/// there is no such library, because a test without it must fail and not be skipped.
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

    /// `preheat` on this device, which libtorch or XLA drives.
    pub fn on(&self, device: &str) -> Preheat {
        let preheat =
            self.bare().env("PREHEAT_TORCH_BACKEND", torch_library()).env("PREHEAT_DEVICE", device);
        quiet_threads(preheat)
    }

    /// `preheat` on the first of these fake devices. `devices` is a JSON list, which becomes the
    /// value of `PREHEAT_TORCH_FAKE_DEVICES`.
    pub fn fake(&self, devices: &str) -> Preheat {
        self.on("fake:0").env("PREHEAT_TORCH_FAKE_DEVICES", devices)
    }

    /// `preheat` on a fake device with this much memory.
    pub fn card(&self, memory_bytes: u64) -> Preheat {
        self.fake(&format!("[{{\"memory_bytes\": {memory_bytes}}}]"))
    }

    /// A runtime on a device, with this folder's cache.
    pub fn runtime(&self, device: DeviceName) -> preheat_runtime::RuntimeBuilder {
        let builder = Runtime::builder().device(DeviceRequest {
            device,
            strict: true,
            ..DeviceRequest::default()
        });
        match device {
            DeviceName::XlaCpu => builder.plugin(xla_cpu_plugin()),
            _ => builder,
        }
        .cache_dir(self.cache())
    }
}

/// Makes libgomp's threads sleep while they wait for one another. On a busy machine, threads that
/// spin instead would lose milliseconds at each op.
fn quiet_threads(preheat: Preheat) -> Preheat {
    preheat.env("OMP_WAIT_POLICY", "passive")
}

/// The variable that is set in the child of a test.
const CHILD: &str = "PREHEAT_TEST_CHILD";

/// Runs `body` in a child process of the test named `test`, in which libtorch has these fake
/// devices. A child is needed because the library reads its environment when a session is opened.
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

/// A figure of the device's memory that a run reports, in bytes.
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

/// Compiles a few lines of C to a library at this path, and returns the path. The library takes the
/// place of a wrong libtorch or a wrong torch library.
pub fn compile(source: &str, library: &Path) -> OsString {
    std::fs::create_dir_all(library.parent().unwrap()).unwrap();
    crate::support::compile_c(source, library, true);
    library.as_os_str().to_owned()
}
