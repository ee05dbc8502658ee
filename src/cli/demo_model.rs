//! Which model runs if the user names none? The demo model: the binary contains its files, and this
//! module unpacks them into the user's data folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use preheat_io::result_file::readable_by_all;

use super::CliError;

macro_rules! files {
    ($($name:literal,)*) => {
        /// The model's files, by their paths in its folder.
        const FILES: &[(&str, &[u8])] = &[
            $(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo-model/", $name)))),*
        ];
    };
}

files! {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
}

/// The folder of the demo model. Its files are written into the user's data folder if they are not
/// there yet.
pub(super) fn folder() -> Result<PathBuf, CliError> {
    let data = preheat_plugins::data_dir(&|name| std::env::var_os(name)).ok_or_else(|| {
        CliError::Usage(format!(
            "there is no folder for the demo model: name a model with --model, or set {} or HOME",
            preheat_plugins::DATA_DIR_VARIABLE
        ))
    })?;
    // The folder is named after its contents, so that each release's demo model has its own.
    let versions = data.join("models").join(env!("PREHEAT_DEMO_MODEL_ID"));
    let folder = versions.join("demo-model");
    let written = if folder.is_dir() { heal(&folder) } else { write(&versions, &folder) };
    written.map_err(|cause| CliError::DemoModel { path: folder.clone(), cause })?;
    Ok(folder)
}

/// Rewrites files that differ from the copy in the binary. Otherwise one full disk, or one edit of
/// a file, would make every later run fail.
fn heal(folder: &Path) -> std::io::Result<()> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        let is_file_of_its_size = std::fs::metadata(&path)
            .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
        if is_file_of_its_size && std::fs::read(&path).is_ok_and(|found| found == *bytes) {
            continue;
        }
        tracing::warn!("{} is not as it was unpacked, and is written anew", path.display());
        replace(&path, bytes)?;
    }
    Ok(())
}

/// Puts a new file in the place of whatever has this name. A link or a pipe is itself replaced, and
/// its target is never written to. A process that has mapped the old file keeps the old contents.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let mut file = readable_by_all().tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes all files into a temporary folder, which is then renamed to `folder` in one step.
fn write(versions: &Path, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(versions)?;
    let half_done = tempfile::tempdir_in(versions)?;
    for (name, bytes) in FILES {
        let path = half_done.path().join("demo-model").join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)?;
    }
    match std::fs::rename(half_done.path().join("demo-model"), folder) {
        // Another process finished the folder first.
        Err(_) if folder.is_dir() => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo-model");
        let mut found = Vec::new();
        for component in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
            // Python leaves a cache folder beside its scripts.
            if component.is_dir() && !component.ends_with("__pycache__") {
                found.extend(
                    std::fs::read_dir(&component).unwrap().map(|entry| entry.unwrap().path()),
                );
            }
        }
        let mut found: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        found.push("model_index.json".to_owned());
        found.sort();
        let carried: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(carried, found, "FILES lists what is in examples/demo-model, sorted");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_in_the_place_of_a_file_is_replaced_and_its_target_is_not_written_to() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("demo-model");
        heal(&folder).unwrap();
        let (name, bytes) = FILES[0];
        let (path, target) = (folder.join(name), root.path().join("target"));
        std::fs::write(&target, "the user's").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        heal(&folder).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "the user's");
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
