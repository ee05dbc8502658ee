//! How can graphs of full size be compiled, run and timed without a download? This example writes a
//! model folder with random weights of sensible scale.
//!
//! ```console
//! $ cargo run --release --example random_model -- sd15 /tmp/random-sd15
//! $ cargo run --release --example random_model -- small:odd /tmp/random-odd --dtype bfloat16
//! ```
//!
//! The pictures that such a model makes are noise. Its tokenizer has a vocabulary of 759 entries.

#![expect(clippy::print_stderr, reason = "an example shows what it does")]

#[path = "../tests/support/random_model.rs"]
mod random_model;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use preheat::Dtype;
use random_model::{FULL_SIZE, SMALL, Shape, Weights};

fn usage() -> String {
    let small: Vec<String> = SMALL.iter().map(|name| format!("small:{name}")).collect();
    format!(
        "usage: random_model SHAPE DIR [--dtype float32|float16|bfloat16]\nSHAPE is one of {}, {}",
        FULL_SIZE.join(", "),
        small.join(", ")
    )
}

/// The model of a name: `sd15` is of full size and `small:sd15` is small. A small model without a
/// namesake of full size may be named without `small:`.
fn shape(name: &str) -> Option<Shape<'_>> {
    if FULL_SIZE.contains(&name) {
        return Some(Shape::FullSize(name));
    }
    let small = name.strip_prefix("small:").unwrap_or(name);
    SMALL.contains(&small).then_some(Shape::Small(small))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, folder, dtype) = match words[..] {
        [name, folder] => (name, folder, Some(Dtype::Float32)),
        [name, folder, "--dtype", dtype] | ["--dtype", dtype, name, folder] => {
            (name, folder, dtype.parse().ok())
        }
        _ => ("", "", None),
    };
    let (Some(shape), Some(dtype)) = (shape(name), dtype) else {
        eprintln!("{}", usage());
        return ExitCode::from(2);
    };
    match write(shape, Path::new(folder), dtype) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(shape: Shape<'_>, folder: &Path, dtype: Dtype) -> Result<(), Box<dyn std::error::Error>> {
    if folder.exists() {
        return Err(format!("{} exists already: name a new folder", folder.display()).into());
    }
    let began = Instant::now();
    let tell = |component: &str, done: u64, total: u64| {
        if done == total {
            eprintln!(
                "{component}: {} MB after {:.1} s",
                total / 1_000_000,
                began.elapsed().as_secs_f64()
            );
        }
    };
    random_model::write(shape, folder, Weights { dtype, variation: "" }, tell)
}
