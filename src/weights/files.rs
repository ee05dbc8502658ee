//! Which files of a component's folder hold its tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{Entry, File, WeightsError};
use crate::input;

/// The variant that is taken where there are no plain files and none is asked for.
const FALLBACK: &str = "fp16";
/// An index has some hundred bytes for each tensor.
const MOST_INDEX_BYTES: u64 = 64 << 20;
/// How the files end that torch's pickles come in.
const PICKLES: &[&str] = &["bin", "ckpt", "pt", "pth"];

/// The files of a component.
#[derive(Debug)]
pub(super) struct Found {
    pub paths: Vec<PathBuf>,
    /// Which tensor is in which of them; `None` for a single file.
    pub index: Option<Index>,
}

/// An index of shards.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    /// Name of a tensor to the position of its file.
    weights: BTreeMap<String, usize>,
}

impl Index {
    /// Of the tensors of all shards, those that the index names.
    pub(super) fn choose(&self, tensors: Vec<Entry>, files: &[File]) -> Result<Vec<Entry>, WeightsError> {
        let mut missing: BTreeMap<&str, usize> = self.weights.iter().map(|(name, &at)| (name.as_str(), at)).collect();
        let mut chosen = Vec::with_capacity(self.weights.len());
        for entry in tensors {
            if self.weights.get(&entry.tensor.name) == Some(&entry.file) {
                missing.remove(entry.tensor.name.as_str());
                chosen.push(entry);
            }
        }
        match missing.first_key_value() {
            None => Ok(chosen),
            Some((&name, &file)) => Err(WeightsError::NotInShard {
                index: self.path.clone(),
                shard: files[file].path.clone(),
                name: name.to_owned(),
            }),
        }
    }
}

/// The names of the single file and of the index, in one variant.
fn names(stem: &str, variant: Option<&str>) -> (String, String) {
    match variant {
        None => (format!("{stem}.safetensors"), format!("{stem}.safetensors.index.json")),
        Some(variant) => (format!("{stem}.{variant}.safetensors"), format!("{stem}.safetensors.index.{variant}.json")),
    }
}

/// Finds the files of `stem` in `folder`.
pub(super) fn find(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Found, WeightsError> {
    let mut tried = Vec::new();
    let variants: &[Option<&str>] = if variant.is_some() { &[variant] } else { &[None, Some(FALLBACK)] };
    for &variant in variants {
        let (single, index) = names(stem, variant);
        let path = folder.join(&single);
        if exists(&path)? {
            return Ok(Found { paths: vec![path], index: None });
        }
        let path = folder.join(&index);
        if exists(&path)? {
            return read_index(folder, path);
        }
        tried.extend([single, index]);
    }
    Err(nothing(folder, variant, tried))
}

/// What to say where there are no files: the most helpful reason comes first.
fn nothing(folder: &Path, variant: Option<&str>, tried: Vec<String>) -> WeightsError {
    let folder = folder.to_owned();
    let listing = match std::fs::read_dir(&folder) {
        Ok(listing) => listing,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return WeightsError::NoFolder { folder };
        }
        Err(source) => return WeightsError::Io { path: folder, source },
    };
    let mut there: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    there.sort_unstable();
    let ends = |path: &Path, endings: &[&str]| {
        path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending))
    };
    let others: Vec<String> = there
        .iter()
        .filter(|path| ends(path, &["safetensors"]))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    match (variant, there.into_iter().find(|path| ends(path, PICKLES))) {
        (Some(variant), _) if !others.is_empty() => {
            WeightsError::NoVariant { folder, variant: variant.to_owned(), there: others }
        }
        (_, Some(path)) if others.is_empty() => WeightsError::Pickle { path },
        _ => WeightsError::NoFile { folder, tried },
    }
}

fn exists(path: &Path) -> Result<bool, WeightsError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(source) => Err(WeightsError::Io { path: path.to_owned(), source }),
    }
}

#[derive(Deserialize)]
struct RawIndex {
    weight_map: BTreeMap<String, String>,
}

fn read_index(folder: &Path, path: PathBuf) -> Result<Found, WeightsError> {
    let text =
        input::text(&path, MOST_INDEX_BYTES).map_err(|source| WeightsError::Io { path: path.clone(), source })?;
    let wrong = |why: String| WeightsError::Index { path: path.clone(), why };
    let RawIndex { weight_map } = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if weight_map.is_empty() {
        return Err(wrong("it names no tensor".to_owned()));
    }
    let shards: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    let shards: Vec<&str> = shards.into_iter().collect();
    let mut paths = Vec::with_capacity(shards.len());
    for &shard in &shards {
        // Only a file of this folder: an index is not trusted to lead elsewhere.
        let mut parts = Path::new(shard).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
            || shard.contains(['/', '\\', '\0'])
        {
            return Err(wrong(format!("it names {shard:?}, which is no file beside it")));
        }
        let file = folder.join(shard);
        if !exists(&file)? {
            return Err(WeightsError::NoShard { path, shard: shard.to_owned() });
        }
        paths.push(file);
    }
    let weights = weight_map
        .iter()
        .filter_map(|(name, shard)| Some((name.clone(), shards.binary_search(&shard.as_str()).ok()?)))
        .collect();
    Ok(Found { paths, index: Some(Index { path, weights }) })
}
