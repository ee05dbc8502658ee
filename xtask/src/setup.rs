//! How do the native parts get onto a machine? `cargo xtask setup` puts plugins into the user's
//! data folder through the binary's own `plugins install`. It also makes the XLA that the feature
//! `xla-rs` links, and builds the torch library with its libtorch.

use std::process::Command;

use clap::ValueEnum;

use crate::command::{Outcome, cargo, run as run_command};
use crate::{prerequisites, torch, xla_rs};

#[derive(clap::Args)]
pub struct Arguments {
    /// The plugins to install. `xla-rs` is not a plugin, but the XLA that the feature of that name
    /// links; `torch` is libtorch with the library that calls it.
    #[arg(default_value = "xla-cpu")]
    plugins: Plugins,
}

#[derive(Clone, Copy, ValueEnum)]
enum Plugins {
    XlaCpu,
    Tpu,
    All,
    XlaRs,
    Torch,
}

/// The build profile of the binary that installs the plugins. It is the profile that the task needs
/// anyway, so that the binary is built only once.
#[derive(Clone, Copy)]
pub enum Profile {
    Debug,
    Release,
}

pub fn run(arguments: &Arguments) -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    let names: &[&str] = match arguments.plugins {
        Plugins::XlaCpu => &["xla-cpu"],
        Plugins::Tpu => &["tpu"],
        Plugins::All => &["xla-cpu", "tpu"],
        Plugins::XlaRs => return xla_rs::setup(),
        Plugins::Torch => return torch::setup(Profile::Release),
    };
    names.iter().try_for_each(|name| run_command(&mut install(name, Profile::Release)))
}

/// The command that makes sure that a plugin is installed. It downloads nothing if the plugin is
/// there already.
pub fn install(name: &str, profile: Profile) -> Command {
    let mut command = cargo(["run", "--quiet", "--package", "preheat"]);
    if let Profile::Release = profile {
        command.arg("--release");
    }
    command.args(["--", "plugins", "install", name]);
    command
}
