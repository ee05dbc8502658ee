//! Is everything compiled in a child process, so that a compiler which ends its process, or which
//! somebody ends, is an error of the command and not its end? The test plugin is in front of
//! XLA:CPU, or poses as a TPU.

#![cfg(feature = "cli")]

use crate::support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use pjrt_sim::{Event, Place, Sim, When};
use support::demo::demo_model;
use support::lab::{DOUBLE, files_under, until};
use support::{Lab, Preheat, Ran};

fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    std::fs::create_dir(lab.path("temporary")).unwrap();
    (lab, program)
}

/// `preheat` as a user starts it: it compiles in a child.
fn as_a_user(lab: &Lab, preheat: Preheat) -> Preheat {
    let preheat = preheat.env_remove("PREHEAT_COMPILE_IN_PROCESS");
    preheat.env("TMPDIR", lab.path("temporary")).arg("--json")
}

fn preheat(lab: &Lab, sim: &Sim) -> Preheat {
    as_a_user(lab, lab.preheat(sim))
}

fn run(lab: &Lab, sim: &Sim, program: &PathBuf) -> Ran {
    preheat(lab, sim).words("program run").arg(program).run()
}

/// The processes in which something was done.
fn processes(lab: &Lab, is_it: impl Fn(&Event) -> bool) -> BTreeSet<u32> {
    lab.log().iter().filter(|entry| is_it(&entry.event)).map(|entry| entry.pid).collect()
}

fn compilers(lab: &Lab) -> BTreeSet<u32> {
    processes(lab, |event| matches!(event, Event::Compile { .. }))
}

fn runners(lab: &Lab) -> BTreeSet<u32> {
    processes(lab, |event| matches!(event, Event::Execute { .. }))
}

fn source(ran: &Ran) -> String {
    ran.json()["stages"][0]["source"].as_str().unwrap().to_owned()
}

fn kill(signal: &str, process: u32) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_child_compiles_and_the_parent_loads_what_it_left() {
    let (lab, program) = lab();
    let ran = run(&lab, &lab.sim(), &program).done();
    assert_eq!(source(&ran), "compiled");
    let stage = &ran.json()["stages"][0];
    assert!(stage["compile_seconds"].as_f64() > Some(0.0), "{stage}");
    assert!(stage["compile_peak_bytes"].as_u64() > Some(1 << 20), "{stage}");
    assert!(compilers(&lab).is_disjoint(&runners(&lab)));
    assert_eq!((lab.compiles(), runners(&lab).len()), (1, 1));
    assert_eq!(source(&run(&lab, &lab.no_compiles(), &program).done()), "disk");
    // `program compile` and a warmup compile there, too.
    let other = lab.file("square.mlir", support::lab::SQUARE);
    preheat(&lab, &lab.sim()).words("warmup --program").arg(&other).run().done();
    assert_eq!((compilers(&lab).len(), lab.compiles()), (2, 2));
    assert!(compilers(&lab).is_disjoint(&runners(&lab)));
    let in_process = preheat(&lab, &lab.sim()).words("--compile-in-process program run");
    in_process.words("--force-recompile").arg(&program).run().done();
    assert!(!compilers(&lab).is_disjoint(&runners(&lab)));
    assert!(files_under(&lab.path("temporary")).is_empty());
}

#[test]
fn a_picture_is_the_same_from_a_child_s_executables() {
    let (lab, other) = (lab().0, Lab::new());
    let seven = "run --prompt seven --scheduler euler --steps 2 --seed 7 --output out.png --model";
    preheat(&lab, &lab.sim()).words(seven).arg(demo_model()).run().done();
    other.preheat(&other.sim()).words(seven).arg(demo_model()).run().done();
    let picture = |lab: &Lab| std::fs::read(lab.path("out.png")).unwrap();
    assert!(picture(&lab) == picture(&other), "the bytes differ");
    assert_eq!((compilers(&lab).len(), compilers(&other).len()), (3, 1));
}

#[test]
fn a_compiler_that_ends_its_process_is_an_error_and_the_command_lives() {
    let (lab, program) = lab();
    let crash = lab.sim().crash(Place::Compile, When::Each);
    let said = run(&lab, &crash, &program).ended(1);
    said.says(&["stage `program`", "the process that compiled ended (signal: 6"]);
    // The process that got the error went on: it counted the failure.
    let stats = lab.bare().words("--json cache stats").run().done().json();
    assert_eq!(stats["failed_compiles"], 1);
    lab.assert_nothing_half_written();
    let in_process = preheat(&lab, &crash).words("--compile-in-process program run").arg(&program);
    assert_eq!(in_process.run().status, None, "the plugin ended the command itself");
    // One of two programs crashes, and the other one is kept.
    let square = lab.file("square.mlir", support::lab::SQUARE);
    let once = lab.sim().crash(Place::Compile, When::Nth(3));
    for program in [&program, &square] {
        run(&lab, &once, program);
    }
    assert_eq!(lab.objects().len(), 1);
    // An error that the compiler returns is told in its own words.
    let failing = lab.sim().fail(Place::Compile, When::Each);
    let told = run(&Lab::new(), &failing, &program).ended(1);
    assert!(told.stderr.contains("stage `program`"), "{}", told.stderr);
}

#[test]
fn programs_that_make_xla_abort_are_errors() {
    let (lab, _) = lab();
    // XLA throws a C++ exception at the first one, and its parser overflows the stack at the other.
    let size = 1_u64 << 62;
    let vast = format!(
        "module @vast {{ func.func public @main(%x: tensor<{size}xf32>) -> tensor<{size}xf32> {{ \
         %y = stablehlo.add %x, %x : tensor<{size}xf32> return %y : tensor<{size}xf32> }} }}"
    );
    let depth = 200_000;
    let deep = format!("module @deep {{ {}{} }}", "module { ".repeat(depth), "}".repeat(depth));
    for (name, text) in [("vast.mlir", vast), ("deep.mlir", deep)] {
        let program = lab.file(name, text);
        let ran = as_a_user(&lab, lab.bare()).words("program compile").arg(&program).run();
        ran.ended(1).says(&[name, "the process that compiled ended (signal: 6 (SIGABRT))"]);
    }
    assert!(files_under(&lab.path("temporary")).is_empty());
}

#[test]
fn a_child_that_somebody_ends_is_an_error() {
    for (signal, told) in [("-TERM", "signal: 15"), ("-KILL", "signal: 9")] {
        let (lab, program) = lab();
        let hang = lab.sim().hang(Place::Compile, When::Each);
        let going_on = preheat(&lab, &hang).words("program run").arg(&program).start();
        until("the compile begins", || lab.compiles() == 1);
        for child in compilers(&lab) {
            kill(signal, child);
        }
        going_on.wait().ended(1).says(&["the process that compiled ended", told]);
        assert!(files_under(&lab.path("temporary")).is_empty());
    }
}

#[test]
fn an_interrupt_and_a_termination_end_the_child_with_the_command() {
    for signal in ["INT", "TERM"] {
        let (lab, program) = lab();
        let hang = lab.sim().hang(Place::Compile, When::Each);
        let going_on = preheat(&lab, &hang).words("program run").arg(&program).start_a_group();
        until("the compile begins", || lab.compiles() == 1);
        going_on.signal_group(signal);
        going_on.wait().ended(130);
        let child = compilers(&lab).into_iter().next().unwrap();
        until("the child ends", || {
            let asked = Command::new("kill").args(["-0", &child.to_string()]).output();
            !asked.unwrap().status.success()
        });
        lab.assert_nothing_half_written();
        assert!(files_under(&lab.path("temporary")).is_empty());
    }
}

#[test]
fn flags_that_the_compiler_does_not_know_are_an_error_of_the_command() {
    let (lab, program) = lab();
    let with = |flags: &str, words: &str| {
        as_a_user(&lab, lab.bare()).env("XLA_FLAGS", flags).words(words).arg(&program).run()
    };
    for words in ["program run", "lookup --program", "warmup --program"] {
        let refused = with("--xla_nonsense=1", words).ended(1);
        refused.says(&["it refuses what XLA_FLAGS", "Unknown flag in XLA_FLAGS: --xla_nonsense=1"]);
    }
    let known = "--xla_cpu_enable_fast_math=true";
    assert_eq!(source(&with(known, "program run").done()), "compiled");
    let devices = as_a_user(&lab, lab.bare()).env("XLA_FLAGS", "--xla_nonsense=1");
    let devices = devices.words("devices").run().done().json();
    let cpu = devices.as_array().unwrap().iter().find(|device| device["name"] == "xla-cpu");
    let reason = cpu.unwrap()["reason"].as_str().unwrap();
    assert!(reason.contains("it refuses what XLA_FLAGS"), "{reason}");
}

#[test]
fn flags_are_tried_once_for_each_cache() {
    let (lab, program) = lab();
    let with = |flags: &str| {
        let run = preheat(&lab, &lab.sim()).env("XLA_FLAGS", flags).words("program run");
        run.arg(&program).run().done();
        processes(&lab, |event| matches!(event, Event::Client { .. })).len()
    };
    // The child that tries the flags, the child that compiles, and the command.
    std::fs::create_dir(lab.cache()).unwrap();
    assert_eq!(with("--xla_cpu_enable_fast_math=true"), 3);
    assert_eq!(with("--xla_cpu_enable_fast_math=true"), 4, "the command alone");
}

#[test]
fn where_no_child_can_be_had_the_command_compiles_itself() {
    let (lab, program) = lab();
    let itself = |sim: &Sim, temporary: &str| {
        let run = preheat(&lab, sim).env("TMPDIR", lab.path(temporary));
        let run = run.words("program run --force-recompile").arg(&program).run().done();
        assert_eq!(source(&run), "compiled");
        assert!(!compilers(&lab).is_disjoint(&runners(&lab)));
        run
    };
    itself(&lab.sim(), "no-such-folder");
    itself(&lab.sim().fail(Place::Deserialize, When::Each), "temporary");
    let kept = itself(&lab.sim().fail(Place::Serialize, When::Each), "temporary");
    kept.says(&["cannot be kept"]);
}

#[test]
fn an_executable_that_ends_the_process_that_loads_it_ends_only_one() {
    let (lab, program) = lab();
    let crash = lab.sim().crash(Place::Deserialize, When::Each);
    assert_eq!(run(&lab, &crash, &program).status, None, "what the child left ends the command");
    // The next process finds the mark of the dead one, and compiles itself.
    assert_eq!(source(&run(&lab, &crash, &program).done()), "compiled");
    assert!(!compilers(&lab).is_disjoint(&runners(&lab)));
    // It stored the executable, which ends a process that loads it. Then children try it.
    assert_eq!(run(&lab, &crash, &program).status, None);
    assert_eq!(source(&run(&lab, &crash, &program).done()), "compiled");
}

#[test]
fn flags_leave_no_folder_where_a_command_only_reads() {
    let (lab, program) = lab();
    let looked = preheat(&lab, &lab.sim()).env("XLA_FLAGS", "--xla_cpu_enable_fast_math=true");
    looked.words("lookup --program").arg(&program).run().ended(3);
    assert!(!lab.cache().exists());
}

#[test]
fn a_tpu_is_compiled_for_by_its_name_and_the_child_has_no_client() {
    let (lab, program) = lab();
    let sim = lab.sim().pose("v5e:1x1");
    let tpu = || {
        let preheat = as_a_user(&lab, lab.preheat_tpu(&sim));
        preheat.words("program run").arg(&program).run().done()
    };
    assert_eq!(source(&tpu()), "compiled");
    assert_eq!(source(&tpu()), "disk");
    let without_clients = lab.log().iter().all(|entry| match &entry.event {
        Event::Compile { client_less, .. } => *client_less,
        _ => true,
    });
    assert!(without_clients && lab.compiles() == 1);
    let clients = processes(&lab, |event| matches!(event, Event::Client { .. }));
    assert!(compilers(&lab).is_disjoint(&clients));
}
