//! Takes the digest of the sources that build and lower graphs, so that a change in them never finds an older graph.

use std::io;
use std::path::{Path, PathBuf};

/// What decides which program a model becomes. Tests decide nothing.
const SOURCES: [&str; 3] = ["src/graph", "src/lower", "src/models"];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        list(Path::new(folder), &mut files)?;
    }
    // By name with `/` between the parts, so that neither the folder's own order nor where it lies counts.
    let mut sources = Vec::new();
    for file in files {
        sources.push((file.to_string_lossy().replace('\\', "/"), std::fs::read(&file)?));
    }
    sources.sort();
    let mut hasher = blake3::Hasher::new();
    for (name, content) in sources {
        for part in [name.as_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    println!("cargo::rustc-env=PREHEAT_BUILDER_ID={}", hasher.finalize().to_hex());
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                list(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    Ok(())
}
