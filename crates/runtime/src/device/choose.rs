//! Which device does a run go to, and which device does each stage go to?

use super::torch::Family;
use super::{
    DeviceChoice, DeviceError, DeviceName, DeviceRequest, Inventory, OperatingSystem, SWITCHED_OFF,
    Selected, TorchDevice, TorchId, TpuSwitch, XlaDevice,
};
use crate::backend::torch::FAKE_DEVICES_VARIABLE;
use crate::{Warning, WarningKind};

const NAMED: &str = "asked for by name";

/// Chooses the device for `request` among what `inventory` has.
///
/// # Errors
/// If the named device cannot be used and no CPU replaces it, if a TPU is required and cannot be
/// used or another device is named, or if the machine has no usable device at all.
pub fn choose(request: DeviceRequest, inventory: &Inventory) -> Result<DeviceChoice, DeviceError> {
    let requested = request.device;
    match (request.tpu, requested) {
        (TpuSwitch::Enabled, DeviceName::Auto | DeviceName::Tpu) => {
            let tpu = inventory.xla(XlaDevice::Tpu);
            return match tpu {
                Ok(tpu) => Ok(chosen(requested, tpu, "a TPU is required")),
                Err(why) => Err(DeviceError::Unavailable { device: DeviceName::Tpu, why }),
            };
        }
        (TpuSwitch::Enabled, other) => {
            return Err(DeviceError::Contradiction { device: other });
        }
        _ => {}
    }
    let found = match requested {
        DeviceName::Auto => return automatic(request, inventory),
        DeviceName::Tpu if request.tpu == TpuSwitch::Disabled => {
            return stand_in(request, inventory, DeviceError::TpuSwitchedOff);
        }
        DeviceName::Tpu => inventory.xla(XlaDevice::Tpu),
        DeviceName::XlaCpu => inventory.xla(XlaDevice::XlaCpu),
        DeviceName::XlaCuda => inventory.xla(XlaDevice::XlaCuda),
        DeviceName::Cuda(_) | DeviceName::Mps | DeviceName::Cpu | DeviceName::Fake(_) => {
            match &inventory.torch {
                Ok(offered) => {
                    torch_device(requested, offered, inventory.system).cloned().map(Selected::Torch)
                }
                Err(why) => {
                    return stand_in(
                        request,
                        inventory,
                        DeviceError::NoTorch { device: requested, why: why.clone() },
                    );
                }
            }
        }
    };
    match found {
        Ok(device) => Ok(chosen(requested, device, NAMED)),
        Err(why) => {
            stand_in(request, inventory, DeviceError::Unavailable { device: requested, why })
        }
    }
}

fn chosen(requested: DeviceName, selected: Selected, reason: impl Into<String>) -> DeviceChoice {
    DeviceChoice { requested, selected, reason: reason.into(), warnings: Vec::new() }
}

impl Inventory {
    fn xla(&self, device: XlaDevice) -> Result<Selected, String> {
        Ok(Selected::Xla { device, plugin: self.plugin(device)?.to_owned() })
    }

    /// The CPU through libtorch, if libtorch can be used.
    fn torch_cpu(&self) -> Option<Selected> {
        let offered = self.torch.as_deref().ok()?;
        offered
            .iter()
            .find(|device| device.id == TorchId::Cpu && device.is_usable())
            .cloned()
            .map(Selected::Torch)
    }
}

/// Chooses the device for `auto`. The order is tpu, cuda, mps, cpu; on a Mac, mps goes before cuda.
/// xla-cpu comes last, and is taken if libtorch cannot be used. xla-cuda is never chosen for
/// `auto`, because `auto` runs CUDA cards through libtorch.
fn automatic(request: DeviceRequest, inventory: &Inventory) -> Result<DeviceChoice, DeviceError> {
    let tpu = match request.tpu {
        TpuSwitch::Disabled => Err(SWITCHED_OFF.to_owned()),
        TpuSwitch::Unset | TpuSwitch::Enabled => inventory.xla(XlaDevice::Tpu),
    };
    let no_tpu = match tpu {
        Ok(tpu) => return Ok(chosen(request.device, tpu, "auto: a TPU and libtpu are there")),
        Err(why) => why,
    };
    let no_tpu_shortly = in_short(&no_tpu);
    let no_torch = match &inventory.torch {
        Ok(offered) => match best(offered, inventory.system) {
            Some(device) => {
                let reason =
                    format!("auto: no tpu ({no_tpu_shortly}), {}", why_best(device, offered));
                return Ok(chosen(request.device, Selected::Torch(device.clone()), reason));
            }
            None => "it offers no device that can be used".to_owned(),
        },
        Err(why) => why.clone(),
    };
    match inventory.xla(XlaDevice::XlaCpu) {
        Ok(cpu) => {
            let reason = format!(
                "auto: no tpu ({no_tpu_shortly}), and nothing through libtorch ({no_torch})"
            );
            Ok(chosen(request.device, cpu, reason))
        }
        Err(why) => Err(DeviceError::None {
            why: format!("xla-cpu: {why}; tpu: {no_tpu}; libtorch: {no_torch}"),
        }),
    }
}

/// The device that `auto` takes among `offered`: the first usable device of the best kind that is
/// there.
fn best(offered: &[TorchDevice], system: OperatingSystem) -> Option<&TorchDevice> {
    let order = match system {
        OperatingSystem::MacOs => [Family::Mps, Family::Cuda, Family::Cpu],
        _ => [Family::Cuda, Family::Mps, Family::Cpu],
    };
    let first =
        |backend| offered.iter().find(|device| Family::of(device) == backend && device.is_usable());
    order.into_iter().find_map(first)
}

/// Why `device` is the best of `offered`, and which other devices there are.
fn why_best(device: &TorchDevice, offered: &[TorchDevice]) -> String {
    let others = offered.iter().filter(|other| other.id != device.id && other.id != TorchId::Cpu);
    let others: Vec<String> = others
        .map(|other| match &other.problem {
            Some(problem) => format!("{} cannot be used: {problem}", other.label()),
            None => format!("{} is there, too", other.label()),
        })
        .collect();
    let found = match device.id {
        TorchId::Cpu => "and libtorch sees no GPU that it can use".to_owned(),
        _ => format!("and {} is there", device.label()),
    };
    if others.is_empty() { found } else { format!("{found}; {}", others.join("; ")) }
}

/// The device of that name among `offered`, or why there is none.
fn torch_device(
    name: DeviceName,
    offered: &[TorchDevice],
    system: OperatingSystem,
) -> Result<&TorchDevice, String> {
    let id = match name {
        DeviceName::Cuda(index) => TorchId::Cuda(index),
        DeviceName::Mps => TorchId::Mps,
        DeviceName::Fake(index) => TorchId::Fake(index),
        _ => TorchId::Cpu,
    };
    let Some(device) = offered.iter().find(|device| device.id == id) else {
        return Err(why_absent(id, offered, system));
    };
    match &device.problem {
        Some(problem) => Err(format!("{}: {problem}", device.label())),
        None => Ok(device),
    }
}

fn why_absent(id: TorchId, offered: &[TorchDevice], system: OperatingSystem) -> String {
    let cards = offered.iter().filter(|device| Family::of(device) == Family::Cuda);
    let cards: Vec<String> = cards.map(TorchDevice::label).collect();
    match (id, system) {
        (TorchId::Cuda(_), _) if !cards.is_empty() => format!("the cards here are {}", cards.join(" and ")),
        (TorchId::Cuda(_), OperatingSystem::MacOs) => "a Mac has no CUDA card; its GPU is mps".to_owned(),
        (TorchId::Cuda(_), _) => {
            "libtorch sees no CUDA card: is one there (`nvidia-smi`), and does the libtorch that was installed have CUDA?".to_owned()
        }
        (TorchId::Mps, OperatingSystem::MacOs) => {
            "libtorch offers none: it needs Apple silicon, macOS 14 or later, and a process outside of Docker".to_owned()
        }
        (TorchId::Mps, _) => format!("it is Apple's GPU, and this machine runs {system}"),
        (TorchId::Cpu, _) => "libtorch offers no CPU".to_owned(),
        (TorchId::Fake(_), _) => format!("{FAKE_DEVICES_VARIABLE} names none of that number"),
    }
}

/// Chooses the CPU in place of the device that was asked for, which cannot be used (`unavailable`).
/// If both XLA and libtorch can use the CPU, the one that drives the requested device is taken.
fn stand_in(
    request: DeviceRequest,
    inventory: &Inventory,
    unavailable: DeviceError,
) -> Result<DeviceChoice, DeviceError> {
    let device = request.device;
    let xla_cpu = || inventory.xla(XlaDevice::XlaCpu).ok().filter(|_| device != DeviceName::XlaCpu);
    let found = match device {
        _ if request.strict => None,
        DeviceName::Cuda(_) | DeviceName::Mps | DeviceName::Cpu | DeviceName::Fake(_) => {
            inventory.torch_cpu().or_else(xla_cpu)
        }
        _ => xla_cpu().or_else(|| inventory.torch_cpu()),
    };
    let Some(found) = found else { return Err(unavailable) };
    let why = match &unavailable {
        DeviceError::Unavailable { why, .. } => in_short(why),
        DeviceError::NoTorch { why, .. } => {
            format!("it runs through libtorch, which cannot be used: {}", in_short(why))
        }
        DeviceError::TpuSwitchedOff => SWITCHED_OFF.to_owned(),
        other => other.to_string(),
    };
    let warning = Warning::new(
        WarningKind::DeviceReplaced,
        format!("device `{device}` cannot be used, running on {found} instead: {why}"),
    );
    let reason = format!("{device} cannot be used, so {found} is used instead");
    Ok(DeviceChoice { warnings: vec![warning], ..chosen(device, found, reason) })
}

/// A reason in one line. The list of places with which some reasons end is left out, and so are the
/// words that introduce the list.
pub fn in_short(reason: &str) -> String {
    let (first, rest) = reason.split_once('\n').unwrap_or((reason, ""));
    let leads_to_a_list = rest.starts_with(' ');
    match first.rsplit_once("; ") {
        Some((reason, _)) if leads_to_a_list => reason.to_owned(),
        _ if leads_to_a_list => first.trim_end_matches(':').to_owned(),
        _ => reason
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// The devices for single stages. `None` and [`DeviceName::Auto`] stand for the denoiser's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageDevices {
    /// For the text encoders.
    pub text_encoder: Option<DeviceName>,
    /// For the VAE.
    pub vae: Option<DeviceName>,
}

/// The device of every stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageChoices {
    /// The device of the denoiser, and of each stage that has no device of its own.
    pub denoiser: DeviceChoice,
    /// The device of the text encoders.
    pub text_encoder: DeviceChoice,
    /// The device of the VAE.
    pub vae: DeviceChoice,
}

/// Chooses the device for `request`, and the devices of the stages that have one of their own.
///
/// # Errors
/// The errors of [`choose`]. It is also an error if a stage is to run on another device than the
/// others, and one of the two devices does not run through libtorch.
pub fn choose_for_stages(
    request: DeviceRequest,
    stages: StageDevices,
    inventory: &Inventory,
) -> Result<StageChoices, DeviceError> {
    let denoiser = choose(request, inventory)?;
    let own = |stage: &'static str, device: Option<DeviceName>| match device {
        None | Some(DeviceName::Auto) => Ok(denoiser.clone()),
        Some(device) => {
            of_a_stage(stage, DeviceRequest { device, ..request }, &denoiser, inventory)
        }
    };
    Ok(StageChoices {
        text_encoder: own("the text encoders", stages.text_encoder)?,
        vae: own("the VAE", stages.vae)?,
        denoiser,
    })
}

fn of_a_stage(
    stage: &'static str,
    request: DeviceRequest,
    others: &DeviceChoice,
    inventory: &Inventory,
) -> Result<DeviceChoice, DeviceError> {
    // The switch for TPUs concerns only the device of the other stages.
    let own = choose(DeviceRequest { tpu: TpuSwitch::Unset, ..request }, inventory)?;
    let why = match (&own.selected, &others.selected) {
        (own, others) if own == others => None,
        (Selected::Torch(_), Selected::Torch(_)) => None,
        (_, Selected::Xla { .. }) => Some("compiled graphs run on one device"),
        (Selected::Xla { .. }, Selected::Torch(_)) => {
            Some("stages are spread over libtorch's devices only: cuda, cuda:N, mps and cpu")
        }
    };
    match why {
        Some(why) => Err(DeviceError::Stage {
            stage,
            device: request.device,
            others: others.selected.to_string(),
            why,
        }),
        None => Ok(DeviceChoice { reason: format!("{}, for {stage}", own.reason), ..own }),
    }
}
