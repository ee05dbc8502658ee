//! What does a caller get from a run or a warmup?
//!
//! Everything here serialises, for logs and dashboards. Times are numbers of seconds. A picture is
//! written with its size and its settings, but without its pixels.

use std::collections::BTreeMap;
use std::time::Instant;

use preheat_runtime::device::placement;
use preheat_runtime::{StageReport, StepTimes, WarmupReport, Warning};
use preheat_tensor::Tensor;
use serde::{Serialize, Serializer};

use super::checked_request::Plan;
use super::image::Picture;

/// The pictures that a run made, and how it made them.
///
/// The serialised form has no latents and no pixels, and `executables_ready_seconds` and
/// `weights_ready_seconds` count from the beginning of the request.
#[derive(Debug)]
pub struct Made {
    /// One picture for each seed.
    pub pictures: Vec<Picture>,
    /// The final latents, `f32[batch, channels, height, width]`, before the VAE.
    pub latents: Tensor,
    /// The signature and the sizes.
    pub plan: Plan,
    /// How each stage became ready. The decoder appears again for the decoder of a tile and for the
    /// one in float32, if these were needed.
    pub stages: Vec<StageReport>,
    /// Warnings about these pictures: for example that a prompt was too long, or that numbers are
    /// not finite.
    pub warnings: Vec<Warning>,
    /// When the request was made.
    pub began: Instant,
    /// When every stage's executable was loaded.
    pub executables_ready: Instant,
    /// When the weights, or as many of them as fit, were in the place where the graphs read them.
    pub weights_ready: Instant,
    /// How long the steps took.
    pub steps: StepTimes,
    /// How long decoding all pictures took, in seconds.
    pub decode_seconds: f64,
    /// Where weights were placed, and why; `None` on devices of XLA.
    pub placement: Option<placement::PlacementPlan>,
    /// The plugin's figures for each executable when it was compiled: `denoiser.flops` and so on.
    pub metrics: BTreeMap<String, f64>,
}

/// The result of a warmup.
#[derive(Debug, Serialize)]
pub struct Warmed {
    /// The signature and the sizes.
    pub plan: Plan,
    /// Each stage, how it became ready, and how long its execution on zeros took.
    pub stages: Vec<WarmupReport>,
}

impl Serialize for Made {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            pictures: &'a [Picture],
            plan: &'a Plan,
            stages: &'a [StageReport],
            warnings: &'a [Warning],
            executables_ready_seconds: f64,
            weights_ready_seconds: f64,
            steps: &'a StepTimes,
            decode_seconds: f64,
            placement: Option<&'a placement::PlacementPlan>,
            metrics: &'a BTreeMap<String, f64>,
        }
        let seconds = |until: Instant| until.saturating_duration_since(self.began).as_secs_f64();
        Told {
            pictures: &self.pictures,
            plan: &self.plan,
            stages: &self.stages,
            warnings: &self.warnings,
            executables_ready_seconds: seconds(self.executables_ready),
            weights_ready_seconds: seconds(self.weights_ready),
            steps: &self.steps,
            decode_seconds: self.decode_seconds,
            placement: self.placement.as_ref(),
            metrics: &self.metrics,
        }
        .serialize(serializer)
    }
}

/// An error with all its causes, in one line.
pub(super) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut line: Vec<String> = causes.map(ToString::to_string).collect();
    // Some errors only pass their cause on. Their text is the same, so it is written once.
    line.dedup();
    line.join(": ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::pipeline::image::Settings;
    use crate::pipeline::prompt_syntax::PromptSyntax;
    use crate::pipeline::request::TextToImage;
    use crate::pipeline::test_model;

    #[test]
    fn a_run_serialises_without_pixels_and_with_times_since_it_began() {
        let request = TextToImage { seed: Some(7), ..TextToImage::new("seven") };
        let plan = test_model::planner(64).sketch(&request).unwrap().plan;
        let settings = Settings {
            prompt: "seven".to_owned(),
            negative_prompt: None,
            prompt_2: None,
            negative_prompt_2: None,
            prompt_syntax: PromptSyntax::Plain,
            prompt_chunks: 1,
            seed: 7,
            steps: 20,
            cfg_scale: 7.5,
            scheduler: "euler".to_owned(),
            eta: None,
            timesteps: Vec::new(),
            sigmas: Vec::new(),
            image: None,
            mask: None,
            strength: None,
            upscaled: None,
            size: [2, 1],
            padded_size: [64, 64],
            clip_skip: 0,
            model_id: "demo".to_owned(),
            dtype: "float32".to_owned(),
            loras: Vec::new(),
        };
        let began = Instant::now();
        let made = Made {
            pictures: vec![Picture { width: 2, height: 1, rgb: vec![1; 6], settings }],
            latents: Tensor::from_f32(&[1, 1, 1, 1], &[0.5]).unwrap(),
            plan,
            stages: Vec::new(),
            warnings: vec!["cut off".to_owned().into()],
            began,
            executables_ready: began + Duration::from_millis(250),
            weights_ready: began + Duration::from_millis(500),
            steps: StepTimes { first_seconds: 0.5, ..StepTimes::default() },
            decode_seconds: 0.25,
            placement: None,
            metrics: BTreeMap::from([("denoiser.flops".to_owned(), 3.0)]),
        };
        let mut json = serde_json::to_value(&made).unwrap();
        let picture = json["pictures"][0].take();
        assert_eq!(picture["settings"]["size"], json!([2, 1]));
        assert_eq!((&picture["width"], picture.get("rgb")), (&json!(2), None));
        let plan = json["plan"].take();
        assert_eq!((&plan["seed"], &plan["signature"]["steps"]), (&json!(7), &json!(20)));
        let steps = json!({"first_seconds": 0.5, "mean_seconds": 0.0, "p50_seconds": 0.0, "p99_seconds": 0.0});
        let rest = json!({
            "pictures": [null], "plan": null, "stages": [], "warnings": [{"kind": "other", "text": "cut off"}],
            "executables_ready_seconds": 0.25, "weights_ready_seconds": 0.5, "steps": steps,
            "decode_seconds": 0.25, "placement": null, "metrics": {"denoiser.flops": 3.0}
        });
        assert_eq!(json, rest);
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading it failed")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(in_one_line(&Outer(std::io::Error::other("full"))), "reading it failed: full");
        assert_eq!(in_one_line(&std::io::Error::other("full")), "full");
    }
}
