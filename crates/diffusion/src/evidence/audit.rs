//! How many of the requests in a log would a store serve, and what is missing?
//!
//! This module adds up what `survey.rs` found, and looks up nothing itself.

use std::collections::BTreeMap;

use preheat_runtime::Verdict;
use serde::Serialize;

use super::demand::Refused;
use super::log::DamagedLine;
use super::planner::{Cost, Server};
use super::survey::{AtLowerEffort, Efforts, PixelSeconds, Survey};
use super::{RequestLog, Shape};

/// How a store would serve the requests in a log. The command line prints this as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// Whether all, some or none of the requests are warm.
    pub verdict: Verdict,
    /// The model.
    pub model_id: String,
    /// The hardware.
    pub target: String,
    /// Requests that the model can serve.
    pub requests: u64,
    /// Requests that are warm, at their own size or a larger one.
    pub hits: u64,
    /// How many of the hits are served at a larger size.
    pub snapped: u64,
    /// Hits divided by requests, from 0 to 1.
    pub hit_rate: f64,
    /// How many different shapes these requests have.
    pub shapes: usize,
    /// The part of the hits that executables of a lower effort serve.
    pub at_lower_effort: AtLowerEffort,
    /// The compile efforts that the figures are for.
    pub efforts: Efforts,
    /// Compile seconds of the graphs that cold requests need and the store lacks, each graph
    /// counted once, at the effort at which a request is compiled.
    pub compile_seconds_at_risk: f64,
    /// How many graphs these are.
    pub graphs_at_risk: usize,
    /// Compile seconds that cold requests would wait for in total if the store did not change
    /// between them.
    pub compile_seconds_if_each_waited: f64,
    /// How long users are expected to wait over the life of one store.
    pub expected: Cost,
    /// How many requests a store is assumed to serve in its life.
    pub requests_per_store: f64,
    /// How much a pixel of padding is assumed to cost.
    pub pixel_seconds: PixelSeconds,
    /// How many of the compile times were measured, taken from a similar graph, or guessed.
    pub bases: Bases,
    /// The cold shapes, the most wanted first.
    pub missing: Vec<MissingShape>,
    /// Requests that the model cannot serve.
    pub refused: Vec<Refused>,
    /// Requests for other models, which were left out, by the model's name.
    pub other_models: BTreeMap<String, u64>,
    /// The first hundred lines that are not requests, which were left out.
    pub damaged_lines: Vec<DamagedLine>,
    /// How many more such lines there are.
    pub more_damaged_lines: usize,
}

/// How many figures were obtained in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bases {
    /// Measured for this very graph.
    pub measured: usize,
    /// Measured for the same stage at another size or batch.
    pub alike: usize,
    /// Guessed, because nothing was measured.
    pub guessed: usize,
}

impl Bases {
    /// Counts how the figures of a survey were obtained.
    pub fn of(survey: &Survey) -> Self {
        let [measured, alike, guessed] = survey.bases();
        Self { measured, alike, guessed }
    }
}

/// A shape that is asked for and is cold.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MissingShape {
    /// The shape.
    #[serde(flatten)]
    pub shape: Shape,
    /// How many requests ask for it.
    pub requests: u64,
    /// The stages that the store lacks.
    pub stages: Vec<String>,
    /// How long compiling these stages takes. A graph that several shapes lack is counted for each
    /// of them.
    pub compile_seconds: f64,
}

impl Audit {
    /// Compares what the store has, which is in `survey`, with the requests in `log`.
    pub fn of(survey: &Survey, model_id: &str, log: &RequestLog) -> Self {
        let (problem, demands) = (&survey.problem, &survey.demands);
        let servers = problem.servers(&[]);
        let (mut missing, mut at_risk) = (Vec::new(), vec![false; problem.graphs.len()]);
        let (mut snapped, mut if_each_waited) = (0, 0.0);
        for ((demand, wanted), server) in demands.all.iter().zip(&problem.wanted).zip(&servers) {
            match server {
                Server::Own => {}
                Server::Larger(_) => snapped += demand.requests,
                Server::Cold => {
                    let graphs = &problem.candidates[wanted.candidate].graphs;
                    let lacking: Vec<usize> = graphs
                        .iter()
                        .copied()
                        .filter(|graph| !problem.graphs[*graph].is_there)
                        .collect();
                    for graph in &lacking {
                        at_risk[*graph] = true;
                    }
                    let compile_seconds =
                        lacking.iter().map(|graph| problem.graphs[*graph].compile_seconds).sum();
                    #[expect(clippy::cast_precision_loss, reason = "requests")]
                    let requests = demand.requests as f64;
                    if_each_waited += requests * compile_seconds;
                    missing.push(MissingShape {
                        shape: demand.shape,
                        requests: demand.requests,
                        stages: lacking
                            .iter()
                            .map(|graph| survey.graphs[*graph].stage.clone())
                            .collect(),
                        compile_seconds,
                    });
                }
            }
        }
        let requests = demands.requests();
        let hits = requests - missing.iter().map(|shape| shape.requests).sum::<u64>();
        let lacking = problem.graphs.iter().zip(&at_risk).filter(|(_, lacking)| **lacking);
        Self {
            verdict: match hits {
                0 => Verdict::Miss,
                all if all == requests => Verdict::Hit,
                _ => Verdict::Partial,
            },
            model_id: model_id.to_owned(),
            target: survey.target.clone(),
            requests,
            hits,
            snapped,
            #[expect(clippy::cast_precision_loss, reason = "requests")]
            hit_rate: hits as f64 / requests as f64,
            shapes: demands.all.len(),
            at_lower_effort: survey.at_lower_effort(&[]),
            efforts: survey.efforts.clone(),
            graphs_at_risk: lacking.clone().count(),
            compile_seconds_at_risk: lacking.map(|(graph, _)| graph.compile_seconds).sum(),
            compile_seconds_if_each_waited: if_each_waited,
            expected: problem.evaluate(&[]).0,
            requests_per_store: problem.requests_per_store,
            pixel_seconds: survey.pixel_seconds,
            bases: Bases::of(survey),
            missing,
            refused: demands.refused.clone(),
            other_models: demands.other_models.clone(),
            damaged_lines: log.damaged.clone(),
            more_damaged_lines: log.more_damaged,
        }
    }
}
