//! Do programs that JAX exported give the results that JAX computed? The tests use the binary and
//! the real XLA:CPU.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pjrt_sim::Count;
use serde::Deserialize;
use support::tensors::{Tolerance, compare};
use support::{Lab, repository};

/// One entry of manifest.json.
#[derive(Debug, Deserialize)]
struct Exported {
    name: String,
    topic: String,
    files: Vec<String>,
    tolerance: Allowed,
}

#[derive(Debug, Deserialize)]
struct Allowed {
    rtol: f64,
    atol: f64,
}

/// One entry of pairs.json.
#[derive(Debug, Deserialize)]
struct Pair {
    name: String,
    same_program: bool,
    files: [String; 2],
}

/// One program in one of its forms.
struct Case<'a> {
    program: &'a Exported,
    file: &'a str,
}

impl Case<'_> {
    fn path(&self) -> PathBuf {
        folder().join(self.file)
    }

    fn inputs(&self) -> PathBuf {
        folder().join(format!("{}.inputs.safetensors", self.program.name))
    }

    fn outputs(&self) -> PathBuf {
        folder().join(format!("{}.outputs.safetensors", self.program.name))
    }

    fn check(&self, have: &std::path::Path) -> Result<(), String> {
        let Allowed { rtol, atol } = self.program.tolerance;
        compare(have, &self.outputs(), Tolerance { rtol, atol })
    }
}

fn folder() -> PathBuf {
    repository("tests/programs")
}

fn manifest() -> Vec<Exported> {
    serde_json::from_slice(&std::fs::read(folder().join("manifest.json")).unwrap()).unwrap()
}

fn cases(programs: &[Exported]) -> Vec<Case<'_>> {
    programs
        .iter()
        .flat_map(|program| program.files.iter().map(move |file| Case { program, file }))
        .collect()
}

/// Runs `work` on every item in a few threads, and panics with a list of all failures.
fn each<T: Sync>(items: &[T], work: impl Fn(usize, &T) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let index = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(item) = items.get(index)
                {
                    if let Err(error) = work(index, item) {
                        wrong.lock().unwrap().push(error);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} went wrong:\n{}",
        wrong.len(),
        items.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_program_gives_what_jax_gave() {
    let programs = manifest();
    let cases = cases(&programs);
    let lab = Lab::new();
    each(&cases, |index, case| {
        let output = lab.path(&format!("{index}.safetensors"));
        let run = lab.bare().words("--no-tpu-warmup --quiet program run").arg(case.path());
        let ran = run.arg("--inputs").arg(case.inputs()).arg("--output").arg(&output).run();
        if ran.status != Some(0) || !ran.stderr.is_empty() {
            return Err(format!("{}: {:?}: {}", case.file, ran.status, ran.stderr));
        }
        case.check(&output).map_err(|error| format!("{}: {error}", case.file))
    });
}

#[test]
fn the_manifest_is_whole() {
    let programs = manifest();
    assert!(programs.len() >= 56, "{} programs", programs.len());
    let listed: BTreeSet<String> =
        programs.iter().flat_map(|program| program.files.clone()).collect();
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| [".mlir", ".mlirbc", ".hlo.pb"].iter().any(|ending| name.ends_with(ending)))
        .collect();
    assert_eq!(listed, there);
    for (ending, at_least) in [(".mlir", 56), (".mlirbc", 53), (".hlo.pb", 8)] {
        let count = listed.iter().filter(|name| name.ends_with(ending)).count();
        assert!(count >= at_least, "{count} programs end in {ending}");
    }
    let topics: BTreeSet<&str> = programs.iter().map(|program| program.topic.as_str()).collect();
    let wanted = "convolution attention scan sort gather scatter control Fourier random bfloat16 int8 complex several donated zero-size";
    for wanted in wanted.split(' ') {
        assert!(
            topics.iter().any(|topic| topic.contains(wanted)),
            "the topic {wanted} is missing in {topics:?}"
        );
    }
}

#[test]
fn a_second_process_gives_the_same_bytes_and_compiles_nothing() {
    let programs = manifest();
    let cases: Vec<_> = cases(&programs).into_iter().step_by(5).collect();
    assert!(cases.len() >= 20);
    let lab = Lab::new();
    let run = |sim, case: &Case<'_>, name: String| {
        let output = lab.path(&name);
        let run = lab.preheat(&sim).words("--no-tpu-warmup --quiet program run").arg(case.path());
        let ran = run.arg("--inputs").arg(case.inputs()).arg("--output").arg(&output).run();
        if ran.status != Some(0) || !ran.stderr.is_empty() {
            return Err(format!("{}: {:?}: {}", case.file, ran.status, ran.stderr));
        }
        Ok(output)
    };
    each(&cases, |index, case| {
        let output = run(lab.sim(), case, format!("{index}.cold"))?;
        case.check(&output).map_err(|error| format!("{}: {error}", case.file))
    });
    assert_eq!(lab.log().compiles(), cases.len());
    each(&cases, |index, case| {
        let output = run(lab.no_compiles(), case, format!("{index}.warm"))?;
        let same = std::fs::read(output).unwrap()
            == std::fs::read(lab.path(&format!("{index}.cold"))).unwrap();
        if same {
            Ok(())
        } else {
            Err(format!("{}: the bytes differ from those of the first process", case.file))
        }
    });
    assert_eq!(lab.compiles(), cases.len(), "the second processes compiled");
    assert_eq!(lab.log().deserializes(), cases.len());
}

/// Two forms of one program have the same key. Programs whose executables can differ have different
/// keys.
#[test]
fn keys_of_pairs_are_equal_where_the_program_is_the_same() {
    let pairs: Vec<Pair> =
        serde_json::from_slice(&std::fs::read(folder().join("pairs.json")).unwrap()).unwrap();
    assert!(pairs.len() >= 17);
    let lab = Lab::new();
    let mut lookup = lab.bare().words("--json lookup");
    for file in pairs.iter().flat_map(|pair| &pair.files) {
        lookup = lookup.arg("--program").arg(folder().join(file));
    }
    let answer = lookup.run().ended(3).json();
    let stages = answer["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 2 * pairs.len());
    let key = |index: usize| stages[index]["graph_key"].as_str().unwrap();
    for (index, pair) in pairs.iter().enumerate() {
        let is_same = key(2 * index) == key(2 * index + 1);
        assert_eq!(is_same, pair.same_program, "{}", pair.name);
    }
}

#[test]
fn bytecode_newer_than_the_plugin_is_refused_in_words() {
    let lab = Lab::new();
    let newer = folder().join("refused/newer_than_the_plugin.mlirbc");
    let ran = lab.bare().words("program run").arg(newer).run().ended(1);
    assert_eq!(ran.stdout, "");
    let ran = ran.says(&[
        "newer_than_the_plugin.mlirbc",
        "StableHLO v1.13.3",
        "newer than the StableHLO",
        "as text",
    ]);
    assert!(lab.objects().is_empty(), "{}", ran.stderr);
    lab.assert_nothing_half_written();
}

/// A file of tests/programs/devices, by its name.
fn of_devices(name: &str) -> PathBuf {
    folder().join("devices").join(name)
}

/// Asserts that the command fails without a result, a compile or a stored object, and returns its
/// output.
#[track_caller]
fn refused(lab: &Lab, words: &str, file: &std::path::Path) -> support::Ran {
    let before = lab.compiles();
    let ran = lab.preheat(&lab.sim()).words(words).arg(file).run().ended(1);
    assert_eq!((ran.stdout.as_str(), lab.compiles(), lab.objects().len()), ("", before, 0));
    ran
}

#[test]
fn programs_for_several_devices_are_not_run_as_programs_for_one() {
    let lab = Lab::new();
    let written_for = |devices: &str| {
        format!("the program is written for {devices}, and xla-cpu runs programs for one device")
    };
    for (name, devices) in [
        ("psum_two", "2 devices (1 replica of 2 partitions)"),
        ("matmul_four", "4 devices (1 replica of 4 partitions)"),
    ] {
        for form in [
            "gspmd.mlir",
            "gspmd.mlirbc",
            "gspmd.exported",
            "shardy.mlir",
            "shardy.mlirbc",
            "shardy.exported",
        ] {
            let file = of_devices(&format!("{name}_{form}"));
            refused(&lab, "program run", &file).says(&[
                form,
                &written_for(devices),
                "hint: ",
                "--aot",
            ]);
        }
        // A HloModuleProto declares no number of devices, so its content decides.
        for form in ["gspmd.hlo.pb", "shardy.hlo.pb"] {
            let file = of_devices(&format!("{name}_{form}"));
            refused(&lab, "program run", &file).says(&[
                "declares 1 device, and ",
                "in it names",
                "hint: ",
            ]);
        }
    }
    for words in
        ["program compile", "program run --force-recompile", "warmup --program", "lookup --program"]
    {
        refused(&lab, words, &of_devices("psum_two_gspmd.mlir")).says(&["written for 2 devices"]);
    }
}

#[test]
fn what_a_program_declares_or_names_counts_however_it_is_written() {
    let lab = Lab::new();
    let program = |attributes: &str, groups: &str| {
        let text = format!(
            "module attributes {{{attributes}}} {{
              func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> {{
                %0 = \"stablehlo.all_reduce\"(%a) <{{replica_groups = dense<{groups}>}}> ({{
                ^bb0(%x: tensor<f32>, %y: tensor<f32>):
                  %1 = stablehlo.add %x, %y : tensor<f32>
                  stablehlo.return %1 : tensor<f32>
                }}) : (tensor<3xf32>) -> tensor<3xf32>
                return %0 : tensor<3xf32>
              }}
            }}"
        );
        lab.file("program.mlir", text.as_bytes())
    };
    let both = "[[0, 1]]> : tensor<1x2xi64";
    let replicas = program("mhlo.num_replicas = 2 : i32", both);
    refused(&lab, "program run", &replicas)
        .says(&["written for 2 devices (2 replicas of 1 partition)"]);
    refused(&lab, "program run", &program("", both)).says(&[
        "declares 1 device",
        "replica_groups",
        "at least 2",
    ]);
    let odd = program("mhlo.num_replicas = 0 : i32", both);
    refused(&lab, "program run", &odd).says(&["`mhlo.num_replicas` must be a whole number from 1"]);
    // A collective over a single device has no effect, so such a program runs.
    let one = program(
        "mhlo.num_replicas = 1 : i32, mhlo.num_partitions = 1 : i32",
        "0> : tensor<1x1xi64",
    );
    lab.preheat(&lab.sim()).words("program run").arg(&one).run().done();
    for form in ["mlir", "mlirbc", "hlo.pb"] {
        lab.preheat(&lab.sim())
            .words("program run")
            .arg(of_devices(&format!("psum_one.{form}")))
            .run()
            .done();
    }
}

#[test]
fn an_exported_function_is_run_as_its_module() {
    let lab = Lab::new();
    let (inputs, output) = (lab.path("inputs"), lab.path("output"));
    support::tensors::write_f32(&inputs, &[("arg0", &[4], &[1.0, 2.0, 3.0, 4.0])]);
    let run = lab.preheat(&lab.sim()).words("program run").arg(of_devices("double.exported"));
    run.arg("--inputs").arg(&inputs).arg("--output").arg(&output).run().done();
    assert_eq!(support::tensors::read_f32(&output, "out0"), [2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn programs_that_wait_for_the_host_or_order_tensors_otherwise_are_refused() {
    let lab = Lab::new();
    let infeed = "module { func.func public @main() -> tensor<3xf32> {
      %t = stablehlo.create_token : !stablehlo.token
      %0:2 = \"stablehlo.infeed\"(%t) : (!stablehlo.token) -> (tensor<3xf32>, !stablehlo.token)
      return %0#0 : tensor<3xf32>
    } }";
    refused(&lab, "program run", &lab.file("infeed.mlir", infeed))
        .says(&["infeed.mlir", "waits for the host"]);
    for form in ["mlir", "mlirbc"] {
        let file = of_devices(&format!("column_major.{form}"));
        refused(&lab, "program run", &file).says(&["layout \"{0,1}\"", "row-major", "hint: "]);
    }
}

#[test]
fn calls_into_the_process_that_exported_a_program_are_explained() {
    let lab = Lab::new();
    let run = |name: &str| {
        lab.preheat(&lab.sim()).words("program run").arg(of_devices(name)).run().ended(1)
    };
    run("cholesky.mlir").says(&["lapack_spotrf_ffi", "hint: ", "platforms=[\"tpu\"]"]);
    run("callback.mlir").says(&["python_cpu_callback", "hint: ", "jax.pure_callback"]);
}
