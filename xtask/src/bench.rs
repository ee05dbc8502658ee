//! Which benches are there? `cargo xtask bench NAME` calls one function for each.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::command::{Outcome, cargo, run as run_command};
use crate::model::Size;
use crate::{
    bench_ahead, bench_allocator, bench_evidence, pipeline_ready, pipeline_sizes, pipeline_step,
    pipeline_sync, prerequisites, warm_start,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// The bench to run.
    name: Bench,
    /// For all benches except micro: how often each side is run.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For warm-start: measure only this `UNet`.
    #[arg(long)]
    unet: Option<warm_start::UnetName>,
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// For micro and scale: arguments of the bench program; for scale, the number of entries in the
    /// store.
    #[arg(last = true)]
    passed_on: Vec<String>,
}

/// The options of the benches that run a pipeline.
#[derive(clap::Args)]
#[command(next_help_heading = "For the pipeline's benches")]
struct PipelineArguments {
    /// A model folder [default: Stable Diffusion 1.5's shape with random weights, made once below
    /// target/; the demo model for pipeline-sync]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Sizes in pixels; only pipeline-sizes takes several [default: 256x256; 64x64 for
    /// pipeline-sync; 512x512,768x768,768x1024 for pipeline-sizes]
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    size: Vec<Size>,
    /// Steps of a run [default: 8 for pipeline-step, 100 for pipeline-sync, 1 for pipeline-sizes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// The binary to measure; for pipeline-step, the program that cargo builds from
    /// `benches/pipeline_steps.rs` [default: a release build]
    #[arg(long, value_name = "FILE")]
    preheat: Option<PathBuf>,
    /// For pipeline-step: the device that preheat's libtorch and `PyTorch` use
    #[arg(long, value_name = "cpu|cuda|cuda:N|mps", default_value = "cpu")]
    device: String,
    /// For pipeline-step: the precision that `--device` computes in
    #[arg(long, value_name = "auto|bf16|fp16|fp32", default_value = "auto")]
    precision: String,
    /// A Python that has torch and diffusers [default: a virtual environment, which is made once]
    #[arg(long, value_name = "FILE")]
    torch_python: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// The time until a fresh process has a compiled `UNet` ready: the plugin alone, preheat, JAX,
    /// pypjrt.
    WarmStart,
    /// The cost of keys, of look-ups in memory and of a call.
    Micro,
    /// The speed of a store with 1,000 and with 100,000 entries.
    Scale,
    /// The memory that the binary's allocator costs while an executable is loaded and run.
    Allocator,
    /// The time until a fresh `preheat run` has executables and weights ready, against the plugin
    /// alone and a plain read.
    PipelineReady,
    /// The time of a denoising step: preheat through libtorch and on XLA:CPU, its executable alone,
    /// eager `PyTorch`.
    PipelineStep,
    /// The denoising loop at `--tpu-sync-steps` 0, 1 and 5: throughput, and the memory that it
    /// holds.
    PipelineSync,
    /// The first run of a size, which compiles, and a later one, which loads.
    PipelineSizes,
    /// The time of `audit` and `plan` over logs of thousands of sizes, which has to be under ten
    /// seconds each.
    Evidence,
    /// The cost of compiling for a TPU that is not here: seconds, memory and bytes of each stage,
    /// beside JAX's denoiser. Each is compiled once.
    Ahead,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (rounds, pipeline) = (arguments.rounds, &arguments.pipeline);
    let model = pipeline.model.as_deref();
    let one_size = pipeline.size.first().copied().unwrap_or(Size { width: 256, height: 256 });
    match arguments.name {
        Bench::WarmStart => {
            prerequisites::check(prerequisites::PEERS)?;
            warm_start::run(rounds, arguments.unet)
        }
        Bench::Micro => micro(&arguments.passed_on),
        Bench::Scale => scale(&arguments.passed_on),
        Bench::Allocator => {
            prerequisites::check(prerequisites::BUILD)?;
            bench_allocator::run(rounds)
        }
        Bench::PipelineReady => {
            prerequisites::check(prerequisites::BUILD)?;
            pipeline_ready::run(rounds, model, pipeline.preheat.as_deref(), one_size)
        }
        Bench::PipelineStep => pipeline_step::run(&pipeline_step::Bench {
            rounds,
            steps: pipeline.steps.unwrap_or(8),
            device: &pipeline.device,
            precision: &pipeline.precision,
            size: one_size,
            model,
            torch_python: pipeline.torch_python.as_deref(),
            program: pipeline.preheat.as_deref(),
        }),
        Bench::PipelineSync => {
            prerequisites::check(prerequisites::BUILD)?;
            let size = pipeline.size.first().copied().unwrap_or(Size { width: 64, height: 64 });
            pipeline_sync::run(rounds, pipeline.steps.unwrap_or(100), model, size)
        }
        Bench::Ahead => ahead(pipeline),
        Bench::Evidence => {
            prerequisites::check(prerequisites::BUILD)?;
            bench_evidence::run(rounds, pipeline.preheat.as_deref())
        }
        Bench::PipelineSizes => {
            prerequisites::check(prerequisites::BUILD)?;
            let usual =
                [[512, 512], [768, 768], [768, 1024]].map(|[width, height]| Size { width, height });
            let sizes = if pipeline.size.is_empty() { &usual[..] } else { &pipeline.size };
            pipeline_sizes::run(
                rounds,
                pipeline.steps.unwrap_or(1),
                model,
                pipeline.preheat.as_deref(),
                sizes,
            )
        }
    }
}

fn ahead(pipeline: &PipelineArguments) -> Outcome {
    prerequisites::check(prerequisites::PEERS)?;
    let at = |size: Size| format!("{size}");
    let size = pipeline.size.first().copied();
    bench_ahead::run(pipeline.model.as_deref(), pipeline.preheat.as_deref(), size.map(at))
}

fn micro(passed_on: &[String]) -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    run_command(cargo(["bench", "--package", "preheat", "--bench", "micro", "--"]).args(passed_on))
}

fn scale(passed_on: &[String]) -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    run_command(
        cargo(["run", "--release", "--package", "preheat-cache", "--example", "scale", "--"])
            .args(passed_on),
    )
}
