//! Can this release use a store that an older release wrote? It can: nothing in the store is lost,
//! and nothing is treated as damaged.
//!
//! tests/fixtures/store/README.md says how that store was made. `cargo xtask storm --with-release
//! COMMIT` runs an older binary and this one at the same time, and compares their results.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::Path;

use serde_json::Value;
use support::lab::{DOUBLE, SQUARE, files_under};
use support::{Lab, repository};

const RELEASE: &str = "eaa53a2";

/// Unpacks the cache's folder as the older release left it.
fn unpack(to: &Path) {
    let archive = repository(&format!("tests/fixtures/store/{RELEASE}.tar.zst"));
    let file = std::fs::File::open(archive).unwrap();
    tar::Archive::new(zstd::Decoder::new(file).unwrap()).unpack(to).unwrap();
}

/// The answers of the older release about its store.
fn told() -> Value {
    let text = std::fs::read(repository(&format!("tests/fixtures/store/{RELEASE}.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Asserts that `found` says all that `expected` says; it may say more.
#[track_caller]
fn assert_says(found: &Value, expected: &Value, at: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                assert_says(&found[name], value, &format!("{at}/{name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{at}: {found:#?}");
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_says(found, expected, &format!("{at}/{index}"));
            }
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}

fn ask(lab: &Lab, words: &str) -> Value {
    serde_json::from_str(&lab.preheat(&lab.sim()).arg("--json").words(words).run().done().stdout)
        .unwrap()
}

#[test]
fn nothing_of_an_older_store_is_lost() {
    let lab = Lab::new();
    unpack(&lab.cache());
    let told = told();
    // The first command brings the store into the form of this release; the second finds that form.
    for _ in 0..2 {
        assert_says(&ask(&lab, "cache list"), &told["list"], "list");
        assert_says(&ask(&lab, "cache stats"), &told["stats"], "stats");
    }
    let verified = ask(&lab, "cache verify");
    assert_eq!((&verified["objects"], &verified["records"]), (&Value::from(5), &Value::from(5)));
    assert_eq!(verified["findings"], Value::Array(Vec::new()));
}

#[test]
fn nothing_is_lost_of_one_that_lies_among_other_files() {
    let lab = Lab::new();
    unpack(&lab.cache());
    let thesis = lab.cache().join("thesis.txt");
    std::fs::write(&thesis, "mine").unwrap();
    let told = told();
    // The first command moves the store into a folder of its own, and the second finds it there.
    for _ in 0..2 {
        assert_says(&ask(&lab, "cache list"), &told["list"], "list");
        assert_says(&ask(&lab, "cache stats"), &told["stats"], "stats");
    }
    assert_eq!(ask(&lab, "cache verify")["findings"], Value::Array(Vec::new()));
    let entries = std::fs::read_dir(lab.cache()).unwrap();
    let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() == 2 && left.iter().any(|name| name == "preheat-store"), "{left:?}");
    assert_eq!(std::fs::read(&thesis).unwrap(), b"mine");
}

#[test]
fn what_is_written_joins_it() {
    let lab = Lab::new();
    unpack(&lab.cache());
    // The older release compiled these programs for another plugin build than the test plugin's, so
    // each is compiled here once.
    for (name, text) in [("double.mlir", DOUBLE), ("square.mlir", SQUARE)] {
        let program = lab.file(name, text);
        let run = |words: &str| lab.preheat(&lab.sim()).words(words).arg(&program).run().done();
        let (_, compiles) = lab.counting(|| run("program run"));
        assert_eq!(compiles, 1);
        let (_, compiles) = lab.counting(|| run("--require-warm program run"));
        assert_eq!(compiles, 0);
    }
    let told = told();
    let keys = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["graph_key"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = keys(&ask(&lab, "cache list"));
    let older = keys(&told["list"]);
    assert_eq!(found.len(), older.len() + 2);
    assert!(older.iter().all(|key| found.contains(key)), "{found:?}");
    assert_eq!(ask(&lab, "cache verify")["findings"], Value::Array(Vec::new()));
    let quarantined = files_under(&lab.cache())
        .into_iter()
        .filter(|path| path.iter().any(|part| part == "quarantine"));
    assert_eq!(quarantined.count(), 0);
    lab.assert_nothing_half_written();
}
