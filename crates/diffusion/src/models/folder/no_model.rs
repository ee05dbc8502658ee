//! What is at a path that holds no model folder, and what should the user do about it?
//!
//! The answer is an error with advice. Nothing that is found here is opened as a model.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use preheat_io::input;

use super::{Family, INDEX, MOST_CONFIG_BYTES};
use crate::models::ModelError;

/// The error for an index at `path` that could not be read. It says what is at the path instead.
pub(super) fn why(path: &Path, error: io::Error) -> ModelError {
    if path.is_dir() {
        if error.kind() != io::ErrorKind::NotFound {
            return ModelError::Read { path: path.join(INDEX), source: error };
        }
        return ModelError::NoIndex { path: path.to_owned(), advice: of_folder(path) };
    }
    if path.exists() {
        let advice = if is_checkpoint(path) { conversion(path) } else { String::new() };
        return ModelError::NotAFolder { path: path.to_owned(), advice };
    }
    ModelError::NoFolder { path: path.to_owned() }
}

fn is_checkpoint(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors" || extension == "ckpt")
}

/// What a folder without an index appears to be.
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
    entries.iter().find(|entry| is_checkpoint(entry)).map_or_else(String::new, |file| {
        format!(
            ", but {}{}",
            file.file_name().unwrap_or_default().to_string_lossy(),
            conversion(file)
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

/// How much of a safetensors header is read. That of a diffusion model takes a few hundred KiB; of
/// a longer one, the beginning is enough.
const MOST_HEADER_BYTES: u64 = 16 << 20;

/// How to convert a checkpoint in a single file into a folder, with the class that reads it.
fn conversion(file: &Path) -> String {
    let class = match family(file) {
        Some(family) => format!("`{}.from_single_file(...)`", family.class()),
        None => format!(
            "`{}.from_single_file(...)`, or `{}` for one of Stable Diffusion XL",
            Family::StableDiffusion.class(),
            Family::StableDiffusionXl.class()
        ),
    };
    format!(
        ". It looks like a checkpoint in a single file: convert it once with diffusers ({class}, then \
         `.save_pretrained(...)`)"
    )
}

/// The family of a checkpoint in the layout of the original releases, recognised by the names of
/// its tensors. Those of the text encoders begin with `conditioner.embedders` in Stable Diffusion
/// XL, and with `cond_stage_model` in the releases before it.
fn family(file: &Path) -> Option<Family> {
    if file.extension()? != "safetensors" {
        return None;
    }
    let mut file = input::open(file).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length).min(MOST_HEADER_BYTES)).read_to_end(&mut header).ok()?;
    let header = String::from_utf8_lossy(&header);
    let has = |name: &str| header.contains(name);
    if has("\"conditioner.embedders.") {
        Some(Family::StableDiffusionXl)
    } else if has("\"cond_stage_model.") {
        Some(Family::StableDiffusion)
    } else {
        None
    }
}
