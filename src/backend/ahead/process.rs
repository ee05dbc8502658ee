//! The parent's side: starts a child, waits for it, and says how it ended.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::child::{NOT_ANSWERED, VARIABLE, this_program_serves};
use super::job::{self, Answer, Job};
use crate::pjrt::ErrorCode;
use crate::progress::Cancel;

/// What the folders of answers are called.
const FOLDER_PREFIX: &str = "preheat-compile-";

/// How often a child is looked after.
const POLL: Duration = Duration::from_millis(10);

/// How long a program may take to show that it is a compiling child. It does so before it loads anything.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long after a child was ended by a signal it may turn out that the signal was meant for all: Ctrl-C reaches a whole group.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(300);

/// A folder of an answer that is older than this belonged to a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// The last lines of a child's standard error that are kept to explain its end.
const LINES_KEPT: usize = 20;

/// What begins a line of a stack trace, as absl and glog write it: it follows the reason, and pushes it out of sight.
const STACK_TRACE: [&str; 3] = ["@ ", "PC: @", "*** "];

/// What a line has in it that tells why a process gave up.
const REASON: &str = "Check failed";

/// What libtpu needs in order to answer at once where there is no TPU, to share its machine-wide lock, and to be quiet. A variable
/// that the user has set stands.
const SURROUNDINGS: [(&str, &str); 7] = [
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("TPU_ACCELERATOR_TYPE", "v5litepod-1"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_MIN_LOG_LEVEL", "3"),
    ("TPU_STDERR_LOG_LEVEL", "3"),
    ("TPU_LOG_DIR", "disabled"),
];

/// Why a process that was to compile ahead of time gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AheadError {
    /// What the plugin said.
    #[error("{message}")]
    Plugin {
        /// The plugin's kind of error, where it gave one.
        code: Option<ErrorCode>,
        /// Its words.
        message: String,
    },
    /// The process ended in the middle of its work.
    #[error("the process that compiled ended ({status}){}", after(.said))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error: the check that failed, if one did, and the last lines without stack traces.
        said: String,
    },
    /// No program is known that could be started to compile.
    #[error(
        "a process of its own is needed to compile ahead of time, and this program offers none: call `preheat::serve_compiler()` \
         first in `main`, or name the `preheat` command with `Builder::compiler_program`"
    )]
    NoProgram,
    /// The process could not be started.
    #[error("{} could not be started to compile", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Its answer could not be read or its folder not be made.
    #[error("what a compiling process wrote could not be read")]
    Answer(#[source] std::io::Error),
    /// It could not read its job or write its answer.
    #[error("the process that compiled could not answer{}", after(.said))]
    NotAnswered {
        /// The last lines that it wrote to standard error.
        said: String,
    },
    /// The program that was started does not compile, or its answer was to another question: it is of another release.
    #[error(
        "the program that was started to compile does not do so: it is not the `preheat` of this release, and does not call `serve_compiler()` first"
    )]
    Confused,
    /// The plugin was replaced since its build was told.
    #[error("the plugin was replaced meanwhile: start again")]
    Replaced,
    /// Someone asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl AheadError {
    /// The plugin's kind of error, where the plugin raised it.
    pub fn code(&self) -> Option<ErrorCode> {
        if let Self::Plugin { code, .. } = self { *code } else { None }
    }
}

fn after(said: &str) -> String {
    if said.is_empty() { ", and said nothing".to_owned() } else { format!(" after it said: {said}") }
}

/// A folder for one answer, gone when it is dropped.
pub(super) fn answer_folder() -> Result<TempDir, AheadError> {
    remove_abandoned(&std::env::temp_dir());
    tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir().map_err(AheadError::Answer)
}

/// Removes what parents and children that were killed together left behind.
fn remove_abandoned(temporary: &Path) {
    let Ok(entries) = std::fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_ours && age().is_some_and(|age| age > ABANDONED_AFTER) {
            // Another process may be doing the same, and others' folders cannot be removed.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// How children are started.
pub(crate) struct Starting<'a> {
    /// The program; without one, this program itself, if it serves.
    pub(crate) program: Option<&'a Path>,
    /// What the compiler reads in its environment; one that is empty is taken out of it.
    pub(crate) variables: &'a [(&'static str, String)],
}

/// Has a child do `job`.
pub(super) fn run(
    starting: &Starting<'_>,
    job: &Job,
    input: &[u8],
    folder: &TempDir,
    cancel: &Cancel,
) -> Result<Answer, AheadError> {
    if cancel.is_cancelled() {
        return Err(AheadError::Cancelled);
    }
    let program = starting.program.map_or_else(this_program, |program| Ok(program.to_owned()))?;
    let not_started = |cause| AheadError::Start { program: program.clone(), cause };
    let mut child = Running::start(&program, starting.variables, folder.path()).map_err(not_started)?;
    tracing::debug!(pid = child.process.id(), "a process compiles");
    // Closing it is what tells the child that nobody wants its answer any more.
    let mut lifeline = child.process.stdin.take();
    let ended = std::thread::scope(|scope| {
        // A program that does not listen keeps the writer until it is killed, and not the one who may be asked to stop.
        let write = || lifeline.as_mut().map_or(Ok(()), |lifeline| job.write(input, lifeline));
        let writer = std::thread::Builder::new().spawn_scoped(scope, write).map_err(not_started)?;
        let ended = child.wait(folder.path(), cancel);
        if ended.is_err() {
            child.end();
        }
        if let Ok(Err(error)) = writer.join() {
            tracing::debug!(%error, "the job was not taken; how the process ends tells why");
        }
        ended
    });
    drop(lifeline);
    let status = ended?;
    let answer = match std::fs::read(job::answer(folder.path())) {
        Ok(answer) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let said = child.said();
            return Err(match status.code() {
                Some(NOT_ANSWERED) => AheadError::NotAnswered { said },
                _ => AheadError::Ended { status, said },
            });
        }
        Err(error) => return Err(AheadError::Answer(error)),
    };
    match serde_json::from_slice(&answer).map_err(|_| AheadError::Confused)? {
        Answer::Refused { code, message } => {
            Err(AheadError::Plugin { code: code.map(ErrorCode::from_number), message })
        }
        Answer::Replaced => Err(AheadError::Replaced),
        answer => Ok(answer),
    }
}

fn this_program() -> Result<PathBuf, AheadError> {
    let own = std::env::current_exe().ok().filter(|_| this_program_serves());
    own.ok_or(AheadError::NoProgram)
}

/// What starts a child: with what the compiler was told when the keys were made, whatever became of the environment since.
fn command(program: &Path, variables: &[(&'static str, String)], folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, value) in variables {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    command.env(VARIABLE, folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.envs(SURROUNDINGS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    command
}

/// A child that is killed unless it was waited for.
struct Running {
    process: Child,
    said: Option<JoinHandle<Said>>,
}

/// What is kept of a child's standard error.
#[derive(Default)]
struct Said {
    /// The first line that tells why it gave up.
    reason: Option<String>,
    last: VecDeque<String>,
}

impl Said {
    fn add(&mut self, line: String) {
        if line.is_empty() || STACK_TRACE.iter().any(|start| line.starts_with(start)) {
            return;
        }
        if self.reason.is_none() && line.contains(REASON) {
            self.reason = Some(line);
            return;
        }
        if self.last.len() == LINES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Running {
    fn start(program: &Path, variables: &[(&'static str, String)], folder: &Path) -> std::io::Result<Self> {
        let mut command = command(program, variables, folder);
        let mut running = Self { process: command.spawn()?, said: None };
        if let Some(stderr) = running.process.stderr.take() {
            let listen = move || {
                let mut said = Said::default();
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim().to_owned();
                    tracing::debug!(line, "a compiling process says");
                    said.add(line);
                }
                said
            };
            running.said = Some(std::thread::Builder::new().spawn(listen)?);
        }
        Ok(running)
    }

    /// Waits until it has ended by itself.
    fn wait(&mut self, folder: &Path, cancel: &Cancel) -> Result<ExitStatus, AheadError> {
        let (began, mut has_started) = (Instant::now(), false);
        loop {
            if cancel.is_cancelled() {
                return Err(AheadError::Cancelled);
            }
            if let Some(status) = self.process.try_wait().map_err(AheadError::Answer)? {
                let by_signal = status.code().is_none();
                return if by_signal && comes_true(SIGNAL_PATIENCE, || cancel.is_cancelled()) {
                    Err(AheadError::Cancelled)
                } else {
                    Ok(status)
                };
            }
            has_started = has_started || job::started(folder).exists();
            if !has_started && began.elapsed() > START_PATIENCE {
                return Err(AheadError::Confused);
            }
            std::thread::sleep(POLL);
        }
    }

    fn end(&mut self) {
        // Both fail where it has ended and was waited for, which is as it should be.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn said(&mut self) -> String {
        let said = self.said.take().map(|said| said.join().unwrap_or_default()).unwrap_or_default();
        said.reason.into_iter().chain(said.last).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether something comes true within a time.
fn comes_true(within: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if happened() {
            return true;
        }
        if began.elapsed() > within {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_child_is_told_what_the_key_says() {
        let variables = [("XLA_FLAGS", "--xla_a=1".to_owned()), ("LIBTPU_INIT_ARGS", String::new())];
        let command = command(Path::new("preheat"), &variables, Path::new("folder"));
        let told = |name: &str| command.get_envs().find(|(told, _)| *told == OsStr::new(name)).map(|(_, value)| value);
        assert_eq!(told("XLA_FLAGS"), Some(Some(OsStr::new("--xla_a=1"))));
        assert_eq!(told("LIBTPU_INIT_ARGS"), Some(None), "taken out, should it have been set since");
        assert_eq!(told(VARIABLE), Some(Some(OsStr::new("folder"))));
    }

    #[test]
    fn what_killed_processes_left_goes_and_what_others_use_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str, age: Duration| {
            let path = temporary.path().join(name);
            std::fs::create_dir(&path).unwrap();
            File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let old = ABANDONED_AFTER + Duration::from_mins(1);
        let abandoned = folder("preheat-compile-1", old);
        let kept = [folder("preheat-compile-2", Duration::ZERO), folder("another-program", old)];
        remove_abandoned(temporary.path());
        assert!(!abandoned.exists());
        assert!(kept.iter().all(|path| path.exists()));
    }
}
