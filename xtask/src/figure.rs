//! What did a bench measure, and does it reach its targets? Each bench returns its figures, and
//! `cargo xtask bench all` prints those of all benches in one table.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::command::{Failure, Outcome, run as run_command};

/// The variable that names the file into which a bench program writes its figures as JSON. The
/// programs are `benches/micro.rs` and `cache/examples/scale.rs`.
const FIGURES_VARIABLE: &str = "PREHEAT_BENCH_FIGURES";

/// A figure of a bench.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The name of the measured quantity.
    pub name: String,
    pub value: f64,
    /// The unit; empty for a ratio.
    pub unit: String,
    pub target: Option<Target>,
}

/// The target of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// A ratio of two measurements.
    pub fn ratio(name: impl Into<String>, value: f64, target: Option<Target>) -> Self {
        Self { name: name.into(), value, unit: String::new(), target }
    }

    /// A measurement with a unit.
    pub fn of(
        name: impl Into<String>,
        value: f64,
        unit: impl Into<String>,
        target: Option<Target>,
    ) -> Self {
        Self { name: name.into(), value, unit: unit.into(), target }
    }

    /// Whether the target holds; `None` if there is no target. No target holds for a figure that is
    /// not a number.
    pub fn holds(&self) -> Option<bool> {
        Some(match self.target? {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
        })
    }

    /// The figure as a row of a table: its name, value and target, and whether the target holds.
    pub fn row(&self) -> [String; 4] {
        let target = match self.target {
            Some(Target::AtMost(most)) => self.with_unit(format!("<= {most}")),
            Some(Target::AtLeast(least)) => self.with_unit(format!(">= {least}")),
            None => String::new(),
        };
        let holds = self.holds().map_or("", |holds| if holds { "met" } else { "MISSED" });
        [self.name.clone(), self.with_unit(format!("{:.3}", self.value)), target, holds.to_owned()]
    }

    fn with_unit(&self, number: String) -> String {
        if self.unit.is_empty() { number } else { format!("{number} {}", self.unit) }
    }

    /// A figure as a bench program writes it.
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            value: value["value"].as_f64()?,
            unit: value["unit"].as_str()?.to_owned(),
            target: value["at_most"].as_f64().map(Target::AtMost),
        })
    }
}

/// Runs a bench program, whose output is passed through, and returns the figures that it wrote.
pub fn of_program(command: &mut Command) -> Outcome<Vec<Figure>> {
    let folder = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let file = folder.path().join("figures.json");
    run_command(command.env(FIGURES_VARIABLE, &file))?;
    read(&file)
}

fn read(file: &Path) -> Outcome<Vec<Figure>> {
    let failed = || Failure::new("the bench wrote no figures");
    let text = std::fs::read(file).map_err(Failure::context("the bench wrote no figures"))?;
    let figures: Value = serde_json::from_slice(&text).map_err(|_| failed())?;
    let figures = figures.as_array().ok_or_else(failed)?.iter().map(Figure::read);
    figures.collect::<Option<_>>().ok_or_else(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_holds_up_to_its_bound() {
        let at_most = |value| Figure::ratio("", value, Some(Target::AtMost(1.5))).holds();
        assert_eq!([1.0, 1.5, 1.51, f64::NAN].map(at_most), [true, true, false, false].map(Some));
        let at_least = |value| Figure::ratio("", value, Some(Target::AtLeast(6.0))).holds();
        assert_eq!([6.5, 6.0, 5.9, f64::NAN].map(at_least), [true, true, false, false].map(Some));
        assert_eq!(Figure::ratio("", 1.0, None).holds(), None);
    }

    #[test]
    fn a_row_has_the_unit_beside_both_numbers() {
        let figure = Figure::of("a plan", 12.0, "s", Some(Target::AtMost(10.0)));
        assert_eq!(figure.row(), ["a plan", "12.000 s", "<= 10 s", "MISSED"]);
        let figure = Figure::ratio("faster than JAX", 7.25, Some(Target::AtLeast(6.0)));
        assert_eq!(figure.row(), ["faster than JAX", "7.250", ">= 6", "met"]);
        assert_eq!(Figure::of("peak", 3.0, "MB", None).row(), ["peak", "3.000 MB", "", ""]);
    }

    #[test]
    fn what_a_program_wrote_is_read_and_anything_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        assert!(read(&file).is_err(), "nothing was written");
        for wrong in ["", "{}", "[1]", "[{\"name\": \"x\", \"unit\": \"\"}]"] {
            std::fs::write(&file, wrong).unwrap();
            assert!(read(&file).is_err(), "{wrong}");
        }
        let text = r#"[{"name": "open", "value": 3.5, "unit": "ms", "at_most": 50},
            {"name": "verify", "value": 1, "unit": "ms", "at_most": null}]"#;
        std::fs::write(&file, text).unwrap();
        assert_eq!(
            read(&file).unwrap(),
            [
                Figure::of("open", 3.5, "ms", Some(Target::AtMost(50.0))),
                Figure::of("verify", 1.0, "ms", None)
            ]
        );
    }
}
