//! What does a flag mean if it is given twice, or if its value is free text, a missing device or a
//! missing folder? The tests use the binary.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use clap::{ArgAction, Command, CommandFactory as _};
use preheat::cli::Cli;
use serde_json::json;
use support::Lab;
use support::demo::{Picture, demo_model};
use support::lab::DOUBLE;

/// Collects every command, with the words that select it.
fn commands(of: &Command, words: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    found.push((words.to_vec(), of.clone()));
    for command in of.get_subcommands() {
        let words: Vec<String> =
            words.iter().cloned().chain([command.get_name().to_owned()]).collect();
        commands(command, &words, found);
    }
}

/// If a value is not a number, Rust's own error messages do not say what is expected. So no option
/// may show them.
#[test]
fn no_option_speaks_of_digits_that_are_invalid() {
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    commands(&root, &[], &mut all);
    let mut numbers = 0;
    for (words, command) in all {
        let values = command.get_arguments().filter_map(|argument| argument.get_long());
        for (name, value) in values.flat_map(|name| {
            ["many", "", "99999999999999999999999999"].map(|value| (name.to_owned(), value))
        }) {
            let line = ["preheat".to_owned()].into_iter().chain(words.clone());
            let line = line.chain([format!("--{name}={value}")]);
            let Err(error) = root.clone().try_get_matches_from(line) else { continue };
            let said = error.to_string();
            numbers += usize::from(said.contains("give a "));
            for own in
                ["invalid digit", "invalid float", "too large to fit", "cannot parse", "is not in "]
            {
                assert!(!said.contains(own), "{words:?} --{name}={value}: {said}");
            }
        }
    }
    assert!(numbers > 20, "{numbers}");
}

#[test]
fn help_is_a_command_too() {
    let preheat = |words: &str| Lab::new().bare().words(words).run();
    let help = preheat("help").done();
    assert!(help.stdout.contains("Usage: preheat") && help.stdout.contains("warmup"));
    let run = preheat("help run").done();
    assert!(run.stdout.contains("--negative-prompt"), "{}", run.stdout);
    let stats = preheat("help cache stats").done();
    assert!(stats.stdout.contains("Usage: preheat cache stats"), "{}", stats.stdout);
    preheat("help nonsense").ended(2).says(&["nonsense"]);
}

#[test]
fn a_command_below_another_one_is_pointed_to() {
    let preheat = |words: &str| Lab::new().bare().words(words).run();
    preheat("stats").ended(2).says(&["tip: `preheat cache stats` is there"]);
    preheat("--json stat").ended(2).says(&["tip: `preheat cache stats` is there"]);
    preheat("install tpu").ended(2).says(&["tip: `preheat plugins install` is there"]);
    preheat("wramup").ended(2).says(&["'warmup'"]);
}

/// Gives each option twice, and asserts that the parser does not reject the repetition. Then gives
/// some options different values, and asserts that the last value counts. Some of the earlier
/// values would make the command fail if they were used.
#[test]
fn of_an_option_that_is_given_twice_the_last_one_counts_and_lists_stay_lists() {
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    commands(&root, &[], &mut all);
    let mut tried = 0;
    for (words, command) in all {
        for argument in command.get_arguments() {
            let (Some(name), false) =
                (argument.get_long(), matches!(argument.get_id().as_str(), "help" | "version"))
            else {
                continue;
            };
            let values = argument.get_possible_values();
            let value = values.first().map_or("1", |value| value.get_name());
            let once = match argument.get_action() {
                ArgAction::Set | ArgAction::Append => format!("--{name}={value}"),
                _ => format!("--{name}"),
            };
            let line =
                ["preheat".to_owned()].into_iter().chain(words.clone()).chain([once.clone(), once]);
            let said = match root.clone().try_get_matches_from(line) {
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            assert!(!said.contains("cannot be used multiple times"), "{words:?}: {said}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");

    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let twice = "--json --device tpu --strict-device --steps 3 --cfg-scale 2";
    let ran =
        lab.preheat(&lab.sim()).words("--device banana program compile").arg(&program).words(twice);
    let ran =
        ran.words("--device xla-cpu --steps 5 --cfg-scale 4 --strict-device").run().done().json();
    assert_eq!(
        (&ran["signature"]["steps"], &ran["signature"]["cfg_scale"]),
        (&5.into(), &4.0.into())
    );
    assert_eq!(ran["device"]["selected"], "xla-cpu");
    let square = lab.file("square.mlir", support::lab::SQUARE);
    let warmup = lab
        .preheat(&lab.sim())
        .words("--json warmup --program")
        .arg(&program)
        .arg("--program")
        .arg(&square);
    assert_eq!(warmup.run().done().json()["stages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_prompt_may_begin_with_a_hyphen() {
    let lab = Lab::new();
    let run = lab.quick(&lab.sim()).args([
        "run",
        "--prompt",
        "-a seven",
        "--negative-prompt",
        "--ar 16:9",
    ]);
    run.words("--no-tpu-warmup --steps 1 --seed 1 --output a.png --model")
        .arg(demo_model())
        .run()
        .done();
    let parameters = Picture::read(&lab.path("a.png")).parameters;
    assert!(parameters.starts_with("-a seven\nNegative prompt: --ar 16:9\n"), "{parameters}");
}

#[test]
fn a_preset_belongs_to_a_model_that_is_named() {
    let lab = Lab::new();
    for preset in ["sd15", "sdxl"] {
        let warmup = lab.preheat(&lab.no_compiles()).words("warmup --preset").arg(preset);
        warmup.run().ended(2).says(&["--model <DIR|FILE>"]);
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_cache_folder_that_is_not_there_is_said() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let requests = lab.file("log.jsonl", "{}\n");
    for command in [
        "stats",
        "list",
        "show 12",
        "info",
        "clear --yes",
        "verify",
        "verify --repair",
        "prune --max-size 1GiB",
        "pin 12",
        "unpin 12",
        "export out.preheat",
        "rewarm --target tpu:v5e:1x1",
        "zero-stats",
    ] {
        let ran = lab.bare().words("--cache-dir ./cahce cache").words(command).run().ended(1);
        let ran = ran.says(&[
            "error: there is no cache at ./cahce: the folder is not there\nhint: check --cache-dir",
        ]);
        assert_eq!(ran.stdout, "", "{command}");
    }
    let on_demo =
        |words: &str| lab.quick(&lab.no_compiles()).words("--cache-dir ./cahce").words(words);
    for ask in [
        on_demo("lookup --program").arg(&program),
        on_demo("audit --model").arg(demo_model()).arg("--requests").arg(&requests),
    ] {
        ask.run().ended(3).says(&["there is no cache at ./cahce: the folder is not there"]);
    }
    assert!(!lab.path("cahce").exists(), "a command that only reads makes no folder");
    // It is no error that the default folder, which nobody named, does not exist yet.
    let home = lab.bare().env_remove("PREHEAT_CACHE_DIR").env("XDG_CACHE_HOME", lab.path("home"));
    home.words("--json cache stats").run().done().silent();
}

#[test]
fn a_device_that_is_not_there_is_a_warning_and_the_cpu_unless_it_has_to_be_there() {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    let run = |words: &str| {
        let run = lab
            .preheat(&lab.sim())
            .env_remove("PREHEAT_DEVICE")
            .words(words)
            .words("--json program run");
        run.arg(&program).run()
    };
    for device in ["tpu", "xla-cuda", "cuda", "cuda:3", "mps", "cpu"] {
        let ran = run(&format!("--device {device}")).done();
        let json = ran.json();
        assert_eq!(json["device"]["selected"], "xla-cpu", "{device}");
        let warning = format!("device `{device}` cannot be used, running on xla-cpu instead: ");
        assert!(json["warnings"][0].as_str().unwrap().starts_with(&warning), "{json}");
        ran.says(&[&warning, "(--strict-device makes this an error)"]);
        run(&format!("--device {device} --strict-device")).ended(1).says(&["error: device `"]);
    }
    run("--tpu-disable --device tpu").done().says(&["the use of TPUs is switched off"]);
    run("--tpu-enable").ended(1).says(&["device `tpu` cannot be used"]);
    run("--tpu-enable --tpu-disable").ended(2);
}

#[test]
fn the_table_of_devices_ends_no_reason_in_the_middle() {
    let lab = Lab::new();
    let nothing =
        lab.bare().env("PREHEAT_DATA_DIR", lab.path("data")).env_remove("PREHEAT_TORCH_BACKEND");
    let nothing = nothing.env("PATH", "").env_remove("VIRTUAL_ENV");
    let shown = nothing.words("devices").run().done().stdout;
    assert!(shown.contains("the torch library is not installed"), "{shown}");
    for line in shown.lines() {
        let end = line.trim_end();
        assert!(!end.ends_with([':', ';', ',']) && !end.ends_with("looked for at"), "{line}");
    }
}

#[test]
fn libtorch_is_not_downloaded_for_a_library_that_is_not_there() {
    let lab = Lab::new();
    let bare = || {
        let bare = lab
            .bare()
            .env_remove("PREHEAT_TORCH_BACKEND")
            .env("PREHEAT_DATA_DIR", lab.path("data"));
        // There is no Python, so nothing can be downloaded.
        bare.env("PATH", lab.path("nothing"))
    };
    for name in ["torch", "torch-cpu"] {
        let ran = bare().words("plugins install").arg(name).run().ended(1);
        ran.says(&[
            "through its own torch library, which is not installed, so libtorch was not downloaded",
            "cargo xtask setup torch",
        ]);
    }
    assert!(!lab.path("data").exists());
    bare()
        .words("plugins install torch-cpu --libtorch-alone")
        .run()
        .ended(1)
        .says(&["`python3` could not be started"]);
    bare()
        .words("plugins install xla-cpu --libtorch-alone")
        .run()
        .ended(2)
        .says(&["--libtorch-alone"]);
    let listed = bare().words("--json plugins list").run().done().json();
    assert_ne!(listed, json!([]));
}
