//! With which inputs do the fuzzers start? This program writes them below corpus/: the fixtures of
//! this repository, and a few inputs of each other kind. `NAME.dict` has the words of the fixtures,
//! for `-dict=corpus/NAME.dict`.

use std::fs;
use std::path::{Path, PathBuf};

use preheat_fuzz::{Bases, models, repository, small_models, tokenizers};

fn main() {
    seeds_of("configs", &models());
    seeds_of("graphs", &small_models());
    seeds_of("tokenizers", &tokenizers());
    let file = repository("tests/programs/attention.inputs.safetensors");
    let tensors = fs::read(file).unwrap();
    let header_end =
        8 + usize::try_from(u64::from_le_bytes(*tensors.first_chunk().unwrap())).unwrap();
    seed("weights", "file", &[&[0], tensors.as_slice()].concat());
    seed("weights", "header", &[&[1], &tensors[8..header_end]].concat());
    let index = br#"{"metadata":{"total_size":4},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#;
    seed("weights", "index", &[&[2], index.as_slice()].concat());
    for (name, request) in [
        (
            "plain",
            r#"{"prompt":"a cat","negative_prompt":"a dog","width":512,"height":768,"steps":20,"cfg_scale":7.5}"#,
        ),
        (
            "aliases",
            r#"{"num_inference_steps":3,"guidance_scale":1,"num_images_per_prompt":2,"seed":7,"clip_skip":1}"#,
        ),
        (
            "warmup",
            r#"{"prompt":"p","scheduler":"euler","tpu_warmup":{"enabled":true,"target_resolution":"768x512","batch_size":2}}"#,
        ),
    ] {
        seed("requests", name, request.as_bytes());
        seed("logs", name, format!("{request}\n{request}\n").as_bytes());
    }
    let logged = r#"{"timestamp":"2026-11-20T16:30:00Z","model_id":"sd15","width":500,"height":700,"steps":20,"cfg_scale":7.5,"batch_size":1,"padded_size":[512,704],"warm":true,"seconds":3.1}"#;
    seed("logs", "logged", format!("{logged}\n\n{{\"torn\n{logged}").as_bytes());
    seed("manifests", "example", &fs::read(repository("examples/warm.toml")).unwrap());
    let full = "[[model]]\nfolder = \"m\"\nvariant = 'fp16'\ntargets = [\"tpu:v5e:1x1\"]\nsizes = [\"512x512\", \"768\"]\nbatches = [1, 0x2]\n\
                guided = [true, false]\nnegative_prompt = [true]\nclip_skip = 1\nprecision = \"bf16\"\nvae_precision = \"fp32\"\nautocast = false\n";
    seed("manifests", "full", full.as_bytes());
}

fn seeds_of(target: &str, bases: &Bases) {
    for (name, input) in bases.seeds() {
        seed(target, &name, &input);
    }
    let words = bases.words().into_iter().map(|word| format!("{}\n", quoted(&word)));
    fs::write(corpus().join(format!("{target}.dict")), words.collect::<String>()).unwrap();
}

/// A word in the form of libFuzzer's dictionaries, with the quotes that it has in JSON.
fn quoted(word: &str) -> String {
    let letter = |byte: &u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    let json = serde_json::to_string(word).unwrap();
    format!("\"{}\"", json.as_bytes().iter().map(letter).collect::<String>())
}

fn seed(target: &str, name: &str, input: &[u8]) {
    let folder = corpus().join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), input).unwrap();
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
