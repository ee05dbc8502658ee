//! Does a store survive if many processes that use it are killed at any moment? `cargo xtask storm`
//! tests this.
//!
//! Processes of the real binary work on one store of a bounded size, a given number at a time, and
//! many of them are killed (SIGKILL). From time to time, the storm waits until all processes have
//! ended. Then nothing may be damaged, lost or left over: `calm.rs` lists the checks. The seed
//! decides what every process does, and after how long it is killed; it does not decide how the
//! processes overlap.
//!
//! A process that was not killed has to end with the right status and to give the right result.
//! With `--with-release`, an older release works on the same store, and its processes are killed as
//! well. The same checks then apply, with one exception for the older release: it may treat the
//! index as damaged, and rebuild it from the objects, without pins and counters.

mod action;
mod calm;
mod process;
mod release;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use action::Action;
use process::Ended;
use release::{OLDER, Release, THIS};

use crate::command::{Failure, Outcome, root};
use crate::preheat::Preheat;
use crate::setup::Profile;
use crate::table;

#[derive(clap::Args)]
pub struct Arguments {
    /// For how many minutes new processes are started.
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// The seed that decides what the processes do and when they are killed [default: the time].
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many processes run at a time.
    #[arg(long, default_value_t = 20)]
    pub processes: u64,
    /// Let a second release of preheat work on the same store: a commit of this repository, which
    /// is built first.
    #[arg(long, value_name = "GITREF")]
    pub with_release: Option<String>,
    /// The binary of this release [default: built here, in the debug profile].
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

impl Arguments {
    /// A storm of half a minute, for `cargo xtask test`.
    pub fn short() -> Self {
        Self { minutes: 0.5, seed: Some(1), processes: 6, with_release: None, program: None }
    }
}

/// The limit of the store, as a flag and in bytes. All programs and the model together take about
/// 640 KB, so some of their executables are always evicted.
const STORE_LIMIT: (&str, u64) = ("450KB", 450_000);
/// The longest time between two checks of the store.
const LONGEST_ROUND: Duration = Duration::from_mins(2);

/// One storm: its folder, which is kept if anything was wrong, and its findings so far.
struct Storm {
    folder: PathBuf,
    releases: Vec<Release>,
    started: AtomicU64,
    /// How often an older release set the index aside.
    lost_indices: AtomicU64,
    /// How many processes were killed while they read the answer of a child, and left the folder
    /// with that answer.
    read_answers: AtomicU64,
    /// The values at the last check: the time since which the index has counted, and how often an
    /// index had been lost.
    counted: Mutex<Option<(String, u64)>>,
    counts: Mutex<BTreeMap<&'static str, Counts>>,
    failures: Mutex<Vec<String>>,
}

/// How the processes of one kind ended.
#[derive(Clone, Copy, Default)]
struct Counts {
    done: u64,
    without_index: u64,
    nothing_to_do: u64,
    killed: u64,
    refused: u64,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let here = match &arguments.program {
        Some(program) => Preheat::given_or_built(Some(program))?,
        None => Preheat::built(Profile::Debug)?,
    };
    let seed = arguments.seed.unwrap_or_else(seed_of_now);
    let folder = root().join(format!("target/storm/{seed}"));
    let mut repeat = format!(
        "--seed {seed} --minutes {} --processes {}",
        arguments.minutes, arguments.processes
    );
    if let Some(release) = &arguments.with_release {
        repeat = format!("{repeat} --with-release {release}");
    }
    println!("storm: {repeat}, in {}", folder.display());
    let storm = Storm::new(folder, here, arguments.with_release.as_deref(), seed)?;
    let outcome = storm.run(arguments, seed);
    storm.print_counts();
    let failures = storm.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = outcome
        .err()
        .map(|failure| failure.to_string())
        .into_iter()
        .chain(failures)
        .collect::<Vec<_>>();
    if failed.is_empty() {
        println!("Nothing was lost, damaged or left over.");
        return std::fs::remove_dir_all(&storm.folder)
            .map_err(Failure::context(format!("removing {}", storm.folder.display())));
    }
    Err(Failure::new(format!(
        "{}\n{} contains the store and, in logs/, what each process printed; to repeat the storm: `cargo xtask storm {repeat}`",
        failed.join("\n"),
        storm.folder.display()
    )))
}

fn seed_of_now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

impl Storm {
    /// Makes the folder, and lets each release run everything once on a store of its own. Later
    /// runs are compared with these results.
    fn new(folder: PathBuf, here: Preheat, other: Option<&str>, seed: u64) -> Outcome<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(Failure::context(format!("removing {}", folder.display())))?;
        }
        for name in ["logs", "out/this", "out/older", "home", "tmp", "programs"] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder)
                .map_err(Failure::context(format!("making {}", folder.display())))?;
        }
        action::write_programs(&folder, seed)?;
        let plugin = here.plugin("xla-cpu")?;
        let other = other.map(release::build).transpose()?;
        let mut storm = Self {
            folder,
            releases: Vec::new(),
            started: AtomicU64::new(0),
            lost_indices: AtomicU64::new(0),
            read_answers: AtomicU64::new(0),
            counted: Mutex::default(),
            counts: Mutex::default(),
            failures: Mutex::default(),
        };
        for (name, preheat) in [(THIS, Some(here)), (OLDER, other)] {
            let Some(preheat) = preheat else { continue };
            storm.releases.push(Release::with_references(
                name,
                preheat,
                plugin.clone(),
                &storm.folder,
            )?);
        }
        Ok(storm)
    }

    fn run(&self, arguments: &Arguments, seed: u64) -> Outcome {
        self.take_turns()?;
        let end = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
        let mut choices: Vec<_> = (0..arguments.processes)
            .map(|slot| fastrand::Rng::with_seed(mixed(seed, slot)))
            .collect();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let round = Instant::now() + left.min(LONGEST_ROUND);
            thread::scope(|scope| {
                for (slot, choices) in choices.iter_mut().enumerate() {
                    scope.spawn(move || self.keep_busy(slot, choices, round));
                }
            });
            self.calm()?;
            if self.has_failed() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the store. With two releases, the older one stores first, and this one must find the
    /// entries. Then each of them runs once more.
    fn take_turns(&self) -> Outcome {
        let turns = match &self.releases[..] {
            [this, other] => {
                vec![(other, None), (this, Some("--require-warm")), (other, None), (this, None)]
            }
            alone => alone.iter().map(|release| (release, None)).collect(),
        };
        for (release, expected) in turns {
            for subject in 0..action::FIT_TOGETHER {
                let action = Action::Program { subject, force: false };
                let mut command = action.command(self, release, 0);
                command.args(expected);
                self.judge(&action, release, 0, &process::run(self, command, None)?);
            }
        }
        self.calm()
    }

    /// Keeps one slot busy: starts one process after the other until `end`, or until anything
    /// failed. There are as many slots as processes that run at a time.
    fn keep_busy(&self, slot: usize, choices: &mut fastrand::Rng, end: Instant) {
        while Instant::now() < end && !self.has_failed() {
            let action = Action::choose(choices);
            let release = &self.releases[choices.usize(..self.releases.len())];
            let kill_after = process::choose_end(choices);
            match process::run(self, action.command(self, release, slot), kill_after) {
                Ok(ended) => self.judge(&action, release, slot, &ended),
                Err(failure) => self.fail(failure.to_string()),
            }
        }
    }

    /// Counts how a process ended, and notes every fault.
    fn judge(&self, action: &Action, release: &Release, slot: usize, ended: &Ended) {
        let verdict = action.verdict(self, release, slot, ended);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(action.name()).or_default();
        match verdict {
            Ok(action::Verdict::Done) => counts.done += 1,
            Ok(action::Verdict::WithoutIndex) => counts.without_index += 1,
            Ok(action::Verdict::Killed) => counts.killed += 1,
            Ok(action::Verdict::Refused) => counts.refused += 1,
            Ok(action::Verdict::NothingToDo) => counts.nothing_to_do += 1,
            Err(why) => self.fail(format!("{}: {why}", ended.log.display())),
        }
    }

    /// Counts that a process set the index aside. Only an older release may do this: if a process
    /// was killed while sled wrote a snapshot, the older release treats the index as damaged.
    fn note_lost_index(&self, release: &Release) -> Result<(), String> {
        if !release.is_older() {
            return Err("nobody damaged the index, and yet it was made anew".to_owned());
        }
        self.lost_indices.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn has_two_releases(&self) -> bool {
        self.releases.len() > 1
    }

    fn fail(&self, why: String) {
        eprintln!("  failed: {why}");
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    fn has_failed(&self) -> bool {
        !self.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The folder of the store that all processes share.
    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// A file that the processes of one release in one slot write.
    fn output(&self, release: &Release, slot: usize, ending: &str) -> PathBuf {
        self.outputs(release).join(format!("slot-{slot}.{ending}"))
    }

    /// The folder of everything that the processes of a release write beside the store.
    fn outputs(&self, release: &Release) -> PathBuf {
        self.folder.join("out").join(release.name())
    }

    fn next_log(&self) -> PathBuf {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.folder.join("logs").join(format!("{number:05}.log"))
    }

    fn print_counts(&self) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |name: &str, counts: Counts| {
            let Counts { done, without_index, nothing_to_do, killed, refused } = counts;
            let [done, without_index, nothing_to_do, killed, refused] =
                [done, without_index, nothing_to_do, killed, refused]
                    .map(|count| count.to_string());
            [name.to_owned(), done, without_index, nothing_to_do, killed, refused]
        };
        let mut rows: Vec<_> = counts.iter().map(|(name, counts)| row(name, *counts)).collect();
        let total = counts.values().fold(Counts::default(), |sum, each| Counts {
            done: sum.done + each.done,
            without_index: sum.without_index + each.without_index,
            killed: sum.killed + each.killed,
            refused: sum.refused + each.refused,
            nothing_to_do: sum.nothing_to_do + each.nothing_to_do,
        });
        rows.push(row("all", total));
        println!();
        let header =
            ["processes", "done", "without index", "nothing to do", "killed", "index busy"];
        table::print(header, &rows);
        let answers = self.read_answers.load(Ordering::Relaxed);
        println!(
            "{answers} processes were killed while they read a child's answer, and left its folder."
        );
        if self.has_two_releases() {
            let lost = self.lost_indices.load(Ordering::Relaxed);
            println!("The older release set the index aside {lost} times.");
        }
    }
}

/// A seed for each slot, so that two slots do not do the same.
fn mixed(seed: u64, slot: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ slot
}

/// The bytes of a file that has to be there.
fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(Failure::context(format!("reading {}", path.display())))
}
