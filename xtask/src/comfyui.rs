//! Does the node pack work in a real `ComfyUI`? `cargo xtask test --comfyui` installs `ComfyUI`
//! with its dependencies, and the pack as a user would install it. Then pytest sends requests to
//! the server over HTTP and a websocket.
//!
//! Everything lies below `target/comfyui/`, which takes 4 GB. `ComfyUI` is never part of this
//! repository: its licence is the GPL.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, Outcome, command, root, run as run_command};

/// The folder for everything that the tests make.
fn folder() -> PathBuf {
    root().join("target").join("comfyui")
}

/// `ComfyUI`'s folder for models, custom nodes and pictures.
fn base() -> PathBuf {
    folder().join("base")
}

fn python() -> PathBuf {
    folder().join("venv").join("bin").join("python")
}

/// The command that downloads `ComfyUI` and installs what it imports, once.
pub fn install() -> Command {
    let mut install = command("python3", ["tests/comfyui/install.py"]);
    install.arg(folder());
    install
}

/// Installs the wheel and the pack: a folder in `custom_nodes`, and the packages that it requires.
pub fn install_pack(wheel: &Path) -> Outcome {
    let mut packages =
        command(python(), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    packages.args(["--force-reinstall", "--no-deps"]).arg(wheel);
    run_command(&mut packages)?;
    let mut required =
        command(python(), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    run_command(required.args(["--requirement", "comfyui/requirements.txt"]))?;
    let custom_nodes = base().join("custom_nodes");
    let pack = custom_nodes.join("preheat");
    if pack.exists() {
        std::fs::remove_dir_all(&pack).map_err(Failure::context(pack.display().to_string()))?;
    }
    copy(&root().join("comfyui"), &pack)?;
    let helpers = custom_nodes.join("preheat_test_nodes");
    copy(&root().join("tests").join("comfyui").join("helper_nodes"), &helpers)?;
    let demo = root().join("examples").join("demo-model");
    copy(&demo, &base().join("models").join("diffusers").join("demo-model"))
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> Outcome {
    let at = |path: &Path| Failure::context(path.display().to_string());
    std::fs::create_dir_all(to).map_err(at(to))?;
    for entry in std::fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let Some(name) = path.file_name() else { continue };
        if name == "__pycache__" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            std::fs::copy(&path, to.join(name)).map(drop).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// The command that makes small checkpoints, and LoRAs for them.
pub fn make_models() -> Command {
    let mut make = command(python(), ["tests/comfyui/make_models.py"]);
    make.arg(folder().join("ComfyUI")).arg(base());
    make
}

/// The names under which systems have Chromium, in which the tests open the page.
const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// Whether the tests find a browser. tests/comfyui/browser.py looks in the same places.
pub fn has_browser() -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&paths);
    std::env::var_os("PREHEAT_TEST_CHROMIUM").is_some_and(|path| !path.is_empty())
        || folders.any(|folder| BROWSERS.iter().any(|name| folder.join(name).is_file()))
}

/// The command that runs the tests.
pub fn tests(arguments: &[String]) -> Command {
    let mut tests = command(python(), ["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]);
    tests.arg("tests/comfyui").args(arguments);
    tests
        .env("PREHEAT_TEST_COMFYUI", folder().join("ComfyUI"))
        .env("PREHEAT_TEST_COMFYUI_BASE", base());
    tests
}
