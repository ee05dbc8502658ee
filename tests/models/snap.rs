//! Does a larger warm size serve a request whose size is cold ("snap")? The log of the test plugin
//! counts the compiles.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use support::demo::{Picture, copy_folder, demo_model};
use support::{Lab, Preheat, Ran};

/// Two steps and a fixed seed, so that pictures can be compared.
const SEVEN: &str = "--prompt seven --scheduler euler --steps 2 --seed 7 --output out.png";
const SNAPPED: [&str; 2] = ["snapped_from", "wasted_percent"];

/// A test environment (`Lab`) in whose cache the demo model is warm at 128x128 px, with guidance,
/// for one picture at a time.
fn warm_lab() -> Lab {
    static WARM: OnceLock<Lab> = OnceLock::new();
    let warm = WARM.get_or_init(|| {
        let lab = Lab::new();
        warm(&lab, "--width 128 --height 128");
        lab
    });
    let lab = Lab::new();
    copy_folder(&warm.cache(), &lab.cache());
    lab
}

/// Warms the demo model.
fn warm(lab: &Lab, words: &str) {
    let warm = lab
        .quick(&lab.sim())
        .words("warmup --steps 2")
        .words(words)
        .arg("--model")
        .arg(demo_model());
    warm.run().done();
}

/// `preheat run` of [`SEVEN`] on the demo model, with these words.
fn command(lab: &Lab, words: &str) -> Preheat {
    lab.quick(&lab.sim()).words("run").words(SEVEN).words(words).arg("--model").arg(demo_model())
}

/// Runs `preheat run`, which must not compile anything, and returns its JSON.
#[track_caller]
fn warm_run(lab: &Lab, words: &str) -> Value {
    let (ran, compiles) =
        lab.counting(|| command(lab, "--json --require-warm").words(words).run().done().silent());
    assert_eq!(compiles, 0);
    ran.json()
}

/// Runs a request that would have to compile, and must therefore fail.
#[track_caller]
fn cold_run(lab: &Lab, words: &str) -> Ran {
    let (ran, compiles) = lab.counting(|| command(lab, "--require-warm").words(words).run());
    assert_eq!(compiles, 0);
    ran.ended(3).says(&["not warm: ", "`denoiser`"])
}

fn sources(document: &Value) -> Vec<&str> {
    let stages = document["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage["source"].as_str().unwrap()).collect()
}

fn picture(lab: &Lab) -> Picture {
    Picture::read(&lab.path("out.png"))
}

#[test]
fn a_cold_size_is_cropped_from_a_warm_one_that_covers_it() {
    let lab = warm_lab();
    warm_run(&lab, "--width 128 --height 128");
    let whole = picture(&lab);
    for (words, requested, own) in [
        ("--width 120 --height 64", [120, 64], [128, 64]),
        ("--width 64 --height 100", [64, 100], [64, 128]),
    ] {
        cold_run(&lab, words);
        let made = warm_run(&lab, &format!("{words} --snap-to-warm 50"));
        assert_eq!(
            (&made["requested_size"], &made["padded_size"]),
            (&json!(requested), &json!([128, 128]))
        );
        assert_eq!((&made["snapped_from"], &made["wasted_percent"]), (&json!(own), &json!(50.0)));
        assert_eq!(
            (&made["crop_origin"], &made["signature"]["input_shape"]),
            (&json!([0, 0]), &json!([1, 4, 16, 16]))
        );
        assert_eq!(sources(&made), ["disk"; 3]);
        // Noise is drawn at the size that is computed. So the picture is the corner of the larger
        // size's picture with the same seed.
        let made = picture(&lab);
        let [width, height] = requested;
        assert_eq!((made.width, made.height), (width, height));
        assert!(made.rgb == whole.corner(width, height), "{words}");
        assert_eq!(
            (&made.settings["size"], &made.settings["padded_size"]),
            (&json!(requested), &json!([128, 128]))
        );
    }
    let said = command(&lab, "-v --width 120 --height 64 --snap-to-warm 50").run().done();
    let words = "120x64 px (cropped from 128x128, because 128x64 is not warm; 50.0 % of the computed area is wasted)";
    assert!(said.stdout.contains(words), "{}", said.stdout);
    said.says(&[
        "snapped to 128x128 px, which is warm: 50.0 % of it is wasted on a request of 128x64 px",
    ]);
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn its_own_size_comes_first() {
    let lab = warm_lab();
    // 100x128 is computed at 128x128 anyway.
    for _ in 0..2 {
        let made = warm_run(&lab, "--width 100 --height 128 --snap-to-warm 100");
        assert_eq!(made["padded_size"], json!([128, 128]));
        assert!(SNAPPED.iter().all(|name| made.get(name).is_none()), "{made}");
    }
    let small = "--width 120 --height 64 --snap-to-warm 100";
    assert_eq!(warm_run(&lab, small)["padded_size"], json!([128, 128]));
    warm(&lab, "--width 120 --height 64 --snap-to-warm 100");
    assert_eq!(lab.compiles(), 2, "a warmup warms the size that it was given");
    assert_eq!(warm_run(&lab, small)["padded_size"], json!([128, 64]));
    // With `--force-recompile`, the request's own size is compiled.
    let forced =
        command(&lab, "--json --force-recompile --width 64 --height 64 --snap-to-warm 100")
            .run()
            .done();
    assert_eq!(
        (&forced.json()["padded_size"], sources(&forced.json())),
        (&json!([64, 64]), vec!["compiled"; 3])
    );
}

#[test]
fn what_wastes_more_than_allowed_or_fits_otherwise_is_not_used() {
    let lab = warm_lab();
    for words in [
        "--width 120 --height 64 --snap-to-warm 10",
        "--width 120 --height 64 --snap-to-warm 49.9",
        "--width 64 --height 64 --snap-to-warm 74.9",
        "--width 120 --height 64 --snap-to-warm 0",
        // No warm size covers this request.
        "--width 192 --height 64 --snap-to-warm 100",
        // These need other graphs of the same size.
        "--width 120 --height 64 --snap-to-warm 100 --batch 2",
        "--width 120 --height 64 --snap-to-warm 100 --cfg-scale 1",
        "--width 120 --height 64 --snap-to-warm 100 --precision bf16",
        "--width 120 --height 64 --snap-to-warm 100 --vae-precision bf16",
        "--width 120 --height 64 --snap-to-warm 100 --clip-skip 1",
    ] {
        cold_run(&lab, words);
    }
    // Steps, scheduler and guidance scale change no graph.
    let others = lab
        .quick(&lab.no_compiles())
        .words("--snap-to-warm 50 run --prompt seven --width 120 --height 64");
    others.words("--steps 3 --scheduler ddim --cfg-scale 3 --model").arg(demo_model()).run().done();
    // If the request does not have to be warm, its own size is compiled, except for the graphs that
    // both sizes share.
    let own = command(&lab, "--json --width 120 --height 64 --snap-to-warm 10").run().done().json();
    assert_eq!(
        (&own["padded_size"], sources(&own)),
        (&json!([128, 64]), vec!["disk", "compiled", "compiled"])
    );
    assert!(SNAPPED.iter().all(|name| own.get(name).is_none()), "{own}");
    let empty = Lab::new();
    cold_run(&empty, "--snap-to-warm 100");
    assert!(empty.objects().is_empty());
    let compiled = command(&empty, "--json --snap-to-warm 100").run().done().json();
    assert_eq!((sources(&compiled), empty.compiles()), (vec!["compiled"; 3], 3));
}

#[test]
fn of_several_sizes_the_smallest_that_is_whole_is_used() {
    let lab = warm_lab();
    warm(&lab, "--resolutions 192x128,192x192");
    let at = |words: &str| {
        let made = warm_run(&lab, &format!("--snap-to-warm 100 {words}"));
        (made["padded_size"].clone(), made["wasted_percent"].as_f64().unwrap())
    };
    assert_eq!(at("--width 100 --height 64"), (json!([128, 128]), 50.0));
    let (size, wasted) = at("--width 130 --height 64");
    assert_eq!(size, json!([192, 128]));
    assert!((wasted - 50.0).abs() < 1e-9, "{wasted}");
    // First the decoder of 192x128 is removed, then that of 128x128 is damaged.
    let decoder = |shape: &Value| {
        let records = lab.bare().words("--json cache list --stage vae_decoder").run().done().json();
        let of_shape = |key: &str| {
            let record = lab.bare().words("--json cache show").arg(key).run().done().json();
            record["signatures"][0]["signature"]["input_shape"] == *shape
        };
        let keys = records
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["graph_key"].as_str().unwrap().to_owned());
        let key = keys.clone().find(|key| of_shape(key)).unwrap();
        lab.objects().into_iter().find(|path| path.file_name().unwrap() == key.as_str()).unwrap()
    };
    std::fs::remove_file(decoder(&json!([1, 4, 16, 24]))).unwrap();
    assert_eq!(at("--width 130 --height 64").0, json!([192, 192]));
    let damaged = decoder(&json!([1, 4, 16, 16]));
    let mut bytes = std::fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let made = command(&lab, "--json --require-warm --snap-to-warm 100 --width 100 --height 64")
        .run()
        .done();
    assert_eq!((&made.json()["padded_size"], lab.compiles()), (&json!([192, 192]), 4));
    made.says(&["damaged"]);
}

#[test]
fn a_lookup_tells_at_which_size_it_would_be_served() {
    let lab = warm_lab();
    let lookup = |words: &str| {
        lab.quick(&lab.no_compiles())
            .words("lookup --width 120 --height 64 --model")
            .arg(demo_model())
            .words(words)
    };
    let own = lookup("--json").run().ended(3).json();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (&own["verdict"], names(&own)),
        (&"partial".into(), vec!["stages".to_owned(), "verdict".to_owned()])
    );
    assert_eq!(lookup("--json --snap-to-warm 49").run().ended(3).json(), own);
    let larger = lookup("--json --snap-to-warm 50").run().done().silent().json();
    assert_eq!((&larger["verdict"], &larger["padded_size"]), (&"hit".into(), &json!([128, 128])));
    assert_eq!(
        (&larger["snapped_from"], &larger["wasted_percent"]),
        (&json!([128, 64]), &json!(50.0))
    );
    let said = lookup("--snap-to-warm 50").run().done().stdout;
    let words =
        "served at 128x128, because 128x64 is not warm; 50.0 % of the computed area is wasted";
    assert!(said.contains(words), "{said}");
    assert_eq!((lab.compiles(), lab.executes()), (0, 0));
}

#[test]
fn a_request_file_and_another_model_of_the_same_shape_are_served() {
    let lab = warm_lab();
    let file = lab
        .file("request.json", r#"{"prompt":"seven","width":120,"height":64,"steps":2,"seed":7}"#);
    let made = lab
        .quick(&lab.no_compiles())
        .words("--json --snap-to-warm 50 run --output out.png --request")
        .arg(&file);
    let made = made.arg("--model").arg(demo_model()).run().done().json();
    assert_eq!((&made["padded_size"], sources(&made)), (&json!([128, 128]), vec!["disk"; 3]));
    let fine_tune = lab.path("fine-tune");
    copy_folder(&demo_model(), &fine_tune);
    let made = lab
        .quick(&lab.no_compiles())
        .words("--json run --width 120 --height 64 --snap-to-warm 50")
        .words(SEVEN);
    let made = made.arg("--model").arg(&fine_tune).run().done().json();
    assert_eq!((&made["padded_size"], sources(&made)), (&json!([128, 128]), vec!["disk"; 3]));
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_store_that_is_only_read_serves_its_sizes() {
    let lab = warm_lab();
    let small = "--width 120 --height 64 --snap-to-warm 50";
    let made = warm_run(&lab, &format!("--cache-read-only {small}"));
    assert_eq!((&made["padded_size"], sources(&made)), (&json!([128, 128]), vec!["disk"; 3]));
    let other = Lab::new();
    let fallback = |folder: PathBuf, words: &str| {
        command(&other, words)
            .words(small)
            .words("--require-warm --cache-fallback")
            .arg(folder)
            .run()
    };
    let made = fallback(lab.cache(), "--json").done();
    assert_eq!(
        (&made.json()["padded_size"], sources(&made.json())),
        (&json!([128, 128]), vec!["fallback"; 3])
    );
    fallback(lab.path("none"), "").ended(3);
    assert_eq!((lab.compiles(), other.compiles()), (0, 0));
}
