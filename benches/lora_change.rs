//! How long does a request wait if it has other LoRAs than the request before it? The bench
//! compares this with the time in which the model's weights are loaded.
//!
//! ```console
//! $ cargo run --release --example random_model -- sdxl /tmp/random-sdxl --dtype float16
//! $ cargo bench --bench lora-change -- /tmp/cache /tmp/random-sdxl 16 bf16
//! ```
//!
//! The arguments are a cache's folder, a model's folder, the LoRAs' rank (default: 16) and the
//! precision (default: fp32). Two LoRAs with random values change every linear layer in the
//! transformers of the UNet, as most published LoRAs do. Each time is that until a request of one
//! step at 64x64 has its weights. A new pipeline opens for each load, while the system keeps the
//! files in its page cache. The table has medians and least times.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures, and a panic is its report"
)]

use std::path::{Path, PathBuf};

use preheat::Runtime;
use preheat_diffusion::pipeline::{Lora, Pipeline, Precision, Precisions, TextToImage};
use preheat_runtime::CompileEffort;
use preheat_runtime::device::{self, DeviceName};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};

const ROUNDS: usize = 3;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [cache_dir, model, rest @ ..] = &arguments[..] else {
        println!("this bench needs two folders: one for the cache, and one with a model");
        return;
    };
    let rank: usize = rest.first().map_or(16, |rank| rank.parse().unwrap());
    let precision: Precision = rest.get(1).map_or(Precision::Fp32, |name| name.parse().unwrap());
    let temp = tempfile::tempdir().unwrap();
    let loras = [1, 2].map(|seed| {
        let path = temp.path().join(format!("{seed}.safetensors"));
        let (layers, parameters) = write_lora(Path::new(model), &path, rank, seed);
        println!("rank {rank}: {layers} layers of {:.0} million parameters", parameters / 1e6);
        path
    });
    let request =
        device::DeviceRequest { device: DeviceName::XlaCpu, ..device::DeviceRequest::default() };
    let builder = Runtime::builder().device(request).cache_dir(cache_dir);
    let runtime = builder.compile_effort(CompileEffort::Fast).build().unwrap();
    let open = || {
        let precisions = Precisions { all: precision, ..Precisions::default() };
        Pipeline::builder().precisions(precisions).warmup_steps(0).open(&runtime, model).unwrap()
    };
    // This compiles what is missing, and brings the files into the page cache.
    seconds(&open(), None);
    let mut figures: [(&str, Vec<f64>); 5] = [
        ("loading the model", Vec::new()),
        ("no LoRA, then one", Vec::new()),
        ("one LoRA, then the same", Vec::new()),
        ("one LoRA, then another", Vec::new()),
        ("one LoRA, then none", Vec::new()),
    ];
    for _ in 0..ROUNDS {
        let pipeline = open();
        let steps = [None, Some(&loras[0]), Some(&loras[0]), Some(&loras[1]), None];
        for ((_, times), lora) in figures.iter_mut().zip(steps) {
            times.push(seconds(&pipeline, lora));
        }
    }
    let median = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        (sorted[sorted.len() / 2], sorted[0])
    };
    let (load, _) = median(&figures[0].1);
    println!("{:26} {:>9} {:>9} {:>8}", "", "median s", "least s", "of load");
    for (what, times) in &figures {
        let (middle, least) = median(times);
        println!("{what:26} {middle:9.3} {least:9.3} {:7.1}%", 100.0 * middle / load);
    }
}

/// The seconds after which a request has its weights.
fn seconds(pipeline: &Pipeline, lora: Option<&PathBuf>) -> f64 {
    let request = TextToImage {
        width: Some(64),
        height: Some(64),
        steps: 1,
        seed: Some(1),
        loras: lora.map(Lora::new).into_iter().collect(),
        ..TextToImage::new("a lighthouse")
    };
    let made = pipeline.run(&request).unwrap();
    made.weights_ready.duration_since(made.began).as_secs_f64()
}

/// Writes a LoRA for all linear layers in the transformers of the model's UNet. Returns how many
/// layers it changes, and how many parameters these layers have.
fn write_lora(model: &Path, to: &Path, rank: usize, seed: u64) -> (usize, f64) {
    let folder = model.join("unet");
    let mut layers: Vec<(String, usize, usize)> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "safetensors") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            let Some(layer) = name.strip_suffix(".weight") else { continue };
            if let (&[rows, columns], true) = (tensor.shape(), layer.contains("transformer_blocks"))
            {
                layers.push((layer.to_owned(), rows, columns));
            }
        }
    }
    let mut state = seed;
    let mut values = |count: usize| -> Vec<u8> {
        let mut one = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let unit = f32::from(u16::try_from(state >> 48).unwrap()) / 65536.0 - 0.5;
            half::f16::from_f32(0.02 * unit).to_le_bytes()
        };
        (0..count).flat_map(|_| one()).collect()
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = layers
        .iter()
        .flat_map(|(layer, rows, columns)| {
            [("lora_A", [rank, *columns]), ("lora_B", [*rows, rank])]
                .map(|(part, shape)| (format!("unet.{layer}.{part}.weight"), shape.to_vec(), shape))
        })
        .map(|(name, shape, [rows, columns])| (name, shape, values(rows * columns)))
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, to).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let parameters = layers.iter().map(|(_, rows, columns)| (rows * columns) as f64).sum();
    (layers.len(), parameters)
}
