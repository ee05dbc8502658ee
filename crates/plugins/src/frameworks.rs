//! Which frameworks that use XLA does a Python environment have, and which plugins would each of
//! them load?
//!
//! Everything is read from the file system and from environment variables, by the rules of each
//! framework. No Python is started, because importing a framework takes seconds, and can lock the
//! TPU.
//!
//! | framework | its plugin |
//! |---|---|
//! | JAX | each `name:path` of `PJRT_NAMES_AND_LIBRARY_PATHS`; for a TPU `TPU_LIBRARY_PATH`, or else the package libtpu; for CUDA a package in `jax_plugins`; for the CPU its own code. `JAX_PLATFORMS` chooses among them |
//! | `torch_xla` | for a TPU the same as JAX; for the CPU its own code. `PJRT_DEVICE` chooses |
//! | TorchTPU | for a TPU the same as JAX |

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use preheat_io::input;
use preheat_io::printable::{optional_path_as_text, path_as_text};
use serde::Serialize;

use super::PluginName;
use super::site_packages::{Candidate, candidates, distribution_version};

/// A wheel's METADATA can have some hundred kilobytes, because it contains the package's
/// description.
const MOST_METADATA_BYTES: u64 = 16 << 20;

/// A framework whose programs XLA compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framework {
    Jax,
    TorchXla,
    TorchTpu,
}

impl Framework {
    const ALL: [Self; 3] = [Self::Jax, Self::TorchXla, Self::TorchTpu];

    /// The distribution's name, as its `.dist-info` folder spells it.
    const fn distribution(self) -> &'static str {
        match self {
            Self::Jax => "jax",
            Self::TorchXla => "torch_xla",
            Self::TorchTpu => "torch_tpu",
        }
    }
}

/// A framework in a Python environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InstalledFramework {
    /// `jax`, `torch_xla` or `torch_tpu`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The folder that it is installed in.
    #[serde(serialize_with = "path_as_text")]
    pub site_packages: PathBuf,
    /// The version of libtpu that its metadata require by `==`, such as `0.0.50.*`; `None` if they
    /// require none in this way.
    pub required_libtpu: Option<String>,
    /// The plugins that it would load, the one that it would choose first.
    pub plugins: Vec<FrameworkPlugin>,
}

/// A plugin that a framework would load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FrameworkPlugin {
    /// The platform's name in that framework, such as `tpu`, `cuda` or `cpu`.
    pub platform: String,
    /// The library; `None` for code that is built into the framework.
    #[serde(serialize_with = "optional_path_as_text")]
    pub path: Option<PathBuf>,
    /// Where the framework has it from, in words: a variable, a package, or its own code.
    pub named_by: String,
    /// The version of the package that the library is from, if it is from one.
    pub version: Option<String>,
}

/// The frameworks in the first of these package folders that contains a framework. Later folders do
/// not count, because a process imports from one environment. `env` reads an environment variable.
pub fn frameworks(
    env: &dyn Fn(&str) -> Option<OsString>,
    site_packages: &[PathBuf],
) -> Vec<InstalledFramework> {
    let in_folder = |folder: &PathBuf| {
        let installed = |framework: Framework| {
            let version = distribution_version(folder, &[framework.distribution()])?;
            Some(InstalledFramework {
                name: framework.distribution(),
                required_libtpu: required_libtpu(folder, framework, &version),
                version,
                site_packages: folder.clone(),
                plugins: plugins(framework, folder, env),
            })
        };
        Framework::ALL.into_iter().filter_map(installed).collect::<Vec<_>>()
    };
    site_packages.iter().map(in_folder).find(|found| !found.is_empty()).unwrap_or_default()
}

/// The plugins that a framework in `folder` would load.
fn plugins(
    framework: Framework,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<FrameworkPlugin> {
    let set = |variable: &str| env(variable).filter(|value| !value.is_empty());
    let mut all = Vec::new();
    if framework == Framework::Jax {
        let named = set("PJRT_NAMES_AND_LIBRARY_PATHS").unwrap_or_default();
        all.extend(named.to_string_lossy().split(',').filter_map(|one| {
            let (name, path) = one.split_once(':')?;
            Some(by_variable(name, path, "PJRT_NAMES_AND_LIBRARY_PATHS"))
        }));
    }
    match set("TPU_LIBRARY_PATH") {
        Some(path) => all.push(by_variable("tpu", &path, "TPU_LIBRARY_PATH")),
        None => all.extend(in_package("tpu", PluginName::Tpu, folder)),
    }
    if framework == Framework::Jax {
        all.extend(in_package("cuda", PluginName::XlaCuda, folder));
    }
    if framework != Framework::TorchTpu {
        all.push(FrameworkPlugin {
            platform: "cpu".to_owned(),
            path: None,
            named_by: format!("built into {}", framework.distribution()),
            version: None,
        });
    }
    let chosen = match framework {
        Framework::Jax => set("JAX_PLATFORMS"),
        Framework::TorchXla => set("PJRT_DEVICE"),
        Framework::TorchTpu => None,
    };
    match chosen {
        Some(chosen) => in_order(&all, &chosen.to_string_lossy().to_lowercase()),
        None => all,
    }
}

/// The plugins of the platforms that `platforms` names, in the order of `platforms`. `gpu` names
/// CUDA.
fn in_order(all: &[FrameworkPlugin], platforms: &str) -> Vec<FrameworkPlugin> {
    let is = |plugin: &&FrameworkPlugin, name: &str| {
        plugin.platform == name || (name == "gpu" && plugin.platform == "cuda")
    };
    let names = platforms.split(',').map(str::trim);
    names.flat_map(|name| all.iter().filter(move |plugin| is(plugin, name)).cloned()).collect()
}

fn by_variable(platform: &str, path: impl AsRef<OsStr>, variable: &str) -> FrameworkPlugin {
    FrameworkPlugin {
        platform: platform.to_owned(),
        path: Some(PathBuf::from(path.as_ref())),
        named_by: variable.to_owned(),
        version: None,
    }
}

/// The plugin that a package in `folder` brings, if there is one.
fn in_package(platform: &str, name: PluginName, folder: &Path) -> Option<FrameworkPlugin> {
    let installed = |candidate: &&Candidate| folder.join(candidate.library).is_file();
    let Candidate { library, distributions } = candidates(name).iter().find(installed)?;
    Some(FrameworkPlugin {
        platform: platform.to_owned(),
        path: Some(folder.join(library)),
        named_by: format!("the package {}", distributions[0]),
        version: distribution_version(folder, distributions),
    })
}

/// The version of libtpu that the framework's metadata require, such as `0.0.50.*`.
fn required_libtpu(folder: &Path, framework: Framework, version: &str) -> Option<String> {
    let file =
        folder.join(format!("{}-{version}.dist-info", framework.distribution())).join("METADATA");
    let text = input::small(&file, MOST_METADATA_BYTES).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The header ends at the first empty line; the description follows.
    let header = text.lines().take_while(|line| !line.is_empty());
    let mut required = header.filter_map(|line| line.strip_prefix("Requires-Dist: "));
    required.find_map(|required| {
        let required = required.split(';').next()?.trim();
        let (name, version) = required.split_once("==")?;
        (name.trim() == "libtpu").then(|| version.trim().to_owned())
    })
}

/// Whether `version` is one that `required`, such as `0.0.50.*`, allows.
pub fn version_matches(required: &str, version: &str) -> bool {
    match required.strip_suffix(".*") {
        Some(beginning) => version == beginning || version.starts_with(&format!("{beginning}.")),
        None => version == required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn platforms(framework: &InstalledFramework) -> Vec<(&str, &str)> {
        framework.plugins.iter().map(|one| (one.platform.as_str(), one.named_by.as_str())).collect()
    }

    const JAX: &str = "Name: jax\nRequires-Dist: numpy>=2\nRequires-Dist: libtpu==0.0.50.*; extra \
                       == \"tpu\"\n\nRequires-Dist: libtpu==9\n";

    #[test]
    fn each_framework_loads_what_its_variables_and_packages_name() {
        let folder = environment(&[
            ("jax-0.10.2.dist-info/METADATA", JAX),
            ("libtpu-0.0.51.dist-info/METADATA", ""),
            ("libtpu/libtpu.so", ""),
            ("jax_plugins/xla_cuda13/xla_cuda_plugin.so", ""),
            ("torch_xla-2.9.0.dist-info/METADATA", ""),
        ]);
        let folders = [folder.path().join("elsewhere"), folder.path().to_owned()];
        let [jax, torch_xla] = &frameworks(&|_| None, &folders)[..] else { panic!("two") };
        assert_eq!((jax.name, jax.version.as_str()), ("jax", "0.10.2"));
        assert_eq!(jax.required_libtpu.as_deref(), Some("0.0.50.*"));
        let package = "the package libtpu";
        let cuda = ("cuda", "the package xla_cuda13_pjrt");
        assert_eq!(platforms(jax), [("tpu", package), cuda, ("cpu", "built into jax")]);
        assert_eq!(jax.plugins[0].version.as_deref(), Some("0.0.51"));
        assert_eq!(torch_xla.required_libtpu, None);
        assert_eq!(platforms(torch_xla), [("tpu", package), ("cpu", "built into torch_xla")]);

        let variables = |name: &str| {
            let value = match name {
                "PJRT_NAMES_AND_LIBRARY_PATHS" => "preheat:/p.so,nothing,other:/o.so",
                "TPU_LIBRARY_PATH" => "/t.so",
                "JAX_PLATFORMS" => "preheat,gpu",
                "PJRT_DEVICE" => "TPU",
                _ => return None,
            };
            Some(OsString::from(value))
        };
        let [jax, torch_xla] = &frameworks(&variables, &folders)[..] else { panic!("two") };
        assert_eq!(platforms(jax), [("preheat", "PJRT_NAMES_AND_LIBRARY_PATHS"), cuda]);
        assert_eq!(jax.plugins[0].path.as_deref(), Some(Path::new("/p.so")));
        assert_eq!(platforms(torch_xla), [("tpu", "TPU_LIBRARY_PATH")]);
        assert_eq!(frameworks(&variables, &folders[..1]), []);
    }

    #[test]
    fn a_required_version_may_end_in_a_star() {
        for (required, version, matches) in [
            ("0.0.50.*", "0.0.50", true),
            ("0.0.50.*", "0.0.50.1", true),
            ("0.0.50.*", "0.0.501", false),
            ("0.0.48", "0.0.48", true),
            ("0.0.48", "0.0.48.1", false),
        ] {
            assert_eq!(version_matches(required, version), matches, "{required} {version}");
        }
    }
}
