//! What should each release of a storm compute? This module holds a release's binary, and the
//! results that the release gives for each program and for the model if nothing disturbs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::action::{PROGRAMS, program};
use super::read;
use crate::command::{Failure, Outcome, command, output, root, run as run_command, spelled};
use crate::preheat::{Preheat, json};

/// The variable that marks the processes of a storm, and their children.
pub const MARK: &str = "PREHEAT_STORM_FOLDER";
/// A flag with which XLA compiles in half the time.
const QUICK: &str = "--xla_backend_optimization_level=0";
/// The request of every picture in a storm.
pub const PICTURE: [&str; 6] = ["--prompt", "the digit seven", "--seed", "7", "--steps", "4"];

/// The names of the two releases, which are also the names of their folders.
pub const THIS: &str = "this";
pub const OLDER: &str = "older";

pub struct Release {
    name: &'static str,
    preheat: Preheat,
    plugin: PathBuf,
    /// The flag of trust, if this release's `cache import` has one.
    trust: Option<&'static str>,
    picture: Vec<u8>,
    /// The output and the graph key of each program.
    programs: Vec<(Vec<u8>, String)>,
    exported: PathBuf,
}

impl Release {
    /// Runs everything once on a store that nobody else uses, and exports that store.
    pub fn with_references(
        name: &'static str,
        preheat: Preheat,
        plugin: PathBuf,
        folder: &Path,
    ) -> Outcome<Self> {
        let exported = folder.join(format!("{name}.preheat"));
        let (picture, programs, trust) = (Vec::new(), Vec::new(), None);
        let mut release = Self { name, preheat, plugin, trust, picture, programs, exported };
        let help = output(release.command(folder, folder).args(["cache", "import", "--help"]))?;
        release.trust = help.contains("--trust").then_some("--trust");
        let store = folder.join(format!("reference-{name}"));
        let written = folder.join(format!("reference-{name}.safetensors"));
        for subject in 0..PROGRAMS {
            let mut run = release.command(folder, &store);
            run.args(["--json", "--quiet", "program", "run"])
                .arg(program(folder, subject))
                .arg("--output")
                .arg(&written);
            let ran = json(&mut run)?;
            let key = ran["stages"][0]["graph_key"].as_str();
            let key = key.ok_or_else(|| {
                Failure::new(format!("`{}` printed no graph key:\n{ran:#}", spelled(&run)))
            })?;
            release.programs.push((read(&written)?, key.to_owned()));
        }
        let written = written.with_extension("png");
        let mut run = release.command(folder, &store);
        run.args(["--quiet", "run"]).args(PICTURE).arg("--output").arg(&written);
        output(&mut run)?;
        release.picture = read(&written)?;
        output(release.command(folder, &store).args(["cache", "export"]).arg(&release.exported))?;
        Ok(release)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it is the release that `--with-release` names.
    pub fn is_older(&self) -> bool {
        self.name == OLDER
    }

    /// A command of preheat on a store. The command gets none of this process's `PREHEAT_`
    /// variables. Its home, data and temporary folders are in `folder`.
    pub fn command(&self, folder: &Path, store: &Path) -> Command {
        let mut command = self.preheat.command(["--cache-dir"]);
        command.arg(store);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PREHEAT_") {
                command.env_remove(name);
            }
        }
        command
            .env("PREHEAT_DEVICE", "xla-cpu")
            .env("PREHEAT_XLA_CPU_PLUGIN", &self.plugin)
            .env("PREHEAT_TORCH_BACKEND", folder.join("no-torch-library"))
            .env("XLA_FLAGS", QUICK)
            .env("HOME", folder.join("home"))
            .env("XDG_DATA_HOME", folder.join("home"))
            .env("TMPDIR", folder.join("tmp"))
            .env(MARK, folder);
        command
    }

    pub fn picture(&self) -> &[u8] {
        &self.picture
    }

    pub fn output(&self, subject: usize) -> &[u8] {
        &self.programs[subject].0
    }

    pub fn key(&self, subject: usize) -> &str {
        &self.programs[subject].1
    }

    /// The reference store as a file.
    pub fn exported(&self) -> &Path {
        &self.exported
    }

    /// The flag that tells `cache import` that the user trusts whoever made the file.
    pub fn trust(&self) -> Option<&'static str> {
        self.trust
    }
}

/// Builds the binary of another commit of this repository, in a folder below `target/` that is kept
/// for the next time.
pub fn build(commit: &str) -> Outcome<Preheat> {
    let commit =
        output(&mut command("git", ["rev-parse", "--verify", &format!("{commit}^{{commit}}")]))?;
    let commit = commit.trim();
    let folder = root().join("target/releases").join(commit);
    let sources = folder.join("sources");
    std::fs::create_dir_all(&sources)
        .map_err(Failure::context(format!("making {}", sources.display())))?;
    let archive = folder.join("sources.tar");
    run_command(command("git", ["archive", "--output"]).arg(&archive).arg(commit))?;
    run_command(command("tar", ["-xf"]).arg(&archive).arg("-C").arg(&sources))?;
    let mut build =
        command("cargo", ["build", "--package", "preheat", "--bin", "preheat", "--target-dir"]);
    run_command(build.arg(folder.join("target")).current_dir(&sources))?;
    Preheat::given_or_built(Some(&folder.join("target/debug/preheat")))
}
