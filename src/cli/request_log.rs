//! Which requests does a user make? `preheat run --log-requests FILE` appends a line for each
//! request that was served, or that was refused because it was not warm.

use std::path::Path;

use jiff::Timestamp;
use preheat_cache::Source;

use super::CliError;
use super::context::Context;
use preheat_diffusion::evidence::{LogWriter, LoggedRequest};
use preheat_diffusion::pipeline::{Made, Pipeline, PipelineError, TextToImage};
use preheat_runtime::Runtime;

/// An open log, and the time of the request that will be logged.
pub(super) struct RequestLogging {
    writer: LogWriter,
    came: Timestamp,
}

impl RequestLogging {
    /// Opens the log before anything is compiled, so that a log that cannot be written is an error
    /// before work is done.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        Ok(Self { writer: LogWriter::open(path)?, came: Timestamp::now() })
    }

    /// Logs how the request went. A failure to log is only a warning, because the pictures that
    /// were made are worth more than their line in a log.
    pub(super) fn note(
        &mut self,
        context: &Context,
        runtime: &Runtime,
        pipeline: &Pipeline,
        request: &TextToImage,
        made: &Result<Made, PipelineError>,
    ) {
        let plan = match made {
            Ok(made) => made.plan.clone(),
            // Requests that failed for another reason say nothing about which sizes users want.
            Err(PipelineError::Runtime(preheat_runtime::Error::NotWarm(_))) => {
                match pipeline.plan(request) {
                    Ok(plan) => plan,
                    Err(_) => return,
                }
            }
            Err(_) => return,
        };
        let ([width, height], made) = (plan.sizes.requested, made.as_ref().ok());
        let logged = LoggedRequest {
            timestamp: Some(self.came),
            model_id: Some(pipeline.model_id().to_owned()),
            width: Some(width),
            height: Some(height),
            scheduler: Some(plan.signature.scheduler.clone()),
            padded_size: Some(plan.sizes.padded),
            prompt_chunks: plan.prompt_chunks,
            warm: Some(made.is_some_and(|made| {
                made.stages.iter().all(|stage| stage.source != Source::Compiled)
            })),
            seconds: made.map(|_| context.started.elapsed().as_secs_f64()),
            seconds_per_step: made.map(|made| made.steps.mean_seconds),
            ..LoggedRequest::of(request)
        };
        if let Err(error) = self.writer.append(&logged) {
            runtime.warn(CliError::from(error).describe());
        }
    }
}
