use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

const BOS: &str = "<|startoftext|>";
const EOS: &str = "<|endoftext|>";

#[derive(Deserialize)]
struct Row {
    text: String,
    first: Expected,
    second: Expected,
}

#[derive(Deserialize)]
struct Expected {
    ids: String,
    cut: Option<String>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tokenizer")
}

#[test]
fn every_text_gets_the_ids_that_transformers_gives_it() {
    let rows: Vec<Row> =
        serde_json::from_slice(&fs::read(fixtures().join("expected.json")).unwrap()).unwrap();
    assert!(rows.len() >= 80);
    let mut wrong = Vec::new();
    for (folder, expected) in [
        ("first", (|row| &row.first) as fn(&Row) -> &Expected),
        ("whole", |row| &row.first),
        ("second", |row| &row.second),
    ] {
        let tokenizer = Tokenizer::open(&fixtures().join(folder)).unwrap();
        for row in &rows {
            let expected = expected(row);
            let encoded = tokenizer.encode(&row.text).unwrap();
            let ids: Vec<String> = encoded.ids.iter().map(ToString::to_string).collect();
            if (ids.join(" "), &encoded.truncated) != (expected.ids.clone(), &expected.cut) {
                wrong.push(format!(
                    "{folder} {:?}\n  is     {} {:?}\n  should {} {:?}",
                    row.text,
                    ids.join(" "),
                    encoded.truncated,
                    expected.ids,
                    expected.cut
                ));
            }
            assert_eq!(encoded.ids.len(), 77);
            assert_eq!(encoded.ids[encoded.eos_position], tokenizer.eos);
            assert!(encoded.ids[encoded.eos_position + 1..].iter().all(|&id| id == tokenizer.pad));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// With the vocabulary that preheat carries, each text has the ids that transformers gives it with
/// the same merges (`tests/fixtures/single_file_fixtures.py`).
#[test]
fn the_carried_vocabulary_gives_the_ids_of_the_public_models() {
    #[derive(Deserialize)]
    struct Row {
        text: String,
        ids: String,
    }
    let config = fixtures().join("../configs/sd15/tokenizer/tokenizer_config.json");
    let text = fs::read_to_string(&config).unwrap();
    let tokenizer = Tokenizer::carried(&config, &text).unwrap();
    let rows = fs::read(fixtures().join("../clip_vocabulary.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&rows).unwrap();
    assert!(rows.len() >= 80);
    for row in rows {
        let ids = tokenizer.encode(&row.text).unwrap().ids;
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(ids.join(" "), row.ids, "{:?}", row.text);
    }
    // The second tokenizer of Stable Diffusion XL pads with the token 0.
    let config = fixtures().join("../configs/sdxl/tokenizer_2/tokenizer_config.json");
    let text = fs::read_to_string(&config).unwrap();
    let second = Tokenizer::carried(&config, &text).unwrap();
    assert_eq!(second.encode("").unwrap().ids[..4], [49_406, 49_407, 0, 0]);
}

/// A folder that differs from another one in a few files.
#[derive(Deserialize)]
struct Variant {
    name: String,
    base: String,
    changes: BTreeMap<String, Option<BTreeMap<String, Value>>>,
    /// The ids of each text, without padding.
    ids: BTreeMap<String, String>,
}

impl Variant {
    fn folder(&self) -> TempDir {
        let folder = copy(&self.base);
        for (file, change) in &self.changes {
            let path = folder.path().join(file);
            let Some(change) = change else {
                fs::remove_file(path).unwrap();
                continue;
            };
            let base = if file == "tokenizer.json" { "whole" } else { &self.base };
            let kept =
                fs::read(fixtures().join(base).join(file)).unwrap_or_else(|_| b"{}".to_vec());
            let mut content: BTreeMap<String, Value> = serde_json::from_slice(&kept).unwrap();
            content.extend(change.clone());
            fs::write(path, serde_json::to_vec(&content).unwrap()).unwrap();
        }
        folder
    }
}

#[test]
fn added_tokens_are_ids_of_their_own_wherever_a_release_kept_them() {
    let variants: Vec<Variant> =
        serde_json::from_slice(&fs::read(fixtures().join("variants.json")).unwrap()).unwrap();
    assert!(variants.len() >= 15);
    let mut wrong = Vec::new();
    for variant in variants {
        let tokenizer = Tokenizer::open(variant.folder().path()).unwrap();
        for (text, expected) in &variant.ids {
            let encoded = tokenizer.encode(text).unwrap();
            let ids: Vec<String> =
                encoded.ids[..=encoded.eos_position].iter().map(ToString::to_string).collect();
            if ids.join(" ") != *expected {
                wrong.push(format!(
                    "{}: {text:?}\n  is     {}\n  should {expected}",
                    variant.name,
                    ids.join(" ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_end_stands_behind_the_text_and_padding_follows() {
    let first = Tokenizer::open(&fixtures().join("first")).unwrap();
    let empty = first.encode("").unwrap();
    assert_eq!((empty.eos_position, empty.truncated), (1, None));
    assert_eq!(empty.ids[0], first.bos);
    assert!(empty.ids[1..].iter().all(|&id| id == first.eos));
    let full = first.encode(&"a ".repeat(75)).unwrap();
    assert_eq!((full.eos_position, full.truncated), (76, None));
    let over = first.encode(&format!("{}a lighthouse", "a ".repeat(75))).unwrap();
    assert_eq!((over.eos_position, over.truncated.as_deref()), (76, Some("a lighthouse")));
    let second = Tokenizer::open(&fixtures().join("second")).unwrap();
    assert_eq!(second.encode("a").unwrap().ids[3..], [0; 74]);
}

/// A copy of a folder, which a test can change.
fn copy(name: &str) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

fn error_after(change: impl Fn(&Path)) -> String {
    let folder = copy("first");
    change(folder.path());
    Tokenizer::open(folder.path()).unwrap_err().to_string()
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn what_is_missing_or_broken_is_named() {
    let nowhere = fixtures().join("nowhere");
    says(&Tokenizer::open(&nowhere).unwrap_err().to_string(), &["nowhere", "downloaded"]);
    for file in ["vocab.json", "merges.txt"] {
        says(
            &error_after(|folder| fs::remove_file(folder.join(file)).unwrap()),
            &[file, "downloaded"],
        );
    }
    for file in ["vocab.json", "tokenizer_config.json", "special_tokens_map.json"] {
        for text in ["", "{", "[1]", "{\"a\": ", "null and void", &"[".repeat(100_000)] {
            says(
                &error_after(|folder| fs::write(folder.join(file), text).unwrap()),
                &[file, "broken"],
            );
        }
    }
    says(
        &error_after(|folder| fs::write(folder.join("vocab.json"), "{\"a\": -1}").unwrap()),
        &["vocab.json"],
    );
    for (text, part) in
        [("a", "line 1"), ("#version: 0.2\na b c", "line 2"), ("a \u{4e2d}", "vocab.json has no")]
    {
        says(
            &error_after(|folder| fs::write(folder.join("merges.txt"), text).unwrap()),
            &["merges.txt", part],
        );
    }
    says(
        &error_after(|folder| fs::write(folder.join("merges.txt"), [0xff, 0xfe]).unwrap()),
        &["merges.txt"],
    );
    says(
        &error_after(|folder| fs::write(folder.join("merges.txt"), "q j").unwrap()),
        &["merges.txt", "`qj`"],
    );
    for (token, role) in [(BOS, "begin"), (EOS, "end")] {
        let error = error_after(|folder| {
            let text = fs::read_to_string(folder.join("vocab.json")).unwrap();
            fs::write(folder.join("vocab.json"), text.replace(token, "other")).unwrap();
        });
        says(&error, &["vocab.json", token, role]);
    }
    let pad = "{\"pad_token\": \"<pad>\"}";
    says(
        &error_after(|folder| fs::write(folder.join("special_tokens_map.json"), pad).unwrap()),
        &["padding", "<pad>"],
    );
    for length in ["0", "1", "-5", "77.5", "100000"] {
        let config = format!("{{\"model_max_length\": {length}}}");
        let error =
            error_after(|folder| fs::write(folder.join("tokenizer_config.json"), &config).unwrap());
        says(&error, &["tokenizer_config.json", "model_max_length"]);
    }
    let whole = tempfile::tempdir().unwrap();
    fs::write(whole.path().join("tokenizer.json"), "{\"version\": ").unwrap();
    says(&Tokenizer::open(whole.path()).unwrap_err().to_string(), &["tokenizer.json", "broken"]);
}

#[test]
fn without_configuration_it_is_clip_s() {
    let folder = copy("first");
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    let plain = Tokenizer::open(folder.path()).unwrap();
    let first = Tokenizer::open(&fixtures().join("first")).unwrap();
    assert_eq!(
        plain.encode("a cat, by the sea").unwrap(),
        first.encode("a cat, by the sea").unwrap()
    );
    fs::write(folder.path().join("tokenizer_config.json"), "{\"model_max_length\": 1e30}").unwrap();
    assert_eq!(Tokenizer::open(folder.path()).unwrap().max_length(), 77);
    fs::write(folder.path().join("tokenizer_config.json"), "{\"model_max_length\": 16}").unwrap();
    assert_eq!(Tokenizer::open(folder.path()).unwrap().encode("a cat").unwrap().ids.len(), 16);
}
