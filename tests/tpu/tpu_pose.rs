//! Does every flag of the command line have an effect on a TPU, and what happens at each fault of
//! the plugin? The test plugin poses as a TPU. Other tests show what a flag does on any device;
//! these tests show that it works on a TPU, and that no flag is left out.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use pjrt_sim::{Count, Event, Origin, Place, Sim, When};
use serde_json::Value;
use support::demo::demo_model;
use support::lab::{DOUBLE, library, until};
use support::{Lab, Ran};

fn posed(lab: &Lab) -> Sim {
    lab.sim().pose("v5e:1x1")
}

/// `program run` of a small program with these words.
fn program(lab: &Lab, sim: &Sim, words: &str) -> Ran {
    let file = lab.file("double.mlir", DOUBLE);
    lab.preheat_tpu(sim).words("--json").words(words).words("program run").arg(file).run()
}

fn source(ran: &Ran) -> Value {
    ran.json()["stages"][0]["source"].clone()
}

/// A test environment (`Lab`) in whose cache the small program is warm.
fn warm() -> Lab {
    let lab = Lab::new();
    program(&lab, &posed(&lab), "").done();
    lab
}

/// The stages of the demo model that a run with these flags would compile, after a warmup without
/// flags.
fn cold_stages(lab: &Lab, words: &str) -> Vec<String> {
    let lookup = lab
        .quick_tpu(&posed(lab))
        .words("--json lookup")
        .words(words)
        .arg("--model")
        .arg(demo_model());
    let answer = lookup.run().json();
    let stages = answer["stages"].as_array().unwrap().iter();
    let cold = stages.filter(|stage| stage["verdict"] == "miss");
    cold.map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect()
}

/// How often the small program was executed by one run on an empty cache.
fn executions(words: &str) -> usize {
    let lab = Lab::new();
    program(&lab, &posed(&lab), words).done();
    lab.executes()
}

/// A flag, and a function that shows that the flag has an effect.
type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("--device", || {
        let lab = Lab::new();
        let ran = program(&lab, &posed(&lab), "--device tpu").done();
        assert_eq!(ran.json()["device"]["kind"], "TPU v5 lite");
    }),
    ("--strict-device", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--device xla-cuda --strict-device")
            .ended(1)
            .says(&["xla-cuda"]);
    }),
    ("--libtpu", || {
        let lab = Lab::new();
        let run = |libtpu: &str| {
            let preheat = lab.preheat_tpu(&posed(&lab)).env("PREHEAT_TPU_PLUGIN", "none.so");
            let words = format!("--json --device tpu --libtpu {libtpu} program run");
            preheat.words(&words).arg(lab.file("double.mlir", DOUBLE)).run()
        };
        run(library().to_str().unwrap()).done();
        run("other.so").ended(1).says(&["other.so is no file"]);
    }),
    ("--cache-dir", || {
        let lab = warm();
        let ran =
            program(&lab, &posed(&lab), &format!("--cache-dir {}", lab.path("other").display()))
                .done();
        assert_eq!(source(&ran), "compiled");
    }),
    ("--cache-max-size", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--cache-max-size 1KB").done();
        assert!(lab.objects().is_empty());
    }),
    ("--cache-read-only", || {
        let lab = warm();
        assert_eq!(source(&program(&lab, &posed(&lab), "--cache-read-only").done()), "disk");
        let cold = Lab::new();
        program(&cold, &posed(&cold), "--cache-read-only").done();
        assert!(cold.objects().is_empty());
    }),
    ("--cache-shared", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--cache-shared").done();
        assert_eq!(std::fs::metadata(lab.cache()).unwrap().permissions().mode() & 0o7777, 0o2770);
    }),
    ("--cache-fallback", || {
        let (full, lab) = (warm(), Lab::new());
        let ran =
            program(&lab, &posed(&lab), &format!("--cache-fallback {}", full.cache().display()))
                .done();
        assert_eq!(source(&ran), "fallback");
    }),
    ("--cache-remote", || {
        let (lab, other) = (Lab::new(), Lab::new());
        std::fs::create_dir(lab.path("remote")).unwrap();
        let words = format!("--cache-remote file://{}", lab.path("remote").display());
        assert_eq!(source(&program(&lab, &posed(&lab), &words).done()), "compiled");
        assert_eq!(source(&program(&other, &posed(&other), &words).done()), "remote");
    }),
    ("--cache-remote-required", || {
        let lab = Lab::new();
        let words = "--cache-remote file:///no/such/folder";
        program(&lab, &posed(&lab), words)
            .done()
            .says(&["the folder /no/such/folder is not there"]);
        let required = format!("{words} --cache-remote-required");
        let cold = Lab::new();
        program(&cold, &posed(&cold), &required).ended(1).says(&["is required"]);
    }),
    ("--compile-effort", || {
        let lab = Lab::new();
        let effort = |words: &str| {
            let ran = program(&lab, &posed(&lab), words).done();
            (source(&ran), ran.json()["stages"][0]["effort"].clone())
        };
        let told = |source: &str, effort: &str| (source.into(), effort.into());
        assert_eq!(effort("--compile-effort fast"), told("compiled", "fast"));
        assert_eq!(effort(""), told("compiled", "full"));
        assert_eq!(effort("--compile-effort fast"), told("disk", "full"));
    }),
    ("--metrics-file", || {
        let lab = Lab::new();
        let file = lab.path("preheat.prom");
        program(&lab, &posed(&lab), &format!("--metrics-file {}", file.display())).done();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("preheat_compiles_total"), "{text}");
    }),
    ("--metrics-listen", || {
        let lab = Lab::new();
        let ran = program(&lab, &posed(&lab), "-v --metrics-listen 127.0.0.1:0").done();
        ran.says(&["metrics are served at http://127.0.0.1:"]);
    }),
    ("--tpu-enable", || {
        let lab = Lab::new();
        let ran = program(&lab, &posed(&lab), "--device auto --tpu-enable").done();
        assert_eq!(
            (&ran.json()["device"]["selected"], &ran.json()["device"]["reason"]),
            (&"tpu".into(), &"a TPU is required".into())
        );
    }),
    ("--tpu-disable", || {
        let lab = Lab::new();
        let ran = program(&lab, &posed(&lab), "--tpu-disable")
            .done()
            .says(&["the use of TPUs is switched off"]);
        assert_eq!(ran.json()["device"]["selected"], "xla-cpu");
    }),
    ("--compile-effort", || {
        let lab = Lab::new();
        let ran = program(&lab, &posed(&lab), "--compile-effort tiered").done();
        assert_eq!(ran.json()["stages"][0]["effort"], "balanced");
    }),
    ("--compile-in-process", || {
        let compiled_by_name = |words: &str| {
            let (lab, file) = (Lab::new(), "double.mlir");
            lab.file(file, DOUBLE);
            let run = lab.preheat_tpu(&posed(&lab)).env_remove("PREHEAT_COMPILE_IN_PROCESS");
            run.words(words).words("program run").arg(file).run().done();
            let compiles = |event: &Event| match event {
                Event::Compile { client_less, .. } => Some(*client_less),
                _ => None,
            };
            lab.log().iter().find_map(|entry| compiles(&entry.event)).unwrap()
        };
        assert!(compiled_by_name("") && !compiled_by_name("--compile-in-process"));
    }),
    ("--tpu-manual-warmup", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--tpu-manual-warmup")
            .done()
            .says(&["not warm", "preheat warmup"]);
        assert_eq!(lab.executes(), 1);
    }),
    ("--tpu-warmup-steps", || {
        assert_eq!([executions("--tpu-warmup-steps 3"), executions("")], [4, 3]);
    }),
    ("--no-tpu-warmup", || assert_eq!(executions("--no-tpu-warmup"), 1)),
    ("--tpu-compilation-cache", || {
        let lab = warm();
        assert_eq!(
            source(&program(&lab, &posed(&lab), "--tpu-compilation-cache=false").done()),
            "compiled"
        );
    }),
    ("--tpu-shape-padding", || assert_eq!(padded("--tpu-shape-padding=false"), [120, 72])),
    ("--tpu-shape-padding-multiple", || {
        assert_eq!(
            [padded("--tpu-shape-padding-multiple 32"), padded("")],
            [[128, 96], [128, 128]]
        );
    }),
    ("--tpu-debug-metrics", || {
        let lab = Lab::new();
        let metrics =
            program(&lab, &posed(&lab), "--tpu-debug-metrics").done().json()["metrics"].clone();
        assert!(
            metrics.as_object().unwrap().keys().any(|name| name.starts_with("CompileTime")),
            "{metrics}"
        );
    }),
    ("--tpu-sync-steps", || {
        let lab = Lab::new();
        lab.quick_tpu(&posed(&lab)).words("warmup --model").arg(demo_model()).run().done();
        let waits = |words: &str| {
            let before = lab.log().len();
            let run = lab
                .quick_tpu(&posed(&lab))
                .words("run --prompt seven --scheduler euler --steps 4")
                .words(words);
            run.arg("--model").arg(demo_model()).run().done();
            lab.log().split_off(before).awaits(Origin::BufferReady)
        };
        // Other waits, such as for the prompts, are the same in both runs.
        let none = waits("--tpu-sync-steps 0");
        assert!(waits("--tpu-sync-steps 1") > none, "{none}");
        program(&lab, &posed(&lab), "--tpu-sync-steps x").ended(2).says(&["--tpu-sync-steps"]);
    }),
    ("--trace", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--trace trace.json").done();
        let trace: Value =
            serde_json::from_slice(&std::fs::read(lab.path("trace.json")).unwrap()).unwrap();
        assert!(trace["traceEvents"].as_array().unwrap().len() > 2);
    }),
    ("--require-warm", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--require-warm").ended(3).says(&["not warm"]);
        let lab = warm();
        program(&lab, &posed(&lab), "--require-warm").done();
    }),
    ("--snap-to-warm", || {
        let lab = Lab::new();
        program(&lab, &posed(&lab), "--snap-to-warm 50").ended(2).says(&["--snap-to-warm"]);
    }),
];

/// The flags that choose the dtype of a model, each with an example and with the stages whose graph
/// it changes.
const PRECISIONS: &[(&str, &str, &[&str])] = &[
    ("--precision", "--precision fp32", &["text_encoder", "denoiser", "vae_decoder"]),
    ("--text-encoder-precision", "--text-encoder-precision fp32", &["text_encoder"]),
    ("--denoiser-precision", "--denoiser-precision fp32", &["denoiser"]),
    ("--vae-precision", "--vae-precision fp32", &["vae_decoder"]),
    (
        "--tpu-autocast-bf16",
        "--tpu-autocast-bf16=false",
        &["text_encoder", "denoiser", "vae_decoder"],
    ),
];

fn padded(words: &str) -> [u64; 2] {
    let lab = Lab::new();
    let file = lab.file("double.mlir", DOUBLE);
    let run = lab
        .preheat_tpu(&posed(&lab))
        .words("--json")
        .words(words)
        .words("program run --width 120 --height 72");
    let ran = run.arg(file).run().done();
    let size = ran.json()["padded_size"].clone();
    [0, 1].map(|side| size[side].as_u64().unwrap())
}

#[test]
fn every_flag_acts_on_a_tpu() {
    for (flag, acts) in CASES {
        println!("{flag}");
        acts();
    }
}

#[test]
fn a_model_computes_in_bfloat16_unless_a_flag_says_otherwise() {
    let lab = Lab::new();
    lab.quick_tpu(&posed(&lab)).words("warmup --model").arg(demo_model()).run().done();
    assert_eq!(cold_stages(&lab, ""), [""; 0]);
    for (flag, words, stages) in PRECISIONS {
        assert_eq!(cold_stages(&lab, words), *stages, "{flag}");
    }
    let shown = lab.bare().words("--json cache list").run().done().json();
    let dtypes: BTreeSet<&str> =
        shown.as_array().unwrap().iter().filter_map(|entry| entry["dtype"].as_str()).collect();
    assert_eq!(dtypes, ["bfloat16"].into());
}

#[test]
fn no_flag_is_left_out() {
    let help = Lab::new().bare().words("--help").run().done().stdout;
    // The section on output is left out, because its flags work alike on every device. The section
    // on libtorch's devices is left out, too, because tests/torch_runs covers it.
    let runtime = help.split("Devices of libtorch").next().unwrap();
    let flags: BTreeSet<&str> = runtime
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--").map(|_| line.trim()))
        .filter_map(|line| line.split([' ', '[', '=']).next())
        .collect();
    let shown: BTreeSet<&str> = CASES
        .iter()
        .map(|(flag, _)| *flag)
        .chain(PRECISIONS.iter().map(|(flag, ..)| *flag))
        .collect();
    assert_eq!(flags, shown);
}

#[test]
fn a_compile_that_fails_once_is_an_error_once() {
    let lab = Lab::new();
    let failed = program(&lab, &posed(&lab).fail(Place::Compile, When::Nth(1)), "").ended(1);
    failed.says(&["double.mlir", "tpu could not compile graph"]);
    assert!(lab.objects().is_empty());
    assert_eq!(source(&program(&lab, &posed(&lab), "").done()), "compiled");
}

#[test]
fn an_executable_that_is_refused_is_compiled_again() {
    let lab = warm();
    let ran = program(&lab, &posed(&lab).fail(Place::Deserialize, When::Each), "").done();
    assert_eq!((source(&ran), lab.compiles()), ("compiled".into(), 2));
    ran.says(&["the plugin refused the cached executable"]);
}

#[test]
fn out_of_memory_on_load_is_an_error_that_costs_no_entry() {
    let lab = warm();
    let failed =
        program(&lab, &posed(&lab).out_of_memory(Place::Deserialize, When::Each), "").ended(1);
    failed.says(&["out of memory"]);
    assert_eq!(lab.compiles(), 1, "compiling it again would not help");
    assert_eq!(source(&program(&lab, &posed(&lab), "").done()), "disk");
}

#[test]
fn a_compile_that_hangs_is_interrupted_at_once() {
    let lab = Lab::new();
    let file = lab.file("double.mlir", DOUBLE);
    let hang = posed(&lab).hang(Place::Compile, When::Each);
    let going_on = lab.preheat_tpu(&hang).words("program run").arg(file).start();
    until("a compile", || lab.compiles() == 1);
    let began = Instant::now();
    going_on.signal("INT");
    going_on.wait().ended(130);
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    assert_eq!(source(&program(&lab, &posed(&lab), "").done()), "compiled");
    lab.assert_nothing_half_written();
}

#[test]
fn a_plugin_that_ends_the_process_leaves_a_store_that_works() {
    let lab = Lab::new();
    let ran = program(&lab, &posed(&lab).exit(Place::Compile, When::Nth(1)), "");
    assert_eq!(ran.status, Some(1), "XLA's own exit status");
    assert_eq!(source(&program(&lab, &posed(&lab), "").done()), "compiled");
    lab.bare().words("cache verify").run().done();
    lab.assert_nothing_half_written();
}
