//! Which files of a component's folder hold its tensors?
//!
//! Only safetensors files are read: a single one, or the shards that an index names. Unless a
//! variant is asked for, files without a variant come first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use preheat_io::input;
use serde::Deserialize;

use super::error::WeightsError;
use super::header::TensorInfo;

/// The variant that is used if there are no files without a variant and the caller names no
/// variant.
const FALLBACK: &str = "fp16";
/// The largest index that is read. An index takes a few hundred bytes for each tensor.
const MOST_INDEX_BYTES: u64 = 64 << 20;
/// The endings of torch's pickle files.
const PICKLES: &[&str] = &["bin", "ckpt", "pt", "pth"];

/// A file of tensors, mapped into memory.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) handle: std::fs::File,
    pub(super) map: memmap2::Mmap,
}

/// A tensor and the position of its file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: usize,
    pub(super) tensor: TensorInfo,
    /// How it differs from the tensor that the file holds.
    pub(super) view: View,
}

/// How a tensor differs from the tensor in the file whose bytes it uses. By default, they do not
/// differ.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The name in the file, if it is another one.
    pub(super) name: Option<String>,
    /// Whether the file has the two dimensions of the tensor in the other order.
    pub(super) transposed: bool,
    /// The number by which the values are multiplied.
    pub(super) scale: Option<f32>,
}

impl View {
    /// Translates `dims`, the dimensions of the tensor, and `order`, their order in a result.
    /// Returns the dimensions of the tensor in the file, and their order in the same result.
    pub(super) fn of_file(&self, dims: &[u64], order: &[usize]) -> (Vec<u64>, Vec<usize>) {
        if !self.transposed {
            return (dims.to_vec(), order.to_vec());
        }
        let order = order.iter().map(|axis| dims.len() - 1 - axis);
        (dims.iter().rev().copied().collect(), order.collect())
    }
}

impl Entry {
    /// The name that the file has for the tensor.
    pub(super) fn name_in_file(&self) -> &str {
        self.view.name.as_deref().unwrap_or(&self.tensor.name)
    }
}

/// The files of a component.
#[derive(Debug)]
pub(super) struct Found {
    pub paths: Vec<PathBuf>,
    /// Which file each tensor is in; `None` for a single file.
    pub index: Option<Index>,
}

/// An index of shards.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    /// For each tensor's name, the position of its file.
    weights: BTreeMap<String, usize>,
}

impl Index {
    /// Keeps the tensors for which the index names the shard that they are in. It is an error if a
    /// tensor of the index is not in its shard.
    pub(super) fn choose(
        &self,
        tensors: Vec<Entry>,
        files: &[Arc<File>],
    ) -> Result<Vec<Entry>, WeightsError> {
        let mut missing: BTreeMap<&str, usize> =
            self.weights.iter().map(|(name, &at)| (name.as_str(), at)).collect();
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

/// The stem of the file names of diffusers' own models.
const DIFFUSERS: &str = "diffusion_pytorch_model";

/// The names of the single file and of the index for one variant, in the order in which diffusers
/// or transformers, whichever uses this stem, looks for them.
fn names(stem: &str, variant: Option<&str>) -> Vec<String> {
    let (single, mut indices) = match variant {
        None => (format!("{stem}.safetensors"), vec![format!("{stem}.safetensors.index.json")]),
        Some(variant) => (
            format!("{stem}.{variant}.safetensors"),
            // Older releases of diffusers write the second name.
            vec![
                format!("{stem}.safetensors.index.{variant}.json"),
                format!("{stem}.safetensors.{variant}.index.json"),
            ],
        ),
    };
    indices.insert(if stem == DIFFUSERS { indices.len() } else { 0 }, single);
    indices
}

/// Whether the folder has any file of the variant.
pub(super) fn has_variant(folder: &Path, variant: &str) -> bool {
    file_names(folder).is_ok_and(|names| names.iter().any(|name| is_of(name, variant)))
}

fn is_of(name: &str, variant: &str) -> bool {
    name.split('.').nth(1).is_some_and(|part| part.starts_with(variant))
}

/// The names of a folder's entries, sorted.
fn file_names(folder: &Path) -> io::Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}

/// Finds the files whose names begin with `stem` in `folder`.
pub(super) fn find(
    folder: &Path,
    stem: &str,
    variant: Option<&str>,
) -> Result<Found, WeightsError> {
    let mut tried = Vec::new();
    let variants: &[Option<&str>] =
        if variant.is_some() { &[variant] } else { &[None, Some(FALLBACK)] };
    for &variant in variants {
        for name in names(stem, variant) {
            let path = folder.join(&name);
            if exists(&path)? {
                let is_index = path.extension().is_some_and(|ending| ending == "json");
                return if is_index {
                    read_index(folder, path)
                } else {
                    Ok(Found { paths: vec![path], index: None })
                };
            }
            tried.push(name);
        }
    }
    Err(nothing(folder, variant, tried))
}

/// The error for a folder without files that can be used; the most helpful explanation is chosen.
fn nothing(folder: &Path, variant: Option<&str>, tried: Vec<String>) -> WeightsError {
    let folder = folder.to_owned();
    let there = match file_names(&folder) {
        Ok(there) => there,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return WeightsError::NoFolder { folder };
        }
        Err(source) => return WeightsError::Io { path: folder, source },
    };
    let ends = |name: &str, endings: &[&str]| {
        Path::new(name)
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| endings.contains(&ending))
    };
    let others: Vec<String> =
        there.iter().filter(|name| ends(name, &["safetensors"])).cloned().collect();
    match (variant, there.into_iter().find(|name| ends(name, PICKLES))) {
        (Some(variant), _) if !others.is_empty() => {
            WeightsError::NoVariant { folder, variant: variant.to_owned(), there: others }
        }
        (None, _) if !others.is_empty() && others.iter().all(|name| is_variant(name)) => {
            WeightsError::OnlyVariants { folder, there: others }
        }
        (_, Some(name)) if others.is_empty() => WeightsError::Pickle { path: folder.join(name) },
        _ => WeightsError::NoFile { folder, tried },
    }
}

/// Whether the name of a file of weights contains a variant: `model.bf16.safetensors`,
/// `model.bf16-00001-of-00002.safetensors`.
fn is_variant(name: &str) -> bool {
    name.split('.').count() > 2
}

fn exists(path: &Path) -> Result<bool, WeightsError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(false)
        }
        Err(source) => Err(WeightsError::Io { path: path.to_owned(), source }),
    }
}

#[derive(Deserialize)]
struct RawIndex {
    weight_map: BTreeMap<String, String>,
}

fn read_index(folder: &Path, path: PathBuf) -> Result<Found, WeightsError> {
    let text = input::text(&path, MOST_INDEX_BYTES)
        .map_err(|source| WeightsError::Io { path: path.clone(), source })?;
    let wrong = |why: String| WeightsError::Index { path: path.clone(), why };
    let RawIndex { weight_map } =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if weight_map.is_empty() {
        return Err(wrong("it names no tensor".to_owned()));
    }
    let shards: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    let shards: Vec<&str> = shards.into_iter().collect();
    let mut paths = Vec::with_capacity(shards.len());
    for &shard in &shards {
        // Only a file in this folder is accepted: an index must not lead to another place.
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
        .filter_map(|(name, shard)| {
            Some((name.clone(), shards.binary_search(&shard.as_str()).ok()?))
        })
        .collect();
    Ok(Found { paths, index: Some(Index { path, weights }) })
}
