//! What a store would make of the requests in a log.

use std::collections::BTreeMap;

use preheat_runtime::Verdict;
use serde::Serialize;

use super::demand::Refused;
use super::log::DamagedLine;
use super::planner::{Cost, Server};
use super::survey::{PixelSeconds, Survey};
use super::{RequestLog, Shape};

/// What a store would make of the requests in a log: the command line's JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// Whether all requests are warm, some or none.
    pub verdict: Verdict,
    /// The model.
    pub model_id: String,
    /// The hardware.
    pub target: String,
    /// Requests that the model can serve.
    pub requests: u64,
    /// Those that are warm, at their own size or a larger one.
    pub hits: u64,
    /// Of these, those that are served at a larger size.
    pub snapped: u64,
    /// The share of the hits, from 0 to 1.
    pub hit_rate: f64,
    /// How many shapes are asked for.
    pub shapes: usize,
    /// Compile seconds of the graphs that cold requests need and the store lacks, each once.
    pub compile_seconds_at_risk: f64,
    /// How many graphs these are.
    pub graphs_at_risk: usize,
    /// Compile seconds that cold requests would wait for if each came to the store as it is now.
    pub compile_seconds_if_each_waited: f64,
    /// What users are expected to wait for over the life of one store.
    pub expected: Cost,
    /// How many requests a store is taken to serve in its life.
    pub requests_per_store: f64,
    /// What padding is taken to cost.
    pub pixel_seconds: PixelSeconds,
    /// How many of the compile times were measured, taken from a like graph, and guessed.
    pub bases: Bases,
    /// The shapes that are cold, the one that is wanted most first.
    pub missing: Vec<MissingShape>,
    /// Requests that the model cannot serve.
    pub refused: Vec<Refused>,
    /// Requests of other models, which were left out.
    pub other_models: BTreeMap<String, u64>,
    /// The first hundred of the lines that are no requests, which were left out.
    pub damaged_lines: Vec<DamagedLine>,
    /// How many more there are.
    pub more_damaged_lines: usize,
}

/// How many figures are known in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bases {
    /// Of this graph.
    pub measured: usize,
    /// Of the same stage at another size or batch.
    pub alike: usize,
    /// Of nothing.
    pub guessed: usize,
}

impl Bases {
    /// The bases of a survey's figures.
    pub fn of(survey: &Survey) -> Self {
        let [measured, alike, guessed] = survey.bases();
        Self { measured, alike, guessed }
    }
}

/// A shape that is asked for, and cold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MissingShape {
    /// The shape.
    #[serde(flatten)]
    pub shape: Shape,
    /// How many requests want it.
    pub requests: u64,
    /// The stages that the store lacks.
    pub stages: Vec<String>,
    /// What compiling these takes; a graph that several shapes lack stands in each.
    pub compile_seconds: f64,
}

impl Audit {
    /// Sets what was surveyed against what was asked for.
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
