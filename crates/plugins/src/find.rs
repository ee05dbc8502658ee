//! Where is a plugin, and in which places was it looked for? The search records every place.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use preheat_io::printable::path_as_text;
use serde::{Serialize, Serializer};

use super::site_packages::{self, Candidate, candidates, distribution_version, newest_first};
use super::{PluginManifest, PluginName, data_dir, process_env, site_packages_folders};

/// What a search depends on. Tests make their own; programs use [`PluginSearch::from_process`].
pub struct PluginSearch<'a> {
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// A path that takes precedence over everything else.
    pub explicit: Option<PathBuf>,
    /// The folder that [`super::Installer`] installs into.
    pub data_dir: Option<PathBuf>,
    /// Python's package folders, in order.
    pub site_packages: Vec<PathBuf>,
}

impl PluginSearch<'static> {
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

impl std::fmt::Debug for PluginSearch<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PluginSearch")
            .field("explicit", &self.explicit)
            .field("data_dir", &self.data_dir)
            .field("site_packages", &self.site_packages)
            .finish_non_exhaustive()
    }
}

/// Where the path of a searched place comes from.
///
/// In JSON this is one word: `explicit`, `data-folder`, `site-packages`, or the variable's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// [`PluginSearch::explicit`].
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
    /// An explicit path or a variable names this place, but no file is there.
    Dangling,
    /// The manifest there cannot be read, or the files there differ from those that it lists. The
    /// place is skipped.
    Damaged {
        /// What is wrong.
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
#[non_exhaustive]
pub struct SearchedPlace {
    /// Where the path comes from.
    pub origin: Origin,
    /// Where the library would be. If no version is installed in the data folder, `*` stands for
    /// the version.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// The version of the library that is there; `None` if no file beside it states the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was found there.
    pub outcome: Outcome,
}

/// A plugin's library on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginLibrary {
    /// The library, as an absolute path.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// Where the path comes from.
    pub origin: Origin,
    /// The version of the wheel that it came in; `None` if no file beside it states the version.
    pub version: Option<String>,
    /// The library's size.
    pub bytes: u64,
}

/// The result of a search: the plugin, if there is one, and every place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// What was looked for.
    pub name: PluginName,
    /// The plugin to use: the first one that was found. `None` if no place has one, or if an
    /// explicit path or a variable that comes earlier names a file that does not exist.
    pub plugin: Option<PluginLibrary>,
    /// All places in order, including those after the first find.
    pub places: Vec<SearchedPlace>,
}

/// The reasons why no plugin was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The path that was asked for, or that an environment variable names, has no file.
    #[error("{origin} is {path}, but there is no file: correct or remove it", path = .path.display())]
    Dangling {
        /// The plugin that was looked for.
        name: PluginName,
        /// Where the path comes from.
        origin: Origin,
        /// The path without a file.
        path: PathBuf,
    },
    /// None of the places holds the plugin.
    #[error(
        "the {name} plugin was found nowhere; looked at:\n{places}\n{advice}",
        name = .0.name, places = .0.places_in_words(), advice = .0.advice()
    )]
    Nowhere(Box<Found>),
}

impl Found {
    /// The plugin, or an error that says what is wrong or lists every place.
    pub fn require(self) -> Result<PluginLibrary, FindError> {
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

    /// The place that makes the search fail: an explicit path or a variable names it, it has no
    /// file, and no earlier place has the plugin.
    pub fn dangling(&self) -> Option<&SearchedPlace> {
        self.places
            .iter()
            .find(|place| matches!(place.outcome, Outcome::Found | Outcome::Dangling))
            .filter(|place| place.outcome == Outcome::Dangling)
    }

    /// Every library that was found, whichever is used.
    pub fn libraries(&self) -> impl Iterator<Item = &SearchedPlace> {
        self.places.iter().filter(|place| place.outcome == Outcome::Found)
    }

    /// Chooses the plugin that a wrapping library loads: the one that a variable names, or else the
    /// first one found. For a TPU, a plugin in a Python package comes before one in the data
    /// folder, because the framework in that Python environment needs the package's version.
    /// `is_wrapper` says whether a library itself wraps plugins; such a library is not chosen.
    pub fn to_wrap(&self, is_wrapper: impl Fn(&Path) -> bool) -> Option<&Path> {
        let is_usable =
            |place: &&SearchedPlace| place.outcome == Outcome::Found && !is_wrapper(&place.path);
        let usable: Vec<&SearchedPlace> = self.places.iter().filter(is_usable).collect();
        let from = |is: fn(&Origin) -> bool| usable.iter().find(|place| is(&place.origin));
        let named = from(|origin| matches!(origin, Origin::Variable(_)));
        let of_python = || {
            let found = from(|origin| *origin == Origin::SitePackages);
            found.filter(|_| self.name == PluginName::Tpu)
        };
        let place = named.or_else(of_python).or(usable.first())?;
        Some(&place.path)
    }

    /// Every place on its own line: the origin of the path, the path, the outcome.
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
        let version = file.as_ref().and_then(|_| version(&path));
        if let Some(metadata) = file
            && self.plugin.is_none()
            && self.dangling().is_none()
        {
            self.plugin = Some(PluginLibrary {
                version: version.clone(),
                path: path.clone(),
                origin,
                bytes: metadata.len(),
            });
        }
        self.places.push(SearchedPlace { origin, path, version, outcome });
    }

    /// Looks at every version in the data folder, newest first.
    fn look_in_data_folder(&mut self, data_dir: &Path) {
        let folder = data_dir.join("plugins").join(self.name.as_str());
        let versions = newest_first(&folder);
        if versions.is_empty() {
            let path = folder.join("*").join(self.name.library_file());
            self.places.push(SearchedPlace {
                origin: Origin::DataFolder,
                path,
                version: None,
                outcome: Outcome::Absent,
            });
        }
        for (_, folder) in versions {
            let path = folder.join(self.name.library_file());
            match PluginManifest::read(&folder).and_then(|manifest| {
                match manifest.damage(&folder) {
                    Some(damage) => Err(damage),
                    None => Ok(manifest),
                }
            }) {
                Ok(manifest) => self.look(Origin::DataFolder, path, |_| Some(manifest.version)),
                Err(reason) => {
                    let outcome = Outcome::Damaged { reason };
                    let version = None;
                    let origin = Origin::DataFolder;
                    self.places.push(SearchedPlace { origin, path, version, outcome });
                }
            }
        }
    }
}

/// Looks for one plugin. Starts no process and loads no library.
pub fn find(name: PluginName, lookup: &PluginSearch<'_>) -> Found {
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
pub fn find_mlx(lookup: &PluginSearch<'_>) -> Option<String> {
    let folder = lookup.site_packages.iter().find(|folder| folder.join("mlx").is_dir())?;
    let version = distribution_version(folder, &["mlx"])
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    Some(format!("MLX{version} is in {}", folder.display()))
}

/// Looks for every plugin, in the order of [`PluginName::ALL`].
pub fn list(lookup: &PluginSearch<'_>) -> Vec<Found> {
    PluginName::ALL.into_iter().map(|name| find(name, lookup)).collect()
}

/// The version of a library that was named by its path: from a manifest beside it, or from the
/// site-packages folder that contains it.
fn version_beside(name: PluginName, library: &Path) -> Option<String> {
    if let Ok(manifest) = PluginManifest::read(library.parent()?)
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
