//! How does the parent start a child, wait for it, and say how it ended?

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use preheat_pjrt::ErrorCode;
use tempfile::TempDir;

use super::child::{VARIABLE, this_program_serves};
use super::ended::NOT_ANSWERED;
use super::job::{self, Answer, Job};
use crate::progress::Cancel;

/// The prefix of the names of answers' folders.
const FOLDER_PREFIX: &str = "preheat-compile-";

/// The number of random letters and digits that follow the prefix.
const FOLDER_RANDOM_LENGTH: usize = 6;

/// How often a child's state is checked.
const POLL: Duration = Duration::from_millis(10);

/// How long a program may take to show that it is a compiling child. It does so before it loads
/// anything.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait, after a signal ended a child, for the same signal to reach this process:
/// Ctrl-C reaches a whole process group.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(300);

/// An answer's folder that is older than this, and whose marker no process holds locked, was left
/// behind by a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// How many of the last lines of a child's standard error are kept to explain its end.
const LINES_KEPT: usize = 20;

/// How the lines of a stack trace begin, as absl and glog write them. A stack trace follows the
/// reason, and would push the reason out of the lines that are kept.
const STACK_TRACE: [&str; 3] = ["@ ", "PC: @", "*** "];

/// A line with this text tells why a process aborted.
const REASON: &str = "Check failed";

/// The variables that libtpu needs in order to answer at once on a machine without a TPU, to share
/// its machine-wide lock, and to write no log. A variable that the user has set is not changed.
const SURROUNDINGS: [(&str, &str); 7] = [
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("TPU_ACCELERATOR_TYPE", "v5litepod-1"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_MIN_LOG_LEVEL", "3"),
    ("TPU_STDERR_LOG_LEVEL", "3"),
    ("TPU_LOG_DIR", "disabled"),
];

/// Why a process that was started to compile ahead of time gave no executable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AheadError {
    /// The plugin raised an error.
    #[error("{message}")]
    Plugin {
        /// The plugin's kind of error, if it gave one.
        code: Option<ErrorCode>,
        /// The plugin's message.
        message: String,
    },
    /// The process ended before it answered.
    #[error("the process that compiled ended ({status}){}", after(.said))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error: the check that failed, if one did, and the last lines
        /// without stack traces.
        said: String,
    },
    /// No program is known that could be started to compile.
    #[error(
        "a child process is needed to compile ahead of time, and this program cannot be started as one: call `preheat::serve_compiler()` \
         first in `main`, or name the `preheat` command with `RuntimeBuilder::compiler_program`"
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
    /// The child's answer could not be read, or the folder for it could not be made.
    #[error("the answer of the process that compiled could not be read")]
    Answer(#[source] std::io::Error),
    /// The child could not read its job or write its answer.
    #[error("the process that compiled could not answer{}", after(.said))]
    NotAnswered {
        /// The last lines that it wrote to standard error.
        said: String,
    },
    /// The program that was started does not compile, or its answer does not belong to the job: it
    /// is of another release.
    #[error(
        "the program that was started to compile does not do so: it is not the `preheat` of this release, and does not call `serve_compiler()` first"
    )]
    Confused,
    /// The plugin was replaced after its build was identified.
    #[error("the plugin was replaced meanwhile: start again")]
    Replaced,
    /// Someone asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl AheadError {
    /// The plugin's kind of error, if the plugin raised the error.
    pub fn code(&self) -> Option<ErrorCode> {
        if let Self::Plugin { code, .. } = self { *code } else { None }
    }
}

/// The end of a message that says what a process wrote before it ended.
pub(crate) fn after(said: &str) -> String {
    if said.is_empty() {
        ", and said nothing".to_owned()
    } else {
        format!(" after it said: {said}")
    }
}

/// A folder for one answer, removed when this is dropped.
#[derive(Debug)]
pub(super) struct AnswerFolder {
    /// The marker, locked for as long as the folder is used. It is closed before the folder is
    /// removed, because some systems do not remove an open file.
    _marker: File,
    folder: TempDir,
}

impl AnswerFolder {
    fn create_in(temporary: &Path) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(FOLDER_PREFIX).rand_bytes(FOLDER_RANDOM_LENGTH);
        let folder = builder.tempdir_in(temporary)?;
        let marker = File::create_new(job::marker(folder.path()))?;
        if let Err(error) = marker.try_lock() {
            // On a file system without locks, no other process can lock the marker either. So none
            // of them removes the folder as abandoned.
            tracing::debug!(%error, "the folder of an answer is not locked");
        }
        Ok(Self { _marker: marker, folder })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Makes a folder for one answer, and removes the folders that killed processes left behind.
pub(super) fn answer_folder() -> Result<AnswerFolder, AheadError> {
    let temporary = std::env::temp_dir();
    let folder = AnswerFolder::create_in(&temporary).map_err(AheadError::Answer)?;
    if let Ok(own) = std::fs::symlink_metadata(folder.path()) {
        remove_abandoned(&temporary, &own);
    }
    Ok(folder)
}

/// Removes the folders that were left behind when a parent and its child were killed together.
/// `own` describes a folder of this process; folders of other users are left alone.
fn remove_abandoned(temporary: &Path, own: &Metadata) {
    let Ok(entries) = std::fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        if is_folder_name(&entry.file_name().to_string_lossy()) {
            remove_if_abandoned(&entry.path(), own);
        }
    }
}

fn remove_if_abandoned(folder: &Path, own: &Metadata) {
    let Ok(found) = std::fs::symlink_metadata(folder) else { return };
    let age = || found.modified().ok()?.elapsed().ok();
    let is_old = age().is_some_and(|age| age > ABANDONED_AFTER);
    if !is_old || !found.is_dir() || !have_one_owner(&found, own) {
        return;
    }
    let marker = job::marker(folder);
    if !std::fs::symlink_metadata(&marker).is_ok_and(|found| found.is_file()) {
        return;
    }
    // The process that made the folder holds the lock for as long as it uses the folder.
    let Ok(lock) = File::open(&marker) else { return };
    if lock.try_lock().is_ok() {
        job::remove_folder(folder);
    }
}

/// Whether the name has exactly the form that [`AnswerFolder::create_in`] gives.
fn is_folder_name(name: &str) -> bool {
    let is_random = |end: &str| {
        end.len() == FOLDER_RANDOM_LENGTH && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    name.strip_prefix(FOLDER_PREFIX).is_some_and(is_random)
}

#[cfg(unix)]
fn have_one_owner(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    one.uid() == other.uid()
}

/// On other systems, the folder for temporary files belongs to the user.
#[cfg(not(unix))]
fn have_one_owner(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// How children are started.
pub(crate) struct Starting<'a> {
    /// The program to start. If there is none, this program itself is started, provided that it
    /// serves as a child.
    pub(crate) program: Option<&'a Path>,
    /// The environment variables that the compiler reads; one whose value is empty is removed from
    /// the child's environment.
    pub(crate) variables: &'a [(&'static str, String)],
}

/// Starts a child, gives it `job` and its `input`, and returns the child's answer.
pub(super) fn run(
    starting: &Starting<'_>,
    job: &Job,
    input: &[u8],
    folder: &AnswerFolder,
    cancel: &Cancel,
) -> Result<Answer, AheadError> {
    if cancel.is_cancelled() {
        return Err(AheadError::Cancelled);
    }
    let program = starting.program.map_or_else(this_program, |program| Ok(program.to_owned()))?;
    let not_started = |cause| AheadError::Start { program: program.clone(), cause };
    let mut child =
        Running::start(&program, starting.variables, folder.path()).map_err(not_started)?;
    tracing::debug!(pid = child.process.id(), "a process compiles");
    // The child ends when this pipe closes: then nobody waits for its answer any more.
    let mut lifeline = child.process.stdin.take();
    let ended = std::thread::scope(|scope| {
        // A program that does not read its input blocks the writer until the program is killed. The
        // writer has its own thread, so that this thread can still react to `cancel`.
        let write = || lifeline.as_mut().map_or(Ok(()), |lifeline| job.write(input, lifeline));
        let writer = std::thread::Builder::new().spawn_scoped(scope, write).map_err(not_started)?;
        let ended = child.wait(folder.path(), cancel);
        if ended.is_err() {
            child.end();
        }
        if let Ok(Err(error)) = writer.join() {
            tracing::debug!(%error, "the process did not read its whole job; its end will tell why");
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

/// The command that starts a child. The child gets the compiler's variables as they were when the
/// keys were made, even if this process's environment has changed since.
fn command(program: &Path, variables: &[(&'static str, String)], folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, value) in variables {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    command
        .env(VARIABLE, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.envs(SURROUNDINGS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    command
}

/// A child that is killed when this is dropped, unless it was waited for.
struct Running {
    process: Child,
    said: Option<JoinHandle<Said>>,
}

/// The part of a child's standard error that is kept.
#[derive(Default)]
struct Said {
    /// The first line that tells why the child aborted.
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
    fn start(
        program: &Path,
        variables: &[(&'static str, String)],
        folder: &Path,
    ) -> std::io::Result<Self> {
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

    /// Waits until the child has ended by itself.
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
        // The child may already have ended and been waited for, so errors are ignored.
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

/// Whether `happened` becomes true within a time.
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
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_child_is_told_what_the_key_says() {
        let variables =
            [("XLA_FLAGS", "--xla_a=1".to_owned()), ("LIBTPU_INIT_ARGS", String::new())];
        let command = command(Path::new("preheat"), &variables, Path::new("folder"));
        let told = |name: &str| {
            command.get_envs().find(|(told, _)| *told == OsStr::new(name)).map(|(_, value)| value)
        };
        assert_eq!(told("XLA_FLAGS"), Some(Some(OsStr::new("--xla_a=1"))));
        assert_eq!(
            told("LIBTPU_INIT_ARGS"),
            Some(None),
            "a variable that was set since is removed"
        );
        assert_eq!(told(VARIABLE), Some(Some(OsStr::new("folder"))));
    }

    /// A folder with these files in it, last changed long enough ago to be abandoned.
    fn old_folder(temporary: &Path, name: &str, files: &[&str]) -> PathBuf {
        let path = temporary.join(name);
        std::fs::create_dir(&path).unwrap();
        for file in files {
            std::fs::write(path.join(file), []).unwrap();
        }
        make_old(&path);
        path
    }

    fn make_old(folder: &Path) {
        let age = ABANDONED_AFTER + Duration::from_mins(1);
        File::open(folder).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    fn remove_all_abandoned(temporary: &Path) {
        remove_abandoned(temporary, &std::fs::symlink_metadata(temporary).unwrap());
    }

    const MARKER: &str = "OWNED-BY-PREHEAT";

    #[test]
    fn what_killed_processes_left_goes_and_what_others_use_stays() {
        let root = tempfile::tempdir().unwrap();
        let temporary = root.path();
        let files = [MARKER, "started", "answer.json", "executable"];
        let abandoned = old_folder(temporary, "preheat-compile-aB3dE6", &files);
        let used = AnswerFolder::create_in(temporary).unwrap();
        make_old(used.path());
        let young = temporary.join("preheat-compile-young1");
        std::fs::create_dir(&young).unwrap();
        std::fs::write(young.join(MARKER), []).unwrap();
        let kept = [
            young,
            used.path().to_owned(),
            old_folder(temporary, "another-program", &[MARKER]),
            old_folder(temporary, "preheat-compile-longer1", &[MARKER]),
            old_folder(temporary, "preheat-compile-a-user", &[MARKER]),
            old_folder(temporary, "preheat-compile-nobody", &["started"]),
        ];
        remove_all_abandoned(temporary);
        assert!(!abandoned.exists());
        assert!(kept.iter().all(|path| path.exists()), "{kept:?}");
        assert!(kept[5].join("started").exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_preheat_did_not_write_keeps_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder =
            old_folder(root.path(), "preheat-compile-aB3dE6", &[MARKER, "started", "diary"]);
        remove_all_abandoned(root.path());
        assert!(folder.join("diary").exists() && !folder.join("started").exists());
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_never_followed_to_an_abandoned_folder() {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
        let root = tempfile::tempdir().unwrap();
        let target = old_folder(root.path(), "target", &[MARKER, "started"]);
        let link = root.path().join("preheat-compile-aB3dE6");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
        let times = Timestamps { last_access: epoch, last_modification: epoch };
        utimensat(CWD, link.as_path(), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let folder = old_folder(root.path(), "preheat-compile-linked", &["started"]);
        std::os::unix::fs::symlink(target.join(MARKER), folder.join(MARKER)).unwrap();
        make_old(&folder);
        remove_all_abandoned(root.path());
        assert!(target.join("started").exists() && folder.join("started").exists());
    }
}
