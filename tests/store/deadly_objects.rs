//! Can an object end more than one process? If an object ended the process that loaded or ran it, a
//! child tries it before any other process loads it. It is refused if that child and a second one
//! die, too. If no child can try it, for example because only one process can have the device, it
//! is refused once it has ended two processes. If the process was killed for another reason, the
//! object is kept.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;

use pjrt_sim::{Count, Entry, Outcome, Place, Sim, When};
use preheat::{Dtype, Program, Runtime, Source, create_execution_signature};
use preheat_cache::{ObjectLookup, Store, StoreOptions};
use preheat_runtime::RuntimeBuilder;
use preheat_runtime::device::{DeviceName, DeviceRequest};
use serde_json::Value;
use support::lab::{DOUBLE, files_under, library, until};
use support::{Lab, Preheat, Ran, in_child};

/// The marks of all loads, made by processes that are running or have ended.
fn marks(lab: &Lab) -> Vec<PathBuf> {
    files_under(&lab.cache().join("loading"))
}

fn quarantined(lab: &Lab) -> Vec<PathBuf> {
    files_under(&lab.cache().join("quarantine"))
}

/// Adds `program run` of a small program to the arguments of `preheat`.
fn program(lab: &Lab, preheat: Preheat) -> Preheat {
    let file = lab.path("double.mlir");
    // The file is written once, because several runs may read it at the same time.
    if !file.exists() {
        std::fs::write(&file, DOUBLE).unwrap();
    }
    preheat.words("--json program run").arg(file)
}

fn on_cpu(lab: &Lab, sim: &Sim) -> Ran {
    program(lab, lab.preheat(sim)).run()
}

fn on_tpu(lab: &Lab, sim: &Sim) -> Ran {
    program(lab, lab.preheat_tpu(&sim.clone().pose("v5e:1x1"))).run()
}

#[track_caller]
fn assert_source(ran: Ran, source: &str) -> Ran {
    let ran = ran.done();
    assert_eq!(ran.json()["stages"][0]["source"], Value::from(source), "{}", ran.stderr);
    ran
}

/// Asserts that no mark of a load is left, and that no object was treated as damaged.
#[track_caller]
fn assert_sound(lab: &Lab) {
    assert_eq!(marks(lab), [] as [PathBuf; 0]);
    assert_eq!(quarantined(lab), [] as [PathBuf; 0]);
    lab.assert_nothing_half_written();
}

/// Kills a run in the middle of a load that hangs.
fn kill_while_it_loads(lab: &Lab, load: u64) {
    let hang = lab.sim().hang(Place::Deserialize, When::Nth(load));
    let hanging = program(lab, lab.preheat(&hang)).start();
    until("the load", || lab.log().deserializes_started() as u64 == load);
    assert_eq!(marks(lab).len(), 1, "only the load that hangs has a mark");
    hanging.signal("KILL");
    assert_eq!(hanging.wait().status, None);
}

#[test]
fn an_object_that_ends_a_process_as_it_is_loaded_ends_no_other() {
    for ends in [Sim::crash, Sim::exit] {
        let lab = Lab::new();
        assert_source(on_cpu(&lab, &lab.sim()), "compiled");
        let deadly = ends(lab.sim(), Place::Deserialize, When::Each);
        assert_ne!(on_cpu(&lab, &deadly).status, Some(0));
        assert_eq!((marks(&lab).len(), lab.log().deserializes_started()), (1, 1));
        let healed = assert_source(on_cpu(&lab, &deadly), "compiled");
        let healed = healed.says(&["quarantine", "compiled anew"]);
        let tried = "two more that only tried it";
        assert!(healed.json()["warnings"].to_string().contains(tried), "{}", healed.stdout);
        let (loads, compiles) = (lab.log().deserializes_started(), lab.compiles());
        assert_eq!((loads, compiles), (3, 2), "one by the process that died, two by children");
        let is_reason = |path: &PathBuf| path.to_string_lossy().contains(".reason");
        let reasons: Vec<_> = quarantined(&lab).into_iter().filter(is_reason).collect();
        assert!(std::fs::read_to_string(&reasons[0]).unwrap().contains(tried));
        assert_eq!((marks(&lab).len(), quarantined(&lab).len(), reasons.len()), (0, 2, 1));
        lab.assert_nothing_half_written();
        assert_source(on_cpu(&lab, &lab.no_compiles()), "disk").silent();
        assert_eq!(lab.bare().words("--json cache stats").run().done().json()["quarantined"], 1);
        lab.bare().words("cache verify").run().done();
    }
}

#[test]
fn an_object_that_ends_a_process_as_it_runs_first_ends_no_other() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    // The first process that runs the object crashes, and so do two children that only try it.
    let deadly = (1..=3).fold(lab.sim(), |sim, nth| sim.crash(Place::Execute, When::Nth(nth)));
    assert_eq!(on_cpu(&lab, &deadly).status, None);
    assert_source(on_cpu(&lab, &deadly), "compiled").says(&["quarantine"]);
    assert_source(on_cpu(&lab, &lab.no_compiles()), "disk").silent();
    assert_eq!(marks(&lab).len(), 0);
}

#[test]
fn what_a_killed_process_was_loading_is_tried_and_used() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    assert_sound(&lab);
    kill_while_it_loads(&lab, 1);
    let used = assert_source(on_cpu(&lab, &lab.no_compiles()), "disk");
    assert_eq!(used.json()["warnings"], Value::Array(Vec::new()));
    used.says(&["trying"]);
    let loads = lab.log().deserializes_started();
    assert_eq!(
        loads, 3,
        "one by the killed process, one by a child, one by the process that used the object"
    );
    assert_sound(&lab);
    assert_source(on_cpu(&lab, &lab.no_compiles()), "disk").silent();
    assert_sound(&lab);
}

#[test]
fn a_child_that_is_killed_proves_nothing() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    kill_while_it_loads(&lab, 1);
    let hangs_in_its_child = lab.no_compiles().hang(Place::Deserialize, When::Nth(2));
    let running = program(&lab, lab.preheat(&hangs_in_its_child)).start();
    until("the child's load", || lab.log().deserializes_started() == 2);
    let hanging = |entry: &&Entry| entry.outcome == Outcome::Hanging && entry.pid != running.id();
    until("the child's hanging", || lab.log().iter().filter(hanging).count() == 2);
    let child = lab.log().iter().rfind(hanging).unwrap().pid.to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &child]).status().unwrap().success());
    assert_source(running.wait(), "disk");
    assert_sound(&lab);
}

#[test]
fn many_that_are_killed_cost_an_object_nothing_and_one_process_tries_it_for_all() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    let hang = lab.sim().hang(Place::Deserialize, When::Each);
    let dead: Vec<_> = (0..4).map(|_| program(&lab, lab.preheat(&hang)).start()).collect();
    until("the loads", || lab.log().deserializes_started() == 4);
    for run in &dead {
        run.signal("KILL");
    }
    for run in dead {
        assert_eq!(run.wait().status, None);
    }
    assert_eq!(marks(&lab).len(), 4);
    let run = |_| program(&lab, lab.preheat(&lab.no_compiles())).start();
    let runs: Vec<_> = (0..3).map(run).collect();
    for run in runs {
        assert_source(run.wait(), "disk");
    }
    assert_eq!(lab.log().deserializes_started(), 4 + 1 + 3);
    assert_sound(&lab);
}

#[test]
fn where_no_child_has_the_device_two_dead_processes_count() {
    let lab = Lab::new();
    assert_source(on_tpu(&lab, &lab.sim()), "compiled");
    let deadly = lab.sim().crash(Place::Deserialize, When::Each);
    for dead in 1..=2 {
        assert_eq!(on_tpu(&lab, &deadly).status, None);
        assert_eq!((marks(&lab).len(), lab.log().deserializes_started()), (dead, dead));
    }
    let healed = assert_source(on_tpu(&lab, &deadly), "compiled");
    healed.says(&["quarantine", "only one process can have the TPU"]);
    assert_eq!((marks(&lab).len(), lab.log().deserializes_started()), (0, 2));
    // One mark alone is not enough for the quarantine, and a successful run removes it.
    let lab = Lab::new();
    assert_source(on_tpu(&lab, &lab.sim()), "compiled");
    assert_eq!(on_tpu(&lab, &lab.sim().crash(Place::Deserialize, When::Nth(1))).status, None);
    assert_source(on_tpu(&lab, &lab.no_compiles()), "disk");
    assert_sound(&lab);
}

/// The folder of the user for marks that cannot be written into the cache.
fn own_marks(lab: &Lab) -> PathBuf {
    lab.path("user-cache/preheat-marks")
}

/// Asserts that a run does not load the object whose path is `named`, and reports that the object
/// is not used.
#[track_caller]
fn assert_passed_over(lab: &Lab, run: impl Fn(&Sim) -> Ran, named: &str) {
    let loads = lab.log().deserializes_started();
    let deadly = lab.sim().crash(Place::Deserialize, When::Each);
    let ran = assert_source(run(&deadly), "compiled");
    let ran = ran.says(&["is not used", "remove the file", named]);
    assert!(!ran.stderr.contains("trying"), "{}", ran.stderr);
    assert_eq!(lab.log().deserializes_started(), loads, "no child loaded it, either");
}

#[test]
fn an_object_of_a_store_that_is_only_read_ends_one_process_and_is_passed_over() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    let stored = files_under(&lab.cache());
    let run = |sim: &Sim| program(&lab, lab.preheat(sim).words("--cache-read-only")).run();
    // A sound object is loaded as before.
    assert_source(run(&lab.no_compiles()), "disk").silent();
    assert_eq!(files_under(&own_marks(&lab).join("loading")), [] as [PathBuf; 0]);
    let deadly = lab.sim().crash(Place::Deserialize, When::Each);
    assert_eq!(run(&deadly).status, None);
    assert_eq!(files_under(&own_marks(&lab).join("loading")).len(), 1);
    let object = lab.objects().remove(0);
    let tried = assert_source(run(&deadly), "compiled");
    tried.says(&["two more that only tried it", object.to_str().unwrap(), "passed over"]);
    assert_eq!(files_under(&own_marks(&lab).join("loading")), [] as [PathBuf; 0]);
    assert_passed_over(&lab, run, object.to_str().unwrap());
    assert_eq!(files_under(&lab.cache()), stored, "the store is unchanged");
    let notes = files_under(&own_marks(&lab).join("unfit"));
    assert_eq!(notes.len(), 1);
    std::fs::remove_file(&notes[0]).unwrap();
    assert_source(run(&lab.no_compiles()), "disk").silent();
}

#[test]
fn what_a_killed_process_was_loading_from_a_store_that_is_only_read_is_tried_and_used() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    let read_only = |sim: &Sim| program(&lab, lab.preheat(sim).words("--cache-read-only"));
    let hanging = read_only(&lab.sim().hang(Place::Deserialize, When::Nth(1))).start();
    until("the load", || lab.log().deserializes_started() == 1);
    hanging.signal("KILL");
    assert_eq!(hanging.wait().status, None);
    assert_source(read_only(&lab.no_compiles()).run(), "disk").says(&["trying"]);
    assert_source(read_only(&lab.no_compiles()).run(), "disk").silent();
    let own = own_marks(&lab);
    assert_eq!(files_under(&own.join("loading")).len() + files_under(&own.join("unfit")).len(), 0);
}

#[test]
fn where_the_store_takes_no_mark_it_goes_to_a_folder_of_the_user() {
    let lab = Lab::new();
    assert_source(on_cpu(&lab, &lab.sim()), "compiled");
    // A file in the place of the folder acts like a store that this user may not write to.
    // Permissions would not have this effect if root runs the tests.
    std::fs::write(lab.cache().join("loading"), "").unwrap();
    // The user's own folder for marks cannot be used either: a link is in its place.
    std::fs::create_dir(lab.path("user-cache")).unwrap();
    std::os::unix::fs::symlink(lab.path("elsewhere"), own_marks(&lab)).unwrap();
    for folder in ["elsewhere", "temporary"] {
        std::fs::create_dir(lab.path(folder)).unwrap();
    }
    let run = |sim: &Sim| {
        let run = lab.preheat(sim).env("TMPDIR", lab.path("temporary")).env("XDG_RUNTIME_DIR", "");
        program(&lab, run).run()
    };
    let deadly = lab.sim().crash(Place::Deserialize, When::Each);
    assert_eq!(run(&deadly).status, None);
    let marks = std::fs::read_dir(lab.path("temporary")).unwrap().next().unwrap().unwrap().path();
    assert!(marks.to_str().unwrap().contains("temporary/preheat-marks-"), "{marks:?}");
    assert_eq!(files_under(&marks.join("loading")).len(), 1);
    assert_source(run(&deadly), "compiled").says(&["quarantine", "compiled anew"]);
    assert_eq!(files_under(&marks.join("loading")), [] as [PathBuf; 0]);
    assert_eq!(files_under(&lab.path("elsewhere")), [] as [PathBuf; 0]);
    assert_source(run(&lab.no_compiles()), "disk").silent();
}

#[test]
fn an_object_of_a_store_behind_the_main_one_is_passed_over_once_it_ended_a_process() {
    let lab = Lab::new();
    let behind = lab.path("behind");
    let filling = lab.preheat(&lab.sim()).env("PREHEAT_CACHE_DIR", &behind);
    assert_source(program(&lab, filling).run(), "compiled");
    let over = |sim: &Sim| lab.preheat(sim).words("--cache-fallback").arg(&behind);
    let run = |sim: &Sim| program(&lab, over(sim)).run();
    let deadly = lab.sim().crash(Place::Deserialize, When::Each);
    assert_eq!(run(&deadly).status, None);
    assert_eq!(marks(&lab).len(), 1);
    assert_source(run(&deadly), "compiled").says(&["compiled anew"]);
    assert_source(run(&lab.no_compiles()), "disk").silent();
    // The replacement is removed from the main store, whose note about the object remains.
    std::fs::remove_file(lab.objects().remove(0)).unwrap();
    let object = files_under(&behind.join("objects-v1")).remove(0);
    assert_passed_over(&lab, run, object.to_str().unwrap());
    assert!(!own_marks(&lab).exists(), "the marks are written to the main store");
}

/// A program that uses the library may be unable to start child processes that try objects.
#[test]
fn a_program_that_serves_no_child_believes_two_dead_processes() {
    in_child("a_program_that_serves_no_child_believes_two_dead_processes", Lab::sim, |lab| {
        let (shape, dtype) = ([1, 4, 64, 64], Dtype::Float32);
        let signature = create_execution_signature("model", shape, 1, 7.0, "euler", 20, dtype);
        let signature = signature.unwrap();
        let program = Program::sniff(DOUBLE.as_bytes()).unwrap();
        let builder = || -> RuntimeBuilder {
            let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
            Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
        };
        let get = || builder().build().unwrap().get_or_compile(&signature, &program).unwrap();
        let payload = |key| {
            let store = Store::open(StoreOptions::new(lab.cache())).unwrap();
            let ObjectLookup::Hit(object) = store.load(&key).unwrap() else {
                panic!("the object is stored")
            };
            object.record.object.unwrap().payload_digest
        };
        let first = get();
        let payload = payload(first.graph_key());
        let path = |name: &str| lab.cache().join("loading").join(format!("{payload}.{name}"));
        let dead = |name: &str| std::fs::write(path(name), "").unwrap();
        // The executable is loaded and never run; its mark is removed when it is dropped.
        let unused = get();
        assert_eq!((unused.report().source, marks(lab).len()), (Source::Disk, 1));
        drop(unused);
        assert_sound(lab);
        dead("abcdef0123");
        let used = get();
        assert_eq!((used.report().source, marks(lab).len()), (Source::Disk, 2));
        used.run_on_zeros().unwrap();
        until("the end of the first execution", || marks(lab).is_empty());
        dead("abcdef0123");
        dead("0123456789");
        assert_eq!(get().report().source, Source::Compiled);
        assert_eq!((marks(lab).len(), quarantined(lab).len()), (0, 2));
        assert_eq!(get().report().source, Source::Disk);
    });
}

/// Signals, each with machine code that ends a process with this signal. Functions begin at
/// multiples of sixteen bytes, and the length of each code divides sixteen. So if a section is
/// filled with copies of the code, each function in it begins with the code.
#[cfg(target_arch = "x86_64")]
const DEADLY_CODE: [(i32, &[u8]); 3] = [
    (4, &[0x0f, 0x0b]),              // ud2
    (8, &[0x31, 0xc9, 0xf7, 0xf9]),  // xor ecx, ecx; idiv ecx
    (11, &[0x31, 0xc0, 0x89, 0x00]), // xor eax, eax; mov [rax], eax
];
#[cfg(target_arch = "aarch64")]
const DEADLY_CODE: [(i32, &[u8]); 2] = [
    (4, &[0, 0, 0, 0]),                       // udf #0
    (11, &[0, 0, 0x80, 0xd2, 0, 0, 0, 0xf9]), // mov x0, #0; str x0, [x0]
];

/// Replaces the code of every function of the ELF object in an executable of XLA:CPU. Returns how
/// many bytes were replaced.
fn poison(payload: &mut [u8], code: &[u8]) -> usize {
    let start = payload.windows(4).position(|bytes| bytes == b"\x7fELF");
    let start = start.expect("there is an object file in it");
    let elf = &mut payload[start..];
    let number = |elf: &[u8], at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(elf, 0x28, 8), number(elf, 0x3a, 2), number(elf, 0x3c, 2));
    let mut poisoned = 0;
    for header in (0..count).map(|index| table + index * size) {
        let is_code = number(elf, header + 8, 8) & 4 != 0;
        let (at, length) = (number(elf, header + 0x18, 8), number(elf, header + 0x20, 8));
        if is_code {
            for (byte, new) in elf[at..at + length].iter_mut().zip(code.iter().cycle()) {
                *byte = *new;
            }
            poisoned += length;
        }
    }
    poisoned
}

/// The checksums of the forged machine code are correct, so no check of the store can detect it.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn forged_machine_code_ends_one_process_and_is_replaced() {
    let lab = Lab::new();
    let inputs = program(&lab, lab.bare()).run();
    assert_source(inputs, "compiled");
    for (signal, code) in DEADLY_CODE {
        let store = Store::open(StoreOptions::new(lab.cache())).unwrap();
        let key = store.object_keys().unwrap()[0];
        let ObjectLookup::Hit(object) = store.load(&key).unwrap() else {
            panic!("the object is stored")
        };
        let program_text = object.program().unwrap();
        let mut payload = object.payload.clone();
        assert!(poison(&mut payload, code) > 0);
        store.put(&object.record, &program_text, &payload).unwrap();
        lab.bare().words("cache verify").run().done();
        assert_eq!(program(&lab, lab.bare()).run().status, None, "signal {signal}");
        let healed = assert_source(program(&lab, lab.bare()).run(), "compiled");
        healed.says(&["quarantine", &format!("signal: {signal} ")]);
        assert_source(program(&lab, lab.bare()).words("--require-warm").run(), "disk").silent();
        assert_eq!(marks(&lab).len(), 0);
    }
    assert_eq!(quarantined(&lab).len(), 2 * DEADLY_CODE.len());
}
