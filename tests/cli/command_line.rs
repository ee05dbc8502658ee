//! Does the command line do what it says? The tests check its JSON, signals, statistics and flags,
//! with the binary over the test plugin.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pjrt_sim::{Count, When};
use serde_json::Value;
use support::lab::{DOUBLE, SQUARE, files_under, until};
use support::tensors::{read_f32, write_f32};
use support::{Lab, Ran};

const SIZE: &str = "--model-id m --width 1000 --height 1000 --cfg-scale 7.5 --scheduler euler --steps 20 --dtype bf16";

/// A test environment (`Lab`) with a program in it.
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    (lab, program)
}

/// The names in an object, in order.
fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[track_caller]
fn assert_names(value: &Value, wanted: &str) {
    let mut wanted: Vec<&str> = wanted.split_whitespace().collect();
    wanted.sort_unstable();
    assert_eq!(names(value), wanted);
}

fn stats(lab: &Lab) -> Value {
    lab.bare().words("--json cache stats").run().done().silent().json()
}

const RUN: &str =
    "device signature requested_size padded_size crop_origin stages timings images warnings";
const STAGE: &str = "model_id stage graph_key source match compile_seconds compile_peak_bytes \
                     load_seconds wait_seconds effort";

#[test]
fn json_of_a_program_run_has_the_names_of_the_contract() {
    let (lab, program) = lab();
    for source in ["compiled", "disk"] {
        let run = lab
            .preheat(&lab.sim())
            .words("--json program run")
            .arg(&program)
            .words(SIZE)
            .run()
            .done()
            .json();
        assert_names(&run, RUN);
        assert_names(&run["device"], "requested selected reason kind");
        let signature = &run["signature"];
        assert_names(
            signature,
            "model_id input_shape batch_size cfg_scale scheduler steps dtype digest",
        );
        assert_names(
            &run["timings"],
            "executables_ready_seconds weights_ready_seconds first_step_seconds seconds_per_step total_seconds",
        );
        assert_eq!(signature["input_shape"], serde_json::json!([1, 4, 128, 128]));
        assert_eq!((&signature["dtype"], &signature["steps"]), (&"bfloat16".into(), &20.into()));
        assert_eq!(run["requested_size"], serde_json::json!([1000, 1000]));
        assert_eq!(run["padded_size"], serde_json::json!([1024, 1024]));
        assert_eq!(run["crop_origin"], serde_json::json!([0, 0]));
        assert_eq!(run["images"], serde_json::json!([]));
        assert_eq!(run["warnings"], serde_json::json!([]));
        let stage = &run["stages"][0];
        assert_names(stage, STAGE);
        assert_eq!(stage["source"], source);
        assert_eq!(stage["graph_key"].as_str().unwrap().len(), 64);
        let seconds = |name: &str| run["timings"][name].as_f64().unwrap();
        assert!(seconds("executables_ready_seconds") > 0.0);
        assert!(seconds("weights_ready_seconds") >= seconds("executables_ready_seconds"));
        assert!(
            seconds("total_seconds") >= seconds("first_step_seconds")
                && seconds("first_step_seconds") > 0.0
        );
        assert_eq!(stage["compile_seconds"].as_f64().unwrap() > 0.0, source == "compiled");
    }
    // A program without a size has the same fields in its JSON, with null.
    let run =
        lab.preheat(&lab.sim()).words("--json program compile").arg(&program).run().done().json();
    assert_names(&run, RUN);
    assert_eq!((&run["requested_size"], &run["crop_origin"]), (&Value::Null, &Value::Null));
    assert_eq!(run["signature"]["model_id"], "double");
}

#[test]
fn json_of_a_warmup_has_the_names_of_the_contract() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    let warm = lab
        .preheat(&lab.sim())
        .words("--json warmup --program")
        .arg(&program)
        .arg("--program")
        .arg(&square);
    let warm = warm.run().done().json();
    assert_names(&warm, RUN);
    for stage in warm["stages"].as_array().unwrap() {
        assert_names(stage, &format!("{STAGE} first_run_seconds kept"));
    }
    assert_eq!(warm["stages"].as_array().unwrap().len(), 2);
    assert_eq!((lab.compiles(), lab.executes()), (2, 2));
}

#[test]
fn json_of_a_lookup_has_the_names_of_the_contract() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    let lookup = || lab.preheat(&lab.sim()).words("--json lookup --program").arg(&program);
    let empty = lookup().run().ended(3).json();
    assert_names(&empty, "verdict stages");
    assert_names(
        &empty["stages"][0],
        "model_id stage verdict match graph_key expected_compile_seconds effort nearest",
    );
    assert_eq!(
        (&empty["verdict"], &empty["stages"][0]["verdict"]),
        (&"miss".into(), &"miss".into())
    );
    lab.preheat(&lab.sim()).words("program compile").arg(&program).run().done();
    let hit = lookup().run().done().json();
    assert_eq!(hit["verdict"], "hit");
    assert_names(
        &hit["stages"][0],
        "model_id stage verdict match graph_key expected_compile_seconds effort nearest",
    );
    let partial = lookup().arg("--program").arg(&square).run().ended(3).json();
    assert_eq!(partial["verdict"], "partial");
    let miss = &partial["stages"][1];
    assert_names(
        miss,
        "model_id stage verdict match graph_key expected_compile_seconds effort nearest",
    );
    assert_names(&miss["nearest"], "graph_key differences");
    assert_names(&miss["nearest"]["differences"][0], "field have want");
    assert_eq!(miss["nearest"]["graph_key"], hit["stages"][0]["graph_key"]);
    // Without the program, the look-up uses only the signature.
    let by_name =
        lab.preheat(&lab.sim()).words("--json lookup --model-id double").run().done().json();
    assert_eq!(
        (&by_name["verdict"], &by_name["stages"][0]["match"]),
        (&"hit".into(), &"exact".into())
    );
    lab.preheat(&lab.sim()).words("--json lookup --model-id other").run().ended(3);
    assert_eq!(lab.compiles(), 1);
}

#[test]
fn json_of_the_cache_has_the_names_of_the_contract() {
    let (lab, program) = lab();
    let expected = "entries cached_signatures stored_bytes uncompressed_bytes hits misses compiles failed_compiles \
        single_flight_waits compile_seconds compile_seconds_saved load_seconds evictions \
        quarantined remotes by_device requests \
        warming since";
    std::fs::create_dir(lab.cache()).unwrap();
    assert_names(&stats(&lab), expected);
    lab.preheat(&lab.sim()).words("program compile").arg(&program).run().done();
    let stats = stats(&lab);
    assert_names(&stats, expected);
    assert_names(&stats["hits"], "exact equivalent graph memory disk fallback remote");
    assert_names(&stats["by_device"], "xla-cpu");
    assert_names(&stats["by_device"]["xla-cpu"], "entries hits compiles");
    let since = stats["since"].as_str().unwrap();
    assert!(since.starts_with("20") && since.ends_with('Z') && since.len() >= 20, "{since}");
    let list = lab.bare().words("--json cache list").run().done().silent().json();
    assert_names(
        &list[0],
        "graph_key stage model_id signature_digests target dtype effort stored_bytes \
         compile_seconds created last_used hits pinned",
    );
    assert_eq!((&list[0]["target"], &list[0]["pinned"]), (&"xla-cpu".into(), &false.into()));
}

#[test]
fn json_of_the_devices_has_the_names_of_the_contract() {
    let lab = Lab::new();
    let sim = lab.sim().pose("v5e:1x1").memory_limit(17_000_000_000);
    let devices = lab.preheat_tpu(&sim).words("--json devices").run().done().json();
    let devices = devices.as_array().unwrap();
    for device in devices {
        assert_names(
            device,
            "name kind available reason plugin plugin_version platform_version pjrt_api_version stablehlo_version xla_version topology \
             memory_total_bytes memory_free_bytes compute_capability default_dtype",
        );
        assert_eq!(device["available"] == true, device["kind"] != Value::Null);
        assert!(device["available"] != true || device["plugin"] != Value::Null);
        assert!(!device["reason"].as_str().unwrap().is_empty(), "{device}");
    }
    let all: Vec<&str> = devices.iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert_eq!(all, ["tpu", "xla-cuda", "xla-cpu", "cuda", "mps", "cpu"]);
    let (tpu, cpu) = (&devices[0], &devices[2]);
    assert_eq!((&tpu["available"], &cpu["available"]), (&true.into(), &true.into()), "{tpu} {cpu}");
    assert_eq!(
        (&tpu["kind"], &tpu["memory_total_bytes"]),
        (&"TPU v5 lite".into(), &17_000_000_000_u64.into())
    );
    assert_eq!(
        (&cpu["memory_total_bytes"], &cpu["memory_free_bytes"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&tpu["default_dtype"], &cpu["default_dtype"]),
        (&"bfloat16".into(), &"float32".into())
    );
}

#[test]
fn standard_output_is_one_document_even_with_warnings() {
    let (lab, program) = lab();
    lab.preheat(&lab.sim()).words("program compile").arg(&program).run().done();
    let object = &lab.objects()[0];
    let mut bytes = std::fs::read(object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(object, bytes).unwrap();
    let run =
        lab.preheat(&lab.sim()).words("--json -vv --tpu-warmup-enable program run").arg(&program);
    let ran = run.run().done().says(&["damaged", "--tpu-manual-warmup"]);
    let warnings = ran.json()["warnings"].clone();
    let warnings: Vec<&str> =
        warnings.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(warnings.iter().any(|one| one.contains("damaged")), "{warnings:?}");
    for command in [
        "cache stats",
        "cache list",
        "cache zero-stats",
        "devices",
        "plugins list",
        "cache clear --yes",
    ] {
        lab.preheat(&lab.sim()).words("--json -v").words(command).run().done().json();
    }
}

#[test]
fn an_interrupted_compile_ends_within_a_second_and_leaves_nothing() {
    for signal in ["INT", "TERM"] {
        let (lab, program) = lab();
        let slow = lab.sim().compile_delay(Duration::from_secs(30));
        let run = lab.preheat(&slow).words("program run").arg(&program).start();
        until("the compile", || lab.compiles() == 1);
        let begun = Instant::now();
        run.signal(signal);
        let ran = run.wait().ended(130).says(&["interrupted"]);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(ran.stdout, "");
        assert!(lab.objects().is_empty() && files_under(&lab.cache().join("tmp")).is_empty());
        // The lock of the killed process is free, and the cache works as before.
        let again =
            lab.preheat(&lab.sim()).words("--json program run").arg(&program).run().done().json();
        assert_eq!(again["stages"][0]["source"], "compiled");
        assert_eq!((lab.compiles(), lab.objects().len()), (2, 1));
        lab.assert_nothing_half_written();
    }
}

#[test]
fn the_cache_commands_do_what_they_say() {
    let (lab, program) = lab();
    let cache = |words: &str| lab.bare().words("cache").words(words).run();
    std::fs::create_dir(lab.cache()).unwrap();
    assert!(cache("list").done().stdout.contains("empty"));
    assert_eq!(std::fs::read_dir(lab.cache()).unwrap().count(), 0, "`list` makes no file");
    let square = lab.file("square.mlir", SQUARE);
    for program in [&program, &square] {
        lab.preheat(&lab.sim()).words("program compile").arg(program).words(SIZE).run().done();
    }
    let list = lab.bare().words("--json cache list").run().done().json();
    let keys: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["graph_key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 2);
    let table = cache("list").done().stdout;
    assert!(keys.iter().all(|key| table.contains(&key[..12])), "{table}");
    for key in keys {
        let shown = cache(&format!("show {}", &key[..12])).done().stdout;
        for wanted in [
            key,
            "plugin build",
            "XLA_FLAGS",
            "schedulable CPUs",
            "input 0",
            "4xf32",
            "m [1, 4, 128, 128]",
        ] {
            assert!(shown.contains(wanted), "{wanted} is not in: {shown}");
        }
        let text = cache(&format!("show {key} --program")).done().stdout;
        assert!([DOUBLE, SQUARE].contains(&text.as_str()), "{text}");
        let record = lab.bare().words("--json cache show").arg(key).run().done().json();
        assert_eq!((&record["graph_key"], &record["version"]), (&key.into(), &1.into()));
    }
    assert!(cache("stats").done().stdout.contains("entries"));
    assert_eq!(stats(&lab)["warming"]["compiles"], 2);
    cache("zero-stats").done();
    let zeroed = stats(&lab);
    assert_eq!(
        (&zeroed["warming"]["compiles"], &zeroed["misses"], &zeroed["entries"]),
        (&0.into(), &0.into(), &2.into())
    );
    let cleared = lab.bare().words("--json cache clear --yes").run().done().json();
    assert_eq!(cleared["removed"], 2);
    assert!(lab.objects().is_empty());
    assert_eq!(stats(&lab)["entries"], 0);
    lab.preheat(&lab.sim()).words("program compile").arg(&program).run().done();
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn statistics_add_up_over_processes() {
    let (lab, program) = lab();
    let run = || lab.preheat(&lab.sim()).words("--no-tpu-warmup program run").arg(&program);
    run().run().done();
    run().run().done();
    run().words("--steps 5").run().done();
    run().words("--force-recompile").run().done();
    let counted = stats(&lab);
    let number = |path: &str| counted.pointer(path).unwrap().as_f64().unwrap();
    for (path, expected) in [
        ("/entries", 1.0),
        ("/cached_signatures", 2.0),
        ("/compiles", 2.0),
        ("/misses", 2.0),
        ("/hits/exact", 1.0),
        ("/hits/graph", 1.0),
        ("/hits/equivalent", 0.0),
        ("/hits/disk", 2.0),
        ("/hits/memory", 0.0),
        ("/failed_compiles", 0.0),
        ("/by_device/xla-cpu/compiles", 2.0),
        ("/by_device/xla-cpu/hits", 2.0),
        ("/by_device/xla-cpu/entries", 1.0),
    ] {
        assert!((number(path) - expected).abs() < f64::EPSILON, "{path} in {counted}");
    }
    for path in ["/compile_seconds", "/compile_seconds_saved", "/load_seconds"] {
        assert!(number(path) > 0.0, "{path}");
    }
    let size = std::fs::metadata(&lab.objects()[0]).unwrap().len();
    assert_eq!(counted["stored_bytes"], size);
    assert!(number("/uncompressed_bytes") >= 1.0);
    assert_eq!(lab.compiles(), 2);
    lab.preheat(&lab.no_compiles())
        .words("program run --force-recompile")
        .arg(&program)
        .run()
        .ended(1);
    let after = stats(&lab);
    assert_eq!(
        (&after["failed_compiles"], &after["compiles"], &after["entries"]),
        (&1.into(), &2.into(), &1.into())
    );
}

#[test]
fn without_the_compilation_cache_every_process_compiles_and_touches_no_store() {
    let (lab, program) = lab();
    for count in 1..=2 {
        let run = lab
            .preheat(&lab.sim())
            .words("--json --tpu-compilation-cache=false program run")
            .arg(&program);
        assert_eq!(
            run.run().done().silent_about_the_cache().json()["stages"][0]["source"],
            "compiled"
        );
        assert_eq!(lab.compiles(), count);
    }
    assert!(!lab.cache().exists());
    let stats = lab.preheat(&lab.sim()).words("--tpu-compilation-cache=false cache stats").run();
    stats.ended(1).says(&["--tpu-compilation-cache=false"]);
    for on in ["--tpu-compilation-cache", "--tpu-compilation-cache=true"] {
        lab.preheat(&lab.sim()).arg(on).words("program run").arg(&program).run().done();
    }
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn a_fallback_serves_and_is_never_written() {
    let (lab, program) = lab();
    let base = lab.path("base");
    lab.preheat(&lab.sim())
        .env("PREHEAT_CACHE_DIR", &base)
        .words("program compile")
        .arg(&program)
        .run()
        .done();
    let snapshot = || {
        let files = files_under(&base).into_iter();
        files
            .map(|path| {
                (
                    std::fs::read(&path).unwrap(),
                    std::fs::metadata(&path).unwrap().modified().unwrap(),
                    path,
                )
            })
            .collect::<Vec<_>>()
    };
    let before = snapshot();
    for _ in 0..2 {
        let run = lab
            .preheat(&lab.no_compiles())
            .words("--json --cache-fallback")
            .arg(&base)
            .words("program run");
        let ran = run.arg(&program).run().done().silent_about_the_cache().json();
        assert_eq!(ran["stages"][0]["source"], "fallback");
    }
    assert!(before == snapshot(), "the fallback was written to");
    assert_eq!(stats(&lab)["hits"]["fallback"], 2);
    // A program that the fallback lacks is compiled into the main cache.
    let square = lab.file("square.mlir", SQUARE);
    let run = || {
        lab.preheat(&lab.sim())
            .words("--cache-fallback")
            .arg(&base)
            .words("program run")
            .arg(&square)
    };
    run().run().done();
    assert_eq!((lab.compiles(), lab.objects().len()), (2, 1));
    assert!(before == snapshot(), "the fallback was written to");
    let lookup = lab
        .preheat(&lab.sim())
        .words("--json --cache-fallback")
        .arg(&base)
        .words("lookup --program");
    assert_eq!(lookup.arg(&program).run().done().json()["verdict"], "hit");
}

#[test]
fn a_read_only_cache_serves_and_is_never_written() {
    let (lab, program) = lab();
    lab.preheat(&lab.sim()).words("program compile").arg(&program).run().done();
    let files = || {
        files_under(&lab.cache())
            .into_iter()
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = files();
    let square = lab.file("square.mlir", SQUARE);
    for program in [&program, &square] {
        let run = lab.preheat(&lab.sim()).words("--cache-read-only program run").arg(program);
        run.run().done().silent_about_the_cache();
    }
    assert_eq!(lab.compiles(), 2);
    assert!(before == files(), "the read-only cache was written to");
}

#[test]
fn forced_the_object_is_replaced() {
    let (lab, program) = lab();
    let run = |words: &str| {
        lab.preheat(&lab.sim())
            .words("--json program run")
            .arg(&program)
            .words(words)
            .run()
            .done()
            .json()
    };
    let payload = |run: &Value| {
        let key = run["stages"][0]["graph_key"].as_str().unwrap().to_owned();
        let record = lab.bare().words("--json cache show").arg(&key).run().done().json();
        (key, record["object"]["payload_digest"].clone())
    };
    let first = payload(&run(""));
    let second = payload(&run("--force-recompile"));
    assert_eq!((lab.compiles(), &first.0), (2, &second.0));
    assert_ne!(first.1, second.1);
    assert_eq!(run("")["stages"][0]["source"], "disk");
    assert_eq!((lab.compiles(), lab.objects().len()), (2, 1));
    lab.preheat(&lab.sim()).words("warmup --force-recompile --program").arg(&program).run().done();
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn only_what_was_freshly_compiled_is_warmed_up() {
    let executes = |words: &str| {
        let (lab, program) = lab();
        let run =
            || lab.preheat(&lab.sim()).words(words).words("program run").arg(&program).run().done();
        let cold = run();
        let first = lab.executes();
        let warm = run();
        (first, lab.executes() - first, cold.stderr, warm.stderr)
    };
    for (words, cold) in [
        ("", 3),
        ("--tpu-warmup-steps 5", 6),
        ("--tpu-warmup-steps 0", 1),
        ("--no-tpu-warmup", 1),
        ("--no-tpu-warmup --tpu-warmup-steps 5", 1),
    ] {
        let (first, second, ..) = executes(words);
        assert_eq!((first, second), (cold, 1), "{words}");
    }
    for words in ["--tpu-manual-warmup", "--tpu-warmup-enable"] {
        let (first, second, cold, warm) = executes(words);
        assert_eq!((first, second), (1, 1), "{words}");
        assert!(cold.contains("not warm") && cold.contains("preheat warmup"), "{cold}");
        assert!(!warm.contains("not warm"), "{warm}");
    }
}

#[test]
fn manual_warmup_is_silent_once_warm() {
    let (lab, program) = lab();
    let warmup = lab
        .preheat(&lab.sim())
        .words("--tpu-manual-warmup warmup --program")
        .arg(&program)
        .run()
        .done();
    assert!(!warmup.stderr.contains("not warm"), "{}", warmup.stderr);
    lab.preheat(&lab.sim())
        .words("--tpu-manual-warmup program run")
        .arg(&program)
        .run()
        .done()
        .silent();
    assert_eq!((lab.compiles(), lab.executes()), (1, 2));
}

/// The statistics that jemalloc prints show that it uses the options that src/main.rs sets.
#[test]
fn the_allocator_has_the_options_of_the_binary() {
    let said =
        Lab::new().bare().env("MALLOC_CONF", "stats_print:true").words("--version").run().done();
    said.says(&["opt.oversize_threshold: 0\n", "opt.dirty_decay_ms: 60000 "]);
}

#[test]
fn debug_metrics_are_printed() {
    let (lab, program) = lab();
    let metrics = |words: &str| {
        lab.preheat(&lab.sim()).words("--tpu-debug-metrics").words(words).arg(&program).run().done()
    };
    let text = metrics("program run").stdout;
    for wanted in [
        "executables ready",
        "compile",
        "load",
        "warmup and transfer",
        "run, results read back",
        "total",
        "flops",
        "arguments_bytes",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in: {text}");
    }
    let json = metrics("--json program run").json();
    assert_names(&json, &format!("{RUN} metrics"));
    assert!(json["metrics"]["flops"].as_f64().unwrap() >= 4.0);
    let none =
        lab.preheat(&lab.sim()).words("--json program run").arg(&program).run().done().json();
    assert_names(&none, RUN);
}

#[test]
fn a_tpu_is_served_like_any_other_device() {
    let (lab, program) = lab();
    let sim = lab.sim().pose("v5e:1x1");
    let inputs = lab.path("inputs");
    write_f32(&inputs, &[("arg0", &[4], &[1.0, 2.0, 3.0, 4.0])]);
    let run = |sim: &pjrt_sim::Sim| {
        let run = lab
            .preheat_tpu(sim)
            .words("--json --strict-device --device tpu program run")
            .arg(&program);
        run.arg("--inputs").arg(&inputs).arg("--output").arg(lab.path("out")).run()
    };
    for (sim, source) in [(sim.clone(), "compiled"), (sim.fail_compile(When::Each), "disk")] {
        let json = run(&sim).done().silent_about_the_cache().json();
        assert_eq!(
            (&json["device"]["selected"], &json["device"]["kind"]),
            (&"tpu".into(), &"TPU v5 lite".into())
        );
        assert_eq!(json["stages"][0]["source"], source);
        assert_eq!(read_f32(&lab.path("out"), "out0"), [2.0, 4.0, 6.0, 8.0]);
    }
    assert_eq!((lab.compiles(), lab.log().deserializes()), (1, 1));
    let list = lab.bare().words("--json cache list").run().done().json();
    assert_eq!(list[0]["target"].as_str().unwrap().split(':').next(), Some("tpu"));
    assert_eq!(stats(&lab)["by_device"]["tpu"]["compiles"], 1);
    // The same program for the CPU is another graph in the same cache.
    lab.preheat(&lab.sim()).words("program run").arg(&program).run().done();
    assert_eq!((lab.compiles(), lab.objects().len()), (2, 2));
}

#[test]
fn auto_takes_the_tpu_where_there_is_one_and_says_why() {
    let (lab, program) = lab();
    let sim = lab.sim().pose("v5e:1x1");
    let run = |words: &str| {
        let run = lab.preheat_tpu(&sim).env("PREHEAT_DEVICE", "auto").words("--json").words(words);
        run.words("program compile").arg(&program).run().done().json()
    };
    assert_eq!(run("")["device"]["selected"], "tpu");
    assert_eq!(run("--tpu-enable")["device"]["reason"], "a TPU is required");
    let disabled = run("--tpu-disable");
    assert_eq!(disabled["device"]["selected"], "xla-cpu");
    let reason = disabled["device"]["reason"].as_str().unwrap();
    assert!(reason.contains("the use of TPUs is switched off"), "{disabled}");
}

#[test]
fn quiet_says_nothing_and_verbose_says_why_it_missed() {
    let (lab, program) = lab();
    let square = lab.file("square.mlir", SQUARE);
    let run = |words: &str, program: &PathBuf| -> Ran {
        lab.preheat(&lab.sim()).words(words).words("program run").arg(program).run().done()
    };
    run("--quiet", &program).silent();
    let said = run("--verbose", &square).says(&["miss", "program", "compiling"]);
    assert!(
        !said.stderr.contains('\u{1b}'),
        "colours in output that is not a terminal: {}",
        said.stderr
    );
    assert!(run("--verbose --color always", &square).stderr.contains('\u{1b}'));
    lab.bare().arg("--help").run().done().silent();
    assert!(lab.bare().arg("--version").run().done().stdout.starts_with("preheat "));
}
