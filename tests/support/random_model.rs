//! How does a test get a model without a download? This file writes model folders with random
//! weights, for the configurations in tests/fixtures.
//!
//! The names and shapes of the weights come from the graphs. The values are computed from the names
//! by the rule in tests/fixtures/README.md, so the small models have the same weights that
//! diffusers had when it computed the expected results.
#![allow(dead_code, reason = "each program that includes it uses a part of it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use preheat::Dtype;
use preheat_diffusion::models::{
    Component, Family, ModelFolder, TextOutputs, denoiser, text_encoder, vae_decoder, vae_encoder,
};
use preheat_ir::graph::{Verified, WeightDecl};
use sha2::{Digest as _, Sha256};

/// Published models. Their graphs are built from their own configurations.
pub const FULL_SIZE: [&str; 3] = ["sd15", "sd21", "sdxl"];
/// Small models for which diffusers computed the expected results.
pub const SMALL: [&str; 7] = ["sd15", "sd21", "sdxl", "mixed", "odd", "down_first", "by_index"];

/// Which model folder to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// One of [`FULL_SIZE`].
    FullSize(&'a str),
    /// One of [`SMALL`].
    Small(&'a str),
}

/// How the weights are made and stored.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// float32, float16 or bfloat16.
    pub dtype: Dtype,
    /// A prefix for the names that the values are computed from. Another prefix makes another model
    /// of the same shape.
    pub variation: &'a str,
}

impl Default for Weights<'_> {
    fn default() -> Self {
        Self { dtype: Dtype::Float32, variation: "" }
    }
}

/// Writes a model folder. While a file is written, `progress` gets its component, the number of
/// bytes that are written, and the number of all its bytes.
///
/// # Errors
/// If the shape does not exist, or the folder cannot be written.
pub fn write(
    shape: Shape<'_>,
    folder: &Path,
    weights: Weights<'_>,
    progress: impl Fn(&str, u64, u64) + Sync,
) -> Result<(), Box<dyn Error>> {
    write_json(shape, folder)?;
    write_weights(shape, folder, weights, progress)
}

/// Writes the weights into a model folder that has everything else.
///
/// # Errors
/// As [`write`].
pub fn write_weights(
    shape: Shape<'_>,
    folder: &Path,
    weights: Weights<'_>,
    progress: impl Fn(&str, u64, u64) + Sync,
) -> Result<(), Box<dyn Error>> {
    let model = ModelFolder::open(folder)?;
    for (component, graph) in graphs(&model)? {
        let (stem, name) = match component {
            Component::TextEncoder | Component::TextEncoder2 => ("model", component.name()),
            _ => ("diffusion_pytorch_model", component.name()),
        };
        let mut tensors = tensors(shape, name, graph.weights(), weights);
        if component == Component::Vae {
            let encoder = vae_encoder(model.vae_encoder()?, [8, 8])?;
            tensors.extend(self::tensors(shape, name, encoder.weights(), weights));
        }
        let path = folder.join(name).join(format!("{stem}.safetensors"));
        write_checkpoint(&path, &tensors, weights.dtype, |done, total| progress(name, done, total))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Copies everything of a model folder except the weights.
fn write_json(shape: Shape<'_>, folder: &Path) -> Result<(), Box<dyn Error>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let (name, configs) = match shape {
        Shape::FullSize(name) => (name, fixtures.join("configs").join(name)),
        Shape::Small(name) => (name, fixtures.join("models").join(name)),
    };
    if !configs.join("model_index.json").is_file() {
        return Err(format!("there is no shape {name:?}").into());
    }
    fs::create_dir_all(folder)?;
    copy_files(&configs, folder, &|file| file != "weights.json" && file != "cases.json")?;
    if let Shape::FullSize(_) = shape {
        // The graphs accept the small vocabulary, because its ids are rows of the larger table.
        // Its largest id is the end of a prompt, and with `eos_token_id` 2, as in these configs,
        // the largest id of a prompt is its end.
        let small = fixtures.join("models").join(name);
        for tokenizer in
            ["tokenizer", "tokenizer_2"].into_iter().filter(|name| small.join(name).is_dir())
        {
            copy_files(&small.join(tokenizer), &folder.join(tokenizer), &|_| true)?;
        }
    }
    Ok(())
}

/// Copies the text files that `wanted` accepts, from a folder and its subfolders.
fn copy_files(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (from, to) = (entry.path(), to.join(&*name));
        if from.is_dir() {
            copy_files(&from, &to, wanted)?;
        } else if !name.ends_with(".safetensors") && wanted(&name) {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

/// For each component with weights, the graph that reads them from text to image, with all outputs.
/// The size of the picture has no influence on the weights.
pub fn graphs(model: &ModelFolder) -> Result<Vec<(Component, Verified)>, Box<dyn Error>> {
    let mut graphs = Vec::new();
    let everything = TextOutputs { skipped_layers: 0, normed: true, pooled: true };
    for (config, component) in
        model.text_encoders().iter().zip([Component::TextEncoder, Component::TextEncoder2])
    {
        graphs.push((component, text_encoder(config, everything)?));
    }
    graphs.push((Component::Unet, denoiser(model.unet(), &model.denoiser_spec(false, 1, [8, 8]))?));
    graphs.push((Component::Vae, vae_decoder(model.vae(), [8, 8])?));
    debug_assert_eq!(graphs.len(), if model.family() == Family::StableDiffusionXl { 4 } else { 3 });
    Ok(graphs)
}

/// A tensor to write.
#[derive(Debug)]
struct Tensor {
    dims: Vec<u64>,
    rule: Rule,
    seed: u64,
}

impl Tensor {
    fn elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// The tensors of a component, under the names in its file.
fn tensors(
    shape: Shape<'_>,
    component: &str,
    decls: &[WeightDecl],
    weights: Weights<'_>,
) -> BTreeMap<String, Tensor> {
    let variation = weights.variation;
    let tensor = |decl: &WeightDecl| {
        let seed = seed(&format!("{variation}{component}/{}", decl.name));
        let tensor = Tensor {
            dims: decl.kind.dims.clone(),
            rule: Rule::of(&decl.name, &decl.kind.dims),
            seed,
        };
        (stored_name(shape, component, &decl.name), tensor)
    };
    decls.iter().map(tensor).collect()
}

/// The name in the file for the weight that a graph calls `name`. Two of the small models use the
/// names of other releases.
fn stored_name(shape: Shape<'_>, component: &str, name: &str) -> String {
    const OLD: [(&str, &str); 4] = [
        (".to_q.", ".query."),
        (".to_k.", ".key."),
        (".to_v.", ".value."),
        (".to_out.0.", ".proj_attn."),
    ];
    match (shape, component) {
        (Shape::Small("mixed"), "vae") if name.contains(".attentions.") => {
            OLD.iter().fold(name.to_owned(), |name, (new, old)| name.replace(new, old))
        }
        (Shape::Small("odd"), "text_encoder") => {
            name.strip_prefix("text_model.").unwrap_or(name).to_owned()
        }
        _ => name.to_owned(),
    }
}

/// The first 8 bytes of the SHA-256 of `text`.
pub fn seed(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|index| digest[index]))
}

/// The output of splitmix64 at `index`, counted from 0.
pub fn splitmix64(seed: u64, index: u64) -> u64 {
    let state = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How the values of a tensor are distributed: `center + width * v`, or `v / divisor`, with a
/// uniform `v` of variance 1.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    Around { center: f64, width: f64 },
    Over { divisor: f64 },
}

impl Rule {
    #[expect(clippy::cast_precision_loss, reason = "sizes of a layer")]
    fn of(name: &str, dims: &[u64]) -> Self {
        let embedding = ["token_embedding.weight", "position_embedding.weight"]
            .iter()
            .any(|end| name.ends_with(end));
        match dims {
            [_] if name.ends_with(".weight") => Self::Around { center: 1.0, width: 0.1 },
            [_] => Self::Around { center: 0.0, width: 0.02 },
            _ if embedding => Self::Around { center: 0.0, width: 0.5 },
            _ => Self::Over { divisor: (dims.iter().skip(1).product::<u64>() as f64).sqrt() },
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "24 bits fit; rounded to f32"
    )]
    fn value(self, output: u64) -> f32 {
        let uniform = (output >> 40) as f64 / f64::from(1 << 24);
        let unit = (2.0 * uniform - 1.0) * 3.0_f64.sqrt();
        (match self {
            Self::Around { center, width } => center + width * unit,
            Self::Over { divisor } => unit / divisor,
        }) as f32
    }
}

/// The values of a weight, from element `start` on.
pub fn values(component: &str, name: &str, dims: &[u64], start: u64) -> impl Iterator<Item = f32> {
    let (seed, rule) = (seed(&format!("{component}/{name}")), Rule::of(name, dims));
    (start..dims.iter().product()).map(move |index| rule.value(splitmix64(seed, index)))
}

/// How many elements are made and written at a time.
const CHUNK: u64 = 1 << 18;

/// Writes a safetensors file piece by piece, on every core.
fn write_checkpoint(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    dtype: Dtype,
    progress: impl Fn(u64, u64) + Sync,
) -> Result<(), Box<dyn Error>> {
    let (bytes_each, dtype_name) = match dtype {
        Dtype::Float32 => (4, "F32"),
        Dtype::Float16 => (2, "F16"),
        Dtype::BFloat16 => (2, "BF16"),
        other => {
            return Err(format!("weights are float32, float16 or bfloat16, not {other}").into());
        }
    };
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), serde_json::json!({ "format": "pt" }));
    let (mut chunks, mut total) = (Vec::new(), 0);
    for (name, tensor) in tensors {
        let end = total + tensor.elements() * bytes_each;
        let entry = serde_json::json!({ "dtype": dtype_name, "shape": tensor.dims, "data_offsets": [total, end] });
        header.insert(name.clone(), entry);
        let starts = (0..tensor.elements()).step_by(usize::try_from(CHUNK)?);
        chunks.extend(starts.map(|start| (tensor, start, total + start * bytes_each)));
        total = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let values_begin = 8 + header.len() as u64;

    let (next, written, failure) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(None));
    let work = || -> std::io::Result<()> {
        while let Some(&(tensor, start, at)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = encode(tensor, start, dtype);
            file.write_all_at(&bytes, values_begin + at)?;
            progress(
                written.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64,
                total,
            );
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = work() {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// The bytes of one chunk.
fn encode(tensor: &Tensor, start: u64, dtype: Dtype) -> Vec<u8> {
    let values = (start..tensor.elements().min(start + CHUNK))
        .map(|i| tensor.rule.value(splitmix64(tensor.seed, i)));
    match dtype {
        Dtype::Float16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
        Dtype::BFloat16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
        _ => values.flat_map(f32::to_le_bytes).collect(),
    }
}

/// Writes a small model into a folder of its name in `parent`.
///
/// # Errors
/// As [`write`].
pub fn write_small(name: &str, parent: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let folder = parent.join(name);
    write(Shape::Small(name), &folder, Weights::default(), |_, _, _| {})?;
    Ok(folder)
}
