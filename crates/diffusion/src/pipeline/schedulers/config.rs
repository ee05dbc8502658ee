//! Which schedule does the `scheduler_config.json` of a model folder describe?
//!
//! This module reads the file, and finds the class that its fields are for. `settings.rs`
//! interprets the fields for that class.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use preheat_io::input;
use serde_json::{Map, Value};

use super::from_picture::FromPicture;
use super::given_levels::GivenLevels;
use super::noising::noisings;
use super::settings::Settings;
use super::{
    Prediction, Schedule, SchedulerError, SchedulerKind, SchedulerName, Variant, consistency, ddim,
    ddpm, deis, dpm_solver, dpm_solver_singlestep, edm, euler, euler_ancestral, heun, ipndm, kdpm2,
    lms, pndm, unipc,
};

/// The largest file that is read. A configuration takes a few kilobytes; a list of betas takes
/// more.
const MOST_BYTES: u64 = 4 << 20;

/// A scheduler's configuration, as a model folder has it.
///
/// Reading it checks only that it is a JSON object. What a field means, and whether it matters,
/// depends on the class, which [`with_name`](Self::with_name) can still change.
/// [`schedule`](Self::schedule) checks the fields that the class reads.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    file: PathBuf,
    fields: Map<String, Value>,
    /// The class that the model's index names, and the path of the index.
    index: Option<(String, PathBuf)>,
    in_stable_diffusion: bool,
    /// The name that a user chose; it replaces the class, and the fields that distinguish its
    /// variants.
    name: Option<SchedulerName>,
    /// The request's eta.
    eta: f64,
    /// The request's timesteps or sigmas.
    given: Option<GivenLevels>,
    from_picture: Option<FromPicture>,
}

impl SchedulerConfig {
    /// Reads a configuration from a file.
    pub fn read(file: &Path) -> Result<Self, SchedulerError> {
        let text = input::text(file, MOST_BYTES)
            .map_err(|source| SchedulerError::Read { file: file.to_owned(), source })?;
        Self::from_json(&text, file)
    }

    /// Parses a configuration from JSON text. `file` is the path that messages name.
    ///
    /// Python writes numbers that JSON does not have (`"lambda_min_clipped": -Infinity`); they are
    /// accepted.
    pub fn from_json(text: &str, file: &Path) -> Result<Self, SchedulerError> {
        let fields = serde_json::from_str(&quote_non_finite(text))
            .map_err(|source| SchedulerError::Json { file: file.to_owned(), source })?;
        Ok(Self {
            file: file.to_owned(),
            fields,
            index: None,
            in_stable_diffusion: false,
            name: None,
            eta: 0.0,
            given: None,
            from_picture: None,
        })
    }

    /// The same configuration for another scheduler, as `from_config` of diffusers makes it: fields
    /// that the other class does not have are ignored, and fields that the file lacks have the
    /// other class's defaults.
    #[must_use]
    pub fn with_name(&self, name: SchedulerName) -> Self {
        Self { name: Some(name), ..self.clone() }
    }

    /// The same configuration for the class that a model's index names: diffusers follows the
    /// index, whatever the configuration's own `_class_name` is. `index` is the path of the index,
    /// for messages.
    #[must_use]
    pub fn of_class(&self, class: &str, index: &Path) -> Self {
        Self { index: Some((class.to_owned(), index.to_owned())), ..self.clone() }
    }

    /// The same configuration with another value of a field.
    #[must_use]
    pub fn with_field(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// The same configuration with another eta than 0: how much of the noise that a step takes away
    /// is added again, from 0 to 1. Only DDIM and TCD take one; diffusers' pipelines give it to
    /// the scheduler's `step`.
    #[must_use]
    pub fn with_eta(self, eta: f64) -> Self {
        Self { eta, ..self }
    }

    /// The same configuration with timesteps to visit, the noisiest first, in the place of a number
    /// of steps.
    #[must_use]
    pub fn with_timesteps(self, timesteps: impl Into<Vec<u32>>) -> Self {
        Self { given: Some(GivenLevels::Timesteps(timesteps.into())), ..self }
    }

    /// The same configuration with noise levels in the place of a number of steps: one for each
    /// step, the noisiest first, and the one that is left at the end, which is usually 0. Only the
    /// Euler scheduler takes them.
    #[must_use]
    pub fn with_sigmas(self, sigmas: impl Into<Vec<f64>>) -> Self {
        Self { given: Some(GivenLevels::Sigmas(sigmas.into())), ..self }
    }

    /// The same configuration for a run that begins with a picture, at the step `first_step`: the
    /// schedule has no calls for the steps before it. `keeps_a_part` says whether the latents are
    /// changed between the calls, because a part of the picture is kept.
    #[must_use]
    pub fn from_picture(self, first_step: u64, keeps_a_part: bool) -> Self {
        let first_step = usize::try_from(first_step).unwrap_or(usize::MAX);
        Self { from_picture: Some(FromPicture { first_step, keeps_a_part }), ..self }
    }

    /// The configuration with the changes that diffusers' `StableDiffusionPipeline` makes, and
    /// `StableDiffusionXLPipeline` does not: `steps_offset` is 1 and `clip_sample` is false,
    /// whatever the file says. If another scheduler than the model's own is chosen,
    /// `from_config` passes these values on only for fields that the file has.
    #[must_use]
    pub fn for_stable_diffusion(&self) -> Self {
        Self { in_stable_diffusion: true, ..self.clone() }
    }

    /// Which scheduler this configures.
    pub fn name(&self) -> Result<SchedulerName, SchedulerError> {
        let name = self.asked()?;
        if name.variant != Variant::Configured {
            return Ok(name);
        }
        let is_on = |field| self.fields.get(field) == Some(&Value::Bool(true));
        let variant = [
            ("use_karras_sigmas", Variant::Karras),
            ("use_exponential_sigmas", Variant::Exponential),
            ("use_beta_sigmas", Variant::Beta),
        ]
        .into_iter()
        .find(|(field, _)| name.kind.has_sigma_forms() && is_on(*field))
        .map_or(Variant::Configured, |(_, variant)| variant);
        let stochastic = name.kind == SchedulerKind::DpmSolverMultistep
            && self.fields.get("algorithm_type").and_then(Value::as_str) == Some("sde-dpmsolver++");
        Ok(SchedulerName { stochastic, variant, ..name })
    }

    /// How this scheduler interprets the denoiser's output.
    pub fn prediction(&self) -> Result<Prediction, SchedulerError> {
        Ok(self.settings()?.prediction)
    }

    /// The table of calls for a number of steps, or for the timesteps or sigmas that were given.
    pub fn schedule(&self, steps: u64) -> Result<Schedule, SchedulerError> {
        let settings = self.settings()?;
        if let Some(from_picture) = self.from_picture {
            from_picture.check(settings.name, settings.runge_kutta, settings.solver.order)?;
        }
        if let Some(given) = &settings.given {
            given.check(settings.name, settings.sigma_form, settings.train_timesteps)?;
            return self.table(&settings, given.steps());
        }
        let least = if settings.runge_kutta { pndm::LEAST_RUNGE_KUTTA_STEPS } else { 1 };
        let known = usize::try_from(steps).ok();
        match known.filter(|steps| (least..=settings.most_steps).contains(steps)) {
            Some(steps) => self.table(&settings, steps),
            None => Err(SchedulerError::Steps {
                file: self.file.clone(),
                scheduler: settings.name.to_string(),
                steps,
                least,
                most: self.most_steps(&settings, least),
            }),
        }
    }

    /// The largest number of steps for which there is a table. It may be less than the number of
    /// the training's timesteps, because `steps_offset` can move a timestep beyond the last one.
    fn most_steps(&self, settings: &Settings, least: usize) -> usize {
        /// Enough for a model of the usual 1000 timesteps.
        const MOST_TRIED: usize = 1000;
        let mut tried = (least..=settings.most_steps).rev().take(MOST_TRIED);
        tried.find(|steps| self.table(settings, *steps).is_ok()).unwrap_or(settings.most_steps)
    }

    /// The table for a number of steps in the range of the training's timesteps.
    fn table(&self, settings: &Settings, steps: usize) -> Result<Schedule, SchedulerError> {
        let train_timesteps = settings.train_timesteps;
        let made = match settings.name.kind {
            SchedulerKind::Ddim => ddim::schedule(settings, steps),
            SchedulerKind::Euler => Ok(euler::schedule(settings, steps)),
            SchedulerKind::EulerAncestral => Ok(euler_ancestral::schedule(settings, steps)),
            SchedulerKind::DpmSolverMultistep => Ok(dpm_solver::schedule(settings, steps)),
            SchedulerKind::Pndm => pndm::schedule(settings, steps),
            SchedulerKind::Heun => Ok(heun::schedule(settings, steps)),
            SchedulerKind::UniPc => Ok(unipc::schedule(settings, steps)),
            SchedulerKind::DpmSolverSinglestep => {
                Ok(dpm_solver_singlestep::schedule(settings, steps))
            }
            SchedulerKind::Deis => Ok(deis::schedule(settings, steps)),
            SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => {
                Ok(kdpm2::schedule(settings, steps))
            }
            SchedulerKind::Lms => Ok(lms::schedule(settings, steps)),
            SchedulerKind::Ddpm => ddpm::schedule(settings, steps),
            SchedulerKind::Lcm | SchedulerKind::Tcd => consistency::schedule(settings, steps),
            SchedulerKind::EdmEuler => Ok(edm::euler(settings, steps)),
            SchedulerKind::EdmDpmSolverMultistep => Ok(edm::dpm_solver(settings, steps)),
            SchedulerKind::Ipndm => Ok(ipndm::schedule(steps)),
        };
        let made = made.and_then(|mut schedule| {
            let noisings = noisings(settings, steps, &schedule.calls)?;
            for (call, noising) in schedule.calls.iter_mut().zip(noisings) {
                call.noising = noising;
            }
            let left_out = settings.calls_left_out().min(schedule.calls.len());
            schedule.calls.drain(..left_out);
            Ok(schedule)
        });
        let schedule = made.map_err(|beyond| SchedulerError::Timestep {
            file: self.file.clone(),
            steps,
            timestep: beyond.timestep,
            train_timesteps,
        })?;
        match schedule.calls.iter().find(|call| !call.coefficients.are_finite()) {
            None => Ok(schedule),
            Some(call) => Err(SchedulerError::NotFinite {
                file: self.file.clone(),
                scheduler: settings.name.to_string(),
                steps,
                timestep: call.timestep,
                hint: if settings.rescale_zero_snr {
                    "with `rescale_betas_zero_snr` the model has to predict `v_prediction` or `sample`"
                } else if settings.ends_at_high_order() {
                    "set `lower_order_final` to true, or `final_sigmas_type` to sigma_min"
                } else {
                    "two of its timesteps are the same: take fewer steps"
                },
            }),
        }
    }

    fn settings(&self) -> Result<Settings, SchedulerError> {
        let settings = Settings::new(&self.file, &self.read_fields(), self.asked()?)?;
        let (eta, kind) = (self.eta, settings.name.kind);
        let takes_eta = matches!(kind, SchedulerKind::Ddim | SchedulerKind::Tcd);
        if eta != 0.0 && !(takes_eta && (0.0..=1.0).contains(&eta)) {
            let scheduler = settings.name.to_string();
            return Err(SchedulerError::Eta { scheduler, eta });
        }
        let from_picture = self.from_picture.unwrap_or_default();
        Ok(Settings { eta, given: self.given.clone(), from_picture, ..settings })
    }

    /// The scheduler that was asked for by name, or else the model's own.
    fn asked(&self) -> Result<SchedulerName, SchedulerError> {
        self.name.map_or_else(|| self.class().map(SchedulerName::from), Ok)
    }

    /// The fields of the file; a Stable Diffusion pipeline replaces the values of two of them.
    fn read_fields(&self) -> Cow<'_, Map<String, Value>> {
        let mut fields = Cow::Borrowed(&self.fields);
        if self.in_stable_diffusion {
            for (field, value) in
                [("steps_offset", Value::from(1)), ("clip_sample", Value::from(false))]
            {
                if self.name.is_none() || fields.contains_key(field) {
                    fields.to_mut().insert(field.to_owned(), value);
                }
            }
        }
        fields
    }

    fn class(&self) -> Result<SchedulerKind, SchedulerError> {
        let (class, file, field) = match &self.index {
            Some((class, index)) => (Value::from(class.as_str()), index, "scheduler"),
            None => (
                self.fields.get("_class_name").cloned().unwrap_or(Value::Null),
                &self.file,
                "_class_name",
            ),
        };
        class.as_str().and_then(SchedulerKind::of_class).ok_or_else(|| SchedulerError::Class {
            file: file.clone(),
            field,
            class: class.to_string(),
        })
    }
}

/// JSON text in which `NaN`, `Infinity` and `-Infinity` are strings. Python's encoder writes them
/// without quotes.
fn quote_non_finite(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(first) = rest.chars().next() {
        let bare = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|word| !in_string && rest.starts_with(word));
        let taken = match (first, bare) {
            (_, Some(word)) => {
                quoted.extend(["\"", word, "\""]);
                rest = &rest[word.len()..];
                continue;
            }
            ('\\', _) if in_string => {
                first.len_utf8() + rest.chars().nth(1).map_or(0, char::len_utf8)
            }
            ('"', _) => {
                in_string = !in_string;
                1
            }
            _ => first.len_utf8(),
        };
        quoted.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    quoted
}
