//! Do slimmed executables on the real xla-cpu plugin give the same outputs as the whole
//! executables, byte for byte?
//!
//! A plugin build may be added to the table in `crates/runtime/src/backend/slim/mod.rs` only if
//! these tests pass on it: `docs/slim.md` says how.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

// The rewriter is not a part of the library's public interface, so it is compiled again into this
// test.
#[path = "../../crates/runtime/src/backend/slim/mod.rs"]
mod rewriter;

use std::iter::empty;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use preheat::TensorType;
use preheat_cache::PluginBuild;
use preheat_pjrt::options::{self, OptionOverride};
use preheat_pjrt::{
    Buffer, Client, ExecuteOptions, LoadedExecutable, PjrtProgram, PjrtValue, Plugin,
};
use preheat_tensor::Dtype;
use safetensors::SafeTensors;

use rewriter::slim;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let plugin = Plugin::open(&support::xla_cpu_plugin()).unwrap();
    Client::create(&plugin, &[]).unwrap()
});

fn compile(program: PjrtProgram<'_>) -> LoadedExecutable {
    CLIENT
        .compile(program, &options::encode(&options::BuildOptions::default(), empty()).unwrap())
        .unwrap()
}

/// Everything that a caller can observe of one execution.
#[derive(Debug, PartialEq)]
struct Outcome {
    outputs: Vec<Vec<u8>>,
    /// For each argument, whether the execution took over its memory.
    taken: Vec<bool>,
    /// For each output, the argument whose memory it reuses.
    in_place_of: Vec<Option<usize>>,
}

fn run(executable: &LoadedExecutable, arguments: &[Vec<u8>]) -> Outcome {
    let device = &CLIENT.addressable_devices().unwrap()[0];
    let types = executable.executable().program_shape().unwrap().parameters;
    assert_eq!(types.len(), arguments.len());
    let put = |(bytes, kind): (&Vec<u8>, &TensorType)| {
        CLIENT.buffer_from_host(device, kind.dtype, &kind.dims, bytes).unwrap()
    };
    let inputs: Vec<Buffer> = arguments.iter().zip(&types).map(put).collect();
    let addresses: Vec<usize> = inputs.iter().map(|input| input.address().unwrap()).collect();
    let outputs =
        executable.execute(&inputs.iter().collect::<Vec<_>>(), ExecuteOptions::default()).unwrap();
    let taken: Vec<bool> = inputs.iter().map(|input| input.is_deleted().unwrap()).collect();
    let in_place_of = |output: &Buffer| {
        let address = output.address().unwrap();
        addresses.iter().zip(&taken).position(|(input, taken)| *taken && *input == address)
    };
    Outcome {
        outputs: outputs.iter().map(|output| output.to_host().unwrap()).collect(),
        in_place_of: outputs.iter().map(in_place_of).collect(),
        taken,
    }
}

/// Slims an executable, loads it whole and slimmed, and checks that every run has the same outcome.
/// Returns the outcome, and the lengths in bytes of the whole and of the slimmed executable.
fn check(
    name: &str,
    compiled: &LoadedExecutable,
    arguments: &[Vec<u8>],
) -> (Outcome, usize, usize) {
    let whole = compiled.executable().serialize().unwrap();
    let slimmed = slim(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        slim(&slimmed).as_deref(),
        Ok(&slimmed[..]),
        "{name}: slimming twice changes nothing more"
    );
    // XLA counts the operations in the bodies of fusions. `slim` keeps enough of these bodies that
    // XLA does not find a large executable cheap, so it keeps all bodies of a small one.
    // `slimmest` is the executable without the bodies.
    let slimmest = rewriter::rewrite(&whole, 0).unwrap();
    assert!(slimmed.len() <= whole.len(), "{name}");

    let from_whole = CLIENT.deserialize_and_load(&whole, None).unwrap();
    let outcome = run(compiled, arguments);
    assert!(run(compiled, arguments) == outcome, "{name}: another outcome when run again");
    assert!(run(&from_whole, arguments) == outcome, "{name}: another outcome when loaded");
    let expected = from_whole.executable();
    for bytes in [&slimmed, &slimmest] {
        let loaded = CLIENT.deserialize_and_load(bytes, None).unwrap();
        for _ in 0..2 {
            assert!(run(&loaded, arguments) == outcome, "{name}: another outcome when slimmed");
        }
        // A slimmed executable reports the same facts about its execution as the whole one. A query
        // for another fact may fail, but never ends the process.
        let about = loaded.executable();
        assert_eq!(about.program_shape().unwrap(), expected.program_shape().unwrap(), "{name}");
        assert_eq!(about.outputs().unwrap(), expected.outputs().unwrap(), "{name}");
        assert_eq!(
            about.compiled_memory_stats().unwrap(),
            expected.compiled_memory_stats().unwrap(),
            "{name}"
        );
        assert_eq!(about.name().unwrap(), expected.name().unwrap(), "{name}");
        assert_eq!(
            about.generated_code_bytes().ok(),
            expected.generated_code_bytes().ok(),
            "{name}"
        );
        let _ = (about.fingerprint(), about.optimized_program(), about.serialize().map(|_| ()));
        // XLA:CPU runs cheap executables in the caller's thread, so it must find either both
        // executables cheap or neither.
        assert!(
            bytes == &slimmest || is_cheap(about) == is_cheap(expected),
            "{name}: {:?}",
            about.cost_analysis()
        );
    }
    (outcome, whole.len(), slimmed.len())
}

fn is_cheap(executable: &preheat_pjrt::PjrtExecutable) -> bool {
    match executable.cost_analysis().unwrap().unwrap().get("flops") {
        Some(PjrtValue::Float(flops)) => *flops < 1000.0,
        _ => true,
    }
}

/// Bytes that are the same in every run: floats in [-1, 1), small integers, Booleans.
fn arguments(executable: &LoadedExecutable) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let types = executable.executable().program_shape().unwrap().parameters;
    let mut one = |kind: &TensorType| -> Vec<u8> {
        let size = kind.dtype.array_bytes(&kind.dims).unwrap();
        match kind.dtype {
            Dtype::Float32 => (0..size / 4)
                .flat_map(|_| {
                    #[expect(clippy::cast_precision_loss, reason = "24 bits")]
                    let unit = (next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
                    // The scale of a weight depends on the number of values that are summed with
                    // it.
                    let fan = kind.dims.iter().rev().skip(1).product::<u64>().clamp(1, 4096);
                    #[expect(clippy::cast_precision_loss, reason = "at most 4096")]
                    (unit / (fan as f32).sqrt()).to_le_bytes()
                })
                .collect(),
            _ => (0..size).map(|i| u8::from(i % kind.dtype.bytes().unwrap() == 0)).collect(),
        }
    };
    types.iter().map(&mut one).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn program<'a>(path: &Path, bytes: &'a [u8]) -> PjrtProgram<'a> {
    if path.extension().is_some_and(|extension| extension == "pb") {
        PjrtProgram::hlo(bytes)
    } else {
        PjrtProgram::mlir(bytes)
    }
}

#[test]
fn every_fixture_gives_the_same_bytes() {
    let dir = folder("tests/programs");
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).unwrap();
    let manifest: Vec<serde_json::Value> = serde_json::from_str(&manifest).unwrap();
    assert!(manifest.len() >= 56);
    let (mut files, mut before, mut after) = (0, 0, 0);
    for fixture in &manifest {
        let name = fixture["name"].as_str().unwrap();
        let inputs = std::fs::read(dir.join(format!("{name}.inputs.safetensors"))).unwrap();
        let inputs = SafeTensors::deserialize(&inputs).unwrap();
        let arguments: Vec<Vec<u8>> = (0..inputs.len())
            .map(|number| inputs.tensor(&format!("arg{number}")).unwrap().data().to_vec())
            .collect();
        for file in fixture["files"].as_array().unwrap() {
            let file = file.as_str().unwrap();
            let bytes = std::fs::read(dir.join(file)).unwrap();
            let compiled = compile(program(Path::new(file), &bytes));
            let (outcome, whole, slimmed) = check(file, &compiled, &arguments);
            let donated: Vec<u64> = fixture["donated"]
                .as_array()
                .unwrap()
                .iter()
                .map(|number| number.as_u64().unwrap())
                .collect();
            for number in donated {
                let number = usize::try_from(number).unwrap();
                assert!(outcome.taken[number], "{file}: argument {number} is not donated");
                assert!(
                    outcome.in_place_of.contains(&Some(number)),
                    "{file}: the memory of argument {number} is not reused"
                );
            }
            (files, before, after) = (files + 1, before + whole, after + slimmed);
        }
    }
    assert!(files >= 117, "{files} files");
    println!("{files} executables: {before} bytes, slimmed {after}");
}

#[test]
fn every_example_gives_the_same_bytes() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder("examples/programs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "mlir") {
            continue;
        }
        let compiled = compile(PjrtProgram::mlir(&std::fs::read(&path).unwrap()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (_, whole, slimmed) = check(&name, &compiled, &arguments(&compiled));
        println!("{name}: {whole} bytes, slimmed {slimmed}");
        seen += 1;
    }
    assert!(seen >= 4);
}

/// On some processors, XLA:CPU leaves products of this size to XNNPACK.
#[test]
fn products_that_xnnpack_may_compute_give_the_same_bytes() {
    let text = "func.func public @main(%x: tensor<154x768xf32>, %w: tensor<768x768xf32>, %v: tensor<768x3072xf32>)
      -> tensor<154x3072xf32> {
        %a = stablehlo.dot %x, %w : (tensor<154x768xf32>, tensor<768x768xf32>) -> tensor<154x768xf32>
        %b = stablehlo.tanh %a : tensor<154x768xf32>
        %c = stablehlo.add %b, %x : tensor<154x768xf32>
        %d = stablehlo.dot %c, %v : (tensor<154x768xf32>, tensor<768x3072xf32>) -> tensor<154x3072xf32>
        return %d : tensor<154x3072xf32>
      }";
    let compiled = compile(PjrtProgram::mlir(text.as_bytes()));
    let whole = compiled.executable().serialize().unwrap();
    let thunks = whole.windows(10).filter(|bytes| bytes == b"xnn-fusion").count();
    let (outcome, before, after) = check("products", &compiled, &arguments(&compiled));
    println!("{thunks} products are XNNPACK's: {before} bytes, slimmed {after}");
    assert!(outcome.outputs[0].iter().any(|byte| *byte != 0));
}

/// Checks a program of your own that donates nothing: `PREHEAT_SLIM_PROGRAM=FILE.mlir cargo test
/// --test cpu a_program_of_ones_own -- --ignored --nocapture`.
///
/// With `PREHEAT_SLIM_FOLDER`, both executables are written to that folder, so that
/// `benches/peers/floor.c` can load them.
#[test]
#[ignore = "for programs that are too large to run every time; named by PREHEAT_SLIM_PROGRAM"]
fn a_program_of_ones_own_gives_the_same_bytes() {
    let path = PathBuf::from(
        std::env::var_os("PREHEAT_SLIM_PROGRAM").expect("PREHEAT_SLIM_PROGRAM names a program"),
    );
    let bytes = std::fs::read(&path).unwrap();
    let compiled = compile(program(&path, &bytes));
    let whole = compiled.executable().serialize().unwrap();
    let slimmed = slim(&whole).unwrap();
    println!("{} bytes, slimmed {}", whole.len(), slimmed.len());
    if let Some(folder) = std::env::var_os("PREHEAT_SLIM_FOLDER").map(PathBuf::from) {
        std::fs::write(folder.join("whole.exe"), &*whole).unwrap();
        std::fs::write(folder.join("slimmed.exe"), &slimmed).unwrap();
    }
    let loaded = [&*whole, &slimmed].map(|bytes| CLIENT.deserialize_and_load(bytes, None).unwrap());
    drop(compiled);

    let device = &CLIENT.addressable_devices().unwrap()[0];
    let shape = loaded[0].executable().program_shape().unwrap();
    let put = |(bytes, kind): (Vec<u8>, &TensorType)| {
        CLIENT.buffer_from_host(device, kind.dtype, &kind.dims, &bytes).unwrap()
    };
    let inputs: Vec<Buffer> =
        arguments(&loaded[0]).into_iter().zip(&shape.parameters).map(put).collect();
    let inputs: Vec<&Buffer> = inputs.iter().collect();
    let mut outcomes: Vec<Vec<Vec<u8>>> = Vec::new();
    for turn in 0..6 {
        let began = std::time::Instant::now();
        let outputs = loaded[turn % 2].execute(&inputs, ExecuteOptions::default()).unwrap();
        outcomes.push(outputs.iter().map(|output| output.to_host().unwrap()).collect());
        println!("{}: {:.3} s", ["whole", "slimmed"][turn % 2], began.elapsed().as_secs_f64());
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "the outcomes differ");
    for (kind, bytes) in
        shape.results.iter().zip(&outcomes[0]).filter(|(kind, _)| kind.dtype == Dtype::Float32)
    {
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        assert!(values.iter().all(|value| value.is_finite()), "a comparison of NaNs says little");
        let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        println!(
            "{kind}: largest magnitude {largest}, first values {:?}",
            &values[..values.len().min(4)]
        );
        assert!(largest > 0.0);
    }
}

/// The text of a constant whose values a compiler cannot compute from a short expression.
fn dense(count: u32) -> String {
    let values: Vec<String> =
        (0..count).map(|i| format!("{}.5", i.wrapping_mul(2_654_435_761) >> 20)).collect();
    format!("dense<[{}]>", values.join(", "))
}

#[test]
fn what_fusions_hold_beside_arithmetic_still_runs() {
    let big = format!(
        "func.func @main(%x: tensor<4096xf32>) -> tensor<4096xf32> {{
          %c = stablehlo.constant {} : tensor<4096xf32>
          %a = stablehlo.add %x, %c : tensor<4096xf32>
          %b = stablehlo.multiply %a, %a : tensor<4096xf32>
          %d = stablehlo.subtract %b, %c : tensor<4096xf32>
          return %d : tensor<4096xf32>
        }}",
        dense(4096)
    );
    let small = format!(
        "func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {{
          %c = stablehlo.constant {} : tensor<8xf32>
          %a = stablehlo.add %x, %c : tensor<8xf32>
          %b = stablehlo.exponential %a : tensor<8xf32>
          return %b : tensor<8xf32>
        }}",
        dense(8)
    );
    let in_place = "func.func @main(%x: tensor<16x8xf32>, %row: tensor<1x8xf32>) -> tensor<16x8xf32> {
      %zero = stablehlo.constant dense<0> : tensor<i32>
      %one = stablehlo.constant dense<1> : tensor<i32>
      %end = stablehlo.constant dense<16> : tensor<i32>
      %i, %out = stablehlo.while(%a = %zero, %b = %x) : tensor<i32>, tensor<16x8xf32>
        cond {
          %more = stablehlo.compare LT, %a, %end : (tensor<i32>, tensor<i32>) -> tensor<i1>
          stablehlo.return %more : tensor<i1>
        } do {
          %old = stablehlo.dynamic_slice %b, %a, %zero, sizes = [1, 8] : (tensor<16x8xf32>, tensor<i32>, tensor<i32>) -> tensor<1x8xf32>
          %sum = stablehlo.add %old, %row : tensor<1x8xf32>
          %twice = stablehlo.multiply %sum, %sum : tensor<1x8xf32>
          %next = stablehlo.dynamic_update_slice %b, %twice, %a, %zero : (tensor<16x8xf32>, tensor<1x8xf32>, tensor<i32>, tensor<i32>) -> tensor<16x8xf32>
          %c = stablehlo.add %a, %one : tensor<i32>
          stablehlo.return %c, %next : tensor<i32>, tensor<16x8xf32>
        }
      return %out : tensor<16x8xf32>
    }";
    let donated_in_place = "func.func @main(%x: tensor<64x8xf32> {tf.aliasing_output = 0 : i32}, %row: tensor<1x8xf32>, %at: tensor<i32>)
        -> (tensor<64x8xf32>, tensor<1x8xf32>) {
      %zero = stablehlo.constant dense<0> : tensor<i32>
      %sum = stablehlo.add %row, %row : tensor<1x8xf32>
      %e = stablehlo.exponential %sum : tensor<1x8xf32>
      %next = stablehlo.dynamic_update_slice %x, %e, %at, %zero : (tensor<64x8xf32>, tensor<1x8xf32>, tensor<i32>, tensor<i32>) -> tensor<64x8xf32>
      return %next, %e : tensor<64x8xf32>, tensor<1x8xf32>
    }";
    for (name, text) in [
        ("big constant", big.as_str()),
        ("small constant", &small),
        ("loop", in_place),
        ("donated", donated_in_place),
    ] {
        let compiled = compile(PjrtProgram::mlir(text.as_bytes()));
        let (outcome, ..) = check(name, &compiled, &arguments(&compiled));
        assert_eq!(outcome.taken.contains(&true), name == "donated", "{name}");
    }
}

/// YNNPACK runs some fusions. The plugin builds these from the module while it loads an executable,
/// so `slim` must keep their bodies, or refuse the executable.
#[test]
fn compiler_options_that_make_other_fusions_are_no_danger() {
    let text = std::fs::read(folder("examples/programs/attention_block.mlir")).unwrap();
    let on = |name: &'static str| (name, OptionOverride::Bool(true));
    let kinds =
        |list: &str| ("xla_cpu_experimental_ynn_fusion_type", OptionOverride::Text(list.into()));
    let xnn =
        |list: &str| ("xla_cpu_experimental_xnn_fusion_type", OptionOverride::Text(list.into()));
    let mut taken = 0;
    for overrides in [
        vec![on("xla_cpu_use_thunk_runtime")],
        vec![on("xla_cpu_use_fusion_emitters")],
        vec![on("xla_cpu_enable_fast_math")],
        // Elementwise fusions are left out: with them, this plugin build's own executable ends the
        // process, slimmed or not.
        vec![kinds("LIBRARY_FUSION_TYPE_DOT")],
        vec![kinds("LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT")],
        vec![xnn("LIBRARY_FUSION_TYPE_DOT")],
        vec![on("xla_cpu_use_xnnpack")],
    ] {
        let what = format!("{overrides:?}");
        let options =
            options::encode(&options::BuildOptions::default(), overrides.into_iter()).unwrap();
        let compiled = match CLIENT.compile(PjrtProgram::mlir(&text), &options) {
            Ok(compiled) => compiled,
            // Another build may not have the option.
            Err(error) => {
                println!("{what}: {error}");
                continue;
            }
        };
        let Ok(whole) = compiled.executable().serialize() else {
            println!("{what}: cannot be serialised");
            continue;
        };
        match slim(&whole) {
            Ok(_) => {
                check(&what, &compiled, &arguments(&compiled));
                taken += 1;
            }
            Err(error) => println!("{what}: kept whole: {error}"),
        }
    }
    assert!(taken > 0);
}

#[test]
fn nothing_that_is_cut_or_changed_panics() {
    let path = folder("examples/programs/euler_step.mlir");
    let mut payloads = vec![
        compile(PjrtProgram::mlir(&std::fs::read(path).unwrap()))
            .executable()
            .serialize()
            .unwrap()
            .to_vec(),
    ];
    let path = folder("tests/programs/scan_recurrence.mlir");
    payloads.push(
        compile(PjrtProgram::mlir(&std::fs::read(path).unwrap()))
            .executable()
            .serialize()
            .unwrap()
            .to_vec(),
    );
    for payload in &payloads {
        for length in (0..payload.len()).step_by(3) {
            assert!(slim(&payload[..length]).is_err(), "cut to {length} of {}", payload.len());
        }
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..4_000 {
            let mut changed = payload.clone();
            for _ in 0..=state % 3 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(state >> 33).unwrap() % changed.len();
                changed[at] ^= 1 << (state >> 20 & 7);
            }
            let _ = slim(&changed);
        }
    }
    assert!(slim(&[]).is_err());
    assert!(slim(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
    assert!(slim(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err());
}

#[test]
fn the_build_that_this_ran_on_is_in_the_table_and_others_are_not() {
    let build = PluginBuild::of(&support::xla_cpu_plugin(), None).unwrap();
    assert!(
        rewriter::is_proven(&build.0),
        "these tests ran on {build}: if all of them pass, it may be added to the table"
    );
    assert!(!rewriter::is_proven("blake3:00") && !rewriter::is_proven(""));
    assert_eq!(rewriter::is_wanted(), std::env::var(rewriter::SWITCH).as_deref() != Ok("0"));
}
