//! What do the fuzz targets share? Folders in which an input replaces one file, and a mutator for
//! JSON.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A temporary folder, in memory if the system has `/dev/shm`, because every input is written to a
/// file.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.unwrap()
}

/// Copies a folder's files, except weights.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_none_or(|ending| ending != "safetensors") {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// Folders in which an input replaces one file.
pub struct Bases {
    bases: Vec<Base>,
    _folder: tempfile::TempDir,
}

/// A folder, and the files in it that can be replaced, each with its original content.
struct Base {
    path: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Bases {
    /// Copies `folders` of this repository. In each copy, an input can replace those of `files`
    /// that are there.
    pub fn new(folders: &[&str], files: &[&str]) -> Self {
        let folder = scratch();
        let base = |from: &&str| {
            let path = folder.path().join(from);
            copy(&repository(from), &path);
            let there = files.iter().map(PathBuf::from).filter(|file| path.join(file).is_file());
            let files =
                there.map(|file| (file.clone(), std::fs::read(path.join(file)).unwrap())).collect();
            Base { path, files }
        };
        let bases = folders.iter().map(base).collect();
        Self { bases, _folder: folder }
    }

    /// Replaces a file, which the first two bytes of an input choose, with the rest of the input.
    /// Calls `work` with the folder and the file's path in it, and then restores the file.
    pub fn with(&self, data: &[u8], work: impl FnOnce(&Path, &Path)) {
        let [base, file, content @ ..] = data else { return };
        let base = &self.bases[usize::from(*base) % self.bases.len()];
        let (file, was) = &base.files[usize::from(*file) % base.files.len()];
        let path = base.path.join(file);
        std::fs::write(&path, content).unwrap();
        work(&base.path, file);
        std::fs::write(&path, was).unwrap();
    }

    /// Every input that changes nothing, each with a name.
    pub fn seeds(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.bases.iter().enumerate().flat_map(|(base, Base { files, .. })| {
            files.iter().enumerate().map(move |(file, (_, content))| {
                let choice = [base, file].map(|number| u8::try_from(number).unwrap());
                (format!("seed-{base}-{file}"), [&choice, content.as_slice()].concat())
            })
        })
    }

    /// The names of fields and the short texts in all of these files that are JSON.
    pub fn words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (_, content) in self.bases.iter().flat_map(|base| &base.files) {
            if let Ok(document) = serde_json::from_slice(content) {
                collect_words(&document, &mut words);
            }
        }
        words
    }
}

fn collect_words(value: &Value, words: &mut BTreeSet<String>) {
    const LONGEST: usize = 60;
    match value {
        Value::Object(fields) => {
            words.extend(fields.keys().filter(|name| name.len() <= LONGEST).cloned());
            fields.values().for_each(|value| collect_words(value, words));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_words(value, words)),
        Value::String(text) if text.len() <= LONGEST => drop(words.insert(text.clone())),
        _ => {}
    }
}

/// The folders of models that are small enough for their graphs to be built many times a second.
const SMALL: [&str; 7] = [
    "tests/fixtures/models/down_first",
    "tests/fixtures/models/mixed",
    "tests/fixtures/models/odd",
    "tests/fixtures/models/sd15",
    "tests/fixtures/models/sd21",
    "tests/fixtures/models/sdxl",
    "examples/demo-model",
];
/// The config files that shape a graph.
const SHAPING: [&str; 4] = [
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "text_encoder_2/config.json",
];

/// The models whose configs are fuzzed.
pub fn models() -> Bases {
    let full_size = ["sd15", "sd21", "sdxl"].map(|name| format!("tests/fixtures/configs/{name}"));
    let folders: Vec<&str> =
        SMALL.into_iter().chain(full_size.iter().map(String::as_str)).collect();
    let others =
        ["model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"];
    Bases::new(&folders, &others.into_iter().chain(SHAPING).collect::<Vec<_>>())
}

/// The models whose graphs are built.
pub fn small_models() -> Bases {
    Bases::new(&SMALL, &SHAPING)
}

/// The tokenizers that are fuzzed.
pub fn tokenizers() -> Bases {
    let files = [
        "vocab.json",
        "merges.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ];
    let folders =
        ["first", "second", "whole"].map(|name| format!("tests/fixtures/tokenizer/{name}"));
    Bases::new(&folders.each_ref().map(String::as_str), &files)
}

/// Changes an input. Half of the time, if the input is JSON after its first `head` bytes, one value
/// of the JSON is changed; otherwise, bytes are changed.
pub fn mutate_json(head: usize, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut choices = fastrand::Rng::with_seed(seed.into());
    if choices.bool()
        && let Some(mut document) =
            data.get(head..size).and_then(|json| serde_json::from_slice::<Value>(json).ok())
    {
        change(&mut document, &mut choices);
        let text = document.to_string();
        if head + text.len() <= max_size {
            data[head..head + text.len()].copy_from_slice(text.as_bytes());
            return head + text.len();
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}

/// Walks down to a value, and replaces, repeats or removes it.
fn change(value: &mut Value, choices: &mut fastrand::Rng) {
    let replacement = odd_value(choices);
    match value {
        Value::Object(fields) if !fields.is_empty() && choices.u8(..8) > 0 => {
            let name = fields.keys().nth(choices.usize(..fields.len())).unwrap().clone();
            match choices.u8(..8) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(format!("{name}_2"), replacement)),
                _ => change(&mut fields[&name], choices),
            }
        }
        Value::Array(items) if !items.is_empty() && choices.u8(..8) > 0 => {
            let at = choices.usize(..items.len());
            match choices.u8(..8) {
                0 => drop(items.remove(at)),
                1 => items.extend(vec![items[at].clone(); choices.usize(1..20)]),
                _ => change(&mut items[at], choices),
            }
        }
        Value::Number(number) if choices.bool() => {
            let number = number.as_f64().unwrap_or_default();
            *value = match choices.u8(..6) {
                0 => json!(number + 1.0),
                1 => json!(number - 1.0),
                2 => json!((number as i64).saturating_mul(2)),
                3 => json!(number as i64 / 2),
                4 => json!((number as i64).saturating_add(1)),
                _ => json!(-number),
            };
        }
        _ => *value = replacement,
    }
}

/// A value that code may not expect, such as an extreme number.
fn odd_value(choices: &mut fastrand::Rng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(8),
        json!(-1),
        json!(1 << 16),
        json!(1 << 20),
        json!((1 << 20) + 1),
        json!(1_u64 << 32),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(1e-320),
        json!(1e300),
        json!(""),
        json!("a"),
        json!("\u{0}\u{1b}[31m\u{202e}"),
        json!("x".repeat(300)),
        json!([]),
        json!({}),
        json!([1, 2, 3, 4]),
        json!([[1], "two", null]),
        json!({"a": 1}),
    ];
    values[choices.usize(..values.len())].clone()
}
