//! How does the torch library get onto a machine? `cargo xtask setup torch` installs libtorch from
//! its wheels, builds the torch library against it, and puts both into the user's data folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Failure, Outcome, command, output, root, run, spelled};
use crate::prerequisites;
use crate::setup::{Profile, install};

/// The variable that names the user's own libtorch. If it is set, no libtorch is installed.
const OWN: &str = "LIBTORCH";
/// The variable that names a torch library that is already built.
const LIBRARY: &str = "PREHEAT_TORCH_BACKEND";

/// A libtorch, and the torch library built against it.
pub struct SetUp {
    /// The folder that the crate tch calls LIBTORCH.
    libtorch: PathBuf,
    /// The path of the torch library in the user's data folder; `None` if the user's own libtorch
    /// is used.
    installed: Option<PathBuf>,
}

/// `cargo xtask setup torch`.
pub fn setup(profile: Profile) -> Outcome {
    let set_up = SetUp::make(profile)?;
    let Some(installed) = &set_up.installed else {
        println!("The torch library is {}: name it in {LIBRARY}", built().display());
        return Ok(());
    };
    // The file is renamed into place, so that a process that has loaded the old one keeps it.
    let staged = installed.with_extension("new");
    let failed = || Failure::context(format!("could not install {}", installed.display()));
    std::fs::copy(built(), &staged).map_err(failed())?;
    std::fs::rename(&staged, installed).map_err(failed())?;
    println!("The torch library is installed: {}", installed.display());
    Ok(())
}

/// `cargo` in the torch library's own workspace, which builds into `torch/` in the target folder.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = command("cargo", [subcommand]);
    command.current_dir(root().join("torch")).env("CARGO_TARGET_DIR", target());
    command
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("torch")
}

impl SetUp {
    /// Installs libtorch, unless `LIBTORCH` names one, and builds the torch library.
    pub fn make(profile: Profile) -> Outcome<Self> {
        prerequisites::check(prerequisites::TORCH)?;
        let own = std::env::var_os(OWN).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let (libtorch, installed) = match own {
            Some(folder) => {
                eprintln!("{OWN} is set: using {}", folder.display());
                (folder, None)
            }
            None => installed(profile)?,
        };
        let set_up = Self { libtorch, installed };
        run(set_up.cargo("build").arg("--release"))?;
        Ok(set_up)
    }

    /// `cargo` in the torch library's workspace, with the variables that name its libtorch.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo(subcommand);
        command.env(OWN, &self.libtorch);
        // The library's own tests load libtorch by its name.
        let mut folders = self.libtorch().join("lib").into_os_string();
        if let Some(others) =
            std::env::var_os("LD_LIBRARY_PATH").filter(|others| !others.is_empty())
        {
            folders.push(":");
            folders.push(others);
        }
        command.env("LD_LIBRARY_PATH", folders);
        command
    }

    /// The folder that the crate tch calls LIBTORCH.
    pub fn libtorch(&self) -> &Path {
        &self.libtorch
    }
}

/// The variables by which a program finds the torch library of this checkout, which is built if
/// necessary. There are none if the environment already names a library.
pub fn variables(profile: Profile) -> Outcome<Vec<(&'static str, PathBuf)>> {
    if std::env::var_os(LIBRARY).is_some_and(|named| !named.is_empty()) {
        return Ok(Vec::new());
    }
    let set_up = SetUp::make(profile)?;
    Ok(vec![(LIBRARY, built()), (OWN, set_up.libtorch)])
}

/// The torch library as it was built.
pub fn built() -> PathBuf {
    let file =
        format!("{}preheat_torch{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target().join("release").join(file)
}

/// Lets the binary install libtorch. Returns libtorch's folder, and the path at which the torch
/// library is to be installed.
fn installed(profile: Profile) -> Outcome<(PathBuf, Option<PathBuf>)> {
    let mut command = install("torch", profile);
    command.args(["--libtorch-alone", "--json"]);
    eprintln!("$ {}", spelled(&command));
    let printed: Value = serde_json::from_str(&output(&mut command)?)
        .map_err(Failure::context(format!("`{}` printed no JSON", spelled(&command))))?;
    let path = |name: &str| printed[name].as_str().map(PathBuf::from);
    let none = || Failure::new(format!("`{}` named no folder", spelled(&command)));
    Ok((path("path").ok_or_else(none)?, path("install_torch_library_as")))
}
