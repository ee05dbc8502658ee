//! Where does each tensor of a request rest, and where and in which dtype is it read?
//!
//! A stage's inputs go to the device that executes the stage, even if the stage's weights rest
//! elsewhere. The inputs have the types that the stage's graph declares. `arguments.rs` enforces
//! both at each execution.
//!
//! The host's memory is libtorch's device `cpu`.

use std::fmt;

use preheat_io::printable::byte_count;
use preheat_ir::graph::Verified;
use preheat_tensor::TensorType;
use serde::{Serialize, Serializer};

use super::estimate::{AttentionMemory, bytes_of_type};
use super::offload::{Decision, Mode, Offload, StageNeed};
use super::{Arithmetic, StageDtype, StageKind, TorchDevice, TorchId, carried};

/// The host's memory.
pub const HOST: TorchId = TorchId::Cpu;

/// A stage that is to be placed.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which kind of stage it is.
    pub kind: StageKind,
    /// Its graph, in the dtype that was decided.
    pub function: &'a Verified,
    /// The device that executes it.
    pub device: &'a TorchDevice,
    /// Its dtype.
    pub dtype: StageDtype,
}

/// The role of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TensorClass {
    /// Weights of the checkpoint.
    Weights,
    /// The token ids of a prompt, and the position of its end.
    Tokens,
    /// An encoded prompt, as the denoiser reads it.
    Prompt,
    /// The numbers of one step, and the sizes that Stable Diffusion XL takes as an input.
    Scalars,
    /// Noise, drawn on the host in float32, so that a seed gives the same picture on every device.
    Noise,
    /// Latents, and the results of earlier steps that the scheduler keeps.
    Latents,
    /// The picture that the VAE's decoder returns.
    Picture,
}

impl TensorClass {
    fn of_input(stage: StageKind, name: &str) -> Self {
        match stage {
            StageKind::TextEncoder => Self::Tokens,
            StageKind::Vae { .. } => Self::Latents,
            StageKind::Denoiser => match name.trim_start_matches("negative_") {
                "scalars" | "time_ids" => Self::Scalars,
                "noise" => Self::Noise,
                name if name.starts_with("context_") || name == "pooled" => Self::Prompt,
                _ => Self::Latents,
            },
        }
    }

    fn of_output(stage: StageKind) -> Self {
        match stage {
            StageKind::TextEncoder => Self::Prompt,
            StageKind::Denoiser => Self::Latents,
            StageKind::Vae { .. } => Self::Picture,
        }
    }
}

impl fmt::Display for TensorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Weights => "weights",
            Self::Tokens => "tokens",
            Self::Prompt => "prompt",
            Self::Scalars => "scalars",
            Self::Noise => "noise",
            Self::Latents => "latents",
            Self::Picture => "picture",
        })
    }
}

/// An input or output of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// Its name in the graph.
    pub name: String,
    /// Its role.
    pub class: TensorClass,
    /// Its type on the device.
    pub kind: TensorType,
    /// The device that it is on while no stage reads it.
    pub rests: TorchId,
    /// The device on which the stage reads or makes it.
    pub executes: TorchId,
}

/// How one stage is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StagePlan {
    /// Its name.
    pub name: String,
    /// The device that executes it.
    pub executes: TorchId,
    /// The device that its weights are on while it does not run.
    pub weights_rest: TorchId,
    /// How its weights get to the device.
    pub offload: Mode,
    /// Its dtype.
    pub dtype: StageDtype,
    /// The memory that it takes.
    pub need: StageNeed,
    /// Its inputs, in the graph's order.
    pub inputs: Vec<Slot>,
    /// Its outputs, in the graph's order.
    pub outputs: Vec<Slot>,
}

/// The names are those of the command line's JSON. Inputs and outputs are left out.
impl Serialize for StagePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            stage: &'a str,
            device: String,
            weights_rest: String,
            dtype: String,
            attention_in_float32: bool,
            reason: &'static str,
            weight_bytes: u64,
            activation_bytes: u64,
        }
        Told {
            stage: &self.name,
            device: self.executes.to_string(),
            weights_rest: self.weights_rest.to_string(),
            dtype: self.dtype.dtype.to_string(),
            attention_in_float32: self.dtype.attention_in_float32,
            reason: self.dtype.reason,
            weight_bytes: self.need.weight_bytes,
            activation_bytes: self.need.activation_bytes,
        }
        .serialize(serializer)
    }
}

/// How a request is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacementPlan {
    /// How weights get to each device that is used.
    pub devices: Vec<Decision>,
    /// The stages, in the order in which they run.
    pub stages: Vec<StagePlan>,
}

impl PlacementPlan {
    /// Plans the stages of a request. `reserve_bytes` of the free memory of each device are not
    /// used; `None` selects the default.
    pub fn of(stages: &[Stage<'_>], offload: Offload, reserve_bytes: Option<u64>) -> Self {
        let denoiser = stages.iter().find(|stage| stage.kind == StageKind::Denoiser);
        let needs: Vec<StageNeed> = stages.iter().map(|stage| stage.need(denoiser)).collect();
        let mut devices: Vec<Decision> = Vec::new();
        for stage in stages {
            if devices.iter().any(|decision| decision.device.id == stage.device.id) {
                continue;
            }
            let here =
                stages.iter().zip(&needs).filter(|(other, _)| other.device.id == stage.device.id);
            let here: Vec<StageNeed> = here.map(|(_, need)| *need).collect();
            devices.push(Decision::of(offload, stage.device, &here, reserve_bytes));
        }
        let denoiser = denoiser.map_or(HOST, |stage| stage.device.id);
        let mode = |stage: &Stage<'_>| {
            let decision = devices.iter().find(|decision| decision.device.id == stage.device.id);
            decision.map_or(Mode::None, |decision| decision.mode)
        };
        let placed =
            stages.iter().zip(needs).map(|(stage, need)| stage.placed(need, mode(stage), denoiser));
        let stages = placed.collect();
        Self { devices, stages }
    }

    /// The slowest mode among the devices.
    pub fn mode(&self) -> Mode {
        self.devices.iter().map(|decision| decision.mode).max().unwrap_or(Mode::None)
    }

    /// Whether the plan fits on every device by the estimate; `None` if the memory of one device is
    /// not known.
    pub fn fits(&self) -> Option<bool> {
        self.devices.iter().map(Decision::fits).try_fold(true, |all, fits| Some(all && fits?))
    }
}

impl Stage<'_> {
    /// The memory that it takes. On the denoiser's device this includes the denoiser's inputs,
    /// which rest there while other stages run.
    fn need(&self, denoiser: Option<&Self>) -> StageNeed {
        let own = StageNeed::of(
            self.function,
            AttentionMemory::of(Arithmetic::from(self.device), &self.dtype),
        );
        let beside = denoiser
            .filter(|denoiser| denoiser.device.id == self.device.id && self.kind != denoiser.kind);
        let resting = beside.map_or(0, Self::input_bytes);
        StageNeed { activation_bytes: own.activation_bytes.saturating_add(resting), ..own }
    }

    fn input_bytes(&self) -> u64 {
        self.function
            .inputs()
            .iter()
            .map(|input| bytes_of_type(&input.kind))
            .fold(0, u64::saturating_add)
    }

    /// `denoiser` is the device of the denoiser, on which prompts and latents rest.
    fn placed(&self, need: StageNeed, offload: Mode, denoiser: TorchId) -> StagePlan {
        let executes = self.device.id;
        let slot = |name: &str, class: TensorClass, kind: &TensorType| {
            let dtype = carried(kind.dtype, Arithmetic::from(self.device));
            let rests = match class {
                TensorClass::Prompt | TensorClass::Latents => denoiser,
                TensorClass::Weights => executes,
                TensorClass::Tokens
                | TensorClass::Scalars
                | TensorClass::Noise
                | TensorClass::Picture => HOST,
            };
            Slot {
                name: name.to_owned(),
                class,
                kind: TensorType::new(dtype, kind.dims.clone()),
                rests,
                executes,
            }
        };
        let (inputs, outputs) = (self.function.inputs(), self.function.outputs());
        let input = |input: &preheat_ir::graph::InputDecl| {
            slot(&input.name, TensorClass::of_input(self.kind, &input.name), &input.kind)
        };
        let output = |output: &preheat_ir::graph::OutputDecl| {
            slot(
                &output.name,
                TensorClass::of_output(self.kind),
                self.function.type_of(output.value),
            )
        };
        StagePlan {
            name: self.name.to_owned(),
            executes,
            weights_rest: if offload == Mode::None { executes } else { HOST },
            offload,
            dtype: self.dtype.clone(),
            need,
            inputs: inputs.iter().map(input).collect(),
            outputs: outputs.iter().map(output).collect(),
        }
    }
}

/// One line for each device and stage, for people.
impl fmt::Display for PlacementPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for decision in &self.devices {
            writeln!(f, "{decision}")?;
        }
        for stage in &self.stages {
            writeln!(f, "{stage}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attention = if self.dtype.attention_in_float32 { ", attention in float32" } else { "" };
        let (weights, activations) =
            (byte_count(self.need.weight_bytes), byte_count(self.need.activation_bytes));
        write!(
            f,
            "{}: on {} in {}{attention} ({}); {weights} of weights rest on {}, activations take {activations}",
            self.name, self.executes, self.dtype.dtype, self.dtype.reason, self.weights_rest
        )
    }
}

#[cfg(test)]
mod tests {
    use preheat_ir::graph::FunctionBuilder;
    use preheat_tensor::Dtype;

    use super::*;

    /// A denoiser that takes latents and noise, on a card, offloaded.
    fn plan() -> PlacementPlan {
        let mut b = FunctionBuilder::new("denoiser");
        let [latents, noise] = ["latents", "noise"]
            .map(|name| b.input(name, TensorType::new(Dtype::Float32, [1, 4, 8, 8])));
        let weight = b.weight("weight", [8, 8]);
        let y = b.linear(latents, weight, None).and_then(|y| b.add(y, noise)).unwrap();
        b.output("latents", y);
        let card = TorchDevice {
            position: 0,
            id: TorchId::Cuda(1),
            name: "card".to_owned(),
            total_bytes: None,
            free_bytes: None,
            compute_capability: None,
            rocm: false,
            problem: None,
        };
        let dtype =
            super::super::Precisions::default().of(StageKind::Denoiser, Arithmetic::from(&card));
        let function = b.finish().unwrap();
        let stage = Stage {
            name: "denoiser",
            kind: StageKind::Denoiser,
            function: &function,
            device: &card,
            dtype,
        };
        PlacementPlan::of(&[stage], Offload::Auto, None)
    }

    #[test]
    fn inputs_go_to_the_device_that_executes_and_not_to_where_the_weights_rest() {
        let stage = plan().stages.remove(0);
        assert_eq!((stage.executes, stage.weights_rest), (TorchId::Cuda(1), HOST));
        assert!(stage.inputs.iter().all(|slot| slot.executes == TorchId::Cuda(1)));
        let rests: Vec<_> = stage.inputs.iter().map(|slot| (slot.class, slot.rests)).collect();
        assert_eq!(rests, [(TensorClass::Latents, TorchId::Cuda(1)), (TensorClass::Noise, HOST)]);
    }

    #[test]
    fn a_plan_serialises_by_the_names_of_the_command_line() {
        let json = serde_json::to_value(plan()).unwrap();
        let estimate = |name: &str| json["devices"][0]["estimated_bytes"][name].as_u64().unwrap();
        assert!(estimate("none") >= estimate("model") && estimate("sequential") > 0);
        let names = |of: &serde_json::Value| -> Vec<String> {
            of.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(
            names(&json["devices"][0]),
            ["device", "estimated_bytes", "free_bytes", "offload", "reason", "reserve_bytes"]
        );
        assert_eq!(json["devices"][0]["offload"], "model");
        let stage = &json["stages"][0];
        assert_eq!(
            [&stage["stage"], &stage["device"], &stage["weights_rest"], &stage["dtype"]],
            ["denoiser", "cuda:1", "cpu", "bfloat16"]
        );
        assert_eq!(names(stage).len(), 8, "{stage}");
    }
}
