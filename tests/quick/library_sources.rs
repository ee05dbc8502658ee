//! Which rules hold for all sources of the library's crates? They name no flag of `preheat`,
//! because a program that links the library has its own command line, or none. So hints that name a
//! flag belong in `src/cli/`. Each public error is `non_exhaustive`, so that the next release can
//! add a variant.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

/// Words that look like a flag of `preheat` but are not: the file, the words, and what they are.
const OTHER_FLAGS: &[(&str, &str, &str)] = &[
    ("crates/plugins/src/pip.rs", "--", "pip's own flags, which are handed to pip"),
    ("crates/plugins/src/pins.rs", "--platform", "pip's"),
    ("crates/plugins/src/pins.rs", "--python-version", "pip's"),
    ("crates/plugins/src/pins.rs", "--abi", "pip's"),
    ("crates/plugins/src/libtorch/pins.rs", "--no-deps", "pip's"),
    ("cache/src/environment.rs", "--name", "how XLA's flags are written in XLA_FLAGS"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Adds the Rust files below `folder`, without those of tests.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// Each file of the library's crates with its text, up to the tests at its end.
fn sources() -> Vec<(String, String)> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let mut folders: Vec<_> = crates.map(|entry| entry.unwrap().path().join("src")).collect();
    folders.push(root().join("cache/src"));
    let mut files = Vec::new();
    for folder in &folders {
        collect(folder, &mut files);
    }
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let text = std::fs::read_to_string(path).unwrap();
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (name, own)
    };
    files.iter().map(read).collect()
}

/// The words in a line that look like a flag: two hyphens, followed by a letter.
fn flags(line: &str) -> Vec<&str> {
    let is_of_a_flag = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let begins = line.match_indices("--").map(|(at, _)| at);
    let begins = begins.filter(|&at| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(is_of_a_flag)
            && line[at + 2..].starts_with(|letter: char| letter.is_ascii_lowercase())
    });
    let whole = begins.map(|at| line[at..].split(|letter| !is_of_a_flag(letter)).next().unwrap());
    whole.collect()
}

#[test]
fn the_library_names_no_flag_of_the_command_line() {
    let sources = sources();
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    let mut excused = vec![false; OTHER_FLAGS.len()];
    let mut wrong = Vec::new();
    for (name, text) in &sources {
        for (at, line) in text.lines().enumerate() {
            for flag in flags(line) {
                let excuse = OTHER_FLAGS
                    .iter()
                    .position(|(file, words, _)| file == name && flag.starts_with(words));
                match excuse {
                    Some(excuse) => excused[excuse] = true,
                    None => wrong.push(format!("{name}:{}: {flag}", at + 1)),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "say what happened and name the setting of the API; src/cli/ names the flag:\n{}",
        wrong.join("\n")
    );
    let unused: Vec<_> = OTHER_FLAGS.iter().zip(excused).filter(|(_, excused)| !excused).collect();
    assert!(unused.is_empty(), "these exceptions are not needed any more: {unused:?}");
}

#[test]
fn flags_are_found_and_what_only_looks_like_one_is_not() {
    assert_eq!(flags("leave `--cache-dir` or --offload=none out"), ["--cache-dir", "--offload"]);
    for line in ["// ---- a rule ----", "models--x--y", "a -- b", "|---|---|", "--{name}"] {
        assert!(flags(line).is_empty(), "{line}");
    }
}

#[test]
fn an_error_can_have_another_variant_in_the_next_release() {
    let mut seen = 0;
    let mut closed = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(rest) = line.trim_start().strip_prefix("pub enum ") else { continue };
            let own = rest.split([' ', '<', '{']).next().unwrap();
            if !own.ends_with("Error") {
                continue;
            }
            seen += 1;
            let attributes = lines[..at].iter().rev().map(|line| line.trim()).take_while(|line| {
                line.starts_with("#[") || line.starts_with("///") || line.ends_with(")]")
            });
            if !attributes.into_iter().any(|line| line == "#[non_exhaustive]") {
                closed.push(format!("{name}:{}: {own}", at + 1));
            }
        }
    }
    assert!(seen > 25, "only {seen} errors were found");
    assert!(closed.is_empty(), "these lack #[non_exhaustive]:\n{}", closed.join("\n"));
}
