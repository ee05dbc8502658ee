//! Which crate may use which? ARCHITECTURE.md describes it; these tests enforce it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each crate, with the crates of this workspace that it may use outside its tests. `preheat` and
/// `xtask` may use every crate, so they are not listed.
const LAYERS: &[(&str, &[&str])] = &[
    ("preheat-io", &[]),
    ("preheat-tensor", &["preheat-io"]),
    ("preheat-cache", &["preheat-io", "preheat-tensor"]),
    ("preheat-ir", &["preheat-source-digest", "preheat-tensor"]),
    ("preheat-pjrt", &["preheat-io", "preheat-tensor"]),
    ("preheat-environment", &["preheat-cache", "preheat-pjrt"]),
    ("preheat-plugins", &["preheat-io"]),
    ("preheat-remote", &["preheat-cache", "preheat-io"]),
    ("preheat-source-digest", &[]),
    ("preheat-torch-abi", &["preheat-io", "preheat-tensor"]),
    (
        "preheat-runtime",
        &[
            "preheat-cache",
            "preheat-environment",
            "preheat-io",
            "preheat-ir",
            "preheat-pjrt",
            "preheat-plugins",
            "preheat-tensor",
            "preheat-torch-abi",
        ],
    ),
    (
        "preheat-diffusion",
        &[
            "preheat-cache",
            "preheat-io",
            "preheat-ir",
            "preheat-runtime",
            "preheat-source-digest",
            "preheat-tensor",
        ],
    ),
    (
        "preheat-python",
        &[
            "preheat-cache",
            "preheat-diffusion",
            "preheat-io",
            "preheat-ir",
            "preheat-runtime",
            "preheat-tensor",
        ],
    ),
    ("pjrt-sim", &["preheat-pjrt", "preheat-tensor"]),
    (
        "preheat-pjrt-plugin",
        &["preheat-cache", "preheat-environment", "preheat-pjrt", "preheat-plugins"],
    ),
];

/// Heavy dependencies, each with the only crates that may use it, so that the other crates stay
/// small.
const HEAVY: &[(&str, &[&str])] = &[
    ("sled", &["preheat-cache"]),
    ("tokenizers", &["preheat-diffusion"]),
    ("png", &["preheat-diffusion", "xtask"]),
    ("zip", &["preheat-plugins"]),
    ("clap", &["preheat", "xtask"]),
    ("opendal", &["preheat-remote"]),
    ("reqwest", &["preheat-remote"]),
    ("rustls", &["preheat-remote"]),
    ("tokio", &["preheat-remote"]),
    ("tch", &[]),
];

/// Each crate of the workspace with the names of its dependencies, except dev-dependencies.
fn crates() -> BTreeMap<String, Vec<String>> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let built_from = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|used| used["kind"] != "dev").map(|used| text(&used["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (text(&package["name"]), built_from(package))).collect()
}

#[test]
fn no_crate_reaches_up() {
    let crates = crates();
    for (name, allowed) in LAYERS {
        let used = crates.get(*name).unwrap_or_else(|| panic!("there is no crate {name}"));
        let ours = used.iter().filter(|used| crates.contains_key(*used));
        let mut beyond = ours.filter(|used| !allowed.contains(&used.as_str())).peekable();
        assert!(beyond.peek().is_none(), "{name} must not use {:?}", beyond.collect::<Vec<_>>());
    }
    for name in crates.keys().filter(|name| !["preheat", "xtask"].contains(&name.as_str())) {
        assert!(LAYERS.iter().any(|(known, _)| known == name), "{name} is missing in LAYERS");
    }
}

#[test]
fn what_is_heavy_stays_where_it_is_needed() {
    for (name, used) in crates() {
        for (heavy, allowed) in HEAVY {
            let uses = used.iter().any(|used| used == heavy);
            assert!(!uses || allowed.contains(&name.as_str()), "{name} must not use {heavy}");
        }
    }
}

/// What cargo builds a package of: each crate with its version and features.
fn built_of(package: &str) -> BTreeMap<String, String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none"]);
    tree.args(["--format", "{p}\t{f}", "--package", package]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('\t'));
    lines.map(|(name, features)| (name.to_owned(), features.to_owned())).collect()
}

/// The wheel holds both packages. If a crate had other features in one of them, cargo would compile
/// this crate, and all that use it, a second time.
#[test]
fn the_command_and_the_python_extension_are_built_of_the_same_crates() {
    let [command, extension] = ["preheat", "preheat-python"].map(built_of);
    let both: Vec<_> =
        extension.iter().filter_map(|(name, has)| Some((name, has, command.get(name)?))).collect();
    assert!(both.iter().any(|(name, ..)| name.starts_with("preheat-diffusion ")));
    for (name, of_extension, of_command) in both {
        assert_eq!(of_extension, of_command, "{name} has other features in one of the two");
    }
}
