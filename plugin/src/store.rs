//! From which stores is an executable loaded, and which events are not yet written to the main
//! store?

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use preheat_cache::{
    Counters, GraphKey, GraphRecord, LoadedObject, ObjectLookup, Program, Source, Store,
    StoreError, StoreOptions, Use,
};

use crate::at_exit::at_exit;
use crate::events::Events;

/// How long uses are collected before they are written together.
const WRITE_AFTER: Duration = Duration::from_secs(5);
/// How long writing statistics waits for a busy index.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// How many processes have to die while they load an object, before it is refused. A framework's
/// process cannot try the object in a child.
const LOST_LOADS_BELIEVED: usize = 2;

/// The main store, and the fallbacks, which are only read.
#[derive(Debug)]
pub(crate) struct Stores {
    main: Store,
    fallbacks: Vec<Store>,
    pending: Mutex<Pending>,
}

/// Events that are not yet in the main store's statistics.
#[derive(Debug, Default)]
struct Pending {
    uses: Vec<Use>,
    counters: Counters,
    /// The process that noted the events. After a fork, only the parent writes them.
    pid: u32,
}

impl Stores {
    /// Opens the stores. A fallback that cannot be opened is left out.
    pub(crate) fn open(main: StoreOptions, fallbacks: &[PathBuf]) -> Result<Self, StoreError> {
        let trust = main.trust;
        let fallback = |dir: &PathBuf| {
            Store::open(StoreOptions { trust, ..StoreOptions::new(dir).read_only() }).ok()
        };
        Ok(Self {
            main: Store::open(main)?,
            fallbacks: fallbacks.iter().filter_map(fallback).collect(),
            pending: Mutex::default(),
        })
    }

    pub(crate) fn main(&self) -> &Store {
        &self.main
    }

    /// The object of a key, from the first store that has an undamaged one.
    pub(crate) fn load(
        &'static self,
        key: &GraphKey,
        events: &Events,
    ) -> Option<(LoadedObject, Source)> {
        let fallbacks = self.fallbacks.iter().map(|store| (store, Source::Fallback));
        for (store, source) in std::iter::once((&self.main, Source::Disk)).chain(fallbacks) {
            if self.main.known_unfit(key, store).is_some() {
                continue;
            }
            match store.load(key) {
                Ok(ObjectLookup::Hit(object))
                    if self.main.lost_loads(&object) >= LOST_LOADS_BELIEVED =>
                {
                    let why = "several processes ended while they loaded it";
                    if !store.set_object_aside(&object, why) {
                        let _ = self.main.remember_unfit(&object, why);
                    }
                    self.count(|counters| counters.quarantined += 1);
                }
                Ok(ObjectLookup::Hit(object)) => return Some((*object, source)),
                Ok(ObjectLookup::Absent) => {}
                Ok(ObjectLookup::Damaged { .. }) => {
                    self.count(|counters| counters.quarantined += 1);
                }
                Err(error) => events.store_failed("reading an executable", &error),
            }
        }
        None
    }

    /// Whether a store has an object under this key. The object is not read.
    pub(crate) fn has_object(&self, key: &GraphKey) -> bool {
        self.main.has_object(key) || self.fallbacks.iter().any(|store| store.has_object(key))
    }

    /// Stores a compiled executable. Returns whether it is stored now.
    pub(crate) fn put(
        &self,
        record: &GraphRecord,
        program: &Program,
        payload: &[u8],
        events: &Events,
    ) -> bool {
        if self.main.is_read_only() {
            return false;
        }
        match self.main.put(record, program, payload) {
            Ok(info) => {
                self.main.forget_unfit(&record.graph_key, &info.payload_digest);
                true
            }
            // The object is stored, and its record is added later.
            Err(StoreError::IndexUnavailable { .. }) => true,
            Err(error) => {
                events.store_failed("storing an executable", &error);
                false
            }
        }
    }

    /// Notes a use, which is written together with others later.
    pub(crate) fn used(&'static self, one: Use) {
        if !self.main.is_read_only() {
            self.pending().uses.push(one);
            write_from_time_to_time(self);
        }
    }

    /// Changes the counters that belong to no use, which are written later, too.
    pub(crate) fn count(&'static self, change: impl FnOnce(&mut Counters)) {
        if !self.main.is_read_only() {
            change(&mut self.pending().counters);
            write_from_time_to_time(self);
        }
    }

    /// Writes the noted events in one transaction. If the index stays busy, the events are dropped,
    /// because they must not delay the end of a framework's process.
    pub(crate) fn flush(&self) {
        let Pending { uses, counters, .. } = std::mem::take(&mut *self.pending());
        if self.main.is_read_only() || (uses.is_empty() && counters == Counters::default()) {
            return;
        }
        let _ = self.main.commit_within(&uses, &counters, WRITE_PATIENCE);
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let here = std::process::id();
        if pending.pid != here {
            *pending = Pending { pid: here, ..Pending::default() };
        }
        pending
    }
}

/// Starts the thread that writes statistics, once in a process, and makes sure that the rest is
/// written when the process ends normally.
fn write_from_time_to_time(stores: &'static Stores) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let write = || loop {
            std::thread::sleep(WRITE_AFTER);
            stores.flush();
        };
        // Without the thread, the statistics are written at the end of the process.
        let _ = std::thread::Builder::new().name("preheat-statistics".to_owned()).spawn(write);
        at_exit(|| stores.flush());
    });
}
