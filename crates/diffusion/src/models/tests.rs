//! Do configs of the three known models give the graphs that they should?
//!
//! This module also has what the tests of the other modules here share.

use std::fs;
use std::path::{Path, PathBuf};

use preheat_ir::graph::Function;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::*;

/// The configs of `model`: `sd15`, `sd21` or `sdxl`.
pub(super) fn fixture(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/configs").join(model)
}

pub(super) fn open(model: &str) -> ModelFolder {
    ModelFolder::open(&fixture(model)).unwrap()
}

/// A copy of `model` in which `file` is changed.
pub(super) fn altered(
    model: &str,
    file: &str,
    change: impl FnOnce(&mut Json),
) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(model)).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            continue;
        }
        let folder = copy.path().join(entry.file_name());
        fs::create_dir(&folder).unwrap();
        for file in fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    let path = copy.path().join(file);
    let mut json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
    copy
}

/// The error of opening the model after `field` of `file` was set to `value`.
pub(super) fn refusal(model: &str, file: &str, field: &str, value: Json) -> String {
    let folder = altered(model, file, |json| json[field] = value);
    let error = ModelFolder::open(folder.path()).expect_err("it should be refused").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

/// The names of the weights that a graph reads.
pub(super) fn weight_names(function: &Function) -> Vec<&str> {
    function.weights().iter().map(|weight| weight.name.as_str()).collect()
}

/// One weight a line, sorted: its name and its sizes.
fn weight_lines(function: &Function) -> String {
    let line = |weight: &preheat_ir::graph::WeightDecl| {
        let dims: Vec<String> = weight.kind.dims.iter().map(u64::to_string).collect();
        format!("{} {}\n", weight.name, dims.join(","))
    };
    let mut lines: Vec<String> = function.weights().iter().map(line).collect();
    lines.sort();
    lines.concat()
}

/// tests/fixtures/weights.py got the expected names and shapes from diffusers and transformers.
#[test]
fn the_weights_are_those_that_diffusers_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/weights.json");
    let known: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut checked = 0;
    for name in ["sd15", "sd21", "sdxl"] {
        let model = open(name);
        let whole = TextOutputs { skipped_layers: 0, normed: true, pooled: true };
        let mut graphs = vec![
            ("unet", denoiser(model.unet(), &model.denoiser_spec(true, 1, [64, 64])).unwrap()),
            ("vae", vae_decoder(model.vae(), [64, 64]).unwrap()),
            ("vae_encoder", vae_encoder(model.vae_encoder().unwrap(), [64, 64]).unwrap()),
            ("text_encoder", text_encoder(&model.text_encoders()[0], whole).unwrap()),
        ];
        for text in model.text_encoders().iter().skip(1) {
            graphs.push(("text_encoder_2", text_encoder(text, whole).unwrap()));
        }
        for (component, graph) in graphs {
            let known = &known[format!("{name}/{component}")];
            let parameters: u64 = graph.weights().iter().map(|weight| weight.kind.elements()).sum();
            assert_eq!(known["weights"], graph.weights().len(), "{name}/{component}");
            assert_eq!(known["parameters"], parameters, "{name}/{component}");
            let digest =
                preheat_cache::Digest::from_bytes(Sha256::digest(weight_lines(&graph)).into())
                    .to_string();
            assert_eq!(
                known["sha256"], digest,
                "{name}/{component}: weights.py writes the list to compare with"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, known.as_object().unwrap().len());
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let count = |model: &str| {
        let model = open(model);
        let graph = denoiser(model.unet(), &model.denoiser_spec(false, 1, [32, 32])).unwrap();
        graph.weights().iter().map(|weight| weight.kind.elements()).sum::<u64>()
    };
    assert_eq!(["sd15", "sd21", "sdxl"].map(count), [859_520_964, 865_910_724, 2_567_463_684]);
}
