//! How is a wheel downloaded? With `python3 -m pip`, so that the user's own index, proxy and
//! certificates are used.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::install::{Progress, Watch};
use super::{InstallError, Wheel};

/// How often the download's progress and the cancellation are checked.
const POLL: Duration = Duration::from_millis(100);

/// How many of pip's last lines an error quotes.
const QUOTED_LINES: usize = 12;

/// Downloads the pinned wheel somewhere below `folder`, which must be empty, and returns its path.
pub(super) fn download(
    python: &OsStr,
    wheel: &Wheel<'_>,
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
        .args([
            "--platform",
            wheel.platform,
            "--python-version",
            wheel.python_version,
            "--implementation",
            "cp",
        ])
        .args(wheel.abi.iter().flat_map(|abi| ["--abi", abi]))
        .arg("--dest")
        .arg(&wheels)
        .arg(wheel.requirement())
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

    let done_bytes = || size_below(&scratch).max(size_below(&wheels)).min(wheel.bytes);
    let status = wait(KilledOnDrop(child), watch, &|| Progress::Download {
        done_bytes: done_bytes(),
        total_bytes: wheel.bytes,
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
            requirement: wheel.requirement(),
            status,
            last_lines,
        });
    }
    let path = wheels.join(wheel.file);
    if !path.is_file() {
        let found = std::fs::read_dir(&wheels).into_iter().flatten().filter_map(Result::ok);
        let found = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        return Err(InstallError::AnotherWheel { wheel: wheel.file.to_owned(), found });
    }
    (watch.progress)(Progress::Download { done_bytes: wheel.bytes, total_bytes: wheel.bytes });
    Ok(path)
}

/// A child process that is killed when its owner returns, in whichever way that happens.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Both calls fail where the child has already ended, which is the usual case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(
    mut child: KilledOnDrop,
    watch: &Watch<'_>,
    progress: &dyn Fn() -> Progress,
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
