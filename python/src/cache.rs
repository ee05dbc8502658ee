//! How does a Python program look after a cache?

use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use preheat_cache::{EXPORT_START, GraphKey, GraphRecord};
use preheat_io::input;
use preheat_io::result_file::{Existing, Output};
use preheat_runtime::{Cache, PruneRule, Runtime, RuntimeBuilder, target_of};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::errors::{Failure, Kind, raise};
use crate::program::PyProgram;
use crate::reports::to_python;
use crate::settings::{cache_settings, open_cache, refuse_others};
use crate::signature::PySignature;
use crate::values::duration_of;
use crate::work::{self, Ask, PyCancel};

/// The compiled programs on disk. Reading and maintaining them needs no device.
#[pyclass(name = "Cache", module = "preheat", frozen)]
pub(crate) struct PyCache {
    cache: Arc<Cache>,
    /// The runtime that uses this cache, if the cache was not opened alone. Its counts are written
    /// to the cache before statistics are read.
    runtime: Option<Runtime>,
}

/// Which entries a call acts on.
#[derive(Default)]
struct Filter {
    model: Option<String>,
    stage: Option<String>,
    target: Option<String>,
    used_before: Option<jiff::Timestamp>,
}

impl Filter {
    fn takes(&self, record: &GraphRecord) -> bool {
        let target = target_of(record);
        let of_target = |wanted: &String| {
            target == *wanted
                || target.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(':'))
        };
        let of_model =
            |model: &String| record.signatures.iter().any(|one| one.signature.model_id == *model);
        self.model.as_ref().is_none_or(of_model)
            && self.stage.as_ref().is_none_or(|stage| record.stage == *stage)
            && self.target.as_ref().is_none_or(of_target)
            && self.used_before.is_none_or(|time| last_used(record) < time)
    }
}

fn last_used(record: &GraphRecord) -> jiff::Timestamp {
    record.statistics.last_used.unwrap_or(record.created).max(record.created)
}

/// The moment that was `age` ago.
fn before(age: Option<&Bound<'_, PyAny>>) -> PyResult<Option<jiff::Timestamp>> {
    let Some(age) = age else { return Ok(None) };
    let age = duration_of(age)?;
    Ok(Some(jiff::Timestamp::now().checked_sub(age).unwrap_or(jiff::Timestamp::MIN)))
}

impl PyCache {
    pub(crate) fn open(
        py: Python<'_>,
        builder: &RuntimeBuilder,
        runtime: Option<Runtime>,
    ) -> PyResult<Self> {
        Ok(Self { cache: Arc::new(open_cache(py, builder)?), runtime })
    }

    fn work<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: &Ask,
        work: impl FnOnce(&Cache, &preheat_runtime::progress::Control) -> Result<T, Failure>
        + Send
        + 'static,
    ) -> PyResult<T> {
        let cache = Arc::clone(&self.cache);
        work::run(py, ask, move |control| work(&cache, control))
    }

    /// The only record whose key begins with `key`.
    fn find(&self, py: Python<'_>, key: &str) -> PyResult<GraphRecord> {
        let digits = key.to_owned();
        let mut found = self
            .work(py, &Ask::silent(), move |cache, _| Ok(cache.records_beginning(&digits, 2)?))?;
        match (found.len(), found.pop()) {
            (1, Some(record)) => Ok(record),
            (0, _) => Err(raise(
                py,
                Kind::CacheError,
                &format!("no graph key begins with {key:?}: list() names those that the cache has"),
            )),
            _ => Err(raise(
                py,
                Kind::CacheError,
                &format!("give more of the key: several keys begin with {key:?}"),
            )),
        }
    }
}

fn file_failed(doing: &str, path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let doing = format!("{doing} {} failed", path.display());
    move |cause| Failure::Words(Kind::CacheError, format!("{doing}: {cause}"))
}

#[pymethods]
impl PyCache {
    /// Opens a cache alone: no device is chosen, and no plugin is loaded.
    #[new]
    #[pyo3(signature = (cache_dir=None, **settings))]
    fn new<'py>(
        py: Python<'py>,
        cache_dir: Option<PathBuf>,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let settings = settings.map_or_else(|| Ok(PyDict::new(py)), PyDictMethods::copy)?;
        if let Some(folder) = cache_dir {
            settings.set_item("cache_dir", folder)?;
        }
        let builder = cache_settings(Runtime::builder(), &settings)?;
        refuse_others(&settings)?;
        Self::open(py, &builder, None)
    }

    /// The cache's folder.
    #[getter]
    fn dir(&self) -> PathBuf {
        self.cache.dir().to_owned()
    }

    /// The cache's folder, and the space that the cache takes.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.work(py, &Ask::silent(), |cache, _| Ok(cache.info()?))?)
    }

    /// The statistics, summed over all processes that use the cache.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let runtime = self.runtime.clone();
        let statistics = self.work(py, &Ask::silent(), move |cache, _| {
            if let Some(runtime) = runtime {
                runtime.flush();
            }
            Ok(cache.statistics()?)
        })?;
        to_python(py, &statistics)
    }

    /// The records of the cache's entries, the most recently used one first.
    #[pyo3(signature = (*, model=None, stage=None, target=None, older_than=None))]
    fn list<'py>(
        &self,
        py: Python<'py>,
        model: Option<String>,
        stage: Option<String>,
        target: Option<String>,
        older_than: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = Filter { model, stage, target, used_before: before(older_than)? };
        let records = self.work(py, &Ask::silent(), move |cache, _| {
            let mut records = cache.records()?;
            records.retain(|record| filter.takes(record));
            records.sort_by_key(|record| std::cmp::Reverse(last_used(record)));
            Ok(records)
        })?;
        to_python(py, &records)
    }

    /// The record of one entry, by its key or the beginning of it.
    fn show<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.find(py, key)?)
    }

    /// The program that an entry was compiled from.
    fn program(&self, py: Python<'_>, key: &str) -> PyResult<PyProgram> {
        let key = self.find(py, key)?.graph_key;
        let found = self.work(py, &Ask::silent(), move |cache, _| Ok(cache.program(&key)?))?;
        match found {
            Some(program) => Ok(PyProgram { program }),
            None => {
                Err(raise(py, Kind::CacheError, &format!("the program of graph {key} is gone")))
            }
        }
    }

    /// Removes every entry that no process is loading at this moment, even if it is pinned.
    fn clear<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.work(py, &Ask::silent(), |cache, _| Ok(cache.clear()?))?)
    }

    /// Checks every entry; with `repair`, repairs what can be repaired.
    #[pyo3(signature = (*, repair=false, cancel=None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        repair: bool,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ask = quiet(py, cancel)?;
        let report = self.work(py, &ask, move |cache, control| {
            Ok(cache.verify(repair, |_| !control.is_cancelled())?)
        })?;
        to_python(py, &report)
    }

    /// Removes entries: those that are worth least, until the others take at most `max_bytes`;
    /// those that were not used for `older_than` (seconds, or a `timedelta`); and, with `stale`,
    /// those of plugin builds that are not installed. Pinned entries stay, and so do entries that a
    /// process is loading. With `dry_run` nothing is removed.
    #[pyo3(signature = (*, max_bytes=None, older_than=None, stale=false, dry_run=false))]
    fn prune<'py>(
        &self,
        py: Python<'py>,
        max_bytes: Option<u64>,
        older_than: Option<&Bound<'py, PyAny>>,
        stale: bool,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if max_bytes.is_none() && older_than.is_none() && !stale {
            let words = "say what to prune: give max_bytes, older_than or stale";
            return Err(raise(py, Kind::InvalidRequest, words));
        }
        let rule = PruneRule { max_bytes, used_before: before(older_than)?, stale, dry_run };
        to_python(py, &self.work(py, &Ask::silent(), move |cache, _| Ok(cache.prune(rule)?))?)
    }

    /// Protects an entry, or every entry of a signature, from pruning and from eviction. Entries
    /// that the signature gets later are protected, too. Returns how many entries are protected
    /// now.
    #[pyo3(signature = (key=None, *, signature=None))]
    fn pin(
        &self,
        py: Python<'_>,
        key: Option<&str>,
        signature: Option<&Bound<'_, PySignature>>,
    ) -> PyResult<u64> {
        self.set_pinned(py, key, signature, true)
    }

    /// Ends the protection that `pin` gave.
    #[pyo3(signature = (key=None, *, signature=None))]
    fn unpin(
        &self,
        py: Python<'_>,
        key: Option<&str>,
        signature: Option<&Bound<'_, PySignature>>,
    ) -> PyResult<u64> {
        self.set_pinned(py, key, signature, false)
    }

    /// Writes entries to one portable file. `keys` are keys or their beginnings. With `model`,
    /// `stage` or `target`, only the entries of this model, stage or target are written.
    #[pyo3(signature = (path, keys=None, *, model=None, stage=None, target=None, overwrite=false, cancel=None))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        keys: Option<Vec<String>>,
        model: Option<String>,
        stage: Option<String>,
        target: Option<String>,
        overwrite: bool,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ask = quiet(py, cancel)?;
        let keys: Option<Vec<GraphKey>> = keys
            .map(|keys| {
                keys.iter().map(|key| Ok(self.find(py, key)?.graph_key)).collect::<PyResult<_>>()
            })
            .transpose()?;
        let filter = Filter { model, stage, target, used_before: None };
        let exported = self.work(py, &ask, move |cache, control| {
            let failed = file_failed("writing", &path);
            let existing = if overwrite { Existing::Replace } else { Existing::Keep };
            let mut to = BufWriter::new(Output::create(&path, existing).map_err(&failed)?);
            let wanted = |record: &GraphRecord| {
                filter.takes(record)
                    && keys.as_ref().is_none_or(|keys| keys.contains(&record.graph_key))
            };
            let exported = cache.export(&mut to, wanted, |_| !control.is_cancelled())?;
            if control.is_cancelled() {
                return Err(Failure::Words(Kind::Interrupted, "interrupted".to_owned()));
            }
            to.flush().map_err(&failed)?;
            let whole = to.into_inner().map_err(|error| failed(error.into_error()))?;
            whole.finish().map_err(failed)?;
            Ok(exported)
        })?;
        to_python(py, &exported)
    }

    /// Adds the entries of a file that `export` wrote. They are machine code, which every process
    /// with this cache runs from then on: `trust=True` says that you trust whoever made the file.
    #[pyo3(signature = (path, *, trust=false, cancel=None))]
    fn import_file<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        trust: bool,
        cancel: Option<&Bound<'py, PyCancel>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ask = quiet(py, cancel)?;
        let imported = self.work(py, &ask, move |cache, control| {
            let failed = file_failed("reading", &path);
            let from = input::open(&path).map_err(&failed)?;
            let mut start = Vec::new();
            (&from).take(EXPORT_START.len() as u64).read_to_end(&mut start).map_err(&failed)?;
            if !start.is_empty() && start != EXPORT_START {
                let why = "it is not a file that an export wrote";
                return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why)));
            }
            if !trust {
                let words = format!(
                    "give trust=True if you trust whoever made {} and everybody who could have \
                     changed it: it brings machine code that runs as you, and nothing in it proves \
                     who made it. Nothing was imported",
                    path.display()
                );
                return Err(Failure::Words(Kind::InvalidRequest, words));
            }
            let from = start.as_slice().chain(from);
            let imported = cache.import(BufReader::new(from), |_| !control.is_cancelled())?;
            if control.is_cancelled() {
                return Err(Failure::Words(Kind::Interrupted, "interrupted".to_owned()));
            }
            Ok(imported)
        })?;
        to_python(py, &imported)
    }

    fn __repr__(&self) -> String {
        format!("<preheat.Cache {}>", self.cache.dir().display())
    }
}

impl PyCache {
    fn set_pinned(
        &self,
        py: Python<'_>,
        key: Option<&str>,
        signature: Option<&Bound<'_, PySignature>>,
        pinned: bool,
    ) -> PyResult<u64> {
        match (key, signature) {
            (Some(key), None) => {
                let key = self.find(py, key)?.graph_key;
                let work = move |cache: &Cache, _: &_| Ok(cache.set_pinned(&key, pinned)?);
                self.work(py, &Ask::silent(), work).map(u64::from)
            }
            (None, Some(signature)) => {
                let digest = signature.get().signature.digest();
                self.work(py, &Ask::silent(), move |cache, _| {
                    Ok(cache.set_signature_pinned(&digest, pinned)?)
                })
            }
            _ => Err(raise(py, Kind::InvalidRequest, "give a key or a signature, and not both")),
        }
    }
}

/// A call that reports nothing, with a flag that may stop it.
fn quiet(py: Python<'_>, cancel: Option<&Bound<'_, PyCancel>>) -> PyResult<Ask> {
    Ask::of(py, Some(pyo3::types::PyBool::new(py, false).as_any()), cancel)
}
