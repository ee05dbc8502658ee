//! What is at a path that holds no model folder, and what should the user do about it?
//!
//! The answer is an error with advice. Nothing that is found here is opened as a model.

use std::path::{Path, PathBuf};
use std::{fs, io};

use preheat_io::input;

use crate::models::ModelError;
use crate::models::family::{INDEX, MOST_CONFIG_BYTES};

/// The error for an index at `path` that could not be read. It says what is at the path instead.
pub(super) fn why(path: &Path, error: io::Error) -> ModelError {
    if path.is_dir() {
        if error.kind() != io::ErrorKind::NotFound {
            return ModelError::Read { path: path.join(INDEX), source: error };
        }
        return ModelError::NoIndex { path: path.to_owned(), advice: of_folder(path) };
    }
    if path.exists() {
        return ModelError::NotAFolder { path: path.to_owned() };
    }
    ModelError::NoFolder { path: path.to_owned() }
}

/// The advice for a folder without an index, by what it appears to be.
fn of_folder(path: &Path) -> String {
    if path.join("config.json").is_file() {
        return ". It looks like one component of a model: name the folder around it".to_owned();
    }
    let entries = sorted(path);
    if let Some(inner) = entries.iter().find(|entry| entry.join(INDEX).is_file()) {
        return format!(", but {} does: name that folder", inner.display());
    }
    if let Some(snapshots) =
        entries.iter().find(|entry| entry.ends_with("snapshots") && entry.is_dir())
    {
        return of_hub_cache(path, snapshots);
    }
    let ends = |ending: &str| {
        let has = |entry: &&PathBuf| entry.extension().is_some_and(|found| found == ending);
        entries.iter().find(has)
    };
    if let Some(file) = ends("safetensors") {
        return format!(", but {}: name that file", file.display());
    }
    ends("ckpt").map_or_else(String::new, |file| {
        format!(
            ", but {}, which is a pickle: convert it to safetensors, and name that file",
            file.display()
        )
    })
}

/// The paths of a folder's entries, sorted by name.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    entries
}

/// The advice for a repository in a cache of the Hugging Face hub: which of its snapshots is the
/// model. The snapshot that `refs/main` names comes first.
fn of_hub_cache(path: &Path, snapshots: &Path) -> String {
    let main = input::text(&path.join("refs/main"), MOST_CONFIG_BYTES).unwrap_or_default();
    let mut there = sorted(snapshots);
    there.retain(|entry| entry.join(INDEX).is_file());
    there.sort_by_key(|entry| !entry.ends_with(main.trim()));
    match there.first() {
        Some(snapshot) => format!(
            ". It is a repository in a cache of the hub, and {} is the model: name that folder",
            snapshot.display()
        ),
        None => format!(
            ". It is a repository in a cache of the hub, and {} holds no complete model: is it fully downloaded?",
            snapshots.display()
        ),
    }
}
