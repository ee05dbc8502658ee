//! Where are the native libraries, and how are they installed? `preheat plugins` answers and
//! installs them.

use super::args::PluginsCommand;
use super::output::{document, line, table};
use super::{CliError, Context, Status};
use crate::backend::torch;
use crate::plugins::{self, Installer, LibtorchSet, Lookup, PluginName, Progress};

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
    let all = plugins::list(&Lookup::from_process());
    if context.json {
        document(&all)?;
        return Ok(Status::Done);
    }
    let mut rows = table(&["plugin", "version", "found by", "path"]);
    for found in &all {
        let row = match &found.plugin {
            Some(plugin) => [
                found.name.to_string(),
                plugin.version.clone().unwrap_or_default(),
                plugin.origin.to_string(),
                plugin.path.display().to_string(),
            ],
            None => [found.name.to_string(), String::new(), String::new(), "not found".to_owned()],
        };
        rows.add_row(row);
    }
    rows.print()?;
    for found in all.iter().filter(|found| found.plugin.is_none()) {
        line(&format!("{} was looked for at\n{}", found.name, found.places_in_words()))?;
    }
    Ok(Status::Done)
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
    let name: PluginName = name
        .parse()
        .map_err(|error| CliError::Usage(format!("{error}, and torch for libtorch")))?;
    let pin = plugins::pin(name)?;
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
        installer.source = plugins::Source::Wheel(wheel.to_owned());
    }
    let done = installer.install(pin)?;
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

/// Installs libtorch for the torch library, which calls it. The torch library is built and not
/// downloaded, and libtorch is of no use without it.
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
        let is_small =
            matches!(progress, Progress::Unpack { total_bytes, .. } if total_bytes < 1 << 20);
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
            "install_torch_library_as": plugins::torch_folder(&installer.data_dir).join(torch::backend_file()).to_string_lossy(),
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
