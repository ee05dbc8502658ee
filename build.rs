//! Takes two digests: of the sources that build and lower graphs, so that a change in them never finds an older graph; and of
//! the demo model.

use std::io;
use std::path::{Path, PathBuf};

/// What decides which program a model becomes. Tests decide nothing.
const SOURCES: [&str; 4] = ["src/graph", "src/lower", "src/models", "src/pipeline/stage.rs"];

fn main() -> io::Result<()> {
    let builder = digest(&SOURCES, &|path| {
        path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
    })?;
    println!("cargo::rustc-env=PREHEAT_BUILDER_ID={builder}");
    // The model that the binary carries, by what is in it.
    let demo = digest(&["examples/demo-model"], &|path| {
        path.extension().is_some_and(|extension| ["json", "safetensors", "txt"].iter().any(|known| extension == *known))
    })?;
    println!("cargo::rustc-env=PREHEAT_DEMO_MODEL_ID={}", &demo[..16]);
    Ok(())
}

/// The digest of the files in `folders` that are `wanted`, by name and content.
fn digest(folders: &[&str], wanted: &dyn Fn(&Path) -> bool) -> io::Result<String> {
    let mut files = Vec::new();
    for folder in folders {
        println!("cargo::rerun-if-changed={folder}");
        list(Path::new(folder), wanted, &mut files)?;
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
    Ok(hasher.finalize().to_hex().to_string())
}

fn list(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if folder.is_file() {
        files.push(folder.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                list(&path, wanted, files)?;
            }
        } else if wanted(&path) {
            files.push(path);
        }
    }
    Ok(())
}
