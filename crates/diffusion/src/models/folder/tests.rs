use serde_json::json;

use super::super::tests::{altered, fixture, open, refusal};
use super::*;

#[test]
fn three_models_are_known() {
    let model = open("sd15");
    assert_eq!((model.id(), model.family()), ("sd15", Family::StableDiffusion));
    assert_eq!((model.default_size_px(), model.latent_channels()), ([512, 512], 4));
    assert_eq!(model.denoiser_spec(true, 2, [64, 96]).contexts, [[77, 768]]);
    assert!(!model.force_zeros_for_empty_prompt());
    assert_eq!(model.component(Component::Unet), fixture("sd15").join("unet"));

    let model = open("sd21");
    assert_eq!((model.default_size_px(), model.text_encoders()[0].layers), ([768, 768], 23));
    assert!(model.unet().upcast_attention && model.unet().use_linear_projection);

    let model = open("sdxl");
    assert_eq!(
        (model.family(), model.default_size_px()),
        (Family::StableDiffusionXl, [1024, 1024])
    );
    assert_eq!(model.denoiser_spec(true, 1, [128, 128]).contexts, [[77, 768], [77, 1280]]);
    assert!(
        model.force_zeros_for_empty_prompt()
            && model.vae().force_upcast
            && !model.unet().upcast_attention
    );
    let pooled: Vec<bool> = model.text_outputs(0).iter().map(|outputs| outputs.pooled).collect();
    assert_eq!(pooled, [false, true]);
}

#[test]
fn the_id_is_the_folders_name_however_it_is_reached() {
    for path in ["sd15/", "sd15/.", "sd15/unet/.."] {
        assert_eq!(open(path).id(), "sd15", "{path}");
    }
}

#[test]
fn what_is_no_model_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: &Path| {
        let told = ModelFolder::open(path).unwrap_err().to_string();
        told.replace(&folder.path().display().to_string(), "T")
    };
    assert_eq!(told(&folder.path().join("sd")), "there is no model folder T/sd");
    assert_eq!(told(folder.path()), "T is no diffusers model folder: it holds no model_index.json");

    fs::write(folder.path().join("notes.txt"), "").unwrap();
    assert_eq!(
        told(&folder.path().join("notes.txt")),
        "T/notes.txt is a file, and a folder with a model_index.json is needed here"
    );
    let single = folder.path().join("v1-5.safetensors");
    fs::write(&single, "").unwrap();
    assert!(
        told(folder.path()).ends_with("but T/v1-5.safetensors: name that file"),
        "{}",
        told(folder.path())
    );
    assert!(
        told(&fixture("sd15").join("unet"))
            .ends_with("one component of a model: name the folder around it")
    );
    let around = told(fixture("sd15").parent().unwrap());
    assert!(around.contains("sd15 does: name that folder"), "{around}");
}

#[test]
fn the_index_is_checked() {
    let index = |field: &str, value| refusal("sd15", "model_index.json", field, value);
    let flux = altered("sd15", "model_index.json", |index| {
        index.as_object_mut().unwrap().remove("unet");
        index["_class_name"] = json!("FluxPipeline");
    });
    let told = ModelFolder::open(flux.path()).unwrap_err().to_string();
    let supported = "supported is StableDiffusionPipeline, StableDiffusionXLPipeline";
    assert!(
        told.ends_with(&format!(
            "model_index.json: `_class_name` is \"FluxPipeline\"; {supported}"
        )),
        "{told}"
    );
    assert_eq!(
        index("_class_name", json!(7)),
        format!("model_index.json: `_class_name` is 7; {supported}")
    );
    assert_eq!(
        index("vae", json!(["diffusers", "AutoencoderTiny"])),
        "model_index.json: `vae` is [\"diffusers\",\"AutoencoderTiny\"]; supported is AutoencoderKL"
    );
    assert!(index("text_encoder", json!([null, null])).contains("supported is CLIPTextModel"));
    assert!(index("scheduler", json!("PNDM")).contains("supported is a library and a class"));

    let folder = altered("sd15", "model_index.json", |index| {
        index.as_object_mut().unwrap().remove("unet");
    });
    assert!(
        ModelFolder::open(folder.path())
            .unwrap_err()
            .to_string()
            .ends_with("model_index.json: `unet` is missing")
    );
    let folder = altered("sd15", "model_index.json", |index| {
        index.as_object_mut().unwrap().remove("_class_name");
    });
    assert!(
        ModelFolder::open(folder.path())
            .unwrap_err()
            .to_string()
            .contains("`_class_name` is missing; supported")
    );
    fs::write(folder.path().join("model_index.json"), "{\n]").unwrap();
    let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model_index.json is not valid, line 2, column 1"), "{error}");
}

#[test]
fn other_pipelines_over_the_same_components_are_text_to_image() {
    for (model, class, family) in [
        ("sd15", json!("StableDiffusionImg2ImgPipeline"), Family::StableDiffusion),
        ("sd15", json!("StableDiffusionPipelineSafe"), Family::StableDiffusion),
        ("sd15", json!(["my_pipeline", "MyControlNetPipeline"]), Family::StableDiffusion),
        ("sdxl", json!("StableDiffusionXLInpaintPipeline"), Family::StableDiffusionXl),
        ("sdxl", json!("StableDiffusionXLPAGPipeline"), Family::StableDiffusionXl),
    ] {
        let folder =
            altered(model, "model_index.json", |index| index["_class_name"] = class.clone());
        let opened = ModelFolder::open(folder.path()).unwrap();
        let name = class.get(1).unwrap_or(&class).as_str();
        assert_eq!((opened.family(), opened.other_pipeline()), (family, name));
    }
    assert_eq!(open("sd15").other_pipeline(), None);
}

#[test]
fn the_scheduler_s_class_is_the_index_s() {
    let class = json!(["diffusers", "DDIMScheduler"]);
    let folder = altered("sd15", "model_index.json", |index| index["scheduler"] = class);
    assert_eq!(ModelFolder::open(folder.path()).unwrap().scheduler_class(), "DDIMScheduler");
}

#[test]
fn an_old_sample_size_is_raised() {
    let size = |model: &str, version: &str, side: u64| {
        let folder = altered(model, "unet/config.json", |unet| {
            unet["_diffusers_version"] = json!(version);
            unet["sample_size"] = json!(side);
        });
        ModelFolder::open(folder.path()).unwrap().default_size_px()[0]
    };
    assert_eq!((size("sd15", "0.8.0", 32), size("sd15", "0.7.0.dev0", 63)), (512, 512));
    assert_eq!(
        (size("sd15", "0.9.0", 32), size("sd15", "0.42.1", 32), size("sd15", "0.8.0", 96)),
        (256, 256, 768)
    );
    assert_eq!(size("sdxl", "0.8.0", 32), 256);
    let list = altered("sd15", "unet/config.json", |unet| unet["sample_size"] = json!([32, 48]));
    assert_eq!(ModelFolder::open(list.path()).unwrap().default_size_px(), [256, 384]);
}

#[test]
fn a_prompt_has_as_many_tokens_as_the_tokenizer_gives() {
    let folder = altered("sd15", "text_encoder/config.json", |text| {
        text["max_position_embeddings"] = json!(248);
    });
    let tokens = || {
        let model = ModelFolder::open(folder.path()).unwrap();
        (
            model.text_encoders()[0].tokens,
            model.text_encoders()[0].positions,
            model.denoiser_spec(true, 1, [8, 8]).contexts,
        )
    };
    let length = |length: u64| {
        fs::create_dir_all(folder.path().join("tokenizer")).unwrap();
        let config = json!({"model_max_length": length}).to_string();
        fs::write(folder.path().join("tokenizer/tokenizer_config.json"), config).unwrap();
    };
    length(77);
    assert_eq!(tokens(), (77, 248, vec![[77, 768]]));
    length(500);
    assert_eq!(tokens().0, 248);
}

#[test]
fn a_repository_in_the_hub_s_cache_points_at_its_snapshot() {
    let cache = tempfile::tempdir().unwrap();
    let root = cache.path().join("models--x--y");
    let told = || ModelFolder::open(&root).unwrap_err().to_string();
    fs::create_dir_all(root.join("snapshots/aaa")).unwrap();
    assert!(
        told().contains("a cache of the hub") && told().contains("fully downloaded?"),
        "{}",
        told()
    );
    for snapshot in ["aaa", "bbb"] {
        fs::create_dir_all(root.join("snapshots").join(snapshot)).unwrap();
        fs::write(root.join("snapshots").join(snapshot).join("model_index.json"), "{}").unwrap();
    }
    assert!(
        told().ends_with("models--x--y/snapshots/aaa is the model: name that folder"),
        "{}",
        told()
    );
    fs::create_dir(root.join("refs")).unwrap();
    fs::write(root.join("refs/main"), "bbb\n").unwrap();
    assert!(
        told().ends_with("models--x--y/snapshots/bbb is the model: name that folder"),
        "{}",
        told()
    );
}

#[test]
fn a_checkpoint_in_a_folder_is_pointed_to() {
    let folder = tempfile::tempdir().unwrap();
    let told = || {
        let told = ModelFolder::open(folder.path()).unwrap_err().to_string();
        told.replace(&folder.path().display().to_string(), "T")
    };
    fs::write(folder.path().join("sd.ckpt"), "").unwrap();
    let pickle = "but T/sd.ckpt, which is a pickle: convert it to safetensors, and name that file";
    assert!(told().ends_with(pickle), "{}", told());
    fs::write(folder.path().join("sd.safetensors"), "").unwrap();
    assert!(told().ends_with("but T/sd.safetensors: name that file"), "{}", told());
}

#[test]
fn a_missing_component_is_named() {
    let folder = altered("sdxl", "model_index.json", |_| {});
    let told = || {
        let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    fs::remove_file(folder.path().join("vae/config.json")).unwrap();
    assert_eq!(told(), "vae/config.json is missing, and the vae needs it");
    fs::remove_dir(folder.path().join("vae")).unwrap();
    assert_eq!(told(), "vae is missing, and model_index.json needs it");
    fs::remove_dir_all(folder.path().join("text_encoder_2")).unwrap();
    assert_eq!(told(), "text_encoder_2 is missing, and model_index.json needs it");
}

#[test]
fn components_must_go_together() {
    let editing = refusal("sd15", "unet/config.json", "in_channels", json!(8));
    assert!(
        editing.contains("takes 8 channels and gives 4")
            && editing.contains("which take 9 channels"),
        "{editing}"
    );
    let context = refusal("sd15", "unet/config.json", "cross_attention_dim", json!(1024));
    assert!(
        context
            .contains("the text encoders give [768] features, and the unet is conditioned on 1024"),
        "{context}"
    );
    let pooled =
        refusal("sdxl", "unet/config.json", "projection_class_embeddings_input_dim", json!(2800));
    assert!(
        pooled.contains("pooled prompts of 1264 features, and the pipeline gives 1280"),
        "{pooled}"
    );
    let plain = refusal("sdxl", "unet/config.json", "addition_embed_type", json!(null));
    assert!(plain.contains("pooled prompts of none features"), "{plain}");
    let tokens = refusal("sdxl", "text_encoder/config.json", "max_position_embeddings", json!(64));
    assert!(tokens.contains("different lengths"), "{tokens}");
    let folder = altered("sd15", "vae/config.json", |vae| {
        vae["block_out_channels"] = json!([128, 256, 512]);
        vae["up_block_types"] = json!(["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]);
    });
    let scale = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert!(
        scale.ends_with("the vae makes 4 pixels of a latent each way, and only 8 is supported"),
        "{scale}"
    );
}
