//! Which benches are there? For each bench, `cargo xtask bench NAME` calls one function, which
//! prints its measurements and returns its figures.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::command::{Failure, Outcome, cargo};
use crate::figure::{self, Figure};
use crate::model::Size;
use crate::{
    bench_ahead, bench_all, bench_allocator, bench_effort, bench_evidence, bench_plugin,
    pipeline_ready, pipeline_sizes, pipeline_step, pipeline_sync, prerequisites, warm_start,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// The bench to run.
    name: Name,
    /// For all: run only these benches, such as micro,scale.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<Bench>,
    /// How often each side is run; micro, scale, ahead and effort do not use this number.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For warm-start and plugin: measure only this `UNet`.
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
    /// target/; the demo model for pipeline-sync and effort; both models for ahead]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Sizes in pixels; only pipeline-sizes takes several [default: 256x256; 64x64 for
    /// pipeline-sync; 512x512 for ahead; 512x512,768x768,768x1024 for pipeline-sizes]
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    size: Vec<Size>,
    /// Steps of a run [default: 8 for pipeline-step, 100 for pipeline-sync, 20 for effort, 1 for
    /// pipeline-sizes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// The binary to measure; for pipeline-step, the program that cargo builds from
    /// `benches/pipeline_steps.rs` [default: a release build]
    #[arg(long, value_name = "FILE")]
    preheat: Option<PathBuf>,
    /// For effort: also the shapes of Stable Diffusion 1.5 and XL, which takes an hour
    #[arg(long)]
    full: bool,
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

/// A bench, or all of them.
#[derive(Clone, Copy)]
enum Name {
    All,
    One(Bench),
}

/// The name on the command line for [`Name::All`].
const ALL: &str = "all";

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: &[Name] = &{
            let mut names = [Name::All; BENCHES.len() + 1];
            let mut at = 0;
            while at < BENCHES.len() {
                names[at] = Name::One(BENCHES[at]);
                at += 1;
            }
            names
        };
        NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::All => Some(PossibleValue::new(ALL).help(
                "All benches in turn, with one table at the end: every figure, its target, and \
                 whether it holds",
            )),
            Self::One(bench) => bench.to_possible_value(),
        }
    }
}

/// Every bench, in the order in which `all` runs them: those that need the least first.
const BENCHES: [Bench; 12] = [
    Bench::Micro,
    Bench::Scale,
    Bench::Evidence,
    Bench::Allocator,
    Bench::PipelineSync,
    Bench::PipelineReady,
    Bench::PipelineSizes,
    Bench::WarmStart,
    Bench::Plugin,
    Bench::PipelineStep,
    Bench::Effort,
    Bench::Ahead,
];

/// A bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// The time until a fresh process has a compiled `UNet` ready: the plugin alone, preheat, JAX,
    /// pypjrt.
    WarmStart,
    /// The time until a JAX program has its executable: without a cache, with JAX's cache warm, and
    /// with the caching plugin warm.
    Plugin,
    /// The cost of keys, of look-ups in memory and of a call.
    Micro,
    /// The speed of a store with 1,000 and with 100,000 entries.
    Scale,
    /// The memory that the binary's allocator costs while an executable is loaded and run.
    Allocator,
    /// The time until a fresh `preheat run` has executables and weights ready, compared with the
    /// plugin alone and a plain read.
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
    /// The cost of compiling for a TPU on a machine without one: seconds, memory and bytes of each
    /// stage, and of JAX's denoiser. Each graph is compiled once.
    Ahead,
    /// What each compile effort costs, and how fast its code runs: for a TPU that this machine does
    /// not have, and on XLA:CPU.
    Effort,
}

impl Bench {
    /// The name of the bench on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    if matches!(arguments.name, Name::All) && !arguments.passed_on.is_empty() {
        return Err(Failure::new("arguments after `--` go to one bench: name micro or scale"));
    }
    let bench = match arguments.name {
        Name::All if arguments.only.is_empty() => {
            return bench_all::run(&BENCHES, |bench| one(bench, arguments));
        }
        Name::All => return bench_all::run(&arguments.only, |bench| one(bench, arguments)),
        Name::One(_) if !arguments.only.is_empty() => {
            return Err(Failure::new(
                "--only chooses among `all`: leave it out, or run `bench all`",
            ));
        }
        Name::One(bench) => bench,
    };
    let figures = one(bench, arguments)?;
    let missed = figures.iter().filter(|figure| figure.holds() == Some(false));
    let missed: Vec<&str> = missed.map(|figure| figure.name.as_str()).collect();
    // The commands of this bench take a fraction of their limit. So a miss is a failure, even on a
    // busy machine.
    if bench == Bench::Evidence && !missed.is_empty() {
        return Err(Failure::new(format!("too slow: {}", missed.join(", "))));
    }
    Ok(())
}

/// Runs one bench, which prints what it measured.
fn one(bench: Bench, arguments: &Arguments) -> Outcome<Vec<Figure>> {
    let (rounds, pipeline) = (arguments.rounds, &arguments.pipeline);
    let model = pipeline.model.as_deref();
    let one_size = pipeline.size.first().copied().unwrap_or(Size { width: 256, height: 256 });
    match bench {
        Bench::WarmStart => {
            prerequisites::check(prerequisites::PEERS)?;
            warm_start::run(rounds, arguments.unet)
        }
        Bench::Plugin => {
            prerequisites::check(prerequisites::PEERS)?;
            bench_plugin::run(rounds, arguments.unet)
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
        Bench::Effort => {
            prerequisites::check(prerequisites::BUILD)?;
            let (preheat, steps) = (pipeline.preheat.as_deref(), pipeline.steps.unwrap_or(20));
            bench_effort::run(model, preheat, pipeline.full, steps)
        }
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

fn ahead(pipeline: &PipelineArguments) -> Outcome<Vec<Figure>> {
    prerequisites::check(prerequisites::PEERS)?;
    let at = |size: Size| format!("{size}");
    let size = pipeline.size.first().copied();
    bench_ahead::run(pipeline.model.as_deref(), pipeline.preheat.as_deref(), size.map(at))
}

fn micro(passed_on: &[String]) -> Outcome<Vec<Figure>> {
    prerequisites::check(prerequisites::BUILD)?;
    figure::of_program(
        cargo(["bench", "--package", "preheat", "--bench", "micro", "--"]).args(passed_on),
    )
}

fn scale(passed_on: &[String]) -> Outcome<Vec<Figure>> {
    prerequisites::check(prerequisites::BUILD)?;
    figure::of_program(
        cargo(["run", "--release", "--package", "preheat-cache", "--example", "scale", "--"])
            .args(passed_on),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bench_is_among_all_and_no_bench_is_called_all() {
        let typed: Vec<String> = Bench::value_variants().iter().map(|bench| bench.name()).collect();
        let mut of_all = BENCHES.map(Bench::name).to_vec();
        of_all.sort();
        let mut sorted = typed.clone();
        sorted.sort();
        assert_eq!(of_all, sorted);
        assert!(!typed.contains(&ALL.to_owned()));
        let names: Vec<String> = Name::value_variants()
            .iter()
            .filter_map(|name| Some(name.to_possible_value()?.get_name().to_owned()))
            .collect();
        assert_eq!(names.len(), BENCHES.len() + 1);
        assert!(names.contains(&ALL.to_owned()));
    }
}
