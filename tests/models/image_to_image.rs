//! What do `--image`, `--strength` and `--mask` do? They run on the demo model, through the binary
//! over the test plugin. `tests/cpu/image_parity.rs` checks the numbers.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use pjrt_sim::Sim;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use support::demo::{Picture, copy_folder, demo_model};
use support::schema::assert_matches;
use support::{Lab, Preheat};

const RUN: &str = "--json run --scheduler euler --steps 4 --seed 7 --cfg-scale 1 --prompt seven";
const STAGES: [&str; 5] =
    ["text_encoder", "vae_encoder", "latent_blend", "denoiser", "vae_decoder"];

fn command(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    lab.quick(sim).words(words).arg("--model").arg(demo_model())
}

/// `preheat --json run` with these words.
fn run(lab: &Lab, sim: &Sim, words: &str) -> Preheat {
    command(lab, sim, RUN).words(words)
}

fn stages(document: &Value, field: &str) -> Vec<Value> {
    document["stages"].as_array().unwrap().iter().map(|stage| stage[field].clone()).collect()
}

/// Writes a PNG file of 64x64 px whose grey is a function of the column.
fn grey(lab: &Lab, name: &str, size: [u32; 2], value: impl Fn(u32) -> u8) {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    let row: Vec<u8> = (0..size[0]).map(value).collect();
    writer.write_image_data(&row.repeat(size[1] as usize)).unwrap();
    writer.finish().unwrap();
    std::fs::write(lab.path(name), bytes).unwrap();
}

/// A picture, and masks of its right half.
fn pictures(lab: &Lab) {
    grey(lab, "photo.png", [64, 64], |x| u8::try_from(x * 4).unwrap());
    grey(lab, "mask.png", [64, 64], |x| if x < 32 { 0 } else { 255 });
    grey(lab, "small.png", [32, 64], |_| 255);
}

#[test]
fn after_one_warmup_pictures_are_begun_with_and_kept_without_a_compile() {
    let lab = Lab::new();
    pictures(&lab);
    let warmup = "--json warmup --cfg-scale 1";
    let plain = command(&lab, &lab.sim(), warmup).run().done().json();
    assert_eq!(stages(&plain, "stage"), [STAGES[0], STAGES[3], STAGES[4]]);
    assert_eq!(lab.compiles(), 3);
    let lookup = |words: &str| {
        let lookup = command(&lab, &lab.no_compiles(), "--json lookup --cfg-scale 1").words(words);
        lookup.run().json()["verdict"].clone()
    };
    assert_eq!([lookup(""), lookup("--image-to-image")], ["hit", "partial"]);
    let cold = lab.quick(&lab.no_compiles()).words("--require-warm").words(RUN);
    let cold = cold.words("--image photo.png --model").arg(demo_model()).run().ended(3);
    cold.says(&["not warm: stage `vae_encoder`", "preheat warmup"]);

    let words = format!("{warmup} --image-to-image");
    let warmed = command(&lab, &lab.sim(), &words).run().done().json();
    assert_matches("run", &warmed);
    assert_eq!(stages(&warmed, "stage"), STAGES);
    assert_eq!(lab.compiles(), 5, "the encoder and the blend");
    assert_eq!(lookup("--image-to-image"), "hit");

    // Nothing is compiled from here on.
    let begun = "--image photo.png --strength 0.5";
    for words in [
        "",
        begun,
        "--image photo.png --strength 1 --scheduler dpm++_2m_karras",
        "--image photo.png --mask mask.png",
        "--image photo.png --mask mask.png --strength 0.5 --scheduler euler_a",
        "--image photo.png --mask mask.png --scheduler unipc",
    ] {
        run(&lab, &lab.no_compiles(), words).run().done();
    }
    let ran = run(&lab, &lab.no_compiles(), begun).run().done().json();
    assert_matches("run", &ran);
    assert_eq!(ran["from_picture"], json!({"strength": 0.5, "first_step": 2}));
    assert_eq!(ran["requested_size"], json!([64, 64]));
    assert_eq!(ran["signature"]["steps"], 4);
    assert_eq!(stages(&ran, "source"), ["disk"; 5]);
    let keys = |document: &Value, left_out: &[&str]| -> Vec<Value> {
        let stages = document["stages"].as_array().unwrap().iter();
        let kept = stages.filter(|stage| !left_out.contains(&stage["stage"].as_str().unwrap()));
        kept.map(|stage| stage["graph_key"].clone()).collect()
    };
    assert_eq!(keys(&ran, &STAGES[1..3]), keys(&plain, &[]), "the graphs of text to image");
    assert_eq!(lab.compiles(), 5);
    let text = command(&lab, &lab.no_compiles(), "run --steps 4 --cfg-scale 1 --prompt seven");
    let text = text.words(begun).run().done().stdout;
    assert!(text.contains(", 2 of 4 steps (strength 0.5) of "), "{text}");
}

#[test]
fn a_picture_says_what_it_began_with_and_a_mask_keeps_the_rest() {
    let lab = Lab::new();
    pictures(&lab);
    let made = |words: &str| {
        run(&lab, &lab.sim(), words).run().done();
        Picture::read(&lab.path("out.png"))
    };
    let whole = made("--image photo.png --strength 0.75");
    assert_eq!(whole.settings["strength"], 0.75);
    assert_eq!(whole.settings["image"], "photo.png");
    assert!(whole.parameters.contains(", Denoising strength: 0.75"), "{}", whole.parameters);
    let weak = made("--image photo.png --strength 0.25");
    let kept = made("--image photo.png --mask mask.png --strength 0.75");
    assert_eq!(kept.settings["mask"], "mask.png");
    assert!(whole.rgb != weak.rgb && whole.rgb != kept.rgb);
    // Far from the mask's edge, the left half is nearer to the photo than without a mask.
    let distance = |picture: &Picture| -> u64 {
        let rows = picture.rgb.chunks_exact(64 * 3);
        let of_row = |row: &[u8]| -> u64 {
            let pixels = row[..16 * 3].chunks_exact(3).zip(0_u8..);
            pixels.map(|(pixel, x)| u64::from(pixel[0].abs_diff(4 * x))).sum()
        };
        rows.map(of_row).sum()
    };
    let [kept_from, whole_from] = [&kept, &whole].map(distance);
    assert!(4 * kept_from < 3 * whole_from, "{kept_from} and {whole_from}");

    // A request file has the same fields, and a picture of another size is brought to the size.
    let file = r#"{"prompt": "seven", "image": "small.png", "strength": 0.5, "width": 64,
                   "height": 64, "cfg_scale": 1, "steps": 4}"#;
    lab.file("request.json", file);
    let ran = command(&lab, &lab.no_compiles(), "--json run --request request.json --seed 7");
    assert_eq!(ran.run().done().json()["from_picture"]["strength"], 0.5);
}

#[test]
fn the_size_is_that_of_the_picture_and_is_padded_and_cropped() {
    let lab = Lab::new();
    grey(&lab, "odd.png", [47, 57], |x| u8::try_from(x * 5).unwrap());
    let ran = run(&lab, &lab.sim(), "--image odd.png --log-requests log.jsonl").run().done().json();
    assert_eq!(ran["requested_size"], json!([40, 56]));
    assert_eq!(ran["padded_size"], json!([64, 64]));
    assert_eq!(ran["from_picture"]["strength"], 0.8);

    let line: Value =
        serde_json::from_slice(&std::fs::read(lab.path("log.jsonl")).unwrap()).unwrap();
    assert_eq!((&line["image_to_image"], &line["width"]), (&json!(true), &json!(40)));
    assert!(line.get("image").is_none(), "{line}");
    let audit = command(&lab, &lab.no_compiles(), "--json audit --requests log.jsonl");
    let audit = audit.run().done().json();
    assert_eq!(audit["hits"], 1);
    assert_matches("audit", &audit);
    let words = "--json plan --requests log.jsonl --budget 1h --output warm.toml";
    let planned = command(&lab, &lab.no_compiles(), words).run().done().json();
    assert_matches("plan", &planned);
    let manifest = std::fs::read_to_string(lab.path("warm.toml")).unwrap();
    assert!(manifest.contains("image_to_image = true"), "{manifest}");
    let warmed = lab.quick(&lab.sim()).words("--json warmup --manifest warm.toml").run().done();
    assert_eq!(stages(&warmed.json()["tables"][0], "stage"), STAGES);
}

#[test]
fn a_second_pass_begins_with_enlarged_latents_and_needs_no_other_graphs() {
    let lab = Lab::new();
    pictures(&lab);
    let words = "--json warmup --cfg-scale 1 --resolutions 64x64,128x128";
    command(&lab, &lab.sim(), words).run().done();
    assert_eq!(lab.compiles(), 5, "one text encoder for both sizes");
    let upscale = "--width 64 --height 64 --upscale-latents 2";
    let ran = run(&lab, &lab.no_compiles(), upscale).run().done().json();
    assert_matches("run", &ran);
    assert_eq!(ran["requested_size"], json!([128, 128]));
    assert_eq!(ran["from_picture"], json!({"strength": 0.7, "first_step": 2}));
    // The first pass is not decoded.
    let first = ["text_encoder", "denoiser"];
    assert_eq!(stages(&ran, "stage"), [&first[..], &first, &["vae_decoder"]].concat());
    let picture = Picture::read(&lab.path("out.png"));
    let upscaled = json!({"from": [64, 64], "factor": 2.0, "strength": 0.7, "mode": "bilinear"});
    assert_eq!(picture.settings["upscaled"], upscaled);
    let said = ", Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: Latent";
    assert!(picture.parameters.ends_with(said), "{}", picture.parameters);
    let nearest = format!("{upscale} --upscale-mode nearest --upscale-strength 0.5");
    run(&lab, &lab.no_compiles(), &nearest).run().done();
    assert!(Picture::read(&lab.path("out.png")).rgb != picture.rgb);

    let refused = |words: &str, said: &str| {
        run(&lab, &lab.no_compiles(), words).run().ended(2).says(&[said]);
    };
    let factor = "upscale_latents is 1: give a factor above 1 and up to 8";
    refused("--upscale-latents 1", factor);
    let strength = "strength of upscale_latents is 0: give a number above 0 and up to 1";
    refused("--upscale-latents 2 --upscale-strength 0", strength);
    refused("--upscale-latents 2 --upscale-mode cubic", "\"cubic\" is no interpolation: ");
    refused("--upscale-latents 2 --image photo.png", "cannot be used with");
    lab.file("both.json", r#"{"image": "photo.png", "upscale_latents": 2}"#);
    refused("--request both.json", "a run with upscale_latents begins with noise: leave the image");
    // Without its second size, the request is refused before the first pass runs.
    let cold = lab.quick(&lab.no_compiles()).words("--require-warm").words(RUN);
    let cold = cold.words("--width 64 --height 64 --upscale-latents 4 --model").arg(demo_model());
    cold.run().ended(3).says(&["not warm: stage `denoiser`"]);
}

#[test]
fn what_cannot_be_begun_with_is_refused_before_anything_is_compiled() {
    let lab = Lab::new();
    pictures(&lab);
    lab.file("text.png", "hello");
    std::fs::write(lab.path("photo.jpg"), b"\xff\xd8\xff\xe0\0\x10JFIF").unwrap();
    let refused = |words: &str, status: i32, said: &str| {
        run(&lab, &lab.no_compiles(), words).run().ended(status).says(&[said]);
    };
    refused("--image none.png", 1, "the image none.png cannot be read");
    let no_png = "is not a PNG file that can be read: it is ";
    refused("--image text.png", 2, &format!("the image text.png {no_png}no picture"));
    let jpeg = format!("the image photo.jpg {no_png}a JPEG file: convert it to PNG first");
    refused("--image photo.jpg", 2, &jpeg);
    refused("--image photo.png --mask none.png", 1, "the mask none.png cannot be read");
    let size = "it has 32x64 px, and the image has 64x64 px: both must have the same size";
    refused("--image photo.png --mask small.png", 2, size);
    for strength in ["0", "-1", "1.5"] {
        let said = format!("strength is {strength}: give a number above 0 and up to 1");
        refused(&format!("--image photo.png --strength {strength}"), 2, &said);
    }
    let none = "strength is 0.2: it leaves none of the 4 steps: take a higher one, or more steps";
    refused("--image photo.png --strength 0.2", 2, none);
    refused(
        "--mask mask.png",
        2,
        "mask is mask.png: give the image, too, with which the run begins",
    );
    refused("--strength 0.5", 2, "strength is 0.5: give the image, too, with which the run begins");
    let ipndm = "ipndm cannot begin with a picture: it has no way to add noise to one";
    refused("--image photo.png --scheduler ipndm", 1, ipndm);
    let few = "a picture is at least 8 px each way";
    grey(&lab, "tiny.png", [4, 64], |_| 0);
    refused("--image tiny.png", 2, few);
}

#[test]
fn a_vae_without_an_encoder_runs_from_text_alone() {
    let lab = Lab::new();
    pictures(&lab);
    let model = lab.path("decoder-only");
    copy_folder(&demo_model(), &model);
    let file = model.join("vae/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let names = all.tensors().into_iter();
    let kept =
        names.filter(|(name, _)| !name.starts_with("encoder.") && !name.starts_with("quant"));
    let kept = safetensors::serialize(kept, None).unwrap();
    std::fs::write(&file, kept).unwrap();
    let command = |sim: &Sim, words: &str| lab.quick(sim).words(words).arg("--model").arg(&model);
    command(&lab.sim(), RUN).run().done();
    let words = format!("{RUN} --image photo.png");
    let said = "a request cannot begin with a picture: the VAE of decoder-only has weights of its \
                decoder only; take one that has an encoder, too";
    let refused = command(&lab.no_compiles(), &words).run().ended(1);
    refused.says(&[said, "hint: --vae names another VAE"]);
    command(&lab.no_compiles(), "warmup --image-to-image").run().ended(1).says(&[said]);
}
