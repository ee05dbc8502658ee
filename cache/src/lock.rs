//! Which process compiles the graph of a key, and which processes still read an object? Locks
//! between processes make sure that only one process compiles a graph, and that nobody removes an
//! object while another process reads it.
//!
//! They are the operating system's file locks, so the kernel releases the locks of a dead process.
//! The file of a compile lock is removed when the lock's holder is done. So every process that
//! takes such a lock checks afterwards that the path still names the file that it locked.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::Folder;

/// How often a waiter looks at a compile lock: often enough that cancelling feels immediate.
const COMPILE_POLL: Duration = Duration::from_millis(25);

/// How many characters of a compiler's message are passed to the processes that waited.
const FAILURE_CHARACTERS: usize = 4096;
/// The longest lock file that is read. A character takes at most six bytes of JSON.
const HOLDER_LIMIT_BYTES: u64 = 32 << 10;

/// How many times in a row a path may name another file than the one that was just locked. This
/// happens once if the lock's holder removes the file at that moment. It happens every time on a
/// file system that gives a file a new inode number at every look.
pub(crate) const STRAY_LOCKS: u32 = 100;

/// Who holds a compile lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockHolder {
    /// The process id.
    pub pid: u32,
    /// Since when it has held the lock.
    pub since: Timestamp,
    /// Why its compile failed, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl LockHolder {
    /// The facts that tell one compile from another.
    fn compile(&self) -> (u32, Timestamp) {
        (self.pid, self.since)
    }
}

/// The next action of a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Look again.
    Continue,
    /// Give up.
    Cancel,
}

/// The result of trying to take a compile lock.
#[derive(Debug)]
pub enum LockOutcome {
    /// The lock is held until the value is dropped.
    Held(CompileLock),
    /// Another process held it, and its compile failed. The waiter reports the same reason as its
    /// own error. A process that takes the lock later compiles again.
    Failed {
        /// Who held it.
        holder: LockHolder,
        /// The message of the compiler.
        reason: String,
    },
    /// The waiter gave up.
    Cancelled,
    /// File locks do not work here (a warning has said so once), so the caller goes on without one.
    Unavailable,
}

/// The right to compile the graph of one key. Dropping the value gives the right back.
#[derive(Debug)]
pub struct CompileLock {
    file: File,
    /// The lock file is at `path` in this folder.
    folder: Arc<Folder>,
    path: PathBuf,
    since: Timestamp,
    waited: Option<Duration>,
}

impl CompileLock {
    /// How long this process waited for another holder; `None` if the lock was free. After a wait,
    /// the caller checks whether the object is stored now.
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// Writes into the lock file that the compile failed, and why, so that the waiters can report
    /// it. The lock is still held until it is dropped.
    pub fn fail(&mut self, reason: &str) {
        let reason = reason.chars().take(FAILURE_CHARACTERS).collect();
        write_holder(&mut self.file, self.since, Some(reason));
    }

    /// Takes the lock at `path` in `folder`. While another process holds the lock, `waiting` is
    /// called at intervals, and decides whether to go on waiting.
    pub(crate) fn take(
        folder: &Arc<Folder>,
        path: &Path,
        waiting: impl FnMut(Duration, Option<LockHolder>) -> Wait,
    ) -> io::Result<LockOutcome> {
        Self::take_where(folder, path, waiting, |path, file| folder.names(path, file))
    }

    /// Does what [`take`](Self::take) does; `names` tells whether a path names an open file.
    fn take_where(
        folder: &Arc<Folder>,
        path: &Path,
        mut waiting: impl FnMut(Duration, Option<LockHolder>) -> Wait,
        names: impl Fn(&Path, &File) -> bool,
    ) -> io::Result<LockOutcome> {
        let start = Instant::now();
        let began = Timestamp::now();
        let mut waited = None;
        let mut strays = 0;
        // The compile that this waiter last saw under way. The file may still state the failure of
        // another compile, which ended before this wait began.
        let mut awaited_compile: Option<(u32, Timestamp)> = None;
        // The file stays open during the wait: the lock's holder may write a reason into the file
        // before it removes the file.
        let mut awaited: Option<File> = None;
        loop {
            let mut file = match awaited.take() {
                Some(file) => file,
                None => folder.open_lock(path)?,
            };
            let locked = file.try_lock();
            if locked.is_ok()
                && waited.is_some()
                && let Some(holder) = read_holder(&mut file)
                && let Some(reason) = holder.failed.clone()
                && (awaited_compile == Some(holder.compile()) || holder.since >= began)
            {
                return Ok(LockOutcome::Failed { holder, reason });
            }
            match locked {
                Ok(()) if names(path, &file) => {
                    let since = Timestamp::now();
                    write_holder(&mut file, since, None);
                    let (folder, path) = (Arc::clone(folder), path.to_owned());
                    return Ok(LockOutcome::Held(Self { file, folder, path, since, waited }));
                }
                Ok(()) if strays >= STRAY_LOCKS => {
                    warn_once(
                        path,
                        &io::Error::other("the path never names the file that was locked"),
                    );
                    return Ok(LockOutcome::Unavailable);
                }
                Ok(()) => strays += 1,
                Err(TryLockError::WouldBlock) => {
                    strays = 0;
                    waited = Some(start.elapsed());
                    let holder = read_holder(&mut file);
                    let under_way = holder.as_ref().filter(|holder| holder.failed.is_none());
                    awaited_compile = under_way.map(LockHolder::compile).or(awaited_compile);
                    if waiting(start.elapsed(), holder) == Wait::Cancel {
                        return Ok(LockOutcome::Cancelled);
                    }
                    awaited = Some(file);
                    std::thread::sleep(COMPILE_POLL);
                }
                Err(TryLockError::Error(error)) => {
                    warn_once(path, &error);
                    return Ok(LockOutcome::Unavailable);
                }
            }
        }
    }
}

impl Drop for CompileLock {
    fn drop(&mut self) {
        // The file is removed while the lock is held. A process that opened the file before its
        // removal finds that the path names another file, and starts over.
        if let Err(error) = self.folder.remove(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a lock file stays behind");
        }
        if let Err(error) = self.file.unlock() {
            tracing::debug!(path = %self.path.display(), %error, "a lock is released by closing its file");
        }
    }
}

/// A shared lock on an object, from the opening of its file until the plugin has the bytes.
/// Eviction does not remove the object during this time.
#[derive(Debug)]
pub struct ReadGuard {
    file: File,
}

impl ReadGuard {
    /// Locks a file that is open for reading. If that does not work, the file stays unlocked; a
    /// removed file stays readable to the process that has it open.
    pub(crate) fn new(file: File, path: &Path) -> Self {
        match file.try_lock_shared() {
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => warn_once(path, &error),
        }
        Self { file }
    }

    /// The file that is locked.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Takes the lock at `path`. While another process holds the lock, `waiting` decides after each
/// `poll` whether to try again; `Ok(None)` means that it decided to stop.
///
/// If file locks do not work, the file is returned unlocked in place of the lock.
pub(crate) fn lock_while(
    folder: &Folder,
    path: &Path,
    poll: Duration,
    mut waiting: impl FnMut(&File) -> Wait,
) -> io::Result<Option<File>> {
    let file = folder.open_lock(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => match waiting(&file) {
                Wait::Continue => std::thread::sleep(poll),
                Wait::Cancel => return Ok(None),
            },
            Err(TryLockError::Error(error)) => {
                warn_once(path, &error);
                return Ok(Some(file));
            }
        }
    }
}

/// Writes which process holds the lock, since when, and why its compile failed, if it did. Waiters
/// only report these facts, so an error here is ignored.
fn write_holder(file: &mut File, since: Timestamp, failed: Option<String>) {
    let holder = LockHolder { pid: std::process::id(), since, failed };
    let written = serde_json::to_vec(&holder).map_err(io::Error::other).and_then(|text| {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&text)
    });
    if let Err(error) = written {
        tracing::debug!(%error, "a compile lock does not say who holds it");
    }
}

fn read_holder(file: &mut File) -> Option<LockHolder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(HOLDER_LIMIT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn warn_once(path: &Path, error: &io::Error) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            path = %path.display(),
            %error,
            "file locks do not work here: processes that share this store may compile the same graph twice"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Trust;

    fn held(outcome: LockOutcome) -> CompileLock {
        match outcome {
            LockOutcome::Held(lock) => lock,
            other => panic!("{other:?}"),
        }
    }

    fn scratch(folder: &tempfile::TempDir) -> (Arc<Folder>, PathBuf, PathBuf) {
        let full = folder.path().join("key.lock");
        (Arc::new(Folder::open(folder.path(), Trust::Private).unwrap()), "key.lock".into(), full)
    }

    #[test]
    fn a_free_lock_is_taken_at_once_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, full) = scratch(&folder);
        let lock =
            held(CompileLock::take(&folder, &path, |_, _| panic!("nobody holds it")).unwrap());
        assert_eq!(lock.waited(), None);
        assert!(full.exists());
        drop(lock);
        assert!(!full.exists());
    }

    #[test]
    fn a_waiter_sees_who_holds_it_and_can_give_up() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, _) = scratch(&folder);
        let lock = held(CompileLock::take(&folder, &path, |_, _| Wait::Cancel).unwrap());
        let mut seen = None;
        let cancelled = CompileLock::take(&folder, &path, |_, holder| {
            seen = holder;
            Wait::Cancel
        });
        assert!(matches!(cancelled.unwrap(), LockOutcome::Cancelled));
        assert_eq!(seen.unwrap().pid, std::process::id());
        drop(lock);
    }

    #[test]
    fn a_failed_compile_is_told_to_whoever_waited_and_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, full) = scratch(&folder);
        let mut lock = held(CompileLock::take(&folder, &path, |_, _| Wait::Cancel).unwrap());
        let waiting = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let mut first = true;
                        CompileLock::take(&folder, &path, |_, _| {
                            waiting.fetch_add(
                                usize::from(std::mem::take(&mut first)),
                                Ordering::SeqCst,
                            );
                            Wait::Continue
                        })
                    })
                })
                .collect();
            while waiting.load(Ordering::SeqCst) < 6 {
                std::thread::sleep(Duration::from_millis(1));
            }
            lock.fail(&"out of \u{1} memory".repeat(1000));
            drop(lock);
            for waiter in waiters {
                let LockOutcome::Failed { holder, reason } = waiter.join().unwrap().unwrap() else {
                    panic!()
                };
                assert_eq!(
                    (holder.pid, reason.chars().count()),
                    (std::process::id(), FAILURE_CHARACTERS)
                );
            }
        });
        drop(held(CompileLock::take(&folder, &path, |_, _| panic!("nobody holds it")).unwrap()));
        assert!(!full.exists());
    }

    #[test]
    fn a_failure_that_was_left_before_is_told_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, full) = scratch(&folder);
        // The holder died an hour ago, after it wrote the reason and before it removed the file.
        let long_ago = Timestamp::now() - Duration::from_hours(1);
        let stale =
            LockHolder { pid: 1, since: long_ago, failed: Some("out of memory".to_owned()) };
        std::fs::write(&full, serde_json::to_vec(&stale).unwrap()).unwrap();
        // Another process has opened the file and is about to write that it now holds the lock, or
        // to give up.
        let other = File::open(&full).unwrap();
        other.lock().unwrap();
        let mut other = Some(other);
        let outcome = CompileLock::take(&folder, &path, |_, _| {
            drop(other.take());
            Wait::Continue
        });
        let lock = held(outcome.unwrap());
        assert!(lock.waited().is_some());
        // The file now names the compile of this process, which has not failed.
        let running = read_holder(&mut File::open(&full).unwrap()).unwrap();
        assert_eq!((running.failed, running.since), (None, lock.since));
    }

    #[test]
    fn where_a_path_never_names_what_was_locked_there_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, _) = scratch(&folder);
        let looks = std::cell::Cell::new(0);
        let take = |stray: u32| {
            looks.set(0);
            let names = |_: &Path, _: &File| looks.replace(looks.get() + 1) >= stray;
            CompileLock::take_where(&folder, &path, |_, _| panic!("nobody holds it"), names)
                .unwrap()
        };
        drop(held(take(3)));
        assert!(matches!(take(u32::MAX), LockOutcome::Unavailable));
        assert_eq!(looks.get(), STRAY_LOCKS + 1);
    }

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, path, _) = scratch(&folder);
        let (inside, most) =
            (std::sync::atomic::AtomicUsize::new(0), std::sync::atomic::AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let lock =
                            held(CompileLock::take(&folder, &path, |_, _| Wait::Continue).unwrap());
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }
}
