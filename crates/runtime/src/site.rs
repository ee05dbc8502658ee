//! Where do a runtime's executables run, and which executables fit there?

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use preheat_cache::{CompileOptions, Digest, Environment, GraphKey, GraphRecord, Program, Store};
use serde::Serialize;

use super::as_written::{self, Place};
use super::error::Error;
use crate::backend::Backend;
use crate::backend::ahead::{Ahead, this_program_serves};
use crate::backend::contract::{Device, PluginInUse};
use crate::device::target::topology_name;
use crate::device::{DeviceChoice, DeviceName, Target};
use crate::progress::Cancel;

/// The device that a runtime runs on, with the names of the command line's JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceReport {
    /// The device that was asked for.
    pub requested: String,
    /// The device that was chosen.
    pub selected: String,
    /// Why it was chosen.
    pub reason: String,
    /// The name that the hardware reports.
    pub kind: String,
}

impl DeviceReport {
    pub(super) fn new(choice: &DeviceChoice, kind: &str) -> Self {
        Self {
            requested: choice.requested.to_string(),
            selected: choice.selected.to_string(),
            reason: choice.reason.clone(),
            kind: kind.to_owned(),
        }
    }

    /// The hardware that `ahead` compiles for.
    pub(super) fn of_target(ahead: &Ahead) -> Self {
        Self {
            requested: ahead.target.to_string(),
            selected: ahead.target.to_string(),
            reason: "compiled for ahead of time".to_owned(),
            kind: ahead.environment.device_kind.clone(),
        }
    }
}

/// A device, or hardware that is not here, and the environment that executables for it fit.
pub(super) struct Site {
    pub(super) report: DeviceReport,
    pub(super) backend: Backend,
    pub(super) environment_digest: Digest,
    /// The program that is started as a child, to compile or to try an executable. If there is
    /// none, this program itself is started, provided that it calls
    /// [`serve_compiler`](crate::serve_compiler).
    pub(super) compiler_program: Option<PathBuf>,
    /// The compiler for a TPU's hardware by its name, opened at the first compile; `None` if it
    /// would not make the keys that the device asks for.
    by_name: OnceLock<Option<Ahead>>,
    /// The graphs whose stored executables ended processes that loaded them.
    deadly: Mutex<HashSet<GraphKey>>,
}

impl Site {
    pub(super) fn new(
        backend: Backend,
        report: DeviceReport,
        compiler_program: Option<PathBuf>,
    ) -> Self {
        let environment_digest = backend.environment().digest();
        let by_name = OnceLock::new();
        let deadly = Mutex::default();
        Self { report, backend, environment_digest, compiler_program, by_name, deadly }
    }

    /// The device, for work that has to be done on it.
    pub(super) fn here(&self) -> Result<&Arc<dyn Device>, Error> {
        match &self.backend {
            Backend::Here(here) => Ok(here),
            Backend::Ahead(ahead) => Err(Error::NotHere { target: ahead.target.clone() }),
        }
    }

    pub(super) fn environment(&self) -> &Arc<Environment> {
        self.backend.environment()
    }

    pub(super) fn device(&self) -> DeviceName {
        self.backend.device()
    }

    /// This device's plugin, and the name of its hardware, for which a child process compiles.
    /// `None` if there is no such name: the device is not here, is not driven by a plugin, or has
    /// hardware that cannot be named.
    pub(super) fn named_hardware(&self) -> Option<(PluginInUse<'_>, Target)> {
        let plugin = self.here().ok()?.plugin()?;
        Some((plugin, self.target().parse().ok()?))
    }

    /// The compiler for this device's hardware by its name, for a TPU. `None` if there is none, or
    /// if it would not make the keys that the device asks for. `notes` is the store that remembers
    /// descriptions of hardware.
    pub(super) fn by_name(&self, notes: Option<&Store>, cancel: &Cancel) -> Option<&Ahead> {
        let open = || {
            let (plugin, target) = self.named_hardware()?;
            let (program, build) =
                (self.compiler_program.clone(), self.environment().plugin_build.clone());
            let ahead = Ahead::open(target, plugin.path, program, || Ok(build), notes, cancel);
            let ahead = ahead.inspect_err(|error| {
                tracing::debug!(%error, "the hardware is not known by its name");
            });
            ahead.ok().filter(|ahead| ahead.environment.digest() == self.environment_digest)
        };
        self.by_name.get_or_init(open).as_ref()
    }

    /// Notes that a stored executable ended processes that loaded it.
    pub(super) fn is_found_deadly(&self, key: GraphKey) {
        self.deadly().insert(key);
    }

    /// Whether a stored executable of this graph ended processes that loaded it.
    pub(super) fn is_deadly(&self, key: &GraphKey) -> bool {
        self.deadly().contains(key)
    }

    fn deadly(&self) -> MutexGuard<'_, HashSet<GraphKey>> {
        // No change of the set can panic.
        self.deadly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a program is known that can be started as a child.
    pub(super) fn has_compiler(&self) -> bool {
        self.compiler_program.is_some() || this_program_serves()
    }

    /// Refuses a program that would run differently here from what the program declares.
    pub(super) fn check_as_written(
        &self,
        stage: &str,
        program: &Program,
        options: &CompileOptions,
    ) -> Result<(), Error> {
        let checked = match &self.backend {
            Backend::Ahead(ahead) => {
                let target = ahead.target.to_string();
                let devices = ahead.environment.topology.core_count;
                as_written::check(program, options, &Place::Target(&target, devices))
            }
            Backend::Here(here) => {
                as_written::check(program, options, &Place::Device(&here.name().to_string()))
            }
        };
        checked.map_err(|cause| Error::NotAsWritten { stage: stage.to_owned(), cause })
    }

    /// Whether the executable of a record was compiled for exactly this environment.
    pub(super) fn fits(&self, record: &GraphRecord) -> bool {
        record.environment.digest() == self.environment_digest
    }

    /// The target that graphs are compiled for here, named as [`target_of`] names it.
    pub(super) fn target(&self) -> String {
        target_name(&self.device().to_string(), self.environment())
    }
}

/// The target of a compiled graph as the command line names it: the device, and the shape of the
/// hardware if it has one.
pub fn target_of(record: &GraphRecord) -> String {
    target_name(&record.device, &record.environment)
}

/// The target of a device that runs through libtorch, such as `torch:cpu` or
/// `torch:cuda:nvidia-h200`. The name has the model of the card, which decides whether a prepared
/// graph fits, and not the card's number, which does not matter.
fn torch_target(environment: &Environment) -> Option<String> {
    let backend = environment.platform.strip_prefix("torch-")?;
    if backend == environment.device_kind {
        return Some(format!("torch:{backend}"));
    }
    let kind = environment.device_kind.to_lowercase();
    let words: Vec<&str> =
        kind.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    Some(format!("torch:{backend}:{}", words.join("-")))
}

fn target_name(device: &str, environment: &Environment) -> String {
    if environment.platform == "cpu" {
        return device.to_owned();
    }
    if let Some(torch) = torch_target(environment) {
        return torch;
    }
    format!("{device}:{}", topology_name(&environment.topology))
}
