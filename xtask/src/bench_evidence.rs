//! Are `preheat audit` and `preheat plan` fast enough for logs of thousands of sizes? `cargo xtask
//! bench evidence` runs each in a fresh process.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::bench_process::median;
use crate::command::{Failure, Outcome, root, run as run_command};
use crate::figure::{Figure, Target};
use crate::preheat::Preheat;
use crate::{machine, table};

/// The most seconds that each command may take.
const MOST_SECONDS: f64 = 10.0;

pub fn run(rounds: u32, preheat: Option<&Path>) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::given_or_built(preheat)?;
    run_command(&mut preheat.command(["plugins", "install", "xla-cpu"]))?;
    println!("{}", machine::description());
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let mut figures = Vec::new();
    for (name, log) in [("3000 sizes", sizes()), ("100000 lines", lines())] {
        let path = work.path().join(name);
        std::fs::write(&path, log).map_err(Failure::context("the log could not be written"))?;
        for snapping in [&[][..], &["--snap-to-warm", "25"]] {
            for words in [&["audit"][..], &["plan", "--budget", "2h,20GiB"]] {
                let seconds = (0..rounds)
                    .map(|_| one(&preheat, work.path(), &path, &[words, snapping].concat()));
                let seconds = median(seconds.collect::<Outcome<Vec<_>>>()?);
                let command = [words, snapping].concat().join(" ");
                let at_most = Some(Target::AtMost(MOST_SECONDS));
                figures.push(Figure::of(format!("{name}: {command}"), seconds, "s", at_most));
            }
        }
    }
    table::print_figures("median of each command", &figures);
    Ok(figures)
}

/// The seconds of one command. Exit status 3 (something is missing) does not count as a failure.
fn one(preheat: &Preheat, work: &Path, log: &Path, words: &[&str]) -> Outcome<f64> {
    let mut command = preheat.command(["--json", "--quiet", "--device", "xla-cpu"]);
    command.arg("--cache-dir").arg(work.join("cache")).args(words).arg("--requests").arg(log);
    command.arg("--model").arg(root().join("examples/demo-model"));
    let began = Instant::now();
    let ended = command.output().map_err(Failure::context("preheat could not be started"))?;
    let seconds = began.elapsed().as_secs_f64();
    match ended.status.code() {
        Some(0 | 3) => Ok(seconds),
        _ => Err(Failure::new(String::from_utf8_lossy(&ended.stderr).into_owned())),
    }
}

/// A request for each of 3000 sizes.
fn sizes() -> String {
    (0..3000).fold(String::new(), |mut log, index| {
        let (width, height) = (64 * (1 + index % 55), 64 * (1 + index / 55));
        let _ = writeln!(log, "{{\"width\": {width}, \"height\": {height}}}");
        log
    })
}

/// Requests that hardly repeat. No service has such a log, but it takes the most time.
fn lines() -> String {
    let mut state = 1_u64;
    let mut below = |end: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    (0..100_000).fold(String::new(), |mut log, _| {
        let (width, height, batch) = (64 + below(1984), 64 + below(1984), 1 << below(3));
        let cfg_scale = [1, 5, 7][usize::try_from(below(3)).unwrap_or(0)];
        let _ = writeln!(
            log,
            "{{\"width\": {width}, \"height\": {height}, \"batch_size\": {batch}, \"cfg_scale\": {cfg_scale}}}"
        );
        log
    })
}
