//! What does a choice cost, while candidates are added and removed?
//!
//! The effect of adding or removing one shape is computed only from the graphs and requests that
//! the shape touches, not from the whole problem.

use std::cell::Cell;

use super::near::Near;
use super::problem::{Candidate, Cost, Problem, Server, Spent, chance};

/// The facts that do not change with the choice: the requests that each candidate can serve, and
/// the graphs that it needs.
pub(super) struct Tables<'a> {
    pub(super) problem: &'a Problem,
    /// For each kind of request, the candidates that could serve it, in the order in which the
    /// runtime prefers them.
    covers: Vec<Vec<usize>>,
    /// For each candidate, the kinds of requests that it could serve, each with the candidate's
    /// place in the list that `covers` has for this kind.
    covered: Vec<Vec<(usize, usize)>>,
    /// For each graph, the candidates that need it.
    users: Vec<Vec<usize>>,
    requests: f64,
    /// The work done so far, counted as [`MOST_WORK`](super::problem::MOST_WORK) counts it.
    work: Cell<u64>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        let near = Near::new(problem.candidates.iter().map(|candidate| candidate.shape));
        let covers: Vec<Vec<usize>> =
            problem.wanted.iter().map(|wanted| covers(problem, &near, wanted.candidate)).collect();
        let mut covered = vec![Vec::new(); problem.candidates.len()];
        for (wanted, covers) in covers.iter().enumerate() {
            for (rank, candidate) in covers.iter().enumerate() {
                covered[*candidate].push((wanted, rank));
            }
        }
        let mut users = vec![Vec::new(); problem.graphs.len()];
        for (at, candidate) in problem.candidates.iter().enumerate() {
            for graph in &candidate.graphs {
                users[*graph].push(at);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "requests")]
        let requests = problem.wanted.iter().map(|wanted| wanted.requests as f64).sum();
        Self { problem, covers, covered, users, requests, work: Cell::new(0) }
    }
}

impl Tables<'_> {
    /// The work done so far.
    pub(super) fn work(&self) -> u64 {
        self.work.get()
    }

    pub(super) fn count_work(&self, steps: usize) {
        self.work.set(self.work.get() + steps as u64);
    }
}

/// The candidates that could serve requests for `own`: itself, then larger ones, the smallest
/// first.
fn covers(problem: &Problem, near: &Near, own: usize) -> Vec<usize> {
    let larger =
        problem.most_waste_percent.map(|most| near.larger(problem.candidates[own].shape, most));
    std::iter::once(own).chain(larger.into_iter().flatten().filter(|at| *at != own)).collect()
}

/// The work that is counted for each new computation of a cost, which takes a logarithm.
const TURN: usize = 16;

/// A choice, its cost, and the part of the budget that it takes.
#[derive(Clone)]
pub(super) struct State<'t> {
    tables: &'t Tables<'t>,
    chosen: Vec<bool>,
    /// For each graph, how many chosen candidates need it, plus one if the store has it.
    uses: Vec<usize>,
    /// For each candidate, how many of its graphs are cold.
    lacks: Vec<usize>,
    /// For each kind of request, the candidate that serves it, as a place in the list that
    /// `Tables::covers` has for this kind; `None` if all candidates of the list are cold.
    ranks: Vec<Option<usize>>,
    /// For each graph, how many of the requests that no warm shape serves need it.
    waiting: Vec<u64>,
    cost: Cost,
    /// A whole number, so that adding and then removing a candidate leaves no rounding error.
    compile_microseconds: u64,
    stored_bytes: u64,
}

impl<'t> State<'t> {
    /// The state in which these candidates are warm in addition to what the store has.
    pub(super) fn with(tables: &'t Tables<'t>, chosen: &[usize]) -> Self {
        let problem = tables.problem;
        let uses: Vec<usize> =
            problem.graphs.iter().map(|graph| usize::from(graph.is_there)).collect();
        let lacks = |candidate: &Candidate| {
            candidate.graphs.iter().filter(|graph| uses[**graph] == 0).count()
        };
        let lacks = problem.candidates.iter().map(lacks).collect();
        let mut state = Self {
            tables,
            chosen: vec![false; problem.candidates.len()],
            uses,
            lacks,
            // At first, each request counts as served at its own size; `serve_from` then corrects
            // that.
            ranks: vec![Some(0); problem.wanted.len()],
            waiting: vec![0; problem.graphs.len()],
            cost: Cost::default(),
            compile_microseconds: 0,
            stored_bytes: 0,
        };
        (0..problem.wanted.len()).for_each(|wanted| state.serve_from(wanted, 0));
        for candidate in chosen {
            state.toggle(*candidate);
        }
        state
    }

    pub(super) fn has(&self, candidate: usize) -> bool {
        self.chosen[candidate]
    }

    pub(super) fn chosen(&self) -> Vec<usize> {
        (0..self.chosen.len()).filter(|at| self.chosen[*at]).collect()
    }

    pub(super) fn servers(&self) -> Vec<Server> {
        (0..self.ranks.len()).map(|wanted| self.server(wanted, self.ranks[wanted])).collect()
    }

    /// The candidate at the place `rank` in the list of those that could serve a kind of request.
    fn server(&self, wanted: usize, rank: Option<usize>) -> Server {
        match rank {
            Some(0) => Server::Own,
            Some(rank) => Server::Larger(self.tables.covers[wanted][rank]),
            None => Server::Cold,
        }
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn total(&self) -> f64 {
        self.cost.total_seconds()
    }

    pub(super) fn spent(&self) -> Spent {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
        let compile_seconds = self.compile_microseconds as f64 / 1e6;
        Spent { compile_seconds, stored_bytes: self.stored_bytes }
    }

    pub(super) fn fits(&self) -> bool {
        self.tables.problem.budget.covers(self.spent())
    }

    /// Calls `look` on the state with one candidate added or removed, and restores the state.
    pub(super) fn trying<T>(&mut self, candidate: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.cost;
        self.toggle(candidate);
        let seen = look(self);
        self.toggle(candidate);
        // Adding and subtracting fractions leaves rounding errors, so the old value is put back.
        self.cost = before;
        seen
    }

    /// Adds a candidate, or removes it.
    pub(super) fn toggle(&mut self, candidate: usize) {
        let problem = self.tables.problem;
        self.chosen[candidate] = !self.chosen[candidate];
        for graph in &problem.candidates[candidate].graphs {
            if self.chosen[candidate] {
                self.uses[*graph] += 1;
                if self.uses[*graph] == 1 {
                    self.turn(*graph);
                }
            } else {
                self.uses[*graph] -= 1;
                if self.uses[*graph] == 0 {
                    self.turn(*graph);
                }
            }
        }
    }

    /// Updates everything that depends on a graph which has become warm or cold.
    fn turn(&mut self, graph: usize) {
        let (tables, is_warm) = (self.tables, self.uses[graph] > 0);
        let cost = &tables.problem.graphs[graph];
        let wait = self.wait(graph);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let microseconds = (cost.warming_seconds * 1e6).round() as u64;
        if is_warm {
            self.cost.compile_wait_seconds -= wait;
            self.compile_microseconds += microseconds;
            self.stored_bytes += cost.stored_bytes;
        } else {
            self.cost.compile_wait_seconds += wait;
            self.compile_microseconds -= microseconds;
            self.stored_bytes -= cost.stored_bytes;
        }
        tables.count_work(TURN + tables.users[graph].len());
        for user in &tables.users[graph] {
            let was_warm = self.lacks[*user] == 0;
            if is_warm {
                self.lacks[*user] -= 1;
            } else {
                self.lacks[*user] += 1;
            }
            let is_warm = self.lacks[*user] == 0;
            if was_warm == is_warm {
                continue;
            }
            tables.count_work(tables.covered[*user].len());
            for &(wanted, rank) in &tables.covered[*user] {
                let serves = self.ranks[wanted];
                if is_warm && serves.is_none_or(|other| rank < other) {
                    self.serve_by(wanted, Some(rank));
                } else if !is_warm && serves == Some(rank) {
                    self.serve_from(wanted, rank);
                }
            }
        }
    }

    /// Finds the candidate that serves a kind of request, beginning at the place `first` of the
    /// list.
    fn serve_from(&mut self, wanted: usize, first: usize) {
        let later = &self.tables.covers[wanted][first..];
        let found = later.iter().position(|candidate| self.lacks[*candidate] == 0);
        self.tables.count_work(found.map_or(later.len(), |at| at + 1));
        self.serve_by(wanted, found.map(|at| first + at));
    }

    fn serve_by(&mut self, wanted: usize, rank: Option<usize>) {
        let before = std::mem::replace(&mut self.ranks[wanted], rank);
        if before != rank {
            self.tables.count_work(TURN);
            self.count(wanted, self.server(wanted, before), false);
            self.count(wanted, self.server(wanted, rank), true);
        }
    }

    /// Adds the cost of a kind of request if `server` serves it, or subtracts it.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn count(&mut self, wanted: usize, server: Server, add: bool) {
        let problem = self.tables.problem;
        let kind = &problem.wanted[wanted];
        let own = &problem.candidates[kind.candidate];
        match server {
            Server::Own => {}
            Server::Larger(larger) => {
                let extra = problem.candidates[larger].shape.pixels() - own.shape.pixels();
                let of_log = extra as f64 * kind.passes * problem.seconds_per_pixel_pass;
                let seconds = of_log * problem.requests_per_store / self.tables.requests;
                self.cost.padding_seconds += if add { seconds } else { -seconds };
            }
            Server::Cold => {
                for graph in &own.graphs {
                    let is_cold = self.uses[*graph] == 0;
                    let before = self.wait(*graph);
                    if add {
                        self.waiting[*graph] += kind.requests;
                    } else {
                        self.waiting[*graph] -= kind.requests;
                    }
                    if is_cold {
                        self.cost.compile_wait_seconds += self.wait(*graph) - before;
                    }
                }
            }
        }
    }

    /// How long users are expected to wait for a graph if it is cold.
    #[expect(clippy::cast_precision_loss, reason = "requests")]
    fn wait(&self, graph: usize) -> f64 {
        let problem = self.tables.problem;
        let share = self.waiting[graph] as f64 / self.tables.requests;
        if self.waiting[graph] == 0 {
            return 0.0;
        }
        problem.graphs[graph].compile_seconds * chance(share, problem.requests_per_store)
    }
}
