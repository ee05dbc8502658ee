//! Can a damaged or forged object be loaded as intact machine code? For any content of the file, a
//! hit has a payload of the length that its record states, and no reader panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use preheat_cache::{Digest, GraphKey, GraphRecord, Note, ObjectLookup, Store, StoreOptions};

static STORE: LazyLock<(tempfile::TempDir, Store)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    store.write_note(Note::Target(Digest::of(b"made")), b"").unwrap();
    let store = Store::open(StoreOptions::new(folder.path()).read_only()).unwrap();
    (folder, store)
});

/// Replaces both checksums by the right ones, as a forger would.
fn forge(bytes: &mut [u8]) {
    let word =
        |at: usize| bytes.get(at..at + 8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let Some(header_end) =
        word(16).and_then(|length| usize::try_from(length).ok()?.checked_add(56))
    else {
        return;
    };
    if let Some(after) = header_end.checked_add(32).filter(|after| *after <= bytes.len()) {
        let hash = *blake3::hash(&bytes[..header_end]).as_bytes();
        bytes[header_end..after].copy_from_slice(&hash);
    }
    if let Some(body) = bytes.len().checked_sub(32) {
        let hash = *blake3::hash(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&hash);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut bytes = data.to_vec();
    if mode % 2 == 1 {
        forge(&mut bytes);
    }
    let header = bytes
        .get(16..24)
        .and_then(|word| usize::try_from(u64::from_le_bytes(word.try_into().ok()?)).ok());
    let header = header.and_then(|length| bytes.get(56..56_usize.checked_add(length)?));
    let record = header.and_then(|header| serde_json::from_slice::<GraphRecord>(header).ok());
    let key = record.map_or(GraphKey(Digest::of(b"")), |record| record.graph_key);
    let (_, store) = &*STORE;
    let path = store.layout().object(&key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    if let Ok(ObjectLookup::Hit(object)) = store.load(&key) {
        let info = object.record.object.as_ref().unwrap();
        assert_eq!(object.payload.len() as u64, info.payload_bytes);
        let _ = object.program();
    }
    let _ = store.object_record(&key);
    let _ = store.verify(false, |_| true).unwrap();
    std::fs::remove_file(&path).unwrap();
});
