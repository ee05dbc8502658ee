//! Does preheat on the real XLA:CPU compute what diffusers 0.42.1 computes with the same weights?
//! tests/fixtures/README.md describes the weights and the results.
//!
//! `cargo test --test cpu diffusers_parity -- --nocapture | grep ^parity` prints how far apart the
//! results are.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are quoted in the documentation")]

use crate::parity;
use crate::support;

use std::collections::{BTreeMap, BTreeSet};

use parity::fixture::Fixture;
use parity::runs::ELSEWHERE;
use support::random_model;

macro_rules! models {
    ($($name:ident)*) => {
        const MODELS: &[&str] = &[$(stringify!($name)),*];
        $(
            mod $name {
                use super::parity::fixture::Fixture;
                use super::parity::{parts, runs};

                #[test]
                fn text_encoders_agree() {
                    parts::text_encoders(&Fixture::new(stringify!($name)), parts::xla);
                }

                #[test]
                fn the_unet_agrees() {
                    parts::unet(&Fixture::new(stringify!($name)), parts::xla);
                }

                #[test]
                fn the_vae_agrees() {
                    parts::vae(&Fixture::new(stringify!($name)), parts::xla);
                }

                #[test]
                fn whole_runs_agree() {
                    runs::all(&Fixture::new(stringify!($name)));
                }
            }
        )*
    };
}

models!(sd15 sd21 sdxl mixed odd down_first by_index);

#[test]
fn these_are_all_the_models_and_what_is_left_out_exists() {
    assert_eq!(MODELS, random_model::SMALL);
    let folders = std::fs::read_dir(support::repository("tests/fixtures/models")).unwrap();
    let folders: BTreeSet<_> =
        folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, MODELS.iter().map(|&name| name.to_owned()).collect());
    let cases: BTreeSet<_> =
        MODELS.iter().flat_map(|name| Fixture::cases_of(name)).map(|case| case.tensor).collect();
    for (left_out, _) in ELSEWHERE {
        assert!(cases.contains(*left_out), "{left_out}");
    }
}

/// Checks that the weights are as the table in tests/fixtures/README.md says.
#[test]
fn weights_follow_the_rule() {
    let check =
        |component: &str, name: &str, dims: &[u64], seed: u64, first: [f32; 3], last: f32| {
            assert_eq!(random_model::seed(&format!("{component}/{name}")), seed, "{name}");
            let start: Vec<f32> = random_model::values(component, name, dims, 0).take(3).collect();
            assert_eq!(start, first, "{name}");
            let end = random_model::values(component, name, dims, dims.iter().product::<u64>() - 1);
            assert_eq!(end.collect::<Vec<_>>(), [last], "{name}");
        };
    let conv = [-0.155_291_77, -0.024_905_168, -0.082_873_94];
    check("unet", "conv_in.weight", &[16, 4, 3, 3], 0xec48_b166_f7de_6f6c, conv, -0.209_934_44);
    let norm = [0.891_795_8, 0.885_902_76, 1.017_506_7];
    check("unet", "conv_norm_out.weight", &[16], 0x2062_f820_1f5c_9b06, norm, 1.023_472_1);
    let bias = [0.028_495_196, 0.028_836_885, -0.021_645_127];
    check("vae", "decoder.conv_in.bias", &[24], 0x01e7_33ac_2065_18c9, bias, -0.029_825_615);
    let (name, dims) = ("text_model.embeddings.token_embedding.weight", [759, 32]);
    let table = [-0.355_267_17, 0.003_876_700_3, -0.201_952_65];
    check("text_encoder", name, &dims, 0x3819_8043_ea96_9d91, table, -0.496_312_23);
}

#[test]
fn the_graphs_read_every_weight_that_diffusers_has() {
    for name in MODELS {
        let temp = tempfile::tempdir().unwrap();
        let folder = random_model::write_small(name, temp.path()).unwrap();
        let model = preheat_diffusion::models::ModelFolder::open(&folder).unwrap();
        let text = support::repository(&format!("tests/fixtures/models/{name}/weights.json"));
        let text = std::fs::read_to_string(text).unwrap();
        let there: BTreeMap<String, BTreeMap<String, Vec<u64>>> =
            serde_json::from_str(&text).unwrap();
        let graphs = random_model::graphs(&model).unwrap();
        assert_eq!(graphs.len(), there.len(), "{name}");
        for (component, graph) in graphs {
            let read = graph
                .weights()
                .iter()
                .map(|weight| (weight.name.clone(), weight.kind.dims.clone()));
            let mut there = there[component.name()].clone();
            // Making pictures does not use the VAE's encoder.
            there.retain(|name, _| {
                !name.starts_with("encoder.") && !name.starts_with("quant_conv.")
            });
            assert_eq!(read.collect::<BTreeMap<_, _>>(), there, "{name}, {}", component.name());
        }
    }
}
