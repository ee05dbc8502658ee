use super::*;

fn everything() -> Inventory {
    Inventory {
        tpu_plugin: Ok("libtpu.so".into()),
        tpu_hardware: Ok("TPU v5e".into()),
        tpu_answers_at_once: false,
        xla_cpu_plugin: Ok("xla_cpu_pjrt.so".into()),
        xla_cuda_plugin: Ok("xla_cuda_plugin.so".into()),
    }
}

fn request(device: DeviceName) -> Request {
    Request { device, ..Request::default() }
}

#[test]
fn names_parse_and_print_alike() {
    for name in ["auto", "tpu", "cuda", "cuda:3", "mps", "cpu", "xla-cpu", "xla-cuda"] {
        assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
    }
    let error = "gpu".parse::<DeviceName>().unwrap_err().to_string();
    assert!(error.contains("`gpu`") && error.contains("xla-cpu"), "{error}");
    assert!("cuda:x".parse::<DeviceName>().is_err());
}

#[test]
fn auto_takes_the_tpu_only_where_library_and_hardware_are_there() {
    assert_eq!(choose(Request::default(), &everything()).unwrap().selected, XlaDevice::Tpu);
    let no_hardware = Inventory { tpu_hardware: Err("no TPU is attached".into()), ..everything() };
    let choice = choose(Request::default(), &no_hardware).unwrap();
    assert_eq!(choice.selected, XlaDevice::XlaCpu);
    assert!(choice.reason.contains("no TPU is attached"), "{}", choice.reason);
    assert!(choice.warnings.is_empty(), "auto falling to the CPU is no surprise");
    let no_library = Inventory { tpu_plugin: Err("libtpu is nowhere".into()), ..everything() };
    assert_eq!(choose(Request::default(), &no_library).unwrap().selected, XlaDevice::XlaCpu);
}

#[test]
fn auto_with_nothing_installed_says_what_to_install() {
    let nothing = Inventory {
        tpu_plugin: Err("install tpu".into()),
        xla_cpu_plugin: Err("install xla-cpu".into()),
        xla_cuda_plugin: Err("install xla-cuda".into()),
        ..everything()
    };
    let error = choose(Request::default(), &nothing).unwrap_err().to_string();
    assert!(error.contains("install xla-cpu") && error.contains("install tpu"), "{error}");
}

#[test]
fn a_named_device_that_is_missing_falls_to_the_cpu_with_a_warning_or_fails_when_strict() {
    let inventory = Inventory { xla_cuda_plugin: Err("it is nowhere".into()), ..everything() };
    let choice = choose(request(DeviceName::XlaCuda), &inventory).unwrap();
    assert_eq!(choice.selected, XlaDevice::XlaCpu);
    assert!(choice.warnings[0].contains("xla-cuda"), "{:?}", choice.warnings);
    let strict = Request { strict: true, ..request(DeviceName::XlaCuda) };
    assert!(matches!(choose(strict, &inventory), Err(DeviceError::Unavailable { device: DeviceName::XlaCuda, .. })));
}

#[test]
fn torch_devices_are_refused_in_words() {
    for device in [DeviceName::Cuda(0), DeviceName::Mps, DeviceName::Cpu] {
        let error = choose(request(device), &everything()).unwrap_err().to_string();
        assert!(error.contains("libtorch") && error.contains("xla-cpu"), "{error}");
    }
}

#[test]
fn the_tpu_switches_force_and_forbid() {
    let with = |tpu, device| Request { tpu, ..request(device) };
    assert_eq!(choose(with(TpuSwitch::Enabled, DeviceName::Auto), &everything()).unwrap().selected, XlaDevice::Tpu);
    let none = Inventory { tpu_hardware: Err("no TPU is attached".into()), ..everything() };
    assert!(choose(with(TpuSwitch::Enabled, DeviceName::Auto), &none).unwrap_err().to_string().contains("/dev/accel"));
    assert!(matches!(
        choose(with(TpuSwitch::Enabled, DeviceName::XlaCpu), &everything()),
        Err(DeviceError::Contradiction { .. })
    ));
    assert_eq!(choose(with(TpuSwitch::Disabled, DeviceName::Auto), &everything()).unwrap().selected, XlaDevice::XlaCpu);
    assert!(choose(with(TpuSwitch::Disabled, DeviceName::Tpu), &everything()).is_err());
}

#[test]
fn libtpu_that_answers_at_once_may_be_asked_without_device_files() {
    let inventory =
        Inventory { tpu_hardware: Err("no TPU is attached".into()), tpu_answers_at_once: true, ..everything() };
    assert_eq!(choose(request(DeviceName::Tpu), &inventory).unwrap().selected, XlaDevice::Tpu);
}
