//! Which sources was a crate built from? Build scripts put the digest of the sources that make
//! graphs into the builder id. After a change of these sources, no look-up finds a graph that the
//! older sources made.
//!
//! A packaged crate contains only its own sources, so each crate digests its own.

use std::io;
use std::path::{Path, PathBuf};

/// The digest of the files below `places`, by name and content, in hexadecimal. A place is a file
/// or a folder, relative to the crate's own folder. In a folder, only the files that are `wanted`
/// count, and folders named `tests` are skipped. This function also makes Cargo run the build
/// script again when one of the places changes.
///
/// # Errors
/// If a place cannot be read.
pub fn digest(places: &[&str], wanted: &dyn Fn(&Path) -> bool) -> io::Result<String> {
    let mut files = Vec::new();
    for place in places {
        tell_cargo(&format!("rerun-if-changed={place}"));
        list(Path::new(place), wanted, &mut files)?;
    }
    // Sorted by names with `/` between the parts, so that neither the order of the file system nor
    // the system's separator has an influence.
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

/// Whether a file is a Rust source that can change a graph: every one except `tests.rs`.
pub fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
}

/// Sets an environment variable for `env!` in the crate that is being built.
pub fn set(variable: &str, value: &str) {
    tell_cargo(&format!("rustc-env={variable}={value}"));
}

#[expect(clippy::print_stdout, reason = "this is how a build script tells Cargo something")]
fn tell_cargo(instruction: &str) {
    println!("cargo::{instruction}");
}

fn list(place: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_file() {
        files.push(place.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(place)? {
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
