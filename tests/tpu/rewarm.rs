//! Does `cache rewarm` make the cache's graphs ready for another plugin build or other hardware? It
//! needs only the programs in the graphs' records. The tests run over two real releases of libtpu,
//! and over the test plugin, which poses as several builds. The test plugin's log counts the
//! compiles.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use pjrt_sim::config::from_hex;
use pjrt_sim::{Count, Event, Outcome, Place, Sim, When, copy_as_other_build};
use preheat::{Dtype, Program, ProgramFormat, Runtime, create_execution_signature};
use preheat_pjrt::{Compatibility, ExecutableAbiVersion, Plugin};
use preheat_runtime::{Renewed, Rewarm};
use serde_json::Value;
use support::demo::{copy_folder, demo_model};
use support::lab::{DOUBLE, SQUARE, files_under, library, until};
use support::tpu::TpuVersion;
use support::{Lab, Preheat, Ran};

/// The signature of the demo model with everything at its default.
const DEMO_SIGNATURE: &str = "--model-id model --width 64 --height 64 --cfg-scale 7.5 --scheduler pndm --steps 20 --dtype bfloat16";

/// The name of the test that runs itself again in children.
const OVER_TWO_LIBTPUS: &str =
    "a_store_warmed_over_one_libtpu_is_made_ready_for_another_without_the_model";

/// Another build of the plugin.
fn other_build(lab: &Lab) -> PathBuf {
    let path = lab.path("newer.so");
    if !path.exists() {
        copy_as_other_build(&path).unwrap();
    }
    path
}

/// `preheat` with a plugin for TPUs, and without a device in its environment.
fn over(lab: &Lab, sim: &Sim, plugin: PathBuf) -> Preheat {
    lab.quick(sim).env("PREHEAT_DEVICE", "auto").env("PREHEAT_TPU_PLUGIN", plugin)
}

fn fields(stage: &Value) -> Vec<&str> {
    let differences = stage["nearest"]["differences"].as_array().unwrap();
    differences.iter().map(|difference| difference["field"].as_str().unwrap()).collect()
}

/// How many graphs of a target were recompiled, were kept, were already there, and failed.
fn counts(target: &Value) -> [u64; 4] {
    ["recompiled", "kept", "already_there", "failed"].map(|name| target[name].as_u64().unwrap())
}

/// The graphs in the cache.
fn keys(lab: &Lab) -> Vec<String> {
    let listed = lab.bare().words("--json cache list").run().done().json();
    listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["graph_key"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_store_warmed_over_one_libtpu_is_made_ready_for_another_without_the_model() {
    if let Some(library) = support::tpu::library_of_child() {
        return takes_what_it_compiled_and_nothing_else(&library);
    }
    let lab = Lab::new();
    let model = lab.path("model");
    copy_folder(&demo_model(), &model);
    let (own, other) = (Sim::new(support::tpu_plugin()), Sim::new(support::older_tpu_plugin()));
    let (own, other) = (own.log(lab.path("log")), other.log(lab.path("log")));
    let before = || over(&lab, &own, library());
    let after = || over(&lab, &other, other_build(&lab));
    before().words("warmup --aot tpu:v5e:1x1 --model").arg(&model).run().done();
    assert_eq!(lab.compiles(), 3);

    let lookup = || after().words("--json lookup --target tpu:v5e:1x1 --model").arg(&model).run();
    let miss = lookup().ended(3).json();
    for stage in miss["stages"].as_array().unwrap() {
        assert_eq!(fields(stage), ["plugin_build", "platform_version"]);
        assert!(stage["expected_compile_seconds"].as_f64().unwrap() > 0.0);
    }

    let own_keys = keys(&lab);
    fs::remove_dir_all(&model).unwrap();
    let rewarm =
        || after().words("--json cache rewarm --plugin").arg(other_build(&lab)).run().done().json();
    let done = rewarm();
    assert_eq!(
        (done[0]["target"].as_str(), counts(&done[0])),
        (Some("tpu:v5e:1x1"), [3, 0, 0, 0]),
        "{done}"
    );
    // The additional compile shows the ABI version that this build gives its code. This version
    // differs from the older build's.
    assert_eq!(lab.compiles(), 3 + 3 + 1);
    let by_signature = after()
        .words("--json lookup --target tpu:v5e:1x1")
        .words(DEMO_SIGNATURE)
        .run()
        .done()
        .json();
    assert_eq!(
        (by_signature["verdict"].as_str(), by_signature["stages"].as_array().unwrap().len()),
        (Some("hit"), 3)
    );

    what_each_build_takes(&lab, &own_keys);
    copy_folder(&demo_model(), &model);
    let hit = lookup().done().json();
    assert!(
        hit["stages"].as_array().unwrap().iter().all(|stage| stage["match"] == "exact"),
        "{hit}"
    );
    assert_eq!(counts(&rewarm()[0]), [0, 0, 3, 0]);
    let warmup =
        after().words("--json warmup --aot tpu:v5e:1x1 --model").arg(&model).run().done().json();
    assert!(
        warmup["stages"].as_array().unwrap().iter().all(|stage| stage["source"] == "disk"),
        "{warmup}"
    );
    lab.bare().words("cache verify").run().done();
    // The older build still finds its own graphs.
    let still = before()
        .words("--json lookup --target tpu:v5e:1x1 --model")
        .arg(&model)
        .run()
        .done()
        .json();
    assert!(
        still["stages"].as_array().unwrap().iter().all(|stage| stage["match"] == "exact"),
        "{still}"
    );
}

/// The variables that name two folders to a child. Each folder has one file for each stored graph,
/// with the graph's ABI version. The first folder is for the graphs that the child's libtpu
/// compiled, the second for those of the other libtpu.
const VERSIONS: [&str; 2] = ["PREHEAT_TEST_OWN_VERSIONS", "PREHEAT_TEST_OTHER_VERSIONS"];

/// Checks, for each libtpu, whether it accepts what it compiled itself and what the other libtpu
/// compiled.
fn what_each_build_takes(lab: &Lab, own_keys: &[String]) {
    let folders = [lab.path("own"), lab.path("other")];
    for folder in &folders {
        fs::create_dir(folder).unwrap();
    }
    for key in keys(lab) {
        let record = lab.bare().words("--json cache show").arg(&key).run().done().json();
        let version = from_hex(record["abi_version"].as_str().unwrap()).unwrap();
        fs::write(folders[usize::from(!own_keys.contains(&key))].join(&key), version).unwrap();
    }
    let [own, other] = &folders;
    for (library, own, other) in
        [(support::tpu_plugin(), own, other), (support::older_tpu_plugin(), other, own)]
    {
        let variables = [(VERSIONS[0], own.as_os_str()), (VERSIONS[1], other.as_os_str())];
        support::tpu::child(OVER_TWO_LIBTPUS, &library, &variables);
    }
}

fn takes_what_it_compiled_and_nothing_else(library: &Path) {
    let plugin = Plugin::open(library).unwrap();
    let [own, other] = VERSIONS.map(|variable| {
        let files = files_under(Path::new(&std::env::var_os(variable).unwrap()));
        files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!((own.len(), other.len()), (3, 3));
    // Without a TPU there is no runtime that could accept an executable. So the test makes a
    // runtime version from the one for which this libtpu compiles.
    let here = TpuVersion::read(&own[0]);
    let takes = |version: &[u8]| {
        let version = ExecutableAbiVersion::from_bytes(&plugin, version).unwrap().unwrap();
        support::tpu::takes(&plugin, &here, &version)
    };
    assert!(own.iter().all(|version| takes(version) == Compatibility::Compatible));
    for version in &other {
        let Compatibility::Incompatible(reason) = takes(version) else {
            panic!("this libtpu accepts what the other one compiled")
        };
        assert!(reason.contains("base ABI version"), "{reason}");
    }
}

/// Two programs in the cache, compiled ahead for a v5e whose ABI version is 163.
fn two_programs(lab: &Lab) -> [PathBuf; 2] {
    let programs = [lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE)];
    let sim = lab.sim().pose("v5e:1x1").abi_version("163");
    let warmup = over(lab, &sim, library()).words("warmup --aot tpu:v5e:1x1");
    let program = |warmup: Preheat, path: &PathBuf| warmup.arg("--program").arg(path);
    programs.iter().fold(warmup, program).run().done();
    assert_eq!(lab.compiles(), 2);
    programs
}

/// The test plugin with another platform version, which makes it another build.
fn later(lab: &Lab) -> Sim {
    lab.sim().pose("v5e:1x1").platform_version("TFRT TPU v5 lite\nBuilt later")
}

/// Rewarms every target in the cache for the other build.
fn rewarm(lab: &Lab, sim: &Sim) -> Ran {
    over(lab, sim, library()).words("--json cache rewarm --plugin").arg(other_build(lab)).run()
}

#[test]
fn what_the_newer_build_takes_is_kept() {
    let lab = Lab::new();
    let [double, square] = two_programs(&lab);
    assert_eq!(
        counts(&rewarm(&lab, &later(&lab).abi_version("163")).done().json()[0]),
        [0, 2, 0, 0]
    );
    assert_eq!(lab.compiles(), 2 + 1, "one compile to learn the version of the newer build");
    // The graphs are kept under the newer build's key, and name the build that compiled them.
    let listed = lab.bare().words("--json cache list").run().done().json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    let show = |key: &Value| {
        lab.bare().words("--json cache show").arg(key.as_str().unwrap()).run().done().json()
    };
    let records: Vec<Value> =
        listed.as_array().unwrap().iter().map(|one| show(&one["graph_key"])).collect();
    let kept: Vec<_> = records.iter().filter(|record| record["compiled_by"].is_string()).collect();
    assert_eq!(kept.len(), 2);
    for record in kept {
        let older = records
            .iter()
            .find(|one| one["environment"]["plugin_build"] == record["compiled_by"])
            .unwrap();
        assert_ne!(record["environment"]["plugin_build"], older["environment"]["plugin_build"]);
        assert_eq!(record["abi_version"], older["abi_version"]);
    }
    lab.bare().words("cache verify").run().done();
    // The device of this machine accepts them, and computes the right results.
    let sim = later(&lab).abi_version("163").fail_compile(When::Each);
    for program in [&double, &square] {
        let run = lab.preheat_tpu(&sim).env("PREHEAT_TPU_PLUGIN", other_build(&lab));
        let run = run.env("XLA_FLAGS", "--xla_backend_optimization_level=0");
        let ran = run.words("--json --require-warm program run").arg(program).run().done().json();
        assert_eq!(ran["stages"][0]["match"], "exact");
    }
}

#[test]
fn what_it_does_not_take_is_recompiled_and_so_is_everything_for_a_build_without_versions() {
    for version in [Some("164"), None] {
        let lab = Lab::new();
        two_programs(&lab);
        let sim = version.map_or(later(&lab), |version| later(&lab).abi_version(version));
        assert_eq!(counts(&rewarm(&lab, &sim).done().json()[0]), [2, 0, 0, 0]);
        assert_eq!(counts(&rewarm(&lab, &sim).done().json()[0]), [0, 0, 2, 0]);
    }
}

#[test]
fn a_runtime_that_is_here_is_asked_itself() {
    let lab = Lab::new();
    two_programs(&lab);
    let rewarm = |sim: &Sim| {
        let preheat = over(&lab, sim, library()).words("--json --device tpu cache rewarm --plugin");
        preheat.arg(other_build(&lab)).run().done().json()
    };
    let sim = later(&lab).abi_version("164").abi_takes(&["163", "164"]);
    assert_eq!(counts(&rewarm(&sim)[0]), [0, 2, 0, 0]);
    assert_eq!(lab.compiles(), 2, "nothing has to be compiled to learn the version of a runtime");
    let asked = lab
        .log()
        .iter()
        .filter(|entry| matches!(entry.event, Event::Takes { taken: true, .. }))
        .count();
    assert_eq!(asked, 2);
    let newest = later(&lab).platform_version("TFRT TPU v5 lite\nBuilt last").abi_version("165");
    assert_eq!(counts(&rewarm(&newest)[0]), [2, 0, 0, 0]);
}

#[test]
fn another_target_is_compiled_for_from_the_graphs_of_this_one() {
    let lab = Lab::new();
    let [double, _] = two_programs(&lab);
    let sim = || lab.sim().pose("v5e:1x1").abi_version("163");
    let rewarm =
        |words: &str| over(&lab, &sim(), library()).words("--json cache rewarm").words(words).run();
    let done = rewarm("--target tpu:v6e:1x1 --model double").done().json();
    assert_eq!((done[0]["target"].as_str(), counts(&done[0])), (Some("tpu:v6e:1x1"), [1, 0, 0, 0]));
    assert_eq!(lab.compiles(), 2 + 1, "code for another chip is never kept, so it is compiled");
    let lookup = over(&lab, &sim(), library())
        .words("--json lookup --target tpu:v6e:1x1 --program")
        .arg(&double);
    assert_eq!(lookup.run().done().json()["stages"][0]["match"], "exact");
    // The cache already has the graph for the hardware for which it was compiled.
    assert_eq!(
        rewarm("--target tpu:v5e:1x1 --model double").done().json()[0]["graphs"][0]["outcome"],
        "already_there"
    );
    // If the plugin rejects a target for which the cache holds graphs, the result says so.
    let without = sim().fail(Place::Topology, When::Each);
    let told = over(&lab, &without, library())
        .words("--json cache rewarm --plugin")
        .arg(other_build(&lab))
        .run();
    let told = told.ended(1).json();
    assert!(told[0]["reason"].as_str().unwrap().contains("tpu:v5e:1x1"), "{told}");
    rewarm("--target tpu:v99:1x1").ended(1).says(&["tpu:v99:1x1", "tpu:v5e:1x1"]);
    rewarm("").ended(2).says(&["--plugin", "--target"]);
}

#[test]
fn a_plugin_that_only_compiles_for_what_is_here_does_that() {
    let lab = Lab::new();
    let programs = [lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE)];
    for program in &programs {
        lab.preheat(&lab.sim()).words("program compile").arg(program).run().done();
    }
    let rewarm = |sim: &Sim, words: &str| {
        let preheat = over(&lab, sim, library()).env_remove("XLA_FLAGS");
        preheat.words("cache rewarm").words(words).arg("--plugin").arg(other_build(&lab)).run()
    };
    assert_eq!(lab.compiles(), 2);
    let failing = rewarm(&lab.sim().fail_compile(When::Nth(3)), "--json --jobs 1").ended(1).json();
    assert_eq!(
        (failing[0]["target"].as_str(), counts(&failing[0])),
        (Some("xla-cpu"), [1, 0, 0, 1])
    );
    let graphs = failing[0]["graphs"].as_array().unwrap();
    let failed = graphs.iter().find(|graph| graph["outcome"] == "failed").unwrap();
    assert!(failed["reason"].as_str().unwrap().contains("could not compile"), "{failed}");
    let again = rewarm(&lab.sim(), "").done();
    assert!(
        again.stdout.contains("1 recompiled in") && again.stdout.contains("1 already there"),
        "{}",
        again.stdout
    );
    assert_eq!(lab.compiles(), 2 + 2 + 1);
    let sim = lab.no_compiles();
    for program in &programs {
        let run = lab
            .preheat(&sim)
            .env("PREHEAT_XLA_CPU_PLUGIN", other_build(&lab))
            .words("--require-warm program run");
        run.arg(program).run().done();
    }
}

#[test]
fn an_interrupt_keeps_what_is_done() {
    let lab = Lab::new();
    two_programs(&lab);
    let rewarm = |sim: &Sim| {
        over(&lab, sim, library())
            .words("--json cache rewarm --jobs 1 --plugin")
            .arg(other_build(&lab))
    };
    // The third compile shows that this build has no ABI versions, the fourth compiles the first
    // graph, and the fifth hangs.
    let running = rewarm(&later(&lab).hang(Place::Compile, When::Nth(5))).start();
    let hangs = || lab.log().iter().any(|entry| entry.outcome == Outcome::Hanging);
    until("the compile of the second graph", hangs);
    running.signal("INT");
    running.wait().ended(130);
    let done = rewarm(&later(&lab)).run().done().json();
    assert_eq!(counts(&done[0]), [1, 0, 1, 0]);
    lab.bare().words("cache verify").run().done();
    lab.assert_nothing_half_written();
}

#[test]
fn the_library_call_finds_what_it_made() {
    support::in_child("the_library_call_finds_what_it_made", Lab::sim, |lab| {
        let runtime = |plugin: PathBuf| {
            Runtime::builder().plugin(plugin).cache_dir(lab.cache()).build().unwrap()
        };
        let program = Program::new(ProgramFormat::Mlir, DOUBLE.as_bytes().to_vec());
        let signature =
            create_execution_signature("m", [4], 1, 1.0, "", 1, Dtype::Float32).unwrap();
        let (older, newer) = (runtime(library()), runtime(other_build(lab)));
        let graph_key = older.get_or_compile(&signature, &program).unwrap().report().graph_key;
        older.flush();
        let done = newer.rewarm(&Rewarm::default()).unwrap();
        assert_eq!((done.len(), done[0].from, done[0].model_id.as_str()), (1, graph_key, "m"));
        assert!(matches!(done[0].outcome, Ok(Renewed::Recompiled { .. })));
        assert!(newer.is_cached(&signature).unwrap() && lab.compiles() == 2);
        assert!(
            newer
                .rewarm(&Rewarm { models: vec!["another".into()], ..Rewarm::default() })
                .unwrap()
                .is_empty()
        );
        newer.get_or_compile(&signature, &program).unwrap();
        assert_eq!((lab.compiles(), lab.log().compiles()), (2, 2));
    });
}
