//! How does a test run the binary without touching files outside the test's folder? Each test has
//! its own folder with its own cache, and runs the binary over the test plugin.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pjrt_sim::{Count, Entry, Place, Sim, log};
use serde_json::Value;

/// A program that doubles four numbers; it compiles in a few milliseconds.
pub const DOUBLE: &str = "module @double {
  func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = stablehlo.add %x, %x : tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
";

/// A program of the same shape with other arithmetic, so that its key differs.
pub const SQUARE: &str = "module @square {
  func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = stablehlo.multiply %x, %x : tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
";

/// The variable that tells a child of a test which folder its parent made.
const FOLDER: &str = "PREHEAT_TEST_FOLDER";

/// The folder of one test: `cache` in it is the store, `log` is the test plugin's log.
pub struct Lab {
    folder: PathBuf,
    _owned: Option<tempfile::TempDir>,
}

impl Lab {
    pub fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        Self { folder: owned.path().canonicalize().unwrap(), _owned: Some(owned) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The test plugin in front of the real XLA:CPU; it logs to this folder.
    pub fn sim(&self) -> Sim {
        Sim::new(super::xla_cpu_plugin()).log(self.path("log"))
    }

    /// The test plugin, with every compile failing.
    pub fn no_compiles(&self) -> Sim {
        self.sim().fail_compile(pjrt_sim::When::Each)
    }

    pub fn log(&self) -> Vec<Entry> {
        log::read(&self.path("log")).unwrap()
    }

    /// How many compiles were attempted so far, according to the plugin's log.
    pub fn compiles(&self) -> usize {
        self.log().compiles_started()
    }

    pub fn executes(&self) -> usize {
        self.log().executes()
    }

    pub fn count(&self, place: Place) -> usize {
        self.log().count(place, |outcome| *outcome == pjrt_sim::Outcome::Started)
    }

    /// The result of `work`, and how many compiles were attempted while it ran.
    pub fn counting<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let before = self.compiles();
        let done = work();
        (done, self.compiles() - before)
    }

    /// `preheat` with the test plugin as xla-cpu.
    pub fn preheat(&self, sim: &Sim) -> Preheat {
        let mut preheat = self.bare();
        preheat.command.envs(sim.envs()).env("PREHEAT_XLA_CPU_PLUGIN", library());
        preheat
    }

    /// `preheat` with the test plugin as tpu, and without any xla-cpu. It compiles once for each
    /// graph: the tests of other topics count compiles, and the default on a TPU would compile a
    /// second time in the background. tests/tpu/tiers.rs has the tests of the default.
    pub fn preheat_tpu(&self, sim: &Sim) -> Preheat {
        let mut preheat = self.bare();
        preheat
            .command
            .envs(sim.envs())
            .env("PREHEAT_TPU_PLUGIN", library())
            .env("TPU_SKIP_MDS_QUERY", "1")
            .env("PREHEAT_COMPILE_EFFORT", "full")
            .env("PREHEAT_DEVICE", "tpu");
        preheat
    }

    /// `preheat` on the real XLA:CPU, without the variables of the surrounding environment that it
    /// would read.
    pub fn bare(&self) -> Preheat {
        let mut command = Command::new(env!("CARGO_BIN_EXE_preheat"));
        clean(&mut command);
        command
            .env("PREHEAT_DEVICE", "xla-cpu")
            .env("PREHEAT_CACHE_DIR", self.cache())
            .env("PREHEAT_XLA_CPU_PLUGIN", super::xla_cpu_plugin())
            // Most tests look at what the plugin was asked, and at the process that asked it. The
            // tests of compiles in a child, in tests/cli/children.rs, remove this variable.
            .env("PREHEAT_COMPILE_IN_PROCESS", "1")
            // Makes tests independent of whether the torch library is installed;
            // tests/torch_runs.rs sets this variable to the path of the real library.
            .env("PREHEAT_TORCH_BACKEND", self.path("no-torch-library"))
            // The folder for marks that the cache cannot hold.
            .env("XDG_CACHE_HOME", self.path("user-cache"))
            .stdin(Stdio::null())
            .current_dir(&self.folder);
        Preheat { command }
    }

    /// Every object in the cache.
    pub fn objects(&self) -> Vec<PathBuf> {
        files_under(&self.cache().join("objects-v1"))
    }

    /// Asserts that no incompletely written file is left behind.
    pub fn assert_nothing_half_written(&self) {
        let left: Vec<_> = ["tmp", "locks"]
            .iter()
            .flat_map(|folder| files_under(&self.cache().join(folder)))
            .filter(|path| path.file_name() != Some(OsStr::new("index.lock")))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Every file in a folder and below it; none if the folder does not exist.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The test plugin's file.
pub fn library() -> PathBuf {
    pjrt_sim::library_path().unwrap()
}

fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let read = ["PREHEAT_", "PJRT_", "TPU_"].iter().any(|prefix| text.starts_with(prefix))
            || ["XLA_FLAGS", "LIBTPU_INIT_ARGS", "NPROC", "NO_COLOR"].contains(&text.as_ref());
        if read {
            command.env_remove(&name);
        }
    }
}

/// A run of the binary that is being prepared.
pub struct Preheat {
    pub command: Command,
}

impl Preheat {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds arguments, which are separated by spaces in `words`.
    pub fn words(self, words: &str) -> Self {
        self.args(words.split_whitespace())
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts the binary through another program, such as a shell that sets a limit first: `program
    /// args preheat its-args`.
    pub fn through(self, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null());
        Self { command }
    }

    pub fn run(mut self) -> Ran {
        Ran::new(&self.command.output().unwrap())
    }

    /// Starts the binary as the leader of its own process group, as a shell does.
    #[cfg(unix)]
    pub fn start_a_group(self) -> Started {
        let mut started = self.with_default_signals();
        std::os::unix::process::CommandExt::process_group(&mut started.command, 0);
        started.spawn()
    }

    pub fn start(self) -> Started {
        self.with_default_signals().spawn()
    }

    fn spawn(mut self) -> Started {
        let child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Started { child }
    }

    /// Undoes what a shell does to the processes that it starts in the background: they ignore
    /// SIGINT, and the binary keeps ignoring a signal that was ignored when it started.
    fn with_default_signals(self) -> Self {
        if cfg!(target_os = "linux") {
            self.through("env", &["--default-signal=HUP,INT,TERM"])
        } else {
            self
        }
    }
}

/// A run of the binary that has not ended yet.
pub struct Started {
    child: Child,
}

impl Started {
    /// Sends a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status =
            Command::new("kill").args([&format!("-{name}"), pid.as_str()]).status().unwrap();
        assert!(status.success(), "kill -{name} {pid}");
    }

    /// Sends a signal to every process of the group that this run leads.
    pub fn signal_group(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill")
            .args([&format!("-{name}"), "--", group.as_str()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{name} -- {group}");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn wait(self) -> Ran {
        Ran::new(&self.child.wait_with_output().unwrap())
    }
}

/// A run of the binary that has ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(output: &Output) -> Self {
        let ran = Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!ran.stderr.contains("panicked"), "it panicked: {}", ran.stderr);
        ran
    }

    /// Asserts that the run succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        self.ended(0)
    }

    /// Asserts that the run ended with this exit status.
    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error contains each of these texts.
    #[track_caller]
    pub fn says(self, what: &[&str]) -> Self {
        for what in what {
            assert!(self.stderr.contains(what), "no {what:?} in: {}", self.stderr);
        }
        self
    }

    /// Asserts that standard error is empty.
    #[track_caller]
    pub fn silent(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// Asserts that standard error does not say that the cache fails.
    #[track_caller]
    pub fn silent_about_the_cache(self) -> Self {
        assert!(
            !self.stderr.contains("the cache") && !self.stderr.contains("the fallback"),
            "{}",
            self.stderr
        );
        self
    }

    /// Standard output, which must be one JSON document and nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in: {}", self.stdout))
    }
}

/// Waits until `happened` returns `true`; panics if that takes longer than any test should.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `body` in a child process of the calling test, which is named `test`, over the test plugin
/// as `sim` sets it up. A child is needed because the plugin reads its environment once per
/// process: in its own process, a test has its own faults and its own log.
#[track_caller]
pub fn in_child(test: &str, sim: impl FnOnce(&Lab) -> Sim, body: impl FnOnce(&Lab)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        body(&Lab { folder: folder.into(), _owned: None });
        return;
    }
    let test = full_name(test);
    let lab = Lab::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    clean(&mut command);
    command.args(["--exact", &test, "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, &lab.folder).envs(sim(&lab).envs());
    command.env("XDG_CACHE_HOME", lab.path("user-cache"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .join("");
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The name of the calling test within its test program. A file in a folder of `tests/` is a module
/// of that folder's program; a file directly in `tests/` is a program of its own.
#[track_caller]
pub fn full_name(test: &str) -> String {
    let file = Path::new(std::panic::Location::caller().file());
    let of_its_own = file.parent().is_some_and(|folder| folder.ends_with("tests"));
    match file.file_stem().and_then(OsStr::to_str) {
        Some(module) if !of_its_own => format!("{module}::{test}"),
        _ => test.to_owned(),
    }
}
