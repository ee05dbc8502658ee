//! Which work is done in a separate process, and how?
//!
//! There are three kinds: compiling, trying an executable that may end its process, and trying
//! whether a plugin ends its process because of the flags in the environment.
//!
//! A compiler that is given a topology and no device reads environment variables, takes a
//! machine-wide lock, may end its process, and holds gigabytes. All of that stays in a child
//! (`child.rs`): the same program, or another one that the caller names, is started as the child
//! (`process.rs`). The child reads its job from its standard input and writes its answer into a
//! folder (`job.rs`). For a device that is here, the child has a client of its own (`here.rs`). An
//! executable that is suspected of ending the process that loads it is loaded in such a child first
//! (`trial.rs`), and so is a plugin that has to read flags (`flags.rs`). How a child ended tells
//! whether the code that it ran is the cause (`ended.rs`).

mod child;
mod ended;
mod flags;
mod here;
mod job;
mod process;
mod trial;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use preheat_cache::{Digest, Environment, FramedHasher, KeyInputs, Note, Store};
use preheat_pjrt::ErrorCode;

pub use self::child::serve_compiler;
pub(crate) use self::child::this_program_serves;
pub(crate) use self::ended::ended_itself;
pub(crate) use self::flags::check_flags;
pub(crate) use self::here::compile_here;
use self::job::{Answer, Job, PluginFile, Task, Wanted};
pub use self::process::AheadError;
pub(crate) use self::process::{Starting, after};
pub(crate) use self::trial::{TrialOutcome, try_executable};
use super::contract::Compiled;
use super::{BackendError, CompileError};
use crate::device::Target;
use crate::progress::Cancel;
use preheat_environment::{Facts, Identity};

/// The version of the key under which a target's description is stored.
const TARGET_TAG: &str = "preheat-target-v1";

/// A compiler for one target.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) target: Target,
    pub(crate) environment: Arc<Environment>,
    plugin: PluginFile,
    /// The program that is started as the child; `None` stands for this program.
    program: Option<PathBuf>,
    facts: Facts,
    /// The environment variables that the compiler reads, as they were when the keys were made.
    variables: [(&'static str, String); 2],
    /// The name under which `facts` are stored.
    note: Note,
    /// Whether children compile at low priority, because nobody waits for them.
    in_background: bool,
}

impl Ahead {
    /// Gets the description of `target` from the plugin at `plugin`, or from `notes` if an earlier
    /// call stored it there.
    pub(crate) fn open(
        target: Target,
        plugin: &Path,
        program: Option<PathBuf>,
        build: impl FnOnce() -> Result<String, BackendError>,
        notes: Option<&Store>,
        cancel: &Cancel,
    ) -> Result<Self, BackendError> {
        let file = PluginFile::now(plugin);
        let identity = Identity::now(build()?)?;
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
        let in_background = false;
        Ok(Self {
            target,
            environment,
            plugin: file,
            program,
            facts,
            variables,
            note,
            in_background,
        })
    }

    /// The same compiler at low priority, for compiles that nobody waits for.
    pub(crate) fn in_background(self) -> Self {
        Self { in_background: true, ..self }
    }

    /// Compiles `inputs` in a child.
    ///
    /// `notes` is the store that has the target's description.
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
            in_background: self.in_background,
        };
        let job = Job { plugin: self.plugin.clone(), task: Task::Compile(Box::new(wanted)) };
        let folder = process::answer_folder()?;
        let starting = Starting { program: self.program.as_deref(), variables: &self.variables };
        let answer =
            process::run(&starting, &job, program, &folder, cancel).inspect_err(|error| {
                // The plugin may look replaced only because the stored description is wrong. The
                // description is removed, so that the next start gets it from the plugin again.
                if let (AheadError::Replaced, Some(store)) = (error, notes) {
                    store.forget_note(self.note);
                }
            })?;
        let Answer::Compiled { interface, abi_version, measurements } = answer else {
            return Err(AheadError::Confused.into());
        };
        let payload = std::fs::read(job::payload(folder.path())).map_err(AheadError::Answer)?;
        Ok(Compiled { payload: Ok(Box::new(payload)), interface, abi_version, measurements })
    }
}

/// Starts a child that gets the description of `target` from the plugin.
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

/// The key of a target's description, which depends on the plugin's build, its flags and the
/// target's name.
fn note_key(target: &Target, identity: &Identity) -> Digest {
    let mut hasher = FramedHasher::new(TARGET_TAG);
    hasher.text(&target.to_string());
    for word in identity.words() {
        hasher.text(&word);
    }
    hasher.finish()
}

/// The answer of a child whose plugin refused with an error.
fn refused(code: Option<ErrorCode>, said: &dyn Display) -> Answer {
    Answer::Refused { code: code.map(ErrorCode::number), message: said.to_string() }
}

fn remembered(store: &Store, note: Note) -> Option<Facts> {
    serde_json::from_slice(&store.note(note)?).ok()
}

/// Stores a description. If it cannot be written, the next process takes a second longer.
fn remember(store: &Store, note: Note, facts: &Facts) {
    let written = serde_json::to_vec(facts)
        .map_err(std::io::Error::from)
        .and_then(|facts| store.write_note(note, &facts));
    if let Err(error) = written {
        tracing::debug!(%error, "the target's description could not be remembered");
    }
}
