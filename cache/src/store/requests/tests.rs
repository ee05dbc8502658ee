use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::statistics::{
    Counters, Match, Purpose, RequestGroup, RequestOutcome, Source, StageUse, Statistics, Use,
};
use crate::store::tests::{Scratch, hit, open};

const PATIENCE: Duration = Duration::from_secs(20);

fn group(purpose: Purpose, size: &str) -> RequestGroup {
    let (model_id, device) = ("sd15".to_owned(), "xla-cpu".to_owned());
    RequestGroup { purpose, model_id, size: size.to_owned(), device }
}

fn begun(request: u64, group: RequestGroup) -> RequestEvent {
    RequestEvent::Begun { request, group, at: Timestamp::now() }
}

fn ended(request: u64, outcome: RequestOutcome) -> RequestEvent {
    RequestEvent::Ended { request, outcome, seconds: 0.5, at: Timestamp::now() }
}

fn stage(request: u64, used: Use) -> RequestEvent {
    RequestEvent::Stage { request, stage: Box::new(StageUse { used, wait_seconds: None }) }
}

fn serve(store: &Store, request: u64, outcome: RequestOutcome) {
    store.note_event(begun(request, group(Purpose::Serving, "512x512")));
    store.note_event(ended(request, outcome));
}

/// The counts of requests that were served warm, served after a compile, refused, failed and
/// interrupted.
fn outcomes(statistics: &Statistics) -> [u64; 5] {
    statistics.requests.outcomes.each().map(|(_, count)| count)
}

fn journal_files(scratch: &Scratch) -> usize {
    std::fs::read_dir(scratch.store.layout().requests()).map_or(0, Iterator::count)
}

#[test]
fn refused_requests_and_warmups_are_no_hits_and_save_nothing() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let store = &scratch.store;
    for (request, purpose, outcome) in [
        (1, Purpose::Serving, RequestOutcome::Refused),
        (2, Purpose::Warming, RequestOutcome::ServedWarm),
        (3, Purpose::Serving, RequestOutcome::ServedWarm),
    ] {
        store.note_event(begun(request, group(purpose, "512x512")));
        store.note_event(stage(request, hit(record.graph_key)));
        store.note_event(ended(request, outcome));
    }
    let statistics = store.statistics().unwrap();
    assert_eq!(outcomes(&statistics), [1, 0, 1, 0, 0]);
    assert_eq!((statistics.stages.hits.total(), statistics.stages.misses), (1, 0));
    assert!((statistics.stages.compile_seconds_saved - 2.0).abs() < 1e-9);
    assert_eq!(statistics.requests.hit_rate, Some(0.5));
    let warming = &statistics.warming;
    assert_eq!((warming.requests.outcomes.served_warm, warming.hits.total()), (1, 1));
    assert_eq!(store.record(&record.graph_key).unwrap().unwrap().statistics.hits, 1);
    assert_eq!(statistics.requests.groups.len(), 1);
}

#[test]
fn a_request_whose_process_died_was_interrupted_and_its_compiles_count() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let dead = open(scratch.store.dir()).unwrap();
    serve(&dead, 1, RequestOutcome::ServedWarm);
    dead.note_event(begun(2, group(Purpose::Serving, "768x768")));
    let compiled = Use {
        matched: Match::Compiled,
        source: Source::Compiled,
        compile_seconds: Some(2.0),
        load_seconds: None,
        ..hit(record.graph_key)
    };
    dead.note_event(stage(2, compiled));
    let living = scratch.store.statistics().unwrap();
    assert_eq!((outcomes(&living), living.requests.in_flight), ([1, 0, 0, 0, 0], 1));
    assert_eq!(living.stages.compiles, 0, "the stages of a request count when the request is over");
    drop(dead);
    for _ in 0..2 {
        let statistics = scratch.store.statistics().unwrap();
        assert_eq!((outcomes(&statistics), statistics.requests.in_flight), ([1, 0, 0, 0, 1], 0));
        assert_eq!((statistics.stages.compiles, statistics.stages.misses), (1, 1));
        assert_eq!(journal_files(&scratch), 0, "counted journals are removed");
    }
}

#[test]
fn a_long_journal_goes_on_in_new_segments_and_counts_once() {
    let scratch = Scratch::new();
    let other = open(scratch.store.dir()).unwrap();
    other.note_event(begun(0, group(Purpose::Serving, "64x64")));
    let mut most_files = 0;
    for round in 1..=20 {
        for request in 0..20 {
            serve(&other, 100 * round + request, RequestOutcome::ServedAfterCompile);
        }
        most_files = most_files.max(journal_files(&scratch));
        // The process itself and another one count by turns.
        let counting = if round % 2 == 0 { &other } else { &scratch.store };
        counting.commit_requests(&[], &Counters::default(), PATIENCE).unwrap();
    }
    assert!(most_files > 1, "no new segment was begun");
    other.note_event(ended(0, RequestOutcome::Failed));
    assert_eq!(outcomes(&other.statistics().unwrap()), [0, 400, 0, 1, 0]);
    other.statistics().unwrap();
    assert_eq!(journal_files(&scratch), 1);
}

#[test]
fn a_line_that_was_cut_off_or_is_of_another_release_is_passed_over() {
    let scratch = Scratch::new();
    let dead = open(scratch.store.dir()).unwrap();
    serve(&dead, 1, RequestOutcome::ServedWarm);
    let folder = scratch.store.layout().requests();
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut content = std::fs::read(&file).unwrap();
    content
        .extend_from_slice(b"{\"event\":\"of a later release\",\"request\":7}\n{\"event\":\"beg");
    std::fs::write(&file, content).unwrap();
    std::fs::write(folder.join("mine.txt"), "left alone").unwrap();
    drop(dead);
    assert_eq!(outcomes(&scratch.store.statistics().unwrap()), [1, 0, 0, 0, 0]);
    assert_eq!(journal_files(&scratch), 1, "only the foreign file stays");
}

#[test]
fn without_a_journal_requests_are_kept_in_memory() {
    let scratch = Scratch::new();
    scratch.put(1);
    std::fs::write(scratch.store.layout().requests(), "in the way").unwrap();
    scratch.store.note_event(begun(1, group(Purpose::Serving, "64x64")));
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!((outcomes(&statistics), statistics.requests.in_flight), ([0; 5], 1));
    scratch.store.note_event(ended(1, RequestOutcome::ServedWarm));
    for _ in 0..2 {
        let statistics = scratch.store.statistics().unwrap();
        assert_eq!((outcomes(&statistics), statistics.requests.in_flight), ([1, 0, 0, 0, 0], 0));
    }
    // If a process without a journal file dies, the next process counts its open request as
    // interrupted.
    scratch.store.note_event(begun(2, group(Purpose::Serving, "64x64")));
    scratch.store.statistics().unwrap();
    let next = open(scratch.store.dir()).unwrap();
    drop(scratch.store);
    assert_eq!(outcomes(&next.statistics().unwrap()), [1, 0, 0, 0, 1]);
}

#[test]
fn a_read_only_store_is_not_written() {
    let scratch = Scratch::new();
    scratch.put(1);
    let options = crate::StoreOptions::new(scratch.store.dir()).read_only();
    let reader = Store::open(options).unwrap();
    serve(&reader, 1, RequestOutcome::ServedWarm);
    assert_eq!(journal_files(&scratch), 0);
}

#[test]
fn zeroing_forgets_what_was_counted_and_keeps_what_is_under_way() {
    let scratch = Scratch::new();
    let other = open(scratch.store.dir()).unwrap();
    serve(&other, 1, RequestOutcome::ServedWarm);
    other.note_event(begun(2, group(Purpose::Serving, "512x512")));
    scratch.store.zero_statistics().unwrap();
    let zeroed = scratch.store.statistics().unwrap();
    assert_eq!((outcomes(&zeroed), zeroed.requests.in_flight), ([0; 5], 1));
    other.note_event(ended(2, RequestOutcome::ServedWarm));
    assert_eq!(outcomes(&scratch.store.statistics().unwrap()), [1, 0, 0, 0, 0]);
}

#[test]
fn an_earlier_release_finds_its_own_counters_alone() {
    let scratch = Scratch::new();
    scratch.put(1);
    serve(&scratch.store, 1, RequestOutcome::ServedWarm);
    scratch.store.statistics().unwrap();
    let stored = scratch.store.read_raw(b"mstatistics").unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert!(stored.get("requests").is_none() && stored["entries"] == 1, "{stored}");
    // The earlier release writes what it understands; what this release added stays.
    scratch.store.write_raw(b"mstatistics", Some(stored.to_string().as_bytes()));
    let counted = scratch.store.statistics().unwrap();
    assert_eq!(outcomes(&counted), [1, 0, 0, 0, 0]);
    // Requests were not counted before this release came.
    assert!(counted.requests.since.unwrap() > counted.since);
}

#[test]
fn sizes_beyond_the_limit_are_counted_together() {
    let scratch = Scratch::new();
    for request in 0..20 {
        let group = group(Purpose::Serving, &format!("{request}x{request}"));
        scratch.store.note_event(begun(request, group));
        scratch.store.note_event(ended(request, RequestOutcome::ServedWarm));
    }
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!(outcomes(&statistics), [20, 0, 0, 0, 0]);
    let groups = &statistics.requests.groups;
    assert_eq!((groups.len(), groups[0].size.as_str()), (9, "other"));
    assert_eq!(groups[0].outcomes.served_warm, 12);
}

#[test]
fn a_period_counts_what_happened_in_it() {
    let scratch = Scratch::new();
    let now = Timestamp::now();
    let ago = |hours: i64| now - jiff::SignedDuration::from_hours(hours);
    for (request, hours) in [(1, 0), (2, 5), (3, 60), (4, 24 * 10), (5, 24 * 500)] {
        let group = group(Purpose::Serving, "512x512");
        scratch.store.note_event(RequestEvent::Begun { request, group, at: ago(hours) });
        let (outcome, seconds) = (RequestOutcome::ServedWarm, 0.1);
        scratch.store.note_event(RequestEvent::Ended { request, outcome, seconds, at: ago(hours) });
    }
    let since = |hours| {
        let statistics = scratch.store.statistics_since(Some(ago(hours))).unwrap();
        assert!(statistics.since <= Timestamp::now());
        outcomes(&statistics)[0]
    };
    // What happened more than 400 days ago counts for all time only.
    assert_eq!([since(1), since(6), since(61), since(24 * 11), since(24 * 600)], [1, 2, 3, 4, 4]);
    assert_eq!(outcomes(&scratch.store.statistics().unwrap())[0], 5);
    scratch.store.note_event(begun(9, group(Purpose::Serving, "64x64")));
    scratch.store.note_event(ended(9, RequestOutcome::ServedWarm));
    assert_eq!([since(24 * 11), since(24 * 600)], [5, 5]);
    assert_eq!(outcomes(&scratch.store.statistics().unwrap())[0], 6);
}

#[test]
fn entries_whose_objects_are_gone_are_not_counted() {
    let scratch = Scratch::new();
    let (gone, stays) = (scratch.put(1), scratch.put(2));
    let before = scratch.store.statistics().unwrap();
    assert_eq!((before.entries, before.by_device["xla-cpu"].entries), (2, 2));
    std::fs::remove_file(scratch.store.layout().object(&gone.graph_key)).unwrap();
    for _ in 0..2 {
        let after = scratch.store.statistics().unwrap();
        assert_eq!((after.entries, after.by_device["xla-cpu"].entries), (1, 1));
        let left = std::fs::metadata(scratch.store.layout().object(&stays.graph_key)).unwrap();
        assert_eq!(after.stored_bytes, left.len());
    }
    assert!(scratch.store.record(&gone.graph_key).unwrap().unwrap().object.is_none());
    assert_eq!(scratch.put(1).graph_key, gone.graph_key);
    assert_eq!(scratch.store.statistics().unwrap().entries, 2);
}
