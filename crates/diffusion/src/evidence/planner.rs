//! Which shapes should be warmed within a budget, so that users wait the least?
//!
//! This module is pure arithmetic over figures that other modules found: it reads no file and uses
//! no device.
//!
//! The problem is a facility location problem: a warm shape serves its own requests, and also
//! requests for smaller sizes. The padding of these is computed and cropped away. A request that no
//! warm shape serves waits for its compiles. This problem differs from the textbook's in two ways.
//! First, shapes share graphs: all of them share the text encoder, and those of one size share the
//! VAE. The cost of a shape therefore depends on which others are chosen. Second, a request is not
//! served where it is cheapest. The runtime serves it at its own size if that is warm, else at the
//! smallest warm size that covers it within the allowed waste.
//!
//! With up to [`EXACT_CANDIDATES`] cold shapes, every subset is tried. With more, the search starts
//! from four choices. Three are made by greedy additions, each with a different measure, and one
//! by greedy removals from the set of all shapes. Each choice is improved by additions, removals,
//! exchanges, and removals followed by greedy additions, until none of these makes it cheaper. The
//! cheapest result is taken. The search stops at a bound on its work ([`MOST_WORK`]), so that
//! thousands of shapes take seconds. Branch and bound can prune little here, because adding a shape
//! can make a choice more expensive. Requests that would have waited for one cold start are then
//! served with padding, which costs time in each of them. The tests compare the results with those
//! of trying every subset.

mod near;
mod problem;
mod search;
mod state;

use std::collections::HashSet;

use self::near::Near;
pub use self::problem::{
    Budget, Candidate, Choice, Cost, GraphCost, MOST_WORK, Problem, Server, Spent, Wanted,
    waste_percent,
};
use self::state::{State, Tables};
use super::Shape;

/// The largest number of cold shapes for which the best choice is found by trying all of their
/// subsets, of which there are 4096.
pub const EXACT_CANDIDATES: usize = 12;

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

    /// Evaluates several choices, each as [`evaluate`](Self::evaluate) does. This is faster than
    /// one call for each choice.
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
            compile_seconds: spent.compile_seconds + graph.warming_seconds,
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

#[cfg(test)]
mod tests;
