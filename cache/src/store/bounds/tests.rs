use std::fs;
use std::time::Duration;

use super::*;
use crate::store::tests::{Scratch, files_of, graph, hit, payload, request, signature};
use crate::store::{LoadedObject, ObjectLookup, StoreOptions};

fn limited(scratch: &Scratch, max_bytes: u64) -> Store {
    Store::open(StoreOptions { max_bytes, ..StoreOptions::new(scratch.store.dir()) }).unwrap()
}

/// The bytes that the objects take on disk.
fn on_disk(store: &Store) -> u64 {
    if !store.layout().objects().exists() {
        return 0;
    }
    files_of(&store.layout().objects())
        .iter()
        .filter_map(|path| Some(fs::metadata(path).ok()?.len()))
        .sum()
}

/// Stores a graph whose compile took `compile_seconds`, and returns the length of its object.
fn put(store: &Store, number: u64, compile_seconds: f64) -> u64 {
    let (mut record, program) = graph(number);
    record.measurements.compile_seconds = compile_seconds;
    store.put(&record, &program, &payload(1)).unwrap().stored_bytes
}

fn key(number: u64) -> GraphKey {
    graph(number).0.graph_key
}

fn held(store: &Store, numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers
        .filter(|number| {
            store.has_object(&key(*number)) && store.record(&key(*number)).unwrap().is_some()
        })
        .collect()
}

fn load(store: &Store, number: u64) -> Box<LoadedObject> {
    let ObjectLookup::Hit(object) = store.load(&key(number)).unwrap() else {
        panic!("{number} is not there")
    };
    object
}

#[test]
fn what_is_worth_least_goes_and_the_totals_are_those_of_the_disk() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 9.0);
    let store = limited(&scratch, 4 * one + one / 2);
    for (number, compile_seconds) in [(1, 1.0), (2, 7.0), (3, 3.0), (4, 5.0), (5, 4.0), (6, 0.0)] {
        put(&store, number, compile_seconds);
        let statistics = store.statistics().unwrap();
        assert_eq!(statistics.stored_bytes, on_disk(&store));
        assert!(statistics.stored_bytes <= 4 * one + one / 2);
    }
    assert_eq!(held(&store, 0..7), [0, 2, 4, 6], "the newest entry is kept, whatever it is worth");
    assert_eq!(
        (store.statistics().unwrap().evictions, store.statistics().unwrap().entries),
        (3, 4)
    );
    put(&store, 7, 8.0);
    assert_eq!(held(&store, 0..8), [0, 2, 4, 7]);
}

#[test]
fn what_is_used_stays_longer_and_so_does_what_was_loaded_often() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 1.0);
    put(&scratch.store, 1, 1.0);
    put(&scratch.store, 2, 1.0);
    // A hit in memory counts only as a recent use, because it needs no object. A load from disk
    // makes the entry worth more, because the object saved a compile.
    let in_memory = crate::Use { source: crate::Source::Memory, load_seconds: None, ..hit(key(0)) };
    scratch.store.commit(&[hit(key(2)), in_memory], &Counters::default()).unwrap();
    put(&limited(&scratch, 3 * one + one / 2), 3, 1.0);
    assert_eq!(held(&scratch.store, 0..4), [0, 2, 3]);
    put(&limited(&scratch, 3 * one + one / 2), 4, 1.0);
    assert_eq!(held(&scratch.store, 0..5), [2, 3, 4]);
}

#[test]
fn a_use_long_ago_is_worth_less_than_a_cheap_compile_of_today() {
    let scratch = Scratch::new();
    let now = jiff::Timestamp::now();
    let mut one = 0;
    for (number, weeks, compile_seconds) in [(0, 3_u64, 7.0), (1, 3, 9.0), (2, 0, 1.0)] {
        let (mut record, program) = graph(number);
        record.created = now - Duration::from_secs(weeks * 7 * 24 * 3600);
        record.measurements.compile_seconds = compile_seconds;
        one = scratch.store.put(&record, &program, &payload(1)).unwrap().stored_bytes;
    }
    // After three half-lives 7 s are worth 0.9 s, and 9 s are worth 1.1 s.
    assert_eq!(scratch.store.records_and_order(false).unwrap().1, [key(0), key(2), key(1)]);
    put(&limited(&scratch, 3 * one + one / 2), 3, 1.0);
    assert_eq!(held(&scratch.store, 0..4), [1, 2, 3]);
}

#[test]
fn pinned_entries_and_those_being_loaded_stay() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 0.1);
    put(&scratch.store, 1, 0.2);
    put(&scratch.store, 2, 0.3);
    assert!(scratch.store.set_pinned(&key(0), true).unwrap());
    let loading = load(&scratch.store, 1);
    let store = limited(&scratch, 3 * one + one / 2);
    put(&store, 3, 5.0);
    assert_eq!(held(&store, 0..4), [0, 1, 3]);
    drop(loading);
    put(&store, 4, 5.0);
    assert_eq!(held(&store, 0..5), [0, 3, 4]);
    assert!(scratch.store.set_pinned(&key(0), false).unwrap());
    put(&store, 5, 5.0);
    assert_eq!(held(&store, 0..6), [3, 4, 5]);
}

#[test]
fn a_pinned_request_keeps_whatever_it_leads_to() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 0.1);
    let digest = request(0).digest();
    assert_eq!(scratch.store.set_signature_pinned(&digest, true).unwrap(), 1);
    // Later, the same request leads to another graph: it is compiled for the request, or found by
    // its key.
    let (mut record, program) = graph(1);
    record.signatures = vec![signature(0)];
    record.measurements.compile_seconds = 0.1;
    scratch.store.put(&record, &program, &payload(1)).unwrap();
    put(&scratch.store, 2, 0.1);
    let found = crate::Use { signature: Some(signature(0)), ..hit(key(2)) };
    scratch.store.commit(&[found], &Counters::default()).unwrap();
    assert!((0..3).all(|number| scratch.store.record(&key(number)).unwrap().unwrap().pinned));
    let store = limited(&scratch, 4 * one + one / 2);
    put(&store, 3, 5.0);
    put(&store, 4, 5.0);
    assert_eq!(held(&store, 0..5), [0, 1, 2, 4]);
    assert!(scratch.store.set_pinned(&key(0), true).unwrap());
    assert_eq!(scratch.store.set_signature_pinned(&digest, false).unwrap(), 3);
    assert!(
        scratch.store.record(&key(0)).unwrap().unwrap().pinned,
        "its own pin is independent of the request's"
    );
    put(&store, 5, 5.0);
    put(&store, 6, 5.0);
    assert_eq!(held(&store, 0..7), [0, 4, 5, 6]);
}

#[test]
fn what_is_larger_than_the_limit_is_refused_and_moves_nothing() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 1.0);
    // The lengths of such objects differ by a few bytes, because their records hold different
    // times.
    let store = limited(&scratch, one - 100);
    let (record, program) = graph(1);
    let refused = |store: &Store| match store.put(&record, &program, &payload(1)).unwrap_err() {
        StoreError::NoRoom { kept_bytes, .. } => kept_bytes,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&store), 0);
    assert_eq!(held(&store, 0..2), [0]);
    assert!(fs::read_dir(store.layout().tmp()).unwrap().next().is_none());
    // Pinned objects take all the room. A store may go over its limit by one object, so one more
    // object is stored, and the next is refused.
    let store = limited(&scratch, one + 100);
    scratch.store.set_pinned(&key(0), true).unwrap();
    store.put(&record, &program, &payload(1)).unwrap();
    scratch.store.set_pinned(&key(1), true).unwrap();
    let (record, program) = graph(2);
    assert!(matches!(store.put(&record, &program, &payload(1)), Err(StoreError::NoRoom { .. })));
    assert_eq!(held(&store, 0..3), [0, 1]);
    // An object that is already there can still be replaced.
    put(&store, 1, 2.0);
}

#[test]
fn the_limit_holds_at_every_moment_while_many_store_at_once() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 1.0);
    let max_bytes = 5 * one + one / 2;
    let mut most = 0;
    std::thread::scope(|scope| {
        let scratch = &scratch;
        let store_twelve = |thread: u64| {
            move || {
                let store = limited(scratch, max_bytes);
                for round in 0..12 {
                    put(&store, 1 + thread * 12 + round, 1.0);
                }
            }
        };
        let writers: Vec<_> = (0..4).map(|thread| scope.spawn(store_twelve(thread))).collect();
        // A writer that panics has finished, too; the scope reports the panic.
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            most = most.max(on_disk(&scratch.store));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(most <= max_bytes + one, "{most} bytes, and the limit is {max_bytes}");
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!((statistics.stored_bytes, statistics.evictions), (on_disk(&scratch.store), 44));
}

#[test]
fn a_batch_goes_over_the_limit_by_one_object_at_most() {
    let scratch = Scratch::new();
    let one = put(&scratch.store, 0, 1.0);
    put(&scratch.store, 1, 1.0);
    let store = limited(&scratch, 2 * one + one / 2);
    let graphs: Vec<_> = (2..9).map(graph).collect();
    let code = payload(1);
    let batch = || graphs.iter().map(|(record, program)| (record, program, code.as_slice()));
    assert!(matches!(store.put_all(batch()), Err(StoreError::NoRoom { .. })));
    assert!(
        on_disk(&store) <= 3 * one + one / 2 && store.has_object(&key(2)),
        "{}",
        on_disk(&store)
    );
    // The pinned objects leave room for half an object. The first object of the batch takes the
    // store over its limit, so the next one is refused.
    let scratch = Scratch::new();
    put(&scratch.store, 0, 1.0);
    put(&scratch.store, 1, 1.0);
    (0..2).for_each(|number| assert!(scratch.store.set_pinned(&key(number), true).unwrap()));
    let error = limited(&scratch, 2 * one + one / 2).put_all(batch()).unwrap_err();
    assert!(error.to_string().contains("a larger limit, fewer pins"), "{error}");
    assert_eq!(held(&scratch.store, 0..9), [0, 1, 2]);
    assert_eq!(scratch.store.statistics().unwrap().stored_bytes, on_disk(&scratch.store));
}

#[test]
fn what_was_pinned_or_used_since_it_was_chosen_is_not_pruned() {
    let scratch = Scratch::new();
    let now = jiff::Timestamp::now();
    for number in 0..6 {
        let (mut record, program) = graph(number);
        record.created = now - Duration::from_hours(1);
        scratch.store.put(&record, &program, &payload(1)).unwrap();
    }
    let done = std::cell::Cell::new(false);
    // This is called when all records are read, before anything is removed.
    let meanwhile = |record: &GraphRecord| {
        if !done.replace(true) {
            scratch.store.set_pinned(&key(0), true).unwrap();
            scratch.store.set_pinned(&key(1), true).unwrap();
            scratch.store.commit(&[hit(key(2))], &Counters::default()).unwrap();
            scratch.store.commit(&[hit(key(3))], &Counters::default()).unwrap();
        }
        [key(0), key(2)].contains(&record.graph_key)
    };
    let rule = Prune { used_before: Some(now), stale: Some(&meanwhile), ..Prune::default() };
    let pruned = scratch.store.prune(&rule).unwrap();
    assert_eq!(
        held(&scratch.store, 0..6),
        [0, 1, 3],
        "a stale entry is removed although it was used"
    );
    assert_eq!((pruned.entries.len(), pruned.in_use), (3, 0));
    // The same holds for pruning by size.
    done.set(false);
    scratch.store.set_pinned(&key(0), false).unwrap();
    scratch.store.set_pinned(&key(1), false).unwrap();
    let used = |_: &GraphRecord| {
        if !done.replace(true) {
            scratch.store.commit(&[hit(key(0))], &Counters::default()).unwrap();
        }
        false
    };
    scratch
        .store
        .prune(&Prune { max_bytes: Some(0), stale: Some(&used), ..Prune::default() })
        .unwrap();
    assert_eq!(held(&scratch.store, 0..6), [0]);
}

#[test]
fn a_pinned_request_can_be_let_go_after_many_others_led_to_its_graph() {
    let scratch = Scratch::new();
    put(&scratch.store, 0, 1.0);
    let digest = request(0).digest();
    assert_eq!(scratch.store.set_signature_pinned(&digest, true).unwrap(), 1);
    for number in 1..=64 {
        let other = crate::Use { signature: Some(signature(number)), ..hit(key(0)) };
        scratch.store.commit(&[other], &Counters::default()).unwrap();
    }
    let record = || scratch.store.record(&key(0)).unwrap().unwrap();
    assert!(
        record().signatures.iter().all(|one| one.signature.digest() != digest),
        "the record no longer lists the request"
    );
    assert!(record().pinned);
    assert_eq!(scratch.store.set_signature_pinned(&digest, false).unwrap(), 1);
    assert!(!record().pinned);
    assert_eq!(scratch.store.set_signature_pinned(&digest, false).unwrap(), 0);
}

#[test]
fn a_graph_that_is_unpinned_is_kept_by_no_request_until_one_leads_to_it_again() {
    let scratch = Scratch::new();
    put(&scratch.store, 0, 1.0);
    let digest = request(0).digest();
    scratch.store.set_signature_pinned(&digest, true).unwrap();
    assert!(scratch.store.set_pinned(&key(0), false).unwrap());
    assert!(!scratch.store.record(&key(0)).unwrap().unwrap().pinned);
    assert_eq!(scratch.store.records_and_order(false).unwrap().1, [key(0)]);
    let again = crate::Use { signature: Some(signature(0)), ..hit(key(0)) };
    scratch.store.commit(&[again], &Counters::default()).unwrap();
    assert!(scratch.store.record(&key(0)).unwrap().unwrap().pinned, "the request is still pinned");
    // No part of a pin stays after the graph is removed.
    scratch.store.remove(&key(0)).unwrap();
    assert_eq!(scratch.store.set_signature_pinned(&digest, false).unwrap(), 0);
    put(&scratch.store, 0, 1.0);
    assert!(!scratch.store.record(&key(0)).unwrap().unwrap().pinned);
}

#[test]
fn pruning_removes_by_rule_and_says_what_it_would() {
    let scratch = Scratch::new();
    let now = jiff::Timestamp::now();
    for number in 0..6 {
        let (mut record, program) = graph(number);
        record.measurements.compile_seconds = 1.0 + f64::from(u32::try_from(number).unwrap());
        if number == 1 {
            record.created = now - Duration::from_secs(1000);
        }
        scratch.store.put(&record, &program, &payload(1)).unwrap();
    }
    scratch.store.set_pinned(&key(2), true).unwrap();
    let loading = load(&scratch.store, 3);
    let one = loading.stored_bytes;
    let stale = |record: &GraphRecord| [key(0), key(2)].contains(&record.graph_key);
    let rule = Prune {
        max_bytes: Some(2 * one + one / 2),
        used_before: Some(now - Duration::from_secs(500)),
        stale: Some(&stale),
        dry_run: true,
    };
    let would = scratch.store.prune(&rule).unwrap();
    let expected = [
        (key(0), PruneReason::Stale),
        (key(1), PruneReason::Age),
        (key(3), PruneReason::Size),
        (key(4), PruneReason::Size),
    ];
    let chosen = |pruned: &Pruned| {
        pruned.entries.iter().map(|one| (one.graph_key, one.reason)).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&would), expected);
    assert_eq!(held(&scratch.store, 0..6), [0, 1, 2, 3, 4, 5]);
    let pruned = scratch.store.prune(&Prune { dry_run: false, ..rule }).unwrap();
    assert_eq!(
        (chosen(&pruned), pruned.in_use),
        ([expected[0], expected[1], expected[3]].to_vec(), 1)
    );
    assert_eq!(held(&scratch.store, 0..6), [2, 3, 5]);
    assert_eq!(scratch.store.statistics().unwrap().evictions, 1);
    assert_eq!(scratch.store.statistics().unwrap().stored_bytes, on_disk(&scratch.store));
    assert_eq!(scratch.store.prune(&Prune::default()).unwrap(), Pruned::default());
}
