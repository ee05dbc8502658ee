//! A folder for one test, with a cache of its own, and the binary run over the test plugin in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pjrt_sim::{Count, Entry, Place, Sim, log};
use serde_json::Value;

/// Doubles four numbers; compiles in a few milliseconds.
pub const DOUBLE: &str = "module @double {
  func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = stablehlo.add %x, %x : tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
";

/// The same with other arithmetic: another program.
pub const SQUARE: &str = "module @square {
  func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = stablehlo.multiply %x, %x : tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
";

/// In a child of a test, the folder that its parent made.
const FOLDER: &str = "PREHEAT_TEST_FOLDER";

/// The folder of one test: `cache` in it is the store, `log` what the test plugin did.
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

    /// The test plugin in front of the real XLA:CPU, logging here.
    pub fn sim(&self) -> Sim {
        Sim::new(super::xla_cpu_plugin()).log(self.path("log"))
    }

    /// The test plugin in which every compile fails.
    pub fn no_compiles(&self) -> Sim {
        self.sim().fail_compile(pjrt_sim::When::Each)
    }

    pub fn log(&self) -> Vec<Entry> {
        log::read(&self.path("log")).unwrap()
    }

    /// How many compiles were attempted so far, by the plugin's own log.
    pub fn compiles(&self) -> usize {
        self.log().compiles_started()
    }

    pub fn executes(&self) -> usize {
        self.log().executes()
    }

    pub fn count(&self, place: Place) -> usize {
        self.log().count(place, |outcome| *outcome == pjrt_sim::Outcome::Started)
    }

    /// What `work` gives, and how many compiles were attempted meanwhile.
    pub fn counting<T>(&self, work: impl FnOnce() -> T) -> (T, usize) {
        let before = self.compiles();
        let done = work();
        (done, self.compiles() - before)
    }

    /// `preheat` on xla-cpu, which is the test plugin.
    pub fn preheat(&self, sim: &Sim) -> Preheat {
        let mut preheat = self.bare();
        preheat.command.envs(sim.envs()).env("PREHEAT_XLA_CPU_PLUGIN", library());
        preheat
    }

    /// `preheat` on tpu, which is the test plugin, and xla-cpu nowhere.
    pub fn preheat_tpu(&self, sim: &Sim) -> Preheat {
        let mut preheat = self.bare();
        preheat
            .command
            .envs(sim.envs())
            .env("PREHEAT_TPU_PLUGIN", library())
            .env("TPU_SKIP_MDS_QUERY", "1")
            .env("PREHEAT_DEVICE", "tpu");
        preheat
    }

    /// `preheat` on the real XLA:CPU, with nothing of the surrounding environment that it would
    /// read.
    pub fn bare(&self) -> Preheat {
        let mut command = Command::new(env!("CARGO_BIN_EXE_preheat"));
        clean(&mut command);
        command
            .env("PREHEAT_DEVICE", "xla-cpu")
            .env("PREHEAT_CACHE_DIR", self.cache())
            .env("PREHEAT_XLA_CPU_PLUGIN", super::xla_cpu_plugin())
            // So that nothing depends on whether the torch library is installed;
            // tests/torch_runs.rs names it.
            .env("PREHEAT_TORCH_BACKEND", self.path("no-torch-library"))
            // Where marks go that the cache does not take.
            .env("XDG_CACHE_HOME", self.path("user-cache"))
            .stdin(Stdio::null())
            .current_dir(&self.folder);
        Preheat { command }
    }

    /// Every object in the cache.
    pub fn objects(&self) -> Vec<PathBuf> {
        files_under(&self.cache().join("objects-v1"))
    }

    /// Asserts that nothing that was being written is left behind.
    pub fn assert_nothing_half_written(&self) {
        let left: Vec<_> = ["tmp", "locks"]
            .iter()
            .flat_map(|folder| files_under(&self.cache().join(folder)))
            .filter(|path| path.file_name() != Some(OsStr::new("index.lock")))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Every file in a folder and below it; none where there is no folder.
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

/// A run of the binary that is being put together.
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

    /// Words separated by blanks.
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

    /// The same through another program, such as a shell that sets a limit first: `program args
    /// preheat its-args`.
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

    /// Starts it as the first of a process group of its own, as a shell does.
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

    /// Takes back what a shell tells the processes that it starts in the background: to ignore
    /// SIGINT. The binary goes on ignoring what it finds ignored.
    fn with_default_signals(self) -> Self {
        if cfg!(target_os = "linux") {
            self.through("env", &["--default-signal=HUP,INT,TERM"])
        } else {
            self
        }
    }
}

/// A run that goes on.
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

    /// Sends a signal to every process of the group that it was started as.
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

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    /// `None` where a signal ended it.
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

    /// Asserts that it succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        self.ended(0)
    }

    /// Asserts its exit status.
    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error has each of these.
    #[track_caller]
    pub fn says(self, what: &[&str]) -> Self {
        for what in what {
            assert!(self.stderr.contains(what), "no {what:?} in: {}", self.stderr);
        }
        self
    }

    /// Asserts that standard error is silent.
    #[track_caller]
    pub fn silent(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// Asserts that nothing was said about a cache that does not work.
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

/// Waits until `happened` does, and panics where that takes longer than any test should.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `body` in a child process of the calling test, which is called `test`, over the test plugin
/// set up by `sim`: the plugin reads its environment once per process, and counts in a log of this
/// test's own.
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

/// The name by which the test program knows the calling test: a file in a folder of `tests/` is a
/// module of that folder's program, and a file beside the folders is a program of its own.
#[track_caller]
pub fn full_name(test: &str) -> String {
    let file = Path::new(std::panic::Location::caller().file());
    let of_its_own = file.parent().is_some_and(|folder| folder.ends_with("tests"));
    match file.file_stem().and_then(OsStr::to_str) {
        Some(module) if !of_its_own => format!("{module}::{test}"),
        _ => test.to_owned(),
    }
}
