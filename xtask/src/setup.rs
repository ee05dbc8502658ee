//! `cargo xtask setup`: native plugins into the user's data folder, by way of the binary's own
//! `plugins install`, what the feature `xla-rs` links, and the torch library with its libtorch.

use std::process::Command;

use clap::ValueEnum;

use crate::command::{Outcome, cargo, run as run_command};
use crate::{prerequisites, torch, xla_rs};

#[derive(clap::Args)]
pub struct Arguments {
    /// Which plugins; `xla-rs` is none, but what the feature of that name needs, and `torch` is
    /// libtorch and the library that calls it.
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

/// How the binary that installs is built: in the profile that the task needs anyway.
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

/// The command that makes sure a plugin is installed. It downloads nothing where it is.
pub fn install(name: &str, profile: Profile) -> Command {
    let mut command = cargo(["run", "--quiet", "--package", "preheat"]);
    if let Profile::Release = profile {
        command.arg("--release");
    }
    command.args(["--", "plugins", "install", name]);
    command
}
