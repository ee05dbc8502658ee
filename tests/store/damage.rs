//! What happens if an object is damaged? No byte of the object reaches the plugin, and its graph is
//! compiled again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::time::Instant;

use pjrt_sim::Count;
use preheat::{Dtype, Program, Runtime, Signature, Source, create_execution_signature};
use preheat_runtime::device::{DeviceName, DeviceRequest};
use preheat_runtime::{Error, RuntimeBuilder};
use support::lab::{DOUBLE, library};
use support::{Lab, in_child};

/// For about this many damages, the test also compiles the graph again and checks the new object.
/// For the others, it only shows that they give no hit.
const HEALED: usize = 48;

fn builder(lab: &Lab) -> RuntimeBuilder {
    let request = DeviceRequest { device: DeviceName::XlaCpu, ..DeviceRequest::default() };
    Runtime::builder().device(request).plugin(library()).cache_dir(lab.cache())
}

fn double() -> (Signature, Program) {
    let signature =
        create_execution_signature("model", [1, 4, 64, 64], 1, 7.0, "euler", 20, Dtype::Float32)
            .unwrap();
    (signature, Program::sniff(DOUBLE.as_bytes()).unwrap())
}

/// For each byte, a copy in which one of its bits is flipped, and a copy that is cut off there.
fn damages(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..whole.len()).flat_map(|at| {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1 << (at % 8);
        [
            (format!("byte {at} flipped"), flipped),
            (format!("cut to {at} bytes"), whole[..at].to_vec()),
        ]
    })
}

#[test]
fn no_damaged_byte_reaches_the_plugin_and_all_damage_is_healed() {
    in_child("no_damaged_byte_reaches_the_plugin_and_all_damage_is_healed", Lab::sim, |lab| {
        let (signature, program) = double();
        builder(lab).build().unwrap().get_or_compile(&signature, &program).unwrap();
        let path = lab.objects()[0].clone();
        let whole = std::fs::read(&path).unwrap();
        // A read-only cache saves time: it checks objects in the same way, and moves nothing into
        // quarantine.
        let warm = builder(lab).require_warm(true).read_only(true).build().unwrap();
        let began = Instant::now();
        let mut count = 0;
        for (what, damaged) in damages(&whole) {
            std::fs::write(&path, damaged).unwrap();
            let refused = warm.get_or_compile(&signature, &program);
            assert!(matches!(refused, Err(Error::NotWarm(_))), "{what}");
            count += 1;
        }
        assert_eq!(lab.log().deserializes_started(), 0, "nothing was handed over");
        println!("{count} damages of {} bytes in {:.0?}", whole.len(), began.elapsed());

        let mut right = Vec::new();
        for (what, damaged) in damages(&whole).step_by(2 * whole.len() / HEALED) {
            std::fs::write(&path, damaged).unwrap();
            let healed =
                builder(lab).build().unwrap().get_or_compile(&signature, &program).unwrap();
            assert_eq!(healed.report().source, Source::Compiled, "{what}");
            let again = builder(lab).build().unwrap().get_or_compile(&signature, &program).unwrap();
            assert_eq!(again.report().source, Source::Disk, "{what}");
            let cache = builder(lab).open_cache().unwrap();
            right.push(
                cache.records().unwrap()[0].object.as_ref().unwrap().payload_digest.to_string(),
            );
        }
        let log = lab.log();
        assert_eq!(log.deserialized_digests(), right, "only the stored bytes reached the plugin");
    });
}

#[test]
#[cfg(feature = "cli")]
fn a_graph_that_only_the_cache_has_is_loaded_by_its_key_and_healed_from_its_record() {
    let lab = Lab::new();
    let file = lab.file("double.mlir", DOUBLE);
    let compiled =
        lab.preheat(&lab.sim()).words("--json program compile").arg(&file).run().done().json();
    std::fs::remove_file(&file).unwrap();
    let key = compiled["stages"][0]["graph_key"].as_str().unwrap();
    let run = |sim: &pjrt_sim::Sim| {
        lab.preheat(sim).words("--json program run --key").arg(&key[..12]).run()
    };
    let source =
        |run: &support::Ran| run.json()["stages"][0]["source"].as_str().unwrap().to_owned();
    let loaded = run(&lab.no_compiles()).done();
    assert_eq!(
        (source(&loaded).as_str(), &loaded.json()["stages"][0]["graph_key"]),
        ("disk", &key.into())
    );
    assert_eq!(loaded.json()["signature"]["model_id"], "double");

    let path = lab.objects()[0].clone();
    let mut damaged = std::fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let before = lab.log().deserializes_started();
    assert_eq!(source(&run(&lab.sim()).done().says(&["damaged"])), "compiled");
    assert_eq!((lab.compiles(), lab.log().deserializes_started()), (2, before));
    assert_eq!(source(&run(&lab.no_compiles()).done()), "disk");
    assert_eq!(lab.bare().words("--json cache stats").run().done().json()["quarantined"], 1);
    lab.bare().words("cache verify").run().done();

    let elsewhere = lab.preheat(&lab.sim()).env("XLA_FLAGS", "--xla_backend_optimization_level=0");
    elsewhere
        .words("program run --key")
        .arg(key)
        .run()
        .ended(1)
        .says(&["xla_flags", "cache rewarm"]);
    lab.bare().words("program run --key 0123456789ab").run().ended(1).says(&["cache list"]);
    lab.bare().words("program run").run().ended(2);
    lab.bare().words("program run --steps 3 --key").arg(key).run().ended(2);
}
