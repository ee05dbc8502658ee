//! Do the statistics agree with what happened? The tests serve, refuse, warm, kill and interrupt
//! requests through the binary, and compare the answers of `cache stats` with what was done. They
//! also check the statistics that preheat writes to a file and serves over HTTP for Prometheus.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use pjrt_sim::{Place, Sim, When};
use serde_json::{Value, json};
use support::Lab;
use support::lab::{DOUBLE, Preheat, SQUARE, Started, until};

/// How many processes serve at the same time.
const PROCESSES: usize = 8;

fn stats(lab: &Lab) -> Value {
    lab.bare().words("--json cache stats").run().done().silent().json()
}

fn program_run(lab: &Lab, sim: &Sim, program: &Path) -> Preheat {
    lab.preheat(sim).words("--no-tpu-warmup program run").arg(program)
}

/// The counts of requests that were served warm, served after a compile, refused, failed and
/// interrupted.
fn outcomes(requests: &Value) -> [u64; 5] {
    ["served_warm", "served_after_compile", "refused", "failed", "interrupted"]
        .map(|name| requests[name].as_u64().unwrap_or_else(|| panic!("{name} in {requests}")))
}

#[test]
fn refused_requests_are_no_hits_and_warmups_save_nothing() {
    let lab = Lab::new();
    let (warm, cold) = (lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE));
    for _ in 0..3 {
        lab.preheat(&lab.sim()).words("warmup --program").arg(&warm).run().done();
    }
    for _ in 0..3 {
        program_run(&lab, &lab.sim(), &cold).words("--require-warm").run().ended(3);
    }
    let before = stats(&lab);
    assert_eq!(outcomes(&before["requests"]), [0, 0, 3, 0, 0]);
    assert_eq!(before["requests"]["hit_rate"], json!(0.0));
    assert_eq!(outcomes(&before["warming"]["requests"]), [2, 1, 0, 0, 0]);
    assert_eq!((&before["warming"]["compiles"], &before["compiles"]), (&json!(1), &json!(0)));
    assert_eq!((&before["hits"]["exact"], &before["misses"]), (&json!(0), &json!(0)));
    assert_eq!(before["compile_seconds_saved"], json!(0.0));
    let list = lab.bare().words("--json cache list").run().done().json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["hits"]), (1, &json!(0)));

    program_run(&lab, &lab.sim(), &warm).run().done();
    let after = stats(&lab);
    assert_eq!(outcomes(&after["requests"]), [1, 0, 3, 0, 0]);
    assert_eq!(after["requests"]["hit_rate"], json!(0.25));
    assert_eq!((&after["hits"]["exact"], &after["hits"]["disk"]), (&json!(1), &json!(1)));
    assert!(after["compile_seconds_saved"].as_f64().unwrap() > 0.0);
    let shown = lab.bare().words("cache stats").run().done().silent().stdout;
    for text in ["requests", "refused 3", "25.0 %", "nothing to do 2, compiled 1"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}

#[test]
fn figures_equal_what_eight_processes_did_although_some_were_killed() {
    let lab = Lab::new();
    let programs: Vec<PathBuf> = (0..PROCESSES)
        .map(|number| {
            let shape = format!("tensor<{}xf32>", number + 1);
            lab.file(&format!("p{number}.mlir"), DOUBLE.replace("tensor<4xf32>", &shape))
        })
        .collect();
    // Morning: each process is the first to ask for its program, and compiles it.
    let all = |sim: &Sim, words: &str| -> Vec<Started> {
        let start = |program: &PathBuf| program_run(&lab, sim, program).words(words).start();
        programs.iter().map(start).collect()
    };
    for run in all(&lab.sim(), "") {
        run.wait().done();
    }
    // Noon: everything is warm, in twice as many requests.
    for _ in 0..2 {
        for run in all(&lab.sim(), "") {
            run.wait().done();
        }
    }
    // Afternoon: all of them compile again and hang in the compiler. Half are killed, and the
    // others are interrupted.
    let before = lab.count(Place::Compile);
    let hanging = all(&lab.sim().hang(Place::Compile, When::Each), "--force-recompile");
    until("all of them compile", || lab.count(Place::Compile) == before + PROCESSES);
    assert_eq!(stats(&lab)["requests"]["in_flight"], PROCESSES);
    for (number, run) in hanging.into_iter().enumerate() {
        run.signal(if number % 2 == 0 { "KILL" } else { "INT" });
        run.wait();
    }
    // Evening: half of them cannot compile, and the others are refused.
    for (number, program) in programs.iter().enumerate() {
        if number % 2 == 0 {
            let run = program_run(&lab, &lab.no_compiles(), program);
            run.words("--force-recompile").run().ended(1);
        } else {
            let other = lab.file("other.mlir", SQUARE);
            program_run(&lab, &lab.sim(), &other).words("--require-warm").run().ended(3);
        }
    }
    let half = PROCESSES as u64 / 2;
    let counted = stats(&lab);
    let requests = &counted["requests"];
    assert_eq!(outcomes(requests), [4 * half, 2 * half, half, half, 2 * half]);
    assert_eq!(requests["in_flight"], 0);
    assert_eq!((&counted["compiles"], &counted["misses"]), (&json!(2 * half), &json!(2 * half)));
    assert_eq!(counted["failed_compiles"], half);
    // If the index is busy for too long, a process cannot tell whether a match is exact. So the
    // test compares only the sum of the matches.
    let matched =
        ["exact", "equivalent", "graph"].map(|how| counted["hits"][how].as_u64().unwrap());
    assert_eq!((matched.iter().sum(), &counted["hits"]["disk"]), (4 * half, &json!(4 * half)));
    assert_eq!(requests["stage_load_seconds"]["count"], 4 * half);
    assert_eq!(requests["stage_compile_seconds"]["count"], 2 * half);
    assert_eq!(requests["request_seconds"]["count"], 6 * half);
    // Each program counts as a separate model, and no request has a size. So there is one group for
    // each program.
    let groups = requests["groups"].as_array().unwrap();
    assert_eq!(groups.len(), PROCESSES + 1);
    for group in groups.iter().filter(|group| group["model_id"] != "other") {
        let [warm, compiled, refused, failed, interrupted] = outcomes(group);
        assert_eq!((warm, compiled, refused, failed + interrupted / 2), (2, 1, 0, failed));
    }
    let recent = lab.bare().words("--json cache stats --since 2h").run().done().json();
    assert_eq!(outcomes(&recent["requests"]), outcomes(requests));
    assert_eq!((&recent["hits"], &recent["compiles"]), (&counted["hits"], &counted["compiles"]));
}

#[test]
fn a_wait_for_another_process_is_a_wait_and_no_load() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let slow = lab.sim().compile_delay(Duration::from_secs(2));
    let first = program_run(&lab, &slow, &program).start();
    until("the compile", || lab.compiles() == 1);
    let second = program_run(&lab, &slow, &program).words("--json").run().done().json();
    first.wait().done();
    let stage = &second["stages"][0];
    assert!(stage["wait_seconds"].as_f64().unwrap() > 0.5, "{stage}");
    assert!(stage["load_seconds"].as_f64().unwrap() < 0.5, "{stage}");
    let counted = stats(&lab);
    assert_eq!(outcomes(&counted["requests"]), [0, 2, 0, 0, 0]);
    assert_eq!(counted["single_flight_waits"], 1);
    assert_eq!(counted["requests"]["stage_wait_seconds"]["count"], 1);
}

/// The samples of a page for Prometheus, after a check of the format's rules: every sample belongs
/// to the `# TYPE` line above it, no such line and no sample occurs twice, and the counts of
/// buckets never decrease.
fn samples(page: &str) -> Vec<(String, f64)> {
    let (mut heads, mut names) = (BTreeSet::new(), BTreeSet::new());
    let (mut head, mut kind) = ("", "");
    let mut samples: Vec<(String, f64)> = Vec::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let text = help.split_once(' ').unwrap().1;
            assert!(text.ends_with('.'), "{line}");
            continue;
        }
        if let Some(type_of) = line.strip_prefix("# TYPE ") {
            (head, kind) = type_of.split_once(' ').unwrap();
            assert!(heads.insert(head), "{head} has two heads");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(head.ends_with("_total"), kind == "counter", "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let bare = name.split('{').next().unwrap();
        let suffix = bare.strip_prefix(head).unwrap_or_else(|| panic!("{line} is below {head}"));
        let suffixes: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        if let Some((last, before)) = samples.last()
            && suffix == "_bucket"
            && last.split("le=").next() == name.split("le=").next()
        {
            assert!(value >= *before, "{line} is less than the bucket before it");
        }
        samples.push((name.to_owned(), value));
    }
    samples
}

/// The value of one sample, after a check of the whole page.
fn sample<'a>(page: &'a str, name: &str) -> &'a str {
    assert!(!samples(page).is_empty());
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(' ');
    page.lines().find_map(value).unwrap_or_else(|| panic!("{name} is not in {page}"))
}

const WARM: &str = r#"preheat_requests_total{purpose="serving",model="double",size="",device="xla-cpu",outcome="served_warm"}"#;

#[test]
fn statistics_come_as_a_table_as_json_and_for_prometheus() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let run =
        || program_run(&lab, &lab.sim(), &program).words("--model-id").arg("a\"b\\c\n{").run();
    for _ in 0..3 {
        run().done();
    }
    let page = lab.bare().words("cache stats --format prometheus").run().done().silent().stdout;
    let named = r#"preheat_requests_total{purpose="serving",model="a\"b\\c\n{",size="#;
    assert!(page.contains(named), "{page}");
    assert_eq!(sample(&page, r#"preheat_stage_hits_total{purpose="serving",match="exact"}"#), "2");
    assert_eq!(sample(&page, r#"preheat_compiles_total{purpose="serving"}"#), "1");
    assert_eq!(sample(&page, r#"preheat_entries{device="xla-cpu"}"#), "1");
    let json = lab.bare().words("cache stats --format json").run().done().json();
    assert_eq!(outcomes(&json["requests"]), [2, 1, 0, 0, 0]);
    assert_eq!(json, stats(&lab));
    let table = lab.bare().words("cache stats --format table").run().done().stdout;
    assert!(table.lines().all(|line| !line.starts_with("    ")), "{table}");
    for (words, says) in [
        ("cache stats --format xml", "table"),
        ("cache stats --since yesterday", "24h"),
        ("cache stats --since -1h", "24h"),
        ("cache stats --watch=0", "from 1 to 86400"),
        ("--json cache stats --format table", "leave out --json or --format"),
        ("cache stats --format prometheus --since 1d", "leave out --since"),
        ("--metrics-listen localhost cache stats", "127.0.0.1:9464"),
        ("--metrics-listen 99999 cache stats", "127.0.0.1:9464"),
    ] {
        lab.bare().words(words).run().ended(2).says(&[says]);
    }
    lab.bare().words("cache stats --since 2026-01-01").run().done();
}

#[test]
fn watching_goes_on_until_nobody_reads() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    program_run(&lab, &lab.sim(), &program).run().done();
    let mut watching = spawned(lab.bare().words("cache stats --format json --watch=1"));
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let next = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| -> Value {
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    };
    assert_eq!(outcomes(&next(&mut lines)["requests"]), [0, 1, 0, 0, 0]);
    program_run(&lab, &lab.sim(), &program).run().done();
    while outcomes(&next(&mut lines)["requests"]) != [1, 1, 0, 0, 0] {}
    drop(lines);
    assert!(watching.wait().unwrap().success());
    let interrupted = lab.bare().words("cache stats --watch=1").start();
    std::thread::sleep(Duration::from_millis(300));
    interrupted.signal("INT");
    interrupted.wait().ended(130);
}

/// Starts a command whose output the test reads while it runs.
fn spawned(mut preheat: Preheat) -> Child {
    preheat.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn get(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_running_process_answers_prometheus() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    program_run(&lab, &lab.sim(), &program).run().done();
    let exporter = lab.bare().words("-v --metrics-listen 0 cache stats --watch=60");
    let mut exporter = spawned(exporter);
    let mut log = BufReader::new(exporter.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = log.find(|line| line.contains("http://")).unwrap();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let metrics = || get(&address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = metrics();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", page.len())), "{head}");
    samples(page);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        assert!(get(&address, request).starts_with(&format!("HTTP/1.1 {status} ")), "{request}");
    }
    let head = get(&address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    // A client that never ends its request, or one that sends too much, does not delay others for
    // long.
    let idle = TcpStream::connect(&address).unwrap();
    let mut talker = TcpStream::connect(&address).unwrap();
    let _ = talker.write_all(&vec![b'x'; 64 << 10]);
    assert!(metrics().starts_with("HTTP/1.1 200 "));
    drop((idle, talker));
    // Another process cannot take the same address.
    let second = lab.bare().words("--metrics-listen").arg(&address).words("cache stats");
    second.run().ended(1).says(&[&address, "hint: "]);
    exporter.kill().unwrap();
    exporter.wait().unwrap();
}

#[test]
fn a_metrics_file_is_there_from_the_start_and_true_at_the_end() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let file = lab.path("preheat.prom");
    let run = |sim: &Sim| program_run(&lab, sim, &program).arg("--metrics-file").arg(&file);
    let slow = lab.sim().compile_delay(Duration::from_secs(1));
    let running = run(&slow).start();
    until("the file", || file.exists());
    running.wait().done();
    let page = std::fs::read_to_string(&file).unwrap();
    assert_eq!(sample(&page, &WARM.replace("served_warm", "served_after_compile")), "1");
    run(&lab.sim()).run().done();
    let page = std::fs::read_to_string(&file).unwrap();
    assert_eq!(sample(&page, WARM), "1");
    let nowhere = program_run(&lab, &lab.sim(), &program);
    nowhere.words("--metrics-file /nowhere/x.prom").run().ended(1).says(&["/nowhere", "hint: "]);
}
