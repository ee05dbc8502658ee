//! If a manifest of what to warm can be read, is it also written and read back unchanged?
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use preheat_diffusion::evidence::Manifest;
use preheat_fuzz::scratch;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(scratch);

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("warm.toml");
    std::fs::write(&path, data).unwrap();
    let manifest = match Manifest::read(&path) {
        Ok(manifest) => manifest,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(manifest.models.iter().all(|model| !model.requests().is_empty()));
    std::fs::write(&path, manifest.to_string()).unwrap();
    assert_eq!(Manifest::read(&path).unwrap(), manifest);
});
