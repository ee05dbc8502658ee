//! Does JAX compute the same results, and report the same about its executables, whether a program
//! was compiled or served? And is each program compiled only once?

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::{FOLDER, House, ended, started};

const FORTY: &str = "jax_functions.py";
const EIGHT: &str = "jax_eight.py";

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn forty_functions_are_the_same_compiled_and_served() {
    let house = House::new();
    let (cold, warm, bare) = (house.path("cold"), house.path("warm"), house.path("bare"));
    house.run(FORTY, &[&cold]);
    let compiled = house.events("compiled").len();
    assert!(compiled >= 40, "{compiled}");
    assert_eq!(house.compiles(), compiled);
    house.run(FORTY, &[&warm]);
    assert_eq!(house.compiles(), 0, "the second process compiled");
    assert_eq!(house.events("served").len(), compiled);
    let mut without = house.python(FORTY, &[&bare]);
    without.env("PREHEAT_PLUGIN", "off");
    ended(without);
    let (cold, warm, bare) = (json(&cold), json(&warm), json(&bare));
    for (name, expected) in bare.as_object().unwrap() {
        for (how, got) in [("compiled", &cold), ("served", &warm)] {
            assert_eq!(&got[name], expected, "{name} {how}");
        }
    }
}

#[test]
fn a_script_that_moved_and_grew_compiles_nothing() {
    let house = House::new();
    house.run(EIGHT, &[&house.path("first")]);
    let source = std::fs::read_to_string(FOLDER.to_owned() + "/" + EIGHT).unwrap();
    let moved = house.path("elsewhere.py");
    std::fs::write(&moved, format!("# A comment.\n\n\n{source}")).unwrap();
    house.forget_logs();
    ended(house.python_at(&moved, &[&house.path("second")]));
    assert_eq!(house.compiles(), 0);
    assert_eq!(json(&house.path("first")), json(&house.path("second")));
    // A script that computes something else is another program.
    let other = house.path("other.py");
    std::fs::write(&other, source.replace("+ index)", "+ index + 1)")).unwrap();
    house.forget_logs();
    ended(house.python_at(&other, &[&house.path("third")]));
    assert_eq!(house.compiles(), 8);
    assert_ne!(json(&house.path("first")), json(&house.path("third")));
}

#[test]
fn sixteen_processes_compile_each_program_once() {
    let house = House::new();
    let outputs: Vec<_> = (0..16).map(|index| house.path(&format!("{index}"))).collect();
    let children: Vec<_> =
        outputs.iter().map(|output| started(house.python(EIGHT, &[output]))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    // Beside the eight, JAX compiles a few helpers, each of which counts as a program, too.
    let programs = distinct(&house);
    assert!(programs >= 8);
    assert_eq!(house.compiles(), programs);
    let first = json(&outputs[0]);
    assert!(outputs.iter().all(|output| json(output) == first));
}

/// How many different keys were compiled.
fn distinct(house: &House) -> usize {
    let keys: std::collections::BTreeSet<String> =
        house.events("compiled").iter().map(|event| event["key"].to_string()).collect();
    keys.len()
}

#[test]
fn a_process_that_is_killed_in_a_compile_leaves_it_to_another() {
    let house = House::new().with("PJRT_SIM_DELAY", "compile@1=60000");
    let mut first = started(house.python(EIGHT, &[&house.path("first")]));
    let began = Instant::now();
    while house.compiles() == 0 {
        assert!(began.elapsed() < Duration::from_mins(2), "it does not compile");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = house.python(EIGHT, &[&house.path("second")]);
    let second = started(second);
    std::thread::sleep(Duration::from_millis(500));
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = second;
    assert!(second.wait().unwrap().success());
    assert_eq!(house.compiles(), distinct(&house) + 1, "one was killed, and made again");
}

#[test]
fn a_cache_that_must_be_warm_names_what_is_not() {
    let house = House::new();
    let mut cold = house.python(EIGHT, &[&house.path("cold")]);
    let output = cold.env("PREHEAT_REQUIRE_WARM", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("FAILED_PRECONDITION") && said.contains("PREHEAT_REQUIRE_WARM"),
        "{said}"
    );
    assert_eq!(house.compiles(), 0);
    house.run(EIGHT, &[&house.path("first")]);
    house.forget_logs();
    let mut warm = house.python(EIGHT, &[&house.path("warm")]);
    warm.env("PREHEAT_REQUIRE_WARM", "1");
    ended(warm);
    assert_eq!(house.compiles(), 0);
}

#[test]
fn a_callback_is_forwarded_by_name() {
    let house = House::new();
    let output = house.run("jax_refused.py", &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("plain 12.0"));
    let reasons: Vec<String> = ["forwarded", "failed"]
        .iter()
        .flat_map(|outcome| house.events(outcome))
        .map(|event| event["reason"].to_string())
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains("callback")), "{reasons:?}");
}

#[test]
fn damaged_executables_are_compiled_again() {
    let house = House::new();
    house.run(EIGHT, &[&house.path("first")]);
    let objects = house.objects();
    assert!(objects.len() >= 8, "{objects:?}");
    for (index, object) in objects.iter().enumerate() {
        let mut bytes = std::fs::read(object).unwrap();
        let at = (index * 997) % bytes.len();
        bytes[at] ^= 0x10;
        std::fs::write(object, bytes).unwrap();
    }
    house.run(EIGHT, &[&house.path("second")]);
    assert_eq!(house.compiles(), objects.len(), "each was damaged, and made again");
    house.run(EIGHT, &[&house.path("third")]);
    assert_eq!(house.compiles(), 0);
    assert_eq!(json(&house.path("first")), json(&house.path("second")));
    assert_eq!(json(&house.path("first")), json(&house.path("third")));
}

#[test]
fn a_store_that_cannot_be_written_holds_nobody_up() {
    for (name, value) in [
        ("PREHEAT_CACHE_READ_ONLY", "1"),
        ("PREHEAT_CACHE_MAX_BYTES", "10"),
        ("PREHEAT_CACHE_DIR", "/dev/null/no-folder"),
    ] {
        let house = House::new().with(name, value);
        for _ in 0..2 {
            house.run(EIGHT, &[&house.path("result")]);
            assert!(house.compiles() >= 8, "{name}");
        }
        assert_eq!(house.objects().len(), 0, "{name}");
    }
}

#[test]
fn jaxs_own_cache_works_on_top_in_every_order() {
    let house = House::new();
    let own = house.path("jax-cache");
    let run = |name: &str| {
        house.forget_logs();
        let mut command = house.python(EIGHT, &[&house.path(name)]);
        command
            .env("JAX_COMPILATION_CACHE_DIR", &own)
            .env("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
            .env("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1");
        ended(command);
        json(&house.path(name))
    };
    let cold = run("both-cold");
    assert!(house.compiles() >= 8);
    assert_eq!(run("both-warm"), cold);
    assert_eq!(house.compiles(), 0);
    std::fs::remove_dir_all(&own).unwrap();
    assert_eq!(run("ours-warm"), cold);
    assert_eq!(house.compiles(), 0, "what JAX stores now was served from ours");
    std::fs::remove_dir_all(house.path("cache")).unwrap();
    assert_eq!(run("theirs-warm"), cold);
    assert_eq!(house.compiles(), 0);
}

#[test]
fn a_fallback_serves_what_the_main_store_lacks() {
    let house = House::new();
    house.run(EIGHT, &[&house.path("first")]);
    let fallback = house.path("cache").display().to_string();
    let other = House::new().with("PREHEAT_CACHE_FALLBACKS", &fallback);
    other.run(EIGHT, &[&other.path("second")]);
    assert_eq!(other.compiles(), 0);
    assert_eq!(json(&house.path("first")), json(&other.path("second")));
}

#[test]
fn a_compile_that_fails_keeps_its_code_and_is_no_entry() {
    let house = House::new()
        .with("PJRT_SIM_FAIL", "compile@1")
        .with("PJRT_SIM_ERROR_CODE", "INVALID_ARGUMENT");
    let output = house.python(EIGHT, &[&house.path("first")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("INVALID_ARGUMENT"), "{said}");
    assert_eq!(house.events("failed").len(), 1);
    assert_eq!(house.objects().len(), 0);
    ended(house.python(EIGHT, &[&house.path("second")]));
    assert!(house.objects().len() >= 8);
}
