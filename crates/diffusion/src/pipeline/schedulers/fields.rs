//! How is a field of a configuration read, and checked, as a value of its type?
//!
//! A field that is missing or null has its default, except a flag: a flag that is null is off.

use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Map, Value};

use super::{SchedulerError, SchedulerName};

/// The fields of one file, read for one scheduler.
pub(super) struct Fields<'a> {
    pub(super) file: &'a Path,
    pub(super) values: &'a Map<String, Value>,
    pub(super) name: SchedulerName,
}

impl Fields<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    /// The error for a field whose value is not supported.
    pub(super) fn error(
        &self,
        field: &'static str,
        supported: impl Into<String>,
    ) -> SchedulerError {
        const MOST_CHARACTERS: usize = 80;
        let mut value =
            self.values.get(field).map_or_else(|| "missing".to_owned(), Value::to_string);
        if let Some((end, _)) = value.char_indices().nth(MOST_CHARACTERS) {
            value.truncate(end);
            value.push_str("...");
        }
        let (file, scheduler) = (self.file.to_owned(), self.name.to_string());
        SchedulerError::Field { file, field, value, scheduler, supported: supported.into() }
    }

    /// A boolean; `null` is false, as in Python.
    pub(super) fn flag(&self, field: &'static str, default: bool) -> Result<bool, SchedulerError> {
        match self.values.get(field) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.error(field, "true, false")),
        }
    }

    /// Refuses a flag that is set.
    pub(super) fn only_off(&self, field: &'static str) -> Result<(), SchedulerError> {
        if self.flag(field, false)? { Err(self.error(field, "false")) } else { Ok(()) }
    }

    /// Refuses a field that has a value.
    pub(super) fn only_missing(&self, field: &'static str) -> Result<(), SchedulerError> {
        if self.get(field).is_some() { Err(self.error(field, "null")) } else { Ok(()) }
    }

    /// Refuses a field whose value is one of these words.
    pub(super) fn none_of(
        &self,
        field: &'static str,
        words: &[&str],
    ) -> Result<(), SchedulerError> {
        if words.iter().any(|word| self.holds(field, word)) {
            return Err(self.error(field, format!("anything but {}", words.join(", "))));
        }
        Ok(())
    }

    /// A whole number in a range.
    pub(super) fn count(
        &self,
        field: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, SchedulerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| range.contains(count))
            .ok_or_else(|| {
                let (least, most) = range.into_inner();
                self.error(
                    field,
                    if least == most { least.to_string() } else { format!("{least} to {most}") },
                )
            })
    }

    /// A number. Python's infinities are read from strings.
    pub(super) fn number(&self, field: &'static str, default: f64) -> Result<f64, SchedulerError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::String(word)) if word == "-Infinity" => Ok(f64::NEG_INFINITY),
            Some(Value::String(word)) if word == "Infinity" => Ok(f64::INFINITY),
            Some(value) => value.as_f64().ok_or_else(|| self.error(field, "a number")),
        }
    }

    /// A number above zero; `None` if the field is missing.
    pub(super) fn positive(&self, field: &'static str) -> Result<Option<f64>, SchedulerError> {
        if self.get(field).is_none() {
            return Ok(None);
        }
        let number = self.number(field, f64::NAN)?;
        if number > 0.0 && number.is_finite() {
            Ok(Some(number))
        } else {
            Err(self.error(field, "a number above 0"))
        }
    }

    /// A list of exactly this many numbers; `None` if the field is missing.
    pub(super) fn numbers(
        &self,
        field: &'static str,
        count: usize,
    ) -> Result<Option<Vec<f64>>, SchedulerError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value
            .as_array()
            .filter(|values| values.len() == count)
            .and_then(|values| values.iter().map(Value::as_f64).collect())
            .map(Some)
            .ok_or_else(|| {
                self.error(field, format!("a list of {count} numbers (`num_train_timesteps`)"))
            })
    }

    /// A list of whole numbers; empty if the field is missing.
    pub(super) fn counts(&self, field: &'static str) -> Result<Vec<usize>, SchedulerError> {
        let Some(value) = self.get(field) else { return Ok(Vec::new()) };
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        value
            .as_array()
            .and_then(|values| values.iter().map(count).collect())
            .ok_or_else(|| self.error(field, "a list of whole numbers, 0 or more"))
    }

    /// Whether the field's value is this word.
    pub(super) fn holds(&self, field: &str, word: &str) -> bool {
        self.get(field).and_then(Value::as_str) == Some(word)
    }

    /// The value that belongs to one of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        field: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> Result<T, SchedulerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        words
            .iter()
            .find(|(word, _)| value.as_str() == Some(word))
            .map(|&(_, meaning)| meaning)
            .ok_or_else(|| {
                self.error(
                    field,
                    words.iter().map(|&(word, _)| word).collect::<Vec<_>>().join(", "),
                )
            })
    }
}
