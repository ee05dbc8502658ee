//! Does every tensor that is read from a safetensors file lie within the file? The input is a whole
//! file, only the header of a file, or an index of two files.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::weights::{Checkpoint, WantedWeight, load};
use preheat_fuzz::{mutate_json, scratch};
use preheat_tensor::Dtype;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = scratch();
    for (name, tensor) in [("one", "a"), ("two", "b")] {
        let header =
            format!(r#"{{"{tensor}":{{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}}}"#);
        std::fs::write(
            folder.path().join(format!("{name}.safetensors")),
            file(header.as_bytes(), 4),
        )
        .unwrap();
    }
    folder
});

/// A file with this header and `value_bytes` bytes of values.
fn file(header: &[u8], value_bytes: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, &vec![0x3c; value_bytes]].concat()
}

/// Where the last tensor ends, up to 64 KiB; 0 if the header cannot be read.
fn value_bytes(header: &[u8]) -> usize {
    const MOST: u64 = 1 << 16;
    let Ok(header) = serde_json::from_slice::<serde_json::Value>(header) else { return 0 };
    let ends = header
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
    usize::try_from(ends.max().unwrap_or(0).min(MOST)).unwrap()
}

fn open(folder: &Path) {
    let Ok(checkpoint) = Checkpoint::open(folder, "model", None) else { return };
    let mut bytes = 0;
    let mut wanted = Vec::new();
    for (name, dims) in checkpoint.names_and_shapes() {
        let stored = checkpoint.get(name).unwrap();
        assert_eq!(stored.dims, dims);
        bytes += stored.bytes.len() as u64;
        let order = (0..dims.len()).rev().collect();
        wanted.push(WantedWeight {
            name: name.to_owned(),
            aliases: Vec::new(),
            dims: dims.to_vec(),
            dtype: Dtype::Float32,
            order,
        });
    }
    assert_eq!(bytes, checkpoint.bytes());
    let none = preheat_runtime::progress::Cancel::default();
    let _ = load(&checkpoint, &wanted, 1, &none, |_, _| Ok::<_, std::convert::Infallible>(()));
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let folder = FOLDER.path();
    let (name, content) = match mode % 3 {
        0 => ("model.safetensors", data.to_vec()),
        1 => ("model.safetensors", file(data, value_bytes(data))),
        _ => ("model.safetensors.index.json", data.to_vec()),
    };
    std::fs::write(folder.join(name), content).unwrap();
    open(folder);
    std::fs::remove_file(folder.join(name)).unwrap();
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(1, data, size, max_size, seed)
});
