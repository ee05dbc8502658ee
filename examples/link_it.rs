//! What is the smallest use of preheat? A program, a signature, and an executable that is compiled
//! once, ever.
//!
//! Run `cargo run --release --example link_it` twice: the second run compiles nothing.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use preheat::{Dtype, Program, Runtime, create_execution_signature};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs/unet_step.mlir");
    let runtime = Runtime::builder().for_programs().build()?;
    let program = Program::sniff(std::fs::read(file)?)?;
    let signature =
        create_execution_signature("unet", [1, 4, 32, 32], 1, 7.0, "euler", 20, Dtype::Float32)?;

    let unet = runtime.get_or_compile(&signature, &program)?;
    let report = unet.report();
    println!(
        "{:?} on {}: compiled {:.2} s, loaded {:.2} s",
        report.source,
        runtime.device().selected,
        report.compile_seconds,
        report.load_seconds
    );

    let outputs = unet.run(&unet.zeros()?)?;
    println!("{:?}", outputs[0].to_host()?);
    Ok(())
}
