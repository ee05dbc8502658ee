//! Does `preheat doctor` find the installed frameworks and the plugin that each of them would load,
//! and is its advice right?

use crate::support::Lab;
use crate::support::lab::Preheat;

/// Makes a Python environment with these files, and returns a `preheat` that runs in it.
fn doctor(lab: &Lab, files: &[&str]) -> Preheat {
    let environment = lab.path("venv");
    let packages = environment.join("lib/python3.12/site-packages");
    std::fs::create_dir_all(&packages).unwrap();
    for file in files {
        let path = packages.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "Requires-Dist: libtpu==0.0.50.*; extra == \"tpu\"\n").unwrap();
    }
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let preheat = lab.bare().env("VIRTUAL_ENV", environment).env_remove("CONDA_PREFIX");
    preheat.env("PREHEAT_PJRT_PLUGIN", plugin)
}

#[test]
fn a_framework_without_the_cache_is_named_with_what_puts_it_in_between() {
    let lab = Lab::new();
    let files = ["jax-0.10.2.dist-info/METADATA", "torch_xla-2.9.0.dist-info/METADATA"];
    let ran = doctor(&lab, &files).words("doctor").run().done();
    for expected in [
        "jax 0.10.2",
        "built into jax",
        "run `preheat exec --device xla-cpu -- COMMAND` so that jax uses the cache",
        "run torch_xla on a TPU, or over a `DevicePlugin`",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    // With the variables that `preheat env` prints, jax loads the caching plugin.
    let plugin = lab.path("libpreheat_pjrt.so");
    let within = doctor(&lab, &files[..1])
        .env("PJRT_NAMES_AND_LIBRARY_PATHS", format!("preheat:{}", plugin.display()))
        .env("JAX_PLATFORMS", "preheat");
    let ran = within.words("--json doctor").run().done().json();
    let jax = &ran["frameworks"][0];
    assert_eq!(
        (&jax["plugins"][0]["platform"], &jax["through_preheat"][0]),
        (&"preheat".into(), &true.into())
    );
    assert_eq!(ran["caching_plugin"], plugin.display().to_string());
    // torch_xla is still installed, and does not read these variables.
    let advice = ran["advice"].as_array().unwrap();
    assert_eq!(advice.len(), 1, "{advice:?}");
    assert!(advice[0].as_str().unwrap().starts_with("run torch_xla on a TPU"), "{advice:?}");
}

#[test]
fn a_libtpu_that_the_framework_does_not_want_is_named() {
    let lab = Lab::new();
    let files =
        ["jax-0.12.0.dist-info/METADATA", "libtpu-0.0.51.dist-info/METADATA", "libtpu/libtpu.so"];
    let doctor_of = doctor(&lab, &files).env_remove("TPU_LIBRARY_PATH");
    let ran = doctor_of.words("doctor").run().done();
    for expected in [
        "the package libtpu 0.0.51",
        "install libtpu==0.0.50.*: jax requires it, and libtpu 0.0.51 is installed",
        "run `preheat exec --device tpu -- COMMAND` so that jax uses the cache",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("libtpu/libtpu.so"), "{}", ran.stdout);
    // With the variables that `preheat env` prints for a TPU, jax loads the caching plugin, which
    // wraps the same libtpu.
    let plugin = lab.path("libpreheat_pjrt.so");
    let within = doctor(&lab, &files).env("TPU_LIBRARY_PATH", plugin);
    let ran = within.words("--json doctor").run().done().json();
    assert_eq!(ran["frameworks"][0]["through_preheat"][0], true);
    assert!(ran["tpu_plugin"].as_str().unwrap().ends_with("libtpu/libtpu.so"), "{ran}");
}

#[test]
fn nothing_to_see_is_said_and_a_named_plugin_has_to_exist() {
    let lab = Lab::new();
    let empty = lab.bare().env("VIRTUAL_ENV", lab.path("venv")).env("PATH", "").env("HOME", "");
    let ran = empty.words("doctor").run().done();
    assert!(ran.stdout.contains("caching plugin: "), "{}", ran.stdout);
    let wrong = lab.bare().words("doctor --plugin").arg(lab.path("none.so")).run();
    wrong.ended(2).says(&["there is no plugin at "]);
}
