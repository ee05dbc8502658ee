//! Can an imported file damage a store? For any content of the file, every object that the import
//! adds is intact, and the import leaves no other object behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use preheat_cache::{Store, StoreOptions};

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let compressed;
    // The input is the archive to compress, or a whole compressed file.
    let file = if mode % 2 == 1 {
        compressed = zstd::bulk::compress(data, 1).unwrap();
        compressed.as_slice()
    } else {
        data
    };
    let folder = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreOptions { max_bytes: 1 << 20, ..StoreOptions::new(folder.path()) })
            .unwrap();
    let imported = store.import(file, |_| true).unwrap();
    let found = store.verify(false, |_| true).unwrap();
    assert_eq!(found.findings, []);
    assert_eq!(found.objects, imported.added);
});
