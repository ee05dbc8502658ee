//! Which stages stay on their device, and which are moved there when they are needed?
//!
//! | mode | weights rest | on the device at the worst moment |
//! |---|---|---|
//! | none | on the device | the weights of all stages, and the largest activations of a stage |
//! | model | in the host's memory; a whole stage moves in and out | the largest sum of a stage's weights and activations |
//! | sequential | in the host's memory; an op's weights move in and out | a stage's activations and twice its largest op's weights, since the next op's weights are copied while one op's weights are read |

use std::fmt;
use std::str::FromStr;

use preheat_io::printable::byte_count;
use preheat_ir::graph::Verified;
use serde::{Serialize, Serializer};

use super::estimate::{AttentionMemory, activations, largest_layer_bytes, weight_bytes};
use super::{TorchDevice, TorchId};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offload {
    /// The mode with the least offloading that fits by the estimate.
    #[default]
    Auto,
    /// This mode, whatever the estimate says. On the CPU, weights are never moved.
    Always(Mode),
}

/// How weights get to their device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The weights rest on the device.
    None,
    /// The weights are moved stage by stage.
    Model,
    /// The weights are moved op by op.
    Sequential,
}

/// The text is not the name of an offload mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an offload mode: choose auto, none, model or sequential")]
pub struct ParseOffloadError(String);

impl FromStr for Offload {
    type Err = ParseOffloadError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Always(Mode::None)),
            "model" => Ok(Self::Always(Mode::Model)),
            "sequential" => Ok(Self::Always(Mode::Sequential)),
            _ => Err(ParseOffloadError(name.to_owned())),
        }
    }
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Always(mode) => mode.fmt(f),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Model => "model",
            Self::Sequential => "sequential",
        })
    }
}

/// The memory that one stage takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageNeed {
    /// The bytes of all weights.
    pub weight_bytes: u64,
    /// The weight bytes of the op that reads the most weight bytes.
    pub largest_layer_bytes: u64,
    /// The bytes that are alive at the worst moment, without the weights.
    pub activation_bytes: u64,
}

impl StageNeed {
    /// The need of a graph that declares its weights in the dtypes in which they rest.
    pub fn of(function: &Verified, attention: AttentionMemory) -> Self {
        Self {
            weight_bytes: weight_bytes(function),
            largest_layer_bytes: largest_layer_bytes(function),
            activation_bytes: activations(function, attention).bytes,
        }
    }
}

/// The memory that the stages of one device take at the worst moment, in bytes, for each mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// With every stage resident.
    pub none: u64,
    /// With one stage at a time.
    pub model: u64,
    /// With one op at a time.
    pub sequential: u64,
}

impl Figures {
    /// The figures of stages that share a device.
    pub fn of(stages: &[StageNeed]) -> Self {
        let sum =
            |bytes: fn(&StageNeed) -> u64| stages.iter().map(bytes).fold(0, u64::saturating_add);
        let most = |bytes: fn(&StageNeed) -> u64| stages.iter().map(bytes).max().unwrap_or(0);
        Self {
            none: sum(|stage| stage.weight_bytes)
                .saturating_add(most(|stage| stage.activation_bytes)),
            model: most(|stage| stage.weight_bytes.saturating_add(stage.activation_bytes)),
            sequential: most(|stage| {
                let layers = stage.largest_layer_bytes.saturating_mul(2).min(stage.weight_bytes);
                stage.activation_bytes.saturating_add(layers)
            }),
        }
    }

    /// The figure of `mode`.
    pub fn under(&self, mode: Mode) -> u64 {
        match mode {
            Mode::None => self.none,
            Mode::Model => self.model,
            Mode::Sequential => self.sequential,
        }
    }
}

/// How the weights of all stages on one device get to that device, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The device.
    pub device: TorchDevice,
    /// The mode.
    pub mode: Mode,
    /// The memory that each mode would take.
    pub figures: Figures,
    /// The part of the free memory that is not used, in bytes.
    pub reserve_bytes: u64,
    /// Why, in a phrase.
    pub reason: String,
}

/// The names are those of the command line's JSON.
impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            device: String,
            offload: String,
            reason: &'a str,
            estimated_bytes: Figures,
            free_bytes: Option<u64>,
            reserve_bytes: u64,
        }
        Told {
            device: self.device.id.to_string(),
            offload: self.mode.to_string(),
            reason: &self.reason,
            estimated_bytes: self.figures,
            free_bytes: self.device.free_bytes,
            reserve_bytes: self.reserve_bytes,
        }
        .serialize(serializer)
    }
}

/// The memory in bytes that is not used unless the caller sets another number. On a card it is for
/// the workspaces of libraries and the rounding of their allocations. In memory that the whole
/// machine shares, it is for other programs, too.
pub fn default_reserve_bytes(device: TorchId) -> u64 {
    match device {
        TorchId::Cuda(_) => 512 << 20,
        TorchId::Mps | TorchId::Cpu => 2 << 30,
        TorchId::Fake(_) => 0,
    }
}

impl Decision {
    /// Decides for the stages that run on `device`.
    pub fn of(
        asked: Offload,
        device: &TorchDevice,
        stages: &[StageNeed],
        reserve_bytes: Option<u64>,
    ) -> Self {
        let reserve_bytes = reserve_bytes.unwrap_or_else(|| default_reserve_bytes(device.id));
        let figures = Figures::of(stages);
        let budget = device.free_bytes.map(|free| free.saturating_sub(reserve_bytes));
        let (mode, reason) = mode(asked, device.id, &figures, budget);
        Self { device: device.clone(), mode, figures, reserve_bytes, reason }
    }

    /// The number of bytes that may be taken, if it is known.
    pub fn budget_bytes(&self) -> Option<u64> {
        self.device.free_bytes.map(|free| free.saturating_sub(self.reserve_bytes))
    }

    /// Whether the chosen mode fits by the estimate; `None` if the memory is not known.
    pub fn fits(&self) -> Option<bool> {
        Some(self.figures.under(self.mode) <= self.budget_bytes()?)
    }
}

fn mode(asked: Offload, device: TorchId, figures: &Figures, budget: Option<u64>) -> (Mode, String) {
    let fits = |mode| budget.is_some_and(|budget| figures.under(mode) <= budget);
    match (asked, budget) {
        (_, _) if device == TorchId::Cpu => {
            (Mode::None, "the CPU reads weights where they rest".to_owned())
        }
        (Offload::Always(mode), _) => (mode, "asked for".to_owned()),
        (Offload::Auto, None) => {
            (Mode::Model, "nothing is known of the device's memory".to_owned())
        }
        (Offload::Auto, Some(_)) if fits(Mode::None) => {
            (Mode::None, "every stage fits at once".to_owned())
        }
        (Offload::Auto, Some(_)) if fits(Mode::Model) => {
            (Mode::Model, "one stage at a time fits".to_owned())
        }
        (Offload::Auto, Some(_)) if fits(Mode::Sequential) => {
            (Mode::Sequential, "one op at a time fits".to_owned())
        }
        (Offload::Auto, Some(_)) => {
            (Mode::Sequential, "nothing fits by the estimate, and this takes least".to_owned())
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { none, model, sequential } = self.figures;
        let of =
            |bytes: Option<u64>| bytes.map_or_else(|| "an unknown amount".to_owned(), byte_count);
        write!(
            f,
            "{}: offload {}, {}; it takes about {} with none, {} with model, {} with sequential; {} is free, {} of it reserved",
            self.device.label(),
            self.mode,
            self.reason,
            byte_count(none),
            byte_count(model),
            byte_count(sequential),
            of(self.device.free_bytes),
            byte_count(self.reserve_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn card(free: Option<u64>) -> TorchDevice {
        TorchDevice {
            position: 0,
            id: TorchId::Cuda(0),
            name: "card".to_owned(),
            total_bytes: free,
            free_bytes: free,
            compute_capability: Some((8, 6)),
            rocm: false,
            problem: None,
        }
    }

    fn stages() -> [StageNeed; 3] {
        let of = |weights, largest_layer, activations| StageNeed {
            weight_bytes: weights * GIB,
            largest_layer_bytes: largest_layer * GIB,
            activation_bytes: activations * GIB,
        };
        [of(2, 1, 1), of(10, 1, 3), of(1, 1, 5)]
    }

    #[test]
    fn figures_are_those_of_the_worst_moment() {
        assert_eq!(
            Figures::of(&stages()),
            Figures { none: 18 * GIB, model: 13 * GIB, sequential: 6 * GIB }
        );
        assert_eq!(Figures::of(&[]), Figures::default());
    }

    #[test]
    fn auto_takes_the_first_mode_that_fits_to_the_byte() {
        let decide = |free| Decision::of(Offload::Auto, &card(free), &stages(), Some(GIB));
        for (free, mode, fits) in [
            (19 * GIB, Mode::None, true),
            (19 * GIB - 1, Mode::Model, true),
            (14 * GIB, Mode::Model, true),
            (14 * GIB - 1, Mode::Sequential, true),
            (7 * GIB, Mode::Sequential, true),
            (7 * GIB - 1, Mode::Sequential, false),
            (0, Mode::Sequential, false),
        ] {
            let decision = decide(Some(free));
            assert_eq!((decision.mode, decision.fits()), (mode, Some(fits)), "{decision}");
        }
        let unknown = decide(None);
        assert_eq!((unknown.mode, unknown.fits()), (Mode::Model, None), "{unknown}");
    }

    #[test]
    fn what_was_asked_for_is_done_and_its_figure_told() {
        let decision =
            Decision::of(Offload::Always(Mode::None), &card(Some(4 * GIB)), &stages(), None);
        assert_eq!((decision.mode, decision.fits()), (Mode::None, Some(false)));
        let words = decision.to_string();
        assert!(
            words.contains("18.0 GiB with none") && words.contains("512.0 MiB of it reserved"),
            "{words}"
        );
    }

    #[test]
    fn nothing_is_moved_where_weights_rest_anyway() {
        let cpu = TorchDevice { id: TorchId::Cpu, ..card(Some(GIB)) };
        let decision = Decision::of(Offload::Always(Mode::Sequential), &cpu, &stages(), None);
        assert_eq!(decision.mode, Mode::None);
    }

    #[test]
    fn names_are_read_and_others_are_refused() {
        for name in ["auto", "none", "model", "sequential"] {
            assert_eq!(name.parse::<Offload>().unwrap().to_string(), name);
        }
        assert!("cpu".parse::<Offload>().unwrap_err().to_string().contains("sequential"));
    }
}
