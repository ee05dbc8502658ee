use std::fs;

use super::codec::encode_program;
use super::*;
use crate::files::journal::{self, Change, Refused};
use crate::object::ProgramFrame;
use crate::store::StoreOptions;
use crate::store::objects::Staged;
use crate::store::tests::{Scratch, files_of, graph, hit, open, payload, request, signature};

fn forge(scratch: &Scratch, key: &[u8], value: &[u8]) {
    scratch.store.write_raw(key, Some(value));
}

fn stored(scratch: &Scratch, key: &[u8]) -> Option<Vec<u8>> {
    scratch.store.write(|index| index.get(key)).unwrap()
}

#[test]
fn a_program_that_is_wrong_counts_as_none_and_is_written_over() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let place = key(b'k', &[&record.program.digest]);
    let right = stored(&scratch, &place).unwrap();
    let another = encode_program(&ProgramFrame::of(&graph(2).1).unwrap());
    for wrong in [another.as_slice(), b"\x07later release", b"\0\x01\0\0\0\0\0\0\0no frame", b""] {
        forge(&scratch, &place, wrong);
        assert_eq!(scratch.store.indexed_program(&record.graph_key).unwrap(), None);
        assert_eq!(
            scratch.store.program(&record.graph_key).unwrap(),
            Some(graph(1).1),
            "the program is taken from the object"
        );
        assert!(!scratch.store.layout().quarantine().exists(), "the rest of the index is sound");
        scratch.put(1);
        assert_eq!(stored(&scratch, &place).unwrap(), right);
    }
}

#[test]
fn a_command_outlasts_a_holder_of_the_index_that_does_nothing_for_two_seconds() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let lock = fs::File::open(scratch.store.layout().index_lock()).unwrap();
    lock.lock().unwrap();
    let uses = [hit(record.graph_key)];
    let committed = std::thread::scope(|scope| {
        let committed = scope.spawn(|| scratch.store.commit(&uses, &Counters::default()));
        std::thread::sleep(Duration::from_secs(2));
        lock.unlock().unwrap();
        committed.join().unwrap()
    });
    committed.unwrap();
    assert_eq!(scratch.store.record(&record.graph_key).unwrap().unwrap().statistics.hits, 1);
}

#[test]
fn a_snapshot_that_sled_was_killed_over_costs_nothing() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    scratch.store.commit(&[hit(record.graph_key)], &Counters::default()).unwrap();
    for torn in [b"".as_slice(), b"half of a snapshot"] {
        let path = scratch.store.layout().graphs().join("snap.FFFFFFFFFFFFFFF0.generating");
        fs::write(&path, torn).unwrap();
        assert_eq!(scratch.store.record(&record.graph_key).unwrap().unwrap().statistics.hits, 1);
        assert!(!path.exists());
        assert!(!scratch.store.layout().quarantine().exists(), "nothing is damaged");
    }
}

#[test]
fn a_program_that_is_there_is_not_written_again() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let place = key(b'k', &[&record.program.digest]);
    // This is the same program in a zstd frame with other bytes.
    let frame = zstd::bulk::compress(graph(1).1.bytes(), 19).unwrap();
    let sound = encode_program(&ProgramFrame { frame, ..ProgramFrame::of(&graph(1).1).unwrap() });
    forge(&scratch, &place, &sound);
    scratch.put(1);
    assert_eq!(stored(&scratch, &place).unwrap(), sound);
}

#[test]
fn values_that_are_not_understood_cost_no_more_than_themselves() {
    let scratch = Scratch::new();
    let records = [scratch.put(1), scratch.put(2)];
    scratch.store.commit(&[hit(records[0].graph_key)], &Counters::default()).unwrap();
    let place = key(b'r', &[&records[0].graph_key.0]);
    let value = stored(&scratch, &place).unwrap();
    let (_, record) = codec::split_record(&value).unwrap();
    forge(
        &scratch,
        &place,
        &[15_u32.to_le_bytes().as_slice(), b"a later release", record].concat(),
    );
    forge(&scratch, b"mstatistics", b"a later release");
    assert_eq!(scratch.store.record(&records[0].graph_key).unwrap().unwrap().statistics.hits, 0);
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!(
        (statistics.entries, statistics.cached_signatures, statistics.stages.hits.exact),
        (2, 2, 0)
    );
    scratch.store.commit(&[hit(records[0].graph_key)], &Counters::default()).unwrap();
    assert_eq!(scratch.store.statistics().unwrap().stages.hits.exact, 1);
    assert_eq!(scratch.store.statistics().unwrap().entries, 2);
    assert!(!scratch.store.layout().quarantine().exists());
}

#[test]
fn the_last_compiled_answers_for_a_projection_after_a_rebuild() {
    let scratch = Scratch::new();
    let stage = (signature(1).projection_key, request(1).digest());
    let newest = 3;
    for number in 0..8 {
        let (mut record, program) = graph(number);
        record.signatures = vec![signature(1)];
        record.created =
            jiff::Timestamp::from_second(if number == newest { 1000 } else { 100 }).unwrap();
        scratch.store.put(&record, &program, &payload(number)).unwrap();
    }
    let answer = || scratch.store.resolve(&[stage]).unwrap()[0].as_ref().unwrap().graph_key;
    assert_eq!(
        answer(),
        graph(7).0.graph_key,
        "the entry that was stored last counts as the newest, even if its time is older"
    );
    fs::remove_dir_all(scratch.store.layout().graphs()).unwrap();
    assert_eq!(answer(), graph(newest).0.graph_key);
    // Records that are added again later do not take over either.
    scratch.store.remove_records(&[graph(0).0.graph_key, graph(7).0.graph_key]).unwrap();
    assert_eq!(scratch.store.rebuild_index().unwrap().added, 2);
    assert_eq!(answer(), graph(newest).0.graph_key);
    scratch.store.remove(&graph(newest).0.graph_key).unwrap();
    assert!(scratch.store.resolve(&[stage]).unwrap()[0].is_none());
}

#[test]
fn an_entry_of_level_one_that_was_not_made_for_its_key_leads_nowhere() {
    let scratch = Scratch::new();
    let records = [scratch.put(1), scratch.put(2)];
    let place = |number| key(b'j', &[&signature(number).projection_key]);
    let stage = [(signature(1).projection_key, request(1).digest())];
    let right = stored(&scratch, &place(1)).unwrap();
    let of_another = stored(&scratch, &place(2)).unwrap();
    let bare = records[0].graph_key.0.as_bytes().as_slice();
    let other_key = [records[1].graph_key.0.as_bytes(), &right[32..]].concat();
    for wrong in [of_another.as_slice(), bare, &other_key, b"short", b""] {
        forge(&scratch, &place(1), wrong);
        assert_eq!(scratch.store.resolve(&stage).unwrap(), [None]);
        // The next use, which found the graph by its key, corrects the entry.
        let one = Use {
            matched: Match::Graph,
            signature: Some(signature(1)),
            ..hit(records[0].graph_key)
        };
        scratch.store.commit(&[one], &Counters::default()).unwrap();
        assert_eq!(stored(&scratch, &place(1)).unwrap(), right);
        assert_eq!(
            scratch.store.resolve(&stage).unwrap()[0].as_ref().unwrap().matched,
            Match::Exact
        );
    }
    forge(&scratch, &place(1), &of_another);
    scratch.store.remove(&records[0].graph_key).unwrap();
    assert_eq!(
        stored(&scratch, &place(1)),
        None,
        "the entry is removed with its graph nonetheless"
    );
    assert!(!scratch.store.layout().quarantine().exists());
}

#[test]
fn entries_that_belong_to_no_record_keep_nothing_out_and_are_cleared_away() {
    let by_limit = |scratch: &Scratch, one: u64| {
        let options =
            StoreOptions { max_bytes: 3 * one + one / 2, ..StoreOptions::new(scratch.store.dir()) };
        let (record, program) = graph(9);
        Store::open(options).unwrap().put(&record, &program, &payload(9)).unwrap();
    };
    let by_pruning = |scratch: &Scratch, one: u64| {
        let rule = crate::store::Prune { max_bytes: Some(3 * one + one / 2), ..Default::default() };
        scratch.store.prune(&rule).unwrap();
    };
    for make_room in [&by_limit as &dyn Fn(&Scratch, u64), &by_pruning] {
        let scratch = Scratch::new();
        let records: Vec<_> = (1..4).map(|number| scratch.put(number)).collect();
        let one = scratch
            .store
            .record(&records[0].graph_key)
            .unwrap()
            .unwrap()
            .object
            .unwrap()
            .stored_bytes;
        // The index has a record that is not understood, a place in the order whose record is gone,
        // and totals that count both.
        let unread = key(b'r', &[&records[0].graph_key.0]);
        let value = stored(&scratch, &unread).unwrap();
        let usage = codec::split_record(&value).unwrap().0;
        let later = zstd::bulk::compress(b"a later release", 1).unwrap();
        let usage = [&u32::try_from(usage.len()).unwrap().to_le_bytes(), usage].concat();
        forge(&scratch, &unread, &[usage.as_slice(), &15_u32.to_le_bytes(), &later].concat());
        let gone = [b"v".as_slice(), &[0; 8], Digest::of(b"gone").as_bytes()].concat();
        forge(&scratch, &gone, b"");
        let mut statistics = scratch.store.statistics().unwrap();
        statistics.stored_bytes += 7 * one;
        forge(&scratch, b"mstatistics", &serde_json::to_vec(&statistics).unwrap());
        make_room(&scratch, one);
        assert_eq!(stored(&scratch, &gone), None);
        let statistics = scratch.store.statistics().unwrap();
        let kept = scratch.store.records().unwrap();
        let bytes: u64 =
            kept.iter().map(|record| record.object.as_ref().unwrap().stored_bytes).sum();
        assert_eq!((statistics.entries, statistics.stored_bytes), (kept.len() as u64, bytes));
        assert!(kept.len() >= 2, "entries that have room stay: {}", kept.len());
        assert!(kept.iter().all(|record| scratch.store.has_object(&record.graph_key)));
    }
}

#[test]
fn what_was_stored_while_the_index_was_busy_is_recorded_by_the_next_transaction() {
    let scratch = Scratch::new();
    scratch.put(1);
    let (record, program) = graph(2);
    let frame = ProgramFrame::of(&program).unwrap();
    let mut staged = scratch.store.stage(&record, frame, &payload(2)).unwrap();
    scratch.store.place_unrecorded(&mut staged).unwrap();
    assert!(scratch.store.layout().unrecorded().join(record.graph_key.to_string()).exists());
    let statistics = scratch.store.statistics().unwrap();
    let on_disk = |key| fs::metadata(scratch.store.layout().object(key)).unwrap().len();
    assert_eq!(
        statistics.stored_bytes,
        on_disk(&graph(1).0.graph_key) + on_disk(&record.graph_key)
    );
    assert_eq!(fs::read_dir(scratch.store.layout().unrecorded()).unwrap().count(), 0);
    assert_eq!(scratch.store.verify(false, |_| true).unwrap().findings, []);
    // A file in `unrecorded/` whose object is gone has no effect.
    fs::write(scratch.store.layout().unrecorded().join(Digest::of(b"gone").to_string()), "")
        .unwrap();
    assert_eq!(scratch.store.statistics().unwrap(), statistics);
    assert_eq!(fs::read_dir(scratch.store.layout().unrecorded()).unwrap().count(), 0);
}

/// An object before it is moved to its final place, in a process that cannot use the index.
fn staged(scratch: &Scratch, number: u64) -> Staged {
    let (record, program) = graph(number);
    scratch.store.stage(&record, ProgramFrame::of(&program).unwrap(), &payload(number)).unwrap()
}

#[test]
fn the_mark_of_an_object_comes_after_the_object() {
    let scratch = Scratch::new();
    let mut staged = staged(&scratch, 2);
    let (object, marks) = (
        scratch.store.layout().object(&staged.record.graph_key),
        scratch.store.layout().unrecorded(),
    );
    let changes = journal::of(|| scratch.store.place_unrecorded(&mut staged).unwrap());
    let placed =
        changes.iter().position(|one| matches!(one, Change::Renamed(_, to) if *to == object));
    let marked = changes
        .iter()
        .position(|one| matches!(one, Change::Created(path) if path.starts_with(&marks)));
    assert!(placed.unwrap() < marked.unwrap(), "{changes:?}");
}

#[test]
fn an_object_that_comes_while_its_older_mark_is_forgotten_is_recorded() {
    let scratch = Scratch::new();
    scratch.put(1);
    let before = scratch.store.statistics().unwrap();
    // The object of this file in `unrecorded/` was removed before it was recorded.
    scratch.store.place_unrecorded(&mut staged(&scratch, 2)).unwrap();
    fs::remove_file(scratch.store.layout().object(&graph(2).0.graph_key)).unwrap();
    let coming = std::cell::RefCell::new(staged(&scratch, 2));
    let meanwhile = |_: &mut Transaction| {
        scratch.store.place_unrecorded(&mut coming.borrow_mut()).unwrap();
        Ok(())
    };
    scratch.store.write(meanwhile).unwrap();
    assert_eq!(scratch.store.statistics().unwrap().entries, before.entries + 1);
    assert_eq!(scratch.store.verify(false, |_| true).unwrap().findings, []);
    assert_eq!(fs::read_dir(scratch.store.layout().unrecorded()).unwrap().count(), 0);
}

#[test]
fn the_mark_of_an_object_that_cannot_be_read_stays_until_it_can() {
    let scratch = Scratch::new();
    scratch.put(1);
    let before = scratch.store.statistics().unwrap();
    scratch.store.place_unrecorded(&mut staged(&scratch, 2)).unwrap();
    let object = scratch.store.layout().object(&graph(2).0.graph_key);
    let bytes = fs::read(&object).unwrap();
    // An object with another release's version is not damaged.
    fs::write(&object, [&bytes[..8], &[99], &bytes[9..]].concat()).unwrap();
    assert_eq!(scratch.store.statistics().unwrap(), before);
    fs::write(&object, bytes).unwrap();
    assert_eq!(scratch.store.statistics().unwrap().entries, before.entries + 1);
    assert_eq!(fs::read_dir(scratch.store.layout().unrecorded()).unwrap().count(), 0);
}

#[test]
fn the_index_of_an_older_release_stays_until_the_store_is_cleared() {
    let scratch = Scratch::new();
    scratch.put(1);
    let older = scratch.store.dir().join("graphs-v1");
    fs::create_dir_all(older.join("blobs")).unwrap();
    fs::write(older.join("db"), "older").unwrap();
    assert!(older.join("db").exists(), "the release that made it may still use it");
    let object = fs::metadata(scratch.store.layout().object(&graph(1).0.graph_key)).unwrap().len();
    assert_eq!(scratch.store.clear().unwrap().stored_bytes, object + 5);
    assert!(!older.exists());
}

/// Stores so many graphs that filling an index takes several turns.
fn many(scratch: &Scratch, count: u64) {
    let graphs: Vec<_> = (0..count).map(graph).collect();
    scratch
        .store
        .put_all(graphs.iter().map(|(record, program)| (record, program, b"code".as_slice())))
        .unwrap();
}

#[test]
fn an_index_is_filled_in_turns_and_answers_meanwhile() {
    let scratch = Scratch::new();
    many(&scratch, 40);
    let last = (0..40).max_by_key(|number| graph(*number).0.graph_key).unwrap();
    let stage = [(signature(last).projection_key, request(last).digest())];
    let before = scratch.store.statistics().unwrap();
    fs::remove_dir_all(scratch.store.layout().graphs()).unwrap();
    let known = || {
        Store::open(StoreOptions::new(scratch.store.dir())).unwrap().resolve(&stage).unwrap()[0]
            .is_some()
    };
    // Each call is like a process that ends after its request: the next one continues where the
    // last one stopped.
    assert_eq!([known(), known(), known()], [false, false, true]);
    let after = scratch.store.statistics().unwrap();
    assert_eq!((after.entries, after.stored_bytes), (before.entries, before.stored_bytes));
    fs::remove_dir_all(scratch.store.layout().graphs()).unwrap();
    assert_eq!(
        scratch.store.statistics().unwrap().entries,
        40,
        "a caller that needs the whole index waits for it"
    );
    assert_eq!(scratch.store.verify(false, |_| true).unwrap().findings, []);
}

#[test]
fn an_index_that_is_being_filled_takes_what_is_stored_and_used() {
    let scratch = Scratch::new();
    many(&scratch, 40);
    fs::remove_dir_all(scratch.store.layout().graphs()).unwrap();
    scratch.put(1000);
    let last = (0..40).map(|number| graph(number).0.graph_key).max().unwrap();
    scratch.store.commit(&[hit(last)], &Counters { misses: 3, ..Counters::default() }).unwrap();
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!(
        (statistics.entries, statistics.stages.misses, statistics.stages.hits.exact),
        (41, 3, 1)
    );
    assert_eq!(scratch.store.record(&last).unwrap().unwrap().statistics.hits, 1);
    assert_eq!(scratch.store.verify(false, |_| true).unwrap().findings, []);
}

#[test]
fn an_index_that_is_rewritten_keeps_everything_and_takes_less() {
    let scratch = Scratch::new();
    many(&scratch, 600);
    let keys: Vec<GraphKey> = (0..3).map(|number| graph(number).0.graph_key).collect();
    scratch.store.set_pinned(&keys[0], true).unwrap();
    scratch.store.set_signature_pinned(&request(1).digest(), true).unwrap();
    for _ in 0..200 {
        scratch
            .store
            .commit(&[hit(keys[2])], &Counters { misses: 1, ..Counters::default() })
            .unwrap();
    }
    let bytes = || {
        files_of(&scratch.store.layout().graphs())
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum()
    };
    let (before_bytes, before): (u64, _) =
        (bytes(), (scratch.store.statistics().unwrap(), scratch.store.records().unwrap()));
    scratch.store.tidy_index_above(0).unwrap();
    let after_bytes: u64 = bytes();
    assert!(after_bytes < before_bytes, "{after_bytes} of {before_bytes}");
    assert_eq!((scratch.store.statistics().unwrap(), scratch.store.records().unwrap()), before);
    assert!(!scratch.store.layout().graphs_anew().exists());
    assert_eq!(scratch.store.verify(false, |_| true).unwrap().findings, []);
    let record = |key: &GraphKey| scratch.store.record(key).unwrap().unwrap();
    assert!(record(&keys[0]).pinned && record(&keys[1]).pinned && !record(&keys[2]).pinned);
    assert_eq!(record(&keys[2]).statistics.hits, 200);
}

#[test]
fn where_names_cannot_be_exchanged_nothing_is_copied() {
    let scratch = Scratch::new();
    let graphs: Vec<_> = (0..50).map(graph).collect();
    for (record, program) in &graphs {
        scratch.store.put(record, program, b"code").unwrap();
    }
    journal::refuse(Refused::Exchange);
    for round in ["first", "second"] {
        let changes = journal::of(|| scratch.store.tidy_index_above(0).unwrap());
        let tried = changes.contains(&Change::Index("exchange"));
        assert_eq!(tried, round == "first", "{round}: exchanging names is tried once");
        assert!(!changes.contains(&Change::Index("copy")), "{round}: {changes:?}");
        assert!(!scratch.store.layout().graphs_anew().exists());
        assert_eq!(files_of(&scratch.store.layout().tmp()), Vec::<std::path::PathBuf>::new());
    }
    // Another store may be on another file system.
    journal::allow_all();
    let changes = journal::of(|| open(scratch.store.dir()).unwrap().tidy_index_above(0).unwrap());
    assert!(changes.contains(&Change::Index("copy")));
}

#[test]
fn removed_objects_are_looked_for_a_few_at_a_time_from_any_place() {
    let scratch = Scratch::new();
    let mut keys = [1, 2, 3, 4, 5].map(|number| scratch.put(number).graph_key);
    keys.sort_unstable();
    for key in &keys {
        fs::remove_file(scratch.store.layout().object(key)).unwrap();
    }
    let look = |first: &GraphKey, limit| {
        let note = |index: &mut Transaction| scratch.store.note_gone(index, &first.0, limit);
        scratch.store.read(|| (), note).unwrap();
    };
    let records = || scratch.store.records().unwrap();
    let gone = || {
        let records = records();
        keys.map(|key| records.iter().any(|r| r.graph_key == key && r.object.is_none()))
    };
    look(&keys[3], 3);
    assert_eq!(gone(), [true, false, false, true, true], "after the last key comes the first");
    look(&keys[1], 2);
    assert_eq!(gone(), [true; 5]);
    assert_eq!(scratch.store.statistics().unwrap().entries, 0);
}
