//! Is anything damaged, lost or left over? These checks run while no process works on the store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::action::Action;
use super::release::{MARK, Release};
use super::{STORE_LIMIT, Storm, action, process};
use crate::command::{Failure, Outcome, spelled};
use crate::preheat::parse_json;

/// The beginning of the name of each folder in which a child of preheat answers.
const ANSWERS: &str = "preheat-compile-";
/// How long a child of a killed process may take to notice that its parent has died, and to end.
const ORPHANS_END_WITHIN: Duration = Duration::from_secs(20);

impl Storm {
    /// Runs every check, with the commands of each release.
    pub(super) fn calm(&self) -> Outcome {
        self.no_orphans()?;
        self.no_other_outputs()?;
        for release in &self.releases {
            self.verify(release)?;
            self.exports_are_whole(release)?;
        }
        for release in &self.releases {
            self.everything_runs(release)?;
            self.is_bounded(release)?;
        }
        self.index_is_kept()?;
        self.nothing_half_written(&self.store())
    }

    /// Checks that no process of this storm outlived the process that started it. Only Linux shows
    /// this.
    fn no_orphans(&self) -> Outcome {
        let mark = format!("{MARK}={}", self.folder.display());
        let end = Instant::now() + ORPHANS_END_WITHIN;
        loop {
            let orphans = marked_processes(&mark);
            if orphans.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                let orphans = orphans.join(", ");
                return Err(Failure::new(format!(
                    "processes outlived the ones that started them: {orphans}"
                )));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Checks that processes of this release, even killed ones, left no files beside their outputs.
    fn no_other_outputs(&self) -> Outcome {
        let Some(this) = self.releases.first() else { return Ok(()) };
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slot-"))
        };
        let others = files_below(&self.outputs(this))?.into_iter().filter(|path| !named(path));
        none("left beside what was written", others)
    }

    /// Checks that nothing is damaged. A repair removes the files that killed processes left, and
    /// must find nothing else.
    fn verify(&self, release: &Release) -> Outcome {
        let verify = |words: &[&str]| self.ask(release, &self.store(), words);
        let before = verify(&["cache", "verify"])?;
        if before["damaged"] != Value::Bool(false) {
            return Err(Failure::new(format!("{} finds damage:\n{before:#}", release.name())));
        }
        verify(&["cache", "verify", "--repair"])?;
        let after = verify(&["cache", "verify"])?;
        if after["findings"].as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} still finds something after a repair:\n{after:#}",
            release.name()
        )))
    }

    /// Checks that each exported file is complete, by importing it into an empty store.
    fn exports_are_whole(&self, release: &Release) -> Outcome {
        let store = self.folder.join("imported");
        for file in files_below(&self.outputs(release))? {
            if file.extension().is_some_and(|ending| ending == "preheat") {
                let path = file.to_string_lossy();
                let words: Vec<&str> = ["cache", "import"]
                    .into_iter()
                    .chain(release.trust())
                    .chain([&*path])
                    .collect();
                self.ask(release, &store, &words)?;
                self.ask(release, &store, &["cache", "verify"])?;
                std::fs::remove_dir_all(&store)
                    .map_err(Failure::context(format!("removing {}", store.display())))?;
            }
        }
        Ok(())
    }

    /// Checks that every program and the model give the same results as before the storm, whether
    /// compiled or loaded, and that each next run finds the executable of the run before it.
    fn everything_runs(&self, release: &Release) -> Outcome {
        let programs =
            (0..action::PROGRAMS).map(|subject| Action::Program { subject, force: false });
        for action in programs.chain([Action::Picture { force: false }]) {
            for words in [&[][..], &["--require-warm"]] {
                let mut command = action.command(self, release, 0);
                command.args(words);
                self.judge(&action, release, 0, &process::run(self, command, None)?);
            }
        }
        Ok(())
    }

    /// Checks that the store takes at most its limit plus one object, and that nothing was ever put
    /// into quarantine.
    fn is_bounded(&self, release: &Release) -> Outcome {
        let stats = self.ask(release, &self.store(), &["cache", "stats"])?;
        let list = self.ask(release, &self.store(), &["cache", "list"])?;
        let bytes = |value: &Value| value["stored_bytes"].as_u64().unwrap_or(u64::MAX);
        let largest = list.as_array().into_iter().flatten().map(bytes).max().unwrap_or(0);
        if bytes(&stats) > STORE_LIMIT.1 + largest || stats["quarantined"] != 0 {
            return Err(Failure::new(format!(
                "these are not the figures of a sound, bounded store:\n{stats:#}"
            )));
        }
        Ok(())
    }

    /// Checks that the index is the same as at the last check, with its pins and counters, unless
    /// an older release set it aside.
    fn index_is_kept(&self) -> Outcome {
        let Some(this) = self.releases.first() else { return Ok(()) };
        let stats = self.ask(this, &self.store(), &["cache", "stats"])?;
        let since = stats["since"].as_str().unwrap_or_default().to_owned();
        let lost = self.lost_indices.load(Ordering::Relaxed);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.replace((since.clone(), lost)) {
            Some((before, lost_before)) if before != since && lost_before == lost => {
                Err(Failure::new(format!(
                    "the index counted since {before}, and now since {since}: pins and counters were lost"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the store holds no half-written files and no locks of ended processes, and that
    /// its quarantine holds nothing except an index that an older release treated as damaged.
    fn nothing_half_written(&self, store: &Path) -> Outcome {
        let lost = self.lost_indices.load(Ordering::Relaxed) > 0;
        let left = |path: &PathBuf| {
            let path = path.strip_prefix(store).unwrap_or(path);
            let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            let within = |folder: &str| parts.len() > 1 && parts.iter().any(|part| part == folder);
            let is_index_lock = parts.last().is_some_and(|name| name == "index.lock");
            let is_index = parts.iter().any(|part| part.starts_with("graphs-v2."));
            ["tmp", "unrecorded"].into_iter().any(within)
                || (within("quarantine") && !(lost && is_index))
                || (within("locks") && !is_index_lock)
        };
        self.remove_read_answers()?;
        let temporary = files_below(&self.folder.join("tmp"))?;
        none("left over", files_below(store)?.into_iter().filter(left).chain(temporary))
    }

    /// Removes and counts the answer folders of children whose readers were killed before the child
    /// had begun or after it had ended. (A child that runs removes its folder itself.) These
    /// folders are not a fault, because a later process with a child removes them once they are an
    /// hour old.
    fn remove_read_answers(&self) -> Outcome {
        let temporary = self.folder.join("tmp");
        let failed = || Failure::context(format!("looking through {}", temporary.display()));
        for entry in std::fs::read_dir(&temporary).map_err(failed())? {
            let folder = entry.map_err(failed())?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let is_there = |file: &&str| folder.join(file).is_file();
            let is_whole = ["OWNED-BY-PREHEAT", "answer.json"].iter().all(is_there);
            let has_not_begun = is_there(&"OWNED-BY-PREHEAT") && !is_there(&"started");
            if name.starts_with(ANSWERS) && (is_whole || has_not_begun) {
                self.read_answers.fetch_add(1, Ordering::Relaxed);
                std::fs::remove_dir_all(&folder).map_err(failed())?;
            }
        }
        Ok(())
    }

    /// The JSON that a command prints. The command has to succeed.
    fn ask(&self, release: &Release, store: &Path, words: &[&str]) -> Outcome<Value> {
        let mut command: Command = release.command(&self.folder, store);
        command.arg("--json").args(words);
        let spelled = spelled(&command);
        let ended = process::run(self, command, None)?;
        ended.check_text().map_err(Failure::context(ended.log.display().to_string()))?;
        let failed = || Failure::new(format!("`{spelled}` failed: {}", ended.text));
        if ended.code != Some(0) {
            return Err(failed());
        }
        // The log holds the command, then the process's standard error and standard output.
        let json =
            ended.text.find("\n{").or_else(|| ended.text.find("\n[")).map(|at| &ended.text[at..]);
        json.and_then(parse_json).ok_or_else(failed)
    }
}

/// Fails if there is any of these files.
fn none(what: &str, files: impl Iterator<Item = PathBuf>) -> Outcome {
    let names: Vec<_> = files.map(|path| path.display().to_string()).collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{what}: {}", names.join(", "))))
    }
}

/// The processes whose environment has this entry, as `pid program`.
fn marked_processes(mark: &str) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let marked = processes.flatten().filter_map(|process| {
        let environment = std::fs::read(process.path().join("environ")).ok()?;
        let is_marked = environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
        let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        is_marked.then(|| format!("{} {}", process.file_name().to_string_lossy(), program.trim()))
    });
    marked.collect()
}

/// Every file in a folder and below it.
fn files_below(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = || Failure::context(format!("reading {}", folder.display()));
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_type().map_err(failed())?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_outlives_its_parent_is_found() -> std::io::Result<()> {
        let value = format!("/tmp/storm-{}", std::process::id());
        let mark = format!("{MARK}={value}");
        assert_eq!(marked_processes(&mark), Vec::<String>::new());
        let mut child = Command::new("sleep").arg("60").env(MARK, &value).spawn()?;
        // Until the child has become `sleep`, it has the environment of this process.
        let end = Instant::now() + Duration::from_secs(30);
        while marked_processes(&mark).is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let found = marked_processes(&mark);
        child.kill()?;
        child.wait()?;
        assert_eq!(found, [format!("{} sleep", child.id())]);
        Ok(())
    }
}
