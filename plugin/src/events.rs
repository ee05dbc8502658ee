//! How did each compile of a framework end? Each compile adds a line of JSON to the file that
//! `PREHEAT_PLUGIN_LOG` names, and a line before it if the real plugin refuses a stored executable.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use preheat_cache::{GraphKey, StoreError};
use serde::Serialize;

/// How a compile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The program was compiled, and the executable was stored.
    Compiled,
    /// The program was compiled, but the executable could not be stored.
    NotStored,
    /// The executable was loaded from a store.
    Served,
    /// The compile was forwarded, because the program must not or cannot be cached; or the real
    /// plugin refused the stored executable, and a further event says how the compile ended.
    Forwarded,
    /// The real plugin failed, here or in the process that was waited for.
    Failed,
    /// The program would have to be compiled, which `PREHEAT_REQUIRE_WARM` forbids.
    NotWarm,
}

/// One compile that a framework asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) outcome: Outcome,
    /// The name of the program's module.
    pub(crate) program: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<GraphKey>,
    /// The time from the framework's call to this event.
    pub(crate) seconds: f64,
    /// The duration of the compile, in this process or in the one that stored the executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compile_seconds: Option<f64>,
    /// Why the compile was forwarded, failed or was forbidden, or why the executable was not
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    /// The fields in which the wanted program differs from the nearest stored one.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) differs: &'a [String],
}

#[derive(Serialize)]
struct Line<'a> {
    pid: u32,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct Events {
    path: Option<PathBuf>,
    file: OnceLock<Option<Mutex<File>>>,
    /// The failures of the store that were already reported; each is reported once.
    said: Mutex<BTreeSet<String>>,
}

impl Events {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: OnceLock::new(), said: Mutex::default() }
    }

    /// Whether events are written to a file.
    pub(crate) fn are_read(&self) -> bool {
        self.path.is_some()
    }

    /// Adds an event. A line is written at once and with one call, so that several processes can
    /// share the file, and a killed process loses no line.
    pub(crate) fn add(&self, event: &Event<'_>) {
        self.write(&Line { pid: std::process::id(), event });
    }

    /// Reports on standard error, once, that the store fails. Programs go on without the store.
    pub(crate) fn store_failed(&self, doing: &str, error: &StoreError) {
        let text =
            format!("preheat: {doing}: {error}; programs are compiled as if there were no cache");
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(text.clone()) {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn write(&self, line: &impl Serialize) {
        let open = || {
            let path = self.path.as_ref()?;
            let file = File::options().create(true).append(true).open(path).ok()?;
            Some(Mutex::new(file))
        };
        let Some(file) = self.file.get_or_init(open) else { return };
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
    }
}
