//! Does the cache work for libtorch's devices as it does for all others? The tests check what is
//! warm, where an executable came from, and what the cache holds.

use preheat::{Match, Source};
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::device::DeviceName;
use serde_json::Value;

use super::lab::{assert_stages, torch_library};
use crate::support::{Lab, Ran, xla_cpu_plugin};

const SEVEN: &str = "run --json --prompt seven --steps 2 --seed 1";
const STAGES: u64 = 3;

fn stats(lab: &Lab) -> Value {
    lab.bare().words("--json cache stats").run().done().json()
}

fn entries(lab: &Lab) -> Vec<Value> {
    lab.bare().words("--json cache list").run().done().json().as_array().unwrap().clone()
}

#[test]
fn what_is_warmed_is_warm_in_the_next_process() {
    let lab = Lab::new();
    let lookup = |status| lab.torch().words("--json lookup").run().ended(status).json();
    assert_eq!(lookup(3)["verdict"], "miss");
    let refused = lab.torch().words(SEVEN).arg("--require-warm").run().ended(3);
    assert!(!lab.path("out.png").exists(), "{refused:?}");

    let warmed = lab.torch().words("--json warmup").run().done().json();
    assert_stages(&warmed, "compiled", "compiled");
    let answer = lookup(0);
    assert_eq!(answer["verdict"], "hit");
    for stage in answer["stages"].as_array().unwrap() {
        assert_eq!(
            (stage["verdict"].as_str(), stage["match"].as_str()),
            (Some("hit"), Some("exact")),
            "{stage}"
        );
    }

    let ran =
        lab.torch().words("run --json --prompt seven --seed 1 --require-warm").run().done().json();
    assert_stages(&ran, "disk", "exact");
    assert_eq!(ran["device"]["selected"], "cpu");

    let stats = stats(&lab);
    assert_eq!(
        (stats["entries"].as_u64(), stats["warming"]["compiles"].as_u64()),
        (Some(STAGES), Some(STAGES))
    );
    assert_eq!(stats["by_device"]["cpu"]["entries"].as_u64(), Some(STAGES), "{stats}");
    assert!(stats["hits"]["disk"].as_u64() >= Some(STAGES), "{stats}");
    let entries = entries(&lab);
    assert_eq!(entries.len() as u64, STAGES);
    for entry in entries {
        assert_eq!(
            (entry["target"].as_str(), entry["dtype"].as_str()),
            (Some("torch:cpu"), Some("float32")),
            "{entry}"
        );
    }
    lab.assert_nothing_half_written();
}

/// An executable of XLA is never used as a graph of libtorch, nor the other way round.
#[test]
fn both_devices_keep_their_own_in_one_cache() {
    let lab = Lab::new();
    for device in ["cpu", "xla-cpu"] {
        let first = lab.on(device).words(SEVEN).run().done().json();
        assert_stages(&first, "compiled", "compiled");
    }
    for device in ["cpu", "xla-cpu"] {
        let second = lab.on(device).words(SEVEN).run().done().json();
        assert_stages(&second, "disk", "exact");
    }
    let stats = stats(&lab);
    for device in ["cpu", "xla-cpu"] {
        assert_eq!(stats["by_device"][device]["entries"].as_u64(), Some(STAGES), "{stats}");
        assert_eq!(stats["by_device"][device]["hits"].as_u64(), Some(STAGES), "{stats}");
    }
}

#[test]
fn without_a_cache_everything_is_made_ready_each_time() {
    let lab = Lab::new();
    for _ in 0..2 {
        let ran = lab.torch().words(SEVEN).arg("--tpu-compilation-cache=false").run().done().json();
        assert_stages(&ran, "compiled", "compiled");
    }
    assert!(!lab.cache().exists(), "a run without the cache must not write it");
}

#[test]
fn a_second_run_in_one_process_loads_nothing() {
    let lab = Lab::new();
    let runtime = lab.runtime(DeviceName::Cpu).build().unwrap();
    let pipeline = Pipeline::open(&runtime, crate::support::demo::demo_model()).unwrap();
    let request = TextToImage { steps: 2, seed: Some(1), ..TextToImage::new("seven") };
    let [first, second] = [(); 2].map(|()| pipeline.run(&request).unwrap());
    assert!(first.stages.iter().all(|stage| stage.source == Source::Compiled));
    for stage in &second.stages {
        assert_eq!((stage.source, stage.matched), (Source::Memory, Match::Exact), "{stage:?}");
    }
    assert_eq!(first.latents.bytes(), second.latents.bytes());
    let signature = &second.plan.signature;
    assert!(runtime.is_cached(signature).unwrap());
}

#[test]
fn upkeep_takes_entries_of_libtorch_as_it_takes_others() {
    let (lab, other) = (Lab::new(), Lab::new());
    lab.torch().words(SEVEN).run().done();
    let upkeep = |lab: &Lab, words: &str| -> Ran { lab.bare().words(words).run().done() };
    upkeep(&lab, "cache verify");
    let key = entries(&lab)[0]["graph_key"].as_str().unwrap().to_owned();
    let shown = lab.bare().words("--json cache show").arg(&key).run().done().json();
    assert!(
        shown.to_string().contains("torch:cpu") || shown.to_string().contains("torch-cpu"),
        "{shown}"
    );
    upkeep(&lab, &format!("cache pin {key}"));
    upkeep(&lab, &format!("cache unpin {key}"));

    let file = lab.path("all.preheat");
    lab.bare().words("cache export").arg(&file).run().done();
    other.bare().words("cache import --trust").arg(&file).run().done();
    let ran = other.torch().words(SEVEN).run().done().json();
    assert_stages(&ran, "disk", "exact");

    // Entries are not stale while the torch library that made them is there.
    lab.torch().words("cache prune --stale").run().done();
    assert_eq!(entries(&lab).len() as u64, STAGES, "entries in use were pruned");
    lab.bare().words("cache prune --stale").run().done();
    assert!(entries(&lab).is_empty(), "entries without their library were kept");
    lab.torch().words(SEVEN).run().done();
    upkeep(&lab, "cache clear --yes");
    assert!(entries(&lab).is_empty());
}

/// An entry of libtorch has no machine code that a new plugin build would have to compile again. So
/// `cache rewarm` does not change it.
#[test]
fn rewarming_leaves_entries_of_libtorch_alone() {
    let lab = Lab::new();
    lab.torch().words(SEVEN).run().done();
    for device in ["xla-cpu", "auto"] {
        let ran = lab.on(device).words("cache rewarm --plugin").arg(xla_cpu_plugin()).run().done();
        assert_eq!(entries(&lab).len() as u64, STAGES, "after rewarming on {device}: {ran:?}");
    }
    let ran = lab.torch().words(SEVEN).run().done().json();
    assert_stages(&ran, "disk", "exact");
}

#[test]
fn a_damaged_entry_is_made_ready_again() {
    let lab = Lab::new();
    lab.torch().words(SEVEN).run().done();
    for object in lab.objects() {
        let mut bytes = std::fs::read(&object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&object, bytes).unwrap();
    }
    lab.bare().words("cache verify").run().ended(4);
    let ran = lab.torch().words(SEVEN).run().done().json();
    assert_stages(&ran, "compiled", "compiled");
}

/// Scripts call these commands often, and loading libtorch would make each take a third of a second
/// longer.
#[test]
fn asking_the_cache_loads_no_libtorch() {
    let lab = Lab::new();
    lab.torch().words(SEVEN).run().done();
    let loads = |words: &str| {
        let ran = lab.torch().env("LD_DEBUG", "files").words(words).run();
        ran.stderr
            .lines()
            .filter(|line| line.contains("libtorch_cpu") || line.contains("preheat_torch"))
            .count()
    };
    for words in ["cache stats", "cache list", "cache verify", "cache info"] {
        assert_eq!(loads(words), 0, "`preheat {words}` opens libtorch");
    }
    assert_eq!(
        loads("lookup --steps 2 --device xla-cpu"),
        0,
        "a run on another device opens libtorch"
    );
    // This shows that the loader reports libtorch if it is loaded.
    assert!(loads("lookup --steps 2") > 0, "{}", torch_library().display());
}
