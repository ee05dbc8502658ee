//! What to warm: the shapes that cost users least, within a budget. Pure arithmetic over figures that others found.
//!
//! The problem is that of placing facilities: a warm shape serves its own requests, and those of smaller sizes with padding that is
//! computed and cropped; what nothing serves waits for its compiles. Two things make it another one than the textbook's. Shapes
//! share graphs (all of them the text encoder, those of one size the VAE), so what a shape costs depends on what else is chosen; and
//! a request does not go where it is cheapest but where the runtime sends it: to its own size where that is warm, else to the
//! smallest that covers it within the allowed waste.
//!
//! Up to [`EXACT_CANDIDATES`] shapes every subset is tried. Beyond, greedy additions by three measures, and greedy removals
//! from all of them, are each improved until no addition, removal, exchange, or removal followed by greedy additions makes them
//! cheaper; the cheapest is taken. Branch and
//! bound has little to prune by here, since a shape that is added can make others dearer: it draws requests from a cold start, which
//! they pay once, to padding, which they pay each time. tests/evidence.rs and the tests below compare with every subset.

use std::ops::Add as _;

use serde::Serialize;

use super::Shape;

/// Up to so many shapes that are not warm yet, the best choice is found by trying all: 4096 subsets.
pub const EXACT_CANDIDATES: usize = 12;

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
    /// How much of what is computed may be padding; `None` where a size serves its own requests only.
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

/// How much of what is computed at `warm` is padding for a request of the size `own`, in percent.
#[expect(clippy::cast_precision_loss, reason = "pixels")]
pub fn waste_percent(own: Shape, warm: Shape) -> f64 {
    let (own, warm) = (own.pixels() as f64, warm.pixels() as f64);
    (warm - own) / warm * 100.0
}

/// Sizes that nobody asked for and that cover two that somebody did within the allowed waste: the best size to warm may be one of
/// them. The `most` that cover the most requests.
pub fn joins(wanted: &[(Shape, u64)], most_waste_percent: f64, most: usize) -> Vec<Shape> {
    let fits = |own: Shape, warm: Shape| own.fits(warm) && waste_percent(own, warm) <= most_waste_percent;
    let mut found = std::collections::BTreeSet::new();
    for (at, (one, _)) in wanted.iter().enumerate() {
        for (other, _) in &wanted[at + 1..] {
            let size = [one.size[0].max(other.size[0]), one.size[1].max(other.size[1])];
            let join = Shape { size, ..*one };
            if join != *one && join != *other && fits(*one, join) && fits(*other, join) {
                found.insert(join);
            }
        }
    }
    let covered =
        |join: &Shape| wanted.iter().filter(|(own, _)| fits(*own, *join)).map(|(_, requests)| *requests).sum::<u64>();
    let mut ranked: Vec<(u64, Shape)> = found
        .into_iter()
        .filter(|join| wanted.iter().all(|(own, _)| own != join))
        .map(|join| (covered(&join), join))
        .collect();
    ranked.sort_by_key(|(covered, shape)| (std::cmp::Reverse(*covered), *shape));
    ranked.truncate(most);
    ranked.into_iter().map(|(_, shape)| shape).collect()
}

impl Problem {
    /// What users wait for, and warming takes, where these candidates are warmed and nothing else.
    pub fn evaluate(&self, chosen: &[usize]) -> (Cost, Spent) {
        let solver = Solver::new(self);
        let set = solver.set_of(chosen);
        (solver.cost(&set), solver.spent(&set))
    }

    /// Who serves each kind of request where these candidates are warmed.
    pub fn servers(&self, chosen: &[usize]) -> Vec<Server> {
        let solver = Solver::new(self);
        let warm = solver.warm(&solver.set_of(chosen));
        (0..self.wanted.len()).map(|at| solver.server(at, &warm)).collect()
    }

    /// The best choice that was found.
    pub fn choose(&self) -> Choice {
        let solver = Solver::new(self);
        let free: Vec<usize> = (0..self.candidates.len()).filter(|at| !solver.is_there(*at)).collect();
        let is_exact = free.len() <= EXACT_CANDIDATES;
        let set = if is_exact { solver.try_every_subset(&free) } else { solver.search() };
        let chosen = (0..self.candidates.len()).filter(|at| set[*at] || solver.is_there(*at)).collect();
        Choice { chosen, cost: solver.cost(&set), spent: solver.spent(&set), is_exact }
    }
}

/// Which candidates are chosen.
type Set = Vec<bool>;

/// By what a greedy choice is made: what it saves, by what it takes of the budget.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Saved,
    PerSecond,
    PerByte,
}

struct Solver<'a> {
    problem: &'a Problem,
    /// For each kind of request, the candidates that could serve it in the order in which the runtime would take them.
    covers: Vec<Vec<usize>>,
    requests: f64,
}

impl<'a> Solver<'a> {
    fn new(problem: &'a Problem) -> Self {
        let covers = problem.wanted.iter().map(|wanted| covers(problem, wanted.candidate)).collect();
        #[expect(clippy::cast_precision_loss, reason = "requests")]
        let requests = problem.wanted.iter().map(|wanted| wanted.requests as f64).sum();
        Self { problem, covers, requests }
    }

    /// Whether a candidate is warm without being chosen.
    fn is_there(&self, candidate: usize) -> bool {
        self.problem.candidates[candidate].graphs.iter().all(|graph| self.problem.graphs[*graph].is_there)
    }

    /// These candidates, and those that are warm as it is.
    fn set_of(&self, chosen: &[usize]) -> Set {
        (0..self.problem.candidates.len()).map(|at| chosen.contains(&at) || self.is_there(at)).collect()
    }

    /// Which graphs are warm.
    fn warm(&self, set: &Set) -> Vec<bool> {
        let mut warm: Vec<bool> = self.problem.graphs.iter().map(|graph| graph.is_there).collect();
        for (candidate, _) in self.problem.candidates.iter().zip(set).filter(|(_, chosen)| **chosen) {
            candidate.graphs.iter().for_each(|graph| warm[*graph] = true);
        }
        warm
    }

    fn server(&self, wanted: usize, warm: &[bool]) -> Server {
        let is_warm = |candidate: &&usize| self.problem.candidates[**candidate].graphs.iter().all(|graph| warm[*graph]);
        match self.covers[wanted].iter().find(is_warm) {
            Some(found) if *found == self.problem.wanted[wanted].candidate => Server::Own,
            Some(found) => Server::Larger(*found),
            None => Server::Cold,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "requests and pixels")]
    fn cost(&self, set: &Set) -> Cost {
        let problem = self.problem;
        let warm = self.warm(set);
        let mut waiting = vec![0_u64; problem.graphs.len()];
        let mut padding_seconds = 0.0;
        for (at, wanted) in problem.wanted.iter().enumerate() {
            let own = &problem.candidates[wanted.candidate];
            match self.server(at, &warm) {
                Server::Own => {}
                Server::Larger(larger) => {
                    let extra = problem.candidates[larger].shape.pixels() - own.shape.pixels();
                    padding_seconds += extra as f64 * wanted.passes * problem.seconds_per_pixel_pass;
                }
                Server::Cold => {
                    let cold = own.graphs.iter().filter(|graph| !warm[**graph]);
                    cold.for_each(|graph| waiting[*graph] += wanted.requests);
                }
            }
        }
        let stores = problem.requests_per_store;
        let wait = |(graph, requests): (&GraphCost, &u64)| {
            graph.compile_seconds * chance(*requests as f64 / self.requests, stores)
        };
        // From zero on: the sum of nothing is minus zero.
        let compile_wait_seconds =
            problem.graphs.iter().zip(&waiting).filter(|(_, n)| **n > 0).map(wait).fold(0.0, f64::add);
        Cost { compile_wait_seconds, padding_seconds: padding_seconds * stores / self.requests }
    }

    fn spent(&self, set: &Set) -> Spent {
        let warm = self.warm(set);
        let mut spent = Spent::default();
        for (graph, _) in self.problem.graphs.iter().zip(warm).filter(|(graph, warm)| *warm && !graph.is_there) {
            spent.compile_seconds += graph.compile_seconds;
            spent.stored_bytes += graph.stored_bytes;
        }
        spent
    }

    fn fits(&self, set: &Set) -> bool {
        self.problem.budget.covers(self.spent(set))
    }

    fn total(&self, set: &Set) -> f64 {
        self.cost(set).total_seconds()
    }

    fn try_every_subset(&self, free: &[usize]) -> Set {
        let base = self.set_of(&[]);
        let subset = |bits: u32| {
            let mut set = base.clone();
            free.iter().enumerate().for_each(|(at, candidate)| set[*candidate] = bits >> at & 1 == 1);
            set
        };
        // Of equals, that which takes the least: the numbers of subsets begin with the smallest.
        let fitting = (0..1_u32 << free.len()).map(subset).filter(|set| self.fits(set));
        let better = |best: (f64, Set), set: Set| {
            let total = self.total(&set);
            if total < best.0 || (total <= best.0 && self.takes_less(&set, &best.1)) { (total, set) } else { best }
        };
        fitting.fold((self.total(&base), base.clone()), better).1
    }

    fn takes_less(&self, one: &Set, other: &Set) -> bool {
        self.spent(one).compile_seconds < self.spent(other).compile_seconds
    }

    fn search(&self) -> Set {
        let filled =
            [Measure::Saved, Measure::PerSecond, Measure::PerByte].map(|by| self.fill(self.set_of(&[]), None, by));
        let mut best = self.set_of(&[]);
        for set in filled.into_iter().chain([self.thin()]) {
            let set = self.improve(set);
            if self.total(&set) < self.total(&best) {
                best = set;
            }
        }
        best
    }

    /// All candidates, less those that are missed least for what they take, until the rest fits. It finds what no addition alone
    /// does: two sizes that are worth having together, and of which the larger alone would draw every request of the smaller.
    fn thin(&self) -> Set {
        let mut set: Set = vec![true; self.problem.candidates.len()];
        while !self.fits(&set) {
            let (total, spent) = (self.total(&set), self.spent(&set));
            let missed = |at: usize| {
                let without = toggled(&set, at);
                let freed = self.share_of_budget(&spent) - self.share_of_budget(&self.spent(&without));
                ((self.total(&without) - total) / freed.max(f64::MIN_POSITIVE), at)
            };
            let chosen = (0..set.len()).filter(|at| set[*at]);
            match chosen.map(missed).min_by(|one, other| one.0.total_cmp(&other.0)) {
                Some((_, at)) => set[at] = false,
                None => break,
            }
        }
        set
    }

    /// What something takes as a share of the budget, seconds and bytes together.
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    fn share_of_budget(&self, spent: &Spent) -> f64 {
        let budget = self.problem.budget;
        let seconds = budget.compile_seconds.map_or(0.0, |most| spent.compile_seconds / most);
        seconds + budget.stored_bytes.map_or(0.0, |most| spent.stored_bytes as f64 / most as f64)
    }

    /// Adds what saves most, while anything saves and fits.
    fn fill(&self, mut set: Set, without: Option<usize>, measure: Measure) -> Set {
        loop {
            let (total, spent) = (self.total(&set), self.spent(&set));
            let worth = |at: usize| {
                let added = toggled(&set, at);
                let saved = if self.fits(&added) { total - self.total(&added) } else { 0.0 };
                let taken = self.spent(&added);
                #[expect(clippy::cast_precision_loss, reason = "bytes")]
                let bytes = (taken.stored_bytes - spent.stored_bytes) as f64;
                let price = match measure {
                    Measure::Saved => 1.0,
                    Measure::PerSecond => taken.compile_seconds - spent.compile_seconds,
                    Measure::PerByte => bytes,
                };
                // What takes nothing comes first.
                (saved > SMALLEST_SAVING).then(|| (saved / price.max(f64::MIN_POSITIVE), at))
            };
            let open = (0..set.len()).filter(|at| !set[*at] && Some(*at) != without);
            match open.filter_map(worth).max_by(|one, other| one.0.total_cmp(&other.0)) {
                Some((_, at)) => set[at] = true,
                None => return set,
            }
        }
    }

    /// Changes the set a little while that makes it cheaper.
    fn improve(&self, mut set: Set) -> Set {
        loop {
            let total = self.total(&set);
            let cheaper = |next: &Set| self.fits(next) && self.total(next) < total - SMALLEST_SAVING;
            let one = (0..set.len()).map(|at| toggled(&set, at)).find(cheaper);
            let exchange = || self.exchanges(&set).find(cheaper);
            let refill = || {
                let dropped = (0..set.len()).filter(|at| set[*at]);
                let filled = |at| self.fill(toggled(&set, at), Some(at), Measure::PerSecond);
                dropped.map(filled).find(cheaper)
            };
            match one.or_else(exchange).or_else(refill) {
                Some(next) => set = next,
                None => return set,
            }
        }
    }

    fn exchanges<'b>(&'b self, set: &'b Set) -> impl Iterator<Item = Set> + 'b {
        let chosen = (0..set.len()).filter(|at| set[*at]);
        chosen.flat_map(move |out| {
            (0..set.len()).filter(|into| !set[*into]).map(move |into| toggled(&toggled(set, out), into))
        })
    }
}

/// Savings below a microsecond are rounding.
const SMALLEST_SAVING: f64 = 1e-6;

fn toggled(set: &Set, at: usize) -> Set {
    let mut set = set.clone();
    set[at] = !set[at];
    set
}

/// The chance that something which each request needs with this `share` is needed by any of so many.
fn chance(share: f64, requests: f64) -> f64 {
    -(requests * (-share.min(1.0)).ln_1p()).exp_m1()
}

/// The candidates that could serve requests for `own`: itself, then larger ones, the smallest first.
fn covers(problem: &Problem, own: usize) -> Vec<usize> {
    let shape = problem.candidates[own].shape;
    let mut larger: Vec<usize> = Vec::new();
    if let Some(most) = problem.most_waste_percent {
        let fits = |at: &usize| {
            let other = problem.candidates[*at].shape;
            *at != own && shape.fits(other) && waste_percent(shape, other) <= most
        };
        larger.extend((0..problem.candidates.len()).filter(fits));
        larger.sort_by_key(|at| (problem.candidates[*at].shape.pixels(), problem.candidates[*at].shape));
    }
    std::iter::once(own).chain(larger).collect()
}

#[cfg(test)]
mod tests;
