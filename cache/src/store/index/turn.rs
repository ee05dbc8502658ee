//! Which process may use the index now, and is it still at work?
//!
//! The index is protected by a lock on a file. A program that has stopped working, or that is not
//! preheat, can hold this lock as well. A holder that works gives a sign about ten times a second:
//! it changes the lock's file or the index's log. A waiter that can go on without the index gives
//! up after a second without a sign. A waiter that cannot go on gives up after ten seconds, since a
//! slow disk, or a release that gives fewer signs, needs some time.

use std::cell::Cell;
use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::open::POLL;
use super::run::Need;
use crate::files::Folder;
use crate::lock::{Wait, lock_while};
use crate::store::{IndexCause, Store, StoreError};

/// A waiter that can go on without the index gives up if the lock's holder gives no sign for this
/// time.
const NO_SIGN: Duration = Duration::from_secs(1);
/// The same, if the last wait already ended without a sign.
const STILL_NO_SIGN: Duration = Duration::from_millis(250);
/// The same, for a waiter that cannot go on without the index.
const NO_SIGN_FOR_LONG: Duration = Duration::from_secs(10);
/// How often a holder shows that it works.
const SIGN_EVERY: Duration = Duration::from_millis(100);
/// How often a waiter looks for a sign.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Facts that a store learned while it waited for the index or used it.
#[derive(Debug, Default)]
pub(in crate::store) struct Turns {
    /// Whether the last wait ended without a sign of the holder's work.
    is_idle: AtomicBool,
    /// Whether the file system can exchange the names of two folders in one step. Empty until that
    /// was tried.
    pub(super) can_exchange: OnceLock<bool>,
}

impl Turns {
    /// How long a waiter waits for a sign.
    pub(super) fn no_sign(&self, need: Need) -> Duration {
        match need {
            Need::Whole => NO_SIGN_FOR_LONG,
            Need::Some if self.is_idle.load(Ordering::Relaxed) => STILL_NO_SIGN,
            Need::Some => NO_SIGN,
        }
    }

    /// Notes whether the holder of the index gives no sign of work.
    pub(super) fn note(&self, is_idle: bool) {
        self.is_idle.store(is_idle, Ordering::Relaxed);
    }
}

/// The index's lock. It is held until the value is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    shown: Cell<Instant>,
}

impl Turn {
    fn new(file: File) -> Self {
        let turn = Self { file, shown: Cell::new(Instant::now()) };
        turn.show_now();
        turn
    }

    /// Gives the waiters a sign that the holder works.
    pub(super) fn show(&self) {
        if self.shown.get().elapsed() >= SIGN_EVERY {
            self.show_now();
        }
    }

    fn show_now(&self) {
        self.shown.set(Instant::now());
        if let Err(error) = self.file.set_times(FileTimes::new().set_modified(SystemTime::now())) {
            tracing::debug!(%error, "processes that wait for the index see no sign of work");
        }
    }
}

/// When the lock's file and the index's log were last changed.
type Signs = [Option<SystemTime>; 2];

fn signs(lock: &File, log: &Path) -> Signs {
    let modified =
        |metadata: io::Result<Metadata>| metadata.and_then(|metadata| metadata.modified()).ok();
    [modified(lock.metadata()), modified(log.symlink_metadata())]
}

impl Store {
    /// Waits for the index's lock, at most for `patience`, and only while the holder gives signs of
    /// work.
    pub(super) fn take_turn(
        &self,
        root: &Folder,
        need: Need,
        patience: Duration,
    ) -> Result<Turn, StoreError> {
        let path = self.layout.index_lock();
        let log = root.full(&self.layout.graphs()).join("db");
        let began = Instant::now();
        let (mut last, mut last_sign, mut last_look) = (None, began, began);
        let waiting = |file: &File| {
            if last.is_none() || last_look.elapsed() >= LOOK_EVERY {
                last_look = Instant::now();
                let seen = signs(file, &log);
                if last.replace(seen).is_some_and(|last| last != seen) {
                    last_sign = last_look;
                    self.turns.note(false);
                }
            }
            let gives_up =
                began.elapsed() >= patience || last_sign.elapsed() >= self.turns.no_sign(need);
            if gives_up { Wait::Cancel } else { Wait::Continue }
        };
        match lock_while(root, &path, POLL, waiting)
            .map_err(|cause| self.write_error(&path, cause))?
        {
            Some(file) => Ok(Turn::new(file)),
            None if last_sign.elapsed() >= self.turns.no_sign(need) => {
                self.turns.note(true);
                Err(self.index_error(IndexCause::Held {
                    path: root.full(&path),
                    waited: began.elapsed(),
                }))
            }
            None => Err(self.index_error(IndexCause::Busy(patience))),
        }
    }
}
