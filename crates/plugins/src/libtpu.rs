//! Which libtpu compiles for a TPU ahead of time? A framework on the TPU loads only what its own
//! version of libtpu compiled, so the version matters more than with other plugins.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::frameworks::{InstalledFramework, frameworks, version_matches};
use super::{Found, Origin, PluginName, PluginSearch, SearchedPlace, find};

/// The libtpu that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibtpuChoice {
    /// One version, such as `0.0.50`, or any version with this beginning, such as `0.0.50.*`. Of
    /// several that fit, the newest installed one is preferred.
    Version(String),
    /// The library at this path.
    Path(PathBuf),
    /// The one in the active Python environment.
    Python,
}

impl FromStr for LibtpuChoice {
    type Err = Infallible;

    fn from_str(given: &str) -> Result<Self, Infallible> {
        let is_version = given.starts_with(|first: char| first.is_ascii_digit())
            && given.chars().all(|letter| letter.is_ascii_alphanumeric() || ".*+".contains(letter));
        Ok(match given {
            "python" => Self::Python,
            version if is_version => Self::Version(version.to_owned()),
            path => Self::Path(path.into()),
        })
    }
}

/// A libtpu that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChosenLibtpu {
    /// The library.
    pub path: PathBuf,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// The reason for the choice, in words, if the caller did not make it.
    pub reason: Option<String>,
}

impl ChosenLibtpu {
    fn of(place: &SearchedPlace, reason: Option<String>) -> Self {
        Self { path: place.path.clone(), version: place.version.clone(), reason }
    }
}

/// The reasons why the libtpu that somebody asked for cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibtpuError {
    /// This version is neither installed nor in the Python environment.
    #[error("install libtpu {version} with `preheat plugins install tpu=={version}`: {there}")]
    NotInstalled {
        /// The version that was asked for.
        version: String,
        /// The versions that are here, in words.
        there: String,
    },
    /// There is no file at the path.
    #[error("correct the path of libtpu: {path} is no file", path = .0.display())]
    NoFile(PathBuf),
    /// The Python environment has no libtpu.
    #[error(
        "install libtpu in the Python environment (`pip install libtpu`), or activate the one that \
         has it: it was looked for at\n{places}"
    )]
    NotInPython {
        /// The paths that were looked at, one in each line.
        places: String,
    },
}

/// The libtpu that was asked for. Without a choice it is the one in the active Python environment,
/// or else the newest installed one that a framework there requires. `None` if there is no choice,
/// and either a variable names a libtpu or the environment decides nothing; the caller then takes
/// the libtpu that the search finds.
///
/// # Errors
/// If the libtpu that was asked for is not here.
pub fn choose_libtpu(
    choice: Option<&LibtpuChoice>,
    search: &PluginSearch<'_>,
) -> Result<Option<ChosenLibtpu>, LibtpuError> {
    let found = find(PluginName::Tpu, search);
    let in_python = || found.libraries().find(|place| place.origin == Origin::SitePackages);
    let chosen = match choice {
        None if found.places.iter().any(|place| matches!(place.origin, Origin::Variable(_))) => {
            None
        }
        None => match in_python() {
            Some(place) => {
                let reason = "it is in the active Python environment".to_owned();
                Some(ChosenLibtpu::of(place, Some(reason)))
            }
            None => required(&found, &frameworks(search.env, &search.site_packages)),
        },
        Some(LibtpuChoice::Python) => {
            let place = in_python()
                .ok_or_else(|| LibtpuError::NotInPython { places: places_in_python(&found) })?;
            Some(ChosenLibtpu::of(place, None))
        }
        Some(LibtpuChoice::Path(path)) => Some(at_path(path)?),
        Some(LibtpuChoice::Version(version)) => {
            let place = of_version(&found, version).ok_or_else(|| LibtpuError::NotInstalled {
                version: version.clone(),
                there: versions_in_words(&found),
            })?;
            Some(ChosenLibtpu::of(place, None))
        }
    };
    Ok(chosen)
}

/// A libtpu on this machine that the first framework with such a requirement accepts.
fn required(found: &Found, frameworks: &[InstalledFramework]) -> Option<ChosenLibtpu> {
    frameworks.iter().find_map(|framework| {
        let required = framework.required_libtpu.as_deref()?;
        let place = of_version(found, required)?;
        let reason = format!("{} {} requires {required}", framework.name, framework.version);
        Some(ChosenLibtpu::of(place, Some(reason)))
    })
}

/// The first library of a version. Of those in the data folder, the newest come first.
fn of_version<'a>(found: &'a Found, wanted: &str) -> Option<&'a SearchedPlace> {
    found.libraries().find(|place| {
        place.version.as_deref().is_some_and(|version| version_matches(wanted, version))
    })
}

fn at_path(path: &Path) -> Result<ChosenLibtpu, LibtpuError> {
    let no_file = || LibtpuError::NoFile(path.to_owned());
    let path = std::path::absolute(path).map_err(|_| no_file())?;
    if !path.is_file() {
        return Err(no_file());
    }
    Ok(ChosenLibtpu { path, version: None, reason: None })
}

fn places_in_python(found: &Found) -> String {
    let places = found.places.iter().filter(|place| place.origin == Origin::SitePackages);
    let lines: Vec<String> = places.map(|place| format!("  {}", place.path.display())).collect();
    if lines.is_empty() { "  no place: there is no Python".to_owned() } else { lines.join("\n") }
}

/// Which versions are here, as a sentence.
fn versions_in_words(found: &Found) -> String {
    let versions: Vec<&str> =
        found.libraries().filter_map(|place| place.version.as_deref()).collect();
    match versions.as_slice() {
        [] => "no libtpu is here".to_owned(),
        [one] => format!("only {one} is here"),
        several => format!("only {} are here", several.join(", ")),
    }
}
