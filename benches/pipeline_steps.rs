//! A process that holds a model and runs its steps whenever it is told to, in two ways: as `preheat run` does, and as the bare
//! executable called back to back.
//!
//! Arguments: the cache's folder, a model's folder, width and height in pixels, steps. Once all is loaded it prints one JSON line, and
//! then one for each line that it reads: `loop` or `bare`. Both run the same executable of the same runtime, on weights of their own.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use preheat::device::{self, DeviceName};
use preheat::graph::{Verified, autocast};
use preheat::models::{Coefficients, Component, ModelFolder, StepScalars, denoiser};
use preheat::pipeline::{Pipeline, TextToImage};
use preheat::progress::Cancel;
use preheat::runtime::DeviceTensor;
use preheat::weights::{Checkpoint, Wanted, load};
use preheat::{Dtype, Executable, Program, ProgramFormat, Runtime, Tensor, lower};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [cache_dir, model, width, height, steps] = &arguments[..] else {
        eprintln!("nothing to do without its five arguments: `cargo xtask bench pipeline-step` gives them");
        return;
    };
    let [width, height, steps] = [width, height, steps].map(|number| number.parse::<u64>().unwrap());
    let request = device::Request { device: DeviceName::XlaCpu, ..device::Request::default() };
    let runtime = Runtime::builder().device(request).cache_dir(cache_dir).build().unwrap();
    let pipeline = Pipeline::open(&runtime, model).unwrap();
    let request = TextToImage {
        width: Some(width),
        height: Some(height),
        steps,
        seed: Some(1),
        ..TextToImage::new("a photograph of a cat")
    };
    let made = pipeline.run(&TextToImage { steps: 1, ..request.clone() }).unwrap();
    let padded = made.plan.sizes.padded;
    let bare = Bare::new(&runtime, Path::new(model), [padded[1] / 8, padded[0] / 8]);
    let same = made.stages.iter().any(|stage| stage.graph_key == bare.executable.graph_key());
    assert!(same, "the pipeline's denoiser is another graph");
    println!("{{\"same_executable\":{same}}}");
    for line in std::io::stdin().lock().lines() {
        let (first, mean) = match line.unwrap().as_str() {
            "loop" => {
                let times = pipeline.run(&request).unwrap().steps;
                (times.first_seconds, times.mean_seconds)
            }
            "bare" => bare.run(usize::try_from(steps).unwrap()),
            other => panic!("{other} is neither loop nor bare"),
        };
        println!("{{\"first_step_seconds\":{first:.6},\"seconds_per_step\":{mean:.6}}}");
    }
    // Giving gigabytes up piece by piece takes its time.
    std::process::exit(0);
}

/// The denoiser's executable, and everything that it is called with.
struct Bare {
    runtime: Runtime,
    executable: Executable,
    function: Verified,
    weights: Vec<DeviceTensor>,
}

impl Bare {
    fn new(runtime: &Runtime, model: &Path, latent_sides: [u64; 2]) -> Self {
        let folder = ModelFolder::open(model).unwrap();
        let function = denoiser(folder.unet(), &folder.denoiser_spec(true, 1, latent_sides)).unwrap();
        let function = autocast(&function, Dtype::Float32).unwrap();
        let text = lower::stablehlo(&function, runtime.lowering_target()).text;
        let program = Program::new(ProgramFormat::Mlir, text.into_bytes());
        let [height, width] = latent_sides;
        let signature =
            preheat::create_execution_signature("bare", [1, 4, height, width], 1, 7.5, "euler", 1, Dtype::Float32)
                .unwrap();
        let executable = runtime.get_or_compile(&signature, &program).unwrap();
        let weights = weights(runtime, &folder, &function);
        Self { runtime: runtime.clone(), executable, function, weights }
    }

    /// Queues all steps at once, each on the latents of the one before it; how long the first took, and the mean of the others.
    fn run(&self, steps: usize) -> (f64, f64) {
        let coefficients = Coefficients {
            input_scale: 1.0,
            output_model: 1.0,
            output_latents: 0.0,
            clip: f32::INFINITY,
            base: 0.0,
            latents: 1.0,
            model: -0.05,
            output: 0.0,
            history: [0.0; 3],
            noise: 0.0,
        };
        let scalars = StepScalars { timestep: 500.0, guidance: 7.5, coefficients };
        // What a call takes over cannot be given twice, so every call has inputs of its own. All are there before the clock starts.
        let mut inputs: Vec<HashMap<&str, DeviceTensor>> = (0..steps).map(|_| self.inputs(scalars)).collect();
        let mut results: Vec<DeviceTensor> = Vec::with_capacity(steps);
        let began = Instant::now();
        for own in &mut inputs {
            if let Some(latents) = results.pop() {
                // The last handle of the step before it; its buffer lives on as this one's input.
                own.insert("latents", latents);
            }
            let named = self.function.inputs().iter().map(|input| &own[input.name.as_str()]);
            results.push(self.executable.run(named.chain(&self.weights)).unwrap().remove(0));
        }
        let wait = |latents: &DeviceTensor| {
            latents.wait().unwrap();
            began.elapsed().as_secs_f64()
        };
        let Some(second) = inputs.get(1) else {
            let only = wait(&results[0]);
            return (only, only);
        };
        // The second step's latents are the first one's result.
        let first = wait(&second["latents"]);
        let last = wait(&results[0]);
        let others = u32::try_from(steps - 1).unwrap();
        (first, (last - first) / f64::from(others))
    }

    /// What the graph takes before its weights: small numbers, the same in each call.
    fn inputs(&self, scalars: StepScalars) -> HashMap<&str, DeviceTensor> {
        let one = |input: &preheat::graph::InputDecl| {
            let dims: Vec<i64> = input.kind.dims.iter().map(|&size| i64::try_from(size).unwrap()).collect();
            let values = if input.name == "scalars" {
                scalars.to_array().to_vec()
            } else {
                let count = u32::try_from(input.kind.elements()).unwrap();
                (0..count).map(|index| f32::from(u8::try_from(index * 37 % 256).unwrap()) / 128.0 - 1.0).collect()
            };
            self.runtime.to_device(&Tensor::from_f32(&dims, &values).unwrap()).unwrap()
        };
        self.function.inputs().iter().map(|input| (input.name.as_str(), one(input))).collect()
    }
}

/// The weights as the pipeline brings them to the device.
fn weights(runtime: &Runtime, folder: &ModelFolder, function: &Verified) -> Vec<DeviceTensor> {
    let checkpoint = Checkpoint::open(&folder.component(Component::Unet), "diffusion_pytorch_model", None).unwrap();
    let orders = lower::weight_orders(function);
    let wanted: Vec<Wanted> = std::iter::zip(function.weights(), orders)
        .map(|(weight, order)| Wanted {
            name: weight.name.clone(),
            aliases: preheat::models::aliases(&weight.name),
            dims: weight.kind.dims.clone(),
            dtype: weight.kind.dtype,
            order,
        })
        .collect();
    let slots: Mutex<Vec<Option<DeviceTensor>>> = Mutex::new(wanted.iter().map(|_| None).collect());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    load(&checkpoint, &wanted, threads, &Cancel::default(), |index, tensor| {
        let tensor = runtime.to_device(&tensor)?;
        slots.lock().unwrap()[index] = Some(tensor);
        Ok::<_, preheat::runtime::Error>(())
    })
    .unwrap();
    slots.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}
