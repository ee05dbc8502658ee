//! What does one process of a storm do, and did it end as it should?

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::process::Ended;
use super::release::{PICTURE, Release};
use super::{STORE_LIMIT, Storm};
use crate::command::{Failure, Outcome};

/// How many small programs there are beside the demo model.
pub const PROGRAMS: usize = 12;
/// How many of the programs have room in the store at once, whatever was in it before.
pub const FIT_TOGETHER: usize = 8;
/// How many of the programs may be pinned. They are few enough to leave room for other programs in
/// the store.
const PINNED: usize = 3;

/// The message of a command that needs the index while other processes hold it for too long. The
/// fewer cores the machine has, the more often this happens.
const INDEX_BUSY: &str = "kept it busy";
/// The message of a command for which the holder of the index seems to hang. An older release gives
/// no sign that it works, so a command may end with this message only beside an older release.
const INDEX_IDLE: &str = "without a sign of work";
/// The messages, in every release, of an export that finds nothing.
const NOTHING_TO_EXPORT: [&str; 2] =
    ["no graph in the cache is one of those to be exported", "nothing in the cache"];
/// The message of a run that goes on without the index.
const WITHOUT_INDEX: &str =
    "the cache's index cannot be used, executables are still found by their keys";

/// A command line of preheat.
pub enum Action {
    Picture { force: bool },
    Program { subject: usize, force: bool },
    Prune { to: &'static str },
    Verify { repair: bool },
    Export,
    Import,
    Clear,
    Stats,
    List,
    Pin { subject: usize },
    Unpin { subject: usize },
}

/// The correct ways for a process to end.
pub enum Verdict {
    Done,
    /// A run gave the right result without the index.
    WithoutIndex,
    /// The storm killed the process.
    Killed,
    /// The index was busy for longer than a command waits.
    Refused,
    /// The graph that the process was to work on had been evicted or cleared, or was not compiled
    /// yet.
    NothingToDo,
}

impl Action {
    /// Chooses mostly runs, as people do, and the other actions often enough that each kind
    /// overlaps with every other kind.
    pub fn choose(choices: &mut fastrand::Rng) -> Self {
        let subject = choices.usize(..PROGRAMS);
        match choices.u32(..100) {
            0..15 => Self::Picture { force: false },
            15..18 => Self::Picture { force: true },
            18..50 => Self::Program { subject, force: false },
            50..60 => Self::Program { subject, force: true },
            60..65 => Self::Prune { to: if choices.bool() { "150KB" } else { "300KB" } },
            65..70 => Self::Verify { repair: false },
            70..74 => Self::Verify { repair: true },
            74..79 => Self::Export,
            79..84 => Self::Import,
            84..86 => Self::Clear,
            86..91 => Self::Stats,
            91..94 => Self::List,
            94..97 => Self::Pin { subject: subject % PINNED },
            _ => Self::Unpin { subject: subject % PINNED },
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Picture { force: false } => "run",
            Self::Picture { force: true } => "run --force-recompile",
            Self::Program { force: false, .. } => "program run",
            Self::Program { force: true, .. } => "program run --force-recompile",
            Self::Prune { .. } => "cache prune",
            Self::Verify { repair: false } => "cache verify",
            Self::Verify { repair: true } => "cache verify --repair",
            Self::Export => "cache export",
            Self::Import => "cache import",
            Self::Clear => "cache clear",
            Self::Stats => "cache stats",
            Self::List => "cache list",
            Self::Pin { .. } => "cache pin",
            Self::Unpin { .. } => "cache unpin",
        }
    }

    pub fn command(&self, storm: &Storm, release: &Release, slot: usize) -> Command {
        let mut command = release.command(&storm.folder, &storm.store());
        command.args(["--cache-max-size", STORE_LIMIT.0]).args(self.name().split(' '));
        match self {
            Self::Picture { .. } => {
                command.args(PICTURE).arg("--output").arg(storm.output(release, slot, "png"));
            }
            Self::Program { subject, .. } => {
                command.arg(program(&storm.folder, *subject)).arg("--output").arg(storm.output(
                    release,
                    slot,
                    "safetensors",
                ));
            }
            Self::Prune { to } => {
                command.args(["--max-size", to]);
            }
            Self::Export => {
                let file = storm.output(release, slot, "preheat");
                // The file of an earlier export is removed, so that this export replaces nothing.
                let _ = std::fs::remove_file(&file);
                command.arg(file);
            }
            Self::Import => {
                command.args(release.trust()).arg(release.exported());
            }
            Self::Clear => {
                command.arg("--yes");
            }
            Self::Pin { subject } | Self::Unpin { subject } => {
                command.arg(release.key(*subject));
            }
            Self::Stats => {
                command.arg("--json");
            }
            Self::Verify { .. } | Self::List => {}
        }
        command
    }

    /// The texts of success: every release prints one of these when the process has done its task.
    fn signs(&self) -> &'static [&'static str] {
        match self {
            Self::Picture { .. } => &["done after "],
            Self::Program { .. } => &["  out0  "],
            Self::Prune { .. } | Self::Clear => &["removed "],
            Self::Verify { .. } => &["records checked: nothing is damaged\n"],
            Self::Export => &[" objects in ", " object in ", " compiled graphs in "],
            Self::Import => &[" added, "],
            Self::Stats => &["\"since\": "],
            Self::List => &["last used", "the cache is empty"],
            Self::Pin { .. } => &[" is pinned: "],
            Self::Unpin { .. } => &[" is no longer pinned: "],
        }
    }

    /// Checks that a process ended as it should have; `Err` says what is wrong.
    pub fn verdict(
        &self,
        storm: &Storm,
        release: &Release,
        slot: usize,
        ended: &Ended,
    ) -> Result<Verdict, String> {
        ended.check_text()?;
        if ended.lost_index() {
            storm.note_lost_index(release)?;
        }
        // This holds for a killed process, too: a file is complete or does not exist.
        let written = match self {
            Self::Picture { .. } => {
                check_output(&storm.output(release, slot, "png"), release.picture())?
            }
            Self::Program { subject, .. } => {
                check_output(&storm.output(release, slot, "safetensors"), release.output(*subject))?
            }
            Self::Export => storm.output(release, slot, "preheat").is_file(),
            _ => true,
        };
        match self.end(ended, storm.has_two_releases())? {
            Verdict::Done | Verdict::WithoutIndex if !written => {
                Err(format!("{} says that it is done, and wrote nothing", self.name()))
            }
            verdict => Ok(verdict),
        }
    }

    /// How a process ended, according to its status and its output.
    fn end(&self, ended: &Ended, beside_older: bool) -> Result<Verdict, String> {
        if ended.killed {
            return Ok(Verdict::Killed);
        }
        let says = |words: &str| ended.text.contains(words);
        let is_run = matches!(self, Self::Picture { .. } | Self::Program { .. });
        let has_a_sign = self.signs().iter().any(|sign| says(sign));
        match ended.code {
            Some(0) if has_a_sign && is_run && says(WITHOUT_INDEX) => Ok(Verdict::WithoutIndex),
            Some(0) if has_a_sign => Ok(Verdict::Done),
            Some(0) => Err(format!(
                "{} ended with status 0 and does not say that it did anything",
                self.name()
            )),
            Some(1) if !is_run && says(INDEX_BUSY) => Ok(Verdict::Refused),
            Some(1) if !is_run && beside_older && says(INDEX_IDLE) => Ok(Verdict::Refused),
            // An export leaves out graphs that were evicted meanwhile, and an import those for
            // which there is no room.
            Some(1)
                if matches!(self, Self::Import | Self::Export)
                    && has_a_sign
                    && says("left out: ") =>
            {
                Ok(Verdict::Done)
            }
            // Another process has just cleared the cache.
            Some(1)
                if matches!(self, Self::Export)
                    && NOTHING_TO_EXPORT.iter().any(|one| says(one)) =>
            {
                Ok(Verdict::NothingToDo)
            }
            // The graph was evicted, was cleared or is not compiled yet.
            Some(1)
                if matches!(self, Self::Pin { .. } | Self::Unpin { .. })
                    && says("no graph key") =>
            {
                Ok(Verdict::NothingToDo)
            }
            Some(code) => Err(format!("{} ended with status {code}", self.name())),
            None => {
                Err(format!("{} was ended by a signal that the storm did not send", self.name()))
            }
        }
    }
}

/// Whether the file exists. If it does, it must equal the reference, byte for byte, and is removed,
/// so that a file that is found later comes from a later run.
fn check_output(path: &Path, reference: &[u8]) -> Result<bool, String> {
    let Ok(written) = std::fs::read(path) else { return Ok(false) };
    if written != reference {
        return Err(format!("{} is not what the same run wrote before", path.display()));
    }
    std::fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(true)
}

/// The file of a program.
pub fn program(folder: &Path, subject: usize) -> std::path::PathBuf {
    folder.join("programs").join(format!("program-{subject}.mlir"))
}

/// Writes programs that compile in milliseconds, each with a constant that does not compress, so
/// that its object takes 40 KB.
pub fn write_programs(folder: &Path, seed: u64) -> Outcome {
    let mut values = fastrand::Rng::with_seed(seed);
    for subject in 0..PROGRAMS {
        let path = program(folder, subject);
        let text = program_text(&mut values);
        std::fs::write(&path, text)
            .map_err(Failure::context(format!("writing {}", path.display())))?;
    }
    Ok(())
}

fn program_text(values: &mut fastrand::Rng) -> String {
    const TENSOR: &str = "tensor<64x64xf32>";
    let mut constant = String::new();
    for _ in 0..64 * 64 {
        for byte in values.f32().to_le_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(constant, "{byte:02x}");
        }
    }
    format!(
        "module @storm {{
  func.func public @main(%x: {TENSOR}) -> {TENSOR} {{
    %c = stablehlo.constant dense<\"0x{constant}\"> : {TENSOR}
    %y = stablehlo.add %x, %c : {TENSOR}
    %z = stablehlo.tanh %y : {TENSOR}
    return %z : {TENSOR}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, text: &str) -> Ended {
        Ended {
            log: std::path::PathBuf::new(),
            text: text.to_owned(),
            code: Some(code),
            killed: false,
        }
    }

    #[test]
    fn a_process_has_to_say_that_it_did_what_it_was_asked() {
        let verify = Action::Verify { repair: true };
        let end = |text: &str| verify.end(&ended(0, text), false);
        let verdict = "3 objects (1 KiB) and 3 records checked: ";
        assert!(matches!(end(&format!("{verdict}nothing is damaged\n")), Ok(Verdict::Done)));
        for text in ["", &format!("{verdict}1 damaged, all of it repaired\n")] {
            assert!(end(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_beside_an_older_release_may_the_index_seem_idle() {
        let ended =
            |said: &str| ended(1, &format!("error: the index cannot be used: it was {said}"));
        let run = Action::Program { subject: 0, force: false };
        for (said, beside_older, is_refused) in
            [(INDEX_BUSY, false, true), (INDEX_IDLE, false, false), (INDEX_IDLE, true, true)]
        {
            let end = Action::Stats.end(&ended(said), beside_older);
            assert_eq!(matches!(end, Ok(Verdict::Refused)), is_refused, "{said}");
            assert!(
                run.end(&ended(said), beside_older).is_err(),
                "a run goes on without the index: {said}"
            );
        }
    }

    #[test]
    fn what_was_evicted_before_cannot_be_pinned() {
        let pin = Action::Pin { subject: 0 };
        let text = "error: no graph key begins with `00`: `preheat cache list` lists them";
        assert!(matches!(pin.end(&ended(1, text), false), Ok(Verdict::NothingToDo)));
        assert!(pin.end(&ended(1, "error: something else"), false).is_err());
    }
}
