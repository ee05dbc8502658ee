//! Does preheat notice that the range of a dtype was too small for a VAE? It decodes such a picture
//! again in float32, and warns. There is no warning for a picture that is meant to be dark.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::path::PathBuf;

use half::f16;
use serde_json::Value;
use support::demo::{Picture, copy_folder, demo_model};
use support::{Lab, Preheat};

const VAE: &str = "vae/diffusion_pytorch_model.safetensors";
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// Copies the demo model, and changes each value of the weights with the names `weights` in one of
/// its checkpoints.
fn changed(
    lab: &Lab,
    name: &str,
    checkpoint: &str,
    weights: &[&str],
    change: impl Fn(f32) -> f32,
) -> PathBuf {
    let folder = lab.path(name);
    if !folder.exists() {
        copy_folder(&demo_model(), &folder);
    }
    let path = folder.join(checkpoint);
    let mut bytes = std::fs::read(&path).unwrap();
    let header_bytes = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + header_bytes]).unwrap();
    for name in weights {
        assert_eq!(header[name]["dtype"], "F16", "{name}");
        let [start, end] = [0, 1].map(|at| {
            8 + header_bytes
                + usize::try_from(header[name]["data_offsets"][at].as_u64().unwrap()).unwrap()
        });
        for two in bytes[start..end].chunks_exact_mut(2) {
            let value = f16::from_le_bytes([two[0], two[1]]).to_f32();
            two.copy_from_slice(&f16::from_f32(change(value)).to_le_bytes());
        }
    }
    std::fs::write(&path, bytes).unwrap();
    folder
}

/// A VAE whose first convolution gives numbers beyond 65504, which float32 can hold and float16
/// cannot.
fn overflowing(lab: &Lab) -> PathBuf {
    changed(lab, "overflowing", VAE, &["decoder.conv_in.weight"], |value| value.signum() * 60_000.0)
}

/// `preheat run` with two steps of a model, compiled quickly.
fn run(run: Preheat, model: &PathBuf, words: &str) -> Preheat {
    let run =
        run.env("XLA_FLAGS", "--xla_backend_optimization_level=0").words("--json").words(words);
    run.words("run --prompt seven --scheduler euler --steps 2 --seed 7 --no-tpu-warmup --model")
        .arg(model)
}

fn stages(document: &Value) -> Vec<&str> {
    document["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect()
}

fn warnings(document: &Value) -> Vec<&str> {
    document["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning.as_str().unwrap())
        .collect()
}

fn is_black(picture: &Picture) -> bool {
    picture.rgb.iter().all(|&byte| byte == 0)
}

const AS_USUAL: [&str; 3] = ["text_encoder", "denoiser", "vae_decoder"];
const AND_AGAIN: [&str; 4] = ["text_encoder", "denoiser", "vae_decoder", "vae_decoder"];

#[test]
fn a_picture_that_does_not_fit_float16_is_decoded_again_in_float32() {
    let lab = Lab::new();
    let model = overflowing(&lab);
    let wide = run(lab.bare(), &model, "--vae-precision fp32").run().done().json();
    assert_eq!((stages(&wide), warnings(&wide)), (AS_USUAL.to_vec(), Vec::new()));
    let wanted = Picture::read(&lab.path("out.png"));
    assert!(!is_black(&wanted));

    let narrow = run(lab.bare(), &model, "--vae-precision fp16").run().done();
    let narrow = narrow.says(&["the picture held numbers that are not finite", "float16"]).json();
    assert_eq!(stages(&narrow), AND_AGAIN);
    let warnings = warnings(&narrow);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains(
            "decoded again in float32 (--vae-precision fp32 decodes in float32 from the start)"
        ),
        "{warnings:?}"
    );
    assert_eq!(Picture::read(&lab.path("out.png")).rgb, wanted.rgb);

    // In a batch, each such picture is named.
    let batch = run(lab.bare(), &model, "--vae-precision fp16").words("--batch 2").run().done();
    batch.says(&["picture 1 of 2 held", "picture 2 of 2 held"]);
    assert!(Picture::read(&lab.path("out-0.png")).psnr(&wanted) > 40.0);
}

#[test]
fn where_float32_is_not_warm_and_must_be_the_picture_stays_and_the_warning_says_what_would_help() {
    let lab = Lab::new();
    let model = overflowing(&lab);
    let warmup = |precision: &str| {
        let warmup = lab
            .quick(&lab.sim())
            .words(&format!("warmup --vae-precision {precision} --model"))
            .arg(&model);
        warmup.run().done();
    };
    warmup("fp16");
    let warm_run = || {
        run(lab.preheat(&lab.no_compiles()), &model, "--require-warm --vae-precision fp16")
            .run()
            .done()
    };
    let ran = warm_run()
        .says(&["not finite", "float32 is not warm", "`preheat warmup --vae-precision fp32`"])
        .json();
    assert_eq!((stages(&ran), warnings(&ran).len()), (AS_USUAL.to_vec(), 1));
    assert!(is_black(&Picture::read(&lab.path("out.png"))));
    warmup("fp32");
    let ran = warm_run().says(&["decoded again in float32"]).json();
    assert_eq!(stages(&ran), AND_AGAIN);
    assert!(!is_black(&Picture::read(&lab.path("out.png"))));
    assert_eq!(lab.compiles(), 4);
}

#[test]
fn of_latents_that_are_no_numbers_that_is_said_and_nothing_is_decoded_again() {
    let lab = Lab::new();
    let model = changed(&lab, "no-numbers", UNET, &["conv_out.bias"], |_| f32::INFINITY);
    let ran = run(lab.preheat(&lab.sim()), &model, "--vae-precision fp16").run().done().json();
    let warnings = warnings(&ran);
    assert_eq!((stages(&ran), warnings.len()), (AS_USUAL.to_vec(), 1), "{warnings:?}");
    assert!(warnings[0].contains("the latents hold numbers that are not finite"), "{warnings:?}");
    assert_eq!(lab.executes(), 2 + 2 + 1);
}

#[test]
fn a_picture_that_is_meant_to_be_dark_is_left_alone() {
    // The last convolution gives the same number everywhere: -1 is black, -0.99 the darkest grey.
    for (name, value, again) in
        [("black", -1.0, AND_AGAIN.as_slice()), ("grey", -0.99, AS_USUAL.as_slice())]
    {
        let lab = Lab::new();
        changed(&lab, name, VAE, &["decoder.conv_out.weight"], |_| 0.0);
        let model = changed(&lab, name, VAE, &["decoder.conv_out.bias"], |_| value);
        let ran = run(lab.preheat(&lab.sim()), &model, "--vae-precision fp16").run().done().json();
        assert_eq!((stages(&ran), warnings(&ran)), (again.to_vec(), Vec::new()), "{name}");
        assert_eq!(is_black(&Picture::read(&lab.path("out.png"))), name == "black");
        // In float32, decoding again could change nothing, so it is not tried.
        let ran = run(lab.preheat(&lab.sim()), &model, "--vae-precision fp32").run().done().json();
        assert_eq!((stages(&ran), warnings(&ran)), (AS_USUAL.to_vec(), Vec::new()), "{name}");
    }
}
