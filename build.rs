//! Which demo model does the binary carry? This script computes the digest of the model's files,
//! which names the folder that the binary unpacks the model into.

use std::io;

use preheat_source_digest::{digest, set};

fn main() -> io::Result<()> {
    let demo = digest(&["examples/demo-model"], &|path| {
        let extension = path.extension().unwrap_or_default();
        ["json", "safetensors", "txt"].iter().any(|known| extension == *known)
    })?;
    set("PREHEAT_DEMO_MODEL_ID", &demo[..16]);
    Ok(())
}
