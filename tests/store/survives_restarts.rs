//! Is a program that was compiled once ever compiled again by a later process? No: the later
//! processes use a plugin whose compiles all fail, and its log counts them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::{Path, PathBuf};

use pjrt_sim::{Count, Sim};
use support::lab::{DOUBLE, Started};
use support::tensors::write_some;
use support::{Lab, repository};

/// The example programs, including a step of a denoiser.
fn examples() -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = std::fs::read_dir(repository("examples/programs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mlir"))
        .collect();
    programs.sort();
    assert!(programs.len() >= 4, "{programs:?}");
    programs
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Runs each program on the inputs in `NAME.inputs`, writes its outputs to `NAME.PASS`, and asserts
/// that it came from the cache.
fn run_all(lab: &Lab, sim: &Sim, programs: &[PathBuf], pass: &str) {
    for program in programs {
        let name = stem(program);
        let run = lab.preheat(sim).words("--json --require-warm program run").arg(program);
        let run = run.arg("--inputs").arg(lab.path(&format!("{name}.inputs")));
        let ran =
            run.arg("--output").arg(lab.path(&format!("{name}.{pass}"))).run().done().silent();
        assert_eq!(ran.json()["stages"][0]["source"], "disk", "{name}");
    }
}

#[test]
fn the_example_programs_run_in_processes_that_cannot_compile() {
    let lab = Lab::new();
    let programs = examples();
    // The first process compiles all programs and runs each on zeros.
    let mut warmup = lab.preheat(&lab.sim()).words("--json warmup");
    for program in &programs {
        warmup = warmup.arg("--program").arg(program);
    }
    let warm = warmup.run().done().json();
    let stages = warm["stages"].as_array().unwrap();
    assert_eq!(stages.len(), programs.len());
    assert_eq!((lab.compiles(), lab.log().compiles()), (programs.len(), programs.len()));
    assert!(lab.executes() >= programs.len());
    for (program, stage) in programs.iter().zip(stages) {
        assert_eq!((&stage["source"], &stage["match"]), (&"compiled".into(), &"compiled".into()));
        let key = stage["graph_key"].as_str().unwrap();
        let record = lab.bare().words("--json cache show").arg(key).run().done().json();
        write_some(&lab.path(&format!("{}.inputs", stem(program))), &record);
    }
    // The results of fresh compiles, without any cache.
    let fresh: Vec<_> =
        programs.iter().filter(|program| stem(program) != "unet_step").cloned().collect();
    for program in &fresh {
        let name = stem(program);
        let run = lab
            .preheat(&lab.sim())
            .words("--no-tpu-warmup --tpu-compilation-cache=false program run")
            .arg(program);
        let run = run.arg("--inputs").arg(lab.path(&format!("{name}.inputs")));
        run.arg("--output").arg(lab.path(&format!("{name}.fresh"))).run().done();
    }
    let compiles = programs.len() + fresh.len();
    assert_eq!(lab.compiles(), compiles);
    // From here on, no process can compile.
    let sim = lab.no_compiles();
    run_all(&lab, &sim, &programs, "second");
    run_all(&lab, &sim, &programs, "third");
    assert_eq!(lab.compiles(), compiles, "a later process tried to compile");
    assert_eq!(lab.log().deserializes(), 2 * programs.len());
    let bytes = |name: &str| std::fs::read(lab.path(name)).unwrap();
    for program in &programs {
        let name = stem(program);
        assert!(bytes(&format!("{name}.second")) == bytes(&format!("{name}.third")), "{name}");
    }
    for name in fresh.iter().map(|program| stem(program)) {
        assert!(bytes(&format!("{name}.second")) == bytes(&format!("{name}.fresh")), "{name}");
    }
    let mut lookup = lab.preheat(&sim).words("--json lookup");
    for program in &programs {
        lookup = lookup.arg("--program").arg(program);
    }
    let answer = lookup.run().done().json();
    assert_eq!(answer["verdict"], "hit");
    assert!(
        answer["stages"].as_array().unwrap().iter().all(|stage| stage["match"] == "exact"),
        "{answer}"
    );
    assert_eq!(lab.compiles(), compiles);
}

#[test]
fn the_bytes_that_were_serialised_are_those_that_are_loaded() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let compile = |sim: &Sim| lab.preheat(sim).words("program compile").arg(&program).run().done();
    compile(&lab.sim());
    for _ in 0..3 {
        compile(&lab.no_compiles());
    }
    let log = lab.log();
    let stored = log.iter().find_map(|entry| match &entry.event {
        pjrt_sim::Event::Serialize { blake3: Some(digest), .. } => Some(digest.clone()),
        _ => None,
    });
    let stored = stored.expect("something was serialised");
    assert_eq!(log.deserialized_digests(), [stored.as_str(); 3]);
    assert_eq!(log.compiles_started(), 1);
}

#[test]
fn without_the_cache_a_process_that_cannot_compile_fails() {
    // The other tests prove something only if this one passes: it shows that compiles fail.
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    lab.preheat(&lab.sim()).words("program run").arg(&program).run().done();
    let run = lab
        .preheat(&lab.no_compiles())
        .words("--tpu-compilation-cache=false program run")
        .arg(&program);
    run.run().ended(1).says(&["could not compile", "told to fail compile"]);
}

#[test]
fn eight_processes_at_once_on_eight_programs_all_keep_theirs() {
    let lab = Lab::new();
    let programs: Vec<PathBuf> = (0..8)
        .map(|n| {
            lab.file(&format!("p{n}.mlir"), DOUBLE.replace("4xf32", &format!("{}xf32", n + 1)))
        })
        .collect();
    let runs: Vec<Started> = programs
        .iter()
        .map(|program| {
            lab.preheat(&lab.sim()).words("--no-tpu-warmup program run").arg(program).start()
        })
        .collect();
    for run in runs {
        run.wait().done().silent_about_the_cache();
    }
    assert_eq!(lab.compiles(), 8);
    let listed = lab.bare().words("--json cache list").run().done().json();
    assert_eq!(listed.as_array().unwrap().len(), 8);
    for program in &programs {
        lab.preheat(&lab.no_compiles())
            .words("--require-warm program run")
            .arg(program)
            .run()
            .done();
    }
    assert_eq!(lab.compiles(), 8);
}
