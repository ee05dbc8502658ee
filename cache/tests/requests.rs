//! Do the statistics match the requests that were made? Eight processes serve the requests of a
//! script in one store, and some of them abort in the middle of a request. Then every count is
//! compared with the script.
//!
//! Each process is this test program, started again with the folder and its number.
#![expect(clippy::unwrap_used, reason = "a test fails if it cannot have what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use preheat_cache::{
    CompileOptions, Counters, Environment, GraphKey, GraphRecord, KeyInputs, Match, Outcomes,
    Program, ProgramFormat, Purpose, RequestEvent, RequestGroup, RequestOutcome, Source, StageUse,
    Store, StoreOptions, Use,
};

const FOLDER: &str = "PREHEAT_TEST_REQUESTS_FOLDER";
const WORKER: &str = "PREHEAT_TEST_REQUESTS_WORKER";
const ROUND: &str = "PREHEAT_TEST_REQUESTS_ROUND";
const PROCESSES: u64 = 8;
/// Each worker is started this often, one run after the other. It aborts in every other run.
const ROUNDS: u64 = 4;
const REQUESTS: u64 = 60;
const DAYS: u64 = 3;
const SIZES: [&str; 3] = ["512x512", "768x768", "1024x1024"];

/// What the script says of one request.
struct Scripted {
    purpose: Purpose,
    size: &'static str,
    outcome: RequestOutcome,
    day: u64,
    /// How long the request's load and its wait took.
    load_seconds: f64,
    wait_seconds: Option<f64>,
    dies: bool,
}

/// The script: the same in the worker and in the test that checks the figures.
fn script(worker: u64, round: u64) -> Vec<Scripted> {
    let dies = round % 2 == 1;
    let last = REQUESTS / 2 + worker;
    let count = if dies { last + 1 } else { REQUESTS };
    (0..count)
        .map(|number| {
            let mixed = worker * 7919 + round * 104_729 + number * 31;
            let dies = dies && number == last;
            Scripted {
                purpose: if mixed.is_multiple_of(5) { Purpose::Warming } else { Purpose::Serving },
                size: SIZES[usize::try_from(mixed / 5 % 3).unwrap()],
                outcome: match mixed / 15 % 6 {
                    _ if dies => RequestOutcome::Interrupted,
                    0 | 1 => RequestOutcome::ServedWarm,
                    2 => RequestOutcome::ServedAfterCompile,
                    3 => RequestOutcome::Refused,
                    4 => RequestOutcome::Failed,
                    _ => RequestOutcome::Interrupted,
                },
                day: mixed / 90 % DAYS,
                load_seconds: 0.001 * 1.07_f64.powi(i32::try_from(mixed % 200).unwrap()),
                wait_seconds: mixed.is_multiple_of(7).then_some(4.0),
                dies,
            }
        })
        .collect()
}

fn inputs() -> KeyInputs {
    KeyInputs {
        program: Program::new(ProgramFormat::Mlir, b"module @m {}".to_vec()),
        options: CompileOptions::default(),
        environment: Arc::new(Environment { platform: "cpu".into(), ..Environment::default() }),
    }
}

fn serve(store: &Store, graph: GraphKey, request: u64, one: &Scripted, today: Timestamp) {
    let at = today - SignedDuration::from_hours(24 * i64::try_from(one.day).unwrap());
    let group = RequestGroup {
        purpose: one.purpose,
        model_id: "sd15".into(),
        size: one.size.into(),
        device: "cpu".into(),
    };
    store.note_event(RequestEvent::Begun { request, group, at });
    let compiles = one.outcome == RequestOutcome::ServedAfterCompile;
    let used = Use {
        graph_key: graph,
        device: "cpu".into(),
        matched: if compiles { Match::Compiled } else { Match::Exact },
        source: if compiles { Source::Compiled } else { Source::Disk },
        signature: None,
        load_seconds: (!compiles).then_some(one.load_seconds),
        compile_seconds: compiles.then_some(1.0),
        times: 1,
    };
    let stage = Box::new(StageUse { used, wait_seconds: one.wait_seconds });
    store.note_event(RequestEvent::Stage { request, stage });
    if one.outcome == RequestOutcome::Failed {
        let counters = Counters { failed_compiles: 1, ..Counters::default() };
        store.note_event(RequestEvent::Counted { request, counters });
    }
    if one.dies {
        std::process::abort();
    }
    store.note_event(RequestEvent::Ended { request, outcome: one.outcome, seconds: 0.5, at });
}

fn work(folder: &Path, worker: u64, round: u64) {
    let store = Store::open(StoreOptions::new(folder)).unwrap();
    let today = std::fs::read_to_string(folder.with_extension("today")).unwrap().parse().unwrap();
    let graph = inputs().graph_key();
    for (number, one) in script(worker, round).iter().enumerate() {
        serve(&store, graph, number as u64, one, today);
        if number % 8 == 7 {
            store.commit_requests(&[], &Counters::default(), Duration::from_mins(1)).unwrap();
        }
    }
}

fn start(folder: &Path, worker: u64, round: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_figures_equal_the_script_although_processes_die"]);
    command.env(FOLDER, folder).env(WORKER, worker.to_string()).env(ROUND, round.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn name(outcome: RequestOutcome) -> &'static str {
    match outcome {
        RequestOutcome::ServedWarm => "served_warm",
        RequestOutcome::ServedAfterCompile => "served_after_compile",
        RequestOutcome::Refused => "refused",
        RequestOutcome::Failed => "failed",
        RequestOutcome::Interrupted => "interrupted",
    }
}

/// Checks that the outcomes match the scripted requests.
fn assert_outcomes<'a>(found: &Outcomes, expected: &(impl Iterator<Item = &'a Scripted> + Clone)) {
    for (outcome, count) in found.each() {
        let wanted = expected.clone().filter(|one| name(one.outcome) == outcome).count();
        assert_eq!(count, wanted as u64, "{outcome}");
    }
}

#[test]
fn the_figures_equal_the_script_although_processes_die() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if let (Some(folder), Some(worker), Some(round)) =
        (std::env::var_os(FOLDER), number(WORKER), number(ROUND))
    {
        return work(&PathBuf::from(folder), worker, round);
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("store");
    let now = Timestamp::now();
    std::fs::write(folder.with_extension("today"), now.to_string()).unwrap();
    let store = Store::open(StoreOptions::new(&folder)).unwrap();
    let inputs = inputs();
    let record = GraphRecord::new("denoiser", "cpu", &inputs);
    store.put(&record, &inputs.program, b"executable").unwrap();
    for round in 0..ROUNDS {
        let children: Vec<Child> =
            (0..PROCESSES).map(|worker| start(&folder, worker, round)).collect();
        for mut child in children {
            assert_eq!(child.wait().unwrap().success(), round % 2 == 0);
        }
    }
    let all: Vec<Scripted> = (0..PROCESSES)
        .flat_map(|worker| (0..ROUNDS).flat_map(move |round| script(worker, round)))
        .collect();
    let of = |purpose| all.iter().filter(move |one| one.purpose == purpose);
    let served = || of(Purpose::Serving).filter(|one| one.outcome != RequestOutcome::Refused);

    let statistics = store.statistics().unwrap();
    assert_eq!(statistics.requests.in_flight + statistics.warming.requests.in_flight, 0);
    assert_outcomes(&statistics.requests.outcomes, &of(Purpose::Serving));
    assert_outcomes(&statistics.warming.requests.outcomes, &of(Purpose::Warming));
    for size in SIZES {
        let group = statistics.requests.groups.iter().find(|group| group.size == size).unwrap();
        assert_outcomes(&group.outcomes, &of(Purpose::Serving).filter(|one| one.size == size));
    }
    let count = |wanted: fn(&Scripted) -> bool| served().filter(|one| wanted(one)).count() as u64;
    let compiles = count(|one| one.outcome == RequestOutcome::ServedAfterCompile);
    let hits = count(|one| one.outcome != RequestOutcome::ServedAfterCompile);
    assert_eq!((statistics.stages.compiles, statistics.stages.misses), (compiles, compiles));
    assert_eq!((statistics.stages.hits.exact, statistics.stages.hits.disk), (hits, hits));
    assert_eq!(
        statistics.stages.failed_compiles,
        count(|one| one.outcome == RequestOutcome::Failed)
    );
    assert_eq!(
        statistics.requests.stage_wait_seconds.count,
        count(|one| one.wait_seconds.is_some())
    );
    assert_eq!(store.record(&record.graph_key).unwrap().unwrap().statistics.hits, hits);
    let mut loads: Vec<f64> = served()
        .filter(|one| one.outcome != RequestOutcome::ServedAfterCompile)
        .map(|one| one.load_seconds)
        .collect();
    loads.sort_by(f64::total_cmp);
    for (quantile, per_cent) in [(0.5, 50), (0.99, 99)] {
        let found = statistics.requests.stage_load_seconds.quantile(quantile).unwrap();
        let true_one = loads[(loads.len() * per_cent).div_ceil(100) - 1];
        assert!(
            found.above_seconds < true_one && true_one <= found.at_most_seconds.unwrap(),
            "the true quantile {true_one} is not in {found:?}"
        );
    }

    for days in 0..DAYS {
        let hours = 24 * i64::try_from(days).unwrap();
        let since = store.statistics_since(Some(now - SignedDuration::from_hours(hours))).unwrap();
        let expected = of(Purpose::Serving).filter(|one| one.day <= days);
        assert_outcomes(&since.requests.outcomes, &expected);
    }
    assert_eq!(std::fs::read_dir(store.layout().root().join("requests-v1")).unwrap().count(), 0);
}
