//! If a request can be read from a file, is it also written and read back unchanged?
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::evidence::LoggedRequest;
use preheat_diffusion::pipeline::TextToImage;
use preheat_fuzz::{mutate_json, scratch};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(scratch);

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("request.json");
    std::fs::write(&path, data).unwrap();
    let request = match TextToImage::read(&path) {
        Ok(request) => request,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    std::fs::write(&path, serde_json::to_vec(&request).unwrap()).unwrap();
    assert_eq!(TextToImage::read(&path).unwrap(), request);
    let _ = (request.to_warm(), LoggedRequest::of(&request).to_request());
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(0, data, size, max_size, seed)
});
