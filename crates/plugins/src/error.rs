//! Why could a plugin or a libtorch not be installed?

use std::path::PathBuf;

use super::PluginName;

/// The reasons why a plugin or a libtorch could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// preheat has no pin for this plugin yet, but pip offers a wheel of it for this platform.
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
    /// There is no pin of the plugin for this platform.
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
    #[cfg(feature = "install")]
    #[error(
        "there is no pinned libtorch for {set} on {os} ({arch}): set LIBTORCH to a folder that has libtorch {version} in lib/"
    )]
    NoLibtorch {
        /// The set that was asked for.
        set: super::libtorch::set::LibtorchSet,
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
    /// The text after `==` is no version.
    #[error(
        "{given:?} is no version of {name}: give one that the package index has, such as {example}, \
         or the beginning of one, such as {example}.*"
    )]
    NotAVersion {
        /// The plugin.
        name: PluginName,
        /// What was given.
        given: String,
        /// The pinned version.
        example: &'static str,
    },
    /// The name of a wheel file does not have the distribution and the version that were asked for.
    #[error("{path} is no wheel of {requirement}; nothing was installed", path = .path.display())]
    NotOfVersion {
        /// The wheel.
        path: PathBuf,
        /// What was asked for, in pip's form.
        requirement: String,
    },
    /// pip succeeded, but did not download exactly one file.
    #[error("pip downloaded {found:?} where one wheel of {requirement} was expected")]
    OtherFiles {
        /// The requirement that pip was given.
        requirement: String,
        /// The files that it downloaded.
        found: Vec<String>,
    },
    /// pip succeeded, but downloaded another file than the pinned one.
    #[error("pip downloaded {found:?} where {wheel} was pinned")]
    AnotherWheel {
        /// The wheel's pinned name.
        wheel: String,
        /// The file that it downloaded.
        found: String,
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
        /// Its own size. For a member that is larger than the pinned size, this is the pinned size
        /// plus 1, because reading stops there.
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
        /// What was being installed: a plugin's name, or a wheel's distribution.
        what: String,
    },
}

impl InstallError {
    /// For `map_err`: adds the action and the path to an I/O error.
    #[cfg(feature = "install")]
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
