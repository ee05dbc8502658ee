//! A process that holds a model's denoiser on the torch library, and runs its steps whenever it is told to: the other side of
//! `benches/peers/torch_unet.py`.
//!
//! Arguments: a model's folder, height and width of the latents, threads; then, if wanted, a device (`cpu`) and a dtype (`float32`). It prints one JSON line once all is loaded, and one for each
//! number of steps that it reads.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use preheat::backend::torch::{Torch, TorchError, TorchGraph, TorchLookup, TorchOptions, TorchTensor, WeightPlace};
use preheat::device::TorchDevice;
use preheat::graph::{InputDecl, Verified, autocast};
use preheat::models::{Coefficients, Component, ModelFolder, StepScalars, denoiser};
use preheat::progress::Cancel;
use preheat::weights::{Checkpoint, Wanted, load};
use preheat::{Dtype, Tensor};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (first, device, dtype) = match words[..] {
        [model, height, width, threads] => ([model, height, width, threads], "cpu", "float32"),
        [model, height, width, threads, device, dtype] => ([model, height, width, threads], device, dtype),
        _ => {
            eprintln!(
                "nothing to do without its arguments: MODEL HEIGHT WIDTH THREADS [DEVICE DTYPE], the sides being of the latents"
            );
            return;
        }
    };
    let [model, height, width, threads] = first;
    let options = TorchOptions { threads: Some(threads.parse().unwrap()), ..TorchOptions::default() };
    let torch = Torch::open(&TorchLookup::from_process(), &options).unwrap_or_else(|error| panic!("{error}"));
    let device = torch.devices().iter().find(|one| one.to_string() == device).unwrap();
    let folder = ModelFolder::open(Path::new(model)).unwrap();
    let sides = [height, width].map(|side| side.parse().unwrap());
    let function = denoiser(folder.unet(), &folder.denoiser_spec(true, 1, sides)).unwrap();
    let function = match dtype.parse().unwrap() {
        Dtype::Float32 => function,
        low => autocast(&function, low).unwrap(),
    };
    let began = Instant::now();
    let weights = weights(&torch, device, &folder, &function);
    let graph = torch.load(device, &function).unwrap();
    torch.synchronize(device).unwrap();
    let loaded = began.elapsed().as_secs_f64();
    println!("{{\"device\":\"{device}\",\"libtorch\":\"{}\",\"load_seconds\":{loaded:.3}}}", device.name);
    for line in std::io::stdin().lock().lines() {
        let count: usize = line.unwrap().parse().unwrap();
        let seconds = steps(&torch, device, &graph, &function, &weights, count);
        let later = if count > 1 { &seconds[1..] } else { &seconds[..] };
        let mean = |of: fn(&[f64; 2]) -> f64| {
            later.iter().map(of).sum::<f64>() / f64::from(u32::try_from(later.len()).unwrap())
        };
        let (queued, done) = (mean(|step| step[0]), mean(|step| step[1]));
        let memory = torch.memory(device).unwrap();
        println!(
            "{{\"first_step_seconds\":{:.6},\"seconds_per_step\":{done:.6},\"seconds_until_queued\":{queued:.6},\"tensors_peak_bytes\":{},\"allocated_peak_bytes\":{}}}",
            seconds[0][1], memory.tensors_peak, memory.allocated_peak
        );
    }
    // Giving gigabytes up piece by piece takes its time.
    std::process::exit(0);
}

/// Runs so many steps, each on the latents of the one before it; how long each took until it was queued, and until it was done.
fn steps(
    torch: &Torch,
    device: &TorchDevice,
    graph: &TorchGraph,
    function: &Verified,
    weights: &[TorchTensor],
    count: usize,
) -> Vec<[f64; 2]> {
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
    let mut latents: Option<TorchTensor> = None;
    let mut seconds = Vec::new();
    for _ in 0..count {
        let mut inputs: Vec<TorchTensor> =
            function.inputs().iter().map(|input| given(torch, device, input, scalars)).collect();
        let began = Instant::now();
        if let (Some(latents), Some(at)) = (latents.take(), function.inputs().iter().position(|i| i.name == "latents"))
        {
            inputs[at] = latents;
        }
        let given: Vec<&TorchTensor> = inputs.iter().chain(weights).collect();
        let outputs = graph.run(&given, WeightPlace::OnDevice).unwrap();
        let queued = began.elapsed().as_secs_f64();
        torch.synchronize(device).unwrap();
        seconds.push([queued, began.elapsed().as_secs_f64()]);
        latents = outputs.into_iter().next();
    }
    seconds
}

/// Small numbers, the same in each call.
fn given(torch: &Torch, device: &TorchDevice, input: &InputDecl, scalars: StepScalars) -> TorchTensor {
    let values = if input.name == "scalars" {
        scalars.to_array().to_vec()
    } else {
        let count = u32::try_from(input.kind.elements()).unwrap();
        (0..count).map(|index| f32::from(u8::try_from(index * 37 % 256).unwrap()) / 128.0 - 1.0).collect()
    };
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    torch.tensor(device, &input.kind, &bytes).unwrap()
}

/// The weights, in the order of the function, as the checkpoint has them.
fn weights(torch: &Torch, device: &TorchDevice, folder: &ModelFolder, function: &Verified) -> Vec<TorchTensor> {
    let checkpoint = Checkpoint::open(&folder.component(Component::Unet), "diffusion_pytorch_model", None).unwrap();
    let wanted: Vec<Wanted> = function
        .weights()
        .iter()
        .map(|weight| Wanted {
            name: weight.name.clone(),
            aliases: preheat::models::aliases(&weight.name),
            dims: weight.kind.dims.clone(),
            dtype: weight.kind.dtype,
            order: (0..weight.kind.dims.len()).collect(),
        })
        .collect();
    let slots: Mutex<Vec<Option<TorchTensor>>> = Mutex::new(wanted.iter().map(|_| None).collect());
    load(&checkpoint, &wanted, 2, &Cancel::default(), |index, tensor: Tensor| {
        let kind = &function.weights()[index].kind;
        slots.lock().unwrap()[index] = Some(torch.tensor(device, kind, tensor.bytes())?);
        Ok::<_, TorchError>(())
    })
    .unwrap();
    slots.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}
