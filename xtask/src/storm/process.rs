//! How does one process of a storm run? It is started with a log file of its own. If it was chosen
//! to be killed, it is killed after a given time.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Storm;
use crate::command::{Failure, Outcome, spelled};

/// A process that runs for this long counts as hanging, even if many other processes run.
const HANGS_AFTER: Duration = Duration::from_mins(5);
/// How many of a hundred processes are chosen to be killed, if they have not ended before.
const KILLED_PERCENT: u32 = 45;
/// The messages of a program that crashed.
const BREAKDOWNS: &[&str] = &[
    "panicked at",
    "sled panicked",
    "stack backtrace",
    "fatal runtime error",
    "Check failure",
    "Check failed",
    "core dumped",
    "double free",
    "memory allocation of",
];

/// The message, the same in every release, of a program that rebuilds the index.
const INDEX_LOST: &str = "the index is damaged and is made anew";

/// How a process ended.
pub struct Ended {
    pub log: PathBuf,
    /// The log up to the process's end: its command line, its standard output and standard error.
    pub text: String,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    /// Whether the storm killed it.
    pub killed: bool,
}

impl Ended {
    /// Whether the process set the index aside as damaged, or was about to do so. Pins and counters
    /// are lost then.
    pub fn lost_index(&self) -> bool {
        self.text.contains(INDEX_LOST)
    }

    /// Checks that the process did not crash, and treated no object as damaged. The line of the
    /// statistics that counts quarantined objects does not count as a fault.
    pub fn check_text(&self) -> Result<(), String> {
        if let Some(breakdown) = BREAKDOWNS.iter().find(|breakdown| self.text.contains(**breakdown))
        {
            return Err(format!("it says `{breakdown}`"));
        }
        match self
            .text
            .lines()
            .find(|line| line.contains("quarantine") && !line.trim().starts_with("\"quarantined\""))
        {
            Some(line) => Err(format!("nobody damaged anything, and yet it says: {line}")),
            None => Ok(()),
        }
    }
}

/// After how long a process is killed, if at all: from 5 ms, when it has hardly begun, to 10 s,
/// when it may be writing its result.
pub fn choose_end(choices: &mut fastrand::Rng) -> Option<Duration> {
    let killed = choices.u32(..100) < KILLED_PERCENT;
    let after = Duration::from_secs_f64(0.005 * 2000_f64.powf(choices.f64()));
    killed.then_some(after)
}

/// Runs a command to its end, or until it is killed.
pub fn run(storm: &Storm, mut command: Command, kill_after: Option<Duration>) -> Outcome<Ended> {
    let log = storm.next_log();
    let failed = || Failure::context(log.display().to_string());
    let mut file = File::create(&log).map_err(failed())?;
    writeln!(file, "$ {}", spelled(&command)).map_err(failed())?;
    let (output, errors) =
        (file.try_clone().map_err(failed())?, file.try_clone().map_err(failed())?);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let mut child = command.spawn().map_err(failed())?;
    let (status, killed) = wait(&mut child, kill_after).map_err(failed())?;
    let text = String::from_utf8_lossy(&super::read(&log)?).into_owned();
    writeln!(file, "{}{status}", if killed { "killed: " } else { "" }).map_err(failed())?;
    match (status, kill_after) {
        (status, _) if !killed || kill_after.is_some() => {
            Ok(Ended { log, text, code: status.code(), killed })
        }
        _ => Err(Failure::new(format!(
            "{}: the process had not ended after {HANGS_AFTER:?}",
            log.display()
        ))),
    }
}

/// Waits for a process. Returns its status, and whether it had to be killed.
fn wait(child: &mut Child, kill_after: Option<Duration>) -> std::io::Result<(ExitStatus, bool)> {
    let end = Instant::now() + kill_after.unwrap_or(HANGS_AFTER);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if Instant::now() >= end {
            child.kill()?;
            // The process may have ended by itself just before.
            return child.wait().map(|status| (status, status.code().is_none()));
        }
        thread::sleep(Duration::from_millis(4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(text: &str) -> Ended {
        Ended { log: PathBuf::new(), text: text.to_owned(), code: Some(0), killed: false }
    }

    #[test]
    fn what_broke_down_is_seen_though_the_status_is_0() {
        for text in [
            "thread 'main' panicked at src/main.rs:1:1",
            "F0101 Check failed: a == b",
            "put into quarantine",
        ] {
            assert!(ended(text).check_text().is_err(), "{text}");
        }
        for text in ["", "done after 2.9 s", "{\n  \"evictions\": 0,\n  \"quarantined\": 0,\n}"] {
            assert_eq!(ended(text).check_text(), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_index_that_is_made_anew_is_seen() {
        let warning =
            "warning: the index is damaged and is made anew from the objects path=store/graphs-v2";
        assert!(ended(warning).lost_index());
        assert!(!ended("3 objects (1 KiB) and 3 records checked: nothing is damaged").lost_index());
    }

    #[test]
    fn ends_follow_from_the_seed() {
        let ends = |seed| {
            let mut choices = fastrand::Rng::with_seed(seed);
            (0..200).map(|_| choose_end(&mut choices)).collect::<Vec<_>>()
        };
        assert_eq!(ends(1), ends(1));
        assert_ne!(ends(1), ends(2));
        let killed: Vec<Duration> = ends(1).into_iter().flatten().collect();
        assert!((60..130).contains(&killed.len()), "{} of 200 are killed", killed.len());
        assert!(killed.iter().all(|after| (0.005..=10.0).contains(&after.as_secs_f64())));
    }
}
