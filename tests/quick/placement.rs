//! What does preheat decide on described machines: which device, which dtype for each stage, what
//! is offloaded, and where every tensor goes? `tests/placement/machines.txt` has all decisions in a
//! form that people can read. With `PREHEAT_BLESS=1` in the environment, that file is written
//! instead of compared.

#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::fmt::Write as _;
use std::path::Path;

use preheat_diffusion::models::{ModelFolder, denoiser, text_encoder, vae_decoder};
use preheat_ir::graph::{GraphError, Verified, autocast};
use preheat_runtime::device::offload::{Mode, Offload};
use preheat_runtime::device::placement::{PlacementPlan, Slot, Stage};
use preheat_runtime::device::{
    Arithmetic, DeviceName, DeviceRequest, Inventory, OperatingSystem, Precisions, Selected,
    StageChoices, StageDevices, StageKind, TorchDevice, TorchId, batch, choose, choose_for_stages,
};

const GIB: u64 = 1 << 30;

fn device(id: TorchId, name: &str, gib: u64) -> TorchDevice {
    let total_bytes = Some(gib * GIB);
    // A desktop uses about a twentieth of a card's memory.
    let free_bytes = Some(gib * GIB / 100 * 95);
    let (name, compute_capability) = (name.to_owned(), None);
    TorchDevice {
        position: 0,
        id,
        name,
        total_bytes,
        free_bytes,
        compute_capability,
        rocm: false,
        problem: None,
    }
}

fn card(index: u32, name: &str, gib: u64, compute_capability: (u32, u32)) -> TorchDevice {
    TorchDevice {
        compute_capability: Some(compute_capability),
        ..device(TorchId::Cuda(index), name, gib)
    }
}

fn cpu() -> TorchDevice {
    device(TorchId::Cpu, "16 cores", 32)
}

fn machine(system: OperatingSystem, torch: Result<Vec<TorchDevice>, String>) -> Inventory {
    Inventory {
        tpu_plugin: Err("libtpu is not installed".to_owned()),
        tpu_hardware: Err("no TPU is attached".to_owned()),
        tpu_answers_at_once: false,
        xla_cpu_plugin: Ok("xla_cpu_pjrt.so".into()),
        xla_cuda_plugin: Err("it is not installed".to_owned()),
        torch,
        mlx: None,
        system,
    }
}

fn machines() -> Vec<(&'static str, Inventory)> {
    let linux = |cards: Vec<TorchDevice>| {
        machine(OperatingSystem::Linux, Ok(cards.into_iter().chain([cpu()]).collect()))
    };
    let radeon = TorchDevice { rocm: true, ..card(0, "AMD Radeon RX 7900 XTX", 24, (11, 0)) };
    let silent = TorchDevice {
        total_bytes: None,
        free_bytes: None,
        ..card(0, "a card that tells nothing", 0, (9, 0))
    };
    let mac = vec![device(TorchId::Mps, "Apple M2", 16), device(TorchId::Cpu, "Apple M2", 16)];
    vec![
        ("a 4 GB card", linux(vec![card(0, "NVIDIA GeForce RTX 3050", 4, (8, 6))])),
        (
            "an 8 GB card without bfloat16",
            linux(vec![card(0, "NVIDIA GeForce RTX 2070", 8, (7, 5))]),
        ),
        (
            "a 6 GB card that breaks in float16",
            linux(vec![card(0, "NVIDIA GeForce GTX 1660", 6, (7, 5))]),
        ),
        ("a 24 GB card", linux(vec![card(0, "NVIDIA GeForce RTX 4090", 24, (8, 9))])),
        (
            "two cards",
            linux(vec![
                card(0, "NVIDIA GeForce RTX 3060", 12, (8, 6)),
                card(1, "NVIDIA GeForce RTX 4090", 24, (8, 9)),
            ]),
        ),
        ("ROCm", linux(vec![radeon])),
        ("a card of unknown memory", linux(vec![silent])),
        ("an M2 Mac", machine(OperatingSystem::MacOs, Ok(mac))),
        ("no card", linux(Vec::new())),
        ("no libtorch", machine(OperatingSystem::Linux, Err("it is not installed".to_owned()))),
    ]
}

/// The stages of a model: name, kind and graph in float32.
fn stages(model: &str, size_px: u64, batch: u64) -> Vec<(&'static str, StageKind, Verified)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/configs").join(model);
    let folder = ModelFolder::open(&folder).unwrap();
    let names = ["text_encoder", "text_encoder_2"];
    let encoders = folder.text_encoders().iter().zip(folder.text_outputs(0)).zip(names);
    let mut stages: Vec<_> = encoders
        .map(|((config, outputs), name)| {
            (name, StageKind::TextEncoder, text_encoder(config, outputs).unwrap())
        })
        .collect();
    let sides = [size_px / 8; 2];
    let spec = folder.denoiser_spec(true, batch, sides);
    stages.push(("denoiser", StageKind::Denoiser, denoiser(folder.unet(), &spec).unwrap()));
    let vae = StageKind::Vae { force_upcast: folder.vae().force_upcast };
    stages.push(("vae_decoder", vae, vae_decoder(folder.vae(), sides).unwrap()));
    stages
}

/// The plan for a model whose stages run on the devices that `choices` has.
fn plan(
    model: &str,
    size_px: u64,
    batch: u64,
    choices: &StageChoices,
    offload: Offload,
) -> Result<PlacementPlan, GraphError> {
    let mut cast = Vec::new();
    for (name, kind, function) in stages(model, size_px, batch) {
        let choice = match kind {
            StageKind::TextEncoder => &choices.text_encoder,
            StageKind::Denoiser => &choices.denoiser,
            StageKind::Vae { .. } => &choices.vae,
        };
        let device = choice.selected.torch().unwrap();
        let dtype = Precisions::default().of(kind, Arithmetic::from(device));
        cast.push((name, kind, autocast(&function, dtype.dtype)?, device, dtype));
    }
    let stages: Vec<Stage<'_>> = cast
        .iter()
        .map(|(name, kind, function, device, dtype)| Stage {
            name,
            kind: *kind,
            function,
            device,
            dtype: dtype.clone(),
        })
        .collect();
    Ok(PlacementPlan::of(&stages, offload, None))
}

/// The plan with every stage on one card.
fn on_a_card(size_px: u64, offload: Offload) -> PlacementPlan {
    let (_, machine) = machines().swap_remove(3);
    let choices =
        choose_for_stages(DeviceRequest::default(), StageDevices::default(), &machine).unwrap();
    plan("sd15", size_px, 1, &choices, offload).unwrap()
}

/// Writes slots to `text`; adjacent slots that differ only in their names share a line.
fn slots(text: &mut String, arrow: &str, slots: &[Slot]) {
    let alike = |a: &Slot, b: &Slot| (a.class, &a.kind, a.rests) == (b.class, &b.kind, b.rests);
    for group in slots.chunk_by(alike) {
        let names: Vec<&str> = group.iter().map(|slot| slot.name.as_str()).collect();
        let Slot { class, kind, rests, executes, .. } = &group[0];
        let (from, to) = if arrow == "<-" { (executes, rests) } else { (rests, executes) };
        writeln!(text, "      {arrow} {class:8} {}: {kind}, {from} to {to}", names.join(", "))
            .unwrap();
    }
}

fn described(choices: &StageChoices) -> String {
    let choice = &choices.denoiser;
    let mut text = format!("  device: {}; {}\n", choice.selected, choice.reason);
    for (stage, own) in [("text encoder", &choices.text_encoder), ("VAE", &choices.vae)] {
        if own != choice {
            writeln!(text, "  device of the {stage}: {}; {}", own.selected, own.reason).unwrap();
        }
    }
    let Selected::Torch(device) = &choice.selected else { return text };
    for (model, size_px) in [("sd15", 512), ("sdxl", 1024)] {
        let batch = batch::automatic(device.id, |batch| {
            plan(model, size_px, batch, choices, Offload::Auto)
        })
        .unwrap();
        let plan = plan(model, size_px, 1, choices, Offload::Auto).unwrap();
        writeln!(
            text,
            "  {model}, {size_px}x{size_px}; --batch auto: {}, {}",
            batch.size, batch.reason
        )
        .unwrap();
        for decision in &plan.devices {
            writeln!(text, "    {decision}").unwrap();
        }
        for stage in &plan.stages {
            writeln!(text, "    {stage}").unwrap();
            if model == "sd15" {
                slots(&mut text, "->", &stage.inputs);
                slots(&mut text, "<-", &stage.outputs);
            }
        }
    }
    text
}

#[test]
fn machines_are_decided_on_as_the_file_says() {
    let mut text = String::new();
    for (name, inventory) in machines() {
        let choices =
            choose_for_stages(DeviceRequest::default(), StageDevices::default(), &inventory)
                .unwrap();
        writeln!(text, "{name}\n{}", described(&choices)).unwrap();
    }
    let (_, two_cards) = machines().swap_remove(4);
    let own = StageDevices { text_encoder: Some(DeviceName::Cpu), vae: Some(DeviceName::Cuda(1)) };
    let choices = choose_for_stages(DeviceRequest::default(), own, &two_cards).unwrap();
    writeln!(
        text,
        "two cards, --text-encoder-device cpu --vae-device cuda:1\n{}",
        described(&choices)
    )
    .unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/placement/machines.txt");
    if std::env::var_os("PREHEAT_BLESS").is_some() {
        return std::fs::write(file, text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    for (at, (have, want)) in text.lines().zip(kept.lines()).enumerate() {
        assert_eq!(have, want, "line {}; PREHEAT_BLESS=1 writes the file anew", at + 1);
    }
    assert_eq!(text.lines().count(), kept.lines().count(), "PREHEAT_BLESS=1 writes the file anew");
}

#[test]
fn sequential_takes_under_a_tenth_of_what_none_takes() {
    // At this size, most of the card's memory is needed for weights, not for activations.
    let plan = on_a_card(128, Offload::Always(Mode::Sequential));
    let figures = plan.devices[0].figures;
    assert!(figures.sequential * 10 < figures.none, "{figures:?}");
}

#[test]
fn the_weights_of_the_denoiser_are_those_of_diffusers() {
    let plan = on_a_card(512, Offload::Auto);
    let denoiser = plan.stages.iter().find(|stage| stage.name == "denoiser").unwrap();
    // 859,520,964 parameters of two bytes, and the norms, which keep four bytes for each parameter.
    let bytes = denoiser.need.weight_bytes;
    assert!((2 * 859_520_964..2 * 859_520_964 + (1 << 20)).contains(&bytes), "{bytes}");
}

#[test]
fn a_device_is_named_by_its_index() {
    let (_, two) = machines().swap_remove(4);
    let named =
        |device| choose(DeviceRequest { device, ..DeviceRequest::default() }, &two).unwrap();
    assert_eq!(
        named(DeviceName::Cuda(1)).selected.torch().unwrap().name,
        "NVIDIA GeForce RTX 4090"
    );
    let missing = named(DeviceName::Cuda(7));
    assert_eq!(missing.selected.to_string(), "cpu");
    assert!(
        missing.warnings[0].text.contains("cuda:1 (NVIDIA GeForce RTX 4090"),
        "{:?}",
        missing.warnings
    );
}
