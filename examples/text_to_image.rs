//! How does a program make a picture? In a dozen lines, as `preheat run` does: `cargo run --release
//! --example text_to_image -- "the digit seven" seven.png`.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::path::Path;

use preheat::{Pipeline, Runtime, TextToImage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or_else(|| "the digit seven".to_owned());
    let output = arguments.next().unwrap_or_else(|| "out.png".to_owned());

    let runtime = Runtime::builder().build()?;
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo-model");
    let pipeline = Pipeline::open(&runtime, model)?;
    let made = pipeline.run(&TextToImage::new(prompt))?;
    made.pictures[0].save(output.as_ref())?;

    for stage in &made.stages {
        println!("{}: {:?}, {}", stage.stage, stage.source, stage.matched);
    }
    println!("{output}, seed {}", made.plan.seed);
    Ok(())
}
