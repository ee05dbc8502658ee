//! Takes the digest of the demo model that the binary carries, by what is in it.

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
