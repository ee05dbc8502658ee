//! Which plugin is wrapped?
//!
//! `PREHEAT_REAL_PLUGIN` names it. Otherwise it is looked for by the rules of `preheat plugins
//! list`, with these differences. A variable that names this library is ignored, because its
//! purpose is to make the framework load this library. A variable that names no file is ignored,
//! too. A libtpu in the Python environment of this process comes before one that preheat installed,
//! because the framework needs the version in its own environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use preheat_plugins::{PluginName, PluginSearch, data_dir, find, site_packages_folders};

/// The variable that names the plugin to wrap.
pub(crate) const VARIABLE: &str = "PREHEAT_REAL_PLUGIN";

/// What the search depends on.
pub(crate) struct Search<'a> {
    /// Reads an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<OsString>,
    /// This library's file.
    pub(crate) own: Option<PathBuf>,
    /// The interpreter that this process runs, by the path it was started with.
    pub(crate) interpreter: Option<PathBuf>,
}

impl Search<'static> {
    /// The environment of this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            env: &preheat_plugins::process_env,
            own: own_path(),
            interpreter: std::env::args_os().next().map(PathBuf::from),
        }
    }
}

impl Search<'_> {
    /// The plugin to wrap, or a sentence that says what to do.
    pub(crate) fn find(&self) -> Result<PathBuf, String> {
        if let Some(path) = (self.env)(VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        let names = self.names()?;
        let mut all = Vec::new();
        for name in names {
            let found = find(name, &self.lookup());
            if let Some(path) = found.to_wrap(|path| self.is_own(path)) {
                return Ok(path.to_owned());
            }
            all.push(format!("{name}:\n{}", found.places_in_words()));
        }
        Err(format!(
            "preheat's plugin found no plugin to wrap: set {VARIABLE} to its path; looked for {}",
            all.join("\n")
        ))
    }

    /// The plugins to look for, in order.
    fn names(&self) -> Result<Vec<PluginName>, String> {
        let device = (self.env)("PREHEAT_DEVICE").filter(|device| !device.is_empty());
        if let Some(device) = device.filter(|device| device != "auto") {
            let device = device.to_string_lossy().into_owned();
            let name = device.parse().map_err(|error| format!("PREHEAT_DEVICE: {error}"))?;
            return Ok(vec![name]);
        }
        // Frameworks read this variable only for a TPU. So if it names this library, the framework
        // uses a TPU.
        let wants_tpu = (self.env)("TPU_LIBRARY_PATH").is_some_and(|path| self.is_own(&path));
        if wants_tpu || Path::new("/dev/accel0").exists() {
            return Ok(vec![PluginName::Tpu]);
        }
        Ok(vec![PluginName::XlaCuda, PluginName::XlaCpu])
    }

    fn lookup(&self) -> PluginSearch<'_> {
        let mut folders = site_packages_folders(self.env);
        if let Some(environment) = self.virtual_environment() {
            let of_it =
                |name: &str| (name == "VIRTUAL_ENV").then(|| environment.clone().into_os_string());
            let mut first = site_packages_folders(&of_it);
            first.retain(|folder| folder.starts_with(&environment));
            folders.retain(|folder| !first.contains(folder));
            folders.splice(0..0, first);
        }
        PluginSearch {
            env: self.env,
            explicit: None,
            data_dir: data_dir(self.env),
            site_packages: folders,
        }
    }

    /// The virtual environment of the interpreter. It may be in use even if it was not activated.
    fn virtual_environment(&self) -> Option<PathBuf> {
        let interpreter = self.interpreter.as_ref().filter(|path| path.components().count() > 1)?;
        let folder = interpreter.parent()?.parent()?;
        folder.join("pyvenv.cfg").is_file().then(|| folder.to_owned())
    }

    /// Whether a path leads to this library.
    fn is_own(&self, path: impl AsRef<Path>) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let own = self.own.as_deref().and_then(real);
        own.is_some() && real(path.as_ref()) == own
    }
}

/// The file that this code was loaded from, according to Linux's list of memory mappings.
fn own_path() -> Option<PathBuf> {
    let here = own_path as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let bound = |text| usize::from_str_radix(text, 16).ok();
        (bound(start)?..bound(end)?).contains(&here).then_some(())?;
        Some(PathBuf::from(&rest[rest.find('/')?..]))
    })
}

#[cfg(test)]
mod tests;
