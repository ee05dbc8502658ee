//! What to warm: the shapes that cost users least, within a budget. Pure arithmetic over figures
//! that others found.
//!
//! The problem is that of placing facilities: a warm shape serves its own requests, and those of
//! smaller sizes with padding that is computed and cropped; what nothing serves waits for its
//! compiles. Two things make it another one than the textbook's. Shapes share graphs (all of them
//! the text encoder, those of one size the VAE), so what a shape costs depends on what else is
//! chosen; and a request does not go where it is cheapest but where the runtime sends it: to its
//! own size where that is warm, else to the smallest that covers it within the allowed waste.
//!
//! Up to [`EXACT_CANDIDATES`] shapes every subset is tried. Beyond, greedy additions by three
//! measures, and greedy removals from all of them, are each improved until no addition, removal,
//! exchange, or removal followed by greedy additions makes them cheaper; the cheapest is taken. All
//! of this stops at a bound of work ([`MOST_WORK`]), so that thousands of shapes take seconds.
//! Branch and bound has little to prune by here, since a shape that is added can make others
//! dearer: it draws requests from a cold start, which they pay once, to padding, which they pay
//! each time. The tests compare with every subset.

mod near;
mod search;
mod state;

use std::collections::HashSet;

use preheat_runtime::Percent;
use serde::Serialize;

use self::near::Near;
use self::state::{State, Tables};
use super::Shape;

/// Up to so many shapes that are not warm yet, the best choice is found by trying all: 4096
/// subsets.
pub const EXACT_CANDIDATES: usize = 12;

/// So many steps the search for a large problem takes: each is one look at whether a shape is warm,
/// or at a graph that it needs.
pub const MOST_WORK: u64 = 1 << 29;

/// A graph that shapes need.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphCost {
    /// What compiling it takes.
    pub compile_seconds: f64,
    /// What it takes on disk.
    pub stored_bytes: u64,
    /// Whether the store has it, so that it costs nothing.
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
    /// How often the network passes over each of their pixels, all together.
    pub passes: f64,
}

/// What warming may take, beyond what is warm already.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// Seconds of compiles, one after the other; `None` for as many as it takes.
    pub compile_seconds: Option<f64>,
    /// Bytes on disk; `None` for as many as it takes.
    pub stored_bytes: Option<u64>,
}

impl Budget {
    /// Whether it covers something.
    pub fn covers(self, spent: Spent) -> bool {
        self.compile_seconds.is_none_or(|most| spent.compile_seconds <= most)
            && self.stored_bytes.is_none_or(|most| spent.stored_bytes <= most)
    }
}

/// What is to be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Every graph of every candidate.
    pub graphs: Vec<GraphCost>,
    /// What could be warmed.
    pub candidates: Vec<Candidate>,
    /// What is asked for.
    pub wanted: Vec<Wanted>,
    /// What a pass over one pixel takes.
    pub seconds_per_pixel_pass: f64,
    /// How much of what is computed may be padding; `None` where a size serves its own requests
    /// only.
    pub most_waste_percent: Option<f64>,
    /// How many requests a store serves until everything is cold again.
    pub requests_per_store: f64,
    /// What may be spent.
    pub budget: Budget,
}

/// What users are expected to wait for over the life of one store.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cost {
    /// Compiles of graphs that are not warm.
    pub compile_wait_seconds: f64,
    /// Padding that is computed and cropped.
    pub padding_seconds: f64,
}

impl Cost {
    /// Both together.
    pub fn total_seconds(self) -> f64 {
        self.compile_wait_seconds + self.padding_seconds
    }
}

/// What warming takes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spent {
    /// Seconds of compiles.
    pub compile_seconds: f64,
    /// Bytes on disk.
    pub stored_bytes: u64,
}

/// Who serves a kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Its own shape is warm.
    Own,
    /// A larger candidate.
    Larger(usize),
    /// Nothing: it waits.
    Cold,
}

/// What is to be warmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Positions in [`Problem::candidates`], those that are warm already included.
    pub chosen: Vec<usize>,
    /// What users still wait for.
    pub cost: Cost,
    /// What warming takes.
    pub spent: Spent,
    /// Whether every subset was tried.
    pub is_exact: bool,
}

/// How much of what is computed at `warm` is padding for a request of the size `own`, in percent:
/// as `--snap-to-warm` counts it.
pub fn waste_percent(own: Shape, warm: Shape) -> f64 {
    Percent::wasted(own.pixels(), warm.pixels()).value()
}

/// Sizes that nobody asked for and that cover two that somebody did within the allowed waste: the
/// best size to warm may be one of them. The `most` that cover the most requests.
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
    /// What users wait for, and warming takes, where these candidates are warmed and nothing else.
    pub fn evaluate(&self, chosen: &[usize]) -> (Cost, Spent) {
        self.evaluate_each(&[chosen.to_vec()]).pop().unwrap_or_default()
    }

    /// The same for each of several choices, which takes less time than one after the other.
    pub fn evaluate_each(&self, choices: &[Vec<usize>]) -> Vec<(Cost, Spent)> {
        let tables = Tables::new(self);
        let evaluate = |chosen: &Vec<usize>| {
            let state = State::with(&tables, chosen);
            (state.cost(), state.spent())
        };
        choices.iter().map(evaluate).collect()
    }

    /// What warming takes after each of these candidates, one after the other.
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

    /// Who serves each kind of request where these candidates are warmed.
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

/// The chance that something which each request needs with this `share` is needed by any of so
/// many.
fn chance(share: f64, requests: f64) -> f64 {
    -(requests * (-share.min(1.0)).ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests;
