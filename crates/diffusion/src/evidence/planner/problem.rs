//! Which facts and which limits decide what to warm?

use preheat_runtime::Percent;
use serde::Serialize;

use crate::evidence::Shape;

/// After this many steps the search for a large problem ends, as soon as its current operation is
/// finished. A step is one look at a shape or at a kind of request; each new computation of a cost
/// counts as 16 steps.
pub const MOST_WORK: u64 = 1 << 29;

/// A graph that shapes need.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphCost {
    /// How long a request that needs it waits for its compile.
    pub compile_seconds: f64,
    /// How long warming it takes: the sum of all efforts at which it is compiled.
    pub warming_seconds: f64,
    /// How many bytes it takes on disk when it was warmed.
    pub stored_bytes: u64,
    /// Whether the store already has it, so that it costs nothing.
    pub is_there: bool,
}

/// A shape that could be warmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The shape.
    pub shape: Shape,
    /// Its graphs, as positions in [`Problem::graphs`].
    pub graphs: Vec<usize>,
}

/// Requests for one candidate's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The candidate's position in [`Problem::candidates`].
    pub candidate: usize,
    /// How many requests there are.
    pub requests: u64,
    /// How often the network passes over one pixel, summed over all these requests.
    pub passes: f64,
}

/// What warming may spend, beyond what is already warm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// Seconds of compiles, run one after another; `None` for no limit.
    pub compile_seconds: Option<f64>,
    /// Bytes on disk; `None` for no limit.
    pub stored_bytes: Option<u64>,
}

impl Budget {
    /// Whether the budget is large enough for `spent`.
    pub fn covers(self, spent: Spent) -> bool {
        self.compile_seconds.is_none_or(|most| spent.compile_seconds <= most)
            && self.stored_bytes.is_none_or(|most| spent.stored_bytes <= most)
    }
}

/// The problem that the planner solves.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Every graph of every candidate.
    pub graphs: Vec<GraphCost>,
    /// What could be warmed.
    pub candidates: Vec<Candidate>,
    /// How many requests ask for each shape.
    pub wanted: Vec<Wanted>,
    /// How many seconds the network takes for one pass over one pixel.
    pub seconds_per_pixel_pass: f64,
    /// The largest share of the computed pixels that may be padding, in percent; `None` if a
    /// size serves only its own requests.
    pub most_waste_percent: Option<f64>,
    /// How many requests a store serves until everything is cold again.
    pub requests_per_store: f64,
    /// What warming may spend.
    pub budget: Budget,
}

/// How long users are expected to wait in total over the life of one store.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cost {
    /// Waiting for compiles of graphs that are not warm.
    pub compile_wait_seconds: f64,
    /// Computing padding that is then cropped away.
    pub padding_seconds: f64,
}

impl Cost {
    /// The sum of both.
    pub fn total_seconds(self) -> f64 {
        self.compile_wait_seconds + self.padding_seconds
    }
}

/// What warming a choice takes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spent {
    /// Seconds of compiles.
    pub compile_seconds: f64,
    /// Bytes on disk.
    pub stored_bytes: u64,
}

/// Which candidate serves a kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The candidate of its own shape, which is warm.
    Own,
    /// A larger candidate, by its position.
    Larger(usize),
    /// No candidate serves the request: it waits for its compiles.
    Cold,
}

/// The shapes that are to be warmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Positions in [`Problem::candidates`], including those that are already warm.
    pub chosen: Vec<usize>,
    /// How long users still wait.
    pub cost: Cost,
    /// What warming takes.
    pub spent: Spent,
    /// Whether every subset was tried.
    pub is_exact: bool,
}

/// The share of the pixels computed at `warm` that is padding for a request of the size `own`, in
/// percent, as [`PipelineBuilder::snap_to_warm`](crate::pipeline::PipelineBuilder::snap_to_warm)
/// counts it.
pub fn waste_percent(own: Shape, warm: Shape) -> f64 {
    Percent::wasted(own.pixels(), warm.pixels()).value()
}

/// The chance that at least one of `requests` requests needs a graph, if each needs it with the
/// probability `share`.
pub(super) fn chance(share: f64, requests: f64) -> f64 {
    -(requests * (-share.min(1.0)).ln_1p()).exp_m1()
}
