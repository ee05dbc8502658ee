//! Which variables do `preheat exec` and `preheat env` give a program, and how does `exec` end?
//! `cargo xtask test --plugin` runs real frameworks through them.

use crate::support::Lab;
use crate::support::lab::until;

/// The variables that `exec` gives a program. The path of the test's folder is replaced by `LAB/`.
fn variables(lab: &Lab, words: &str) -> String {
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let command = lab.bare().words(words).arg("--plugin").arg(plugin);
    let ran = command.args(["--", "sh", "-c", "env | sort"]).run().done();
    let root = lab.path("");
    ran.stdout.replace(&root.display().to_string(), "LAB/")
}

#[test]
fn a_program_gets_what_jax_reads() {
    let lab = Lab::new();
    let all = variables(&lab, "--device xla-cpu --require-warm --cache-max-size 1MB exec");
    for expected in [
        "JAX_PLATFORMS=preheat\n",
        "PJRT_NAMES_AND_LIBRARY_PATHS=preheat:",
        "PREHEAT_CACHE_MAX_BYTES=1000000\n",
        "PREHEAT_DEVICE=xla-cpu\n",
        "PREHEAT_PLUGIN_LOG=",
        "PREHEAT_REQUIRE_WARM=1\n",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let all = variables(&lab, "--device tpu exec");
    assert!(all.contains("TPU_LIBRARY_PATH=") && all.contains("libpreheat_pjrt.so"), "{all}");
    assert!(!all.contains("JAX_PLATFORMS") && !all.contains("PREHEAT_REQUIRE_WARM"), "{all}");
}

#[test]
fn the_plugin_that_was_named_before_is_the_one_that_is_wrapped() {
    let lab = Lab::new();
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let env = lab.bare().env("TPU_LIBRARY_PATH", "/opt/libtpu.so").words("--device tpu env");
    let ran = env.arg("--plugin").arg(plugin).run().done();
    assert!(ran.stdout.contains("export PREHEAT_REAL_PLUGIN='/opt/libtpu.so'\n"), "{}", ran.stdout);
}

#[test]
fn it_ends_as_its_program_does_and_says_what_became_of_it() {
    let lab = Lab::new();
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let run = |script: &str| {
        let exec = lab.bare().words("--device xla-cpu exec").arg("--plugin").arg(&plugin);
        exec.args(["--", "sh", "-c", script]).run()
    };
    run("exit 7").ended(7);
    let ran = run(
        r#"echo '{"outcome":"compiled","compile_seconds":2.5}' >> "$PREHEAT_PLUGIN_LOG"; echo out"#,
    );
    let ran = ran.done().says(&["compiled 1 programs in 2.5 s"]);
    assert_eq!(ran.stdout, "out\n");
}

#[test]
fn its_program_gets_the_signals_and_may_end_in_good_order() {
    let lab = Lab::new();
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let start = |script: &str| {
        let exec = lab.bare().words("--device xla-cpu exec").arg("--plugin").arg(&plugin);
        exec.args(["--", "sh", "-c", script]).start()
    };
    let began = lab.path("began");
    let waiting =
        "touch \"$0\"; while :; do sleep 0.05; done".replace("$0", &began.display().to_string());
    for signal in ["TERM", "HUP"] {
        // The program takes two seconds to end, which is more than preheat allows its own commands.
        let server = start(&format!("trap 'sleep 2; echo stopped; exit 3' {signal}; {waiting}"));
        until("the program", || began.exists());
        server.signal(signal);
        let ran = server.wait().ended(3).says(&["compiled 0 programs"]);
        assert_eq!(ran.stdout, "stopped\n", "{signal}");
        std::fs::remove_file(&began).unwrap();
    }
    // At Ctrl-C, the terminal sends the signal to the program, too, so preheat does not pass it on.
    let server = start(&format!("trap 'echo twice' INT; trap 'exit 4' TERM; {waiting}"));
    until("the program", || began.exists());
    server.signal("INT");
    server.signal("TERM");
    assert_eq!(server.wait().ended(4).stdout, "");
    std::fs::remove_file(&began).unwrap();
    // If a signal ends the program, preheat ends with the status that a shell would report.
    let server = start(&waiting);
    until("the program", || began.exists());
    server.signal("TERM");
    server.wait().ended(128 + 15);
}

#[test]
fn what_cannot_be_run_is_said() {
    let lab = Lab::new();
    let missing = lab.path("nowhere.so");
    let exec = || lab.bare().words("--device xla-cpu exec");
    exec().arg("--plugin").arg(missing).args(["--", "true"]).run().ended(2).says(&["nowhere.so"]);
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let absent = exec().arg("--plugin").arg(&plugin).args(["--", "no-such-program"]).run();
    absent.ended(1).says(&["no-such-program"]);
    let cuda = lab.bare().words("--device xla-cuda exec").arg("--plugin").arg(&plugin);
    cuda.args(["--", "true"]).run().ended(2).says(&["docs/plugin.md"]);
    exec().run().ended(2);
}
