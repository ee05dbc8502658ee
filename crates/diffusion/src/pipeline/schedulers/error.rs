//! Why can no schedule be made?

use std::io;
use std::path::PathBuf;

use super::{ParseSchedulerError, SchedulerKind};

/// Why no schedule can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// No scheduler has the name.
    #[error(transparent)]
    UnknownName(#[from] ParseSchedulerError),
    /// The configuration could not be read.
    #[error("cannot read the scheduler's configuration {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration is not JSON, or not a JSON object.
    #[error("{} is no scheduler configuration: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The model's own scheduler is not supported.
    #[error(
        "{}: `{field}` is {class}, which is not supported{}; supported are {}",
        file.display(), reason(class), SchedulerKind::ALL.map(SchedulerKind::class_name).join(", ")
    )]
    Class {
        /// The file that names the class.
        file: PathBuf,
        /// The field.
        field: &'static str,
        /// The class, as JSON.
        class: String,
    },
    /// A field has a value that is not supported, or a value of the wrong type.
    #[error(
        "{}: `{field}` is {value}, which is not supported for {scheduler}; supported: {supported}",
        file.display()
    )]
    Field {
        /// The file.
        file: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value, as JSON.
        value: String,
        /// The scheduler that reads it.
        scheduler: String,
        /// What the field may hold.
        supported: String,
    },
    /// The model does not have enough timesteps for the number of steps, or the scheduler needs
    /// more steps.
    #[error(
        "{steps} steps are not possible with {}: {scheduler} takes {least} to {most}",
        file.display()
    )]
    Steps {
        /// The file.
        file: PathBuf,
        /// The scheduler.
        scheduler: String,
        /// The steps that were asked for.
        steps: u64,
        /// The smallest number of steps: 4 if PNDM begins with Runge-Kutta steps (`skip_prk_steps`
        /// is off).
        least: usize,
        /// The largest number of steps: at most the number of timesteps that the model was trained
        /// with (`num_train_timesteps`), and less if `steps_offset` shifts them.
        most: usize,
    },
    /// The schedule would need a timestep that the model was not trained with.
    #[error(
        "{}: {steps} steps reach timestep {timestep}, and the model was trained with 0 to {}; take fewer steps or a smaller `steps_offset`",
        file.display(), train_timesteps - 1
    )]
    Timestep {
        /// The file.
        file: PathBuf,
        /// The steps that were asked for.
        steps: usize,
        /// The timestep.
        timestep: i64,
        /// How many timesteps the model was trained with.
        train_timesteps: usize,
    },
    /// The request's eta is not one that the scheduler takes.
    #[error(
        "{scheduler} takes no eta of {eta}: ddim and tcd take a number from 0 to 1, and the other \
         schedulers take none"
    )]
    Eta {
        /// The scheduler.
        scheduler: String,
        /// The eta that was asked for.
        eta: f64,
    },
    /// The request gives timesteps or sigmas that the scheduler does not take.
    #[error("{scheduler} cannot follow the `{field}` of the request: {why}")]
    Given {
        /// The scheduler.
        scheduler: String,
        /// The field of the request.
        field: &'static str,
        /// Why not, or what to give instead.
        why: String,
    },
    /// The scheduler cannot begin with a picture, or keep a part of one.
    #[error("{scheduler} cannot {what}: {why}; take another scheduler")]
    Picture {
        /// The scheduler.
        scheduler: String,
        /// What it cannot do.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// An update would divide by zero.
    #[error(
        "{}: with {steps} steps, the update of {scheduler} at timestep {timestep} divides by zero; {hint}",
        file.display()
    )]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The scheduler.
        scheduler: String,
        /// The steps that were asked for.
        steps: usize,
        /// The call's timestep.
        timestep: f32,
        /// What to do.
        hint: &'static str,
    },
}

/// Why a class, given as JSON, is not supported, if it is one of those that people ask for.
fn reason(class: &str) -> &'static str {
    match class.trim_matches('"') {
        "DPMSolverSDEScheduler" | "CosineDPMSolverMultistepScheduler" => {
            ", because its noise comes from a Brownian tree of torchsde and not from the request's \
             seed"
        }
        "FlowMatchEulerDiscreteScheduler"
        | "FlowMatchHeunDiscreteScheduler"
        | "FlowMatchLCMScheduler" => ", because it is for models that are trained by flow matching",
        _ => "",
    }
}

/// Fields that say how the model was trained. They mean the same for every scheduler that reads
/// them.
const OF_THE_MODEL: [&str; 9] = [
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
    "steps_offset",
    "rescale_betas_zero_snr",
];

impl SchedulerError {
    /// Whether the same model is likely to run with another scheduler.
    pub fn is_of_one_scheduler(&self) -> bool {
        match self {
            Self::Class { .. } => true,
            Self::Field { field, .. } => !OF_THE_MODEL.contains(field),
            _ => false,
        }
    }
}
