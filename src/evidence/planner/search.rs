//! Choosing: every subset where there are few, else greedy choices that are then improved step by step.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Spent;
use super::state::{State, Tables};

/// Savings below a microsecond are rounding.
const SMALLEST_SAVING: f64 = 1e-6;

/// By what a greedy choice is made: what it saves, by what it takes of the budget.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Saved,
    PerSecond,
    PerByte,
}

/// The cheapest subset of `free` that fits; of equals, the one that takes the least.
pub(super) fn every_subset(tables: &Tables<'_>, free: &[usize]) -> Vec<usize> {
    let mut state = State::with(tables, &[]);
    let mut best = (state.total(), state.spent().compile_seconds, Vec::new());
    for round in 1_u32..1 << free.len() {
        // Gray's order: from one subset to the next, one candidate changes.
        state.toggle(free[round.trailing_zeros() as usize]);
        let (total, seconds) = (state.total(), state.spent().compile_seconds);
        let is_equal = (total - best.0).abs() <= SMALLEST_SAVING;
        let is_better = if is_equal { seconds < best.1 } else { total < best.0 };
        if is_better && state.fits() {
            best = (total, seconds, state.chosen());
        }
    }
    best.2
}

/// A good subset of `free`.
pub(super) fn search(tables: &Tables<'_>, free: &[usize]) -> Vec<usize> {
    // What does not fit alone never does.
    let nothing = State::with(tables, &[]);
    let fits = |at: &usize| nothing.clone().trying(*at, |state| state.fits());
    let search = Search { tables, open: free.iter().copied().filter(fits).collect() };
    let mut best = nothing.clone();
    let filled = [Measure::Saved, Measure::PerSecond, Measure::PerByte].map(|measure| {
        let mut state = nothing.clone();
        search.fill(&mut state, None, measure);
        state
    });
    for mut state in filled.into_iter().chain([search.thin()]) {
        search.improve(&mut state);
        if state.total() < best.total() - SMALLEST_SAVING {
            best = state;
        }
    }
    best.chosen()
}

struct Search<'t> {
    tables: &'t Tables<'t>,
    open: Vec<usize>,
}

impl<'t> Search<'t> {
    /// Adds what saves most, while anything saves and fits.
    fn fill(&self, state: &mut State<'t>, without: Option<usize>, measure: Measure) {
        loop {
            let (total, spent) = (state.total(), state.spent());
            let mut best = None;
            for at in self.open.iter().copied().filter(|at| Some(*at) != without) {
                if state.has(at) {
                    continue;
                }
                let worth = state.trying(at, |added| {
                    let saved = total - added.total();
                    (saved > SMALLEST_SAVING && added.fits()).then(|| saved / measure.price(spent, added.spent()))
                });
                if worth.is_some() && worth > best.map(|(worth, _)| worth) {
                    best = worth.map(|worth| (worth, at));
                }
            }
            match best {
                Some((_, at)) => state.toggle(at),
                None => return,
            }
        }
    }

    /// All candidates, less those that are missed least for what they take, until the rest fits. It finds what no addition alone
    /// does: two sizes that are worth having together, and of which the larger alone would draw every request of the smaller.
    fn thin(&self) -> State<'t> {
        let mut state = State::with(self.tables, &self.open);
        let mut heap: BinaryHeap<Missed> = self.open.iter().map(|at| self.missed(&mut state, *at)).collect();
        while !state.fits() {
            let Some(least) = heap.pop() else { break };
            // Others have gone since it was reckoned: what is missed more now than the next waits for its turn.
            let now = self.missed(&mut state, least.candidate);
            if heap.peek().is_some_and(|next| now < *next) {
                heap.push(now);
            } else {
                state.toggle(least.candidate);
            }
        }
        state
    }

    fn missed(&self, state: &mut State<'t>, candidate: usize) -> Missed {
        let (total, share) = (state.total(), self.share_of_budget(state.spent()));
        let missed = state.trying(candidate, |without| {
            let freed = share - self.share_of_budget(without.spent());
            (without.total() - total) / freed.max(f64::MIN_POSITIVE)
        });
        Missed { missed, candidate }
    }

    /// What something takes as a share of the budget, seconds and bytes together.
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    fn share_of_budget(&self, spent: Spent) -> f64 {
        let budget = self.tables.problem.budget;
        let seconds = budget.compile_seconds.map_or(0.0, |most| spent.compile_seconds / most);
        seconds + budget.stored_bytes.map_or(0.0, |most| spent.stored_bytes as f64 / most as f64)
    }

    /// Changes the choice a little wherever that makes it cheaper, until it does nowhere.
    fn improve(&self, state: &mut State<'t>) {
        loop {
            let total = state.total();
            self.toggle_each(state);
            self.exchange_each(state);
            self.refill_each(state);
            if state.total() >= total - SMALLEST_SAVING {
                return;
            }
        }
    }

    fn toggle_each(&self, state: &mut State<'t>) {
        for at in &self.open {
            let total = state.total();
            if is_cheaper(state, *at, total) {
                state.toggle(*at);
            }
        }
    }

    fn exchange_each(&self, state: &mut State<'t>) {
        for out in state.chosen() {
            let total = state.total();
            let into = state.trying(out, |without| {
                let mut others = self.open.iter().copied().filter(|at| *at != out);
                others.find(|at| !without.has(*at) && is_cheaper(without, *at, total))
            });
            if let Some(into) = into {
                state.toggle(out);
                state.toggle(into);
            }
        }
    }

    fn refill_each(&self, state: &mut State<'t>) {
        for out in state.chosen() {
            let mut other = state.clone();
            other.toggle(out);
            self.fill(&mut other, Some(out), Measure::PerSecond);
            if other.total() < state.total() - SMALLEST_SAVING {
                *state = other;
            }
        }
    }
}

/// Whether adding or removing a candidate fits, and comes to less than `total`.
fn is_cheaper(state: &mut State<'_>, candidate: usize, total: f64) -> bool {
    state.trying(candidate, |next| next.total() < total - SMALLEST_SAVING && next.fits())
}

impl Measure {
    /// By what a saving is divided; what takes nothing comes first.
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    fn price(self, before: Spent, after: Spent) -> f64 {
        let price = match self {
            Self::Saved => 1.0,
            Self::PerSecond => after.compile_seconds - before.compile_seconds,
            Self::PerByte => (after.stored_bytes - before.stored_bytes) as f64,
        };
        price.max(1e-9)
    }
}

/// How much a candidate would be missed, for what it takes. The greatest is the one that is missed least.
struct Missed {
    missed: f64,
    candidate: usize,
}

impl Ord for Missed {
    fn cmp(&self, other: &Self) -> Ordering {
        other.missed.total_cmp(&self.missed).then(other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Missed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Missed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Missed {}
