//! What happens if a model is damaged, or if no model could serve a request? The error names what
//! is wrong and what to do, before anything is compiled. Nothing panics, and nothing is left half
//! written.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use serde_json::{Value, json};
use support::demo::{Picture, copy_folder};
use support::lab::files_under;
use support::random_model::{self, Shape, Weights};
use support::{Lab, Ran};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// A test environment (`Lab`) with a small model in it, and a folder for pictures.
struct Bad {
    lab: Lab,
    model: PathBuf,
}

impl Bad {
    fn new() -> Self {
        static WHOLE: OnceLock<PathBuf> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("models-bad-input");
            // Remove what an earlier run of these tests left.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            random_model::write_small("mixed", &folder).unwrap()
        });
        let lab = Lab::new();
        let model = lab.path("model");
        copy_folder(whole, &model);
        fs::create_dir(lab.path("pictures")).unwrap();
        Self { lab, model }
    }

    /// A model that `damage` changed; `damage` gets the model's folder.
    fn damaged(damage: impl FnOnce(&Path)) -> Self {
        let bad = Self::new();
        damage(&bad.model);
        bad
    }

    /// Runs the model at `folder` with these words.
    fn run_at(&self, folder: &Path, words: &str) -> Ran {
        let run =
            self.lab.quick(&self.lab.sim()).words("run --prompt seven --output pictures/out.png");
        run.words(words).arg("--model").arg(folder).run()
    }

    /// Asserts that a failed run compiled nothing and wrote nothing.
    #[track_caller]
    fn left_nothing(&self, ran: &Ran) {
        assert_eq!(ran.stdout, "", "a failed run prints no result");
        assert!(ran.stderr.lines().any(|line| line.starts_with("error: ")), "{}", ran.stderr);
        assert_eq!(
            self.lab.compiles(),
            0,
            "something was compiled before the run was refused: {}",
            ran.stderr
        );
        assert_eq!(files_under(&self.lab.path("pictures")), Vec::<PathBuf>::new());
        assert_eq!(self.lab.objects(), Vec::<PathBuf>::new());
        self.lab.assert_nothing_half_written();
    }

    /// Asserts that a run with `words` ends with `status`, and that its error contains each text of
    /// `said`.
    #[track_caller]
    fn refuses(&self, words: &str, status: i32, said: &[&str]) {
        let ran = self.run_at(&self.model, words).ended(status).says(said);
        self.left_nothing(&ran);
    }
}

/// Asserts that `run` and `warmup` refuse a model that `damage` changed, and that the error
/// contains each text of `said`.
#[track_caller]
fn refused(damage: impl FnOnce(&Path), said: &[&str]) {
    let bad = Bad::damaged(damage);
    bad.refuses("", 1, said);
    let warmup = bad
        .lab
        .quick(&bad.lab.sim())
        .words("warmup --model")
        .arg(&bad.model)
        .run()
        .ended(1)
        .says(said);
    bad.left_nothing(&warmup);
}

/// Changes a JSON file of a model.
fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    change(&mut value);
    fs::write(file, serde_json::to_string_pretty(&value).unwrap()).unwrap();
}

/// A tensor in a file: name, dtype, shape and bytes of its values.
type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

/// The tensors in a file.
fn tensors(file: &Path) -> Vec<Stored> {
    let bytes = fs::read(file).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let stored = |(name, view): (String, TensorView<'_>)| {
        (name, view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut tensors: Vec<Stored> = read.tensors().into_iter().map(stored).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn write_tensors(file: &Path, tensors: &[Stored]) {
    let view = |(name, dtype, shape, data): &Stored| {
        (
            name.clone(),
            TensorView::new(*dtype, shape.clone(), Box::leak(data.clone().into_boxed_slice()))
                .unwrap(),
        )
    };
    serialize_to_file(tensors.iter().map(view).collect::<Vec<_>>(), None, file).unwrap();
}

/// Writes the tensors of the UNet again, after `change` was applied to them.
fn change_unet(model: &Path, change: impl FnOnce(&mut Vec<Stored>)) {
    let file = model.join(UNET);
    let mut all = tensors(&file);
    change(&mut all);
    write_tensors(&file, &all);
}

fn find<'a>(tensors: &'a mut [Stored], name: &str) -> &'a mut Stored {
    tensors.iter_mut().find(|stored| stored.0 == name).unwrap()
}

#[test]
fn the_model_that_is_damaged_here_is_whole_before() {
    // The other tests prove something only if this test passes.
    let bad = Bad::new();
    let lookup =
        bad.lab.quick(&bad.lab.sim()).words("--json lookup --model").arg(&bad.model).run().ended(3);
    assert_eq!(lookup.json()["verdict"], "miss");
}

#[test]
fn folders_that_are_no_model() {
    let bad = Bad::new();
    let refuses = |folder: &Path, said: &[&str]| {
        let ran = bad.run_at(folder, "").ended(1).says(said);
        bad.left_nothing(&ran);
    };
    refuses(&bad.lab.path("nowhere"), &["there is no model folder", "nowhere"]);
    refuses(
        &bad.lab.file("notes.txt", "x"),
        &["notes.txt is not an intact safetensors file", "it has 1 bytes"],
    );
    let single = bad.lab.path("sd.safetensors");
    fs::copy(bad.model.join(UNET), &single).unwrap();
    refuses(
        &single,
        &["sd.safetensors is a UNet alone, with the names of diffusers", "the folder `unet`"],
    );
    let folder = bad.lab.path("folder");
    fs::create_dir(&folder).unwrap();
    refuses(&folder, &["folder is no diffusers model folder", "no model_index.json"]);
    fs::copy(&single, folder.join("sd.safetensors")).unwrap();
    refuses(&folder, &["no model_index.json", "sd.safetensors: name that file"]);
    refuses(
        &bad.model.join("unet"),
        &["unet is no diffusers", "one component of a model: name the folder around it"],
    );
    let outer = bad.lab.path("outer");
    copy_folder(&bad.model, &outer.join("inner"));
    refuses(&outer, &["no model_index.json", "outer/inner does: name that folder"]);
    let hub = bad.lab.path("models--x--y");
    copy_folder(&bad.model, &hub.join("snapshots/0123abc"));
    refuses(
        &hub,
        &["cache of the hub", "models--x--y/snapshots/0123abc is the model: name that folder"],
    );
    let xl = bad.lab.path("xl.safetensors");
    let tensor = "conditioner.embedders.1.model.ln_final.weight";
    write_tensors(&xl, &[(tensor.to_owned(), Dtype::F32, vec![1], vec![0; 4])]);
    refuses(&xl, &["is no model that preheat knows", "none of its 1 tensors", tensor]);
}

#[test]
fn broken_json() {
    for file in
        ["model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"]
    {
        let cut =
            |model: &Path| fs::write(model.join(file), "{\n  \"a\": 1,\n  \"b\": \n").unwrap();
        refused(cut, &[file, "is not valid, line 4, column"]);
    }
    refused(
        |model| fs::write(model.join("unet/config.json"), "[]").unwrap(),
        &["unet/config.json", "not valid, line 1"],
    );
    let scheduler = "scheduler/scheduler_config.json";
    refused(
        |model| fs::write(model.join(scheduler), "{\n  \"beta_end\" 1}").unwrap(),
        &[scheduler, "line 2"],
    );
}

#[test]
fn components_that_are_missing() {
    for component in ["text_encoder", "tokenizer", "unet", "vae", "scheduler"] {
        let said = [&format!("model/{component} is missing"), "model_index.json needs it"];
        refused(|model| fs::remove_dir_all(model.join(component)).unwrap(), &said);
        let entry = |model: &Path| {
            edit(&model.join("model_index.json"), |index| {
                drop(index.as_object_mut().unwrap().remove(component));
            });
        };
        refused(entry, &["model_index.json", &format!("`{component}` is missing")]);
    }
    for file in ["unet/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"]
    {
        refused(|model| fs::remove_file(model.join(file)).unwrap(), &[file]);
    }
}

#[test]
fn models_that_are_not_built() {
    let edited = |file: &str, field: &str, value: Value, said: &[&str]| {
        let edit = |model: &Path| edit(&model.join(file), |config| config[field] = value);
        refused(edit, &[&[file, field], said].concat());
    };
    let index = "model_index.json";
    let flux = |model: &Path| {
        edit(&model.join(index), |index| {
            index["transformer"] = index.as_object_mut().unwrap().remove("unet").unwrap();
            index["_class_name"] = json!("FluxPipeline");
        });
    };
    refused(flux, &["`_class_name`", "\"FluxPipeline\"", "StableDiffusionXLPipeline"]);
    edited(
        index,
        "text_encoder",
        json!(["transformers", "T5EncoderModel"]),
        &["T5EncoderModel", "CLIPTextModel"],
    );
    edited(
        index,
        "unet",
        json!(["diffusers", "UNet3DConditionModel"]),
        &["UNet3D", "UNet2DConditionModel"],
    );
    let blocks = json!(["SimpleCrossAttnDownBlock2D", "CrossAttnDownBlock2D"]);
    edited(
        "unet/config.json",
        "down_block_types",
        blocks,
        &["SimpleCrossAttnDownBlock2D", "DownBlock2D"],
    );
    edited("unet/config.json", "act_fn", json!("mish"), &["\"mish\"", "silu"]);
    edited("unet/config.json", "cross_attention_dim", json!("wide"), &["\"wide\""]);
    edited("text_encoder/config.json", "hidden_act", json!("relu"), &["\"relu\"", "quick_gelu"]);
    let scheduler = "scheduler/scheduler_config.json";
    let sde = json!(["diffusers", "DPMSolverSDEScheduler"]);
    edited(
        index,
        "scheduler",
        sde,
        &["Brownian tree of torchsde", "PNDMScheduler", "hint: `--scheduler euler`"],
    );
    let flow = &["use_flow_sigmas", "hint: `--scheduler euler`"];
    edited(scheduler, "use_flow_sigmas", json!(true), flow);
    edited(scheduler, "prediction_type", json!("flow_prediction"), &["flow_prediction", "epsilon"]);
    refused(
        |model| {
            edit(&model.join("unet/config.json"), |config| {
                config["cross_attention_dim"] = 48.into();
            });
        },
        &["cross_attention_dim", "48", "16"],
    );
}

/// Asserts that a model that `change` modified is accepted by `lookup` with these words.
#[track_caller]
fn taken(change: impl FnOnce(&Path), words: &str) {
    let bad = Bad::damaged(change);
    bad.lab
        .quick(&bad.lab.sim())
        .words("lookup")
        .words(words)
        .arg("--model")
        .arg(&bad.model)
        .run()
        .ended(3);
}

#[test]
fn models_that_run_as_in_diffusers() {
    let (index, scheduler) = ("model_index.json", "scheduler/scheduler_config.json");
    let edited = |file: &str, field: &str, value: Value, words: &str| {
        taken(|model| edit(&model.join(file), |config| config[field] = value), words);
    };
    // The class in model_index.json counts, not the one in the component's file.
    edited(scheduler, "_class_name", json!("SASolverScheduler"), "");
    edited(scheduler, "_class_name", json!(null), "");
    edited("unet/config.json", "_class_name", json!("FlaxUNet2DConditionModel"), "");
    edited("vae/config.json", "_class_name", json!(null), "");
    // A scheduler's short name on the command line overrides the model's scheduler.
    edited(scheduler, "use_flow_sigmas", json!(true), "--scheduler dpm++_2m");
    edited(scheduler, "use_flow_sigmas", json!(true), "--scheduler euler");
    edited(index, "scheduler", json!(["diffusers", "SASolverScheduler"]), "--scheduler pndm");
    edited(scheduler, "variance_type", json!("fixed_small"), "");
    edited(index, "scheduler", json!(["diffusers", "PNDMScheduler"]), "");
    // This model has attention heads that do not divide the channels, and a text encoder with
    // positions for longer prompts.
    let whole = |model: &Path| {
        fs::remove_dir_all(model).unwrap();
        random_model::write(Shape::Small("by_index"), model, Weights::default(), |_, _, _| {})
            .unwrap();
    };
    taken(whole, "");
    // The text encoder has two blocks. A clip skip of 3 leaves only the embeddings.
    taken(|_| (), "--clip-skip 3");
    Bad::new().refuses(
        "--clip-skip 4",
        2,
        &["clip_skip is 4: this model's text encoder can skip at most 3 layers"],
    );
    // In a configuration from before diffusers 0.9.0, a `sample_size` below 64 is a mistake, and 64
    // is used instead: 512x512 px.
    let old = |model: &Path| {
        edit(&model.join("unet/config.json"), |unet| unet["_diffusers_version"] = "0.8.0".into());
    };
    Bad::damaged(old).refuses("--batch 60000", 1, &["60000 x 512x512 px does not fit"]);
}

#[test]
fn a_variant_is_taken_of_the_components_that_have_it() {
    let to = |file: &str| file.replace(".safetensors", ".bf16.safetensors");
    let rename = |model: &Path| fs::rename(model.join(UNET), model.join(to(UNET))).unwrap();
    taken(rename, "--variant bf16");
    let hint = "hint: --variant names the variant";
    refused(
        rename,
        &[
            "model/unet has the weights in variants only: diffusion_pytorch_model.bf16.safetensors",
            hint,
        ],
    );
    let vae = "vae/diffusion_pytorch_model.safetensors";
    taken(|model| fs::rename(model.join(vae), model.join(to(vae))).unwrap(), "--variant bf16");
    Bad::new().refuses("--variant bf16", 1, &["has no variant `bf16`", hint]);
}

#[test]
fn configs_of_graphs_that_are_too_large_are_refused_before_they_are_built() {
    let bad = Bad::new();
    let many: Vec<u64> = vec![32; 100_000];
    for (file, field, value) in [
        ("unet/config.json", "layers_per_block", json!(1_000_000)),
        ("unet/config.json", "layers_per_block", json!(600)),
        ("unet/config.json", "transformer_layers_per_block", json!(1_048_576)),
        ("unet/config.json", "block_out_channels", json!(many)),
        ("vae/config.json", "layers_per_block", json!(1_000_000)),
        ("vae/config.json", "block_out_channels", json!(many)),
        ("text_encoder/config.json", "num_hidden_layers", json!(1_000_000)),
        ("text_encoder/config.json", "num_attention_heads", json!(0)),
        ("unet/config.json", "attention_head_dim", json!(0)),
    ] {
        let whole = fs::read(bad.model.join(file)).unwrap();
        edit(&bad.model.join(file), |config| config[field] = value);
        for words in ["run --prompt seven --output pictures/out.png --model", "lookup --model"] {
            let ran = bad.lab.quick(&bad.lab.sim()).words(words).arg(&bad.model).run().ended(1);
            bad.left_nothing(&ran);
            // Even if a list in the file is very long, the message about it is short.
            assert!(ran.stderr.len() < 1000, "{} bytes", ran.stderr.len());
            ran.says(&[file, &format!("`{field}` is "), "supported is "]);
        }
        fs::write(bad.model.join(file), whole).unwrap();
    }
}

#[test]
fn weights_that_are_not_the_models() {
    refused(
        |model| change_unet(model, |all| all.retain(|stored| stored.0 != "conv_in.weight")),
        &["model/unet has no tensor `conv_in.weight`", "another model, or not fully downloaded"],
    );
    refused(
        |model| change_unet(model, |all| all.retain(|stored| !stored.0.starts_with("conv_"))),
        &["model/unet has no tensor `conv_in.", "others that the model reads"],
    );
    let reshaped = |model: &Path| {
        change_unet(model, |all| find(all, "conv_in.weight").2.swap(0, 1));
    };
    refused(
        reshaped,
        &[UNET, "`conv_in.weight` is [4, 16, 3, 3], and the model reads [16, 4, 3, 3]"],
    );
    let integers = |model: &Path| {
        change_unet(model, |all| {
            let stored = find(all, "conv_out.bias");
            (stored.1, stored.3) = (Dtype::I8, vec![1; 4]);
        });
    };
    refused(
        integers,
        &[UNET, "`conv_out.bias` is I8", "take a checkpoint in F32, F16, BF16 or float8"],
    );
}

#[test]
fn weights_that_are_damaged() {
    let content = |change: fn(&mut Vec<u8>)| {
        move |model: &Path| {
            let mut bytes = fs::read(model.join(UNET)).unwrap();
            change(&mut bytes);
            fs::write(model.join(UNET), bytes).unwrap();
        }
    };
    refused(
        content(|bytes| bytes.truncate(bytes.len() - 100)),
        &[UNET, "cut short", "fully downloaded"],
    );
    refused(content(|bytes| bytes.truncate(1000)), &[UNET, "cut short", "fully downloaded"]);
    refused(content(|bytes| bytes.truncate(5)), &[UNET, "fully downloaded"]);
    refused(content(Vec::clear), &[UNET, "fully downloaded"]);
    refused(content(|bytes| bytes[8..].fill(b'x')), &[UNET, "not an intact safetensors file"]);
    refused(
        content(|bytes| *bytes = b"<html>Not Found</html>".repeat(100)),
        &[UNET, "not an intact safetensors file"],
    );
    for length in [u64::MAX, 1 << 60, 1 << 40, 1 << 31] {
        let huge = |model: &Path| {
            let mut bytes = fs::read(model.join(UNET)).unwrap();
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            fs::write(model.join(UNET), bytes).unwrap();
        };
        refused(huge, &[UNET, "fully downloaded"]);
    }
    refused(
        content(|bytes| {
            *bytes = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec();
        }),
        &[UNET, "git lfs pull"],
    );
}

/// Replaces the file of the UNet's weights by two shards and an index of them.
fn shard(model: &Path) -> [PathBuf; 2] {
    let all = tensors(&model.join(UNET));
    fs::remove_file(model.join(UNET)).unwrap();
    let names = [1, 2].map(|n| format!("diffusion_pytorch_model-0000{n}-of-00002.safetensors"));
    let halves = all.split_at(all.len() / 2);
    let mut map = serde_json::Map::new();
    for (name, half) in names.iter().zip([halves.0, halves.1]) {
        write_tensors(&model.join("unet").join(name), half);
        map.extend(half.iter().map(|stored| (stored.0.clone(), name.clone().into())));
    }
    let content = json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    fs::write(model.join("unet/diffusion_pytorch_model.safetensors.index.json"), content).unwrap();
    names.map(|name| model.join("unet").join(name))
}

#[test]
fn weights_that_are_elsewhere() {
    let index = "unet/diffusion_pytorch_model.safetensors.index.json";
    let bad = Bad::damaged(|model| drop(shard(model)));
    bad.lab.quick(&bad.lab.sim()).words("lookup --model").arg(&bad.model).run().ended(3);
    refused(
        |model| fs::remove_file(&shard(model)[1]).unwrap(),
        &[index, "diffusion_pytorch_model-00002-of-00002.safetensors, which is not beside it"],
    );
    refused(
        |model| {
            let shards = shard(model);
            fs::copy(&shards[0], &shards[1]).unwrap();
        },
        &["00002-of-00002.safetensors has no tensor", "same release of the model"],
    );
    let broken = |model: &Path| {
        shard(model);
        fs::write(model.join(index), "{\"weight_map\": ").unwrap();
    };
    refused(broken, &[index, "fully downloaded"]);
    refused(
        |model| {
            fs::rename(model.join(UNET), model.join("unet/diffusion_pytorch_model.bin")).unwrap();
        },
        &["diffusion_pytorch_model.bin is a pickle", "safe_serialization=True"],
    );
    refused(
        |model| fs::remove_file(model.join("vae/diffusion_pytorch_model.safetensors")).unwrap(),
        &["model/vae has none of diffusion_pytorch_model.safetensors", "fully downloaded"],
    );
    Bad::new().refuses("--variant fp16", 1, &["has no variant `fp16`", "ask for what is there"]);
}

#[test]
fn tokenizers_that_are_damaged() {
    let (vocabulary, merges) = ("tokenizer/vocab.json", "tokenizer/merges.txt");
    refused(
        |model| fs::remove_file(model.join(vocabulary)).unwrap(),
        &[vocabulary, "fully downloaded"],
    );
    refused(|model| fs::remove_file(model.join(merges)).unwrap(), &[merges, "fully downloaded"]);
    refused(
        |model| fs::write(model.join(vocabulary), "{\"a\": ").unwrap(),
        &[vocabulary, "is broken", "line 1"],
    );
    refused(
        |model| fs::write(model.join(vocabulary), "{\"a\": 1}").unwrap(),
        &["vocab.json has no `t`"],
    );
    refused(
        |model| fs::write(model.join(merges), "#version: 0.2\nt h e\n").unwrap(),
        &[merges, "is broken", "line 2 is no pair of tokens"],
    );
    refused(
        |model| fs::write(model.join(merges), "#version: 0.2\nqq zz\n").unwrap(),
        &[merges, "is broken"],
    );
    refused(|model| fs::write(model.join(merges), [0xff, 0xfe, 0x00]).unwrap(), &[merges]);
}

#[test]
fn requests_that_no_model_could_serve() {
    let bad = Bad::new();
    for (words, said) in [
        ("--width 0 --height 64", "width is 0: a picture is at least 8 px each way"),
        ("--width 64 --height 0", "height is 0"),
        ("--width 7 --height 64", "width is 7: a picture is at least 8 px each way"),
        ("--width 70000 --height 64", "width is 70000: a picture is at most 65536 px each way"),
        ("--width 64", "--height"),
        ("--height 64", "--width"),
        ("--width -64 --height 64", "invalid value '-64' for '--width"),
        ("--batch 0", "batch_size is 0: at least 1 picture is wanted"),
        ("--batch 70000", "batch_size is 70000: at most 65536"),
        ("--batch auto", "batch is auto: it needs a device of libtorch, and xla-cpu is not one"),
        ("--batch many", "many"),
        ("--cfg-scale nan", "cfg_scale is NaN: a finite number is wanted"),
        ("--cfg-scale inf", "cfg_scale is inf"),
        ("--cfg-scale=-inf", "cfg_scale is -inf"),
        ("--steps 0", "steps is 0: at least 1 step is wanted"),
        ("--steps -1", "invalid value '-1' for '--steps"),
        ("--seed -1", "invalid value '-1' for '--seed"),
        ("--seed 18446744073709551616", "--seed"),
        ("--clip-skip 100", "clip_skip is 100: this model's text encoder can skip"),
        ("--precision int8", "\"int8\" is not a precision: choose auto, bf16, fp16 or fp32"),
        ("--vae-precision fp8", "\"fp8\" is not a precision"),
        ("--dtype float16", "--dtype"),
        ("--model-id x", "--model-id"),
        ("--program double.mlir", "--program"),
        ("--tpu-shape-padding-multiple 7", "7 px is no padding multiple"),
        (
            "--tpu-shape-padding-multiple 4294967296",
            "rounded up to a multiple of 4294967296 px, is more than 65536 px",
        ),
        (
            "--tpu-shape-padding-multiple 18446744073709551608",
            "is more than 65536 px, which no picture is longer than",
        ),
        ("--frobnicate", "--frobnicate"),
    ] {
        bad.refuses(words, 2, &[said]);
    }
    let names = ["ddim", "euler", "euler_a", "dpm++_2m", "unipc", "lcm", "_karras"];
    bad.refuses(
        "--scheduler restart",
        2,
        &[&["there is no scheduler `restart`"], names.as_slice()].concat(),
    );
    bad.refuses("--scheduler dpmpp_sde", 2, &["`dpmpp_sde`, because its noise", "Brownian tree"]);
    bad.refuses(
        "--steps 1001",
        1,
        &["scheduler_config.json", "1001 steps are not possible", "dpm++_2m takes 1 to 1000"],
    );
    bad.refuses("--scheduler pndm --steps 1001", 1, &["pndm takes 1 to 999"]);
    let none = bad
        .lab
        .quick(&bad.lab.sim())
        .words("run --model")
        .arg(&bad.model)
        .run()
        .ended(2)
        .says(&["--prompt"]);
    bad.left_nothing(&none);
}

#[test]
fn requests_of_warmup_and_lookup_that_make_no_sense() {
    let bad = Bad::new();
    let program = bad.lab.file("double.mlir", support::lab::DOUBLE);
    let with = |words: &str| {
        bad.lab.quick(&bad.lab.sim()).words(words).arg("--model").arg(&bad.model).run().ended(2)
    };
    for command in ["warmup", "lookup"] {
        let said = with(&format!("{command} --dtype bf16"))
            .says(&["--dtype is for programs", "--precision"]);
        bad.left_nothing(&said);
        bad.left_nothing(
            &with(&format!("{command} --program {}", program.display()))
                .says(&["--program", "--model"]),
        );
        bad.left_nothing(&with(&format!("{command} --width 7 --height 64")).says(&["width is 7"]));
        bad.left_nothing(
            &with(&format!("{command} --scheduler restart")).says(&["`restart`", "euler_a"]),
        );
        bad.left_nothing(
            &with(&format!("{command} --batch auto")).says(&["batch is auto", "libtorch"]),
        );
    }
    bad.left_nothing(
        &with("warmup --model-id x")
            .says(&["--model-id names the model of a program", "--model takes"]),
    );
    for resolutions in ["512y512", "512x", "0x0,big", ""] {
        let ran = bad.lab.quick(&bad.lab.sim()).words("warmup --model").arg(&bad.model);
        let ran = ran
            .arg(format!("--resolutions={resolutions}"))
            .run()
            .ended(2)
            .says(&["is no resolution: 768x512 is one"]);
        bad.left_nothing(&ran);
    }
    bad.left_nothing(
        &with("warmup --resolutions 64x64 --width 64 --height 64")
            .says(&["--resolutions", "--width"]),
    );
    bad.left_nothing(&with("warmup --jobs 2").says(&["--aot", "--manifest"]));
    bad.left_nothing(&with("warmup --preset sd3").says(&["--preset", "sd15", "sdxl"]));
    bad.left_nothing(&with("warmup --aot v5e").says(&["--aot", "`v5e` is not a target"]));
    bad.left_nothing(
        &with("warmup --manifest warm.toml --resolutions 64x64")
            .says(&["--manifest", "--resolutions"]),
    );
    bad.left_nothing(&with("lookup --target v5e").says(&["--target", "`v5e` is not a target"]));
}

#[test]
fn a_batch_that_does_not_fit_is_refused_with_figures() {
    let bad = Bad::new();
    let said = [
        "60000 x 512x512 px does not fit: stage `",
        "needs at least",
        "GiB",
        "are free",
        "hint: make the batch",
    ];
    bad.refuses("--batch 60000 --width 512 --height 512", 1, &said);
    bad.refuses("--width 65536 --height 65536", 1, &["1 x 65536x65536 px does not fit"]);
    bad.refuses(
        "--width 65536 --height 65536 --batch 65536",
        1,
        &["take more bytes than 63 bits count"],
    );
    let warmup = bad
        .lab
        .quick(&bad.lab.sim())
        .words("warmup --batch 60000 --resolutions 64x64,512x512 --model");
    let warmup = warmup.arg(&bad.model).run().ended(1).says(&["60000 x", "does not fit"]);
    bad.left_nothing(&warmup);
    // This device reports how much memory it has.
    let sim = bad.lab.sim().pose("v5e:1x1").memory_limit(1 << 20);
    let run = bad
        .lab
        .quick_tpu(&sim)
        .words("run --prompt seven --output pictures/out.png --width 256 --height 256");
    let ran = run.arg("--model").arg(&bad.model).run().ended(1);
    bad.left_nothing(&ran.says(&[
        "1 x 256x256 px does not fit",
        "MiB and its weights",
        "and 1.0 MiB are free",
    ]));
}

#[test]
fn outputs_that_cannot_be_written() {
    let bad = Bad::new();
    let to = |output: &str| {
        let run = bad.lab.quick(&bad.lab.sim()).words("run --prompt seven --output").arg(output);
        let ran = run.arg("--model").arg(&bad.model).run().ended(1).says(&[
            "writing the picture to",
            output,
            "failed: ",
        ]);
        bad.left_nothing(&ran);
        ran
    };
    to("nowhere/out.png").says(&["there is no folder"]);
    to("pictures").says(&["is a directory"]);
    to("other/").says(&["is a directory"]);
    // Nobody can create files in /proc, not even root.
    to("/proc/out.png");
    to("model/model_index.json/out.png").says(&["Not a directory"]);
}

#[test]
fn request_files_that_are_wrong() {
    let bad = Bad::new();
    let with = |content: &str, said: &[&str]| {
        let file = bad.lab.file("request.json", content);
        let run = bad
            .lab
            .quick(&bad.lab.sim())
            .words("run --output pictures/out.png --request")
            .arg(&file);
        let ran = run.arg("--model").arg(&bad.model).run().ended(2).says(said);
        bad.left_nothing(&ran);
    };
    with("{\n  \"prompt\": \"x\",\n  \"steps\": 3", &["request.json", "line 3"]);
    with("", &["request.json", "line 1"]);
    with("[1]", &["request.json", "a request is an object"]);
    with("{}", &["no prompt was given", "--prompt"]);
    with(
        "{\n  \"prompt\": \"x\",\n  \"stepz\": 3\n}",
        &["unknown field `stepz`", "`steps`", "line 3"],
    );
    with(
        "{\n  \"prompt\": \"x\",\n  \"steps\": \"many\"\n}",
        &["`\"steps\": \"many\"`", "line 3", "\"many\", expected u64"],
    );
    with("{\"steps\": -1}", &["-1", "expected u64", "line 1"]);
    with("{\"prompt\": 7}", &["expected a string"]);
    with(
        "{\"tpu_warmup\": {\n\"target_resolution\": \"big\"}}",
        &["\"big\" is no resolution: 768x512 is one", "line 2"],
    );
    with(
        "{\"tpu_warmup\": {\"target_resolution\": [1, 2, 3]}}",
        &["a resolution is [width, height]"],
    );
    with("{\"prompt\": \"x\", \"tpu_warmup\": {\"target_resolution\": \"7x64\"}}", &["width is 7"]);
    with("{\"prompt\": \"x\", \"tpu_warmup\": {\"batch_size\": 0}}", &["batch_size is 0"]);
    with("{\"tpu_warmup\": {\"when\": 1}}", &["unknown field `when`", "target_resolution"]);
    with("{\"prompt\": \"x\", \"width\": 7}", &["width is 7"]);
    with("{\"prompt\": \"x\", \"scheduler\": \"restart\"}", &["`restart`", "euler_a"]);
    let missing = bad
        .lab
        .quick(&bad.lab.sim())
        .words("run --request nowhere.json --output pictures/out.png")
        .run()
        .ended(1);
    bad.left_nothing(&missing.says(&["nowhere.json", "cannot be read", "No such file"]));
    let folder = bad.lab.file("request.json", "{\"model\": \"elsewhere\", \"prompt\": \"x\"}");
    let run = bad
        .lab
        .quick(&bad.lab.sim())
        .words("run --output pictures/out.png --request")
        .arg(folder)
        .run()
        .ended(1);
    bad.left_nothing(&run.says(&["there is no model folder elsewhere"]));
}

#[test]
fn a_cache_that_cannot_be_written_is_one_warning_and_no_failure() {
    let bad = Bad::new();
    let file = bad.lab.file("a-file", "");
    let run = bad
        .lab
        .quick(&bad.lab.sim())
        .words("--json --tpu-shape-padding=false --cache-dir")
        .arg(&file);
    let run = run.words(
        "run --prompt seven --steps 2 --width 16 --height 16 --output pictures/out.png --model",
    );
    let ran = run.arg(&bad.model).run().done().says(&[
        "the cache does not work, going on without it",
        "a-file",
        "--cache-dir",
    ]);
    assert_eq!(ran.stderr.matches("WARN").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.json()["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(bad.lab.compiles(), 3);
    assert_eq!(Picture::read(&bad.lab.path("pictures/out.png")).width, 16);
    assert_eq!(files_under(&bad.lab.path("pictures")).len(), 1);
}
