//! How long does it take to bring weights from the page cache into memory, in the order that the
//! graph reads? `cargo bench --bench weights` measures it.
//!
//! The bench compares this with a plain read of the same file into fresh memory, by one thread and
//! by two, in seconds of processor time. The checkpoint has the shapes of the down blocks and the
//! middle of Stable Diffusion 1.5's `UNet`, and seeded values. Loads and reads take turns, and the
//! table has the medians. The arguments are the number of rounds (default: 7) and a folder for the
//! checkpoint (default: a temporary folder).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures, and a panic is its report"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::OnceLock;

use half::f16;
use preheat::{Dtype, Tensor};
use preheat_diffusion::weights::{Checkpoint, WantedWeight, load};
use preheat_runtime::progress::Cancel;

const STEM: &str = "diffusion_pytorch_model";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let rounds: usize = args.next().map_or(7, |rounds| rounds.parse().unwrap());
    let folder =
        tempfile::tempdir_in(args.next().map_or_else(std::env::temp_dir, Into::into)).unwrap();
    let folder = folder.path();
    let shapes = shapes();
    let elements: u64 = shapes.values().map(|dims| dims.iter().product::<u64>()).sum();
    println!("{} tensors, {:.1} million parameters", shapes.len(), millions(elements));
    let single = folder.join(format!("{STEM}.safetensors"));
    let halves = folder.join(format!("{STEM}.fp16.safetensors"));
    write(&single, &shapes, "F32", 4);
    write(&halves, &shapes, "F16", 2);

    let mut figures: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for threads in [1, 2] {
            let mut note =
                |what, seconds| figures.entry((threads, what)).or_default().push(seconds);
            note("read f32", read(&single, threads));
            note(
                "load f32 transposed",
                load_all(folder, None, &shapes, threads, Dtype::Float32, true),
            );
            note(
                "load f32 as stored",
                load_all(folder, None, &shapes, threads, Dtype::Float32, false),
            );
            note(
                "load f32 to bf16",
                load_all(folder, None, &shapes, threads, Dtype::BFloat16, true),
            );
            note("read f16", read(&halves, threads));
            note(
                "load f16 to f32",
                load_all(folder, Some("fp16"), &shapes, threads, Dtype::Float32, true),
            );
            note(
                "load f16 transposed",
                load_all(folder, Some("fp16"), &shapes, threads, Dtype::Float16, true),
            );
        }
    }
    println!("{:22} {:>7} {:>9} {:>9} {:>7}", "", "threads", "median s", "least s", "of read");
    for (&(threads, what), seconds) in &figures {
        let yardstick = if what.contains(" f16") { "read f16" } else { "read f32" };
        let (median, least) = summary(seconds);
        let ratio = median / summary(&figures[&(threads, yardstick)]).0;
        println!("{what:22} {threads:7} {median:9.3} {least:9.3} {ratio:7.2}");
    }
}

/// Measures the processor time of this process over all threads. Other programs on the same
/// processors change this time little.
struct Clock(u64);

impl Clock {
    fn ticks() -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        // The program's name may have spaces. After it come the state, ten numbers, and then user
        // and system time.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    fn start() -> Self {
        Self(Self::ticks())
    }

    /// The processor time since the start. The kernel counts it in hundredths of a second.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn seconds(&self) -> f64 {
        (Self::ticks() - self.0) as f64 / 100.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn millions(count: u64) -> f64 {
    count as f64 / 1e6
}

fn summary(seconds: &[f64]) -> (f64, f64) {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[0])
}

/// Reads the whole file into fresh memory, in as many parts as there are threads. Returns the
/// seconds of processor time, with which the loads are compared.
fn read(path: &Path, threads: usize) -> f64 {
    let began = Clock::start();
    let file = File::open(path).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let part = length.div_ceil(threads);
    let parts: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads)
            .map(|index| {
                let file = &file;
                scope.spawn(move || {
                    let start = index * part;
                    // The pages are fresh: the kernel fills them with zeroes when they are first
                    // touched, as for any reader.
                    let mut bytes = vec![0; part.min(length - start)];
                    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, start as u64)
                        .unwrap();
                    bytes
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let seconds = began.seconds();
    drop(parts);
    seconds
}

fn load_all(
    folder: &Path,
    variant: Option<&str>,
    shapes: &BTreeMap<String, Vec<u64>>,
    threads: usize,
    dtype: Dtype,
    transposed: bool,
) -> f64 {
    let wanted: Vec<WantedWeight> = shapes
        .iter()
        .map(|(name, dims)| {
            let order = if transposed && dims.len() == 4 {
                vec![2, 3, 1, 0]
            } else {
                (0..dims.len()).collect()
            };
            WantedWeight {
                name: name.clone(),
                aliases: Vec::new(),
                dims: dims.clone(),
                dtype,
                order,
            }
        })
        .collect();
    let done: Vec<OnceLock<Tensor>> = wanted.iter().map(|_| OnceLock::new()).collect();
    let began = Clock::start();
    let checkpoint = Checkpoint::open(folder, STEM, variant).unwrap();
    load(&checkpoint, &wanted, threads, &Cancel::default(), |index, tensor| {
        done[index].set(tensor)
    })
    .unwrap();
    let seconds = began.seconds();
    assert!(done.iter().all(|tensor| tensor.get().is_some()));
    seconds
}

/// The shapes of the down blocks and the middle of Stable Diffusion 1.5's `UNet`.
fn shapes() -> BTreeMap<String, Vec<u64>> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, dims: &[u64]| {
        let bias = if dims.len() == 1 { None } else { Some(dims[0]) };
        all.insert(format!("{name}.weight"), dims.to_vec());
        if let Some(bias) = bias {
            all.insert(format!("{name}.bias"), vec![bias]);
        }
    };
    add("conv_in".to_owned(), &[320, 4, 3, 3]);
    add("time_embedding.linear_1".to_owned(), &[1280, 320]);
    add("time_embedding.linear_2".to_owned(), &[1280, 1280]);
    let mut before = 320;
    for (block, channels) in [320, 640, 1280, 1280].into_iter().enumerate() {
        for layer in 0..2 {
            resnet(&mut add, &format!("down_blocks.{block}.resnets.{layer}"), before, channels);
            before = channels;
            if block < 3 {
                transformer(&mut add, &format!("down_blocks.{block}.attentions.{layer}"), channels);
            }
        }
        if block < 3 {
            add(format!("down_blocks.{block}.downsamplers.0.conv"), &[channels, channels, 3, 3]);
        }
    }
    resnet(&mut add, "mid_block.resnets.0", 1280, 1280);
    transformer(&mut add, "mid_block.attentions.0", 1280);
    resnet(&mut add, "mid_block.resnets.1", 1280, 1280);
    all
}

fn resnet(add: &mut impl FnMut(String, &[u64]), name: &str, before: u64, after: u64) {
    add(format!("{name}.norm1"), &[before]);
    add(format!("{name}.conv1"), &[after, before, 3, 3]);
    add(format!("{name}.time_emb_proj"), &[after, 1280]);
    add(format!("{name}.norm2"), &[after]);
    add(format!("{name}.conv2"), &[after, after, 3, 3]);
    if before != after {
        add(format!("{name}.conv_shortcut"), &[after, before, 1, 1]);
    }
}

fn transformer(add: &mut impl FnMut(String, &[u64]), name: &str, channels: u64) {
    add(format!("{name}.proj_in"), &[channels, channels, 1, 1]);
    add(format!("{name}.proj_out"), &[channels, channels, 1, 1]);
    for (attention, context) in [("attn1", channels), ("attn2", 768)] {
        let name = format!("{name}.transformer_blocks.0.{attention}");
        add(format!("{name}.to_q"), &[channels, channels]);
        add(format!("{name}.to_k"), &[channels, context]);
        add(format!("{name}.to_v"), &[channels, context]);
        add(format!("{name}.to_out.0"), &[channels, channels]);
    }
    add(format!("{name}.transformer_blocks.0.ff.net.0.proj"), &[8 * channels, channels]);
    add(format!("{name}.transformer_blocks.0.ff.net.2"), &[channels, 4 * channels]);
}

/// Writes a safetensors file with these shapes and with seeded values.
fn write(path: &Path, shapes: &BTreeMap<String, Vec<u64>>, dtype: &str, size: u64) {
    let mut end = 0;
    let header: serde_json::Map<String, serde_json::Value> = shapes
        .iter()
        .map(|(name, dims)| {
            let begin = end;
            end += dims.iter().product::<u64>() * size;
            (
                name.clone(),
                serde_json::json!({"dtype": dtype, "shape": dims, "data_offsets": [begin, end]}),
            )
        })
        .collect();
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let mut state = 1_u32;
    for _ in 0..end / size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = f16::from_bits(u16::try_from((state >> 16) & 0x3fff).unwrap());
        if size == 4 {
            file.write_all(&value.to_f32().to_le_bytes()).unwrap();
        } else {
            file.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    file.flush().unwrap();
}
