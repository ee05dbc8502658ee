//! Do steps, metrics, traces and Ctrl-C work on a device of libtorch?

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::lab::until;
use crate::support::{Lab, random_model};

#[test]
fn metrics_and_the_trace_have_every_step() {
    let lab = Lab::new();
    let words = "--json --tpu-debug-metrics --trace trace.json run --prompt seven --seed 1 --steps 7 --scheduler euler";
    let ran = lab.torch().words("--no-tpu-warmup").words(words).run().done().json();
    let metrics = &ran["metrics"];
    for (name, count) in [
        ("diffusion_step.StepTime.samples", 7.0),
        ("denoiser.ExecuteTime.samples", 7.0),
        ("text_encoder.ExecuteTime.samples", 2.0),
        ("decode.StepTime.samples", 1.0),
        ("UncachedCompile", 3.0),
    ] {
        assert_eq!(metrics[name].as_f64(), Some(count), "{name} in {metrics}");
    }
    for name in ["denoiser.temporaries_bytes", "denoiser.instructions", "device.bytes_limit"] {
        assert!(metrics[name].as_f64() > Some(0.0), "{name} in {metrics}");
    }
    let trace: Value =
        serde_json::from_slice(&std::fs::read(lab.path("trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let rows = |name: &str| {
        let is_row = |event: &&Value| event["ph"] == "M" && event["args"]["name"] == name;
        events.iter().filter(is_row).map(|event| event["tid"].clone()).collect::<Vec<_>>()
    };
    let spans_on = |row: &str, name: &str| {
        let rows = rows(row);
        assert_eq!(rows.len(), 1, "rows called {row}");
        events
            .iter()
            .filter(|event| event["ph"] == "X" && event["tid"] == rows[0] && event["name"] == name)
            .count()
    };
    assert_eq!(spans_on("device", "denoiser"), 7);
    assert_eq!(spans_on("device", "vae_decoder"), 1);
    assert_eq!(spans_on("steps: diffusion_step", "diffusion_step"), 7);
}

#[test]
fn waiting_for_steps_changes_nothing() {
    let lab = Lab::new();
    let picture = |flags: &str| {
        lab.torch()
            .words("run --prompt seven --seed 1 --steps 5 --output out.png")
            .words(flags)
            .run()
            .done();
        std::fs::read(lab.path("out.png")).unwrap()
    };
    let expected = picture("");
    for flags in ["--tpu-sync-steps 1", "--tpu-sync-steps 3 --tpu-debug-metrics"] {
        assert_eq!(picture(flags), expected, "{flags}");
    }
}

#[test]
fn an_interrupt_between_steps_ends_within_a_second() {
    let lab = Lab::new();
    random_model::write_small("sd15", &lab.path("")).unwrap();
    let words = "-v run --model sd15 --prompt fox --width 256 --height 256 --steps 900 --scheduler euler --output out.png";
    let run = lab.torch().words(words).words("--no-tpu-warmup").start();
    // Once the graphs are stored, the run starts its steps.
    until("the run stores its graphs", || lab.objects().len() >= 3);
    std::thread::sleep(Duration::from_secs(1));
    let interrupted = Instant::now();
    run.signal("INT");
    let ran = run.wait().ended(130);
    let took = interrupted.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}: {ran:?}");
    assert!(!lab.path("out.png").exists());
    lab.assert_nothing_half_written();
    // Graphs that were made ready before the interrupt are kept.
    lab.torch().words("lookup --model sd15 --width 256 --height 256").run().done();
}
