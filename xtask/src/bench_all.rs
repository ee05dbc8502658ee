//! Does every bench reach its targets? `cargo xtask bench all` runs the benches one after the
//! other, and prints one table with all figures, their targets, and whether the targets hold.
//!
//! If a bench cannot be run, for example because its Python is not installed, the others still run.

use crate::bench::Bench;
use crate::command::{Failure, Outcome};
use crate::figure::Figure;
use crate::{machine, table};

/// Runs `benches` in turn. A missed target is printed but is not a failure, since a busy machine
/// misses some. A bench that could not be run is a failure.
pub fn run(benches: &[Bench], one: impl Fn(Bench) -> Outcome<Vec<Figure>>) -> Outcome {
    let mut results = Vec::new();
    for (at, &bench) in (1..).zip(benches) {
        eprintln!("\n== bench {at} of {}: {}", benches.len(), bench.name());
        let result = one(bench);
        if let Err(failure) = &result {
            eprintln!("{} failed: {failure}", bench.name());
        }
        results.push((bench.name(), result));
    }
    println!("\n{}\n", machine::description());
    table::print(["bench: figure", "", "target", ""], &rows(&results));
    println!("\n{}", summary(&results));
    let failed: Vec<&str> = results
        .iter()
        .filter(|(_, result)| result.is_err())
        .map(|(name, _)| name.as_str())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("could not be run: {}", failed.join(", "))))
}

type Results = [(String, Outcome<Vec<Figure>>)];

/// A row for each figure, and a row for each bench that could not be run.
fn rows(results: &Results) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for (bench, result) in results {
        let Ok(figures) = result else {
            let failed = format!("{bench}: could not be run");
            rows.push([failed, String::new(), String::new(), "FAILED".to_owned()]);
            continue;
        };
        for figure in figures {
            let [name, value, target, holds] = figure.row();
            rows.push([format!("{bench}: {name}"), value, target, holds]);
        }
    }
    rows
}

fn summary(results: &Results) -> String {
    let figures = results.iter().filter_map(|(_, result)| result.as_ref().ok()).flatten();
    let held: Vec<bool> = figures.filter_map(Figure::holds).collect();
    let missed = held.iter().filter(|held| !**held).count();
    match missed {
        0 => format!("all {} targets hold", held.len()),
        _ => format!("{missed} of {} targets are missed", held.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Target;

    fn results() -> Vec<(String, Outcome<Vec<Figure>>)> {
        let at_most = |value| Figure::ratio("ratio", value, Some(Target::AtMost(1.0)));
        vec![
            ("one".to_owned(), Ok(vec![at_most(0.5), Figure::of("peak", 3.0, "MB", None)])),
            ("two".to_owned(), Err(Failure::new("no Python"))),
            ("three".to_owned(), Ok(vec![at_most(1.5)])),
        ]
    }

    #[test]
    fn each_figure_has_a_row_and_so_has_a_bench_that_could_not_be_run() {
        let rows = rows(&results());
        let shown: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[3].as_str())).collect();
        let expected = [
            ("one: ratio", "met"),
            ("one: peak", ""),
            ("two: could not be run", "FAILED"),
            ("three: ratio", "MISSED"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_summary_counts_targets_and_not_figures() {
        assert_eq!(summary(&results()), "1 of 2 targets are missed");
        assert_eq!(summary(&results()[..2]), "all 1 targets hold");
    }

    #[test]
    fn a_bench_that_fails_stops_no_other_and_is_named_at_the_end() {
        let ran = std::cell::RefCell::new(Vec::new());
        let outcome = run(&[Bench::Micro, Bench::Scale], |bench| {
            ran.borrow_mut().push(bench.name());
            match bench {
                Bench::Micro => Err(Failure::new("no plugin")),
                _ => Ok(Vec::new()),
            }
        });
        assert_eq!(ran.into_inner(), ["micro", "scale"]);
        assert_eq!(outcome.unwrap_err().to_string(), "could not be run: micro");
    }
}
