//! May this object be loaded here? If a process died over it, a child tries it first.
//!
//! An object whose bytes are intact can still end the process that runs it: its maker may have
//! meant that, or the machine that compiled it may have had bad memory. Every load is therefore
//! marked in the store until the first execution is over (`preheat_cache`'s `store/marks.rs`).
//!
//! A mark of a process that is gone proves nothing, since any process can be killed. A child that
//! loads the object and ends is a proof. Such an object is moved to the quarantine. If it cannot be
//! moved, because its store is read-only, the fact is remembered and the object is passed over.
//!
//! Sometimes no child can try the object, because the device belongs to this process alone or this
//! program does not call `serve_compiler()`. Then two such marks are enough. A sound object may be
//! compiled once more because of that; without this rule, an unsound one would end every later
//! process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use preheat_cache::{Holder, LoadMark, LoadedObject, LockOutcome, Source, Store, Wait};

use super::Inner;
use super::cache::Cache;
use super::error::Error;
use super::request::Asked;
use crate::backend::ahead::{Starting, TrialOutcome, try_executable};
use crate::backend::here::{Buffer, Here};
use crate::backend::xla::XlaBackend;
use crate::progress::EventKind;

/// How many processes have to die over an object that no child can try, before it is refused.
const LOST_LOADS_BELIEVED: usize = 2;

/// The decision on an object that was read.
pub(super) enum Admission {
    /// It may be loaded, under this mark if one can be made.
    Load(Option<LoadMark>),
    /// It is no longer in the store. Another object may have taken its place.
    Gone,
    /// It is still in the store and must not be used.
    Refused,
}

impl Inner {
    /// Marks the load of an object that is about to begin. If earlier loads of it never ended, it
    /// is tried first.
    pub(super) fn admit(
        &self,
        asked: &Asked<'_>,
        object: &LoadedObject,
        source: Source,
    ) -> Result<Admission, Error> {
        // Through libtorch no machine code is loaded: the graph in the object is checked, and
        // preheat's own library runs it.
        let (Some(cache), Some(backend)) = (&self.cache, self.here().ok().and_then(Here::xla))
        else {
            return Ok(Admission::Load(None));
        };
        let Some((mark, store)) = cache.mark_load(object) else { return Ok(Admission::Load(None)) };
        if store.lost_loads(object) == 0 {
            return Ok(Admission::Load(Some(mark)));
        }
        // This process does not load the object while a child tries it, so its mark is removed.
        drop(mark);
        // Only one process tries the object; the others see the result.
        let _turn = self.trial_turn(asked, store, object)?;
        let lost = store.lost_loads(object);
        if lost == 0 {
            // Another process has tried it. That process found it harmless, moved it to the
            // quarantine, or could only remember that it is unfit.
            if cache.is_known_unfit(object, source) {
                return Ok(Admission::Refused);
            }
            let is_there = source == Source::Fallback || cache.main().has_still(object);
            return Ok(if is_there {
                Admission::Load(store.mark_load(object))
            } else {
                Admission::Gone
            });
        }
        asked.tell(self, EventKind::Trying);
        let reason = match self.try_object(backend, object)? {
            TrialOutcome::Lives => {
                store.forget_lost_loads(object);
                None
            }
            TrialOutcome::Ends(how) => Some(format!(
                "it ended a process that loaded or first ran it, and another that only tried it ({how})"
            )),
            TrialOutcome::Impossible(why) if lost >= LOST_LOADS_BELIEVED => Some(format!(
                "{lost} processes ended while they loaded or first ran it, and no other can try it ({why})"
            )),
            TrialOutcome::Impossible(why) | TrialOutcome::Undecided(why) => {
                tracing::info!(graph_key = %object.record.graph_key, why, "a process died over an object, and it is not known whether the object is sound");
                None
            }
        };
        Ok(match reason {
            None => Admission::Load(store.mark_load(object)),
            Some(reason) => self.set_aside(cache, store, object, &reason),
        })
    }

    fn try_object(
        &self,
        backend: &XlaBackend,
        object: &LoadedObject,
    ) -> Result<TrialOutcome, Error> {
        let starting =
            Starting { program: self.compiler_program.as_deref(), variables: &backend.variables };
        let inputs = object.record.interface.as_ref().map(|interface| interface.inputs.as_slice());
        // A trial has only one error: that the caller asked to stop.
        try_executable(backend, &starting, &object.payload, inputs, &self.cancel)
            .map_err(|_| Error::Cancelled)
    }

    /// Takes the right to try an object; `None` if locks do not work.
    fn trial_turn(
        &self,
        asked: &Asked<'_>,
        store: &Store,
        object: &LoadedObject,
    ) -> Result<Option<preheat_cache::CompileLock>, Error> {
        let waiting = |_: Duration, _: Option<Holder>| {
            asked.tell(self, EventKind::Trying);
            if self.cancel.is_cancelled() { Wait::Cancel } else { Wait::Continue }
        };
        match store.trial_lock(object, waiting) {
            Ok(LockOutcome::Held(lock)) => Ok(Some(lock)),
            Ok(LockOutcome::Cancelled) => Err(Error::Cancelled),
            Ok(LockOutcome::Failed { .. } | LockOutcome::Unavailable) => Ok(None),
            Err(error) => {
                self.warnings.store_failed("locking an executable that is tried", &error);
                Ok(None)
            }
        }
    }

    /// Removes an object from use that ends its process. If it cannot be moved out of its store,
    /// `marks` remembers it, so that nobody loads it again.
    fn set_aside(&self, cache: &Cache, marks: &Store, read: &LoadedObject, why: &str) -> Admission {
        let is_gone = cache.main().set_object_aside(read, why);
        let key = read.record.graph_key.short();
        let where_to = if is_gone {
            cache.count(|counters| counters.quarantined += 1);
            marks.forget_lost_loads(read);
            " and lies in quarantine".to_owned()
        } else {
            let at = read.path().display();
            match marks.remember_unfit(read, why) {
                Ok(note) => {
                    let note = note.display();
                    format!(" (it stays at {at}, and is passed over while {note} is there)")
                }
                Err(error) => format!(" (it stays at {at}, which cannot be remembered: {error})"),
            }
        };
        let begin = format!("the cached executable of graph {key} is not used{where_to}");
        self.warnings.warn(format!("{begin}, and the graph is compiled anew: {why}"));
        if is_gone { Admission::Gone } else { Admission::Refused }
    }
}

/// The mark of an executable's load. It is removed when the first execution is over or this is
/// dropped.
#[derive(Debug, Default)]
pub(super) struct FirstRun(Mutex<Option<LoadMark>>);

impl FirstRun {
    pub(super) fn of(mark: Option<LoadMark>) -> Self {
        Self(Mutex::new(mark))
    }

    /// Notes that the first execution is over when `output` is ready, or at once if there is no
    /// output. Later calls do nothing.
    pub(super) fn ends_with(&self, output: Option<&Buffer>) {
        let Some(mark) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let Some(output) = output else { return mark.proven() };
        let watched = output.ready().and_then(|event| event.on_ready(move |_| mark.proven()));
        if let Err(error) = watched {
            tracing::debug!(%error, "the end of the first execution cannot be observed");
        }
    }
}
