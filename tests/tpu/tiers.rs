//! Do tiered compiles work, if full compiles are slow? An executable of a lower effort serves
//! first. The full executable takes over between two pictures, in the same process or in a later
//! one. The test plugin poses as a TPU.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::{Duration, Instant};

use pjrt_sim::{Count, Place, Sim, When};
use preheat::{EffortChoice, Runtime};
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::{CompileEffort, StageReport};
use serde_json::{Value, json};
use support::demo::demo_model;
use support::lab::{DOUBLE, Started, files_under, library, until};
use support::{Lab, Preheat, in_child, random_model};

/// The additional time of each full compile. It is longer than the time of a picture.
const SLOW: Duration = Duration::from_secs(8);

/// Far longer than three slow compiles take one after the other, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

const RUN: &str = "run --prompt seven --scheduler euler --steps 2 --seed 7";

fn posed(lab: &Lab) -> Sim {
    lab.sim().pose("v5e:1x1")
}

/// A TPU whose full compiles are slow. Only the child processes that make full compiles create a
/// topology by its name, so the delay of this call does not slow other compiles.
fn slow(lab: &Lab) -> Sim {
    posed(lab).delay(Place::Topology, When::Each, SLOW)
}

fn preheat(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    lab.quick_tpu(sim).words("--json").words(words)
}

fn on_demo(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    preheat(lab, sim, words).arg("--model").arg(demo_model())
}

fn efforts(document: &Value) -> Vec<&str> {
    let stages = document["stages"].as_array().unwrap().iter();
    stages.map(|stage| stage["effort"].as_str().unwrap()).collect()
}

fn notes(lab: &Lab) -> usize {
    files_under(&lab.cache().join("upgrades-v1")).len()
}

fn upgrades(document: &Value) -> Vec<&str> {
    let upgrades = document["upgrades"].as_array().unwrap().iter();
    upgrades.map(|upgrade| upgrade["upgrade"].as_str().unwrap()).collect()
}

#[test]
fn the_first_picture_comes_before_the_full_compiles_and_later_ones_from_them() {
    in_child(
        "the_first_picture_comes_before_the_full_compiles_and_later_ones_from_them",
        slow,
        |lab| {
            let folder = random_model::write_small("mixed", &lab.path("")).unwrap();
            let runtime = || {
                let builder = Runtime::builder().plugin(library()).cache_dir(lab.cache());
                let builder = builder.compiler_program(env!("CARGO_BIN_EXE_preheat"));
                // So that only the full compiles, which are made in children, are slow.
                let builder = builder.compile_in_process(true);
                builder.compile_effort(EffortChoice::Tiered).build().unwrap()
            };
            let request = TextToImage {
                width: Some(64),
                height: Some(64),
                steps: 2,
                seed: Some(1),
                ..TextToImage::new("a red fox")
            };
            let here = runtime();
            let pipeline = Pipeline::builder().open(&here, &folder).unwrap();
            let count = |stages: &[StageReport], effort| {
                stages.iter().filter(|stage| stage.effort == effort).count()
            };
            let first = pipeline.run(&request).unwrap();
            assert_eq!(count(&first.stages, CompileEffort::Balanced), 3);
            assert!(lab.log().compiles() < 6, "full compiles are still to come");
            let began = Instant::now();
            loop {
                let made = pipeline.run(&request).unwrap();
                if count(&made.stages, CompileEffort::Full) == 3 {
                    break;
                }
                let (told, log) = (here.warnings(), lab.log().compiles());
                assert!(began.elapsed() < PATIENCE, "{log} compiles, {told:?}: {:?}", made.stages);
                std::thread::sleep(Duration::from_millis(100));
            }
            assert_eq!((lab.log().compiles(), here.warnings()), (6, Vec::new()));
            drop((pipeline, here));
            let later = runtime();
            let pipeline = Pipeline::builder().open(&later, &folder).unwrap();
            let made = pipeline.run(&request).unwrap();
            assert_eq!(count(&made.stages, CompileEffort::Full), 3);
            assert_eq!(lab.log().compiles(), 6);
        },
    );
}

#[test]
fn what_a_command_leaves_behind_is_completed_by_another() {
    let lab = Lab::new();
    let tiered = format!("--compile-effort tiered {RUN}");
    let first = on_demo(&lab, &slow(&lab), &tiered).run().done().json();
    assert_eq!(efforts(&first), ["balanced"; 3]);
    assert_eq!(notes(&lab), 3);
    lab.assert_nothing_half_written();
    // A lower effort is warm, and the full one is not.
    let warm = format!("--require-warm {tiered}");
    assert_eq!(efforts(&on_demo(&lab, &posed(&lab), &warm).run().done().json()), ["balanced"; 3]);
    let full = format!("--require-warm=full {tiered}");
    on_demo(&lab, &posed(&lab), &full).run().ended(3).says(&["not warm"]);
    let finished = preheat(&lab, &posed(&lab), "warmup --finish").run().done().json();
    assert_eq!(upgrades(&finished), ["took_over"; 3]);
    assert_eq!(efforts(&on_demo(&lab, &posed(&lab), &full).run().done().json()), ["full"; 3]);
    assert_eq!(lab.log().compiles(), 6);
    let again = preheat(&lab, &posed(&lab), "warmup --finish").run().done().json();
    assert_eq!(again["upgrades"], json!([]));
    assert_eq!(lab.log().compiles(), 6);
}

#[test]
fn eight_processes_upgrade_once() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let run = preheat(&lab, &slow(&lab), "--compile-effort tiered program run").arg(&program);
    assert_eq!(efforts(&run.run().done().json()), ["balanced"]);
    let started: Vec<_> =
        (0..8).map(|_| preheat(&lab, &posed(&lab), "warmup --finish").start()).collect();
    for one in started {
        let done = one.wait().done().json();
        let ends = upgrades(&done);
        assert!(ends.iter().all(|end| *end == "took_over"), "{ends:?}");
    }
    assert_eq!(lab.log().compiles(), 2);
}

#[test]
fn a_warmup_that_is_tiered_ends_with_the_full_effort_and_tells_of_what_failed() {
    let lab = Lab::new();
    let failing = posed(&lab).fail(Place::Compile, When::Nth(4));
    let words = "--compile-effort tiered warmup";
    let warmed = on_demo(&lab, &failing, words).run().done().json();
    assert_eq!(efforts(&warmed), ["balanced"; 3]);
    let mut ends = upgrades(&warmed);
    ends.sort_unstable();
    assert_eq!(ends, ["refused", "took_over", "took_over"]);
    assert_eq!(warmed["warnings"].as_array().unwrap().len(), 1, "{}", warmed["warnings"]);
    let run = format!("--require-warm --compile-effort tiered {RUN}");
    let served = on_demo(&lab, &posed(&lab), &run).run().done().json();
    let full = efforts(&served).into_iter().filter(|effort| *effort == "full").count();
    assert_eq!(full, 2);
}

#[test]
fn ahead_of_time_every_graph_serves_before_any_is_compiled_in_full() {
    let lab = Lab::new();
    let words = "--compile-effort tiered warmup --aot tpu:v5e:1x1 --jobs 1";
    let ahead = |sim: &Sim, words: &str| {
        let preheat = lab.quick(sim).env("PREHEAT_TPU_PLUGIN", library());
        preheat.words("--json").words(words).arg("--model").arg(demo_model()).run()
    };
    // The fourth compile is the first of the full effort.
    let stopped = ahead(&posed(&lab).fail(Place::Compile, When::From(4)), words).ended(1);
    assert_eq!(efforts(&stopped.json()), ["balanced"; 3]);
    let lookup = |words: &str| ahead(&posed(&lab), &format!("{words} lookup --target tpu:v5e:1x1"));
    lookup("--compile-effort tiered").done();
    lookup("").done();
    lookup("--compile-effort full").ended(3);
    let done = ahead(&posed(&lab), words).done().json();
    let full = efforts(&done).into_iter().filter(|effort| *effort == "full").count();
    assert_eq!(full, 3, "{done:#}");
    lookup("--compile-effort full").done();
    assert_eq!(lab.log().compiles(), 6);
}

#[test]
fn every_table_of_a_manifest_serves_before_any_is_compiled_in_full() {
    let lab = Lab::new();
    let table = |size: &str| {
        format!(
            "[[model]]\ntargets = [\"tpu:v5e:1x1\"]\nsizes = [\"{size}\"]\n\
             compile_effort = \"tiered\"\n"
        )
    };
    lab.file("warm.toml", table("64x64") + &table("128x64"));
    let ahead = |sim: &Sim, words: &str| {
        lab.quick(sim).env("PREHEAT_TPU_PLUGIN", library()).words("--json").words(words).run()
    };
    let warmup = "warmup --manifest warm.toml --jobs 1";
    // The two sizes share the text encoder. The sixth compile is the first of the full effort.
    ahead(&posed(&lab).fail(Place::Compile, When::From(6)), warmup).ended(1);
    let lookup = |effort: &str, width: &str| {
        let words = format!("--compile-effort {effort} lookup --target tpu:v5e:1x1 --height 64");
        ahead(&posed(&lab), &format!("{words} --width {width}"))
    };
    for width in ["64", "128"] {
        lookup("balanced", width).done();
        lookup("full", width).ended(3);
    }
    ahead(&posed(&lab), warmup).done();
    for width in ["64", "128"] {
        lookup("full", width).done();
    }
    assert_eq!(lab.objects().len(), 10);
}

#[test]
fn an_interrupt_in_the_second_wave_keeps_what_was_compiled() {
    let lab = Lab::new();
    let ahead = |sim: &Sim, words: &str| {
        let preheat = lab.quick(sim).env("PREHEAT_TPU_PLUGIN", library());
        preheat.words("--json").words(words).arg("--model").arg(demo_model())
    };
    let words = "--compile-effort tiered warmup --aot tpu:v5e:1x1 --jobs 1";
    let hang = posed(&lab).hang(Place::Compile, When::From(5));
    let going_on = ahead(&hang, words).start_a_group();
    until("the second full compile begins", || lab.compiles() == 5);
    going_on.signal_group("INT");
    going_on.wait().ended(130);
    assert_eq!(lab.objects().len(), 4);
    lab.assert_nothing_half_written();
    let lookup = |effort: &str| {
        let words = format!("--compile-effort {effort} lookup --target tpu:v5e:1x1");
        ahead(&posed(&lab), &words).run()
    };
    lookup("balanced").done();
    assert_eq!(lookup("full").ended(3).json()["verdict"], "partial");
    ahead(&posed(&lab), words).run().done();
    lookup("full").done();
    assert_eq!(lab.log().compiles(), 6);
}

#[test]
fn without_a_word_a_run_is_tiered_and_a_warmup_is_full() {
    let lab = Lab::new();
    let without_a_word = |sim: &Sim, words: &str| {
        let preheat = lab.quick_tpu(sim).env_remove("PREHEAT_COMPILE_EFFORT");
        preheat.words(words).arg("--model").arg(demo_model()).run()
    };
    let json = format!("--json {RUN}");
    assert_eq!(efforts(&without_a_word(&slow(&lab), &json).done().json()), ["balanced"; 3]);
    assert_eq!(notes(&lab), 3);
    let again = without_a_word(&slow(&lab), RUN).done().stdout;
    assert!(again.contains("denoiser (balanced)"), "{again}");
    assert!(again.contains("ran at a lower compile effort"), "{again}");
    let warmed = without_a_word(&posed(&lab), "--json warmup").done().json();
    assert_eq!(efforts(&warmed), ["full"; 3]);
    // On XLA:CPU no lower effort is worth it, so that the first run compiles in full.
    let cpu = Lab::new();
    let run = cpu.quick(&cpu.sim()).words(&json).arg("--model").arg(demo_model()).run();
    assert_eq!(efforts(&run.done().json()), ["full"; 3]);
    assert_eq!(cpu.compiles(), 3);
}

#[test]
fn an_upgrade_that_was_killed_is_completed_by_a_later_process() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let run = |sim: &Sim, words: &str| {
        preheat(&lab, sim, words).words("--compile-effort tiered program run").arg(&program)
    };
    let killed = |going_on: Started| {
        going_on.signal("KILL");
        assert_eq!(going_on.wait().status, None);
        assert_eq!(notes(&lab), 1);
    };
    // The process that serves is killed: its execution takes long, and so does the full compile.
    let long = posed(&lab).delay(Place::Execute, When::Each, PATIENCE);
    let serving = run(&long.hang(Place::Compile, When::From(2)), "").start();
    until("the full compile begins", || lab.compiles() == 2);
    killed(serving);
    // A process that completes upgrades is killed.
    let hang = posed(&lab).hang(Place::Compile, When::Each);
    let finishing = preheat(&lab, &hang, "warmup --finish").start();
    until("the full compile begins again", || lab.compiles() == 3);
    killed(finishing);
    assert_eq!(efforts(&run(&posed(&lab), "--require-warm").run().done().json()), ["balanced"]);
    let finished = preheat(&lab, &posed(&lab), "warmup --finish").run().done().json();
    assert_eq!(upgrades(&finished), ["took_over"]);
    assert_eq!(efforts(&run(&posed(&lab), "--require-warm=full").run().done().json()), ["full"]);
    assert_eq!(lab.compiles(), 4);
    lab.assert_nothing_half_written();
}
