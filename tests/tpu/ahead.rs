//! Does compiling for hardware that this machine does not have work? The tests use the real libtpu,
//! and the test plugin, which poses as a TPU and runs the code that was compiled ahead of time. The
//! test plugin also stands in front of libtpu, and its log shows each compile and the compile's
//! process.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;
use std::time::Duration;

use pjrt_sim::{Count, Entry, Event, Place, Sim, When};
use preheat::{Dtype, Program, ProgramFormat, Runtime, create_execution_signature};
use preheat_runtime::Error;
use serde_json::Value;
use support::demo::demo_model;
use support::lab::{DOUBLE, SQUARE, library, until};
use support::{Lab, Preheat};

/// `preheat` whose TPU plugin is libtpu, behind a plugin that only logs.
fn over_libtpu(lab: &Lab) -> Preheat {
    let sim = Sim::new(support::tpu_plugin()).log(lab.path("log"));
    let mut preheat = lab.bare();
    preheat.command.envs(sim.envs()).env("PREHEAT_TPU_PLUGIN", library());
    preheat
}

/// `preheat` whose TPU plugin is the test plugin, which poses as a TPU and computes on XLA:CPU.
fn over_a_pose(lab: &Lab, sim: &Sim) -> Preheat {
    let temporary = lab.path("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    lab.quick(sim).env("PREHEAT_TPU_PLUGIN", library()).env("TMPDIR", temporary)
}

/// Whether a temporary folder of a compile is still there.
fn left_over(lab: &Lab) -> bool {
    std::fs::read_dir(lab.path("temporary")).unwrap().next().is_some()
}

fn posed(lab: &Lab) -> Sim {
    lab.sim().pose("v5e:1x1")
}

/// The number of processes in which something was compiled.
fn processes(log: &[Entry]) -> usize {
    let compiles = log.iter().filter(|entry| matches!(entry.event, Event::Compile { .. }));
    compiles.map(|entry| entry.pid).collect::<BTreeSet<_>>().len()
}

fn sources(document: &Value) -> Vec<&str> {
    document["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["source"].as_str().unwrap())
        .collect()
}

#[test]
fn the_demo_model_is_warmed_for_tpus_that_are_not_here() {
    let lab = Lab::new();
    for (target, earlier) in [("v5e:1x1", 0), ("v4:2x2x1", 3), ("v6e:1x1", 6), ("v5e:2x2", 9)] {
        let warmup = || {
            let words = format!("--json warmup --aot tpu:{target}");
            over_libtpu(&lab).words(&words).run().done().json()
        };
        let lookup =
            || over_libtpu(&lab).words(&format!("--json lookup --target tpu:{target}")).run();
        assert_eq!(lookup().ended(3).json()["verdict"], "miss");
        let first = warmup();
        assert_eq!(
            (sources(&first), &first["device"]["selected"]),
            (vec!["compiled"; 3], &format!("tpu:{target}").into())
        );
        assert_eq!(
            (lab.compiles(), processes(&lab.log())),
            (earlier + 3, earlier + 3),
            "each graph is compiled in a process of its own"
        );
        let before = lab.log().len();
        assert_eq!(lookup().done().json()["verdict"], "hit");
        assert_eq!(sources(&warmup()), ["disk"; 3]);
        assert_eq!(lab.log().len(), before, "no process that loads the plugin was started");
    }
    let listed = lab.bare().words("--json cache list --target tpu:v4:2x2x1").run().done().json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    lab.bare().words("cache verify").run().done();
    lab.assert_nothing_half_written();
}

#[test]
fn programs_for_several_devices_are_compiled_as_declared() {
    let lab = Lab::new();
    let file = |name: &str| support::repository("tests/programs/devices").join(name);
    let warm = |target: &str, name: &str| {
        let words = format!("--json warmup --aot tpu:{target} --program");
        over_libtpu(&lab).words(&words).arg(file(name)).run()
    };
    for (name, partitions, rows) in [
        ("matmul_four_gspmd.mlir", 4, 2),
        ("matmul_four_shardy.mlirbc", 4, 2),
        ("matmul_four_shardy.exported", 4, 2),
        ("psum_two_gspmd.mlirbc", 2, 2),
        ("psum_two_shardy.mlir", 2, 2),
    ] {
        let warmed = warm("v5e:2x2", name).done().json();
        let key = warmed["stages"][0]["graph_key"].as_str().unwrap().to_owned();
        let record = lab.bare().words("--json cache show").arg(&key).run().done().json();
        assert_eq!(record["options"]["num_partitions"], partitions, "{name}");
        // The first input that one device takes is its share of the whole input.
        assert_eq!(record["interface"]["inputs"][0]["dims"][0], rows, "{name}");
    }
    let compiles = lab.compiles();
    for name in ["matmul_four_shardy.mlir", "psum_two_gspmd.mlir"] {
        warm("v5e:1x1", name).ended(1).says(&[
            "is written for",
            "tpu:v5e:1x1 has 1",
            "larger topology",
        ]);
    }
    assert_eq!(
        lab.compiles(),
        compiles,
        "libtpu must not get a program that needs more devices than the target has"
    );
}

#[test]
fn two_warmups_at_once_compile_each_graph_once() {
    let lab = Lab::new();
    let start = || over_libtpu(&lab).words("--json warmup --aot tpu:v5e:1x1").start();
    let (one, other) = (start(), start());
    let reports = [one.wait().done().json(), other.wait().done().json()];
    assert_eq!((lab.compiles(), lab.log().compiles()), (3, 3));
    let compiled = reports
        .iter()
        .flat_map(|report| sources(report))
        .filter(|source| *source == "compiled")
        .count();
    assert_eq!(compiled, 3);
}

#[test]
fn what_was_compiled_ahead_runs_on_the_tpu_without_a_compile() {
    let lab = Lab::new();
    let sizes = "warmup --aot tpu:v5e:1x1 --resolutions 64x64,128x64 --batch 1,2 --model";
    let ahead = over_a_pose(&lab, &posed(&lab))
        .words("--json")
        .words(sizes)
        .arg(demo_model())
        .run()
        .done()
        .json();
    // The text encoder and the decoder do not depend on the batch: there are one text encoder, two
    // decoders and four denoisers.
    assert_eq!((lab.compiles(), processes(&lab.log())), (7, 7));
    assert_eq!(ahead["requests"].as_array().unwrap().len(), 4);
    assert_eq!(sources(&ahead).len(), 12);
    let run = |words: &str| {
        let sim = posed(&lab).fail_compile(When::Each);
        let run = lab
            .quick_tpu(&sim)
            .words("--json --require-warm run --prompt seven --steps 2 --model")
            .arg(demo_model());
        run.words(words).run().done().json()
    };
    for words in ["", "--batch 2", "--width 128 --height 64", "--width 128 --height 64 --batch 2"] {
        let ran = run(words);
        assert_eq!(
            (ran["stages"][1]["source"].as_str(), ran["device"]["selected"].as_str()),
            (Some("disk"), Some("tpu"))
        );
    }
    assert_eq!(lab.compiles(), 7);
}

#[test]
fn programs_are_compiled_ahead_and_another_topology_is_a_miss_that_is_explained() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let sim = posed(&lab);
    over_a_pose(&lab, &sim).words("warmup --aot tpu:v5e:1x1 --program").arg(&program).run().done();
    let lookup = |target: &str| {
        over_a_pose(&lab, &sim)
            .words("--json lookup --target")
            .arg(target)
            .arg("--program")
            .arg(&program)
            .run()
    };
    assert_eq!(lookup("tpu:v5e:1x1").done().json()["verdict"], "hit");
    let miss = lookup("tpu:v6e:1x1").ended(3).json();
    let differences = miss["stages"][0]["nearest"]["differences"].as_array().unwrap();
    let fields: Vec<_> =
        differences.iter().map(|difference| difference["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&"device_kind") && fields.contains(&"topology"), "{fields:?}");
    assert!(!fields.contains(&"program"), "{fields:?}");
    // On the hardware itself, the program is warm.
    let run = lab.preheat_tpu(&posed(&lab)).env("XLA_FLAGS", "--xla_backend_optimization_level=0");
    let ran = run.words("--json --require-warm program run").arg(&program).run().done().json();
    assert_eq!(
        (ran["stages"][0]["source"].as_str(), ran["stages"][0]["match"].as_str()),
        (Some("disk"), Some("exact"))
    );
}

#[test]
fn hardware_that_says_something_else_of_itself_is_decided_by_its_plugin() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let ahead = posed(&lab).abi_version("one");
    over_a_pose(&lab, &ahead)
        .words("warmup --aot tpu:v5e:1x1 --program")
        .arg(&program)
        .run()
        .done();
    let here = |sim: Sim| {
        let sim = sim.device_kind("TPU v5 litepod");
        lab.preheat_tpu(&sim).env("XLA_FLAGS", "--xla_backend_optimization_level=0")
    };
    // This request has another number of steps than the one that was warmed: only the program has
    // to match.
    let on_hardware = |sim: Sim| {
        here(sim).words("--json --require-warm program run --steps 30").arg(&program).run()
    };
    // If the plugin cannot judge the executable that was compiled ahead, or rejects it, the
    // executable is not used.
    on_hardware(posed(&lab)).ended(3).says(&["device_kind"]);
    on_hardware(posed(&lab).abi_version("two")).ended(3).says(&["device_kind"]);
    // An ABI version does not say how many chips there are.
    on_hardware(posed(&lab).abi_version("one").bounds([2, 1, 1])).ended(3).says(&["topology"]);
    let first = on_hardware(posed(&lab).abi_version("one")).done();
    assert_eq!(first.json()["stages"][0]["source"], "disk");
    first.says(&["the plugin accepts the executable", "TPU v5 litepod", "TPU v5 lite"]);
    // From then on, the executable is stored for the hardware's own description.
    let again = on_hardware(posed(&lab).abi_version("one")).done();
    assert!(!again.stderr.contains("accepts the executable"), "{}", again.stderr);
    assert_eq!(again.json()["stages"][0]["match"], "exact");
    assert_eq!(lab.compiles(), 1);
    lab.bare().words("cache verify").run().done();
    // A record whose machine code is gone is not a hit, even if it fits.
    for object in lab.objects() {
        std::fs::remove_file(object).unwrap();
    }
    let lookup = || {
        here(posed(&lab).abi_version("one")).words("--json lookup --program").arg(&program).run()
    };
    assert_eq!(lookup().ended(3).json()["verdict"], "miss");
}

#[test]
fn a_target_that_is_none_is_refused_with_examples() {
    let lab = Lab::new();
    let over = || over_a_pose(&lab, &posed(&lab));
    for target in ["", "tpu:", "banana", "xla-cpu:4"] {
        let refused = over().words("warmup --aot").arg(target).run().ended(2);
        refused.says(&["tpu:v5e:1x1", "tpu:v4:2x2x1"]);
    }
    let unknown = over().words("warmup --aot tpu:v5e:7x9x3").run().ended(1);
    unknown.says(&["cannot compile for tpu:v5e:7x9x3", "examples of targets", "tpu:v5e:2x2"]);
    over_libtpu(&lab)
        .words("lookup --target tpu:v5e:7x9x3")
        .run()
        .ended(1)
        .says(&["examples of targets"]);
    let nowhere = lab
        .bare()
        .words("warmup --aot tpu:v5e:1x1")
        .env("PREHEAT_DATA_DIR", lab.path("none"))
        .run()
        .ended(1);
    nowhere.says(&["nothing can be compiled for tpu:v5e:1x1", "plugins install tpu"]);
    over().words("warmup --aot tpu:v5e:1x1 --jobs 0").run().ended(2).says(&["--jobs"]);
    over().words("warmup --jobs 2").run().ended(2).says(&["--aot"]);
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_compiler_that_fails_or_ends_its_process_costs_that_graph_alone() {
    let lab = Lab::new();
    let (good, bad) = (lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE));
    let warm = |sim: &Sim, program: &std::path::Path| {
        over_a_pose(&lab, sim).words("warmup --aot tpu:v5e:1x1 --program").arg(program).run()
    };
    warm(&posed(&lab), &good).done();
    let second = || When::Nth(lab.compiles() as u64 + 1);
    let sim = posed(&lab).fail(Place::Compile, second());
    let failed = warm(&sim, &bad).ended(1).says(&["1 of 1", "tpu could not compile graph"]);
    assert!(failed.stdout.contains("square.mlir, program, batch 1: "), "{}", failed.stdout);
    let sim = posed(&lab).exit(Place::Compile, second());
    warm(&sim, &bad).ended(1).says(&["the process that compiled ended (exit status: 1)"]);
    let sim = posed(&lab).crash(Place::Compile, second());
    let crashed = warm(&sim, &bad).ended(1).says(&["the process that compiled ended (signal: 6"]);
    // The error has the reason from the beginning of the child's output, but not the stack trace
    // after it.
    let crashed =
        crashed.says(&["after it said: F0000", "sim.cc:1] Check failed: told to crash compile"]);
    assert!(!crashed.stderr.contains("(unknown)"), "{}", crashed.stderr);
    // If one stage of a model cannot be compiled, the other stages are kept.
    let sim = posed(&lab).fail(Place::Compile, second());
    let model = |sim: &Sim| {
        over_a_pose(&lab, sim)
            .words("warmup --aot tpu:v5e:1x1 --jobs 1 --model")
            .arg(demo_model())
            .run()
    };
    model(&sim).ended(1).says(&["1 of 3 stages could not be compiled, the others are kept"]);
    let before = lab.compiles();
    model(&posed(&lab)).done();
    assert_eq!(lab.compiles() - before, 1);
    warm(&posed(&lab), &bad).done();
    lab.bare().words("cache verify").run().done();
    lab.assert_nothing_half_written();
    assert!(!left_over(&lab));
}

#[test]
fn nothing_is_compiled_ahead_that_could_not_be_kept() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let warm = |words: &str| {
        over_a_pose(&lab, &posed(&lab))
            .words(words)
            .words("warmup --aot tpu:v5e:1x1 --program")
            .arg(&program)
            .run()
    };
    warm("--cache-read-only").ended(1).says(&["is opened for reading only"]);
    warm("--tpu-compilation-cache=false").ended(1).says(&["no cache is in use"]);
    assert_eq!(lab.compiles(), 0);
    // An export that would be empty writes no file.
    warm("").done();
    let export = lab.bare().words("cache export warm.preheat --target tpu:v9e:1x1").run().ended(1);
    export.says(&["no graph in the cache is one of those to be exported", "tpu:v5e:1x1"]);
    assert!(!lab.path("warm.preheat").exists());
    lab.bare().words("cache rewarm --jobs 2").run().ended(2).says(&["--plugin"]);
}

#[test]
fn programs_are_compiled_side_by_side_and_one_that_fails_keeps_no_other_from_it() {
    let lab = Lab::new();
    let (good, bad) =
        (lab.file("double.mlir", DOUBLE), lab.file("broken.mlir", "module { no such op }"));
    let warm = over_a_pose(&lab, &posed(&lab))
        .words("--json warmup --aot tpu:v5e:1x1 --jobs 2 --program")
        .arg(&bad);
    let ran = warm.arg("--program").arg(&good).run().ended(1);
    let failed = ran.json()["failed"].clone();
    assert!(failed[0]["model_id"].as_str().unwrap().ends_with("broken.mlir"), "{failed}");
    assert!(failed[0]["reason"].as_str().unwrap().contains("tpu could not compile"), "{failed}");
    assert_eq!(sources(&ran.json()), ["compiled"]);
}

#[test]
fn an_interrupted_warmup_keeps_what_is_done_and_leaves_no_process() {
    let lab = Lab::new();
    let hang = posed(&lab).hang(Place::Compile, When::Nth(2));
    let words = "warmup --aot tpu:v5e:1x1 --jobs 1 --model";
    let going_on = over_a_pose(&lab, &hang).words(words).arg(demo_model()).start_a_group();
    until("a second compile", || lab.compiles() == 2);
    let child = lab
        .log()
        .iter()
        .rev()
        .find(|entry| matches!(entry.event, Event::Compile { .. }))
        .unwrap()
        .pid;
    assert_ne!(child, going_on.id());
    // The signal goes to all processes of the group at once, as a terminal sends it.
    going_on.signal_group("INT");
    going_on.wait().ended(130);
    until("the end of the compiling process", || !is_running(child));
    until("the end of its folder", || !left_over(&lab));
    let again = over_a_pose(&lab, &posed(&lab))
        .words("--json")
        .words(words)
        .arg(demo_model())
        .run()
        .done()
        .json();
    assert_eq!(sources(&again).iter().filter(|source| **source == "disk").count(), 1);
    lab.assert_nothing_half_written();
}

#[test]
fn a_parent_that_is_killed_takes_its_compiling_process_along() {
    let lab = Lab::new();
    let hang = posed(&lab).hang(Place::Compile, When::Each);
    let program = lab.file("double.mlir", DOUBLE);
    let going_on =
        over_a_pose(&lab, &hang).words("warmup --aot tpu:v5e:1x1 --program").arg(&program).start();
    until("a compile", || lab.compiles() == 1);
    let child =
        lab.log().iter().find(|entry| matches!(entry.event, Event::Compile { .. })).unwrap().pid;
    going_on.signal("KILL");
    assert_eq!(going_on.wait().status, None);
    until("the end of the compiling process", || !is_running(child));
    assert!(!left_over(&lab));
}

/// Whether a process exists and is not a zombie.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[test]
fn a_program_that_links_the_library_compiles_ahead_and_runs_nothing() {
    let lab = Lab::new();
    let program = Program::new(ProgramFormat::Mlir, DOUBLE.as_bytes().to_vec());
    let signature =
        create_execution_signature("double", [4], 1, 1.0, "none", 1, Dtype::Float32).unwrap();
    let builder = || {
        let builder =
            Runtime::builder().target("tpu:v5e:1x1".parse().unwrap()).plugin(support::tpu_plugin());
        builder.cache_dir(lab.cache())
    };
    // By default, the compile's process is started from the program itself, and this test program
    // does not call `serve_compiler()`.
    let refused = builder().build().unwrap_err();
    assert!(
        source_text(&refused).contains("call `preheat::serve_compiler()`"),
        "{}",
        source_text(&refused)
    );

    let runtime = builder().compiler_program(env!("CARGO_BIN_EXE_preheat")).build().unwrap();
    let report = runtime.request(&signature, &program).precompile().unwrap();
    assert_eq!((report.source, report.compile_peak_bytes > 0), (preheat::Source::Compiled, true));
    assert_eq!(
        runtime.request(&signature, &program).precompile().unwrap().source,
        preheat::Source::Disk
    );
    assert!(runtime.is_cached(&signature).unwrap());
    let refused = runtime.get_or_compile(&signature, &program).unwrap_err();
    assert!(
        matches!(&refused, Error::NotHere { target } if target.to_string() == "tpu:v5e:1x1"),
        "{refused}"
    );
    assert!(!runtime.is_here() && runtime.free_memory_bytes().is_none());
}

fn source_text(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn waiting_for_another_compile_ahead_is_said_and_can_be_cancelled() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let slow = posed(&lab).delay(Place::Compile, When::Each, Duration::from_secs(30));
    let warm = || {
        over_a_pose(&lab, &slow).words("warmup --aot tpu:v5e:1x1 --program").arg(&program).start()
    };
    let one = warm();
    until("a compile", || lab.compiles() == 1);
    let other = warm();
    std::thread::sleep(Duration::from_millis(500));
    other.signal("INT");
    other.wait().ended(130).says(&[&format!("waiting for process {}", one.id())]);
    assert_eq!(lab.compiles(), 1);
    one.signal("INT");
    one.wait().ended(130);
}
