//! What happens in a process of its own: compiling for hardware that is not here, and trying an
//! executable that may end its process.
//!
//! A compiler that is given a topology and no device reads its surroundings from the environment,
//! takes a machine-wide lock, may end its process, and holds gigabytes. All of that stays in a
//! child (`child.rs`): the same program, started again (`process.rs`), which is told what to do by
//! its standard input and answers in a folder (`job.rs`). An executable that is suspected of ending
//! the process that loads it is loaded in such a child first (`trial.rs`).

mod child;
mod job;
mod process;
mod trial;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use preheat_cache::{Digest, Environment, FramedHasher, KeyInputs, Note, Store};
use preheat_pjrt::ErrorCode;

pub use self::child::serve_compiler;
use self::job::{Answer, Job, PluginFile, Task, Wanted};
pub use self::process::AheadError;
pub(crate) use self::process::Starting;
pub(crate) use self::trial::{TrialOutcome, try_executable};
use super::environment::{Facts, Identity};
use super::xla::{Compiled, Payload};
use super::{BackendError, CompileError};
use crate::device::Target;
use crate::progress::Cancel;

/// The version of what a remembered description is found by.
const TARGET_TAG: &str = "preheat-target-v1";

/// A compiler for one target.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) target: Target,
    pub(crate) environment: Arc<Environment>,
    plugin: PluginFile,
    /// What is started as the child; asked for when the first one is needed.
    program: Option<PathBuf>,
    facts: Facts,
    /// What the compiler was told through its environment when the keys were made.
    variables: [(&'static str, String); 2],
    /// Under which name `facts` are remembered.
    note: Note,
}

impl Ahead {
    /// Asks the plugin at `plugin` what `target` is like; what it answered once is remembered in
    /// `notes`.
    pub(crate) fn open(
        target: Target,
        plugin: &Path,
        program: Option<PathBuf>,
        build: impl FnOnce() -> Result<String, BackendError>,
        notes: Option<&Store>,
        cancel: &Cancel,
    ) -> Result<Self, BackendError> {
        let file = PluginFile::now(plugin);
        let identity = Identity::now(build)?;
        let note = Note::Target(note_key(&target, &identity));
        let facts = if let Some(facts) = notes.and_then(|store| remembered(store, note)) {
            facts
        } else {
            let unknown = |cause| BackendError::Target {
                target: target.clone(),
                path: plugin.to_owned(),
                cause,
            };
            let starting =
                Starting { program: program.as_deref(), variables: identity.variables() };
            let facts = describe(&file, &target, &starting, cancel).map_err(unknown)?;
            if let Some(store) = notes {
                remember(store, note, &facts);
            }
            facts
        };
        let variables = identity.variables().clone();
        let environment = Arc::new(facts.clone().environment(identity));
        Ok(Self { target, environment, plugin: file, program, facts, variables, note })
    }

    /// Compiles `inputs` in a child.
    ///
    /// `notes` is where what the target is like was remembered.
    pub(crate) fn compile(
        &self,
        inputs: &KeyInputs,
        notes: Option<&Store>,
        cancel: &Cancel,
    ) -> Result<Compiled, CompileError> {
        let program = inputs.program.bytes();
        let wanted = Wanted {
            topology: self.target.topology().to_owned(),
            format: inputs.program.format(),
            program_bytes: program.len(),
            options: inputs.options.clone(),
            facts: self.facts.clone(),
        };
        let job = Job { plugin: self.plugin.clone(), task: Task::Compile(Box::new(wanted)) };
        let folder = process::answer_folder()?;
        let starting = Starting { program: self.program.as_deref(), variables: &self.variables };
        let answer =
            process::run(&starting, &job, program, &folder, cancel).inspect_err(|error| {
                // Whatever was remembered of the target led here: whoever starts again should ask
                // anew.
                if let (AheadError::Replaced, Some(store)) = (error, notes) {
                    store.forget_note(self.note);
                }
            })?;
        let Answer::Compiled { interface, abi_version, measurements } = answer else {
            return Err(AheadError::Confused.into());
        };
        let payload = std::fs::read(job::payload(folder.path())).map_err(AheadError::Answer)?;
        Ok(Compiled { payload: Ok(Payload::Owned(payload)), interface, abi_version, measurements })
    }
}

/// Has a child ask the plugin what `target` is like.
fn describe(
    plugin: &PluginFile,
    target: &Target,
    starting: &Starting<'_>,
    cancel: &Cancel,
) -> Result<Facts, AheadError> {
    let folder = process::answer_folder()?;
    let job = Job {
        plugin: plugin.clone(),
        task: Task::Describe { topology: target.topology().to_owned() },
    };
    match process::run(starting, &job, &[], &folder, cancel)? {
        Answer::Described(facts) => Ok(facts),
        _ => Err(AheadError::Confused),
    }
}

/// What a plugin says of a target follows from its build, its flags and the target's name.
fn note_key(target: &Target, identity: &Identity) -> Digest {
    let mut hasher = FramedHasher::new(TARGET_TAG);
    hasher.text(&target.to_string());
    for word in identity.words() {
        hasher.text(&word);
    }
    hasher.finish()
}

/// The answer of a child whose plugin said no.
fn refused(code: Option<ErrorCode>, said: &dyn Display) -> Answer {
    Answer::Refused { code: code.map(ErrorCode::number), message: said.to_string() }
}

fn remembered(store: &Store, note: Note) -> Option<Facts> {
    serde_json::from_slice(&store.note(note)?).ok()
}

/// A note that cannot be written costs the next process a second.
fn remember(store: &Store, note: Note, facts: &Facts) {
    let written = serde_json::to_vec(facts)
        .map_err(std::io::Error::from)
        .and_then(|facts| store.write_note(note, &facts));
    if let Err(error) = written {
        tracing::debug!(%error, "what the target is like is not remembered");
    }
}
