use super::*;
use crate::files::journal::{self, Change};
use crate::hash::Digest;
use crate::program::{Program, ProgramFormat};
use crate::record::{ObjectInfo, RecordStatistics};
use crate::store::tests::{Scratch, graph, hit, payload, request, signature};
use crate::store::verify::FindingKind;
use crate::store::{ObjectLookup, StoreOptions};

fn exported(scratch: &Scratch) -> Vec<u8> {
    let mut file = Vec::new();
    scratch.store.export(&mut file, |_| true, |_| true).unwrap();
    file
}

fn import(scratch: &Scratch, file: &[u8]) -> Imported {
    scratch.store.import(file, |_| true).unwrap()
}

fn filled() -> Scratch {
    let scratch = Scratch::new();
    (0..3).for_each(|number| drop(scratch.put(number)));
    scratch
}

fn loads(scratch: &Scratch, number: u64) -> bool {
    match scratch.store.load(&graph(number).0.graph_key).unwrap() {
        ObjectLookup::Hit(object) => object.payload == payload(number),
        ObjectLookup::Absent => false,
        ObjectLookup::Damaged { reason } => panic!("{reason}"),
    }
}

/// An archive of the given entries, with any type and any name.
fn archive(entries: &[(tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_entry_type(*kind);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn what_is_exported_is_imported_elsewhere() {
    let from = filled();
    let file = exported(&from);
    assert_eq!(file, exported(&from), "the same store makes the same file");
    let to = Scratch::new();
    to.put(1);
    let imported = import(&to, &file);
    assert_eq!((imported.added, imported.kept, imported.refused), (2, 1, vec![]));
    assert!((0..3).all(|number| loads(&to, number)));
    let stage = [(signature(2).projection_key, request(2).digest())];
    assert!(to.store.resolve(&stage).unwrap()[0].is_some(), "level 1 knows it");
    assert_eq!(to.store.statistics().unwrap().entries, 3);
    assert_eq!(to.store.verify(false, |_| true).unwrap().findings, []);
    assert_eq!(import(&to, &file).kept, 3);
    // A damaged object in this store is replaced.
    std::fs::write(to.store.layout().object(&graph(0).0.graph_key), "damaged").unwrap();
    assert_eq!(import(&to, &file).added, 1);
    assert!(loads(&to, 0));
}

#[test]
fn an_import_outlasts_a_holder_of_the_index_that_does_nothing_for_two_seconds() {
    let file = exported(&filled());
    let to = Scratch::new();
    to.put(5);
    let lock = std::fs::File::open(to.store.layout().index_lock()).unwrap();
    lock.lock().unwrap();
    let imported = std::thread::scope(|scope| {
        let imported = scope.spawn(|| to.store.import(file.as_slice(), |_| true));
        std::thread::sleep(std::time::Duration::from_secs(2));
        lock.unlock().unwrap();
        imported.join().unwrap()
    });
    assert_eq!(imported.unwrap().added, 3);
}

#[test]
fn what_is_asked_for_is_exported_and_what_is_damaged_is_left_out() {
    let from = filled();
    let key = |number| graph(number).0.graph_key;
    let mut file = Vec::new();
    let wanted = |record: &GraphRecord| record.graph_key != key(2);
    std::fs::write(from.store.layout().object(&key(1)), "damaged").unwrap();
    let exported = from.store.export(&mut file, wanted, |_| true).unwrap();
    assert_eq!((exported.objects, exported.left_out.len()), (1, 1));
    assert_eq!(exported.left_out[0].name, key(1).to_string());
    let to = Scratch::new();
    assert_eq!(import(&to, &file).added, 1);
    assert_eq!([0, 1, 2].map(|number| loads(&to, number)), [true, false, false]);
    let read_only = Store::open(StoreOptions::new(from.store.dir()).read_only()).unwrap();
    assert_eq!(
        read_only.export(Vec::new(), |_| true, |_| true).unwrap().objects,
        2,
        "no index is needed"
    );
}

#[test]
fn what_does_not_check_is_refused_by_name() {
    use tar::EntryType::{Directory, GNULongName, Link, Regular, Symlink, XHeader};
    let from = filled();
    let key = |number| graph(number).0.graph_key;
    let bytes = |number| std::fs::read(from.store.layout().object(&key(number))).unwrap();
    let name = |number| format!("{OBJECTS}{}", key(number));
    let mut flipped = bytes(0);
    flipped[200] ^= 1;
    let (sound, cut) = (bytes(2), bytes(1)[..300].to_vec());
    let mark = (Regular, MARK.0, MARK.1);
    let file = archive(&[
        mark,
        (Regular, &name(0), &flipped),
        (Regular, &name(1), &cut),
        (Regular, &name(1), &sound),
        (Regular, "objects-v1/../../escape", &sound),
        (Regular, "/etc/passwd", b"x"),
        (Symlink, &name(0), b""),
        (Link, &name(0), b""),
        (Directory, &name(0), b""),
        (GNULongName, "././@LongLink", &[b'a'; 5000]),
        (XHeader, "pax", b"11 path=no\n"),
        (Regular, &name(2), &sound),
    ]);
    let to = Scratch::new();
    let imported = import(&to, &file);
    assert_eq!((imported.added, imported.refused.len()), (1, 10), "{:#?}", imported.refused);
    assert_eq!(imported.refused[0].name, name(0));
    assert!(imported.refused[0].reason.contains("checksum"), "{:?}", imported.refused[0]);
    assert!(loads(&to, 2) && !loads(&to, 0) && !loads(&to, 1));
    assert!(std::fs::read_dir(to.store.layout().tmp()).unwrap().next().is_none());
    for other in [
        archive(&[(Regular, MARK.0, b"preheat-export 2\n")]),
        archive(&[(Regular, &name(2), &sound)]),
    ] {
        let imported = import(&Scratch::new(), &other);
        assert_eq!((imported.added, imported.refused.len()), (0, 1));
    }
    // The headers state more bytes than the store may hold: these objects are left out, and the
    // rest is read.
    let small =
        Store::open(StoreOptions { max_bytes: 100, ..StoreOptions::new(to.store.dir()) }).unwrap();
    let imported = small.import(file.as_slice(), |_| true).unwrap();
    assert_eq!(
        (imported.kept, imported.left_out.len(), imported.refused.len()),
        (1, 3, 7),
        "{imported:#?}"
    );
}

#[test]
fn a_file_that_is_cut_short_or_damaged_gives_what_is_sound_and_nothing_else() {
    let from = filled();
    let file = exported(&from);
    let to = Scratch::new();
    for at in (0..file.len()).step_by(file.len() / 60) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        for damaged in [&flipped, &file[..at]] {
            let imported = to.store.import(damaged, |_| true).unwrap();
            let whole = imported.added + imported.kept == 3;
            assert!(whole || !imported.refused.is_empty(), "byte {at}: {imported:?}");
            (0..3).for_each(|number| _ = loads(&to, number));
        }
    }
    assert_eq!(to.store.verify(false, |_| true).unwrap().findings, []);
}

#[test]
fn a_frame_that_grows_without_end_writes_no_more_than_an_object() {
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 50);
    header.set_entry_type(tar::EntryType::Regular);
    header.as_old_mut().name[..MARK.0.len()].copy_from_slice(MARK.0.as_bytes());
    header.set_cksum();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(header.as_bytes()).unwrap();
    encoder.write_all(&vec![0; 64 << 20]).unwrap();
    let imported = import(&Scratch::new(), &encoder.finish().unwrap());
    assert_eq!((imported.added, imported.refused.len()), (0, 1));
}

fn limited(scratch: &Scratch, max_bytes: u64) -> Store {
    Store::open(StoreOptions { max_bytes, ..StoreOptions::new(scratch.store.dir()) }).unwrap()
}

/// Stores a graph whose compile took `compile_seconds`; returns the length of its object.
fn put_worth(scratch: &Scratch, number: u64, compile_seconds: f64) -> u64 {
    let (mut record, program) = graph(number);
    record.measurements.compile_seconds = compile_seconds;
    scratch.store.put(&record, &program, &payload(1)).unwrap().stored_bytes
}

#[test]
fn an_import_takes_what_is_worth_most_and_evicts_nothing_that_came_with_it() {
    let from = Scratch::new();
    let mut one = 0;
    for (number, seconds) in [(0, 3.0), (1, 9.0), (2, 1.0), (3, 7.0), (4, 5.0), (5, 100.0)] {
        one = one.max(put_worth(&from, number, seconds));
    }
    from.store.set_pinned(&graph(2).0.graph_key, true).unwrap();
    let file = exported(&from);
    let to = Scratch::new();
    put_worth(&to, 10, 0.1);
    put_worth(&to, 11, 1000.0);
    let store = limited(&to, 4 * one + one / 2);
    let imported = store.import(file.as_slice(), |_| true).unwrap();
    assert_eq!(
        (imported.added, imported.refused.len(), imported.left_out.len()),
        (3, 0, 3),
        "{imported:#?}"
    );
    assert!(!imported.is_whole());
    // In the archive, the pinned graph comes first. The others follow, in the order of their worth.
    // Graphs in this store that are worth more than all of these stay.
    let here: Vec<u64> =
        (0..12).filter(|number| store.has_object(&graph(*number).0.graph_key)).collect();
    assert_eq!(here, [1, 2, 5, 11]);
    assert!(imported.left_out[0].reason.contains("a larger limit"), "{:?}", imported.left_out);
    assert!(
        store.statistics().unwrap().stored_bytes <= store.max_bytes(),
        "an import does not go over the limit"
    );
    assert_eq!(store.statistics().unwrap().evictions, 1);
    // The file is imported again: the graphs that the store has are kept, and the others still find
    // no room.
    let again = store.import(file.as_slice(), |_| true).unwrap();
    assert_eq!((again.added, again.kept, again.left_out.len()), (0, 3, 3));
    // An object that is larger than the limit does not prevent the import of the objects after it.
    let (record, program) = graph(20);
    let mut code = vec![0; 100_000];
    blake3::Hasher::new().finalize_xof().fill(&mut code);
    from.store.put(&GraphRecord { pinned: true, ..record }, &program, &code).unwrap();
    let to = Scratch::new();
    let imported = limited(&to, 50_000).import(exported(&from).as_slice(), |_| true).unwrap();
    assert_eq!((imported.added, imported.left_out.len()), (6, 1), "{imported:#?}");
    assert!(
        imported.left_out[0].reason.contains("more than the cache may hold"),
        "{:?}",
        imported.left_out
    );
}

#[test]
fn what_is_refused_is_named_a_hundred_times_and_whoever_waits_is_asked() {
    use tar::EntryType::Regular;
    let mark = (Regular, MARK.0, MARK.1);
    let strays = vec![(Regular, "stray", b"x".as_slice()); 1000];
    let file = archive(&[&[mark], strays.as_slice()].concat());
    let to = Scratch::new();
    let imported = import(&to, &file);
    assert_eq!((imported.refused.len(), imported.refused_more), (100, 900));
    let mut asked = 0;
    let stopped = to.store.import(file.as_slice(), |_| {
        asked += 1;
        asked < 8
    });
    assert_eq!((asked, stopped.unwrap().refused.len()), (8, 7));
    // A long entry that is not an object is skipped; this takes time in proportion to its length.
    let long = vec![0; 100 << 20];
    let name = format!("{OBJECTS}{}", graph(0).0.graph_key);
    for name in ["stray", &name] {
        let file = archive(&[mark, (Regular, name, &long), (Regular, "stray", b"x")]);
        let mut asked = 0;
        let stopped = to.store.import(file.as_slice(), |_| {
            asked += 1;
            asked < 5
        });
        let Imported { added: 0, kept: 0, refused, refused_more: 0, .. } = stopped.unwrap() else {
            panic!()
        };
        let reasons: Vec<&str> = refused.iter().map(|one| one.reason.as_str()).collect();
        assert!(
            matches!(reasons.as_slice(), [one] if one.starts_with("it is no object")),
            "{reasons:?}"
        );
        assert_eq!((asked, refused[0].name.as_str()), (5, name));
    }
    assert!(std::fs::read_dir(to.store.layout().tmp()).unwrap().next().is_none());
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let empty_frame = zstd::bulk::compress(b"", 1).unwrap();
    for file in [b"".as_slice(), &empty_frame, &archive(&[])] {
        let imported = import(&Scratch::new(), file);
        assert_eq!(
            imported.refused,
            [RefusedEntry { name: "the file".to_owned(), reason: "it is empty".to_owned() }]
        );
    }
    assert_eq!(
        import(&Scratch::new(), &exported(&Scratch::new())),
        Imported::default(),
        "the archive of an empty store"
    );
}

#[test]
fn what_an_object_says_of_its_use_is_not_taken_over() {
    let (mut record, program) = graph(1);
    record.pinned = true;
    record.statistics = RecordStatistics { hits: 1000, last_used: Some(jiff::Timestamp::MAX) };
    record.created = jiff::Timestamp::from_second(250_000_000_000).unwrap();
    record.signatures = (0..200).map(signature).collect();
    let from = Scratch::new();
    from.store.put(&record, &program, &payload(1)).unwrap();
    let file = exported(&from);
    let to = Scratch::new();
    assert_eq!(import(&to, &file).added, 1);
    let known = to.store.record(&record.graph_key).unwrap().unwrap();
    assert_eq!((known.pinned, known.statistics.hits, known.signatures.len()), (false, 0, 64));
    assert_eq!(to.store.statistics().unwrap().cached_signatures, 64);
    assert!(known.statistics.last_used.unwrap() <= jiff::Timestamp::now());
    // An object that claims to be compiled in the far future is not kept longer than one that was
    // compiled now.
    put_worth(&to, 2, record.measurements.compile_seconds * 4.0);
    assert_eq!(to.store.records_and_order(false).unwrap().1[0], record.graph_key);
    // The use that this store has recorded stays when a damaged object is replaced.
    to.store.commit(&[hit(record.graph_key)], &crate::Counters::default()).unwrap();
    std::fs::write(to.store.layout().object(&record.graph_key), "damaged").unwrap();
    assert_eq!(import(&to, &file).added, 1);
    assert_eq!(to.store.record(&record.graph_key).unwrap().unwrap().statistics.hits, 1);
    // A rebuild from the objects ignores what an object says of its use, and so does reading one
    // object.
    std::fs::remove_dir_all(to.store.layout().graphs()).unwrap();
    let known = to.store.record(&record.graph_key).unwrap().unwrap();
    assert_eq!((known.pinned, known.statistics), (false, RecordStatistics::default()));
    assert!(!to.store.object_record(&record.graph_key).unwrap().unwrap().pinned);
}

#[test]
fn a_record_whose_key_is_not_that_of_its_inputs_is_refused_and_found() {
    let (record, program) = graph(1);
    let other_program = Program::new(ProgramFormat::Mlir, b"module @other {}".to_vec());
    let mut forged = [(); 3].map(|()| record.clone());
    forged[0].program.digest = other_program.digest();
    forged[0].program.bytes = other_program.bytes().len() as u64;
    forged[1].options.num_replicas += 1;
    forged[2].environment.plugin_build = "another".to_owned();
    for (forged, program) in forged.iter().zip([&other_program, &program, &program]) {
        let from = Scratch::new();
        from.store.put(forged, program, &payload(1)).unwrap();
        let mut bytes = Vec::new();
        from.store.export(&mut bytes, |_| true, |_| true).unwrap();
        assert_eq!(
            import(&Scratch::new(), &bytes).added,
            0,
            "an export leaves the object out, too"
        );
        let found = from.store.verify(false, |_| true).unwrap();
        assert_eq!(found.findings[0].kind, FindingKind::DamagedObject);
        assert!(
            found.findings[0].reason.contains("its record names a wrong key"),
            "{}",
            found.findings[0].reason
        );
        let object = std::fs::read(from.store.layout().object(&record.graph_key)).unwrap();
        let name = format!("{OBJECTS}{}", record.graph_key);
        let file = archive(&[
            (tar::EntryType::Regular, MARK.0, MARK.1),
            (tar::EntryType::Regular, &name, &object),
        ]);
        let imported = import(&Scratch::new(), &file);
        assert!(
            imported.refused[0].reason.contains("its record names a wrong key"),
            "{imported:?}"
        );
    }
    // A record of a later version is not checked against its inputs, since only that release knows
    // everything that goes into its keys.
    let from = Scratch::new();
    let later = GraphRecord { version: 2, graph_key: GraphKey(Digest::of(b"later")), ..record };
    from.store.put(&later, &program, &payload(1)).unwrap();
    assert_eq!(from.store.verify(false, |_| true).unwrap().findings, []);
    let imported = import(&Scratch::new(), &exported(&from));
    assert!(imported.refused[0].reason.contains("version 2"), "{imported:?}");
}

#[test]
fn a_program_that_states_a_huge_size_is_not_expanded() {
    let (mut record, _) = graph(1);
    let huge = object::ProgramFrame {
        format: ProgramFormat::Mlir,
        bytes: 1 << 30,
        frame: zstd::bulk::compress(b"", 1).unwrap(),
    };
    record.program.bytes = huge.bytes;
    let mut bytes = Vec::new();
    object::write(&mut bytes, &record, &huge, &payload(1)).unwrap();
    let name = format!("{OBJECTS}{}", record.graph_key);
    let file = archive(&[
        (tar::EntryType::Regular, MARK.0, MARK.1),
        (tar::EntryType::Regular, &name, &bytes),
    ]);
    let imported = import(&Scratch::new(), &file);
    assert!(imported.refused[0].reason.contains("program is said to be"), "{imported:?}");
}

/// Gibibytes of zeros in zstd frames, each of which takes a few kilobytes.
fn zeros(gibibytes: usize) -> Vec<u8> {
    let mut frame = zstd::Encoder::new(Vec::new(), 1).unwrap();
    io::copy(&mut io::repeat(0).take(64 << 20), &mut frame).unwrap();
    frame.finish().unwrap().repeat(16 * gibibytes)
}

#[test]
fn a_bomb_is_refused_before_it_is_expanded() {
    let key = graph(1).0.graph_key;
    // The whole file is a bomb: an object whose header says 8 GiB, with as many bytes.
    let first = archive(&[(tar::EntryType::Regular, MARK.0, MARK.1)]);
    let mut header = tar::Header::new_gnu();
    header.set_size(8 << 30);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(format!("{OBJECTS}{key}")).unwrap();
    header.set_cksum();
    let mut tarred = Vec::new();
    zstd::Decoder::new(first.as_slice()).unwrap().read_to_end(&mut tarred).unwrap();
    tarred.truncate(1024);
    tarred.extend_from_slice(header.as_bytes());
    let whole = [zstd::bulk::compress(&tarred, 1).unwrap(), zeros(8)].concat();
    // Only a part is a bomb: machine code of 8 GiB or a program of 1 GiB, with right checksums.
    let within = |code: bool| {
        let (mut record, program) = graph(1);
        let frame = zeros(if code { 8 } else { 1 });
        let mut program = object::ProgramFrame::of(&program).unwrap();
        let mut info = ObjectInfo::of(b"not those");
        let mut bytes = Vec::new();
        if code {
            info.payload_bytes = 8 << 30;
            object::write_frame(&mut bytes, &record, &program, info, &frame).unwrap();
        } else {
            (program.bytes, program.frame, record.program.bytes) = (1 << 30, frame, 1 << 30);
            object::write_frame(&mut bytes, &record, &program, info, b"no frame").unwrap();
        }
        let name = format!("{OBJECTS}{key}");
        archive(&[
            (tar::EntryType::Regular, MARK.0, MARK.1),
            (tar::EntryType::Regular, &name, &bytes),
        ])
    };
    for (what, file, reason) in [
        ("whole", whole, "64 times its length"),
        ("code", within(true), "payload is said to be"),
        ("program", within(false), "program is said to be"),
    ] {
        let (to, start) = (Scratch::new(), std::time::Instant::now());
        let imported = import(&to, &file);
        let is_said = imported.refused.iter().any(|one| one.reason.contains(reason));
        assert!(imported.added == 0 && is_said, "{what}: {imported:?}");
        // A release build needs 25 s to expand 8 GiB.
        assert!(
            start.elapsed() < std::time::Duration::from_secs(20),
            "{what}: {:?}",
            start.elapsed()
        );
        assert_eq!(std::fs::read_dir(to.store.layout().tmp()).unwrap().count(), 0, "{what}");
    }
}

#[test]
fn an_import_that_brought_something_looks_after_the_index_at_its_end() {
    let (from, to) = (Scratch::new(), Scratch::new());
    from.put(1);
    let file = exported(&from);
    let tidied = || {
        let changes = journal::of(|| drop(import(&to, &file)));
        changes.iter().filter(|change| **change == Change::Index("tidy")).count()
    };
    assert_eq!((tidied(), tidied()), (1, 0));
}
