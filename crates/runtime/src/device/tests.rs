use super::*;
use crate::WarningKind;

fn everything() -> Inventory {
    Inventory {
        tpu_plugin: Ok("libtpu.so".into()),
        tpu_hardware: Ok("TPU v5e".into()),
        tpu_answers_at_once: false,
        xla_cpu_plugin: Ok("xla_cpu_pjrt.so".into()),
        xla_cuda_plugin: Ok("xla_cuda_plugin.so".into()),
        torch: Err("that was not installed".into()),
        mlx: None,
        system: OperatingSystem::Linux,
    }
}

fn request(device: DeviceName) -> DeviceRequest {
    DeviceRequest { device, ..DeviceRequest::default() }
}

#[test]
fn names_parse_and_print_alike() {
    for name in ["auto", "tpu", "cuda", "cuda:3", "mps", "cpu", "xla-cpu", "xla-cuda"] {
        assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
    }
    let error = "gpu".parse::<DeviceName>().unwrap_err().to_string();
    assert!(error.contains("`gpu`") && error.contains("xla-cpu"), "{error}");
    assert!("cuda:x".parse::<DeviceName>().is_err());
    let error = "mlx".parse::<DeviceName>().unwrap_err().to_string();
    assert!(error.contains("MLX is a framework of its own") && error.contains("mps"), "{error}");
}

#[test]
fn auto_takes_the_tpu_only_where_library_and_hardware_are_there() {
    assert_eq!(
        choose(DeviceRequest::default(), &everything()).unwrap().selected.xla(),
        Some(XlaDevice::Tpu)
    );
    let no_hardware = Inventory { tpu_hardware: Err("no TPU is attached".into()), ..everything() };
    let choice = choose(DeviceRequest::default(), &no_hardware).unwrap();
    assert_eq!(choice.selected.xla(), Some(XlaDevice::XlaCpu));
    assert!(choice.reason.contains("no TPU is attached"), "{}", choice.reason);
    assert!(choice.warnings.is_empty(), "auto falling to the CPU is no surprise");
    let no_library = Inventory { tpu_plugin: Err("libtpu is nowhere".into()), ..everything() };
    assert_eq!(
        choose(DeviceRequest::default(), &no_library).unwrap().selected.xla(),
        Some(XlaDevice::XlaCpu)
    );
}

#[test]
fn auto_with_nothing_installed_says_what_to_install() {
    let nothing = Inventory {
        tpu_plugin: Err("install tpu".into()),
        xla_cpu_plugin: Err("install xla-cpu".into()),
        xla_cuda_plugin: Err("install xla-cuda".into()),
        ..everything()
    };
    let error = choose(DeviceRequest::default(), &nothing).unwrap_err().to_string();
    assert!(error.contains("install xla-cpu") && error.contains("install tpu"), "{error}");
}

#[test]
fn a_named_device_that_is_missing_falls_to_the_cpu_with_a_warning_or_fails_when_strict() {
    let inventory = Inventory { xla_cuda_plugin: Err("it is nowhere".into()), ..everything() };
    let choice = choose(request(DeviceName::XlaCuda), &inventory).unwrap();
    assert_eq!(choice.selected.xla(), Some(XlaDevice::XlaCpu));
    assert!(choice.warnings[0].text.contains("xla-cuda"), "{:?}", choice.warnings);
    assert_eq!(choice.warnings[0].kind, WarningKind::DeviceReplaced);
    let strict = DeviceRequest { strict: true, ..request(DeviceName::XlaCuda) };
    assert!(matches!(
        choose(strict, &inventory),
        Err(DeviceError::Unavailable { device: DeviceName::XlaCuda, .. })
    ));
}

#[test]
fn without_libtorch_its_devices_fall_to_xla_cpu_with_a_warning_or_fail_when_strict() {
    for device in [DeviceName::Cuda(0), DeviceName::Mps, DeviceName::Cpu] {
        let choice = choose(request(device), &everything()).unwrap();
        assert_eq!(choice.selected.xla(), Some(XlaDevice::XlaCpu));
        let warning = &choice.warnings[0];
        assert!(
            warning.text.ends_with("which cannot be used: that was not installed"),
            "{warning}"
        );
        let error = choose(DeviceRequest { strict: true, ..request(device) }, &everything())
            .unwrap_err()
            .to_string();
        assert!(error.contains("libtorch") && error.contains("xla-cpu"), "{error}");
    }
}

#[test]
fn a_reason_in_short_ends_where_its_list_of_places_begins() {
    for (reason, short) in [
        ("no TPU is attached", "no TPU is attached"),
        (
            "the tpu plugin was found nowhere; looked at:\n  TPU_LIBRARY_PATH: not set\nrun this",
            "the tpu plugin was found nowhere",
        ),
        (
            "it is not installed; it was looked for at\n  data folder: not there\nTo get it, run this",
            "it is not installed",
        ),
        ("the plugin failed: out of\nmemory\n", "the plugin failed: out of memory"),
    ] {
        assert_eq!(in_short(reason), short);
    }
}

#[test]
fn the_tpu_switches_force_and_forbid() {
    let with = |tpu, device| DeviceRequest { tpu, ..request(device) };
    assert_eq!(
        choose(with(TpuSwitch::Enabled, DeviceName::Auto), &everything()).unwrap().selected.xla(),
        Some(XlaDevice::Tpu)
    );
    let none = Inventory { tpu_hardware: Err("no TPU is attached".into()), ..everything() };
    assert!(
        choose(with(TpuSwitch::Enabled, DeviceName::Auto), &none)
            .unwrap_err()
            .to_string()
            .contains("no TPU is attached")
    );
    assert!(matches!(
        choose(with(TpuSwitch::Enabled, DeviceName::XlaCpu), &everything()),
        Err(DeviceError::Contradiction { .. })
    ));
    assert_eq!(
        choose(with(TpuSwitch::Disabled, DeviceName::Auto), &everything()).unwrap().selected.xla(),
        Some(XlaDevice::XlaCpu)
    );
    let disabled = with(TpuSwitch::Disabled, DeviceName::Tpu);
    let choice = choose(disabled, &everything()).unwrap();
    assert_eq!(choice.selected.xla(), Some(XlaDevice::XlaCpu));
    assert!(choice.warnings[0].text.contains("TPUs is switched off"), "{:?}", choice.warnings);
    assert_eq!(
        choose(DeviceRequest { strict: true, ..disabled }, &everything()),
        Err(DeviceError::TpuSwitchedOff)
    );
}

#[test]
fn libtpu_that_answers_at_once_may_be_asked_without_device_files() {
    let inventory = Inventory {
        tpu_hardware: Err("no TPU is attached".into()),
        tpu_answers_at_once: true,
        ..everything()
    };
    assert_eq!(
        choose(request(DeviceName::Tpu), &inventory).unwrap().selected.xla(),
        Some(XlaDevice::Tpu)
    );
}

fn torch(id: TorchId, name: &str) -> TorchDevice {
    TorchDevice {
        position: 0,
        id,
        name: name.to_owned(),
        total_bytes: Some(8 << 30),
        free_bytes: Some(7 << 30),
        compute_capability: None,
        rocm: false,
        problem: None,
    }
}

/// A machine without a TPU, whose libtorch has these devices and the CPU.
fn with_torch(system: OperatingSystem, gpus: &[TorchDevice]) -> Inventory {
    let offered = gpus.iter().cloned().chain([torch(TorchId::Cpu, "the CPU")]).collect();
    Inventory {
        tpu_plugin: Err("libtpu is nowhere".into()),
        torch: Ok(offered),
        system,
        ..everything()
    }
}

fn selected(device: DeviceName, inventory: &Inventory) -> String {
    choose(request(device), inventory).unwrap().selected.to_string()
}

#[test]
fn auto_takes_the_best_device_of_libtorch() {
    use OperatingSystem::{Linux, MacOs};
    let [first, second] = [0, 1].map(|index| torch(TorchId::Cuda(index), "card"));
    let mps = torch(TorchId::Mps, "Apple M2");
    let old = TorchDevice { problem: Some("it is too old".into()), ..first.clone() };
    for (system, gpus, expected) in [
        (Linux, vec![], "cpu"),
        (Linux, vec![first.clone(), second.clone()], "cuda"),
        (Linux, vec![second.clone(), first.clone()], "cuda:1"),
        (Linux, vec![old.clone(), second], "cuda:1"),
        (Linux, vec![old], "cpu"),
        (MacOs, vec![mps.clone()], "mps"),
        (MacOs, vec![first.clone(), mps.clone()], "mps"),
        (Linux, vec![mps, first], "cuda"),
    ] {
        let inventory = with_torch(system, &gpus);
        assert_eq!(selected(DeviceName::Auto, &inventory), expected, "{gpus:?}");
        let with_tpu = Inventory { tpu_plugin: Ok("libtpu.so".into()), ..inventory };
        assert_eq!(selected(DeviceName::Auto, &with_tpu), "tpu");
    }
    let nothing_usable = Inventory { torch: Ok(Vec::new()), ..with_torch(Linux, &[]) };
    assert_eq!(selected(DeviceName::Auto, &nothing_usable), "xla-cpu");
}

#[test]
fn the_reason_says_what_else_is_there() {
    let radeon = TorchDevice { rocm: true, ..torch(TorchId::Cuda(0), "Radeon") };
    let old =
        TorchDevice { problem: Some("it is too old".into()), ..torch(TorchId::Cuda(1), "GTX 970") };
    let inventory = with_torch(OperatingSystem::Linux, &[radeon, old]);
    let reason = choose(DeviceRequest::default(), &inventory).unwrap().reason;
    for words in [
        "libtpu is nowhere",
        "cuda (Radeon, ROCm, 8.0 GiB) is there",
        "cuda:1 (GTX 970",
        "it is too old",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_device_of_libtorch_that_is_missing_falls_to_its_cpu_or_fails_when_strict() {
    use OperatingSystem::{Linux, MacOs};
    let card = torch(TorchId::Cuda(0), "RTX 3060");
    let old = TorchDevice { problem: Some("it is too old".into()), ..card.clone() };
    for (device, inventory, why) in [
        (DeviceName::Cuda(7), with_torch(Linux, &[card]), "the cards here are cuda (RTX 3060"),
        (DeviceName::Cuda(0), with_torch(Linux, &[old]), "it is too old"),
        (DeviceName::Cuda(0), with_torch(Linux, &[]), "nvidia-smi"),
        (DeviceName::Cuda(0), with_torch(MacOs, &[]), "its GPU is mps"),
        (DeviceName::Mps, with_torch(Linux, &[]), "this machine runs Linux"),
        (DeviceName::Mps, with_torch(MacOs, &[]), "outside of Docker"),
    ] {
        let choice = choose(request(device), &inventory).unwrap();
        assert_eq!(choice.selected.to_string(), "cpu");
        assert!(choice.warnings[0].text.contains(why), "{choice:?}");
        assert_eq!(choice.warnings[0].kind, WarningKind::DeviceReplaced);
        let error =
            choose(DeviceRequest { strict: true, ..request(device) }, &inventory).unwrap_err();
        assert!(
            matches!(error, DeviceError::Unavailable { .. }) && error.to_string().contains(why),
            "{error}"
        );
    }
}

#[test]
fn stages_have_devices_of_their_own_among_those_of_libtorch() {
    let inventory = with_torch(OperatingSystem::Linux, &[torch(TorchId::Cuda(0), "card")]);
    let own = StageDevices { text_encoder: Some(DeviceName::Cpu), vae: Some(DeviceName::Auto) };
    let choices = choose_for_stages(DeviceRequest::default(), own, &inventory).unwrap();
    assert_eq!(choices.text_encoder.selected.to_string(), "cpu");
    assert!(
        choices.text_encoder.reason.contains(", for the text encoders"),
        "{}",
        choices.text_encoder.reason
    );
    assert_eq!(choices.vae, choices.denoiser);

    let vae = |vae| StageDevices { vae: Some(vae), ..StageDevices::default() };
    let mixed = choose_for_stages(DeviceRequest::default(), vae(DeviceName::XlaCpu), &inventory)
        .unwrap_err();
    assert!(mixed.to_string().contains("`xla-cpu` of the VAE does not go with `cuda`"), "{mixed}");
    let compiled = choose_for_stages(request(DeviceName::XlaCpu), vae(DeviceName::Cpu), &inventory)
        .unwrap_err();
    assert!(compiled.to_string().contains("compiled graphs run on one device"), "{compiled}");
    let same = choose_for_stages(request(DeviceName::XlaCpu), vae(DeviceName::XlaCpu), &inventory)
        .unwrap();
    assert_eq!(same.vae.selected, same.denoiser.selected);
}

#[test]
fn bfloat16_is_native_from_ampere_and_from_rdna_3() {
    let of = |rocm, capability| {
        let card =
            TorchDevice { rocm, compute_capability: capability, ..torch(TorchId::Cuda(0), "card") };
        Precisions::default().of(StageKind::Denoiser, Arithmetic::from(&card)).dtype.to_string()
    };
    for (rocm, capability, dtype) in [
        (false, Some((7, 5)), "float16"),
        (false, Some((8, 0)), "bfloat16"),
        (false, Some((12, 0)), "bfloat16"),
        (false, None, "bfloat16"),
        (true, Some((9, 4)), "bfloat16"),
        (true, Some((10, 3)), "float16"),
        (true, Some((11, 0)), "bfloat16"),
    ] {
        assert_eq!(of(rocm, capability), dtype, "{rocm} {capability:?}");
    }
    let gtx = TorchDevice {
        compute_capability: Some((7, 5)),
        ..torch(TorchId::Cuda(0), "NVIDIA GeForce GTX 1660 Ti")
    };
    assert_eq!(
        Precisions::default().of(StageKind::Denoiser, Arithmetic::from(&gtx)).dtype.to_string(),
        "float32"
    );
}
