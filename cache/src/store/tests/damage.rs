//! Does damage of any kind ever give a wrong hit, and does the store work afterwards?

use super::*;

#[test]
fn no_flipped_bit_and_no_cut_is_ever_a_hit() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let path = scratch.store.layout().object(&record.graph_key);
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        match scratch.store.load(&record.graph_key) {
            Ok(ObjectLookup::Damaged { .. }) => {
                assert!(!path.exists(), "{what}: it is in quarantine");
            }
            Err(StoreError::Object { cause: ObjectError::Version(_), .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
        fs::write(&path, bytes).unwrap();
        // The header alone may be sound; it must never name another graph.
        if let Ok(Some(header)) = scratch.store.object_record(&record.graph_key) {
            assert_eq!(header.graph_key, record.graph_key, "{what}");
        }
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, &format!("bit of byte {at}"));
    }
    for length in 0..whole.len() {
        check(&whole[..length], &format!("cut to {length}"));
    }
    check(&[&whole[..], b"x"].concat(), "one byte more");
    scratch.put(1);
    assert_eq!(scratch.load(&record.graph_key).unwrap().payload, payload(1), "healed");
    let reasons = fs::read_dir(scratch.store.layout().quarantine()).unwrap();
    assert!(
        reasons
            .filter(|entry| entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|name| name == "reason"))
            .count()
            > 1
    );
}

#[cfg(unix)]
#[test]
fn a_sound_object_that_took_the_place_of_a_damaged_one_stays() {
    let scratch = Scratch::new();
    let key = scratch.put(1).graph_key;
    let path = scratch.store.layout().object(&key);
    fs::write(&path, "damaged").unwrap();
    let damaged = fs::File::open(&path).unwrap();
    scratch.put(1);
    scratch.store.quarantine(&key, &damaged, &ObjectError::Checksum);
    assert_eq!(scratch.load(&key).unwrap().payload, payload(1));
    assert!(!scratch.store.layout().quarantine().exists());
    let sound = fs::File::open(&path).unwrap();
    scratch.store.quarantine(&key, &sound, &ObjectError::Checksum);
    assert!(!path.exists(), "the damaged object is moved");
}

#[test]
fn an_object_under_another_key_is_no_hit() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.put(1), scratch.put(2));
    let (from, to) = (
        scratch.store.layout().object(&one.graph_key),
        scratch.store.layout().object(&two.graph_key),
    );
    fs::copy(from, to).unwrap();
    let ObjectLookup::Damaged { reason: ObjectError::OtherKey(key) } =
        scratch.store.load(&two.graph_key).unwrap()
    else {
        panic!()
    };
    assert_eq!(key, one.graph_key);
}

#[test]
fn lengths_that_no_file_has_reserve_nothing() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    let path = scratch.store.layout().object(&record.graph_key);
    let whole = fs::read(&path).unwrap();
    for at in [16, 24, 32, 40, 48] {
        for stated in [u64::MAX, 1 << 60, 1 << 40, 1 << 33] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&stated.to_le_bytes());
            // A forger would also make the checksum right.
            let body = bytes.len() - 32;
            let hash = blake3::hash(&bytes[..body]);
            bytes[body..].copy_from_slice(hash.as_bytes());
            fs::write(&path, bytes).unwrap();
            assert!(
                matches!(scratch.store.load(&record.graph_key), Ok(ObjectLookup::Damaged { .. })),
                "{stated} at {at}"
            );
        }
    }
}

#[test]
fn a_frame_that_grows_beyond_its_length_is_refused() {
    for (bytes, stated) in [(1_000_000, 999_999), (1_000_000, 1_000_001), (300 << 20, 200 << 20)] {
        let frame = zstd::bulk::compress(&vec![0; bytes], 3).unwrap();
        let program =
            crate::object::ProgramFrame { format: ProgramFormat::Mlir, bytes: stated, frame };
        assert!(
            matches!(program.program(), Err(ObjectError::Frame { .. })),
            "{bytes} for {stated}"
        );
    }
    let frame = zstd::bulk::compress(&vec![0; 100 << 20], 3).unwrap();
    let program =
        crate::object::ProgramFrame { format: ProgramFormat::Mlir, bytes: 100 << 20, frame };
    assert_eq!(program.program().unwrap().bytes().len(), 100 << 20);
}

#[test]
fn a_lost_index_comes_back_from_the_objects() {
    let scratch = Scratch::new();
    let records = [scratch.put(1), scratch.put(2)];
    fs::remove_dir_all(scratch.store.layout().graphs()).unwrap();
    assert_eq!(scratch.store.records().unwrap().len(), 2);
    let statistics = scratch.store.statistics().unwrap();
    assert_eq!((statistics.entries, statistics.cached_signatures), (2, 2));
    let found =
        scratch.store.resolve(&[(signature(1).projection_key, request(1).digest())]).unwrap();
    assert_eq!(found[0].as_ref().map(|found| found.graph_key), Some(records[0].graph_key));
    assert_eq!(scratch.store.program(&records[1].graph_key).unwrap(), Some(graph(2).1));
}

#[test]
fn a_record_outlives_its_object_and_can_be_compiled_again() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    fs::remove_dir_all(scratch.store.layout().objects()).unwrap();
    assert!(scratch.load(&record.graph_key).is_none());
    assert_eq!(scratch.store.program(&record.graph_key).unwrap(), Some(graph(1).1));
    assert_eq!(
        scratch.store.record(&record.graph_key).unwrap().unwrap().environment,
        record.environment
    );
}

#[test]
fn a_record_that_is_missing_comes_back_when_its_key_is_used() {
    let scratch = Scratch::new();
    let record = scratch.put(1);
    scratch.store.remove_records(&[record.graph_key]).unwrap();
    assert!(scratch.store.record(&record.graph_key).unwrap().is_none());
    scratch.store.commit(&[hit(record.graph_key)], &Counters::default()).unwrap();
    assert_eq!(scratch.store.record(&record.graph_key).unwrap().unwrap().statistics.hits, 1);
    assert_eq!(scratch.store.statistics().unwrap().entries, 1);
    scratch.store.remove_records(&[record.graph_key]).unwrap();
    let rebuilt = scratch.store.rebuild_index().unwrap();
    assert_eq!((rebuilt.added, rebuilt.kept, rebuilt.skipped), (1, 0, 0));
    assert_eq!(scratch.store.rebuild_index().unwrap().kept, 1);
}

/// Numbers that look random, and that are the same on every run.
pub(in crate::store) fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state)
    })
}

pub(in crate::store) fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // A folder that another thread has just removed counts as empty.
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_of(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn a_damaged_index_never_lies_and_comes_back() {
    for round in 0..200_u64 {
        let scratch = Scratch::new();
        let records: Vec<GraphRecord> = (0..4).map(|number| scratch.put(number)).collect();
        let mut numbers = noise(round + 1);
        let mut next =
            |below: usize| usize::try_from(numbers.next().unwrap() % below as u64).unwrap();
        for path in files_of(&scratch.store.layout().graphs()) {
            let mut bytes = fs::read(&path).unwrap();
            match round % 4 {
                // The file becomes noise, gets some flipped bytes, is cut short, or is emptied.
                0 => bytes.iter_mut().for_each(|byte| *byte = next(256).to_le_bytes()[0]),
                1 if !bytes.is_empty() => {
                    for _ in 0..20 {
                        let at = next(bytes.len());
                        bytes[at] = next(256).to_le_bytes()[0];
                    }
                }
                2 => bytes.truncate(next(bytes.len() + 1)),
                _ => bytes.clear(),
            }
            fs::write(&path, bytes).unwrap();
        }
        for (number, record) in (0..).zip(&records) {
            assert_eq!(scratch.load(&record.graph_key).unwrap().payload, payload(number));
            let stage = (signature(number).projection_key, request(number).digest());
            let found = scratch
                .store
                .resolve(&[stage])
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
            if let Some(found) = &found[0] {
                assert_eq!(found.graph_key, record.graph_key, "round {round}");
            }
            scratch.store.commit(&[hit(record.graph_key)], &Counters::default()).unwrap();
        }
        scratch.store.rebuild_index().unwrap();
        let mut keys: Vec<GraphKey> = records.iter().map(|record| record.graph_key).collect();
        keys.sort_unstable();
        let listed: Vec<GraphKey> =
            scratch.store.records().unwrap().iter().map(|record| record.graph_key).collect();
        assert_eq!(listed, keys, "round {round}");
    }
}

#[test]
fn what_a_later_release_wrote_is_no_damage() {
    let scratch = Scratch::new();
    let (record, program) = graph(1);
    scratch.put(2);
    let mut bytes = Vec::new();
    object::write(&mut bytes, &record, &object::ProgramFrame::of(&program).unwrap(), b"code")
        .unwrap();
    // The header has JSON that this release does not understand, and the checksums are right.
    let header_bytes =
        usize::try_from(u64::from_le_bytes(bytes[16..24].try_into().unwrap())).unwrap();
    let header = String::from_utf8(bytes[56..56 + header_bytes].to_vec()).unwrap();
    let later = header.replacen("\"float32\"", "\"float99\"", 1);
    assert_ne!(header, later);
    bytes[56..56 + header_bytes].copy_from_slice(later.as_bytes());
    let hash = *blake3::hash(&bytes[..56 + header_bytes]).as_bytes();
    bytes[56 + header_bytes..88 + header_bytes].copy_from_slice(&hash);
    let body = bytes.len() - 32;
    let hash = *blake3::hash(&bytes[..body]).as_bytes();
    bytes[body..].copy_from_slice(&hash);
    let path = scratch.store.layout().object(&record.graph_key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &bytes).unwrap();
    let error = scratch.store.load(&record.graph_key).unwrap_err();
    assert!(matches!(error, StoreError::Object { cause: ObjectError::Header(_), .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "the object stays for the release that wrote it");
    assert_eq!(scratch.store.rebuild_index().unwrap(), Rebuilt { added: 0, kept: 1, skipped: 1 });
    scratch.put(1);
    assert!(scratch.load(&record.graph_key).is_some());
}
