use std::fs;
use std::sync::Mutex;

use half::{bf16, f16};
use preheat_runtime::progress::Cancel;
use preheat_tensor::Tensor;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const STEM: &str = "model";

/// A file with this header and these values.
fn file_of(header: &[u8], values: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, values].concat()
}

/// The tensors of a checkpoint, stored one after another.
#[derive(Default)]
struct Shard {
    header: serde_json::Map<String, Value>,
    values: Vec<u8>,
}

impl Shard {
    fn with(mut self, name: &str, dtype: &str, dims: &[u64], bytes: &[u8]) -> Self {
        let begin = self.values.len();
        self.values.extend_from_slice(bytes);
        let tensor =
            json!({"dtype": dtype, "shape": dims, "data_offsets": [begin, self.values.len()]});
        self.header.insert(name.to_owned(), tensor);
        self
    }

    fn f32(self, name: &str, dims: &[u64], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.with(name, "F32", dims, &bytes)
    }

    fn bytes(&self) -> Vec<u8> {
        file_of(&serde_json::to_vec(&self.header).unwrap(), &self.values)
    }

    /// A folder that holds the tensors in a single file.
    fn folder(&self) -> TempDir {
        folder_of("model.safetensors", &self.bytes())
    }
}

fn folder_of(name: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

fn wanted(name: &str, dims: &[u64], dtype: Dtype, order: &[usize]) -> WantedWeight {
    WantedWeight {
        name: name.to_owned(),
        aliases: Vec::new(),
        dims: dims.to_vec(),
        dtype,
        order: order.to_vec(),
    }
}

fn plain(name: &str, dims: &[u64]) -> WantedWeight {
    wanted(name, dims, Dtype::Float32, &(0..dims.len()).collect::<Vec<_>>())
}

fn load_all(
    folder: &Path,
    wanted: &[WantedWeight],
    threads: usize,
) -> Result<Vec<Tensor>, LoadError<()>> {
    let checkpoint = Checkpoint::open(folder, STEM, None)?;
    let done = Mutex::new(vec![None; wanted.len()]);
    load(&checkpoint, wanted, threads, &Cancel::default(), |index, tensor| {
        assert!(done.lock().unwrap()[index].replace(tensor).is_none(), "each once");
        Ok(())
    })?;
    Ok(done.into_inner().unwrap().into_iter().map(Option::unwrap).collect())
}

fn load_error(folder: &Path, wanted: &[WantedWeight]) -> String {
    load_all(folder, wanted, 2).unwrap_err().to_string()
}

fn open_error(folder: &Path, variant: Option<&str>) -> String {
    Checkpoint::open(folder, STEM, variant).unwrap_err().to_string()
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

/// Seeded random numbers that are integers, and exact in every dtype.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(i8::from_le_bytes([state.to_le_bytes()[3]]))
    };
    (0..count).map(|_| next()).collect()
}

/// The reference: reorders element by element.
fn reordered(values: &[f32], dims: &[u64], order: &[usize]) -> Vec<f32> {
    let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim).unwrap()).collect();
    let strides: Vec<usize> =
        (0..dims.len()).map(|axis| dims[axis + 1..].iter().product()).collect();
    (0..values.len())
        .map(|mut at| {
            let mut from = 0;
            for &axis in order.iter().rev() {
                from += at % dims[axis] * strides[axis];
                at /= dims[axis];
            }
            values[from]
        })
        .collect()
}

#[test]
fn a_single_file_gives_its_tensors() {
    let values = [1.0, -2.0, 3.5, f32::NAN, f32::INFINITY, -0.0];
    let folder =
        Shard::default().f32("b", &[2, 3], &values).with("a.ids", "I64", &[1], &[1; 8]).folder();
    let checkpoint = Checkpoint::open(folder.path(), STEM, None).unwrap();
    let shapes: Vec<_> = checkpoint.names_and_shapes().collect();
    assert_eq!(shapes, [("a.ids", &[1_u64][..]), ("b", &[2, 3])]);
    assert_eq!(checkpoint.bytes(), 32);
    let stored = checkpoint.get("b").unwrap();
    assert_eq!(
        (stored.dtype, stored.dtype_name, stored.dims),
        (Some(Dtype::Float32), "F32", &[2, 3][..])
    );
    assert_eq!(
        stored.bytes,
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()
    );
    assert!(checkpoint.get("c").is_none());
    // Copied bit for bit, including NaN.
    let tensors = load_all(folder.path(), &[plain("b", &[2, 3])], 1).unwrap();
    assert_eq!(tensors[0].bytes(), stored.bytes);
    assert_eq!(tensors[0].kind().to_string(), "float32[2, 3]");
    assert_eq!(tensors[0].bytes().as_ptr().addr() % 64, 0);
}

#[test]
fn every_order_of_dimensions_is_as_the_slow_way_has_it() {
    let cases: &[(&[u64], &[&[usize]])] = &[
        (&[], &[&[]]),
        (&[7], &[&[0]]),
        (&[5, 9], &[&[0, 1], &[1, 0]]),
        (&[200, 300], &[&[1, 0]]),
        (&[32, 128], &[&[1, 0]]),
        (&[33, 129], &[&[1, 0]]),
        (
            &[65, 31, 3, 3],
            &[
                &[2, 3, 1, 0],
                &[0, 2, 3, 1],
                &[0, 1, 2, 3],
                &[3, 2, 1, 0],
                &[1, 0, 2, 3],
                &[1, 2, 3, 0],
            ],
        ),
        (&[40, 20, 1, 1], &[&[2, 3, 1, 0], &[0, 2, 3, 1]]),
        (&[1, 20, 3, 3], &[&[2, 3, 1, 0]]),
        (&[20, 1, 3, 3], &[&[2, 3, 1, 0], &[1, 0, 3, 2]]),
        (&[4, 5, 6], &[&[0, 2, 1], &[1, 0, 2], &[2, 0, 1], &[1, 2, 0], &[2, 1, 0]]),
        (&[2, 3, 4, 5, 6], &[&[4, 2, 0, 3, 1], &[1, 3, 4, 0, 2], &[0, 1, 4, 3, 2]]),
        (&[0, 3], &[&[0, 1], &[1, 0]]),
        (&[3, 0, 2], &[&[2, 1, 0]]),
    ];
    for &(dims, orders) in cases {
        let values = numbers(usize::try_from(dims.iter().product::<u64>()).unwrap());
        let folder = Shard::default().f32("w", dims, &values).folder();
        for &order in orders {
            for (dtype, threads) in [
                (Dtype::Float32, 1),
                (Dtype::Float32, 3),
                (Dtype::BFloat16, 2),
                (Dtype::Float16, 2),
            ] {
                let tensor = &load_all(folder.path(), &[wanted("w", dims, dtype, order)], threads)
                    .unwrap()[0];
                let expected = reordered(&values, dims, order);
                assert_eq!(as_f32(tensor, dtype), expected, "{dims:?} {order:?} {dtype}");
                let sizes: Vec<u64> = order.iter().map(|&axis| dims[axis]).collect();
                assert_eq!(tensor.kind().dims, sizes);
            }
        }
    }
}

fn as_f32(tensor: &Tensor, dtype: Dtype) -> Vec<f32> {
    let pairs = tensor.bytes().as_chunks::<2>().0.iter();
    match dtype {
        Dtype::BFloat16 => pairs.map(|&pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::Float16 => pairs.map(|&pair| f16::from_le_bytes(pair).to_f32()).collect(),
        _ => tensor.to_f32().unwrap(),
    }
}

#[test]
fn every_half_and_every_rounding_is_right() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let mut floats: Vec<f32> = vec![
        0.0,
        -0.0,
        1.0,
        65504.0,
        65519.9,
        65520.0,
        1e30,
        -1e30,
        1e-30,
        6e-8,
        2.98e-8,
        2.99e-8,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::from_bits(1),
        f32::from_bits(0x7f80_0001),
        1.003_906_2,
        1.007_812_5,
        1.011_718_8,
        0.1,
        -0.3,
        2.6,
    ];
    floats.extend((0..5000_u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761))));
    let doubles: Vec<u8> =
        floats.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    let count = floats.len() as u64;
    let folder = Shard::default()
        .with("f16", "F16", &[65536], &all)
        .with("bf16", "BF16", &[65536], &all)
        .f32("f32", &[count], &floats)
        .with("f64", "F64", &[count], &doubles)
        .folder();
    let targets = [Dtype::Float32, Dtype::BFloat16, Dtype::Float16];
    for (name, count) in [("f16", 65536), ("bf16", 65536), ("f32", count), ("f64", count)] {
        let stored = Checkpoint::open(folder.path(), STEM, None).unwrap();
        let pairs = stored.get(name).unwrap().bytes.as_chunks::<2>().0.iter();
        let exact: Vec<f32> = match name {
            "f16" => pairs.map(|&pair| f16::from_le_bytes(pair).to_f32_const()).collect(),
            "bf16" => pairs.map(|&pair| bf16::from_le_bytes(pair).to_f32_const()).collect(),
            _ => floats.clone(),
        };
        for dtype in targets {
            let tensor =
                &load_all(folder.path(), &[wanted(name, &[count], dtype, &[0])], 1).unwrap()[0];
            for (&exact, is) in exact.iter().zip(as_f32(tensor, dtype)) {
                let should = match dtype {
                    Dtype::BFloat16 => bf16::from_f32_const(exact).to_f32_const(),
                    Dtype::Float16 => f16::from_f32_const(exact).to_f32_const(),
                    _ => exact,
                };
                assert!(
                    is.to_bits() == should.to_bits() || (is.is_nan() && should.is_nan()),
                    "{name} to {dtype}: {exact:e} became {is:e}, not {should:e}"
                );
            }
        }
    }
}

#[test]
fn a_large_tensor_is_shared_out_and_many_are_all_done() {
    let values = numbers(6 << 20);
    let mut shard = Shard::default().f32("large", &[6 << 20], &values);
    for index in 0..50_u16 {
        shard = shard.f32(&format!("small.{index}"), &[1], &[f32::from(index)]);
    }
    let folder = shard.folder();
    let mut all = vec![plain("large", &[6 << 20])];
    all.extend((0..50).map(|index| plain(&format!("small.{index}"), &[1])));
    for threads in [0, 1, 3, 200] {
        let tensors = load_all(folder.path(), &all, threads).unwrap();
        assert!(tensors[0].to_f32().unwrap() == values);
        for (index, tensor) in (0..50_u16).zip(&tensors[1..]) {
            assert_eq!(tensor.to_f32().unwrap(), [f32::from(index)]);
        }
    }
    assert!(load_all(folder.path(), &[], 4).unwrap().is_empty());
}

#[test]
fn older_names_and_ones_at_the_end_are_taken() {
    let values = numbers(6);
    let folder = Shard::default()
        .f32("query.weight", &[2, 3], &values)
        .f32("conv", &[2, 3, 1, 1], &values)
        .folder();
    let mut renamed = wanted("to_q.weight", &[2, 3, 1, 1], Dtype::Float32, &[2, 3, 1, 0]);
    renamed.aliases = vec!["nothing".to_owned(), "query.weight".to_owned()];
    let linear = wanted("conv", &[2, 3], Dtype::Float32, &[1, 0]);
    let tensors = load_all(folder.path(), &[renamed, linear], 2).unwrap();
    assert_eq!(tensors[0].kind().to_string(), "float32[1, 1, 3, 2]");
    assert_eq!(tensors[1].kind().to_string(), "float32[3, 2]");
    assert_eq!(tensors[0].to_f32(), tensors[1].to_f32());
    assert_eq!(tensors[0].to_f32().unwrap(), reordered(&values, &[2, 3], &[1, 0]));
}

#[test]
fn what_does_not_fit_the_model_is_named() {
    let folder =
        Shard::default().f32("a", &[2, 3], &[0.0; 6]).with("i", "I64", &[1], &[0; 8]).folder();
    let path = folder.path();
    says(&load_error(path, &[plain("b", &[1])]), &["`b`", path.to_str().unwrap(), "downloaded"]);
    says(
        &load_error(path, &[plain("b", &[1]), plain("a", &[2, 3]), plain("c", &[1])]),
        &["`b`", "1 others"],
    );
    says(
        &load_error(path, &[plain("a", &[3, 2])]),
        &["model.safetensors", "`a`", "[2, 3]", "[3, 2]"],
    );
    says(&load_error(path, &[plain("a", &[6])]), &["`a`", "[2, 3]", "[6]"]);
    says(&load_error(path, &[plain("a", &[1, 2, 3])]), &["[1, 2, 3]"]);
    says(&load_error(path, &[plain("i", &[1])]), &["model.safetensors", "`i`", "I64", "float32"]);
    says(&load_error(path, &[wanted("a", &[2, 3], Dtype::Int8, &[0, 1])]), &["`a`", "int8"]);
    for order in [&[0, 0][..], &[0], &[0, 2], &[0, 1, 2]] {
        says(
            &load_error(path, &[wanted("a", &[2, 3], Dtype::Float32, order)]),
            &["`a`", "no order"],
        );
    }
    let odd = Shard::default().with("new", "F6_E2M3", &[4], &[0; 3]).folder();
    assert_eq!(Checkpoint::open(odd.path(), STEM, None).unwrap().get("new").unwrap().dtype, None);
    says(&load_error(odd.path(), &[plain("new", &[4])]), &["`new`", "F6_E2M3"]);
}

#[test]
fn loading_stops_when_asked_and_at_the_caller_s_error() {
    let folder = (0..20)
        .fold(Shard::default(), |shard, i| shard.f32(&format!("{i}"), &[1], &[0.0]))
        .folder();
    let all: Vec<WantedWeight> = (0..20).map(|i| plain(&format!("{i}"), &[1])).collect();
    let checkpoint = Checkpoint::open(folder.path(), STEM, None).unwrap();
    for threads in [1, 2] {
        let cancel = Cancel::default();
        let calls = Mutex::new(0);
        let stopped = load(&checkpoint, &all, threads, &cancel, |_, _| {
            *calls.lock().unwrap() += 1;
            cancel.cancel();
            Ok::<(), ()>(())
        });
        assert!(matches!(stopped, Err(LoadError::Cancelled)));
        assert!(*calls.lock().unwrap() <= threads);
        let refused = load(&checkpoint, &all, threads, &Cancel::default(), |index, _| Err(index));
        assert!(matches!(refused, Err(LoadError::Ready(_))));
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_became_shorter_is_an_error_where_nothing_is_reordered() {
    let folder = Shard::default().f32("a", &[40_000], &numbers(40_000)).folder();
    let checkpoint = Checkpoint::open(folder.path(), STEM, None).unwrap();
    fs::File::options()
        .write(true)
        .open(folder.path().join("model.safetensors"))
        .unwrap()
        .set_len(1000)
        .unwrap();
    let error =
        load(&checkpoint, &[plain("a", &[40_000])], 1, &Cancel::default(), |_, _| Ok::<(), ()>(()));
    says(&error.unwrap_err().to_string(), &["model.safetensors", "cannot be read"]);
}

/// A folder with two shards and an index.
fn sharded(variant: &str, weight_map: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (dot, index) = if variant.is_empty() {
        (String::new(), "model.safetensors.index.json".to_owned())
    } else {
        (format!(".{variant}"), format!("model.safetensors.index.{variant}.json"))
    };
    let one = Shard::default().f32("a", &[1], &[1.0]).f32("shared", &[1], &[9.0]).bytes();
    let two = Shard::default().f32("b", &[2], &[2.0, 3.0]).f32("shared", &[1], &[8.0]).bytes();
    fs::write(folder.path().join(format!("model{dot}-00001-of-00002.safetensors")), one).unwrap();
    fs::write(folder.path().join(format!("model{dot}-00002-of-00002.safetensors")), two).unwrap();
    let index_json = json!({"metadata": {"total_size": 16}, "weight_map": weight_map});
    fs::write(folder.path().join(index), serde_json::to_vec(&index_json).unwrap()).unwrap();
    folder
}

#[test]
fn shards_are_found_by_their_index() {
    for variant in ["", "fp16"] {
        let dot = if variant.is_empty() { String::new() } else { format!(".{variant}") };
        let shard = |number: u32| format!("model{dot}-0000{number}-of-00002.safetensors");
        let folder = sharded(variant, &json!({"a": shard(1), "b": shard(2), "shared": shard(2)}));
        let checkpoint = Checkpoint::open(folder.path(), STEM, None).unwrap();
        assert_eq!(
            checkpoint.names_and_shapes().map(|(name, _)| name).collect::<Vec<_>>(),
            ["a", "b", "shared"]
        );
        assert_eq!(checkpoint.bytes(), 16);
        assert_eq!(checkpoint.files().count(), 2);
        assert_eq!(checkpoint.get("shared").unwrap().bytes, 8_f32.to_le_bytes());
        let all = [plain("b", &[2]), plain("a", &[1])];
        assert_eq!(load_all(folder.path(), &all, 2).unwrap()[0].to_f32().unwrap(), [2.0, 3.0]);

        let wrong = sharded(variant, &json!({"a": shard(1), "b": shard(1)}));
        says(&open_error(wrong.path(), None), &["`b`", &shard(1), "index", "same release"]);
        let missing = sharded(variant, &json!({"a": shard(1), "b": "model-3.safetensors"}));
        says(&open_error(missing.path(), None), &["index", "model-3.safetensors", "downloaded"]);
        for elsewhere in ["../x.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "x\0"] {
            let outside = sharded(variant, &json!({"a": elsewhere}));
            says(&open_error(outside.path(), None), &["index", "no file beside it"]);
        }
    }
    for text in [
        "",
        "{",
        "[]",
        "{\"weight_map\": []}",
        "{\"weight_map\": {\"a\": 1}}",
        "{\"weight_map\": {}}",
        "{}",
    ] {
        let folder = folder_of("model.safetensors.index.json", text.as_bytes());
        says(&open_error(folder.path(), None), &["model.safetensors.index.json", "downloaded"]);
    }
}

#[test]
fn plain_files_come_first_and_a_variant_is_asked_for() {
    let plain = Shard::default().f32("plain", &[1], &[1.0]);
    let half = Shard::default().f32("half", &[1], &[1.0]);
    let both = plain.folder();
    fs::write(both.path().join("model.fp16.safetensors"), half.bytes()).unwrap();
    let has =
        |variant, name| Checkpoint::open(both.path(), STEM, variant).unwrap().get(name).is_some();
    assert!(has(None, "plain"));
    assert!(has(Some("fp16"), "half"));
    says(
        &open_error(both.path(), Some("bf16")),
        &["`bf16`", "model.fp16.safetensors", "model.safetensors"],
    );
    fs::remove_file(both.path().join("model.safetensors")).unwrap();
    assert!(Checkpoint::open(both.path(), STEM, None).unwrap().get("half").is_some());
}

#[test]
fn each_library_has_its_order_and_its_names() {
    let shard = |number: u32| format!("model-0000{number}-of-00002.safetensors");
    let weight_map = json!({"a": shard(1), "b": shard(2), "shared": shard(2)});
    let folder = sharded("", &weight_map);
    let single = Shard::default().f32("single", &[1], &[1.0]).bytes();
    fs::write(folder.path().join("model.safetensors"), &single).unwrap();
    let has = |stem, variant, name| {
        Checkpoint::open(folder.path(), stem, variant).unwrap().get(name).is_some()
    };
    assert!(has("model", None, "single"), "transformers takes the single file");
    let ours = |name: &str| folder.path().join(format!("diffusion_pytorch_{name}"));
    for name in ["model.safetensors", "model.safetensors.index.json"] {
        fs::copy(folder.path().join(name), ours(name)).unwrap();
    }
    assert!(has("diffusion_pytorch_model", None, "shared"), "diffusers takes the shards");
    assert!(!Checkpoint::has_variant(folder.path(), "fp16"));
    // The name that older releases give to the index.
    fs::rename(ours("model.safetensors.index.json"), ours("model.safetensors.fp16.index.json"))
        .unwrap();
    assert!(has("diffusion_pytorch_model", Some("fp16"), "shared"));
    fs::write(ours("model-00001-of-00002.fp16.safetensors"), &single).unwrap();
    assert!(
        Checkpoint::has_variant(folder.path(), "fp16")
            && !Checkpoint::has_variant(folder.path(), "bf16")
    );
}

#[test]
fn a_folder_of_variants_is_not_incomplete() {
    let folder = folder_of("model.bf16.safetensors", &Shard::default().bytes());
    says(&open_error(folder.path(), None), &["in variants only: model.bf16.safetensors"]);
    assert!(Checkpoint::open(folder.path(), STEM, Some("bf16")).is_ok());
}

#[test]
fn what_is_not_there_is_named() {
    let empty = tempfile::tempdir().unwrap();
    says(
        &open_error(empty.path(), None),
        &["model.safetensors", "model.safetensors.index.json", "downloaded"],
    );
    says(&open_error(empty.path(), Some("fp16")), &["model.fp16.safetensors", "downloaded"]);
    says(&open_error(&empty.path().join("unet"), None), &["no folder", "unet", "downloaded"]);
    for name in ["pytorch_model.bin", "model.ckpt", "model.fp16.bin"] {
        let pickle = folder_of(name, b"\x80\x02");
        says(&open_error(pickle.path(), None), &[name, "pickle", "convert"]);
    }
    let other = folder_of("other.safetensors", &Shard::default().bytes());
    says(&open_error(other.path(), None), &["model.safetensors", "downloaded"]);
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("model.safetensors")).unwrap();
    says(&open_error(directory.path(), None), &["model.safetensors", "cannot be read"]);
}

#[test]
fn damaged_and_hostile_files_are_refused() {
    let good = Shard::default().f32("a", &[2], &[1.0, 2.0]).f32("b", &[1], &[3.0]).bytes();
    let error = |bytes: &[u8]| {
        let error = open_error(folder_of("model.safetensors", bytes).path(), None);
        says(&error, &["model.safetensors"]);
        error
    };
    // A file that was cut at any place, and a file with extra bytes at the end.
    for length in 0..good.len() {
        says(&error(&good[..length]), &["downloaded"]);
    }
    says(
        &error(&good[..good.len() - 1]),
        &["cut short", &good.len().to_string(), &(good.len() - 1).to_string()],
    );
    says(&error(&[&good[..], b"x"].concat()), &["tensors end at"]);
    // A file of another kind.
    says(&error(b"PK\x03\x04 a zip file of some length"), &["not an intact safetensors"]);
    says(
        &error(b"<!DOCTYPE html><html>not found</html>"),
        &["not an intact safetensors", "downloaded"],
    );
    says(
        &error(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
        &["Git LFS", "git lfs pull"],
    );
    for length in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 40, 100_000_001] {
        says(
            &error(&[&length.to_le_bytes()[..], b"{}"].concat()),
            &["not an intact safetensors", &length.to_string()],
        );
    }
    says(&error(&[&99_u64.to_le_bytes()[..], b"{}"].concat()), &["cut short", "107"]);
    // Headers that are not valid.
    let deep = "[".repeat(1_000_000);
    let deep_entry = format!("{{\"a\": {deep}");
    let deep_metadata = format!("{{\"__metadata__\": {deep}");
    for header in [
        "",
        "{",
        "[]",
        "null",
        "{\"a\": 1}",
        "{\"a\": {}}",
        "{\"a\": null}",
        "{} {}",
        &deep,
        &deep_entry,
        &deep_metadata,
    ] {
        says(&error(&file_of(header.as_bytes(), &[])), &["header"]);
    }
    says(&error(&file_of(b"{\"\xff\": 1}", &[])), &["header"]);
    let tensor = |shape: &str, offsets: &str| {
        format!("{{\"dtype\": \"F32\", \"shape\": {shape}, \"data_offsets\": {offsets}}}")
    };
    for (shape, offsets) in [
        ("[-1]", "[0, 4]"),
        ("[1.5]", "[0, 4]"),
        ("[1]", "[0]"),
        ("[1]", "[0, 4, 8]"),
        ("[1e30]", "[0, 4]"),
    ] {
        says(
            &error(&file_of(format!("{{\"a\": {}}}", tensor(shape, offsets)).as_bytes(), &[0; 4])),
            &["header"],
        );
    }
    // Tensors whose description contradicts itself, the file or another tensor.
    let max = u64::MAX;
    let cases = [
        ("[2]", "[0, 4]".to_owned(), "takes 8 bytes"),
        ("[1]", "[4, 0]".to_owned(), "before it begins"),
        ("[1]", "[4, 8]".to_owned(), "gap"),
        ("[2]", "[0, 8]".to_owned(), "cut short"),
        ("[4294967296, 4294967296]", "[0, 4]".to_owned(), "more than 2^64"),
        ("[4294967296, 4294967296, 0]", "[0, 4]".to_owned(), "takes 0 bytes"),
        ("[1]", format!("[0, {max}]"), "cut short"),
        ("[1]", format!("[{max}, {max}]"), "cut short"),
        ("[4611686018427387900]", format!("[0, {}]", max - 15), "cut short"),
    ];
    for (shape, offsets, why) in cases {
        says(
            &error(&file_of(format!("{{\"a\": {}}}", tensor(shape, &offsets)).as_bytes(), &[0; 4])),
            &[why, "downloaded"],
        );
    }
    let two = |first: &str, second: &str| {
        format!("{{\"a\": {}, \"b\": {}}}", tensor("[1]", first), tensor("[1]", second))
    };
    says(&error(&file_of(two("[0, 4]", "[0, 4]").as_bytes(), &[0; 8])), &["`b`", "overlaps"]);
    says(&error(&file_of(two("[0, 4]", "[2, 6]").as_bytes(), &[0; 6])), &["`b`", "overlaps"]);
    says(&error(&file_of(two("[0, 4]", "[8, 12]").as_bytes(), &[0; 12])), &["`b`", "gap"]);
    let twice = two("[0, 4]", "[4, 8]").replace("\"b\"", "\"a\"");
    says(&error(&file_of(twice.as_bytes(), &[0; 8])), &["`a`", "twice"]);
    // Valid files: with metadata, with spaces after the header, or with no tensors.
    for header in ["{}", "{\"__metadata__\": {\"format\": \"pt\"}}", "{}      "] {
        let folder = folder_of("model.safetensors", &file_of(header.as_bytes(), &[]));
        assert_eq!(Checkpoint::open(folder.path(), STEM, None).unwrap().bytes(), 0);
    }
}

/// The value that torch gives to each byte of a kind of float8.
fn float8(kind: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/float8.json");
    let tables: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let bits = tables[kind].as_array().unwrap().iter();
    bits.map(|bits| f32::from_bits(u32::try_from(bits.as_u64().unwrap()).unwrap())).collect()
}

const FLOAT8: [(&str, &str); 2] = [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")];

fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

fn f32_bits(tensor: &Tensor) -> Vec<u32> {
    tensor.bytes().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// The bits of a value, which are the same for each NaN.
fn bits(value: f32) -> u32 {
    if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }
}

#[test]
fn each_byte_of_float8_has_the_value_that_torch_gives_it() {
    for (dtype, kind) in FLOAT8 {
        let expected = float8(kind);
        assert_eq!(expected.len(), 256);
        let folder = Shard::default().with("w", dtype, &[16, 16], &all_bytes()).folder();
        let loaded = load_all(folder.path(), &[plain("w", &[16, 16])], 2).unwrap();
        let have: Vec<u32> =
            f32_bits(&loaded[0]).into_iter().map(|have| bits(f32::from_bits(have))).collect();
        let want: Vec<u32> = expected.iter().copied().map(bits).collect();
        assert_eq!(have, want, "{kind}");
        // Through another order and to the other dtypes.
        let turned = [
            wanted("w", &[16, 16], Dtype::BFloat16, &[1, 0]),
            wanted("w", &[16, 16], Dtype::Float16, &[0, 1]),
        ];
        let loaded = load_all(folder.path(), &turned, 2).unwrap();
        let halves = |tensor: &Tensor| -> Vec<u16> {
            tensor.bytes().as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
        };
        let turned = reordered(&expected, &[16, 16], &[1, 0]);
        for (have, want) in halves(&loaded[0]).into_iter().zip(turned) {
            let have = bf16::from_bits(have);
            assert!(have == bf16::from_f32(want) || have.is_nan() && want.is_nan(), "{kind}");
        }
        for (have, want) in halves(&loaded[1]).into_iter().zip(expected) {
            let have = f16::from_bits(have);
            assert!(have == f16::from_f32(want) || have.is_nan() && want.is_nan(), "{kind}");
        }
    }
}

/// A file with the weights of a whole model.
fn one_file(shard: &Shard) -> (TempDir, OneFile) {
    let folder = shard.folder();
    let file = OneFile::open(&folder.path().join("model.safetensors")).unwrap();
    (folder, file)
}

fn load_one(checkpoint: &Checkpoint, wanted: WantedWeight) -> Tensor {
    let done = Mutex::new(None);
    load(checkpoint, &[wanted], 1, &Cancel::default(), |_, tensor| {
        *done.lock().unwrap() = Some(tensor);
        Ok::<(), ()>(())
    })
    .unwrap();
    done.into_inner().unwrap().unwrap()
}

/// Loads a weight whose value at each index is doubled, and then increased by the number of its
/// row.
fn load_edited(checkpoint: &Checkpoint, wanted: &WantedWeight) -> Tensor {
    let columns: u64 = wanted.dims.iter().skip(1).product();
    let columns = usize::try_from(columns).unwrap();
    let next = Mutex::new(0);
    let edit = |_| -> Result<Option<Change<'_>>, ()> {
        Ok(Some(Box::new(|first, values| {
            let mut next = next.lock().unwrap();
            assert_eq!(first, *next, "each row comes once, and in order");
            for row in values.chunks_exact_mut(columns) {
                let number = f32::from(u16::try_from(*next).unwrap());
                for value in row {
                    *value = *value * 2.0 + number;
                }
                *next += 1;
            }
        })))
    };
    let done = Mutex::new(None);
    load_changed(
        checkpoint,
        std::slice::from_ref(wanted),
        2,
        &Cancel::default(),
        edit,
        |_, have| {
            *done.lock().unwrap() = Some(have);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(*next.lock().unwrap() as u64, wanted.dims[0], "all rows came");
    done.into_inner().unwrap().unwrap()
}

#[test]
fn a_weight_is_changed_before_it_is_rounded_and_reordered() {
    // The larger two are changed in several bands, and the last band is not full.
    let shapes: [(&[u64], &[&[usize]]); 5] = [
        (&[70, 9000], &[&[0, 1], &[1, 0]]),
        (&[300, 30, 7, 9], &[&[0, 1, 2, 3], &[2, 3, 1, 0], &[2, 0, 1, 3], &[0, 2, 3, 1]]),
        (&[5], &[&[0]]),
        (&[1, 40], &[&[0, 1], &[1, 0]]),
        (&[33, 1, 1, 4], &[&[2, 3, 1, 0]]),
    ];
    for (dims, orders) in shapes {
        let values = numbers(dims.iter().product::<u64>().try_into().unwrap());
        let columns = values.len() / usize::try_from(dims[0]).unwrap();
        let edited: Vec<f32> = (0_u16..)
            .zip(values.chunks_exact(columns))
            .flat_map(|(row, values)| values.iter().map(move |value| value * 2.0 + f32::from(row)))
            .collect();
        let halves: Vec<u8> =
            values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        for folder in [
            Shard::default().f32("a", dims, &values).folder(),
            Shard::default().with("a", "F16", dims, &halves).folder(),
        ] {
            let checkpoint = Checkpoint::open(folder.path(), STEM, None).unwrap();
            for order in orders {
                for dtype in [Dtype::Float32, Dtype::BFloat16, Dtype::Float16] {
                    let have = load_edited(&checkpoint, &wanted("a", dims, dtype, order));
                    let rounded: Vec<f32> =
                        edited.iter().map(|&value| round(value, dtype)).collect();
                    assert!(
                        as_f32(&have, dtype) == reordered(&rounded, dims, order),
                        "{dims:?} {order:?} {dtype:?}"
                    );
                }
            }
        }
    }
}

fn round(value: f32, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::BFloat16 => bf16::from_f32(value).to_f32(),
        Dtype::Float16 => f16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// ComfyUI multiplies a weight of float8 by its scale.
#[test]
fn a_scale_multiplies_each_value_before_it_is_rounded() {
    for (dtype, kind) in FLOAT8 {
        for scale_name in ["a.scale_weight", "a.weight_scale"] {
            let scale = 0.012_345_679_f32;
            let shard = Shard::default()
                .with("x.a.weight", dtype, &[256], &all_bytes())
                .f32(&format!("x.{scale_name}"), &[], &[scale])
                .f32("x.a.scale_input", &[], &[1.0])
                .with("x.scaled_fp8", dtype, &[0], &[]);
            let (_folder, file) = one_file(&shard);
            let checkpoint = file.checkpoint(Names::of_diffusers("x.")).unwrap();
            let names: Vec<_> = checkpoint.names_and_shapes().map(|(name, _)| name).collect();
            assert_eq!(names, ["a.weight"]);
            let loaded = load_one(&checkpoint, plain("a.weight", &[256]));
            let expected: Vec<u32> =
                float8(kind).into_iter().map(|value| bits(value * scale)).collect();
            let have: Vec<u32> =
                f32_bits(&loaded).into_iter().map(|have| bits(f32::from_bits(have))).collect();
            assert_eq!(have, expected, "{kind}");
        }
    }
    let shard = Shard::default().with("a.weight", "F8_E4M3", &[2, 2], &[0; 4]).f32(
        "a.scale_weight",
        &[2],
        &[1.0, 2.0],
    );
    let (_folder, file) = one_file(&shard);
    let error = file.checkpoint(Names::of_diffusers("")).unwrap_err().to_string();
    says(&error, &["`a.scale_weight`", "F32 [2]", "one number only"]);
}

#[test]
fn query_key_and_value_are_parts_of_one_tensor_and_a_projection_is_turned() {
    let (fused, matrix) = (numbers(6 * 2), numbers(2 * 3));
    let layer = "transformer.resblocks.0.attn.in_proj_";
    let shard = Shard::default()
        .f32(&format!("t.{layer}weight"), &[6, 2], &fused)
        .f32(&format!("t.{layer}bias"), &[6], &fused[..6])
        .f32("t.text_projection", &[2, 3], &matrix);
    let (_folder, file) = one_file(&shard);
    let checkpoint = file.checkpoint(Names::of_open_clip("t.", 1, true)).unwrap();
    for (at, part) in ["q", "k", "v"].into_iter().enumerate() {
        let name = format!("text_model.encoder.layers.0.self_attn.{part}_proj");
        let loaded = load_one(&checkpoint, plain(&format!("{name}.weight"), &[2, 2]));
        let want: Vec<u32> = fused[at * 4..][..4].iter().map(|value| value.to_bits()).collect();
        assert_eq!(f32_bits(&loaded), want, "{part}");
        let loaded = load_one(&checkpoint, plain(&format!("{name}.bias"), &[2]));
        let want: Vec<u32> = fused[at * 2..][..2].iter().map(|value| value.to_bits()).collect();
        assert_eq!(f32_bits(&loaded), want, "{part}");
    }
    let turned = reordered(&matrix, &[2, 3], &[1, 0]);
    let to_bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let name = "text_projection.weight";
    let loaded = load_one(&checkpoint, plain(name, &[3, 2]));
    assert_eq!(f32_bits(&loaded), to_bits(&turned));
    let loaded = load_one(&checkpoint, wanted(name, &[3, 2], Dtype::Float32, &[1, 0]));
    assert_eq!(f32_bits(&loaded), to_bits(&matrix), "turned twice");
    let edited: Vec<f32> =
        turned.iter().zip([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]).map(|(v, row)| v * 2.0 + row).collect();
    let loaded = load_edited(&checkpoint, &plain(name, &[3, 2]));
    assert_eq!(f32_bits(&loaded), to_bits(&edited), "it is changed after it was turned");
    let loaded = load_edited(&checkpoint, &wanted(name, &[3, 2], Dtype::Float32, &[1, 0]));
    assert_eq!(f32_bits(&loaded), to_bits(&reordered(&edited, &[3, 2], &[1, 0])));
    // A missing weight has both its names in the message.
    let missing = plain("text_model.final_layer_norm.weight", &[2]);
    let error = check(&checkpoint, &[missing]).unwrap_err().to_string();
    says(&error, &["`text_model.final_layer_norm.weight`, which is `t.ln_final.weight`"]);

    let odd = Shard::default().f32(&format!("{layer}weight"), &[5, 2], &fused[..10]);
    let (_folder, file) = one_file(&odd);
    let error = file.checkpoint(Names::of_open_clip("", 1, false)).unwrap_err().to_string();
    says(&error, &["in_proj_weight", "[5, 2]", "three equal parts"]);
}
