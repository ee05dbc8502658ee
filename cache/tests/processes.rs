//! Can several processes use one store without losing anything and without failures?
//!
//! A test whose environment names a folder is a worker. The actual test starts this same binary for
//! its workers.
#![expect(clippy::unwrap_used, reason = "a test fails if it cannot have what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use preheat_cache::{
    CompileOptions, Counters, Digest, Environment, GraphRecord, KeyInputs, LockOutcome, Match,
    ObjectLookup, Program, ProgramFormat, RecordedSignature, Source, Store, StoreOptions, Use,
    Wait, create_execution_signature,
};
use preheat_tensor::Dtype;

const FOLDER: &str = "PREHEAT_TEST_STORE";
const WORKER: &str = "PREHEAT_TEST_WORKER";
const PROCESSES: u64 = 8;
const ROUNDS: u64 = 200;

fn store(dir: &Path) -> Store {
    Store::open(StoreOptions::new(dir)).unwrap()
}

fn inputs(number: u64) -> KeyInputs {
    let text = format!("module @m {{ x = {number} }}");
    KeyInputs {
        program: Program::new(ProgramFormat::Mlir, text.into_bytes()),
        options: CompileOptions::default(),
        environment: Arc::new(Environment { platform: "cpu".into(), ..Environment::default() }),
    }
}

fn signature(worker: u64, round: u64) -> RecordedSignature {
    let signature =
        create_execution_signature("m", [worker], 1, 7.5, "euler", round + 1, Dtype::Float32)
            .unwrap();
    RecordedSignature {
        signature,
        projection_key: Digest::of(&worker.to_le_bytes()),
        projection: None,
        first_used: jiff::Timestamp::now(),
    }
}

/// The folder and the number of the worker, if this process is one.
fn role() -> Option<(PathBuf, u64)> {
    Some((std::env::var_os(FOLDER)?.into(), std::env::var(WORKER).ok()?.parse().ok()?))
}

fn start(test: &str, folder: &Path, worker: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(WORKER, worker.to_string());
    command.spawn().unwrap()
}

fn run_all(test: &str, folder: &Path) {
    let children: Vec<Child> = (0..PROCESSES).map(|worker| start(test, folder, worker)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn opening_recording_and_closing_loses_nothing() {
    if let Some((folder, worker)) = role() {
        for round in 0..ROUNDS {
            let store = store(&folder);
            // In every second round, the graph is one of the worker's own; in the others, all
            // workers share it.
            let number = if round % 2 == 0 { 1000 + worker * ROUNDS + round } else { round % 5 };
            let inputs = inputs(number);
            let record = GraphRecord::new("denoiser", "cpu", &inputs);
            store.put(&record, &inputs.program, &number.to_le_bytes()).unwrap();
            let one = Use {
                graph_key: record.graph_key,
                device: "cpu".into(),
                matched: Match::Exact,
                source: Source::Disk,
                // A record keeps only some signatures, so each signature also has a graph of its
                // own.
                signature: Some(signature(worker, round / 2)),
                load_seconds: Some(1.0),
                compile_seconds: None,
                times: 1,
            };
            store.commit(&[one], &Counters { misses: 1, ..Counters::default() }).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run_all("opening_recording_and_closing_loses_nothing", folder.path());
    let store = store(folder.path());
    let statistics = store.statistics().unwrap();
    let uses = PROCESSES * ROUNDS;
    assert_eq!(
        (statistics.stages.hits.exact, statistics.stages.hits.disk, statistics.stages.misses),
        (uses, uses, uses)
    );
    assert_eq!(statistics.entries, PROCESSES * ROUNDS / 2 + 5);
    assert_eq!(statistics.cached_signatures, PROCESSES * ROUNDS / 2);
    let records = store.records().unwrap();
    assert_eq!(records.len() as u64, statistics.entries);
    assert_eq!(records.iter().map(|record| record.statistics.hits).sum::<u64>(), uses);
    for record in &records {
        assert!(matches!(store.load(&record.graph_key), Ok(ObjectLookup::Hit(_))));
    }
    assert!(std::fs::read_dir(store.layout().tmp()).unwrap().next().is_none());
}

#[test]
fn one_process_compiles_and_the_others_find_it() {
    let inputs = inputs(7);
    let key = inputs.graph_key();
    if let Some((folder, worker)) = role() {
        let store = store(&folder);
        let LockOutcome::Held(_lock) = store.compile_lock(&key, |_, _| Wait::Continue).unwrap()
        else {
            panic!()
        };
        if let ObjectLookup::Absent = store.load(&key).unwrap() {
            std::thread::sleep(std::time::Duration::from_millis(200));
            std::fs::write(folder.join(format!("compiled-by-{worker}")), "").unwrap();
            store
                .put(&GraphRecord::new("denoiser", "cpu", &inputs), &inputs.program, b"executable")
                .unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run_all("one_process_compiles_and_the_others_find_it", folder.path());
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let compiled = names.filter(|name| name.to_string_lossy().starts_with("compiled-by-")).count();
    assert_eq!(compiled, 1);
    assert!(!store(folder.path()).layout().compile_lock(&key).exists());
}

#[cfg(unix)]
#[test]
fn a_dead_process_gives_its_lock_up() {
    let key = inputs(8).graph_key();
    if let Some((folder, _)) = role() {
        let store = store(&folder);
        let LockOutcome::Held(_lock) = store.compile_lock(&key, |_, _| Wait::Continue).unwrap()
        else {
            panic!()
        };
        std::fs::write(folder.join("held"), "").unwrap();
        std::thread::sleep(std::time::Duration::from_mins(1));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = start("a_dead_process_gives_its_lock_up", folder.path(), 0);
    while !folder.path().join("held").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut holder = None;
    let store = store(folder.path());
    let outcome = store.compile_lock(&key, |_, who| {
        holder = holder.take().or(who);
        child.kill().unwrap();
        child.wait().unwrap();
        Wait::Continue
    });
    let LockOutcome::Held(lock) = outcome.unwrap() else { panic!() };
    assert_eq!(holder.map(|holder| holder.pid), Some(child.id()));
    assert!(lock.waited().is_some());
}

/// Runs a worker in a separate mount namespace, in which `folder` is a file system of 3 MB.
#[cfg(target_os = "linux")]
fn run_on_small_disk(test: &str, folder: &Path) -> std::process::ExitStatus {
    let script =
        "mount -t tmpfs -o size=3m none \"$1\" || exit 77; exec \"$2\" \"$3\" --exact --nocapture";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(folder)
        .arg(std::env::current_exe().unwrap())
        .arg(test);
    let started = command.env(FOLDER, folder).env(WORKER, "0").status();
    let status =
        started.unwrap_or_else(|error| panic!("`unshare`, of util-linux, does not start: {error}"));
    assert!(
        !matches!(status.code(), Some(1 | 77)),
        "a file system of 3 MB cannot be mounted: run the tests as root, or allow user namespaces"
    );
    status
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_what_was_stored_stays() {
    if let Some((folder, _)) = role() {
        let store = store(&folder);
        let mut stored = Vec::new();
        let error = loop {
            let number = stored.len() as u64;
            let inputs = inputs(number);
            // These bytes do not compress.
            let mut code = vec![0; 200_000];
            blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut code);
            let record = GraphRecord::new("denoiser", "cpu", &inputs);
            match store.put(&record, &inputs.program, &code) {
                Ok(_) => stored.push((record.graph_key, code)),
                Err(error) => break error,
            }
            assert!(number < 100, "the disk does not fill");
        };
        assert!(
            stored.len() > 2 && error.to_string().contains("pace"),
            "{} stored, then {error}",
            stored.len()
        );
        // Not one byte is free: the index reports an error, and nothing that was stored is lost.
        let filler = folder.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write(&mut file, &[1; 512]).is_ok() {}
        let mut refused = 0;
        for round in 0..20 {
            let signature = signature(0, round);
            let one = Use {
                graph_key: stored[0].0,
                device: "cpu".into(),
                matched: Match::Exact,
                source: Source::Disk,
                signature: Some(signature),
                load_seconds: None,
                compile_seconds: None,
                times: 1,
            };
            if let Err(error) = store.commit(&[one], &Counters::default()) {
                assert!(error.to_string().contains("pace"), "{error}");
                refused += 1;
            }
        }
        println!("{} stored, {refused} of 20 commits refused", stored.len());
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        for (key, code) in &stored {
            let ObjectLookup::Hit(object) = store.load(key).unwrap() else {
                panic!("{key} is lost")
            };
            assert_eq!(object.payload, *code);
        }
        assert!(
            std::fs::read_dir(store.layout().tmp()).unwrap().next().is_none(),
            "nothing half written stays"
        );
        // The index needs half a megabyte to write anything. If it cannot be written, clearing
        // removes objects first.
        assert_eq!(store.clear().unwrap().removed, stored.len() as u64);
        store.commit(&[], &Counters { misses: 1, ..Counters::default() }).unwrap();
        let statistics = store.statistics().unwrap();
        assert_eq!(
            (statistics.entries, statistics.stages.misses, statistics.stages.hits.exact),
            (0, 1, 20 - refused)
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(
        run_on_small_disk("a_full_disk_is_an_error_and_what_was_stored_stays", folder.path())
            .success()
    );
}
