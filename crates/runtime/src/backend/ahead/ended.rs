//! Did a process end because of the code that it ran?

use std::process::ExitStatus;

/// The exit status of a child that could not read its job or write its answer (`EX_IOERR` of
/// sysexits.h). The plugin is not the cause.
pub(super) const NOT_ANSWERED: i32 = 74;

/// The exit status of a Rust program that panicked.
const PANICKED: i32 = 101;

/// What a process writes when it runs out of memory, in lower case: Rust's words, C++'s, and the
/// words that most other programs use.
const NO_MEMORY: [&str; 3] = ["memory allocation of", "bad_alloc", "out of memory"];

/// Whether a process ended in a way in which the code that it runs can end it: by a fault, an
/// abort, or a call of `exit`.
///
/// A Rust panic is an error of this program. A process that ran out of memory may have ended only
/// because other processes use the memory. Neither proves anything about that code.
pub(crate) fn ended_itself(status: ExitStatus, said: &str) -> bool {
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_fault_or_an_exit_is_the_executable_s_and_a_kill_is_not() {
        let signal = |signal: i32| ended_itself(ExitStatus::from_raw(signal), "");
        assert!(FAULTS.into_iter().all(signal));
        let hup_int_kill_term = [1, 2, 9, 15];
        assert!(!hup_int_kill_term.into_iter().any(signal));
        let exit = |code: i32| ended_itself(ExitStatus::from_raw(code << 8), "");
        assert!(exit(0) && exit(1) && !exit(NOT_ANSWERED));
        assert!(!exit(PANICKED), "a panic is an error of this program");
    }
}
