//! Does the libtpu compile that was asked for, or that the active Python environment has? The test
//! plugin poses as each libtpu, and its log tells that it was loaded.

use crate::support::lab::library;
use crate::support::{Lab, Preheat};

/// `preheat` in a Python environment whose libtpu is the test plugin, without any variable that
/// names a libtpu and without an installed one.
fn in_environment(lab: &Lab) -> Preheat {
    let packages = lab.path("venv/lib/python3.12/site-packages");
    std::fs::create_dir_all(packages.join("libtpu")).unwrap();
    std::fs::create_dir_all(packages.join("libtpu-0.0.77.dist-info")).unwrap();
    let _ = std::fs::copy(library(), packages.join("libtpu/libtpu.so"));
    let sim = lab.sim().pose("v5e:1x1");
    lab.quick(&sim)
        .env("VIRTUAL_ENV", lab.path("venv"))
        .env("PREHEAT_DATA_DIR", lab.path("data"))
        .env_remove("PREHEAT_TPU_PLUGIN")
        .env_remove("TPU_LIBRARY_PATH")
        .env_remove("CONDA_PREFIX")
}

const PROGRAM: &str =
    "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }";

#[test]
fn the_libtpu_of_the_python_environment_compiles_and_is_named() {
    let lab = Lab::new();
    let program = lab.file("program.mlir", PROGRAM);
    let warm = |flags: &str| {
        let words = format!("{flags} warmup --aot tpu:v5e:1x1 --program");
        in_environment(&lab).words(&words).arg(&program).run()
    };
    let library = lab.path("venv/lib/python3.12/site-packages/libtpu/libtpu.so");
    let why = "libtpu 0.0.77 compiles, because it is in the active Python environment";
    warm("").done().says(&[why, "--libtpu names another", library.to_str().unwrap()]);
    assert_eq!(lab.compiles(), 1);
    // Nothing is said to somebody who asked for it, and it is the same build.
    for flags in ["--libtpu python", "--libtpu 0.0.77", "--libtpu 0.0.*"] {
        let ran = warm(flags).done();
        assert!(!ran.stderr.contains("active Python environment"), "{flags}: {}", ran.stderr);
    }
    assert_eq!(lab.compiles(), 1);
}

#[test]
fn a_libtpu_that_is_not_here_is_an_error_that_says_what_to_do() {
    let lab = Lab::new();
    for (flags, said) in [
        ("--libtpu 0.0.78", "install libtpu 0.0.78 with `preheat plugins install tpu==0.0.78`"),
        ("--libtpu 0.0.78", "only 0.0.77 is here"),
        ("--libtpu none.so", "none.so is no file"),
    ] {
        let words = format!("{flags} lookup --target tpu:v5e:1x1");
        in_environment(&lab).words(&words).run().ended(1).says(&[said]);
    }
    assert!(!lab.path("log").exists(), "no plugin was loaded");
}

#[test]
fn a_plugin_that_rewarm_is_given_comes_before_any_libtpu() {
    let lab = Lab::new();
    let program = lab.file("program.mlir", PROGRAM);
    let warm = in_environment(&lab).words("warmup --aot tpu:v5e:1x1 --program").arg(&program);
    warm.run().done();
    // Neither the variable, which names a version that is not here, nor the environment decides.
    let rewarm = || in_environment(&lab).words("cache rewarm --target tpu:v5e:1x1 --plugin");
    let ran = rewarm().arg(library()).env("PREHEAT_LIBTPU", "0.0.78").run().done();
    assert!(!ran.stderr.contains("libtpu"), "{}", ran.stderr);
    let ran = rewarm().arg(library()).run().done();
    assert!(!ran.stderr.contains("active Python environment"), "{}", ran.stderr);
}
