//! Which sources build and lower graphs? This script takes their digest, which becomes
//! `preheat_ir::SOURCES`.

use std::io;

use preheat_source_digest::{digest, is_source, set};

fn main() -> io::Result<()> {
    set("PREHEAT_IR_SOURCES", &digest(&["src"], &is_source)?);
    Ok(())
}
