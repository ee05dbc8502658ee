//! Which shapes does a log ask for, and how often is each wanted?
//!
//! Requests that need the same graphs are counted together, and each shape is looked up once.

use std::collections::{BTreeMap, HashMap};

use preheat_cache::GraphRecord;
use serde::Serialize;

use super::log::LoggedRequest;
use super::{EvidenceError, RequestLog, Shape, told};
use crate::pipeline::{LookedUp, LookedUpStage, Pipeline, PipelineError, TextToImage};

/// A shape that is asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Demand {
    /// The shape.
    pub shape: Shape,
    /// How many requests ask for it.
    pub requests: u64,
    /// How often the network passes over one pixel, summed over all requests of this shape: steps x
    /// batch for each request, and twice that with guidance.
    pub passes: f64,
    /// The result of the look-up for each stage of the shape.
    pub stages: Vec<LookedUpStage>,
}

/// The demands of a log for one model.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Demands {
    /// The shapes, the most wanted first.
    pub all: Vec<Demand>,
    /// Requests that the model cannot serve, grouped: the line of the first, how many there are,
    /// and the reason.
    pub refused: Vec<Refused>,
    /// How many requests the log has for other models, by their names.
    pub other_models: BTreeMap<String, u64>,
    /// Seconds that one pass over one pixel takes: the median of the values in the log. `None` if
    /// no line has a value.
    pub seconds_per_pixel_pass: Option<f64>,
}

/// Requests that the model cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// The line of the first such request.
    pub line: usize,
    /// How many such requests there are.
    pub requests: u64,
    /// Why the model cannot serve them.
    pub why: String,
}

/// Requests that are equal in everything that shapes a graph, before their sizes are padded.
struct Alike {
    line: usize,
    request: TextToImage,
    requests: u64,
    passes: f64,
}

impl Demands {
    /// The demands of `log` for the model of `pipeline`; each shape is looked up once. `records`
    /// are the records of the pipeline's stores. A line that names no model counts for this model.
    ///
    /// # Errors
    /// If the model can serve no request of the log, or a look-up in the cache fails.
    pub fn of(
        log: &RequestLog,
        pipeline: &Pipeline,
        records: &[GraphRecord],
    ) -> Result<Self, EvidenceError> {
        let model_id = pipeline.model_id();
        let of_model =
            |request: &LoggedRequest| request.model_name().is_none_or(|name| name == model_id);
        let (own, others): (Vec<_>, Vec<_>) =
            log.requests.iter().partition(|(_, request)| of_model(request));
        let mut other_models = BTreeMap::new();
        for name in others.iter().filter_map(|(_, request)| request.model_name()) {
            *other_models.entry(told(name)).or_insert(0) += 1;
        }
        if own.is_empty() {
            let others = other_models.into_iter().collect();
            return Err(EvidenceError::OtherModels { model_id: model_id.to_owned(), others });
        }
        let seconds_per_pixel_pass =
            median(own.iter().filter_map(|(_, request)| seconds_per_pixel_pass(request)));
        let mut demands = Self { other_models, seconds_per_pixel_pass, ..Self::default() };
        demands.look_up(alike(&own), pipeline, records)?;
        match demands.refused.first() {
            Some(Refused { line, why, .. }) if demands.all.is_empty() => {
                Err(EvidenceError::NoneServed {
                    model_id: model_id.to_owned(),
                    line: *line,
                    why: why.clone(),
                })
            }
            _ => Ok(demands),
        }
    }

    /// How many of the requests the model can serve.
    pub fn requests(&self) -> u64 {
        self.all.iter().map(|demand| demand.requests).sum()
    }

    fn look_up(
        &mut self,
        kinds: Vec<Alike>,
        pipeline: &Pipeline,
        records: &[GraphRecord],
    ) -> Result<(), EvidenceError> {
        // In most logs, many requested sizes are padded to the same size.
        let mut padded: Vec<(Shape, Alike)> = Vec::new();
        let mut places: HashMap<Shape, usize> = HashMap::new();
        for kind in kinds {
            let shape = match pipeline.sizes(&kind.request) {
                Ok(sizes) => shape_of(&kind.request, sizes.padded),
                Err(error) => {
                    self.refuse(&kind, error)?;
                    continue;
                }
            };
            if let Some(place) = places.get(&shape) {
                let same = &mut padded[*place].1;
                same.requests += kind.requests;
                same.passes += kind.passes;
            } else {
                places.insert(shape, padded.len());
                padded.push((shape, kind));
            }
        }
        let requests: Vec<TextToImage> =
            padded.iter().map(|(shape, _)| shape.to_request()).collect();
        let answers = pipeline.look_up_each(&requests, records)?;
        for ((shape, kind), answer) in padded.into_iter().zip(answers) {
            match answer {
                Ok(LookedUp { stages, .. }) => {
                    self.all.push(Demand {
                        shape,
                        requests: kind.requests,
                        passes: kind.passes,
                        stages,
                    });
                }
                Err(error) => self.refuse(&kind, error)?,
            }
        }
        // Shapes that are wanted equally often are sorted by size, so that a log always gives the
        // same order.
        self.all.sort_by_key(|demand| (std::cmp::Reverse(demand.requests), demand.shape));
        Ok(())
    }

    /// Records requests that the model cannot serve. Any other error is returned, as it concerns
    /// the whole log.
    fn refuse(&mut self, kind: &Alike, error: PipelineError) -> Result<(), EvidenceError> {
        if !error.is_of_the_request() {
            return Err(error.into());
        }
        self.refused.push(Refused {
            line: kind.line,
            requests: kind.requests,
            why: error.to_string(),
        });
        Ok(())
    }
}

fn shape_of(request: &TextToImage, padded: [u64; 2]) -> Shape {
    let guided = request.cfg_scale > 1.0;
    Shape {
        size: padded,
        batch_size: request.batch_size,
        guided,
        clip_skip: request.clip_skip,
        negative_prompt: guided && request.clip_skip > 0 && request.negative_prompt.is_some(),
        prompt_chunks: Shape::prompt_chunks_of(request),
        image_to_image: request.begins_with_a_picture(),
    }
}

/// Groups the requests that are equal in everything that shapes a graph.
fn alike(own: &[&(usize, LoggedRequest)]) -> Vec<Alike> {
    let mut kinds: Vec<Alike> = Vec::new();
    let mut places = HashMap::new();
    for (line, logged) in own {
        let guided = is_guided(logged);
        let key = (
            logged.width,
            logged.height,
            logged.batch_size,
            guided,
            logged.clip_skip,
            logged.has_negative_prompt,
            logged.prompt_chunks,
            logged.image_to_image,
        );
        let place = *places.entry(key).or_insert_with(|| {
            // The number of steps shapes no graph, so it is left at the default here.
            let request = TextToImage { steps: TextToImage::DEFAULT_STEPS, ..logged.to_request() };
            kinds.push(Alike { line: *line, request, requests: 0, passes: 0.0 });
            kinds.len() - 1
        });
        kinds[place].requests += 1;
        kinds[place].passes += passes(logged);
    }
    kinds
}

/// The same rule as [`preheat_cache::Signature::is_guided`].
fn is_guided(logged: &LoggedRequest) -> bool {
    logged.cfg_scale > 1.0
}

/// How often the network passes over each pixel.
#[expect(clippy::cast_precision_loss, reason = "steps and batches")]
fn passes(logged: &LoggedRequest) -> f64 {
    let each = if is_guided(logged) { 2.0 } else { 1.0 };
    logged.steps as f64 * logged.batch_size as f64 * each
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn seconds_per_pixel_pass(logged: &LoggedRequest) -> Option<f64> {
    let ([width, height], seconds_per_step) = (logged.padded_size?, logged.seconds_per_step?);
    let pixels = (width.saturating_mul(height)) as f64 * passes(logged) / logged.steps as f64;
    Some(seconds_per_step / pixels).filter(|seconds| seconds.is_finite() && *seconds > 0.0)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_pixel_is_taken_from_the_steps_that_were_logged() {
        let line = LoggedRequest {
            cfg_scale: 7.5,
            batch_size: 2,
            steps: 10,
            padded_size: Some([100, 10]),
            seconds_per_step: Some(4.0),
            ..LoggedRequest::default()
        };
        assert!((passes(&line) - 40.0).abs() < 1e-9);
        assert!((seconds_per_pixel_pass(&line).unwrap() - 0.001).abs() < 1e-12);
        assert_eq!(seconds_per_pixel_pass(&LoggedRequest { padded_size: None, ..line }), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
