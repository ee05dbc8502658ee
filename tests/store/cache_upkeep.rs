//! Do the commands that maintain the cache work: verify, list, prune, pin, export and import? Does
//! the cache keep the limit on its size?

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::lab::{DOUBLE, SQUARE};
use support::{Lab, Ran};

/// A test environment (`Lab`) whose cache holds two programs, of the models `double` and `square`.
fn lab() -> (Lab, [PathBuf; 2]) {
    let lab = Lab::new();
    let programs = [lab.file("double.mlir", DOUBLE), lab.file("square.mlir", SQUARE)];
    for (program, model) in programs.iter().zip(["double", "square"]) {
        lab.preheat(&lab.sim())
            .words("program run")
            .arg(program)
            .words("--model-id")
            .arg(model)
            .run()
            .done();
    }
    (lab, programs)
}

fn cache(lab: &Lab, words: &str) -> Ran {
    lab.bare().words("--json cache").words(words).run()
}

fn list(lab: &Lab, words: &str) -> Vec<Value> {
    cache(lab, &format!("list {words}")).done().json().as_array().unwrap().clone()
}

fn key(lab: &Lab, model: &str) -> String {
    list(lab, &format!("--model {model}"))[0]["graph_key"].as_str().unwrap().to_owned()
}

#[test]
fn verify_finds_damage_and_repairs_it() {
    let (lab, programs) = lab();
    let sound = cache(&lab, "verify").done().json();
    assert_eq!(
        (&sound["objects"], &sound["records"], &sound["damaged"]),
        (&2.into(), &2.into(), &false.into())
    );
    assert_eq!(sound["findings"], json!([]));
    let object = lab.objects()[0].clone();
    let mut bytes = std::fs::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let found = cache(&lab, "verify").ended(4).json();
    assert_eq!(
        (&found["damaged"], &found["findings"][0]["kind"]),
        (&true.into(), &"damaged_object".into())
    );
    assert_eq!(found["findings"][0]["path"], object.display().to_string());
    let words = lab.bare().words("cache verify").run().ended(4);
    assert!(
        words.stdout.contains("--repair") && words.stdout.contains("checksum"),
        "{}",
        words.stdout
    );
    assert!(words.stderr.contains("checking 2"), "{}", words.stderr);
    let compiles = lab.compiles();
    let sim = |words: &str| lab.preheat(&lab.sim()).words("--json cache").words(words).run();
    let repaired = sim("verify --repair").done().json();
    assert_eq!(
        (&repaired["damaged"], &repaired["findings"][0]["repaired"]),
        (&false.into(), &true.into())
    );
    assert_eq!((repaired["remade"].as_array().unwrap().len(), &repaired["gone"]), (1, &json!([])));
    assert_eq!(lab.compiles(), compiles + 1, "the damaged graph is compiled again from its record");
    let sound = cache(&lab, "verify").done().json();
    assert_eq!((&sound["objects"], &sound["findings"]), (&2.into(), &json!([])));
    let warm = lab.preheat(&lab.no_compiles()).words("--require-warm program run");
    warm.arg(&programs[0]).words("--model-id double").run().done();
    std::fs::remove_dir_all(lab.cache().join("graphs-v2")).unwrap();
    cache(&lab, "verify").ended(4);
    cache(&lab, "verify --repair").done();
    assert_eq!(list(&lab, "").len(), 2);
}

#[test]
fn what_cannot_be_compiled_again_is_said_to_be_gone_until_it_is_warm() {
    let (lab, programs) = lab();
    let key = key(&lab, "double");
    let object = lab.objects().into_iter().find(|path| path.ends_with(&key)).unwrap();
    std::fs::write(&object, "damaged").unwrap();
    // This command does not use the test plugin, which compiled the graphs. It finds the real
    // XLA:CPU plugin, another build, and so cannot compile them again.
    let repaired = cache(&lab, "verify --repair").ended(4).json();
    assert_eq!((&repaired["damaged"], &repaired["remade"]), (&false.into(), &json!([])));
    assert_eq!(repaired["gone"][0]["graph_key"], key.as_str());
    assert!(repaired["gone"][0]["reason"].as_str().unwrap().contains("plugin_build"), "{repaired}");
    assert_eq!(cache(&lab, "stats").done().json()["entries"], 1);
    for words in ["cache verify", "cache verify --repair"] {
        let said = lab.bare().words(words).run().ended(4).stdout;
        assert!(
            said.contains("gone: ") && said.contains(&key[..12]) && said.contains("double"),
            "{said}"
        );
        assert!(
            said.contains("program run --key") && !said.contains("all of it repaired"),
            "{said}"
        );
    }
    let warm = lab.preheat(&lab.sim()).words("program run").arg(&programs[0]);
    warm.words("--model-id double").run().done();
    assert_eq!(cache(&lab, "verify").done().json()["gone"], json!([]));
    assert_eq!(cache(&lab, "stats").done().json()["entries"], 2);
}

#[test]
fn list_takes_filters() {
    let (lab, _) = lab();
    for (filter, count) in [
        ("", 2),
        ("--model double", 1),
        ("--model triple", 0),
        ("--stage main --target xla-cpu", 2),
        ("--stage vae_decoder", 0),
        ("--target tpu", 0),
        ("--older-than 1h", 0),
        ("--older-than 0s --model square", 1),
    ] {
        let count = if filter.contains("--stage main") {
            let stage = list(&lab, "")[0]["stage"].as_str().unwrap().to_owned();
            assert_eq!(list(&lab, &format!("--stage {stage} --target xla-cpu")).len(), count);
            continue;
        } else {
            count
        };
        assert_eq!(list(&lab, filter).len(), count, "{filter}");
    }
    cache(&lab, "list --older-than soon").ended(2);
    assert_eq!(list(&lab, "").len(), 2, "without a filter, all entries are listed");
}

#[test]
fn prune_says_what_it_would_remove_and_removes_it() {
    let (lab, programs) = lab();
    cache(&lab, "prune").ended(2).says(&["--max-size"]);
    let would = cache(&lab, "prune --max-size 0 --dry-run").done().json();
    assert_eq!((&would["dry_run"], &would["removed"]), (&true.into(), &2.into()));
    assert_eq!(lab.objects().len(), 2);
    // The plugin that compiled both entries is at the path in `PREHEAT_XLA_CPU_PLUGIN`, so no entry
    // is stale.
    let stale = |lab: &Lab, plugin: PathBuf| {
        lab.preheat(&lab.sim())
            .env("PREHEAT_XLA_CPU_PLUGIN", plugin)
            .words("--json cache prune --stale --dry-run")
            .run()
    };
    assert_eq!(stale(&lab, support::lab::library()).done().json()["removed"], 0);
    let another = lab.file("another.so", "a plugin of another build");
    let gone = lab
        .preheat(&lab.sim())
        .env("PREHEAT_XLA_CPU_PLUGIN", another)
        .env("PREHEAT_DATA_DIR", lab.path("none"));
    let gone = gone
        .env("HOME", lab.path("home"))
        .words("--json cache prune --stale --dry-run")
        .run()
        .done()
        .json();
    assert_eq!((&gone["removed"], &gone["entries"][0]["reason"]), (&2.into(), &"stale".into()));
    // If no plugin is found at all, a folder is probably not mounted, or `HOME` names another
    // folder. The user hardly wants to remove everything, so nothing is removed.
    let none = lab.preheat(&lab.sim()).env("PREHEAT_XLA_CPU_PLUGIN", lab.path("none"));
    let none = none.env("PREHEAT_DATA_DIR", lab.path("none")).env("HOME", lab.path("home"));
    none.words("cache prune --stale")
        .run()
        .ended(1)
        .says(&["no plugin was found", "nothing was removed"]);
    assert_eq!(lab.objects().len(), 2);
    let double = key(&lab, "double");
    cache(&lab, &format!("pin {}", &double[..16])).done();
    let pruned = cache(&lab, "prune --max-size 1B").done().json();
    assert_eq!((&pruned["removed"], &pruned["entries"][0]["reason"]), (&1.into(), &"size".into()));
    assert_eq!(key(&lab, "double"), double);
    assert_eq!(cache(&lab, "stats").done().json()["evictions"], 1);
    cache(&lab, &format!("unpin {double}")).done();
    assert_eq!(cache(&lab, "prune --older-than 0s").done().json()["entries"][0]["reason"], "age");
    assert_eq!(lab.objects().len(), 0);
    lab.preheat(&lab.sim()).words("program run").arg(&programs[0]).run().done();
    assert_eq!(lab.compiles(), 3);
}

#[test]
fn pins_are_by_key_and_by_signature() {
    let (lab, _) = lab();
    let pinned = |lab: &Lab, model: &str| {
        list(lab, &format!("--model {model}"))[0]["pinned"].as_bool().unwrap()
    };
    let digest =
        list(&lab, "--model square")[0]["signature_digests"][0].as_str().unwrap().to_owned();
    let answer = cache(&lab, &format!("pin --signature {}", &digest[..12])).done().json();
    assert_eq!(answer, json!({"signature_digest": digest, "pinned": true, "entries": 1}));
    assert_eq!((pinned(&lab, "double"), pinned(&lab, "square")), (false, true));
    let double = key(&lab, "double");
    let answer = cache(&lab, &format!("pin {double}")).done().json();
    assert_eq!(answer, json!({"graph_key": double, "pinned": true, "entries": 1}));
    assert!(pinned(&lab, "double"));
    cache(&lab, &format!("unpin --signature {digest}")).done();
    assert!(!pinned(&lab, "square"));
    cache(&lab, "pin").ended(2);
    cache(&lab, &format!("pin {double} --signature {digest}")).ended(2);
    cache(&lab, "pin ffffffffffff").ended(1).says(&["no graph key begins with"]);
    cache(&lab, "pin xyz").ended(1).says(&["no graph key begins with"]);
    cache(&lab, "unpin --signature ffffffffffff").ended(1).says(&["begins with"]);
}

#[test]
fn what_is_exported_hits_where_it_is_imported() {
    let (lab, programs) = lab();
    let file = lab.path("moved.preheat");
    let exported =
        lab.bare().words("--json cache export --model double").arg(&file).run().done().json();
    assert_eq!((&exported["objects"], &exported["left_out"]), (&1.into(), &json!([])));
    assert_eq!(exported["file_bytes"], std::fs::metadata(&file).unwrap().len());
    // The export has the permissions of any new file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&lab.file("plain", "")));
    }
    let to = Lab::new();
    let imported = to.bare().words("--json cache import --trust").arg(&file).run().done().json();
    assert_eq!(
        (&imported["added"], &imported["kept"], &imported["refused"]),
        (&1.into(), &0.into(), &json!([]))
    );
    to.preheat(&to.no_compiles())
        .words("program run")
        .arg(&programs[0])
        .words("--model-id double")
        .run()
        .done();
    assert_eq!(to.compiles(), 0);
    to.preheat(&to.no_compiles())
        .words("--require-warm program run")
        .arg(&programs[1])
        .run()
        .ended(3);
    let by_key = lab
        .bare()
        .words("--json cache export --force --key")
        .arg(key(&lab, "square"))
        .arg(&file)
        .run()
        .done()
        .json();
    assert_eq!(by_key["objects"], 1);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused = to.bare().words("cache import --trust").arg(&file).run().ended(1);
    assert!(refused.stdout.contains("refused: "), "{}", refused.stdout);
    to.bare().words("cache import").arg(to.path("none")).run().ended(1);
    let text = to.file("notes.txt", "not an export");
    to.bare().words("cache import").arg(text).run().ended(1).says(&["cache export", "notes.txt"]);
    let empty = to.bare().words("cache import --trust").arg(to.file("empty", "")).run().ended(1);
    assert!(empty.stdout.contains("it is empty"), "{}", empty.stdout);
    let small = Lab::new();
    let left_out =
        small.bare().words("--cache-max-size 1kB cache import --trust").arg(&file).run().ended(1);
    let said = &left_out.stdout;
    assert!(said.contains("left out: ") && said.contains("more than the cache may hold"), "{said}");
    assert_eq!(cache(&to, "verify").done().json()["findings"], json!([]));
}

#[test]
fn an_import_brings_code_that_runs_and_wants_trust() {
    let (lab, programs) = lab();
    let file = lab.path("moved.preheat");
    lab.bare().words("cache export").arg(&file).run().done();
    let to = Lab::new();
    to.bare().words("cache import").arg(&file).run().ended(2).says(&[
        "machine code",
        "--trust",
        "moved.preheat",
    ]);
    assert_eq!(to.objects().len(), 0, "nothing was imported");
    assert!(to.bare().words("cache import --help").run().done().stdout.contains("machine code"));
    to.bare().words("cache import --trust").arg(&file).run().done();
    to.preheat(&to.no_compiles())
        .words("program run")
        .arg(&programs[0])
        .words("--model-id double")
        .run()
        .done();
}

#[test]
fn the_limit_is_kept_and_what_does_not_fit_is_said() {
    let (lab, programs) = lab();
    let one =
        lab.objects().iter().map(|path| std::fs::metadata(path).unwrap().len()).max().unwrap();
    let info = cache(&lab, "info").done().json();
    assert_eq!((&info["objects"], &info["max_bytes"]), (&2.into(), &(10_u64 << 30).into()));
    let third = lab.file("third.mlir", DOUBLE.replace("add", "subtract"));
    let limit = (2 * one + one / 2).to_string();
    let run = lab
        .preheat(&lab.sim())
        .words("--cache-max-size")
        .arg(&limit)
        .words("program run")
        .arg(&third)
        .run();
    run.done().silent_about_the_cache();
    assert_eq!(lab.objects().len(), 2);
    assert_eq!(cache(&lab, "stats").done().json()["evictions"], 1);
    let fourth = lab.file("fourth.mlir", DOUBLE.replace("add", "divide"));
    for _ in 0..2 {
        let run =
            lab.preheat(&lab.sim()).words("--cache-max-size 1kB program run").arg(&fourth).run();
        run.done().says(&["leaves no room", "--cache-max-size"]);
    }
    assert_eq!(
        (lab.objects().len(), lab.compiles()),
        (2, 5),
        "the graph is compiled each time, and no entry is removed to make room for it"
    );
    lab.preheat(&lab.sim())
        .words("--cache-max-size much program run")
        .arg(&programs[0])
        .run()
        .ended(2);
    let text = lab.bare().words("cache info").run().done().stdout;
    assert!(text.contains(&lab.cache().display().to_string()), "{text}");
}
