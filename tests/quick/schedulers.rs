//! Do the schedulers agree with diffusers, and does the noise agree with torch?
//! tests/fixtures/schedulers/make.py made the expected results.
#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use preheat_diffusion::pipeline::noise::Generator;
use preheat_diffusion::pipeline::schedulers::{
    Base, Prediction, Schedule, SchedulerConfig, SchedulerError, SchedulerKind, SchedulerName,
    Third,
};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// The largest difference from diffusers, relative to the largest latent of the call.
const TOLERANCE: f32 = 1e-5;
/// The same for schedules whose first latents are 4096 times as large as the last ones, so that
/// some values of f32 lose up to three digits.
const TOLERANCE_ZERO_SNR: f32 = 4e-5;
/// The same for Heun: with two steps, the second one starts from latents that are 500 times as
/// large as their noise level.
const TOLERANCE_HEUN: f32 = 2e-5;

/// The same for LCM: the pictures that it predicts in the noisiest steps are differences of numbers
/// that are 15 times as large.
const TOLERANCE_LCM: f32 = 2e-5;
/// The same for EDM's Euler: with one or two steps, the last one starts from latents that are 80
/// times as large as the picture, and diffusers takes the difference in f32.
const TOLERANCE_EDM_EULER: f32 = 4e-5;

/// The same for the ancestral form of DPM2: with two or three steps, the last step's middle is at a
/// level that diffusers computes from a difference of squares in f32.
const TOLERANCE_DPM2_A: f32 = 5e-5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schedulers").join(name)
}

fn values(file: &SafeTensors, name: &str) -> Vec<f32> {
    file.tensor(name)
        .unwrap()
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four))
        .collect()
}

/// The function that make.py uses instead of a denoiser.
fn model(x: f32, timestep: f32) -> f32 {
    0.5 * x.tanh() + 0.25 * (0.002 * timestep + 3.0 * x).sin() + 0.05 * x
}

/// Follows a schedule on the host, by the formula at the head of the module `schedulers` and the
/// rules for which tensor is in which slot. Returns the latents after every call.
fn follow(schedule: &Schedule) -> Vec<Vec<f32>> {
    let mut latents = Generator::new(0).normal(64);
    for value in &mut latents {
        *value *= schedule.init_noise_sigma;
    }
    let mut generator = Generator::new(1);
    let mut saved = None;
    let mut history: Vec<Vec<f32>> = Vec::new();
    let mut aside = None;
    let mut trajectory = Vec::new();
    for call in &schedule.calls {
        if call.third == Third::SetAside {
            aside = Some(std::mem::replace(&mut history[2], vec![f32::NAN; 64]));
        }
        let by = &call.coefficients;
        let base: &[f32] = match call.base {
            Base::Current => {
                assert!(by.base == 0.0);
                &latents
            }
            Base::Unblended => unreachable!("no part of a picture is kept here"),
            Base::Saved => saved.as_deref().expect("latents were saved"),
        };
        let noise = if call.draws_noise { generator.normal(64) } else { vec![0.0; 64] };
        let read = by.history.iter().rposition(|&weight| weight != 0.0).map_or(0, |last| last + 1);
        assert!(read <= history.len(), "history that is read was remembered");
        let (mut new, mut outputs) = (Vec::new(), Vec::new());
        for (index, &latent) in latents.iter().enumerate() {
            let m = model(by.input_scale * latent, call.timestep);
            let out = (by.output_model * m + by.output_latents * latent).clamp(-by.clip, by.clip);
            let read = history.iter().zip(by.history).filter(|(_, weight)| *weight != 0.0);
            let past: f32 = read.map(|(output, weight)| weight * output[index]).sum();
            let own = by.base * base[index] + by.latents * latent + by.model * m + by.output * out;
            new.push(own + past + by.noise * noise[index]);
            outputs.push(out);
        }
        if call.saves_latents {
            saved = Some(latents);
        }
        // The call reuses the memory of the third remembered output.
        history.truncate(2);
        history.insert(if call.remembers { 0 } else { history.len() }, outputs);
        if call.third == Third::TakenBack {
            history[2] = aside.take().expect("a third was set aside");
        }
        latents = new;
        trajectory.push(latents.clone());
    }
    trajectory
}

fn config(value: &Value) -> SchedulerConfig {
    SchedulerConfig::from_json(&value.to_string(), Path::new("scheduler_config.json")).unwrap()
}

#[test]
fn schedules_are_those_of_diffusers() {
    let cases: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(fixture("schedulers.json")).unwrap()).unwrap();
    let bytes = fs::read(fixture("schedulers.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut worst: BTreeMap<&str, f32> = BTreeMap::new();
    let mut failures = String::new();
    for (number, case) in cases.iter().enumerate() {
        let mut config = config(&case["config"]);
        if let Some(class) = case["index"].as_str() {
            config = config.of_class(class, Path::new("model_index.json"));
        }
        if case["stable_diffusion"] == true {
            config = config.for_stable_diffusion();
        }
        if let Some(name) = case["class"].as_str() {
            config = config.with_name(name.parse().unwrap());
        }
        if let Some(eta) = case["eta"].as_f64() {
            config = config.with_eta(eta);
        }
        if let Some(timesteps) = case["given_timesteps"].as_array() {
            let all = timesteps.iter().map(|one| u32::try_from(one.as_u64().unwrap()).unwrap());
            config = config.with_timesteps(all.collect::<Vec<_>>());
        }
        if let Some(sigmas) = case["given_sigmas"].as_array() {
            let all = sigmas.iter().map(|one| one.as_f64().unwrap());
            config = config.with_sigmas(all.collect::<Vec<_>>());
        }
        let class = config.name().unwrap().kind.class_name();
        let schedule = config.schedule(case["steps"].as_u64().unwrap()).unwrap();
        let timesteps: Vec<f32> = schedule.calls.iter().map(|call| call.timestep).collect();
        let wanted = values(&expected, &format!("{number}.timesteps"));
        // diffusers computes the levels in the middle of DPM2's steps in f32, the ancestral ones
        // from a difference of squares, and their timesteps from the logarithms of the levels.
        let near = if class.starts_with("KDPM2") { 0.01 } else { 0.0 };
        let fits = |(own, wanted): (&f32, &f32)| {
            (own - wanted).abs() <= (1e-6 * wanted.abs().max(1.0)).max(near)
        };
        if timesteps.len() != wanted.len() || !timesteps.iter().zip(&wanted).all(fits) {
            writeln!(failures, "{case}\n    timesteps {timesteps:?}\n    diffusers {wanted:?}")
                .unwrap();
            continue;
        }
        let sigma = schedule.init_noise_sigma;
        let wanted = case["init_noise_sigma"].as_f64().unwrap();
        if (f64::from(sigma) - wanted).abs() > 1e-6 * wanted {
            writeln!(failures, "{case}\n    init_noise_sigma {sigma}, diffusers {wanted}").unwrap();
        }
        let trajectory = follow(&schedule);
        let kept = case["kept"]
            .as_array()
            .unwrap()
            .iter()
            .map(|index| usize::try_from(index.as_u64().unwrap()).unwrap());
        for (index, wanted) in kept.zip(values(&expected, &number.to_string()).chunks(64)) {
            let largest = wanted.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            let differences =
                trajectory[index].iter().zip(wanted).map(|(own, wanted)| (own - wanted).abs());
            let difference =
                differences.fold(
                    0.0,
                    |largest: f32, difference| {
                        if difference <= largest { largest } else { difference }
                    },
                );
            let relative = if difference == 0.0 { 0.0 } else { difference / largest };
            let worst = worst.entry(class).or_default();
            let tolerance = match class {
                _ if sigma > 1000.0 => TOLERANCE_ZERO_SNR,
                "HeunDiscreteScheduler" => TOLERANCE_HEUN,
                "LCMScheduler" => TOLERANCE_LCM,
                "KDPM2AncestralDiscreteScheduler" => TOLERANCE_DPM2_A,
                "EDMEulerScheduler" => TOLERANCE_EDM_EULER,
                _ => TOLERANCE,
            };
            if relative.is_nan() || relative > tolerance {
                writeln!(failures, "{case}\n    call {index}: {relative:e} off").unwrap();
                *worst = relative;
                break;
            }
            *worst = worst.max(relative);
        }
    }
    println!("{} cases; largest relative difference by class: {worst:#?}", cases.len());
    assert!(cases.len() > 1200 && worst.len() == SchedulerKind::ALL.len());
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn noise_is_that_of_torch() {
    let bytes = fs::read(fixture("noise.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut worst: f32 = 0.0;
    let seeds = [0, 1, 42, (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX];
    for (seed, size) in
        seeds.into_iter().flat_map(|seed| [1, 7, 15, 16, 17, 100, 16384].map(|size| (seed, size)))
    {
        let mut generator = Generator::new(seed);
        let drawn = generator.normal(size);
        assert_eq!(drawn.len(), size);
        let ends = [&drawn[..size.min(100)], &drawn[size.saturating_sub(100)..]].concat();
        let own = [ends, generator.normal(5), generator.normal(20), generator.normal(2)].concat();
        let wanted = values(&expected, &format!("{seed}.{size}"));
        assert_eq!(own.len(), wanted.len());
        for (own, wanted) in own.iter().zip(&wanted) {
            assert!(
                (own - wanted).abs() < 2e-6,
                "seed {seed}, {size} numbers: {own}, and torch has {wanted}"
            );
            worst = worst.max((own - wanted).abs());
        }
    }
    println!("largest difference from torch.randn: {worst:e}");
}

#[test]
fn seeds_are_read_by_their_lower_half() {
    assert_eq!(Generator::new(1 << 32).normal(40), Generator::new(0).normal(40));
    assert_ne!(Generator::new(1).normal(40), Generator::new(0).normal(40));
    assert!(Generator::new(0).normal(0).is_empty());
}

/// The configuration of the schedulers in the model folders of Stable Diffusion 1.5.
fn stable_diffusion() -> Value {
    json!({
        "_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "clip_sample": false, "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
        "trained_betas": null
    })
}

fn with(changes: &Value) -> SchedulerConfig {
    let mut value = stable_diffusion();
    for (field, changed) in changes.as_object().unwrap() {
        value[field] = changed.clone();
    }
    config(&value)
}

fn refusal(changes: &Value, name: &str, steps: u64) -> String {
    with(changes).with_name(name.parse().unwrap()).schedule(steps).unwrap_err().to_string()
}

#[test]
fn schedulers_have_names() {
    for (given, shown) in [
        ("ddim", "ddim"),
        ("Euler", "euler"),
        ("euler_karras", "euler_karras"),
        ("euler_a", "euler_a"),
        ("euler_ancestral", "euler_a"),
        ("dpm++_2m", "dpm++_2m"),
        ("dpmpp_2m", "dpm++_2m"),
        ("DPM++_2M_Karras", "dpm++_2m_karras"),
        ("dpmpp_2m_karras", "dpm++_2m_karras"),
        ("Euler a", "euler_a"),
        ("Euler Karras", "euler_karras"),
        ("DPM++ 2M", "dpm++_2m"),
        ("DPM++ 2M Karras", "dpm++_2m_karras"),
        ("k_dpmpp_2m", "dpm++_2m"),
        ("k_euler_ancestral", "euler_a"),
        ("DDIM", "ddim"),
        ("PLMS", "pndm"),
        ("pndm", "pndm"),
        ("heun", "heun"),
        ("Heun Karras", "heun_karras"),
        ("UniPC", "unipc"),
        ("uni_pc_bh2", "unipc"),
        ("UniPC Exponential", "unipc_exponential"),
        ("DPM++ 2M SDE", "dpm++_2m_sde"),
        ("DPM++ 2M SDE Karras", "dpm++_2m_sde_karras"),
        ("dpmpp_2m_sde_exponential", "dpm++_2m_sde_exponential"),
        ("euler_beta", "euler_beta"),
        ("DPM++ 2S", "dpm++_2s"),
        ("DEIS", "deis"),
        ("DPM2", "dpm2"),
        ("DPM2 Karras", "dpm2_karras"),
        ("k_dpm_2_ancestral", "dpm2_a"),
        ("DPM2 a Karras", "dpm2_a_karras"),
        ("LMS Karras", "lms_karras"),
        ("DDPM", "ddpm"),
        ("LCM", "lcm"),
        ("TCD", "tcd"),
        ("edm_euler", "edm_euler"),
        ("edm_dpmpp_2m", "edm_dpm++_2m"),
        ("ipndm", "ipndm"),
    ] {
        assert_eq!(given.parse::<SchedulerName>().unwrap().to_string(), shown);
    }
    for kind in SchedulerKind::ALL {
        assert_eq!(kind.class_name().parse::<SchedulerName>().unwrap(), SchedulerName::from(kind));
    }
    let unknown = |name: &str| name.parse::<SchedulerName>().unwrap_err().to_string();
    assert_eq!(
        unknown("sa_solver"),
        "there is no scheduler `sa_solver`; there are ddim, euler, euler_a, dpm++_2m, dpm++_2m_sde, pndm, heun, unipc, dpm++_2s, deis, \
         dpm2, dpm2_a, lms, ddpm, lcm, tcd, edm_euler, edm_dpm++_2m, ipndm and the names of their classes in diffusers; _karras, \
         _exponential or _beta may follow euler, dpm++_2m, dpm++_2m_sde, heun, unipc, dpm++_2s, deis, dpm2, dpm2_a, lms"
    );
    // These have no forms of sigmas.
    for name in ["ddim_karras", "euler_a_beta", "lcm_exponential", "karras", "_karras"] {
        assert!(unknown(name).starts_with(&format!("there is no scheduler `{name}`; ")));
    }
    let because = "its noise comes from a Brownian tree";
    for name in ["dpm++_sde", "DPM++ SDE Karras", "dpmpp_sde_gpu"] {
        assert!(unknown(name).contains(because), "{}", unknown(name));
    }
}

#[test]
fn a_short_name_decides_on_the_variant_and_a_class_leaves_it() {
    let karras =
        with(&json!({"use_karras_sigmas": true, "_class_name": "DPMSolverMultistepScheduler"}));
    let shown = |config: &SchedulerConfig| config.name().unwrap().to_string();
    assert_eq!(shown(&karras), "dpm++_2m_karras");
    assert_eq!(shown(&karras.with_name("EulerDiscreteScheduler".parse().unwrap())), "euler_karras");
    assert_eq!(shown(&karras.with_name("euler".parse().unwrap())), "euler");
    assert_eq!(shown(&karras.with_name("ddim".parse().unwrap())), "ddim");
    assert_eq!(
        karras.with_name(karras.name().unwrap()).schedule(10).unwrap(),
        karras.schedule(10).unwrap()
    );
    let plain = with(&json!({}));
    assert_eq!(shown(&plain), "pndm");
    assert_eq!(plain.prediction().unwrap(), Prediction::Epsilon);
    let named = plain.with_name("dpm++_2m_karras".parse().unwrap()).schedule(10).unwrap();
    assert_ne!(named, plain.with_name("dpm++_2m".parse().unwrap()).schedule(10).unwrap());
}

#[test]
fn the_class_is_the_one_that_the_index_names() {
    let index = Path::new("model_index.json");
    let plain = with(&json!({}));
    assert_eq!(plain.of_class("DDIMScheduler", index).name().unwrap().to_string(), "ddim");
    let error = plain.of_class("SASolverScheduler", index).schedule(10).unwrap_err();
    assert!(error.is_of_one_scheduler());
    let said = "model_index.json: `scheduler` is \"SASolverScheduler\", which is not supported; supported are DDIMScheduler, ";
    assert!(error.to_string().starts_with(said), "{error}");
    for (class, why) in [
        (
            "DPMSolverSDEScheduler",
            ", because its noise comes from a Brownian tree of torchsde and not",
        ),
        ("FlowMatchEulerDiscreteScheduler", ", because it is for models that are trained by flow"),
    ] {
        let error = plain.of_class(class, index).schedule(10).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`scheduler` is \"{class}\", which is not supported{why}"))
        );
    }
}

#[test]
fn calls_say_who_stands_where() {
    let pndm = with(&json!({})).schedule(20).unwrap();
    assert_eq!((pndm.calls.len(), pndm.history_length()), (21, 3));
    assert_eq!(
        pndm.calls.iter().map(|call| call.timestep).take(4).collect::<Vec<_>>(),
        [951.0, 901.0, 901.0, 851.0]
    );
    let marks = |mark: fn(&preheat_diffusion::pipeline::schedulers::Call) -> bool| -> Vec<usize> {
        (0..pndm.calls.len()).filter(|&index| mark(&pndm.calls[index])).collect()
    };
    assert_eq!(marks(|call| call.saves_latents), [0]);
    assert_eq!(marks(|call| call.base == Base::Saved), [1]);
    assert_eq!(marks(|call| !call.remembers), [1]);
    assert_eq!(marks(|call| call.draws_noise), [0; 0]);

    // Without `skip_prk_steps`, each of the first three steps consists of four calls.
    let calls = with(&json!({"skip_prk_steps": false})).schedule(5).unwrap().calls;
    assert_eq!(calls.len(), 3 * 4 + 2);
    let thirds: Vec<usize> =
        (0..calls.len()).filter(|&index| calls[index].third != Third::Stays).collect();
    assert_eq!((thirds, calls[9].third), (vec![9, 11], Third::SetAside));

    let one = with(&json!({})).schedule(1).unwrap();
    assert_eq!((one.calls.len(), one.history_length(), one.calls[0].saves_latents), (1, 0, false));
    let drawing = with(&json!({})).with_name("euler_a".parse().unwrap()).schedule(3).unwrap();
    assert_eq!(
        drawing.calls.iter().map(|call| call.draws_noise).collect::<Vec<_>>(),
        [true, true, false]
    );
    let solver = with(&json!({})).with_name("dpm++_2m".parse().unwrap()).schedule(10).unwrap();
    assert_eq!(solver.history_length(), 1);
}

#[test]
fn trailing_strides_are_as_many_as_the_steps() {
    // For 61 steps, diffusers makes 62 calls, the last of them at timestep -1.
    for name in ["ddim", "euler", "dpm++_2m"] {
        let config =
            with(&json!({"timestep_spacing": "trailing"})).with_name(name.parse().unwrap());
        for steps in (1..=10).chain([49, 61, 103, 121, 122, 201, 397, 500, 769, 998, 999, 1000]) {
            let calls = config.schedule(steps).unwrap().calls;
            assert_eq!(calls.len() as u64, steps);
            assert!(calls.iter().all(|call| (0.0..1000.0).contains(&call.timestep)));
        }
    }
}

#[test]
fn numbers_that_python_writes_are_read() {
    let text = r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "note": "a \" -Infinity", "flow_shift": NaN,
        "sigma_max": Infinity, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}"#;
    let schedule = SchedulerConfig::from_json(text, Path::new("x")).unwrap().schedule(10).unwrap();
    let plain = with(&json!({"steps_offset": 0}))
        .with_name("dpm++_2m".parse().unwrap())
        .schedule(10)
        .unwrap();
    assert_eq!(schedule, plain);
}

/// Asserts that a scheduler refuses the value of one field, and says what is supported.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "callers build the value in place")]
fn field(changes: Value, name: &str, supported: &str) {
    let (field, value) = changes.as_object().unwrap().iter().next().unwrap();
    let name = name.parse::<SchedulerName>().unwrap();
    let error = with(&changes).with_name(name).schedule(10).unwrap_err();
    let message = error.to_string();
    let expected = format!(
        "scheduler_config.json: `{field}` is {value}, which is not supported for {name}; supported: {supported}"
    );
    assert_eq!(message, expected);
}

#[test]
fn what_cannot_be_followed_is_refused_by_name() {
    field(json!({"thresholding": true}), "ddim", "false");
    field(json!({"thresholding": true}), "dpm++_2m", "false");
    field(json!({"solver_type": "bh3"}), "dpm++_2m", "midpoint, heun, logrho, bh1, bh2");
    field(
        json!({"variance_type": "learned_range"}),
        "dpm++_2m",
        "anything but learned, learned_range",
    );
    field(
        json!({"lambda_min_clipped": 100.0}),
        "dpm++_2m",
        "a number that leaves timesteps to visit",
    );
    field(json!({"final_sigmas_type": "one"}), "dpm++_2m", "zero, sigma_min");
    field(json!({"timestep_type": "continuous"}), "euler", "discrete");
    field(json!({"interpolation_type": "log_linear"}), "euler", "linear");
    field(json!({"prediction_type": "sample"}), "pndm", "epsilon, v_prediction");
    field(json!({"prediction_type": "sample"}), "euler_a", "epsilon, v_prediction");
    field(json!({"prediction_type": "flow_prediction"}), "ddim", "epsilon, v_prediction, sample");
    field(json!({"beta_schedule": "sigmoid"}), "ddim", "linear, scaled_linear, squaredcos_cap_v2");
    field(json!({"timestep_spacing": "even"}), "ddim", "leading, trailing, linspace");
    field(
        json!({"trained_betas": [0.1, 0.2]}),
        "ddim",
        "a list of 1000 numbers (`num_train_timesteps`)",
    );
    field(json!({"num_train_timesteps": 0}), "ddim", "1 to 100000");
    field(json!({"steps_offset": -1}), "ddim", "0 to 100000");
    field(json!({"clip_sample": "yes"}), "ddim", "true, false");
    field(json!({"beta_start": "low"}), "ddim", "a number");
    field(json!({"beta_end": 1.5}), "ddim", "betas above 0 and below 1");
    field(
        json!({"num_train_timesteps": 1, "rescale_betas_zero_snr": true}),
        "euler",
        "2 to 100000 where `rescale_betas_zero_snr` is true",
    );
    field(json!({"use_karras_sigmas": "yes"}), "EulerDiscreteScheduler", "true, false");
    let karras = refusal(&json!({"sigma_min": 0}), "euler_karras", 10);
    assert_eq!(
        karras,
        "scheduler_config.json: `sigma_min` is 0, which is not supported for euler_karras; supported: a number above 0"
    );
}

#[test]
fn what_the_solvers_cannot_follow_is_refused_by_name() {
    for class in [
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
        "DEISMultistepScheduler",
    ] {
        field(json!({"use_flow_sigmas": true}), class, "false");
        field(json!({"solver_order": 4}), class, "1 to 3");
        field(json!({"thresholding": true}), class, "false");
    }
    field(
        json!({"algorithm_type": "sde"}),
        "DPMSolverMultistepScheduler",
        "dpmsolver++, sde-dpmsolver++, deis, dpmsolver, sde-dpmsolver",
    );
    field(
        json!({"algorithm_type": "sde-dpmsolver"}),
        "DPMSolverSinglestepScheduler",
        "dpmsolver++, sde-dpmsolver++, deis, dpmsolver",
    );
    field(
        json!({"algorithm_type": "dpmsolver"}),
        "EDMDPMSolverMultistepScheduler",
        "dpmsolver++, sde-dpmsolver++, deis",
    );
    field(
        json!({"algorithm_type": "sde-dpmsolver++"}),
        "DEISMultistepScheduler",
        "deis, dpmsolver, dpmsolver++",
    );
    field(json!({"solver_type": "bh3"}), "deis", "logrho, midpoint, heun, bh1, bh2");
    field(json!({"solver_type": "bh3"}), "unipc", "bh1, bh2, midpoint, heun, logrho");
    field(json!({"solver_p": {"_class_name": "DDIMScheduler"}}), "unipc", "null");
    field(json!({"shift_terminal": 0.1}), "unipc", "null");
    field(json!({"use_dynamic_shifting": true}), "unipc", "false");
    field(json!({"disable_corrector": [-1]}), "unipc", "a list of whole numbers, 0 or more");
    field(json!({"thresholding": true}), "ddpm", "false");
    field(json!({"thresholding": true}), "lcm", "false");
    for variance in ["learned", "learned_range", "fixed_large_log"] {
        let supported = "fixed_small, fixed_small_log, fixed_large";
        field(json!({"variance_type": variance}), "ddpm", supported);
    }
    field(json!({"original_inference_steps": 1001}), "lcm", "1 to 1000");
    field(json!({"original_inference_steps": 0}), "tcd", "1 to 1000");
    field(json!({"sigma_schedule": "linear"}), "edm_euler", "karras, exponential");
    field(json!({"rho": 0}), "edm_euler", "a number above 0");
    field(json!({"trained_betas": [0.5]}), "ipndm", "null");
    field(json!({"prediction_type": "sample"}), "edm_dpm++_2m", "epsilon, v_prediction");
    let pairs = |changes: Value, class: &str| refusal(&changes, class, 10);
    let both = json!({"use_karras_sigmas": true, "use_beta_sigmas": true});
    assert_eq!(
        pairs(both, "EulerDiscreteScheduler"),
        "scheduler_config.json: `use_beta_sigmas` is true, which is not supported for euler; supported: false where \
         `use_karras_sigmas` is true"
    );
    for (changes, class, supported) in [
        (
            json!({"algorithm_type": "dpmsolver"}),
            "DPMSolverMultistepScheduler",
            "sigma_min where `algorithm_type` is dpmsolver or sde-dpmsolver",
        ),
        (
            json!({"predict_x0": false}),
            "UniPCMultistepScheduler",
            "sigma_min where `predict_x0` is false",
        ),
        (
            json!({"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}),
            "DPMSolverSinglestepScheduler",
            "1 to 2 where `algorithm_type` is a stochastic one",
        ),
        (
            json!({"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}),
            "EDMDPMSolverMultistepScheduler",
            "1 to 2 where `algorithm_type` is a stochastic one",
        ),
    ] {
        let message = pairs(changes, class);
        assert!(message.ends_with(&format!("; supported: {supported}")), "{message}");
    }
}

#[test]
fn classes_that_are_not_built_are_refused_unless_another_is_named() {
    for class in [json!("SASolverScheduler"), json!(7), Value::Null] {
        let config = with(&json!({"_class_name": class}));
        let message = config.schedule(10).unwrap_err().to_string();
        let classes = "DDIMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, DPMSolverMultistepScheduler, PNDMScheduler, \
                       HeunDiscreteScheduler, UniPCMultistepScheduler, DPMSolverSinglestepScheduler, DEISMultistepScheduler, \
                       KDPM2DiscreteScheduler, KDPM2AncestralDiscreteScheduler, LMSDiscreteScheduler, DDPMScheduler, LCMScheduler, \
                       TCDScheduler, EDMEulerScheduler, EDMDPMSolverMultistepScheduler, IPNDMScheduler";
        let expected = format!(
            "scheduler_config.json: `_class_name` is {class}, which is not supported; supported are {classes}"
        );
        assert_eq!(message, expected);
        assert_eq!(config.with_name("ddim".parse().unwrap()).schedule(10).unwrap().calls.len(), 10);
    }
}

#[test]
fn only_what_the_model_was_trained_with_rules_every_scheduler_out() {
    let error = |changes: Value| {
        with(&changes).with_name("DPMSolverMultistepScheduler".parse().unwrap()).schedule(10)
    };
    assert!(error(json!({"use_flow_sigmas": true})).unwrap_err().is_of_one_scheduler());
    assert!(
        !error(json!({"prediction_type": "flow_prediction"})).unwrap_err().is_of_one_scheduler()
    );
    assert!(!matches!(error(json!({})), Err(SchedulerError::Class { .. })));
}

#[test]
fn stable_diffusion_never_clips_and_starts_one_later() {
    let old =
        with(&json!({"_class_name": "DDIMScheduler", "steps_offset": 0, "clip_sample": true}));
    let new =
        with(&json!({"_class_name": "DDIMScheduler", "steps_offset": 1, "clip_sample": false}));
    assert_ne!(old.schedule(10).unwrap(), new.schedule(10).unwrap());
    assert_eq!(old.for_stable_diffusion().schedule(10).unwrap(), new.schedule(10).unwrap());
}

#[test]
fn fields_of_other_classes_are_ignored() {
    let stray = json!({"thresholding": true, "use_beta_sigmas": true, "algorithm_type": "x", "timestep_type": "continuous", "what": [1]});
    assert_eq!(with(&stray).schedule(10).unwrap(), with(&json!({})).schedule(10).unwrap());
    let prk = with(&json!({"skip_prk_steps": false}))
        .with_name("euler".parse().unwrap())
        .schedule(10)
        .unwrap();
    assert_eq!(prk, with(&json!({})).with_name("euler".parse().unwrap()).schedule(10).unwrap());
}

#[test]
fn steps_that_are_not_possible_are_refused() {
    for steps in [0, 1001, u64::MAX] {
        let message = refusal(&json!({"steps_offset": 0}), "ddim", steps);
        let expected = "steps are not possible with scheduler_config.json: ddim takes 1 to 1000";
        assert_eq!(message, format!("{steps} {expected}"));
    }
    // The offset shifts the last of 1000 timesteps beyond the timesteps of the training. So the
    // message gives the highest number of steps that is possible.
    for (scheduler, most) in [("ddim", 999), ("pndm", 999), ("euler", 1000)] {
        let message = refusal(&json!({}), scheduler, 1001);
        assert!(message.ends_with(&format!("{scheduler} takes 1 to {most}")), "{message}");
        let config = with(&json!({})).with_name(scheduler.parse().unwrap());
        assert!(config.schedule(most).is_ok(), "{scheduler}: {most}");
        assert!(config.schedule(most + 1).is_err(), "{scheduler}: {most}");
    }
    assert_eq!(
        refusal(&json!({"skip_prk_steps": false}), "PNDMScheduler", 3),
        "3 steps are not possible with scheduler_config.json: pndm takes 4 to 999"
    );
    assert_eq!(
        refusal(&json!({}), "ddim", 1000),
        "scheduler_config.json: 1000 steps reach timestep 1000, and the model was trained with 0 to 999; take fewer steps or a smaller \
         `steps_offset`"
    );
    assert_eq!(
        refusal(&json!({"timestep_spacing": "leading"}), "dpm++_2m", 1000),
        "scheduler_config.json: with 1000 steps, the update of dpm++_2m at timestep 1 divides by zero; two of its timesteps are the \
         same: take fewer steps"
    );
    assert_eq!(
        refusal(
            &json!({"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"}),
            "ddim",
            10
        ),
        "scheduler_config.json: with 10 steps, the update of ddim at timestep 999 divides by zero; with `rescale_betas_zero_snr` the \
         model has to predict `v_prediction` or `sample`"
    );
}

#[test]
fn distilled_models_take_no_more_steps_than_they_were_distilled_for() {
    for (scheduler, original, steps) in [("lcm", 50, 51), ("tcd", 4, 5)] {
        let message = refusal(&json!({"original_inference_steps": original}), scheduler, steps);
        let expected = "steps are not possible with scheduler_config.json";
        assert_eq!(message, format!("{steps} {expected}: {scheduler} takes 1 to {original}"));
    }
}

#[test]
fn only_schedulers_that_have_an_eta_take_one() {
    let eta = |scheduler: &str, eta| {
        with(&json!({})).with_name(scheduler.parse().unwrap()).with_eta(eta).schedule(10)
    };
    for scheduler in ["ddim", "tcd"] {
        let draws = |given| eta(scheduler, given).unwrap().calls[0].draws_noise;
        assert_eq!((draws(0.0), draws(0.5), draws(1.0)), (false, true, true), "{scheduler}");
        for beyond in [-0.1, 1.1, f64::NAN] {
            assert!(eta(scheduler, beyond).is_err(), "{scheduler}: {beyond}");
        }
    }
    assert!(eta("euler", 0.0).is_ok());
    assert_eq!(
        eta("euler", 0.5).unwrap_err().to_string(),
        "euler takes no eta of 0.5: ddim and tcd take a number from 0 to 1, and the other schedulers take none"
    );
}

#[test]
fn levels_that_cannot_be_followed_are_refused() {
    let named = |scheduler: &str| with(&json!({})).with_name(scheduler.parse().unwrap());
    let timesteps = |scheduler: &str, given: &[u32]| {
        let refused = named(scheduler).with_timesteps(given).schedule(20).unwrap_err();
        refused.to_string()
    };
    let takers = "only ddpm, dpm++_2m, dpm++_2s, euler, heun, lcm, tcd take them";
    for scheduler in ["pndm", "ddim", "unipc", "deis", "lms", "dpm2", "edm_euler", "ipndm"] {
        assert_eq!(
            timesteps(scheduler, &[999, 0]),
            format!("{scheduler} cannot follow the `timesteps` of the request: {takers}")
        );
    }
    for given in [&[999, 999][..], &[0, 999], &[1000, 0], &[]] {
        assert_eq!(
            timesteps("euler", given),
            "euler cannot follow the `timesteps` of the request: give numbers from 999 to 0, each below the one before"
        );
    }
    assert_eq!(
        timesteps("euler_karras", &[999, 0]),
        "euler_karras cannot follow the `timesteps` of the request: a form of sigmas has timesteps of its own"
    );
    let sigmas = |scheduler: &str, given: &[f64]| {
        let refused = named(scheduler).with_sigmas(given).schedule(20).unwrap_err();
        refused.to_string()
    };
    assert_eq!(
        sigmas("heun", &[1.0, 0.0]),
        "heun cannot follow the `sigmas` of the request: only euler takes them"
    );
    for given in [
        &[1.0][..],
        &[],
        &[0.0, 1.0],
        &[1.0, 1.0],
        &[1.0, -1.0],
        &[f64::NAN, 0.0],
        &[f64::INFINITY, 0.0],
    ] {
        assert_eq!(
            sigmas("euler", given),
            "euler cannot follow the `sigmas` of the request: give at least two numbers, each below the one before, down to 0"
        );
    }
}

#[test]
fn what_cannot_begin_with_a_picture_is_refused() {
    let error = |changes: Value, name: &str, first_step: u64, keeps_a_part: bool| {
        let config = with(&changes).with_name(name.parse().unwrap());
        let schedule = config.from_picture(first_step, keeps_a_part).schedule(10);
        schedule.map(|schedule| schedule.calls.len()).map_err(|error| error.to_string())
    };
    let first = || json!({"skip_prk_steps": false});
    let whole = |keeps_a_part| error(first(), "PNDMScheduler", 0, keeps_a_part);
    let begins = "pndm cannot begin with a picture and a strength below 1: its Runge-Kutta steps \
                  (`skip_prk_steps` is off) are the first of a schedule; take another scheduler";
    assert_eq!(error(first(), "PNDMScheduler", 3, false), Err(begins.to_owned()));
    assert!(whole(true).unwrap_err().starts_with("pndm cannot keep a part of a picture: "));
    assert_eq!(whole(false), Ok(19), "12 of Runge-Kutta, and 7");
    assert_eq!(error(first(), "pndm", 3, true), Ok(8));
    let third = json!({"solver_order": 3});
    let class = "DPMSolverSinglestepScheduler";
    let told = error(third.clone(), class, 3, true).unwrap_err();
    assert!(told.starts_with("dpm++_2s cannot keep a part of a picture: "), "{told}");
    assert_eq!(error(third.clone(), class, 3, false), Ok(7));
    assert_eq!(error(third, "dpm++_2s", 3, true), Ok(7), "the short name is of the second order");
    let told = error(json!({}), "ipndm", 0, false).unwrap_err();
    assert!(told.starts_with("ipndm cannot begin with a picture: "), "{told}");
    assert_eq!(error(json!({}), "heun", 3, true), Ok(13), "two calls for each step but the last");
}

#[test]
fn a_picture_is_as_noisy_as_the_call_expects() {
    let noisings = |name: &str| -> Vec<(f32, f32)> {
        let config = with(&json!({})).with_name(name.parse().unwrap());
        let calls = config.from_picture(1, false).schedule(3).unwrap().calls;
        calls.iter().map(|call| (call.noising.picture, call.noising.noise)).collect()
    };
    // The sum of both squares is 1 if the latents have the variance of the training's.
    for (picture, noise) in [noisings("ddim"), noisings("dpm++_2m")].concat() {
        assert!((picture * picture + noise * noise - 1.0).abs() < 1e-6, "{picture} {noise}");
    }
    for name in ["euler", "heun", "dpm2_a", "edm_euler"] {
        let of_calls = noisings(name);
        assert!(
            of_calls.iter().all(|(picture, _)| picture.to_bits() == 1.0_f32.to_bits()),
            "{name}"
        );
        assert!(of_calls.is_sorted_by(|(_, one), (_, next)| one >= next), "{name}");
    }
}

#[test]
fn a_last_step_without_a_finite_result_is_refused() {
    let message = refusal(&json!({"lower_order_final": false}), "UniPCMultistepScheduler", 10);
    assert!(
        message.ends_with("set `lower_order_final` to true, or `final_sigmas_type` to sigma_min"),
        "{message}"
    );
}

#[test]
fn files_that_hold_no_configuration_are_refused() {
    let missing =
        SchedulerConfig::read(Path::new("no/such/scheduler_config.json")).unwrap_err().to_string();
    assert!(
        missing.starts_with(
            "cannot read the scheduler's configuration no/such/scheduler_config.json: "
        ),
        "{missing}"
    );
    for text in ["", "[]", "{\"a\": ", "{\"a\": -Infinite}", "\"\\"] {
        let message =
            SchedulerConfig::from_json(text, Path::new("some/file.json")).unwrap_err().to_string();
        assert!(message.starts_with("some/file.json is no scheduler configuration: "), "{message}");
    }
    let written = tempfile::NamedTempFile::new().unwrap();
    fs::write(written.path(), stable_diffusion().to_string()).unwrap();
    assert_eq!(
        SchedulerConfig::read(written.path()).unwrap().schedule(20).unwrap(),
        with(&json!({})).schedule(20).unwrap()
    );
}
