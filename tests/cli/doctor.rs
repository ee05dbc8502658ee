//! Does `preheat doctor` find the installed frameworks and the plugin that each of them would load,
//! and is its advice right?

use std::collections::BTreeMap;

use pjrt_sim::{Place, When};
use serde_json::Value;

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

/// The outcome of each claim of a report, by name.
fn outcomes(report: &Value) -> BTreeMap<&str, &str> {
    let claims = report["claims"].as_array().unwrap().iter();
    claims
        .map(|claim| (claim["claim"].as_str().unwrap(), claim["outcome"].as_str().unwrap()))
        .collect()
}

fn read(lab: &Lab) -> (String, Value) {
    let text = std::fs::read_to_string(lab.path("report.json")).unwrap();
    let report = serde_json::from_str(&text).unwrap();
    (text, report)
}

#[test]
fn a_report_tries_what_was_never_verified_on_a_tpu() {
    let lab = Lab::new();
    let tpu = lab.sim().pose("v5e:1x1").memory_limit(16 << 30);
    let quick = lab.quick_tpu(&tpu).env("PREHEAT_XLA_CPU_PLUGIN", crate::support::xla_cpu_plugin());
    let quick = quick.env("VIRTUAL_ENV", lab.path("no-environment"));
    let ran = quick.words("doctor --report report.json").run().done();
    let (text, report) = read(&lab);
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.len(), 13, "{report:#}");
    for (claim, outcome) in &outcomes {
        let is_of_the_tpu = claim.starts_with("tpu_") && *claim != "tpu_jax";
        assert_eq!(*outcome, if is_of_the_tpu { "held" } else { "not_run" }, "{claim}: {report:#}");
    }
    let claims = report["claims"].as_array().unwrap();
    let of = |name: &str| claims.iter().find(|claim| claim["claim"] == name).unwrap();
    let efforts = &of("tpu_efforts")["figures"];
    for figure in ["full", "balanced", "fast"].map(|effort| format!("{effort}_seconds_per_step")) {
        assert!(efforts[&figure].as_f64() > Some(0.0), "{efforts}");
    }
    assert_eq!(of("tpu_jax")["because"], "no JAX is in a Python environment here");
    // Neither the user, nor the machine, nor any path is named.
    assert!(!text.contains('/') && !text.contains(lab.path("").to_str().unwrap()), "{text}");
    assert!(ran.stdout.contains("report.json: the report"), "{}", ran.stdout);
}

#[test]
fn without_the_hardware_a_report_says_why_nothing_was_tried() {
    let lab = Lab::new();
    let ran = doctor(&lab, &[]).words("--json doctor --report report.json").run().done().json();
    let (_, report) = read(&lab);
    assert_eq!(ran["report"], report);
    assert!(outcomes(&report).values().all(|outcome| *outcome == "not_run"), "{report:#}");
    for claim in report["claims"].as_array().unwrap() {
        assert!(!claim["because"].as_str().unwrap().is_empty(), "{claim}");
    }
    let nowhere = doctor(&lab, &[]).words("doctor --report no/such/folder.json").run();
    nowhere.ended(1).says(&["writing the report to", "no/such/folder.json"]);
    assert!(doctor(&lab, &[]).words("doctor --report").run().status == Some(2));
}

#[test]
fn a_claim_that_does_not_hold_is_told_without_paths() {
    let lab = Lab::new();
    let tpu = lab.sim().pose("v5e:1x1").fail(Place::Execute, When::Each);
    let quick = lab.quick_tpu(&tpu).env("VIRTUAL_ENV", lab.path("no-environment"));
    quick.words("doctor --report report.json").run().ended(1);
    let (text, report) = read(&lab);
    assert_eq!(outcomes(&report)["tpu_program"], "failed");
    assert!(!text.contains('/'), "{text}");
}
