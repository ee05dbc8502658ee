use std::fs;

use preheat_tensor::Dtype;

use super::*;
use crate::key::tests::inputs;
use crate::program::ProgramFormat;
use crate::record::RecordedSignature;
use crate::signature::{CfgProjection, Projection, Signature, create_execution_signature};
use crate::statistics::{Counters, Match, RemoteStatistics, Source, Use};

mod crash;
mod damage;
#[cfg(target_os = "linux")]
mod memory;
mod model;
mod moving;
mod place;
mod remote;
#[cfg(target_os = "linux")]
mod threads;

pub(super) use damage::{files_of, noise};

/// A store in a temporary folder, which is removed when this value is dropped.
pub(super) struct Scratch {
    folder: tempfile::TempDir,
    pub(super) store: Store,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        Self { folder, store }
    }

    pub(super) fn put(&self, number: u64) -> GraphRecord {
        let (record, program) = graph(number);
        self.store.put(&record, &program, &payload(number)).unwrap();
        record
    }

    fn load(&self, key: &GraphKey) -> Option<Box<LoadedObject>> {
        match self.store.load(key).unwrap() {
            ObjectLookup::Hit(object) => Some(object),
            _ => None,
        }
    }
}

pub(super) fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(StoreOptions::new(dir))
}

/// A different graph for each number.
pub(super) fn graph(number: u64) -> (GraphRecord, Program) {
    let text = format!("module @m {{ func.func @main() {{ x = {number} }} }}");
    let mut inputs = inputs();
    inputs.program = Program::new(ProgramFormat::Mlir, text.into_bytes());
    let mut record = GraphRecord::new("denoiser", "xla-cpu", &inputs);
    record.measurements.compile_seconds = 2.0;
    record.add_signature(signature(number));
    (record, inputs.program)
}

pub(super) fn payload(number: u64) -> Vec<u8> {
    (0..5000).map(|at| (at * (number + 3) % 251).to_le_bytes()[0]).collect()
}

pub(super) fn request(number: u64) -> Signature {
    create_execution_signature("model", [1, 4, 8, 8], 1, 7.5, "euler", number + 1, Dtype::Float32)
        .unwrap()
}

pub(super) fn signature(number: u64) -> RecordedSignature {
    let projection_key = Digest::of(&number.to_le_bytes());
    RecordedSignature {
        signature: request(number),
        projection_key,
        projection: None,
        first_used: jiff::Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn hit(key: GraphKey) -> Use {
    Use {
        graph_key: key,
        device: "xla-cpu".into(),
        matched: Match::Exact,
        source: Source::Disk,
        signature: None,
        load_seconds: Some(0.5),
        compile_seconds: None,
        times: 1,
    }
}

#[test]
fn left_overs_go_with_the_next_write_and_what_is_in_use_stays() {
    let scratch = Scratch::new();
    let key = scratch.put(1).graph_key;
    let layout = scratch.store.layout();
    let stray = layout.tmp().join(format!("{key}.a1b2c3"));
    let not_ours = [
        layout.tmp().join("thesis.txt"),
        layout.locks().join("k"),
        layout.tmp().join("file.tar.gz"),
    ];
    let stale_lock = layout.compile_lock(&GraphKey(Digest::of(b"stale")));
    fs::write(&stray, "half an object").unwrap();
    fs::write(&stale_lock, "").unwrap();
    for path in &not_ours {
        fs::write(path, "mine").unwrap();
    }
    // A lock through another file handle conflicts in the same way as the lock of another process.
    let other = open(scratch.store.dir()).unwrap();
    let in_use = other.new_file(&other.prepare().unwrap(), "file.").unwrap();
    let LockOutcome::Held(lock) = other.compile_lock(&key, |_, _| Wait::Cancel).unwrap() else {
        panic!()
    };

    let (record, program) = graph(2);
    open(scratch.store.dir()).unwrap().put(&record, &program, &payload(2)).unwrap();
    assert!(!stray.exists() && !stale_lock.exists(), "left-overs stay");
    assert!(not_ours.iter().all(|path| path.exists()), "a file that no store made was removed");
    assert!(
        in_use.is_still_named() && layout.compile_lock(&key).exists(),
        "a file in use was removed"
    );
    drop(lock);
}

#[test]
fn what_is_put_is_loaded() {
    let scratch = Scratch::new();
    assert!(
        fs::read_dir(scratch.folder.path()).unwrap().next().is_none(),
        "opening writes nothing"
    );
    assert!(scratch.load(&graph(1).0.graph_key).is_none());
    let record = scratch.put(1);
    let object = scratch.load(&record.graph_key).unwrap();
    assert_eq!(object.payload, payload(1));
    assert_eq!(object.program().unwrap(), graph(1).1);
    assert_eq!(object.record.signatures, record.signatures);
    let info = object.record.object.clone().unwrap();
    assert_eq!(info.payload_digest, Digest::of(&payload(1)));
    assert_eq!(
        info.stored_bytes,
        fs::metadata(scratch.store.layout().object(&record.graph_key)).unwrap().len()
    );
    let indexed = scratch.store.record(&record.graph_key).unwrap().unwrap();
    assert_eq!(indexed.object, Some(info));
    assert_eq!(scratch.store.program(&record.graph_key).unwrap(), Some(graph(1).1));
    assert!(scratch.load(&graph(2).0.graph_key).is_none());
    assert!(
        fs::read_to_string(scratch.store.layout().cachedir_tag())
            .unwrap()
            .starts_with("Signature: 8a477f597d28d172")
    );
    assert!(fs::read_dir(scratch.store.layout().tmp()).unwrap().next().is_none());
    assert!(!scratch.store.layout().quarantine().exists());
}

#[test]
fn numbers_that_json_lacks_spoil_neither_record_nor_statistics() {
    let scratch = Scratch::new();
    let (mut record, program) = graph(1);
    record.measurements.cost = [("flops".to_owned(), f64::NAN), ("bytes".to_owned(), 8.0)].into();
    record.measurements.compile_seconds = f64::INFINITY;
    scratch.store.put(&record, &program, &payload(1)).unwrap();
    let odd = Use {
        load_seconds: Some(f64::NAN),
        compile_seconds: Some(f64::NAN),
        ..hit(record.graph_key)
    };
    let compiled = Use { matched: Match::Compiled, source: Source::Compiled, ..odd.clone() };
    scratch.store.commit(&[odd, compiled], &Counters::default()).unwrap();
    let loaded = scratch.load(&record.graph_key).unwrap();
    let indexed = scratch.store.record(&record.graph_key).unwrap().unwrap();
    for read in [&loaded.record, &indexed] {
        assert_eq!(read.measurements.cost, [("bytes".to_owned(), 8.0)].into());
        assert_eq!(
            (read.measurements.compile_seconds, read.measurements.load_seconds),
            (0.0, None)
        );
    }
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!((statistics.stages.hits.exact, statistics.stages.compiles), (1, 1));

    let (mut record, program) = graph(2);
    record
        .options
        .overrides
        .insert("threshold".into(), crate::options::OptionValue::Float(f64::NAN));
    let error = scratch.store.put(&record, &program, &payload(2)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Object { cause: ObjectError::NonFiniteOption { .. }, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("threshold"), "{error}");
    assert!(!scratch.store.has_object(&record.graph_key));
    assert!(fs::read_dir(scratch.store.layout().tmp()).unwrap().next().is_none());
}

#[test]
fn level_one_tells_exact_from_equivalent() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let stages = [
        (signature(1).projection_key, request(1).digest()),
        (signature(1).projection_key, request(9).digest()),
        (signature(2).projection_key, request(1).digest()),
    ];
    let found = scratch.store.resolve(&stages).unwrap();
    let expected =
        |matched| Some(Resolved { graph_key: record.graph_key, matched, compile_seconds: 2.0 });
    assert_eq!(found, [expected(Match::Exact), expected(Match::Equivalent), None]);
    // Another request with the same projection uses the graph. Its match is equivalent now, and
    // exact from then on.
    let another = RecordedSignature { signature: request(9), ..signature(1) };
    let one = Use { matched: Match::Equivalent, signature: Some(another), ..hit(record.graph_key) };
    scratch.store.commit(&[one], &Counters::default()).unwrap();
    assert_eq!(scratch.store.resolve(&stages[1..2]).unwrap(), [expected(Match::Exact)]);
    assert!(scratch.store.knows_signature(&request(9).digest()).unwrap());
    assert!(!scratch.store.knows_signature(&request(5).digest()).unwrap());
    assert_eq!(scratch.store.statistics().unwrap().cached_signatures, 2);
    assert_eq!(scratch.store.record(&record.graph_key).unwrap().unwrap().signatures.len(), 2);
}

#[test]
fn requests_that_nobody_made_here_lead_to_a_graph_and_count_as_no_use() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let before = scratch.store.record(&record.graph_key).unwrap().unwrap().statistics;
    let others = [signature(2), signature(3), signature(2)];
    scratch.store.add_signatures(&record.graph_key, &others).unwrap();
    for other in &others {
        let asked = [(other.projection_key, other.signature.digest())];
        let found = scratch.store.resolve(&asked).unwrap().remove(0).unwrap();
        assert_eq!((found.graph_key, found.matched), (record.graph_key, Match::Exact));
    }
    let after = scratch.store.record(&record.graph_key).unwrap().unwrap();
    assert_eq!((after.signatures.len(), after.statistics), (3, before));
    assert_eq!(scratch.store.statistics().unwrap().cached_signatures, 3);
    scratch.store.add_signatures(&graph(9).0.graph_key, &others).unwrap();
    assert_eq!(scratch.store.records().unwrap().len(), 1);
}

#[test]
fn statistics_add_up() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store.statistics().unwrap().entries, 0);
    let (one, two) = (scratch.put(1), scratch.put(2));
    let compiled = Use {
        matched: Match::Compiled,
        source: Source::Compiled,
        compile_seconds: Some(2.0),
        load_seconds: None,
        ..hit(one.graph_key)
    };
    let memory = Use {
        matched: Match::Graph,
        source: Source::Memory,
        load_seconds: None,
        times: 3,
        ..hit(two.graph_key)
    };
    let fallback =
        Use { matched: Match::Equivalent, source: Source::Fallback, ..hit(two.graph_key) };
    let remote = RemoteStatistics {
        fetched: 1,
        fetched_bytes: 2,
        fetch_seconds: 0.5,
        uploaded: 3,
        uploaded_bytes: 4,
        upload_seconds: 0.25,
        refused: 5,
        failures: 6,
        breaker_opened: 7,
    };
    let of_remote = Use { matched: Match::Exact, source: Source::Remote, ..hit(two.graph_key) };
    let counters = Counters {
        misses: 1,
        failed_compiles: 2,
        single_flight_waits: 3,
        evictions: 4,
        quarantined: 5,
        remotes: [("s3://b".to_owned(), remote)].into(),
    };
    scratch.store.commit(&[compiled, memory, hit(two.graph_key)], &counters).unwrap();
    scratch.store.commit(&[fallback, of_remote], &Counters::default()).unwrap();
    let statistics = scratch.store.statistics().unwrap();
    let mut json = serde_json::to_value(&statistics).unwrap();
    let stored: u64 = [&one, &two]
        .iter()
        .map(|record| fs::metadata(scratch.store.layout().object(&record.graph_key)).unwrap().len())
        .sum();
    let object = json.as_object_mut().unwrap();
    assert!(object.remove("since").unwrap().as_str().unwrap().ends_with('Z'));
    // These uses were counted without requests; `requests/tests.rs` has tests of uses with
    // requests.
    assert_eq!(object.remove("requests").unwrap()["served_warm"], 0);
    assert_eq!(object.remove("warming").unwrap()["compiles"], 0);
    assert_eq!(
        json,
        serde_json::json!({"entries": 2, "cached_signatures": 2, "stored_bytes": stored, "uncompressed_bytes": 10000,
            "hits": {"exact": 2, "equivalent": 1, "graph": 3, "memory": 3, "disk": 1, "fallback": 1, "remote": 1},
            "misses": 2, "compiles": 1, "failed_compiles": 2, "single_flight_waits": 3,
            "compile_seconds": 2.0, "compile_seconds_saved": 12.0, "load_seconds": 1.5, "evictions": 4, "quarantined": 5,
            "remotes": {"s3://b": {"fetched": 1, "fetched_bytes": 2, "fetch_seconds": 0.5, "uploaded": 3,
                "uploaded_bytes": 4, "upload_seconds": 0.25, "refused": 5, "failures": 6, "breaker_opened": 7}},
            "by_device": {"xla-cpu": {"entries": 2, "hits": 6, "compiles": 1}}})
    );
    let record = scratch.store.record(&two.graph_key).unwrap().unwrap();
    assert_eq!((record.statistics.hits, record.measurements.load_seconds), (6, Some(0.5)));
    scratch.store.zero_statistics().unwrap();
    let zeroed = scratch.store.statistics().unwrap();
    assert_eq!(
        (zeroed.entries, zeroed.stored_bytes, zeroed.stages.hits.exact, zeroed.stages.misses),
        (2, stored, 0, 0)
    );
    assert_eq!(zeroed.by_device["xla-cpu"].entries, 2);
    assert!(zeroed.since > statistics.since);
}

#[test]
fn replacing_an_entry_keeps_what_is_known_of_its_use() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    scratch.store.commit(&[hit(record.graph_key)], &Counters::default()).unwrap();
    assert!(scratch.store.set_pinned(&record.graph_key, true).unwrap());
    let (mut again, program) = graph(1);
    again.signatures = vec![signature(7)];
    scratch.store.put(&again, &program, b"another executable").unwrap();
    assert_eq!(scratch.load(&record.graph_key).unwrap().payload, b"another executable");
    let merged = scratch.store.record(&record.graph_key).unwrap().unwrap();
    assert_eq!((merged.statistics.hits, merged.pinned, merged.signatures.len()), (1, true, 2));
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!(
        (statistics.entries, statistics.uncompressed_bytes, statistics.cached_signatures),
        (1, 18, 2)
    );
}

#[test]
fn removing_leaves_nothing_of_an_entry_and_all_of_the_others() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.put(1), scratch.put(2));
    assert!(matches!(scratch.store.remove(&one.graph_key).unwrap(), Removal::Removed { .. }));
    assert_eq!(scratch.store.remove(&one.graph_key).unwrap(), Removal::Absent);
    assert!(scratch.load(&one.graph_key).is_none() && scratch.load(&two.graph_key).is_some());
    assert_eq!(scratch.store.program(&one.graph_key).unwrap(), None);
    let known = |number| {
        scratch
            .store
            .resolve(&[(signature(number).projection_key, request(number).digest())])
            .unwrap()
    };
    assert!(known(1)[0].is_none() && known(2)[0].is_some());
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!(
        (statistics.entries, statistics.cached_signatures, statistics.uncompressed_bytes),
        (1, 1, 5000)
    );
}

#[test]
fn clearing_leaves_what_is_being_loaded() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store.clear().unwrap(), Cleared::default());
    let (_, kept) = (scratch.put(1), scratch.put(2));
    let object = scratch.load(&kept.graph_key).unwrap();
    let cleared = scratch.store.clear().unwrap();
    assert_eq!((cleared.removed, cleared.in_use), (1, 1));
    assert_eq!(scratch.store.remove(&kept.graph_key).unwrap(), Removal::InUse);
    assert_eq!(scratch.store.records().unwrap().len(), 1);
    let (bytes, guard) = object.into_payload();
    assert_eq!(bytes, payload(2));
    drop(guard);
    assert_eq!(scratch.store.clear().unwrap().removed, 1);
    assert_eq!(scratch.store.statistics().unwrap().entries, 0);
    assert!(scratch.store.records().unwrap().is_empty());
}

#[test]
fn clearing_takes_what_is_remembered_of_targets() {
    let scratch = Scratch::new();
    let layout = scratch.store.layout();
    let note = Note::Target(Digest::of(b"target"));
    scratch.store.write_note(note, b"eight").unwrap();
    assert_eq!(scratch.store.note(note).unwrap(), b"eight");
    assert_eq!(scratch.store.clear().unwrap().stored_bytes, 5);
    assert!(!layout.targets().exists());
}

#[test]
fn clearing_takes_the_entries_of_cached_jit() {
    let scratch = Scratch::new();
    let note = Note::Target(Digest::of(b"target"));
    scratch.store.write_note(note, b"eight").unwrap();
    let functions = scratch.store.layout().jax();
    let function = functions.join(Digest::of(b"function").to_string());
    fs::create_dir_all(&function).unwrap();
    for kind in ["json", "code", "new"] {
        fs::write(function.join(format!("{}.{kind}", Digest::of(b"file"))), "four").unwrap();
    }
    fs::write(functions.join(Digest::of(b"no folder").to_string()), "somebody's").unwrap();
    assert_eq!(scratch.store.clear().unwrap().stored_bytes, 5 + 12);
    assert!(!function.exists() && functions.exists());
}

#[test]
fn clearing_takes_the_notes_about_upgrades_and_no_other_file_is_taken_for_one() {
    let scratch = Scratch::new();
    let layout = scratch.store.layout();
    assert!(scratch.store.upgrades().is_empty());
    let mut keys = [GraphKey(Digest::of(b"one")), GraphKey(Digest::of(b"two"))];
    keys.sort_unstable();
    for key in keys {
        scratch.store.write_note(Note::Upgrade(key), b"wanted").unwrap();
    }
    fs::write(layout.upgrades().join("thesis.txt"), "mine").unwrap();
    assert_eq!(scratch.store.upgrades(), keys);
    assert_eq!(scratch.store.clear().unwrap().stored_bytes, 12);
    assert!(scratch.store.upgrades().is_empty());
    assert!(layout.upgrades().join("thesis.txt").exists());
}

#[test]
fn clearing_empties_the_quarantine_and_takes_records_without_objects() {
    let scratch = Scratch::new();
    let (damaged, lost) = (scratch.put(1), scratch.put(2));
    let layout = scratch.store.layout();
    fs::write(layout.object(&damaged.graph_key), "damaged").unwrap();
    assert!(scratch.load(&damaged.graph_key).is_none());
    fs::create_dir_all(layout.quarantine().join("graphs-v2.1/blobs")).unwrap();
    fs::write(layout.quarantine().join("graphs-v2.1/blobs/1"), [0; 1000]).unwrap();
    let stored_bytes: u64 = damage::files_of(&layout.quarantine())
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    fs::remove_file(layout.object(&lost.graph_key)).unwrap();
    assert!(stored_bytes > 1007, "the object, its reason and an index");
    assert_eq!(scratch.store.clear().unwrap(), Cleared { removed: 2, in_use: 0, stored_bytes });
    assert!(fs::read_dir(layout.quarantine()).unwrap().next().is_none());
    assert!(scratch.store.records().unwrap().is_empty());
}

#[test]
fn the_nearest_entry_is_named_with_its_differences() {
    let scratch = Scratch::new();
    let (one, _) = (scratch.put(1), scratch.put(2));
    let mut environment = one.environment.clone();
    environment.plugin_build = "gnu:newer".into();
    let asked = request(1);
    let wanted = WantedEntry {
        program: Some(one.program.digest),
        stage: "denoiser",
        signature: Some(&asked),
        projection: None,
        environment: &environment,
        options: &one.options,
    };
    let nearest = scratch.store.nearest(&wanted).unwrap().unwrap();
    assert_eq!(nearest.record.graph_key, one.graph_key);
    let fields = |nearest: &NearestRecord| {
        nearest.differences.iter().map(|one| one.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(fields(&nearest), ["plugin_build"]);
    assert_eq!(
        (nearest.differences[0].have.as_str(), nearest.differences[0].want.as_str()),
        ("gnu:0123456789abcdef", "gnu:newer")
    );
    // The graph is not lowered, so the nearest entry is of the same stage of the same model, with
    // the fewest differences.
    let asked = request(2);
    let unlowered = WantedEntry {
        program: None,
        signature: Some(&asked),
        environment: &one.environment,
        ..wanted
    };
    assert_eq!(
        scratch.store.nearest(&unlowered).unwrap().unwrap().record.graph_key,
        graph(2).0.graph_key
    );
    assert_eq!(
        scratch.store.nearest(&unlowered).unwrap().unwrap().expected_compile_seconds,
        Some(2.0)
    );
    // A field counts only if it shapes the graph.
    let mut asked = one.signatures[0].signature.clone();
    (asked.scheduler, asked.cfg_scale, asked.batch_size) = ("another".to_owned(), 1.0, 9);
    let of_step = Projection::step_graph(one.program.digest);
    let with = |projection| {
        let wanted = WantedEntry { signature: Some(&asked), projection, ..wanted };
        let wanted = WantedEntry { environment: &one.environment, ..wanted };
        fields(&scratch.store.nearest(&wanted).unwrap().unwrap())
    };
    assert_eq!(with(None), ["batch_size", "cfg_scale", "scheduler"]);
    assert_eq!(with(Some(&of_step)), ["batch_size", "cfg_scale"]);
    let text = Projection { cfg_scale: CfgProjection::Dropped, ..of_step.clone() };
    assert_eq!(with(Some(&text)), ["batch_size"]);
    let other = WantedEntry { stage: "vae_decoder", ..unlowered };
    assert!(scratch.store.nearest(&other).unwrap().is_none());
}

#[test]
fn a_newer_store_is_refused_by_the_release_that_reads_it() {
    let scratch = Scratch::new();
    scratch.put(1);
    let format = scratch.store.layout().format();
    fs::write(&format, "preheat-store 2\nread by preheat 9.9 and later\n").unwrap();
    let error = open(scratch.folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: FormatVersion(2), .. }));
    assert!(error.to_string().contains("preheat 9.9"), "{error}");
    fs::write(&format, "something else").unwrap();
    assert!(open(scratch.folder.path()).unwrap_err().to_string().contains("something else"));
}

#[test]
fn a_read_only_store_is_read_and_never_written() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let reader = Store::open(StoreOptions::new(scratch.folder.path()).read_only()).unwrap();
    assert!(matches!(reader.load(&record.graph_key).unwrap(), ObjectLookup::Hit(_)));
    let refused = reader.put(&record, &graph(1).1, b"x").unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }));
    let index = reader.resolve(&[]).unwrap_err();
    assert!(matches!(index, StoreError::IndexUnavailable { cause: IndexCause::ReadOnly, .. }));
    assert!(matches!(
        reader.commit(&[], &Counters::default()).unwrap_err(),
        StoreError::ReadOnly { .. }
    ));
    let path = scratch.store.layout().object(&record.graph_key);
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(reader.load(&record.graph_key).unwrap(), ObjectLookup::Damaged { .. }));
    assert_eq!(fs::read(&path).unwrap(), bytes, "the object stays where it is");
    let missing =
        Store::open(StoreOptions::new(scratch.folder.path().join("none")).read_only()).unwrap();
    assert!(matches!(missing.load(&record.graph_key).unwrap(), ObjectLookup::Absent));
    assert_eq!(missing.statistics().unwrap().entries, 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let (record, program) = graph(1);
    // One file is in the place of the store's folder, and another one in the place of a folder in
    // the store.
    let inside = open(&file).and_then(|store| store.put(&record, &program, b"x")).unwrap_err();
    assert!(matches!(&inside, StoreError::NotAFolder { path } if *path == file), "{inside}");
    assert!(inside.to_string().starts_with("name a folder for the cache"), "{inside}");
    let below = open(&file.join("a/b")).and_then(|store| store.put(&record, &program, b"x"));
    let below = below.unwrap_err();
    assert!(matches!(&below, StoreError::NotAFolder { path } if *path == file), "{below}");
    let store = open(&folder.path().join("store")).unwrap();
    store.put(&record, &program, b"x").unwrap();
    fs::remove_dir_all(store.layout().objects()).unwrap();
    fs::write(store.layout().objects(), "in the way").unwrap();
    let error = store.put(&record, &program, b"x").unwrap_err();
    assert!(
        matches!(&error, StoreError::Unwritable { path, .. } if *path == store.layout().objects()),
        "{error}"
    );
    assert!(matches!(store.load(&record.graph_key).unwrap(), ObjectLookup::Absent));
    // Nothing can be made in /proc, not even by root.
    let proc = open(Path::new("/proc/preheat")).unwrap();
    assert!(matches!(
        proc.put(&record, &program, b"x").unwrap_err(),
        StoreError::Unwritable { .. }
    ));
}

#[test]
fn errors_are_sorted_by_what_can_be_done() {
    let sorted = |kind: io::ErrorKind| write_error(Path::new("p"), kind.into());
    assert!(matches!(sorted(io::ErrorKind::StorageFull), StoreError::Full { .. }));
    assert!(matches!(sorted(io::ErrorKind::QuotaExceeded), StoreError::Full { .. }));
    assert!(matches!(sorted(io::ErrorKind::PermissionDenied), StoreError::Unwritable { .. }));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_of_that_name() {
    let (record, program) = graph(1);
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let program = object::ProgramFrame::of(&program).unwrap();
    let error = object::write(&mut full, &record, &program, &payload(1)).unwrap_err();
    let ObjectError::Io(cause) = error else { panic!("{error}") };
    assert!(matches!(write_error(Path::new("/dev/full"), cause), StoreError::Full { .. }));
}

#[test]
fn an_index_kept_busy_is_an_error_and_objects_are_found_all_the_same() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let lock = fs::File::open(scratch.store.layout().index_lock()).unwrap();
    lock.lock().unwrap();
    // The wait lasts no longer than the caller allows.
    let (start, patience) = (std::time::Instant::now(), Duration::from_millis(30));
    let resolved = scratch.store.resolve_within(&[], patience).map(drop);
    let committed = scratch.store.commit_within(&[], &Counters::default(), patience);
    for error in [resolved.unwrap_err(), committed.unwrap_err()] {
        let busy = matches!(error, StoreError::IndexUnavailable { cause: IndexCause::Busy(waited), .. } if waited == patience);
        assert!(busy, "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(scratch.load(&record.graph_key).is_some());
    assert_eq!(scratch.store.program(&record.graph_key).unwrap(), Some(graph(1).1));
    drop(lock);
    scratch
        .store
        .commit_within(&[hit(record.graph_key)], &Counters::default(), Duration::from_secs(5))
        .unwrap();
}

#[test]
fn a_lock_whose_holder_shows_no_work_is_waited_for_once() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let stage = [(signature(1).projection_key, request(1).digest())];
    let shared = |path: &Path| {
        let file = fs::File::open(path).unwrap();
        file.lock_shared().unwrap();
        file
    };
    for path in [scratch.store.layout().index_lock(), scratch.store.layout().graphs().join("db")] {
        let lock = shared(&path);
        let (store, start) = (open(scratch.store.dir()).unwrap(), std::time::Instant::now());
        for _ in 0..10 {
            let error = store.resolve(&stage).unwrap_err();
            let held = matches!(&error, StoreError::IndexUnavailable { cause: IndexCause::Held { path: held, .. }, .. } if *held == path);
            assert!(held, "{error}");
        }
        // What is compiled meanwhile is stored now, and recorded later.
        let (other, program) = graph(2);
        assert!(store.put(&other, &program, &payload(2)).is_err());
        assert!(matches!(store.load(&other.graph_key), Ok(ObjectLookup::Hit(_))));
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?} for a lock that is waited for once",
            start.elapsed()
        );
        drop(lock);
        assert!(store.resolve(&stage).unwrap()[0].is_some());
        assert_eq!(store.statistics().unwrap().entries, 2);
        store.remove(&other.graph_key).unwrap();
    }
    assert!(scratch.store.record(&record.graph_key).unwrap().is_some());
}

#[test]
fn a_holder_that_works_is_waited_for() {
    let scratch = Scratch::new();
    scratch.put(1);
    let dir = scratch.store.dir();
    std::thread::scope(|scope| {
        let (began, beginning) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let store = open(dir).unwrap();
            let slow = |index: &mut index::transaction::Transaction| {
                let _ = began.send(());
                for _ in 0..60 {
                    std::thread::sleep(Duration::from_millis(50));
                    index.get(b"mready")?;
                }
                Ok(())
            };
            store.write_slowly(slow);
        });
        beginning.recv().unwrap();
        open(dir).unwrap().commit(&[], &Counters { misses: 1, ..Counters::default() }).unwrap();
    });
    assert_eq!(scratch.store.statistics().unwrap().stages.misses, 1);
}

#[test]
fn the_compile_lock_is_free_again_when_it_is_dropped() {
    let scratch = Scratch::new();
    let key = graph(1).0.graph_key;
    let lock = scratch.store.compile_lock(&key, |_, _| Wait::Cancel).unwrap();
    assert!(matches!(lock, LockOutcome::Held(_)));
    let mut holder = None;
    let second = scratch.store.compile_lock(&key, |_, who| {
        holder = who;
        Wait::Cancel
    });
    assert!(matches!(second.unwrap(), LockOutcome::Cancelled));
    assert_eq!(holder.unwrap().pid, std::process::id());
    drop(lock);
    let LockOutcome::Held(third) = scratch.store.compile_lock(&key, |_, _| Wait::Cancel).unwrap()
    else {
        panic!()
    };
    assert_eq!(third.waited(), None);
}
