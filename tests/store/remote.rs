//! Does what one machine compiled run on another, over a remote, and does a remote that fails never
//! make anything worse? Each machine is a folder of its own. The log of the test plugin counts the
//! compiles.

#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../../crates/remote/tests/support/web.rs"]
mod web;

use crate::support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::demo::demo_model;
use support::lab::{DOUBLE, Preheat, SQUARE, Started, until};
use support::tensors::{read_f32, write_f32};
use support::{Lab, Ran};
use web::{Fault, Web};

/// `program run` on a machine, with its result in the file `out`.
fn run(lab: &Lab, sim: &pjrt_sim::Sim, remote: &str) -> Preheat {
    write_f32(&lab.path("inputs"), &[("arg0", &[4], &[1.0, -2.0, 0.5, 8.0])]);
    let program = lab.file("double.mlir", DOUBLE);
    lab.preheat(sim)
        .words("--json --no-tpu-warmup --cache-remote")
        .arg(remote)
        .words("program run")
        .arg(program)
        .arg("--inputs")
        .arg(lab.path("inputs"))
        .arg("--output")
        .arg(lab.path("out"))
}

#[track_caller]
fn is_right(lab: &Lab) {
    assert_eq!(read_f32(&lab.path("out"), "out0"), [2.0, -4.0, 1.0, 16.0]);
    std::fs::remove_file(lab.path("out")).unwrap();
}

/// Asserts that nothing was said of a remote.
#[track_caller]
fn calm(ran: Ran) -> Ran {
    let ran = ran.done();
    assert!(!ran.stderr.contains("remote"), "{}", ran.stderr);
    ran
}

fn source(ran: &Ran) -> Value {
    ran.json()["stages"][0]["source"].clone()
}

/// A machine that has compiled the program, with a remote that is a web server.
fn uploaded() -> (Lab, Web, String) {
    let (lab, web) = (Lab::new(), Web::start());
    let url = web.url("/team?mode=rw");
    let ran = calm(run(&lab, &lab.sim(), &url).run());
    assert_eq!(source(&ran), "compiled");
    is_right(&lab);
    assert_eq!(lab.compiles(), 1);
    (lab, web, url)
}

/// The files of a remote whose path contains the text.
fn files(web: &Web, part: &str) -> Vec<String> {
    web.files().into_keys().filter(|path| path.contains(part)).collect()
}

fn statistics(lab: &Lab) -> Value {
    lab.bare().words("--json cache stats").run().done().json()
}

#[test]
fn what_one_machine_compiles_another_runs_without_a_compile() {
    let (_, web, url) = uploaded();
    let paths = web.files().into_keys().collect::<Vec<_>>();
    assert_eq!(paths.len(), 3, "an object, and a pointer by graph and by request: {paths:?}");
    let other = Lab::new();
    let ran = calm(run(&other, &other.no_compiles(), &url).run());
    assert_eq!((source(&ran), other.compiles()), ("remote".into(), 0));
    is_right(&other);
    let counted = statistics(&other);
    let name = web.url("/team");
    let remote = &counted["remotes"][&name];
    assert_eq!((&remote["fetched"], &remote["refused"]), (&1.into(), &0.into()), "{counted}");
    assert_eq!(remote["fetched_bytes"], web.files()[&files(&web, "objects/")[0]].len());
    assert_eq!(counted["hits"]["remote"], 1);
    let table = other.bare().words("cache stats").run().done().stdout;
    assert!(table.contains(&format!("{name} ")) && table.contains("remote 1)"), "{table}");
    let page = other.bare().words("cache stats --format prometheus").run().done().stdout;
    assert!(page.contains(&format!("preheat_remote_fetched_total{{remote=\"{name}\"}} 1\n")));
    assert!(
        page.contains(
            "preheat_stage_hits_by_source_total{purpose=\"serving\",source=\"remote\"} 1\n"
        )
    );
    // It is kept: the next run asks nobody.
    web.requests();
    let ran = calm(run(&other, &other.no_compiles(), &url).run());
    assert_eq!(source(&ran), "disk");
    assert_eq!(web.requests(), Vec::<String>::new());
    other.bare().words("cache verify").run().done();
}

#[test]
fn a_folder_of_a_file_server_serves_as_well_as_a_web_server() {
    let shared = Lab::new();
    let url = format!("file://{}", shared.path("").display());
    let (first, second) = (Lab::new(), Lab::new());
    let ran = calm(run(&first, &first.sim(), &url).run());
    assert_eq!(source(&ran), "compiled");
    // The variable names remotes, too.
    let program = second.file("double.mlir", DOUBLE);
    let compile =
        second.preheat(&second.no_compiles()).words("--json program compile").arg(program);
    let ran = calm(compile.env("PREHEAT_CACHE_REMOTE", url).run());
    assert_eq!(source(&ran), "remote");
}

#[test]
fn a_fresh_machine_serves_a_model_by_signature_in_two_round_trips() {
    let (first, second, web) = (Lab::new(), Lab::new(), Web::start());
    let url = web.url("/team?mode=rw");
    let words = "--width 64 --height 64 --steps 2 --model";
    let warmup = first.quick(&first.sim()).arg("--cache-remote").arg(&url).words("warmup");
    warmup.words("--width 64 --height 64 --model").arg(demo_model()).run().done();
    let stages = files(&web, "/level1/").len();
    assert!(stages >= 3, "{:?}", web.files().keys());
    let lookup = |lab: &Lab, more: &str| {
        let lookup = lab.quick(&lab.no_compiles()).arg("--cache-remote").arg(&url);
        lookup.words("--json lookup").words(more).words(words).arg(demo_model()).run()
    };
    // A look-up of a fresh machine asks only if it should, and then reads one small file a stage.
    web.requests();
    lookup(&second, "").ended(3);
    assert!(web.requests().is_empty());
    let found = lookup(&second, "--remote").done();
    let asked = web.requests();
    assert!(
        asked.iter().all(|one| one.starts_with("GET ") && one.contains("/level1/")),
        "{asked:?}"
    );
    assert_eq!(asked.len(), stages);
    assert_eq!(found.json()["stages"][0]["remote"], web.url("/team"));
    // The run fetches every stage, without a compile and without building a graph for its key.
    let run = second.quick(&second.no_compiles()).arg("--cache-remote").arg(&url);
    let run = run.words("--json run --prompt 7").words(words).arg(demo_model());
    let ran = calm(run.arg("--output").arg(second.path("seven.png")).run());
    let asked = web.requests();
    let of_kind = |kind: &str| asked.iter().filter(|one| one.contains(kind)).count();
    assert_eq!(
        (of_kind("/level1/"), of_kind("/objects/"), of_kind("/graphs/")),
        (stages, stages, 0)
    );
    assert_eq!(asked.len(), 2 * stages, "{asked:?}");
    let ran = ran.json();
    let stages = ran["stages"].as_array().unwrap();
    assert!(stages.iter().all(|stage| stage["source"] == "remote"), "{ran}");
    assert_eq!(second.compiles(), 0);
}

#[test]
fn a_remote_that_is_only_read_gets_nothing() {
    let (_, web, _) = uploaded();
    web.requests();
    let lab = Lab::new();
    let square = lab.file("square.mlir", SQUARE);
    let compile = lab.preheat(&lab.sim()).arg("--cache-remote").arg(web.url("/team"));
    compile.words("program compile").arg(square).run().done();
    let asked = web.requests();
    assert!(asked.iter().all(|one| one.starts_with("GET ")), "{asked:?}");
    let push = lab.bare().arg("--cache-remote").arg(web.url("/team")).words("cache push").run();
    push.ended(2).says(&["no remote may be written", "?mode=rw"]);
}

/// Runs the program on a fresh machine over a remote that fails in some way.
#[track_caller]
fn with_fault(part: &str, fault: Fault, says: &str) {
    let (_, web, url) = uploaded();
    web.fail(part, fault);
    let lab = Lab::new();
    let began = Instant::now();
    let ran = run(&lab, &lab.sim(), &url).run().done();
    // A small request has 5 s, and an object 1 s more for each megabyte that it has.
    assert!(began.elapsed() < Duration::from_secs(25), "{fault:?} took {:?}", began.elapsed());
    assert_eq!((source(&ran), lab.compiles()), ("compiled".into(), 1), "{fault:?}");
    is_right(&lab);
    let warnings = ran.stderr.lines().filter(|line| line.contains("the remote"));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{fault:?}: {}", ran.stderr);
    assert!(warnings[0].contains(says), "{fault:?}: {}", ran.stderr);
    lab.bare().words("cache verify").run().done();
    lab.assert_nothing_half_written();
    let required = Lab::new();
    let run = run(&required, &required.sim(), &url).arg("--cache-remote-required").run();
    run.ended(1).says(&["is required"]);
    assert_eq!(required.compiles(), 0);
}

#[test]
fn an_object_that_is_wrong_is_refused_and_compiled() {
    for fault in [Fault::WrongByte, Fault::Shorter(100)] {
        with_fault("objects/", fault, "is refused");
    }
}

#[test]
fn a_connection_that_breaks_costs_a_warning() {
    for fault in [Fault::Reset(100), Fault::Cut(100)] {
        with_fault("objects/", fault, "does not work, going on without it: read data");
    }
}

#[test]
fn a_server_that_refuses_or_fails_costs_a_warning() {
    with_fault("", Fault::Status(403), "it refuses access");
    with_fault("", Fault::Status(500), "does not work, going on without it");
}

#[test]
fn a_server_that_does_not_answer_costs_its_limit_and_a_warning() {
    with_fault("/graphs/", Fault::Hang, "it did not answer within 5.0s");
    with_fault("objects/", Fault::Drip, "it did not answer within 6.0s");
}

#[test]
fn a_server_that_is_not_there_is_a_miss_and_one_warning() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://me:secret@{free}/team?mode=rw");
    let lab = Lab::new();
    let ran = run(&lab, &lab.sim(), &url).run().done();
    is_right(&lab);
    let said = ran.stderr.lines().filter(|line| line.contains("the remote")).count();
    assert_eq!(said, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
    // The upload waits, and no file or message has the password.
    let waiting = support::lab::files_under(&lab.cache().join("spool-v1"));
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(
        statistics(&lab)["remotes"][&format!("http://{free}/team")]["failures"].as_u64() > Some(0)
    );
    let all = format!("{} {}", ran.stderr, statistics(&lab));
    assert!(!all.contains("secret"), "{all}");
    for file in support::lab::files_under(&lab.cache()) {
        let content = std::fs::read(&file).unwrap();
        assert!(!content.windows(6).any(|part| part == b"secret"), "{}", file.display());
    }
    // An address that is no remote is refused before anything is done, without its password.
    let wrong = run(&lab, &lab.sim(), "http://me:secret@host/x?mode=write").run().ended(2);
    assert!(wrong.stderr.contains("mode=ro and mode=rw") && !wrong.stderr.contains("secret"));
}

/// Waits until the server got a request whose line contains the text.
fn until_asked(web: &Web, what: &str) {
    let mut seen = Vec::new();
    until(what, || {
        seen.extend(web.requests());
        seen.iter().any(|request| request.contains(what))
    });
}

fn kill(started: Started) {
    started.signal("KILL");
    let _ = started.wait();
}

#[test]
fn an_upload_whose_process_is_killed_is_done_by_the_next() {
    let (web, lab) = (Web::start(), Lab::new());
    let url = web.url("/team?mode=rw");
    web.fail("objects/", Fault::Hang);
    let started = run(&lab, &lab.sim(), &url).start();
    until_asked(&web, "/objects/");
    kill(started);
    assert!(files(&web, "").is_empty(), "no pointer before the object");
    lab.bare().words("cache verify").run().done();
    web.works_again();
    // The next process finds the executable on the disk, and uploads it all the same.
    let ran = run(&lab, &lab.no_compiles(), &url).run().done();
    assert_eq!(source(&ran), "disk");
    assert_eq!(files(&web, "").len(), 3);
    assert!(support::lab::files_under(&lab.cache().join("spool-v1")).is_empty());
    let other = Lab::new();
    let ran = calm(run(&other, &other.no_compiles(), &url).run());
    assert_eq!(source(&ran), "remote");
}

#[test]
fn a_process_that_is_killed_while_it_fetches_leaves_nothing_wrong() {
    let (_, web, url) = uploaded();
    let lab = Lab::new();
    web.fail("objects/", Fault::Drip);
    let started = run(&lab, &lab.no_compiles(), &url).start();
    until_asked(&web, "GET /team/preheat-remote-v1/objects/");
    std::thread::sleep(Duration::from_millis(300));
    kill(started);
    lab.bare().words("cache verify").run().done();
    assert!(lab.objects().is_empty());
    web.works_again();
    let ran = calm(run(&lab, &lab.no_compiles(), &url).run());
    assert_eq!(source(&ran), "remote");
    is_right(&lab);
    lab.assert_nothing_half_written();
}

#[test]
fn entries_are_pushed_and_pulled_by_what_they_are() {
    let (lab, web) = (Lab::new(), Web::start());
    let url = web.url("/team?mode=rw");
    for (name, text) in [("double", DOUBLE), ("square", SQUARE)] {
        let program = lab.file(&format!("{name}.mlir"), text);
        lab.preheat(&lab.sim()).words("program compile").arg(program).run().done();
    }
    let command = |lab: &Lab, words: &str| {
        lab.bare().words("--json --cache-remote").arg(&url).words("cache").words(words)
    };
    let exchanged = |ran: Ran| {
        let one = ran.json()["remotes"][0].clone();
        (one["objects"].as_u64().unwrap(), one["were_there"].as_u64().unwrap())
    };
    assert_eq!(exchanged(command(&lab, "push --model double").run().done()), (1, 0));
    assert_eq!(exchanged(command(&lab, "push --target xla-cpu").run().done()), (1, 1));
    assert_eq!(exchanged(command(&lab, "push --model none").run().done()), (0, 0));
    let other = Lab::new();
    assert_eq!(exchanged(command(&other, "pull --model square").run().done()), (1, 0));
    assert_eq!(exchanged(command(&other, "pull").run().done()), (1, 1));
    let double = other.file("double.mlir", DOUBLE);
    let compile = other.preheat(&other.no_compiles()).words("--json program compile").arg(double);
    assert_eq!(source(&compile.run().done()), "disk");
    // A person reads the same, and what does not work is said and gives another exit status.
    let said = lab.bare().arg("--cache-remote").arg(&url).words("cache push").run().done().stdout;
    assert!(said.contains("0 objects pushed") && said.contains("2 were there"), "{said}");
    let read_only = lab.bare().arg("--cache-remote").arg(web.url("/team")).words("cache pull");
    let said = read_only.run().ended(1).stdout;
    assert!(said.contains("ended early: its protocol cannot list files"), "{said}");
    lab.bare().words("cache pull").run().ended(2).says(&["no remote is named"]);
    web.fail("objects/", Fault::WrongByte);
    let third = Lab::new();
    let said = command(&third, "pull").run().ended(1).json();
    assert_eq!(said["remotes"][0]["refused"].as_array().unwrap().len(), 2, "{said}");
    assert!(third.objects().is_empty());
}

#[test]
fn remotes_are_asked_in_order_and_the_next_one_helps_out() {
    let (_, web, good) = uploaded();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lab = Lab::new();
    let dead = format!("http://{free}/team");
    let program = lab.file("double.mlir", DOUBLE);
    let both = lab.preheat(&lab.no_compiles()).words("--json --cache-remote").arg(&dead);
    let both = both.arg("--cache-remote").arg(&good).words("program compile").arg(program);
    let ran = both.run().done();
    assert_eq!(source(&ran), "remote");
    ran.says(&[&format!("the remote {dead} does not work")]);
    assert!(!web.requests().is_empty());
}
