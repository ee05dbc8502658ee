//! Do `preheat devices bench` and `devices tune` measure what they say? The tests measure XLA's
//! devices, with the binary over the test plugin. The tests on libtorch's devices are in
//! `tests/torch_runs/`.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::{Duration, Instant};

use pjrt_sim::{Event, Place, Sim, When};
use serde_json::{Value, json};
use support::demo::{demo_model, denoiser_runs};
use support::lab::until;
use support::schema::assert_matches;
use support::{Lab, Preheat, Ran, xla_cpu_plugin};

/// `preheat` with these words on the demo model, as on a machine without libtorch.
fn command(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    lab.quick(sim)
        .env("PREHEAT_TORCH_BACKEND", "/nowhere")
        .words(words)
        .arg("--model")
        .arg(demo_model())
}

/// Runs `preheat --json devices bench` with two steps, and with `words` as further arguments.
fn bench(lab: &Lab, sim: &Sim, words: &str) -> Ran {
    command(lab, sim, "--json devices bench")
        .words("--scheduler euler --steps 2")
        .words(words)
        .run()
}

fn rows(document: &Value) -> &Vec<Value> {
    document["devices"].as_array().unwrap()
}

/// Asserts that the figures of a row are plausible for a run.
#[track_caller]
fn assert_measured(row: &Value) {
    for figure in ["ready_seconds", "seconds_per_step", "seconds_per_image"] {
        assert!(row[figure].as_f64().unwrap() > 0.0, "{figure}: {row}");
    }
    // A step is shorter than a picture, and a process with XLA and a model takes some megabytes.
    assert!(row["seconds_per_step"].as_f64() < row["seconds_per_image"].as_f64(), "{row}");
    assert!(row["peak_memory"]["bytes"].as_u64().unwrap() > 10 << 20, "{row}");
}

#[test]
fn a_device_twice_agrees_with_itself_and_compiles_once() {
    let lab = Lab::new();
    let (ran, compiles) =
        lab.counting(|| bench(&lab, &lab.sim(), "--devices xla-cpu,xla-cpu").done());
    assert_eq!(compiles, 3, "the demo model has three stages");
    let document = ran.json();
    assert_matches("devices_bench", &document);
    assert_eq!(
        (&document["model_id"], &document["requested_size"]),
        (&"demo-model".into(), &json!([64, 64]))
    );
    assert_eq!(
        (&document["batch"], &document["steps"], &document["seed"]),
        (&1.into(), &2.into(), &0.into())
    );
    assert_eq!(document["reference"], json!({ "device": "xla-cpu", "dtype": "float32" }));
    let rows = rows(&document);
    assert_eq!(rows.len(), 2);
    for (row, compiled) in rows.iter().zip([3, 0]) {
        assert_measured(row);
        assert_eq!((&row["device"], &row["measured"]), (&"xla-cpu".into(), &true.into()));
        let start = &row["first_start"];
        assert_eq!((&start["stages"], &start["compiled_stages"]), (&3.into(), &compiled.into()));
        assert!(start["ready_seconds"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["peak_memory"]["of"], "process", "the CPU's memory is the process's");
        assert_eq!(
            row["dtypes"],
            json!({ "text_encoder": "float32", "denoiser": "float32", "vae_decoder": "float32" })
        );
        let agreement = json!({
            "largest_difference": 0.0, "psnr_db": null, "pictures_are_the_same": true, "least_psnr_db": 45.0, "is_within": true,
        });
        assert_eq!(row["agreement"], agreement);
    }
    // Each device is measured in two processes: one only starts, the other runs, and neither of
    // them is the command itself.
    let log = lab.log();
    let processes: std::collections::BTreeSet<u32> = log
        .iter()
        .filter(|entry| matches!(entry.event, Event::Execute { .. }))
        .map(|entry| entry.pid)
        .collect();
    assert_eq!(processes.len(), 4);
    lab.assert_nothing_half_written();
}

#[test]
fn a_device_that_strays_past_the_bound_is_an_error_with_the_figures() {
    let lab = Lab::new();
    let words = "--devices xla-cpu --precision bf16";
    let ran = bench(&lab, &lab.sim(), &format!("{words} --min-psnr 90")).ended(1);
    let ran = ran.says(&[
        "differ too much from the picture of xla-cpu in float32",
        "the PSNR of xla-cpu is ",
        "at least 90 dB are required",
        "hint: --min-psnr",
    ]);
    let document = ran.json();
    let agreement = &rows(&document)[0]["agreement"];
    assert_eq!(
        (&agreement["least_psnr_db"], &agreement["is_within"]),
        (&90.0.into(), &false.into())
    );
    let decibels = agreement["psnr_db"].as_f64().unwrap();
    assert!((35.0..90.0).contains(&decibels), "{agreement}");
    assert!(agreement["largest_difference"].as_f64().unwrap() > 1e-4, "{agreement}");
    assert!(ran.stderr.contains(&format!("{decibels:.1} dB")), "{}", ran.stderr);

    // The picture is near enough for the limit of bfloat16. Everything is warm by now, including
    // the reference.
    let table = command(&lab, &lab.no_compiles(), "devices bench --scheduler euler --steps 2")
        .words(words)
        .run()
        .done();
    for wanted in [
        "against xla-cpu in float32",
        "bfloat16",
        "(warm)",
        "(process)",
        "35 dB",
        &format!("{decibels:.1} dB"),
    ] {
        assert!(table.stdout.contains(wanted), "{wanted} is not in: {}", table.stdout);
    }
}

#[test]
fn unlike_devices_are_set_side_by_side_each_with_its_own_dtype_bound_and_memory() {
    let lab = Lab::new();
    let tpu =
        lab.quick_tpu(&lab.sim().pose("v5e:1x1")).env("PREHEAT_XLA_CPU_PLUGIN", xla_cpu_plugin());
    let words =
        "--json devices bench --devices tpu,xla-cpu --scheduler euler --steps 2 --batch 2 --model";
    let ran =
        tpu.env("PREHEAT_TORCH_BACKEND", "/nowhere").words(words).arg(demo_model()).run().done();
    let document = ran.json();
    assert_eq!(
        (&document["reference"]["device"], &document["batch"]),
        (&"xla-cpu".into(), &2.into())
    );
    let [tpu, cpu] = &rows(&document)[..] else { panic!("{document}") };
    assert_eq!((&tpu["device"], &tpu["dtypes"]["denoiser"]), (&"tpu".into(), &"bfloat16".into()));
    assert_eq!(
        (&tpu["agreement"]["least_psnr_db"], &cpu["agreement"]["least_psnr_db"]),
        (&35.0.into(), &45.0.into())
    );
    assert!(tpu["agreement"]["psnr_db"].as_f64().unwrap() >= 35.0, "{tpu}");
    assert_eq!(cpu["agreement"]["pictures_are_the_same"], true);
    assert_measured(cpu);
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_runs() {
    let lab = Lab::new();
    for (words, status, says) in [
        ("--devices banana", 2, "unknown device `banana`"),
        ("--devices xla-cpu,", 2, "unknown device ``"),
        ("--devices=", 2, "--devices <NAMES>"),
        ("--devices mlx", 2, "MLX is a framework of its own"),
        ("--devices auto", 2, "auto is not one device"),
        ("--devices xla-cpu,xla-cuda", 1, "device `xla-cuda` cannot be used"),
        ("--devices xla-cpu,cpu", 1, "device `cpu` runs through libtorch, which cannot be used"),
        ("--devices xla-cpu --min-psnr -3", 2, "--min-psnr"),
        ("--devices xla-cpu --min-psnr NaN", 2, "give a number of decibels, 0 or more"),
        ("--devices xla-cpu --batch auto", 2, "--batch auto"),
        ("--devices xla-cpu --batch 1,2", 2, "--batch takes one number"),
        ("--devices xla-cpu --trace t.json", 2, "--trace"),
    ] {
        let ran = bench(&lab, &lab.sim(), words).ended(status).says(&[says]);
        assert_eq!(ran.stdout, "", "{words}");
    }
    let no_model =
        lab.bare().words("devices bench --devices xla-cpu --model /no/such/folder").run().ended(1);
    no_model.says(&["there is no model folder /no/such/folder", "hint: "]);
    for (words, status, says) in [
        ("--batch 2", 2, "tune tries several batches"),
        ("--most 0", 2, "--most"),
        ("--devices xla-cuda", 1, "device `xla-cuda` cannot be used"),
        ("--width 7 --height 64", 2, "width is 7"),
    ] {
        let ran = command(&lab, &lab.sim(), "devices tune")
            .words(words)
            .run()
            .ended(status)
            .says(&[says]);
        assert_eq!(ran.stdout, "", "{words}");
    }
    assert_eq!((lab.compiles(), lab.executes()), (0, 0));
}

#[test]
fn a_request_that_no_device_can_serve_is_wrong_usage() {
    let lab = Lab::new();
    let ran = bench(&lab, &lab.sim(), "--devices xla-cpu,xla-cpu --width 7 --height 64").ended(2);
    let ran = ran.says(&["width is 7", "device `xla-cpu` could not be measured"]);
    assert_eq!((ran.stdout.as_str(), lab.compiles()), ("", 0));
}

#[test]
fn a_device_that_fails_keeps_no_other_from_being_measured() {
    let lab = Lab::new();
    let broken = lab.quick_tpu(&lab.sim().pose("v5e:1x1").fail(Place::Execute, When::Each));
    let broken = broken
        .env("PREHEAT_XLA_CPU_PLUGIN", xla_cpu_plugin())
        .env("PREHEAT_TORCH_BACKEND", "/nowhere");
    let words = "--json devices bench --devices tpu,xla-cpu --scheduler euler --steps 2 --model";
    let ran = broken.words(words).arg(demo_model()).run().ended(1);
    let ran =
        ran.says(&["device `tpu` could not be measured: the child process ended with status 1"]);
    let document = ran.json();
    assert_eq!(
        (&rows(&document)[0]["device"], &rows(&document)[0]["measured"]),
        (&"tpu".into(), &false.into())
    );
    assert_measured(&rows(&document)[1]);

    // If nothing was measured, nothing is printed.
    let alone =
        bench(&lab, &lab.sim().fail(Place::Execute, When::Each), "--devices xla-cpu").ended(1);
    assert_eq!(alone.says(&["device `xla-cpu` could not be measured"]).stdout, "");
}

#[test]
fn without_names_every_device_that_is_here_is_measured_and_the_others_say_why_not() {
    let lab = Lab::new();
    let ran = command(&lab, &lab.sim(), "--json devices bench --steps 1")
        .env("PREHEAT_DEVICE", "auto")
        .run()
        .done();
    let document = ran.json();
    for row in rows(&document) {
        if row["device"] == "xla-cpu" {
            assert_measured(row);
        } else {
            assert_eq!(row["measured"], false);
            assert!(!row["reason"].as_str().unwrap().is_empty(), "{row}");
        }
    }
    let named = |name: &str| rows(&document).iter().filter(|row| row["device"] == name).count();
    assert_eq!(["xla-cpu", "tpu", "cuda", "cpu"].map(named), [1; 4]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_bench_prints_nothing_and_leaves_no_process() {
    for at_once in [true, false] {
        let lab = Lab::new();
        let slow = lab.sim().compile_delay(Duration::from_secs(30));
        let words = "--json devices bench --devices xla-cpu";
        std::fs::create_dir(lab.path("temporary")).unwrap();
        let going_on =
            command(&lab, &slow, words).env("TMPDIR", lab.path("temporary")).start_a_group();
        until("a compile", || lab.compiles() > 0);
        let child = lab
            .log()
            .iter()
            .find(|entry| matches!(entry.event, Event::Compile { .. }))
            .unwrap()
            .pid;
        assert_ne!(child, going_on.id());
        let begun = Instant::now();
        // A terminal signals all processes at once; a person with `kill` signals only one.
        if at_once {
            going_on.signal_group("INT");
        } else {
            going_on.signal("INT");
        }
        let ran = going_on.wait().ended(130).says(&["interrupted"]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(ran.stdout, "");
        until("the end of the measuring process", || !is_running(child));
        assert_eq!(
            std::fs::read_dir(lab.path("temporary")).unwrap().count(),
            0,
            "the temporary folder of the measuring process is left"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_bench_that_is_killed_takes_the_measuring_process_along() {
    let lab = Lab::new();
    let slow = lab.sim().compile_delay(Duration::from_secs(30));
    let words = "devices bench --devices xla-cpu";
    std::fs::create_dir(lab.path("temporary")).unwrap();
    let going_on = command(&lab, &slow, words).env("TMPDIR", lab.path("temporary")).start();
    until("a compile", || lab.compiles() > 0);
    let child =
        lab.log().iter().find(|entry| matches!(entry.event, Event::Compile { .. })).unwrap().pid;
    going_on.signal("KILL");
    assert_eq!(going_on.wait().status, None);
    until("the end of the measuring process", || !is_running(child));
    assert_eq!(std::fs::read_dir(lab.path("temporary")).unwrap().count(), 0, "a folder is left");
}

/// Whether a process exists and is not a zombie.
#[cfg(unix)]
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[test]
fn tuning_runs_each_batch_and_advises_the_fastest() {
    let lab = Lab::new();
    let words = "--json devices tune --most 2 --scheduler euler --steps 50";
    let document = command(&lab, &lab.sim(), words).run().done().json();
    assert_matches("devices_tune", &document);
    assert_eq!((&document["model_id"], &document["steps"]), (&"demo-model".into(), &50.into()));
    let [device] = &rows(&document)[..] else { panic!("{document}") };
    assert_eq!(
        (&device["device"]["selected"], &device["range"]),
        (&"xla-cpu".into(), &json!([1, 2]))
    );
    let tried = device["tried"].as_array().unwrap();
    assert_eq!(tried.iter().map(|one| one["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for one in tried {
        let figure = |name: &str| one[name].as_f64().unwrap();
        assert_eq!(one["fits"], true);
        // The time covers fifty steps, the decoding of every picture, and something more.
        let batch = figure("batch");
        let least = 50.0 * figure("seconds_per_step") + batch * figure("decode_seconds_per_image");
        let of_request = batch / figure("images_per_second");
        assert!(least <= of_request && of_request < 10.0 * least, "{one}");
    }
    let best = tried.iter().max_by(|a, b| {
        let rate = |one: &Value| one["images_per_second"].as_f64().unwrap();
        rate(a).total_cmp(&rate(b))
    });
    assert_eq!(device["best"]["batch"], best.unwrap()["batch"]);
    // Each batch runs one step on zeros and five steps of the request, although the request has
    // fifty steps.
    assert_eq!((denoiser_runs(&lab.log()), lab.compiles()), (2 * (1 + 5), 3 + 1));
}

#[test]
fn a_batch_that_runs_out_of_memory_ends_the_climb() {
    let lab = Lab::new();
    // A single picture takes eleven executions: three on zeros, two for prompts, five steps and a
    // decoding. From the twelfth on, the device has no memory left.
    let full = |log: &str| {
        let sim = Sim::new(xla_cpu_plugin()).log(lab.path(log));
        sim.out_of_memory(Place::Execute, When::From(3 + 2 + 5 + 1 + 1))
    };
    let ran =
        command(&lab, &full("log"), "--json devices tune --most 4 --scheduler euler").run().done();
    let document = ran.json();
    let [device] = &rows(&document)[..] else { panic!("{document}") };
    let tried = device["tried"].as_array().unwrap();
    assert_eq!(
        tried.iter().map(|one| one["fits"].as_bool().unwrap()).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(tried[1]["reason"].as_str().unwrap().contains("memory"), "{}", tried[1]);
    assert_eq!(device["best"]["batch"], 1);
    let table =
        command(&lab, &full("another-log"), "devices tune --most 4 --scheduler euler").run().done();
    assert!(table.stdout.contains("best on xla-cpu: --batch 1, "), "{}", table.stdout);

    // If not even one picture fits, the command recommends no batch.
    let never = lab.sim().out_of_memory(Place::Execute, When::Each);
    let ran = command(&lab, &never, "devices tune --scheduler euler").run().ended(1);
    assert!(ran.stdout.contains("xla-cpu: not even a single picture fits"), "{}", ran.stdout);
}
