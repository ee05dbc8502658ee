//! What does the `xla` crate need to be built and run? It needs an `xla_extension`, and a libclang
//! for bindgen. This module makes them or finds the user's own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{Failure, Outcome, cargo, output, spelled};
use crate::prerequisites;

/// The variable that names the user's own `xla_extension`. If it is set, none is made.
const OWN: &str = "XLA_EXTENSION_DIR";

/// The variable with the arguments that bindgen passes to clang.
const BINDGEN: &str = "BINDGEN_EXTRA_CLANG_ARGS";

/// The variable that tells the loader where the libraries are. It is needed because the rpath of
/// the crate's build script does not reach programs that depend on the crate.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// An `xla_extension` and how to use it.
pub struct Extension {
    folder: PathBuf,
    /// Whether it was made here, with a libclang beside it.
    made_here: bool,
}

impl Extension {
    /// The user's own extension if `XLA_EXTENSION_DIR` is set, or else the one that [`Self::make`]
    /// makes.
    pub fn own_or_made() -> Outcome<Self> {
        match std::env::var_os(OWN).filter(|folder| !folder.is_empty()) {
            Some(folder) => {
                eprintln!("{OWN} is set: using {}", folder.display());
                Ok(Self { folder: folder.into(), made_here: false })
            }
            None => Self::make(),
        }
    }

    /// Makes the extension from wheels, unless it is there. xtask/xla-rs/main.rs describes it.
    pub fn make() -> Outcome<Self> {
        prerequisites::check(prerequisites::XLA_RS)?;
        let mut command = cargo([
            "run",
            "--quiet",
            "--package",
            "xtask",
            "--features",
            "xla-rs",
            "--bin",
            "xla-extension",
        ]);
        eprintln!("$ {}", spelled(&command));
        let printed = output(&mut command)?;
        let folder = printed.lines().last().map(PathBuf::from).filter(|folder| folder.is_dir());
        let folder = folder
            .ok_or_else(|| Failure::new(format!("`{}` named no folder", spelled(&command))))?;
        Ok(Self { folder, made_here: true })
    }

    /// The variables that a build and a run need, each with its value. The values do not contain
    /// what the environment already has.
    fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![(OWN, self.folder.clone().into_os_string())];
        if self.made_here {
            let clang = self.folder.join("clang");
            variables
                .push((BINDGEN, format!("-isystem {}", clang.join("include").display()).into()));
            variables.push(("LIBCLANG_PATH", clang.into()));
        }
        variables.push((LIBRARIES, self.folder.join("lib").into_os_string()));
        variables
    }

    /// `cargo` with these arguments and the variables.
    pub fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = cargo(arguments);
        for (name, mut value) in self.variables() {
            if let Some(others) =
                std::env::var_os(name).filter(|others| name == LIBRARIES && !others.is_empty())
            {
                value.push(":");
                value.push(others);
            }
            command.env(name, value);
        }
        command
    }
}

/// `cargo xtask setup xla-rs`: makes the extension, and prints the variables as a shell reads them.
pub fn setup() -> Outcome {
    let extension = Extension::make()?;
    eprintln!(
        "Made from TensorFlow's wheel: fit for tests and for building graphs. It has no StableHLO text, no GPU client and no plugin client.\n\
         A shell takes the variables below with: eval \"$(cargo xtask setup xla-rs)\""
    );
    for (name, value) in extension.variables() {
        let value = format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"));
        let others = if name == LIBRARIES { "${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" } else { "" };
        println!("export {name}={value}{others}");
    }
    Ok(())
}
