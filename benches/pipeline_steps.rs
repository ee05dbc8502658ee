//! How long does a step take in preheat's loop, and how long in the bare executable? This process
//! holds a model on a device, and runs its steps in both ways, each on request.
//!
//! Arguments: the cache's folder, a model's folder, the device, `--precision`, width and height in
//! pixels, steps. Once everything is loaded, the program prints one JSON line. For each line on
//! standard input, which is `loop` or `bare`, it then runs the steps in that way, and prints their
//! times. Both ways run the same executable of the same runtime, but each has its own copy of the
//! weights. The copy for `bare` is loaded when `bare` is first read.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use preheat::{Executable, Program, ProgramFormat, Runtime, Tensor};
use preheat_diffusion::models::{
    Coefficients, Component, LATENT_PX, ModelFolder, StepScalars, denoiser,
};
use preheat_diffusion::pipeline::{Made, Pipeline, TextToImage};
use preheat_diffusion::weights::{Checkpoint, WantedWeight, load};
use preheat_ir::graph::{Verified, autocast};
use preheat_ir::lower;
use preheat_runtime::DeviceTensor;
use preheat_runtime::device::{self, Precisions};
use preheat_runtime::progress::Cancel;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [cache_dir, model, device, precision, numbers @ ..] = &arguments[..] else {
        eprintln!(
            "this bench needs seven arguments; `cargo xtask bench pipeline-step` passes them"
        );
        return;
    };
    let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
    let [width, height, steps] = numbers[..] else {
        panic!("three numbers are expected: width, height and steps")
    };
    // The device is required, because a bench of another device would be of no use.
    let device = device::DeviceRequest {
        device: device.parse().unwrap(),
        strict: true,
        ..device::DeviceRequest::default()
    };
    let runtime = Runtime::builder()
        .device(device)
        .cache_dir(cache_dir)
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let precisions = Precisions { all: precision.parse().unwrap(), ..Precisions::default() };
    let pipeline = Pipeline::builder().precisions(precisions).open(&runtime, model).unwrap();
    let request = TextToImage {
        width: Some(width),
        height: Some(height),
        steps,
        seed: Some(1),
        ..TextToImage::new("a photograph of a cat")
    };
    let made = pipeline.run(&TextToImage { steps: 1, ..request.clone() }).unwrap();
    let kind = runtime.torch_device().map_or(&runtime.device().kind, |device| &device.name);
    println!(
        "{}",
        json!({ "device": runtime.device().selected, "kind": kind, "dtype": made.plan.signature.dtype.name() })
    );
    let mut bare = None;
    for line in std::io::stdin().lock().lines() {
        let (first, mean) = match line.unwrap().as_str() {
            "loop" => {
                let times = pipeline.run(&request).unwrap().steps;
                (times.first_seconds, times.mean_seconds)
            }
            "bare" => {
                let bare = bare.get_or_insert_with(|| Bare::new(&runtime, Path::new(model), &made));
                bare.run(usize::try_from(steps).unwrap())
            }
            other => panic!("{other} is neither loop nor bare"),
        };
        println!("{}", json!({ "first_step_seconds": first, "seconds_per_step": mean }));
    }
    // Freeing gigabytes piece by piece is slow; the end of the process does it at once.
    std::process::exit(0);
}

/// The denoiser's executable, and all of its inputs.
struct Bare {
    runtime: Runtime,
    executable: Executable,
    function: Verified,
    weights: Vec<DeviceTensor>,
}

impl Bare {
    /// Takes the denoiser of a run that the pipeline made.
    fn new(runtime: &Runtime, model: &Path, made: &Made) -> Self {
        let (folder, dtype) = (ModelFolder::open(model).unwrap(), made.plan.signature.dtype);
        let [width, height] = made.plan.sizes.padded.map(|side| side / LATENT_PX);
        let function =
            denoiser(folder.unet(), &folder.denoiser_spec(true, 1, [height, width])).unwrap();
        let function = autocast(&function, dtype).unwrap();
        let program = if runtime.torch_device().is_some() {
            Program::new(ProgramFormat::Graph, function.encode().unwrap())
        } else {
            let text = lower::stablehlo(&function, runtime.lowering_target()).text;
            Program::new(ProgramFormat::Mlir, text.into_bytes())
        };
        let signature = preheat::create_execution_signature(
            "bare",
            [1, 4, height, width],
            1,
            7.5,
            "euler",
            1,
            dtype,
        )
        .unwrap();
        let executable = runtime.get_or_compile(&signature, &program).unwrap();
        let same = made.stages.iter().any(|stage| stage.graph_key == executable.graph_key());
        assert!(same, "the pipeline's denoiser is another graph");
        let weights = weights(runtime, &folder, &function);
        Self { runtime: runtime.clone(), executable, function, weights }
    }

    /// Runs one step, then queues all others at once, each on the latents of the step before it.
    /// Returns the time of the first step, and the mean of the others.
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
        // A donated input cannot be used twice, so every call has inputs of its own. All of them
        // exist before the clock starts.
        let mut inputs: Vec<HashMap<&str, DeviceTensor>> =
            (0..steps).map(|_| self.inputs(scalars)).collect();
        let began = Instant::now();
        let done = |latents: &DeviceTensor| {
            latents.wait().unwrap();
            began.elapsed().as_secs_f64()
        };
        let mut latents = self.call(&inputs[0]);
        let first = done(&latents);
        let Some(others) = inputs.get_mut(1..).filter(|others| !others.is_empty()) else {
            return (first, first);
        };
        for own in &mut *others {
            // This drops the last handle to the latents of the step before; their buffer lives on
            // as an input of this step.
            own.insert("latents", latents);
            latents = self.call(own);
        }
        (first, (done(&latents) - first) / f64::from(u32::try_from(others.len()).unwrap()))
    }

    /// Queues one step, and returns the latents that it will give.
    fn call(&self, inputs: &HashMap<&str, DeviceTensor>) -> DeviceTensor {
        let named = self.function.inputs().iter().map(|input| &inputs[input.name.as_str()]);
        self.executable.run(named.chain(&self.weights)).unwrap().remove(0)
    }

    /// The inputs of the graph that precede its weights. They are filled with small numbers, which
    /// are the same in each call.
    fn inputs(&self, scalars: StepScalars) -> HashMap<&str, DeviceTensor> {
        let one = |input: &preheat_ir::graph::InputDecl| {
            let values = if input.name == "scalars" {
                scalars.to_array().to_vec()
            } else {
                let count = u32::try_from(input.kind.elements()).unwrap();
                (0..count)
                    .map(|index| f32::from(u8::try_from(index * 37 % 256).unwrap()) / 128.0 - 1.0)
                    .collect()
            };
            self.runtime.to_device(&Tensor::from_f32(&input.kind.dims, &values).unwrap()).unwrap()
        };
        self.function.inputs().iter().map(|input| (input.name.as_str(), one(input))).collect()
    }
}

/// The weights in the form that the pipeline brings to the device. libtorch takes them in the
/// checkpoint's layout.
fn weights(runtime: &Runtime, folder: &ModelFolder, function: &Verified) -> Vec<DeviceTensor> {
    let checkpoint =
        Checkpoint::open(&folder.component(Component::Unet), "diffusion_pytorch_model", None)
            .unwrap();
    let orders = if runtime.torch_device().is_some() {
        function.weights().iter().map(|weight| (0..weight.kind.dims.len()).collect()).collect()
    } else {
        lower::weight_orders(function)
    };
    let wanted: Vec<WantedWeight> = std::iter::zip(function.weights(), orders)
        .map(|(weight, order)| WantedWeight {
            name: weight.name.clone(),
            aliases: preheat_diffusion::models::aliases(&weight.name),
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
        Ok::<_, preheat_runtime::Error>(())
    })
    .unwrap();
    slots.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}
