//! Where is a plugin, and where was it looked for? The search keeps a record of every place.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use preheat_io::printable::path_as_text;
use serde::{Serialize, Serializer};

use super::site_packages::{
    self, Candidate, candidates, distribution_version, folders_in, version_parts,
};
use super::{FindError, Manifest, PluginName, data_dir, process_env, site_packages_folders};

/// What a search depends on. Tests make their own; programs use [`Lookup::from_process`].
pub struct Lookup<'a> {
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// A path that takes precedence over everything else.
    pub explicit: Option<PathBuf>,
    /// The folder that [`super::Installer`] installs into.
    pub data_dir: Option<PathBuf>,
    /// Python's package folders, in order.
    pub site_packages: Vec<PathBuf>,
}

impl Lookup<'static> {
    /// The environment, data folder and package folders of this process.
    pub fn from_process() -> Self {
        Self {
            env: &process_env,
            explicit: None,
            data_dir: data_dir(&process_env),
            site_packages: site_packages_folders(&process_env),
        }
    }
}

impl std::fmt::Debug for Lookup<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Lookup")
            .field("explicit", &self.explicit)
            .field("data_dir", &self.data_dir)
            .field("site_packages", &self.site_packages)
            .finish_non_exhaustive()
    }
}

/// What named a place.
///
/// In JSON this is one word: `explicit`, `data-folder`, `site-packages`, or the variable's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// [`Lookup::explicit`].
    Explicit,
    /// The environment variable of this name.
    Variable(&'static str),
    /// The folder that plugins are installed into.
    DataFolder,
    /// One of Python's package folders.
    SitePackages,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Explicit => "the path that was given",
            Self::Variable(variable) => variable,
            Self::DataFolder => "data folder",
            Self::SitePackages => "site-packages",
        })
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Explicit => "explicit",
            Self::Variable(variable) => variable,
            Self::DataFolder => "data-folder",
            Self::SitePackages => "site-packages",
        })
    }
}

/// What was found at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// The library is there.
    Found,
    /// Nothing is there, which is normal for most places.
    Absent,
    /// Somebody named this path, but it has no file.
    Dangling,
    /// An install is there that differs from what was installed; it is skipped.
    Damaged {
        /// How it differs.
        reason: String,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found => formatter.write_str("found"),
            Self::Absent => formatter.write_str("not there"),
            Self::Dangling => formatter.write_str("points at no file"),
            Self::Damaged { reason } => write!(formatter, "damaged: {reason}"),
        }
    }
}

/// One place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// What named it.
    pub origin: Origin,
    /// Where the library would be; a folder where the version is not known either.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// What was there.
    pub outcome: Outcome,
}

/// A plugin's library on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// The library, as an absolute path.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// What named the place.
    pub origin: Origin,
    /// The version of the wheel that it came in; `None` where nothing beside it says.
    pub version: Option<String>,
    /// The library's size.
    pub bytes: u64,
}

/// The result of a search: the plugin, if there is one, and every place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// What was looked for.
    pub name: PluginName,
    /// The plugin to use: the first one that was found. `None` where an explicit path or a variable
    /// names a file that does not exist.
    pub plugin: Option<Plugin>,
    /// All places in order, including those after the first find.
    pub places: Vec<Place>,
}

impl Found {
    /// The plugin, or an error that says what is wrong or lists every place.
    pub fn require(self) -> Result<Plugin, FindError> {
        if let Some(place) = self.dangling() {
            return Err(FindError::Dangling {
                name: self.name,
                origin: place.origin,
                path: place.path.clone(),
            });
        }
        match self.plugin {
            Some(plugin) => Ok(plugin),
            None => Err(FindError::Nowhere(Box::new(self))),
        }
    }

    /// The place that decides the search, where somebody named it and it has no file.
    pub fn dangling(&self) -> Option<&Place> {
        self.places
            .iter()
            .find(|place| matches!(place.outcome, Outcome::Found | Outcome::Dangling))
            .filter(|place| place.outcome == Outcome::Dangling)
    }

    /// Every place on its own line: what named it, the path, the outcome.
    pub fn places_in_words(&self) -> String {
        let mut text = String::new();
        for place in &self.places {
            let separator = if text.is_empty() { "" } else { "\n" };
            let _ = write!(
                text,
                "{separator}  {}: {}: {}",
                place.origin,
                place.path.display(),
                place.outcome
            );
        }
        if text.is_empty() {
            text.push_str(
                "  no place: no variable is set, and there is neither a data folder nor a Python",
            );
        }
        text
    }

    /// The advice for a plugin that was not found.
    pub(super) fn advice(&self) -> String {
        match super::pin(self.name) {
            Ok(_) => {
                format!(
                    "run `preheat plugins install {}`, or set {} to a PJRT plugin",
                    self.name,
                    self.name.variable()
                )
            }
            Err(reason) => reason.to_string(),
        }
    }

    fn look(
        &mut self,
        origin: Origin,
        path: PathBuf,
        version: impl FnOnce(&Path) -> Option<String>,
    ) {
        let named = matches!(origin, Origin::Explicit | Origin::Variable(_));
        let file = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file);
        let outcome = match (&file, named) {
            (Some(_), _) => Outcome::Found,
            (None, true) => Outcome::Dangling,
            (None, false) => Outcome::Absent,
        };
        if let Some(metadata) = file
            && self.plugin.is_none()
            && self.dangling().is_none()
        {
            self.plugin = Some(Plugin {
                version: version(&path),
                path: path.clone(),
                origin,
                bytes: metadata.len(),
            });
        }
        self.places.push(Place { origin, path, outcome });
    }

    /// Looks at every version in the data folder, newest first.
    fn look_in_data_folder(&mut self, data_dir: &Path) {
        let folder = data_dir.join("plugins").join(self.name.as_str());
        let mut versions: Vec<(String, PathBuf)> = folders_in(&folder).collect();
        versions.sort_by_key(|(version, _)| Reverse(version_parts(version)));
        if versions.is_empty() {
            let path = folder.join("*").join(self.name.library_file());
            self.places.push(Place { origin: Origin::DataFolder, path, outcome: Outcome::Absent });
        }
        for (_, folder) in versions {
            let path = folder.join(self.name.library_file());
            match Manifest::read(&folder).and_then(|manifest| match manifest.damage(&folder) {
                Some(damage) => Err(damage),
                None => Ok(manifest),
            }) {
                Ok(manifest) => self.look(Origin::DataFolder, path, |_| Some(manifest.version)),
                Err(reason) => {
                    let outcome = Outcome::Damaged { reason };
                    self.places.push(Place { origin: Origin::DataFolder, path, outcome });
                }
            }
        }
    }
}

/// Looks for one plugin. Starts no process and loads no library.
pub fn find(name: PluginName, lookup: &Lookup<'_>) -> Found {
    let mut found = Found { name, plugin: None, places: Vec::new() };
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let beside = |path: &Path| version_beside(name, path);
    if let Some(path) = &lookup.explicit {
        found.look(Origin::Explicit, absolute(path.clone()), beside);
    }
    for variable in name.variables() {
        if let Some(path) = (lookup.env)(variable).filter(|path| !path.is_empty()) {
            found.look(Origin::Variable(variable), absolute(path.into()), beside);
        }
    }
    if let Some(data_dir) = &lookup.data_dir {
        found.look_in_data_folder(data_dir);
    }
    for site_packages in &lookup.site_packages {
        for Candidate { library, distributions } in candidates(name) {
            let path = absolute(site_packages.join(library));
            found.look(Origin::SitePackages, path, |_| {
                distribution_version(site_packages, distributions)
            });
        }
    }
    found
}

/// Where Python has MLX, as text. MLX is Apple's framework; preheat only reports it.
pub fn find_mlx(lookup: &Lookup<'_>) -> Option<String> {
    let folder = lookup.site_packages.iter().find(|folder| folder.join("mlx").is_dir())?;
    let version = distribution_version(folder, &["mlx"])
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    Some(format!("MLX{version} is in {}", folder.display()))
}

/// Looks for every plugin, in the order of [`PluginName::ALL`].
pub fn list(lookup: &Lookup<'_>) -> Vec<Found> {
    PluginName::ALL.into_iter().map(|name| find(name, lookup)).collect()
}

/// The version of a library that was named by its path: from a manifest beside it, or from the
/// site-packages around it.
fn version_beside(name: PluginName, library: &Path) -> Option<String> {
    if let Ok(manifest) = Manifest::read(library.parent()?)
        && manifest.name == name
    {
        return Some(manifest.version);
    }
    candidates(name).iter().filter(|candidate| library.ends_with(candidate.library)).find_map(
        |candidate| {
            let depth = Path::new(candidate.library).components().count();
            site_packages::distribution_version(
                library.ancestors().nth(depth)?,
                candidate.distributions,
            )
        },
    )
}
