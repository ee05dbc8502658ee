//! Which of the candidates are chosen?
//!
//! If there are few candidates, every subset is tried; otherwise greedy choices are made and then
//! improved step by step.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::problem::{MOST_WORK, Spent};
use super::state::{State, Tables};

/// Smaller savings, below a microsecond, are rounding errors.
const SMALLEST_SAVING: f64 = 1e-6;

/// The value by which a greedy choice compares candidates: the saved seconds, either undivided, or
/// divided by the compile seconds or by the bytes that the candidate takes.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Saved,
    PerSecond,
    PerByte,
}

/// The cheapest subset of `free` that fits the budget; among equally cheap ones, the one that takes
/// the fewest compile seconds.
pub(super) fn every_subset(tables: &Tables<'_>, free: &[usize]) -> Vec<usize> {
    let mut state = State::with(tables, &[]);
    let mut best = (state.total(), state.spent().compile_seconds, Vec::new());
    for round in 1_u32..1 << free.len() {
        // The subsets come in the order of a Gray code: each differs from the last in one
        // candidate.
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

/// A good subset of `free`, found within [`MOST_WORK`].
pub(super) fn search(tables: &Tables<'_>, free: &[usize]) -> Vec<usize> {
    let problem = tables.problem;
    // A candidate that does not fit the budget alone never fits.
    let open: Vec<usize> =
        free.iter().copied().filter(|at| problem.budget.covers(problem.spent_alone(*at))).collect();
    let mut nothing = State::with(tables, &[]);
    let mut search = Search { tables, open, most_work: MOST_WORK };
    let alone: Vec<(usize, Saving)> = search.savings(&mut nothing, None).collect();
    let mut best = nothing.clone();
    // Removals come second, because they find choices that additions do not find.
    let starts = [Some(Measure::PerSecond), None, Some(Measure::Saved), Some(Measure::PerByte)];
    for (turn, measure) in starts.into_iter().enumerate() {
        let left = MOST_WORK.saturating_sub(tables.work());
        if left == 0 && turn > 0 {
            break;
        }
        // Half of the remaining work is left for the starts that follow.
        search.most_work = tables.work() + if turn + 1 == starts.len() { left } else { left / 2 };
        let mut state = match measure {
            Some(measure) => {
                let mut state = nothing.clone();
                search.fill(&mut state, None, measure, &alone);
                state
            }
            None => search.thin(),
        };
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
    /// The amount of work at which the search stops.
    most_work: u64,
}

/// The waiting time that a candidate saves, and the part of the budget that it takes.
#[derive(Debug, Clone, Copy)]
struct Saving {
    saved: f64,
    compile_seconds: f64,
    stored_bytes: u64,
}

impl<'t> Search<'t> {
    fn is_enough(&self) -> bool {
        self.tables.work() >= self.most_work
    }

    /// What adding a candidate saves and takes; `None` if it saves nothing or does not fit.
    fn saving(state: &mut State<'t>, candidate: usize) -> Option<Saving> {
        let (total, before) = (state.total(), state.spent());
        state.trying(candidate, |added| {
            let (saved, after) = (total - added.total(), added.spent());
            (saved > SMALLEST_SAVING && added.fits()).then(|| Saving {
                saved,
                compile_seconds: after.compile_seconds - before.compile_seconds,
                stored_bytes: after.stored_bytes - before.stored_bytes,
            })
        })
    }

    /// What adding each candidate that is not chosen yet would save.
    fn savings<'s>(
        &'s self,
        state: &'s mut State<'t>,
        without: Option<usize>,
    ) -> impl Iterator<Item = (usize, Saving)> + use<'s, 't> {
        let open = self.open.iter().copied().filter(move |at| Some(*at) != without);
        open.filter_map(
            move |at| if state.has(at) { None } else { Some((at, Self::saving(state, at)?)) },
        )
    }

    /// Repeatedly adds the candidate that saves most, until no candidate that fits saves anything.
    /// `first` holds what the candidates save in the present state.
    ///
    /// The saving of a candidate is computed again only when the candidate comes to the top of the
    /// heap: it has usually become smaller by then. If the work is used up, the candidate at the
    /// top is added without looking for a better one.
    fn fill(
        &self,
        state: &mut State<'t>,
        without: Option<usize>,
        measure: Measure,
        first: &[(usize, Saving)],
    ) {
        let mut heap: BinaryHeap<Worth> =
            first.iter().map(|saving| measure.worth(saving)).collect();
        while !heap.is_empty() {
            while let Some(Worth { candidate, .. }) = heap.pop() {
                let Some(saving) = Self::saving(state, candidate) else { continue };
                let now = measure.worth(&(candidate, saving));
                if heap.peek().is_some_and(|next| now < *next) && !self.is_enough() {
                    heap.push(now);
                } else {
                    state.toggle(candidate);
                }
            }
            if self.is_enough() {
                return;
            }
            // Some candidates now save more than before, because others were added.
            heap = self.savings(state, without).map(|saving| measure.worth(&saving)).collect();
        }
    }

    /// Starts from all candidates, and removes those whose removal costs least for what it frees,
    /// until the rest fits. This finds choices that no single addition finds: two sizes that are
    /// worth warming together, although the larger one alone would also serve every request of the
    /// smaller one.
    fn thin(&self) -> State<'t> {
        let mut state = State::with(self.tables, &self.open);
        let mut heap: BinaryHeap<Missed> =
            self.open.iter().map(|at| self.missed(&mut state, *at)).collect();
        while !state.fits() {
            let Some(least) = heap.pop() else { break };
            // Other candidates have been removed since this value was computed. If removing this
            // candidate would now cost more than removing the next one, it goes back into the heap.
            let now = self.missed(&mut state, least.candidate);
            if heap.peek().is_some_and(|next| now < *next) && !self.is_enough() {
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

    /// The share of the budget that `spent` takes: the share of its seconds plus the share of its
    /// bytes.
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    fn share_of_budget(&self, spent: Spent) -> f64 {
        let budget = self.tables.problem.budget;
        let seconds = budget.compile_seconds.map_or(0.0, |most| spent.compile_seconds / most);
        seconds + budget.stored_bytes.map_or(0.0, |most| spent.stored_bytes as f64 / most as f64)
    }

    /// Makes small changes to the choice as long as one of them makes it cheaper.
    fn improve(&self, state: &mut State<'t>) {
        loop {
            let total = state.total();
            self.toggle_each(state);
            self.exchange_each(state);
            self.refill_each(state);
            if state.total() >= total - SMALLEST_SAVING || self.is_enough() {
                return;
            }
        }
    }

    fn toggle_each(&self, state: &mut State<'t>) {
        for at in self.open.iter().take_while(|_| !self.is_enough()) {
            let total = state.total();
            if is_cheaper(state, *at, total) {
                state.toggle(*at);
            }
        }
    }

    fn exchange_each(&self, state: &mut State<'t>) {
        for out in state.chosen().into_iter().take_while(|_| !self.is_enough()) {
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
        for out in state.chosen().into_iter().take_while(|_| !self.is_enough()) {
            let mut other = state.clone();
            self.tables.count_work(self.open.len());
            other.toggle(out);
            let savings: Vec<_> = self.savings(&mut other, Some(out)).collect();
            self.fill(&mut other, Some(out), Measure::PerSecond, &savings);
            if other.total() < state.total() - SMALLEST_SAVING {
                *state = other;
            }
        }
    }
}

/// Whether adding or removing a candidate gives a choice that fits and costs less than `total`.
fn is_cheaper(state: &mut State<'_>, candidate: usize, total: f64) -> bool {
    state.trying(candidate, |next| next.total() < total - SMALLEST_SAVING && next.fits())
}

impl Measure {
    /// The saving, divided by the part of the budget that the candidate takes; candidates that take
    /// nothing come first.
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    fn worth(self, &(candidate, saving): &(usize, Saving)) -> Worth {
        let price = match self {
            Self::Saved => 1.0,
            Self::PerSecond => saving.compile_seconds,
            Self::PerByte => saving.stored_bytes as f64,
        };
        Worth { worth: saving.saved / price.max(1e-9), candidate }
    }
}

/// What adding a candidate is worth. Among equals, the candidate with the lowest position is
/// greatest.
struct Worth {
    worth: f64,
    candidate: usize,
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.worth.total_cmp(&other.worth).then(other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worth {}

/// What removing a candidate costs, relative to what it frees. The order is reversed: the greatest
/// is the candidate whose removal costs least.
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
