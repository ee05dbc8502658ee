//! May sled be given this folder, and what does a failure in it say of the index?
//!
//! sled opens its files by path: it follows links, waits for the other end of a FIFO, reads some
//! files whole, and panics over much that it does not expect. So what it would open is looked at
//! first, by kind and length, and a panic in it becomes an error. Which of its errors mean damage
//! is a list here; every other one leaves the index where it is.

use std::any::Any;
use std::cell::Cell;
use std::fs::{self, Metadata};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

use super::transaction::Fault;

/// How often a busy database is tried again: sled keeps its lock for a moment after it is dropped.
pub(super) const POLL: Duration = Duration::from_micros(500);
/// sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 8 << 20;

/// sled writes 62 bytes, and reads the file whole.
const CONF_LIMIT_BYTES: u64 = 4 << 10;
/// A snapshot has some twenty bytes for each page, and is read whole: this is enough for ten
/// million graphs.
const SNAPSHOT_LIMIT_BYTES: u64 = 256 << 20;
/// The first bytes of each half megabyte are read when the log is opened.
const LOG_LIMIT_BYTES: u64 = 64 << 30;
/// The largest value is a program.
const BLOB_LIMIT_BYTES: u64 = 2 << 30;

/// What sled says, in errors of the kind `Other`, of a log that makes no sense.
const DAMAGED_LOG: [&str; 3] = [
    "encountered torn segment",
    "no segments remaining to iterate over",
    "next segment is above our configured max_lsn",
];

/// Opens the database, trying again while sled's lock is held: a process that has just closed it
/// may still have it.
pub(super) fn open_database(path: &Path, deadline: Instant) -> Result<sled::Db, Fault> {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err(Fault::Failed("the system's clock tells a time before 1970".to_owned()));
    }
    check_folder(path)?;
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    loop {
        match config.open() {
            Ok(database) => return Ok(database),
            Err(error) if is_busy(&error) => {
                if Instant::now() >= deadline {
                    return Err(Fault::Busy);
                }
                std::thread::sleep(POLL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses a folder in which something is of another kind, or longer, than sled makes it. One that
/// is missing is fine.
fn check_folder(path: &Path) -> Result<(), Fault> {
    let Some(metadata) = look(path)? else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(Fault::Damaged("it is not a folder".to_owned()));
    }
    for entry in fs::read_dir(path).map_err(Fault::Io)? {
        let entry = entry.map_err(Fault::Io)?;
        let name = entry.file_name();
        // sled takes every name that begins as a snapshot's does for one, and every name to be
        // text.
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
        return Err(Fault::Damaged(format!("its {name:?} is {length} bytes long, and {limit_bytes} is the limit")));
    }
    Ok(())
}

/// What is at a path, links not followed; `None` where nothing is.
fn look(path: &Path) -> Result<Option<Metadata>, Fault> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::Io(error)),
    }
}

thread_local! {
    /// Whether this thread is within sled.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, in which sled is used. A panic in it is an error, of which nothing is printed.
pub(super) fn without_panic<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    keep_quiet();
    let before = WITHIN.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    WITHIN.set(before);
    done.unwrap_or_else(|panic| Err(Fault::Failed(format!("sled panicked: {}", said(panic.as_ref())))))
}

/// Keeps panics within sled from the hook that is installed, which would print them; all others go
/// there as before.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let of_sled = || std::thread::current().name().is_some_and(|name| name.starts_with("sled-io-"));
            if !WITHIN.get() && !of_sled() {
                before(panic);
            }
        }));
    });
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
            // One of its threads has ended, for example.
            error @ sled::Error::ReportableBug(_) => Self::Failed(error.to_string()),
        }
    }
}

/// Whether an error is what sled itself says of the content of its files.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        InvalidData | InvalidInput | UnexpectedEof => true,
        Other => DAMAGED_LOG.iter().any(|said| error.to_string().contains(said)),
        _ => false,
    }
}

/// The operating system's error; sled hands copies of some on, of which only the text tells the
/// number.
fn system_error(error: &io::Error) -> Option<io::Error> {
    let in_text = || {
        let text = error.to_string();
        let (_, number) = text.rsplit_once("Os { code: ")?;
        number.split_once(',')?.0.parse().ok()
    };
    error.raw_os_error().or_else(in_text).map(io::Error::from_raw_os_error)
}

/// Whether the error is that of a held lock.
fn is_busy(error: &sled::Error) -> bool {
    let held = |error: &io::Error| system_error(error).is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    matches!(error, sled::Error::Io(error) if held(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As sled hands on what the system says of its lock.
    fn of_lock(number: i32) -> sled::Error {
        let cause = io::Error::from_raw_os_error(number);
        sled::Error::Io(io::Error::other(format!("could not acquire lock on \"kind: WouldBlock/db\": {cause:?}")))
    }

    #[test]
    fn a_lock_that_is_refused_is_neither_damage_nor_busy() {
        // ENOLCK, EOPNOTSUPP and ENOSYS, as Linux numbers them.
        for number in [37, 95, 38] {
            assert!(!is_busy(&of_lock(number)), "{number}");
            let fault = Fault::from(of_lock(number));
            assert!(matches!(&fault, Fault::Io(error) if error.raw_os_error() == Some(number)), "{fault:?}");
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
                assert!(matches!(&fault, Fault::Io(error) if error.raw_os_error() == Some(number)), "{fault:?}");
            }
        }
    }

    #[test]
    fn what_sled_says_of_its_files_is_damage() {
        let torn = sled::Error::Io(io::Error::other("encountered torn segment"));
        let short = sled::Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill buffer"));
        for error in [torn, short, sled::Error::Unsupported("another segment size".to_owned())] {
            assert!(matches!(Fault::from(error), Fault::Damaged(_)));
        }
        let unknown = sled::Error::Io(io::Error::other("something else"));
        assert!(matches!(Fault::from(unknown), Fault::Io(_)));
    }

    #[test]
    fn a_panic_is_an_error_and_the_next_one_outside_is_told_as_ever() {
        let done: Result<(), Fault> = without_panic(|| panic!("the page is {}", "gone"));
        assert!(matches!(&done, Err(Fault::Failed(reason)) if reason.contains("the page is gone")), "{done:?}");
        assert!(!WITHIN.get());
    }
}
