//! Where are the native libraries, and how are they installed? `preheat plugins` answers and
//! installs them.

use std::path::PathBuf;

use clap::Subcommand;

use super::context::Context;
use super::output::{document, line, table};
use super::{CliError, Status};
use preheat_plugins::{
    Found, InstallProgress, Installer, LibtorchSet, PluginName, PluginSearch, frameworks,
    version_matches,
};
use preheat_runtime::backend::torch;

#[derive(Debug, Subcommand)]
pub(super) enum PluginsCommand {
    /// List each plugin, every version that was found, and where it was looked for
    List,
    /// Download a plugin's wheel with pip, check it and unpack it
    Install {
        /// xla-cpu, tpu or torch. tpu==0.0.50 names another version than the one that preheat was
        /// tested with, and tpu==0.0.50.* the newest version that begins with 0.0.50. torch is
        /// libtorch, with CUDA if an NVIDIA card is found; torch-cpu and torch-cuda choose one of
        /// the two
        name: String,
        /// A wheel file that was downloaded before. Its digest is checked if preheat knows it
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
        /// Install again even if it is installed
        #[arg(long)]
        force: bool,
        /// Install libtorch even if preheat's torch library is missing, for example to build that
        /// library
        #[arg(long)]
        libtorch_alone: bool,
    },
}

pub(super) fn plugins(context: &Context, command: &PluginsCommand) -> Result<Status, CliError> {
    match command {
        PluginsCommand::List => list(context),
        PluginsCommand::Install { name, wheel, force, libtorch_alone } => install(
            context,
            name,
            wheel.as_deref(),
            Wanting { force: *force, libtorch_alone: *libtorch_alone },
        ),
    }
}

fn list(context: &Context) -> Result<Status, CliError> {
    let search = PluginSearch::from_process();
    let all = preheat_plugins::list(&search);
    if context.json {
        document(&all)?;
        return Ok(Status::Done);
    }
    let mut rows = table(&["plugin", "version", "used", "found by", "path"]);
    for found in &all {
        let used = found.plugin.as_ref().map(|plugin| &plugin.path);
        if used.is_none() {
            let nothing = String::new;
            let row = [found.name.to_string(), nothing(), nothing(), nothing()];
            rows.add_row(row.into_iter().chain(["not found".to_owned()]));
        }
        for place in found.libraries() {
            rows.add_row([
                found.name.to_string(),
                place.version.clone().unwrap_or_default(),
                if used == Some(&place.path) { "yes" } else { "no" }.to_owned(),
                place.origin.to_string(),
                place.path.display().to_string(),
            ]);
        }
    }
    rows.print()?;
    for (framework, requirement) in required_libtpus(&search) {
        let here = all.iter().filter(|found| found.name == PluginName::Tpu);
        let mut versions = here.flat_map(Found::libraries).filter_map(|one| one.version.as_deref());
        let is_here = versions.any(|version| version_matches(&requirement, version));
        let what_to_do = if is_here {
            "which is here".to_owned()
        } else {
            format!("`preheat plugins install tpu=={requirement}` installs it")
        };
        line(&format!("{framework} requires libtpu {requirement}: {what_to_do}"))?;
    }
    for found in all.iter().filter(|found| found.plugin.is_none()) {
        line(&format!("{} was looked for at\n{}", found.name, found.places_in_words()))?;
    }
    Ok(Status::Done)
}

/// The frameworks in the Python environment that require a version of libtpu, each with that
/// version.
fn required_libtpus(search: &PluginSearch<'_>) -> impl Iterator<Item = (String, String)> {
    frameworks(search.env, &search.site_packages).into_iter().filter_map(|framework| {
        let name = format!("{} {}", framework.name, framework.version);
        Some((name, framework.required_libtpu?))
    })
}

/// How a library is to be installed.
#[derive(Clone, Copy)]
struct Wanting {
    /// Install the library even if it is installed already.
    force: bool,
    /// Install libtorch even if the torch library, which would use it, is missing.
    libtorch_alone: bool,
}

fn install(
    context: &Context,
    name: &str,
    wheel: Option<&std::path::Path>,
    wanting: Wanting,
) -> Result<Status, CliError> {
    match (name, wheel) {
        ("torch", None) => return install_torch(context, LibtorchSet::for_this_machine(), wanting),
        ("torch-cpu", None) => return install_torch(context, LibtorchSet::Cpu, wanting),
        ("torch-cuda", None) => return install_torch(context, LibtorchSet::Cuda, wanting),
        ("torch" | "torch-cpu" | "torch-cuda", Some(_)) => {
            let why = "libtorch is made of several wheels, so --wheel cannot name it; pip finds local ones by PIP_FIND_LINKS";
            return Err(CliError::Usage(why.to_owned()));
        }
        _ if wanting.libtorch_alone => {
            return Err(CliError::Usage(
                "--libtorch-alone goes with torch, torch-cpu and torch-cuda".to_owned(),
            ));
        }
        _ => {}
    }
    let (name, version) = match name.split_once("==") {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    };
    let name: PluginName = name
        .parse()
        .map_err(|error| CliError::Usage(format!("{error}, and torch for libtorch")))?;
    let pin = preheat_plugins::pin(name)?;
    let progress = |progress| context.shown.install(&progress);
    let cancelled = || context.cancel.is_cancelled();
    let Wanting { force, .. } = wanting;
    let mut installer = Installer {
        force,
        progress: &progress,
        cancelled: &cancelled,
        ..Installer::from_process()?
    };
    if let Some(wheel) = wheel {
        installer.source = preheat_plugins::WheelSource::Wheel(wheel.to_owned());
    }
    let done = match version {
        Some(version) => installer.install_version(pin, version)?,
        None => installer.install(pin)?,
    };
    context.shown.finish();
    if context.json {
        document(&serde_json::json!({
            "name": name,
            "version": done.manifest.version,
            "path": done.library.to_string_lossy(),
            "already_installed": done.already_installed,
        }))?;
        return Ok(Status::Done);
    }
    let how = if done.already_installed { "is installed already" } else { "is installed" };
    line(&format!("{name} {} {how}: {}", done.manifest.version, done.library.display()))?;
    Ok(Status::Done)
}

/// Installs libtorch. preheat calls libtorch only through the torch library, which is built and
/// never downloaded. Without that library, libtorch is of use only for building it.
fn install_torch(
    context: &Context,
    set: LibtorchSet,
    wanting: Wanting,
) -> Result<Status, CliError> {
    let Wanting { force, libtorch_alone } = wanting;
    if !libtorch_alone && torch::installed_library(&torch::TorchLookup::from_process()).is_none() {
        return Err(CliError::NoTorchLibrary);
    }
    let progress = |progress| {
        // Nearly all of libtorch's ten thousand files are headers, too small to show.
        let is_small = match progress {
            InstallProgress::Unpack { total_bytes, .. } => total_bytes < 1 << 20,
            _ => false,
        };
        if !is_small {
            context.shown.install(&progress);
        }
    };
    let cancelled = || context.cancel.is_cancelled();
    let installer = Installer {
        force,
        progress: &progress,
        cancelled: &cancelled,
        ..Installer::from_process()?
    };
    let done = installer.install_libtorch(set)?;
    context.shown.finish();
    let found = torch::find(&torch::TorchLookup::from_process());
    if context.json {
        document(&serde_json::json!({
            "name": "torch",
            "version": done.version,
            "set": if set == LibtorchSet::Cuda { "cuda" } else { "cpu" },
            "path": done.folder.to_string_lossy(),
            "already_installed": done.already_installed,
            "torch_library": found.as_ref().ok().map(|found| found.backend.to_string_lossy()),
            "install_torch_library_as": preheat_plugins::torch_folder(&installer.data_dir).join(torch::backend_file()).to_string_lossy(),
        }))?;
        return Ok(Status::Done);
    }
    let how = if done.already_installed { "is installed already" } else { "is installed" };
    line(&format!("libtorch {} for {set} {how}: {}", done.version, done.folder.display()))?;
    match found {
        Ok(found) => line(&format!("the torch library is {}", found.backend.display()))?,
        Err(_) => line(
            "the torch library, which calls it, is not there yet: in preheat's sources `cargo xtask setup torch` builds and installs \
             it (a C++ compiler is needed); PREHEAT_TORCH_BACKEND names one that is built",
        )?,
    }
    Ok(Status::Done)
}
