//! What do real frameworks need to run over the caching plugin? They need the plugin itself, the
//! plugin that it wraps, and a Python with JAX.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{Failure, Outcome, cargo, output, root, run as run_command};
use crate::peers::{self, Peers};
use crate::setup::{Profile, install};

/// The files with which frameworks run.
pub struct SetUp {
    /// `libpreheat_pjrt.so`.
    pub plugin: PathBuf,
    /// The plugin that it wraps.
    pub xla_cpu: PathBuf,
    /// A Python that has JAX.
    pub python: PathBuf,
}

impl SetUp {
    /// Builds and installs everything.
    pub fn make(profile: Profile) -> Outcome<Self> {
        run_command(&mut install("xla-cpu", profile))?;
        let mut build =
            cargo(["build", "--package", "preheat-pjrt-plugin", "--package", "pjrt-sim"]);
        let folder = match profile {
            Profile::Debug => "debug",
            Profile::Release => {
                build.arg("--release");
                "release"
            }
        };
        run_command(&mut build)?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), PathBuf::from);
        Ok(Self {
            plugin: target.join(folder).join("libpreheat_pjrt.so"),
            xla_cpu: xla_cpu(profile)?,
            python: peers::python(Peers::WarmStart)?,
        })
    }

    /// The command that runs the tests. Variables tell the tests where everything is.
    pub fn tests(&self) -> Command {
        let mut tests = cargo(["test", "--package", "preheat-pjrt-plugin", "--test", "frameworks"]);
        tests
            .env("PREHEAT_TEST_PLUGIN", &self.plugin)
            .env("PREHEAT_TEST_XLA_CPU", &self.xla_cpu)
            .env("PREHEAT_TEST_JAX_PYTHON", &self.python)
            // This is for the tests that load the plugin into their own process, where it must not
            // cache anything.
            .env("PREHEAT_REAL_PLUGIN", &self.xla_cpu)
            .env("PREHEAT_PLUGIN", "off");
        tests
    }
}

/// The path of the plugin that `preheat plugins install xla-cpu` installed.
fn xla_cpu(profile: Profile) -> Outcome<PathBuf> {
    let mut list = cargo(["run", "--quiet", "--package", "preheat"]);
    if let Profile::Release = profile {
        list.arg("--release");
    }
    list.args(["--", "--json", "plugins", "list"]);
    let listed = output(&mut list)?;
    let listed: serde_json::Value = serde_json::from_str(&listed)
        .map_err(Failure::context("`preheat plugins list` gave no JSON"))?;
    find_path(&listed).ok_or_else(|| Failure::new("`preheat plugins list` has no xla-cpu"))
}

/// The path of the plugin named xla-cpu, at any depth of the answer.
fn find_path(value: &serde_json::Value) -> Option<PathBuf> {
    if value["name"] == "xla-cpu"
        && let Some(path) = value["plugin"]["path"].as_str()
    {
        return Some(path.into());
    }
    let inner: Vec<&serde_json::Value> = match value {
        serde_json::Value::Array(values) => values.iter().collect(),
        serde_json::Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().find_map(find_path)
}
