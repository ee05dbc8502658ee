//! How are the settings of a runtime and of a cache read from keyword arguments?

use std::path::PathBuf;

use preheat_runtime::RuntimeBuilder;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyDictMethods};

use crate::errors::{Kind, of_runtime, raise};

/// Takes a setting out of the keyword arguments.
pub(crate) fn take<'py, T>(settings: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let Some(value) = settings.get_item(name)? else { return Ok(None) };
    settings.del_item(name)?;
    if value.is_none() {
        return Ok(None);
    }
    match value.extract::<T>() {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let error: PyErr = error.into();
            Err(raise(settings.py(), Kind::InvalidRequest, &format!("{name}: {error}")))
        }
    }
}

/// Takes a setting that is written as a word.
pub(crate) fn take_word<T>(settings: &Bound<'_, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let Some(word) = take::<String>(settings, name)? else { return Ok(None) };
    word.parse()
        .map(Some)
        .map_err(|error| raise(settings.py(), Kind::InvalidRequest, &format!("{name}: {error}")))
}

/// The settings of a cache.
pub(crate) fn cache_settings(
    mut builder: RuntimeBuilder,
    settings: &Bound<'_, PyDict>,
) -> PyResult<RuntimeBuilder> {
    if let Some(folder) = take::<PathBuf>(settings, "cache_dir")? {
        builder = builder.cache_dir(folder);
    }
    for folder in take::<Vec<PathBuf>>(settings, "cache_fallback")?.unwrap_or_default() {
        builder = builder.cache_fallback(folder);
    }
    if let Some(bytes) = take(settings, "cache_max_bytes")? {
        builder = builder.cache_max_bytes(bytes);
    }
    if let Some(read_only) = take(settings, "cache_read_only")? {
        builder = builder.read_only(read_only);
    }
    if let Some(shared) = take(settings, "cache_shared")? {
        builder = builder.cache_shared(shared);
    }
    Ok(builder)
}

/// Refuses a setting that nothing took.
pub(crate) fn refuse_others(settings: &Bound<'_, PyDict>) -> PyResult<()> {
    match settings.keys().get_item(0) {
        Err(_) => Ok(()),
        Ok(name) => Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "there is no setting {}: help() lists them",
            name.repr()?
        ))),
    }
}

/// The cache behind a builder.
pub(crate) fn open_cache(
    py: Python<'_>,
    builder: &RuntimeBuilder,
) -> PyResult<preheat_runtime::Cache> {
    builder.open_cache().map_err(|error| of_runtime(py, &error))
}
