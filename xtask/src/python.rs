//! Does the Python package work as users get it? The wheel is built, installed into empty virtual
//! environments, and tested there by pytest.
//!
//! The extension is built once for all versions of Python from 3.10 on, so that one wheel is tested
//! on each Python at hand. Everything lies below `target/python/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, Outcome, command, output, root, succeeds};

/// The versions of Python that are looked for, in addition to `python3`. The first one is the
/// oldest that the package supports.
const VERSIONS: [&str; 5] = ["3.10", "3.11", "3.12", "3.13", "3.14"];
/// The packages that the tests use. The package itself needs none of them.
const TEST_PACKAGES: [&str; 9] =
    ["pytest", "mypy", "numpy", "pillow", "tqdm", "ml_dtypes", "jax", "fastapi", "httpx"];
/// The most bytes that a wheel may have. A wheel contains no plugin. It holds the runtime twice, in
/// the extension and in the command, and the command holds the clients of object stores, too. The
/// limit makes a dependency that adds megabytes a decision.
const MOST_WHEEL_BYTES: u64 = 24 << 20;

/// The folder for everything that the tests make.
fn folder() -> PathBuf {
    root().join("target").join("python")
}

/// The command that builds the wheel, exactly as a user builds it from a clone.
pub fn build_wheel() -> Command {
    let to = folder().join("wheels");
    let mut build = command("python3", ["-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir"]);
    build.arg(to);
    build
}

/// The wheel that was built last. Refuses one that is too large.
pub fn wheel() -> Outcome<PathBuf> {
    let to = folder().join("wheels");
    let entries = std::fs::read_dir(&to).map_err(Failure::context(to.display().to_string()))?;
    let wheels = entries.flatten().filter_map(|entry| {
        let is_wheel = entry.path().extension().is_some_and(|extension| extension == "whl");
        let metadata = entry.metadata().ok().filter(|_| is_wheel)?;
        Some((metadata.modified().ok()?, metadata.len(), entry.path()))
    });
    let (_, bytes, path) =
        wheels.max().ok_or_else(|| Failure::new(format!("no wheel in {}", to.display())))?;
    eprintln!("{}: {bytes} bytes", path.display());
    if bytes > MOST_WHEEL_BYTES {
        return Err(Failure::new(format!(
            "the wheel has {bytes} bytes, more than {MOST_WHEEL_BYTES}"
        )));
    }
    Ok(path)
}

/// The Pythons to test on: the oldest and the newest of the supported ones on this machine.
pub fn pythons() -> Outcome<Vec<(String, PathBuf)>> {
    let named = VERSIONS.iter().map(|version| format!("python{version}"));
    let mut found: Vec<(String, PathBuf)> =
        named.chain(["python3".to_owned()]).filter_map(|name| version_of(name.as_ref())).collect();
    // pyenv keeps its versions in a folder of its own, outside the search path.
    if let Some(home) = std::env::var_os("HOME") {
        let kept = std::fs::read_dir(Path::new(&home).join(".pyenv/versions"));
        let kept = kept.into_iter().flatten().flatten();
        found.extend(kept.filter_map(|entry| version_of(&entry.path().join("bin/python3"))));
    }
    let place = |version: &str| VERSIONS.iter().position(|known| *known == version);
    found.retain(|(version, _)| place(version).is_some());
    found.sort_by_key(|(version, _)| place(version));
    found.dedup_by(|one, other| one.0 == other.0);
    match found.len() {
        0 => Err(Failure::new("no Python 3.10 or later was found: install one")),
        1 => Ok(found),
        many => {
            found.drain(1..many - 1);
            Ok(found)
        }
    }
}

/// The version of a Python, such as `3.11`; `None` if it cannot be started, or cannot make a
/// virtual environment.
fn version_of(program: &Path) -> Option<(String, PathBuf)> {
    let code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
    if !succeeds(&mut command(program, ["-c", code])) {
        return None;
    }
    let version = output(&mut command(program, ["-c", code])).ok()?;
    Some((version.trim().to_owned(), program.to_owned()))
}

/// The folder of the virtual environment for a version.
fn environment(version: &str) -> PathBuf {
    folder().join(version)
}

/// The command that makes an empty virtual environment.
pub fn make_environment(version: &str, python: &Path) -> Command {
    let mut make = command(python, ["-m", "venv", "--clear"]);
    make.arg(environment(version));
    make
}

/// The command that installs the wheel and the packages that the tests use.
pub fn install(version: &str, wheel: &Path) -> Command {
    let pip = environment(version).join("bin").join("pip");
    let mut install = command(pip, ["install", "--quiet", "--disable-pip-version-check"]);
    install.arg(wheel).args(TEST_PACKAGES);
    install
}

/// The command that tests the installed package. It runs in the workspace's root, where Python does
/// not find the package's sources.
pub fn tests(version: &str, arguments: &[String]) -> Command {
    let python = environment(version).join("bin").join("python");
    let mut tests = command(python, ["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]);
    tests.arg(root().join("python").join("tests")).args(arguments);
    tests
}

/// The command that checks the types of the package and of a program that uses it.
pub fn types(version: &str) -> Command {
    command(environment(version).join("bin").join("mypy"), ["--no-incremental"])
}
