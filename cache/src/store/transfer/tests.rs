use super::*;
use crate::store::tests::{Scratch, graph, payload, request, signature};
use crate::store::{Lookup, StoreOptions};

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
        Lookup::Hit(object) => object.payload == payload(number),
        Lookup::Absent => false,
        Lookup::Damaged { reason } => panic!("{reason}"),
    }
}

/// An archive of these entries, each with whatever type and name.
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
    // A damaged one here is replaced.
    std::fs::write(to.store.layout().object(&graph(0).0.graph_key), "damaged").unwrap();
    assert_eq!(import(&to, &file).added, 1);
    assert!(loads(&to, 0));
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
    assert_eq!(read_only.export(Vec::new(), |_| true, |_| true).unwrap().objects, 2, "no index is needed");
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
    for other in [archive(&[(Regular, MARK.0, b"preheat-export 2\n")]), archive(&[(Regular, &name(2), &sound)])] {
        let imported = import(&Scratch::new(), &other);
        assert_eq!((imported.added, imported.refused.len()), (0, 1));
    }
    // More than the store may hold, by the header's word.
    let small = Store::open(StoreOptions { max_bytes: 100, ..StoreOptions::new(to.store.dir()) }).unwrap();
    assert_eq!(small.import(file.as_slice(), |_| true).unwrap().refused.len(), 1);
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
