//! How do names become dtypes, and numbers become times?

use std::time::Duration;

use preheat_tensor::{Dtype, TensorType};
use pyo3::prelude::*;

use crate::errors::{Kind, raise};

/// The dtype that a Python object names: `"bfloat16"`, `numpy.dtype("float32")`, `numpy.float32`,
/// `torch.float16`, `jax.numpy.bfloat16`.
pub(crate) fn dtype_of(named: &Bound<'_, PyAny>) -> PyResult<Dtype> {
    let text = if let Ok(text) = named.extract::<String>() {
        text
    } else {
        // numpy's dtypes have a name, and classes of scalars have one, too.
        let name = named.getattr("name").or_else(|_| named.getattr("__name__"));
        let name = name.and_then(|name| name.extract::<String>());
        name.or_else(|_| named.str().map(|text| text.to_string()))?
    };
    let name = text.strip_prefix("torch.").unwrap_or(&text);
    name.parse().map_err(|error| raise(named.py(), Kind::InvalidRequest, &format!("{error}")))
}

/// A type as `(dtype, shape)`.
pub(crate) fn kind_as_tuple(kind: &TensorType) -> (&'static str, Vec<u64>) {
    (kind.dtype.name(), kind.dims.clone())
}

/// A time as a number of seconds, or as a `datetime.timedelta`.
pub(crate) fn duration_of(given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds = match given.extract::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => given.call_method0("total_seconds")?.extract()?,
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| {
        raise(
            given.py(),
            Kind::InvalidRequest,
            &format!("{seconds} is no number of seconds: {error}"),
        )
    })
}
