//! How long does compiling a graph take, and how large is its object?
//!
//! If the store has measured the graph at the wanted effort, the answer is that measurement.
//! Otherwise it is the measurement of the most similar graph, or a guess. If similar graphs were
//! compiled only at another effort, their figures are scaled. Each answer says how it was obtained.

use std::collections::{BTreeMap, HashMap};

use preheat_cache::{GraphKey, GraphRecord};
use preheat_runtime::{CompileEffort, target_of};
use serde::Serialize;

use super::Shape;
use crate::models::LATENT_PX;

/// How a figure was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// This graph was compiled for this target, and measured.
    Measured,
    /// The same stage of the same model was measured, at another size, batch or effort.
    Alike,
    /// Nothing was measured: the figure is a [`guess`].
    Guessed,
}

/// How long compiling a graph takes, and how large its object is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Compile time in seconds.
    pub compile_seconds: f64,
    /// The length of its object on disk.
    pub stored_bytes: u64,
    /// How the compile time was obtained. The length was obtained in the same way, except if no
    /// object of the measured graph is stored: then the length is a guess.
    pub basis: Basis,
}

/// A compile that was measured.
#[derive(Debug, Clone, Copy)]
struct Measured {
    compile_seconds: f64,
    stored_bytes: Option<u64>,
}

/// The compile times and sizes that the store has measured for one model on one target.
#[derive(Debug)]
pub struct Costs {
    by_key: HashMap<(String, GraphKey), (CompileEffort, Measured)>,
    /// The measured compiles by stage and effort, then by number of pictures, then by pixels of
    /// each picture.
    by_amount: HashMap<(String, CompileEffort), BTreeMap<u64, BTreeMap<u64, Measured>>>,
    sizes: Vec<[u64; 2]>,
    target: String,
}

impl Costs {
    /// Collects the figures of those `records` that belong to the model and the target.
    pub fn new(records: &[GraphRecord], model_id: &str, target: &str) -> Self {
        let (by_key, by_amount) = (HashMap::new(), HashMap::new());
        let mut costs = Self { by_key, by_amount, sizes: Vec::new(), target: target.to_owned() };
        for record in records.iter().filter(|record| target_of(record) == target) {
            let signatures = record.signatures.iter().map(|one| &one.signature);
            let shapes =
                signatures.filter(|one| one.model_id == model_id).filter_map(|signature| {
                    let [batch, _, height, width] = signature.input_shape[..] else { return None };
                    Some((
                        batch,
                        [width.saturating_mul(LATENT_PX), height.saturating_mul(LATENT_PX)],
                    ))
                });
            for (batch, size) in shapes {
                costs.add(record, batch, size);
            }
        }
        costs.sizes.sort_unstable();
        costs.sizes.dedup();
        costs
    }

    /// Adds one request that led to a record.
    fn add(&mut self, record: &GraphRecord, batch: u64, size: [u64; 2]) {
        self.sizes.push(size);
        let compile_seconds = record.measurements.compile_seconds;
        if compile_seconds > 0.0 {
            let stored_bytes = record.object.as_ref().map(|object| object.stored_bytes);
            let measured = Measured { compile_seconds, stored_bytes };
            let effort = CompileEffort::of_record(record);
            self.by_key.insert((record.stage.clone(), record.graph_key), (effort, measured));
            let of_stage = self.by_amount.entry((record.stage.clone(), effort)).or_default();
            let of_batch = of_stage.entry(batch).or_default();
            of_batch.entry(size[0].saturating_mul(size[1])).or_insert(measured);
        }
    }

    /// Every size for which the store has a graph of the model on the target.
    pub fn sizes(&self) -> &[[u64; 2]] {
        &self.sizes
    }

    /// Estimates the compile of a stage for `shape` at an effort. `graph_key` is the key of the
    /// graph at some effort.
    pub fn of(
        &self,
        stage: &str,
        graph_key: Option<GraphKey>,
        shape: Shape,
        effort: CompileEffort,
    ) -> Estimate {
        let guess = guess(stage, &self.target, effort);
        let own = graph_key.and_then(|key| self.by_key.get(&(stage.to_owned(), key)));
        let own = own.filter(|(measured_at, _)| *measured_at == effort).map(|(_, own)| *own);
        let (measured, basis) = match (own, self.alike(stage, shape, effort)) {
            (Some(own), _) => (own, Basis::Measured),
            (None, Some(nearest)) => (nearest, Basis::Alike),
            (None, None) => return guess,
        };
        Estimate {
            compile_seconds: measured.compile_seconds,
            stored_bytes: measured.stored_bytes.unwrap_or(guess.stored_bytes),
            basis,
        }
    }

    /// The figures of the most similar measured compile of the stage. A compile at another effort
    /// counts only if none at this one was measured; its figures are scaled.
    fn alike(&self, stage: &str, shape: Shape, effort: CompileEffort) -> Option<Measured> {
        if let Some(nearest) = self.nearest(stage, shape, effort) {
            return Some(*nearest);
        }
        let others = CompileEffort::ALL.into_iter().filter(|other| *other != effort);
        others.into_iter().find_map(|other| {
            let measured = self.nearest(stage, shape, other)?;
            let (wanted, have) =
                (PartOfFull::of(effort, &self.target), PartOfFull::of(other, &self.target));
            let bytes = |bytes: u64| scaled(bytes, wanted.bytes / have.bytes);
            Some(Measured {
                compile_seconds: measured.compile_seconds * wanted.seconds / have.seconds,
                stored_bytes: measured.stored_bytes.map(bytes),
            })
        })
    }

    /// The measured compile of the stage at an effort that is most similar: the one whose amount of
    /// computation differs by the smallest factor.
    fn nearest(&self, stage: &str, shape: Shape, effort: CompileEffort) -> Option<&Measured> {
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let times = |one: u64, other: u64| (one.max(1) as f64 / other.max(1) as f64).ln().abs();
        let of_batches = self.by_amount.get(&(stage.to_owned(), effort))?.iter().flat_map(
            |(batch, of_batch)| {
                // The sizes are sorted by their pixels, so only the first one with at least as many
                // pixels and the last one with fewer can be nearest.
                let neighbours = [
                    of_batch.range(shape.pixels()..).next(),
                    of_batch.range(..shape.pixels()).next_back(),
                ];
                neighbours.into_iter().flatten().map(|(pixels, measured)| {
                    (times(*batch, shape.batch_size) + times(*pixels, shape.pixels()), measured)
                })
            },
        );
        of_batches.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, measured)| measured)
    }
}

/// The figures that are assumed if nothing was measured. docs/evidence.md says where each of them
/// comes from, and which ones are only guesses.
pub fn guess(stage: &str, target: &str, effort: CompileEffort) -> Estimate {
    const MIB: u64 = 1 << 20;
    let is_cpu = is_cpu(target);
    let (compile_seconds, stored_bytes) = match stage {
        "denoiser" if is_cpu => (5.0, 4 * MIB),
        "denoiser" => (150.0, 50 * MIB),
        "vae_decoder" | "vae_encoder" if is_cpu => (3.0, 2 * MIB),
        "vae_decoder" | "vae_encoder" => (60.0, 20 * MIB),
        _ if is_cpu => (1.0, MIB),
        _ => (15.0, 10 * MIB),
    };
    let part = PartOfFull::of(effort, target);
    Estimate {
        compile_seconds: compile_seconds * part.seconds,
        stored_bytes: scaled(stored_bytes, part.bytes),
        basis: Basis::Guessed,
    }
}

/// The part of the full effort's seconds and bytes that a compile at some effort takes.
#[derive(Debug, Clone, Copy)]
struct PartOfFull {
    seconds: f64,
    bytes: f64,
}

impl PartOfFull {
    /// As measured on the UNet of Stable Diffusion 1.5 for v5e:1x1, and on the demo model for
    /// XLA:CPU (docs/tpu.md).
    fn of(effort: CompileEffort, target: &str) -> Self {
        let (seconds, bytes) = match (target.split(':').next(), effort) {
            (Some("tpu"), CompileEffort::Fast) => (17.0 / 130.0, 68.0 / 229.0),
            (Some("tpu"), CompileEffort::Balanced) => (28.0 / 130.0, 94.0 / 229.0),
            (Some("xla-cpu"), CompileEffort::Fast) => (2.8 / 4.5, 1.0),
            _ => (1.0, 1.0),
        };
        Self { seconds, bytes }
    }
}

/// A number of bytes, times a factor.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
fn scaled(bytes: u64, factor: f64) -> u64 {
    (bytes as f64 * factor).round() as u64
}

/// The time in seconds that a pass of the network over one pixel is assumed to take if the log has
/// no figure. With guidance the network passes over each pixel twice in a step.
pub fn guessed_seconds_per_pixel_pass(target: &str) -> f64 {
    if is_cpu(target) { 1.5e-5 } else { 4e-8 }
}

fn is_cpu(target: &str) -> bool {
    target == "xla-cpu"
}

#[cfg(test)]
mod tests {
    use preheat_cache::{Digest, GraphKey, OptionValue, create_execution_signature};
    use preheat_tensor::Dtype;
    use serde_json::json;

    use super::*;

    /// A record as the store has it, of a graph compiled for these latents.
    fn record(key: u8, stage: &str, model: &str, latents: [u64; 4], seconds: f64) -> GraphRecord {
        let signature = create_execution_signature(
            model,
            latents,
            latents[0],
            7.5,
            "euler",
            20,
            Dtype::Float32,
        )
        .unwrap();
        let digest = Digest::of(&[key]);
        let environment = json!({
            "platform": "cpu", "platform_version": "", "plugin_build": "", "device_kind": "cpu",
            "topology": {"kind": "cpu", "bounds": [], "core_count": 1}, "device_assignment": [0], "xla_flags": [], "libtpu_init_args": []
        });
        let record = json!({
            "version": 1, "graph_key": digest, "stage": stage, "device": "xla-cpu",
            "program": {"format": "mlir", "digest": digest, "bytes": 1}, "options": preheat_cache::CompileOptions::default(),
            "environment": environment, "created": "2026-11-20T00:00:00Z",
            "signatures": [{"signature": signature, "projection_key": digest, "first_used": "2026-11-20T00:00:00Z"}],
            "measurements": {"compile_seconds": seconds},
            "object": {"payload_bytes": 5, "payload_digest": digest, "stored_bytes": u64::from(key)}
        });
        serde_json::from_value(record).unwrap()
    }

    fn shape(size: [u64; 2], batch_size: u64) -> Shape {
        Shape {
            size,
            batch_size,
            guided: true,
            clip_skip: 0,
            negative_prompt: false,
            prompt_chunks: 1,
            image_to_image: false,
        }
    }

    #[test]
    fn a_graph_costs_what_it_did_else_what_the_one_most_like_it_did() {
        let records = [
            record(1, "denoiser", "sd", [1, 4, 64, 64], 10.0),
            record(2, "denoiser", "sd", [1, 4, 128, 128], 40.0),
            record(3, "denoiser", "other", [1, 4, 96, 96], 99.0),
        ];
        let costs = Costs::new(&records, "sd", "xla-cpu");
        assert_eq!(costs.sizes(), [[512, 512], [1024, 1024]]);
        let own: GraphKey = records[0].graph_key;
        let full = CompileEffort::Full;
        let estimate =
            |stage: &str, key, size, batch| costs.of(stage, key, shape(size, batch), full);
        let is = |compile_seconds, stored_bytes, basis| Estimate {
            compile_seconds,
            stored_bytes,
            basis,
        };
        assert_eq!(estimate("denoiser", Some(own), [1024, 1024], 1), is(10.0, 1, Basis::Measured));
        assert_eq!(estimate("denoiser", None, [576, 512], 1), is(10.0, 1, Basis::Alike));
        assert_eq!(estimate("denoiser", None, [512, 512], 4), is(10.0, 1, Basis::Alike));
        assert_eq!(estimate("denoiser", None, [960, 1024], 1), is(40.0, 2, Basis::Alike));
        let guessed = guess("vae_decoder", "xla-cpu", full);
        assert_eq!(estimate("vae_decoder", None, [512, 512], 1), guessed);
        let elsewhere = Costs::new(&records, "sd", "tpu:v5e:1x1");
        assert_eq!(
            elsewhere.of("denoiser", Some(own), shape([512, 512], 1), full),
            guess("denoiser", "tpu:v5e:1x1", full)
        );
        assert!(elsewhere.sizes().is_empty());
    }

    #[test]
    fn an_effort_that_was_not_measured_is_scaled_from_one_that_was() {
        let full = record(1, "denoiser", "sd", [1, 4, 64, 64], 45.0);
        let mut fast = record(2, "denoiser", "sd", [1, 4, 128, 128], 7.0);
        let fast_options = [
            ("xla_backend_optimization_level", OptionValue::Int(0)),
            ("xla_llvm_disable_expensive_passes", OptionValue::Bool(true)),
        ];
        let own = fast_options.map(|(name, value)| (name.to_owned(), value));
        fast.options.overrides.extend(own);
        let (small, large) = (shape([512, 512], 1), shape([1024, 1024], 1));
        let alone = Costs::new(std::slice::from_ref(&full), "sd", "xla-cpu");
        let of = |costs: &Costs, key, shape, effort| costs.of("denoiser", key, shape, effort);
        let scaled = of(&alone, Some(full.graph_key), small, CompileEffort::Fast);
        assert_eq!((scaled.compile_seconds.round(), scaled.basis), (28.0, Basis::Alike));
        let both = Costs::new(&[full.clone(), fast.clone()], "sd", "xla-cpu");
        let fast = of(&both, Some(fast.graph_key), large, CompileEffort::Fast);
        assert_eq!((fast.compile_seconds, fast.basis), (7.0, Basis::Measured));
        // The nearest size was compiled at another effort, so a farther one counts.
        let far = of(&both, None, large, CompileEffort::Full);
        assert_eq!((far.compile_seconds, far.basis), (45.0, Basis::Alike));
        let guessed = guess("denoiser", "tpu:v5e:1x1", CompileEffort::Balanced);
        assert!(guessed.compile_seconds < 150.0 / 4.0 && guessed.stored_bytes < 25 << 20);
    }
}
