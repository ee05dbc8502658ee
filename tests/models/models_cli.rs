//! Do `run`, `warmup` and `lookup` do what they say? They run on the demo model, through the binary
//! over the test plugin.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pjrt_sim::{Count, Place, Sim, When};
use serde_json::{Value, json};
use support::demo::{Picture, copy_folder, demo_model, denoiser_runs};
use support::lab::{files_under, until};
use support::{Lab, Preheat, Ran, random_model};

/// The flags of most runs: two steps, which are two calls of the denoiser.
const SEVEN: &str = "--prompt seven --scheduler euler --steps 2 --seed 7 --output out.png";
const STAGES: [&str; 3] = ["text_encoder", "denoiser", "vae_decoder"];

/// `preheat` with these words on the demo model. The words end with the subcommand and its flags.
fn command(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    lab.quick(sim).words(words).arg("--model").arg(demo_model())
}

/// `preheat --json run` with [`SEVEN`] and these words.
fn run(lab: &Lab, sim: &Sim, words: &str) -> Ran {
    command(lab, sim, "--json run").words(SEVEN).words(words).run()
}

fn picture(lab: &Lab, name: &str) -> Picture {
    Picture::read(&lab.path(name))
}

/// A test environment (`Lab`) in whose cache the demo model is warm at 64x64 px, with and without
/// guidance.
fn warm_lab() -> Lab {
    static WARM: OnceLock<PathBuf> = OnceLock::new();
    let warm = WARM.get_or_init(|| {
        let lab = Lab::new();
        let warmup = |words: &str| {
            let warm = || {
                command(&lab, &lab.sim(), "--json warmup --steps 2")
                    .words(words)
                    .run()
                    .done()
                    .json()
            };
            lab.counting(warm)
        };
        let (guided, compiles) = warmup("");
        assert_eq!((compiles, stages(&guided, "stage")), (3, STAGES.map(Value::from).into()));
        assert_eq!(lab.executes(), 3);
        let (unguided, compiles) = warmup("--cfg-scale 1");
        assert_eq!(
            (compiles, stages(&unguided, "source")),
            (1, ["disk", "compiled", "disk"].map(Value::from).into())
        );
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("models-cli-warm");
        // Remove what an earlier run of these tests left.
        let _ = std::fs::remove_dir_all(&folder);
        copy_folder(&lab.cache(), &folder);
        folder
    });
    let lab = Lab::new();
    copy_folder(warm, &lab.cache());
    lab
}

/// A field of each stage.
fn stages(document: &Value, field: &str) -> Vec<Value> {
    document["stages"].as_array().unwrap().iter().map(|stage| stage[field].clone()).collect()
}

/// Asserts where each stage of a run got its executable from, and how all of them matched.
#[track_caller]
fn assert_ready(document: &Value, source: &[&str; 3], matched: &str) {
    assert_eq!(stages(document, "source"), source);
    assert_eq!(stages(document, "match"), [matched; 3]);
}

#[track_caller]
fn assert_names(value: &Value, wanted: &str) {
    let have: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(have, wanted.split_whitespace().collect());
}

const RUN: &str = "device signature requested_size padded_size crop_origin prompt_chunks seed stages timings images \
     warnings";
const STAGE: &str = "model_id stage graph_key source match compile_seconds compile_peak_bytes \
                     load_seconds wait_seconds effort";

#[test]
fn a_run_tells_what_the_contract_says_and_compiles_once() {
    let lab = Lab::new();
    let cold = run(&lab, &lab.sim(), "");
    // If the output is not a terminal, there is one line for each long task, and nothing else.
    let said: BTreeSet<&str> = cold.stderr.lines().collect();
    let compiling = STAGES.map(|stage| format!("compiling demo-model, {stage}"));
    assert_eq!((said.len(), cold.stderr.lines().count()), (3, 3), "{}", cold.stderr);
    assert!(compiling.iter().all(|line| said.contains(line.as_str())), "{said:?}");
    let cold = cold.done().json();
    assert_names(&cold, RUN);
    assert_names(&cold["device"], "requested selected reason kind");
    assert_names(
        &cold["signature"],
        "model_id input_shape batch_size cfg_scale scheduler steps dtype digest",
    );
    assert_names(
        &cold["timings"],
        "executables_ready_seconds weights_ready_seconds first_step_seconds seconds_per_step total_seconds",
    );
    assert_eq!(stages(&cold, "stage"), STAGES);
    for stage in cold["stages"].as_array().unwrap() {
        assert_names(stage, STAGE);
        assert_eq!((&stage["source"], &stage["match"]), (&"compiled".into(), &"compiled".into()));
        assert!(stage["compile_seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(stage["graph_key"].as_str().unwrap().len(), 64);
    }
    let signature = &cold["signature"];
    assert_eq!(
        (&signature["model_id"], &signature["scheduler"]),
        (&"demo-model".into(), &"euler".into())
    );
    assert_eq!((&signature["steps"], &signature["cfg_scale"]), (&2.into(), &7.5.into()));
    assert_eq!(
        (&signature["input_shape"], &signature["dtype"]),
        (&json!([1, 4, 8, 8]), &"float32".into())
    );
    assert_eq!(
        (&cold["requested_size"], &cold["padded_size"]),
        (&json!([64, 64]), &json!([64, 64]))
    );
    assert_eq!((&cold["crop_origin"], &cold["seed"]), (&json!([0, 0]), &7.into()));
    assert_eq!((&cold["images"], &cold["warnings"]), (&json!(["out.png"]), &json!([])));
    let seconds = |name: &str| cold["timings"][name].as_f64().unwrap();
    for part in [
        "executables_ready_seconds",
        "weights_ready_seconds",
        "first_step_seconds",
        "seconds_per_step",
    ] {
        assert!(0.0 < seconds(part) && seconds(part) < seconds("total_seconds"), "{part}: {cold}");
    }
    let first = std::fs::read(lab.path("out.png")).unwrap();
    std::fs::remove_file(lab.path("out.png")).unwrap();

    // The same run is repeated. Then everything changes that does not shape a graph.
    let again = run(&lab, &lab.no_compiles(), "").done().silent().json();
    assert_ready(&again, &["disk"; 3], "exact");
    assert!(
        first == std::fs::read(lab.path("out.png")).unwrap(),
        "the same seed must make the same picture"
    );
    let other = "--prompt one --negative-prompt blurry --cfg-scale 3 --steps 3 --scheduler ddim";
    let run = command(&lab, &lab.no_compiles(), "--json --require-warm run").words(other);
    let other = run.run().done().silent().json();
    assert_ready(&other, &["disk"; 3], "equivalent");
    assert_eq!(
        (&other["signature"]["steps"], &other["signature"]["scheduler"]),
        (&3.into(), &"ddim".into())
    );
    assert_eq!(lab.compiles(), 3);
    lab.assert_nothing_half_written();
}

#[test]
fn a_picture_says_how_it_was_made() {
    let lab = warm_lab();
    let words = "run --steps 3 --cfg-scale 4.5 --seed 11 --negative-prompt blurry";
    let run = command(&lab, &lab.no_compiles(), words).arg("--prompt").arg("eight, größer");
    let ran = run.run().done().silent();
    assert!(ran.stdout.contains("out.png") && ran.stdout.contains("seed 11"), "{}", ran.stdout);
    let made = picture(&lab, "out.png");
    assert_eq!((made.width, made.height), (64, 64));
    let settings = &made.settings;
    assert_eq!(
        (&settings["prompt"], &settings["negative_prompt"]),
        (&"eight, größer".into(), &"blurry".into())
    );
    assert_eq!(
        (&settings["seed"], &settings["steps"], &settings["cfg_scale"]),
        (&11.into(), &3.into(), &4.5.into())
    );
    assert_eq!(
        (&settings["scheduler"], &settings["model_id"]),
        (&"pndm".into(), &"demo-model".into())
    );
    assert_eq!(
        made.parameters,
        "eight, größer\nNegative prompt: blurry\nSteps: 3, Sampler: pndm, CFG scale: 4.5, Seed: 11, Size: 64x64, \
         Model: demo-model"
    );
}

#[test]
fn a_size_in_between_is_cropped_from_the_padded_one() {
    let lab = warm_lab();
    run(&lab, &lab.no_compiles(), "").done();
    let whole = picture(&lab, "out.png");
    let cut = run(&lab, &lab.no_compiles(), "--width 60 --height 52").done().json();
    assert_eq!((&cut["requested_size"], &cut["padded_size"]), (&json!([60, 52]), &json!([64, 64])));
    assert_eq!(cut["crop_origin"], json!([0, 0]));
    assert_ready(&cut, &["disk"; 3], "exact");
    let cut = picture(&lab, "out.png");
    assert_eq!((cut.width, cut.height), (60, 52));
    assert_eq!(cut.rgb, whole.corner(60, 52));
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn without_padding_a_size_is_computed_as_it_is() {
    let lab = warm_lab();
    let size = "--tpu-shape-padding=false --width 72 --height 64";
    let ran = run(&lab, &lab.sim(), size).done().json();
    assert_eq!(
        (&ran["padded_size"], &ran["signature"]["input_shape"]),
        (&json!([72, 64]), &json!([1, 4, 8, 9]))
    );
    assert_eq!(stages(&ran, "source"), ["disk", "compiled", "compiled"]);
    let made = picture(&lab, "out.png");
    assert_eq!((made.width, made.height), (72, 64));
    assert_eq!(lab.compiles(), 2);
    run(&lab, &lab.no_compiles(), size).done();
}

#[test]
fn a_batch_is_what_its_seeds_make_alone() {
    let lab = warm_lab();
    // The seeds wrap around at the end of u64.
    let seeds = [u64::MAX - 1, u64::MAX, 0];
    let words = "--json run --prompt seven --scheduler euler --steps 2";
    let make = |sim: &Sim, seed: u64, more: &str| {
        command(&lab, sim, words).words(&format!("--seed {seed} {more}")).run().done().json()
    };
    let batch = make(&lab.sim(), seeds[0], "--batch 3 --output batch.png");
    assert_eq!(batch["images"], json!(["batch-0.png", "batch-1.png", "batch-2.png"]));
    assert_eq!((&batch["seed"], &batch["signature"]["batch_size"]), (&seeds[0].into(), &3.into()));
    assert_eq!(stages(&batch, "source"), ["disk", "compiled", "disk"]);
    assert_eq!(lab.compiles(), 1);
    assert!(!lab.path("batch.png").exists());
    for (index, seed) in seeds.into_iter().enumerate() {
        make(&lab.no_compiles(), seed, "--output alone.png");
        let (together, alone) =
            (picture(&lab, &format!("batch-{index}.png")), picture(&lab, "alone.png"));
        assert_eq!(
            (&together.settings, &together.settings["seed"]),
            (&alone.settings, &seed.into())
        );
        // A convolution over a batch may add its terms up in another order.
        assert!(together.psnr(&alone) > 60.0, "{}", together.psnr(&alone));
    }
    assert!(picture(&lab, "batch-0.png").psnr(&picture(&lab, "batch-1.png")) < 40.0);
}

#[test]
fn without_a_seed_there_is_one_that_makes_the_picture_again() {
    let lab = warm_lab();
    let make = |words: &str| {
        let run =
            command(&lab, &lab.no_compiles(), "--json run --prompt seven --steps 2").words(words);
        run.run().done().json()["seed"].as_u64().unwrap()
    };
    let (first, second) = (make("--output first.png"), make("--output second.png"));
    assert_ne!(first, second);
    assert_eq!(make(&format!("--output again.png --seed {first}")), first);
    assert_eq!(picture(&lab, "first.png"), picture(&lab, "again.png"));
    assert_ne!(picture(&lab, "first.png").rgb, picture(&lab, "second.png").rgb);
}

#[test]
fn another_model_of_the_same_shape_runs_on_the_same_executables() {
    let lab = warm_lab();
    run(&lab, &lab.no_compiles(), "").done();
    let before = picture(&lab, "out.png");
    let tuned = lab.path("tuned");
    copy_folder(&demo_model(), &tuned);
    // The second half of the file is set to zero.
    let weights = tuned.join("vae/diffusion_pytorch_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    std::fs::write(&weights, bytes).unwrap();
    let ran = lab
        .quick(&lab.no_compiles())
        .words("--json --require-warm run")
        .words(SEVEN)
        .arg("--model")
        .arg(&tuned);
    let ran = ran.run().done().silent().json();
    assert_eq!(ran["signature"]["model_id"], "tuned");
    assert_ready(&ran, &["disk"; 3], "equivalent");
    assert_ne!(before.rgb, picture(&lab, "out.png").rgb);
}

/// A copy of the demo model in which a JSON file was changed.
fn edited_demo(lab: &Lab, file: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let model = lab.path("edited");
    copy_folder(&demo_model(), &model);
    let path = model.join(file);
    let text = std::fs::read(&path).unwrap_or_else(|_| b"{}".to_vec());
    let mut value = serde_json::from_slice(&text).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
    model
}

#[test]
fn the_index_names_the_scheduler() {
    let lab = warm_lab();
    let ddim = json!(["diffusers", "DDIMScheduler"]);
    let model = edited_demo(&lab, "model_index.json", |index| index["scheduler"] = ddim);
    let make = |model: &Path, output: &str| {
        let run = lab
            .quick(&lab.no_compiles())
            .words("--json run --prompt seven --steps 3 --seed 7 --output")
            .arg(output);
        run.arg("--model").arg(model).run().done().silent().json()["signature"]["scheduler"].clone()
    };
    assert_eq!(
        (make(&demo_model(), "pndm.png"), make(&model, "ddim.png")),
        ("pndm".into(), "ddim".into())
    );
    assert!(picture(&lab, "pndm.png").rgb != picture(&lab, "ddim.png").rgb);
    // If the configuration file names no class, the index still names it.
    let config = model.join("scheduler/scheduler_config.json");
    let mut fields: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    fields.as_object_mut().unwrap().remove("_class_name");
    std::fs::write(config, fields.to_string()).unwrap();
    assert_eq!(make(&model, "again.png"), "ddim");
    assert!(picture(&lab, "again.png").rgb == picture(&lab, "ddim.png").rgb);
}

#[test]
fn schedulers_are_known_by_the_names_of_other_programs() {
    let lab = warm_lab();
    for (name, own) in [
        ("Euler a", "euler_a"),
        ("euler_ancestral", "euler_a"),
        ("DPM++ 2M Karras", "dpm++_2m_karras"),
        ("dpmpp_2m", "dpm++_2m"),
        ("DPM++ 2M SDE Karras", "dpm++_2m_sde_karras"),
        ("UniPC", "unipc"),
        ("uni_pc_beta", "unipc_beta"),
        ("dpm++_2s", "dpm++_2s"),
        ("DEIS Exponential", "deis_exponential"),
        ("DPM2", "dpm2"),
        ("dpm_2_ancestral", "dpm2_a"),
        ("LMS Karras", "lms_karras"),
        ("DDPM", "ddpm"),
        ("LCM", "lcm"),
        ("TCD", "tcd"),
        ("EDMEulerScheduler", "edm_euler"),
        ("EDMDPMSolverMultistepScheduler", "edm_dpm++_2m"),
        ("IPNDMScheduler", "ipndm"),
    ] {
        let run = command(&lab, &lab.no_compiles(), "--json run --prompt seven --steps 2")
            .arg("--scheduler")
            .arg(name);
        assert_eq!(run.run().done().silent().json()["signature"]["scheduler"], own);
    }
}

#[test]
fn eta_timesteps_and_sigmas_act_and_the_picture_names_them() {
    let lab = warm_lab();
    let run = |words: &str| {
        let ran = command(&lab, &lab.no_compiles(), "--json run --prompt seven --seed 7")
            .words(words)
            .run()
            .done()
            .silent()
            .json();
        let steps = ran["signature"]["steps"].clone();
        let made = picture(&lab, "out.png");
        (steps, made.rgb, made.parameters)
    };
    let (_, plain, parameters) = run("--scheduler ddim --steps 3");
    assert!(!parameters.contains("Eta"), "{parameters}");
    let (_, noisy, parameters) = run("--scheduler ddim --steps 3 --eta 1");
    assert!(parameters.contains(", Eta: 1"), "{parameters}");
    assert!(plain != noisy);
    let (steps, own, parameters) = run("--scheduler euler --timesteps 999,500,20");
    assert_eq!(steps, 3);
    assert!(parameters.contains(", Timesteps: \"999, 500, 20\""), "{parameters}");
    let (steps, sigmas, parameters) = run("--scheduler euler --sigmas 14.6,1.5,0");
    assert_eq!(steps, 2);
    assert!(parameters.contains(", Sigmas: \"14.6, 1.5, 0\""), "{parameters}");
    assert!(own != sigmas);

    let file = lab.path("request.json");
    std::fs::write(&file, r#"{"timesteps": [999, 500, 20], "scheduler": "euler"}"#).unwrap();
    let of_file = |words: &str| run(&format!("--request {} {words}", file.display()));
    assert!(of_file("").1 == own);
    // A number of steps on the command line replaces the list of the file.
    let (steps, _, parameters) = of_file("--steps 2");
    assert_eq!(steps, 2);
    assert!(!parameters.contains("Timesteps"), "{parameters}");

    let refused = |words: &str, status, said: &[&str]| {
        command(&lab, &lab.no_compiles(), "run --prompt x")
            .words(words)
            .run()
            .ended(status)
            .says(said);
    };
    refused("--scheduler euler --eta 1", 1, &["euler takes no eta of 1: ddim and tcd take"]);
    refused("--scheduler unipc --timesteps 9,1", 1, &["unipc cannot follow the `timesteps`"]);
    refused("--scheduler euler --timesteps 1,9", 1, &["give numbers from 999 to 0"]);
    refused("--scheduler euler --sigmas 1", 1, &["give at least two numbers"]);
    refused("--sigmas 1,0 --timesteps 9", 2, &["--timesteps"]);
    refused("--steps 2 --timesteps 9", 2, &["--timesteps"]);
    refused("--timesteps -1", 2, &["give a whole number from 0 to"]);
}

#[test]
fn another_pipeline_over_the_same_components_runs_as_text_to_image_and_says_so() {
    let lab = warm_lab();
    let class = "StableDiffusionControlNetPipeline";
    let model = edited_demo(&lab, "model_index.json", |index| index["_class_name"] = json!(class));
    let run =
        lab.quick(&lab.no_compiles()).words("--json run").words(SEVEN).arg("--model").arg(model);
    let ran = run.run().done().says(&[class, "text-to-image", "StableDiffusionPipeline"]).json();
    assert_eq!(ran["warnings"].as_array().unwrap().len(), 1, "{}", ran["warnings"]);
    // Requests of this class are served, too.
    let class = json!("StableDiffusionImg2ImgPipeline");
    let model = edited_demo(&lab, "model_index.json", |index| index["_class_name"] = class);
    let run = lab.quick(&lab.no_compiles()).words("--json run").words(SEVEN);
    assert_eq!(run.arg("--model").arg(model).run().done().json()["warnings"], json!([]));
}

#[test]
fn a_token_that_was_added_is_one_id() {
    let lab = warm_lab();
    let vocabulary = std::fs::read_to_string(demo_model().join("tokenizer/vocab.json")).unwrap();
    let size = serde_json::from_str::<Value>(&vocabulary).unwrap().as_object().unwrap().len();
    let model = edited_demo(&lab, "tokenizer/added_tokens.json", |tokens| {
        tokens["<cat-toy>"] = size.into();
    });
    let run = lab
        .quick(&lab.no_compiles())
        .words("run --steps 2 --prompt <cat-toy>")
        .arg("--model")
        .arg(model);
    // The demo model has no embedding for the new token.
    run.run().ended(1).says(&[&format!("token {size}")]);
}

#[test]
fn no_negative_prompt_is_not_an_empty_one() {
    let lab = Lab::new();
    let model = random_model::write_small("sdxl", &lab.path("")).unwrap();
    // If layers are skipped, an encoded negative prompt has stages of its own.
    let cold = |negative: &Value| {
        let request = json!({"prompt": "seven", "negative_prompt": negative, "clip_skip": 1, "width": 64, "height": 64});
        let request = lab.file("request.json", request.to_string());
        let run = lab.quick(&lab.sim()).words("--require-warm run --request").arg(request);
        run.arg("--model").arg(&model).run().ended(3).says(&["`text_encoder_2`"]).stderr
    };
    let negative = "`negative_text_encoder_2`";
    assert!(!cold(&Value::Null).contains(negative));
    assert!(cold(&json!("")).contains(negative) && cold(&json!("dark")).contains(negative));
}

/// A request file for the demo model, with these fields beside the usual ones.
fn request(lab: &Lab, more: &Value) -> PathBuf {
    let mut fields = json!({
        "model": demo_model(), "prompt": "seven", "num_inference_steps": 2, "scheduler": "euler", "seed": 7,
    });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    lab.file("request.json", fields.to_string())
}

#[test]
fn a_request_file_does_what_the_flags_do_and_flags_win_over_it() {
    let lab = warm_lab();
    run(&lab, &lab.no_compiles(), "").done();
    let by_flags = picture(&lab, "out.png");
    let ask = |words: &str| {
        let run = lab
            .quick(&lab.no_compiles())
            .words("--json run --request request.json --output file.png");
        run.words(words).run().done()
    };
    let without_effect = |ran: &Ran| ran.stderr.contains("the negative prompt has no effect");
    let ask = |words: &str| {
        let ran = ask(words);
        // The user is told that the prompt has no effect, because somebody else may have written
        // the request file.
        assert_eq!(ran.stderr.is_empty(), !without_effect(&ran), "{}", ran.stderr);
        ran.json()
    };
    request(&lab, &json!({}));
    ask("");
    assert_eq!(picture(&lab, "file.png"), by_flags);
    request(
        &lab,
        &json!({"guidance_scale": 3, "width": 60, "height": 60, "negative_prompt": "blurry"}),
    );
    let own = ask("");
    assert_eq!(
        (&own["signature"]["cfg_scale"], &own["requested_size"]),
        (&3.0.into(), &json!([60, 60]))
    );
    assert_eq!(picture(&lab, "file.png").settings["negative_prompt"], "blurry");
    let words = "--prompt one --negative-prompt dark --steps 3 --cfg-scale 1 --seed 9 --width 50 --height 40";
    let flags = ask(words);
    let signature = &flags["signature"];
    assert_eq!(
        (&signature["steps"], &signature["cfg_scale"], &flags["seed"]),
        (&3.into(), &1.0.into(), &9.into())
    );
    assert_eq!(
        (&flags["requested_size"], &signature["scheduler"]),
        (&json!([50, 40]), &"euler".into())
    );
    let settings = picture(&lab, "file.png").settings;
    assert_eq!(
        (&settings["prompt"], &settings["negative_prompt"]),
        (&"one".into(), &"dark".into())
    );
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn the_warmup_block_of_a_request_warms_its_size_first() {
    let lab = warm_lab();
    let ask =
        || lab.quick(&lab.sim()).words("--json run --request request.json").run().done().json();
    let block =
        |enabled: bool| json!({"tpu_warmup": {"enabled": enabled, "target_resolution": [128, 64]}});
    request(&lab, &block(false));
    let ran = ask();
    assert_eq!((lab.compiles(), &ran["padded_size"]), (0, &json!([64, 64])));
    request(&lab, &block(true));
    let ran = ask();
    assert_eq!((lab.compiles(), &ran["padded_size"]), (2, &json!([64, 64])));
    // The text encoder is the same for every size.
    assert_eq!(stages(&ran, "source"), ["memory", "disk", "disk"]);
    // Nothing is warmed for a request that could not be served afterwards.
    request(&lab, &json!({"tpu_warmup": {"target_resolution": [64, 128]}, "width": 7}));
    lab.quick(&lab.sim()).words("run --request request.json").run().ended(2).says(&["width is 7"]);
    assert_eq!(lab.compiles(), 2);
    command(&lab, &lab.no_compiles(), "--require-warm run --width 128 --height 64")
        .words(SEVEN)
        .run()
        .done()
        .silent();
    assert_eq!(picture(&lab, "out.png").width, 128);
}

#[test]
fn what_was_warmed_is_never_compiled_again() {
    let lab = warm_lab();
    for words in ["", "--cfg-scale 1", "--cfg-scale 3", "--scheduler ddim", "--steps 5", "--seed 3"]
    {
        let run =
            command(&lab, &lab.no_compiles(), "--require-warm run --prompt nine").words(words);
        run.run().done().silent();
        std::fs::remove_file(lab.path("out.png")).unwrap();
    }
    // Without guidance, one prompt is encoded instead of two.
    let executes = |words: &str| {
        let before = lab.executes();
        run(&lab, &lab.no_compiles(), words).done();
        lab.executes() - before
    };
    assert_eq!((executes(""), executes("--cfg-scale 1")), (2 + 2 + 1, 1 + 2 + 1));
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_warmup_takes_several_sizes() {
    let lab = warm_lab();
    let warm =
        command(&lab, &lab.sim(), "--json warmup --resolutions 64x64,128x64").run().done().json();
    assert_eq!(stages(&warm, "stage").len(), 6);
    for stage in warm["stages"].as_array().unwrap() {
        assert_names(stage, &format!("{STAGE} first_run_seconds kept"));
        assert_eq!(stage["kept"], true);
    }
    assert_eq!((lab.compiles(), lab.executes()), (2, 6));
    for size in ["--width 64 --height 64", "--width 128 --height 64"] {
        command(&lab, &lab.no_compiles(), "--require-warm run")
            .words(SEVEN)
            .words(size)
            .run()
            .done()
            .silent();
    }
    let table = command(&lab, &lab.no_compiles(), "warmup --resolutions 64x64,128x64")
        .run()
        .done()
        .silent()
        .stdout;
    assert!(
        ["64x64", "128x64", "loaded", "demo-model is warm on xla-cpu"]
            .iter()
            .all(|it| table.contains(it)),
        "{table}"
    );
    // A wrong size is reported before the correct size in front of it is compiled.
    let wrong = command(&lab, &lab.sim(), "warmup --resolutions 64x128,7x64").run().ended(2);
    wrong.says(&["width is 7"]);
    assert_eq!(lab.compiles(), 2);
}

#[test]
fn a_warmup_that_cannot_keep_what_it_compiled_fails() {
    let lab = warm_lab();
    let before = contents(&lab.cache());
    let words = "--cache-read-only --text-encoder-precision bf16 --vae-precision bf16 warmup";
    let ran = command(&lab, &lab.sim(), words).run().ended(1);
    let ran = ran.says(&[
        "stage `text_encoder`, stage `vae_decoder` were compiled and not kept",
        "--cache-read-only",
    ]);
    assert!(!ran.stderr.contains("`denoiser`") && ran.stdout.is_empty(), "{}", ran.stderr);
    assert_eq!(lab.compiles(), 2);
    assert!(before == contents(&lab.cache()), "the read-only cache was written to");
}

/// Every file below a folder, with its content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_under(folder)
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_lookup_tells_of_each_stage_whether_it_would_hit() {
    let lab = warm_lab();
    let lookup =
        |words: &str| command(&lab, &lab.no_compiles(), "--json lookup").words(words).run();
    let hit = lookup("--steps 2").done().silent().json();
    assert_names(&hit, "verdict stages");
    assert_eq!(
        (&hit["verdict"], stages(&hit, "stage")),
        (&"hit".into(), STAGES.map(Value::from).into())
    );
    assert_eq!(stages(&hit, "match"), ["exact"; 3]);
    assert_eq!(
        stages(&lookup("--steps 9 --cfg-scale 3").done().json(), "match"),
        ["equivalent"; 3]
    );

    let partial = lookup("--width 128 --height 64").ended(3).silent().json();
    assert_eq!(
        (&partial["verdict"], stages(&partial, "verdict")),
        (&"partial".into(), vec!["hit".into(), "miss".into(), "miss".into()])
    );
    for stage in &partial["stages"].as_array().unwrap()[1..] {
        assert_names(
            stage,
            "model_id stage verdict match graph_key expected_compile_seconds effort nearest",
        );
        assert!(stage["expected_compile_seconds"].as_f64().unwrap() > 0.0, "{stage}");
        assert!(!stage["nearest"]["differences"].as_array().unwrap().is_empty(), "{stage}");
    }
    let said =
        command(&lab, &lab.no_compiles(), "lookup --width 128 --height 64").run().ended(3).stdout;
    for wanted in [
        "\n128x64 is not warm; the nearest is 64x64\ndemo-model, denoiser: the nearest entry is graph",
        "demo-model, vae_decoder: the nearest",
        "program",
        "\n`preheat warmup --model ",
        " --width 128 --height 64",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in: {said}");
    }
    let batch =
        command(&lab, &lab.no_compiles(), "lookup --batch 2 --cfg-scale 0 --scheduler ddim");
    let batch = batch.run().ended(3).stdout;
    let first = "\nbatch 2 is not warm; the nearest is batch 1\n";
    assert!(batch.contains(first) && !batch.contains("scheduler: have"), "{batch}");
    assert!(!said.contains("text_encoder: "), "{said}");

    let empty = Lab::new();
    let miss = command(&empty, &empty.sim(), "--json lookup").run().ended(3).json();
    assert_eq!(
        (&miss["verdict"], stages(&miss, "verdict")),
        (&"miss".into(), vec!["miss".into(); 3])
    );
    assert_eq!((lab.compiles(), lab.executes(), empty.compiles()), (0, 0, 0));
    assert!(!empty.cache().exists(), "a lookup makes no folder");
}

#[test]
fn without_a_model_the_demo_model_is_unpacked_once_and_run() {
    let lab = warm_lab();
    let data = lab.path("data");
    let with = |output: &str| {
        let run = lab.quick(&lab.no_compiles()).env("PREHEAT_DATA_DIR", &data);
        run.words("--json run --prompt seven --scheduler euler --steps 2 --seed 7 --output")
            .arg(output)
    };
    // Two processes start at once, and neither finds the model.
    let both = ["0.png", "1.png"].map(|output| with(output).start());
    for ran in both.map(|run| run.wait().done().silent().json()) {
        assert_eq!(ran["signature"]["model_id"], "demo-model");
    }
    let unpacked = contents(&data);
    let folder = unpacked
        .iter()
        .find_map(|(path, _)| path.ends_with("model_index.json").then(|| path.parent()));
    let folder = folder.flatten().unwrap();
    assert!(
        folder.starts_with(data.join("models")) && folder.ends_with("demo-model"),
        "{}",
        folder.display()
    );
    // The model is complete, and there is nothing beside it.
    for (path, bytes) in &unpacked {
        let original = demo_model().join(path.strip_prefix(folder).unwrap());
        assert!(*bytes == std::fs::read(&original).unwrap(), "{}", original.display());
    }
    for file in ["unet/config.json", "tokenizer/vocab.json", "scheduler/scheduler_config.json"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let written = std::fs::metadata(folder).unwrap().modified().unwrap();
    with("2.png").run().done().silent();
    assert_eq!(
        written,
        std::fs::metadata(folder).unwrap().modified().unwrap(),
        "the model was unpacked twice"
    );
    run(&lab, &lab.no_compiles(), "").done();
    for output in ["0.png", "1.png", "2.png"] {
        assert_eq!(picture(&lab, output), picture(&lab, "out.png"));
    }
    // Nobody can create folders in /proc, not even root.
    let nowhere = lab
        .quick(&lab.no_compiles())
        .env("PREHEAT_DATA_DIR", "/proc/nowhere")
        .words("run")
        .words(SEVEN);
    nowhere.run().ended(1).says(&["writing the demo model to /proc/nowhere", "--model"]);
}

#[test]
fn with_manual_warmup_alone_the_demo_model_is_warmed() {
    for (flag, said) in
        [("--tpu-manual-warmup", ""), ("--tpu-warmup-enable", "older name of --tpu-manual-warmup")]
    {
        let lab = warm_lab();
        let warmup =
            lab.quick(&lab.no_compiles()).env("PREHEAT_DATA_DIR", lab.path("data")).arg(flag);
        let ran = warmup.run().done().says(&[said]);
        assert!(ran.stdout.contains("demo-model is warm on xla-cpu: 3 stages"), "{}", ran.stdout);
        assert!(!ran.stderr.contains("not warm"), "{}", ran.stderr);
        assert_eq!((lab.compiles(), lab.log().deserializes(), lab.executes()), (0, 3, 3));
    }
}

#[test]
fn with_manual_warmup_a_cold_run_says_what_it_compiles() {
    let lab = warm_lab();
    let words = "--tpu-manual-warmup --vae-precision bf16";
    let cold = run(&lab, &lab.sim(), words)
        .done()
        .says(&["not warm: stage `vae_decoder`", "preheat warmup"]);
    assert!(
        !["`denoiser`", "`text_encoder`"].iter().any(|stage| cold.stderr.contains(stage)),
        "{}",
        cold.stderr
    );
    let warnings = cold.json()["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
    // Only the stages that the picture needs were run.
    assert_eq!((lab.compiles(), lab.executes()), (1, 2 + 2 + 1));
    run(&lab, &lab.no_compiles(), words).done().silent();
}

#[test]
fn what_must_be_warm_and_is_not_names_every_stage() {
    let lab = Lab::new();
    let cold = command(&lab, &lab.sim(), "--require-warm run").words(SEVEN).run().ended(3);
    let named = STAGES.map(|stage| format!("stage `{stage}`"));
    let cold =
        cold.says(&named.each_ref().map(String::as_str)).says(&["not warm", "preheat warmup"]);
    assert_eq!(cold.stdout, "");
    let lab = warm_lab();
    let larger = command(&lab, &lab.sim(), "--require-warm run --width 128 --height 64")
        .words(SEVEN)
        .run()
        .ended(3);
    let larger =
        larger.says(&["`denoiser`", "`vae_decoder`", "the nearest entry is graph"]).says(&[
            "\n128x64 is not warm; the nearest is 64x64\n",
            "\nhint: `preheat warmup --model ",
        ]);
    let long = command(&lab, &lab.sim(), "--require-warm run --prompt-chunks 2").words(SEVEN).run();
    long.ended(3).says(&["\na prompt of 2 chunks is not warm\n", " --prompt-chunks 2"]);
    let twice = "--require-warm run --width 64 --height 64 --upscale-latents 2";
    let twice = command(&lab, &lab.sim(), twice).words(SEVEN).run().ended(3);
    twice.says(&["\n128x128 is not warm; the nearest is 64x64\n", " --resolutions 64x64,128x128"]);
    assert!(!larger.stderr.contains("`text_encoder`"), "{}", larger.stderr);
    assert_eq!((lab.compiles(), lab.executes()), (0, 0));
    assert!(!lab.path("out.png").exists());
}

#[test]
fn a_run_of_which_anything_is_fresh_is_warmed_up_and_a_warm_one_pays_nothing() {
    for (words, fresh) in [
        ("", 2),
        ("--tpu-warmup-steps 1", 1),
        ("--tpu-warmup-steps 3", 3),
        ("--tpu-warmup-steps 0", 0),
        ("--no-tpu-warmup --tpu-warmup-steps 5", 0),
    ] {
        let lab = warm_lab();
        // Only the text encoder is compiled, which takes the least time.
        let words = format!("{words} --text-encoder-precision bf16");
        let cold = run(&lab, &lab.sim(), &words).done().json();
        assert_eq!(stages(&cold, "source"), ["compiled", "disk", "disk"], "{words}");
        assert_eq!(denoiser_runs(&lab.log()), fresh + 2, "{words}");
        // If the run warms up, it also runs each of the other stages once.
        let others = if fresh > 0 { 2 } else { 0 };
        assert_eq!(lab.executes(), fresh + others + 2 + 2 + 1, "{words}");
        let before = lab.executes();
        run(&lab, &lab.no_compiles(), &words).done().silent();
        assert_eq!(lab.executes() - before, 2 + 2 + 1, "{words}");
        assert_eq!(lab.compiles(), 1);
    }
}

#[test]
fn forced_every_stage_is_compiled_anew() {
    let lab = warm_lab();
    let objects = contents(&lab.cache().join("objects-v1"));
    let forced = run(&lab, &lab.sim(), "--force-recompile").done().json();
    assert_ready(&forced, &["compiled"; 3], "compiled");
    assert_eq!(lab.compiles(), 3);
    let after = contents(&lab.cache().join("objects-v1"));
    let changed = objects.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(
        (objects.len(), after.len(), changed),
        (4, 4, 3),
        "all but the unguided denoiser are replaced"
    );
    assert_ready(&run(&lab, &lab.no_compiles(), "").done().json(), &["disk"; 3], "exact");
}

#[test]
fn without_the_compilation_cache_a_run_touches_no_store() {
    let lab = warm_lab();
    let before = contents(&lab.cache());
    let ran = run(&lab, &lab.sim(), "--tpu-compilation-cache=false")
        .done()
        .silent_about_the_cache()
        .json();
    assert_ready(&ran, &["compiled"; 3], "compiled");
    assert_eq!(lab.compiles(), 3);
    assert!(before == contents(&lab.cache()), "the store was written to");
}

#[test]
fn bf16_is_another_entry_and_nearly_the_same_picture() {
    let lab = warm_lab();
    let ask = |sim: &Sim, words: &str| {
        let run =
            command(&lab, sim, "--json run --prompt seven --scheduler euler --steps 8 --seed 7");
        run.words(words).run().done().json()
    };
    let f32 = ask(&lab.no_compiles(), "--output f32.png");
    let bf16 = ask(&lab.sim(), "--output bf16.png --precision bf16");
    assert_eq!(
        (&f32["signature"]["dtype"], &bf16["signature"]["dtype"]),
        (&"float32".into(), &"bfloat16".into())
    );
    assert_eq!(stages(&bf16, "source"), ["compiled"; 3]);
    let keys = [&f32, &bf16].map(|ran| stages(ran, "graph_key"));
    assert!(keys[0].iter().all(|key| !keys[1].contains(key)), "{keys:?}");
    let (f32, bf16) = (picture(&lab, "f32.png"), picture(&lab, "bf16.png"));
    assert!(f32.rgb != bf16.rgb && f32.psnr(&bf16) >= 35.0, "{} dB", f32.psnr(&bf16));
    assert_eq!(bf16.settings["dtype"], "bfloat16");
}

#[test]
fn the_precision_of_one_stage_changes_that_stage_alone() {
    for (flag, sources, dtype) in [
        ("--text-encoder-precision", ["compiled", "disk", "disk"], "float32"),
        ("--denoiser-precision", ["disk", "compiled", "disk"], "bfloat16"),
        ("--vae-precision", ["disk", "disk", "compiled"], "float32"),
    ] {
        let lab = warm_lab();
        let ran = run(&lab, &lab.sim(), &format!("{flag} bf16")).done().json();
        assert_eq!(
            (stages(&ran, "source"), &ran["signature"]["dtype"]),
            (sources.map(Value::from).into(), &dtype.into())
        );
        assert_eq!(lab.compiles(), 1);
    }
    let lab = warm_lab();
    let words = "--precision bf16 --text-encoder-precision fp32 --denoiser-precision fp32 --vae-precision fp32";
    run(&lab, &lab.no_compiles(), words).done();
}

#[test]
fn a_tpu_computes_in_bf16_unless_told_otherwise() {
    for (words, dtype) in [("", "bfloat16"), ("--tpu-autocast-bf16=false", "float32")] {
        let lab = Lab::new();
        let sim = lab.sim().pose("v5e:1x1");
        let run = |sim: &Sim| {
            let run = lab
                .quick_tpu(sim)
                .words("--json --strict-device --device tpu run")
                .words(SEVEN)
                .words(words);
            run.arg("--model").arg(demo_model()).run().done().json()
        };
        let cold = run(&sim);
        assert_eq!(
            (&cold["device"]["selected"], &cold["signature"]["dtype"]),
            (&"tpu".into(), &dtype.into()),
            "{cold}"
        );
        assert_eq!(lab.compiles(), 3);
        let warm = run(&sim.fail_compile(When::Each));
        assert_ready(&warm, &["disk"; 3], "exact");
        let made = picture(&lab, "out.png");
        assert_eq!((made.width, &made.settings["dtype"]), (64, &dtype.into()));
    }
}

/// Interrupts a run once `ready` is true, and asserts that it ends soon and leaves nothing.
fn interrupt(lab: &Lab, sim: &Sim, words: &str, ready: impl Fn() -> bool) {
    let pictures = lab.path("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let words = format!("run --prompt seven --output pictures/out.png {words}");
    let started = command(lab, sim, &words).start();
    until("the work that is to be interrupted", ready);
    let begun = Instant::now();
    started.signal("INT");
    let ran = started.wait().ended(130).says(&["interrupted"]);
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(ran.stdout, "");
    assert_eq!(files_under(&pictures), Vec::<PathBuf>::new());
    assert_eq!(files_under(&lab.cache().join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn ctrl_c_ends_a_run_between_its_steps() {
    let lab = warm_lab();
    let slow = lab.no_compiles().delay(Place::Execute, When::Each, Duration::from_millis(200));
    interrupt(&lab, &slow, "--steps 200", || denoiser_runs(&lab.log()) >= 3 && lab.executes() >= 6);
    assert!(lab.executes() < 50, "the run went on: {} executions", lab.executes());
    lab.assert_nothing_half_written();
    run(&lab, &lab.no_compiles(), "").done().silent();
}

#[test]
fn ctrl_c_ends_a_run_that_compiles() {
    let lab = warm_lab();
    let hangs = lab.sim().hang(Place::Compile, When::Each);
    interrupt(&lab, &hangs, "--vae-precision bf16", || lab.compiles() == 1);
    assert_eq!(lab.executes(), 0);
    // The lock of the interrupted run is free, and the cache works as before.
    let again =
        run(&lab, &lab.sim(), "--vae-precision bf16").done().silent_about_the_cache().json();
    assert_eq!(stages(&again, "source"), ["disk", "disk", "compiled"]);
    lab.assert_nothing_half_written();
}

#[test]
fn a_device_that_fails_on_the_way_leaves_no_picture() {
    let lab = warm_lab();
    std::fs::create_dir(lab.path("pictures")).unwrap();
    let fails = |sim: Sim, said: &[&str]| {
        let run = command(&lab, &sim, "run --prompt seven --steps 4 --output pictures/out.png");
        let ran = run.run().ended(1).says(said);
        assert_eq!(ran.stdout, "");
        assert_eq!(files_under(&lab.path("pictures")), Vec::<PathBuf>::new());
    };
    let calls = lab.executes();
    let nth = |n: usize| When::Nth(u64::try_from(calls + n).unwrap());
    fails(lab.sim().fail(Place::Execute, nth(4)), &["stage `denoiser`", "told to fail execute"]);
    for place in [Place::Execute, Place::HostToDevice, Place::DeviceToHost] {
        fails(
            lab.sim().out_of_memory(place, When::Each),
            &["out of memory", "hint: ", "the batch or the size smaller"],
        );
    }
    assert_eq!(lab.compiles(), 0);
    run(&lab, &lab.no_compiles(), "").done().silent();
}

#[test]
fn processes_at_once_compile_a_stage_once() {
    let lab = warm_lab();
    let slow = lab.sim().compile_delay(Duration::from_secs(1));
    let start = |index: usize| {
        let words = format!(
            "--json --vae-precision bf16 run --prompt seven --steps 2 --seed 1 --output {index}.png"
        );
        command(&lab, &slow, &words).start()
    };
    let runs = [0, 1, 2].map(start);
    let mut sources: Vec<Value> = runs
        .into_iter()
        .map(|run| run.wait().done().json()["stages"][2]["source"].clone())
        .collect();
    sources.sort_by_key(Value::to_string);
    assert_eq!(
        (lab.compiles(), sources),
        (1, ["compiled", "disk", "disk"].map(Value::from).into())
    );
    assert_eq!(picture(&lab, "0.png"), picture(&lab, "1.png"));
    assert_eq!(picture(&lab, "0.png"), picture(&lab, "2.png"));
    lab.assert_nothing_half_written();
}

#[test]
fn of_a_damaged_cache_only_the_damaged_stage_is_compiled() {
    let lab = warm_lab();
    let ran = run(&lab, &lab.no_compiles(), "").done().json();
    let whole = picture(&lab, "out.png");
    let key = ran["stages"][2]["graph_key"].as_str().unwrap().to_owned();
    let object = lab.objects().into_iter().find(|path| path.ends_with(&key)).unwrap();
    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let healed = run(&lab, &lab.sim(), "").done().says(&["is damaged"]).json();
    assert_eq!(stages(&healed, "source"), ["disk", "disk", "compiled"]);
    assert_eq!((lab.compiles(), picture(&lab, "out.png")), (1, whole));
    run(&lab, &lab.no_compiles(), "").done().silent();
}

#[test]
fn a_fallback_cache_serves_a_model() {
    let lab = warm_lab();
    let empty = lab.path("empty");
    let run =
        command(&lab, &lab.no_compiles(), "--json run").words(SEVEN).arg("--cache-dir").arg(&empty);
    let ran = run.arg("--cache-fallback").arg(lab.cache()).run().done().json();
    assert_ready(&ran, &["fallback"; 3], "graph");
}

#[test]
fn many_steps_say_nothing_where_nobody_watches() {
    let lab = warm_lab();
    let ran =
        command(&lab, &lab.no_compiles(), "run --prompt seven --steps 100").run().done().silent();
    assert!(ran.stdout.lines().count() < 10, "{}", ran.stdout);
}

#[test]
fn a_prompt_that_is_too_long_is_cut_off_with_a_warning_that_quotes_what_is_lost() {
    let lab = warm_lab();
    let prompt = format!("{}zebra at the lighthouse", "seven ".repeat(80));
    let with = |flag: &str, said: &str| {
        let run = command(&lab, &lab.no_compiles(), "--json run --steps 2").arg(flag).arg(&prompt);
        let run = if flag == "--prompt" { run } else { run.words("--prompt seven") };
        let ran = run.run().done().says(&[said, "zebra at the lighthouse"]);
        let warnings = ran.json()["warnings"].clone();
        assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
        assert_eq!(picture(&lab, "out.png").width, 64);
    };
    with("--prompt", "the prompt is longer than 75 tokens");
    with("--negative-prompt", "the negative prompt is longer than 75 tokens");
}

#[test]
fn debug_metrics_are_told_of_each_stage() {
    let lab = warm_lab();
    let run =
        |words: &str| command(&lab, &lab.no_compiles(), words).words(SEVEN).run().done().silent();
    let metrics = run("--json --tpu-debug-metrics run").json()["metrics"].clone();
    for stage in STAGES {
        assert!(metrics[format!("{stage}.flops")].as_f64().unwrap() > 0.0, "{metrics}");
    }
    assert!(run("--tpu-debug-metrics run").stdout.contains("executables ready"));
    assert_names(&run("--json run").json(), RUN);
}
