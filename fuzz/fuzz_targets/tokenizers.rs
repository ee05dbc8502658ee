//! What happens if the input replaces one file of a tokenizer? The files are refused, or every text
//! becomes as many ids as the tokenizer's `max_length` says.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use preheat_diffusion::pipeline::tokenizer::Tokenizer;
use preheat_fuzz::{Bases, mutate_json, tokenizers};

static TOKENIZERS: LazyLock<Bases> = LazyLock::new(tokenizers);

const TEXTS: &[&str] = &[
    "",
    "a cat, by the sea!",
    "<|startoftext|>A  Cat's\t<|endoftext|> 1234 \u{e9}\u{301}\u{4e2d}\u{1f600}",
    "\u{0}\u{1b}[31m \u{202e} \u{ffff}",
];

fn open(folder: &Path, _changed: &Path) {
    let tokenizer = match Tokenizer::open(folder) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let long = "one ".repeat(80);
    for text in TEXTS.iter().copied().chain([long.as_str()]) {
        let Ok(encoded) = tokenizer.encode(text) else { continue };
        assert_eq!(encoded.ids.len(), tokenizer.max_length());
        assert!(encoded.eos_position < encoded.ids.len());
        assert!(encoded.ids.iter().all(|id| *id >= 0));
    }
}

fuzz_target!(|data: &[u8]| TOKENIZERS.with(data, open));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(2, data, size, max_size, seed)
});
