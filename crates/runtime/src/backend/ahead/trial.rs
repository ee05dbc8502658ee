//! Does an executable end the process that loads it?
//!
//! A child loads the executable and runs it once, and how the child ends is the answer. The child
//! is given what the calling process would load, through the same plugin file and the same
//! variables. A child's end counts only if machine code can end a process in that way (anybody can
//! send a child SIGKILL), and only if a second child ends like that, too.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use preheat_cache::TensorSpec;
use preheat_tensor::{Tensor, TensorError};

use super::child::NOT_ANSWERED;
use super::job::{self, Answer, Job, PluginFile, Subject, Task};
use super::process::{self, Starting};
use super::{AheadError, refused};
use crate::backend::here::{DeviceFault, Here, Loaded};
use crate::backend::is_passing;
use crate::backend::xla::{self, XlaBackend};
use crate::device::XlaDevice;
use crate::progress::Cancel;

/// How many children have to end before the executable is taken for the cause.
const ENDS_BELIEVED: usize = 2;

/// A child gives up after this time, because an executable may take long or wait forever.
const LIMIT: Duration = Duration::from_mins(10);

/// The exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// What a process writes when it runs out of memory, in lower case: Rust's words, C++'s, and the
/// words that most other programs use.
const NO_MEMORY: [&str; 3] = ["memory allocation of", "bad_alloc", "out of memory"];

/// The result of trying an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrialOutcome {
    /// A child loaded and ran it, or the plugin refused it with an error: it ends no process.
    Lives,
    /// It ended each child; the text says how.
    Ends(String),
    /// No child can try it on this device or with this program; the text says why.
    Impossible(String),
    /// This time nothing was found out; the text says why.
    Undecided(String),
}

/// Has children load `payload` and run it once on zeros of `inputs`. If the inputs are not known,
/// the children only load it.
///
/// # Errors
/// Where the work was asked to stop.
pub(crate) fn try_executable(
    backend: &XlaBackend,
    starting: &Starting<'_>,
    payload: &[u8],
    inputs: Option<&[TensorSpec]>,
    cancel: &Cancel,
) -> Result<TrialOutcome, AheadError> {
    if backend.environment.platform == "tpu" {
        return Ok(TrialOutcome::Impossible(
            "only one process can have the TPU, and this one has it".to_owned(),
        ));
    }
    let subject = Subject { payload_bytes: payload.len(), inputs: inputs.map(<[_]>::to_vec) };
    let plugin = PluginFile::now(backend.client.plugin().path());
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
            Err(AheadError::Ended { status, said }) if is_by_machine_code(status, &said) => {
                tracing::debug!(%status, said, "an executable ended the process that tried it");
                ended = status.to_string();
            }
            Err(error) => return Ok(undecided(&error, &backend.environment.platform)),
        }
    }
    Ok(TrialOutcome::Ends(ended))
}

/// What an error that a child reports says of the executable.
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

/// Whether a process ended in a way in which machine code can end it: by a fault, an abort, or a
/// call of `exit`.
///
/// A Rust panic is an error of this program. A process that ran out of memory ended because of what
/// else the machine does. Neither proves anything about the executable.
fn is_by_machine_code(status: ExitStatus, said: &str) -> bool {
    let said = said.to_lowercase();
    if NO_MEMORY.iter().any(|words| said.contains(words)) {
        return false;
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            return FAULTS.contains(&signal);
        }
    }
    status.code().is_some_and(|code| code != NOT_ANSWERED && code != PANICKED)
}

/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
#[cfg(all(unix, any(target_os = "linux", target_os = "android")))]
const FAULTS: [i32; 6] = [4, 5, 6, 7, 8, 11];
/// The same signals, numbered as in BSD.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const FAULTS: [i32; 6] = [4, 5, 6, 10, 8, 11];

/// The child's side: loads the executable as the calling process would, and runs it.
pub(super) fn serve(plugin: &PluginFile, subject: &Subject, payload: &[u8]) -> io::Result<Answer> {
    let give_up = || {
        std::thread::sleep(LIMIT);
        std::process::exit(NOT_ANSWERED);
    };
    std::thread::Builder::new().name("preheat-limit".to_owned()).spawn(give_up)?;
    // The plugin's build is a part of keys, and the child makes no keys.
    let backend = XlaBackend::open(XlaDevice::XlaCpu, &plugin.path, || Ok(String::new()))
        .map_err(io::Error::other)?;
    if plugin.was_replaced() {
        return Ok(Answer::Replaced);
    }
    let here = Here::Xla(Arc::new(backend));
    let loaded = match here.load(payload) {
        Ok(loaded) => loaded,
        Err(fault) => return Ok(refused(fault.code(), &fault)),
    };
    let Some(kinds) = subject.inputs.as_deref().and_then(xla::types) else {
        return Ok(Answer::Ran);
    };
    let zeros: Result<Vec<Tensor>, TensorError> = kinds.into_iter().map(Tensor::zeros).collect();
    let zeros = zeros.map_err(io::Error::other)?;
    Ok(match run(&here, &loaded, &zeros) {
        Ok(()) => Answer::Ran,
        Err(fault) => refused(fault.code(), &fault),
    })
}

fn run(here: &Here, loaded: &Loaded, inputs: &[Tensor]) -> Result<(), DeviceFault> {
    let inputs =
        inputs.iter().map(|input| loaded.upload(here, input)).collect::<Result<Vec<_>, _>>()?;
    for output in loaded.execute(&inputs.iter().collect::<Vec<_>>())? {
        output.ready()?.wait()?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use preheat_pjrt::ErrorCode;

    use super::*;

    #[test]
    fn a_fault_or_an_exit_is_the_executable_s_and_a_kill_is_not() {
        let signal = |signal: i32| is_by_machine_code(ExitStatus::from_raw(signal), "");
        assert!(FAULTS.into_iter().all(signal));
        let hup_int_kill_term = [1, 2, 9, 15];
        assert!(!hup_int_kill_term.into_iter().any(signal));
        let exit = |code: i32| is_by_machine_code(ExitStatus::from_raw(code << 8), "");
        assert!(exit(0) && exit(1) && !exit(NOT_ANSWERED));
        assert!(!exit(PANICKED), "a panic is an error of this program");
    }

    #[test]
    fn an_end_for_want_of_memory_proves_nothing_about_the_executable() {
        let abort = |said: &str| is_by_machine_code(ExitStatus::from_raw(6), said);
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
