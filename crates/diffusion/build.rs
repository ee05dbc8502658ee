//! Computes the digest of this crate's sources that build graphs. It is a part of the builder id,
//! so after a change in them, a look-up at level 1 finds nothing that was compiled before. The
//! sources of `preheat-ir` have their own digest.

use std::io;

use preheat_source_digest::{digest, is_source, set};

fn main() -> io::Result<()> {
    set("PREHEAT_MODEL_SOURCES", &digest(&["src/models", "src/pipeline/stage.rs"], &is_source)?);
    Ok(())
}
