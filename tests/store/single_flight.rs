//! Is each key compiled only once if many processes need it at the same time? In some tests, the
//! process that compiles is killed. The log of the test plugin counts the compiles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pjrt_sim::{Event, Outcome, Place, Sim};
use support::lab::{DOUBLE, Started, until};
use support::tensors::{read_f32, write_f32};
use support::{Lab, Ran};

const PROCESSES: usize = 16;
/// The time that is added to each compile, which by itself takes a few milliseconds.
const DELAY: Duration = Duration::from_secs(2);

/// A test environment (`Lab`) with a program and its inputs.
struct Race {
    lab: Lab,
    program: PathBuf,
}

impl Race {
    fn new() -> Self {
        let lab = Lab::new();
        write_f32(&lab.path("inputs"), &[("arg0", &[4], &[1.0, -2.0, 0.5, 8.0])]);
        Self { program: lab.file("double.mlir", DOUBLE), lab }
    }

    fn slow(&self) -> Sim {
        self.lab.sim().compile_delay(DELAY)
    }

    fn start(&self, sim: &Sim, name: &str) -> Started {
        let run =
            self.lab.preheat(sim).words("--json --no-tpu-warmup program run").arg(&self.program);
        run.arg("--inputs")
            .arg(self.lab.path("inputs"))
            .arg("--output")
            .arg(self.lab.path(name))
            .start()
    }

    fn start_all(&self) -> Vec<Started> {
        (0..PROCESSES).map(|index| self.start(&self.slow(), &format!("out{index}"))).collect()
    }

    /// Waits for a run, asserts that its result is right, and returns where its executable came
    /// from.
    fn right(&self, run: Started, name: &str) -> String {
        let ran = run.wait().done().silent_about_the_cache();
        assert_eq!(read_f32(&self.lab.path(name), "out0"), [2.0, -4.0, 1.0, 16.0], "{name}");
        ran.json()["stages"][0]["source"].as_str().unwrap().to_owned()
    }

    /// Waits until a process compiles, and returns its id.
    fn compiler(&self) -> u32 {
        until("a compile", || self.lab.compiles() == 1);
        let compiles = |event: &Event| matches!(event, Event::Compile { .. });
        let log = self.lab.log();
        log.iter()
            .find(|entry| compiles(&entry.event) && entry.outcome == Outcome::Started)
            .unwrap()
            .pid
    }

    /// Asserts the outcome of every race: one object, nothing half-written, and no later compile.
    fn assert_settled(&self, compiles: usize) {
        assert_eq!(self.lab.compiles(), compiles);
        assert_eq!(self.lab.objects().len(), 1);
        self.lab.assert_nothing_half_written();
        self.lab.bare().words("cache verify").run().done();
        self.lab
            .preheat(&self.lab.no_compiles())
            .words("--require-warm program run")
            .arg(&self.program)
            .run()
            .done();
    }
}

/// How often a source occurs in `sources`.
fn count(sources: &[String], source: &str) -> usize {
    sources.iter().filter(|one| *one == source).count()
}

#[test]
fn sixteen_processes_at_once_compile_once() {
    let race = Race::new();
    let began = Instant::now();
    let runs = race.start_all();
    let sources: Vec<String> = runs
        .into_iter()
        .enumerate()
        .map(|(index, run)| race.right(run, &format!("out{index}")))
        .collect();
    let took = began.elapsed();
    assert_eq!(
        (race.lab.compiles(), count(&sources, "compiled"), count(&sources, "disk")),
        (1, 1, PROCESSES - 1)
    );
    let stats = race.lab.bare().words("--json cache stats").run().done().json();
    assert_eq!(
        (&stats["compiles"], &stats["hits"]["disk"]),
        (&1.into(), &(PROCESSES - 1).into()),
        "{stats}"
    );
    // The time that one process takes alone, from its start to its end.
    let began = Instant::now();
    race.right(race.start(&race.lab.no_compiles(), "alone"), "alone");
    let load = began.elapsed();
    let bound = DELAY + load * u32::try_from(PROCESSES).unwrap();
    println!(
        "{PROCESSES} processes took {took:.2?}: a compile of 2 s and {PROCESSES} loads of {load:.2?} are {bound:.2?}"
    );
    // The machine may have been busier during the race than it is now.
    assert!(took < 3 * bound, "{took:?} of {bound:?}");
    race.assert_settled(1);
}

#[test]
fn of_sixteen_processes_one_takes_over_when_the_compiling_one_is_killed() {
    let race = Race::new();
    let mut runs: Vec<(String, Started)> = race
        .start_all()
        .into_iter()
        .enumerate()
        .map(|(index, run)| (format!("out{index}"), run))
        .collect();
    let compiler = race.compiler();
    std::thread::sleep(DELAY / 2);
    let killed =
        runs.iter().position(|(_, run)| run.id() == compiler).expect("one of them compiles");
    let (name, killed) = runs.swap_remove(killed);
    killed.signal("KILL");
    assert_eq!(killed.wait().status, None);
    assert!(!race.lab.path(&name).exists(), "the compiling process was killed too late");
    let sources: Vec<String> = runs.into_iter().map(|(name, run)| race.right(run, &name)).collect();
    assert_eq!((count(&sources, "compiled"), count(&sources, "disk")), (1, PROCESSES - 2));
    race.assert_settled(2);
}

/// Starts a process that has to wait for another one, and returns it when it has waited for half a
/// second.
fn waiting(race: &Race, sim: &Sim, name: &str) -> Started {
    let clients = race.lab.count(Place::Client);
    let mut waiter = race.start(sim, name);
    until("the waiter's client", || race.lab.count(Place::Client) > clients);
    std::thread::sleep(Duration::from_millis(500));
    assert!(waiter.is_running());
    waiter
}

#[test]
fn a_waiter_says_who_compiles_and_for_how_long_and_can_be_interrupted() {
    let race = Race::new();
    let slow = race.lab.sim().compile_delay(Duration::from_secs(30));
    let mut compiler = race.start(&slow, "compiled");
    assert_eq!(race.compiler(), compiler.id());
    std::thread::sleep(Duration::from_millis(1100));
    let waiter = waiting(&race, &race.lab.sim(), "waited");
    let begun = Instant::now();
    waiter.signal("INT");
    let ran = waiter.wait().ended(130).says(&["interrupted"]);
    // The process ends soon, although the compile that it waited for takes 30 s.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let so_far = seconds_so_far(
        &ran,
        &format!("waiting for process {}, which compiles double, for ", compiler.id()),
    );
    assert!((1.1..30.0).contains(&so_far), "{so_far}");
    assert!(compiler.is_running(), "the compile itself goes on");
    assert_eq!((race.lab.compiles(), race.lab.path("waited").exists()), (1, false));

    // Another process waits; the compiling process is killed, and the waiting one takes over.
    let waiter = waiting(&race, &race.lab.sim(), "took-over");
    compiler.signal("KILL");
    assert_eq!(compiler.wait().status, None);
    assert_eq!(race.right(waiter, "took-over"), "compiled");
    race.assert_settled(2);
}

/// The number of seconds behind `words` in the output of a run.
fn seconds_so_far(ran: &Ran, words: &str) -> f64 {
    let behind =
        ran.stderr.split_once(words).unwrap_or_else(|| panic!("no {words:?} in: {}", ran.stderr)).1;
    behind.split_once(" s so far").unwrap_or_else(|| panic!("{behind}")).0.parse().unwrap()
}

#[test]
fn a_waiter_takes_what_is_there_while_another_still_has_the_right_to_compile() {
    let race = Race::new();
    assert_eq!(race.right(race.start(&race.lab.sim(), "first"), "first"), "compiled");
    let object = race.lab.objects()[0].clone();
    let aside = race.lab.path("aside");
    std::fs::rename(&object, &aside).unwrap();
    // The test holds the lock, as a process does that compiles for an hour or hangs.
    let key = object.file_name().unwrap().to_str().unwrap();
    let lock = std::fs::File::create(race.lab.cache().join(format!("locks/{key}.lock"))).unwrap();
    lock.lock().unwrap();
    let waiter = waiting(&race, &race.lab.sim(), "waited");
    std::fs::rename(&aside, &object).unwrap();
    // If the waiter waited until it has the lock, `right` would never return.
    assert_eq!(race.right(waiter, "waited"), "disk");
    assert_eq!(race.lab.compiles(), 1);
    drop(lock);
    // If the object cannot be used, the waiter waits for the lock and compiles in the end.
    std::fs::rename(&object, &aside).unwrap();
    let lock = std::fs::File::create(race.lab.cache().join(format!("locks/{key}.lock"))).unwrap();
    lock.lock().unwrap();
    let mut waiter = waiting(&race, &race.lab.sim(), "damaged");
    std::fs::write(&object, "damaged").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        waiter.is_running(),
        "the waiter must not compile while another process has the right to"
    );
    drop(lock);
    let ran = waiter.wait().done();
    assert_eq!(ran.json()["stages"][0]["source"], "compiled");
    assert_eq!(race.lab.compiles(), 2);
}
