//! Is each input of the key covered? If an input changes, the plugin compiles again; if only other
//! facts change, it does not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::Path;

use pjrt_sim::{Count, Sim, copy_as_other_build};
use preheat::{CompileOptions, Dtype, Graph, Program, Runtime, create_execution_signature};
use preheat_cache::OptionValue;
use preheat_runtime::device::{DeviceName, DeviceRequest};
use support::lab::{DOUBLE, SQUARE, library};
use support::{Lab, Preheat, in_child, repository};

/// Compiles `program` with `preheat`, or finds it in the cache, and says whether the plugin
/// compiled it.
#[track_caller]
fn compiles(lab: &Lab, preheat: Preheat, program: &Path) -> bool {
    let (_, count) = lab.counting(|| preheat.words("program compile").arg(program).run().done());
    assert!(count < 2, "{count} compiles");
    count == 1
}

/// Asserts that `changed` needs one compile of its own although `base` is compiled, and that
/// neither replaces the other.
///
/// Before that compile, `lookup` names `field` as the difference.
#[track_caller]
fn misses(lab: &Lab, field: &str, base: impl Fn() -> Preheat, changed: impl Fn() -> Preheat) {
    let program = lab.file("double.mlir", DOUBLE);
    assert!(compiles(lab, base(), &program), "the first time");
    assert!(!compiles(lab, base(), &program), "again with nothing changed");
    let answer = changed().words("--json lookup --program").arg(&program).run().ended(3).json();
    let differences = answer["stages"][0]["nearest"]["differences"].as_array().unwrap();
    let fields: Vec<&str> = differences.iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert!(fields.contains(&field), "{field} is not among {fields:?}");
    assert!(compiles(lab, changed(), &program), "{field} changed, and nothing was compiled");
    assert!(!compiles(lab, changed(), &program), "again with {field} changed");
    assert!(!compiles(lab, base(), &program), "again with {field} as it was");
    assert_eq!(lab.objects().len(), 2);
}

/// Asserts that `changed` gets the executable that `base` compiled.
#[track_caller]
fn hits(lab: &Lab, base: impl Fn() -> Preheat, changed: impl Fn() -> Preheat) {
    let program = lab.file("double.mlir", DOUBLE);
    assert!(compiles(lab, base(), &program), "the first time");
    assert!(!compiles(lab, changed(), &program), "it was compiled again");
    assert_eq!(lab.objects().len(), 1);
}

/// The same as [`misses`], for a change of the test plugin's own answers.
#[track_caller]
fn misses_where_the_plugin_says(field: &str, change: impl Fn(Sim) -> Sim) {
    let lab = Lab::new();
    misses(&lab, field, || lab.preheat(&lab.sim()), || lab.preheat(&change(lab.sim())));
}

/// The same as [`misses`], with a plugin that poses as a TPU.
#[track_caller]
fn misses_on_a_tpu(field: &str, change: impl Fn(Sim) -> Sim) {
    let lab = Lab::new();
    let tpu = || lab.sim().pose("v5e:1x1");
    misses(&lab, field, || lab.preheat_tpu(&tpu()), || lab.preheat_tpu(&change(tpu())));
}

#[test]
fn another_program_misses() {
    let lab = Lab::new();
    let (double, square) = (lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE));
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &double));
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &square));
    assert!(!compiles(&lab, lab.preheat(&lab.sim()), &double));
    // The same name and signature do not make it the same program.
    assert!(compiles(
        &lab,
        lab.preheat(&lab.sim()),
        &lab.file("double.mlir", DOUBLE.replace("4xf32", "5xf32"))
    ));
}

#[test]
fn one_digit_of_a_constant_misses() {
    let lab = Lab::new();
    let text = |value: &str| {
        format!(
            "func.func @main() -> tensor<f32> {{ %c = stablehlo.constant dense<{value}> : tensor<f32> return %c : tensor<f32> }}"
        )
    };
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &lab.file("a.mlir", text("1.0"))));
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &lab.file("b.mlir", text("1.5"))));
}

#[test]
fn a_compile_option_misses() {
    in_child("a_compile_option_misses", Lab::sim, |lab| {
        let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
        let open = || {
            Runtime::builder()
                .device(request)
                .plugin(library())
                .cache_dir(lab.cache())
                .build()
                .unwrap()
        };
        let signature =
            create_execution_signature("m", [4], 1, 1.0, "", 1, Dtype::Float32).unwrap();
        let program = Program::sniff(DOUBLE.as_bytes()).unwrap();
        let overrides =
            |value| [("xla_cpu_enable_fast_math".to_owned(), OptionValue::Bool(value))].into();
        let options = [
            CompileOptions::default(),
            CompileOptions { overrides: overrides(true), ..CompileOptions::default() },
            CompileOptions { overrides: overrides(false), ..CompileOptions::default() },
            CompileOptions { device_assignment: vec![1], ..CompileOptions::default() },
            CompileOptions { use_spmd_partitioning: true, ..CompileOptions::default() },
        ];
        for options in &options {
            let graph = Graph::from_program(program.clone()).options(options.clone());
            let get = || open().get_or_compile(&signature, &graph).unwrap();
            let (first, count) = lab.counting(get);
            assert_eq!(count, 1, "{options:?}");
            let (again, count) = lab.counting(get);
            assert_eq!((count, first.graph_key()), (0, again.graph_key()), "{options:?}");
        }
        // Each of the executables is still there under its own key.
        for options in &options {
            let graph = Graph::from_program(program.clone()).options(options.clone());
            assert!(
                open().request(&signature, &graph).require_warm(true).get().is_ok(),
                "{options:?}"
            );
        }
        assert_eq!(lab.log().compiles(), options.len());
    });
}

#[test]
fn a_flag_that_matters_misses() {
    let lab = Lab::new();
    misses(
        &lab,
        "xla_flags",
        || lab.preheat(&lab.sim()),
        || lab.preheat(&lab.sim()).env("XLA_FLAGS", "--xla_cpu_enable_fast_math=true"),
    );
}

#[test]
fn another_value_of_a_flag_misses() {
    let lab = Lab::new();
    let with = |flags: &'static str| lab.preheat(&lab.sim()).env("XLA_FLAGS", flags);
    misses(
        &lab,
        "xla_flags",
        || with("--xla_backend_optimization_level=1"),
        || with("--xla_backend_optimization_level=2"),
    );
}

#[test]
fn a_flag_in_a_file_misses() {
    let lab = Lab::new();
    let flags = lab.file("flags", "--xla_cpu_enable_fast_math=true\n");
    misses(
        &lab,
        "xla_flags",
        || lab.preheat(&lab.sim()),
        || lab.preheat(&lab.sim()).env("XLA_FLAGS", &flags),
    );
}

#[test]
fn libtpu_init_args_miss() {
    let lab = Lab::new();
    let sim = lab.sim().pose("v5e:1x1");
    misses(
        &lab,
        "libtpu_init_args",
        || lab.preheat_tpu(&sim),
        || lab.preheat_tpu(&sim).env("LIBTPU_INIT_ARGS", "--xla_tpu_enable_something=true"),
    );
}

#[test]
fn another_build_of_the_plugin_misses() {
    let lab = Lab::new();
    let other = lab.path("libpjrt_sim.so");
    copy_as_other_build(&other).unwrap();
    misses(
        &lab,
        "plugin_build",
        || lab.preheat(&lab.sim()),
        || lab.preheat(&lab.sim()).env("PREHEAT_XLA_CPU_PLUGIN", &other),
    );
}

#[test]
fn the_same_build_at_another_path_hits() {
    let lab = Lab::new();
    let copy = lab.path("copy.so");
    std::fs::copy(library(), &copy).unwrap();
    hits(
        &lab,
        || lab.preheat(&lab.sim()),
        || lab.preheat(&lab.sim()).env("PREHEAT_XLA_CPU_PLUGIN", &copy),
    );
}

#[test]
fn another_platform_version_misses() {
    misses_where_the_plugin_says("platform_version", |sim| {
        sim.platform_version("cpu, of another day")
    });
}

#[test]
fn another_platform_version_of_a_tpu_misses() {
    misses_on_a_tpu("platform_version", |sim| {
        sim.platform_version("TFRT TPU v5 lite\nBuilt on another day")
    });
}

#[test]
fn another_platform_misses() {
    misses_where_the_plugin_says("platform", |sim| sim.platform_name("host"));
}

#[test]
fn another_device_kind_misses() {
    misses_where_the_plugin_says("device_kind", |sim| sim.device_kind("another cpu"));
}

#[test]
fn other_bounds_miss() {
    misses_on_a_tpu("topology", |sim| sim.bounds([2, 1, 1]));
}

#[test]
fn another_number_of_cores_misses() {
    misses_on_a_tpu("topology", |sim| sim.cores(2));
}

#[test]
fn another_generation_misses() {
    misses_on_a_tpu("device_kind", |sim| sim.pose("v6e:1x1"));
}

#[test]
fn other_host_features_miss() {
    misses_where_the_plugin_says("host.features", |sim| sim.host_features(&["+avx2", "+fma"]));
}

#[test]
fn fewer_host_features_miss() {
    let lab = Lab::new();
    let with = |features: &'static [&'static str]| lab.preheat(&lab.sim().host_features(features));
    misses(&lab, "host.features", || with(&["+avx2", "+fma"]), || with(&["+avx2", "-fma"]));
}

#[test]
fn another_number_of_cpus_misses() {
    let lab = Lab::new();
    let with = |count: &'static str| lab.preheat(&lab.sim()).env("NPROC", count);
    misses(&lab, "host.schedulable_cpus", || with("2"), || with("1"));
}

#[test]
fn another_affinity_misses() {
    let lab = Lab::new();
    // One process claims seven CPUs through `NPROC`, and the other one is pinned to one CPU. The
    // number of CPUs of this machine is not used, because a machine with one CPU could not show a
    // difference.
    let first = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = first
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap()
        .trim()
        .to_owned();
    let one = list.split(['-', ',']).next().unwrap().to_owned();
    let program = lab.file("double.mlir", DOUBLE);
    let pinned = || {
        lab.preheat(&lab.sim())
            .words("program compile")
            .arg(&program)
            .through("taskset", &["-c", &one])
    };
    let (_, count) = lab.counting(|| {
        lab.preheat(&lab.sim())
            .env("NPROC", "7")
            .words("program compile")
            .arg(&program)
            .run()
            .done()
    });
    assert_eq!(count, 1);
    assert_eq!(
        lab.counting(|| pinned().run().done()).1,
        1,
        "a process pinned to one CPU took the executable that was made for seven"
    );
    // A pinned process and one with `NPROC=1` both see one CPU, so they share the executable.
    assert!(!compiles(&lab, lab.preheat(&lab.sim()).env("NPROC", "1"), &program));
    assert_eq!(lab.counting(|| pinned().run().done()).1, 0);
}

#[test]
fn cpus_of_the_host_do_not_matter_to_a_tpu() {
    let lab = Lab::new();
    let sim = lab.sim().pose("v5e:1x1");
    hits(
        &lab,
        || lab.preheat_tpu(&sim).env("NPROC", "2"),
        || lab.preheat_tpu(&sim).env("NPROC", "1"),
    );
}

#[test]
fn flags_that_only_dump_hit() {
    let lab = Lab::new();
    let dumps = lab.path("dumps");
    let flags = format!("--xla_dump_to={} --xla_dump_hlo_as_text=true", dumps.display());
    hits(&lab, || lab.preheat(&lab.sim()), || lab.preheat(&lab.sim()).env("XLA_FLAGS", &flags));
    // Nothing was compiled, so there was nothing to dump.
    assert!(!dumps.exists());
    // The flag is real, and reaches the compiler if something is compiled.
    let other = lab.file("square.mlir", SQUARE);
    assert!(compiles(&lab, lab.preheat(&lab.sim()).env("XLA_FLAGS", &flags), &other));
    assert!(dumps.is_dir());
    assert!(!compiles(&lab, lab.preheat(&lab.sim()), &other));
}

#[test]
fn another_order_of_flags_hits() {
    let lab = Lab::new();
    let with = |flags: &'static str| lab.preheat(&lab.sim()).env("XLA_FLAGS", flags);
    hits(
        &lab,
        || with("--xla_cpu_enable_fast_math=true --xla_backend_optimization_level=2"),
        || with("  --xla_backend_optimization_level=2   --xla_cpu_enable_fast_math=true "),
    );
}

#[test]
fn the_same_program_from_a_moved_line_and_under_another_name_hits() {
    let pairs = repository("tests/programs/pairs");
    for name in [
        "moved_line_mlir",
        "other_file_mlir",
        "module_name_mlir",
        "debug_info_mlir",
        "moved_line_hlo",
    ] {
        let lab = Lab::new();
        let ending = if name.ends_with("hlo") { "hlo.pb" } else { "mlir" };
        let form = |form: &str| pairs.join(format!("{name}.{form}.{ending}"));
        assert!(compiles(&lab, lab.preheat(&lab.sim()), &form("a")), "{name}");
        assert!(!compiles(&lab, lab.preheat(&lab.sim()), &form("b")), "{name}");
    }
}

#[test]
fn another_signature_of_the_same_program_hits() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &program));
    let other = "--model-id other --width 512 --height 512 --cfg-scale 7.5 --scheduler ddim --steps 25 --batch 2";
    let run = lab
        .preheat(&lab.no_compiles())
        .words("--json program run")
        .arg(&program)
        .words(other)
        .run()
        .done();
    assert_eq!(run.json()["stages"][0]["match"], "graph");
    assert_eq!(lab.compiles(), 1);
}

#[test]
fn where_the_cache_is_does_not_matter() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    assert!(compiles(&lab, lab.preheat(&lab.sim()), &program));
    std::fs::rename(lab.cache(), lab.path("moved")).unwrap();
    let moved = lab.preheat(&lab.no_compiles()).env("PREHEAT_CACHE_DIR", lab.path("moved"));
    assert!(!compiles(&lab, moved, &program));
}
