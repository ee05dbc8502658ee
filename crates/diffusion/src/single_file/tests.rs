use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::models::{TextOutputs, denoiser, text_encoder, vae_decoder};
use crate::pipeline::schedulers::Prediction;
use crate::weights::{self, Names, WantedWeight};

/// The tensors of a file that is only a header: name, dtype and shape. The values are zeros that
/// take no room on the disk.
#[derive(Default, Clone)]
struct Header(Vec<(String, &'static str, Vec<u64>)>);

impl Header {
    fn with(mut self, name: &str, dims: &[u64]) -> Self {
        self.0.push((name.to_owned(), "F16", dims.to_vec()));
        self
    }

    fn of(names: &[&str]) -> Self {
        names.iter().fold(Self::default(), |header, name| header.with(name, &[1]))
    }

    fn without(mut self, prefix: &str) -> Self {
        self.0.retain(|(name, ..)| !name.starts_with(prefix));
        self
    }

    /// Writes the file, and these values in place of the zeros of a tensor.
    fn write(&self, path: &Path, values: &[(&str, f32)]) {
        use std::os::unix::fs::FileExt as _;
        let (mut json, mut end, mut places) = (Map::new(), 0, Vec::new());
        for (name, dtype, dims) in &self.0 {
            let begin = end;
            end += dims.iter().product::<u64>() * 2;
            let tensor = json!({"dtype": dtype, "shape": dims, "data_offsets": [begin, end]});
            assert!(json.insert(name.clone(), tensor).is_none(), "{name} is there twice");
            if let Some((_, value)) = values.iter().find(|(wanted, _)| wanted == name) {
                places.push((begin, dims.iter().product::<u64>(), *value));
            }
        }
        let header = serde_json::to_vec(&json).unwrap();
        let mut file = File::create(path).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(&header).unwrap();
        let values_at = 8 + header.len() as u64;
        file.set_len(values_at + end).unwrap();
        for (begin, count, value) in places {
            // Half of the values are the value, half are its negative.
            let pair = [value, -value].map(|value| half::f16::from_f32(value).to_le_bytes());
            let bytes = pair.as_flattened().repeat(usize::try_from(count).unwrap() / 2);
            file.write_all_at(&bytes, values_at + begin).unwrap();
        }
    }

    fn file(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        self.write(&path, &[]);
        (folder, path)
    }
}

/// A public model: its configs as a folder.
fn folder(name: &str) -> ModelFolder {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/configs");
    ModelFolder::open(&fixtures.join(name)).unwrap()
}

/// The name and the dimensions of each weight.
type Weights = Vec<(String, Vec<u64>)>;

/// All weights that the graphs of a model read, by component.
fn all_weights(model: &ModelFolder) -> Vec<(Component, Weights)> {
    let everything = TextOutputs { skipped_layers: 0, normed: true, pooled: true };
    let mut graphs = Vec::new();
    for (config, component) in
        model.text_encoders().iter().zip([Component::TextEncoder, Component::TextEncoder2])
    {
        graphs.push((component, text_encoder(config, everything).unwrap()));
    }
    let spec = model.denoiser_spec(false, 1, [8, 8]);
    graphs.push((Component::Unet, denoiser(model.unet(), &spec).unwrap()));
    graphs.push((Component::Vae, vae_decoder(model.vae(), [8, 8]).unwrap()));
    let weights = |graph: &preheat_ir::graph::Verified| {
        let weight = |weight: &preheat_ir::graph::WeightDecl| {
            (weight.name.clone(), weight.kind.dims.clone())
        };
        graph.weights().iter().map(weight).collect()
    };
    graphs.iter().map(|(component, graph)| (*component, weights(graph))).collect()
}

/// A file of full size in the layout of the original release.
fn full_size(name: &str) -> Header {
    let model = folder(name);
    let mut header = Header::default();
    for (component, weights) in all_weights(&model) {
        let layers = model.text_encoders().last().map_or(0, |text| text.layers);
        let names = match (component, name) {
            (Component::Unet, _) => Names::of_unet("model.diffusion_model.", model.unet()),
            (Component::Vae, _) => Names::of_vae("first_stage_model.", model.vae()),
            (Component::TextEncoder, "sd15") => {
                Names::of_clip("cond_stage_model.transformer.", false)
            }
            (Component::TextEncoder, "sd21") => {
                Names::of_open_clip("cond_stage_model.model.", layers, false)
            }
            (Component::TextEncoder, _) => {
                Names::of_clip("conditioner.embedders.0.transformer.", false)
            }
            _ => Names::of_open_clip("conditioner.embedders.1.model.", layers, true),
        };
        for (name, mut dims) in weights {
            let in_file = names.in_file(&name).unwrap();
            if in_file.contains(".in_proj_") {
                if name.contains(".q_proj.") {
                    dims[0] *= 3;
                    header = header.with(&in_file, &dims);
                }
                continue;
            }
            if in_file.ends_with("text_projection") {
                dims.reverse();
            }
            header = header.with(&in_file, &dims);
        }
    }
    if name == "sd21" {
        let layer = "cond_stage_model.model.transformer.resblocks.23.ln_1.weight";
        header = header.with(layer, &[1024]).with("cond_stage_model.model.logit_scale", &[]);
    }
    header
}

const PUBLIC: [(&str, Release); 3] = [
    ("sd15", Release::StableDiffusion1),
    ("sd21", Release::StableDiffusion2),
    ("sdxl", Release::StableDiffusionXl),
];

/// The bias that shows what a model of Stable Diffusion 2 predicts.
const BIAS: &str = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias";

/// Files of full size are recognised by their headers. Reading them takes far less than a second,
/// and gives the configs of the folder and all weights of its graphs.
#[test]
fn public_models_are_recognised_by_their_headers() {
    for (name, release) in PUBLIC {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(format!("{name}.safetensors"));
        full_size(name).write(&path, &[(BIAS, 0.2)]);
        let length = fs::metadata(&path).unwrap().len();
        assert!(length > 2_000_000_000, "{name}: {length} bytes");
        let own = folder(name);
        let (_, weights) = all_weights(&own).pop().unwrap();
        assert!(!weights.is_empty());

        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let single = SingleFile::open(&path).unwrap();
            assert_eq!(single.release().unwrap(), release);
            let predicts = single.predicts();
            let configs = single.configs(
                predicts
                    .unwrap_or(Predicts { prediction: Prediction::V, zero_terminal_snr: false }),
            );
            let model = ModelFolder::with(&path, &configs.unwrap(), own.family().components());
            let model = model.unwrap();
            let checkpoints: Vec<_> = all_components(&model)
                .map(|component| (component, single.checkpoint(component, &model).unwrap()))
                .collect();
            best = best.min(start.elapsed());

            assert_eq!(model.id(), name);
            assert_eq!(model.unet(), own.unet(), "{name}");
            assert_eq!((model.vae(), model.text_encoders()), (own.vae(), own.text_encoders()));
            assert_eq!(model.default_size_px(), own.default_size_px());
            assert_eq!(model.scheduler_class(), own.scheduler_class());
            assert_eq!(single.unread(&model), None);
            for (component, weights) in all_weights(&model) {
                let (_, checkpoint) =
                    checkpoints.iter().find(|(one, _)| *one == component).unwrap();
                let wanted: Vec<_> = weights.iter().map(wanted).collect();
                weights::check(checkpoint, &wanted).unwrap();
                // The names and shapes are the same as in a folder, so the digests are the same,
                // too.
                let mut have: Vec<_> = checkpoint
                    .names_and_shapes()
                    .map(|(name, dims)| (name.to_owned(), dims.to_vec()))
                    .collect();
                have.sort();
                let mut want = weights;
                want.sort();
                assert_eq!(have, want, "{name}, {}", component.name());
            }
        }
        println!("{name}: header of {length} bytes read and named in {best:?}");
        assert!(best < Duration::from_secs(1), "{name} took {best:?}");
    }
}

fn all_components(model: &ModelFolder) -> impl Iterator<Item = Component> {
    let all = [Component::Unet, Component::Vae, Component::TextEncoder, Component::TextEncoder2];
    let has = model.family().components();
    all.into_iter().filter(|component| has.contains(component))
}

fn wanted((name, dims): &(String, Vec<u64>)) -> WantedWeight {
    WantedWeight {
        name: name.clone(),
        aliases: Vec::new(),
        dims: dims.clone(),
        dtype: preheat_tensor::Dtype::Float16,
        order: (0..dims.len()).collect(),
    }
}

#[test]
fn what_a_model_predicts_is_in_its_file() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("model.safetensors");
    let predicts = |header: &Header, values: &[(&str, f32)]| {
        header.write(&path, values);
        let single = SingleFile::open(&path).unwrap();
        single.predicts().map(|predicts| (predicts.prediction, predicts.zero_terminal_snr))
    };
    let (v, noise) = (Some((Prediction::V, false)), Some((Prediction::Epsilon, false)));
    let sd21 = full_size("sd21");
    assert_eq!(predicts(&sd21, &[(BIAS, 0.095)]), v);
    assert_eq!(predicts(&sd21, &[(BIAS, 0.085)]), noise);
    let base = sd21.clone().with("v_pred", &[0]);
    assert_eq!(predicts(&base, &[(BIAS, 0.085)]), v, "what is said counts more");
    let sdxl = full_size("sdxl");
    assert_eq!(predicts(&sdxl, &[]), None);
    let v_prediction = sdxl.with("v_pred", &[0]);
    assert_eq!(predicts(&v_prediction, &[]), v);
    let zero = v_prediction.with("ztsnr", &[0]);
    assert_eq!(predicts(&zero, &[]), Some((Prediction::V, true)));

    // A base model of Stable Diffusion 2 was made for 512 px.
    let predicts = Predicts { prediction: Prediction::Epsilon, zero_terminal_snr: false };
    let configs = carried::configs(Release::StableDiffusion2, predicts).unwrap();
    let model = ModelFolder::with(&path, &configs, Family::StableDiffusion.components()).unwrap();
    assert_eq!(model.default_size_px(), [512, 512]);
}

/// The first tensors of a UNet, with these channels, features of a prompt, and embedded sizes.
fn unet(channels: u64, context: u64, added: bool) -> Header {
    let prefix = "model.diffusion_model.";
    let header = Header::default()
        .with(&format!("{prefix}input_blocks.0.0.weight"), &[320, channels, 3, 3])
        .with(
            &format!("{prefix}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"),
            &[640, context],
        );
    if added {
        header.with(&format!("{prefix}label_emb.0.0.weight"), &[1280, 2816])
    } else {
        header
    }
}

#[test]
fn what_is_no_such_model_is_named() {
    let refused = |header: Header, said: &[&str]| {
        let (_folder, path) = header.file();
        let refused = SingleFile::open(&path).and_then(|single| single.release());
        let error = refused.unwrap_err().to_string();
        for said in said {
            assert!(error.contains(said), "{error:?} does not say {said:?}");
        }
        assert!(error.contains("model.safetensors"), "{error}");
    };
    let names = |names: &[&str], said: &[&str]| refused(Header::of(names), said);
    let lora = ["is a LoRA", "name the model that it was made for"];
    names(&["lora_unet_down_blocks_0_attentions_0.lora_down.weight"], &lora);
    names(&["unet.down_blocks.0.attentions.0.to_q.lora_A.weight"], &lora);
    names(&["lora_te1_text_model_encoder_layers_0.hada_w1_a"], &lora);
    names(&["control_model.input_blocks.0.0.weight"], &["is a ControlNet"]);
    names(&["down_blocks.0.motion_modules.0.norm.weight"], &["AnimateDiff"]);
    names(&["emb_params"], &["is a textual inversion"]);
    names(&["double_blocks.0.img_attn.qkv.weight"], &["is a model of Flux:", "1.x, 2.x and XL"]);
    names(&["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"], &["is a model of Flux:"]);
    names(&["distilled_guidance_layer.in_proj.bias"], &["is a model of Chroma"]);
    names(
        &["model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight"],
        &["is a model of Stable Diffusion 3"],
    );
    names(&["decoder.conv_in.weight"], &["is a VAE alone", "as its VAE"]);
    names(&["text_model.embeddings.token_embedding.weight"], &["a text encoder alone"]);
    names(
        &["down_blocks.0.resnets.0.norm1.weight"],
        &["a UNet alone, with the names of diffusers"],
    );
    names(
        &["a", "b", "c", "d"],
        &["is no model that preheat knows", "none of its 4 tensors", "They begin with a, b, c"],
    );
    refused(unet(9, 768, false), &["is a model for inpainting", "text to image"]);
    refused(unet(8, 768, false), &["editing pictures"]);
    refused(unet(7, 1024, false), &["takes 7 channels"]);
    refused(unet(4, 1280, true), &["is a refiner of Stable Diffusion XL"]);
    refused(unet(4, 1024, true), &["unCLIP"]);
    refused(unet(4, 2048, true).with("edm_mean", &[4]), &["Playground 2.5"]);
    refused(unet(4, 2048, true).with("edm_vpred.sigma_max", &[]), &["CosXL"]);
    refused(unet(4, 2048, true), &["folder that has the configs", "SSD-1B"]);
    refused(unet(4, 512, false), &["folder that has the configs", "512 features"]);
    let small =
        Header::default().with("model.diffusion_model.input_blocks.0.0.weight", &[16, 4, 3, 3]);
    refused(small, &["folder that has the configs", "begins with 16 channels"]);
}

#[test]
fn what_is_no_safetensors_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        SingleFile::open(&path).unwrap_err().to_string()
    };
    let pickle = ["convert", "to safetensors first: it is a pickle", "from_single_file"];
    for bytes in [&b"PK\x03\x04model/data.pkl"[..], b"\x80\x02}q\x00X\x05\x00"] {
        let error = refused("model.ckpt", bytes);
        assert!(pickle.iter().all(|said| error.contains(said)), "{error}");
    }
    let error = refused("model.safetensors", b"PK\x03\x04model/data.pkl");
    assert!(error.contains("it is a pickle"), "whatever its name is: {error}");
    let error = refused("model.gguf", b"GGUF\x03\x00\x00\x00");
    assert!(error.contains("take a safetensors file") && error.contains("GGUF"), "{error}");
    // The length of this header is 0x10280, whose first two bytes are those of a pickle.
    let mut header = format!("{{\"__metadata__\":{{\"a\":\"{}\"}}}}", "a".repeat(66_000));
    header.push_str(&" ".repeat(0x1_0280 - header.len()));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    let error = refused("model.safetensors", &file);
    assert!(!error.contains("pickle"), "{error}");
    let error = refused("notes.txt", b"a model, some day");
    assert!(error.contains("is not an intact safetensors file"), "{error}");
    let error = refused("empty.safetensors", b"");
    assert!(error.contains("it has 0 bytes"), "{error}");

    let (_folder, path) = full_size("sd15").file();
    let whole = fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(whole - 1000).unwrap();
    let error = SingleFile::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("should have ") && error.contains(&(whole - 1000).to_string()),
        "{error}"
    );
    assert!(error.contains("it is cut short"), "{error}");
}

#[test]
fn what_a_file_lacks_is_told_with_the_names_that_were_looked_for() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("model.safetensors");
    let lacks = |header: Header, component: Component| {
        header.write(&path, &[]);
        let single = SingleFile::open(&path).unwrap();
        let predicts = Predicts { prediction: Prediction::Epsilon, zero_terminal_snr: false };
        let configs = single.configs(predicts).unwrap();
        let all = Family::StableDiffusionXl.components();
        let model = ModelFolder::with(&path, &configs, all).unwrap();
        single.checkpoint(component, &model).unwrap_err().to_string()
    };
    let sd15 = full_size("sd15");
    let error = lacks(sd15.clone().without("first_stage_model."), Component::Vae);
    assert!(error.starts_with("add a VAE to "), "{error}");
    assert!(error.contains("begins with `first_stage_model.` or `vae.`"), "{error}");
    let error = lacks(sd15.without("cond_stage_model."), Component::TextEncoder);
    assert!(error.starts_with("add a text encoder to "), "{error}");
    assert!(error.contains("`cond_stage_model.transformer.` or "), "{error}");
    let second = full_size("sdxl").without("conditioner.embedders.1.");
    let error = lacks(second, Component::TextEncoder2);
    assert!(error.starts_with("add the second text encoder to "), "{error}");
}

#[test]
fn tensors_that_nothing_reads_are_named() {
    let (_folder, path) = full_size("sd15")
        .with("alphas_cumprod", &[1000])
        .with("model_ema.decay", &[])
        .with("model.diffusion_model.new_block.weight", &[4])
        .file();
    let model = folder("sd15");
    let unread = |path: &Path| SingleFile::open(path).unwrap().unread(&model);
    let said = unread(&path).unwrap();
    assert!(said.contains("the tensor `model.diffusion_model.new_block.weight` belongs"), "{said}");
    let (_folder, path) = ["a", "b", "c", "d"]
        .iter()
        .fold(full_size("sd15"), |header, name| header.with(&format!("other.{name}"), &[1]))
        .file();
    let said = unread(&path).unwrap();
    assert!(said.contains("4 tensors belong to no part"), "{said}");
    assert!(said.ends_with("`other.a`, `other.b`, `other.c`, ..."), "{said}");
}

/// The configs that the binary carries equal those in the folders, file by file.
#[test]
fn the_carried_configs_are_those_of_the_public_releases() {
    let v = Predicts { prediction: Prediction::V, zero_terminal_snr: false };
    for (name, release) in PUBLIC {
        let configs = carried::configs(release, v).unwrap();
        let own = folder(name);
        for component in own.family().components() {
            let file = match component {
                Component::Tokenizer | Component::Tokenizer2 => "tokenizer_config.json",
                Component::Scheduler => "scheduler_config.json",
                _ => "config.json",
            };
            let text = configs.file(*component, file).1.unwrap();
            let carried: Json = serde_json::from_str(&text).unwrap();
            let path = own.component(*component).join(file);
            let own: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(carried, own, "{}", path.display());
        }
    }
}
