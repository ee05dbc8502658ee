//! Does an executable end the process that loads it?
//!
//! A child loads the executable and runs it once. The way in which the child ends is the answer.
//! The child gets the bytes that the calling process would load, and uses the same plugin file and
//! the same variables. A child's end counts only if machine code can end a process in that way, and
//! SIGKILL does not count, because anybody can send it. A second child must end in such a way, too.

use std::io;
use std::path::Path;
use std::time::Duration;

use preheat_cache::TensorSpec;
use preheat_tensor::{Tensor, TensorError};

use super::ended::{NOT_ANSWERED, ended_itself};
use super::job::{self, Answer, Job, PluginFile, Subject, Task};
use super::process::{self, Starting};
use super::{AheadError, refused};
use crate::backend::DeviceFault;
use crate::backend::contract::{Device, Loaded};
use crate::backend::is_passing;
use crate::backend::xla::{self, XlaBackend};
use crate::device::XlaDevice;
use crate::progress::Cancel;

/// How many children have to end before the executable is considered to be the cause.
const ENDS_BELIEVED: usize = 2;

/// A child gives up after this time, because an executable may take long or wait forever.
const LIMIT: Duration = Duration::from_mins(10);

/// The result of trying an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrialOutcome {
    /// A child loaded and ran it, or the plugin refused it with an error: it ends no process.
    Lives,
    /// It ended each child; the text says how.
    Ends(String),
    /// No child can try it on this device or with this program; the text says why.
    Impossible(String),
    /// This trial gave no result, and a later one may; the text says why.
    Undecided(String),
}

/// Starts children that load `payload` and run it once on zeros of the types in `inputs`. If the
/// inputs are not known, the children only load it.
///
/// # Errors
/// If the work was asked to stop.
pub(crate) fn try_executable(
    plugin: &Path,
    platform: &str,
    starting: &Starting<'_>,
    payload: &[u8],
    inputs: Option<&[TensorSpec]>,
    cancel: &Cancel,
) -> Result<TrialOutcome, AheadError> {
    if platform == "tpu" {
        return Ok(TrialOutcome::Impossible(
            "only one process can have the TPU, and this one has it".to_owned(),
        ));
    }
    let subject = Subject { payload_bytes: payload.len(), inputs: inputs.map(<[_]>::to_vec) };
    let plugin = PluginFile::now(plugin);
    let job = Job { plugin, task: Task::Try(subject) };
    let mut ended = String::new();
    for _ in 0..ENDS_BELIEVED {
        let folder = match process::answer_folder() {
            Ok(folder) => folder,
            Err(error) => return Ok(TrialOutcome::Undecided(error.to_string())),
        };
        match process::run(starting, &job, payload, &folder, cancel) {
            Ok(_) => return Ok(TrialOutcome::Lives),
            Err(AheadError::Cancelled) => return Err(AheadError::Cancelled),
            Err(AheadError::Ended { .. }) if !job::started(folder.path()).exists() => {
                return Ok(TrialOutcome::Impossible(AheadError::Confused.to_string()));
            }
            Err(AheadError::Ended { status, said }) if ended_itself(status, &said) => {
                tracing::debug!(%status, said, "an executable ended the process that tried it");
                ended = status.to_string();
            }
            Err(error) => return Ok(undecided(&error, platform)),
        }
    }
    Ok(TrialOutcome::Ends(ended))
}

/// What the error of a child's run shows about the executable.
fn undecided(error: &AheadError, platform: &str) -> TrialOutcome {
    match error {
        // The plugin refused the executable, or it failed with an error, and no process ended. The
        // calling process will get the same error.
        AheadError::Plugin { code, .. } if !is_passing(*code) => TrialOutcome::Lives,
        AheadError::NoProgram | AheadError::Confused => TrialOutcome::Impossible(error.to_string()),
        // This process holds the accelerator's memory, so a child never gets enough of it. The
        // host's memory may be enough for two processes at another time.
        AheadError::Plugin { .. } | AheadError::NotAnswered { .. } if platform != "cpu" => {
            TrialOutcome::Impossible(error.to_string())
        }
        _ => TrialOutcome::Undecided(error.to_string()),
    }
}

/// The child's side: loads the executable as the calling process would, and runs it.
pub(super) fn serve(plugin: &PluginFile, subject: &Subject, payload: &[u8]) -> io::Result<Answer> {
    let give_up = || {
        std::thread::sleep(LIMIT);
        std::process::exit(NOT_ANSWERED);
    };
    std::thread::Builder::new().name("preheat-limit".to_owned()).spawn(give_up)?;
    // The plugin's build is needed only for keys, and the child makes no keys.
    let backend = XlaBackend::open(XlaDevice::XlaCpu, &plugin.path, || Ok(String::new()))
        .map_err(io::Error::other)?;
    if plugin.was_replaced() {
        return Ok(Answer::Replaced);
    }
    let loaded = match backend.load(payload) {
        Ok(loaded) => loaded,
        Err(fault) => return Ok(refused(fault.plugin_code(), &fault)),
    };
    let Some(kinds) = subject.inputs.as_deref().and_then(xla::types) else {
        return Ok(Answer::Ran);
    };
    let zeros: Result<Vec<Tensor>, TensorError> = kinds.into_iter().map(Tensor::zeros).collect();
    let zeros = zeros.map_err(io::Error::other)?;
    Ok(match run(&*loaded, &zeros) {
        Ok(()) => Answer::Ran,
        Err(fault) => refused(fault.plugin_code(), &fault),
    })
}

fn run(loaded: &dyn Loaded, inputs: &[Tensor]) -> Result<(), DeviceFault> {
    let inputs = inputs.iter().map(|input| loaded.put(input)).collect::<Result<Vec<_>, _>>()?;
    for output in loaded.run(&inputs.iter().map(|input| &**input).collect::<Vec<_>>())? {
        output.ready()?.wait()?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use preheat_pjrt::ErrorCode;

    use super::*;

    #[test]
    fn an_end_for_want_of_memory_proves_nothing_about_the_executable() {
        let abort = |said: &str| ended_itself(ExitStatus::from_raw(6), said);
        assert!(abort("") && abort("Check failed: buffer != nullptr"));
        for said in [
            "memory allocation of 1073741824 bytes failed",
            "terminate called after throwing an instance of 'std::bad_alloc'; what():  std::bad_alloc",
            "Out Of Memory while trying to allocate 5 bytes",
        ] {
            assert!(!abort(said), "{said}");
            let status = ExitStatus::from_raw(6);
            let ended = AheadError::Ended { status, said: said.to_owned() };
            assert!(matches!(undecided(&ended, "cpu"), TrialOutcome::Undecided(_)));
        }
    }

    #[test]
    fn what_nothing_was_found_out_of_is_told_apart_from_what_cannot_be_tried() {
        let plugin = |code| AheadError::Plugin { code: Some(code), message: "no".to_owned() };
        assert_eq!(undecided(&plugin(ErrorCode::InvalidArgument), "cuda"), TrialOutcome::Lives);
        let full = plugin(ErrorCode::ResourceExhausted);
        assert!(matches!(undecided(&full, "cuda"), TrialOutcome::Impossible(_)));
        assert!(matches!(undecided(&full, "cpu"), TrialOutcome::Undecided(_)));
        assert!(matches!(undecided(&AheadError::NoProgram, "cpu"), TrialOutcome::Impossible(_)));
        assert!(matches!(undecided(&AheadError::Replaced, "cpu"), TrialOutcome::Undecided(_)));
    }
}
