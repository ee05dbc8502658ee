//! Takes two digests: of the sources here that build graphs, so that a change in them never finds an
//! older graph (those of `preheat-ir` have a digest of their own); and of the demo model.

use std::io;

use preheat_source_digest::{digest, is_source, set};

fn main() -> io::Result<()> {
    set("PREHEAT_MODEL_SOURCES", &digest(&["src/models", "src/pipeline/stage.rs"], &is_source)?);
    // The model that the binary carries, by what is in it.
    let demo = digest(&["examples/demo-model"], &|path| {
        let extension = path.extension().unwrap_or_default();
        ["json", "safetensors", "txt"].iter().any(|known| extension == *known)
    })?;
    set("PREHEAT_DEMO_MODEL_ID", &demo[..16]);
    Ok(())
}
