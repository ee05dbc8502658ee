use super::*;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn seconds(&mut self, end: u64) -> f64 {
        self.below(end * 10) as f64 / 10.0
    }
}

fn shape(width: u64, height: u64) -> Shape {
    Shape {
        size: [width, height],
        batch_size: 1,
        guided: true,
        clip_skip: 0,
        negative_prompt: false,
        prompt_chunks: 1,
        image_to_image: false,
    }
}

fn graph(compile_seconds: f64, stored_bytes: u64) -> GraphCost {
    let warming_seconds = compile_seconds;
    GraphCost { compile_seconds, warming_seconds, stored_bytes, is_there: false }
}

const NO_BOUND: Budget = Budget { compile_seconds: None, stored_bytes: None };

/// Sizes, each with a denoiser of 100 s and 10 bytes. They share one text encoder of 5 s and 1
/// byte.
fn sizes(sizes: &[([u64; 2], u64)], budget: Budget) -> Problem {
    let mut graphs = vec![graph(5.0, 1)];
    let (mut candidates, mut wanted) = (Vec::new(), Vec::new());
    for ([width, height], requests) in sizes {
        graphs.push(graph(100.0, 10));
        candidates
            .push(Candidate { shape: shape(*width, *height), graphs: vec![0, graphs.len() - 1] });
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let passes = *requests as f64 * 40.0;
        wanted.push(Wanted { candidate: candidates.len() - 1, requests: *requests, passes });
    }
    Problem {
        graphs,
        candidates,
        wanted,
        seconds_per_pixel_pass: 1e-7,
        most_waste_percent: None,
        requests_per_store: 1000.0,
        budget,
    }
}

#[test]
fn what_is_asked_for_most_comes_first_and_the_budget_holds() {
    let budget = Budget { compile_seconds: Some(205.0), ..NO_BOUND };
    let problem = sizes(&[([512, 512], 990), ([64, 64], 1), ([768, 768], 9)], budget);
    let choice = problem.choose();
    assert_eq!((choice.chosen.as_slice(), choice.is_exact), (&[0, 2][..], true));
    assert_eq!(choice.spent, Spent { compile_seconds: 205.0, stored_bytes: 21 });
    // If one request in a thousand needs a graph, at least one of a thousand requests needs it with
    // a chance of 63 %.
    assert!((choice.cost.compile_wait_seconds - 63.2).abs() < 0.1, "{:?}", choice.cost);
    let by_bytes = Budget { stored_bytes: Some(11), ..NO_BOUND };
    assert_eq!(sizes(&[([512, 512], 9), ([768, 768], 990)], by_bytes).choose().chosen, [1]);
    let none = Budget { compile_seconds: Some(104.9), ..NO_BOUND };
    assert!(sizes(&[([512, 512], 9)], none).choose().chosen.is_empty(), "the text encoder counts");
}

#[test]
fn what_is_there_costs_nothing_and_shared_graphs_count_once() {
    let mut problem = sizes(&[([512, 512], 500), ([768, 768], 500)], NO_BOUND);
    assert!((problem.evaluate(&[0, 1]).1.compile_seconds - 205.0).abs() < 1e-9);
    problem.graphs[0].is_there = true;
    problem.graphs[1].is_there = true;
    let (cost, spent) = problem.evaluate(&[]);
    assert_eq!((spent, problem.servers(&[])), (Spent::default(), vec![Server::Own, Server::Cold]));
    assert!((cost.compile_wait_seconds - 100.0).abs() < 1e-6);
    let choice = problem.choose();
    assert_eq!((choice.chosen, choice.spent.compile_seconds), (vec![0, 1], 100.0));
}

#[test]
fn a_larger_size_serves_within_the_waste_and_the_smallest_that_is_warm_is_taken() {
    let mut problem =
        sizes(&[([512, 512], 10), ([576, 512], 10), ([768, 512], 10), ([512, 576], 1)], NO_BOUND);
    assert_eq!(problem.servers(&[1, 2])[0], Server::Cold, "snapping is off");
    problem.most_waste_percent = Some(12.0);
    let served = problem.servers(&[1, 2]);
    assert_eq!(served, [Server::Larger(1), Server::Own, Server::Own, Server::Cold]);
    let (cost, _) = problem.evaluate(&[1, 2]);
    // 64 x 512 more pixels, in 400 passes, scaled from the log's 31 requests to 1000.
    let padding = 64.0 * 512.0 * 400.0 * 1e-7 * 1000.0 / 31.0;
    assert!((cost.padding_seconds - padding).abs() < 1e-6, "{cost:?}");
    assert_eq!(problem.servers(&[2])[0], Server::Cold, "a third would be padding");
    problem.most_waste_percent = Some(34.0);
    assert_eq!(problem.servers(&[2])[..2], [Server::Larger(2), Server::Larger(2)]);
}

#[test]
fn padding_that_is_dearer_than_a_cold_start_is_not_chosen() {
    // At the larger size, each of 990 requests would make 40 passes over 64 x 512 extra pixels, or
    // 13 s: far more in total than one cold start of 100 s.
    let mut problem = sizes(
        &[([512, 512], 990), ([512, 576], 10)],
        Budget { compile_seconds: Some(105.0), ..NO_BOUND },
    );
    problem.most_waste_percent = Some(50.0);
    problem.seconds_per_pixel_pass = 1e-5;
    assert_eq!(problem.choose().chosen, [0]);
    problem.seconds_per_pixel_pass = 1e-9;
    assert_eq!(problem.choose().chosen, [1], "where padding is cheap, one size serves both");
}

#[test]
fn joins_cover_two_and_were_not_asked_for() {
    let wanted = [(shape(832, 1216), 50), (shape(896, 1152), 40), (shape(512, 512), 900)];
    assert_eq!(joins(&wanted, 10.0, 8), [shape(896, 1216)]);
    assert!(joins(&wanted, 1.0, 8).is_empty());
    assert!(joins(&wanted, 10.0, 0).is_empty());
    let asked = [wanted[0], wanted[1], (shape(896, 1216), 1)];
    assert!(joins(&asked, 10.0, 8).is_empty(), "it is asked for");
}

/// Up to ten shapes of up to two batches, which share graphs as the shapes of a model do.
fn made_up(numbers: &mut Numbers) -> Problem {
    let mut graphs = vec![graph(numbers.seconds(20), numbers.below(20))];
    let (mut candidates, mut wanted) = (Vec::<Candidate>::new(), Vec::new());
    let mut decoders: Vec<([u64; 2], usize)> = Vec::new();
    for _ in 0..3 + numbers.below(8) {
        let side = |numbers: &mut Numbers| 512 + 64 * numbers.below(5);
        let shape =
            Shape { batch_size: 1 + numbers.below(2), ..shape(side(numbers), side(numbers)) };
        if candidates.iter().any(|other| other.shape == shape) {
            continue;
        }
        let known =
            decoders.iter().find(|(size, _)| *size == shape.size).map(|(_, decoder)| *decoder);
        let decoder = known.unwrap_or_else(|| {
            graphs.push(graph(numbers.seconds(60), numbers.below(50)));
            decoders.push((shape.size, graphs.len() - 1));
            graphs.len() - 1
        });
        graphs.push(graph(10.0 + numbers.seconds(150), 10 + numbers.below(200)));
        candidates.push(Candidate { shape, graphs: vec![0, graphs.len() - 1, decoder] });
        let requests =
            [0, 1, 10, 100, 1000][usize::try_from(numbers.below(5)).unwrap()] + numbers.below(9);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let passes = (requests * 40 * shape.batch_size) as f64;
        wanted.push(Wanted { candidate: candidates.len() - 1, requests: requests.max(1), passes });
    }
    for graph in &mut graphs {
        graph.is_there = numbers.below(10) == 0;
    }
    let all: f64 = graphs.iter().map(|graph| graph.compile_seconds).sum();
    let bytes: u64 = graphs.iter().map(|graph| graph.stored_bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let part = |numbers: &mut Numbers| (1 + numbers.below(12)) as f64 / 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small"
    )]
    let budget = Budget {
        compile_seconds: Some(all * part(numbers)),
        stored_bytes: Some((bytes as f64 * part(numbers)) as u64),
    };
    Problem {
        graphs,
        candidates,
        wanted,
        seconds_per_pixel_pass: [1e-8, 1e-7, 1e-6][usize::try_from(numbers.below(3)).unwrap()],
        most_waste_percent: [None, Some(15.0), Some(40.0)]
            [usize::try_from(numbers.below(3)).unwrap()],
        requests_per_store: [1.0, 100.0, 10_000.0][usize::try_from(numbers.below(3)).unwrap()],
        budget,
    }
}

/// The cheapest total over every subset that fits. It is computed only with the two functions that
/// give the cost of a subset and what it takes.
fn cheapest(problem: &Problem) -> f64 {
    let all = problem.candidates.len();
    let mut cheapest = f64::INFINITY;
    for bits in 0..1_u32 << all {
        let chosen: Vec<usize> = (0..all).filter(|at| bits >> at & 1 == 1).collect();
        let (cost, spent) = problem.evaluate(&chosen);
        if problem.budget.covers(spent) {
            cheapest = cheapest.min(cost.total_seconds());
        }
    }
    cheapest
}

/// The cost of a subset, computed from scratch in the simplest way: the oracle for
/// [`Problem::evaluate`].
fn plain_cost(problem: &Problem, chosen: &[usize]) -> f64 {
    let warm = |graph: usize| {
        problem.graphs[graph].is_there
            || chosen.iter().any(|at| problem.candidates[*at].graphs.contains(&graph))
    };
    let is_warm =
        |candidate: usize| problem.candidates[candidate].graphs.iter().all(|graph| warm(*graph));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let number = |integer: u64| integer as f64;
    let requests = number(problem.wanted.iter().map(|wanted| wanted.requests).sum());
    let (mut total, mut waiting) = (0.0, std::collections::BTreeMap::<usize, u64>::new());
    for wanted in &problem.wanted {
        let own = problem.candidates[wanted.candidate].shape;
        let larger = (0..problem.candidates.len()).filter(|at| {
            let other = problem.candidates[*at].shape;
            let wasted = number(other.pixels() - own.pixels().min(other.pixels()))
                / number(other.pixels())
                * 100.0;
            is_warm(*at)
                && own.fits(other)
                && problem.most_waste_percent.is_some_and(|most| wasted <= most)
        });
        let nearest = larger.map(|at| problem.candidates[at].shape.pixels()).min();
        if is_warm(wanted.candidate) {
        } else if let Some(pixels) = nearest {
            let each = number(pixels - own.pixels()) * problem.seconds_per_pixel_pass;
            total += each * wanted.passes * problem.requests_per_store / requests;
        } else {
            for cold in
                problem.candidates[wanted.candidate].graphs.iter().filter(|graph| !warm(**graph))
            {
                *waiting.entry(*cold).or_default() += wanted.requests;
            }
        }
    }
    for (graph, needed) in waiting {
        let spared = (1.0 - number(needed) / requests).powf(problem.requests_per_store);
        total += problem.graphs[graph].compile_seconds * (1.0 - spared);
    }
    total
}

#[test]
fn a_small_problem_is_solved_as_well_as_trying_everything_does() {
    let mut numbers = Numbers(1);
    for round in 0..100 {
        let problem = made_up(&mut numbers);
        let (choice, best) = (problem.choose(), cheapest(&problem));
        assert!(choice.is_exact);
        assert!(
            (choice.cost.total_seconds() - best).abs() < 1e-6,
            "round {round}: {choice:?}, {best}"
        );
        let other = usize::try_from(numbers.below(problem.candidates.len() as u64)).unwrap();
        let any = problem.evaluate(&[other]).0.total_seconds();
        assert!(
            (any - plain_cost(&problem, &[other])).abs() < 1e-6 * (1.0 + any),
            "round {round}: {other}"
        );
        let plain = plain_cost(&problem, &choice.chosen);
        assert!(
            (choice.cost.total_seconds() - plain).abs() < 1e-6 * (1.0 + plain),
            "round {round}: {plain}"
        );
    }
}

#[test]
fn the_search_for_large_problems_comes_within_a_percent_of_the_best() {
    const ROUNDS: usize = 300;
    let mut numbers = Numbers(2);
    let (mut best, mut found, mut worst, mut missed) = (0.0, 0.0, 0.0_f64, 0);
    for round in 0..ROUNDS {
        let problem = made_up(&mut numbers);
        let all: Vec<usize> = (0..problem.candidates.len()).collect();
        let chosen = search::search(&Tables::new(&problem), &all);
        let (cost, spent) = problem.evaluate(&chosen);
        assert!(problem.budget.covers(spent), "round {round}: {spent:?}");
        let (cost, cheapest) = (cost.total_seconds(), cheapest(&problem));
        assert!(cost >= cheapest - 1e-6, "round {round}: better than the best");
        best += cheapest;
        found += cost;
        worst = worst.max(cost / cheapest.max(1e-6));
        missed += usize::from(cost > cheapest + 1e-6);
    }
    println!(
        "missed {missed} of {ROUNDS}, worst {worst:.3} times the best, {:.4} in all",
        found / best
    );
    assert!(found / best < 1.01, "{found} in place of {best}");
    assert!(missed * 20 <= ROUNDS, "the best was missed {missed} times");
}

/// Five thousand shapes, most of which could serve dozens of others.
#[test]
fn a_problem_of_five_thousand_shapes_takes_no_more_work_than_is_allowed() {
    let side = |index: u64| 64 * (1 + index);
    let all: Vec<([u64; 2], u64)> =
        (0..5_000).map(|index| ([side(index % 100), side(index / 100)], 1 + index % 7)).collect();
    let budget = Budget { compile_seconds: Some(100_000.0), ..NO_BOUND };
    let problem = Problem { most_waste_percent: Some(25.0), ..sizes(&all, budget) };
    let tables = Tables::new(&problem);
    let chosen = search::search(&tables, &(0..all.len()).collect::<Vec<_>>());
    // The operation during which the bound is reached is still finished: one look at each shape.
    assert!(tables.work() < 4 * MOST_WORK, "{} steps", tables.work());
    let (cost, spent) = problem.evaluate(&chosen);
    assert!(problem.budget.covers(spent) && spent.compile_seconds > 95_000.0, "{spent:?}");
    assert!(cost.total_seconds() < problem.evaluate(&[]).0.total_seconds() * 0.9);
}
