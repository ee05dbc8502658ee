//! Which shapes does a log ask for, and which of their graphs does a store already have?
//!
//! Both an audit and a plan are made from this one comparison.

use std::collections::{HashMap, HashSet};

use preheat_cache::{Digest, GraphKey, GraphRecord};
use preheat_runtime::{CompileEffort, Runtime, Verdict};
use serde::Serialize;

use super::costs::{Basis, Costs, Estimate, guessed_seconds_per_pixel_pass};
use super::planner::{Budget, Candidate, GraphCost, Problem, Server, Wanted, joins, waste_percent};
use super::{Demand, Demands, EvidenceError, Shape};
use crate::pipeline::{LookedUpStage, Pipeline, TextToImage};

/// The settings of the runtime that will serve the requests, and the limits of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The largest share of the computed pixels that may be padding, in percent; `None` if requests
    /// are not snapped to larger sizes.
    pub most_waste_percent: Option<f64>,
    /// How many requests a store serves until everything is cold again; `None` for as many as the
    /// log has.
    pub requests_per_store: Option<f64>,
    /// The largest number of sizes that become candidates although no request has them. The sizes
    /// that the store has are not counted here.
    pub joins: usize,
    /// The most that warming may cost.
    pub budget: Budget,
}

impl Rules {
    /// The usual value of `joins` for a plan.
    pub const JOINS: usize = 64;

    /// The rules for an audit, which warms nothing.
    pub fn of_audit(most_waste_percent: Option<f64>, requests_per_store: Option<f64>) -> Self {
        let budget = Budget { compile_seconds: Some(0.0), stored_bytes: Some(0) };
        Self { most_waste_percent, requests_per_store, joins: 0, budget }
    }
}

/// The compile efforts that the figures are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Efforts {
    /// The effort at which a cold request is compiled, which somebody waits for.
    pub waiting: CompileEffort,
    /// The efforts at which a warmup compiles each graph, one after the other.
    pub warming: Vec<CompileEffort>,
}

impl Efforts {
    /// The efforts of a runtime.
    pub fn of(runtime: &Runtime) -> Self {
        Self { waiting: runtime.first_effort(), warming: runtime.waves() }
    }
}

/// What is served by executables of a lower effort, and what their full compiles take.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct AtLowerEffort {
    /// How many of the served requests need at least one such executable.
    pub requests: u64,
    /// How many graphs they need that are warm only at a lower effort.
    pub graphs: usize,
    /// How long the full compiles of these graphs take.
    pub full_compile_seconds: f64,
    /// How many bytes their full executables take on disk.
    pub full_stored_bytes: u64,
}

/// One graph that candidates need.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SurveyedGraph {
    /// The stage.
    pub stage: String,
    /// The graph's key; `None` if the graph was not built.
    pub graph_key: Option<GraphKey>,
    /// How long its compile takes or took, and how large its object is: at the effort at which it
    /// is warm or, if it is cold, at the effort at which a request compiles it.
    pub estimate: Estimate,
    /// The same at the full effort, if the graph is warm only at a lower effort.
    pub missing_full: Option<Estimate>,
}

/// How much a pixel of padding costs, and where that figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PixelSeconds {
    /// How many seconds the network takes for one pass over one pixel.
    pub seconds_per_pixel_pass: f64,
    /// Whether that figure was taken from the log; otherwise it is a guess.
    pub from_log: bool,
}

/// The requests of a log, compared with the records of a store.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// The demands of the log.
    pub demands: Demands,
    /// Which shapes could be warmed, and which graphs are already there.
    pub problem: Problem,
    /// More about each graph, in the order of [`Problem::graphs`].
    pub graphs: Vec<SurveyedGraph>,
    /// How much a pixel of padding costs.
    pub pixel_seconds: PixelSeconds,
    /// The target that the figures are for.
    pub target: String,
    /// The efforts that the figures are for.
    pub efforts: Efforts,
}

impl Survey {
    /// Looks up every size that the log asks for. If `rules` allow that requests are served at
    /// larger sizes, it also looks up the larger sizes that could serve them: those for which the
    /// store has graphs, and at most `rules.joins` others.
    ///
    /// # Errors
    /// If a look-up in the cache fails.
    pub fn of(
        demands: Demands,
        pipeline: &Pipeline,
        records: &[GraphRecord],
        (target, efforts): (&str, Efforts),
        rules: Rules,
    ) -> Result<Self, EvidenceError> {
        let costs = Costs::new(records, pipeline.model_id(), target);
        let mut builder = Builder {
            costs: &costs,
            efforts: &efforts,
            graphs: Vec::new(),
            places: HashMap::new(),
            keys: HashMap::new(),
            candidates: Vec::new(),
        };
        for demand in &demands.all {
            builder.add(demand.shape, &demand.stages);
        }
        for (shape, stages) in larger(&demands.all, &costs, pipeline, records, rules)? {
            builder.add(shape, &stages);
        }
        let (candidates, graphs) = (builder.candidates, builder.graphs);
        let wanted = demands.all.iter().enumerate().map(|(candidate, demand)| Wanted {
            candidate,
            requests: demand.requests,
            passes: demand.passes,
        });
        #[expect(clippy::cast_precision_loss, reason = "requests")]
        let requests = demands.requests() as f64;
        let from_log = demands.seconds_per_pixel_pass;
        let seconds_per_pixel_pass =
            from_log.unwrap_or_else(|| guessed_seconds_per_pixel_pass(target));
        let problem = Problem {
            graphs: graphs.iter().map(|(_, cost)| cost.clone()).collect(),
            candidates,
            wanted: wanted.collect(),
            seconds_per_pixel_pass,
            most_waste_percent: rules.most_waste_percent,
            requests_per_store: rules.requests_per_store.unwrap_or(requests),
            budget: rules.budget,
        };
        Ok(Self {
            demands,
            problem,
            graphs: graphs.into_iter().map(|(graph, _)| graph).collect(),
            pixel_seconds: PixelSeconds { seconds_per_pixel_pass, from_log: from_log.is_some() },
            target: target.to_owned(),
            efforts,
        })
    }

    /// What executables of a lower effort serve, if the candidates in `chosen` are warmed in
    /// addition to what the store has.
    pub fn at_lower_effort(&self, chosen: &[usize]) -> AtLowerEffort {
        let (mut found, mut counted) = (AtLowerEffort::default(), HashSet::new());
        let servers = self.problem.servers(chosen);
        for (wanted, server) in self.problem.wanted.iter().zip(servers) {
            let candidate = match server {
                Server::Own => wanted.candidate,
                Server::Larger(larger) => larger,
                Server::Cold => continue,
            };
            let graphs = self.problem.candidates[candidate].graphs.iter();
            let lower = graphs.filter_map(|&graph| Some((graph, self.graphs[graph].missing_full?)));
            let lower: Vec<(usize, Estimate)> = lower.collect();
            if !lower.is_empty() {
                found.requests += wanted.requests;
            }
            for (graph, full) in lower {
                if counted.insert(graph) {
                    found.graphs += 1;
                    found.full_compile_seconds += full.compile_seconds;
                    found.full_stored_bytes += full.stored_bytes;
                }
            }
        }
        found
    }

    /// How the figures of these graphs were obtained: how many were measured, taken from a similar
    /// graph, and guessed.
    pub fn bases(&self) -> [usize; 3] {
        let count =
            |basis| self.graphs.iter().filter(|graph| graph.estimate.basis == basis).count();
        [Basis::Measured, Basis::Alike, Basis::Guessed].map(count)
    }
}

/// Looks up shapes that nobody asked for, which may serve requests for smaller ones.
fn larger(
    demands: &[Demand],
    costs: &Costs,
    pipeline: &Pipeline,
    records: &[GraphRecord],
    rules: Rules,
) -> Result<Vec<(Shape, Vec<LookedUpStage>)>, EvidenceError> {
    let Some(most_waste) = rules.most_waste_percent else { return Ok(Vec::new()) };
    let wanted: Vec<(Shape, u64)> =
        demands.iter().map(|demand| (demand.shape, demand.requests)).collect();
    let mut shapes = joins(&wanted, most_waste, rules.joins);
    // The sizes that the store has, in each kind of shape that the log asks for.
    let mut kinds: Vec<Shape> =
        wanted.iter().map(|(shape, _)| Shape { size: [0, 0], ..*shape }).collect();
    kinds.sort_unstable();
    kinds.dedup();
    shapes.extend(
        costs
            .sizes()
            .iter()
            .flat_map(|size| kinds.iter().map(|kind| Shape { size: *size, ..*kind })),
    );
    let asked: HashSet<Shape> = wanted.iter().map(|(shape, _)| *shape).collect();
    let serves =
        |shape: Shape, own: Shape| own.fits(shape) && waste_percent(own, shape) <= most_waste;
    shapes.retain(|shape| {
        !asked.contains(shape) && wanted.iter().any(|(own, _)| serves(*shape, *own))
    });
    shapes.sort_unstable();
    shapes.dedup();
    let requests: Vec<TextToImage> = shapes.iter().map(|shape| shape.to_request()).collect();
    let mut found = Vec::new();
    for (shape, answer) in shapes.into_iter().zip(pipeline.look_up_each(&requests, records)?) {
        match answer {
            // If this pipeline's padding multiple turns a size into another one, no request is ever
            // computed at that size.
            Ok(looked_up) if looked_up.plan.sizes.padded == shape.size => {
                found.push((shape, looked_up.stages));
            }
            Ok(_) => {}
            Err(error) if error.is_of_the_request() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

struct Builder<'a> {
    costs: &'a Costs,
    efforts: &'a Efforts,
    graphs: Vec<(SurveyedGraph, GraphCost)>,
    /// The position of each graph. A graph that was not built has no key; its stage and its
    /// projection identify it.
    places: HashMap<(String, Digest), usize>,
    keys: HashMap<GraphKey, usize>,
    candidates: Vec<Candidate>,
}

impl Builder<'_> {
    fn add(&mut self, shape: Shape, stages: &[LookedUpStage]) {
        let graphs = stages.iter().map(|stage| self.place(shape, stage)).collect();
        self.candidates.push(Candidate { shape, graphs });
    }

    /// The position of a stage's graph, which several shapes may share.
    fn place(
        &mut self,
        shape: Shape,
        LookedUpStage { projection, lookup: stage }: &LookedUpStage,
    ) -> usize {
        let identity = (stage.stage.clone(), *projection);
        let by_key = stage.graph_key.and_then(|key| self.keys.get(&key));
        if let Some(place) = self.places.get(&identity).or(by_key).copied() {
            return place;
        }
        let place = self.graphs.len();
        let at = |effort| self.costs.of(&stage.stage, stage.graph_key, shape, effort);
        let is_there = stage.verdict == Verdict::Hit;
        let warm_at = stage.effort.filter(|_| is_there);
        let estimate = at(warm_at.unwrap_or(self.efforts.waiting));
        let is_lower = warm_at.is_some_and(|effort| effort < CompileEffort::Full);
        let warming = || self.efforts.warming.iter().map(|effort| at(*effort));
        let cost = GraphCost {
            compile_seconds: estimate.compile_seconds,
            warming_seconds: warming().map(|one| one.compile_seconds).sum(),
            stored_bytes: warming().map(|one| one.stored_bytes).sum(),
            is_there,
        };
        let graph = SurveyedGraph {
            stage: stage.stage.clone(),
            graph_key: stage.graph_key,
            estimate,
            missing_full: is_lower.then(|| at(CompileEffort::Full)),
        };
        self.graphs.push((graph, cost));
        self.places.insert(identity, place);
        self.keys.extend(stage.graph_key.map(|key| (key, place)));
        place
    }
}
