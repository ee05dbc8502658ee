//! Which shapes should be warmed within a budget, so that users wait the least?
//!
//! This module is pure arithmetic over figures that other modules found: it reads no file and uses
//! no device.
//!
//! The problem is a facility location problem: a warm shape serves its own requests, and requests
//! for smaller sizes, with padding that is computed and cropped away; a request that no warm shape
//! serves waits for its compiles. It differs from the textbook's problem in two ways. First, shapes
//! share graphs (all of them share the text encoder, and those of one size share the VAE), so the
//! cost of a shape depends on which others are chosen. Second, a request does not go where it is
//! cheapest but where the runtime sends it: to its own size if that is warm, else to the smallest
//! warm size that covers it within the allowed waste.
//!
//! With up to [`EXACT_CANDIDATES`] shapes every subset is tried. With more, there are four starting
//! points: three greedy additions, each by another measure, and greedy removals from the set of all
//! shapes. Each is improved by additions, removals, exchanges, and removals followed by greedy
//! additions, until none of these makes it cheaper; the cheapest result is taken. The search stops
//! at a bound on its work ([`MOST_WORK`]), so that thousands of shapes take seconds. Branch and
//! bound can prune little here, because adding a shape can make a choice more expensive: the shape
//! draws requests from a cold start, which they pay for once, to padding, which they pay for each
//! time. The tests compare the results with those of trying every subset.

mod near;
mod search;
mod state;

use std::collections::HashSet;

use preheat_runtime::Percent;
use serde::Serialize;

use self::near::Near;
use self::state::{State, Tables};
use super::Shape;

/// The largest number of cold shapes for which the best choice is found by trying all of their
/// subsets: 4096.
pub const EXACT_CANDIDATES: usize = 12;

/// The most steps that the search for a large problem takes. A step is one check whether a shape is
/// warm, or one look at a graph that a shape needs.
pub const MOST_WORK: u64 = 1 << 29;

/// A graph that shapes need.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphCost {
    /// How long it takes to compile.
    pub compile_seconds: f64,
    /// How many bytes it takes on disk.
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
    /// Its position in [`Problem::candidates`].
    pub candidate: usize,
    /// How many requests.
    pub requests: u64,
    /// How often the network passes over each of their pixels, summed over all the requests.
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
    /// The largest share of the computed pixels that may be padding, in percent; `None` where a
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
    /// None: the request waits for its compiles.
    Cold,
}

/// What is to be warmed.
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
/// percent, as `--snap-to-warm` counts it.
pub fn waste_percent(own: Shape, warm: Shape) -> f64 {
    Percent::wasted(own.pixels(), warm.pixels()).value()
}

/// Sizes that nobody asked for, each of which covers two requested sizes within the allowed waste:
/// such a size may be the best one to warm. Returns at most `most` of them, those that cover the
/// most requests.
pub fn joins(wanted: &[(Shape, u64)], most_waste_percent: f64, most: usize) -> Vec<Shape> {
    let near = Near::new(wanted.iter().map(|(shape, _)| *shape));
    let asked: HashSet<Shape> = wanted.iter().map(|(shape, _)| *shape).collect();
    let fits =
        |own: Shape, warm: Shape| own.fits(warm) && waste_percent(own, warm) <= most_waste_percent;
    let mut found = HashSet::new();
    for (one, _) in wanted {
        for other in near.not_smaller(*one, most_waste_percent) {
            let size = [one.size[0].max(other.size[0]), one.size[1].max(other.size[1])];
            let join = Shape { size, ..*one };
            if !asked.contains(&join) && fits(*one, join) && fits(other, join) {
                found.insert(join);
            }
        }
    }
    let covered = |join| near.smaller(join, most_waste_percent).map(|at| wanted[at].1).sum::<u64>();
    let mut ranked: Vec<(u64, Shape)> =
        found.into_iter().map(|join| (covered(join), join)).collect();
    ranked.sort_by_key(|(covered, shape)| (std::cmp::Reverse(*covered), *shape));
    ranked.truncate(most);
    ranked.into_iter().map(|(_, shape)| shape).collect()
}

impl Problem {
    /// How long users wait, and what warming takes, if exactly these candidates are warmed.
    pub fn evaluate(&self, chosen: &[usize]) -> (Cost, Spent) {
        self.evaluate_each(&[chosen.to_vec()]).pop().unwrap_or_default()
    }

    /// As [`evaluate`](Self::evaluate) for several choices, which is faster than one call for each.
    pub fn evaluate_each(&self, choices: &[Vec<usize>]) -> Vec<(Cost, Spent)> {
        let tables = Tables::new(self);
        let evaluate = |chosen: &Vec<usize>| {
            let state = State::with(&tables, chosen);
            (state.cost(), state.spent())
        };
        choices.iter().map(evaluate).collect()
    }

    /// What warming has taken after each of these candidates, if they are warmed in this order.
    pub fn spent_so_far(&self, order: &[usize]) -> Vec<Spent> {
        let tables = Tables::new(self);
        let mut state = State::with(&tables, &[]);
        let spent = order.iter().map(|candidate| {
            state.toggle(*candidate);
            state.spent()
        });
        spent.collect()
    }

    /// What warming one candidate alone takes.
    pub fn spent_alone(&self, candidate: usize) -> Spent {
        let graphs = self.candidates[candidate].graphs.iter().map(|graph| &self.graphs[*graph]);
        graphs.filter(|graph| !graph.is_there).fold(Spent::default(), |spent, graph| Spent {
            compile_seconds: spent.compile_seconds + graph.compile_seconds,
            stored_bytes: spent.stored_bytes + graph.stored_bytes,
        })
    }

    /// Which candidate serves each kind of request if the candidates in `chosen` are warmed.
    pub fn servers(&self, chosen: &[usize]) -> Vec<Server> {
        State::with(&Tables::new(self), chosen).servers()
    }

    /// The best choice that was found.
    pub fn choose(&self) -> Choice {
        let tables = Tables::new(self);
        let is_there = |at: &usize| {
            self.candidates[*at].graphs.iter().all(|graph| self.graphs[*graph].is_there)
        };
        let free: Vec<usize> = (0..self.candidates.len()).filter(|at| !is_there(at)).collect();
        let is_exact = free.len() <= EXACT_CANDIDATES;
        let mut chosen = if is_exact {
            search::every_subset(&tables, &free)
        } else {
            search::search(&tables, &free)
        };
        chosen.extend((0..self.candidates.len()).filter(is_there));
        chosen.sort_unstable();
        let state = State::with(&tables, &chosen);
        let (cost, spent) = (state.cost(), state.spent());
        tracing::debug!(work = tables.work(), "chosen");
        Choice { chosen, cost, spent, is_exact }
    }
}

/// The chance that at least one of so many requests needs something, if each needs it with the
/// probability `share`.
fn chance(share: f64, requests: f64) -> f64 {
    -(requests * (-share.min(1.0)).ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests;
