//! What does each test get? A folder with a store and two logs, and Python programs that use them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pjrt_sim::Count as _;
use serde_json::Value;
use tempfile::TempDir;

/// A variable that `cargo xtask test --plugin` sets.
fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test --plugin`")).into()
}

/// The caching plugin.
pub fn plugin() -> PathBuf {
    variable("PREHEAT_TEST_PLUGIN")
}

/// XLA:CPU's plugin, which the other plugins forward to.
pub fn xla_cpu() -> PathBuf {
    variable("PREHEAT_TEST_XLA_CPU")
}

/// Where the Python programs are.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frameworks");

/// A folder with a store and logs.
pub struct House {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl House {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// Adds an environment variable for every process that is started from now on.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that runs a program of [`FOLDER`] with these arguments, through the plugins.
    pub fn python(&self, program: &str, arguments: &[&Path]) -> Command {
        self.python_at(&Path::new(FOLDER).join(program), arguments)
    }

    /// A command that runs any program in the same way.
    pub fn python_at(&self, program: &Path, arguments: &[&Path]) -> Command {
        let mut command = Command::new(variable("PREHEAT_TEST_JAX_PYTHON"));
        command.arg(program).args(arguments);
        command
            .env("PJRT_NAMES_AND_LIBRARY_PATHS", format!("preheat:{}", plugin().display()))
            .env("JAX_PLATFORMS", "preheat")
            .env("PREHEAT_REAL_PLUGIN", pjrt_sim::library_path().unwrap())
            .env("PJRT_SIM_PLUGIN", xla_cpu())
            .env("PJRT_SIM_LOG", self.path("below.log"))
            .env("PREHEAT_CACHE_DIR", self.path("cache"))
            .env("PREHEAT_PLUGIN_LOG", self.path("events.log"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env_remove("PREHEAT_PLUGIN")
            .stdin(Stdio::null());
        command
    }

    /// Deletes the logs of earlier programs, and runs a program, which has to succeed.
    pub fn run(&self, program: &str, arguments: &[&Path]) -> Output {
        self.forget_logs();
        ended(self.python(program, arguments))
    }

    pub fn forget_logs(&self) {
        for log in ["below.log", "events.log"] {
            let _ = std::fs::remove_file(self.path(log));
        }
    }

    /// How many compiles reached the test plugin below the caching plugin, whether they ended or
    /// not.
    pub fn compiles(&self) -> usize {
        pjrt_sim::log::read(&self.path("below.log")).unwrap().compiles_started()
    }

    /// The events with this outcome.
    pub fn events(&self, outcome: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("events.log")).unwrap_or_default();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|event| event["outcome"] == outcome).collect()
    }

    /// The files of stored executables.
    pub fn objects(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    below(&path, found);
                } else if path
                    .components()
                    .any(|part| part.as_os_str().to_string_lossy().starts_with("objects"))
                {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        below(&self.path("cache"), &mut found);
        found.sort();
        found
    }
}

/// Runs a command that has to succeed.
pub fn ended(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Starts a command, and discards its output.
pub fn started(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
