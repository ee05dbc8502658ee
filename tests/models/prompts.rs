//! What do the flags for prompts do? They run on the demo model, through the binary over the test
//! plugin. `tests/cpu/prompt_parity.rs` checks the numbers.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use pjrt_sim::Sim;
use serde_json::{Value, json};
use support::demo::{Picture, demo_model};
use support::schema::assert_matches;
use support::{Lab, Preheat};

const RUN: &str = "--json run --scheduler euler --steps 2 --seed 7 --cfg-scale 1 --output out.png";

fn command(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    lab.quick(sim).words(words).arg("--model").arg(demo_model())
}

/// `preheat --json run` with this prompt, its words and its flags.
fn run(lab: &Lab, sim: &Sim, prompt: &str, words: &str) -> Preheat {
    command(lab, sim, RUN).words(words).arg("--prompt").arg(prompt)
}

fn stages(document: &Value, field: &str) -> Vec<Value> {
    document["stages"].as_array().unwrap().iter().map(|stage| stage[field].clone()).collect()
}

#[test]
fn a_plain_prompt_is_what_it_was_and_weights_compile_nothing() {
    let lab = Lab::new();
    let by_default = run(&lab, &lab.sim(), "a (seven:1.5)", "").run().done().json();
    assert_eq!(by_default["prompt_chunks"], 1);
    let default = Picture::read(&lab.path("out.png"));
    assert!(default.settings.get("prompt_syntax").is_none(), "{}", default.settings);
    let compiles = lab.compiles();
    for (syntax, changes) in [("plain", false), ("a1111", true), ("comfy", true)] {
        let words = format!("--prompt-syntax {syntax}");
        let ran = run(&lab, &lab.no_compiles(), "a (seven:1.5)", &words).run().done().json();
        assert_eq!(stages(&ran, "graph_key"), stages(&by_default, "graph_key"), "{syntax}");
        let picture = Picture::read(&lab.path("out.png"));
        assert_eq!(picture.rgb != default.rgb, changes, "{syntax}");
        let told = changes.then(|| Value::from(syntax));
        assert_eq!(picture.settings.get("prompt_syntax").cloned(), told);
    }
    assert_eq!(lab.compiles(), compiles);
}

#[test]
fn a_number_of_chunks_is_warmed_looked_up_run_and_logged() {
    let lab = Lab::new();
    let words = "--json warmup --cfg-scale 1 --prompt-chunks 2";
    let warmed = command(&lab, &lab.sim(), words).run().done().json();
    assert_eq!(warmed["prompt_chunks"], 2);
    assert_eq!(lab.compiles(), 3);
    let lookup = |words: &str| {
        let lookup = command(&lab, &lab.no_compiles(), "--json lookup --cfg-scale 1").words(words);
        lookup.run().json()["verdict"].clone()
    };
    assert_eq!([lookup("--prompt-chunks 2"), lookup("")], ["hit", "partial"]);
    let words = "--prompt-syntax a1111 --log-requests log.jsonl";
    let ran = run(&lab, &lab.no_compiles(), "seven BREAK eight", words).run().done().json();
    assert_matches("run", &ran);
    assert_eq!(ran["prompt_chunks"], 2);
    assert_eq!(stages(&ran, "source"), ["disk"; 3]);
    let picture = Picture::read(&lab.path("out.png"));
    assert_eq!(picture.settings["prompt_chunks"], 2);
    let text = command(&lab, &lab.no_compiles(), "run --steps 1 --cfg-scale 1 --prompt-chunks 2");
    let text = text.words("--prompt seven").run().done().stdout;
    assert!(text.contains("2 chunks of tokens, seed"), "{text}");
    // One chunk is another graph, which is not warm.
    let cold = lab.quick(&lab.no_compiles()).words("--require-warm").words(RUN);
    cold.words("--prompt seven --model").arg(demo_model()).run().ended(3);
    assert_eq!(lab.compiles(), 3);

    let line: Value =
        serde_json::from_slice(&std::fs::read(lab.path("log.jsonl")).unwrap()).unwrap();
    assert_eq!(line["prompt_chunks"], 2);
    let audit = command(&lab, &lab.no_compiles(), "--json audit --requests log.jsonl");
    assert_eq!(audit.run().done().json()["hits"], 1);
}

#[test]
fn a_manifest_lists_numbers_of_chunks() {
    let lab = Lab::new();
    let table = "[[model]]\nsizes = [\"64x64\"]\nguided = [false]\nprompt_chunks = [1, 2]\n";
    lab.file("warm.toml", table);
    let warmed = lab.quick(&lab.sim()).words("--json warmup --manifest warm.toml").run().done();
    assert_matches("warmup_of_manifest", &warmed.json());
    let tables = warmed.json()["tables"].clone();
    let chunks: Vec<_> =
        tables.as_array().unwrap().iter().map(|one| one["prompt_chunks"].clone()).collect();
    assert_eq!(chunks, [1, 2]);
    assert_eq!(lab.compiles(), 4, "text encoder and VAE are shared");
}

#[test]
fn a_long_prompt_is_read_to_its_end_and_both_prompts_have_as_many_chunks() {
    let lab = Lab::new();
    let long = "seven ".repeat(80);
    let words = "--cfg-scale 5 --negative-prompt dark --prompt-syntax comfy";
    let read = run(&lab, &lab.sim(), &long, words).run().done().json();
    assert_eq!((&read["prompt_chunks"], &read["warnings"]), (&2.into(), &json!([])));
    let one = Picture::read(&lab.path("out.png"));
    // The end of the prompt is read: another end gives another picture.
    let other = format!("{long}eight");
    run(&lab, &lab.no_compiles(), &other, words).run().done();
    assert_ne!(Picture::read(&lab.path("out.png")).rgb, one.rgb);
    let cut = run(&lab, &lab.sim(), &long, "").run().done();
    let advice = "--prompt-syntax a1111 and --prompt-syntax comfy read all of it";
    assert!(cut.json()["warnings"][0].as_str().unwrap().contains(advice), "{}", cut.stdout);
}

#[test]
fn prompts_that_cannot_be_read_are_refused_before_anything_is_compiled() {
    let lab = Lab::new();
    let refused = |prompt: &str, words: &str, said: &str| {
        run(&lab, &lab.no_compiles(), prompt, words).run().ended(2).says(&[said]);
    };
    let schedule = "the prompt: \"[cat:dog:0.5]\" would change the prompt between steps";
    refused("a [cat:dog:0.5]", "--prompt-syntax a1111", schedule);
    let hint = "hint: --prompt-syntax plain takes every character of a prompt as text";
    refused("a [cat|dog]", "--prompt-syntax a1111", hint);
    refused("cat AND dog", "--prompt-syntax a1111", "`AND` would run the denoiser once for each");
    refused("(cat:1.2.3)", "--prompt-syntax a1111", "the weight \"1.2.3\" is not a number");
    refused("(cat:nan)", "--prompt-syntax comfy", "the weight \"NaN\" is not a number");
    let one = "prompt_2 is \"dog\": this model has one text encoder, which reads one prompt";
    refused("cat", "--prompt-2 dog", one);
    let multiple = "prompt_chunks is 3: the prompt has 2 and the negative prompt has 1, so a";
    refused("a BREAK b", "--prompt-syntax a1111 --prompt-chunks 3", multiple);
    refused("cat", "--prompt-chunks 65", "prompt_chunks is 65: a prompt has from 1 to 64 chunks");
    refused("cat", "--prompt-syntax compel", "\"compel\" is no prompt syntax: plain, a1111 and");
    let long = "(".repeat(1 << 16) + "cat";
    refused(&long, "--prompt-syntax comfy", "the text has 65539 bytes, and at most 65536 are read");
}

#[test]
fn a_lora_in_a_prompt_applies_nothing_and_the_hint_names_the_flag() {
    let lab = Lab::new();
    let ran = run(&lab, &lab.sim(), "seven <lora:style:0.8>", "--prompt-syntax a1111").run().done();
    let warning = ran.json()["warnings"][0].clone();
    let said = "the prompt has \"<lora:style:0.8>\", which is left out of the text and applies no \
                LoRA (--lora FILE:WEIGHT applies a LoRA)";
    assert_eq!(warning, said);
    let with = Picture::read(&lab.path("out.png"));
    run(&lab, &lab.no_compiles(), "seven ", "").run().done();
    assert_eq!(Picture::read(&lab.path("out.png")).rgb, with.rgb);
}
