//! What happens if a request names a device or a setting that cannot be used? There is a clear
//! error, or the documented fallback.

use std::path::PathBuf;

use preheat_torch_abi::{INTERFACE_VERSION, TorchApi};

use super::lab::{compile, torch_library, warnings};
use crate::support::lab::DOUBLE;
use crate::support::{Lab, Preheat, Ran};

const SEVEN: &str = "--json run --prompt seven --steps 1 --output out.png";

/// Asserts that a run failed with one error that contains these words, and printed nothing else.
#[track_caller]
fn refused(preheat: Preheat, status: i32, words: &[&str]) {
    let ran = preheat.run().ended(status).says(words);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
}

/// Asserts that a run used `device` instead of the device that was requested, and that its only
/// warning contains these words.
#[track_caller]
fn stood_in(preheat: Preheat, device: &str, words: &[&str]) {
    let ran: Ran = preheat.run().done();
    let json = ran.json();
    assert_eq!(json["device"]["selected"], device, "{json}");
    let said = warnings(&json);
    assert_eq!(said.len(), 1, "{said:?}");
    for word in words {
        assert!(said[0].contains(word), "no {word:?} in {}", said[0]);
    }
    ran.says(words);
}

#[test]
fn devices_that_are_not_there() {
    let lab = Lab::new();
    let on = |words: &str| lab.on("cpu").words(words).words(SEVEN);
    refused(on("--device banana"), 2, &["unknown device `banana`", "xla-cpu"]);
    refused(on("--device cuda:x"), 2, &["unknown device `cuda:x`", "cuda:N"]);
    refused(on("--device mlx"), 2, &["`mlx` cannot be chosen", "mps drives the same GPU"]);
    stood_in(
        on("--device fake:9"),
        "cpu",
        &["`fake:9` cannot be used, running on cpu instead", "--strict-device"],
    );
    refused(
        on("--device fake:9 --strict-device"),
        1,
        &["`fake:9` cannot be used", "names none of that number"],
    );
    if !has_cards() {
        stood_in(
            on("--device cuda:7"),
            "cpu",
            &["`cuda:7`", "running on cpu instead", "sees no CUDA card"],
        );
        refused(
            on("--device cuda:7 --strict-device"),
            1,
            &["`cuda:7` cannot be used", "nvidia-smi"],
        );
    }
    if !cfg!(target_os = "macos") {
        stood_in(on("--device mps"), "cpu", &["`mps`", "Apple's GPU", "this machine runs"]);
    }
}

/// Whether this machine has an NVIDIA card. If it has one, the errors are different.
fn has_cards() -> bool {
    PathBuf::from("/proc/driver/nvidia").exists()
}

#[test]
fn flags_that_mean_nothing() {
    let lab = Lab::new();
    let on = |device: &str, words: &str| lab.on(device).words(words).words(SEVEN);
    for (words, status, said) in [
        ("--offload banana", 2, ["banana", "sequential"]),
        ("--reserve-memory x", 2, ["--reserve-memory", "such as 500MB"]),
        ("--text-encoder-device banana", 2, ["unknown device `banana`", "--text-encoder-device"]),
        (
            "--text-encoder-device tpu",
            1,
            ["`tpu` of the text encoders does not go with `cpu`", "libtorch's devices only"],
        ),
        (
            "--vae-device xla-cpu",
            1,
            ["`xla-cpu` of the VAE does not go with `cpu`", "libtorch's devices only"],
        ),
    ] {
        let ran = on("cpu", words).run().ended(status).says(&said);
        assert_eq!(ran.stdout, "", "{words}");
    }
    refused(
        on("xla-cpu", "--vae-device cpu"),
        1,
        &[
            "`cpu` of the VAE does not go with `xla-cpu`",
            "leave --text-encoder-device and --vae-device out",
        ],
    );
    refused(
        lab.on("xla-cpu").words(SEVEN).words("--batch auto"),
        2,
        &["batch is auto", "xla-cpu is not one"],
    );
    assert!(lab.objects().is_empty(), "something was compiled before the run was refused");
}

#[test]
fn a_batch_that_is_chosen_fits() {
    let lab = Lab::new();
    let ran = lab.torch().words(SEVEN).words("--batch auto").run().done().json();
    let batch = ran["signature"]["batch_size"].as_u64().unwrap();
    assert!((1..=4).contains(&batch), "{batch}");
    assert_eq!(ran["images"].as_array().unwrap().len() as u64, batch);
}

#[test]
fn programs_do_not_run_through_libtorch() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let on = |device: &str, what: &str| lab.on(device).words("program").words(what).arg(&program);
    for what in ["run", "compile"] {
        let ran =
            on("cpu", what).run().ended(1).says(&["libtorch", "the graphs of models", "xla-cpu"]);
        assert_eq!(ran.stdout, "");
    }
    // `auto` does not choose libtorch for a program.
    let ran = lab.on("auto").words("--json program run").arg(&program).run().done().json();
    assert_eq!(ran["device"]["selected"], "xla-cpu", "{ran}");
    assert!(
        ran["device"]["reason"].as_str().unwrap().contains("the graphs of models only"),
        "{ran}"
    );
}

#[test]
fn fake_devices_that_do_not_parse() {
    let lab = Lab::new();
    refused(
        lab.fake("{}").words("--strict-device").words(SEVEN),
        1,
        &["PREHEAT_TORCH_FAKE_DEVICES is not a JSON list"],
    );
}

/// A reason why libtorch cannot be used, and the words with which the error names this reason.
struct Obstacle {
    name: &'static str,
    variables: Vec<(&'static str, PathBuf)>,
    words: Vec<&'static str>,
}

fn obstacles(lab: &Lab) -> Vec<Obstacle> {
    let library = |name: &str, source: &str| -> PathBuf {
        compile(source, &lab.path(&format!("{name}/lib{name}.so"))).into()
    };
    let table = |bytes: usize, version: u64| {
        format!(
            "struct {{ unsigned long long size, version, rest[64]; }} table = {{ {bytes}, {version}, {{ 0 }} }};\n\
             void *preheat_torch_api(void) {{ return &table; }}"
        )
    };
    let libtorch =
        "unsigned long long aoti_torch_abi_version(void) { return 0x020d000000000000ull; }";
    compile(libtorch, &lab.path("newer/lib/libtorch_cpu.so"));
    let text = lab.file("text.so", "no library");
    let backend = |path: PathBuf| vec![("PREHEAT_TORCH_BACKEND", path)];
    vec![
        Obstacle {
            name: "no file",
            variables: backend(lab.path("nowhere.so")),
            words: vec!["PREHEAT_TORCH_BACKEND names", "nowhere.so", "nothing is there"],
        },
        Obstacle {
            name: "no library",
            variables: backend(text),
            words: vec!["text.so cannot be loaded", "file too short"],
        },
        Obstacle {
            name: "another library",
            variables: backend(library("other", "int nothing;")),
            words: vec!["libother.so is not preheat's torch library"],
        },
        Obstacle {
            name: "a library of another release",
            variables: backend(library(
                "next",
                &table(size_of::<TorchApi>(), INTERFACE_VERSION + 1),
            )),
            words: vec!["of the interface", "cargo xtask setup torch"],
        },
        Obstacle {
            name: "a library that is shorter than it says",
            variables: backend(library("short", &table(16, INTERFACE_VERSION))),
            words: vec!["a table of 16 bytes", "build it again"],
        },
        Obstacle {
            name: "a libtorch of another version",
            variables: vec![("LIBTORCH", lab.path("newer"))],
            words: vec!["is 2.13.0", "2.11.0 only", "point LIBTORCH at one of that version"],
        },
        Obstacle {
            name: "no libtorch there",
            variables: vec![("LIBTORCH", lab.path("nowhere"))],
            words: vec!["LIBTORCH names", "nowhere", "nothing is there"],
        },
    ]
}

#[test]
fn a_libtorch_that_cannot_be_used() {
    let lab = Lab::new();
    for Obstacle { name, variables, words } in obstacles(&lab) {
        let on = |device: &str| {
            let run = lab.on(device);
            variables
                .iter()
                .fold(run, |run, (variable, value)| run.env(variable, value))
                .words(SEVEN)
        };
        // If the device is named, XLA's CPU is used instead, with a warning; `--strict-device`
        // makes it an error.
        for device in ["cpu", "cuda"] {
            let mut said = vec!["runs through libtorch, which cannot be used", "xla-cpu"];
            stood_in(on(device), "xla-cpu", &said);
            said.extend(&words);
            refused(on(device).arg("--strict-device"), 1, &said);
        }
        // If no device is named, XLA's CPU is chosen, and the reason is given.
        let ran = on("auto").run().done().json();
        assert_eq!(ran["device"]["selected"], "xla-cpu", "{name}");
        let reason = ran["device"]["reason"].as_str().unwrap();
        for word in &words {
            assert!(reason.contains(word), "{name}: no {word:?} in {reason}");
        }
        // `preheat devices` works nevertheless.
        let devices = on_devices(&lab, &variables);
        let cpu = devices.iter().find(|device| device["name"] == "cpu").unwrap();
        assert_eq!(cpu["available"], false, "{name}: {cpu}");
        assert!(cpu["reason"].as_str().unwrap().contains(words[0]), "{name}: {cpu}");
    }
}

fn on_devices(lab: &Lab, variables: &[(&'static str, PathBuf)]) -> Vec<serde_json::Value> {
    let run =
        variables.iter().fold(lab.on("auto"), |run, (variable, value)| run.env(variable, value));
    run.words("--json devices").run().done().json().as_array().unwrap().clone()
}

/// Neither the torch library nor libtorch is installed.
#[test]
fn nothing_is_installed() {
    let lab = Lab::new();
    let bare = |device: &str| {
        lab.on(device).env_remove("PREHEAT_TORCH_BACKEND").env("PREHEAT_DATA_DIR", lab.path("data"))
    };
    let strict = |run: Preheat| run.words("--strict-device").words(SEVEN);
    refused(
        strict(bare("cpu")),
        1,
        &["the torch library is not installed", "cargo xtask setup torch"],
    );
    let ran = bare("auto").words(SEVEN).run().done().json();
    assert_eq!(ran["device"]["selected"], "xla-cpu");
    // The library is there, but no libtorch for it.
    let alone = bare("cpu").env("PREHEAT_TORCH_BACKEND", torch_library()).env_remove("LIBTORCH");
    refused(
        strict(alone),
        1,
        &["needs libtorch 2.11.0, which is not installed", "preheat plugins install torch"],
    );
}
