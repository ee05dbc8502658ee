//! Which frameworks are in this Python environment, which plugin would each load, and would it use
//! preheat's cache? `preheat doctor` answers this. It reads files and environment variables, and
//! starts no Python, unless a report is asked for (`doctor_report.rs`).

use std::path::{Path, PathBuf};

use preheat_io::printable::optional_path_as_text;
use preheat_plugins::{
    FrameworkPlugin, InstalledFramework, PluginName, PluginSearch, find, frameworks,
    version_matches,
};
use serde::Serialize;

use super::args::DoctorArgs;
use super::context::Context;
use super::doctor_report::{self, Report};
use super::exec::{LIBRARY, plugin_file, process_env};
use super::output::{document, line, table};
use super::{CliError, Status};

/// What `preheat doctor` found.
#[derive(Serialize)]
struct Diagnosis {
    /// The caching plugin that `preheat exec` would use; `None` if it is not found.
    #[serde(serialize_with = "optional_path_as_text")]
    caching_plugin: Option<PathBuf>,
    /// The TPU plugin that the caching plugin would wrap; `None` if it is not found.
    #[serde(serialize_with = "optional_path_as_text")]
    tpu_plugin: Option<PathBuf>,
    frameworks: Vec<Examined>,
    /// What to do, in whole sentences. Empty if nothing is to be done.
    advice: Vec<String>,
    /// What came out for the claims that were not verified on such a machine, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

/// A framework, and which of its plugins are preheat's.
#[derive(Serialize)]
struct Examined {
    #[serde(flatten)]
    framework: InstalledFramework,
    /// For each of its plugins, in the same order, whether it is preheat's caching plugin.
    through_preheat: Vec<bool>,
}

/// Prints what was found. The command succeeds whatever was found, because a framework that runs
/// without preheat is not an error.
///
/// A claim of a report that does not hold is a failure.
pub(super) fn doctor(context: &Context, args: &DoctorArgs) -> Result<Status, CliError> {
    let named = args.env.plugin.as_deref();
    let caching = match plugin_file(named, &process_env) {
        Ok(path) => Ok(path),
        Err(CliError::Usage(what_to_do)) if named.is_none() => Err(what_to_do),
        Err(error) => return Err(error),
    };
    let search = PluginSearch::from_process();
    let found = frameworks(&process_env, &search.site_packages);
    let is_ours = |plugin: &FrameworkPlugin| {
        plugin.path.as_deref().is_some_and(|path| is_caching_plugin(path, caching.as_ref().ok()))
    };
    let examined: Vec<Examined> = found
        .into_iter()
        .map(|framework| Examined {
            through_preheat: framework.plugins.iter().map(is_ours).collect(),
            framework,
        })
        .collect();
    let tpu = process_env("PREHEAT_REAL_PLUGIN").map(PathBuf::from).or_else(|| {
        let is_wrapper = |path: &Path| is_caching_plugin(path, caching.as_ref().ok());
        find(PluginName::Tpu, &search).to_wrap(is_wrapper).map(Path::to_owned)
    });
    let (report, status) = match &args.report {
        Some(path) => {
            let has_jax = examined.iter().any(|one| one.framework.name == "jax");
            let no_jax = match (has_jax, &caching) {
                (false, _) => Some("no JAX is in a Python environment here"),
                (true, Err(_)) => Some("the caching plugin is not found"),
                (true, Ok(_)) => None,
            };
            let (report, status) = doctor_report::report(context, path, no_jax)?;
            (Some(report), status)
        }
        None => (None, Status::Done),
    };
    let diagnosis = Diagnosis {
        advice: advice(&examined, caching.as_ref().err()),
        caching_plugin: caching.ok(),
        tpu_plugin: tpu,
        frameworks: examined,
        report,
    };
    if context.json {
        document(&diagnosis)?;
    } else {
        print(&diagnosis)?;
        if let (Some(report), Some(path)) = (&diagnosis.report, &args.report) {
            doctor_report::print(report, path)?;
        }
    }
    Ok(status)
}

/// Whether a path leads to the caching plugin. A file with the caching plugin's name counts, too.
fn is_caching_plugin(path: &Path, caching: Option<&PathBuf>) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let is_named_so = path.file_name().is_some_and(|name| name == LIBRARY);
    is_named_so || (real(path).is_some() && real(path) == caching.and_then(|path| real(path)))
}

/// What to do, in whole sentences.
fn advice(examined: &[Examined], no_caching_plugin: Option<&String>) -> Vec<String> {
    let mut advice: Vec<String> = no_caching_plugin.cloned().into_iter().collect();
    for Examined { framework, through_preheat } in examined {
        let InstalledFramework { name, required_libtpu, plugins, .. } = framework;
        for plugin in plugins.iter().filter(|plugin| plugin.platform == "tpu") {
            let (Some(required), Some(version)) = (required_libtpu, &plugin.version) else {
                continue;
            };
            if !version_matches(required, version) {
                advice.push(format!(
                    "install libtpu=={required}: {name} requires it, and libtpu {version} is \
                     installed, so that {name} may refuse executables that were compiled ahead"
                ));
            }
        }
        // The first plugin is the one that the framework chooses.
        let (Some(first), Some(false)) = (plugins.first(), through_preheat.first()) else {
            continue;
        };
        advice.push(match (first.platform.as_str(), *name) {
            ("cuda", _) => format!(
                "docs/plugin.md says how {name} can use the cache on CUDA; an environment variable \
                 alone is not enough"
            ),
            ("cpu", "torch_xla") => "run torch_xla on a TPU, or over a `DevicePlugin` \
                                     (docs/plugin.md): its own code for the CPU cannot be cached"
                .to_owned(),
            (platform, _) => {
                let device = if platform == "tpu" { "tpu" } else { "xla-cpu" };
                format!(
                    "run `preheat exec --device {device} -- COMMAND` so that {name} uses the \
                     cache, or set what `preheat --device {device} env` prints"
                )
            }
        });
    }
    advice.dedup();
    advice
}

fn print(diagnosis: &Diagnosis) -> Result<(), CliError> {
    let shown = |path: &Option<PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => "not found".to_owned(),
    };
    line(&format!("caching plugin: {}", shown(&diagnosis.caching_plugin)))?;
    line(&format!("TPU plugin that the caching plugin wraps: {}", shown(&diagnosis.tpu_plugin)))?;
    match diagnosis.frameworks.first() {
        None => line("no JAX, torch_xla or TorchTPU is in a Python environment here")?,
        Some(first) => {
            line(&format!("Python packages: {}", first.framework.site_packages.display()))?;
            let mut rows = table(&["framework", "platform", "preheat", "plugin"]);
            for Examined { framework, through_preheat } in &diagnosis.frameworks {
                for (plugin, through) in framework.plugins.iter().zip(through_preheat) {
                    rows.add_row([
                        format!("{} {}", framework.name, framework.version),
                        plugin.platform.clone(),
                        if *through { "yes" } else { "no" }.to_owned(),
                        place(plugin),
                    ]);
                }
            }
            rows.print()?;
        }
    }
    diagnosis.advice.iter().try_for_each(|one| line(one))
}

/// Where a plugin was found: its package with the version, its path, or what names it.
fn place(plugin: &FrameworkPlugin) -> String {
    let FrameworkPlugin { path, named_by, version, .. } = plugin;
    match (path, version) {
        (_, Some(version)) => format!("{named_by} {version}"),
        (Some(path), None) => format!("{} ({named_by})", path.display()),
        (None, None) => named_by.clone(),
    }
}
