//! Does a model in a single file run as the folder of the same model does, on the same executables?
//! The tests use the binary. They also check that an error names what a file lacks, or what a file
//! contains instead of a model.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::demo::Picture;
use support::random_model::{self, Shape, Weights, splitmix64};
use support::single_file::{self, Tensor, Tensors};
use support::{Lab, Ran, repository};

/// A test environment (`Lab`) in whose cache a small model is warm, because the model's folder made
/// a picture.
struct Warm {
    lab: Lab,
    name: &'static str,
    folder: PathBuf,
    /// The picture that the folder made.
    picture: Vec<u8>,
}

impl Warm {
    fn new(name: &'static str) -> Self {
        let lab = Lab::new();
        let folder = random_model::write_small(name, &lab.path("")).unwrap();
        let mut warm = Self { lab, name, folder, picture: Vec::new() };
        let made = warm.run(&warm.folder, &[], true).done().json();
        assert!(sources(&made).iter().all(|source| source == "compiled"));
        warm.picture = warm.pixels();
        assert!(
            warm.picture.iter().any(|byte| *byte != warm.picture[0]),
            "a picture of one colour"
        );
        warm
    }

    /// Makes a picture of 64x64 px in two steps. Each compile fails unless `may_compile` is true.
    fn run(&self, model: &Path, flags: &[&str], may_compile: bool) -> Ran {
        let sim = if may_compile { self.lab.sim() } else { self.lab.no_compiles() };
        let words =
            "--json run --prompt seven --seed 7 --steps 2 --width 64 --height 64 --output out.png";
        self.lab.quick(&sim).words(words).arg("--model").arg(model).args(flags).run()
    }

    fn pixels(&self) -> Vec<u8> {
        Picture::read(&self.lab.path("out.png")).rgb
    }

    /// The folder with the model's configs. It has no weights.
    fn config(&self) -> String {
        repository(&format!("tests/fixtures/models/{}", self.name)).display().to_string()
    }

    fn tensors(&self) -> Tensors {
        single_file::tensors(self.name)
    }

    fn write(&self, tensors: &Tensors) -> PathBuf {
        let file = self.lab.path("fine-tune.safetensors");
        single_file::write(&file, tensors);
        file
    }

    /// Makes a picture with a single file of these tensors, and asserts that all executables come
    /// from the cache.
    #[track_caller]
    fn served(&self, tensors: &Tensors, flags: &[&str]) -> (Value, Vec<u8>) {
        let file = self.write(tensors);
        let config = self.config();
        let flags = [&["--config", config.as_str()], flags].concat();
        let (ran, compiles) = self.lab.counting(|| self.run(&file, &flags, false));
        let made = ran.done().json();
        assert_eq!(compiles, 0);
        assert!(sources(&made).iter().all(|source| source == "disk"), "{made}");
        (made, self.pixels())
    }

    /// Asserts that a run with a single file of these tensors fails before it compiles anything,
    /// and that the error contains each text of `said`.
    #[track_caller]
    fn refused(&self, tensors: &Tensors, flags: &[&str], said: &[&str]) {
        let file = self.write(tensors);
        let config = self.config();
        let flags = [&["--config", config.as_str()], flags].concat();
        let (ran, compiles) = self.lab.counting(|| self.run(&file, &flags, true));
        ran.ended(1).says(said);
        assert_eq!(compiles, 0, "something was compiled before the file was refused");
    }
}

fn sources(made: &Value) -> Vec<String> {
    let stages = made["stages"].as_array().unwrap().iter();
    stages.map(|stage| stage["source"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that no warning is about the file. An overloaded machine may cause other warnings.
#[track_caller]
fn assert_no_remark(made: &Value) {
    let said = made["warnings"].to_string();
    assert!(!said.contains("fine-tune.safetensors"), "{said}");
}

/// The tensors without those of a component.
fn without(tensors: &Tensors, prefix: &str) -> Tensors {
    let kept = tensors.iter().filter(|(name, _)| !name.starts_with(prefix));
    kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
}

/// Asserts that the executables that were compiled for the folder serve the file, too, and that the
/// pictures have the same bytes.
fn is_served_by_the_folders_executables(name: &'static str) {
    let warm = Warm::new(name);
    let (made, picture) = warm.served(&warm.tensors(), &[]);
    assert!(picture == warm.picture, "{name}: the file makes another picture than the folder");
    assert_no_remark(&made);
    assert_eq!(made["signature"]["model_id"], "fine-tune");
}

#[test]
fn a_file_of_stable_diffusion_1_runs_as_its_folder_does() {
    is_served_by_the_folders_executables("sd15");
}

#[test]
fn a_file_of_stable_diffusion_2_runs_as_its_folder_does() {
    is_served_by_the_folders_executables("sd21");
}

#[test]
fn a_file_of_stable_diffusion_xl_runs_as_its_folder_does() {
    is_served_by_the_folders_executables("sdxl");
}

#[test]
fn files_of_other_dtypes_run_on_the_same_executables() {
    let warm = Warm::new("sd15");
    let tensors = warm.tensors();
    for (dtype, of_folder) in [("F16", preheat::Dtype::Float16), ("BF16", preheat::Dtype::BFloat16)]
    {
        let rounded =
            tensors.iter().map(|(name, tensor)| (name.clone(), tensor.rounded(dtype))).collect();
        let (_, picture) = warm.served(&rounded, &[]);
        let folder = warm.lab.path(dtype);
        let weights = Weights { dtype: of_folder, variation: "" };
        random_model::write(Shape::Small("sd15"), &folder, weights, |_, _, _| {}).unwrap();
        warm.run(&folder, &[], false).done();
        assert!(picture == warm.pixels(), "{dtype}");
        assert!(picture != warm.picture, "{dtype}");
    }
}

/// A kind of float8 as ComfyUI's files have it.
struct Float8 {
    dtype: &'static str,
    /// Its name in torch.
    kind: &'static str,
    /// The bits that all values share, and the bits that are random.
    shared: u8,
    random: u8,
    /// What stands in place of `weight` in the name of a scale; `None` for a file without scales.
    scale: Option<&'static str>,
}

/// A float8 weight is the value that torch reads from the same byte, multiplied by the scale.
#[test]
fn float8_is_converted_when_it_is_loaded() {
    let kinds = [
        Float8 {
            dtype: "F8_E4M3",
            kind: "float8_e4m3fn",
            shared: 0x28,
            random: 0x8f,
            scale: Some("scale_weight"),
        },
        Float8 {
            dtype: "F8_E5M2",
            kind: "float8_e5m2",
            shared: 0x34,
            random: 0x87,
            scale: Some("weight_scale"),
        },
        Float8 { dtype: "F8_E4M3", kind: "float8_e4m3fn", shared: 0x18, random: 0x8f, scale: None },
    ];
    let warm = Warm::new("sd15");
    for Float8 { dtype, kind, shared, random, scale } in kinds {
        let values = single_file::float8(kind);
        let (mut in_float8, mut in_f32) = (warm.tensors(), warm.tensors());
        let mut seed = 0;
        for (name, tensor) in warm.tensors() {
            let is_linear = name.starts_with("model.diffusion_model.") && tensor.dims.len() > 1;
            let Some(layer) = name.strip_suffix("weight").filter(|_| is_linear) else { continue };
            seed += 1;
            let count = tensor.bytes.len() as u64 / 4;
            let bytes: Vec<u8> = (0..count)
                .map(|at| splitmix64(seed, at).to_le_bytes()[7] & random | shared)
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "sizes of a layer")]
            let fan_in = tensor.dims.iter().skip(1).product::<u64>() as f32;
            let factor = scale.map(|_| 1.7 / fan_in.sqrt());
            let decoded: Vec<f32> = bytes
                .iter()
                .map(|byte| values[usize::from(*byte)] * factor.unwrap_or(1.0))
                .collect();
            in_f32.insert(name.clone(), Tensor::f32(&tensor.dims, &decoded));
            in_float8.insert(name.clone(), Tensor { dtype, bytes, ..tensor });
            if let (Some(scale), Some(factor)) = (scale, factor) {
                in_float8.insert(format!("{layer}{scale}"), Tensor::f32(&[], &[factor]));
            }
        }
        if scale.is_some() {
            let marker = "model.diffusion_model.scaled_fp8".to_owned();
            in_float8.insert(marker, Tensor::marker());
        }
        let (made, picture) = warm.served(&in_float8, &[]);
        assert_no_remark(&made);
        let (_, expected) = warm.served(&in_f32, &[]);
        assert!(picture == expected, "{kind}, scale {scale:?}");
        assert!(picture != warm.picture, "{kind}");
    }
}

#[test]
fn a_vae_and_text_encoders_can_come_from_elsewhere() {
    let warm = Warm::new("sdxl");
    let all = warm.tensors();
    let path = |name: &str| warm.lab.path(name).display().to_string();
    let folder = warm.folder.display().to_string();

    // The VAE comes from a file with the original names but no prefix, from a file with the names
    // of diffusers, or from a folder.
    let vae: Tensors = all
        .iter()
        .filter_map(|(name, tensor)| {
            Some((name.strip_prefix("first_stage_model.")?.to_owned(), tensor.clone()))
        })
        .collect();
    single_file::write(&warm.lab.path("vae.safetensors"), &vae);
    let no_vae = without(&all, "first_stage_model.");
    for place in [
        path("vae.safetensors"),
        format!("{folder}/vae/diffusion_pytorch_model.safetensors"),
        format!("{folder}/vae"),
        folder.clone(),
    ] {
        let (_, picture) = warm.served(&no_vae, &["--vae", &place]);
        assert!(picture == warm.picture, "{place}");
    }
    warm.refused(&no_vae, &[], &["add a VAE to", "`first_stage_model.`", "hint: --vae"]);
    let unet = format!("{folder}/unet");
    warm.refused(&no_vae, &["--vae", &unet], &["unet/config.json: `out_channels` is 4"]);
    warm.refused(&no_vae, &["--vae", "nowhere"], &["nowhere is missing, and the vae of"]);
    let text = format!("{folder}/text_encoder/model.safetensors");
    warm.refused(&no_vae, &["--vae", &text], &["name a file with a VAE", "is not such a file"]);

    // The text encoders may be given in any order. The second one may have the names of open_clip.
    let second: Tensors = all
        .iter()
        .filter_map(|(name, tensor)| {
            let name = name.strip_prefix("conditioner.embedders.1.model.")?;
            Some((name.to_owned(), tensor.clone()))
        })
        .collect();
    single_file::write(&warm.lab.path("clip_g.safetensors"), &second);
    let no_text = without(&all, "conditioner.");
    let first = format!("{folder}/text_encoder");
    for flags in [
        ["--text-encoder", &path("clip_g.safetensors"), "--text-encoder", &first],
        ["--text-encoder", &text, "--text-encoder", &format!("{folder}/text_encoder_2")],
    ] {
        let (_, picture) = warm.served(&no_text, &flags);
        assert!(picture == warm.picture, "{flags:?}");
    }
    let hint = "hint: --text-encoder";
    warm.refused(&no_text, &[], &["add the first text encoder to", "conditioner.", hint]);
    let only_first = ["--text-encoder", text.as_str()];
    warm.refused(&no_text, &only_first, &["add the second text encoder to", hint]);
    let vae = path("vae.safetensors");
    let wrong = ["name a file with a text encoder", "is not such a file"];
    warm.refused(&no_text, &["--text-encoder", &vae], &wrong);
    // These files replace the VAE and the text encoder that a folder has.
    let ran = warm.run(&warm.folder, &["--vae", &vae, "--text-encoder", &text], false);
    ran.done();
    assert!(warm.pixels() == warm.picture);
}

/// The tensors `v_pred` and `ztsnr` in a file change the scheduler as fields of its config do.
#[test]
fn a_file_says_that_it_predicts_v_and_a_flag_overrules_it() {
    let warm = Warm::new("sdxl");
    let mut marked = warm.tensors();
    let of_folder = |zero_terminal_snr: bool| {
        let path = warm.folder.join("scheduler/scheduler_config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config["prediction_type"] = "v_prediction".into();
        config["rescale_betas_zero_snr"] = zero_terminal_snr.into();
        fs::write(&path, config.to_string()).unwrap();
        warm.run(&warm.folder, &[], false).done();
        warm.pixels()
    };
    marked.insert("v_pred".to_owned(), Tensor::marker());
    let (_, v_prediction) = warm.served(&marked, &[]);
    assert!(v_prediction != warm.picture);
    assert!(v_prediction == of_folder(false));
    marked.insert("ztsnr".to_owned(), Tensor::marker());
    let (_, zero) = warm.served(&marked, &[]);
    assert!(zero != v_prediction && zero == of_folder(true));
    let (_, overruled) = warm.served(&marked, &["--prediction-type", "epsilon"]);
    assert!(overruled == warm.picture);
    let (_, told) = warm.served(&warm.tensors(), &["--prediction-type", "v_prediction"]);
    assert!(told == v_prediction);
}

#[test]
fn what_is_wrong_with_a_file_is_told_before_anything_is_compiled() {
    let warm = Warm::new("sd15");
    let all = warm.tensors();
    let last = "model.diffusion_model.out.2.bias";
    warm.refused(
        &without(&all, last),
        &[],
        &["has no tensor `conv_out.bias`", &format!("`{last}` in such a file"), "fine-tune"],
    );
    let lora = "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight";
    let lora: Tensors = [(lora.to_owned(), Tensor::f32(&[1, 1], &[1.0]))].into();
    warm.refused(&lora, &[], &["is a LoRA", "name the model that it was made for"]);
    let other = ["configs of the same family", "StableDiffusionXLPipeline"];
    warm.refused(&single_file::tensors("sdxl"), &[], &other);
    let file = warm.write(&all);
    warm.run(&file, &[], true).ended(1).says(&[
        "name the folder that has the configs",
        "begins with 16 channels",
        "hint: --config",
    ]);
    let mut more = all.clone();
    more.insert("other.weight".to_owned(), Tensor::f32(&[1], &[1.0]));
    let (made, picture) = warm.served(&more, &[]);
    assert!(picture == warm.picture);
    let said = made["warnings"].to_string();
    assert!(said.contains("the tensor `other.weight` belongs to no part"), "{said}");
    fs::write(warm.lab.path("model.ckpt"), b"PK\x03\x04archive/data.pkl").unwrap();
    let pickle = warm.run(Path::new("model.ckpt"), &[], true);
    pickle.ended(1).says(&["convert model.ckpt to safetensors first", "it is a pickle"]);
    let cut = fs::read(&file).unwrap();
    fs::write(&file, &cut[..cut.len() - 1]).unwrap();
    warm.run(&file, &[], true).ended(1).says(&["it is cut short", "is it fully downloaded?"]);
    // A manifest cannot say which VAE is meant.
    let log = "--requests log.jsonl --budget 1h --output m.toml --vae v.safetensors";
    let plan = warm.lab.quick(&warm.lab.sim()).words("plan").words(log).arg("--model").arg(&file);
    plan.run().ended(2).says(&["leave --vae or --output out"]);
}
