//! What does each mode of warmup run, say and leave behind? The test plugin poses as a TPU.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use pjrt_sim::{Count, Event, Outcome, Sim, When};
use preheat::{Runtime, Source};
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::WarmupReport;
use support::demo::{copy_folder, demo_model, denoiser_runs};
use support::lab::library;
use support::{Lab, Ran, in_child, random_model};

const RUN: &str = "run --prompt seven --scheduler euler --steps 2 --seed 7";

fn tpu(lab: &Lab) -> Sim {
    lab.sim().pose("v5e:1x1")
}

/// `preheat -v` on the demo model.
fn preheat(lab: &Lab, sim: &Sim, words: &str) -> Ran {
    lab.quick_tpu(sim).arg("-v").words(words).arg("--model").arg(demo_model()).run()
}

#[test]
fn after_a_manual_warmup_nothing_is_compiled() {
    let lab = Lab::new();
    let warm = preheat(&lab, &tpu(&lab), "--tpu-manual-warmup warmup").done();
    let warm = warm.says(&[
        "warmup complete: demo-model, 3 stages: 3 compiled in",
        "0 loaded, 0 already there",
    ]);
    assert!(!warm.stderr.contains("not warm"), "{}", warm.stderr);
    let table: Vec<&str> = warm.stdout.lines().collect();
    assert!(table[0].contains("peak memory") && table[1].contains("iB"), "{table:?}");
    // Each stage ran once.
    assert_eq!((lab.compiles(), lab.executes(), denoiser_runs(&lab.log())), (3, 3, 1));
    for words in ["--require-warm", "--require-warm --tpu-manual-warmup"] {
        let ran =
            preheat(&lab, &tpu(&lab).fail_compile(When::Each), &format!("{words} {RUN}")).done();
        assert!(!ran.stderr.contains("warmup complete"), "{}", ran.stderr);
    }
    assert_eq!(lab.compiles(), 3);
    let again = preheat(&lab, &tpu(&lab).fail_compile(When::Each), "warmup").done();
    again.says(&[
        "warmup complete: demo-model, 3 stages: 0 compiled in 0.0 s, 3 loaded, 0 already there",
    ]);
}

#[test]
fn each_mode_runs_as_many_steps_on_zeros_as_it_says() {
    let warm = Lab::new();
    preheat(&warm, &tpu(&warm), "warmup").done();
    for (words, steps, said) in [
        (
            "--tpu-warmup-steps 3",
            3,
            Some("warmup complete: demo-model, 3 steps and each other stage once on zeros"),
        ),
        (
            "--tpu-warmup-steps 1",
            1,
            Some("warmup complete: demo-model, 1 step and each other stage once on zeros"),
        ),
        ("--tpu-manual-warmup", 0, None),
        ("--no-tpu-warmup", 0, None),
    ] {
        let lab = Lab::new();
        copy_folder(&warm.cache(), &lab.cache());
        // Only the text encoder is compiled, which takes the least time.
        let cold =
            preheat(&lab, &tpu(&lab), &format!("{words} --text-encoder-precision fp32 {RUN}"))
                .done();
        assert_eq!((lab.compiles(), denoiser_runs(&lab.log())), (1, steps + 2), "{words}");
        match said {
            Some(said) => drop(cold.says(&[said])),
            None => assert!(!cold.stderr.contains("warmup complete"), "{words}: {}", cold.stderr),
        }
    }
}

#[test]
fn a_warmup_at_a_lower_effort_serves_such_requests_and_a_fuller_one_serves_them_from_then_on() {
    let lab = Lab::new();
    let run = format!("--require-warm --compile-effort fast {RUN}");
    preheat(&lab, &tpu(&lab), "--compile-effort fast warmup").done();
    assert_eq!(lab.compiles(), 3);
    preheat(&lab, &tpu(&lab).fail_compile(When::Each), &run).done();
    let fuller = preheat(&lab, &tpu(&lab), &format!("--require-warm {RUN}"));
    assert_eq!(fuller.status, Some(3), "a lower effort serves no fuller one: {}", fuller.stderr);
    preheat(&lab, &tpu(&lab), "--compile-effort full warmup").done();
    assert_eq!(lab.compiles(), 6);
    let served = preheat(&lab, &tpu(&lab).fail_compile(When::Each), &format!("{run} --json"));
    let document: serde_json::Value = serde_json::from_str(&served.done().stdout).unwrap();
    let stages = document["stages"].as_array().unwrap();
    assert!(stages.len() == 3 && stages.iter().all(|stage| stage["effort"] == "full"));
    let listed = lab.quick_tpu(&tpu(&lab)).words("--json cache list").run().done();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
    let fast = listed.iter().filter(|graph| graph["effort"] == "fast").count();
    assert_eq!((listed.len(), fast), (6, 3));
    let refused = preheat(&lab, &tpu(&lab), "--compile-effort quick warmup");
    assert_eq!(refused.status, Some(2));
    refused.says(&["is no compile effort: choose fast, balanced, full or tiered"]);
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", support::lab::DOUBLE);
    let forced =
        ["--force-recompile compiles everything anew", "--require-warm", "leave one of them out"];
    preheat(&lab, &tpu(&lab), &format!("--require-warm {RUN} --force-recompile"))
        .ended(2)
        .says(&forced);
    for command in ["compile", "run"] {
        let ran = lab
            .preheat_tpu(&tpu(&lab))
            .words(&format!("--require-warm program {command} --force-recompile"));
        ran.arg(&program).run().ended(2).says(&forced);
    }
    let warming =
        ["a warmup compiles, but --require-warm forbids compiling", "`preheat lookup` tells"];
    preheat(&lab, &tpu(&lab), "--require-warm warmup").ended(2).says(&warming);
    lab.preheat_tpu(&tpu(&lab))
        .words("--require-warm warmup --program")
        .arg(&program)
        .run()
        .ended(2)
        .says(&warming);
    lab.preheat_tpu(&tpu(&lab))
        .words("--require-warm --tpu-manual-warmup")
        .run()
        .ended(2)
        .says(&warming);
    assert_eq!(lab.compiles(), 0);
}

fn request() -> TextToImage {
    TextToImage {
        width: Some(64),
        height: Some(64),
        steps: 2,
        seed: Some(1),
        ..TextToImage::new("a red fox")
    }
}

#[test]
fn a_model_that_was_opened_warm_runs_at_once() {
    in_child("a_model_that_was_opened_warm_runs_at_once", tpu, |lab| {
        let folder = random_model::write_small("mixed", &lab.path("")).unwrap();
        let runtime =
            || Runtime::builder().plugin(library()).cache_dir(lab.cache()).build().unwrap();
        let sources = |reports: &[WarmupReport]| {
            reports.iter().map(|one| one.stage.source).collect::<Vec<_>>()
        };
        let here = runtime();
        let (pipeline, warmed) = Pipeline::builder().open_warm(&here, &folder, &request()).unwrap();
        assert_eq!(sources(&warmed.stages), [Source::Compiled; 3]);
        for report in &warmed.stages {
            assert!(
                report.stage.compile_seconds > 0.0
                    && report.stage.compile_peak_bytes > 0
                    && report.kept,
                "{report:?}"
            );
            assert!(report.first_run_seconds > 0.0, "{report:?}");
        }
        assert_eq!((lab.compiles(), lab.executes()), (3, 3));

        // Executables and weights are now on the device.
        let before = lab.log().len();
        let made = pipeline.run(&request()).unwrap();
        assert!(made.stages.iter().all(|stage| stage.source == Source::Memory));
        let log = &lab.log()[before..];
        let largest =
            log.iter().filter(|entry| entry.outcome == Outcome::Ok).filter_map(|entry| match entry
                .event
            {
                Event::HostToDevice { bytes } => Some(bytes),
                _ => None,
            });
        assert!(
            largest.max().unwrap() <= 4 * 8 * 8 * 4,
            "nothing larger than latents goes to the device"
        );
        assert_eq!((log.compiles_started(), log.deserializes_started()), (0, 0));

        assert_eq!(
            sources(&pipeline.warmup(&request(), false).unwrap().stages),
            [Source::Memory; 3]
        );
        let there = runtime();
        let (_, warmed) = Pipeline::builder().open_warm(&there, &folder, &request()).unwrap();
        assert_eq!(sources(&warmed.stages), [Source::Disk; 3]);
        assert_eq!(lab.compiles(), 3);
    });
}
