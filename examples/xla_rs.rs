//! How does a pipeline on the `xla` crate use preheat's cache? This example builds a step of a
//! diffusion pipeline with the crate's `XlaBuilder`.
//!
//! ```console
//! $ eval "$(cargo xtask setup xla-rs)"
//! $ cargo run --release --features xla-rs --example xla_rs
//! ```
//!
//! Run it twice: the second run compiles nothing. Only `main` differs from a pipeline that uses the
//! crate alone.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use preheat::{Dtype, Runtime, Tensor, create_execution_signature};
use xla::{ElementType, Literal, XlaBuilder, XlaComputation, XlaOp};

/// Latents `[batch, channels, height/8, width/8]` of one picture of 128x128 pixels.
const LATENTS: [i64; 4] = [1, 4, 16, 16];
const HIDDEN: i64 = 16;
const STEPS: u16 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let step = guided_euler_step()?;

    // With the crate alone: let client = xla::PjRtClient::cpu()?;
    //                       let executable = client.compile(&step)?;
    let runtime = Runtime::builder().for_programs().build()?;
    let signature = create_execution_signature(
        "xla-rs-example",
        LATENTS.map(i64::cast_unsigned),
        1,
        7.0,
        "euler",
        20,
        Dtype::Float32,
    )?;
    let executable = runtime.get_or_compile(&signature, &step)?;

    let report = executable.report();
    println!(
        "source: {:?} in {:.3} s",
        report.source,
        report.compile_seconds + report.load_seconds
    );

    // Literals become tensors. Tensors on the device stay there from step to step.
    let constants =
        [wave(&[HIDDEN, 4, 3, 3])?, wave(&[4, HIDDEN, 3, 3])?, wave(&[HIDDEN])?, wave(&[HIDDEN])?];
    let constants = constants.iter().map(Tensor::try_from).collect::<Result<Vec<_>, _>>()?;
    let constants = constants
        .iter()
        .map(|tensor| executable.to_device(tensor))
        .collect::<Result<Vec<_>, _>>()?;
    let scalar = |value: f32| {
        Ok::<_, Box<dyn std::error::Error>>(
            executable.to_device(&Tensor::from_f32(&[], &[value])?)?,
        )
    };
    let guidance = scalar(7.0)?;
    let mut latents = executable.to_device(&Tensor::try_from(&wave(&LATENTS)?)?)?;
    for step in 0..STEPS {
        let sigma = |step: u16| 14.6 * (1.0 - f32::from(step) / f32::from(STEPS));
        let (now, next) = (scalar(sigma(step))?, scalar(sigma(step + 1))?);
        let inputs = [&latents, &now, &next, &guidance].into_iter().chain(&constants);
        let mut outputs = executable.run(inputs)?;
        latents = outputs.swap_remove(0);
    }

    // A tensor becomes a literal again.
    let literal = Literal::try_from(&latents.to_host()?)?;
    println!("latents after {STEPS} steps: {:?} ...", &literal.to_vec::<f32>()?[..4]);
    Ok(())
}

/// Predicts the noise with and without the prompt, guides, and takes one step of Euler's method
/// (<https://arxiv.org/abs/2206.00364>, algorithm 2 without churn). The new latents take over the
/// memory of the old ones.
fn guided_euler_step() -> xla::Result<XlaComputation> {
    let builder = XlaBuilder::new("guided-euler-step");
    let input = |number, dimensions: &[i64], name| {
        builder.parameter(number, ElementType::F32, dimensions, name)
    };
    let latents = input(0, &LATENTS, "latents")?;
    let (sigma, next_sigma, guidance) =
        (input(1, &[], "sigma")?, input(2, &[], "next sigma")?, input(3, &[], "guidance")?);
    let (enter, leave) =
        (input(4, &[HIDDEN, 4, 3, 3], "enter")?, input(5, &[4, HIDDEN, 3, 3], "leave")?);
    let (prompt, no_prompt) = (input(6, &[HIDDEN], "prompt")?, input(7, &[HIDDEN], "no prompt")?);

    let one = builder.c0(1f32)?;
    let scale = (sigma.mul_(&sigma)? + &one)?.rsqrt()?;
    let hidden = convolve(&latents.mul_(&scale)?, &enter)?;
    let noise = |condition: &XlaOp| {
        let condition =
            condition.broadcast_in_dim(&[LATENTS[0], HIDDEN, LATENTS[2], LATENTS[3]], &[1])?;
        convolve(&(&hidden + &condition)?.silu()?, &leave)
    };
    let (guided, unguided) = (noise(&prompt)?, noise(&no_prompt)?);
    let noise = (&unguided + (&guided - &unguided)?.mul_(&guidance)?)?;
    let new_latents = (&latents + noise.mul_(&(&next_sigma - &sigma)?)?)?;
    let root = builder.tuple(&[new_latents])?;
    builder.setup_alias(0, 0);
    builder.build(&root)
}

/// A 3x3 convolution that keeps height and width, with the layouts NCHW and OIHW.
fn convolve(input: &XlaOp, kernel: &XlaOp) -> xla::Result<XlaOp> {
    let (same, ones) = ([(1, 1), (1, 1)], [1, 1]);
    input.conv_general_dilated(
        kernel,
        &ones,
        &same,
        &ones,
        &ones,
        0,
        1,
        &[2, 3],
        0,
        1,
        &[2, 3],
        1,
        0,
        &[2, 3],
        1,
        1,
        false,
    )
}

/// Values in place of those of a checkpoint or a random generator.
fn wave(dimensions: &[i64]) -> xla::Result<Literal> {
    let count = usize::try_from(dimensions.iter().product::<i64>()).unwrap_or(0);
    let values: Vec<f32> = (0..count)
        .scan(0f32, |phase, _| {
            *phase += 0.7;
            Some(0.3 * phase.sin())
        })
        .collect();
    Literal::vec1(&values).reshape(dimensions)
}
