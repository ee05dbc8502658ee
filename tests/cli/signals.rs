//! Do signals end the command? A signal that was ignored when the binary started stays ignored.
//! Otherwise SIGHUP, SIGINT and SIGTERM end the binary within two seconds, even if the plugin
//! hangs.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pjrt_sim::{Event, Place, When};
use support::Lab;
use support::lab::{DOUBLE, files_under, library, until};

/// The promised time from the signal to the end of the process.
const PROMISED: Duration = Duration::from_secs(2);
/// A busy machine may keep a process from running, so it is enough that one of several tries ends
/// in time.
const TRIES: usize = 3;

/// Asserts that a process ends within the promised time; `run` returns the time that it took.
#[track_caller]
fn assert_ends_soon(what: &str, mut run: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < TRIES {
        took.push(run());
        if took.last().is_some_and(|last| *last < PROMISED) {
            return;
        }
    }
    panic!("{what}: it ended after {took:?}");
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    for (ignored, other) in [("HUP", "INT"), ("INT", "TERM"), ("TERM", "HUP")] {
        let compiles = lab.compiles();
        let slow = lab.sim().compile_delay(Duration::from_secs(2));
        let run = || {
            let run = lab.preheat(&slow).words("program run --force-recompile").arg(&program);
            run.through("sh", &["-c", &format!("trap '' {ignored}; exec \"$@\""), "sh"]).start()
        };
        let going_on = run();
        until("the compile", || lab.compiles() == compiles + 1);
        going_on.signal(ignored);
        going_on.wait().done();
        let going_on = run();
        until("the compile", || lab.compiles() == compiles + 2);
        going_on.signal(other);
        going_on.wait().ended(130).says(&["interrupted"]);
    }
}

#[test]
fn a_plugin_that_hangs_keeps_no_process_from_its_end() {
    for place in [Place::Client, Place::Compile, Place::Serialize, Place::Execute] {
        for signal in ["HUP", "INT", "TERM"] {
            assert_ends_soon(&format!("{place:?}, {signal}"), || end_hanging(place, signal));
        }
    }
}

/// Measures how long a run that hangs in the plugin takes to end.
fn end_hanging(place: Place, signal: &str) -> Duration {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let hang = lab.sim().hang(place, When::Each);
    let mut going_on = lab.preheat(&hang).words("program run").arg(&program).start();
    if place == Place::Execute {
        // The run stores the object before its first execution, so the test waits for the object.
        until("the step", || lab.objects().len() == 1);
        std::thread::sleep(Duration::from_millis(200));
    } else {
        until("the call", || lab.count(place) == 1);
    }
    assert!(going_on.is_running(), "{place:?}");
    let sent = Instant::now();
    going_on.signal(signal);
    going_on.wait().ended(130).says(&["interrupted"]);
    let took = sent.elapsed();
    assert!(files_under(&lab.cache().join("tmp")).is_empty());
    // The next run is not disturbed.
    let next = lab.preheat(&lab.sim()).words("program run").arg(&program).run();
    next.done().silent_about_the_cache();
    lab.assert_nothing_half_written();
    took
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // On a busy machine the first signal may have ended the process before the second is sent.
    let was_at_once = (0..10).any(|_| {
        let lab = Lab::new();
        let program = lab.file("double.mlir", DOUBLE);
        let hang = lab.sim().hang(Place::Compile, When::Each);
        let going_on = lab.preheat(&hang).words("program run").arg(&program).start();
        until("the compile", || lab.compiles() == 1);
        let pid = going_on.id().to_string();
        let twice = format!("kill -INT {pid}; sleep 0.05; kill -INT {pid}");
        Command::new("sh").args(["-c", &twice]).stderr(Stdio::null()).status().unwrap();
        // The process had no time to print anything.
        !going_on.wait().ended(130).stderr.contains("interrupted")
    });
    assert!(was_at_once);
}

/// A mark that remains says that a process died while it loaded or first ran an executable. So no
/// mark may remain if somebody presses Ctrl-C twice.
#[test]
fn two_signals_leave_no_mark_of_a_load() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    lab.preheat(&lab.sim()).words("program run").arg(&program).run().done();
    let hang = lab.sim().hang(Place::Execute, When::Each);
    let going_on = lab.preheat(&hang).words("program run").arg(&program).start();
    let marks = || files_under(&lab.cache().join("loading"));
    until("the mark", || marks().len() == 1);
    let pid = going_on.id().to_string();
    let twice = format!("kill -INT {pid}; sleep 0.05; kill -INT {pid}");
    Command::new("sh").args(["-c", &twice]).stderr(Stdio::null()).status().unwrap();
    going_on.wait().ended(130);
    assert_eq!(marks(), [] as [PathBuf; 0]);
}

#[test]
fn a_standard_error_that_nobody_reads_keeps_no_process_from_its_end() {
    assert_ends_soon("TERM", end_unread);
}

/// Measures how long a run takes to end if its plugin hangs and its standard error is full.
fn end_unread() -> Duration {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let hang = lab.sim().hang(Place::Compile, When::Each);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let filled = Command::new("timeout")
        .args(["1", "cat", "/dev/zero"])
        .stdout(writer.try_clone().unwrap())
        .status();
    filled.unwrap();
    let mut run = lab.preheat(&hang).words("-q program run").arg(&program);
    let mut child = run.command.stderr(writer).stdout(Stdio::null()).spawn().unwrap();
    until("the compile", || lab.compiles() == 1);
    let sent = Instant::now();
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let took = sent.elapsed();
    drop(run);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).unwrap();
    assert!(
        said.iter().all(|byte| *byte == 0),
        "the process could write to standard error, so the pipe was not full"
    );
    took
}

#[test]
fn a_compiling_process_goes_with_the_one_that_is_told_to_end() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let temporary = lab.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let hang = lab.sim().pose("v5e:1x1").hang(Place::Compile, When::Each);
    let ahead = lab.preheat(&hang).env("PREHEAT_TPU_PLUGIN", library()).env("TMPDIR", &temporary);
    let going_on = ahead.words("warmup --aot tpu:v5e:1x1 --program").arg(&program).start();
    until("the compile", || lab.compiles() == 1);
    let child =
        lab.log().iter().find(|entry| matches!(entry.event, Event::Compile { .. })).unwrap().pid;
    assert_ne!(child, going_on.id());
    going_on.signal("TERM");
    going_on.wait().ended(130);
    let is_running = || {
        std::fs::read_to_string(format!("/proc/{child}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z"))
    };
    until("the end of the compiling process", || !is_running());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
