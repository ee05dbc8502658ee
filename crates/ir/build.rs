//! Takes the digest of the sources that build and lower graphs (`preheat_ir::SOURCES`).

use std::io;

use preheat_source_digest::{digest, is_source, set};

fn main() -> io::Result<()> {
    set("PREHEAT_IR_SOURCES", &digest(&["src"], &is_source)?);
    Ok(())
}
