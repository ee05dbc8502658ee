//! Takes the digest of the sources here that build graphs, so that a change in them never finds an
//! older graph. Those of `preheat-ir` have a digest of their own.

use std::io;

use preheat_source_digest::{digest, is_source, set};

fn main() -> io::Result<()> {
    set("PREHEAT_MODEL_SOURCES", &digest(&["src/models", "src/pipeline/stage.rs"], &is_source)?);
    Ok(())
}
