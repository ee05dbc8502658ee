use std::fs;
use std::path::Path;

use super::FindingKind::*;
use super::*;
use crate::statistics::Counters;
use crate::store::tests::{Scratch, files_of, graph, hit, noise, payload, request, signature};
use crate::store::{ObjectLookup, StoreOptions};

fn kinds(verified: &VerifyReport) -> Vec<FindingKind> {
    verified.findings.iter().map(|finding| finding.kind).collect()
}

fn verify(store: &Store, repair: bool) -> VerifyReport {
    store.verify(repair, |_| true).unwrap()
}

fn key(number: u64) -> GraphKey {
    graph(number).0.graph_key
}

#[test]
fn a_sound_store_is_found_sound_and_nothing_is_made_of_none() {
    let scratch = Scratch::new();
    assert_eq!(verify(&scratch.store, false), VerifyReport::default());
    assert!(fs::read_dir(scratch.store.dir()).unwrap().next().is_none());
    for number in 0..3 {
        scratch.put(number);
    }
    scratch.store.commit(&[hit(key(1))], &Counters::default()).unwrap();
    scratch.store.set_pinned(&key(2), true).unwrap();
    let mut told = Vec::new();
    let verified = scratch.store.verify(false, |verifying| {
        told.push((verifying.checked, verifying.objects));
        true
    });
    let verified = verified.unwrap();
    assert_eq!((verified.objects, verified.records, kinds(&verified)), (3, 3, vec![]));
    assert_eq!(told, [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(verified.object_bytes, scratch.store.statistics().unwrap().stored_bytes);
    assert!(scratch.store.verify(false, |_| false).unwrap().cancelled);
    let read_only = Store::open(StoreOptions::new(scratch.store.dir()).read_only()).unwrap();
    assert_eq!((verify(&read_only, false).objects, verify(&read_only, false).records), (3, 0));
    assert!(read_only.verify(true, |_| true).is_err());
}

#[test]
fn everything_that_is_wrong_is_found_and_put_right() {
    let scratch = Scratch::new();
    for number in 0..6 {
        scratch.put(number);
    }
    let (store, layout) = (&scratch.store, scratch.store.layout());
    // First, a byte of the machine code changes. Second, an object gets the bytes of another
    // object. Third, the name of a file is not a key. Fourth, an object lies at a place that does
    // not belong to its key.
    let mut bytes = fs::read(layout.object(&key(0))).unwrap();
    let middle = bytes.len() - 100;
    bytes[middle] ^= 1;
    fs::write(layout.object(&key(0)), bytes).unwrap();
    fs::copy(layout.object(&key(2)), layout.object(&key(1))).unwrap();
    fs::write(layout.objects().join("notes.txt"), "mine").unwrap();
    fs::copy(layout.object(&key(2)), layout.objects().join(key(2).to_string())).unwrap();
    // One entry loses its object, another one loses its record, and two files are left over.
    fs::remove_file(layout.object(&key(3))).unwrap();
    store.remove_records(&[key(4)]).unwrap();
    fs::write(layout.tmp().join("preheat-file.0123456789"), "half").unwrap();
    fs::write(layout.compile_lock(&key(9)), "").unwrap();
    // A process compiled the graph again, and died before it recorded the object.
    let (record, program) = graph(5);
    let frame = object::ProgramFrame::of(&program).unwrap();
    store.place(&mut store.stage(&record, frame, &payload(77)).unwrap()).unwrap();

    let opened = |dir: &Path| Store::open(StoreOptions::new(dir)).unwrap();
    let mut expected = [
        LeftOver,
        LeftOver,
        StrayFile,
        StrayFile,
        DamagedObject,
        DamagedObject,
        RecordWithoutObject,
        RecordDiffers,
        ObjectWithoutRecord,
    ];
    expected.sort_unstable();
    let sorted = |verified: &VerifyReport| {
        let mut kinds = kinds(verified);
        kinds.sort_unstable();
        kinds
    };
    let found = verify(&opened(store.dir()), false);
    assert!(found.is_damaged());
    assert_eq!(sorted(&found), expected, "{:#?}", found.findings);
    assert!(fs::metadata(layout.object(&key(0))).is_ok(), "nothing is touched");
    // The first verification has removed the left-overs, as any write does. Objects that go to
    // quarantine leave records without objects.
    let repaired = verify(&opened(store.dir()), true);
    let expected = [&expected[..7], &[RecordWithoutObject; 2]].concat();
    assert_eq!(sorted(&repaired), expected, "{:#?}", repaired.findings);
    assert!(!repaired.is_damaged());
    let after = verify(store, false);
    assert_eq!(kinds(&after), [], "{:#?}", after.findings);
    assert_eq!(after.objects, 3);
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.entries, statistics.stored_bytes), (3, after.object_bytes));
    for (number, loads) in [(0, false), (1, false), (2, true), (3, false), (4, true), (5, true)] {
        assert_eq!(matches!(store.load(&key(number)), Ok(ObjectLookup::Hit(_))), loads, "{number}");
        assert_eq!(
            store.program(&key(number)).unwrap(),
            Some(graph(number).1),
            "the program stays, so the graph can be compiled again"
        );
    }
}

#[test]
fn an_index_that_is_lost_or_noise_is_damage_and_comes_back() {
    for round in 0..6 {
        let scratch = Scratch::new();
        for number in 0..4 {
            scratch.put(number);
        }
        let graphs = scratch.store.layout().graphs();
        if round == 0 {
            fs::remove_dir_all(&graphs).unwrap();
        } else {
            let mut numbers = noise(round);
            for path in files_of(&graphs) {
                let noise = fs::read(&path)
                    .unwrap()
                    .iter()
                    .map(|_| numbers.next().unwrap().to_le_bytes()[3])
                    .collect::<Vec<_>>();
                fs::write(path, noise).unwrap();
            }
        }
        let found = verify(&scratch.store, false);
        assert!(found.is_damaged(), "{round}: {found:?}");
        let repaired = verify(&scratch.store, true);
        assert!(!repaired.is_damaged(), "{repaired:?}");
        let after = verify(&scratch.store, false);
        assert_eq!((kinds(&after), after.records), (vec![], 4));
        let stage = [(signature(1).projection_key, request(1).digest())];
        assert!(scratch.store.resolve(&stage).unwrap()[0].is_some());
    }
}

#[test]
fn what_is_said_to_be_repaired_is_repaired() {
    let scratch = Scratch::new();
    (0..4).for_each(|number| drop(scratch.put(number)));
    let layout = scratch.store.layout();
    // One program has no object left from which it could be taken. Another object is damaged, and
    // cannot be moved to quarantine.
    scratch.store.write_raw(&[b"k".as_slice(), graph(0).1.digest().as_bytes()].concat(), None);
    fs::remove_file(layout.object(&key(0))).unwrap();
    scratch.store.write_raw(&[b"k".as_slice(), graph(1).1.digest().as_bytes()].concat(), None);
    fs::write(layout.object(&key(2)), "damaged").unwrap();
    fs::write(layout.quarantine(), "in the way").unwrap();
    scratch.store.write_raw(&[b"v".as_slice(), &[1; 40]].concat(), Some(b""));
    let found = verify(&scratch.store, true);
    let repaired: Vec<_> =
        found.findings.iter().map(|one| (one.kind, one.graph_key, one.repaired)).collect();
    let expected = [
        (DamagedObject, Some(key(2)), false),
        (DamagedProgram, Some(key(0)), true),
        (DamagedProgram, Some(key(1)), true),
        (WrongTotals, None, true),
    ];
    for one in expected {
        assert!(repaired.contains(&one), "{one:?} is not in {repaired:#?}");
    }
    assert_eq!(repaired.len(), expected.len(), "{repaired:#?}");
    assert!(found.is_damaged());
    fs::remove_file(layout.quarantine()).unwrap();
    assert!(!verify(&scratch.store, true).is_damaged());
    let after = verify(&scratch.store, false);
    assert_eq!(
        (kinds(&after), after.records, after.objects),
        (vec![], 3, 2),
        "{:#?}",
        after.findings
    );
    assert_eq!(scratch.store.program(&key(1)).unwrap(), Some(graph(1).1));
}
