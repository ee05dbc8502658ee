//! Do steps, metrics and traces agree with the test plugin's log?

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pjrt_sim::{Count, Entry, Event, Origin, Outcome, Place, When};
use preheat::{Dtype, Executable, Program, Runtime, Tensor, create_execution_signature};
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::progress::{self, Cancel, EventKind, Progress};
use preheat_runtime::trace::Trace;
use preheat_runtime::{Error, Metric};
use serde_json::Value;
use support::demo::{copy_folder, demo_model};
use support::lab::{DOUBLE, SQUARE, library, until};
use support::random_model;
use support::{Lab, Preheat, in_child, repository};

fn runtime(lab: &Lab) -> preheat_runtime::RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

/// Compiles `text`.
fn executable(runtime: &Runtime, text: &str) -> Executable {
    let signature =
        create_execution_signature("steps", [1], 1, 1.0, "", 1, Dtype::Float32).unwrap();
    runtime.get_or_compile(&signature, &Program::sniff(text.as_bytes()).unwrap()).unwrap()
}

/// How often the host blocked until a buffer was ready.
fn waits(log: &[Entry]) -> usize {
    log.awaits(Origin::BufferReady)
}

/// Keeps the latest reported number of finished steps.
#[derive(Default)]
struct Told(AtomicUsize);

impl Progress for Told {
    fn event(&self, event: progress::Event) {
        if let EventKind::Step { done, .. } = event.kind {
            self.0.store(done, Ordering::SeqCst);
        }
    }
}

#[test]
fn the_host_waits_for_every_nth_step_and_not_at_all_for_none() {
    const STEPS: u64 = 12;
    in_child("the_host_waits_for_every_nth_step_and_not_at_all_for_none", Lab::sim, |lab| {
        let model = random_model::write_small("mixed", &lab.path("")).unwrap();
        let request = TextToImage {
            width: Some(64),
            height: Some(64),
            steps: STEPS,
            scheduler: Some("euler".to_owned()),
            seed: Some(1),
            ..TextToImage::new("a red fox")
        };
        let mut latents: Vec<Tensor> = Vec::new();
        // Recording metrics and a trace must not make the host wait either.
        for (every, recorded) in
            [(0, false), (0, true), (1, false), (5, false), (5, true), (12, false), (50, false)]
        {
            let mut builder = runtime(lab).sync_steps(every);
            if recorded {
                builder = builder.metrics(true).trace(Trace::default());
            }
            let runtime = builder.build().unwrap();
            let pipeline = Pipeline::builder().warmup_steps(0).open(&runtime, &model).unwrap();
            let before = lab.log().len();
            let made = pipeline.run(&request).unwrap();
            let log = lab.log().split_off(before);
            let runs: Vec<usize> = (0..log.len()).filter(|&at| executed(&log[at])).collect();
            // Two runs of the text encoder (the prompt and the empty one), the steps, and the
            // decoder.
            assert_eq!(runs.len() as u64, 2 + STEPS + 1);
            let (first, decoder) = (runs[2], runs[runs.len() - 1]);
            let wanted = if every == 0 { 0 } else { STEPS.div_ceil(every as u64) };
            let case = format!("--tpu-sync-steps {every}, recorded {recorded}");
            assert_eq!(waits(&log[first..decoder]) as u64, wanted, "{case}");
            // Results are read after the last step, and never before.
            let last = runs[runs.len() - 2];
            assert_eq!(log[first..last].count(Place::DeviceToHost, |_| true), 0, "{case}");
            assert_eq!(
                log[last..decoder].count(Place::DeviceToHost, |outcome| *outcome == Outcome::Ok),
                1,
                "{case}"
            );
            latents.push(made.latents);
        }
        assert!(
            latents.iter().all(|one| one.bytes() == latents[0].bytes()),
            "waiting must not change what is computed"
        );
    });
}

/// The blend that keeps a part of a picture runs on the device, too.
#[test]
fn the_host_waits_for_nothing_while_a_part_of_a_picture_is_kept() {
    const STEPS: usize = 6;
    in_child("the_host_waits_for_nothing_while_a_part_of_a_picture_is_kept", Lab::sim, |lab| {
        let model = random_model::write_small("mixed", &lab.path("")).unwrap();
        let file = |name: &str| Some(repository(&format!("tests/fixtures/images/{name}")));
        let request = TextToImage {
            width: Some(64),
            height: Some(64),
            steps: STEPS as u64,
            scheduler: Some("unipc".to_owned()),
            image: file("photo.png"),
            mask: file("mask.png"),
            ..TextToImage::new("a red fox")
        };
        let runtime = runtime(lab).build().unwrap();
        let pipeline = Pipeline::builder().warmup_steps(0).open(&runtime, &model).unwrap();
        let before = lab.log().len();
        pipeline.run(&request).unwrap();
        let log = lab.log().split_off(before);
        let runs: Vec<usize> = (0..log.len()).filter(|&at| executed(&log[at])).collect();
        // Two runs of the text encoder, one of the VAE's encoder, a step and a blend for each step,
        // and the decoder.
        assert_eq!(runs.len(), 2 + 1 + 2 * STEPS + 1);
        let (first, last) = (runs[3], runs[runs.len() - 2]);
        assert_eq!(waits(&log[first..last]), 0);
        assert_eq!(log[first..last].count(Place::DeviceToHost, |_| true), 0);
    });
}

fn executed(entry: &Entry) -> bool {
    matches!(entry.event, Event::Execute { .. }) && entry.outcome == Outcome::Ok
}

#[test]
fn no_more_than_two_steps_are_in_flight() {
    const SIDE: usize = 768;
    in_child("no_more_than_two_steps_are_in_flight", Lab::sim, |lab| {
        let told = Arc::new(Told::default());
        let runtime = runtime(lab).progress(told.clone()).build().unwrap();
        // The product is large enough for the device to compute it on its own threads. So the call
        // returns before the product is done.
        let product = format!(
            "func.func public @main(%x: tensor<{SIDE}x{SIDE}xf32>) -> tensor<{SIDE}x{SIDE}xf32> {{
               %y = stablehlo.dot_general %x, %x, contracting_dims = [1] x [0]
                 : (tensor<{SIDE}x{SIDE}xf32>, tensor<{SIDE}x{SIDE}xf32>) -> tensor<{SIDE}x{SIDE}xf32>
               return %y : tensor<{SIDE}x{SIDE}xf32>
             }}"
        );
        let product = executable(&runtime, &product);
        let mut latents = runtime.to_device(&product.zeros().unwrap()[0]).unwrap();
        let mut boundary = runtime.step_boundary("product").total(8);
        for index in 0_usize..8 {
            let step = boundary.begin().unwrap();
            let done = told.0.load(Ordering::SeqCst);
            assert!(done + 2 > index, "step {index} begins, and only {done} are done");
            latents = product.run([&latents]).unwrap().remove(0);
            step.until(&latents).unwrap();
        }
        let times = boundary.finish().unwrap();
        assert_eq!(told.0.load(Ordering::SeqCst), 8);
        assert_eq!(waits(&lab.log()), 0);
        assert!(times.p50_seconds > 0.0 && times.p50_seconds <= times.p99_seconds, "{times:?}");
    });
}

#[test]
fn a_step_is_as_long_as_it_takes() {
    const DELAY: f64 = 0.4;
    // One of ten steps is slower than the others.
    let sim =
        |lab: &Lab| lab.sim().delay(Place::Execute, When::Nth(4), Duration::from_secs_f64(DELAY));
    in_child("a_step_is_as_long_as_it_takes", sim, |lab| {
        let runtime = runtime(lab).metrics(true).build().unwrap();
        let double = executable(&runtime, DOUBLE);
        let mut x = runtime.to_device(&double.zeros().unwrap()[0]).unwrap();
        let mut boundary = runtime.step_boundary("doubling");
        for _ in 0..10 {
            let step = boundary.begin().unwrap();
            x = double.run([&x]).unwrap().remove(0);
            step.until(&x).unwrap();
        }
        // A step does not count if it is dropped before `until` names the buffer that ends it.
        drop(boundary.begin().unwrap());
        let times = boundary.finish().unwrap();
        assert!(times.p99_seconds >= DELAY && times.p50_seconds < DELAY / 2.0, "{times:?}");
        assert!(times.first_seconds < DELAY && times.mean_seconds >= DELAY / 9.0, "{times:?}");
        let metrics = runtime.metrics();
        let steps = metrics.measured[&(Metric::StepTime, Some("doubling".to_owned()))];
        assert_eq!(
            (steps.samples, steps.p50, steps.p99),
            (10, times.p50_seconds, times.p99_seconds)
        );
        let executions = metrics.measured[&(Metric::ExecuteTime, Some("steps".to_owned()))];
        assert_eq!((executions.samples, lab.executes()), (10, 10));
        assert!(executions.p99 >= DELAY, "{executions:?}");
    });
}

#[test]
fn a_step_that_fails_and_one_that_nobody_wants_are_errors() {
    let sim = |lab: &Lab| lab.sim().fail(Place::Execute, When::Nth(2));
    in_child("a_step_that_fails_and_one_that_nobody_wants_are_errors", sim, |lab| {
        let cancel = Cancel::default();
        let runtime = runtime(lab).cancel(cancel.clone()).sync_steps(1).build().unwrap();
        let double = executable(&runtime, DOUBLE);
        let x = runtime.to_device(&double.zeros().unwrap()[0]).unwrap();
        let mut boundary = runtime.step_boundary("doubling").of("a model", "a stage");
        let step = boundary.begin().unwrap();
        step.until(&double.run([&x]).unwrap()[0]).unwrap();
        let step = boundary.begin().unwrap();
        assert!(double.run([&x]).is_err());
        drop(step);
        cancel.cancel();
        assert!(matches!(boundary.begin().unwrap_err(), Error::Cancelled));
        assert!(boundary.finish().unwrap().first_seconds > 0.0, "the step before counts");
    });
}

/// A test environment (`Lab`) with a file that contains [`DOUBLE`].
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    (lab, program)
}

/// The bytes that went to the device, and the bytes that came from it, by the plugin's log.
fn transferred(log: &[Entry]) -> [usize; 2] {
    let done = log.iter().filter(|entry| entry.outcome == Outcome::Ok);
    done.fold([0, 0], |[out, back], entry| match entry.event {
        Event::HostToDevice { bytes } => [out + bytes, back],
        Event::DeviceToHost { bytes } => [out, back + bytes],
        _ => [out, back],
    })
}

/// Asserts that the metrics agree with the plugin's log about every figure that both have.
#[track_caller]
fn agrees(metrics: &Value, log: &[Entry]) {
    let figure = |name: &str| metrics.get(name).map_or(0.0, |value| value.as_f64().unwrap());
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    let [sent, received] = transferred(log);
    let transfers = |place| count(log.count(place, |outcome| *outcome == Outcome::Ok));
    for (name, wanted) in [
        ("CompileTime.samples", count(log.compiles())),
        ("UncachedCompile", count(log.compiles())),
        ("PersistentCacheMiss", count(log.compiles())),
        ("PersistentCacheLoad.samples", count(log.deserializes())),
        ("PersistentCacheHit", count(log.deserializes())),
        ("ExecuteTime.samples", count(log.executes())),
        ("OutboundData.bytes", count(sent)),
        ("OutboundData.samples", transfers(Place::HostToDevice)),
        ("TransferToDeviceTime.samples", transfers(Place::HostToDevice)),
        ("InboundData.bytes", count(received)),
        ("TransferFromDeviceTime.samples", transfers(Place::DeviceToHost)),
    ] {
        assert!(
            (figure(name) - wanted).abs() < 0.5,
            "{name} is {}, and {wanted} by the log",
            figure(name)
        );
    }
}

#[test]
fn metrics_say_what_the_plugin_did() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    for (words, rest) in [
        ("program run", vec![&program]),
        ("program run", vec![&program]),
        ("program run", vec![&square]),
        ("warmup --force-recompile --program", vec![&program]),
    ] {
        let before = lab.log().len();
        let run =
            lab.preheat(&lab.sim()).words("--json --tpu-debug-metrics").words(words).args(rest);
        let metrics = run.run().done().json()["metrics"].clone();
        agrees(&metrics, &lab.log()[before..]);
        // If there is one program, its figures have no name in front.
        assert!(metrics["flops"].as_f64().unwrap() >= 4.0, "{metrics}");
        assert!(metrics["instructions"].as_f64().unwrap() >= 2.0, "{metrics}");
    }
    // If there are several programs, each one's figures have its name in front.
    let run =
        lab.preheat(&lab.sim()).words("--json --tpu-debug-metrics warmup --program").arg(&program);
    let metrics = run.arg("--program").arg(&square).run().done().json()["metrics"].clone();
    assert!(metrics["double.flops"].as_f64().unwrap() >= 4.0, "{metrics}");
    assert_eq!(metrics["square.ExecuteTime.samples"], 1.0);
}

#[test]
fn a_devices_memory_is_told_where_the_plugin_tells() {
    let (lab, program) = lab();
    let sim = lab.sim().pose("v5e:1x1").memory_limit(1 << 30);
    let run = lab
        .preheat_tpu(&sim)
        .words("--json --tpu-debug-metrics program run")
        .arg(&program)
        .run()
        .done();
    assert_eq!(run.json()["metrics"]["device.bytes_limit"], f64::from(1_u32 << 30));
    let run = lab
        .preheat(&lab.sim())
        .words("--json --tpu-debug-metrics program run")
        .arg(&program)
        .run()
        .done();
    assert_eq!(run.json()["metrics"].get("device.bytes_limit"), None);
}

/// A span of a trace: its row, its name, and when it began and ended, in microseconds.
#[derive(Debug, Clone)]
struct Span {
    row: String,
    name: String,
    began: f64,
    ended: f64,
    unfinished: bool,
}

impl Span {
    fn holds(&self, other: &Self) -> bool {
        // In the file, times are rounded to fractions of a microsecond.
        self.began <= other.began + 0.01 && other.ended <= self.ended + 0.01
    }
}

/// Reads a trace, and asserts that two spans on one thread are either nested or do not overlap.
#[track_caller]
fn read_trace(lab: &Lab, name: &str) -> Vec<Span> {
    let document: Value = serde_json::from_slice(&std::fs::read(lab.path(name)).unwrap()).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let named = events.iter().filter(|event| event["name"] == "thread_name");
    let rows: BTreeMap<u64, &str> = named
        .map(|event| (event["tid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap()))
        .collect();
    let mut threads: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (began, took) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        assert!(began >= 0.0 && took >= 0.0, "{event}");
        let tid = event["tid"].as_u64().unwrap();
        threads.entry(tid).or_default().push(Span {
            row: rows[&tid].to_owned(),
            name: event["name"].as_str().unwrap().to_owned(),
            began,
            ended: began + took,
            unfinished: event["args"]["unfinished"] == true,
        });
    }
    for spans in threads.values() {
        for (at, one) in spans.iter().enumerate() {
            for other in &spans[at + 1..] {
                let apart = one.ended <= other.began + 0.01 || other.ended <= one.began + 0.01;
                assert!(
                    apart || one.holds(other) || other.holds(one),
                    "{one:?} and {other:?} cross"
                );
            }
        }
    }
    threads.into_values().flatten().collect()
}

/// The spans with this name on one row, or on the rows of its other threads.
fn on<'a>(spans: &'a [Span], row: &str, name: &str) -> Vec<&'a Span> {
    let beside = format!("{row} (");
    let is_on =
        |span: &&Span| (span.row == row || span.row.starts_with(&beside)) && span.name == name;
    spans.iter().filter(is_on).collect()
}

/// `preheat run` on the demo model with three steps.
fn run(lab: &Lab, words: &str) -> Preheat {
    let run = lab.quick(&lab.sim()).words(words);
    run.words("run --prompt seven --scheduler euler --steps 3 --seed 7")
        .arg("--model")
        .arg(demo_model())
}

#[test]
fn a_trace_shows_what_a_run_did_on_rows_that_nest() {
    let lab = Lab::new();
    let cold = run(&lab, "--json --tpu-debug-metrics --trace cold.json").run().done().json();
    agrees(&cold["metrics"], &lab.log());
    let spans = read_trace(&lab, "cold.json");
    for stage in ["text_encoder", "denoiser", "vae_decoder"] {
        let [request] = on(&spans, stage, "request")[..] else { panic!("{stage}: {spans:#?}") };
        let [compile] = on(&spans, stage, "compile")[..] else { panic!("{stage}: {spans:#?}") };
        assert!(request.holds(compile) && on(&spans, stage, "load").is_empty());
        assert_eq!(on(&spans, "weights", stage).len(), 1);
    }
    let before = lab.log().len();
    let warm = run(&lab, "--json --tpu-debug-metrics --trace warm.json").run().done().json();
    agrees(&warm["metrics"], &lab.log()[before..]);
    let spans = read_trace(&lab, "warm.json");
    for stage in ["text_encoder", "denoiser", "vae_decoder"] {
        let [request] = on(&spans, stage, "request")[..] else { panic!("{stage}: {spans:#?}") };
        let [load] = on(&spans, stage, "load")[..] else { panic!("{stage}: {spans:#?}") };
        assert!(request.holds(load) && on(&spans, stage, "compile").is_empty());
    }
    let steps = on(&spans, "steps: diffusion_step", "diffusion_step");
    assert_eq!((steps.len(), on(&spans, "host", "diffusion_step").len()), (3, 3));
    // The device ran the steps one after the other.
    assert!(steps.windows(2).all(|pair| pair[0].ended <= pair[1].began + 0.01), "{steps:#?}");
    assert_eq!(on(&spans, "steps: encode_prompt", "encode_prompt").len(), 2);
    let [decode] = on(&spans, "steps: decode", "decode")[..] else { panic!("{spans:#?}") };
    assert!(steps.iter().all(|step| step.ended <= decode.began + 0.01));
    for (stage, times) in [("text_encoder", 2), ("denoiser", 3), ("vae_decoder", 1)] {
        assert_eq!(on(&spans, "device", stage).len(), times, "{stage}");
    }
    let log = lab.log().split_off(before);
    let transfers = |place| log.count(place, |outcome| *outcome == Outcome::Ok);
    assert_eq!(on(&spans, "to device", "transfer").len(), transfers(Place::HostToDevice));
    assert_eq!(on(&spans, "from device", "transfer").len(), transfers(Place::DeviceToHost));
    assert_eq!(warm["metrics"]["diffusion_step.StepTime.samples"], 3.0);
    assert_eq!(warm["metrics"]["decode.StepTime.samples"], 1.0);
    assert!(warm["metrics"]["denoiser.fusions"].as_f64().unwrap() > 10.0, "kept from the compile");
    // The figures are the same as in the process that compiled the executable.
    assert_eq!(warm["metrics"]["denoiser.instructions"], cold["metrics"]["denoiser.instructions"]);
    // A warmup of two sizes has two graphs for the same stage.
    let store = lab.path("two");
    copy_folder(&lab.cache(), &store);
    let warmup = lab.quick(&lab.sim()).env("PREHEAT_CACHE_DIR", &store);
    let warmup = warmup.words(
        "--json --tpu-debug-metrics --trace sizes.json warmup --resolutions 64x64,64x128 --model",
    );
    let metrics = warmup.arg(demo_model()).run().done().json()["metrics"].clone();
    let of_decoders = |name: &&String| {
        name.split(['.', '@']).next() == Some("vae_decoder") && name.contains(".flops")
    };
    assert_eq!(metrics.as_object().unwrap().keys().filter(of_decoders).count(), 2, "{metrics}");
    assert_eq!(on(&read_trace(&lab, "sizes.json"), "vae_decoder", "compile").len(), 1);
}

#[test]
fn a_run_that_is_interrupted_or_fails_leaves_a_trace_of_how_far_it_came() {
    let (lab, program) = lab();
    let slow = lab.sim().compile_delay(Duration::from_mins(1));
    let started = lab.preheat(&slow).words("--trace trace.json program run").arg(&program).start();
    until("a compile", || lab.compiles() == 1);
    started.signal("INT");
    started.wait().ended(130);
    let spans = read_trace(&lab, "trace.json");
    let [compile] = on(&spans, "double", "compile")[..] else { panic!("{spans:#?}") };
    assert!(compile.unfinished && compile.ended > compile.began);
    let fails = lab.sim().fail(Place::Execute, When::Each);
    lab.preheat(&fails)
        .words("--no-tpu-warmup --trace trace.json program run")
        .arg(&program)
        .run()
        .ended(1);
    let spans = read_trace(&lab, "trace.json");
    assert!(on(&spans, "double", "compile").iter().all(|compile| !compile.unfinished));
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error_before_anything_is_compiled() {
    let (lab, program) = lab();
    std::fs::create_dir(lab.path("folder")).unwrap();
    for path in ["no/such/folder/trace.json", "folder", "folder/"] {
        let run =
            lab.preheat(&lab.sim()).words("program run").arg(&program).arg("--trace").arg(path);
        run.run().ended(1).says(&["writing the trace to", path]);
    }
    lab.preheat(&lab.sim())
        .words("--trace trace.json cache stats")
        .run()
        .ended(2)
        .says(&["--trace"]);
    lab.preheat(&lab.sim())
        .words("--trace trace.json --device nonsense run --prompt x")
        .run()
        .ended(2);
    assert_eq!(
        (lab.log().len(), lab.path("trace.json").exists()),
        (0, false),
        "if nothing was done, no trace is written"
    );
    assert_eq!(std::fs::read_dir(lab.path("folder")).unwrap().count(), 0);
}

#[test]
fn a_number_of_steps_that_is_none_is_wrong_usage() {
    let (lab, program) = lab();
    for number in ["-1", "1.5", "many", "4294967296"] {
        let run = lab
            .preheat(&lab.sim())
            .words("program run")
            .arg(&program)
            .arg("--tpu-sync-steps")
            .arg(number);
        run.run().ended(2).says(&["--tpu-sync-steps", number]);
    }
    lab.preheat(&lab.sim()).words("--tpu-sync-steps 3 program run").arg(&program).run().done();
}

#[test]
fn a_trace_is_whole_whenever_it_is_written() {
    let (lab, trace) = (Lab::new(), Trace::default());
    std::thread::scope(|scope| {
        for row in ["one", "other"] {
            let trace = trace.clone();
            scope.spawn(move || {
                for _ in 0..100 {
                    let outer = trace.begin(row, "outer");
                    drop(trace.begin(row, "inner"));
                    drop(outer);
                }
            });
        }
        for _ in 0..5 {
            trace.write(&lab.path("trace.json")).unwrap();
            read_trace(&lab, "trace.json");
        }
    });
    trace.write(&lab.path("trace.json")).unwrap();
    assert_eq!(read_trace(&lab, "trace.json").len(), 400);
}
