//! Why was no plugin found, or why could it not be installed?

use std::path::PathBuf;

use super::{Found, PluginName};

/// The reasons why no plugin was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The path that was asked for, or that an environment variable names, has no file.
    #[error("{origin} is {path}, and there is no file: correct or remove it", path = .path.display())]
    Dangling {
        /// The plugin that was looked for.
        name: PluginName,
        /// What named the path.
        origin: super::Origin,
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

/// The reasons why a plugin could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// preheat has no pin for this plugin on any platform yet.
    #[error(
        "preheat does not install {name} yet: run `python3 -m pip install {requirement}`, \
         then set {variable} to its `{library}`",
        variable = .name.variable()
    )]
    NotOffered {
        /// The plugin that was asked for.
        name: PluginName,
        /// The requirement to give to pip.
        requirement: &'static str,
        /// The library's path in site-packages.
        library: &'static str,
    },
    /// The plugin has a pin, but not for this platform.
    #[error(
        "there is no pinned wheel of {name} for {os} on {arch}: set {variable} to a PJRT plugin built for it",
        variable = .name.variable()
    )]
    NoWheel {
        /// The plugin that was asked for.
        name: PluginName,
        /// The operating system, as in [`std::env::consts::OS`].
        os: String,
        /// The architecture, as in [`std::env::consts::ARCH`].
        arch: String,
    },
    /// No libtorch is pinned for this platform.
    #[error(
        "there is no pinned libtorch for {set} on {os} on {arch}: set LIBTORCH to a folder that has {version} of it in lib/"
    )]
    NoLibtorch {
        /// The set that was asked for.
        set: super::LibtorchSet,
        /// The operating system, as in [`std::env::consts::OS`].
        os: &'static str,
        /// The architecture, as in [`std::env::consts::ARCH`].
        arch: &'static str,
        /// The version that is wanted.
        version: &'static str,
    },
    /// Neither `PREHEAT_DATA_DIR` nor a home folder is known.
    #[error("there is no folder to install into: set PREHEAT_DATA_DIR, or HOME")]
    NoDataFolder,
    /// Python, which runs pip, could not be started.
    #[error(
        "`{python}` could not be started, and the wheel is downloaded with its pip: install Python 3 with pip \
         (Debian and Ubuntu: `apt install python3-pip`), or give a wheel that is already here"
    )]
    NoPython {
        /// The command that was tried.
        python: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// Python is installed, but pip is not.
    #[error(
        "`{python}` has no pip outside of the user's own site-packages, which isolated mode leaves out: install it \
         (`{python} -m ensurepip`, or on Debian and Ubuntu `apt install python3-pip`), or give a wheel that is already here"
    )]
    NoPip {
        /// The command that was tried.
        python: String,
    },
    /// pip ended with an error.
    #[error("pip could not download {requirement} ({status}):\n{last_lines}")]
    Download {
        /// The requirement that pip was given.
        requirement: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last lines that it wrote.
        last_lines: String,
    },
    /// pip succeeded, but downloaded another file than the pinned one.
    #[error("pip downloaded {found:?} where {wheel} was pinned")]
    AnotherWheel {
        /// The wheel's pinned name.
        wheel: String,
        /// The files that it downloaded.
        found: Vec<String>,
    },
    /// The wheel is not the one that is pinned. Nothing was installed.
    #[error(
        "{path} is not the pinned wheel: its sha256 should be {expected} ({expected_bytes} bytes) and is {found} \
         ({found_bytes} bytes); nothing was installed",
        path = .path.display()
    )]
    WrongDigest {
        /// The wheel.
        path: PathBuf,
        /// The pinned sha256, in hex.
        expected: String,
        /// Its own sha256, in hex.
        found: String,
        /// The pinned size.
        expected_bytes: u64,
        /// Its own size.
        found_bytes: u64,
    },
    /// The wheel cannot be read as a zip file.
    #[error("{path} cannot be unpacked: {message}; nothing was installed", path = .path.display())]
    Unreadable {
        /// The wheel.
        path: PathBuf,
        /// The zip reader's message.
        message: String,
    },
    /// A member's name leads out of the folder that it is unpacked into.
    #[error("{path} holds a member named {member:?}, which leads out of it; nothing was installed", path = .path.display())]
    UnsafeMember {
        /// The wheel.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// The wheel lacks a file that is pinned.
    #[error("{path} holds no {member}; nothing was installed", path = .path.display())]
    MissingMember {
        /// The wheel.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// The unpacked size of a member is not the pinned size.
    #[error(
        "{member} in {path} should be {expected_bytes} bytes and is {found_bytes}; nothing was installed",
        path = .path.display()
    )]
    WrongMemberSize {
        /// The wheel.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// The pinned size.
        expected_bytes: u64,
        /// Its own size; the pinned one plus 1 where reading stopped there.
        found_bytes: u64,
    },
    /// A file or folder could not be read or written.
    #[error("could not {action} {path}: {source}", path = .path.display())]
    Io {
        /// The action that failed, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The caller asked to stop.
    #[error("the install of {what} was cancelled; nothing was installed")]
    Cancelled {
        /// What was being installed: a plugin, or otherwise the wheel's distribution.
        what: String,
    },
}

impl InstallError {
    /// For `map_err`: adds the action and the path to an I/O error.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
