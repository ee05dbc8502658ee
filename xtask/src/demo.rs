//! How much time does preheat save? `cargo xtask demo` compiles the example programs and the demo
//! model in one set of processes, loads them in another set, and compares the times.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Failure, Outcome, root, run as run_command};
use crate::preheat::{Preheat, json, number, sources, stages};
use crate::setup::{Profile, install};
use crate::{prerequisites, table};

/// The seed of the picture. It is fixed, so that people can compare their picture with the one in
/// the README.
const SEED: &str = "7";

pub fn run() -> Outcome {
    prerequisites::check(prerequisites::BUILD)?;
    let preheat = Preheat::build()?;
    run_command(&mut install("xla-cpu", Profile::Release))?;
    let programs = programs()?;
    let cache_dir =
        tempfile::tempdir().map_err(Failure::context("no temporary folder for the cache"))?;
    let pictures = root().join("target/demo");
    std::fs::create_dir_all(&pictures)
        .map_err(Failure::context(format!("cannot make {}", pictures.display())))?;
    let demo = Demo { preheat, cache_dir: cache_dir.path(), pictures };

    eprintln!(
        "\ncold: each program, and then the model, in a process of its own, into an empty cache"
    );
    let (cold, cold_picture) = demo.run_all(&programs, "cold")?;
    let compiles_cold = demo.compiles()?;
    eprintln!("warm: the same again, in new processes");
    let (warm, warm_picture) = demo.run_all(&programs, "warm")?;
    let compiles_warm = demo.compiles()? - compiles_cold;

    println!();
    print_programs(&programs, &cold, &warm)?;
    println!();
    run_command(&mut demo.command(&["cache", "stats"]))?;
    println!();
    demo.print_picture(&cold_picture, &warm_picture)?;
    println!("\n{compiles_cold} compiles in the cold processes, {compiles_warm} in the warm ones.");
    if compiles_warm != 0.0 {
        return Err(Failure::new("a warm process compiled: the cache did not do its work"));
    }
    let compiled = |run: &&Value| sources(run).is_ok_and(|sources| sources.contains("compiled"));
    if let Some(compiled) = warm.iter().chain([&warm_picture]).find(compiled) {
        return Err(Failure::new(format!("a warm process says that it compiled:\n{compiled:#}")));
    }
    Ok(())
}

/// The example programs, sorted by name.
fn programs() -> Outcome<Vec<PathBuf>> {
    let folder = root().join("examples/programs");
    let entries = std::fs::read_dir(&folder)
        .map_err(Failure::context(format!("cannot read {}", folder.display())))?;
    let mut programs: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "mlir"));
    programs.sort();
    if programs.is_empty() {
        return Err(Failure::new(format!("there are no .mlir programs in {}", folder.display())));
    }
    Ok(programs)
}

struct Demo<'a> {
    preheat: Preheat,
    cache_dir: &'a Path,
    pictures: PathBuf,
}

impl Demo<'_> {
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.preheat.command(["--cache-dir"]);
        command.arg(self.cache_dir).args(arguments);
        command
    }

    /// Runs every program, and makes the picture.
    fn run_all(&self, programs: &[PathBuf], name: &str) -> Outcome<(Vec<Value>, Value)> {
        let run = |program: &PathBuf| {
            let mut command = self.command(&["--device", "xla-cpu", "--json", "program", "run"]);
            json(command.arg(program))
        };
        let programs = programs.iter().map(run).collect::<Outcome<Vec<_>>>()?;
        let mut command =
            self.command(&["--device", "xla-cpu", "--json", "run", "--prompt", "the digit seven"]);
        command.args(["--seed", SEED, "--output"]).arg(self.picture(name));
        Ok((programs, json(&mut command)?))
    }

    fn picture(&self, name: &str) -> PathBuf {
        self.pictures.join(format!("seven-{name}.png"))
    }

    /// The number of compiles in all processes so far, according to the cache's statistics.
    fn compiles(&self) -> Outcome<f64> {
        number(&json(&mut self.command(&["--json", "cache", "stats"]))?, "/compiles")
    }

    fn print_picture(&self, cold: &Value, warm: &Value) -> Outcome {
        let mut rows = Vec::new();
        for (cold, warm) in stages(cold)?.iter().zip(stages(warm)?) {
            rows.push([
                cold["stage"].as_str().unwrap_or_default().to_owned(),
                table::seconds(number(cold, "/compile_seconds")?),
                cold["source"].as_str().unwrap_or_default().to_owned(),
                table::seconds(number(warm, "/load_seconds")?),
                warm["source"].as_str().unwrap_or_default().to_owned(),
            ]);
        }
        let total = |run| Ok::<_, Failure>(table::seconds(number(run, "/timings/total_seconds")?));
        rows.push([
            "until the picture".to_owned(),
            total(cold)?,
            String::new(),
            total(warm)?,
            String::new(),
        ]);
        table::print(["\"the digit seven\"", "cold", "from", "warm", "from"], &rows);
        let [cold, warm] = ["cold", "warm"].map(|name| self.picture(name));
        println!();
        if std::io::stdout().is_terminal() {
            show(&cold, &warm)?;
        }
        println!("{}\n{}", cold.display(), warm.display());
        let read = |path: &Path| {
            std::fs::read(path).map_err(Failure::context(format!("no {}", path.display())))
        };
        if read(&cold)? != read(&warm)? {
            return Err(Failure::new(
                "the two pictures differ: a loaded executable should compute what the compiled one did",
            ));
        }
        println!("The two files are the same, byte for byte.");
        Ok(())
    }
}

/// Draws two pictures side by side: two pixels, one above the other, make a character.
fn show(left: &Path, right: &Path) -> Outcome {
    let pictures = [Pixels::read(left)?, Pixels::read(right)?];
    for row in (0..pictures[0].height).step_by(2) {
        let mut line = String::new();
        for picture in &pictures {
            for column in 0..picture.width {
                let ([r, g, b], [r2, g2, b2]) =
                    (picture.at(column, row), picture.at(column, row + 1));
                let _ = write!(line, "\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m\u{2580}");
            }
            line.push_str("\x1b[0m  ");
        }
        println!("{line}");
    }
    Ok(())
}

struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Pixels {
    fn read(path: &Path) -> Outcome<Self> {
        let failed = |why: String| Failure::new(format!("{}: {why}", path.display()));
        let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut reader = png::Decoder::new(std::io::BufReader::new(file))
            .read_info()
            .map_err(|e| failed(e.to_string()))?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        let mut rgb = vec![0; width * height * 3];
        reader.next_frame(&mut rgb).map_err(|error| failed(error.to_string()))?;
        Ok(Self { width, height, rgb })
    }

    /// The colour of a pixel, or black if the row is below the last one.
    fn at(&self, column: usize, row: usize) -> [u8; 3] {
        let from = (row * self.width + column) * 3;
        self.rgb.get(from..from + 3).map_or([0; 3], |pixel| [pixel[0], pixel[1], pixel[2]])
    }
}

fn print_programs(programs: &[PathBuf], cold: &[Value], warm: &[Value]) -> Outcome {
    let mut rows = Vec::new();
    for ((program, cold), warm) in programs.iter().zip(cold).zip(warm) {
        let cold_seconds = number(cold, "/timings/executables_ready_seconds")?;
        let warm_seconds = number(warm, "/timings/executables_ready_seconds")?;
        let compile_seconds: f64 =
            stages(cold)?.iter().filter_map(|stage| stage["compile_seconds"].as_f64()).sum();
        rows.push([
            program.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            table::seconds(compile_seconds),
            table::seconds(cold_seconds),
            sources(cold)?,
            table::seconds(warm_seconds),
            sources(warm)?,
            format!("{:.1} x", cold_seconds / warm_seconds),
        ]);
    }
    table::print(
        ["program", "compile", "cold start", "from", "warm start", "from", "faster"],
        &rows,
    );
    println!(
        "A start runs from the beginning of the process's main until the executable can be called."
    );
    Ok(())
}
