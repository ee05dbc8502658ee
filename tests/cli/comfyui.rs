//! What does `preheat comfyui` start, with which arguments and variables, and what does it refuse?
//! `tests/comfyui/test_flags.py` has the other side: what the node pack makes of the variables.

use crate::support::Lab;

/// A stand-in for `python main.py`: it prints its arguments in one line, and its variables.
const STAND_IN: [&str; 4] = ["sh", "-c", "echo \"arguments: $*\"; env | sort", "main.py"];

/// What the stand-in prints. The path of the test's folder is replaced by `LAB/`.
fn started(lab: &Lab, before: &str, behind: &str) -> String {
    let command = lab.bare().env_remove("PREHEAT_DEVICE").words(before).arg("--");
    let ran = command.args(STAND_IN).words(behind).run().done();
    ran.stdout.replace(&lab.path("").display().to_string(), "LAB/")
}

#[test]
fn comfyui_gets_its_own_arguments_and_preheats_flags_become_variables() {
    let lab = Lab::new();
    let behind = "--listen --tpu-manual-warmup --port 8188 --device xla-cpu --cache-dir here \
                  --precision=fp32 --snap-to-warm 20 --tpu-autocast-bf16=false --cpu";
    let printed = started(&lab, "--cache-max-size 1GB --compile-effort fast comfyui", behind);
    for expected in [
        "arguments: --listen --port 8188 --cpu\n",
        "PREHEAT_CACHE_DIR=LAB/here\n",
        "PREHEAT_COMPILE_EFFORT=fast\n",
        "PREHEAT_DEVICE=xla-cpu\n",
        "PREHEAT_COMFYUI_FLAGS='--tpu-manual-warmup' '--tpu-autocast-bf16=false' \
         '--cache-max-size=1000000000' '--precision=fp32' '--snap-to-warm=20'\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert!(!printed.contains("PREHEAT_COMFYUI_ENABLE"), "{printed}");
}

#[test]
fn a_flag_before_and_behind_the_program_counts_as_given_twice() {
    let lab = Lab::new();
    let printed = started(&lab, "--device tpu comfyui --precision bf16", "--device xla-cpu");
    assert!(printed.contains("PREHEAT_DEVICE=xla-cpu\n"), "{printed}");
    assert!(printed.contains("'--precision=bf16'"), "{printed}");
}

#[test]
fn every_model_runs_on_preheat_with_tpu_enable() {
    let printed = started(&Lab::new(), "comfyui", "--tpu-enable --listen");
    assert!(printed.contains("arguments: --listen\n"), "{printed}");
    assert!(printed.contains("PREHEAT_COMFYUI_ENABLE=1\n"), "{printed}");
    assert!(printed.contains("'--tpu-enable'"), "{printed}");
}

#[test]
fn folders_with_spaces_and_quotes_stay_one_word() {
    let lab = Lab::new();
    let command = lab.bare().words("comfyui --cache-fallback").arg("it's far away").arg("--");
    let ran = command.args(STAND_IN).run().done();
    assert!(ran.stdout.contains(r"far away'"), "{}", ran.stdout);
    assert!(ran.stdout.contains(r"it'\''s"), "{}", ran.stdout);
}

#[test]
fn the_status_is_that_of_comfyui() {
    let lab = Lab::new();
    let run = |script: &str| lab.bare().words("comfyui -- sh -c").arg(script).run();
    run("exit 7").ended(7);
    run("kill -TERM $$").ended(128 + 15);
    let absent = lab.bare().words("comfyui -- no-such-program main.py").run();
    absent.ended(1).says(&["no-such-program"]);
}

#[test]
fn what_comfyui_cannot_follow_is_refused_in_words() {
    let lab = Lab::new();
    for (behind, words) in [
        ("--compile-effort tiered", "leave --compile-effort tiered out"),
        ("--require-warm=full", "leave --require-warm=full out"),
        ("--offload model", "leave --offload out"),
        ("--tpu-sync-steps many", "--tpu-sync-steps"),
        ("--cache-dir", "--cache-dir"),
        ("--tpu-enable --tpu-disable", "--tpu-disable"),
        ("--trace t.json", "--trace records"),
    ] {
        let ran = lab.bare().words("comfyui -- true").words(behind).run();
        ran.ended(2).says(&[words]);
    }
    lab.bare().words("comfyui").run().ended(2).says(&["COMMAND"]);
}
