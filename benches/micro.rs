//! How long do preheat's smallest operations take? `cargo xtask bench micro` measures keys, a
//! tokenizer, look-ups in memory, the cost of a call and the store. It prints each figure, and its
//! target if there is one.
//!
//! It runs on the installed xla-cpu plugin (`cargo xtask setup`), and needs no Python.
//!
//! It uses criterion rather than divan, because criterion's estimates can be read back: the table
//! at the end compares the medians of this run with the targets.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures, and a panic is its report"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use criterion::{BatchSize, BenchmarkId, Criterion};
use preheat::{
    CompileOptions, Dtype, Executable, Graph, Match, Program, ProgramFormat, Projection, Runtime,
    Signature, Source, create_execution_signature,
};
use preheat_cache::{
    BuilderId, Counters, Digest, Environment, GraphKey, Host, KeyInputs, ObjectLookup, Store,
    StoreOptions, Use,
};
use preheat_diffusion::pipeline::tokenizer::Tokenizer;
use preheat_pjrt::{Buffer, Client, ExecuteOptions, LoadedExecutable, Plugin};
use preheat_plugins::PluginName;
use preheat_runtime::device::{self, DeviceName};
use preheat_runtime::{DeviceTensor, RuntimeBuilder};

/// A `UNet`'s step with its helper functions, as JAX prints it.
const UNET: &str = include_str!("../examples/programs/unet_step.mlir");
/// The length of the programs whose keys are computed, in bytes. The text of Stable Diffusion 1.5's
/// `UNet` has about this length.
const PROGRAM_BYTES: usize = 600_000;

fn main() {
    let began = SystemTime::now();
    let results = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    keys(&mut criterion);
    tokenizer(&mut criterion);
    let store = tempfile::tempdir().unwrap();
    let runtime = runtime().cache_dir(store.path()).build().unwrap();
    let unet =
        runtime.get_or_compile(&signature(), &Program::sniff(UNET.as_bytes()).unwrap()).unwrap();
    runtime.flush();
    in_memory(&mut criterion, &runtime);
    calls(&mut criterion, &runtime, unet.inputs().unwrap().len());
    let stored_bytes = disk(&mut criterion, store.path(), unet.graph_key());
    criterion.final_summary();
    report(&Results { folder: results, began }, stored_bytes);
}

/// Measures the key of a graph whose program is new: normalising and hashing the program, and
/// hashing options and environment.
fn keys(criterion: &mut Criterion) {
    let plain = long_program(PROGRAM_BYTES);
    let located = with_locations(&long_program(PROGRAM_BYTES / 2), PROGRAM_BYTES);
    let environment = std::sync::Arc::new(environment());
    let mut group = criterion.benchmark_group("key");
    for (name, text) in [("plain", plain), ("locations", located)] {
        let bytes: std::sync::Arc<[u8]> = text.into_bytes().into();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // The program is new each time, because a program remembers its digest.
                let program = Program::new(ProgramFormat::Mlir, std::sync::Arc::clone(&bytes));
                let (options, environment) =
                    (CompileOptions::default(), std::sync::Arc::clone(&environment));
                KeyInputs { program, options, environment }.graph_key()
            });
        });
    }
    group.finish();
}

/// Measures how long it takes to open a vocabulary of CLIP's size. A thread opens it while a model
/// is made ready.
fn tokenizer(criterion: &mut Criterion) {
    const TOKENS: usize = 49_408;
    let letters: Vec<String> = ('!'..='~').map(String::from).collect();
    let mut tokens = letters.clone();
    tokens.extend(letters.iter().map(|letter| format!("{letter}</w>")));
    let mut merges = String::from("#version: 0.2\n");
    for (left, right) in (0..).flat_map(|at| letters.iter().map(move |right| (at, right))) {
        if tokens.len() == TOKENS - 2 {
            break;
        }
        let left = tokens[left].clone();
        if !left.ends_with("</w>") {
            merges.extend([left.as_str(), " ", right, "\n"]);
            tokens.push(format!("{left}{right}"));
        }
    }
    tokens.extend(["<|startoftext|>".to_owned(), "<|endoftext|>".to_owned()]);
    let vocabulary: std::collections::HashMap<&String, usize> = tokens.iter().zip(0..).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.json"), serde_json::to_vec(&vocabulary).unwrap())
        .unwrap();
    std::fs::write(folder.path().join("merges.txt"), merges).unwrap();
    let mut group = criterion.benchmark_group("tokenizer");
    group.sample_size(20);
    group
        .bench_function("open", |bencher| bencher.iter(|| Tokenizer::open(folder.path()).unwrap()));
    group.finish();
}

/// Measures [`Runtime::get_or_compile`] for an executable that this process has loaded: as a
/// program, and as a graph that is built only if necessary.
fn in_memory(criterion: &mut Criterion, runtime: &Runtime) {
    let signature = signature();
    let program = Program::sniff(UNET.as_bytes()).unwrap();
    let built = program.clone();
    let graph = Graph::built_by(BuilderId("bench".to_owned()), move || Ok(built.clone()))
        .stage("denoiser")
        .projection(Projection::step_graph(Digest::of(b"the UNet's architecture")));
    assert_eq!(runtime.get_or_compile(&signature, &graph).unwrap().report().source, Source::Memory);
    let mut group = criterion.benchmark_group("get_or_compile from memory");
    group.bench_function("graph", |bencher| {
        bencher.iter(|| runtime.get_or_compile(&signature, &graph).unwrap());
    });
    group.bench_function("program", |bencher| {
        bencher.iter(|| runtime.get_or_compile(&signature, &program).unwrap());
    });
    group.finish();
}

/// Measures [`Executable::run`] on device buffers, beside the bare call that it makes. Both sides
/// are called in turn and the time of one of them is counted, so that both see the same state of
/// the machine. Results are awaited and dropped outside the timed part.
fn calls(criterion: &mut Criterion, runtime: &Runtime, unet_inputs: usize) {
    let plugin =
        preheat_plugins::find(PluginName::XlaCpu, &preheat_plugins::PluginSearch::from_process())
            .require()
            .unwrap();
    let client = Client::create(&Plugin::open(&plugin.path).unwrap(), &[]).unwrap();
    let mut group = criterion.benchmark_group("execute");
    for inputs in [2, unet_inputs] {
        let text = sum_of_two(inputs);
        let (bare, arguments) = bare(&client, &text, inputs);
        let executable = runtime
            .get_or_compile(&signature(), &Program::sniff(text.into_bytes()).unwrap())
            .unwrap();
        let zeros = executable.zeros().unwrap();
        let tensors: Vec<DeviceTensor> =
            zeros.iter().map(|zero| executable.to_device(zero).unwrap()).collect();
        let arguments: Vec<&Buffer> = arguments.iter().collect();
        for side in ["bare call", "Executable::run"] {
            group.bench_function(BenchmarkId::new(side, inputs), |bencher| {
                bencher.iter_custom(|times| {
                    let mut total = Duration::ZERO;
                    for _ in 0..times {
                        let (bare, run) = (call(&bare, &arguments), run(&executable, &tensors));
                        total += if side == "bare call" { bare } else { run };
                    }
                    total
                });
            });
        }
    }
    group.finish();
}

fn call(bare: &LoadedExecutable, arguments: &[&Buffer]) -> Duration {
    let began = Instant::now();
    let results = bare.execute(black_box(arguments), ExecuteOptions::default()).unwrap();
    let took = began.elapsed();
    results[0].ready().unwrap().wait().unwrap();
    took
}

fn run(executable: &Executable, tensors: &[DeviceTensor]) -> Duration {
    let began = Instant::now();
    let results = executable.run(black_box(tensors)).unwrap();
    let took = began.elapsed();
    results[0].to_host().unwrap();
    took
}

fn bare(client: &Client, text: &str, inputs: usize) -> (LoadedExecutable, Vec<Buffer>) {
    let options = preheat_pjrt::options::encode(
        &preheat_pjrt::options::BuildOptions::default(),
        std::iter::empty(),
    )
    .unwrap();
    let executable =
        client.compile(preheat_pjrt::PjrtProgram::mlir(text.as_bytes()), &options).unwrap();
    let device = &client.addressable_devices().unwrap()[0];
    let zero = || client.buffer_from_host(device, preheat::Dtype::Float32, &[4], &[0; 16]).unwrap();
    (executable, (0..inputs).map(|_| zero()).collect())
}

/// Measures what a warm start does with the store; the object holds the machine code of the `UNet`.
/// Returns the length of the object's file.
fn disk(criterion: &mut Criterion, dir: &Path, key: GraphKey) -> u64 {
    let store = Store::open(StoreOptions::new(dir)).unwrap();
    let ObjectLookup::Hit(object) = store.load(&key).unwrap() else {
        panic!("the UNet was not stored")
    };
    let stored_bytes = object.stored_bytes;
    let wanted = [(Digest::of(b"a projection"), signature().digest())];
    let hit = Use {
        graph_key: key,
        device: "xla-cpu".to_owned(),
        matched: Match::Exact,
        source: Source::Disk,
        signature: None,
        load_seconds: Some(0.1),
        compile_seconds: None,
        times: 1,
    };
    let mut group = criterion.benchmark_group("store");
    group.bench_function("load an object", |bencher| {
        bencher.iter_batched(|| (), |()| store.load(&key).unwrap(), BatchSize::PerIteration);
    });
    group.bench_function("read transaction", |bencher| {
        bencher.iter(|| store.resolve(&wanted).unwrap());
    });
    group.bench_function("write transaction", |bencher| {
        bencher.iter(|| store.commit(std::slice::from_ref(&hit), &Counters::default()).unwrap());
    });
    group.finish();
    stored_bytes
}

/// The medians that criterion wrote down in this run.
struct Results {
    folder: PathBuf,
    began: SystemTime,
}

impl Results {
    /// The median in nanoseconds. It is `None` if the bench was filtered out, because the stored
    /// figure then comes from another run.
    fn median(&self, id: &str) -> Option<f64> {
        let path = self.folder.join(id).join("new/estimates.json");
        let fresh = path.metadata().ok()?.modified().ok()? >= self.began;
        let text = std::fs::read_to_string(path).ok().filter(|_| fresh)?;
        serde_json::from_str::<serde_json::Value>(&text).ok()?["median"]["point_estimate"].as_f64()
    }
}

fn report(results: &Results, stored_bytes: u64) {
    let difference = |inputs: &str| {
        let side = |name: &str| results.median(&format!("execute/{name}/{inputs}"));
        Some(side("Executable__run")? - side("bare call")?)
    };
    let inputs: Vec<String> = std::fs::read_dir(results.folder.join("execute/bare call"))
        .map(|folder| {
            folder.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
        })
        .unwrap_or_default();
    let memory = |side: &str| results.median(&format!("get_or_compile from memory/{side}"));
    let mut rows = vec![
        ("key of a 600 KB program, plain".to_owned(), results.median("key/plain"), Some(1e6)),
        (
            "key of a 600 KB program, half of it locations".to_owned(),
            results.median("key/locations"),
            Some(1e6),
        ),
        ("get_or_compile from memory, a graph".to_owned(), memory("graph"), Some(1e3)),
        ("get_or_compile from memory, a program".to_owned(), memory("program"), Some(1e3)),
    ];
    for inputs in inputs.iter().filter(|inputs| *inputs != "report") {
        rows.push((
            format!("Executable::run less the bare call, {inputs} inputs"),
            difference(inputs),
            Some(5e3),
        ));
    }
    rows.push((
        "a tokenizer of 49,408 tokens opened".to_owned(),
        results.median("tokenizer/open"),
        None,
    ));
    let store = |name: &str| results.median(&format!("store/{name}"));
    rows.push((
        format!("load of an object of {} KB", stored_bytes / 1000),
        store("load an object"),
        None,
    ));
    rows.push(("read transaction of the index".to_owned(), store("read transaction"), None));
    rows.push(("write transaction of the index".to_owned(), store("write transaction"), None));
    write_figures(&rows);
    println!("\n{:<58}{:>12}{:>12}", "median", "", "target");
    for (name, nanoseconds, target) in rows {
        let Some(nanoseconds) = nanoseconds else { continue };
        let verdict = match target {
            Some(target) => {
                format!(
                    "{:>12}{}",
                    microseconds(target),
                    if nanoseconds <= target { "" } else { "  MISSED" }
                )
            }
            None => String::new(),
        };
        println!("{name:<58}{:>12}{verdict}", microseconds(nanoseconds));
    }
}

/// Writes the figures as JSON into the file that `PREHEAT_BENCH_FIGURES` names. `cargo xtask bench`
/// sets this variable; without it, no file is written.
fn write_figures(rows: &[(String, Option<f64>, Option<f64>)]) {
    let Some(file) = std::env::var_os("PREHEAT_BENCH_FIGURES") else { return };
    let figures = rows.iter().filter_map(|(name, nanoseconds, target)| {
        let at_most = target.map(|nanoseconds| nanoseconds / 1e3);
        let value = (*nanoseconds)? / 1e3;
        Some(serde_json::json!({ "name": name, "value": value, "unit": "us", "at_most": at_most }))
    });
    let figures: serde_json::Value = figures.collect();
    std::fs::write(file, figures.to_string()).unwrap();
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:.2} us", nanoseconds / 1e3)
}

fn runtime() -> RuntimeBuilder {
    let device =
        device::DeviceRequest { device: DeviceName::XlaCpu, ..device::DeviceRequest::default() };
    Runtime::builder().device(device)
}

fn signature() -> Signature {
    create_execution_signature(
        "stable-diffusion-v1-5",
        [2, 4, 64, 64],
        1,
        7.5,
        "pndm",
        50,
        Dtype::Float32,
    )
    .unwrap()
}

/// An environment that is as long as XLA:CPU's. It consists mostly of the host's features.
fn environment() -> Environment {
    let features = (0..150).map(|index| format!("+feature-{index}")).collect();
    Environment {
        plugin_build: format!("blake3:{}", Digest::of(b"plugin")),
        platform: "cpu".to_owned(),
        platform_version: "cpu".to_owned(),
        device_kind: "cpu".to_owned(),
        host: Some(Host { features, schedulable_cpus: 2 }),
        ..Environment::default()
    }
}

/// A program of `bytes` bytes: the `UNet`'s lines, repeated. The text is hashed and never parsed,
/// so repeated names do no harm.
fn long_program(bytes: usize) -> String {
    let mut lines: Vec<&str> = UNET.lines().collect();
    let (head, tail) = (lines.remove(0), lines.pop().unwrap());
    let mut text = format!("{head}\n");
    for line in lines.into_iter().cycle() {
        if text.len() + line.len() + tail.len() + 2 > bytes {
            break;
        }
        text.push_str(line);
        text.push('\n');
    }
    text + tail + "\n"
}

/// Gives each operation a location, as JAX prints locations with debug information, and appends
/// their definitions. The result is about twice as long as `text`; `bytes` is its expected length.
fn with_locations(text: &str, bytes: usize) -> String {
    let (mut located, mut count) = (String::with_capacity(bytes), 0);
    for line in text.lines() {
        if line.starts_with("    ") {
            count += 1;
            writeln!(located, "{line} loc(#loc{count})").unwrap();
        } else {
            writeln!(located, "{line}").unwrap();
        }
    }
    for index in 1..=count {
        let (line, column) = (index % 997, index % 61);
        writeln!(
            located,
            "#loc{index} = loc(\"jit(step)/conv_general_dilated\"(\"unet.py\":{line}:{column}))"
        )
        .unwrap();
    }
    let digest = |text: &str| Program::new(ProgramFormat::Mlir, text.as_bytes()).digest();
    assert_eq!(digest(&located), digest(text), "the locations were not left out");
    located
}

/// A program with `inputs` inputs, which adds the first two.
fn sum_of_two(inputs: usize) -> String {
    let mut text = String::from("func.func @main(");
    for index in 0..inputs {
        let comma = if index == 0 { "" } else { ", " };
        write!(text, "{comma}%arg{index}: tensor<4xf32>").unwrap();
    }
    text + ") -> tensor<4xf32> {\n  %sum = stablehlo.add %arg0, %arg1 : tensor<4xf32>\n  return %sum : tensor<4xf32>\n}\n"
}
