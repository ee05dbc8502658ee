//! May sled open this folder, and does a failure of sled mean that the index is damaged?
//!
//! sled opens its files by path. It follows links, waits for the other end of a FIFO, reads some
//! files whole, and panics if a file is not what it expects. So the kind and the length of each
//! file are checked before sled opens it. Another check is that sled can start its threads, since
//! sled waits for ever without them. All calls of sled go through [`Database`], which turns a panic
//! into an error. The errors that mean damage are listed here; after any other error, the index
//! stays where it is.

use std::any::Any;
use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sled::IVec;

use super::transaction::Fault;

/// How long to wait before a busy database is tried again: sled keeps its lock for a moment after
/// it is dropped.
pub(super) const POLL: Duration = Duration::from_micros(500);
/// sled's cache; its own default is a gigabyte.
const CACHE_BYTES: u64 = 8 << 20;

/// The longest `conf` file: sled writes 62 bytes, and reads the file whole.
const CONF_LIMIT_BYTES: u64 = 4 << 10;
/// The longest snapshot. It has some twenty bytes for each page and is read whole; this limit is
/// enough for ten million graphs.
const SNAPSHOT_LIMIT_BYTES: u64 = 256 << 20;
/// The longest log. When sled opens it, it reads the first bytes of each half megabyte.
const LOG_LIMIT_BYTES: u64 = 64 << 30;
/// The longest value in a file of its own; the largest value is a program.
const BLOB_LIMIT_BYTES: u64 = 2 << 30;

/// sled starts seven threads when it is first used. One more is left for the rest of the program.
const THREADS: usize = 8;
/// The beginning of those threads' names.
const SLEDS_THREADS: &str = "sled-io-";

/// The messages of sled's errors of the kind `Other` that mean a damaged log.
const DAMAGED_LOG: [&str; 3] = [
    "encountered torn segment",
    "no segments remaining to iterate over",
    "next segment is above our configured max_lsn",
];

/// Opens the database. If sled's lock is held, this function tries again, since a process that has
/// just closed the database may still hold the lock.
pub(super) fn open_database(path: &Path, deadline: Instant) -> Result<Database, Fault> {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err(Fault::Failed("the system's clock tells a time before 1970".to_owned()));
    }
    check_folder(path)?;
    check_threads()?;
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    loop {
        match within_sled(|| Ok(config.open()))? {
            Ok(database) => return Ok(Database(Some(database))),
            Err(error) if is_busy(&error) => {
                if Instant::now() >= deadline {
                    return Err(Fault::Busy);
                }
                thread::sleep(POLL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses a folder if a file with one of sled's names is of another kind than sled's file, or is
/// longer than sled's file can be. A missing folder is accepted.
fn check_folder(path: &Path) -> Result<(), Fault> {
    let Some(metadata) = look(path)? else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(Fault::Damaged("it is not a folder".to_owned()));
    }
    for entry in fs::read_dir(path).map_err(Fault::Io)? {
        let entry = entry.map_err(Fault::Io)?;
        let name = entry.file_name();
        // sled treats every file as a snapshot if its name begins like that of a snapshot, and
        // expects every name to be text.
        let limit_bytes = match name.to_str() {
            Some("blobs") => {
                check_blobs(&entry.path())?;
                continue;
            }
            Some("conf") => CONF_LIMIT_BYTES,
            Some("db") => LOG_LIMIT_BYTES,
            Some(name) if name.starts_with("snap.") => SNAPSHOT_LIMIT_BYTES,
            None if name.to_string_lossy().starts_with("snap.") => 0,
            Some(_) | None => continue,
        };
        check_file(&entry.path(), limit_bytes)?;
    }
    Ok(())
}

fn check_blobs(path: &Path) -> Result<(), Fault> {
    if look(path)?.is_some_and(|metadata| !metadata.is_dir()) {
        return Err(Fault::Damaged("its `blobs` is not a folder".to_owned()));
    }
    for entry in fs::read_dir(path).map_err(Fault::Io)? {
        let entry = entry.map_err(Fault::Io)?;
        let limit_bytes = if entry.file_name().to_str().is_some() { BLOB_LIMIT_BYTES } else { 0 };
        check_file(&entry.path(), limit_bytes)?;
    }
    Ok(())
}

fn check_file(path: &Path, limit_bytes: u64) -> Result<(), Fault> {
    let Some(metadata) = look(path)? else { return Ok(()) };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !metadata.is_file() {
        return Err(Fault::Damaged(format!("its {name:?} is not a regular file")));
    }
    if metadata.len() > limit_bytes {
        let length = metadata.len();
        return Err(Fault::Damaged(format!(
            "its {name:?} is {length} bytes long, and {limit_bytes} is the limit"
        )));
    }
    Ok(())
}

/// The metadata of the file at a path, without following links. `None` if no file is there.
fn look(path: &Path) -> Result<Option<Metadata>, Fault> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::Io(error)),
    }
}

/// An open sled database. A panic in sled becomes an error, and its message is not printed. A panic
/// of the caller between two calls is not caught.
#[derive(Debug)]
pub(in crate::store) struct Database(Option<sled::Db>);

impl Database {
    fn within<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Fault> {
        let closed = || Fault::Failed("it is closed".to_owned());
        within_sled(|| Ok(work(self.0.as_ref().ok_or_else(closed)?)?))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        self.within(|database| database.get(key))
    }

    pub(super) fn insert(&self, key: IVec, value: IVec) -> Result<(), Fault> {
        self.within(|database| database.insert(key, value).map(drop))
    }

    pub(super) fn apply_batch(&self, batch: sled::Batch) -> Result<(), Fault> {
        self.within(|database| database.apply_batch(batch))
    }

    pub(super) fn flush(&self) -> Result<(), Fault> {
        self.within(|database| database.flush().map(drop))
    }

    /// The entries from one key to another, in the order of their keys.
    pub(super) fn range(&self, keys: RangeInclusive<Vec<u8>>) -> Result<Entries, Fault> {
        self.within(|database| Ok(Entries(database.range(keys))))
    }

    /// All entries, in the order of their keys.
    pub(super) fn all(&self) -> Result<Entries, Fault> {
        self.within(|database| Ok(Entries(database.iter())))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let database = self.0.take();
        let closed = within_sled(|| {
            drop(database);
            Ok(())
        });
        if let Err(fault) = closed {
            tracing::debug!(?fault, "the index was not closed in order");
        }
    }
}

/// Entries of a database.
pub(super) struct Entries(sled::Iter);

impl Iterator for Entries {
    type Item = Result<(IVec, IVec), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        within_sled(|| Ok(self.0.next().transpose()?)).transpose()
    }
}

thread_local! {
    /// Whether this thread is running a call of sled.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// How many threads are running a call of sled.
static THREADS_WITHIN: AtomicUsize = AtomicUsize::new(0);

/// Runs one call of sled, and nothing else. A panic in the call becomes an error, and its message
/// is not printed.
fn within_sled<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    keep_quiet();
    let before = WITHIN.replace(true);
    THREADS_WITHIN.fetch_add(1, Ordering::SeqCst);
    let done = panic::catch_unwind(AssertUnwindSafe(call));
    THREADS_WITHIN.fetch_sub(1, Ordering::SeqCst);
    WITHIN.set(before);
    done.unwrap_or_else(|panic| {
        Err(Fault::Failed(format!("sled panicked: {}", said(panic.as_ref()))))
    })
}

/// Hides panics in calls of sled from the installed panic hook, which would print them. All other
/// panics still reach that hook. A panic of one of sled's own threads also reaches the hook if this
/// crate is running no call of sled: the program may use sled directly as well.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let (thread, in_use) = (thread::current(), THREADS_WITHIN.load(Ordering::SeqCst) > 0);
            let is_sleds = thread.name().is_some_and(|name| name.starts_with(SLEDS_THREADS));
            let is_within = WITHIN.get() || (is_sleds && in_use);
            if !is_within {
                before(panic);
            }
        }));
    });
}

/// Makes sure that sled can start its threads, before sled is first used. If a thread is missing,
/// sled waits for ever for the work that it gave to that thread. sled starts its threads once, and
/// they live as long as the process.
fn check_threads() -> Result<(), Fault> {
    static CHECKED: AtomicBool = AtomicBool::new(false);
    if CHECKED.load(Ordering::Relaxed) {
        return Ok(());
    }
    // The test threads wait for this lock, so that all of them exist at the same time.
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let start = |_| {
        let gate = Arc::clone(&gate);
        thread::Builder::new().spawn(move || drop(gate.lock()))
    };
    let started: Vec<_> = (0..THREADS).map(start).collect();
    drop(closed);
    for thread in started {
        let refused = |error| Fault::Failed(format!("it needs threads, and got none: {error}"));
        // The only thing that `join` could report is that the thread has panicked.
        let _ = thread.map_err(refused)?.join();
    }
    CHECKED.store(true, Ordering::Relaxed);
    Ok(())
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why")
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => match system_error(&error) {
                Some(error) => Self::Io(error),
                None if is_damage(&error) => Self::Damaged(error.to_string()),
                None => Self::Io(error),
            },
            error @ (sled::Error::Corruption { .. }
            | sled::Error::Unsupported(_)
            | sled::Error::CollectionNotFound(_)) => Self::Damaged(error.to_string()),
            // Such an error comes, for example, if one of sled's threads has ended.
            error @ sled::Error::ReportableBug(_) => Self::Failed(error.to_string()),
        }
    }
}

/// Whether this error is sled's own report that the content of its files is damaged.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        InvalidData | InvalidInput | UnexpectedEof => true,
        Other => DAMAGED_LOG.iter().any(|said| error.to_string().contains(said)),
        _ => false,
    }
}

/// The operating system's error. sled passes on copies of some errors, in which the number is in
/// the text only.
fn system_error(error: &io::Error) -> Option<io::Error> {
    let in_text = || {
        let text = error.to_string();
        let (_, number) = text.rsplit_once("Os { code: ")?;
        number.split_once(',')?.0.parse().ok()
    };
    error.raw_os_error().or_else(in_text).map(io::Error::from_raw_os_error)
}

/// Whether the error says that the lock is held.
fn is_busy(error: &sled::Error) -> bool {
    let held = |error: &io::Error| {
        system_error(error).is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    matches!(error, sled::Error::Io(error) if held(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as sled makes it from the system's error about its lock.
    fn of_lock(number: i32) -> sled::Error {
        let cause = io::Error::from_raw_os_error(number);
        sled::Error::Io(io::Error::other(format!(
            "could not acquire lock on \"kind: WouldBlock/db\": {cause:?}"
        )))
    }

    #[test]
    fn a_lock_that_is_refused_is_neither_damage_nor_busy() {
        // ENOLCK, EOPNOTSUPP and ENOSYS, as Linux numbers them.
        for number in [37, 95, 38] {
            assert!(!is_busy(&of_lock(number)), "{number}");
            let fault = Fault::from(of_lock(number));
            assert!(
                matches!(&fault, Fault::Io(error) if error.raw_os_error() == Some(number)),
                "{fault:?}"
            );
        }
        assert!(is_busy(&of_lock(if cfg!(target_os = "macos") { 35 } else { 11 })), "EAGAIN");
    }

    #[test]
    fn what_the_system_says_is_no_damage_even_as_a_copy() {
        for number in [5, 13, 22, 28] {
            let original = io::Error::from_raw_os_error(number);
            let copy = io::Error::new(original.kind(), format!("{original:?}"));
            for error in [original, copy] {
                let fault = Fault::from(sled::Error::Io(error));
                assert!(
                    matches!(&fault, Fault::Io(error) if error.raw_os_error() == Some(number)),
                    "{fault:?}"
                );
            }
        }
    }

    #[test]
    fn what_sled_says_of_its_files_is_damage() {
        let torn = sled::Error::Io(io::Error::other("encountered torn segment"));
        let short =
            sled::Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill buffer"));
        for error in [torn, short, sled::Error::Unsupported("another segment size".to_owned())] {
            assert!(matches!(Fault::from(error), Fault::Damaged(_)));
        }
        let unknown = sled::Error::Io(io::Error::other("something else"));
        assert!(matches!(Fault::from(unknown), Fault::Io(_)));
    }

    #[test]
    fn a_panic_in_sled_is_an_error_and_one_between_two_calls_is_none() {
        let done: Result<(), Fault> = within_sled(|| panic!("the page is {}", "gone"));
        assert!(
            matches!(&done, Err(Fault::Failed(reason)) if reason.contains("the page is gone")),
            "{done:?}"
        );
        assert!(!WITHIN.get());
        let folder = tempfile::tempdir().unwrap();
        let database = open_database(&folder.path().join("db"), Instant::now()).unwrap();
        for key in [b"1", b"2"] {
            database.insert(key.into(), IVec::default()).unwrap();
        }
        // No panic between these calls is sled's.
        for entry in database.all().unwrap() {
            assert!(entry.is_ok() && !WITHIN.get());
        }
        assert!(database.get(b"1").unwrap().is_some() && !WITHIN.get());
        let both = database.range(b"1".to_vec()..=b"9".to_vec()).unwrap();
        assert_eq!((both.count(), WITHIN.get()), (2, false));
    }
}
