//! How is a wheel downloaded? With `python3 -m pip`, so that the user's own index, proxy and
//! certificates are used.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::InstallError;
use super::watch::{InstallProgress, Watch};

/// How often the download's progress and the cancellation are checked.
const POLL: Duration = Duration::from_millis(100);

/// How many of pip's last lines an error quotes.
const QUOTED_LINES: usize = 12;

/// Which wheel pip is to download.
#[derive(Debug)]
pub(super) struct WheelRequest<'a> {
    /// The requirement in pip's form, such as `libtpu==0.0.50.*`.
    pub requirement: String,
    /// The platform tags that the wheel may have.
    pub platforms: &'a [&'a str],
    /// The version of Python that the wheel is for.
    pub python_version: &'a str,
    /// The ABI tags that the wheel may have. If the list is empty, the wheel is for every Python 3.
    pub abis: &'a [&'a str],
    /// The wheel's size in bytes, if it is known in advance.
    pub bytes: Option<u64>,
}

/// Downloads a wheel somewhere below `folder`, which must be empty, and returns its path. pip
/// compares it with the digest that the package index states.
pub(super) fn download(
    python: &OsStr,
    request: &WheelRequest<'_>,
    folder: &Path,
    watch: &Watch<'_>,
) -> Result<PathBuf, InstallError> {
    let (wheels, scratch, log) =
        (folder.join("wheels"), folder.join("scratch"), folder.join("pip.log"));
    for folder in [&wheels, &scratch] {
        std::fs::create_dir_all(folder).map_err(InstallError::io("create", folder))?;
    }
    let output = File::create(&log).map_err(InstallError::io("create", &log))?;
    let errors = output.try_clone().map_err(InstallError::io("open", &log))?;

    let mut command = Command::new(python);
    command
        // Isolated mode: without it, `-m` would take a folder `pip/` in the current folder for pip,
        // and PYTHONPATH would have an effect.
        .args([
            "-I",
            "-m",
            "pip",
            "download",
            "--no-input",
            "--no-cache-dir",
            "--disable-pip-version-check",
        ])
        .args(["--progress-bar", "off", "--no-deps", "--only-binary=:all:"])
        .args(["--python-version", request.python_version, "--implementation", "cp"])
        .args(request.platforms.iter().flat_map(|platform| ["--platform", platform]))
        .args(request.abis.iter().flat_map(|abi| ["--abi", abi]))
        .arg("--dest")
        .arg(&wheels)
        .arg(&request.requirement)
        // pip writes the wheel to this folder first, so its size shows the progress.
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    tracing::debug!(?command, "downloading a wheel");
    let child = command.spawn().map_err(|source| InstallError::NoPython {
        python: python.to_string_lossy().into_owned(),
        source,
    })?;

    let done_bytes = || {
        let done = size_below(&scratch).max(size_below(&wheels));
        request.bytes.map_or(done, |total| done.min(total))
    };
    let status = wait(KilledOnDrop(child), watch, &|| InstallProgress::Download {
        done_bytes: done_bytes(),
        total_bytes: request.bytes,
    })?;
    if !status.success() {
        // An interrupt from the terminal can end pip before the next poll notices it.
        watch.check()?;
        let log = String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
        if log.contains("No module named pip") {
            return Err(InstallError::NoPip { python: python.to_string_lossy().into_owned() });
        }
        let last_lines = last_lines(&log);
        return Err(InstallError::Download {
            requirement: request.requirement.clone(),
            status,
            last_lines,
        });
    }
    let files = std::fs::read_dir(&wheels).into_iter().flatten().filter_map(Result::ok);
    let files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    let [wheel] = files.as_slice() else {
        return Err(InstallError::OtherFiles {
            requirement: request.requirement.clone(),
            found: files.iter().map(|file| file_name(file)).collect(),
        });
    };
    let bytes = std::fs::metadata(wheel).map_err(InstallError::io("read", wheel))?.len();
    (watch.progress)(InstallProgress::Download { done_bytes: bytes, total_bytes: Some(bytes) });
    Ok(wheel.clone())
}

/// The last part of a path, as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A child process that is killed when this value is dropped, so also after an error or a panic.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Usually the child has already ended, and both calls do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(
    mut child: KilledOnDrop,
    watch: &Watch<'_>,
    progress: &dyn Fn() -> InstallProgress,
) -> Result<std::process::ExitStatus, InstallError> {
    loop {
        watch.check()?;
        if let Some(status) = child.0.try_wait().map_err(InstallError::io("wait for", "pip"))? {
            return Ok(status);
        }
        (watch.progress)(progress());
        std::thread::sleep(POLL);
    }
}

/// The size of all files below a folder; some may disappear while this runs.
fn size_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}
